"""Balanced accuracy: the mean of per-class recalls, over all answers, per criterion, or over those that could be read.

A judge that always gives the same answer scores what a guess does, however rare a class is.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial

import numpy as np
import polars as pl
from numpy.typing import NDArray

from aqaudit.measures import resample
from aqaudit.measures.resample import mean_of_groups, ratio
from aqaudit.measures.rows import CORRECT, ERROR, Estimate, Measure, classified, codes, per_cluster

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """Which class counts belong together: cells are (framing, criterion, class), sorted.

    ``tables`` says where each table of classes (one framing and criterion) begins among the cells, ``framings`` where
    each framing begins among the tables.
    """

    cells: int
    tables: NDArray[np.int64]
    framings: NDArray[np.int64]

    def average(self, recall: Floats) -> Floats:
        """Return classes averaged within tables, tables within framings, and framings, each with equal weight."""
        tables = mean_of_groups(recall, self.tables, at_least=2)
        framings = mean_of_groups(tables, self.framings)
        return mean_of_groups(framings)[..., 0]

    def balanced_accuracy(self, sums: Floats) -> Floats:
        """Return the balanced accuracy of sums (..., 2 x cells): rows of every cell, then their right answers."""
        rows, right = sums[..., : self.cells], sums[..., self.cells :]
        return self.average(ratio(right, rows))


def layout(cells: pl.DataFrame) -> Layout:
    """Return the layout of cells given as sorted ``framing``, ``table``, ``gold``."""
    table = list(zip(cells["framing"], cells["table"], strict=True))
    tables = [at for at in range(len(table)) if at == 0 or table[at] != table[at - 1]]
    framings = [at for at in range(len(tables)) if at == 0 or table[tables[at]][0] != table[tables[at - 1]][0]]
    return Layout(cells=cells.height, tables=np.array(tables), framings=np.array(framings))


def balanced_accuracy(rows: pl.DataFrame, *, per_criterion: bool = False) -> Estimate:
    """Estimate balanced accuracy on classified rows (:func:`aqaudit.measures.rows.classified`).

    Parameters
    ----------
    rows : polars.DataFrame
        A row whose ``said`` is null counts as wrong for its class.
    per_criterion : bool
        Average over criteria instead of pooling them.
    """
    if rows.is_empty():
        return Estimate(value=None, why="no answer has a truth to compare with")
    keyed = rows.with_columns(table=pl.col("criterion") if per_criterion else pl.lit(""))
    keys = ["framing", "table", "gold"]
    counts = keyed.group_by([*keys, "cluster"]).agg(
        pl.len().alias("rows"), pl.col("said").eq(pl.col("gold")).sum().alias("right")
    )
    cells = counts.select(keys).unique().sort(keys).with_row_index("cell")
    counts = counts.join(cells, on=keys).sort("cluster", "cell")
    cluster, names = codes(counts["cluster"])
    plan = layout(cells)
    cell = counts["cell"].to_numpy().astype(np.int64)
    sums = resample.cluster_sums(
        np.concatenate((cluster, cluster)),
        np.concatenate((cell, cell + plan.cells)),
        np.concatenate((counts["rows"].to_numpy(), counts["right"].to_numpy())).astype(np.float64),
        (len(names), 2 * plan.cells),
    )
    value, replicates = resample.delete_one(sums, plan.balanced_accuracy)
    details = {"coverage": 1 - rows["said"].null_count() / rows.height, "classes": rows["gold"].n_unique()}
    if not np.isfinite(value):
        only = ", ".join(f"'{label}'" for label in rows["gold"].unique().sort())
        why = f"every truth is {only}" if rows["gold"].n_unique() == 1 else "no criterion has two classes in its truth"
        return Estimate(value=None, why=why, n=rows.height, clusters=len(names), details=details)
    small = resample.too_small(per_cluster(rows), resample.classes_held(rows)) or ""
    if rows["said"].null_count() == rows.height:
        # Both reasons: more performers would not help a judge whose texts hold no answer, nor the other way round.
        small = "; ".join(filter(None, ("no answer could be read", small)))
    found = Estimate(
        value=value,
        chance=_chance(keyed, plan),
        baseline=_best_constant(keyed),
        n=rows.height,
        clusters=len(names),
        flag="constant" if rows["said"].drop_nulls().n_unique() == 1 else None,
        details=details,
    )
    return resample.with_interval(
        found, replicates, bounds=(0.0, 1.0), small=small, degenerate=lambda _value, _clusters: _limits(counts, plan)
    )


def _limits(counts: pl.DataFrame, plan: Layout) -> tuple[float, float]:
    """Clopper-Pearson of every recall over the performers that hold its class, averaged as the recalls are."""
    totals = (
        counts.group_by("cell").agg(pl.col("rows").sum(), pl.col("right").sum(), pl.len().alias("held")).sort("cell")
    )
    limits = np.array(
        [resample.clopper_pearson(right / rows * held, held) for _, rows, right, held in totals.iter_rows()]
    )
    return float(plan.average(limits[:, 0])), float(plan.average(limits[:, 1]))


def _chance(keyed: pl.DataFrame, plan: Layout) -> float:
    """Return what guessing evenly among a question's options scores: 1 / options, averaged as the recalls are."""
    if keyed["options"].null_count() == keyed.height and keyed["gold"].is_in([CORRECT, ERROR]).all():
        return 0.5
    # Without a list of options: as many as the truths and answers of the criterion show.
    seen = pl.concat([keyed.select("criterion", kind=name) for name in ("gold", "said")]).drop_nulls()
    shown = seen.group_by("criterion").agg(pl.col("kind").n_unique().alias("shown"))
    guess = (
        keyed.join(shown, on="criterion")
        .with_columns(offered=pl.coalesce("options", "shown"))
        .group_by("framing", "table", "gold", "offered")
        .len()
        .group_by("framing", "table", "gold")
        .agg((pl.col("len") / pl.col("offered")).sort().sum() / pl.col("len").sum())
        .sort("framing", "table", "gold")
    )
    return float(plan.average(guess["len"].to_numpy().astype(np.float64)))


