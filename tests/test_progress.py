"""The line that a run draws on a terminal: what is done, what it costs, and nothing cut in the middle."""

from __future__ import annotations

import io
from collections import Counter

import pytest

from aqaudit.engine import progress
from aqaudit.engine.progress import ProgressLine, Tally


@pytest.fixture
def tally(monkeypatch: pytest.MonkeyPatch) -> Tally:
    monkeypatch.setattr(progress.time, "monotonic", lambda: 110.0)
    return Tally(
        planned=100, found=10, answered=20, failed=Counter(timeout=2), retries=3, input_tokens=41_000,
        output_tokens=900, usd=0.25, unpriced=5, began=100.0,
    )  # fmt: skip


def test_the_line_says_what_is_done_what_failed_what_was_tried_again_and_the_cost(tally: Tally) -> None:
    assert tally.line() == (
        "30/100, 2 failed, 34 s left, 2.0/s, 3 tried again, 0.25 USD + 5 of unknown price, 41k tok in, 900 tok out"
    )


@pytest.mark.parametrize("width", range(18, 120))
def test_what_has_no_room_is_left_out_whole(tally: Tally, width: int) -> None:
    line = tally.line(width)
    assert len(line) <= width
    assert set(line.split(", ")) <= set(tally.line().split(", "))


def test_nothing_is_drawn_where_standard_error_is_no_terminal(tally: Tally) -> None:
    stream = io.StringIO()
    progress_line = ProgressLine(stream)
    progress_line.draw(tally)
    progress_line.clear()
    assert stream.getvalue() == ""
