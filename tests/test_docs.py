"""The pages people read: links lead somewhere, examples are accepted by the code, nothing goes unmentioned."""

from __future__ import annotations

import inspect
import json
import re
import shlex
import subprocess
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import get_args

import pytest
import typer.main

import aqaudit
import made
from aqaudit import BadInput, Study, datasets
from aqaudit.audits import AUDITS as AUDITS_MADE
from aqaudit.audits import verdicts
from aqaudit.audits.gate import read_rules
from aqaudit.cli import app
from aqaudit.core.table import DOMAINS, SCHEMA, TRUTH_AND_ANSWER
from aqaudit.datasets.clips import KEYS
from aqaudit.datasets.declarations import read_declarations
from aqaudit.imports.answers import read_answers
from aqaudit.measures import MEASURES, resample
from aqaudit.models import catalog, settings
from aqaudit.models.call import RETRYABLE, Cause
from aqaudit.models.settings import SimulatedBiases
from aqaudit.pose import kinematics
from aqaudit.reporting.verdicts import WORDS
from aqaudit.study.study import DatasetSpec, Grid, StudySpec

ROOT = Path(__file__).resolve().parent.parent
DOCS = ROOT / "docs"
PAGES = sorted([*ROOT.glob("*.md"), *DOCS.glob("*.md")])
FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
#: A comment above a block says which other test runs it (as ``file`` or ``tested by``) or why none can (``not run``).
MARKED = re.compile(r"^<!-- ([^\n]+) -->\n```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
MARKS = re.compile(r"file: [\w./-]+|tested by tests/(\w+\.py)\b.*|not run: .{10,}")
LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")


def text_of(name: str) -> str:
    return (DOCS / name).read_text(encoding="utf-8")


def section(page: str, heading: str) -> str:
    """The text below a heading of a page, up to the next heading of the same or a higher level."""
    lines = text_of(page).splitlines()
    start = next(at for at, line in enumerate(lines) if line.lstrip("#").strip() == heading and line.startswith("#"))
    level = len(lines[start]) - len(lines[start].lstrip("#"))
    for end in range(start + 1, len(lines)):
        if re.match(rf"#{{1,{level}}} ", lines[end]):
            return "\n".join(lines[start + 1 : end])
    return "\n".join(lines[start + 1 :])


def rows(text: str) -> dict[str, str]:
    """The rows of a text's tables whose first cell holds names in backticks, by name."""
    found = {}
    for line in text.splitlines():
        cells = line.strip().strip("|").split(" | ")
        if line.startswith("|") and "`" in cells[0]:
            for name in re.findall(r"`([^`]+)`", cells[0]):
                found[name] = line
    return found


def blocks(language: str) -> Iterator[tuple[str, str]]:
    for page in PAGES:
        text = page.read_text(encoding="utf-8")
        marked = {(kind, body) for _, kind, body in MARKED.findall(text)}
        for kind, body in FENCE.findall(text):
            if kind == language and (kind, body) not in marked:
                yield page.relative_to(ROOT).as_posix(), body


def anchors(page: Path) -> set[str]:
    """The anchors of a page's headings, as code forges make them."""
    prose = FENCE.sub("", page.read_text(encoding="utf-8"))
    headings = re.findall(r"^#+ (.*)$", prose, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).strip().replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=lambda p: p.name)
def test_every_relative_link_leads_somewhere(page: Path) -> None:
    for target in LINK.findall(FENCE.sub("", page.read_text(encoding="utf-8"))):
        if "://" in target:
            continue
        path, _, anchor = target.partition("#")
        file = (page.parent / path) if path else page
        assert file.is_file(), f"{page.name}: {target}"
        assert not anchor or anchor in anchors(file), f"{page.name}: {target}; there are {sorted(anchors(file))}"


def test_every_page_can_be_reached_from_the_readme() -> None:
    reached, left = set(), [ROOT / "README.md"]
    while left:
        page = left.pop()
        reached.add(page)
        targets = (target.partition("#")[0] for target in LINK.findall(page.read_text(encoding="utf-8")))
        linked = {(page.parent / target).resolve() for target in targets if target.endswith(".md")}
        left += [path for path in sorted(linked) if path.is_file() and path not in reached]
    assert set(DOCS.glob("*.md")) <= reached


