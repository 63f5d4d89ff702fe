"""Readers by name, and plug-ins."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from aqaudit import datasets
from aqaudit.core.records import BadInput


def test_known_data_sets_say_what_they_are() -> None:
    rows = {row.name: row for row in datasets.known()}
    built_in = ["folder", "llm_fms", "egoexo_fitness", "fitness_aqa", "finefs", "mtl_aqa", "ui_prmd"]
    assert list(rows)[: len(built_in)] == built_in
    assert all(row.licence and row.kinds and not row.failed for row in rows.values())
    assert rows["mtl_aqa"].performances == 1412
    assert rows["mtl_aqa"].kinds == ("score", "prefer")
    assert rows["folder"].performances is None
    assert "1,412 performances" in str(rows["mtl_aqa"])


def test_an_unknown_reader_option_or_root_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=r"no data set reader is called 'mtl_aq'; did you mean 'mtl_aqa'\?"):
        datasets.read("mtl_aq", tmp_path)
    with pytest.raises(BadInput, match=r"reader 'mtl_aqa' has no option 'fp'; did you mean 'fps'\?"):
        datasets.read("mtl_aqa", tmp_path, fp=3)
    with pytest.raises(BadInput, match="gone is not a folder"):
        datasets.check("folder", tmp_path / "gone")


def test_importing_the_package_loads_no_reader_and_no_library() -> None:
    code = (
        "import sys, aqaudit.datasets\n"
        "readers = {f'aqaudit.datasets.readers.{name}' for name in ('mtl_aqa', 'folder')}\n"
        "heavy = {'numpy', 'av', 'PIL', 'polars', *readers}\n"
        "print(sorted(heavy & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_a_plug_in_is_found_by_its_entry_point_and_a_broken_one_says_why(
    tmp_path: Path,
) -> None:
    (tmp_path / "my_reader.py").write_text(
        "from aqaudit.datasets import Reader, Report\n"
        "from aqaudit.core.records import Dataset\n"
        "def read(root, *, split=None): return Dataset(name='mine', root=root)\n"
        "def check(root): return Report(name='mine', root=root, counts=())\n"
        "READER = Reader(name='mine', what='w', licence='l', kinds=('score',), read=read, check=check)\n"
    )
    info = tmp_path / "my_reader-1.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: my-reader\nVersion: 1\n")
    (info / "entry_points.txt").write_text(
        "[aqaudit.datasets]\nmine = my_reader:READER\nbroken = no_such_module:READER\nother = my_reader:read\n"
    )
    code = (
        "from pathlib import Path\nfrom aqaudit import datasets\n"
        "print(datasets.read('mine', Path('.')).name)\n"
        "for row in datasets.known(): print(row)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", f"import sys; sys.path.insert(0, {str(tmp_path)!r})\n{code}"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.startswith("mine\n")
    assert "plug-in 'broken' (no_such_module:READER) does not load: ModuleNotFoundError" in done.stdout
    assert "plug-in 'other' offers a function" in done.stdout
