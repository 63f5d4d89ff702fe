"""The paper's tables: planted truths come back inside their intervals, differences are paired and corrected."""

from __future__ import annotations

import json
import random

import polars as pl
import pytest

import aqaudit
import made
from aqaudit import Study, read_answers
from aqaudit.measures import MEASURES
from aqaudit.reporting import factors
from aqaudit.reporting.folder import beside
from aqaudit.reporting.tables import Table
from simulated_judges import JUDGES
from test_strategies_run import DECLARED

NAMES = ("wording-follower", "always-correct", "mean-guesser", "takes-first", "large-gap-only")
PEOPLE = 60


@pytest.fixture(scope="module")
def answers(tmp_path_factory: pytest.TempPathFactory) -> pl.DataFrame:
    """What five judges with planted flaws say about one performance each of many people."""
    root = made.folder(tmp_path_factory.mktemp("planted"), performances=PEOPLE, criteria=1, performers=PEOPLE)
    draw, lines = random.Random(5), []
    for i, line in enumerate((root / "clips.jsonl").read_text().splitlines()):
        labels = {"criteria": {"c0": i % 2 == 0}, "errors": {"knees": [] if i % 4 < 2 else True}}
        lines.append(json.dumps({**json.loads(line), **labels, "scores": {"execution": round(draw.uniform(0, 10), 2)}}))
    (root / "clips.jsonl").write_text("\n".join(lines))
    (root / "dataset.toml").write_text((root / "dataset.toml").read_text() + DECLARED)
    models = "".join(
        f"[models.{name}]\nprovider = 'simulated'\n"
        + "".join(f"{key} = {_toml(value)}\n" for key, value in JUDGES[name].items())
        for name in NAMES
    )
    path = root / "study.toml"
    path.write_text(
        'name = "planted"\nseed = 2\n[[dataset]]\nreader = "folder"\nroot = "."\n'
        'tasks = ["verify", "detect", "score", "prefer"]\npairs = { uses = 6 }\n[grid]\n'
        f'model = {json.dumps(NAMES)}\nframing = ["positive", "negative"]\n{models}'
    )
    out = tmp_path_factory.mktemp("out")
    assert aqaudit.run(Study.read(path), out=out / "planted").complete
    return read_answers(out / "planted")


def _toml(value: object) -> str:
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{k} = {_toml(v)}" for k, v in value.items()) + " }"
    return json.dumps(value)


def rows(table: Table, **wanted: object) -> list[dict[str, object]]:
    found = (dict(zip(table.columns, row, strict=True)) for row in table.rows)
    return [row for row in found if all(row[key.replace("_", " ")] == value for key, value in wanted.items())]


def one(table: Table, **wanted: object) -> dict[str, object]:
    [row] = rows(table, **wanted)
    return row


def named(measure: str) -> str:
    return MEASURES[measure].title


def holds(row: dict[str, object], value: float) -> bool:
    return row["low"] is not None and row["low"] <= value <= row["high"]  # type: ignore[operator]


def test_one_that_follows_the_wording_knows_nothing_and_changes_its_mind_with_it(answers: pl.DataFrame) -> None:
    figures = factors.baseline_figures(answers)
    for task in ("verify", "detect"):
        assert holds(one(figures, model="wording-follower", task=task, measure=named("balanced_accuracy")), 0.5)
    shift = factors.wording(answers)
    for task in ("verify", "detect"):
        row = one(shift, model="wording-follower", task=task)
        assert (row["says correct: positive"], row["says correct: negative"]) == (1.0, 0.0)
        assert holds(row, 1.0)  # planted: shift = 1
        assert holds(one(shift, model="always-correct", task=task), 0.0)


def test_one_that_always_says_correct_leans_all_the_way(answers: pl.DataFrame) -> None:
    figures = factors.baseline_figures(answers)
    for task in ("verify", "detect"):
        assert holds(one(figures, model="always-correct", task=task, measure=named("lean")), 1.0)
        assert holds(one(figures, model="always-correct", task=task, measure=named("balanced_accuracy")), 0.5)
        assert not holds(one(figures, model="large-gap-only", task=task, measure=named("lean")), 1.0)


def test_one_that_answers_the_mean_ranks_nothing(answers: pl.DataFrame) -> None:
    figures = factors.baseline_figures(answers)
    assert holds(one(figures, model="mean-guesser", task="score", measure=named("spearman")), 0.0)
    rl2 = one(figures, model="mean-guesser", task="score", measure=named("r_l2"))
    assert rl2["value"] == pytest.approx(rl2["constant_answer"], rel=0.15)
    skilled = one(figures, model="large-gap-only", task="score", measure=named("spearman"))
    assert skilled["low"] > 0.5  # type: ignore[operator]


