"""Figures and tables for papers: the page's numbers, whole files, and the same bytes every time."""

from __future__ import annotations

import csv
import json
import os
import re
import subprocess
import sys
import xml.etree.ElementTree as ET
from html.parser import HTMLParser
from pathlib import Path

import pytest
from typer.testing import CliRunner

from aqaudit import BadInput
from aqaudit.cli import app
from aqaudit.reporting.folder import write
from aqaudit.table import to_frame, write_parquet
from report_sample import answer, sample

RUNNER = CliRunner()
#: Names that a specification, a page and LaTeX could take for more than a name.
UNIT = "a.b[c]'d\""
TASK = "<i>50%_&"


def paired(i: int, order: str) -> dict[str, object]:
    second = "other" if i < 20 else "this"
    return {
        "kind": "prefer",
        "model": "demo",
        "task": "pairs",
        "question_id": f"q{i}",
        "performance_id": f"a{i}",
        "other_id": f"b{i}",
        "performer": f"s{i % 9}",
        "pair_order": order,
        "gold_prefer": "this",
        "gold_score": float(i),
        "other_gold_score": 0.0,
        "scale_min": 0.0,
        "scale_max": 50.0,
        "prefer": "this" if order == "ab" else second,
    }


def rows() -> list[object]:
    found: list[object] = [
        answer(f"s{i}", kind="detect", framing="negative", task=TASK, error="[knees]", severity=float(i % 8 * 5),
               unit=UNIT, tolerance=10.0, performer=f"s{i % 10}", gold_correct=i % 8 < 3, says_correct=i % 8 < 4,
               p_correct=0.9 if i % 2 else 0.6)
        for i in range(120)
    ]  # fmt: skip
    found += [
        answer(f"v{i}{clip}{way}", question_id=f"q{i}", performance_id=f"p{i}", performer=f"s{i % 12}",
               perturbation=clip, framing=way, gold_correct=i % 2 == 0,
               says_correct=(i % 2 == 0) if clip == "none" else way == "positive")
        for i in range(48) for clip in ("none", "blank") for way in ("positive", "negative")
    ]  # fmt: skip
    return [*found, *(answer(f"p{i}{order}", **paired(i, order)) for i in range(30) for order in ("ab", "ba"))]


