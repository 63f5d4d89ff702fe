"""Shares with intervals over performers, for pictures: how often something holds among the rows of a group."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from aqaudit.measures import resample
from aqaudit.measures.recalls import ratio
from aqaudit.measures.rows import cluster, codes

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from aqaudit.reporting.drawing import Point


def share(rows: pl.DataFrame, holds: pl.Expr, label: str) -> Point:
    """Return how often ``holds`` among rows where it is known, with a delete-one-performer jackknife interval.

    Without an interval where the sample allows none (:func:`aqaudit.measures.resample.too_small`).
    """
    known = rows.select(cluster(rows), holds.cast(pl.Float64).alias("holds")).filter(pl.col("holds").is_not_null())
    if known.is_empty():
        return label, None, None, None, 0
    at, names = codes(known["cluster"])
    per_performer = dict(zip(names, np.bincount(at).tolist(), strict=True))
    zeros, ones = np.zeros(known.height, dtype=np.int64), np.ones(known.height, dtype=np.int64)
    sums = resample.cluster_sums(
        np.concatenate([at, at]),
        np.concatenate([zeros, ones]),
        np.concatenate([ones.astype(np.float64), known["holds"].to_numpy()]),
        (len(names), 2),
    )
    value, replicates = resample.delete_one(sums, _ratio)
    interval = None
    if resample.too_small(per_performer) is None:
        interval = resample.jackknife_interval(
            value,
            replicates,
            bounds=(0.0, 1.0),
            degenerate=resample.clopper_pearson(round(value * len(names), 9), len(names)),
        )
    low, high = (None, None) if interval is None else (interval.low, interval.high)
    return label, value, low, high, known.height


def _ratio(sums: NDArray[np.float64]) -> NDArray[np.float64]:
    return ratio(sums[..., 1], sums[..., 0])