def test_every_quantity_of_kinematics_stands_in_its_table_with_its_unit_and_meaning() -> None:
    table = re.findall(r"^\| `(\w+)` \| (.*?) \| (.*) \|$", section("media.md", "Kinematics"), re.MULTILINE)
    assert table == [(name, unit, what) for name, (unit, what) in kinematics.QUANTITIES.items()]
    prose = section("media.md", "Kinematics").replace("\n", " ")
    moving = re.search(r"`<name>_velocity`, in the unit a second: of the joint angles, (.*?)\.", prose)
    assert moving
    named = re.findall(r"`(\w+)`", moving[1])
    assert [name for name in kinematics.MOVING if not name.endswith("_angle")] == named
    angles = [name for name in kinematics.QUANTITIES if name.endswith("_angle")]
    assert [name for name in kinematics.MOVING if name.endswith("_angle")] == angles


def test_pictures_are_small() -> None:
    pictures = list((DOCS / "images").iterdir())
    assert pictures
    assert all(picture.stat().st_size <= 250_000 for picture in pictures)


@pytest.mark.parametrize(("page", "body"), list(blocks("toml")))
def test_every_toml_example_is_accepted(page: str, body: str, tmp_path: Path) -> None:
    table = tomllib.loads(body)
    if "grid" in table:
        Study.parse(body, where=page)
    elif table.keys() == {"models"}:
        for name, keys in table["models"].items():
            catalog.load(name, keys)
    elif table.keys() == {"require"}:
        (tmp_path / "gate.toml").write_text(body, encoding="utf-8")
        assert read_rules(tmp_path / "gate.toml", {name: audit.figures for name, audit in AUDITS_MADE.items()})
    else:
        (tmp_path / "dataset.toml").write_text(body, encoding="utf-8")
        assert read_declarations(tmp_path / "dataset.toml").name


def test_every_block_is_run_or_says_why_not() -> None:
    checked = {"toml", "console", "json", "python", "sh", "text", ""}
    for page in PAGES:
        text = page.read_text(encoding="utf-8")
        marked = {(kind, body) for _, kind, body in MARKED.findall(text)}
        for mark, _, _ in MARKED.findall(text):
            found = MARKS.fullmatch(mark)
            assert found, f"{page.name}: {mark}"
            assert found[1] is None or (ROOT / "tests" / found[1]).is_file(), f"{page.name}: {mark}"
        for kind, body in FENCE.findall(text):
            assert kind in checked or (kind, body) in marked, f"{page.name}: a block of {kind} that nothing checks"


@pytest.mark.parametrize(("page", "body"), list(blocks("json")))
def test_every_json_example_is_json(page: str, body: str) -> None:
    assert page
    for line in body.strip().splitlines() if not body.lstrip().startswith(("{\n", "[\n")) else [body]:
        json.loads(line)


@pytest.mark.parametrize(("page", "body"), list(blocks("sh")))
def test_every_shell_example_is_shell(page: str, body: str) -> None:
    done = subprocess.run(["sh", "-n"], check=False, input=body, text=True, capture_output=True)
    assert done.returncode == 0, f"{page}: {done.stderr}"


