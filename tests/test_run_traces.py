"""Traces of a run: tagged by rules at its end, by a judge model when asked, which is never asked twice."""

from __future__ import annotations

import json
from pathlib import Path

import polars as pl
import pytest

import made
from aqaudit import BadInput, Study, audit, read_answers, run
from aqaudit.core.auxiliary import SCHEMAS, read_auxiliary
from aqaudit.engine import folder
from aqaudit.engine.run import Outcome
from aqaudit.engine.traces import read_tags
from servers import LoopbackServer, Response, Seen, chat, openai_error
from test_cli import Command, aqaudit, refused  # noqa: F401 - a fixture

REASONING = "The knees bend. It is probably fine. So the statement is true."
TAGS = ["observation", "assumption", "conclusion"]


def is_judge(seen: Seen) -> bool:
    return "numbered steps" in json.dumps(seen.json["messages"])


def tags_of(*tags: str) -> str:
    return json.dumps({"steps": [{"step": i, "tag": tag} for i, tag in enumerate(tags, 1)]})


def answer(seen: Seen) -> Response:
    if is_judge(seen):
        return chat(tags_of(*TAGS))
    return chat(message={"reasoning_content": REASONING})


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return made.folder(tmp_path / "data", performances=8, criteria=1)


def study(data: Path, server: LoopbackServer, **settings: object) -> Study:
    extra = f"\n[models.second]\n{made.served(server.base_url, **{**settings, 'temperature': 0.5})}"
    return Study.read(made.study(data, model=made.served(server.base_url) + extra))


def go(data: Path, server: LoopbackServer, out: Path, judge: str | None = "second", **options: object) -> Outcome:
    return run(study(data, server), out=out, trace_judge=judge, **options)


def steps(out: Path) -> pl.DataFrame:
    return pl.read_parquet(out / "trace_steps.parquet")


def asked_of_judge(server: LoopbackServer) -> int:
    return sum(is_judge(seen) for seen in server.seen if seen.method == "POST")


def test_rules_tag_every_trace_at_the_end_of_a_run(data: Path, tmp_path: Path) -> None:
    with LoopbackServer(answer) as server:
        outcome = go(data, server, tmp_path / "out", judge=None)
    assert outcome.complete
    found = steps(tmp_path / "out")
    assert dict(found.schema) == dict(SCHEMAS["trace_steps"])
    assert found["scorer"].unique().to_list() == ["rules.v1"]
    answers = read_answers(tmp_path / "out")
    assert set(found["answer_key"]) == set(answers["answer_key"])
    for _, rows in found.sort("step").group_by("answer_key", maintain_order=True):
        assert rows["tag"].to_list() == TAGS
        assert rows["text"][0] == "The knees bend."
        assert json.loads(rows["claim"][0])[0]["quantity"] == "knee_angle"


def test_without_reasoning_there_is_no_sidecar(data: Path, tmp_path: Path) -> None:
    with LoopbackServer(lambda seen: chat()) as server:
        go(data, server, tmp_path / "out", judge=None)
    assert not (tmp_path / "out" / "trace_steps.parquet").exists()


def test_a_judge_model_tags_too_and_the_audit_compares_them(data: Path, tmp_path: Path) -> None:
    with LoopbackServer(answer) as server:
        outcome = go(data, server, tmp_path / "out")
        asked = [seen for seen in server.seen if seen.method == "POST" and is_judge(seen)]
    assert outcome.complete
    assert (outcome.follow_ups[0].asked, outcome.follow_ups[0].found) == (8, 0)
    assert asked[0].json["response_format"]["json_schema"]["schema"]["required"] == ["steps"]
    assert "image_url" not in json.dumps(asked[0].json)
    assert set(steps(tmp_path / "out")["scorer"]) == {"rules.v1", "judge:second"}
    result = audit(read_answers(tmp_path / "out"), read_auxiliary(tmp_path / "out"))
    kappa = next(f for f in result.findings if f.measure == "scorer_kappa")
    assert kappa.value == pytest.approx(1.0)


