"""Small answers tables for the tests of measures and audits."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

if TYPE_CHECKING:
    from aqaudit.measures import Measure

FRAMINGS = ("positive", "negative")


def booleans(
    gold: list[bool], said: list[bool | None], performer: list[str] | None = None, **columns: Any
) -> pl.DataFrame:
    """Answers to ``verify`` questions; further columns as given."""
    return pl.DataFrame(
        {
            "question_id": [f"q{i}" for i in range(len(gold))],
            "kind": "verify",
            "performer": performer or [f"p{i}" for i in range(len(gold))],
            "gold_correct": pl.Series(gold, dtype=pl.Boolean),
            "says_correct": pl.Series(said, dtype=pl.Boolean),
            **columns,
        }
    )


def scores(
    gold: list[float], said: list[float | None], performer: list[str] | None = None, **columns: Any
) -> pl.DataFrame:
    """Answers to ``score`` questions; further columns as given."""
    return pl.DataFrame(
        {
            "question_id": [f"q{i}" for i in range(len(gold))],
            "kind": "score",
            "performer": performer or [f"p{i}" for i in range(len(gold))],
            "gold_score": pl.Series(gold, dtype=pl.Float64),
            "score": pl.Series(said, dtype=pl.Float64),
            **columns,
        }
    )


def choices(
    gold: list[str], said: list[str | None], performer: list[str] | None = None, **columns: Any
) -> pl.DataFrame:
    """Answers to ``choose`` questions; further columns as given."""
    return pl.DataFrame(
        {
            "question_id": [f"q{i}" for i in range(len(gold))],
            "kind": "choose",
            "performer": performer or [f"p{i}" for i in range(len(gold))],
            "gold_choice": pl.Series(gold, dtype=pl.String),
            "choice": pl.Series(said, dtype=pl.String),
            **columns,
        }
    )


def judge(accuracy: float, *, rows: int = 600, performers: int = 40, seed: int = 0, **columns: Any) -> pl.DataFrame:
    """Answers of a judge that is right with probability ``accuracy`` for either class, in both framings."""
    rng = np.random.default_rng(seed)
    gold = rng.random(rows) < 0.6
    said = np.where(rng.random(rows) < accuracy, gold, ~gold)
    who = [f"p{i:02d}" for i in rng.integers(0, performers, rows)]
    framing = rng.choice(FRAMINGS, rows)
    criterion = rng.choice(["heels", "knees", "back"], rows)
    extra = {"framing": framing, "criterion": criterion, "model": "m", "dataset": "d", "task": "t", **columns}
    return booleans(gold.tolist(), said.tolist(), who, **extra)


PERTURBED = ("none", "blank", "text_only", "frozen", "shuffled", "reversed", "swapped", "region_blur")


def asked_again(*, questions: int = 160, performers: int = 9, seed: int = 3, perturbed: bool = False) -> pl.DataFrame:
    """Verdicts with probabilities: every question in both framings, twice each, and perturbed where wished."""
    rng = np.random.default_rng(seed)
    shown = PERTURBED if perturbed else ("none",)
    cells = [(f, r, p) for f in FRAMINGS for r in (0, 1) for p in shown]
    gold = rng.random(questions) < 0.55
    rows = []
    for q in range(questions):
        for framing, repeat, perturbation in cells:
            keen = 0.7 if perturbation == "none" else 0.45
            side = gold[q] if rng.random() < keen else rng.random() < (0.6 if framing == "positive" else 0.45)
            p = np.clip(rng.normal(0.75 if side else 0.25, 0.2), 0.01, 0.99)
            tags = {"camera": "side" if q % 2 else "front"}
            if perturbation == "swapped":
                tags["shown_gold_correct"] = bool(gold[(q + 1) % questions])
            rows.append((f"q{q}", f"p{q % performers}", framing, repeat, perturbation, bool(gold[q]), bool(side),
                         round(float(p), 3), json.dumps(tags)))  # fmt: skip
    names = ("question_id", "performer", "framing", "repeat", "perturbation", "gold_correct", "says_correct",
             "p_correct", "tags")  # fmt: skip
    frame = pl.DataFrame(rows, schema=names, orient="row").with_columns(
        kind=pl.lit("verify"), model=pl.lit("m"), dataset=pl.lit("d"), task=pl.lit("t"), action=pl.lit("squat"),
        criterion=pl.lit("heels"), parse=pl.when(pl.int_range(pl.len()) % 17 == 0).then(pl.lit("unparsed"))
        .otherwise(pl.lit("ok")),
    )  # fmt: skip
    worse = (
        (pl.col("tags").str.contains("side")) & (pl.int_range(pl.len()) % 3 == 0) & (pl.col("perturbation") == "none")
    )
    return frame.with_columns(
        says_correct=pl.when(worse).then(~pl.col("gold_correct")).otherwise(pl.col("says_correct"))
    )


def preferences(*, pairs: int = 200, performers: int = 9, seed: int = 4) -> pl.DataFrame:
    """Preferences over pairs with scores, each asked in both orders; right more often where the gap is large."""
    rng = np.random.default_rng(seed)
    mine, other = rng.uniform(0, 10, (2, pairs)).round(1)
    rows = []
    for k in range(pairs):
        for order in ("ab", "ba"):
            seen = rng.random() < 1 - np.exp(-((abs(mine[k] - other[k]) / 3) ** 2))
            this = mine[k] > other[k] if seen else rng.random() < (0.6 if order == "ab" else 0.4)
            said = "tie" if rng.random() < 0.05 else "this" if this else "other"
            gold = "this" if mine[k] > other[k] else "other" if mine[k] < other[k] else "tie"
            rows.append((f"q{k}", f"p{k % performers}", order, gold, said, float(mine[k]), float(other[k])))
    names = ("question_id", "performer", "pair_order", "gold_prefer", "prefer", "gold_score", "other_gold_score")
    return pl.DataFrame(rows, schema=names, orient="row").with_columns(
        kind=pl.lit("prefer"), scale_min=0.0, scale_max=10.0, model=pl.lit("m"), dataset=pl.lit("d"), task=pl.lit("t")
    )


def shown_options(*, rows: int = 240, performers: int = 9, seed: int = 5) -> pl.DataFrame:
    """Choices between three options shown in drawn orders; the first one shown is chosen too often."""
    rng = np.random.default_rng(seed)
    options = ["above", "level", "below"]
    orders = [rng.permutation(3).tolist() for _ in range(rows)]
    gold = [options[rng.integers(3)] for _ in range(rows)]
    said = [
        gold[i] if rng.random() < 0.5 else options[orders[i][0]] if rng.random() < 0.6 else options[rng.integers(3)]
        for i in range(rows)
    ]
    who = [f"p{i % performers}" for i in range(rows)]
    return choices(gold, said, who, options=[options] * rows, option_order=orders)  # type: ignore[arg-type]


def table_for(measure: Measure) -> pl.DataFrame:
    """Return answers on which a measure is defined and has an interval."""
    if measure.name == "option_position_bias":
        return shown_options()
    if measure.columns == ("perturbation",):
        return asked_again(perturbed=True)
    if measure.name == "repeat_sd":
        once = marker(0.4, rows=90, performers=9).with_columns(repeat=pl.lit(0))
        moved = pl.Series(np.random.default_rng(6).normal(0, 0.5, 90).round(1))
        return pl.concat([once, once.with_columns(score=pl.col("score") + moved, repeat=pl.lit(1))])
    if measure.kinds[0] == "score":
        return marker(0.4, rows=90, performers=9, action=[f"a{i % 3}" for i in range(90)])
    return preferences() if measure.kinds[0] == "prefer" else asked_again()


def marker(skill: float, *, rows: int = 400, performers: int = 40, seed: int = 0, **columns: Any) -> pl.DataFrame:
    """Answers of a judge that gives scores with about this correlation to the truth."""
    rng = np.random.default_rng(seed)
    gold = rng.normal(size=rows)
    said = skill * gold + np.sqrt(1 - skill**2) * rng.normal(size=rows)
    who = [f"p{i:02d}" for i in rng.integers(0, performers, rows)]
    extra = {"framing": "neutral", "scale_min": -5.0, "scale_max": 5.0, "model": "m", "dataset": "d", "task": "t"}
    return scores(gold.round(2).tolist(), said.round(1).tolist(), who, **{**extra, **columns})
