"""How soon the first missing request leaves when 100,000 answers are stored already.

``python benchmarks/resume.py`` fills a journal with a simulated judge, removes the answer that comes last in the plan,
runs the study again against a loopback server and prints the seconds from the moment the data set is read to the
arrival of the missing request. Wanted: within 1 s. It also prints what planning takes, and how many media were decoded.
"""

from __future__ import annotations

import argparse
import os
import sqlite3
import sys
import tempfile
import time
from pathlib import Path

TESTS = Path(__file__).resolve().parent.parent / "tests"
sys.path.insert(0, str(TESTS))

import made  # noqa: E402
from servers import LoopbackServer, Seen, Send, chat  # noqa: E402

PERFORMANCES = 1000


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--answers", type=int, default=100_000)
    parser.add_argument("--runs", type=int, default=3)
    args = parser.parse_args()
    os.environ["AQAUDIT_CACHE"] = tempfile.mkdtemp()

    import aqaudit
    from aqaudit import Study, datasets
    from aqaudit.engine import executor
    from aqaudit.engine.preparation import RunOptions
    from aqaudit.engine.preparation import prepare as plan_run

    arrived: list[float] = []
    used: list[float] = []

    def respond(seen: Seen) -> Send:
        if seen.method == "POST":
            arrived.append(time.perf_counter())
            used.append(time.process_time())
        return chat()

    read: list[float] = []
    plain_read = datasets.read

    def timed_read(*a: object, **k: object) -> object:
        found = plain_read(*a, **k)  # type: ignore[arg-type]
        read.append(time.perf_counter())
        used.append(time.process_time())
        return found

    datasets.read = timed_read  # type: ignore[assignment]
    with tempfile.TemporaryDirectory() as name, LoopbackServer(respond) as server:
        root = Path(name)
        data = made.folder(root / "data", performances=PERFORMANCES, criteria=args.answers // PERFORMANCES)
        out = root / "out"
        study = Study.read(made.study(data, model=made.served(server.base_url)))
        started = time.perf_counter()
        aqaudit.run(study, out=out, limit=1)  # begins the folder
        prepared = plan_run(study, RunOptions(out=out))
        planned = list(prepared.plan.planned("judge"))
        first = planned[0].answer_key
        db = sqlite3.connect(out / "answers.sqlite")
        columns = [c[1] for c in db.execute("pragma table_info(answers)")]
        others = ", ".join(c for c in columns if c != "answer_key")
        with db:
            for one in planned:
                if one.answer_key != first:
                    db.execute(
                        f"insert into answers (answer_key, {others}) select ?, {others} from answers "
                        "where answer_key = ?",
                        (one.answer_key, first),
                    )
                    db.execute(
                        "insert into keys select ?, sources, shown, prompt, model, draw, item from keys "
                        "where answer_key = ?",
                        (one.answer_key, first),
                    )
        print(f"{len(planned)} answers stored in {time.perf_counter() - started:.0f} s")
        decoded: list[object] = []
        plain = executor.prepare

        def counted(*a: object, **k: object) -> object:
            decoded.append(a)
            return plain(*a, **k)  # type: ignore[arg-type]

        executor.prepare = counted  # type: ignore[assignment]
        for run in range(args.runs):
            missing = planned[-1 - run].answer_key
            with db:
                for table in ("answers", "keys"):
                    db.execute(f"delete from {table} where answer_key = ?", (missing,))
            arrived.clear()
            used.clear()
            decoded.clear()
            begun = time.perf_counter()
            outcome = aqaudit.run(study, out=out)
            assert (outcome.tally.answered, outcome.tally.found) == (1, len(planned) - 1)
            print(
                f"run {run + 1}: data set read {read[-1] - begun:.2f} s, then first missing request after "
                f"{arrived[0] - read[-1]:.2f} s, {used[1] - used[0]:.2f} s of them CPU (wanted: 1 s); "
                f"whole run {time.perf_counter() - begun:.1f} s; "
                f"{len(decoded)} of {PERFORMANCES} media prepared"
            )
        db.close()


if __name__ == "__main__":
    main()
