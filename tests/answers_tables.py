"""Small answers tables for the tests of measures and audits."""

from __future__ import annotations

from typing import Any

import numpy as np
import polars as pl

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


def marker(skill: float, *, rows: int = 400, performers: int = 40, seed: int = 0, **columns: Any) -> pl.DataFrame:
    """Answers of a judge that gives scores with about this correlation to the truth."""
    rng = np.random.default_rng(seed)
    gold = rng.normal(size=rows)
    said = skill * gold + np.sqrt(1 - skill**2) * rng.normal(size=rows)
    who = [f"p{i:02d}" for i in rng.integers(0, performers, rows)]
    extra = {"framing": "neutral", "scale_min": -5.0, "scale_max": 5.0, "model": "m", "dataset": "d", "task": "t"}
    return scores(gold.round(2).tolist(), said.round(1).tolist(), who, **{**extra, **columns})