def test_a_rerun_asks_the_judge_nothing_and_new_answers_only(data: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    with LoopbackServer(answer) as server:
        go(data, server, out, limit=3)
        assert asked_of_judge(server) == 3
        again = go(data, server, out)
        assert asked_of_judge(server) == 8
        assert (again.follow_ups[0].found, again.follow_ups[0].asked) == (3, 5)
        before = steps(out).sort("answer_key", "scorer", "step")
        third = go(data, server, out)
        assert asked_of_judge(server) == 8
        assert third.follow_ups[0].found == 8
        assert steps(out).sort("answer_key", "scorer", "step").equals(before)


def test_what_the_judge_says_unreadably_is_kept_counted_and_not_asked_again(data: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    with LoopbackServer(lambda seen: chat("I refuse.") if is_judge(seen) else answer(seen)) as server:
        outcome = go(data, server, out)
        go(data, server, out)
        assert asked_of_judge(server) == 8
    assert outcome.follow_ups[0].unreadable == 8
    assert set(steps(out)["scorer"]) == {"rules.v1"}


def test_a_failing_judge_loses_no_answer_and_is_asked_again(data: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    broken = True

    def respond(seen: Seen) -> Response:
        if is_judge(seen) and broken:
            return openai_error(404, "no such model")
        return answer(seen)

    with LoopbackServer(respond) as server:
        outcome = go(data, server, out)
        assert not outcome.complete
        assert outcome.tally.answered == 8
        assert outcome.follow_ups[0].failed.total() == 8
        broken = False
        assert go(data, server, out).complete
    assert set(steps(out)["scorer"]) == {"rules.v1", "judge:second"}


def test_a_server_without_structured_output_is_asked_in_words(data: Path, tmp_path: Path) -> None:
    def respond(seen: Seen) -> Response:
        if "response_format" in seen.json:
            return openai_error(400, "response_format is not supported")
        return answer(seen)

    with LoopbackServer(respond) as server:
        outcome = go(data, server, tmp_path / "out")
    assert outcome.complete
    assert outcome.follow_ups[0].asked == 8


def test_limits_count_the_judge_as_well(data: Path, tmp_path: Path) -> None:
    with LoopbackServer(answer) as server:
        outcome = go(data, server, tmp_path / "out", max_requests=10)
        assert len([seen for seen in server.seen if seen.method == "POST"]) == 10
    assert outcome.stopped is not None
    assert "--max-requests" in outcome.stopped


def test_merged_shards_keep_what_the_judge_said(data: Path, tmp_path: Path) -> None:
    with LoopbackServer(answer) as server:
        for part in (1, 2):
            go(data, server, tmp_path / f"out{part}", shard=(part, 2))
        count = asked_of_judge(server)
        folder.merge([tmp_path / "out1", tmp_path / "out2"], tmp_path / "both")
        assert go(data, server, tmp_path / "both").complete
        assert asked_of_judge(server) == count == 8
    assert set(steps(tmp_path / "both")["scorer"]) == {"rules.v1", "judge:second"}


@pytest.mark.parametrize(
    ("said", "tags"),
    [
        (tags_of("rule", "conclusion"), ["rule", "conclusion"]),
        (f"```json\n{tags_of('Rule', 'conclusion')}\n```", ["rule", "conclusion"]),
        (tags_of("rule"), None),
        (tags_of("rule", "nonsense"), None),
        ('{"steps": [1, 2]}', None),
        ('{"steps": {"a": 1}}', None),
        ("{" * 5000 + "}" * 5000, None),
        ("", None),
    ],
)
def test_a_reply_is_read_whole_or_not_at_all(said: str, tags: list[str] | None) -> None:
    assert read_tags(said, 2) == tags


def test_a_judge_that_cannot_read_or_is_not_there_is_refused_before_anything_is_asked(
    data: Path, tmp_path: Path, aqaudit: Command  # noqa: F811
) -> None:  # fmt: skip
    with LoopbackServer(answer) as server:
        for name, said in (("secnd", "did you mean 'second'"), ("simulated", "cannot read texts")):
            with pytest.raises(BadInput, match=said):
                go(data, server, tmp_path / "out", judge=name)
        assert server.seen == []
        assert not (tmp_path / "out").exists()
        path = data / "study.toml"
        dry = aqaudit("run", path, "--dry-run", "--trace-judge", "second")
        assert "trace judge second -> http://127.0.0.1" in dry.out
        assert "did you mean" in refused(aqaudit("run", path, "--dry-run", "--trace-judge", "secnd"))


# --- reasoning put to the test ---------------------------------------------------------------------------------------

TESTED = "\n[trace_tests]\nearly = [0, 0.5, 1]\nanswers = 50"
LONG = "The knees bend. The hips drop. The back stays upright. The feet do not move. So the statement is true."


def with_tests(data: Path, server: LoopbackServer) -> Study:
    return Study.read(made.study(data, model=made.served(server.base_url) + TESTED))


def text_of(seen: Seen) -> str:
    return "\n".join(p["text"] for p in seen.json["messages"][-1]["content"] if p["type"] == "text")


def reasoner(seen: Seen) -> Response:
    """Answer True only where the whole of its reasoning stands before it, and without a mistake."""
    text = text_of(seen)
    if "There is no time to reason" not in text and "Go on from there" not in text:
        return chat(message={"reasoning_content": LONG})
    whole = "The feet do not move" in text
    return chat("<answer>True</answer>" if whole and "the case" not in text else "<answer>False</answer>")


def test_reasoning_that_decides_has_a_large_area_and_gives_way_to_a_mistake(data: Path, tmp_path: Path) -> None:
    with LoopbackServer(reasoner) as server:
        outcome = run(with_tests(data, server), out=tmp_path / "out")
        asked = [text_of(seen) for seen in server.seen if seen.method == "POST"]
    assert outcome.complete
    assert outcome.follow_ups[0].asked == 8 * 4
    half = next(text for text in asked if "The hips drop." in text and "The back stays" not in text)
    assert half.endswith("in the format asked for above.")
    assert "So the statement is true" not in "".join(asked)  # a conclusion would give the answer away
    spoilt = next(text for text in asked if "Go on from there" in text)
    assert "It is not the case that the feet do not move." in spoilt
    assert all("image_url" in json.dumps(seen.json) for seen in server.seen if seen.method == "POST")
    kept = pl.read_parquet(tmp_path / "out" / "trace_tests.parquet")
    assert dict(kept.schema) == dict(SCHEMAS["trace_tests"])
    by = {
        (r["test"], r["share"]): r["same"] for r in kept.group_by("test", "share").agg(pl.col("same").mean()).to_dicts()
    }
    assert by == {("early", 0.0): 0.0, ("early", 0.5): 0.0, ("early", 1.0): 1.0, ("mistake", 1.0): 0.0}
    result = audit(read_answers(tmp_path / "out"), read_auxiliary(tmp_path / "out"))
    figures = {f.measure: f for f in result.findings if f.audit == "traces"}
    assert figures["early_area"].value == pytest.approx(0.75)  # trapezia under 0, 0, 1 at 0, 0.5, 1
    assert figures["mistake_changes"].value == 1.0
    assert [point["same"] for point in figures["early_area"].details["points"]] == [0.0, 0.0, 1.0]  # type: ignore[index,union-attr]


def test_answers_settled_before_any_reasoning_have_no_area_and_a_rerun_asks_nothing(data: Path, tmp_path: Path) -> None:
    def settled(seen: Seen) -> Response:
        return chat(message={"reasoning_content": LONG})

    with LoopbackServer(settled) as server:
        run(with_tests(data, server), out=tmp_path / "out")
        count = len(server.seen)
        again = run(with_tests(data, server), out=tmp_path / "out")
        assert len(server.seen) == count
    assert again.complete
    assert (again.follow_ups[0].asked, again.follow_ups[0].found) == (0, 32)
    result = audit(read_answers(tmp_path / "out"), read_auxiliary(tmp_path / "out"))
    figures = {f.measure: f for f in result.findings if f.audit == "traces"}
    assert figures["early_area"].value == 0.0
    assert figures["mistake_changes"].value == 0.0


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("early = [0, 2]", "less than or equal to 1"),
        ("early = [0.5, 0.5]", "each share once"),
        ("answers = 0", "greater than or equal to 1"),
        ("erly = [0]", "did you mean 'early'"),
    ],
)
def test_a_table_of_trace_tests_is_read_strictly(data: Path, text: str, said: str) -> None:
    path = made.study(data, model=made.SIMULATED + f"\n[trace_tests]\n{text}")
    with pytest.raises(BadInput, match=said):
        Study.read(path)
