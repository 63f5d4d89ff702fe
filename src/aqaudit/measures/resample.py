"""Figures of per-cluster sums: the engine of the measures.

A measure turns rows into columns to add up; its figure is a function of the sums over all rows, so that leaving a
performer out is a subtraction, and drawing performers with replacement a product of counts and sums.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

import numpy as np
import polars as pl
from numpy.typing import NDArray
from scipy import sparse, stats

from aqaudit.measures.rows import Details, Estimate, Interval, codes, per_cluster

Floats = NDArray[np.float64]
Statistic = Callable[[Floats], Floats]
"""From sums of shape (..., columns) to figures of shape (...); NaN where a figure is undefined."""
Limits = Callable[[float, int], tuple[float, float]]
"""From a figure that no cluster changes, and the number of clusters, to the ends of its interval."""

LEVEL = 0.95
MIN_CLUSTERS = 8
MIN_CLUSTERS_PER_CLASS = 5
MAX_CLUSTER_SHARE = 0.25
BOOTSTRAP_DRAWS = 10_000

# Below this a standard error is rounding noise: every cluster says the same.
_ZERO = 1e-12
# Clusters handled at a time, which bounds the memory of sums that are mostly zero.
_BLOCK = 2048
# Up to here sums are handled as a full matrix.
_DENSE_COLUMNS = 64
# Whole numbers below this add up exactly in any order.
_EXACT = 2.0**40


# Sums


def cluster_sums(
    cluster: NDArray[np.int64], column: NDArray[np.int64], weight: Floats, shape: tuple[int, int]
) -> object:
    """Return the sparse matrix (clusters x sums) that adds ``weight[i]`` at row ``cluster[i]``, ``column[i]``."""
    return sparse.csr_array((weight, (cluster, column)), shape=shape)


def cluster_matrix(rows: pl.DataFrame, columns: Sequence[str]) -> tuple[Floats, list[str]]:
    """Return the sums of columns by cluster (clusters x columns), and the clusters' names.

    Terms are added in the order of the rows: sort them where the columns hold other than small whole numbers.
    """
    return _matrix(rows, columns, np.zeros(rows.height, dtype=np.int64), 1)


def framing_matrix(rows: pl.DataFrame, columns: Sequence[str]) -> tuple[Floats, list[str]]:
    """Return the sums of columns by cluster and framing (clusters x (columns x framings)), and the clusters' names."""
    framing, framings = codes(rows["framing"])
    return _matrix(rows, columns, framing, len(framings))


def _matrix(
    rows: pl.DataFrame, columns: Sequence[str], part: NDArray[np.int64], parts: int
) -> tuple[Floats, list[str]]:
    cluster, names = codes(rows["cluster"])
    place, size = cluster * parts + part, len(names) * parts
    weights = (rows[name].cast(float).fill_null(0.0).to_numpy() for name in columns)
    sums = [np.bincount(place, weights=w, minlength=size).reshape(len(names), parts) for w in weights]
    return np.hstack(sums), names


def mean_over_framings(columns: int, figure: Callable[..., Floats]) -> Statistic:
    """Return the statistic of :func:`framing_matrix`: the mean of the framings' figures, those that are defined.

    Parameters
    ----------
    columns : int
        How many columns were added up.
    figure : callable
        From the sums of each column, all of shape (..., framings), to the figures of that shape.
    """

    def statistic(sums: Floats) -> Floats:
        return mean_of_groups(figure(*np.split(sums, columns, axis=-1)))[..., 0]

    return statistic


def ratio(part: Floats, whole: Floats, at_least: float = 1) -> Floats:
    """Return part / whole where there is enough of the whole, NaN elsewhere."""
    out: Floats = np.full(np.shape(whole), np.nan)
    np.divide(part, whole, out=out, where=np.asarray(whole) >= at_least)
    return out


