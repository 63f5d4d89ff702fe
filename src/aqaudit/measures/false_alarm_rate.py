"""F: how often faulty executions are called correct."""

from __future__ import annotations

from typing import TYPE_CHECKING

from aqaudit.measures import detection
from aqaudit.measures.measure import Estimate, Measure
from aqaudit.measures.recalls import ratio
from aqaudit.measures.rows import ERROR

if TYPE_CHECKING:
    import polars as pl


def compute(frame: pl.DataFrame) -> Estimate:
    """Return P(says correct | error) over parsed rows."""
    return detection.estimate(
        frame,
        lambda _correct, _hits, error, alarms: ratio(alarms, error),
        classes=(ERROR,),
        bounds=(0.0, 1.0),
        limits=lambda _hit, alarm: alarm,
    )


MEASURE = Measure(
    name="false_alarm_rate",
    title="F, faulty executions called correct",
    what="P(says correct | error), parsed answers only; framings are averaged with equal weight.",
    kinds=("verify", "detect"),
    columns=("gold_correct", "says_correct"),
    bounds=(0.0, 1.0),
    chance="equal to the hit rate",
    higher_is_better=False,
    citation="Macmillan & Creelman, Detection theory: a user's guide, 2nd ed. 2005",
    compute=compute,
)
