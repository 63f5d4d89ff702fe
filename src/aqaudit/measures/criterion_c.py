"""c: where the judge draws the line between correct and faulty."""

from __future__ import annotations

from typing import TYPE_CHECKING

from aqaudit.measures import detection
from aqaudit.measures.measure import Estimate, Measure
from aqaudit.measures.rows import CORRECT, ERROR

if TYPE_CHECKING:
    import polars as pl


def compute(frame: pl.DataFrame) -> Estimate:
    """Return -(z(H') + z(F')) / 2 over parsed rows, H' and F' with the log-linear correction."""
    return detection.estimate(
        frame,
        lambda correct, hits, error, alarms: (
            -(detection.adjusted_z(hits, correct) + detection.adjusted_z(alarms, error)) / 2
        ),
        classes=(CORRECT, ERROR),
        bounds=(-float("inf"), float("inf")),
    )


MEASURE = Measure(
    name="criterion_c",
    title="response criterion c",
    what=(
        "-(z(H') + z(F')) / 2 with H' = (h + 1/2) / (n1 + 1) and F' = (f + 1/2) / (n0 + 1), parsed answers only; below "
        "0 leans to 'correct'. It misleads when skill is high: judge the lean. Framings are averaged with equal weight."
    ),
    kinds=("verify", "detect"),
    columns=("gold_correct", "says_correct"),
    bounds=(-float("inf"), float("inf")),
    chance="0 for an even-handed judge",
    higher_is_better=None,
    citation="Hautus, Corrections for extreme proportions and their biasing effects, Behav. Res. Methods 1995",
    compute=compute,
)
