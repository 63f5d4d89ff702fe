"""Means of a per-row loss over parsed scores: the engine of R-l2, RMSE and MAE.

Losses are averaged within each framing, then turned into the figure, then framings are averaged with equal weight.
Beside every figure stands that of the *constant mean*: an answer that knows only the mean true score of the action.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from aqaudit.measures import resample
from aqaudit.measures.measure import Estimate
from aqaudit.measures.recalls import mean_of_groups, per_cluster, ratio
from aqaudit.measures.rows import codes

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from numpy.typing import NDArray

    Floats = NDArray[np.float64]


def parsed_with_mean(rows: pl.DataFrame) -> pl.DataFrame:
    """Return the parsed rows with ``mean``, ``lowest`` and ``highest`` true score of their action class."""
    read = rows.filter(pl.col("said").is_not_null())
    gold = pl.col("gold")
    # Sorted rows and window sums over them: the same answers give the same digits however the table was sorted.
    return read.with_columns(
        mean=(gold.sum() / pl.len()).over("action"),
        lowest=gold.min().over("action"),
        highest=gold.max().over("action"),
    )


def mean_loss(
    rows: pl.DataFrame,
    loss: Callable[[str], pl.Expr],
    figure: Callable[[Floats], Floats],
    *,
    missing: str,
    coverage: Mapping[str, float | int | str | None],
) -> Estimate:
    """Estimate ``figure(mean(loss))``.

    Parameters
    ----------
    rows : polars.DataFrame
        From :func:`parsed_with_mean`.
    loss : callable
        From the name of a column of answers to the expression of the loss of a row; null rows are left out.
    figure : callable
        From mean losses to the figure, vectorised.
    missing : str
        Why there is no figure when no row has a loss.
    coverage : mapping
        Details to hand on.
    """
    losses = rows.with_columns(loss=loss("said"), constant=loss("mean")).filter(pl.col("loss").is_not_null())
    details = {**coverage, "rows_without_range": rows.height - losses.height}
    if losses.is_empty():
        return Estimate(value=None, why=missing if rows.height else "no answer could be read", details=details)
    cluster, names = codes(losses["cluster"])
    framing, framings = codes(losses["framing"])
    width = len(framings)
    order = np.zeros(1, dtype=np.int64)

    def statistic(sums: Floats) -> Floats:
        total, count = sums[..., :width], sums[..., width:]
        means = ratio(total, count)
        return mean_of_groups(figure(means), order)[..., 0]

    def sums(column: str) -> object:
        weight = np.concatenate((losses[column].to_numpy(), np.ones(losses.height)))
        return resample.cluster_sums(
            np.concatenate((cluster, cluster)),
            np.concatenate((framing, framing + width)),
            weight,
            (len(names), 2 * width),
        )

    value, replicates = resample.delete_one(sums("loss"), statistic)
    if not np.isfinite(value):
        return Estimate(value=None, why="the true scores differ by too little to divide by", details=details)
    baseline, _ = resample.delete_one(sums("constant"), statistic)
    why, interval = resample.too_small(per_cluster(losses)) or "", None
    if not why:
        interval = resample.jackknife_interval(value, replicates, bounds=(0.0, float("inf")))
        why = "" if interval else "every performer gives the same figure"
    return Estimate(
        value=value,
        interval=interval,
        baseline=baseline,
        n=losses.height,
        clusters=len(names),
        why=why,
        details=details,
    )


def coverage(rows: pl.DataFrame) -> dict[str, float | int | str | None]:
    """Return the share of scored rows that were read."""
    return {"coverage": 1 - rows["said"].null_count() / rows.height if rows.height else None}
