"""A run: asks what is missing, keeps every answer, never mistakes a failure for one, and ends by itself."""

from __future__ import annotations

import json
import sqlite3
from pathlib import Path

import polars as pl
import pytest

import aqaudit
import made
from aqaudit import BadInput, Study, read_answers
from aqaudit.engine.folder import merge, read_state
from servers import Faulty, LoopbackServer, Seen, Send, answer_chat, chat, openai_error


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return made.folder(tmp_path / "data", performances=12, criteria=2)


def failures(out: Path) -> pl.DataFrame:
    return pl.read_parquet(out / "failures.parquet")


def test_a_perfect_simulated_judge_is_right_everywhere_and_says_what_it_is(data: Path, tmp_path: Path) -> None:
    grid = 'framing = ["positive", "negative"]'
    path = made.study(data, model=made.SIMULATED, grid=grid, tasks='["verify", "score", "prefer"]')
    outcome = aqaudit.run(Study.read(path), out=tmp_path / "out")
    assert outcome.complete
    answers = read_answers(tmp_path / "out")
    verify = answers.filter(kind="verify")
    assert len(verify) == 12 * 2 * 2
    assert (verify["says_correct"] == verify["gold_correct"]).all()
    score = answers.filter(kind="score")
    assert len(score) == 12  # one wording only, whatever the framings
    assert (score["score"] == score["gold_score"]).all()
    prefer = answers.filter(kind="prefer")
    assert (prefer["prefer"] == prefer["gold_prefer"]).all()
    assert set(prefer["pair_order"]) == {"ab", "ba"}
    assert answers["model_version"].str.contains("simulated").all()
    assert answers["usd"].to_list() == [0.0] * len(answers)


def test_question_ids_are_shared_by_framings_orders_and_repeats(data: Path, tmp_path: Path) -> None:
    grid = 'framing = ["positive", "negative"]\nrepeats = 2'
    path = made.study(data, model=made.SIMULATED, grid=grid, tasks='["verify", "prefer"]')
    aqaudit.run(Study.read(path), out=tmp_path / "out")
    answers = read_answers(tmp_path / "out")
    per_question = answers.group_by("kind", "question_id").len()
    assert set(per_question.filter(kind="verify")["len"]) == {4}
    assert set(per_question.filter(kind="prefer")["len"]) == {8}


def test_a_rerun_asks_nothing_and_a_wider_grid_only_what_is_new(data: Path, tmp_path: Path) -> None:
    with LoopbackServer(answer_chat()) as server:
        model = made.served(server.base_url)
        out = tmp_path / "out"
        study = Study.read(made.study(data, model=model))
        assert aqaudit.run(study, out=out).tally.answered == 24
        assert aqaudit.run(study, out=out).tally.answered == 0
        assert len(server.posts) == 24
        wider = Study.read(made.study(data, model=model, grid='framing = ["positive", "negative"]'))
        outcome = aqaudit.run(wider, out=out)
        assert (outcome.tally.found, outcome.tally.answered) == (24, 24)
        assert len(server.posts) == 48


def test_the_table_says_what_was_sent_and_what_it_cost(data: Path, tmp_path: Path) -> None:
    with LoopbackServer(answer_chat()) as server:
        model = made.served(server.base_url, usd_per_mtok=[1.0, 10.0], temperature=0.5)
        aqaudit.run(Study.read(made.study(data, model=model)), out=tmp_path / "out")
        row = read_answers(tmp_path / "out").row(0, named=True)
        assert (row["frames_sent"], row["width"], row["height"], row["media_form"]) == (1, 8, 8, "frames")
        assert (row["input_tokens"], row["output_tokens"], row["calls"]) == (100, 5, 1)
        assert row["usd"] == pytest.approx((100 * 1.0 + 5 * 10.0) / 1e6)
        assert row["endpoint"] == server.url
        assert (row["temperature"], row["seed"], row["repeat"]) == (0.5, 3, 0)
        sha = row["media_sha256"][0]
        assert (tmp_path / "out" / "media" / sha[:2] / f"{sha}.jpg").is_file()


def test_no_name_label_or_metadata_of_the_data_reaches_the_server(data: Path, tmp_path: Path) -> None:
    with LoopbackServer(answer_chat()) as server:
        aqaudit.run(Study.read(made.study(data, model=made.served(server.base_url))), out=tmp_path / "out")
        sent = b"".join(seen.body for seen in server.posts)
        for telling in (b"p0000", b"clips", b"s1", b".png", b"made", b"performer"):
            assert telling not in sent


FAULTS = [
    ({"rate_limit_every": 3}, True),
    ({"drop_every": 5}, True),
    ({"broken_json_every": 4}, True),
    ({"empty_every": 4}, True),
    ({"error_500_every": 4}, True),
]


