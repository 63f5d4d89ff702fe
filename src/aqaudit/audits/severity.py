"""Answers about errors of known severity: one subject for each error in each headline scope, and its counted trials."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from aqaudit.measures.psychometric_curve import Trials
from aqaudit.measures.rows import cluster, codes, number, parsed, text

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

#: Severities beyond so many are put together in as many groups of about one size.
MAX_LEVELS = 40


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """One error in one headline scope: its answers, one row each, and what is known of it."""

    labels: Mapping[str, str]
    rows: pl.DataFrame  # cluster, framing, severity, error (said), gold, item, answer_key
    coverage: float
    tolerance: float | None
    unit: str


def subjects_of(labels: Mapping[str, str], rows: pl.DataFrame) -> Iterator[Subject]:
    """Yield the subjects of a headline scope, ordered by action and error; none where no severity is known."""
    if labels["kind"] not in {"verify", "detect"}:
        return
    known = rows.with_columns(number(rows, "severity").alias("_severity")).filter(pl.col("_severity").is_not_null())
    if known.is_empty():
        return
    told = known.select(
        cluster(known),
        text(known, "framing"),
        text(known, "action"),
        # An error and the criterion that forbids it may both be asked about; they are different questions.
        pl.coalesce("error", "criterion").fill_null("").alias("error_id"),
        pl.col("_severity").alias("severity"),
        number(known, "tolerance"),
        text(known, "unit"),
        pl.when(parsed(known)).then(~pl.col("says_correct")).otherwise(None).alias("error"),
        pl.col("gold_correct").alias("gold"),
        pl.concat_str(
            [text(known, name) for name in ("question_id", "performance_id", "framing", "answer_words", "repeat")],
            separator="\x1f",
        ).alias("item"),
        text(known, "answer_key"),
    )
    groups = told.partition_by("action", "error_id", as_dict=True)
    for action, error in sorted(groups):
        group = groups[action, error]
        read = group.filter(pl.col("error").is_not_null())
        tolerances = group["tolerance"].drop_nulls().unique()
        yield Subject(
            labels={**labels, "action": str(action), "error": str(error)},
            rows=read,
            coverage=read.height / group.height,
            tolerance=float(tolerances[0]) if tolerances.len() == 1 else None,
            unit=str(group["unit"].sort()[-1]),
        )


def trials_of(rows: pl.DataFrame) -> Trials:
    """Return answers (columns cluster, framing, severity, error) as counts, framings with equal weight."""
    weights = rows.group_by("framing").agg((rows.height / rows["framing"].n_unique() / pl.len()).alias("weight"))
    grouped = (
        rows.with_columns(_grouped(rows["severity"]))
        .join(weights, on="framing")
        .group_by("cluster", "severity")
        .agg(pl.col("weight").sum().alias("total"), pl.col("weight").filter("error").sum().alias("said"))
        .sort("cluster", "severity")
    )
    place, _ = codes(grouped["cluster"])
    return Trials(
        cluster=place,
        severity=grouped["severity"].to_numpy(),
        total=grouped["total"].to_numpy(),
        said=grouped["said"].to_numpy(),
    )


def _grouped(severity: pl.Series) -> pl.Series:
    """Return severities with close ones put together where there are many: each as the mean of its group."""
    levels = severity.unique().sort().to_numpy()
    if levels.size <= MAX_LEVELS:
        return severity
    group = np.minimum(severity.rank("average").to_numpy() * MAX_LEVELS / severity.len(), MAX_LEVELS - 1).astype(int)
    return pl.DataFrame({"severity": severity, "group": group}).select(
        pl.col("severity").mean().over("group").alias("severity")
    )["severity"]
