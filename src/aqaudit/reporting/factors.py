"""The tables of the paper that AQAudit re-creates: figures by model and factor, differences, pairs by gap.

Prompts, settings, samples and poses are re-created; the figures are comparable with the paper's in kind, not digit by
digit. Every table is made from answers as written; tables that would have no row are left out.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import get_args

import polars as pl
from scipy import stats

from aqaudit.audits.chance import PLAN
from aqaudit.audits.correctness import KINDS
from aqaudit.audits.permutation import holm
from aqaudit.audits.scope import unperturbed
from aqaudit.core.records import Kind
from aqaudit.measures import MEASURES, Estimate, evidence
from aqaudit.reporting.tables import FIGURE, Cell, Table, figure_cells
from aqaudit.reporting.verdicts import NOTHING, interval_words, measure_name, number

NOTE = "Re-created after arXiv 2604.08294: its prompts and settings are not public."
#: What a setting is where nothing is varied.
PLAIN: Mapping[str, str] = {"view": "rgb", "strategy": "base", "fps_asked": "default", "answer_words": "true_false"}
#: Fixed bands of the difference of two scores, as shares of their scale; quantile bands are fifths.
EDGES = (0.0, 0.05, 0.1, 0.2, 0.4)
_FEW_SHOT = "few_shot"
#: Ends of a model's name that say how it thinks, from little to much: models that differ in them alone are one model
#: with a switch. One without such an end is between low and medium.
_THINKING = ("instruct", "off", "low", "", "medium", "on", "thinking", "high")
_STANDARD = "standard"
#: Kind of question -> what stands beside its headline figure.
_BESIDE = {
    "verify": ("lean",),
    "detect": ("lean",),
    "choose": (),
    "score": ("spearman_by_action", "r_l2"),
    "prefer": ("bradley_terry", "position_bias", "order_consistency"),
}
_FRAMINGS = ("positive", "negative", "neutral")


@dataclass(frozen=True, slots=True, kw_only=True)
class Factor:
    """One setting: ``column`` holds its level, ``free`` are the columns that differ with it, ``kinds`` have it."""

    name: str
    title: str
    column: str
    free: tuple[str, ...]
    kinds: tuple[str, ...] = get_args(Kind)


FACTORS = (
    Factor(name="view", title="View", column="view", free=("view",)),
    Factor(name="strategy", title="Prompt strategy", column="strategy", free=("strategy",)),
    Factor(name="examples", title="Examples given (few-shot)", column="_examples", free=("strategy",)),
    Factor(
        name="framing",
        title="Wording of the statement",
        column="framing",
        free=("framing", "answer_words"),
        kinds=(*KINDS, "prefer"),
    ),
    Factor(
        name="answer_words",
        title="Words to answer with",
        column="answer_words",
        free=("answer_words",),
        kinds=KINDS,
    ),
    Factor(name="sampling", title="Frames sent: rate, or number", column="fps_asked", free=("fps_asked",)),
    Factor(name="thinking", title="Thinking", column="_thinking", free=("model",)),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class FactorGroup:
    """The answers to one task of one data set by one model (or by models that differ in thinking), levels in order."""

    dataset: str
    task: str
    kind: str
    model: str
    rows: pl.DataFrame
    levels: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class FactorDifference:
    """What a level changes against the first one, on the questions asked in both; ``holm_p`` within the factor."""

    group: FactorGroup
    level: str
    against: str
    measure: str
    estimate: Estimate
    p: float | None
    holm_p: float | None


def tables(frame: pl.DataFrame) -> tuple[Table, ...]:
    """Return every table that has rows: baseline, each factor that varies, differences, pairs by gap."""
    frame = frame.sort("answer_key", "question_id")
    varied = (by_factor(frame, factor) for factor in FACTORS)
    made = (baseline(frame), baseline_figures(frame), *varied, wording(frame), difference_tables(frame), by_gap(frame))
    return tuple(table for table in made if table.rows)


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


def _scopes(frame: pl.DataFrame) -> Iterator[tuple[tuple[str, str, str, str], pl.DataFrame]]:
    """Yield (data set, task, kind, model) with its plain answers, in order."""
    parts = plain(frame).partition_by("dataset", "task", "kind", "model", as_dict=True)
    for (dataset, task, kind, model), rows in sorted(parts.items()):
        yield (str(dataset), str(task), str(kind), str(model)), rows


def groups(frame: pl.DataFrame, factor: Factor) -> Iterator[FactorGroup]:
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
            yield FactorGroup(
                dataset=str(dataset), task=str(task), kind=str(kind), model=str(model), rows=part, levels=tuple(levels)
            )


def _first(factor: Factor, kind: str) -> str:
    if factor.name == "framing":
        return "negative" if kind == "detect" else "positive"
    return "0" if factor.name == "examples" else PLAIN.get(factor.column, "")


def ordered(values: Sequence[str], first: str = "") -> list[str]:
    """Return values in the order of the numbers in them, then of their letters, with ``first`` in front."""

    def key(value: str) -> tuple[bool, float, str]:
        number = re.match(r"\d+(?:\.\d+)?", value)
        return value != first, float(number[0]) if number else float("inf"), value

    return sorted(values, key=key)


def differences(frame: pl.DataFrame, factor: Factor) -> list[FactorDifference]:
    """Return what each level of a factor changes against the first one, paired by question, corrected after Holm."""
    found = []
    for group in groups(frame, factor):
        against, *others = group.levels
        found += [(group, level, against, _paired(group, factor, level, against)) for level in others]
    p_values = [_p(one) for *_, one in found]
    return [
        FactorDifference(
            group=group, level=level, against=against, measure=PLAN[group.kind][0], estimate=one, p=p, holm_p=holm_p
        )
        for (group, level, against, one), p, holm_p in zip(found, p_values, holm(p_values), strict=True)
    ]


def _paired(group: FactorGroup, factor: Factor, level: str, against: str) -> Estimate:
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


def baseline(frame: pl.DataFrame) -> Table:
    """Return the headline figure of every model on every task, models side by side, intervals in brackets."""
    models = sorted(frame["model"].unique().to_list())
    found: dict[tuple[str, str, str], dict[str, str]] = {}
    for (dataset, task, kind, model), rows in _scopes(frame):
        found.setdefault((dataset, task, kind), {})[model] = _headline(rows, kind)
    return _table(
        "baseline",
        "Baseline: each model on each task, nothing varied",
        ("data set", "task", "measure", *models),
        (
            (dataset, task, measure_name(PLAN[kind][0]), *(by.get(model) for model in models))
            for (dataset, task, kind), by in sorted(found.items())
        ),
        numbers=models,
    )


def baseline_figures(frame: pl.DataFrame) -> Table:
    """Return the baseline's figures unrounded, one row each, with what stands beside the headline of each kind."""
    return _table(
        "baseline_figures",
        "Baseline figures, and what stands beside them",
        ("data set", "task", "model", "measure", *FIGURE),
        (
            (dataset, task, model, measure_name(name), *figure_cells(MEASURES[name](answers)))
            for (dataset, task, kind, model), answers in _scopes(frame)
            for name in (PLAN[kind][0], *_BESIDE[kind])
        ),
        numbers=FIGURE,
    )


