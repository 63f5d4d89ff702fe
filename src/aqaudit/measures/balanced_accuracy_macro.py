"""Balanced accuracy of every criterion by itself, averaged."""

from __future__ import annotations

from typing import TYPE_CHECKING

from aqaudit.measures.balanced_accuracy import CITATION, WHAT, of_kind
from aqaudit.measures.measure import Estimate, Measure
from aqaudit.measures.recalls import balanced_accuracy

if TYPE_CHECKING:
    import polars as pl


def compute(frame: pl.DataFrame) -> Estimate:
    """Return the mean balanced accuracy over the criteria with at least two classes in their truth."""
    return balanced_accuracy(of_kind(frame), per_criterion=True)


MEASURE = Measure(
    name="balanced_accuracy_macro",
    title="balanced accuracy, mean over criteria",
    what=f"{WHAT} Computed for each criterion that has at least two classes in its truth, then averaged.",
    kinds=("verify", "detect", "choose"),
    columns=(),
    bounds=(0.0, 1.0),
    chance="1/k for a question with k options, 0.5 for true or false",
    higher_is_better=True,
    citation=CITATION,
    compute=compute,
)