def _best_constant(keyed: pl.DataFrame) -> float:
    """Return what the best single answer per criterion scores, averaged as the measure is.

    Answering one criterion always the same adds the share of that class which falls into the criterion, whatever is
    answered elsewhere; so the best answers are found criterion by criterion. Framings get the same verdict.
    """
    cell = keyed.group_by("framing", "table", "gold").agg(pl.len().alias("rows"))
    classes = cell.group_by("framing", "table").agg(pl.len().alias("classes")).filter(pl.col("classes") >= 2)
    tables = classes.group_by("framing").agg(pl.len().alias("tables"))
    weight = 1.0 / pl.col("rows") / pl.col("classes") / pl.col("tables") / tables.height
    gains = (
        keyed.group_by("framing", "table", "criterion", "gold")
        .len()
        .join(cell, on=["framing", "table", "gold"])
        .join(classes, on=["framing", "table"])
        .join(tables, on="framing")
        .with_columns(gain=pl.col("len") * weight)
        .group_by("criterion", "gold")
        .agg(pl.col("gain").sort().sum())
        .group_by("criterion")
        .agg(pl.col("gain").max())
    )
    return float(np.sum(np.sort(gains["gain"].to_numpy())))


def of_kind(frame: pl.DataFrame) -> pl.DataFrame:
    """Return the classified rows of a frame of boolean questions, or of ``choose`` questions where ``kind`` says so."""
    chosen = "kind" in frame.columns and frame["kind"].cast(str).eq("choose").any()
    if chosen or "gold_correct" not in frame.columns:
        return classified(frame, "gold_choice", "choice")
    return classified(frame, "gold_correct", "says_correct")


def _of_read_answers(frame: pl.DataFrame) -> Estimate:
    rows = of_kind(frame)
    read = rows.filter(pl.col("said").is_not_null())
    if read.is_empty() and rows.height:
        return Estimate(value=None, why="no answer could be read", details={"coverage": 0.0})
    found = balanced_accuracy(read)
    coverage = {"coverage": read.height / rows.height} if rows.height else {}
    return replace(found, details={**found.details, **coverage})


_WHAT = (
    "The mean of per-class recalls over the classes present in the truth. An answer that could not be read, or was "
    "refused, counts as wrong for its class. Framings are averaged with equal weight."
)
_measure = partial(
    Measure,
    kinds=("verify", "detect", "choose"),
    columns=(),
    bounds=(0.0, 1.0),
    chance="1/k for a question with k options, 0.5 for true or false",
    higher_is_better=True,
    citation="Brodersen, Ong, Stephan & Buhmann, The balanced accuracy and its posterior distribution, ICPR 2010",
)
MEASURES = (
    _measure(
        name="balanced_accuracy",
        title="balanced accuracy",
        what=_WHAT,
        compute=lambda frame: balanced_accuracy(of_kind(frame)),
    ),
    _measure(
        name="balanced_accuracy_macro",
        title="balanced accuracy, mean over criteria",
        what=f"{_WHAT} Computed for each criterion that has at least two classes in its truth, then averaged.",
        compute=lambda frame: balanced_accuracy(of_kind(frame), per_criterion=True),
    ),
    _measure(
        name="balanced_accuracy_parsed",
        title="balanced accuracy of the answers that could be read",
        what=(
            "The mean of per-class recalls over the classes present in the truth, of parsed answers only. "
            "Framings are averaged with equal weight."
        ),
        compute=_of_read_answers,
    ),
)
