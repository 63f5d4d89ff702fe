"""The public functions: typed options, a running event loop, results as tables."""

from __future__ import annotations

import asyncio
import inspect
import json
import subprocess
import sys
import threading
import typing
from pathlib import Path

import polars as pl
import pytest

import aqaudit
import made
from aqaudit import BadInput, Study, audit, compare, gate, read_answers, run, run_async
from servers import LoopbackServer, answer_chat

FUNCTIONS = ("run", "run_async", "audit", "compare", "gate", "read_answers", "report")


def simulated(tmp_path: Path, performances: int = 12) -> Study:
    data = made.folder(tmp_path / "data", performances=performances)
    return Study.read(made.study(data, model=made.SIMULATED, grid='framing = ["positive", "negative"]'))


@pytest.mark.parametrize("name", FUNCTIONS)
def test_every_option_has_a_name_and_a_type(name: str) -> None:
    function = getattr(aqaudit, name)
    signature = inspect.signature(function)
    assert inspect.isfunction(function)
    kinds = {parameter.kind for parameter in signature.parameters.values()}
    assert not kinds & {inspect.Parameter.VAR_KEYWORD, inspect.Parameter.VAR_POSITIONAL}
    assert typing.get_type_hints(function).keys() >= signature.parameters.keys()


def test_a_wrong_option_is_an_error_of_the_type_checker(tmp_path: Path) -> None:
    (tmp_path / "uses.py").write_text(
        "from aqaudit import Study, run\n"
        'run(Study.read("a"), out="o", max_usd=3)\n'
        'run(Study.read("a"), out="o", max_usdd=3)\n'
        'run(Study.read("a"), out="o", engine="rya")\n'
    )
    checked = subprocess.run(
        [sys.executable, "-m", "mypy", "--follow-imports=silent", "--cache-dir", str(tmp_path), "uses.py"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    said = [line for line in checked.stdout.splitlines() if ": error:" in line]
    assert [line.split(":")[1] for line in said] == ["3", "4"], checked.stdout


def test_importing_the_library_loads_nothing_heavy() -> None:
    code = "import sys, aqaudit; print([m for m in ('polars', 'numpy', 'av', 'pydantic') if m in sys.modules])"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"


def test_a_run_works_where_an_event_loop_is_running(tmp_path: Path) -> None:
    study = simulated(tmp_path)

    async def notebook() -> aqaudit.Outcome:
        return run(study, out=tmp_path / "out")

    outcome = asyncio.run(notebook())
    assert outcome.complete
    assert outcome.tally.answered == 48


def test_an_awaited_run_leaves_the_event_loop_free(tmp_path: Path) -> None:
    study = simulated(tmp_path)
    turns = 0

    async def count() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0.005)

    async def main() -> aqaudit.Outcome:
        counting = asyncio.create_task(count())
        outcome = await run_async(study, out=tmp_path / "out")
        counting.cancel()
        return outcome

    assert asyncio.run(main()).complete
    assert turns > 5


def test_a_cancelled_run_keeps_what_it_has_and_goes_on_later(tmp_path: Path) -> None:
    data = made.folder(tmp_path / "data", performances=100)
    with LoopbackServer(answer_chat(delay_s=0.05)) as server:
        study = Study.read(made.study(data, model=made.served(server.base_url, concurrency=2)))

        async def main() -> None:
            going_on = asyncio.create_task(run_async(study, out=tmp_path / "out"))
            while len(server.posts) < 6:  # noqa: ASYNC110 - the server lives in a thread
                await asyncio.sleep(0.02)
            going_on.cancel()
            with pytest.raises(asyncio.CancelledError):
                await going_on

        asyncio.run(main())
        kept = read_answers(tmp_path / "out").height
        assert 4 <= kept < 200
        assert not any(thread.name.startswith("aqaudit") for thread in threading.enumerate())
        assert run(study, out=tmp_path / "out").tally.found == kept


@pytest.fixture(scope="module")
def answered(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("answered")
    run(simulated(root, performances=40), out=root / "out")
    return root / "out"


def test_findings_show_themselves_as_a_frame(answered: Path) -> None:
    result = audit(answered)
    frame = result.to_frame()
    assert frame.height == len(result.findings)
    assert {"audit", "model", "dataset", "task", "kind", "measure", "value", "low", "high", "verdict"} <= {
        *frame.columns
    }
    first = next(one for one in result.findings if one.measure == "balanced_accuracy" and one.headline)
    row = frame.filter(measure="balanced_accuracy", headline=True).row(0, named=True)
    assert (row["value"], row["low"], row["model"]) == (first.value, first.low, "judge")


def test_findings_show_themselves_in_a_notebook_and_what_others_wrote_is_inert(answered: Path) -> None:
    frame = read_answers(answered).with_columns(model=pl.lit("<script>alert(1)</script>"))
    page = audit(frame)._repr_html_()
    assert page.startswith("<table>")
    assert "balanced_accuracy" in page
    assert "<script>" not in page


def test_a_folder_a_file_and_a_frame_are_audited_alike(answered: Path) -> None:
    texts = {
        json.dumps(audit(source).as_json())
        for source in (answered, answered / "answers.parquet", read_answers(answered))
    }
    assert len(texts) == 1


def test_cells_are_compared_by_path_or_by_frame(answered: Path) -> None:
    by_path = compare(f"{answered}:framing=positive", f"{answered}:framing=negative")
    frame = read_answers(answered)
    by_frame = compare(frame.filter(framing="positive"), frame.filter(framing="negative"))
    assert by_path.as_json()["findings"] == by_frame.as_json()["findings"]
    with pytest.raises(BadInput, match="did you mean 'framing'"):
        compare(f"{answered}:framng=positive", answered)


def test_a_gate_is_held_against_a_folder(answered: Path, tmp_path: Path) -> None:
    config = tmp_path / "gate.toml"
    config.write_text('[[require]]\nmeasure = "balanced_accuracy"\nmin = 0.5\n')
    result = gate(answered, config=config)
    assert [one.outcome for one in result.judged] == ["passed"]
    assert result.exit_code == 0
