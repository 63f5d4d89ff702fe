"""Answers of lmms-eval, VLMEvalKit and Inspect: made samples of their files, and files that mean harm."""

from __future__ import annotations

import json
import sys
import time
import zipfile
import zlib
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

import answers_tables as tables
from aqaudit import BadInput, audit, read_answers
from aqaudit.core.table import normalise
from aqaudit.imports import bounded, inspect_ai, rows
from test_cli import Command, aqaudit, refused  # noqa: F401 - a fixture

# --- what a reply means ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("target", "said", "kind", "answer"),
    [
        ("Yes", "Yes, the back is straight.", "verify", True),
        ("no", "**No**", "verify", False),
        ("True", "<think>It looks false.</think> True", "verify", True),
        ("Yes", "I looked closely. The answer is no.", "verify", False),
        ("Yes", "Not sure.", "verify", None),
        ("B", "B", "choose", "B"),
        ("B", "(C) above the knee", "choose", "C"),
        ("B", "The answer is A.", "choose", "A"),
        ("A", "A person squats here.", "choose", None),
        ("7.5", "7", "score", 7.0),
        ("7.5", "Answer: 6.25", "score", 6.25),
        ("7.5", "about 7", "score", None),
        ("7.5", "nan", "score", None),
    ],
)
def test_a_reply_is_read_strictly(target: str, said: str, kind: str, answer: object) -> None:
    found = rows.row(target, said)
    assert found is not None
    assert found["kind"] == kind
    column = {"verify": "says_correct", "choose": "choice", "score": "score"}[kind]
    assert found.get(column) == answer
    assert found["parse"] == ("unparsed" if answer is None else "ok")


def test_free_text_is_no_question_that_can_be_audited() -> None:
    assert rows.row("a person doing squats", "Squats.") is None


@given(st.text(max_size=300), st.sampled_from(["Yes", "B", "3", "two"]))
def test_any_reply_is_read_or_not(said: str, target: str) -> None:
    found = rows.row(target, said, ["one", "two"])
    assert found is None or found["parse"] in {"ok", "unparsed"}


# --- lmms-eval -------------------------------------------------------------------------------------------------------


def lmms(folder: Path, samples: list[dict[str, Any]], task: str = "fitness_yn") -> Path:
    path = folder / "Qwen__Qwen3-VL" / f"20260101_010101_samples_{task}.jsonl"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(sample) + "\n" for sample in samples), encoding="utf-8")
    return path


def test_a_sample_log_of_lmms_eval_is_read(tmp_path: Path) -> None:
    path = lmms(
        tmp_path,
        [
            {"doc_id": 0, "input": "Is the back straight?", "target": "yes", "filtered_resps": ["Yes"], "acc": 1.0},
            {"doc_id": 1, "target": "no", "resps": [["<think>Hm.</think>No."]], "filtered_resps": ["No."]},
            {"doc_id": 2, "target": "no", "filtered_resps": ["It depends"]},
            {"doc_id": 2, "target": "no", "filtered_resps": ["no"], "doc": {"performer": "p7", "video": "v.mp4"}},
        ],
    )
    answers = read_answers(path)
    assert answers["question_id"].to_list() == ["0", "1", "2", "2"]
    assert answers["repeat"].to_list() == [0, 0, 0, 1]
    assert answers["says_correct"].to_list() == [True, False, None, False]
    assert answers["parse"].to_list() == ["ok", "ok", "unparsed", "ok"]
    assert answers["model"].unique().to_list() == ["Qwen__Qwen3-VL"]
    assert answers["dataset"].unique().to_list() == ["fitness_yn"]
    assert answers["performer"].to_list() == ["0", "1", "2", "p7"]


def test_our_own_json_lines_are_not_taken_for_another_harness(tmp_path: Path) -> None:
    path = tmp_path / "answers.jsonl"
    path.write_text('{"question_id": "q", "kind": "verify", "gold_correct": true, "says_correct": true}\n')
    assert read_answers(path)["question_id"].to_list() == ["q"]


# --- VLMEvalKit ------------------------------------------------------------------------------------------------------

HEADER = ["index", "question", "A", "B", "C", "answer", "category", "prediction", "hit", "video"]
ROWS = [
    [1, "How deep?", "above", "level", "below", "B", "depth", "B", 1, "c1.mp4"],
    [2, "How deep?", "above", "level", "below", "C", "depth", "It is below.", 1, "c2.mp4"],
    [3, "How deep?", "above", "level", "below", "A", "depth", "I cannot tell & <b>won't</b>", 0, "c3.mp4"],
]