def mean_of_groups(values: Floats, starts: Sequence[int] | NDArray[np.int64] = (0,), *, at_least: int = 1) -> Floats:
    """Return the mean of the defined values of each consecutive group along the last axis.

    Parameters
    ----------
    values : numpy.ndarray, shape (..., values)
        NaN where undefined.
    starts : numpy.ndarray, shape (groups,)
        Where each group begins; all values are one group unless said otherwise.
    at_least : int
        How many defined values a group needs; NaN below.
    """
    defined = np.isfinite(values)
    total = np.add.reduceat(np.where(defined, values, 0.0), starts, axis=-1)
    count = np.add.reduceat(defined.astype(np.float64), starts, axis=-1)
    return ratio(total, count, at_least)


def mean_defined(values: Floats) -> Floats:
    """Return the mean over the first axis of the values that are defined; NaN where none is."""
    defined = np.isfinite(values)
    return ratio(np.where(defined, values, 0.0).sum(axis=0), defined.sum(axis=0).astype(np.float64))


def mean(sums: Floats) -> Floats:
    """Return the mean of a column, given its sum and the number of rows along the last axis."""
    return ratio(sums[..., 0], sums[..., 1])


# Leaving clusters out, and drawing them


def delete_one(sums: object, statistic: Statistic) -> tuple[float, Floats]:
    """Return the statistic on all clusters and on all but each one.

    Parameters
    ----------
    sums : scipy.sparse.csr_array or numpy.ndarray, shape (clusters, sums)
    statistic : callable
        Vectorised over leading axes; may return NaN where it is undefined.

    Returns
    -------
    value : float
    replicates : numpy.ndarray, shape (clusters,)
    """
    matrix = sparse.csr_array(sums)
    total = np.asarray(matrix.sum(axis=0), dtype=np.float64).ravel()
    replicates = np.empty(matrix.shape[0])
    for start in range(0, matrix.shape[0], _BLOCK):
        block = matrix[start : start + _BLOCK].toarray()
        replicates[start : start + _BLOCK] = statistic(total - block)
    return float(statistic(total[np.newaxis])[0]), replicates


