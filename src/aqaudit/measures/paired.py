"""Paired differences between two sets of answers to the same questions: multinomial cluster bootstrap.

Both sets are summed by performer in the same draws, so what makes a question hard for both cancels. The interval is
B - A +/- t(G - 1) x the bootstrap's standard error x sqrt(G / (G - 1)): drawing G of G performers understates the
variance by that factor, and a percentile interval of few performers is too narrow (``benchmarks/compare_coverage.py``).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from aqaudit.measures import resample
from aqaudit.measures.resample import mean_defined, ratio

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
# From sums of shape (..., columns) to the figures of A and of B, each of shape (...).
Both = Callable[[Floats], tuple[Floats, Floats]]

SEED = 20260408
DRAWS = resample.BOOTSTRAP_DRAWS
#: Draws of rank measures, which cost a pass over the rows each.
RANK_DRAWS = 2000
_ZERO = 1e-12
#: Weights held at a time.
_CELLS = 4_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """What two sets of answers score on the same questions; ``value`` is B - A, ``p`` two-sided.

    ``low`` and ``high`` are None where no interval is given; ``value``, ``a`` and ``b`` are NaN where undefined.
    """

    a: float
    b: float
    value: float
    low: float | None = None
    high: float | None = None
    p: float | None = None


def of_sums(sums: Floats, both: Both, *, bounds: tuple[float, float], interval: bool, seed: int = SEED) -> Difference:
    """Return the difference of a figure of sums.

    Parameters
    ----------
    sums : numpy.ndarray, shape (clusters, columns)
    both : callable
    bounds : (float, float)
        Range of the difference.
    interval : bool
        False leaves interval and p out (the sample is too small for them).
    """
    a, b = (float(figure[0]) for figure in both(sums.sum(axis=0)[np.newaxis]))
    if not interval or not math.isfinite(b - a):
        return Difference(a=a, b=b, value=b - a)

    def difference(table: Floats) -> Floats:
        first, second = both(table)
        return second - first

    draws = resample.cluster_bootstrap(sums, difference, seed=seed, draws=DRAWS)
    return _with_interval(a, b, draws, sums.shape[0], bounds)


def of_ranks(
    gold: Floats, first: Floats, second: Floats, cluster: Ints, framing: Ints, *, interval: bool, seed: int = SEED
) -> Difference:
    """Return the difference of Spearman's correlations with the same truths, framings averaged with equal weight.

    Parameters
    ----------
    gold, first, second : numpy.ndarray, shape (rows,)
        Truths, scores of A, scores of B.
    cluster, framing : numpy.ndarray, shape (rows,)
        Numbers from 0.
    """
    parts = [np.flatnonzero(framing == at) for at in range(int(framing.max()) + 1)] if framing.size else []
    ranked = [(_Ranks(gold[p]), _Ranks(first[p]), _Ranks(second[p]), p) for p in parts]

    def correlations(weight: Floats) -> tuple[Floats, Floats]:
        a, b = [], []
        for truths, ours, theirs, rows in ranked:
            w = weight[:, rows]
            x = truths.midranks(w)
            a.append(_correlation(x, ours.midranks(w), w))
            b.append(_correlation(x, theirs.midranks(w), w))
        return mean_defined(np.stack(a)), mean_defined(np.stack(b))

    clusters = int(cluster.max()) + 1 if cluster.size else 0
    whole_a, whole_b = correlations(np.ones((1, gold.size))) if clusters else (np.array([np.nan]),) * 2
    a, b = float(whole_a[0]), float(whole_b[0])
    if not interval or not math.isfinite(b - a):
        return Difference(a=a, b=b, value=b - a)
    rng = np.random.default_rng(seed)
    block = max(1, _CELLS // gold.size)
    draws = []
    for start in range(0, RANK_DRAWS, block):
        counts = rng.multinomial(clusters, np.full(clusters, 1 / clusters), size=min(block, RANK_DRAWS - start))
        drawn_a, drawn_b = correlations(counts[:, cluster].astype(np.float64))
        draws.append(drawn_b - drawn_a)
    return _with_interval(a, b, np.concatenate(draws), clusters, (-2.0, 2.0))


def _with_interval(a: float, b: float, draws: Floats, clusters: int, bounds: tuple[float, float]) -> Difference:
    value, known = b - a, draws[np.isfinite(draws)]
    if known.size < draws.size * 0.9 or clusters < 2:
        return Difference(a=a, b=b, value=value)
    se = float(known.std()) * math.sqrt(clusters / (clusters - 1))
    if se <= _ZERO:
        # No performer shows another difference: as much as the bound on none of G flipping may still be there.
        reach, p = resample.flip_rate_bound(clusters), 1.0 if abs(value) <= _ZERO else 0.0
    else:
        reach = float(stats.t.ppf((1 + resample.LEVEL) / 2, clusters - 1)) * se
        p = 2 * float(stats.t.sf(abs(value) / se, clusters - 1))
    low, high = max(value - reach, bounds[0]), min(value + reach, bounds[1])
    if se <= _ZERO and low <= 0 <= high:
        p = 1.0
    return Difference(a=a, b=b, value=value, low=low, high=high, p=p)


class _Ranks:
    """Average ranks of values under changing weights of the rows, without sorting again."""

    def __init__(self, values: Floats) -> None:
        self._order = np.argsort(values, kind="stable")
        ordered = values[self._order]
        new = np.concatenate(([True], ordered[1:] != ordered[:-1]))
        self._starts = np.flatnonzero(new)
        group = np.empty(values.size, dtype=np.int64)
        group[self._order] = np.cumsum(new) - 1
        self._group = group

    def midranks(self, weight: Floats) -> Floats:
        """Return the average rank of every row (draws x rows), each row counted as often as its weight says."""
        ties = np.add.reduceat(weight[:, self._order], self._starts, axis=1)
        middle = np.cumsum(ties, axis=1) - ties / 2
        return np.asarray(middle[:, self._group], dtype=np.float64)


def _correlation(x: Floats, y: Floats, weight: Floats) -> Floats:
    """Return Pearson's correlation of each row of x and y; 0 where y does not vary, NaN where x does not."""
    total = weight.sum(axis=1, keepdims=True)
    x = x - (weight * x).sum(axis=1, keepdims=True) / total
    y = y - (weight * y).sum(axis=1, keepdims=True) / total
    cross, xx, yy = (weight * x * y).sum(axis=1), (weight * x * x).sum(axis=1), (weight * y * y).sum(axis=1)
    found = ratio(cross, np.sqrt(xx * yy), 1e-9)
    return np.asarray(np.where(xx <= 1e-9, np.nan, np.where(yy <= 1e-9, 0.0, found)), dtype=np.float64)