def workbook(path: Path, rows: list[list[Any]], *, sheet_xml: bytes | None = None) -> Path:
    """Write a workbook as spreadsheet programs do: texts shared, numbers plain, empty cells left out."""
    shared: list[str] = []
    lines = []
    for number, row in enumerate(rows, 1):
        cells = []
        for place, value in enumerate(row):
            reference = f"{chr(ord('A') + place)}{number}"
            if isinstance(value, str):
                if value:
                    shared.append(value.replace("&", "&amp;").replace("<", "&lt;"))
                    cells.append(f'<c r="{reference}" t="s"><v>{len(shared) - 1}</v></c>')
            else:
                cells.append(f'<c r="{reference}"><v>{value}</v></c>')
        lines.append(f'<row r="{number}">{"".join(cells)}</row>')
    main = 'xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"'
    body = f"<worksheet {main}><sheetData>{''.join(lines)}</sheetData></worksheet>".encode()
    path.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as book:
        book.writestr(
            "xl/sharedStrings.xml", f"<sst {main}>" + "".join(f"<si><t>{t}</t></si>" for t in shared) + "</sst>"
        )
        book.writestr("xl/worksheets/sheet1.xml", body if sheet_xml is None else sheet_xml)
    return path


def check_choices(answers: pl.DataFrame) -> None:
    assert answers["gold_choice"].to_list() == ["B", "C", "A"]
    assert answers["choice"].to_list() == ["B", "C", None]  # the second one's letter is what its own evaluation found
    assert answers["parse"].to_list() == ["ok", "ok", "unparsed"]
    assert answers["performance_id"].to_list() == ["c1.mp4", "c2.mp4", "c3.mp4"]
    assert answers["model"].unique().to_list() == ["InternVL"]
    assert answers["dataset"].unique().to_list() == ["FitBench"]
    assert answers["options"][0].to_list() == ["A", "B", "C"]


def test_a_workbook_of_vlmevalkit_is_read(tmp_path: Path) -> None:
    check_choices(read_answers(workbook(tmp_path / "InternVL" / "InternVL_FitBench_result.xlsx", [HEADER, *ROWS])))


@pytest.mark.parametrize("ending", ["tsv", "csv", "json"])
def test_its_other_formats_are_read(tmp_path: Path, ending: str) -> None:
    path = tmp_path / "InternVL" / f"InternVL_FitBench.{ending}"
    path.parent.mkdir()
    if ending == "json":
        path.write_text(json.dumps([dict(zip(HEADER, row, strict=True)) for row in ROWS]), encoding="utf-8")
    else:
        frame = pl.DataFrame(ROWS, schema=HEADER, orient="row")
        frame.write_csv(path, separator="\t" if ending == "tsv" else ",")
    check_choices(read_answers(path))


def test_its_yes_or_no_evaluation_is_used(tmp_path: Path) -> None:
    header = ["index", "answer", "prediction", "extracted", "score"]
    rows = [[1, "Yes", "It seems fine to me", "Yes", 1], [2, "No", "Hard to say", "Unknown", 0]]
    answers = read_answers(workbook(tmp_path / "m" / "m_yn_auxmatch.xlsx", [header, *rows]))
    assert answers["says_correct"].to_list() == [True, None]
    assert answers["kind"].unique().to_list() == ["verify"]


# --- Inspect ---------------------------------------------------------------------------------------------------------


def sample(number: int, target: Any, said: str, **over: Any) -> dict[str, Any]:
    message = {
        "role": "assistant",
        "content": [{"type": "reasoning", "reasoning": "I look."}, {"type": "text", "text": said}],
    }
    return {
        "id": number,
        "epoch": 1,
        "input": "…",
        "target": target,
        "output": {"completion": said, "choices": [{"message": message, "stop_reason": "stop"}]},
        "scores": {"match": {"value": "C", "answer": said}},
        "metadata": {"performer": f"p{number}", "view": "front", "severity": "high"},
        **over,
    }


SAMPLES = [
    sample(1, "yes", "Yes"),
    sample(1, "yes", "No", epoch=2),
    sample(2, ["B"], "B", choices=["up", "down"]),
    sample(3, "4", "3.5"),
    sample(4, "yes", "", error={"message": "the server was gone"}),
]
SPEC = {"task": "form", "model": "openai/gpt-x", "dataset": {"name": "fit"}}


