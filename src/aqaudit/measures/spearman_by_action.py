"""Spearman's rank correlation within action classes, averaged on the Fisher z scale."""

from __future__ import annotations

from typing import TYPE_CHECKING

from aqaudit.measures.measure import Estimate, Measure
from aqaudit.measures.rows import scored
from aqaudit.measures.spearman import CITATION, correlate

if TYPE_CHECKING:
    import polars as pl

# Fisher's z has variance 1 / (n - 3): below four rows it says nothing.
MIN_ROWS = 4


def compute(frame: pl.DataFrame) -> Estimate:
    """Return tanh of the mean Fisher z over action classes with at least four parsed rows and unequal truths."""
    return correlate(scored(frame), by=("framing", "action"), min_rows=MIN_ROWS)


MEASURE = Measure(
    name="spearman_by_action",
    title="Spearman's rank correlation, mean over action classes",
    what=(
        "Spearman's correlation within each action class (at least four parsed answers), averaged on the Fisher z "
        "scale with correlations clipped at 0.999. Framings are averaged with equal weight."
    ),
    kinds=("score",),
    columns=("gold_score", "score", "action"),
    bounds=(-1.0, 1.0),
    chance="0",
    higher_is_better=True,
    citation=f"{CITATION}; averaged as in Parmar & Morris, Action quality assessment across multiple actions, 2019",
    compute=compute,
)
