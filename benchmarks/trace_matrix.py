"""Power and false alarms of the audit of reasoning traces, on traces made of the steps it was never tuned on.

A trace is put together from the held-out half of ``tests/data/trace_steps.jsonl``: two observations, and a conclusion
that states the verdict given. In a planted trace the second step is a red flag of one kind. So the rule scorer's own
mistakes are in the figures. The movement is that of a squat; planted contradictions claim what no squat shows. Seeded
runs, 60 performers, n answers each; a judge is called out when a rate has the verdict *fail*.

    python benchmarks/trace_matrix.py [--runs 400] [--sizes 1000 200] [--share 0.3]
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

import numpy as np
import polars as pl

from aqaudit.audits.traces import AUDIT
from aqaudit.core.table import normalise
from aqaudit.models.simulated import TRACES
from aqaudit.traces.rules import RED_FLAGS
from simulated_judges import called_out

TESTS = Path(__file__).resolve().parents[1] / "tests"
sys.path.insert(0, str(TESTS))
from test_traces_grounding import squat  # noqa: E402 - the movement that the tests use

CLUSTERS, CLIPS = 60, 60
MOVEMENT = pl.concat([squat(f"v{i}", depth=0.9 + 0.01 * (i % 30)) for i in range(CLIPS)])
#: Steps that claim something of the body would be held against a squat that they are not about.
_SEEN = "The knees bend on the way down."


def steps() -> dict[str, list[str]]:
    """Return the held-out steps by tag."""
    lines = (TESTS / "data" / "trace_steps.jsonl").read_text(encoding="utf-8").splitlines()
    rows = [row for row in map(json.loads, lines) if row["half"] == "held out"]
    return {tag: [row["text"] for row in rows if row["tag"] == tag] for tag in {row["tag"] for row in rows}}


def answers(kind: str, share: float, *, rows: int, seed: int, corpus: dict[str, list[str]]) -> pl.DataFrame:
    """Return the answers of a judge of whose traces ``share`` have the planted reasoning."""
    rng = np.random.default_rng([seed, rows, len(kind)])
    gold = rng.random(rows) < 0.6
    said = np.where(rng.random(rows) < 0.85, gold, ~gold)
    planted = rng.random(rows) < (0.0 if kind == "honest" else share)
    texts = []
    for right, flawed in zip(said, planted, strict=True):
        middle = str(rng.choice(corpus["observation"]))
        if flawed:
            middle = TRACES["contradicted"] if kind == "contradicted" else str(rng.choice(corpus[kind]))
        texts.append(f"{_SEEN} {middle} So the statement is {str(bool(right)).lower()}.")
    return normalise(
        pl.DataFrame(
            {
                "answer_key": [f"k{i}" for i in range(rows)],
                "question_id": [f"q{i}" for i in range(rows)],
                "kind": "verify",
                "performer": [f"p{i}" for i in rng.integers(0, CLUSTERS, rows)],
                "performance_id": [f"v{i}" for i in rng.integers(0, CLIPS, rows)],
                "gold_correct": gold,
                "says_correct": said,
                "criterion": "knees" if kind in {"honest", "contradicted"} else "c1",
                "model": kind,
                "reasoning": texts,
            }
        )
    )


def called(kind: str, share: float, *, rows: int, runs: int) -> tuple[int, float]:
    """Return in how many runs a judge is called out, and the mean of the rate that its flaw moves."""
    corpus, hits, values = steps(), 0, []
    figure = "contradicted_rate" if kind == "contradicted" else "unfounded_rate"
    for run in range(runs):
        found = AUDIT(answers(kind, share, rows=rows, seed=run, corpus=corpus), {"kinematics": MOVEMENT})
        hits += called_out("traces", [f for f in found if kind == "honest" or f.measure == figure])
        values.append(next(f.value for f in found if f.measure == figure))
    return hits, float(np.mean([v for v in values if v is not None]))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=400)
    parser.add_argument("--sizes", type=int, nargs="+", default=[1000, 200])
    parser.add_argument("--share", type=float, default=0.3)
    arguments = parser.parse_args()
    print("judge          share     n  runs  called out  mean rate")
    for rows in arguments.sizes:
        for kind in ("honest", *RED_FLAGS, "contradicted"):
            share = 0.0 if kind == "honest" else arguments.share
            hits, mean = called(kind, share, rows=rows, runs=arguments.runs)
            print(f"{kind:13s} {share:6.2f} {rows:5d} {arguments.runs:5d}  {hits / arguments.runs:10.3f}  {mean:9.3f}",
                  flush=True)  # fmt: skip


if __name__ == "__main__":
    main()
