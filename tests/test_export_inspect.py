"""Logs of Inspect AI: what is in them, the same bytes every time, and that Inspect itself reads and scores them."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import zipfile
from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest
from typer.testing import CliRunner

from aqaudit import BadInput
from aqaudit.cli import app
from aqaudit.core.table import write_parquet
from aqaudit.imports.inspect_ai import target, write_logs
from report_sample import answer, sample, to_frame


def read(path: Path, name: str) -> object:
    with zipfile.ZipFile(path) as log:
        return json.loads(log.read(name))


def samples(path: Path) -> list[dict[str, object]]:
    with zipfile.ZipFile(path) as log:
        return [json.loads(log.read(name)) for name in log.namelist() if name.startswith("samples/")]


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    home = tmp_path_factory.mktemp("run")
    write_parquet(sample(home / "media", n=120), home / "answers.parquet")
    return home


@pytest.fixture(scope="module")
def logs(home: Path) -> list[Path]:
    frame = sample(home / "media", n=120)
    asked = dict.fromkeys(frame["answer_key"].to_list()[::2], "Is <it> so?")
    return write_logs(frame, home / "logs", media=home / "media", prompts=asked)


def test_one_log_a_model_one_sample_an_answer(logs: list[Path]) -> None:
    assert [path.name for path in logs] == ["gemini-3.1-pro.eval", "judge-always-kind.eval", "qwen3-vl.eval"]
    for path in logs:
        found = samples(path)
        assert len(found) == 40
        assert len({(one["id"], one["epoch"]) for one in found}) == 40
        header = read(path, "header.json")
        assert header["version"] == 2  # type: ignore[index]
        assert header["eval"]["model"] == f"none/{path.stem}"  # type: ignore[index]
        assert len(read(path, "summaries.json")) == 40  # type: ignore[arg-type]


def test_pictures_are_references_and_no_bytes(logs: list[Path], home: Path) -> None:
    parts = [part for one in samples(logs[0]) for part in one["input"][0]["content"]]  # type: ignore[index]
    pictures = [part["image"] for part in parts if part["type"] == "image"]
    assert len(pictures) == 400
    assert all((home / name).is_file() and not Path(name).is_absolute() for name in pictures)
    assert {part["text"] for part in parts if part["type"] == "text"} >= {"Is <it> so?"}
    assert "base64" not in json.dumps(samples(logs[0]))


def test_scores_and_targets_agree_with_the_answers(logs: list[Path]) -> None:
    frame = sample(n=120)
    by_key = {row["answer_key"]: row for row in frame.iter_rows(named=True)}
    seen = set()
    for one in (one for path in logs for one in samples(path)):
        row = by_key[one["metadata"]["answer_key"]]  # type: ignore[index]
        value = one["scores"]["aqaudit"]["value"]  # type: ignore[index]
        if row["parse"] != "ok":
            assert value == "N"
        elif row["kind"] == "score":
            assert value == row["score"]
        elif row["kind"] in {"verify", "detect"}:
            assert (value == "C") == (row["says_correct"] == row["gold_correct"])
            # Right answers say the word that is the target.
            assert (row["answered"] == one["target"]) == (value == "C")
        seen.add(str(value)[:1])
    assert {"C", "I", "N"} <= seen


@pytest.mark.parametrize(
    ("fields", "right"),
    [
        ({"gold_correct": True, "answer_words": "true_false"}, "True"),
        ({"gold_correct": True, "framing": "negative", "answer_words": "yes_no"}, "No"),
        ({"gold_correct": False, "framing": "positive", "answer_words": "a_b", "option_order": [1, 0]}, "A"),
        ({"gold_correct": True, "framing": "neutral", "answer_words": "a_b", "option_order": [1, 0]}, "B"),
        ({"gold_correct": None}, ""),
        ({"kind": "choose", "options": ["x", "y", "z"], "gold_choice": "z", "option_order": [2, 0, 1]}, "A"),
        ({"kind": "choose", "options": ["x", "y"], "gold_choice": "y"}, "B"),
        ({"kind": "choose", "options": ["x"], "gold_choice": "q"}, ""),
        ({"kind": "prefer", "gold_prefer": "this", "pair_order": "ba"}, "B"),
        ({"kind": "prefer", "gold_prefer": "this", "pair_order": "ab", "framing": "negative"}, "B"),
        ({"kind": "prefer", "gold_prefer": "tie", "pair_order": "ab"}, ""),
        ({"kind": "score", "gold_score": 21.5}, "21.5"),
    ],
)
def test_the_target_is_the_word_letter_or_number_as_it_was_asked(fields: dict[str, object], right: str) -> None:
    assert target(to_frame([answer("1", **fields)]).row(0, named=True)) == right


def test_repeats_are_epochs_of_one_sample(tmp_path: Path) -> None:
    rows = [
        answer(f"{i}", question_id="q", performance_id="p", repeat=i, gold_correct=True, says_correct=i == 0)
        for i in range(3)
    ]
    (path,) = write_logs(to_frame(rows), tmp_path / "one.eval", media=tmp_path, prompts={})
    assert sorted(one["epoch"] for one in samples(path)) == [1, 2, 3]  # type: ignore[type-var]
    assert len({one["id"] for one in samples(path)}) == 1
    assert read(path, "header.json")["eval"]["config"]["epochs"] == 3  # type: ignore[index]


def test_the_same_answers_give_the_same_bytes_in_any_order(tmp_path: Path) -> None:
    frame = sample(n=60)
    first = [p.read_bytes() for p in write_logs(frame, tmp_path / "a", media=tmp_path, prompts={})]
    mixed = frame.sample(fraction=1.0, shuffle=True, seed=5)
    assert first == [p.read_bytes() for p in write_logs(mixed, tmp_path / "b", media=tmp_path, prompts={})]


def test_hostile_names_stay_inside_the_log_and_the_folder(tmp_path: Path) -> None:
    bad = "../../etc/passwd\x00<script>"
    fields = dict.fromkeys(("model", "question_id", "performance_id", "task", "said", "dataset"), bad)
    frame = to_frame([answer("1", **fields, gold_correct=True, says_correct=True, media_sha256=["../../x"])])
    (path,) = write_logs(frame, tmp_path / "logs", media=tmp_path, prompts={})
    assert path.parent == tmp_path / "logs"
    with zipfile.ZipFile(path) as log:
        assert not [name for name in log.namelist() if ".." in name or name.startswith("/")]


def test_the_command_says_what_it_wrote_and_what_it_cannot(home: Path, tmp_path: Path) -> None:
    run: Callable[..., object] = CliRunner().invoke
    result = run(app, ["export", "inspect", str(home), "-o", str(tmp_path / "logs")])
    assert len(result.stdout.splitlines()) == 3  # type: ignore[attr-defined]
    one = run(app, ["export", "inspect", str(home), "-o", str(tmp_path / "q.eval"), "--model", "qwen3-vl"])
    assert one.stdout.strip() == str(tmp_path / "q.eval")  # type: ignore[attr-defined]
    with pytest.raises(BadInput, match=r"a log holds one model, the answers are of gemini-3\.1-pro"):
        run(app, ["export", "inspect", str(home), "-o", str(tmp_path / "q.eval")], catch_exceptions=False)
    with pytest.raises(BadInput, match="did you mean 'qwen3-vl'"):
        run(app, ["export", "inspect", str(home), "-o", "x", "--model", "qwen3-v"], catch_exceptions=False)
    with pytest.raises(BadInput, match="no answers to export"):
        write_logs(pl.DataFrame(to_frame([])), tmp_path / "none", media=tmp_path, prompts={})


@pytest.fixture(scope="module")
def inspect() -> str:
    """The command of Inspect AI, which lives in an environment of its own."""
    given = os.environ.get("AQAUDIT_INSPECT", "") or shutil.which("inspect") or ""
    if not Path(given).is_file():
        if "inspect" in os.environ.get("AQAUDIT_REQUIRE", "").split(","):
            pytest.fail("AQAUDIT_REQUIRE names inspect, and AQAUDIT_INSPECT names no file")
        pytest.skip("needs Inspect AI: pip install inspect-ai in another environment, AQAUDIT_INSPECT=.../bin/inspect")
    return given


READ = """
import sys
from inspect_ai.log import read_eval_log
for path in sys.argv[1:]:
    log = read_eval_log(path)
    images = [p for s in log.samples for p in s.input[0].content if p.type == "image"]
    print(log.eval.model, len(log.samples), len(images), sum(s.scores["aqaudit"].value == "C" for s in log.samples))
