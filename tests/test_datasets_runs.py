"""Every bundled reader, from a made root in the published shape to answers and a report without forbidden pictures."""

from __future__ import annotations

import resource
import shutil
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest

import aqaudit
import made_egoexo_fitness
import made_finefs
import made_fitness_aqa
import made_llm_fms
import made_mtl_aqa
import made_ui_prmd
from aqaudit import BadInput, Study, datasets, read_answers, report

SHORT = made_finefs.SHORT


def finefs(root: Path) -> Path:
    return made_finefs.release(root, {number: made_finefs.program(SHORT) for number in (0, 1, 2, 3)})


RELEASES: dict[str, Callable[[Path], Path]] = {
    "llm_fms": lambda root: made_llm_fms.release(root, subjects=6),
    "egoexo_fitness": lambda root: made_egoexo_fitness.release(root, real=True),
    "fitness_aqa": lambda root: made_fitness_aqa.fill(made_fitness_aqa.release(root)),
    "finefs": finefs,
    "mtl_aqa": made_mtl_aqa.release,
    "ui_prmd": made_ui_prmd.release,
}
KINDS = {
    "llm_fms": ("choose", "score"),
    "egoexo_fitness": ("verify", "score"),
    "fitness_aqa": ("detect",),
    "finefs": ("score",),
    "mtl_aqa": ("score",),
    "ui_prmd": ("verify",),
}


@pytest.mark.parametrize("reader", RELEASES)
def test_a_perfect_judge_is_right_about_every_label_of_every_data_set(reader: str, tmp_path: Path) -> None:
    root = RELEASES[reader](tmp_path / "data")
    options = {"fitness_aqa": 'errors = "all"', "egoexo_fitness": 'view = ["exo_l", "ego_m"]'}.get(reader, "")
    text = f"""
name = "all"
[[dataset]]
reader = "{reader}"
root = "{root}"
options = {{ {options} }}
[grid]
model = ["judge"]
frames = [2]
[models.judge]
provider = "simulated"
skill = 1.0
"""
    outcome = aqaudit.run(Study.parse(text), out=tmp_path / "out")
    assert outcome.complete
    answers = read_answers(tmp_path / "out")
    assert set(answers["kind"]) == set(KINDS[reader])
    assert set(answers["dataset"]) == {reader}
    right = {
        "verify": pl.col("says_correct") == pl.col("gold_correct"),
        "detect": pl.col("says_correct") == pl.col("gold_correct"),
        "choose": pl.col("choice") == pl.col("gold_choice"),
        # answers are given in steps
        "score": (pl.col("score") - pl.col("gold_score")).abs() <= 0.5,
    }
    for kind in KINDS[reader]:
        rows = answers.filter(kind=kind)
        assert len(rows)
        assert rows.select(right[kind].all()).item(), rows
    labels = datasets.read(reader, root, **_options(reader)).performances
    wanted = sum(len(p.criteria) + len(p.errors) + len(p.choices) + len(p.scores) for p in labels)
    assert answers["question_id"].n_unique() == wanted
    html = report(tmp_path / "out").read_text()
    shown = "data:image/jpeg" in html
    assert shown == (reader in {"llm_fms", "ui_prmd"})
    assert ("may not be shown" in html) != shown


def _options(reader: str) -> dict[str, object]:
    return {"fitness_aqa": {"errors": "all"}, "egoexo_fitness": {"view": ["exo_l", "ego_m"]}}.get(reader, {})


@pytest.mark.parametrize("reader", RELEASES)
def test_every_data_set_has_examples_to_learn_from_by_other_people_than_the_test(reader: str, tmp_path: Path) -> None:
    releases = RELEASES | {
        "llm_fms": lambda root: made_llm_fms.release(root, subjects=9),
        "finefs": lambda root: made_finefs.release(
            root, {number: made_finefs.program(SHORT) for number in range(12)}, videos=True
        ),
    }
    root = releases[reader](tmp_path / "data")
    train, test = (datasets.read(reader, root, split=split).performances for split in ("train", "test"))
    assert train
    assert test
    if reader != "mtl_aqa":  # whose published split parts no videos
        assert not {one.performer for one in train} & {one.performer for one in test}
    assert not {one.id for one in train} & {one.id for one in test}


@pytest.mark.parametrize("reader", RELEASES)
def test_what_is_sent_of_a_data_set_is_asked_for_first(reader: str, tmp_path: Path) -> None:
    root = RELEASES[reader](tmp_path / "data")
    text = f"""
name = "all"
[[dataset]]
reader = "{reader}"
root = "{root}"
[grid]
model = ["far"]
frames = [2]
[models.far]
provider = "openai"
model = "x"
base_url = "https://models.example/v1"
api_key_env = "NO_SUCH_KEY"
"""
    expected = "NO_SUCH_KEY" if reader == "ui_prmd" else f"--allow-upload {reader}"
    with pytest.raises(BadInput, match=expected):
        aqaudit.run(Study.parse(text), out=tmp_path / "out")


def test_no_archive_is_looked_for_where_nothing_is_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def never(root: Path) -> str:
        raise AssertionError(root)

    for reader, make in RELEASES.items():
        root = make(tmp_path / reader)
        monkeypatch.setattr(f"aqaudit.datasets.readers.{reader}.to_unpack", never, raising=False)
        assert datasets.read(reader, root).performances


def test_no_reader_takes_media_into_memory(tmp_path: Path) -> None:
    """Media of 64 GB (sparse files) beside the annotations: reading and checking need a few megabytes."""
    roots = {
        "fitness_aqa": made_fitness_aqa.release(tmp_path / "fitness_aqa"),
        "egoexo_fitness": made_egoexo_fitness.release(tmp_path / "egoexo_fitness"),
        "llm_fms": made_llm_fms.release(tmp_path / "llm_fms"),
        "mtl_aqa": made_mtl_aqa.release(tmp_path / "mtl_aqa"),
        "finefs": finefs(tmp_path / "finefs"),
    }
    for root in roots.values():
        for path in [*root.rglob("*.mp4"), *root.rglob("*.jpg")][:40]:
            with path.open("r+b") as file:
                file.truncate(1 << 28)
    for reader, root in roots.items():
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        tracemalloc.start()
        datasets.check(reader, root)
        if reader in {"fitness_aqa", "egoexo_fitness", "llm_fms"}:
            assert datasets.read(reader, root).performances
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
        assert peak < 32 << 20, reader
        assert grown < 64 << 10, reader  # kilobytes
    shutil.rmtree(tmp_path)
