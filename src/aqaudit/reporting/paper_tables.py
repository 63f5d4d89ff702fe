"""The tables of the paper that AQAudit re-creates: figures by model and factor, differences, pairs by gap.

Prompts, settings, samples and poses are re-created; the figures are comparable with the paper's in kind, not digit by
digit. Every function takes answers as written and returns :class:`~aqaudit.reporting.tables.Table`; tables that would
have no row are left out.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import polars as pl

from aqaudit.audits.chance import PLAN
from aqaudit.measures import MEASURES
from aqaudit.reporting import factors
from aqaudit.reporting.tables import Table
from aqaudit.reporting.verdicts import NOTHING, measure_name, number

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from aqaudit.measures import Estimate
    from aqaudit.reporting.tables import Cell

NOTE = "Re-created after arXiv 2604.08294: its prompts and settings are not public."
#: Fixed bands of the difference of two scores, as shares of their scale; quantile bands are fifths.
EDGES = (0.0, 0.05, 0.1, 0.2, 0.4)
_BESIDE = {
    "verify": ("lean",),
    "detect": ("lean",),
    "choose": (),
    "score": ("spearman_by_action", "r_l2"),
    "prefer": ("bradley_terry", "position_bias", "order_consistency"),
}
_FRAMINGS = ("positive", "negative", "neutral")
_FIGURE = ("value", "low", "high", "chance", "constant_answer", "n", "clusters")
_NUMBERS = frozenset({*_FIGURE, "difference", "p", "holm_p", "pairs", "from", "to"})


def tables(frame: pl.DataFrame) -> tuple[Table, ...]:
    """Return every table that has rows: baseline, each factor that varies, differences, pairs by gap."""
    frame = frame.sort("answer_key", "question_id")
    varied = (by_factor(frame, factor) for factor in factors.FACTORS)
    made = (baseline(frame), baseline_figures(frame), *varied, wording(frame), differences(frame), by_gap(frame))
    return tuple(table for table in made if table.rows)


def _scopes(frame: pl.DataFrame) -> Iterator[tuple[tuple[str, str, str, str], pl.DataFrame]]:
    """Yield (data set, task, kind, model) with its plain answers, in order."""
    parts = factors.plain(frame).partition_by("dataset", "task", "kind", "model", as_dict=True)
    for (dataset, task, kind, model), rows in sorted(parts.items()):
        yield (str(dataset), str(task), str(kind), str(model)), rows


def baseline(frame: pl.DataFrame) -> Table:
    """Return the headline figure of every model on every task, models side by side, intervals in brackets."""
    models = sorted(frame["model"].unique().to_list())
    found: dict[tuple[str, str, str], dict[str, str]] = {}
    for (dataset, task, kind, model), rows in _scopes(frame):
        found.setdefault((dataset, task, kind), {})[model] = _with_interval(factors.estimate_of(rows, kind))
    return Table(
        name="paper_baseline",
        caption="Baseline: each model on each task, nothing varied",
        columns=("data set", "task", "measure", *models),
        rows=tuple(
            (dataset, task, measure_name(PLAN[kind][0]), *(by.get(model) for model in models))
            for (dataset, task, kind), by in sorted(found.items())
        ),
        numbers=frozenset(models),
        note=NOTE,
        missing=NOTHING,
    )


def baseline_figures(frame: pl.DataFrame) -> Table:
    """Return the baseline's figures unrounded, one row each, with what stands beside the headline of each kind."""
    rows: list[tuple[Cell, ...]] = []
    for (dataset, task, kind, model), answers in _scopes(frame):
        rows += [
            (dataset, task, model, measure_name(name), *_figure(MEASURES[name](answers)))
            for name in (PLAN[kind][0], *_BESIDE[kind])
        ]
    return Table(
        name="paper_baseline_figures",
        caption="Baseline figures, and what stands beside them",
        columns=("data set", "task", "model", "measure", *_FIGURE),
        rows=tuple(rows),
        numbers=_NUMBERS,
        note=NOTE,
        missing=NOTHING,
    )


def by_factor(frame: pl.DataFrame, factor: factors.Factor) -> Table:
    """Return the headline figure at every level of a factor, levels side by side, intervals in brackets."""
    found = list(factors.groups(frame, factor))
    levels = list(dict.fromkeys(level for group in found for level in group.levels))
    rows: list[tuple[Cell, ...]] = []
    for group in found:
        by = {
            level: _with_interval(factors.estimate_of(group.rows.filter(pl.col(factor.column) == level), group.kind))
            for level in group.levels
        }
        head = (group.dataset, group.task, group.model, measure_name(PLAN[group.kind][0]))
        rows.append((*head, *(by.get(level) for level in levels)))
    return Table(
        name=f"paper_{factor.name}",
        caption=f"{factor.title}: all else as in the baseline",
        columns=("data set", "task", "model", "measure", *levels),
        rows=tuple(rows),
        numbers=frozenset(levels),
        note=NOTE,
        missing=NOTHING,
    )


