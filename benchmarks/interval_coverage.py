"""How often the 95 % intervals contain the truth, by simulation.

Judges with a known figure answer about executions of G performers: 12 a performer on average, the number of them with
a coefficient of variation CV, answers about one performer correlated (ICC, of
the normal values that are cut into right and wrong). The target is 92.5 to 97.5 % from 20
performers on. A run whose sample is refused (``resample.too_small``) gives no interval and is not counted;
the table says how many were kept.

    python benchmarks/interval_coverage.py [figure...] [--runs 2000] [--clusters 8 12 20 40 60]
"""

from __future__ import annotations

import argparse
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy import special, stats

from aqaudit.measures import correlation, recalls, resample
from figures_coverage import FIGURES, SLOW, latent

if TYPE_CHECKING:
    from collections.abc import Callable

ROWS_PER_CLUSTER = 12
CLUSTERS = (8, 12, 20, 40, 60)
ICCS = (0.0, 0.1)
CVS = (0.0, 0.5, 1.0)
TARGET = (0.925, 0.975)

RECALL_CORRECT, RECALL_ERROR, SHARE_CORRECT = 0.75, 0.55, 0.6
OTHER_CORRECT, OTHER_ERROR, SHARED_DIFFICULTY = 0.65, 0.50, 0.5
CORRELATION = 0.4
ERROR_SD = 2.0

# Cells of the sums: rows of class error, rows of class correct, right answers of each; one framing, one table.
PLAN = recalls.Layout(cells=2, tables=np.zeros(1, dtype=np.int64), framings=np.zeros(1, dtype=np.int64))


@dataclass(frozen=True, slots=True, kw_only=True)
class Coverage:
    """Share of intervals that contain the truth, share of runs with an interval, and their mean width."""

    covered: float
    kept: float
    width: float


def cluster_sizes(rng: np.random.Generator, clusters: int, cv: float) -> np.ndarray:
    """Return the rows of each cluster: gamma-distributed, at least one."""
    if cv == 0:
        return np.full(clusters, ROWS_PER_CLUSTER)
    return np.maximum(1, np.rint(rng.gamma(1 / cv**2, ROWS_PER_CLUSTER * cv**2, clusters))).astype(int)


def balanced_accuracy(rng, cluster, clusters, icc):
    gold = rng.random(cluster.size) < SHARE_CORRECT
    right = latent(rng, cluster, clusters, icc) < np.where(
        gold, special.ndtri(RECALL_CORRECT), special.ndtri(RECALL_ERROR)
    )
    value, left = resample.delete_one(class_sums(cluster, clusters, gold, right), PLAN.balanced_accuracy)
    interval = resample.jackknife_interval(value, left, bounds=(0.0, 1.0))
    return interval, (RECALL_CORRECT + RECALL_ERROR) / 2, gold


def paired_difference(rng, cluster, clusters, icc):
    gold = rng.random(cluster.size) < SHARE_CORRECT
    shared = latent(rng, cluster, clusters, icc)
    sums = []
    for correct, error in ((RECALL_CORRECT, RECALL_ERROR), (OTHER_CORRECT, OTHER_ERROR)):
        own = np.sqrt(SHARED_DIFFICULTY) * shared + np.sqrt(1 - SHARED_DIFFICULTY) * latent(rng, cluster, clusters, icc)
        sums.append(
            class_sums(cluster, clusters, gold, own < np.where(gold, special.ndtri(correct), special.ndtri(error)))
        )

    def difference(table):
        return PLAN.balanced_accuracy(table[..., :4]) - PLAN.balanced_accuracy(table[..., 4:])

    value, left = resample.delete_one(np.hstack(sums), difference)
    truth = (RECALL_CORRECT + RECALL_ERROR - OTHER_CORRECT - OTHER_ERROR) / 2
    return resample.jackknife_interval(value, left, bounds=(-1.0, 1.0)), truth, gold


def spearman(rng, cluster, clusters, icc):
    gold = latent(rng, cluster, clusters, icc)
    said = CORRELATION * gold + np.sqrt(1 - CORRELATION**2) * latent(rng, cluster, clusters, icc)
    found = correlation.spearman(gold, said, cluster, clusters)
    interval = resample.jackknife_interval(found.value, found.replicates, bounds=(-1.0, 1.0), fisher=True)
    return interval, 6 / np.pi * np.arcsin(CORRELATION / 2), None


