"""Figures of per-cluster sums: the engine of the measures that pair rows.

A measure turns rows into weights, one column a sum; the figure is a function of the sums over all rows, so that
leaving a performer out is a subtraction.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from aqaudit.measures import resample
from aqaudit.measures.measure import Estimate
from aqaudit.measures.recalls import per_cluster
from aqaudit.measures.rows import codes

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from numpy.typing import NDArray

    Floats = NDArray[np.float64]
    Details = Mapping[str, float | int | str | None]


def cluster_matrix(rows: pl.DataFrame, columns: Sequence[str]) -> tuple[Floats, list[str]]:
    """Return the sums of columns by cluster (clusters x columns), and the clusters' names.

    Terms are added in the order of the rows: sort them where the columns hold other than small whole numbers.
    """
    cluster, names = codes(rows["cluster"])
    weights = (rows[name].cast(float).fill_null(0.0).to_numpy() for name in columns)
    return np.column_stack([np.bincount(cluster, weights=w, minlength=len(names)) for w in weights]), names


def estimate(
    rows: pl.DataFrame,
    columns: Sequence[str],
    statistic: Callable[[Floats], Floats],
    *,
    bounds: tuple[float, float],
    why: str,
    degenerate: Callable[[float, int], tuple[float, float]],
    classes: Mapping[str, int] | None = None,
    chance: float | None = None,
    details: Details | None = None,
) -> Estimate:
    """Estimate a figure of sums with its delete-one-cluster interval.

    Parameters
    ----------
    rows : polars.DataFrame
        ``cluster`` and the columns to sum.
    columns : sequence of str
    statistic : callable
        From sums of shape (..., columns) to figures of shape (...); NaN where undefined.
    bounds : (float, float)
    why : str
        Why there is no figure where it is undefined.
    degenerate : callable
        From the value and the number of clusters to the interval when no cluster changes the figure.
    classes : mapping, optional
        How many clusters hold each class of the truth.
    """
    kept = dict(details or {})
    if rows.is_empty():
        return Estimate(value=None, why=why, details=kept)
    sums, names = cluster_matrix(rows, columns)
    with np.errstate(invalid="ignore", divide="ignore"):
        value, replicates = resample.delete_one(sums, statistic)
    if not np.isfinite(value):
        return Estimate(value=None, why=why, n=rows.height, clusters=len(names), details=kept)
    reason, interval = resample.too_small(per_cluster(rows), classes) or "", None
    if not reason:
        interval = resample.jackknife_interval(
            value, replicates, bounds=bounds, degenerate=degenerate(value, len(names))
        )
        reason = "" if interval else "the figure hangs on a single performer"
    return Estimate(
        value=value, interval=interval, chance=chance, n=rows.height, clusters=len(names), why=reason, details=kept
    )


def classes_held(rows: pl.DataFrame, gold: str = "gold") -> dict[str, int]:
    """Return how many clusters hold each class of the truth."""
    held = rows.group_by(gold).agg(pl.col("cluster").n_unique())
    return {str(label): n for label, n in held.iter_rows() if label is not None}


def share_limits(value: float, clusters: int) -> tuple[float, float]:
    """Clopper-Pearson limits of a share that no cluster changes, with G trials."""
    return resample.clopper_pearson(value * clusters, clusters)


def difference_limits(value: float, clusters: int, widest: float = 1.0) -> tuple[float, float]:
    """Limits of a paired difference that no cluster changes: the bound on the flip rate to either side."""
    bound = resample.flip_rate_bound(clusters) * widest
    return max(value - bound, -widest), min(value + bound, widest)


def figure(number: Floats, total: Floats) -> Floats:
    """Return number / total, NaN where there is no total."""
    out: Floats = np.full(np.shape(total), np.nan)
    np.divide(number, total, out=out, where=np.asarray(total) > 0)
    return out
