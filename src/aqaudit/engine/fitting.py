"""What fits a model's window with 0, 1, 2 and 4 examples, from headers of the clips at hand; nothing is decoded."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from aqaudit.engine.estimate import answer_tokens, frames_sent
from aqaudit.engine.windows import family, media_tokens
from aqaudit.keys import media_spec
from aqaudit.questions import shuffled

if TYPE_CHECKING:
    from collections.abc import Sequence

    from aqaudit.engine.preparation import Prepared
    from aqaudit.models.catalog import ModelEntry
    from aqaudit.plan import PlannedDataset
    from aqaudit.records import Cell

#: Numbers of examples that the table is about; those of the study are added.
SHOTS = (0, 1, 2, 4)
#: Clips looked at in a data set.
_SAMPLE = 2000
_LABEL = 30
#: Tokens of a question's text and of an example's, about: the longest prompt with a guideline has 400.
_TEXT = 400


@dataclass(frozen=True, slots=True, kw_only=True)
class Fit:
    """One row: tokens of a clip, and for each number of examples the share of clips whose request fits.

    ``clips`` is 2 for pairs. ``share`` is empty where the window is not known.
    """

    model: str
    family: str
    window: int | None
    dataset: str
    clips: int
    sampling: str
    median: int
    longest: int
    share: dict[int, float]


def fits(prepared: Prepared) -> list[Fit]:
    """Return one row for each model, data set, sampling, and single performances or pairs of the study."""
    return [
        row
        for name, entry in prepared.study.models.items()
        for planned in prepared.plan.datasets
        for row in _of(prepared, name, entry, planned)
    ]


def _of(prepared: Prepared, name: str, entry: ModelEntry, planned: PlannedDataset) -> list[Fit]:
    rows = []
    dataset = planned.dataset
    people = shuffled(dataset.performances, prepared.study.seed)[:_SAMPLE]
    shots = sorted({*SHOTS, *prepared.study.spec.grid.shots})
    for clips in (1, 2):
        kinds = [kind for kind in planned.tasks if (kind == "prefer") == (clips == 2)]
        cells: dict[str, Cell] = {}
        for kind in kinds:
            for cell in prepared.study.cells(kind, name, dataset.name):
                if cell.perturbation != "text_only":
                    cells.setdefault(cell.sampling, cell)
        for sampling, cell in cells.items():
            each = []
            for performance in people:
                info = prepared.sources.describe(performance)
                spec = media_spec(cell, entry, image=info.kind == "image")
                frames = frames_sent(performance, spec, prepared)
                size = (info.width, info.height)
                each.append(media_tokens(entry, size, spec.max_side, frames, spec.form))
            each.sort()
            median = each[len(each) // 2]
            rows.append(
                Fit(
                    model=name,
                    family=family(entry).name,
                    window=family(entry).window,
                    dataset=dataset.name,
                    clips=clips,
                    sampling=sampling,
                    median=math.ceil(median),
                    longest=math.ceil(each[-1]),
                    share=_shares(entry, each, median, clips, shots),
                )
            )
    return rows


def _shares(
    entry: ModelEntry, each: Sequence[float], median: float, clips: int, shots: Sequence[int]
) -> dict[int, float]:
    """Return, for each number of examples, the share of clips that fit; examples are taken to be of median length."""
    window = family(entry).window
    if window is None:
        return {}
    room = window - (answer_tokens(entry) if family(entry).answer_inside else 0)
    return {
        k: sum(clips * tokens + k * clips * median + (k + 1) * _TEXT <= room for tokens in each) / len(each)
        for k in shots
    }


def lines(rows: Sequence[Fit]) -> list[str]:
    """Return the table in lines of at most 80 columns."""
    shots = sorted({k for row in rows for k in row.share} or SHOTS)
    head = "  tokens of a clip   share that fits, examples:"
    made = [f"{'what fits the window':{_LABEL + 2}}" + head]
    made.append(f"{'':{_LABEL + 2}}{'median':>9}{'longest':>9}" + "".join(f"{k:>6}" for k in shots))
    model = None
    for row in rows:
        if row.model != model:
            model = row.model
            window = "window not known" if row.window is None else f"window {row.window:,} tokens"
            made.append(f"{row.model} ({window}, counted as {row.family})")
        rate = row.sampling if row.sampling.endswith("frames") else f"{row.sampling} fps"
        what = row.dataset + ("" if row.sampling == "default" else f", {rate}") + (", pairs" if row.clips == 2 else "")
        shares = "".join(f"{_percent(row.share[k]) if k in row.share else '?':>6}" for k in shots)
        if len(what) > _LABEL:
            made.append(f"  {what}")
            what = ""
        made.append(f"  {what:{_LABEL}}{row.median:>9,}{row.longest:>9,}{shares}")
    return made


def _percent(share: float) -> str:
    # 99.9 % is not all of them, and 0.1 % is not none.
    return "all" if share == 1 else "none" if share == 0 else f"{min(99, max(1, round(100 * share)))}%"
