"""A run on a Ray cluster of two workers: the same answers as with threads, one limit over all, and nothing lost."""

from __future__ import annotations

import json
import os
import re
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import anyio
import polars as pl
import pytest

import made
from aqaudit import Study
from aqaudit.core.records import BadInput
from aqaudit.engine.preparation import RunOptions, prepare
from aqaudit.engine.run import Outcome, run_prepared
from servers import LoopbackServer, Send, answer_chat, chat

os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
os.environ["RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO"] = "0"
ray = pytest.importorskip("ray", reason="Ray is not installed (extra ray)")

#: Columns that say when, not what.
TIMES = ("asked_at", "seconds")


@pytest.fixture(scope="module")
def cluster() -> Iterator[None]:
    ray.init(
        address="local", num_cpus=2, include_dashboard=False, object_store_memory=100 * 2**20, log_to_driver=False,
        logging_level="error",
    )  # fmt: skip
    try:
        yield
    finally:
        ray.shutdown()


def run(study: Path, out: Path, engine: str, **options: object) -> Outcome:
    loaded = Study.read(str(study))
    return run_prepared(prepare(loaded, RunOptions(out=out, engine=engine, **options)), quiet=True)  # type: ignore[arg-type]


def answers(out: Path) -> pl.DataFrame:
    return pl.read_parquet(out / "answers.parquet").sort("answer_key")


def findings(out: Path, target: Path) -> bytes:
    command = [sys.executable, "-c", "from aqaudit.cli import main; main()", "audit", str(out), "--json", str(target)]
    subprocess.run(command, check=True, capture_output=True, timeout=120)
    return target.read_bytes()


