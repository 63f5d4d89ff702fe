"""Answers tables of simulated judges, drawn all at once: the behaviour of ``aqaudit.models.simulated`` without a run.

A table holds what a design asks (framings, repeats, perturbations, orders) about questions of performers, answered by a
judge given as its settings. Judges share the random numbers of a seed, so two that do not differ on a design give the
same table; ``same_on`` tells which settings a design touches.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from aqaudit.core.table import SCHEMA
from aqaudit.models.catalog import load

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from aqaudit.models.settings import ModelEntry

    Floats = NDArray[np.float64]

NO_PICTURE = ("blank", "text_only", "region_blur")
NO_MOTION = ("frozen", "shuffled", "reversed")
CRITERIA = ("back", "heels")
SCALE = 10.0
SCORE_SD = 0.18


@dataclass(frozen=True, slots=True, kw_only=True)
class Design:
    """What is asked: questions of one kind, and every combination of the factors."""

    kind: str
    framings: tuple[str, ...] = ("positive",)
    repeats: int = 1
    perturbations: tuple[str, ...] = ("none",)
    orders: tuple[str, ...] = ("ab",)

    @property
    def cells(self) -> int:
        """Rows of one question under one perturbation."""
        return len(self.framings) * self.repeats * len(self.orders)


BOTH = ("positive", "negative")
DESIGNS: Mapping[str, tuple[Design, ...]] = {
    "chance": (Design(kind="verify", framings=BOTH), Design(kind="score")),
    "correctness": (Design(kind="verify", framings=BOTH),),
    "framing": (Design(kind="verify", framings=BOTH, repeats=2),),
    "collapse": (Design(kind="score"),),
    "order": (Design(kind="prefer", orders=("ab", "ba")),),
    "vision": (Design(kind="verify", framings=BOTH, perturbations=("none", "blank", "text_only", "frozen")),),
    "calibration": (Design(kind="verify", framings=BOTH),),
    "consistency": (Design(kind="verify", framings=BOTH, repeats=2),),
    "subgroups": (Design(kind="verify", framings=BOTH),),
}
"""Audit -> what its judges are asked in the benchmark; ``n`` rows a design and perturbation."""

_TOUCHED = {
    "verify": ("skill", "bias", "stable", "lean", "shift", "confidence", "unparsed", "weak_tag", "weak_skill"),
    "score": ("skill", "guess_mean", "guess_sd", "unparsed", "weak_tag", "weak_skill"),
    "prefer": ("skill", "stable", "position", "gap", "unparsed", "weak_tag", "weak_skill"),
}


def same_on(entry: ModelEntry, design: Design) -> tuple[object, ...]:
    """Return the settings of a judge that this design touches: judges alike in them answer alike."""
    names = list(_TOUCHED[design.kind])
    if len(design.perturbations) > 1:
        names += ["leak", "motion"]
    if design.cells == 1 and len(design.perturbations) == 1:
        names = [name for name in names if name != "stable"]
    return tuple(getattr(entry, name) if name in {"skill", "bias"} else getattr(entry.planted, name) for name in names)


def judge(settings: Mapping[str, object]) -> ModelEntry:
    """Return a judge's entry from its settings."""
    return load("judge", {"provider": "simulated", **settings})


class _Draws:
    """Uniform numbers by name: one a question for a stable judge, else one a row."""

    def __init__(self, rng: np.random.Generator, questions: int, rows: int, question: NDArray[np.int64]) -> None:
        self._each = {name: rng.random(questions) for name in _NAMES}
        self._all = {name: rng.random(rows) for name in _NAMES}
        self._question = question

    def __call__(self, name: str, *, stable: bool) -> Floats:
        return self._each[name][self._question] if stable else self._all[name]


_NAMES = ("sees", "prior", "lean", "shift", "position", "unparsed", "confidence")


