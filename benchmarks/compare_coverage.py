"""Coverage of the intervals of paired differences, and false alarms between judges that are equally good.

Two judges answer the same questions; performers differ in how hard they are (ICC about 0.1) and in how many clips they
have (CV about 1). The true difference comes from a population a hundred times as large.

    python benchmarks/compare_coverage.py [--runs 2000] [--clusters 20 40 60] [--rows 12]
"""

from __future__ import annotations

import argparse

import numpy as np
from scipy import special, stats

from aqaudit.measures import paired
from aqaudit.measures.resample import ratio

paired.DRAWS = 2000  # the interval rests on a standard error, which these many draws give to 2 %


def clusters_of(rng: np.random.Generator, count: int, rows: int) -> np.ndarray:
    sizes = np.maximum(2, np.round(rng.lognormal(0.0, 0.8, count) * rows / np.exp(0.32))).astype(int)
    sizes = np.minimum(sizes, max(2, int(0.2 * sizes.sum())))
    return np.repeat(np.arange(count), sizes)


def booleans(rng: np.random.Generator, count: int, rows: int, skills: tuple[float, float]) -> np.ndarray:
    """Return sums by cluster: rows of either class, then what A and B got right of them."""
    cluster = clusters_of(rng, count, rows)
    gold = rng.random(cluster.size) < 0.6
    hard, item = rng.normal(0, 0.6, count)[cluster], rng.normal(0, 0.6, cluster.size)
    sums = np.zeros((count, 6))
    klass = gold.astype(int)
    np.add.at(sums, (cluster, klass), 1)
    for side, skill in enumerate(skills):
        right = rng.random(cluster.size) < special.expit(special.logit(skill) + hard + item)
        np.add.at(sums, (cluster, klass + 2 + 2 * side), right)
    return sums


def balanced(sums: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    a, b = (ratio(sums[..., k : k + 2], sums[..., :2]).mean(axis=-1) for k in (2, 4))
    return a, b


def scores(rng: np.random.Generator, count: int, rows: int, skills: tuple[float, float]) -> tuple[np.ndarray, ...]:
    cluster = clusters_of(rng, count, rows)
    gold = np.sqrt(0.1) * rng.normal(size=count)[cluster] + np.sqrt(0.9) * rng.normal(size=cluster.size)
    shared = rng.normal(size=cluster.size)
    said = [s * gold + np.sqrt(1 - s * s) * (0.5 * shared + np.sqrt(0.75) * rng.normal(size=gold.size)) for s in skills]
    return gold, np.round(said[0], 1), np.round(said[1], 1), cluster


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=2000)
    parser.add_argument("--rank-runs", type=int, default=400)
    parser.add_argument("--clusters", type=int, nargs="+", default=[20, 40, 60])
    parser.add_argument("--rows", type=int, default=12)
    arguments = parser.parse_args()
    rng = np.random.default_rng(11)
    print("figure             A    B    clusters runs  coverage  power/false alarms")
    for skills in ((0.7, 0.7), (0.65, 0.75)):
        truth = np.subtract(*(v[0] for v in balanced(booleans(rng, 20_000, 12, skills).sum(axis=0)[np.newaxis])[::-1]))
        for count in arguments.clusters:
            inside = found = 0
            for run in range(arguments.runs):
                sums = booleans(rng, count, arguments.rows, skills)
                one = paired.of_sums(sums, balanced, bounds=(-1, 1), interval=True, seed=run)
                inside += one.low <= truth <= one.high
                found += one.p < 0.05
            print(f"balanced accuracy  {skills[0]:.2f} {skills[1]:.2f} {count:8d} {arguments.runs:5d}  "
                  f"{inside / arguments.runs:.3f}     {found / arguments.runs:.3f}", flush=True)  # fmt: skip
    paired.RANK_DRAWS = 400
    for skills in ((0.4, 0.4), (0.3, 0.6)):
        gold, a, b, _ = scores(rng, 20_000, 12, skills)
        truth = stats.spearmanr(gold, b).statistic - stats.spearmanr(gold, a).statistic
        for count in arguments.clusters:
            inside = found = 0
            for run in range(arguments.rank_runs):
                gold, a, b, cluster = scores(rng, count, arguments.rows, skills)
                one = paired.of_ranks(gold, a, b, cluster, np.zeros_like(cluster), interval=True, seed=run)
                inside += one.low <= truth <= one.high
                found += one.p < 0.05
            print(f"Spearman           {skills[0]:.2f} {skills[1]:.2f} {count:8d} {arguments.rank_runs:5d}  "
                  f"{inside / arguments.rank_runs:.3f}     {found / arguments.rank_runs:.3f}", flush=True)  # fmt: skip


if __name__ == "__main__":
    main()