def worker_processes() -> list[int]:
    """Return the processes of this cluster's workers, by the name that Ray gives them."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            title = (process / "cmdline").read_bytes().replace(b"\0", b" ")
            mine = f"RAY_JOB_ID={ray.get_runtime_context().get_job_id()}".encode()
            if title.startswith(b"ray::Worker") and mine in (process / "environ").read_bytes():
                found.append(int(process.name))
        except OSError:
            continue
    return found


def test_the_demo_and_a_simulated_model_answer_as_with_threads(cluster: None, tmp_path: Path) -> None:
    pytest.importorskip("onnxruntime")
    data = made.folder(tmp_path / "data", performances=12, criteria=2)
    study = made.study(data, model=made.SIMULATED, grid='view = ["rgb"]\nframing = ["positive", "negative"]')
    study.write_text(study.read_text().replace('model = ["judge"]', 'model = ["judge", "demo"]'))
    alone, together = tmp_path / "threads", tmp_path / "ray"
    assert run(study, alone, "local").complete
    outcome = run(study, together, "ray")
    assert outcome.complete
    assert outcome.tally.answered == len(answers(together)) == 12 * 2 * 2 * 2
    assert answers(together).drop(TIMES).equals(answers(alone).drop(TIMES))
    files = {path.name for path in (alone / "media").glob("*/*")}
    assert files == {path.name for path in (together / "media").glob("*/*")}
    assert run(study, together, "ray").tally.found == len(answers(together))


def test_measures_are_the_same_bytes_as_with_threads(cluster: None, tmp_path: Path) -> None:
    data = made.folder(tmp_path / "data", performances=30, criteria=2)
    study = made.study(data, model='provider = "simulated"\nskill = 0.6', grid='framing = ["positive", "negative"]')
    for engine in ("local", "ray"):
        assert run(study, tmp_path / engine, engine).complete
    one, other = (findings(tmp_path / engine, tmp_path / f"{engine}.json") for engine in ("local", "ray"))
    assert len(json.loads(one)["findings"]) > 3
    assert one == other


def test_a_worker_killed_in_mid_run_loses_nothing_answered(cluster: None, tmp_path: Path) -> None:
    data = made.folder(tmp_path / "data", performances=20, criteria=12)
    study = made.study(data, model='provider = "simulated"\nskill = 1.0\nlatency_s = 0.1\nconcurrency = 4')
    out = tmp_path / "out"
    killed: list[int] = []
    of_earlier_runs = set(worker_processes())  # on their way out

    def kill_one() -> None:
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline and not killed:
            time.sleep(0.05)
            journal = out / "answers.sqlite"
            try:
                with sqlite3.connect(f"file:{journal}?mode=ro", uri=True) as db:
                    done = db.execute("select count(*) from answers").fetchone()[0]
            except sqlite3.Error:
                continue
            if done > 40:
                victims = [pid for pid in worker_processes() if pid not in of_earlier_runs]
                os.kill(victims[0], signal.SIGKILL)
                killed.append(victims[0])

    killer = threading.Thread(target=kill_one)
    killer.start()
    outcome = run(study, out, "ray")
    killer.join()
    assert killed
    assert outcome.complete
    assert outcome.tally.answered == 240
    assert 1 <= outcome.tally.retries <= 8  # what the dead worker had open, asked again elsewhere, and nothing more
    assert answers(out)["answer_key"].n_unique() == 240
    alone = tmp_path / "threads"
    run(study, alone, "local")
    assert answers(out).drop(TIMES).equals(answers(alone).drop(TIMES))


def test_a_server_never_sees_more_than_the_limit_of_the_whole_cluster(cluster: None, tmp_path: Path) -> None:
    data = made.folder(tmp_path / "data", performances=12, criteria=4)
    with LoopbackServer(answer_chat(delay_s=0.05)) as server:
        study = made.study(data, model=made.served(server.base_url, concurrency=3))
        outcome = run(study, tmp_path / "out", "ray")
        sent, most = len(server.posts), server.active_max
    assert outcome.complete
    assert sent == outcome.tally.answered == 48
    assert most == 3


def test_a_limit_on_requests_stops_a_cluster_too_and_the_rest_is_asked_later(cluster: None, tmp_path: Path) -> None:
    data = made.folder(tmp_path / "data", performances=10, criteria=2)
    with LoopbackServer(lambda seen: chat()) as server:
        study = made.study(data, model=made.served(server.base_url, concurrency=4))
        first = run(study, tmp_path / "out", "ray", max_requests=7)
        assert first.stopped == "--max-requests 7 reached"
        assert first.tally.answered == len(server.posts) == 7
        second = run(study, tmp_path / "out", "ray")
        assert (second.tally.found, second.tally.answered, len(server.posts)) == (7, 13, 20)


def test_a_clip_that_cannot_be_shown_fails_alone_and_a_refusing_server_says_so(cluster: None, tmp_path: Path) -> None:
    data = made.folder(tmp_path / "data", performances=4, criteria=1)
    refused = Send(status=400, body={"error": {"message": "no such parameter"}})
    with LoopbackServer(lambda seen: refused if len(server.posts) == 1 else chat()) as server:
        study = Study.read(str(made.study(data, model=made.served(server.base_url, concurrency=1))))
        prepared = prepare(study, RunOptions(out=tmp_path / "out", engine="ray"))
        (data / "clips" / "p00001.png").unlink()
        outcome = run_prepared(prepared, quiet=True)
    assert outcome.tally.failed == {"media": 1, "bad_request": 1}
    assert outcome.tally.answered == 2
    failures = pl.read_parquet(tmp_path / "out" / "failures.parquet")
    assert "p00001.png" in failures.filter(pl.col("cause") == "media")["message"][0]


def test_a_key_that_the_workers_lack_is_bad_input_before_anything_is_asked(cluster: None, tmp_path: Path) -> None:
    data = made.folder(tmp_path / "data", performances=2, criteria=1)
    model = made.served("http://127.0.0.1:9/v1", api_key_env="AQAUDIT_TEST_KEY_OF_NOBODY")
    with pytest.raises(BadInput, match=r"worker on .*no API key.*AQAUDIT_TEST_KEY_OF_NOBODY"):
        run(made.study(data, model=model), tmp_path / "out", "ray")
    assert not (tmp_path / "out").exists()


def test_the_command_starts_a_cluster_of_its_own_and_an_interrupt_ends_it_cleanly(tmp_path: Path) -> None:
    data = made.folder(tmp_path / "data", performances=40, criteria=20)
    study = made.study(data, model='provider = "simulated"\nskill = 1.0\nlatency_s = 0.1\nconcurrency = 2')
    out = tmp_path / "out"
    words = ["run", str(study), "--out", str(out), "--engine", "ray"]
    command = [sys.executable, "-c", "from aqaudit.cli import main; main()", *words]
    environment = {name: value for name, value in os.environ.items() if name != "RAY_ADDRESS"}
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment, start_new_session=True
    )
    deadline = time.monotonic() + 90
    while time.monotonic() < deadline and process.poll() is None:
        time.sleep(0.1)
        if (out / "answers.sqlite").is_file():
            with sqlite3.connect(f"file:{out / 'answers.sqlite'}?mode=ro", uri=True) as db:
                try:
                    if db.execute("select count(*) from answers").fetchone()[0] > 20:
                        break
                except sqlite3.Error:
                    continue
    os.killpg(process.pid, signal.SIGINT)  # as a terminal does: everybody in the group gets it
    output, errors = process.communicate(timeout=60)
    assert process.returncode == 1, output + errors
    assert "stopped: interrupted" in output
    assert "0 failed" in output
    assert "Traceback" not in output + errors
    assert "WARNING" not in errors
    assert re.search(r"to go on: aqaudit run .* --engine ray", output)


def test_an_address_where_no_cluster_is_is_one_clear_line(tmp_path: Path) -> None:
    data = made.folder(tmp_path / "data", performances=2, criteria=1)
    study = made.study(data, model=made.SIMULATED)
    words = ["run", str(study), "--out", str(tmp_path / "out"), "--engine", "ray"]
    command = [sys.executable, "-c", "from aqaudit.cli import main; main()", *words]
    result = subprocess.run(
        command, check=False, capture_output=True, text=True, timeout=120,
        env={**os.environ, "RAY_ADDRESS": "ray://nowhere:10001"},
    )  # fmt: skip
    assert result.returncode == 2
    assert result.stderr.count("\n") == 1
    assert "RAY_ADDRESS" in result.stderr


def test_a_machine_that_does_not_see_the_folder_or_the_data_says_what_must_be_shared(tmp_path: Path) -> None:
    from aqaudit import __version__
    from aqaudit.engine.ray import Trouble, Worker, WorkerPlace

    def place(**over: object) -> WorkerPlace:
        facts = {"version": __version__, "folder": Path.cwd(), "media": tmp_path / "media", "pose": "auto"}
        return WorkerPlace(**{**facts, "estimates": None, **over})  # type: ignore[arg-type]

    def seen(asked: WorkerPlace) -> Trouble | None:
        return anyio.run(Worker(asked).look, asked)

    clip = tmp_path / "clip.mp4"
    clip.write_bytes(b"12345")
    assert seen(place(files=[(clip, 5), (tmp_path, None)])) is None
    for wrong in (
        {"files": [(clip, 6)]},
        {"files": [(tmp_path / "other.mp4", 5)]},
        {"tokens": [tmp_path / "media" / "at" / ".x.part"]},
    ):
        trouble = seen(place(**wrong))
        assert trouble is not None
        assert isinstance(trouble.error(), BadInput)
        assert "shared file system" in trouble.message
    older = seen(place(version="0.0.1"))
    assert older is not None
    assert "has aqaudit" in older.message


def test_without_ray_the_command_names_the_extra(tmp_path: Path) -> None:
    data = made.folder(tmp_path / "data", performances=2, criteria=1)
    study = made.study(data, model=made.SIMULATED)
    code = "import sys; sys.modules['ray'] = None; from aqaudit.cli import main; main()"
    command = [sys.executable, "-c", code, "run", str(study), "--out", str(tmp_path / "out"), "--engine", "ray"]
    result = subprocess.run(command, check=False, capture_output=True, text=True, timeout=120)
    assert result.returncode == 2
    assert "pip install 'aqaudit[ray]'" in result.stderr
    assert not (tmp_path / "out").exists()