def r_l2(rng, cluster, clusters, icc):
    gold = rng.uniform(0, 30, cluster.size)
    loss = 100 * (ERROR_SD * latent(rng, cluster, clusters, icc) / np.ptp(gold)) ** 2
    sums = np.column_stack([np.bincount(cluster, weights=w, minlength=clusters) for w in (loss, np.ones(loss.size))])
    value, left = resample.delete_one(sums, lambda table: table[..., 0] / table[..., 1])
    return resample.jackknife_interval(value, left, bounds=(0.0, np.inf)), 100 * (ERROR_SD / np.ptp(gold)) ** 2, None


def class_sums(cluster, clusters, gold, right):
    """Per cluster: rows of class error and correct, then right answers of both."""
    return np.column_stack(
        [
            np.bincount(cluster, weights=weight, minlength=clusters).astype(float)
            for weight in (~gold, gold, ~gold & right, gold & right)
        ]
    )


MEASURES: dict[str, Callable] = {
    "balanced_accuracy": balanced_accuracy,
    "spearman": spearman,
    "r_l2": r_l2,
    "paired_difference": paired_difference,
    **FIGURES,
}


def coverage(measure: str, *, clusters: int, icc: float, cv: float, runs: int, seed: int) -> Coverage:
    """Return how often the interval of a measure contains the truth."""
    rng = np.random.default_rng(
        [seed, clusters, int(icc * 100), int(cv * 100), list({**MEASURES, **SLOW}).index(measure)]
    )
    hits = kept = 0
    width = 0.0
    for _ in range(runs):
        sizes = cluster_sizes(rng, clusters, cv)
        cluster = np.repeat(np.arange(clusters), sizes)
        interval, truth, gold = {**MEASURES, **SLOW}[measure](rng, cluster, clusters, icc)
        classes = None
        if gold is not None:
            classes = {"correct": np.unique(cluster[gold]).size, "error": np.unique(cluster[~gold]).size}
        if interval is None or resample.too_small({str(i): int(n) for i, n in enumerate(sizes)}, classes):
            continue
        kept += 1
        hits += interval.low <= truth <= interval.high
        width += interval.high - interval.low
    return Coverage(covered=hits / kept if kept else np.nan, kept=kept / runs, width=width / kept if kept else np.nan)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("figures", nargs="*", default=[*MEASURES, *SLOW])
    parser.add_argument("--runs", type=int, default=2000)
    parser.add_argument("--clusters", type=int, nargs="+", default=list(CLUSTERS))
    given = parser.parse_args()
    runs, started, misses = given.runs, time.time(), []
    print(f"coverage of 95 % intervals, {runs} runs a line; simulation error {np.sqrt(0.05 * 0.95 / runs):.2%}")
    print(f"{'measure':<22} {'G':>3} {'ICC':>4} {'CV':>4} {'covered':>8} {'kept':>6} {'width':>7}")
    for measure in given.figures:
        for clusters in given.clusters:
            for icc in ICCS:
                for cv in CVS:
                    got = coverage(measure, clusters=clusters, icc=icc, cv=cv, runs=runs, seed=1)
                    inside = TARGET[0] <= got.covered <= TARGET[1]
                    note = "" if inside or clusters < 20 else "  outside 92.5-97.5 %"
                    if note:
                        p = stats.binomtest(round(got.covered * got.kept * runs), round(got.kept * runs), TARGET[0])
                        misses.append(f"{measure} G={clusters} ICC={icc} CV={cv}: {got.covered:.1%} (p={p.pvalue:.2g})")
                    print(
                        f"{measure:<22} {clusters:>3} {icc:>4} {cv:>4} {got.covered:>8.1%} {got.kept:>6.0%} "
                        f"{got.width:>7.3f}{note}",
                        flush=True,
                    )
    print(f"outside the target at 20 clusters or more: {len(misses)}")
    for miss in misses:
        print(f"  {miss}")
    print(f"{time.time() - started:.0f} s")


if __name__ == "__main__":
    main()
