"""Strategies end to end: chains, examples and pairs reach a server of each kind as they were planned."""

from __future__ import annotations

import base64
import io
import json
import sqlite3
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

import aqaudit
import made
from aqaudit import BadInput, Study, read_answers
from aqaudit.core.records import Slot
from aqaudit.engine.preparation import RunOptions, prepare
from servers import LoopbackServer, Seen, Send, chat, gemini

STRATEGIES = '["base", "grounding", "two_step", "two_step:shown+text", "structured", "guideline", "few_shot"]'
GRID = f'strategy = {STRATEGIES}\nframing = ["positive", "negative", "neutral"]\nshots = [2]'
TASKS = '["verify", "detect", "choose", "score", "prefer"]'
OBSERVED = "The trunk is upright."
DECLARED = """
[[error]]
id = "knees"
action = "squat"
statement = "The knees fall inward."
[[choice]]
id = "hips"
action = "squat"
question = "Where are the hips?"
options = ["above", "below"]
"""


def folder(root: Path, people: int = 6) -> Path:
    """A data set of pictures with every kind of label and a training split."""
    made.folder(root, performances=2 * people, criteria=1)
    lines = []
    for i, line in enumerate((root / "clips.jsonl").read_text().splitlines()):
        labels = {"errors": {"knees": [] if i % 2 else True}, "choices": {"hips": "above" if i % 3 else "below"}}
        split = "test" if i < people else "train"
        record = {**json.loads(line), **labels, "split": split, "performer": f"s{i}"}
        Image.new("RGB", (8, 8), (i * 10, 0, 0)).save(root / record["media"])
        lines.append(json.dumps({**record, "criteria": {"c0": i % 2 == 0}}))
    (root / "clips.jsonl").write_text("\n".join(lines))
    (root / "dataset.toml").write_text((root / "dataset.toml").read_text() + DECLARED)
    return root


def study(root: Path, model: str, grid: str = GRID, tasks: str = TASKS) -> Study:
    path = made.study(root, model=model, grid=grid, tasks=tasks)
    path.write_text(path.read_text().replace('root = "."', 'root = "."\nsplit = "test"'))
    return Study.read(path)


def openai_parts(seen: Seen) -> list[str]:
    return [p["text"] if p["type"] == "text" else "(media)" for p in seen.json["messages"][-1]["content"]]


def gemini_parts(seen: Seen) -> list[str]:
    return [p.get("text", "(media)") for p in seen.json["contents"][-1]["parts"]]


def openai_reply(seen: Seen) -> Send:
    return chat(answer("\n".join(openai_parts(seen))))


def gemini_reply(seen: Seen) -> Send:
    return gemini(answer("\n".join(gemini_parts(seen))))


def answer(text: str) -> str:
    """Answer anything in its own format, without knowing what is asked."""
    asked = text.partition("End with one line")[2]
    if not asked:
        return OBSERVED
    if "number" in asked:
        return "<answer>5</answer>"
    return "<answer>True</answer>" if "True" in asked else "<answer>A</answer>"


def arrives(part: str | Slot) -> str:
    """What a server gets for a part of a planned call."""
    if not isinstance(part, Slot):
        return part
    return OBSERVED if part.name == "step" else "(media)"


PROVIDERS: dict[str, tuple[str, Any, Any]] = {
    "openai": ('provider = "openai"\nmodel = "m"\nbase_url = "URL/v1"', openai_reply, openai_parts),
    "google": (
        'provider = "google"\nmodel = "gemini-3.1-pro-preview"\nbase_url = "URL"\napi_key_env = "K"',
        gemini_reply,
        gemini_parts,
    ),
}


