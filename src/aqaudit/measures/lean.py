"""Lean: which way the answers go when skill is set aside."""

from __future__ import annotations

from typing import TYPE_CHECKING

from aqaudit.measures import detection
from aqaudit.measures.measure import Estimate, Measure
from aqaudit.measures.recalls import ratio
from aqaudit.measures.rows import CORRECT, ERROR

if TYPE_CHECKING:
    import polars as pl


def compute(frame: pl.DataFrame) -> Estimate:
    """Return H + F - 1 over parsed rows: 1 always says correct, -1 always says error, 0 leans neither way."""
    return detection.estimate(
        frame,
        lambda correct, hits, error, alarms: ratio(hits, correct) + ratio(alarms, error) - 1,
        classes=(CORRECT, ERROR),
        bounds=(-1.0, 1.0),
        limits=lambda hit, alarm: (hit[0] + alarm[0] - 1, hit[1] + alarm[1] - 1),
    )


MEASURE = Measure(
    name="lean",
    title="lean towards 'correct'",
    what="H + F - 1, parsed answers only; above 0 leans to 'correct'. Framings are averaged with equal weight.",
    kinds=("verify", "detect"),
    columns=("gold_correct", "says_correct"),
    bounds=(-1.0, 1.0),
    chance="0 for an even-handed judge",
    higher_is_better=None,
    citation="Macmillan & Creelman, Detection theory: a user's guide, 2nd ed. 2005",
    compute=compute,
)