@pytest.fixture(scope="module")
def homes(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Two folders of answers with their reports and, in ``paper``, what is written for papers."""
    for module in ("altair", "vl_convert", "great_tables"):
        pytest.importorskip(module, reason=f"{module} is not installed (extra figures)")
    homes = []
    for name, frame in (("sample", sample(n=400)), ("rich", to_frame(rows()))):  # type: ignore[arg-type]
        home = tmp_path_factory.mktemp(name)
        write_parquet(frame, home / "answers.parquet")
        write(home)
        done = RUNNER.invoke(app, ["export", "figures", str(home)])
        assert done.exit_code == 0, done.output
        homes.append(home)
    return homes


def cells(path: Path) -> list[list[str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.reader(file))


def as_csv(value: object) -> str:
    return "" if value is None else str(value)


def data_of(spec: dict[str, object]) -> list[dict[str, object]]:
    data = spec["data"]
    assert isinstance(data, dict)
    return list(data["values"])


class Cells(HTMLParser):
    """The texts of a table's cells, row by row."""

    def __init__(self) -> None:
        super().__init__()
        self.rows: list[list[str]] = []
        self._inside = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag == "tr":
            self.rows.append([])
        self._inside = tag in {"td", "th"}
        if self._inside:
            self.rows[-1].append("")

    def handle_endtag(self, tag: str) -> None:
        self._inside = self._inside and tag not in {"td", "th"}

    def handle_data(self, data: str) -> None:
        if self._inside:
            self.rows[-1][-1] += data


def test_every_figure_and_table_of_the_report_is_there_under_its_name(homes: list[Path]) -> None:
    for home in homes:
        paper = home / "paper"
        drawn = {path.stem for path in (home / "figures").glob("*.csv")}
        assert drawn
        for suffix in (".vl.json", ".svg"):
            assert {path.name.removesuffix(suffix) for path in (paper / "figures").glob(f"*{suffix}")} == drawn
        assert {row[0] for row in cells(paper / "figures" / "captions.csv")[1:]} == drawn
        tables = {path.stem for path in (home / "tables").glob("*.csv")}
        for suffix in ("html", "tex"):
            assert {path.stem for path in (paper / "tables").glob(f"*.{suffix}")} == tables
        assert not list(paper.rglob("*.part"))


def test_a_specification_is_valid_and_holds_the_numbers_of_the_reports_csv(homes: list[Path]) -> None:
    import altair as alt

    groups = set()
    for home in homes:
        for path in (home / "paper" / "figures").glob("*.vl.json"):
            spec = json.loads(path.read_text(encoding="utf-8"))
            alt.Chart.from_dict(spec, validate=True)
            assert "url" not in json.dumps(spec)
            columns, *beside = cells(home / "figures" / f"{path.name.removesuffix('.vl.json')}.csv")
            assert [list(row) for row in data_of(spec)] == [columns] * len(beside), path.name
            assert [[as_csv(row[c]) for c in columns] for row in data_of(spec)] == beside, path.name
            groups.add(path.name.partition("-")[0])
    assert groups >= {"calibration", "framing", "order", "psychometric", "vision", "qwen3"}


def test_a_picture_parses_and_holds_its_axes_and_every_point(homes: list[Path]) -> None:
    for home in homes:
        for path in (home / "paper" / "figures").glob("*.svg"):
            root = ET.fromstring(path.read_text(encoding="utf-8"))
            said = {"".join(node.itertext()) for node in root.iter("{http://www.w3.org/2000/svg}text")}
            columns, *beside = cells(home / "figures" / f"{path.stem}.csv")
            if columns[0] != "of" and columns[2] == "low":
                assert set(columns[:2]) <= said, path.name
                shapes = [n for n in root.iter() if "aria-roledescription" in n.attrib]
                assert sum(n.get("aria-roledescription") == "point" for n in shapes) == len(beside), path.name
            elif columns[0] == "of":
                assert any(word.startswith("share that") or "accuracy" in word for word in said), path.name
                assert {row[0] for row in beside} <= said, path.name
            else:
                assert {columns[0], "share of answers" if columns[0] == "truth" else "answers"} <= said, path.name
    assert any(UNIT in cells(path)[0][0] for path in (homes[1] / "figures").glob("psychometric*.csv"))


def test_simulated_and_demo_models_are_called_that_in_pictures_captions_and_under_tables(homes: list[Path]) -> None:
    for home, model, word in ((homes[0], "judge-always-kind", "Simulated judge"), (homes[1], "demo", "Demonstration")):
        pictures = sorted((home / "paper" / "figures").glob("*.svg"))
        marked = [path.stem for path in pictures if word in path.read_text(encoding="utf-8")]
        assert marked
        assert marked == [path.stem for path in pictures if model in path.stem.split("-clinic")[0].split("-ui-")[0]]
        assert {row[0] for row in cells(home / "paper" / "figures" / "captions.csv") if word in row[3]} == set(marked)
        for path in (home / "paper" / "tables").iterdir():
            assert word in path.read_text(encoding="utf-8"), path.name


def test_latex_is_balanced_and_holds_every_cell(homes: list[Path]) -> None:
    for home in homes:
        for path in (home / "paper" / "tables").glob("*.tex"):
            tex = path.read_text(encoding="utf-8")
            opened: list[str] = []
            for kind, name in re.findall(r"\\(begin|end)\{([^}]*)\}", tex):
                if kind == "begin":
                    opened.append(name)
                else:
                    assert opened.pop() == name, path.name
            assert not opened
            bare = re.sub(r"\\[\\{}%&#_$]", "", tex)
            assert bare.count("{") == bare.count("}"), path.name
            body = tex.partition(r"\addlinespace[2.5pt]")[2].partition(r"\bottomrule")[0]
            if "longtable" in tex:
                body = tex.rpartition(r"\addlinespace[2.5pt]")[2]
            columns, *beside = cells(home / "tables" / f"{path.stem}.csv")
            lines = [line for line in body.splitlines() if re.search(r"\\\\\s*$", line) and " & " in line]
            assert len(lines) == len(beside), path.name
            assert all(len(re.findall(r"(?<!\\)&", line)) == len(columns) - 1 for line in lines), path.name
            assert not re.search(r"^[\[*]", tex, re.MULTILINE)


def test_html_holds_the_cells_of_the_report_and_nothing_of_outside_gets_to_be_markup(homes: list[Path]) -> None:
    for home in homes:
        for path in (home / "paper" / "tables").glob("*.html"):
            html = path.read_text(encoding="utf-8")
            assert TASK not in html
            parser = Cells()
            parser.feed(html)
            columns, *beside = cells(home / "tables" / f"{path.stem}.csv")
            body = [row for row in parser.rows if len(row) == len(columns)]
            assert [word.strip() for word in body[0]] == [c.replace("_", " ") for c in columns]
            assert len(body) == 1 + len(beside), path.name
            for shown, exact in zip(body[1:], beside, strict=True):
                for cell, value in zip(shown, exact, strict=True):
                    if value and len(value) <= 100 and not re.fullmatch(r"'?[-\d.e]+", value):
                        assert cell.strip() == value, path.name
    assert any(TASK.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;") in path.read_text(encoding="utf-8")
               for path in (homes[1] / "paper" / "tables").glob("*.html"))  # fmt: skip


def test_another_process_writes_the_same_bytes(homes: list[Path], tmp_path: Path) -> None:
    home = homes[1]
    command = [sys.executable, "-m", "aqaudit.cli", "export", "figures", str(home), "--out", str(tmp_path / "again")]
    subprocess.run(command, check=True, capture_output=True, env={**os.environ, "PYTHONHASHSEED": "77"})
    first = {p.relative_to(home / "paper"): p.read_bytes() for p in (home / "paper").rglob("*.*")}
    assert {p.relative_to(tmp_path / "again"): p.read_bytes() for p in (tmp_path / "again").rglob("*.*")} == first


@pytest.mark.parametrize("library", ["great_tables", "altair", "vl_convert"])
def test_without_the_extra_one_line_says_what_to_install(library: str, tmp_path: Path) -> None:
    if library != "great_tables":
        pytest.importorskip("great_tables", reason="great_tables is not installed (extra figures)")
    write_parquet(sample(n=40), tmp_path / "answers.parquet")
    code = f"import sys; sys.modules[{library!r}] = None; from aqaudit.cli import main; main()"
    done = subprocess.run(
        [sys.executable, "-c", code, "export", "figures", str(tmp_path)], check=False, capture_output=True, text=True
    )
    assert (done.returncode, done.stdout) == (2, "")
    assert re.fullmatch(r"aqaudit: .*: pip install 'aqaudit\[figures\]'\n", done.stderr), done.stderr
    assert not (tmp_path / "paper").exists()


def test_a_file_in_the_way_is_named(homes: list[Path], tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("", encoding="utf-8")
    with pytest.raises(BadInput, match="taken: is a file; name a folder with --out"):
        RUNNER.invoke(app, ["export", "figures", str(homes[0]), "-o", str(tmp_path / "taken")], catch_exceptions=False)