def wording(frame: pl.DataFrame) -> Table:
    """Return how often "correct" is said under positive and negative wording, and how far that shifts, paired."""
    rows: list[tuple[Cell, ...]] = []
    for (dataset, task, kind, model), answers in _scopes(frame.filter(pl.col("kind").is_in(["verify", "detect"]))):
        del kind
        shift = MEASURES["framing_shift"](answers)
        if shift.value is not None:
            said = dict(answers.group_by("framing").agg(pl.col("says_correct").cast(pl.Float64).mean()).iter_rows())
            shares = (said.get(framing) for framing in _FRAMINGS)
            rows.append((dataset, task, model, *shares, shift.value, shift.low, shift.high, shift.n, shift.clusters))
    columns = tuple(f"says correct: {framing}" for framing in _FRAMINGS)
    return Table(
        name="paper_wording",
        caption="How far the wording moves the answer",
        columns=("data set", "task", "model", *columns, "shift", "low", "high", "n", "clusters"),
        rows=tuple(rows),
        numbers=_NUMBERS | {*columns, "shift"},
        note=f"Shift: P(says correct, positive wording) less P(says correct, negative wording), paired. {NOTE}",
        missing=NOTHING,
    )


def differences(frame: pl.DataFrame) -> Table:
    """Return what each level of each factor changes, paired by question, Holm-corrected within the factor."""
    rows: list[tuple[Cell, ...]] = []
    for factor in factors.FACTORS:
        for one in factors.differences(frame, factor):
            group, estimate = one.group, one.estimate
            rows.append((
                *(factor.name, group.dataset, group.task, group.model, one.level, one.against),
                *(measure_name(one.measure), estimate.value, estimate.low, estimate.high, one.p, one.holm_p),
                *(estimate.n, estimate.clusters, estimate.why),
            ))  # fmt: skip
    return Table(
        name="paper_differences",
        caption="What each setting changes, on the same questions",
        columns=(
            *("factor", "data set", "task", "model", "level", "against", "measure", "difference", "low", "high"),
            *("p", "holm_p", "n", "clusters", "why"),
        ),
        rows=tuple(rows),
        numbers=_NUMBERS,
        note="Paired by question; 95 % interval over performers; Holm's correction over all rows of a factor. " + NOTE,
        missing=NOTHING,
    )


def by_gap(frame: pl.DataFrame) -> Table:
    """Return the accuracy over pairs by the difference of their true scores: fixed bands, and fifths of the pairs."""
    rows: list[tuple[Cell, ...]] = []
    for (dataset, task, kind, model), answers in _scopes(frame.filter(pl.col("kind") == "prefer")):
        del kind
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
                    rows.append((dataset, task, model, bands, low, high, *_figure(figure), figure.details.get("pairs")))
    return Table(
        name="paper_contrastive",
        caption="Which of two is better, by how much better it is",
        columns=("data set", "task", "model", "bands", "from", "to", *_FIGURE, "pairs"),
        rows=tuple(rows),
        numbers=_NUMBERS,
        note=(
            "Gap: difference of the true scores as a share of their scale. Pairs judged differently in the two orders "
            f"count one half. {NOTE}"
        ),
        missing=NOTHING,
    )


def _fifths(gaps: pl.Series) -> tuple[float, ...]:
    """Return the lower ends of five equally full bands; fewer where many gaps are equal."""
    if gaps.is_empty():
        return ()
    ordered = gaps.sort().to_list()
    return tuple(dict.fromkeys(float(ordered[len(ordered) * part // 5]) for part in range(5)))


def _figure(estimate: Estimate) -> tuple[Cell, ...]:
    return (
        *(estimate.value, estimate.low, estimate.high, estimate.chance, estimate.baseline),
        *(estimate.n, estimate.clusters),
    )


def _with_interval(estimate: Estimate) -> str:
    if estimate.value is None:
        return NOTHING
    ends: Sequence[float | None] = (estimate.low, estimate.high)
    inside = NOTHING if None in ends else f"{number(estimate.low)} to {number(estimate.high)}"
    return f"{number(estimate.value)} ({inside})"