def log(path: Path, samples: list[dict[str, Any]], **members: bytes) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("header.json", json.dumps({"version": 2, "status": "success", "eval": SPEC}))
        for one in samples:
            archive.writestr(f"samples/{one['id']}_epoch_{one['epoch']}.json", json.dumps(one))
        for name, content in members.items():
            archive.writestr(name, content)
    return path


@pytest.mark.parametrize("ending", ["eval", "json"])
def test_a_log_of_inspect_is_read(tmp_path: Path, ending: str) -> None:
    path = tmp_path / f"run.{ending}"
    if ending == "eval":
        log(path, SAMPLES)
    else:
        path.write_text(json.dumps({"version": 2, "eval": SPEC, "samples": SAMPLES}), encoding="utf-8")
    answers = read_answers(path).sort("question_id", "repeat")
    assert answers["question_id"].to_list() == ["1", "1", "2", "3"]
    assert answers["repeat"].to_list() == [0, 1, 0, 0]
    assert answers["says_correct"].to_list() == [True, False, None, None]
    assert answers["choice"].to_list() == [None, None, "B", None]
    assert answers["score"].to_list() == [None, None, None, 3.5]
    assert answers["performer"].to_list() == ["p1", "p1", "p2", "p3"]
    assert answers["view"].unique().to_list() == ["rgb"]  # its own "view" is another thing
    assert answers["reasoning"].unique().to_list() == ["I look."]
    assert answers["model"].unique().to_list() == ["openai/gpt-x"]


def test_an_exported_log_gives_the_same_figures_back(tmp_path: Path) -> None:
    made = normalise(
        pl.concat([tables.judge(0.7, rows=300), tables.marker(0.5, rows=200)], how="diagonal").with_columns(
            answer_key=pl.lit("k") + pl.int_range(pl.len()).cast(pl.String),
            reasoning=pl.lit("The knees bend. So it is true."),
            said=pl.lit("<answer>True</answer>"),
        )
    )
    (path,) = inspect_ai.write_logs(made, tmp_path / "m.eval", media=tmp_path, prompts={})
    back = read_answers(path)
    assert back.height == made.height
    assert audit(back).as_json()["findings"] == audit(made).as_json()["findings"]


# --- minimum columns -------------------------------------------------------------------------------------------------


def test_imported_answers_give_what_they_can_and_say_what_is_missing(tmp_path: Path, aqaudit: Command) -> None:  # noqa: F811
    rows = [
        {"doc_id": i, "target": ["yes", "no"][i % 2], "filtered_resps": [["yes", "no"][(i + (i % 5 == 0)) % 2]]}
        for i in range(200)
    ]
    path = lmms(tmp_path, rows)
    result = audit(read_answers(path))
    first = next(f for f in result.findings if f.measure == "balanced_accuracy")
    assert first.value == pytest.approx(0.8)
    assert first.low is not None
    skipped = {f.audit: f.why for f in result.findings if f.verdict == "skipped" and not f.scope}
    assert "reasoning" in skipped["traces"]
    assert all(why for why in skipped.values())
    shown = aqaudit("audit", path)
    assert shown.code == 0
    assert "0.80" in shown.out


# --- files that mean harm --------------------------------------------------------------------------------------------


def test_archives_that_unpack_to_more_than_allowed_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bounded, "MOST_OF_ONE", 100_000)
    bomb = log(tmp_path / "bomb.eval", [], **{"samples/1_epoch_1.json": b" " * 5_000_000})
    with pytest.raises(BadInput, match="larger than allowed"):
        read_answers(bomb)
    monkeypatch.setattr(bounded, "MOST_OF_ALL", 1_000_000)
    with pytest.raises(BadInput, match="unpack to more"):
        read_answers(bomb)
    monkeypatch.setattr(bounded, "MOST_MEMBERS", 1)
    with pytest.raises(BadInput, match="holds 2 files"):
        read_answers(bomb)


def test_entities_are_refused_in_workbooks(tmp_path: Path) -> None:
    laughs = b'<!DOCTYPE x [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;">]><worksheet>&b;</worksheet>'
    path = workbook(tmp_path / "m" / "m_d.xlsx", [HEADER], sheet_xml=laughs)
    with pytest.raises(BadInput, match="declares entities"):
        read_answers(path)


