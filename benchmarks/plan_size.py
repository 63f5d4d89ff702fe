"""How long a plan of a million requests takes, and how much memory.

``python benchmarks/plan_size.py --requests 1000000`` makes a data set in memory (no media are needed: content hashes
are made up, as if from the cache), plans it, walks the whole plan, and prints seconds of CPU and the peak of memory.
Wanted: a million requests in 60 s and 2 GiB.
"""

from __future__ import annotations

import argparse
import hashlib
import resource
import time
from pathlib import Path
from types import SimpleNamespace

CRITERIA = 20
GRID = 'framing = ["positive", "negative"]\nperturbation = ["none", "blank"]'
STUDY = """
name = "size"
[[dataset]]
reader = "folder"
root = "."
tasks = TASKS
PAIRS
[grid]
model = ["judge"]
GRID
[models.judge]
provider = "openai"
model = "m"
base_url = "http://127.0.0.1:1/v1"
"""


class Sources:
    """Hashes made up from names; everything is a clip."""

    def content_hash(self, performance: object) -> str:  # noqa: D102
        return hashlib.sha256(str(performance.media).encode()).hexdigest()  # type: ignore[attr-defined]

    def describe(self, performance: object) -> SimpleNamespace:  # noqa: D102, ARG002
        return SimpleNamespace(kind="video")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--requests", type=int, default=1_000_000)
    parser.add_argument("--kind", choices=("verify", "prefer", "few_shot"), default="verify")
    args = parser.parse_args()

    from aqaudit import Study
    from aqaudit.core.records import Criterion, Dataset, Performance, Scale
    from aqaudit.study.plan import Plan

    each = {"verify": CRITERIA * 4, "prefer": 10 * 8, "few_shot": CRITERIA * 4}[args.kind]
    people = args.requests // each

    def performance(i: int, split: str) -> Performance:
        return Performance(
            id=f"{split}{i:07d}",
            media=Path(f"clips/{split}{i:07d}.mp4"),
            action=f"action {i % 10}",
            performer=f"{split}{i % 500}",
            video=f"{split}{i}",
            split=split,
            criteria={f"c{j}": (i + j) % 3 > 0 for j in range(CRITERIA)} if args.kind != "prefer" else {},
            scores={"execution": i * 7919 % 1000 / 10} if args.kind == "prefer" else {},
        )

    criteria = tuple(
        Criterion(id=f"c{j}", action=f"action {a}", positive=f"Thing {j} is right.", negative=f"Thing {j} is wrong.")
        for a in range(10)
        for j in range(CRITERIA)
    )
    scale = (Scale(id="execution", min=0, max=100),)

    def dataset(n: int, split: str) -> Dataset:
        made = [performance(i, split) for i in range(n)]
        return Dataset(name="made", root=Path(), criteria=criteria, scales=scale, performances=made)

    grid = GRID + ('\nstrategy = ["few_shot"]\nshots = [2]' if args.kind == "few_shot" else "")
    tasks = '["prefer"]' if args.kind == "prefer" else '["verify"]'
    pairs = "pairs = { uses = 20 }" if args.kind == "prefer" else ""
    text = STUDY.replace("TASKS", tasks).replace("GRID", grid).replace("PAIRS", pairs)
    training = [dataset(5000, "train")] if args.kind == "few_shot" else None
    test = dataset(people, "test")
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    started = time.process_time()
    plan = Plan.of(Study.parse(text), [test], Sources(), Sources(), None, training)
    made = time.process_time()
    requests = sum(1 for _ in plan.planned("judge"))
    ended = time.process_time()
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    print(
        f"{args.kind}: {requests:,} requests, {people:,} performances: checked in {made - started:.1f} s, walked in "
        f"{ended - made:.1f} s ({1e6 * (ended - made) / requests:.1f} us each); peak {peak / 2**20:.2f} GiB, of which "
        f"{before / 2**20:.2f} GiB for the data set (wanted: 60 s, 2 GiB)"
    )


if __name__ == "__main__":
    main()
