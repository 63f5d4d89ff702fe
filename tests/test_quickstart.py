"""The bundled study ``quickstart``: the main job for real, by the small demonstration model."""

from __future__ import annotations

import time

import polars as pl
import pytest
from sklearn.metrics import balanced_accuracy_score

import aqaudit
from aqaudit import Study, read_answers

pytest.importorskip("onnxruntime")


@pytest.fixture(scope="module")
def answers(tmp_path_factory: pytest.TempPathFactory) -> pl.DataFrame:
    """Every answer of one run, which took less than the 90 s that a newcomer is promised."""
    out = tmp_path_factory.mktemp("out") / "quickstart"
    start = time.process_time()
    aqaudit.run(Study.read("quickstart"), out=out)
    assert time.process_time() - start < 180  # two cores for 90 s
    return read_answers(out)


def accuracy(rows: pl.DataFrame) -> float:
    assert rows["says_correct"].null_count() == 0
    return float(balanced_accuracy_score(rows["gold_correct"], rows["says_correct"]))


def test_it_asks_a_newcomers_number_of_questions_and_all_are_answered(answers: pl.DataFrame) -> None:
    assert 600 <= answers.height <= 1000
    assert answers["parse"].unique().to_list() == ["ok"]
    assert set(answers["view"]) == {"rgb", "skeleton"}
    assert set(answers["framing"]) == {"positive", "negative"}
    assert set(answers["perturbation"]) == {"none", "blank"}


def test_clear_faults_are_seen_in_pictures_and_guessed_without(answers: pl.DataFrame) -> None:
    ratio = pl.col("severity") / pl.col("tolerance")
    clear = answers.filter((pl.col("kind") == "verify") & (pl.col("view") == "rgb") & ((ratio <= 1) | (ratio >= 2)))
    seen, blank = (clear.filter(pl.col("perturbation") == name) for name in ("none", "blank"))
    assert accuracy(seen) >= 0.75
    assert 0.45 <= accuracy(blank) <= 0.55


def test_faults_are_seen_the_better_the_larger_they_are(answers: pl.DataFrame) -> None:
    shown = answers.filter((pl.col("view") == "rgb") & (pl.col("perturbation") == "none"))
    ratio = shown["severity"] / shown["tolerance"]
    small, large = (shown.filter((ratio >= low) & (ratio < high)) for low, high in ((1.0, 2.0), (2.0, 99.0)))
    assert (~large["says_correct"]).mean() > (~small["says_correct"]).mean()