"""


def test_inspect_reads_every_sample(inspect: str, logs: list[Path]) -> None:
    python = Path(inspect).with_name("python")
    done = subprocess.run([python, "-c", READ, *logs], capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    right = {path.stem: sum(one["scores"]["aqaudit"]["value"] == "C" for one in samples(path)) for path in logs}  # type: ignore[index]
    assert done.stdout.splitlines() == [f"none/{name} 40 400 {right[name]}" for name in right]


def test_inspect_scores_a_log(inspect: str, logs: list[Path], tmp_path: Path) -> None:
    out = tmp_path / "scored.eval"
    words = ["score", str(logs[2]), "--scorer", "includes", "--action", "append", "--output-file", str(out)]
    done = subprocess.run(
        [inspect, *words], capture_output=True, text=True, timeout=300, check=False, cwd=tmp_path,
        env={**os.environ, "HOME": str(tmp_path)},
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    code = (
        "import sys\nfrom inspect_ai.log import read_eval_log\nlog = read_eval_log(sys.argv[1])\n"
        "for s in log.samples: print(s.metadata['kind'], s.scores['aqaudit'].value, s.scores['includes'].value)"
    )
    python = Path(inspect).with_name("python")
    read_again = subprocess.run([python, "-c", code, out], capture_output=True, text=True, timeout=300, check=True)
    lines = [line.split() for line in read_again.stdout.splitlines()]
    assert len(lines) == 40
    # Where a word was asked for, Inspect's own scorer agrees with ours.
    words_only = [(ours, theirs) for kind, ours, theirs in lines if kind == "verify" and ours != "N"]
    assert words_only
    assert all(ours == theirs for ours, theirs in words_only)