def cluster_bootstrap(sums: object, statistic: Statistic, *, seed: int, draws: int = BOOTSTRAP_DRAWS) -> Floats:
    """Return ``draws`` values of the statistic on clusters drawn with replacement (multinomial counts x sums).

    Parameters
    ----------
    sums : scipy.sparse.csr_array or numpy.ndarray, shape (clusters, sums)
    seed : int
        The same seed gives the same values.

    Returns
    -------
    numpy.ndarray, shape (draws,)
    """
    weigh = _weigher(sums)
    clusters = sums.shape[0]  # type: ignore[attr-defined]
    rng = np.random.default_rng(seed)
    place = np.uint16 if clusters <= np.iinfo(np.uint16).max else np.uint32
    # A draw of G clusters with replacement, counted, is a multinomial one; drawing places is ten times as fast as
    # drawing the counts. Small blocks stay in the processor's cache.
    block = max(1, 100_000 // clusters)
    values = []
    for start in range(0, draws, block):
        size = min(block, draws - start)
        drawn = rng.integers(0, clusters, size=(size, clusters), dtype=place)
        flat = (drawn + (np.arange(size) * clusters)[:, np.newaxis]).ravel()
        counts = np.bincount(flat, minlength=size * clusters).reshape(size, clusters).astype(np.float64)
        values.append(statistic(weigh(counts)))
    return np.concatenate(values)


def _weigher(sums: object) -> Callable[[Floats], Floats]:
    """Return counts -> counts x sums, by a sum whose order no machine changes, unless every sum is exact anyway."""
    matrix = sparse.csr_array(sums)
    if matrix.shape[1] > _DENSE_COLUMNS:
        return lambda counts: np.asarray((matrix.T @ counts.T).T, dtype=np.float64)
    dense = matrix.toarray()
    if np.array_equal(dense, np.rint(dense)) and np.abs(dense).sum() < _EXACT:
        return lambda counts: np.asarray(counts @ dense)
    return lambda counts: np.asarray(np.einsum("dc,cs->ds", counts, dense))


# Intervals


def jackknife_interval(
    value: float,
    replicates: Floats,
    *,
    bounds: tuple[float, float],
    fisher: bool = False,
    degenerate: tuple[float, float] | None = None,
    level: float = LEVEL,
) -> Interval | None:
    """Return the delete-one-cluster jackknife interval with t(G - 1), clipped to ``bounds``.

    Parameters
    ----------
    value : float
        The statistic on all clusters.
    replicates : numpy.ndarray, shape (clusters,)
        The statistic without each cluster.
    bounds : (float, float)
        The range of the measure.
    fisher : bool
        Work on the Fisher z scale, for correlations; where one of them is -1 or 1, on the plain scale.
    degenerate : (float, float), optional
        The interval to give when the replicates do not vary (Clopper-Pearson with G trials).

    Returns
    -------
    Interval or None
        None with fewer than two clusters, an undefined replicate, or no variance and no ``degenerate``.
    """
    clusters = replicates.size
    if clusters < 2 or not np.isfinite(value) or not np.isfinite(replicates).all():
        return None
    fisher = fisher and max(abs(value), float(np.abs(replicates).max())) < 1 - 1e-9
    centre, spread = (np.arctanh(value), np.arctanh(replicates)) if fisher else (value, replicates)
    se = float(np.sqrt((clusters - 1) / clusters * np.sum((spread - spread.mean()) ** 2)))
    if se <= _ZERO:
        return None if degenerate is None else Interval(low=degenerate[0], high=degenerate[1], se=0.0)
    reach = float(stats.t.ppf((1 + level) / 2, clusters - 1)) * se
    low, high = centre - reach, centre + reach
    if fisher:
        low, high = np.tanh(low), np.tanh(high)
    return Interval(low=max(float(low), bounds[0]), high=min(float(high), bounds[1]), se=se, fisher=fisher)


def clopper_pearson(successes: float, trials: int, level: float = LEVEL) -> tuple[float, float]:
    """Return the Clopper-Pearson interval (Biometrika 1934); ``successes`` may be a fraction of the trials."""
    tail = (1 - level) / 2
    low = float(stats.beta.ppf(tail, successes, trials - successes + 1)) if successes > 0 else 0.0
    high = float(stats.beta.ppf(1 - tail, successes + 1, trials - successes)) if successes < trials else 1.0
    return low, high


def flip_rate_bound(clusters: int, level: float = LEVEL) -> float:
    """Return how large a paired difference may be though no cluster shows one: the bound on none of G flipping."""
    return clopper_pearson(0, clusters, level)[1]


def share_limits(value: float, clusters: int) -> tuple[float, float]:
    """Clopper-Pearson limits of a share that no cluster changes, with G trials."""
    return clopper_pearson(value * clusters, clusters)


def difference_limits(value: float, clusters: int, widest: float = 1.0) -> tuple[float, float]:
    """Limits of a paired difference that no cluster changes: the bound on the flip rate to either side."""
    bound = flip_rate_bound(clusters) * widest
    return max(value - bound, -widest), min(value + bound, widest)


def itself(value: float, _clusters: int) -> tuple[float, float]:
    """Limits of a figure that no cluster changes and that nothing bounds: the figure."""
    return value, value


def too_small(rows_per_cluster: Mapping[str, int], clusters_per_class: Mapping[str, int] | None = None) -> str | None:
    """Return why a sample allows no interval and no verdict, or None if it does.

    Parameters
    ----------
    rows_per_cluster : mapping
        Rows of each performer.
    clusters_per_class : mapping, optional
        How many performers hold each class of the truth.

    Returns
    -------
    str or None
        A clause such as ``only 3 performers; at least 8 are needed for an interval``.
    """
    clusters = len(rows_per_cluster)
    if clusters < MIN_CLUSTERS:
        who = "performer" if clusters == 1 else "performers"
        return f"only {clusters} {who}; at least {MIN_CLUSTERS} are needed for an interval"
    if clusters_per_class:
        label, held = min(clusters_per_class.items(), key=lambda item: (item[1], item[0]))
        if held < MIN_CLUSTERS_PER_CLASS:
            who = "performer has" if held == 1 else "performers have"
            return (
                f"only {held} {who} executions whose truth is '{label}'; at least {MIN_CLUSTERS_PER_CLASS} are needed"
            )
    name, most = max(rows_per_cluster.items(), key=lambda item: (item[1], item[0]))
    share = most / sum(rows_per_cluster.values())
    if share > MAX_CLUSTER_SHARE:
        return f"performer '{name}' gives {share:.1%} of the answers; at most {MAX_CLUSTER_SHARE:.0%} may come from one"
    return None


def classes_held(rows: pl.DataFrame, gold: str = "gold") -> dict[str, int]:
    """Return how many clusters hold each class of the truth."""
    held = rows.group_by(gold).agg(pl.col("cluster").n_unique())
    return {str(label): n for label, n in held.iter_rows() if label is not None}


# Estimates


def with_interval(
    estimate: Estimate,
    replicates: Floats,
    *,
    bounds: tuple[float, float],
    small: str | None,
    fisher: bool = False,
    degenerate: Limits | None = None,
    lacking: str = "the figure hangs on a single performer",
) -> Estimate:
    """Return an estimate with its interval (:func:`jackknife_interval`), or with why it has none.

    ``small`` is why the sample allows no interval (:func:`too_small`), ``lacking`` what to say where the replicates
    allow none.
    """
    if small or estimate.value is None:
        return replace(estimate, why=small or estimate.why)
    limits = degenerate(estimate.value, estimate.clusters) if degenerate else None
    interval = jackknife_interval(estimate.value, replicates, bounds=bounds, fisher=fisher, degenerate=limits)
    return replace(estimate, interval=interval, why="" if interval else lacking)


def estimate(
    rows: pl.DataFrame,
    columns: Sequence[str],
    statistic: Statistic,
    *,
    bounds: tuple[float, float],
    why: str,
    degenerate: Limits,
    by_framing: bool = False,
    classes: Mapping[str, int] | None = None,
    chance: float | None = None,
    details: Details | None = None,
) -> Estimate:
    """Estimate a figure of sums with its delete-one-cluster interval.

    Parameters
    ----------
    rows : polars.DataFrame
        ``cluster`` and the columns to sum, ``framing`` where figures are averaged over framings.
    columns : sequence of str
    statistic : callable
        From sums of shape (..., columns) to figures of shape (...); NaN where undefined.
    bounds : (float, float)
    why : str
        Why there is no figure where it is undefined.
    degenerate : callable
        From the value and the number of clusters to the interval when no cluster changes the figure.
    by_framing : bool
        Add up by framing (:func:`framing_matrix`), for a statistic of :func:`mean_over_framings`.
    classes : mapping, optional
        How many clusters hold each class of the truth.
    """
    if rows.is_empty():
        return Estimate(value=None, why=why, details=details or {})
    sums, names = (framing_matrix if by_framing else cluster_matrix)(rows, columns)
    with np.errstate(invalid="ignore", divide="ignore"):
        value, replicates = delete_one(sums, statistic)
    if not np.isfinite(value):
        return Estimate(value=None, why=why, n=rows.height, clusters=len(names), details=details or {})
    return with_interval(
        Estimate(value=value, chance=chance, n=rows.height, clusters=len(names), details=details or {}),
        replicates,
        bounds=bounds,
        small=too_small(per_cluster(rows), classes),
        degenerate=degenerate,
    )