def test_one_that_takes_the_first_is_at_one_half_in_every_band_and_ranks_nothing(answers: pl.DataFrame) -> None:
    figures = factors.baseline_figures(answers)
    assert holds(one(figures, model="takes-first", task="prefer", measure=named("pair_accuracy")), 0.5)
    assert holds(one(figures, model="takes-first", task="prefer", measure=named("position_bias")), 0.5)
    scores = one(figures, model="takes-first", task="prefer", measure=named("bradley_terry"))
    assert scores["value"] == 0.0
    for row in rows(factors.by_gap(answers), model="takes-first"):
        assert row["value"] == 0.5


def test_one_that_is_right_for_large_gaps_only_is_at_one_half_below_them(answers: pl.DataFrame) -> None:
    table = factors.by_gap(answers)
    bands = rows(table, model="large-gap-only", bands="fixed")
    assert [row["from"] for row in bands] == [0.0, 0.05, 0.1, 0.2, 0.4]
    small, large = bands[:3], bands[-1]
    assert all(holds(row, 0.5) for row in small)
    assert holds(large, 0.95)  # skill .9 from a gap of .3 on, a coin else
    ranks = [
        one(factors.baseline_figures(answers), model="large-gap-only", task=task, measure=name)
        for task, name in (
            ("score", "Spearman's rank correlation"),
            ("prefer", "rank correlation of scores from pairs"),
        )
    ]
    assert all(row["low"] > 0 for row in ranks)  # type: ignore[operator]
    assert {row["bands"] for row in rows(table, model="large-gap-only")} == {"fixed", "fifths"}
    fifths = [row["pairs"] for row in rows(table, model="large-gap-only", bands="fifths")]
    assert max(fifths) <= 1.3 * min(fifths)  # type: ignore[operator, type-var]


def test_differences_are_those_of_the_levels_paired_and_corrected(answers: pl.DataFrame) -> None:
    told = answers.filter(pl.col("model") == "takes-first")
    better = told.with_columns(
        strategy=pl.lit("grounding"),
        says_correct=pl.when(pl.col("kind").is_in(["verify", "detect"])).then(pl.col("gold_correct")),
    )
    both = pl.concat([told, better])
    [verify] = rows(factors.difference_tables(both), factor="strategy", task="verify")
    levels = one(factors.by_factor(both, factors.FACTORS[1]), task="verify", model="takes-first")
    base, grounding = (float(str(levels[name]).split()[0]) for name in ("base", "grounding"))
    assert grounding == 1.0
    assert verify["difference"] == pytest.approx(grounding - base, abs=0.006)
    assert verify["low"] > 0  # type: ignore[operator]
    assert verify["p"] <= verify["holm_p"] < 0.05  # type: ignore[operator]
    same = rows(factors.difference_tables(both), factor="strategy", task="score")
    assert [row["difference"] for row in same] == [0.0]


def test_factors_are_told_apart_and_each_is_varied_alone() -> None:
    base = {
        "answer_key": "k", "question_id": "q", "dataset": "d", "task": "verify", "kind": "verify", "model": "m",
        "view": "rgb", "strategy": "base", "framing": "positive", "answer_words": "true_false", "perturbation": "none",
        "fps_asked": "default", "shots": 0, "gold_correct": True, "says_correct": True, "performer": "p", "parse": "ok",
        "performance_id": "p", "other_id": "", "pair_order": "", "repeat": 0,
    }  # fmt: skip
    changes = [
        {}, {"view": "crop"}, {"strategy": "grounding"}, {"strategy": "few_shot", "shots": 2}, {"framing": "neutral",
        "answer_words": "a_b"}, {"answer_words": "yes_no"}, {"fps_asked": "8"}, {"fps_asked": "2"},
        {"model": "m-thinking"}, {"view": "crop", "strategy": "grounding"}, {"perturbation": "blank"},
    ]  # fmt: skip
    frame = pl.DataFrame([{**base, **change} for change in changes])
    found = {f.name: [g.levels for g in factors.groups(frame, f)] for f in factors.FACTORS}
    assert found == {
        "view": [("rgb", "crop")],
        "strategy": [("base", "grounding")],
        "examples": [("0", "2")],
        "framing": [("positive", "neutral")],
        "answer_words": [("true_false", "yes_no")],
        "sampling": [("default", "2", "8")],
        "thinking": [("standard", "thinking")],
    }
    assert factors.plain(frame).height == 3  # nothing varied: two models, and neutral wording


def test_the_tables_are_written_beside_a_report_whatever_the_order_of_rows(answers: pl.DataFrame) -> None:
    from aqaudit.audits import audit

    frame = answers.filter(pl.col("model") == "takes-first")
    texts = beside(frame, None, audit(frame))
    assert {"tables/paper_baseline.csv", "tables/paper_contrastive.tex", "tables/paper_framing.csv"} <= set(texts)
    assert factors.tables(frame) == factors.tables(frame.sample(fraction=1.0, shuffle=True, seed=1))
    assert all("Re-created" in table.note for table in factors.tables(frame))
