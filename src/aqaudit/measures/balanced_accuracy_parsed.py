"""Balanced accuracy over the answers that could be read."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import polars as pl

from aqaudit.measures.balanced_accuracy import CITATION, of_kind
from aqaudit.measures.measure import Estimate, Measure
from aqaudit.measures.recalls import balanced_accuracy

if TYPE_CHECKING:
    from collections.abc import Mapping


def compute(frame: pl.DataFrame) -> Estimate:
    """Return balanced accuracy, criteria pooled, without the rows whose answer was not read."""
    rows = of_kind(frame)
    read = rows.filter(pl.col("said").is_not_null())
    if read.is_empty() and rows.height:
        return Estimate(value=None, why="no answer could be read", details={"coverage": 0.0})
    estimate = balanced_accuracy(read)
    coverage: Mapping[str, float] = {"coverage": read.height / rows.height} if rows.height else {}
    return replace(estimate, details={**estimate.details, **coverage})


MEASURE = Measure(
    name="balanced_accuracy_parsed",
    title="balanced accuracy of the answers that could be read",
    what=(
        "The mean of per-class recalls over the classes present in the truth, of parsed answers only. "
        "Framings are averaged with equal weight."
    ),
    kinds=("verify", "detect", "choose"),
    columns=(),
    bounds=(0.0, 1.0),
    chance="1/k for a question with k options, 0.5 for true or false",
    higher_is_better=True,
    citation=CITATION,
    compute=compute,
)
