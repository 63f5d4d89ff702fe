"""Positive and negative statements: every pair that AQAudit ships could be exact opposites, slips are noticed."""

from __future__ import annotations

import pkgutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from importlib import import_module
from pathlib import Path

import pytest

import aqaudit
import made_egoexo_fitness
import made_ui_prmd
from aqaudit import datasets
from aqaudit.datasets.declarations import doubts, read_declarations

ROOT = Path(__file__).resolve().parent.parent


Words = tuple[str, str]


def words_in(value: object, depth: int = 3) -> Iterator[tuple[str, Words]]:
    """Yield name and statements of everything below a value that has a positive and a negative one."""
    both = getattr(value, "positive", None), getattr(value, "negative", None)
    if isinstance(both[0], str) and isinstance(both[1], str):
        yield str(getattr(value, "id", "")), (both[0], both[1])
    elif depth and isinstance(value, Mapping):
        for inner in value.values():
            yield from words_in(inner, depth - 1)
    elif depth and isinstance(value, tuple | list | set | frozenset):
        for inner in value:
            yield from words_in(inner, depth - 1)


def shipped(folder: Path) -> dict[str, Words]:
    """Every pair of statements that the package holds: in its modules, in its data files, in what its readers make."""
    found: dict[str, Words] = {}
    home = Path(aqaudit.__file__).parent
    for name in ("datasets", "probe"):
        package = import_module(f"aqaudit.{name}")
        for module in pkgutil.iter_modules(package.__path__, f"aqaudit.{name}."):
            try:
                values = list(vars(import_module(module.name)).values())
            except ImportError:  # an extra that is not installed
                continue
            found.update((f"{module.name}: {one}", words) for one, words in words_in(values))
    for file in home.rglob("dataset.toml"):
        declared = read_declarations(file).criteria
        found.update((f"{file}: {one.action}: {one.id}", (one.positive, one.negative)) for one in declared)
    roots = {
        "egoexo_fitness": made_egoexo_fitness.release(folder / "egoexo"),
        "ui_prmd": made_ui_prmd.release(folder / "ui_prmd"),
    }
    for reader, root in roots.items():
        made = datasets.read(reader, root).criteria
        assert made
        found.update((f"{reader}: {one.action}: {one.id}", (one.positive, one.negative)) for one in made)
    return found


def test_no_criterion_that_is_shipped_has_a_doubtful_complement(tmp_path: Path) -> None:
    found = shipped(tmp_path)
    assert len(found) >= 20
    assert {name: why for name, both in found.items() if (why := doubts(*both))} == {}


def test_the_example_and_the_folder_check_say_what_is_doubtful(tmp_path: Path) -> None:
    subprocess.run(
        [sys.executable, str(ROOT / "examples/drawn_clips.py"), str(tmp_path)], check=True, capture_output=True
    )
    assert datasets.check("folder", tmp_path).notes == ()
    file = tmp_path / "dataset.toml"
    file.write_text(
        file.read_text().replace("the hips are above knee height", "the elbows are at knee height or below")
    )
    [note] = datasets.check("folder", tmp_path).notes
    assert "criterion 'deep_enough' of 'squat'" in note
    assert "neither negates the other" in note


@pytest.mark.parametrize(
    ("positive", "negative", "why"),
    [
        ("Both feet stay flat.", "Both feet stay flat.", "same text"),
        ("The knees bend to 90 degrees.", "The knees do not bend to 80 degrees.", "other numbers"),
        ("The heels stay down.", "The elbows do not stay down.", "other body parts"),
        ("The heels stay down.", "The heels are on the floor.", "neither negates"),
        ("The heels stay down.", "Do the heels not stay down?", "question"),
    ],
)
def test_what_cannot_be_a_complement_is_said(positive: str, negative: str, why: str) -> None:
    assert any(why in one for one in doubts(positive, negative))


@pytest.mark.parametrize(
    ("positive", "negative"),
    [
        ("The hips go below the knees.", "The hips do not go below the knees."),
        ("The hips are above the knees.", "The hips are below the knees."),
        ("Keep your back straight.", "The back is not kept straight."),
        ("The knees stay apart.", "The knees move inward."),
    ],
)
def test_complements_raise_no_doubt(positive: str, negative: str) -> None:
    assert doubts(positive, negative) == []
