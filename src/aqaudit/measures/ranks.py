"""Rank correlation with every cluster left out in turn, without sorting again.

Exact: leaving rows out changes how many rows share each value; the average ranks follow from the cumulative counts, so
one left-out cluster costs one pass over the distinct (truth, answer) pairs. Beyond :data:`EXACT_ROWS` rows or
:data:`EXACT_CLUSTERS` clusters the replicates are first-order ones from the influence function instead.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]
    Ints = NDArray[np.int64]

EXACT_ROWS = 100_000
EXACT_CLUSTERS = 5_000


@dataclass(frozen=True, slots=True, kw_only=True)
class RankCorrelation:
    """Spearman's correlation and its leave-one-cluster-out values; NaN where undefined."""

    value: float
    replicates: Floats
    exact: bool
    constant: bool


def spearman(gold: Floats, said: Floats, cluster: Ints, clusters: int, *, min_rows: int = 2) -> RankCorrelation:
    """Return Spearman's correlation (Pearson's of average ranks) and its jackknife replicates.

    Parameters
    ----------
    gold, said : numpy.ndarray, shape (rows,)
        Truths and answers.
    cluster : numpy.ndarray, shape (rows,)
        Cluster of each row, 0 to ``clusters`` - 1; a cluster without rows changes nothing.
    min_rows : int
        Rows below which the correlation is undefined.

    Returns
    -------
    RankCorrelation
        0 where all answers are the same; NaN where all truths are, or with too few rows.
    """
    table = _Table(gold, said)
    value = table.correlation(table.rows, table.truths, table.answers, table.cross, min_rows)
    constant = table.answers.size == 1
    exact = gold.size <= EXACT_ROWS and clusters <= EXACT_CLUSTERS
    if not exact and np.isfinite(value) and not constant:
        return RankCorrelation(
            value=value, replicates=value - table.influence(value, cluster, clusters), exact=False, constant=False
        )
    order = np.argsort(cluster, kind="stable")
    ends = np.cumsum(np.bincount(cluster, minlength=clusters))
    replicates = np.full(clusters, value)
    for at in range(clusters):
        out = order[ends[at - 1] if at else 0 : ends[at]]
        if out.size:
            replicates[at] = table.without(out, min_rows)
    return RankCorrelation(value=value, replicates=replicates, exact=True, constant=constant)


def _dot(a: Floats, b: Floats) -> float:
    # Not np.dot: a threaded BLAS adds in an order that depends on the machine, and the last digit with it.
    return float((a * b).sum())


class _Table:
    """The cross table of truths and answers, as its non-empty cells."""

    def __init__(self, gold: Floats, said: Floats) -> None:
        self.rows = gold.size
        self.truth_of: Ints = np.unique(gold, return_inverse=True)[1]
        self.answer_of: Ints = np.unique(said, return_inverse=True)[1]
        self.truths = np.bincount(self.truth_of).astype(np.float64)
        self.answers = np.bincount(self.answer_of).astype(np.float64)
        pair, weight = np.unique(self.truth_of * self.answers.size + self.answer_of, return_counts=True)
        self.pair_truth, self.pair_answer = np.divmod(pair, self.answers.size)
        self.weight = weight.astype(np.float64)

    def cross(self, truth_rank: Floats, answer_rank: Floats) -> float:
        return _dot(self.weight, truth_rank[self.pair_truth] * answer_rank[self.pair_answer])

    @staticmethod
    def correlation(rows: int, truths: Floats, answers: Floats, cross: object, min_rows: int) -> float:
        """Pearson's correlation of doubled, centred average ranks."""
        if rows < min_rows:
            return float("nan")
        truth_rank, answer_rank = (2 * np.cumsum(count) - count - rows for count in (truths, answers))
        truth_square = _dot(truths, truth_rank**2)
        answer_square = _dot(answers, answer_rank**2)
        if truth_square == 0:
            return float("nan")
        if answer_square == 0:
            return 0.0
        ratio = cross(truth_rank, answer_rank) / np.sqrt(truth_square) / np.sqrt(answer_square)  # type: ignore[operator]
        return float(np.clip(ratio, -1.0, 1.0))

    def without(self, out: Ints, min_rows: int) -> float:
        truth, answer = self.truth_of[out], self.answer_of[out]
        truths = self.truths - np.bincount(truth, minlength=self.truths.size)
        answers = self.answers - np.bincount(answer, minlength=self.answers.size)

        def cross(truth_rank: Floats, answer_rank: Floats) -> float:
            return self.cross(truth_rank, answer_rank) - _dot(truth_rank[truth], answer_rank[answer])

        return self.correlation(self.rows - out.size, truths, answers, cross, min_rows)

    def influence(self, value: float, cluster: Ints, clusters: int) -> Floats:
        """First-order change of the correlation when each cluster is left out.

        The correlation is a ratio of means of u v, u u and v v, where u and v are centred average ranks over rows; a
        row acts through its own terms and through the ranks of all others (a von Mises expansion; Croux & Dehon 2010).
        """
        u, v = ((np.cumsum(c) - c / 2) / self.rows - 0.5 for c in (self.truths, self.answers))
        row_u, row_v = u[self.truth_of], v[self.answer_of]

        def above(values: Floats, group: Ints, size: int) -> Floats:
            """Mean over all rows j of values[j] where j's group is above (half where equal), for every group."""
            sums = np.bincount(group, weights=values, minlength=size)
            return (np.cumsum(sums[::-1])[::-1] - sums / 2) / self.rows

        cross, truth, answer = np.mean(row_u * row_v), np.mean(row_u**2), np.mean(row_v**2)
        by_truth = above(row_v, self.truth_of, u.size)[self.truth_of]
        by_answer = above(row_u, self.answer_of, v.size)[self.answer_of]
        psi_cross = row_u * row_v + by_truth + by_answer - 3 * cross
        psi_truth = row_u**2 + 2 * above(row_u, self.truth_of, u.size)[self.truth_of] - 3 * truth
        psi_answer = row_v**2 + 2 * above(row_v, self.answer_of, v.size)[self.answer_of] - 3 * answer
        psi = psi_cross / np.sqrt(truth * answer) - value / 2 * (psi_truth / truth + psi_answer / answer)
        left = self.rows - np.bincount(cluster, minlength=clusters)
        return np.bincount(cluster, weights=psi, minlength=clusters) / left
