"""Root mean squared error relative to the width of the scale."""

from __future__ import annotations

import numpy as np
import polars as pl

from aqaudit.measures import losses
from aqaudit.measures.measure import Estimate, Measure
from aqaudit.measures.rows import scored


def compute(frame: pl.DataFrame) -> Estimate:
    """Return the root of the mean of ((given - true) / (scale_max - scale_min))^2 over parsed rows."""
    rows = scored(frame)

    def loss(column: str) -> pl.Expr:
        return ((pl.col(column) - pl.col("gold")) / pl.col("nominal")) ** 2

    return losses.mean_loss(
        losses.parsed_with_mean(rows),
        loss,
        np.sqrt,
        missing="the answers name no scale (scale_min, scale_max)",
        coverage=losses.coverage(rows),
    )


MEASURE = Measure(
    name="rmse",
    title="RMSE / scale",
    what="Root mean squared error as a share of the scale's nominal width, over parsed answers.",
    kinds=("score",),
    columns=("gold_score", "score"),
    bounds=(0.0, float("inf")),
    chance="none; beside it stands the constant mean's",
    higher_is_better=False,
    citation="Hyndman & Koehler, Another look at measures of forecast accuracy, Int. J. Forecasting 2006",
    compute=compute,
)