@pytest.mark.parametrize(("faults", "complete"), FAULTS)
def test_passing_faults_are_outlived(data: Path, tmp_path: Path, faults: dict[str, int], complete: bool) -> None:
    with LoopbackServer(Faulty(respond=answer_chat(), **faults)) as server:
        study = Study.read(made.study(data, model=made.served(server.base_url, concurrency=4)))
        outcome = aqaudit.run(study, out=tmp_path / "out", max_wait_s=20.0)
    assert outcome.complete is complete
    assert outcome.tally.retries > 0
    answers = read_answers(tmp_path / "out")
    assert len(answers) == 24
    assert answers["said"].unique().to_list() == ["<answer>True</answer>"]
    assert failures(tmp_path / "out").is_empty()


def test_a_hanging_server_fails_by_time_and_a_rerun_asks_it_again(data: Path, tmp_path: Path) -> None:
    hanging = Faulty(respond=answer_chat(), hang_every=8)
    with LoopbackServer(hanging) as server:
        study = Study.read(made.study(data, model=made.served(server.base_url, timeout_s=0.3, concurrency=4)))
        outcome = aqaudit.run(study, out=tmp_path / "out", max_wait_s=0.0)
        assert set(outcome.tally.failed) == {"timeout"}
        failed = failures(tmp_path / "out")
        assert 0 < len(failed) == 24 - len(read_answers(tmp_path / "out"))
        hanging.hang_every = 0
        assert aqaudit.run(study, out=tmp_path / "out").complete
    assert len(read_answers(tmp_path / "out")) == 24
    assert failures(tmp_path / "out").is_empty()


def test_no_retry_failed_leaves_failures_alone(data: Path, tmp_path: Path) -> None:
    refusing = True

    def respond(seen: Seen) -> Send:
        return openai_error(400, "no such thing") if refusing and seen.number % 2 else chat()

    with LoopbackServer(respond) as server:
        study = Study.read(made.study(data, model=made.served(server.base_url)))
        failed = sum(aqaudit.run(study, out=tmp_path / "out").tally.failed.values())
        assert failed > 0
        refusing = False
        before = len(server.posts)
        outcome = aqaudit.run(study, out=tmp_path / "out", retry_failed=False)
        assert (len(server.posts), outcome.complete) == (before, False)
        assert aqaudit.run(study, out=tmp_path / "out").complete


@pytest.mark.parametrize(("status", "cause"), [(401, "auth"), (402, "payment"), (403, "auth"), (404, "not_found")])
def test_ten_refusals_in_a_row_stop_that_model_and_let_the_others_go_on(
    data: Path, tmp_path: Path, status: int, cause: str
) -> None:
    with (
        LoopbackServer(lambda _: openai_error(status, "no")) as bad,
        LoopbackServer(answer_chat()) as good,
    ):
        path = data / "study.toml"
        path.write_text(
            'name = "two"\n[[dataset]]\nreader = "folder"\nroot = "."\ntasks = ["verify"]\n'
            '[grid]\nmodel = ["bad", "good"]\n'
            f"[models.bad]\n{made.served(bad.base_url, concurrency=2).replace('test-model', 'bad-model')}\n"
            f"[models.good]\n{made.served(good.base_url)}\n"
        )
        outcome = aqaudit.run(Study.read(path), out=tmp_path / "out")
        # GET requests that look for the right model name are not attempts
        assert 10 <= len(bad.posts) <= 12
    assert list(outcome.given_up) == ["bad"]
    assert set(outcome.tally.failed) == {cause}
    assert read_answers(tmp_path / "out")["model"].value_counts().rows() == [("good", 24)]
    assert outcome.tally.left >= 12


def test_a_server_that_nobody_runs_stops_after_ten_refused_connections(data: Path, tmp_path: Path) -> None:
    with LoopbackServer(answer_chat()) as gone:
        url = gone.base_url
    study = Study.read(made.study(data, model=made.served(url, concurrency=1)))
    outcome = aqaudit.run(study, out=tmp_path / "out", max_wait_s=2.0)
    assert list(outcome.given_up) == ["judge"]
    assert set(outcome.tally.failed) == {"refused"}
    assert not outcome.complete


def test_retry_after_is_honoured_and_a_wait_that_is_too_long_is_a_failure(data: Path, tmp_path: Path) -> None:
    with LoopbackServer(lambda _: openai_error(429, "later", retry_after="3600")) as server:
        study = Study.read(made.study(data, model=made.served(server.base_url)))
        outcome = aqaudit.run(study, out=tmp_path / "out", max_wait_s=5.0, limit=3)
        assert dict(outcome.tally.failed) == {"rate_limited": 3}
        assert len(server.posts) == 3