@pytest.mark.parametrize("provider", PROVIDERS)
def test_every_strategy_runs_on_a_server_of_each_kind_and_parts_arrive_in_the_planned_order(
    provider: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("K", "secret")
    table, reply, parts_of = PROVIDERS[provider]
    root = folder(tmp_path / "data")
    with LoopbackServer(reply) as server:
        loaded = study(root, table.replace("URL", server.url))
        outcome = aqaudit.run(loaded, out=tmp_path / "out")
        sent = [parts_of(seen) for seen in server.posts]
    assert outcome.complete, outcome.tally.failed
    answers = read_answers(tmp_path / "out")
    assert set(answers["parse"]) == {"ok"}
    assert set(answers["strategy"]) == set(json.loads(STRATEGIES))
    two = answers.filter(answers["strategy"].str.starts_with("two_step"))
    assert set(two["calls"]) == {2}
    assert set(answers.filter(strategy="few_shot")["shots"]) == {2}
    shots = answers.filter(strategy="few_shot", kind="verify")
    assert set(shots["frames_sent"]) == {3}
    planned = set()
    for request in prepare(loaded, RunOptions(out=tmp_path / "out")).plan.requests("judge"):
        for step in request.chain.steps:
            planned.add("\n".join(arrives(part) for part in step.parts))
    assert {"\n".join(parts) for parts in sent} == planned
    with sqlite3.connect(tmp_path / "out" / "answers.sqlite") as db:
        kept = db.execute("select count(*), min(said), max(said) from calls").fetchone()
    assert kept == (two.height, OBSERVED, OBSERVED)


def test_the_media_of_examples_stand_where_their_labels_are(tmp_path: Path) -> None:
    root = folder(tmp_path / "data")
    with LoopbackServer(openai_reply) as server:
        loaded = study(
            root, made.served(server.base_url), grid='strategy = ["few_shot"]\nshots = [4]', tasks='["verify"]'
        )
        aqaudit.run(loaded, out=tmp_path / "out")
        sent = [seen.json["messages"][-1]["content"] for seen in server.posts]
    labels = {json.loads(line)["media"]: json.loads(line) for line in (root / "clips.jsonl").read_text().splitlines()}
    red = {round(Image.open(root / m).getpixel((0, 0))[0] / 10): one for m, one in labels.items()}
    for content in sent:
        people = []
        for place, part in enumerate(content):
            if part["type"] == "text":
                continue
            raw = base64.b64decode(part["image_url"]["url"].partition(",")[2])
            one = red[round(Image.open(io.BytesIO(raw)).getpixel((0, 0))[0] / 10)]
            people.append(one["performer"])
            if len(people) <= 4:
                assert one["split"] == "train"
                right = "True" if one["criteria"]["c0"] else "False"
                assert f"<answer>{right}</answer>" in content[place + 1]["text"]
            else:
                assert one["split"] == "test"
        assert len(people) == len(set(people)) == 5


def test_a_data_set_with_splits_but_without_train_has_no_examples_to_give(tmp_path: Path) -> None:
    root = folder(tmp_path / "data")
    (root / "clips.jsonl").write_text((root / "clips.jsonl").read_text().replace('"train"', '"val"'))
    with pytest.raises(BadInput, match=r"no split 'train' to take examples from \(its splits: test, val\)"):
        aqaudit.run(study(root, made.SIMULATED), out=tmp_path / "out")


def test_data_sets_without_a_root_are_left_out_and_none_with_one_is_refused(tmp_path: Path) -> None:
    root = folder(tmp_path / "data")
    text = (
        'name = "two"\n[[dataset]]\nreader = "folder"\n[[dataset]]\nreader = "mtl_aqa"\n[grid]\nmodel = ["simulated"]\n'
    )
    two = Study.parse(text, roots={"folder": str(root)})
    assert two.without_root == ("mtl_aqa",)
    assert aqaudit.run(two, out=tmp_path / "out").complete
    with pytest.raises(BadInput, match=r"no data set has a root; give --root folder=PATH or --root mtl_aqa=PATH"):
        aqaudit.run(Study.parse(text), out=tmp_path / "out2")


def test_model_takes_the_place_of_the_models_of_a_study(tmp_path: Path) -> None:
    root = folder(tmp_path / "data")
    path = made.study(root, model=made.served("http://127.0.0.1:9/v1"))
    loaded = Study.read(path, models=["simulated"])
    assert list(loaded.models) == ["simulated"]
    assert loaded.text.startswith("# asked only of: simulated\n")
    assert aqaudit.run(loaded, out=tmp_path / "out").complete
    with pytest.raises(BadInput, match="'simulatd' is neither"):
        Study.read(path, models=["simulatd"])
