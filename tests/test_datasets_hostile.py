"""Annotation files are hostile input: whatever is in them, a reader reads it, lists it, or refuses it in one line."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import pytest

import made_egoexo_fitness
import made_finefs
import made_fitness_aqa
import made_llm_fms
from aqaudit import datasets
from aqaudit.core.records import BadInput

JUNK: list[Any] = [
    None, True, False, 0, 1, -1, 7, 1e300, -0.5, 10**30, 10**400, "", " ", "0", "True", "../../x", "a\nb", "\u202e", [],
    [[]], [None], [[0, 1]], [[1, 0]], ["True"], {}, {"a": None}, {"": []}, [1, 2, 3], {"ruleResults": None},
]  # fmt: skip

FILES = {
    "llm_fms": ["FMSRules.json", "labels/m01/m01_s01_1.json"],
    "egoexo_fitness": [
        "raw_annotations/interpretable_action_judgement.json",
        "raw_annotations/meta_records.json",
        "raw_annotations/action_level_annotations.json",
    ],
    "fitness_aqa": [
        "Squat/Labeled_Dataset/Labels/error_knees_inward.json",
        "Squat/Labeled_Dataset/Splits/train_keys.json",
        "Squat/Labeled_Dataset/Shallow_Squat_Error_Dataset/labels_shallow_depth.json",
    ],
    "finefs": ["data/annotation/0.json"],
}


@pytest.fixture(scope="module")
def roots(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    home = tmp_path_factory.mktemp("roots")
    return {
        "llm_fms": made_llm_fms.release(home / "llm_fms"),
        "egoexo_fitness": made_egoexo_fitness.release(home / "egoexo_fitness"),
        "fitness_aqa": made_fitness_aqa.release(home / "fitness_aqa", top=""),
        "finefs": made_finefs.release(home / "finefs", {0: made_finefs.program(made_finefs.SHORT)}),
    }


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Every place in a JSON value, the whole included."""
    found = [path]
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in items:
        found += places(inner, (*path, key))
    return found


def spoiled(value: Any, rng: random.Random) -> Any:
    """Put junk in one place, take one away, or rename a key."""
    value = json.loads(json.dumps(value))
    path = rng.choice(places(value))
    if not path:
        return rng.choice(JUNK)
    at = value
    for key in path[:-1]:
        at = at[key]
    if rng.random() < 0.2:
        del at[path[-1]]
    elif rng.random() < 0.1 and isinstance(at, dict):
        at[str(rng.choice(JUNK))] = at.pop(path[-1])
    else:
        at[path[-1]] = rng.choice(JUNK)
    return value


@pytest.mark.parametrize(("reader", "name"), [(reader, name) for reader, names in FILES.items() for name in names])
def test_spoiled_annotations_are_read_listed_or_refused(reader: str, name: str, roots: dict[str, Path]) -> None:
    path = roots[reader] / name
    whole = path.read_text(encoding="utf-8-sig")
    rng = random.Random(f"{reader} {name}")
    refused = []
    try:
        for _ in range(60):
            path.write_text(json.dumps(spoiled(json.loads(whole), rng)))
            for use in (datasets.check, datasets.read):
                try:
                    use(reader, roots[reader])
                except BadInput as error:
                    refused.append(str(error))
        for raw in (b"", b"{", b"\xff", b"[" * 50_000, b'{"a": 1, "a": 2}', b"NaN", b"9" * 10_000):
            path.write_bytes(raw)
            with pytest.raises(BadInput) as caught:
                datasets.check(reader, roots[reader])
            assert str(caught.value).isprintable()
            assert len(str(caught.value)) < 2000
    finally:
        path.write_text(whole)
    for message in refused:
        assert message.isprintable()
        assert str(roots[reader]) in message or reader in message