def table(entry: ModelEntry, design: Design, *, rows: int, clusters: int, seed: int) -> pl.DataFrame:
    """Return a complete answers table of ``rows`` rows under each perturbation, by ``clusters`` performers."""
    rng = np.random.default_rng([seed, rows, clusters, len(design.kind), design.cells, len(design.perturbations)])
    questions = rows // design.cells
    performer = rng.integers(0, clusters, questions)
    side = rng.random(questions) < 0.5
    gold = rng.random(questions) < 0.5
    scores = np.clip(rng.normal(0.5, SCORE_SD, (2, questions)), 0, 1).round(3) * SCALE
    guesses = rng.normal(size=questions)
    grid = np.array(np.meshgrid(
        np.arange(questions), np.arange(len(design.framings)), np.arange(design.repeats),
        np.arange(len(design.orders)), np.arange(len(design.perturbations)), indexing="ij",
    )).reshape(5, -1)  # fmt: skip
    question, framing, repeat, order, perturbation = grid
    draw = _Draws(rng, questions, question.size, question)
    shown = np.array(design.perturbations)[perturbation]
    columns: dict[str, object] = {
        "question_id": np.char.add("q", question.astype(str)),
        "performer": np.char.add("p", performer[question].astype(str)),
        "framing": np.array(design.framings)[framing],
        "repeat": repeat,
        "perturbation": shown,
        "criterion": np.array(CRITERIA)[question % len(CRITERIA)],
        "tags": np.where(side[question], '{"camera": "side"}', '{"camera": "front"}'),
    }
    seen = _sight(entry, design.kind, shown, side[question], np.abs(scores[0] - scores[1])[question] / SCALE)
    stable = entry.planted.stable
    if entry.planted.confidence is not None:
        seen = seen + np.minimum(seen, 1 - seen) * (2 * draw("confidence", stable=stable) - 1)
    sees = draw("sees", stable=stable) < seen
    read = draw("unparsed", stable=stable) >= entry.planted.unparsed
    if design.kind == "verify":
        columns |= _verdicts(entry, draw, gold[question], sees, seen, columns["framing"] == "negative")
    elif design.kind == "score":
        columns |= _scores(entry, scores[0][question], sees, guesses[question])
    else:
        columns |= _preferences(entry, draw, scores[:, question], sees, np.array(design.orders)[order])
    answer = {"verify": "says_correct", "score": "score", "prefer": "prefer"}[design.kind]
    return _complete(columns, design.kind, read, answer)


def _sight(entry: ModelEntry, kind: str, shown: NDArray, side: NDArray, gap: Floats) -> Floats:
    planted = entry.planted
    skill = np.full(shown.size, entry.skill)
    if planted.weak_tag is not None:
        skill = np.where(side, planted.weak_skill, skill)
    if kind == "prefer":
        skill = np.where(gap < planted.gap, 0.0, skill)
    skill = np.where(np.isin(shown, NO_MOTION), skill * (1 - planted.motion), skill)
    return np.where(np.isin(shown, NO_PICTURE), planted.leak, np.maximum(skill, planted.leak))


def _verdicts(entry, draw, gold, sees, seen, negative):
    planted = entry.planted
    stable = planted.stable
    says = np.where(sees, gold, draw("prior", stable=stable) < entry.bias)
    says = np.where(draw("lean", stable=stable) < abs(planted.lean), planted.lean > 0, says)
    affirmed = says != negative
    affirmed = np.where(draw("shift", stable=stable) < abs(planted.shift), planted.shift > 0, affirmed)
    says = affirmed != negative
    columns = {"gold_correct": gold, "says_correct": says}
    if planted.confidence is not None:
        right = np.minimum((1 + seen) / 2, 1 - 1e-6)
        sure = np.minimum(1 / (1 + np.exp(-planted.confidence * np.log(right / (1 - right)))), 1 - 1e-6)
        columns["p_correct"] = np.where(says, sure, 1 - sure)
    return columns


def _scores(entry, gold, sees, guess):
    planted = entry.planted
    value = np.clip(SCALE * (planted.guess_mean + planted.guess_sd * guess), 0, SCALE).round(1)
    return {"gold_score": gold, "score": np.where(sees, gold, value), "scale_min": 0.0, "scale_max": SCALE}


def _preferences(entry, draw, scores, sees, order):
    planted = entry.planted
    stable = planted.stable
    this_first = order == "ab"
    first = np.where(sees, (scores[0] > scores[1]) == this_first, draw("prior", stable=stable) < 0.5)
    tie = sees & (scores[0] == scores[1])
    first = np.where(tie, draw("prior", stable=stable) < 0.5, first)
    taken = draw("position", stable=stable) < 2 * abs(planted.position)
    first = np.where(taken, planted.position > 0, first)
    return {
        "gold_score": scores[0], "other_gold_score": scores[1], "scale_min": 0.0, "scale_max": SCALE,
        "gold_prefer": np.where(scores[0] > scores[1], "this", np.where(scores[0] < scores[1], "other", "tie")),
        "prefer": np.where(first == this_first, "this", "other"), "pair_order": order,
    }  # fmt: skip


def _complete(columns, kind: str, read: NDArray, answer: str) -> pl.DataFrame:
    frame = pl.DataFrame(columns)
    said = pl.Series(read)
    frame = frame.with_columns(
        pl.when(said).then(pl.col(answer)).otherwise(None).alias(answer),
        pl.when(said).then(pl.lit("ok")).otherwise(pl.lit("unparsed")).alias("parse"),
        pl.int_range(pl.len()).cast(pl.String).alias("answer_key"),
        performance_id="question_id",
        kind=pl.lit(kind), task=pl.lit(kind), model=pl.lit("judge"), dataset=pl.lit("made"), action=pl.lit("squat"),
        answer_words=pl.lit("true_false"), view=pl.lit("rgb"), strategy=pl.lit("base"), shots=pl.lit(0),
    )  # fmt: skip
    return frame.select(
        (pl.col(name).cast(dtype) if name in frame.columns else pl.lit(None, dtype=dtype)).alias(name)
        for name, dtype in SCHEMA.items()
    )