def by_factor(frame: pl.DataFrame, factor: Factor) -> Table:
    """Return the headline figure at every level of a factor, levels side by side, intervals in brackets."""
    found = list(groups(frame, factor))
    levels = list(dict.fromkeys(level for group in found for level in group.levels))
    rows: list[tuple[Cell, ...]] = []
    for group in found:
        by = {level: _headline(group.rows.filter(pl.col(factor.column) == level), group.kind) for level in group.levels}
        head = (group.dataset, group.task, group.model, measure_name(PLAN[group.kind][0]))
        rows.append((*head, *(by.get(level) for level in levels)))
    return _table(
        factor.name,
        f"{factor.title}: all else as in the baseline",
        ("data set", "task", "model", "measure", *levels),
        rows,
        numbers=levels,
    )


def wording(frame: pl.DataFrame) -> Table:
    """Return how often "correct" is said under positive and negative wording, and how far that shifts, paired."""
    rows: list[tuple[Cell, ...]] = []
    for (dataset, task, _, model), answers in _scopes(frame.filter(pl.col("kind").is_in(KINDS))):
        shift = MEASURES["framing_shift"](answers)
        if shift.value is not None:
            said = dict(answers.group_by("framing").agg(pl.col("says_correct").cast(pl.Float64).mean()).iter_rows())
            shares = (said.get(framing) for framing in _FRAMINGS)
            rows.append((dataset, task, model, *shares, shift.value, shift.low, shift.high, shift.n, shift.clusters))
    figures = (*(f"says correct: {framing}" for framing in _FRAMINGS), "shift", "low", "high", "n", "clusters")
    return _table(
        "wording",
        "How far the wording moves the answer",
        ("data set", "task", "model", *figures),
        rows,
        numbers=figures,
        note="Shift: P(says correct, positive wording) less P(says correct, negative wording), paired. ",
    )