def test_max_requests_stops_cleanly_and_a_rerun_completes(data: Path, tmp_path: Path) -> None:
    with LoopbackServer(answer_chat()) as server:
        study = Study.read(made.study(data, model=made.served(server.base_url, concurrency=3)))
        outcome = aqaudit.run(study, out=tmp_path / "out", max_requests=10)
        assert (len(server.posts), len(read_answers(tmp_path / "out"))) == (10, 10)
        assert outcome.stopped is not None
        assert "--max-requests 10" in outcome.stopped
        assert aqaudit.run(study, out=tmp_path / "out").complete


def test_max_usd_stops_before_the_limit_is_passed(data: Path, tmp_path: Path) -> None:
    with LoopbackServer(answer_chat()) as server:
        model = made.served(server.base_url, usd_per_mtok=[100.0, 100.0], concurrency=8)  # 0.0105 USD a request
        outcome = aqaudit.run(Study.read(made.study(data, model=model)), out=tmp_path / "out", max_usd=0.1)
    spent = read_answers(tmp_path / "out")["usd"].sum()
    assert 0.05 <= spent <= 0.1
    assert outcome.stopped is not None
    assert "--max-usd" in outcome.stopped


def test_max_usd_with_an_unknown_price_is_refused_before_anything_is_asked(data: Path, tmp_path: Path) -> None:
    with LoopbackServer(answer_chat()) as server:
        study = Study.read(made.study(data, model=made.served(server.base_url)))
        with pytest.raises(BadInput, match=r"no price is known.*usd_per_mtok"):
            aqaudit.run(study, out=tmp_path / "out", max_usd=1.0)
        assert not server.posts
    assert not (tmp_path / "out").exists()


def test_rpm_spaces_the_requests(data: Path, tmp_path: Path) -> None:
    import time

    began = time.monotonic()
    with LoopbackServer(answer_chat()) as server:
        study = Study.read(made.study(data, model=made.served(server.base_url, rpm=600, concurrency=8)))
        aqaudit.run(study, out=tmp_path / "out", limit=11)
    assert time.monotonic() - began >= 1.0


def test_shards_part_the_plan_and_merge_unites_them(data: Path, tmp_path: Path) -> None:
    study = Study.read(made.study(data, model=made.SIMULATED, tasks='["verify", "prefer"]'))
    aqaudit.run(study, out=tmp_path / "whole")
    parts = [tmp_path / f"part{i}" for i in (1, 2)]
    for i, part in enumerate(parts, 1):
        aqaudit.run(study, out=part, shard=(i, 2))
    merge(parts, tmp_path / "union")
    columns = ["answer_key", "said", "gold_correct", "gold_prefer"]
    whole, union = (read_answers(tmp_path / name).select(columns).sort("answer_key") for name in ("whole", "union"))
    assert whole.equals(union)
    sizes = [len(read_answers(part)) for part in parts]
    assert sum(sizes) == len(whole)
    assert min(sizes) > 0
    assert aqaudit.run(study, out=tmp_path / "union").tally.answered == 0


def test_limit_takes_the_first_requests_of_each_model(data: Path, tmp_path: Path) -> None:
    study = Study.read(made.study(data, model=made.SIMULATED))
    outcome = aqaudit.run(study, out=tmp_path / "out", limit=5)
    assert outcome.complete
    assert len(read_answers(tmp_path / "out")) == 5


def test_corrected_labels_reach_stored_answers_without_asking_again(data: Path, tmp_path: Path) -> None:
    study = Study.read(made.study(data, model=made.SIMULATED))
    aqaudit.run(study, out=tmp_path / "out")
    lines = [json.loads(line) for line in (data / "clips.jsonl").read_text().splitlines()]
    lines[0]["criteria"]["c0"] = not lines[0]["criteria"]["c0"]
    (data / "clips.jsonl").write_text("\n".join(map(json.dumps, lines)))
    outcome = aqaudit.run(study, out=tmp_path / "out")
    assert (outcome.tally.answered, outcome.tally.relabelled) == (0, 1)
    answers = read_answers(tmp_path / "out")
    changed = answers.filter(pl.col("gold_correct") != pl.col("says_correct"))
    assert changed["question_id"].to_list() == ["made/p00000/verify/c0"]


def test_equal_requests_are_asked_once_and_counted(data: Path, tmp_path: Path) -> None:
    lines = [json.loads(line) for line in (data / "clips.jsonl").read_text().splitlines()]
    lines.append({**lines[0], "id": "twin"})
    (data / "clips.jsonl").write_text("\n".join(map(json.dumps, lines)))
    with LoopbackServer(answer_chat()) as server:
        study = Study.read(made.study(data, model=made.served(server.base_url)))
        outcome = aqaudit.run(study, out=tmp_path / "out")
        assert len(server.posts) == 24
    assert outcome.complete
    assert outcome.tally.left == 0


