"""The pages as a site: MkDocs builds them without a warning, with a reference made from the code."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest
import typer.main

from aqaudit import datasets
from aqaudit.audits import AUDITS
from aqaudit.cli import app
from aqaudit.core.table import SCHEMA
from aqaudit.measures import MEASURES
from aqaudit.prompts import template

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="module")
def reference() -> ModuleType:
    spec = importlib.util.spec_from_file_location("reference", ROOT / "docs" / "reference.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_there_is_a_page_for_each_data_set_strategy_measure_and_audit(reference: ModuleType) -> None:
    pages = reference.pages()
    for folder, names in (
        ("datasets", datasets.READERS),
        ("measures", MEASURES),
        ("audits", AUDITS),
        ("strategies", {name.partition(":")[0] for name in template.strategies()}),
    ):
        for name in names:
            assert f"`{name}`" in pages[f"reference/{folder}/{name}.md"]


def test_the_references_name_every_command_option_and_column(reference: ModuleType) -> None:
    pages = reference.pages()
    root = typer.main.get_command(app)
    for name, command in root.commands.items():  # type: ignore[attr-defined]
        for inner, found in getattr(command, "commands", {"": command}).items():
            heading = f"## aqaudit {name} {inner}".strip()
            part = pages["reference/commands.md"].partition(f"{heading}\n")[2].partition("\n## ")[0]
            assert part
            for param in found.params:
                assert param.name == "help" or any(o in part for o in (*param.opts, param.name, param.name.upper())), (
                    param.name
                )
    columns = pages["reference/columns.md"]
    assert all(f"| `{column}` | " in columns for column in SCHEMA)


def test_the_site_builds_without_a_warning(tmp_path: Path) -> None:
    pytest.importorskip("material", reason="needs mkdocs-material (extra dev)")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", str(tmp_path / "site")]
    done = subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, check=False, env={**os.environ, "NO_MKDOCS_2_WARNING": "1"}
    )
    assert done.returncode == 0, done.stdout + done.stderr
    for page in ("index", "own-videos", "reference/commands", "reference/audits/chance", "extend"):
        text = next(p for p in (tmp_path / "site" / f"{page}.html", tmp_path / "site" / page / "index.html")
                    if p.is_file()).read_text(encoding="utf-8")  # fmt: skip
        assert "fonts.googleapis.com" not in text
    assert not list((tmp_path / "site").rglob("*.py"))