def difference_tables(frame: pl.DataFrame) -> Table:
    """Return what each level of each factor changes, paired by question, Holm-corrected within the factor."""
    rows: list[tuple[Cell, ...]] = []
    for factor in FACTORS:
        for one in differences(frame, factor):
            group, estimate = one.group, one.estimate
            rows.append((
                *(factor.name, group.dataset, group.task, group.model, one.level, one.against),
                *(measure_name(one.measure), estimate.value, estimate.low, estimate.high, one.p, one.holm_p),
                *(estimate.n, estimate.clusters, estimate.why),
            ))  # fmt: skip
    figures = ("difference", "low", "high", "p", "holm_p", "n", "clusters")
    return _table(
        "differences",
        "What each setting changes, on the same questions",
        ("factor", "data set", "task", "model", "level", "against", "measure", *figures, "why"),
        rows,
        numbers=figures,
        note="Paired by question; 95 % interval over performers; Holm's correction over all rows of a factor. ",
    )


def by_gap(frame: pl.DataFrame) -> Table:
    """Return the accuracy over pairs by the difference of their true scores: fixed bands, and fifths of the pairs."""
    rows: list[tuple[Cell, ...]] = []
    for (dataset, task, _, model), answers in _scopes(frame.filter(pl.col("kind") == "prefer")):
        width = pl.col("scale_max") - pl.col("scale_min")
        gap = ((pl.col("gold_score") - pl.col("other_gold_score")).abs() / width).round(9)
        gapped = answers.with_columns(_gap=gap).filter(pl.col("_gap").is_not_null() & pl.col("_gap").is_finite())
        if gapped.is_empty():  # pairs of a criterion or an error have no scores
            continue
        for bands, edges in (("fixed", EDGES), ("fifths", _fifths(gapped["_gap"]))):
            for low, high in zip(edges, (*edges[1:], None), strict=True):
                inside = pl.col("_gap") >= low
                part = gapped.filter(inside if high is None else inside & (pl.col("_gap") < high))
                if part.height:
                    figure = MEASURES["pair_accuracy"](part)
                    rows.append(
                        (dataset, task, model, bands, low, high, *figure_cells(figure), figure.details.get("pairs"))
                    )
    figures = ("from", "to", *FIGURE, "pairs")
    return _table(
        "contrastive",
        "Which of two is better, by how much better it is",
        ("data set", "task", "model", "bands", *figures),
        rows,
        numbers=figures,
        note="Gap: difference of the true scores as a share of their scale. Pairs judged differently in the two orders "
        "count one half. ",
    )


def _fifths(gaps: pl.Series) -> tuple[float, ...]:
    """Return the lower ends of five equally full bands; fewer where many gaps are equal."""
    sizes = gaps.sort().to_list()
    return tuple(dict.fromkeys(float(sizes[len(sizes) * part // 5]) for part in range(5)))


def _table(
    name: str,
    caption: str,
    columns: tuple[str, ...],
    rows: Iterable[tuple[Cell, ...]],
    *,
    numbers: Sequence[str],
    note: str = "",
) -> Table:
    return Table(
        name=f"paper_{name}",
        caption=caption,
        columns=columns,
        rows=tuple(rows),
        numbers=frozenset(numbers),
        note=f"{note}{NOTE}",
        missing=NOTHING,
    )


def _headline(rows: pl.DataFrame, kind: str) -> str:
    """Return the headline figure of a kind on rows of one level, with its interval in brackets."""
    estimate = MEASURES[PLAN[kind][0]](rows)
    if estimate.value is None:
        return NOTHING
    return f"{number(estimate.value)} ({interval_words(estimate.low, estimate.high)})"
