"""A run that is killed loses nothing that was answered, and the next one asks exactly the rest."""

from __future__ import annotations

import re
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import pytest

import made

QUESTIONS = 5000


def aqaudit(*args: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", "from aqaudit.cli import main; main()", *map(str, args)]
    return subprocess.run(command, check=False, capture_output=True, text=True, timeout=300)


def stored(out: Path) -> int:
    if not (out / "answers.sqlite").is_file():
        return 0
    db = sqlite3.connect(f"file:{out / 'answers.sqlite'}?mode=ro", uri=True)
    try:
        return db.execute("select count(*) from answers").fetchone()[0]
    except sqlite3.OperationalError:
        return 0
    finally:
        db.close()


def run_until(answers: int, study: Path, out: Path, how: signal.Signals) -> tuple[int, str]:
    """Start a run, send it a signal once so many answers are stored, and return its exit code and output."""
    command = [sys.executable, "-c", "from aqaudit.cli import main; main()", "run", str(study), "--out", str(out)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    deadline = time.monotonic() + 120
    while stored(out) < answers and time.monotonic() < deadline and process.poll() is None:
        time.sleep(0.02)
    process.send_signal(how)
    output, errors = process.communicate(timeout=60)
    return process.returncode, output + errors


@pytest.fixture
def study(tmp_path: Path) -> Path:
    data = made.folder(tmp_path / "data", performances=50, criteria=QUESTIONS // 50)
    return made.study(data, model='provider = "simulated"\nlatency_s = 0.01\nconcurrency = 20')


def test_kill_9_in_the_middle_of_5000_questions_loses_no_answer(study: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    code, _ = run_until(QUESTIONS // 3, study, out, signal.SIGKILL)
    assert code == -signal.SIGKILL
    before = stored(out)
    assert QUESTIONS // 3 <= before < QUESTIONS
    second = aqaudit("run", study, "--out", out)
    assert second.returncode == 0, second.stderr
    answered, found = map(int, re.search(r"(\d+) answered now, (\d+) found", second.stdout).groups())  # type: ignore[union-attr]
    assert (answered, found) == (QUESTIONS - before, before)
    assert stored(out) == QUESTIONS
    third = aqaudit("run", study, "--out", out)
    assert f"0 answered now, {QUESTIONS} found, 0 failed, 0 left" in third.stdout


def test_ctrl_c_finishes_what_is_in_flight_and_says_how_to_go_on(study: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    code, output = run_until(300, study, out, signal.SIGINT)
    assert code == 1
    assert "stopped: interrupted" in output
    assert "to go on: aqaudit run" in output
    assert "Traceback" not in output
    assert 300 <= stored(out) < QUESTIONS
    status = aqaudit("status", out)
    assert "not running (interrupted)" in status.stdout
    assert f"done    {stored(out)} of {QUESTIONS}" in status.stdout
