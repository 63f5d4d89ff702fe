"""Efficiency: how much of what an ideal observer can see of an error a judge uses."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from aqaudit.measures import resample
from aqaudit.measures.detection import adjusted_z
from aqaudit.measures.measure import Estimate
from aqaudit.measures.recalls import per_cluster
from aqaudit.measures.rows import codes

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

SEED = 20161


def efficiency(judge: pl.DataFrame, observer: pl.DataFrame) -> Estimate:
    """Return (d' of the judge / d' of the observer)^2 on the items both answered.

    d' as in :mod:`aqaudit.measures.d_prime`, with the log-linear correction; a judge whose d' is not positive has
    efficiency 0. The interval is a percentile one over 10,000 multinomial draws of performers.

    Parameters
    ----------
    judge, observer : polars.DataFrame
        Columns ``item`` (the same text for the same question asked alike), ``cluster``, ``gold`` (the execution is
        correct), ``error`` (the answer says error).

    Notes
    -----
    Tanner & Birdsall, Definitions of d' and eta as psychophysical measures, J. Acoust. Soc. Am. 30, 1958, p. 922.
    """
    seen = observer.unique("item", keep="first", maintain_order=True).select("item", pl.col("error").alias("observer"))
    rows = judge.join(seen, on="item").filter(pl.col("gold").is_not_null())
    if rows["gold"].n_unique() < 2:
        why = "no item was judged by both" if rows.is_empty() else "the truth of the items judged by both is one class"
        return Estimate(value=None, n=rows.height, why=why)
    place, names = codes(rows["cluster"])
    bad = ~rows["gold"].to_numpy()
    parts = [bad, ~bad]
    sums = np.zeros((len(names), 6))
    for at, part in enumerate(parts):
        for offset, said in enumerate((np.ones(rows.height), rows["error"].to_numpy(), rows["observer"].to_numpy())):
            sums[:, 3 * at + offset] = np.bincount(place, weights=part * said, minlength=len(names))
    value = float(_ratio(sums.sum(axis=0)[np.newaxis])[0])
    if not np.isfinite(value):
        return Estimate(value=None, n=rows.height, clusters=len(names), why="the observer itself sees nothing")
    classes = {"error": int((sums[:, 0] > 0).sum()), "correct": int((sums[:, 3] > 0).sum())}
    why = resample.too_small(per_cluster(rows), classes) or ""
    interval = None
    if not why:
        draws = resample.cluster_bootstrap(sums, _ratio, seed=SEED)
        low, high = np.nanpercentile(draws, [2.5, 97.5])
        interval = resample.Interval(low=float(low), high=float(high), se=float(np.nanstd(draws)))
    return Estimate(value=value, interval=interval, n=rows.height, clusters=len(names), why=why)


def _ratio(sums: Floats) -> Floats:
    """From (bad, judge hits, observer hits, good, judge alarms, observer alarms) to the efficiency."""
    bad, hits, seen, good, alarms, wrong = (sums[..., at] for at in range(6))
    judge = adjusted_z(hits, bad) - adjusted_z(alarms, good)
    ideal = adjusted_z(seen, bad) - adjusted_z(wrong, good)
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.asarray(np.where(ideal > 0, (np.maximum(judge, 0) / ideal) ** 2, np.nan))