def test_a_cell_far_to_the_right_takes_no_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    main = 'xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"'
    row = '<row><c r="ZZZ1"><v>1</v></c></row>' * 2000
    path = workbook(tmp_path / "w.xlsx", [], sheet_xml=f"<worksheet {main}>{row}</worksheet>".encode())
    monkeypatch.setattr(bounded, "_MOST_CELLS", 100_000)
    began = time.process_time()
    with pytest.raises(BadInput, match="more than 100,000 cells"):
        list(bounded.sheet(path))
    assert time.process_time() - began < 5


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("a.eval", b"not a zip", "not a readable zip"),
        ("a.xlsx", b"PK\x03\x04 broken", "not a readable zip"),
        ("a.json", b"[" * 200_000, "nested too deeply"),
        ("a.json", b'{"a": 1}', "neither a log of Inspect nor a list"),
        ("a.json", b'{"eval": 3, "samples": []}', "has no 'eval'"),
        ("a.json", b'{"eval": {}, "samples": []}', "holds no answers"),
        ("a.json", b'{"eval": {}, "samples": [3]}', "without an id"),
        ("a.json", b'[{"index": 1, "answer": "a red car", "prediction": "x"}]', "neither yes or no"),
        ("a.json", b"\xff\xfe", "not UTF-8"),
        ("a.tsv", b"index\tanswer\n1\tA\n", "column 'prediction' is missing"),
        ("a.csv", b"", "column 'index' is missing"),
        ("samples_x.jsonl", b'{"doc_id": 1, "target": "a car", "resps": [["x"]]}\n', "neither yes or no"),
        ("samples_x.jsonl", b'{"doc_id": 1, "target": "yes", "resps": [["x"]]}\n3\n', "line 2"),
        ("answers.txt", b"x", ".eval, .json, .xlsx, .tsv, .csv of other harnesses"),
    ],
)
def test_what_cannot_be_read_is_one_clear_line(
    tmp_path: Path,
    name: str,
    content: bytes,
    said: str,
    aqaudit: Command,  # noqa: F811
) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    assert said in refused(aqaudit("audit", path))


def test_damaged_members_are_refused(tmp_path: Path) -> None:
    path = log(tmp_path / "run.eval", SAMPLES)
    content = bytearray(path.read_bytes())
    place = content.find(b"samples/1_epoch_1.json") + 40
    content[place : place + 40] = b"\x00" * 40
    path.write_bytes(bytes(content))
    with pytest.raises(BadInput, match="samples/1_epoch_1"):
        read_answers(path)


def zstandard_log(path: Path, samples: list[dict[str, Any]]) -> Path:
    """Write a log packed with Zstandard, as newer versions of Inspect do: stored first, then the headers changed."""
    zstandard = pytest.importorskip("zstandard")
    contents = {"header.json": {"version": 2, "eval": SPEC}}
    contents |= {f"samples/{one['id']}_epoch_{one['epoch']}.json": one for one in samples}
    texts = {name: json.dumps(content).encode() for name, content in contents.items()}
    with zipfile.ZipFile(path, "w") as archive:
        for name, text in texts.items():
            archive.writestr(name, zstandard.ZstdCompressor().compress(text))
        places = [(info.filename, info.header_offset) for info in archive.infolist()]
    raw = bytearray(path.read_bytes())
    central = raw.find(b"PK\x01\x02")
    for name, local in places:
        for at, offset in ((local, 0), (central, 2)):
            raw[at + 8 + offset : at + 10 + offset] = (93).to_bytes(2, "little")
            raw[at + 14 + offset : at + 18 + offset] = zlib.crc32(texts[name]).to_bytes(4, "little")
            raw[at + 22 + offset : at + 26 + offset] = len(texts[name]).to_bytes(4, "little")
        central += 46 + len(name)
    path.write_bytes(bytes(raw))
    return path


def test_logs_packed_with_zstandard_are_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = zstandard_log(tmp_path / "run.eval", SAMPLES)
    assert read_answers(path).equals(read_answers(log(tmp_path / "other.eval", SAMPLES)))
    raw = bytearray(path.read_bytes())
    raw[200:220] = b"\x00" * 20
    (tmp_path / "damaged.eval").write_bytes(bytes(raw))
    with pytest.raises(BadInput, match=r"cannot be unpacked|is not JSON"):
        read_answers(tmp_path / "damaged.eval")
    monkeypatch.setattr(bounded, "MOST_OF_ONE", 60)
    with pytest.raises(BadInput, match=r"larger than allowed|cannot be unpacked"):
        read_answers(path)
    monkeypatch.setitem(sys.modules, "zstandard", None)
    with pytest.raises(BadInput, match=r"pip install 'aqaudit\[import\]'"):
        read_answers(path)