def test_the_key_does_not_depend_on_the_address_and_its_parts_are_kept(data: Path, tmp_path: Path) -> None:
    keys = []
    for name in ("one", "two"):
        with LoopbackServer(answer_chat()) as server:
            aqaudit.run(Study.read(made.study(data, model=made.served(server.base_url))), out=tmp_path / name)
        keys.append(sorted(read_answers(tmp_path / name)["answer_key"]))
    assert keys[0] == keys[1]
    with sqlite3.connect(tmp_path / "one" / "answers.sqlite") as db:
        row = db.execute("select sources, prompt, model from keys").fetchone()
        prompt = db.execute("select text from texts where sha256 = ?", (row[1],)).fetchone()[0]
        model = db.execute("select text from texts where sha256 = ?", (row[2],)).fetchone()[0]
    assert "Statement:" in prompt
    assert json.loads(model)["model"] == "test-model"
    assert "127.0.0.1" not in model
    db.close()


def test_unparsed_texts_are_answers_and_reparse_needs_no_model(data: Path, tmp_path: Path) -> None:
    with LoopbackServer(lambda _: chat("I think it is fine, all told.")) as server:
        aqaudit.run(Study.read(made.study(data, model=made.served(server.base_url))), out=tmp_path / "out")
    answers = read_answers(tmp_path / "out")
    assert answers["parse"].unique().to_list() == ["unparsed"]
    assert failures(tmp_path / "out").is_empty()
    with sqlite3.connect(tmp_path / "out" / "answers.sqlite") as db:
        db.execute("update answers set said = '<answer>True</answer>'")
    db.close()
    from aqaudit.engine import folder
    from aqaudit.engine.parse import reparse

    with folder.opened(tmp_path / "out", "made-study") as journal:
        assert reparse(journal) == (24, 24)
        assert reparse(journal) == (24, 0)
    assert read_answers(tmp_path / "out")["says_correct"].all()


def test_status_tells_done_failed_left_and_spent(data: Path, tmp_path: Path) -> None:
    with LoopbackServer(lambda seen: openai_error(400, "no") if seen.number <= 4 else chat()) as server:
        model = made.served(server.base_url, usd_per_mtok=[1.0, 1.0], concurrency=1)
        aqaudit.run(Study.read(made.study(data, model=model)), out=tmp_path / "out", max_requests=14)
    state = read_state(tmp_path / "out")
    assert (state.done, state.left, state.planned, state.running) == (10, 10, 24, False)
    assert state.failed == {"judge": {"bad_request": 4}}
    assert state.usd == pytest.approx(10 * 105 / 1e6)
    text = "\n".join(state.lines())
    assert "bad_request: 4" in text
    assert "left    10" in text


def test_a_secret_never_reaches_a_file(data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    secret = "sk-verysecret-0123456789abcdef"
    monkeypatch.setenv("MADE_KEY", secret)

    def echo(seen: Seen) -> Send:
        return openai_error(400, f"bad key {seen.headers.get('authorization')}") if seen.number % 2 else chat()

    with LoopbackServer(echo) as server:
        model = made.served(server.base_url, api_key_env="MADE_KEY")
        outcome = aqaudit.run(Study.read(made.study(data, model=model)), out=tmp_path / "out")
        assert outcome.tally.failed
        assert any(secret in seen.headers.get("authorization", "") for seen in server.posts)
    for file in (tmp_path / "out").rglob("*"):
        assert not file.is_file() or secret.encode() not in file.read_bytes(), file


def test_two_runs_cannot_write_to_one_folder_nor_two_studies(data: Path, tmp_path: Path) -> None:
    from aqaudit.engine import folder

    study = Study.read(made.study(data, model=made.SIMULATED))
    with folder.opened(tmp_path / "out", "made-study"), pytest.raises(BadInput, match="another run is writing"):
        aqaudit.run(study, out=tmp_path / "out")
    aqaudit.run(study, out=tmp_path / "out")
    other = Study.read(made.study(data, model=made.SIMULATED, name="other"))
    with pytest.raises(BadInput, match="holds answers of study 'made-study'"):
        aqaudit.run(other, out=tmp_path / "out")
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("do not touch")
    with pytest.raises(BadInput, match="not an output folder"):
        aqaudit.run(study, out=tmp_path / "mine")


def test_a_run_without_a_single_answer_still_leaves_readable_tables(data: Path, tmp_path: Path) -> None:
    with LoopbackServer(lambda _: openai_error(400, "no")) as server:
        outcome = aqaudit.run(Study.read(made.study(data, model=made.served(server.base_url))), out=tmp_path / "out")
    assert not outcome.complete
    assert read_answers(tmp_path / "out").is_empty()
    assert len(failures(tmp_path / "out")) == 24
