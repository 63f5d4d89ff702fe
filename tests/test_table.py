"""The answers table: what is accepted, completed and refused."""

from __future__ import annotations

import json
import sqlite3
from datetime import timedelta
from pathlib import Path

import polars as pl
import pytest

from aqaudit import BadInput, read_answers
from aqaudit.core.table import SCHEMA, check, copy_to_parquet, normalise

MINIMUM = {
    "question_id": ["a", "b", "c"],
    "kind": ["verify", "detect", "verify"],
    "gold_correct": [True, False, True],
    "says_correct": [True, True, None],
}

#: The columns in the order of the published contract.
CONTRACT = (
    "answer_key study schema_version "
    "dataset split task kind model model_version thinking temperature max_tokens view strategy framing answer_words "
    "perturbation media_form fps_asked fps_sent frames_sent width height shots pair_order option_order repeat seed "
    "prompt_id question_id performance_id other_id pair_id performer video action criterion error severity tolerance "
    "unit family tags options gold_correct gold_score other_gold_score gold_choice gold_prefer scale_min scale_max "
    "said answered reasoning parse finish_reason says_correct score choice prefer p_correct option_logprobs "
    "calls input_tokens output_tokens reasoning_tokens seconds usd asked_at endpoint media_sha256"
).split()


def minimum(**columns: object) -> pl.DataFrame:
    return pl.DataFrame({**MINIMUM, **columns})


def test_the_columns_are_those_of_the_contract() -> None:
    assert list(SCHEMA) == CONTRACT


def test_a_minimal_table_gets_the_import_defaults() -> None:
    frame = check(normalise(minimum()))
    assert list(frame.columns) == CONTRACT
    assert frame["performer"].to_list() == frame["performance_id"].to_list() == ["a", "b", "c"]
    assert frame["framing"].to_list() == ["positive", "negative", "positive"]
    assert frame["parse"].to_list() == ["ok", "ok", "unparsed"]
    assert frame.select("perturbation", "view", "strategy", "repeat", "model", "dataset", "task").row(0) == (
        "none", "rgb", "base", 0, "unknown", "unknown", "unknown",
    )  # fmt: skip


@pytest.mark.parametrize("suffix", ["parquet", "jsonl", "sqlite"])
def test_the_same_table_is_read_from_every_format(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"answers.{suffix}"
    frame = minimum(options=[["x", "y"], None, None], asked_at=["2026-01-02T03:04:05+00:00", None, None])
    if suffix == "parquet":
        frame.write_parquet(path)
    elif suffix == "jsonl":
        frame.write_ndjson(path)
    else:
        with sqlite3.connect(path) as db:
            db.execute("create table answers (question_id, kind, gold_correct, says_correct, options, asked_at)")
            rows = [(r[0], r[1], r[2], r[3], r[4] and json.dumps(r[4]), r[5]) for r in frame.rows()]
            db.executemany("insert into answers values (?, ?, ?, ?, ?, ?)", rows)
        db.close()
    read = read_answers(path)
    assert read["says_correct"].to_list() == [True, True, None]
    assert read["options"].to_list() == [["x", "y"], None, None]
    assert read["asked_at"][0].isoformat() == "2026-01-02T03:04:05+00:00"


@pytest.mark.parametrize(
    ("columns", "said"),
    [
        ({"kind": ["verify", "detekt", "verify"]}, ["row 2", "'kind'", "detekt", "allowed: verify, detect"]),
        ({"says_correct": ["yes", "no", "maybe"]}, ["row 3", "'says_correct'", "maybe", "boolean"]),
        ({"p_correct": [0.1, 1.5, None]}, ["row 2", "'p_correct'", "1.5", "0 to 1"]),
        ({"score": [1.0, float("nan"), None]}, ["row 2", "'score'", "nan", "finite"]),
        ({"repeat": [0, -1, 0]}, ["row 2", "'repeat'", "-1", "0 or more"]),
        ({"tags": [["x"], ["y"], None]}, ["row 1", "'tags'", "['x']", "text"]),
        ({"seconds": [timedelta(seconds=1), None, None]}, ["row 1", "'seconds'", "a number"]),
        ({"asked_at": [1_700_000_000, None, None]}, ["row 1", "'asked_at'", "1700000000", "ISO 8601"]),
        ({"calls": [1.0, 1.5, 1.0]}, ["row 2", "'calls'", "1.5", "whole number"]),
        ({"answer_key": ["k", "l", "k"], "question_id": ["a", "b", "a"]}, ["row 1", "'answer_key'", "once"]),
        ({"parse": ["ok", "ok", "ok"]}, ["row 3", "'says_correct'", "parse is ok"]),
        ({"options": [["x"], None, None], "choice": ["y", None, None]}, ["row 1", "'choice'", "'y'", "options"]),
    ],
)
def test_a_bad_value_is_named_with_row_column_value_and_what_is_allowed(
    columns: dict[str, object], said: list[str]
) -> None:
    with pytest.raises(BadInput) as caught:
        check(normalise(minimum(**columns)))
    assert all(part in str(caught.value) for part in said), str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_misspelt_column_is_refused_with_the_nearest_name() -> None:
    with pytest.raises(BadInput, match=r"'performr'.*'performer'"):
        normalise(minimum(performr=["x", "y", "z"]))


def test_columns_of_another_harness_are_left_out() -> None:
    assert "lm_eval_id" not in normalise(minimum(lm_eval_id=[1, 2, 3])).columns


@pytest.mark.parametrize("missing", ["question_id", "kind", "gold_correct", "says_correct"])
def test_too_few_columns_are_refused(missing: str) -> None:
    with pytest.raises(BadInput, match=r"needs one of|is missing"):
        normalise(minimum().drop(missing))


@pytest.mark.parametrize("name", ["answers.csv", "answers.parquet", "missing.jsonl"])
def test_a_file_that_cannot_be_read_is_one_clear_line(tmp_path: Path, name: str) -> None:
    if not name.startswith("missing"):
        (tmp_path / name).write_bytes(b"not a table")
    with pytest.raises(BadInput, match=name):
        read_answers(tmp_path / name)


def test_a_folder_without_answers_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="no answers here"):
        read_answers(tmp_path)


