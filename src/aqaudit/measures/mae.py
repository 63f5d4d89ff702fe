"""Mean absolute error in the unit of the scores."""

from __future__ import annotations

from typing import TYPE_CHECKING

import polars as pl

from aqaudit.measures import losses
from aqaudit.measures.measure import Estimate, Measure
from aqaudit.measures.rows import scored

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


def compute(frame: pl.DataFrame) -> Estimate:
    """Return the mean of |given - true| over parsed rows."""
    rows = scored(frame)

    def loss(column: str) -> pl.Expr:
        return (pl.col(column) - pl.col("gold")).abs()

    return losses.mean_loss(
        losses.parsed_with_mean(rows),
        loss,
        _itself,
        missing="no answer has a true score to compare with",
        coverage=losses.coverage(rows),
    )


def _itself(mean: NDArray[np.float64]) -> NDArray[np.float64]:
    return mean


MEASURE = Measure(
    name="mae",
    title="mean absolute error",
    what="Mean absolute difference of given and true score, in the unit of the scores, over parsed answers.",
    kinds=("score",),
    columns=("gold_score", "score"),
    bounds=(0.0, float("inf")),
    chance="none; beside it stands the constant mean's",
    higher_is_better=False,
    citation="Willmott & Matsuura, Advantages of the mean absolute error over the RMSE, Climate Research 2005",
    compute=compute,
)
