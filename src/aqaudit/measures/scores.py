"""How many answers could be read."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
import polars as pl
from numpy.typing import NDArray

from aqaudit.measures import resample
from aqaudit.measures.recalls import mean_of_groups, ratio
from aqaudit.measures.rows import Estimate, Measure, cluster, codes, parsed, per_cluster, scored

Floats = NDArray[np.float64]


def parsed_with_mean(rows: pl.DataFrame) -> pl.DataFrame:
    """Return the parsed rows with ``mean``, ``lowest`` and ``highest`` true score of their action class."""
    read = rows.filter(pl.col("said").is_not_null())
    gold = pl.col("gold")
    # Sorted rows and window sums over them: the same answers give the same digits however the table was sorted.
    return read.with_columns(
        mean=(gold.sum() / pl.len()).over("action"),
        lowest=gold.min().over("action"),
        highest=gold.max().over("action"),
    )


def mean_loss(
    rows: pl.DataFrame,
    loss: Callable[[str], pl.Expr],
    figure: Callable[[Floats], Floats],
    *,
    missing: str,
    coverage: Mapping[str, float | int | str | None],
) -> Estimate:
    """Estimate ``figure(mean(loss))``.

    Parameters
    ----------
    rows : polars.DataFrame
        From :func:`parsed_with_mean`.
    loss : callable
        From the name of a column of answers to the expression of the loss of a row; null rows are left out.
    figure : callable
        From mean losses to the figure, vectorised.
    missing : str
        Why there is no figure when no row has a loss.
    coverage : mapping
        Details to hand on.
    """
    losses = rows.with_columns(loss=loss("said"), constant=loss("mean")).filter(pl.col("loss").is_not_null())
    details = {**coverage, "rows_without_range": rows.height - losses.height}
    if losses.is_empty():
        return Estimate(value=None, why=missing if rows.height else "no answer could be read", details=details)
    cluster, names = codes(losses["cluster"])
    framing, framings = codes(losses["framing"])
    width = len(framings)
    order = np.zeros(1, dtype=np.int64)

    def statistic(sums: Floats) -> Floats:
        total, count = sums[..., :width], sums[..., width:]
        means = ratio(total, count)
        return mean_of_groups(figure(means), order)[..., 0]

    def sums(column: str) -> object:
        weight = np.concatenate((losses[column].to_numpy(), np.ones(losses.height)))
        return resample.cluster_sums(
            np.concatenate((cluster, cluster)),
            np.concatenate((framing, framing + width)),
            weight,
            (len(names), 2 * width),
        )

    value, replicates = resample.delete_one(sums("loss"), statistic)
    if not np.isfinite(value):
        return Estimate(value=None, why="the true scores differ by too little to divide by", details=details)
    baseline, _ = resample.delete_one(sums("constant"), statistic)
    why, interval = resample.too_small(per_cluster(losses)) or "", None
    if not why:
        interval = resample.jackknife_interval(value, replicates, bounds=(0.0, float("inf")))
        why = "" if interval else "every performer gives the same figure"
    return Estimate(
        value=value,
        interval=interval,
        baseline=baseline,
        n=losses.height,
        clusters=len(names),
        why=why,
        details=details,
    )


def coverage(rows: pl.DataFrame) -> dict[str, float | int | str | None]:
    """Return the share of scored rows that were read."""
    return {"coverage": 1 - rows["said"].null_count() / rows.height if rows.height else None}


def compute_r_l2(frame: pl.DataFrame) -> Estimate:
    """Return 100 x the mean squared error relative to the range of the true scores, unclipped.

    The range is that of the parsed rows' truths within each action class, and is held fixed when performers are left
    out: the interval is conditional on it. Rows of a class whose truths are all equal have no range and are left out.
    """
    rows = scored(frame)

    def loss(column: str) -> pl.Expr:
        width = pl.col("highest") - pl.col("lowest")
        return pl.when(width > 0).then(((pl.col(column) - pl.col("gold")) / width) ** 2)

    return mean_loss(
        parsed_with_mean(rows),
        loss,
        _percent,
        missing="all true scores are equal, so there is no range",
        coverage=coverage(rows),
    )


def _percent(mean: NDArray[np.float64]) -> NDArray[np.float64]:
    return 100 * mean


R_L2 = Measure(
    name="r_l2",
    title="R-l2 (x 100)",
    what=(
        "100 x mean(((true - given) / (highest - lowest true score))^2) over parsed answers, unclipped; the range is "
        "that of the parsed rows' truths per data set, task and action class. Read it beside the constant mean's."
    ),
    kinds=("score",),
    columns=("gold_score", "score"),
    bounds=(0.0, float("inf")),
    chance="none; the constant mean scores 100 x variance / range^2",
    higher_is_better=False,
    citation="Yu et al., Group-aware contrastive regression for action quality assessment, ICCV 2021",
    compute=compute_r_l2,
)


def compute_rmse(frame: pl.DataFrame) -> Estimate:
    """Return the root of the mean of ((given - true) / (scale_max - scale_min))^2 over parsed rows."""
    rows = scored(frame)

    def loss(column: str) -> pl.Expr:
        return ((pl.col(column) - pl.col("gold")) / pl.col("nominal")) ** 2

    return mean_loss(
        parsed_with_mean(rows),
        loss,
        np.sqrt,
        missing="the answers name no scale (scale_min, scale_max)",
        coverage=coverage(rows),
    )


RMSE = Measure(
    name="rmse",
    title="RMSE / scale",
    what="Root mean squared error as a share of the scale's nominal width, over parsed answers.",
    kinds=("score",),
    columns=("gold_score", "score"),
    bounds=(0.0, float("inf")),
    chance="none; beside it stands the constant mean's",
    higher_is_better=False,
    citation="Hyndman & Koehler, Another look at measures of forecast accuracy, Int. J. Forecasting 2006",
    compute=compute_rmse,
)


def compute_mae(frame: pl.DataFrame) -> Estimate:
    """Return the mean of |given - true| over parsed rows."""
    rows = scored(frame)

    def loss(column: str) -> pl.Expr:
        return (pl.col(column) - pl.col("gold")).abs()

    return mean_loss(
        parsed_with_mean(rows),
        loss,
        _itself,
        missing="no answer has a true score to compare with",
        coverage=coverage(rows),
    )


def _itself(mean: NDArray[np.float64]) -> NDArray[np.float64]:
    return mean


MAE = Measure(
    name="mae",
    title="mean absolute error",
    what="Mean absolute difference of given and true score, in the unit of the scores, over parsed answers.",
    kinds=("score",),
    columns=("gold_score", "score"),
    bounds=(0.0, float("inf")),
    chance="none; beside it stands the constant mean's",
    higher_is_better=False,
    citation="Willmott & Matsuura, Advantages of the mean absolute error over the RMSE, Climate Research 2005",
    compute=compute_mae,
)


def compute_coverage(frame: pl.DataFrame) -> Estimate:
    """Return the share of rows whose answer was read without reservation."""
    rows = frame.select(cluster(frame), one=pl.lit(1.0), read=parsed(frame).cast(pl.Float64))
    return resample.estimate(
        rows,
        ("read", "one"),
        lambda table: resample.figure(table[..., 0], table[..., 1]),
        bounds=(0.0, 1.0),
        why="there are no answers",
        degenerate=resample.share_limits,
    )


COVERAGE = Measure(
    name="coverage",
    title="share of answers that could be read",
    what="Share of answers whose parse is ok: neither unparsed, refused, out of range nor truncated.",
    kinds=("verify", "detect", "choose", "score", "prefer"),
    columns=(),
    bounds=(0.0, 1.0),
    chance="none",
    higher_is_better=True,
    citation="Wang et al., My answer is C: first-token probabilities do not match text answers, ACL Findings 2024",
    compute=compute_coverage,
)