def test_other_ways_to_write_the_same_value_are_understood() -> None:
    frame = normalise(
        minimum(
            gold_correct=[1.0, 0.0, 1.0],
            says_correct=["yes", " FALSE ", ""],
            severity=["3.5", "", "4"],
            tags=[{"camera": "front"}, {"camera": "side"}, None],
            question_id=[1, 2, 3],
            kind=pl.Series(["verify", "detect", "verify"], dtype=pl.Categorical),
        )
    )
    assert frame["gold_correct"].to_list() == [True, False, True]
    assert frame["says_correct"].to_list() == [True, False, None]
    assert frame["severity"].to_list() == [3.5, None, 4.0]
    assert json.loads(frame["tags"][0]) == {"camera": "front"}
    assert frame["question_id"].to_list() == ["1", "2", "3"]


def sqlite_table(path: Path, rows: list[tuple[object, ...]], more: str = "") -> Path:
    with sqlite3.connect(path) as db:
        db.execute(f"create table answers (question_id primary key, kind, gold_score, score, says_correct, note){more}")
        db.executemany("insert into answers values (?, ?, ?, ?, ?, ?)", rows)
    db.close()
    return path


@pytest.mark.parametrize("more", ["", " without rowid"])
def test_any_value_in_any_column_of_an_sqlite_table_is_read_or_named(tmp_path: Path, more: str) -> None:
    odd = sqlite_table(
        tmp_path / "odd.sqlite",
        [(1, "score", 4, "3.5", None, b"\x00"), ("x", b"score", 4.5, 4, "true", 2)],
        more,
    )
    read = read_answers(odd).sort("question_id")
    assert read["question_id"].to_list() == ["1", "x"]
    assert read["score"].to_list() == [3.5, 4.0]
    bad = sqlite_table(tmp_path / "bad.sqlite", [("a", "score", 4, 3.5, None, None), ("b", "score", 4, "x", None, "")])
    with pytest.raises(BadInput, match=r"row 2, column 'score': 'x' is not a number"):
        read_answers(bad)


@pytest.mark.parametrize("suffix", ["parquet", "sqlite"])
def test_a_table_without_rows_is_a_table(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"answers.{suffix}"
    if suffix == "parquet":
        minimum().clear().write_parquet(path)
    else:
        sqlite_table(path, [])
    assert read_answers(path).is_empty()
    assert list(read_answers(path).columns) == CONTRACT


def test_a_copy_as_parquet_is_the_same_table_and_is_written_whole_or_not_at_all(tmp_path: Path) -> None:
    rows = [(f"q{i:05d}", "score", i % 7, i % 5, None, "") for i in range(4500)]
    source = sqlite_table(tmp_path / "answers.sqlite", rows)
    with sqlite3.connect(source) as db:
        db.execute("alter table answers add column answer_key")
        db.execute("update answers set answer_key = 'k' || question_id")
    db.close()
    copy = tmp_path / "answers.parquet"
    copy_to_parquet(source, copy)
    assert pl.read_parquet(copy).equals(read_answers(source))
    before = copy.read_bytes()
    with sqlite3.connect(source) as db:
        db.execute("update answers set score = 1e999 where question_id = 'q04400'")
    db.close()
    with pytest.raises(BadInput, match=r"'score': inf; allowed: finite"):
        copy_to_parquet(source, copy)
    assert copy.read_bytes() == before
    assert not list(tmp_path.glob(".*"))
