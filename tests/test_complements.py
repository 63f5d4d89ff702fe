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
from aqaudit import datasets
from aqaudit.datasets.complements import doubts
from aqaudit.records import Criterion

ROOT = Path(__file__).resolve().parent.parent


def criteria_in(value: object, depth: int = 3) -> Iterator[Criterion]:
    if isinstance(value, Criterion):
        yield value
    elif depth and isinstance(value, Mapping):
        for inner in value.values():
            yield from criteria_in(inner, depth - 1)
    elif depth and isinstance(value, tuple | list | set | frozenset):
        for inner in value:
            yield from criteria_in(inner, depth - 1)
    elif depth and isinstance(getattr(value, "criterion", None), Criterion):
        yield value.criterion  # type: ignore[attr-defined]


def shipped() -> dict[tuple[str, str], Criterion]:
    """Every criterion that some module of the package holds, whichever data set it belongs to."""
    found = {}
    for name in ("datasets", "probe"):
        if not (Path(aqaudit.__file__).parent / name).is_dir():
            continue
        package = import_module(f"aqaudit.{name}")
        for module in pkgutil.iter_modules(package.__path__, f"aqaudit.{name}."):
            try:
                values = vars(import_module(module.name)).values()
            except ImportError:  # an extra that is not installed
                continue
            for value in list(values):
                found.update(((one.action, one.id), one) for one in criteria_in(value))
    return found


def test_no_criterion_that_is_shipped_has_a_doubtful_complement() -> None:
    doubtful = {key: why for key, one in shipped().items() if (why := doubts(one.positive, one.negative))}
    assert doubtful == {}


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
