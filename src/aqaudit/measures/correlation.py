"""Spearman's rank correlation of given and true scores, over all answers or within action classes.

Pearson's correlation of average ranks, with its delete-one-cluster values: exactly up to :data:`EXACT_ROWS` rows, by
its influence function beyond. Classes are averaged on the Fisher z scale, framings with equal weight.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
import polars as pl
from numpy.typing import NDArray

from aqaudit.measures import resample
from aqaudit.measures.resample import mean_defined
from aqaudit.measures.rows import Estimate, Measure, codes, per_cluster, scored

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

EXACT_ROWS = 100_000
EXACT_CLUSTERS = 5_000
#: Fisher's z has variance 1 / (n - 3): below four values a correlation says nothing.
MIN_RANKED = 4
# Beyond this a correlation counts as this much when Fisher z are averaged, or a perfect one would outweigh all others.
_Z_CLIP = 0.999


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
    table = _RankTable(gold, said)
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


class _RankTable:
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
    def correlation(
        rows: int, truths: Floats, answers: Floats, cross: Callable[[Floats, Floats], float], min_rows: int
    ) -> float:
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
        found = cross(truth_rank, answer_rank) / np.sqrt(truth_square) / np.sqrt(answer_square)
        return float(np.clip(found, -1.0, 1.0))

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


def fisher_mean(correlations: Floats) -> Floats:
    """Return the mean over the first axis on the Fisher z scale; NaN where no correlation is defined."""
    return np.tanh(mean_defined(np.arctanh(np.clip(correlations, -_Z_CLIP, _Z_CLIP))))


def correlate(rows: pl.DataFrame, *, by: Sequence[str], min_rows: int) -> Estimate:
    """Estimate Spearman's correlation on scored rows (:func:`aqaudit.measures.rows.scored`).

    Parameters
    ----------
    rows : polars.DataFrame
    by : sequence of str
        Columns that split the rows before ranking, ``framing`` first. Further columns are averaged on the Fisher z
        scale within a framing, then framings are averaged.
    min_rows : int
        Rows that a split needs to count.
    """
    read = rows.filter(pl.col("said").is_not_null())
    details: dict[str, float | int | str | None] = {"coverage": read.height / rows.height if rows.height else None}
    if rows.is_empty():
        return Estimate(value=None, why="no answer has a true score to compare with", details=details)
    if read.is_empty():
        return Estimate(value=None, why="no answer could be read", details=details)
    cluster, names = codes(read["cluster"])
    gold, said = read["gold"].to_numpy(), read["said"].to_numpy()
    # By framing, for every split: the correlation, then those without each cluster.
    found: dict[str, list[Floats]] = {}
    constant, exact = True, True
    for key, part in read.with_row_index("at").group_by(*by, maintain_order=True):
        at = part["at"].to_numpy()
        ranked = spearman(gold[at], said[at], cluster[at], len(names), min_rows=min_rows)
        found.setdefault(str(key[0]), []).append(np.append(ranked.value, ranked.replicates))
        constant, exact = constant and ranked.constant, exact and ranked.exact
    splits = sum(int(np.isfinite(each[0])) for framing in found.values() for each in framing)
    if len(by) > 1:
        details["splits"] = splits
    details["rank_interval"] = "exact delete-one" if exact else "influence function"
    if not splits:
        why = (
            "all true scores are equal" if gold.min() == gold.max() else f"no group has {min_rows} different executions"
        )
        return Estimate(value=None, chance=0.0, why=why, n=read.height, clusters=len(names), details=details)
    average = fisher_mean if len(by) > 1 else mean_defined
    values = mean_defined(np.stack([average(np.stack(framing)) for framing in found.values()]))
    estimate = Estimate(
        value=float(values[0]), chance=0.0, baseline=0.0, n=read.height, clusters=len(names), details=details
    )
    if constant:
        return replace(estimate, value=0.0, flag="constant", why="every answer is the same score")
    return resample.with_interval(
        estimate,
        values[1:],
        bounds=(-1.0, 1.0),
        small=resample.too_small(per_cluster(read)),
        fisher=True,
        degenerate=_limits,
    )


def _limits(value: float, clusters: int) -> tuple[float, float]:
    """Clopper-Pearson on the correlation mapped to 0..1, for a correlation that no single performer changes."""
    low, high = resample.clopper_pearson((value + 1) / 2 * clusters, clusters)
    return 2 * low - 1, 2 * high - 1


_SPEARMAN = "Spearman, The proof and measurement of association between two things, Am. J. Psychol. 1904"
_measure = partial(Measure, kinds=("score",), bounds=(-1.0, 1.0), chance="0", higher_is_better=True)
MEASURES = (
    _measure(
        name="spearman",
        title="Spearman's rank correlation",
        what=(
            "Pearson's correlation of average ranks of given and true scores, over parsed answers. Constant answers "
            "score 0. Framings are averaged with equal weight."
        ),
        columns=("gold_score", "score"),
        citation=_SPEARMAN,
        compute=lambda frame: correlate(scored(frame), by=("framing",), min_rows=2),
    ),
    _measure(
        name="spearman_by_action",
        title="Spearman's rank correlation, mean over action classes",
        what=(
            "Spearman's correlation within each action class (at least four parsed answers), averaged on the Fisher z "
            "scale with correlations clipped at 0.999. Framings are averaged with equal weight."
        ),
        columns=("gold_score", "score", "action"),
        citation=(
            f"{_SPEARMAN}; averaged as in Parmar & Morris, Action quality assessment across multiple actions, 2019"
        ),
        compute=lambda frame: correlate(scored(frame), by=("framing", "action"), min_rows=MIN_RANKED),
    ),
)
