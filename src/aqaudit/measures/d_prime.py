"""d': how far apart correct and faulty executions are for the judge."""

from __future__ import annotations

from typing import TYPE_CHECKING

from aqaudit.measures import detection
from aqaudit.measures.measure import Estimate, Measure
from aqaudit.measures.rows import CORRECT, ERROR

if TYPE_CHECKING:
    import polars as pl


def compute(frame: pl.DataFrame) -> Estimate:
    """Return z(H') - z(F') over parsed rows, H' and F' with the log-linear correction."""
    return detection.estimate(
        frame,
        lambda correct, hits, error, alarms: detection.adjusted_z(hits, correct) - detection.adjusted_z(alarms, error),
        classes=(CORRECT, ERROR),
        bounds=(-float("inf"), float("inf")),
    )


MEASURE = Measure(
    name="d_prime",
    title="d'",
    what=(
        "z(H') - z(F') with H' = (h + 1/2) / (n1 + 1) and F' = (f + 1/2) / (n0 + 1), parsed answers only; "
        "framings are averaged with equal weight."
    ),
    kinds=("verify", "detect"),
    columns=("gold_correct", "says_correct"),
    bounds=(-float("inf"), float("inf")),
    chance="0",
    higher_is_better=True,
    citation="Hautus, Corrections for extreme proportions and their biasing effects, Behav. Res. Methods 1995",
    compute=compute,
)
