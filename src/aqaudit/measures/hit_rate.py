"""H: how often correct executions are called correct."""

from __future__ import annotations

from typing import TYPE_CHECKING

from aqaudit.measures import detection
from aqaudit.measures.measure import Estimate, Measure
from aqaudit.measures.recalls import ratio
from aqaudit.measures.rows import CORRECT

if TYPE_CHECKING:
    import polars as pl


def compute(frame: pl.DataFrame) -> Estimate:
    """Return P(says correct | correct) over parsed rows."""
    return detection.estimate(
        frame,
        lambda correct, hits, _error, _alarms: ratio(hits, correct),
        classes=(CORRECT,),
        bounds=(0.0, 1.0),
        limits=lambda hit, _alarm: hit,
    )


MEASURE = Measure(
    name="hit_rate",
    title="H, correct executions called correct",
    what="P(says correct | correct), parsed answers only; framings are averaged with equal weight.",
    kinds=("verify", "detect"),
    columns=("gold_correct", "says_correct"),
    bounds=(0.0, 1.0),
    chance="equal to the false-alarm rate",
    higher_is_better=True,
    citation="Macmillan & Creelman, Detection theory: a user's guide, 2nd ed. 2005",
    compute=compute,
)
