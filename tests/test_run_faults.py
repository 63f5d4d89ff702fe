"""A run keeps what was paid for: interrupted chains, odd models, signals, full disks, locked and half-made journals."""

from __future__ import annotations

import asyncio
import json
import random
import resource
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

import polars as pl
import pytest

import aqaudit
import made
from aqaudit import BadInput, Study, read_answers
from aqaudit.core.records import Chain, Slot, Step
from aqaudit.engine import folder
from aqaudit.engine.channel import back_off
from aqaudit.engine.folder import merge, read_state
from aqaudit.engine.journal import Journal
from aqaudit.models.call import AskFailed, Call, Reply
from aqaudit.prompts import strategies
from servers import LoopbackServer, Seen, Send, answer_chat, chat, openai_error

Respond = Callable[[Call, int], Awaitable[Reply]]


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return made.folder(tmp_path / "data", performances=12, criteria=2)


class PlugIn:
    """A model that answers as a test tells it; ``number`` counts its calls from 1."""

    endpoint = "in process"

    def __init__(self, respond: Respond) -> None:
        self.respond = respond
        self.number = 0
        self.calls: list[Call] = []

    async def ask(self, call: Call) -> Reply:
        self.number += 1
        self.calls.append(call)
        return await self.respond(call, self.number)

    async def aclose(self) -> None:
        raise RuntimeError("closing fails as well")


def plug_in(monkeypatch: pytest.MonkeyPatch, respond: Respond) -> PlugIn:
    model = PlugIn(respond)
    monkeypatch.setattr("aqaudit.engine.executor.open_model", lambda *_: model)
    return model


def answer(usd: float | None = 0.5) -> Reply:
    return Reply(text="<answer>True</answer>", finish_reason="stop", input_tokens=10, output_tokens=1, usd=usd)


# --- chains --------------------------------------------------------------------------------------------------------


