"""R-l2: the relative squared distance of action quality assessment."""

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
    """Return 100 x the mean squared error relative to the range of the true scores, unclipped.

    The range is that of the parsed rows' truths within each action class, and is held fixed when performers are left
    out: the interval is conditional on it. Rows of a class whose truths are all equal have no range and are left out.
    """
    rows = scored(frame)

    def loss(column: str) -> pl.Expr:
        width = pl.col("highest") - pl.col("lowest")
        return pl.when(width > 0).then(((pl.col(column) - pl.col("gold")) / width) ** 2)

    return losses.mean_loss(
        losses.parsed_with_mean(rows),
        loss,
        _percent,
        missing="all true scores are equal, so there is no range",
        coverage=losses.coverage(rows),
    )


def _percent(mean: NDArray[np.float64]) -> NDArray[np.float64]:
    return 100 * mean


MEASURE = Measure(
    name="r_l2",
    title="R-l2 (x 100)",
    what=(
        "100 x mean(((true - given) / (highest - lowest true score))^2) over parsed answers, unclipped; the range is "
        "that of the parsed rows' truths per data set, task and action class. Read it beside the constant mean's."
    ),
    kinds=("score",),
    columns=("gold_score", "score"),
    bounds=(0.0, float("inf")),
    chance="none; the constant mean scores 100 x variance / range^2",
    higher_is_better=False,
    citation="Yu et al., Group-aware contrastive regression for action quality assessment, ICCV 2021",
    compute=compute,
)