@pytest.mark.parametrize(("page", "body"), list(blocks("python")))
def test_every_python_example_runs(page: str, body: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data = made.folder(tmp_path / "my-data", performances=4)
    (tmp_path / "study.toml").write_text(
        f'name = "my-study"\n[[dataset]]\nreader = "folder"\nroot = {json.dumps(str(data))}\n'
        '[grid]\nmodel = ["simulated"]\n'
    )
    monkeypatch.chdir(tmp_path)
    aqaudit.run(Study.read("study.toml"), out="out/my-study")
    exec(compile(body, page, "exec"), {})


COMMANDS = [
    (page, line.removeprefix("$ "))
    for page, body in blocks("console")
    for line in body.splitlines()
    if line.startswith("$ ")
]


@pytest.mark.parametrize(("page", "line"), COMMANDS)
def test_every_command_line_is_understood(page: str, line: str) -> None:
    program, *words = shlex.split(line)
    if program == "python":
        assert (ROOT / words[0]).is_file()
        return
    assert program == "aqaudit"
    command = typer.main.get_command(app)
    while hasattr(command, "commands"):
        name = words.pop(0)
        assert name in command.commands, f"{page}: aqaudit has no command {name}"
        command = command.commands[name]
    command.make_context(command.name, words)  # raises where an option, its value or an argument is not right


def test_every_command_and_option_is_shown_or_explained() -> None:
    everything = " ".join(page.read_text(encoding="utf-8") for page in PAGES)
    root = typer.main.get_command(app)
    for name, command in root.commands.items():
        for inner, found in getattr(command, "commands", {"": command}).items():
            assert f"aqaudit {name} {inner}".strip() in everything
            for option in (opt for param in found.params for opt in param.opts if opt.startswith("--")):
                if option not in {"--help", "--out"}:
                    assert option in everything, f"aqaudit {name} {inner}: {option}"


@pytest.mark.parametrize(
    ("heading", "keys"),
    [
        ("Top level", StudySpec.model_fields),
        ("[[dataset]]", DatasetSpec.model_fields),
        ("[grid]", Grid.model_fields),
        ("[models.NAME]", settings.ModelEntry.model_fields),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_every_key_of_a_study_is_explained_and_no_other(heading: str, keys: dict[str, object]) -> None:
    explained = set(rows(section("study.md", heading)))
    kinds = set(TRUTH_AND_ANSWER) if heading == "[[dataset]]" else set()
    assert explained - kinds == set(keys)


def test_defaults_in_the_study_page_are_those_of_the_code() -> None:
    cells = {name: line.split(" | ")[1].strip() for name, line in rows(section("study.md", "[models.NAME]")).items()}
    numbers = {name: float(cell) for name, cell in cells.items() if re.fullmatch(r"[\d.]+", cell)}
    assert len(numbers) >= 5
    assert numbers == {name: settings.ModelEntry.model_fields[name].default for name in numbers}


def test_keys_of_skip_are_explained() -> None:
    named = set(re.findall(r"`(\w+)`", section("study.md", "[[skip]]")))
    with pytest.raises(BadInput, match="allowed: ") as caught:
        Study.parse('name = "a"\n[[dataset]]\nreader = "folder"\n[grid]\nmodel = ["simulated"]\n[[skip]]\nqqqqqq = 1\n')
    assert set(str(caught.value).partition("allowed: ")[2].split(", ")) == named


def test_every_preset_and_reader_is_named() -> None:
    for name in catalog.presets():
        assert f"`{name}`" in text_of("study.md")
    for known in datasets.known():
        assert f"`{known.name}`" in text_of("data.md")


@pytest.mark.parametrize("name", ["llm_fms", "egoexo_fitness", "fitness_aqa", "finefs", "mtl_aqa", "ui_prmd"])
def test_every_option_of_a_reader_is_explained_in_its_section_and_no_other(name: str) -> None:
    headings = re.findall(r"^## (.*)$", text_of("data.md"), re.MULTILINE)
    heading = next(one for one in headings if one.endswith(f"`{name}`"))
    assert set(rows(section("data.md", heading))) == set(datasets.READERS[name].options)
    taken = inspect.signature(datasets.READERS[name].read).parameters
    assert set(datasets.READERS[name].options) == set(taken) - {"root", "split"}


def allowed_keys(folder: Path, declarations: str) -> set[str]:
    """What the code says is allowed in place of a key that cannot be meant."""
    (folder / "dataset.toml").write_text(declarations, encoding="utf-8")
    with pytest.raises(BadInput, match="allowed: ") as caught:
        read_declarations(folder / "dataset.toml")
    return set(str(caught.value).partition("allowed: ")[2].split(", "))


def test_every_key_of_a_folder_data_set_is_explained_and_no_other(tmp_path: Path) -> None:
    declared = rows(section("data.md", "dataset.toml"))
    assert set(declared) == allowed_keys(tmp_path, 'qqqqqq = "x"')
    for entry in ("criterion", "error", "choice", "scale"):
        keys = allowed_keys(tmp_path, f'name = "x"\n[[{entry}]]\nqqqqqq = "x"')
        assert keys <= set(re.findall(r"`(\w+)`", declared[entry]))
    assert set(rows(section("data.md", "clips.jsonl"))) == set(KEYS)


def test_the_example_of_a_folder_data_set_is_one(tmp_path: Path) -> None:
    found = dict(FENCE.findall(section("data.md", "dataset.toml")) + FENCE.findall(section("data.md", "clips.jsonl")))
    (tmp_path / "dataset.toml").write_text(found["toml"], encoding="utf-8")
    (tmp_path / "clips.jsonl").write_text(found["json"], encoding="utf-8")
    report = datasets.check("folder", tmp_path)
    assert [problem for problem in report.problems if "is missing" not in problem] == []
    assert len(report.problems) == 2  # the media, which are not here


def test_every_column_is_explained_and_no_other() -> None:
    text = text_of("table.md").partition("## Answers of another harness")[0]
    explained = rows(text)
    assert list(explained) == list(SCHEMA)
    for column, allowed in DOMAINS.items():
        for value in allowed:
            assert f"`{value}`" in explained[column], f"{column}: {value}"


def test_the_example_of_another_harness_can_be_read(tmp_path: Path) -> None:
    text = section("table.md", "Answers of another harness")
    (tmp_path / "theirs.jsonl").write_text(dict(FENCE.findall(text))["json"], encoding="utf-8")
    assert read_answers(tmp_path / "theirs.jsonl").height == 2
    for kind, columns in TRUTH_AND_ANSWER.items():
        assert all(f"`{column}`" in rows(text)[kind] for column in columns)


def test_every_measure_is_defined_and_no_other() -> None:
    defined = rows(section("numbers.md", "Measures"))
    assert set(defined) == set(MEASURES)
    for name, measure in MEASURES.items():
        assert ", ".join(measure.kinds) in defined[name]


def test_thresholds_and_rules_in_the_pages_are_those_of_the_code() -> None:
    text = section("numbers.md", "Verdicts")
    for figure in verdicts.thresholds()["chance"].values():
        for value in figure.values():
            assert re.search(rf"(?<![\d.]){value:.2f}(?!\d)|(?<![\d.]){value:g}(?!\d)", text), value
    for verdict, word in WORDS.items():
        assert f"| {word} | `{verdict}` |" in text
    interval = section("numbers.md", "Intervals")
    assert f"**{resample.MIN_CLUSTERS}**" in interval
    assert f"**{resample.MIN_CLUSTERS_PER_CLASS}**" in interval
    assert f"**{resample.MAX_CLUSTER_SHARE:.0%}**".replace("%", " %") in interval
    assert f"fewer than {resample.MIN_CLUSTERS} performers" in (ROOT / "README.md").read_text(encoding="utf-8")


def test_every_cause_of_failure_is_explained_with_whether_it_is_tried_again() -> None:
    explained = rows(section("run.md", "Failures"))
    assert set(explained) == set(get_args(Cause))
    for cause, line in explained.items():
        assert line.split(" | ")[2].startswith("yes") == (cause in RETRYABLE), cause


def test_the_readme_shows_the_output_of_the_demo_as_the_makefile_runs_it() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    recipe = re.search(r"^demo:.*\n((?:\t.*\n)+)", makefile, re.MULTILINE)
    assert recipe is not None
    commands = [line.strip().replace("$(BIN)", ".venv/bin") for line in recipe[1].splitlines()]
    shown = next(body for page, body in blocks("text") if page == "README.md").splitlines()
    assert [line for line in shown if line.startswith(".venv/bin/")] == commands


def test_every_audit_is_explained_in_the_words_of_the_code() -> None:
    apart = {"traces", "psychometric"}  # pages of their own
    for name, audit in AUDITS_MADE.items():
        if name not in apart:
            text = " ".join(section("audits.md", name).split())
            for said in (audit.question, audit.interval, audit.rule, audit.advice, audit.citation):
                assert " ".join(said.split()) in text, (name, said)
            assert set(re.findall(r"`(\w+)`", text)) >= set(audit.figures)


def test_every_flaw_that_can_be_planted_is_explained() -> None:
    assert set(rows(section("audits.md", "Planted flaws"))) == set(SimulatedBiases.model_fields)
