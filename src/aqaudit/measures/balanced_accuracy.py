"""Balanced accuracy over all criteria together."""

from __future__ import annotations

from typing import TYPE_CHECKING

from aqaudit.measures.measure import Estimate, Measure
from aqaudit.measures.recalls import balanced_accuracy
from aqaudit.measures.rows import classified

if TYPE_CHECKING:
    import polars as pl

WHAT = (
    "The mean of per-class recalls over the classes present in the truth. An answer that could not be read, or was "
    "refused, counts as wrong for its class. Framings are averaged with equal weight."
)
CITATION = "Brodersen, Ong, Stephan & Buhmann, The balanced accuracy and its posterior distribution, ICPR 2010"


def of_kind(frame: pl.DataFrame) -> pl.DataFrame:
    """Return the classified rows of a frame of boolean questions, or of ``choose`` questions where ``kind`` says so."""
    chosen = "kind" in frame.columns and frame["kind"].cast(str).eq("choose").any()
    if chosen or "gold_correct" not in frame.columns:
        return classified(frame, "gold_choice", "choice")
    return classified(frame, "gold_correct", "says_correct")


def compute(frame: pl.DataFrame) -> Estimate:
    """Return balanced accuracy, criteria pooled; the classes of ``choose`` are the distinct right options."""
    return balanced_accuracy(of_kind(frame))


MEASURE = Measure(
    name="balanced_accuracy",
    title="balanced accuracy",
    what=WHAT,
    kinds=("verify", "detect", "choose"),
    columns=(),
    bounds=(0.0, 1.0),
    chance="1/k for a question with k options, 0.5 for true or false",
    higher_is_better=True,
    citation=CITATION,
    compute=compute,
)
