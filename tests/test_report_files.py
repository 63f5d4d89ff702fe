"""The files of a report: the page, tables and figures beside it."""

from __future__ import annotations

import csv
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest

import aqaudit
from aqaudit import report
from aqaudit.audits import audit
from aqaudit.core.records import BadInput
from aqaudit.core.table import write_parquet
from aqaudit.reporting import figures, tables
from report_sample import STUDY, answer, failures, sample, to_frame


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    home = tmp_path_factory.mktemp("run")
    write_parquet(sample(home / "media"), home / "answers.parquet")
    failures().write_parquet(home / "failures.parquet")
    (home / "study.toml").write_text(STUDY, encoding="utf-8")
    report(home)
    return home


def test_a_run_folder_gets_its_page_tables_and_figures(folder: Path) -> None:
    page = folder / "report.html"
    html = page.read_text(encoding="utf-8")
    assert "AQAudit report: sample" in html
    assert "data:image/jpeg" in html
    assert "timeout" in html
    assert {p.name for p in (folder / "tables").iterdir()} >= {
        f"{name}.{suffix}"
        for name in (
            *("headline", "findings", "answers_read", "failures", "inputs", "models", "costs"),
            *("destinations", "prompts"),
        )
        for suffix in ("csv", "tex")
    }
    drawn = sorted(p.name for p in (folder / "figures").iterdir())
    assert len(drawn) >= 24
    assert "qwen3-vl-clinic-squat-verify.svg" in drawn
    assert not list(folder.rglob("*.part"))


def test_writing_again_gives_the_same_bytes(folder: Path) -> None:
    written = [folder / "report.html", *(folder / "tables").iterdir(), *(folder / "figures").iterdir()]
    first = [path.read_bytes() for path in written]
    assert report(folder) == written[0]
    assert [path.read_bytes() for path in written] == first


def test_an_answers_file_alone_is_enough(folder: Path, tmp_path: Path) -> None:
    source = tmp_path / "mine.jsonl"
    source.write_text('{"question_id": "q1", "kind": "verify", "gold_correct": true, "says_correct": false}\n')
    page = report(source, out=tmp_path / "deep" / "r.html", frames=False)
    assert "Not recorded in these answers: unknown." in page.read_text(encoding="utf-8")
    assert (tmp_path / "deep" / "tables" / "headline.csv").is_file()


def test_the_library_writes_a_report_again_and_again(tmp_path: Path) -> None:
    source = tmp_path / "mine.jsonl"
    source.write_text('{"question_id": "q1", "kind": "verify", "gold_correct": true, "says_correct": false}\n')
    assert aqaudit.report(source) == aqaudit.report(source) == tmp_path / "report.html"


def test_the_headline_csv_holds_the_unrounded_findings(folder: Path) -> None:
    with (folder / "tables" / "headline.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    found = [f for f in audit(sample()).findings if f.headline]
    assert sorted(float(r["value"]) for r in rows) == sorted(f.value for f in found if f.value is not None)
    assert {r["verdict"] for r in rows} <= {"fit so far", "doubtful", "not fit", "cannot tell"}


def test_a_page_that_cannot_be_written_is_one_clear_line(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="is a folder; name the page"):
        report(folder, out=tmp_path)
    (tmp_path / "file").write_text("")
    with pytest.raises(BadInput, match="cannot be written"):
        report(folder, out=tmp_path / "file" / "report.html")
    with pytest.raises(BadInput, match="no answers here"):
        report(tmp_path)


def test_figures_are_svg_files_that_stand_alone(folder: Path) -> None:
    for path in (folder / "figures").glob("*.svg"):
        root = ET.parse(path).getroot()
        assert root.tag == "{http://www.w3.org/2000/svg}svg"
        assert root.attrib["aria-label"]
        assert "prefers-color-scheme: dark" in path.read_text(encoding="utf-8")


def test_claims_are_counted_against_the_truth() -> None:
    given = [(True, True)] * 3 + [(True, None)] + [(False, True)] * 2 + [(False, False)]
    frame = to_frame(
        [
            answer(f"{i}", gold_correct=gold, says_correct=says, parse="unparsed" if says is None else "ok")
            for i, (gold, says) in enumerate(given)
        ]
    )
    figure = figures.drawn(frame)[0]
    assert figure.table.rows == (("correct", 4, 3, 0, 1), ("error", 3, 2, 1, 0))
    assert "Of 4 answers where the truth is 'correct', 3 say correct, 0 say error, 1 hold no verdict." in figure.alt


def test_scores_are_binned_over_the_scale_and_strays_counted_at_its_ends() -> None:
    pairs = [(0.0, 0.0), (12.0, 11.99), (6.0, 14.0), (3.0, None)]
    frame = to_frame(
        [
            answer(
                f"{i}",
                kind="score",
                gold_score=gold,
                score=score,
                scale_min=0.0,
                scale_max=12.0,
                parse="unparsed" if score is None else "ok",
            )
            for i, (gold, score) in enumerate(pairs)
        ]
    )
    figure = figures.drawn(frame)[0]
    assert [row[1] for row in figure.table.rows] == [1, 0, 0, 1, 0, 0, 1, 0, 0, 0, 0, 1]
    assert [row[2] for row in figure.table.rows] == [1] + [0] * 10 + [2]
    assert figure.note == "1 scores outside the scale are counted at its ends."


def test_perturbed_answers_are_in_no_distribution() -> None:
    frame = to_frame(
        [
            answer("1", gold_correct=True, says_correct=True),
            answer("2", gold_correct=True, says_correct=False, perturbation="blank"),
        ]
    )
    figure = figures.drawn(frame)[0]
    assert figure.table.rows[0] == ("correct", 1, 1, 0, 0)


def test_rare_options_are_drawn_as_one() -> None:
    options = [f"option {i:02d}" for i in range(30)]
    frame = to_frame(
        [
            answer(f"{i}", kind="choose", options=options, gold_choice=option, choice=options[0])
            for i, option in enumerate(options)
        ]
    )
    figure = figures.drawn(frame)[0]
    assert figure.table.rows[0] == ("option 00", 1, 30)
    assert figure.table.rows[-2] == ("19 other options", 19, 0)


@pytest.mark.parametrize(
    ("endpoint", "place"),
    [
        ("in process", "this machine"),
        ("http://localhost:8000/v1", "this machine"),
        ("http://127.8.0.1/v1", "this machine"),
        ("http://[::1]:80", "this machine"),
        ("http://192.168.1.4:8000", "another machine"),
        ("https://api.example.com/v1", "another machine"),
        ("http://localhost.evil.example", "another machine"),
        (None, "unknown"),
    ],
)
def test_only_loopback_is_this_machine(endpoint: str | None, place: str) -> None:
    assert tables.place(endpoint) == place


def test_names_from_outside_are_as_harmless_as_columns() -> None:
    table = tables.Table(name="t", caption="c", columns=("task", "=cmd\x1b[31m"), rows=(("a", 1.0),))
    assert next(csv.reader(tables.as_csv(table).splitlines())) == ["task", "'=cmd"]
    assert "\x1b" not in tables.as_tex(table)


def test_a_spreadsheet_runs_no_formula_and_latex_no_command() -> None:
    table = tables.Table(
        name="t", caption="100 %", columns=("a", "b"), rows=(('=HYPERLINK("x")', r"\input{x} 5 & 3_2"),)
    )
    assert next(csv.reader(tables.as_csv(table).splitlines()[1:])) == ['\'=HYPERLINK("x")', r"\input{x} 5 & 3_2"]
    assert r"\textbackslash{}input\{x\} 5 \& 3\_2" in tables.as_tex(table)
