"""Agreement of two scorers that tagged the same steps: Cohen's kappa and Gwet's AC1, clustered by trace.

Kappa corrects for chance by each scorer's own use of the tags (Cohen 1960), AC1 by how hard the tags are to tell apart
(Gwet, Br. J. Math. Stat. Psychol. 2008); where one tag dominates, kappa falls though the scorers agree, AC1 does not.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from aqaudit.measures import resample
from aqaudit.measures.measure import Estimate
from aqaudit.measures.recalls import ratio
from aqaudit.measures.rows import codes
from aqaudit.traces.tags import TAGS

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

_K = len(TAGS)


def kappa(pairs: pl.DataFrame) -> Estimate:
    """Estimate Cohen's kappa, unweighted, over steps tagged twice.

    Parameters
    ----------
    pairs : polars.DataFrame
        ``trace`` (the cluster), ``first`` and ``second``: the tags of one step.
    """
    return _estimate(pairs, _kappa, "both scorers give every step the same one tag")


def ac1(pairs: pl.DataFrame) -> Estimate:
    """Estimate Gwet's AC1 on the same pairs."""
    return _estimate(pairs, _ac1, "there is no step that both scorers tagged")


def _kappa(counts: Floats) -> Floats:
    table = counts.reshape(*counts.shape[:-1], _K, _K)
    total = table.sum(axis=(-2, -1))
    agreed = ratio(np.trace(table, axis1=-2, axis2=-1), total)
    expected = ratio((table.sum(axis=-1) * table.sum(axis=-2)).sum(axis=-1), total**2)
    return ratio(agreed - expected, 1 - expected, 1e-12)


def _ac1(counts: Floats) -> Floats:
    table = counts.reshape(*counts.shape[:-1], _K, _K)
    total = table.sum(axis=(-2, -1))
    agreed = ratio(np.trace(table, axis1=-2, axis2=-1), total)
    both = table.sum(axis=-1) + table.sum(axis=-2)
    share = ratio(both, np.broadcast_to(2 * total[..., np.newaxis], both.shape))
    expected = (share * (1 - share)).sum(axis=-1) / (_K - 1)
    return ratio(agreed - expected, 1 - expected, 1e-12)


def _estimate(pairs: pl.DataFrame, statistic: resample.Statistic, undefined: str) -> Estimate:
    place = {tag: at for at, tag in enumerate(TAGS)}
    known = pairs.filter(pl.col("first").is_in(list(TAGS)) & pl.col("second").is_in(list(TAGS)))
    cells = known.group_by("trace", "first", "second").len().sort("trace", "first", "second")
    cluster, names = codes(cells["trace"])
    column = np.array(
        [place[a] * _K + place[b] for a, b in cells.select("first", "second").iter_rows()], dtype=np.int64
    )
    if not names:
        return Estimate(value=None, why="there is no step that both scorers tagged")
    sums = resample.cluster_sums(cluster, column, cells["len"].to_numpy().astype(np.float64), (len(names), _K * _K))
    value, replicates = resample.delete_one(sums, statistic)
    if not np.isfinite(value):
        return Estimate(value=None, n=known.height, clusters=len(names), why=undefined)
    why = resample.too_small(dict(known.group_by("trace").len().iter_rows())) or ""
    interval = None if why else resample.jackknife_interval(value, replicates, bounds=(-1.0, 1.0))
    return Estimate(
        value=value,
        interval=interval,
        n=known.height,
        clusters=len(names),
        why=why.replace("performer", "trace"),
    )
