"""Runs against servers that misbehave must end by themselves, with the right exit code and no wrong answer.

``python benchmarks/faults.py [--questions 20000]`` prints a table. Each line is one run of the command ``aqaudit run``
against a server in a process of its own, and after it a rerun against a healthy one:

- 429 to every tenth request and a dropped connection at every fiftieth;
- broken JSON, empty bodies and internal errors now and then;
- a server that hangs now and then;
- a server that dies for good half way.

A wrong answer is any stored text that the server did not send as an answer.
"""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path

TESTS = Path(__file__).resolve().parent.parent / "tests"
sys.path.insert(0, str(TESTS))

import made  # noqa: E402
from servers import ServerProcess  # noqa: E402

CRITERIA = 100


def command(study: Path, out: Path) -> tuple[int, str, float]:
    started = time.monotonic()
    args = [sys.executable, "-m", "aqaudit.cli", "run", str(study), "--out", str(out), "--max-wait", "120"]
    done = subprocess.run(args, capture_output=True, text=True, check=False)
    if done.returncode == 2 or "Traceback" in done.stderr:
        raise RuntimeError(done.stderr)
    return done.returncode, done.stdout, time.monotonic() - started


def counts(text: str) -> tuple[int, int, int, int]:
    found = re.search(r"(\d+) answered now, (\d+) found, (\d+) failed, (\d+) left", text)
    assert found is not None, text
    return tuple(map(int, found.groups()))  # type: ignore[return-value]


def causes(text: str) -> str:
    return ", ".join(f"{cause} {n}" for cause, n in re.findall(r"  failed: (.+): (\d+)", text)) or "-"


def scenarios(questions: int) -> dict[str, tuple[list[str], int]]:
    """Name -> arguments of the server and the exit code that the run must have."""
    return {
        "429 each 10th, dropped each 50th": (["--rate-limit-every", "10", "--drop-every", "50"], 0),
        "broken, empty, 500": (
            ["--broken-json-every", "31", "--empty-every", "37", "--error-500-every", "41"],
            0,
        ),
        "hangs each 997th": (["--hang-every", "997"], 0),
        "dies for good half way": (["--dead-after", str(questions // 2)], 1),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--questions", type=int, default=20_000)
    args = parser.parse_args()
    import polars as pl

    import aqaudit

    os.environ["AQAUDIT_CACHE"] = tempfile.mkdtemp()
    print(f"{args.questions} questions, 50 at a time")
    print(f"{'server':<34} {'exit':>4} {'answered':>8} {'failed':>6} {'left':>6} {'wrong':>5} {'s':>5}  causes; rerun")
    for name, (faults, wanted) in scenarios(args.questions).items():
        with tempfile.TemporaryDirectory() as scratch:
            data = made.folder(Path(scratch) / "data", performances=args.questions // CRITERIA, criteria=CRITERIA)
            out = Path(scratch) / "out"
            settings = {"concurrency": 50, "timeout_s": 5.0}
            with ServerProcess(*faults) as server:
                study = made.study(data, model=made.served(server.base_url, **settings))
                code, text, seconds = command(study, out)
            answered, _, failed, left = counts(text)
            answers = aqaudit.read_answers(out)
            wrong = answers.filter(pl.col("said") != "<answer>True</answer>").height
            with ServerProcess() as healthy:
                made.study(data, model=made.served(healthy.base_url, **settings))
                rerun, again, _ = command(study, out)
            after = aqaudit.read_answers(out).height
            kept = answered == answers.height and after == args.questions
            print(
                f"{name:<34} {code:>4} {answered:>8} {failed:>6} {left:>6} {wrong:>5} {seconds:>5.0f}  {causes(text)}; "
                f"exit {rerun}, {counts(again)[0]} asked",
                flush=True,
            )
            if code != wanted or wrong or rerun != 0 or not kept or answered + failed + left != args.questions:
                raise SystemExit(f"not as wanted: exit {wanted}, nothing wrong, rerun complete")


if __name__ == "__main__":
    main()
