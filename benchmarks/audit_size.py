"""Time and memory of all audits on large tables, and of bootstrapping over performers against a scikit-learn loop.

Tables of a simulated judge in 400 clusters: boolean rows (two framings, two repeats, with probabilities) and scores.
The largest is the one promised: 1,000,000 boolean and 100,000 score rows in under 60 s and 4 GiB on two cores.

    python benchmarks/audit_size.py [--rows 100000 300000 1000000] [--loop 40]
"""

from __future__ import annotations

import argparse
import multiprocessing
import resource
import time

import numpy as np
import polars as pl

from aqaudit.audits import audit
from aqaudit.measures import recalls, resample
from judged_tables import BOTH, Design, judge, table

CLUSTERS = 400
SCORES_OF = 0.1
MOST_S, MOST_GIB = 60, 4.0
DRAWS = 10_000
BOOTSTRAP_ROWS = 20_000
LEAST_RATIO = 500


def answers(rows: int) -> pl.DataFrame:
    """Return ``rows`` boolean rows and a tenth as many scores of one judge."""
    entry = judge({"skill": 0.6, "planted": {"confidence": 1.5, "lean": 0.1, "shift": 0.1}})
    verify = table(entry, Design(kind="verify", framings=BOTH, repeats=2), rows=rows, clusters=CLUSTERS, seed=0)
    score = table(entry, Design(kind="score"), rows=int(rows * SCORES_OF), clusters=CLUSTERS, seed=1)
    both = pl.concat([verify, score])
    return both.with_columns(answer_key=pl.int_range(pl.len()).cast(pl.String))


def _measure(rows: int, results: multiprocessing.Queue) -> None:
    frame = answers(rows)
    made = _gib()
    started, cpu = time.perf_counter(), time.process_time()
    found = audit(frame)
    results.put((time.perf_counter() - started, time.process_time() - cpu, made, _gib(), len(found.findings)))


def _gib() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20


def bootstrap(loops: int) -> tuple[float, float, float, float]:
    """Return CPU seconds of 10,000 draws by sums and by a loop (from ``loops`` of them), and both standard errors."""
    from sklearn.metrics import balanced_accuracy_score

    rng = np.random.default_rng(0)
    cluster = rng.integers(0, CLUSTERS, BOOTSTRAP_ROWS)
    gold = rng.random(BOOTSTRAP_ROWS) < 0.6
    said = np.where(rng.random(BOOTSTRAP_ROWS) < 0.7, gold, ~gold)
    layout = recalls.Layout(cells=2, tables=np.zeros(1, dtype=np.int64), framings=np.zeros(1, dtype=np.int64))
    started = time.process_time()
    weights = (~gold, gold, ~gold & ~said, gold & said)
    sums = np.column_stack([np.bincount(cluster, weights=w, minlength=CLUSTERS) for w in weights])
    ours = resample.cluster_bootstrap(sums, layout.balanced_accuracy, seed=1, draws=DRAWS)
    fast = time.process_time() - started
    rows_of = [np.flatnonzero(cluster == k) for k in range(CLUSTERS)]
    started = time.process_time()
    theirs = []
    for _ in range(loops):
        drawn = np.concatenate([rows_of[k] for k in rng.integers(0, CLUSTERS, CLUSTERS)])
        theirs.append(balanced_accuracy_score(gold[drawn], said[drawn]))
    slow = (time.process_time() - started) / loops * DRAWS
    return fast, slow, float(np.std(ours)), float(np.std(theirs))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, nargs="+", default=[100_000, 300_000, 1_000_000])
    parser.add_argument("--loop", type=int, default=40, help="draws of the scikit-learn loop, extrapolated to 10,000")
    given = parser.parse_args()
    print(
        f"{'boolean rows':>12} {'scores':>8} {'wall s':>7} {'CPU s':>7} {'GiB made':>9} {'GiB peak':>9} {'findings':>8}"
    )
    for rows in given.rows:
        results: multiprocessing.Queue = multiprocessing.get_context("spawn").Queue()
        process = multiprocessing.get_context("spawn").Process(target=_measure, args=(rows, results))
        process.start()
        wall, cpu, made, peak, findings = results.get()
        process.join()
        note = "" if wall < MOST_S and peak < MOST_GIB else f"  over {MOST_S} s or {MOST_GIB} GiB"
        sizes = f"{rows:>12,} {int(rows * SCORES_OF):>8,}"
        print(f"{sizes} {wall:>7.1f} {cpu:>7.1f} {made:>9.2f} {peak:>9.2f} {findings:>8}{note}", flush=True)
    fast, slow, ours, theirs = bootstrap(given.loop)
    print(
        f"\n{DRAWS:,} bootstrap draws of balanced accuracy over {CLUSTERS} performers, {BOOTSTRAP_ROWS:,} rows, CPU s:"
    )
    print(f"sums {fast:.4f}, scikit-learn loop {slow:.1f} (from {given.loop} draws)")
    print(f"ratio 1/{slow / fast:,.0f}; at most 1/{LEAST_RATIO} is wanted")
    print(f"standard errors {ours:.5f} and {theirs:.5f}")


if __name__ == "__main__":
    main()
