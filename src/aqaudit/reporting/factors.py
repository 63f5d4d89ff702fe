"""Factors: which answers differ in one setting only, and what that setting changes, question by question."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

import polars as pl
from scipy import stats

from aqaudit.audits import permutation
from aqaudit.audits.chance import PLAN
from aqaudit.audits.scope import unperturbed
from aqaudit.measures import MEASURES, evidence

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from aqaudit.measures import Estimate

#: What a setting is where nothing is varied.
PLAIN: Mapping[str, str] = {"view": "rgb", "strategy": "base", "fps_asked": "default", "answer_words": "true_false"}
_FEW_SHOT = "few_shot"
#: Ends of a model's name that say how it thinks, from little to much: models that differ in them alone are one model
#: with a switch. One without such an end is between low and medium.
_THINKING = ("instruct", "off", "low", "", "medium", "on", "thinking", "high")
_STANDARD = "standard"
_KINDS = ("verify", "detect", "choose", "score", "prefer")


@dataclass(frozen=True, slots=True, kw_only=True)
class Factor:
    """One setting: ``column`` holds its level, ``free`` are the columns that differ with it, ``kinds`` have it."""

    name: str
    title: str
    column: str
    free: tuple[str, ...]
    kinds: tuple[str, ...] = _KINDS


FACTORS = (
    Factor(name="view", title="View", column="view", free=("view",)),
    Factor(name="strategy", title="Prompt strategy", column="strategy", free=("strategy",)),
    Factor(name="examples", title="Examples given (few-shot)", column="_examples", free=("strategy",)),
    Factor(
        name="framing",
        title="Wording of the statement",
        column="framing",
        free=("framing", "answer_words"),
        kinds=("verify", "detect", "prefer"),
    ),
    Factor(
        name="answer_words",
        title="Words to answer with",
        column="answer_words",
        free=("answer_words",),
        kinds=("verify", "detect"),
    ),
    Factor(name="sampling", title="Frames sent: rate, or number", column="fps_asked", free=("fps_asked",)),
    Factor(name="thinking", title="Thinking", column="_thinking", free=("model",)),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """The answers to one task of one data set by one model (or by models that differ in thinking), levels in order."""

    dataset: str
    task: str
    kind: str
    model: str
    rows: pl.DataFrame
    levels: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """What a level changes against the first one, on the questions asked in both; ``holm_p`` within the factor."""

    group: Group
    level: str
    against: str
    measure: str
    estimate: Estimate
    p: float | None
    holm_p: float | None


def plain(frame: pl.DataFrame, free: Sequence[str] = ()) -> pl.DataFrame:
    """Return the unperturbed answers in which every setting but the ``free`` ones is as where nothing is varied.

    Where the standard value of a setting does not occur, its first one stands in for it.
    """
    rows = unperturbed(frame)
    for column, standard in PLAIN.items():
        if column in free:
            continue
        present = ordered(rows[column].drop_nulls().unique().to_list(), standard)
        if present:
            kept = pl.col(column).is_null() | (pl.col(column) == present[0])
            if column == "answer_words":  # neutral statements have words of their own
                kept |= pl.col("framing") == "neutral"
            rows = rows.filter(kept)
    return rows if "strategy" in free else rows.filter(pl.col("shots").fill_null(0) == 0)


def ordered(values: Sequence[str], first: str = "") -> list[str]:
    """Return values in the order of the numbers in them, then of their letters, with ``first`` in front."""

    def key(value: str) -> tuple[bool, float, str]:
        number = re.match(r"\d+(?:\.\d+)?", value)
        return value != first, float(number[0]) if number else float("inf"), value

    return sorted(values, key=key)


def groups(frame: pl.DataFrame, factor: Factor) -> Iterator[Group]:
    """Yield the groups in which a factor has more than one level, in order of their names."""
    rows = plain(frame, factor.free).filter(pl.col("kind").is_in(factor.kinds) & pl.col(factor.free[0]).is_not_null())
    if factor.name == "examples":
        given = (
            pl.when(pl.col("strategy") == _FEW_SHOT).then(pl.col("shots")).when(pl.col("strategy") == "base").then(0)
        )
        rows = rows.with_columns(_examples=given.cast(pl.String)).filter(pl.col("_examples").is_not_null())
    elif factor.name == "strategy":
        rows = rows.filter(pl.col("shots").fill_null(0) == 0)
    elif factor.name == "answer_words":  # neutral statements are answered with letters whatever is asked for
        rows = rows.filter(pl.col("framing") != "neutral")
    end = pl.col("model").str.extract(rf"-({'|'.join(filter(None, _THINKING))})$")
    without = pl.when(end.is_null()).then(pl.col("model")).otherwise(pl.col("model").str.replace(r"-[a-z]+$", ""))
    rows = rows.with_columns(
        _thinking=end.fill_null(_STANDARD), _who=without if factor.name == "thinking" else pl.col("model")
    )
    parts = rows.partition_by("dataset", "task", "kind", "_who", as_dict=True)
    for (dataset, task, kind, model), part in sorted(parts.items()):
        levels = ordered(part[factor.column].unique().to_list(), _first(factor, str(kind)))
        if factor.name == "thinking":
            levels.sort(key=lambda level: _THINKING.index(level if level != _STANDARD else ""))
        if len(levels) > 1:
            yield Group(
                dataset=str(dataset), task=str(task), kind=str(kind), model=str(model), rows=part, levels=tuple(levels)
            )


def _first(factor: Factor, kind: str) -> str:
    if factor.name == "framing":
        return "negative" if kind == "detect" else "positive"
    return "0" if factor.name == "examples" else PLAIN.get(factor.column, "")


def estimate_of(rows: pl.DataFrame, kind: str) -> Estimate:
    """Return the headline figure of a kind on rows of one level."""
    return MEASURES[PLAN[kind][0]](rows)


def differences(frame: pl.DataFrame, factor: Factor) -> list[Difference]:
    """Return what each level of a factor changes against the first one, paired by question, corrected after Holm."""
    found = []
    for group in groups(frame, factor):
        against, *others = group.levels
        found += [(group, level, against, _paired(group, factor, level, against)) for level in others]
    p = {str(i): value for i, (*_, one) in enumerate(found) if (value := _p(one)) is not None}
    corrected = permutation.holm(p)
    return [
        Difference(
            group=group,
            level=level,
            against=against,
            measure=PLAN[group.kind][0],
            estimate=one,
            p=p.get(str(i)),
            holm_p=corrected.get(str(i)),
        )
        for i, (group, level, against, one) in enumerate(found)
    ]


def _paired(group: Group, factor: Factor, level: str, against: str) -> Estimate:
    """Compare two levels as conditions under which the same questions were asked."""
    rows = group.rows.filter(pl.col(factor.column).is_in([level, against])).with_columns(
        perturbation=pl.when(pl.col(factor.column) == against).then(pl.lit(evidence.FULL)).otherwise(pl.lit("level")),
        # What differs with the factor is no part of the question that both levels share.
        **{name: pl.lit("") for name in factor.free if name in evidence.KEYS},
    )
    return evidence.difference(evidence.compare(rows, (evidence.FULL, "level")), "level", (evidence.FULL,))


def _p(estimate: Estimate) -> float | None:
    """Return the two-sided p of no difference, from the jackknife's standard error with t(G - 1)."""
    if estimate.value is None or estimate.interval is None or estimate.interval.se <= 0:
        return None
    return float(2 * stats.t.sf(abs(estimate.value) / estimate.interval.se, estimate.clusters - 1))