@pytest.fixture
def two_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every question is first described, then answered from the description."""
    plain = strategies.chain

    def chain(*args: object, **options: object) -> Chain:
        once = plain(*args, **options)  # type: ignore[arg-type]
        describe = Step(name="describe", parts=(Slot(name="first"), "Describe what you see."))
        judge = Step(name="judge", parts=(Slot(name="step", step=1), *once.steps[0].parts[1:]))
        return Chain(prompt_id="two.v1", steps=(describe, judge))

    monkeypatch.setattr(strategies, "chain", chain)


@pytest.mark.usefixtures("two_steps")
def test_an_interrupted_chain_goes_on_at_the_step_it_had_reached(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken = True

    async def respond(call: Call, number: int) -> Reply:
        if not call.final:
            return Reply(
                text=f"seen {number}",
                reasoning="hm",
                input_tokens=100,
                output_tokens=20,
                usd=0.25,
                finish_reason="stop",
            )
        if broken:
            raise AskFailed("bad_request", "no")
        assert str(call.parts[0]).startswith("seen ")
        return answer()

    model = plug_in(monkeypatch, respond)
    study = Study.read(made.study(data, model=made.SIMULATED))
    first = aqaudit.run(study, out=tmp_path / "out", limit=5)
    assert dict(first.tally.failed) == {"bad_request": 5}
    assert model.number == 10
    assert read_state(tmp_path / "out").usd == pytest.approx(5 * 0.25)
    broken = False
    model.calls.clear()
    second = aqaudit.run(study, out=tmp_path / "out", limit=5)
    assert second.complete
    assert [call.final for call in model.calls] == [True] * 5
    answers = read_answers(tmp_path / "out")
    assert answers["calls"].to_list() == [2] * 5
    assert answers["usd"].to_list() == [0.75] * 5
    assert answers["input_tokens"].to_list() == [110] * 5
    assert answers["reasoning"].to_list() == ["hm"] * 5
    db = sqlite3.connect(tmp_path / "out" / "answers.sqlite")
    said = [row[0] for row in db.execute("select said from calls where step = 0")]
    db.close()
    assert len(said) == 5
    assert all(text.startswith("seen ") for text in said)
    assert aqaudit.run(study, out=tmp_path / "out", limit=5).tally.answered == 0


@pytest.mark.usefixtures("two_steps")
def test_a_chain_whose_first_step_has_no_known_price_has_none(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def respond(call: Call, _: int) -> Reply:
        return answer() if call.final else Reply(text="seen")

    plug_in(monkeypatch, respond)
    aqaudit.run(Study.read(made.study(data, model=made.SIMULATED)), out=tmp_path / "out", limit=2)
    answers = read_answers(tmp_path / "out")
    assert answers["usd"].to_list() == answers["input_tokens"].to_list() == [None, None]


# --- models that misbehave -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "odd",
    [
        ExceptionGroup("several", [ValueError("a secret")]),
        asyncio.CancelledError(),
        RuntimeError("a secret"),
        TimeoutError(),
        StopIteration(),
    ],
)
def test_whatever_a_plug_in_raises_costs_one_request_and_keeps_the_rest(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, odd: BaseException
) -> None:
    async def respond(_: Call, number: int) -> Reply:
        await asyncio.sleep(0.01)
        if number == 5:
            raise odd
        return answer()

    plug_in(monkeypatch, respond)
    outcome = aqaudit.run(Study.read(made.study(data, model=made.SIMULATED)), out=tmp_path / "out", max_wait_s=0.0)
    assert (outcome.tally.answered, sum(outcome.tally.failed.values()), outcome.tally.left) == (23, 1, 0)
    assert not outcome.complete
    failed = pl.read_parquet(tmp_path / "out" / "failures.parquet")
    assert failed["cause"].to_list() == ["timeout" if isinstance(odd, TimeoutError) else "internal"]
    assert "secret" not in failed["message"][0]
    assert len(read_answers(tmp_path / "out")) == 23


def test_a_reply_that_cannot_be_read_at_all_is_a_failure_with_its_cause(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def respond(_: Call, number: int) -> Reply:
        return Reply(text=None) if number == 3 else answer()  # type: ignore[arg-type]

    plug_in(monkeypatch, respond)
    outcome = aqaudit.run(Study.read(made.study(data, model=made.SIMULATED)), out=tmp_path / "out")
    assert dict(outcome.tally.failed) == {"internal": 1}
    assert outcome.tally.answered == 23


def test_half_a_character_from_a_server_is_kept_as_a_replacement_sign(data: Path, tmp_path: Path) -> None:
    cut = json.dumps(chat("<answer>True</answer> MARK").body).replace("MARK", "\\ud83d").encode()

    def respond(seen: Seen) -> Send:
        return Send(body=cut, headers={"content-type": "application/json"}) if seen.number % 2 else chat()

    with LoopbackServer(respond) as server:
        outcome = aqaudit.run(Study.read(made.study(data, model=made.served(server.base_url))), out=tmp_path / "out")
    answers = read_answers(tmp_path / "out")
    assert outcome.tally.answered + sum(outcome.tally.failed.values()) == 24
    assert set(outcome.tally.failed) <= {"bad_response"}
    assert set(answers["said"]) <= {"<answer>True</answer>", "<answer>True</answer> \ufffd"}


def test_a_plug_in_may_send_half_a_character_too(data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def respond(_: Call, number: int) -> Reply:
        if number % 2:
            raise AskFailed("bad_request", "\ud83d")
        return Reply(text="<answer>True</answer> \ud83d", usd=0.0)

    plug_in(monkeypatch, respond)
    outcome = aqaudit.run(Study.read(made.study(data, model=made.SIMULATED)), out=tmp_path / "out")
    assert (outcome.tally.answered, dict(outcome.tally.failed)) == (12, {"bad_request": 12})
    assert set(read_answers(tmp_path / "out")["said"]) == {"<answer>True</answer> \ufffd"}


def test_a_run_that_brings_no_answer_at_all_still_writes_its_tables(data: Path, tmp_path: Path) -> None:
    with LoopbackServer(lambda _: openai_error(400, "no")) as server:
        aqaudit.run(Study.read(made.study(data, model=made.served(server.base_url))), out=tmp_path / "out")
    assert pl.read_parquet(tmp_path / "out" / "answers.parquet").is_empty()
    assert read_answers(tmp_path / "out").is_empty()
    assert len(pl.read_parquet(tmp_path / "out" / "failures.parquet")) == 24


# --- limits ----------------------------------------------------------------------------------------------------------


USAGE = {"prompt_tokens": 10_000, "completion_tokens": 0, "total_tokens": 10_000}


def two_models(data: Path, first: str, second: str) -> Study:
    (data / "study.toml").write_text(
        'name = "two"\n[[dataset]]\nreader = "folder"\nroot = "."\ntasks = ["verify"]\n'
        f'[grid]\nmodel = ["one", "two"]\n[models.one]\n{first}\n[models.two]\n{second}\n'
    )
    return Study.read(data / "study.toml")


def test_a_cheap_model_does_not_hide_the_price_of_a_dear_one(data: Path, tmp_path: Path) -> None:
    with (
        LoopbackServer(answer_chat()) as cheap,
        LoopbackServer(lambda _: chat(delay_s=0.05, usage=USAGE)) as dear,
    ):
        study = two_models(
            data,
            made.served(cheap.base_url, usd_per_mtok=[0.01, 0.01]),
            made.served(dear.base_url, usd_per_mtok=[10.0, 0.0], concurrency=12).replace("test-model", "dear"),
        )  # a request to the dear one: 0.1 USD, though its text and picture look like far less
        outcome = aqaudit.run(study, out=tmp_path / "out", max_usd=0.35)
    answers = read_answers(tmp_path / "out")
    assert answers["usd"].sum() <= 0.35
    assert len(answers.filter(model="two")) == 3
    assert "--max-usd" in str(outcome.stopped)


def test_a_server_that_does_not_say_what_it_used_stops_a_run_with_a_money_limit(data: Path, tmp_path: Path) -> None:
    with LoopbackServer(lambda _: chat(usage=None)) as server:
        model = made.served(server.base_url, usd_per_mtok=[1.0, 1.0], concurrency=4)
        outcome = aqaudit.run(Study.read(made.study(data, model=model)), out=tmp_path / "out", max_usd=1.0)
        assert len(server.posts) <= 4
    assert "what is spent is unknown" in str(outcome.stopped)
    assert read_answers(tmp_path / "out")["usd"].to_list() == [None] * len(server.posts)
    assert read_state(tmp_path / "out").unpriced == len(server.posts)


def test_a_model_that_is_given_up_gets_nothing_more_from_those_who_wait_their_turn(data: Path, tmp_path: Path) -> None:
    with LoopbackServer(lambda _: openai_error(401, "no")) as server:
        model = made.served(server.base_url, rpm=1200, concurrency=24)
        outcome = aqaudit.run(Study.read(made.study(data, model=model)), out=tmp_path / "out")
        assert len(server.posts) <= 11
    assert outcome.given_up
    assert outcome.tally.left >= 13


@pytest.mark.parametrize(
    ("told", "attempt", "low", "high"),
    [
        (None, 1, 0.25, 0.5),
        (0.0, 1, 0.0, 0.0),
        (0.0, 4, 2.0, 4.0),
        (7.0, 1, 7.0, 7.7),
        (-5.0, 1, 0.0, 0.0),
        (float("nan"), 1, 0.25, 0.5),
        (float("inf"), 1, float("inf"), float("inf")),
    ],
)
def test_a_wait_is_at_least_what_the_server_asked_for(
    told: float | None, attempt: int, low: float, high: float
) -> None:
    failed = AskFailed("rate_limited", "later", retry_after_s=told)
    for seed in range(20):
        assert low <= back_off(attempt, failed, random.Random(seed)) <= high


# --- planning --------------------------------------------------------------------------------------------------------


def test_equal_requests_of_two_data_sets_are_asked_once(data: Path, tmp_path: Path) -> None:
    copy = made.folder(tmp_path / "copy", performances=12, criteria=2)
    (copy / "dataset.toml").write_text((data / "dataset.toml").read_text().replace('"made"', '"copied"'))
    path = made.study(data, model=made.SIMULATED)
    more = f'[[dataset]]\nreader = "folder"\nroot = "{copy}"\ntasks = ["verify"]\n[grid]'
    path.write_text(path.read_text().replace("[grid]", more))
    study = Study.read(path)
    outcome = aqaudit.run(study, out=tmp_path / "out")
    assert (outcome.tally.answered, outcome.tally.left, outcome.complete) == (24, 0, True)
    again = aqaudit.run(study, out=tmp_path / "out")
    assert (again.tally.found, again.tally.relabelled) == (24, 0)


def test_a_limit_beyond_the_distinct_requests_leaves_nothing(data: Path, tmp_path: Path) -> None:
    lines = [json.loads(line) for line in (data / "clips.jsonl").read_text().splitlines()]
    lines.append({**lines[0], "id": "twin"})
    (data / "clips.jsonl").write_text("\n".join(map(json.dumps, lines)))
    outcome = aqaudit.run(Study.read(made.study(data, model=made.SIMULATED)), out=tmp_path / "out", limit=25)
    assert (outcome.tally.answered, outcome.tally.left, outcome.complete) == (24, 0, True)


# --- signals, disks, files --------------------------------------------------------------------------------------------


def start(study: Path, out: Path, *more: str, **options: object) -> subprocess.Popen[str]:
    command = [
        sys.executable,
        "-c",
        "from aqaudit.cli import main; main()",
        "run",
        str(study),
        "--out",
        str(out),
        *more,
    ]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **options)  # type: ignore[call-overload, no-any-return]


def wait_for(happened: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not happened():
        assert time.monotonic() < deadline, "it never happened"
        time.sleep(0.02)


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_does_not_wait_for_turns_that_a_rate_limit_gives_minutes_later(
    data: Path, tmp_path: Path, how: signal.Signals
) -> None:
    with LoopbackServer(answer_chat()) as server:
        study = made.study(data, model=made.served(server.base_url, rpm=1, concurrency=8))
        process = start(study, tmp_path / "out")
        wait_for(lambda: bool(server.posts))
        time.sleep(0.3)
        began = time.monotonic()
        process.send_signal(how)
        output, errors = process.communicate(timeout=60)
    assert time.monotonic() - began < 10
    assert process.returncode == 1
    assert "stopped: interrupted" in output
    assert "Traceback" not in errors
    assert len(read_answers(tmp_path / "out")) == 1


def test_a_first_signal_lets_what_is_in_flight_come_back_and_a_second_one_does_not(data: Path, tmp_path: Path) -> None:
    with LoopbackServer(lambda seen: chat(delay_s=0.0 if seen.number <= 4 else 30.0)) as server:
        model = made.served(server.base_url, concurrency=5)
        process = start(made.study(data, model=model), tmp_path / "out", "--max-requests", "8")
        wait_for(lambda: len(server.posts) == 8)
        time.sleep(0.3)
        process.send_signal(signal.SIGINT)  # although a budget has already ended the run
        time.sleep(1.0)
        assert process.poll() is None
        process.send_signal(signal.SIGINT)
        output, errors = process.communicate(timeout=20)
    assert process.returncode == 1
    assert "--max-requests 8" in output
    assert "Traceback" not in errors
    assert len(read_answers(tmp_path / "out")) == 4


def test_a_run_in_a_thread_leaves_signals_alone(data: Path, tmp_path: Path) -> None:
    study = Study.read(made.study(data, model=made.SIMULATED))
    outcomes = []
    thread = threading.Thread(target=lambda: outcomes.append(aqaudit.run(study, out=tmp_path / "out")))
    thread.start()
    thread.join(60)
    assert [outcome.complete for outcome in outcomes] == [True]


def test_a_disk_that_is_full_ends_the_run_and_a_rerun_asks_exactly_the_rest(tmp_path: Path) -> None:
    data = made.folder(tmp_path / "data", performances=40, criteria=10)
    with LoopbackServer(lambda _: chat("a thought. " * 100 + "<answer>True</answer>")) as server:
        study, out = made.study(data, model=made.served(server.base_url, concurrency=8)), tmp_path / "out"

        def small_disk() -> None:
            resource.setrlimit(resource.RLIMIT_FSIZE, (400_000, 400_000))

        process = start(study, out, "--max-wait", "0.5", preexec_fn=small_disk)
        output, errors = process.communicate(timeout=60)
        assert process.returncode == 1, errors
        assert "Traceback" not in errors
        assert "cannot be written" in output
        assert "stopped: " in output
        db = sqlite3.connect(out / "answers.sqlite")
        kept = db.execute("select count(*) from answers").fetchone()[0]
        assert db.execute("pragma integrity_check").fetchone()[0] == "ok"
        db.close()
        asked = len(server.posts)
        assert 0 < kept < 400
        assert asked - kept <= 8  # what was in flight
        assert aqaudit.run(Study.read(study), out=out).complete
        assert len(server.posts) == asked + 400 - kept
    assert not list(out.glob(".*.part"))


def test_an_answer_waits_for_a_program_that_holds_the_journal(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("aqaudit.engine.journal._PATIENCE_S", 0.2)
    out = tmp_path / "out"
    other: list[sqlite3.Connection] = []

    def hold() -> None:
        other.append(sqlite3.connect(out / "answers.sqlite", check_same_thread=False, isolation_level=None))
        other[0].execute("begin immediate")
        threading.Timer(0.8, lambda: (other[0].execute("rollback"), other[0].close())).start()

    async def respond(_: Call, number: int) -> Reply:
        if number == 1:
            hold()
        return answer()

    plug_in(monkeypatch, respond)
    study = Study.read(made.study(data, model=made.SIMULATED + "\nconcurrency = 1"))
    outcome = aqaudit.run(study, out=out)
    assert "cannot be written" in str(outcome.stopped)
    assert (outcome.tally.answered, outcome.tally.failed.total(), len(read_answers(out))) == (1, 0, 1)
    assert aqaudit.run(study, out=out).complete


@pytest.mark.parametrize("left", [(), ("-wal", "-shm")])
def test_a_run_that_was_killed_at_its_very_beginning_can_begin_again(
    data: Path, tmp_path: Path, left: tuple[str, ...]
) -> None:
    out = tmp_path / "out"
    out.mkdir()
    for suffix in ("", *left):
        (out / f"answers.sqlite{suffix}").touch()
    assert aqaudit.run(Study.read(made.study(data, model=made.SIMULATED)), out=out).complete


@pytest.mark.parametrize("content", [b"no database at all, but long enough to look at" * 40, None])
def test_a_file_that_is_no_journal_is_refused_in_one_line_and_left_alone(
    data: Path, tmp_path: Path, content: bytes | None
) -> None:
    out = tmp_path / "out"
    out.mkdir()
    path = out / "answers.sqlite"
    if content is None:
        db = sqlite3.connect(path)
        db.execute("create table answers (question_id, kind)")
        db.commit()
        db.close()
    else:
        path.write_bytes(content)
    before = path.read_bytes()
    study = Study.read(made.study(data, model=made.SIMULATED))
    for attempt in (lambda: aqaudit.run(study, out=out), lambda: read_state(out), lambda: merge([out], tmp_path / "m")):
        with pytest.raises(BadInput, match=r"answers\.sqlite") as caught:
            attempt()
        assert "\n" not in str(caught.value)
    assert path.read_bytes() == before


def test_a_run_begins_although_status_looks_at_the_lock(data: Path, tmp_path: Path) -> None:
    study = Study.read(made.study(data, model=made.SIMULATED))
    out = tmp_path / "out"
    aqaudit.run(study, out=out)
    done = threading.Event()

    def look() -> None:
        while not done.is_set():
            folder.is_locked(out)

    watcher = threading.Thread(target=look)
    watcher.start()
    try:
        for _ in range(20):
            with folder.opened(out, "made-study"):
                pass
    finally:
        done.set()
        watcher.join()


def test_merging_prefers_an_answer_to_a_failure_whichever_folder_comes_first(data: Path, tmp_path: Path) -> None:
    with LoopbackServer(lambda seen: openai_error(400, "no") if seen.number <= 24 else chat()) as server:
        study = Study.read(made.study(data, model=made.served(server.base_url)))
        aqaudit.run(study, out=tmp_path / "failed")
        aqaudit.run(study, out=tmp_path / "answered", limit=10)
    for order in (["failed", "answered"], ["answered", "failed"]):
        union = tmp_path / "-".join(order)
        assert merge([tmp_path / name for name in order], union) == (10, 14)
        assert merge([tmp_path / name for name in order], union) == (10, 14)
        state = read_state(union)
        assert (state.done, state.failed) == (10, {"judge": {"bad_request": 14}})


def test_a_file_that_a_power_cut_left_empty_is_made_again(data: Path, tmp_path: Path) -> None:
    with LoopbackServer(answer_chat()) as server:
        study = Study.read(made.study(data, model=made.served(server.base_url), grid='framing = ["positive"]'))
        aqaudit.run(study, out=tmp_path / "out")
        for file in (tmp_path / "out" / "media").rglob("*.jpg"):
            file.write_bytes(b"")
        grid = 'framing = ["positive", "negative"]'
        aqaudit.run(Study.read(made.study(data, model=made.served(server.base_url), grid=grid)), out=tmp_path / "out")
        pictures = [
            part for seen in server.posts for part in seen.json["messages"][0]["content"] if "image_url" in part
        ]
    assert len(pictures) == 48
    assert min(len(part["image_url"]["url"]) for part in pictures) > 200


def test_times_are_kept_in_universal_time_to_the_microsecond(tmp_path: Path) -> None:
    from datetime import datetime, timedelta, timezone

    from aqaudit.engine.journal import Failure

    journal = Journal(tmp_path / "answers.sqlite")
    at = datetime(2026, 3, 4, 5, 6, 7, tzinfo=timezone(timedelta(hours=5, minutes=30)))
    facts = dict.fromkeys(("study", "dataset", "task", "kind", "question_id", "performance_id", "message"), "x")
    journal.fail(
        Failure(answer_key="k", model="m", cause="c", status=None, attempts=1, failed_at=at, endpoint=None, **facts)
    )
    assert journal.failures()["failed_at"].to_list() == ["2026-03-03T23:36:07.000000+00:00"]
    journal.close()
