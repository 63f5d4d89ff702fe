"""Errors of scores: squared relative to a range, squared on the scale, absolute; and how many answers could be read.

Parsed answers only (coverage apart); framings are averaged with equal weight. Beside an error stands that of the
constant answer, the mean true score of the action class.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import polars as pl
from numpy.typing import NDArray

from aqaudit.measures import resample
from aqaudit.measures.resample import ratio
from aqaudit.measures.rows import Details, Estimate, Measure, cluster, parsed, per_cluster, scored

Floats = NDArray[np.float64]
Loss = Callable[[pl.Expr], pl.Expr]
"""From the answers to the loss of every row; null where it has none."""


def mean_loss(frame: pl.DataFrame, loss: Loss, figure: Callable[[Floats], Floats], *, missing: str) -> Estimate:
    """Estimate a figure of the mean loss.

    Parameters
    ----------
    frame : polars.DataFrame
        Answers of one scope.
    loss : callable
        It may use the columns of :func:`aqaudit.measures.rows.scored`, and ``lowest`` and ``highest``: the ends of the
        true scores of the parsed rows of an action class. They are held fixed when performers are left out.
    figure : callable
        From mean losses to the figure, vectorised.
    missing : str
        Why there is no figure when no row has a loss.
    """
    rows = scored(frame)
    read = rows.filter(pl.col("said").is_not_null())
    gold = pl.col("gold")
    # Sorted rows and window sums over them: the same answers give the same digits however the table was sorted.
    losses = (
        read.with_columns(
            mean=(gold.sum() / pl.len()).over("action"),
            lowest=gold.min().over("action"),
            highest=gold.max().over("action"),
        )
        .with_columns(loss=loss(pl.col("said")), constant=loss(pl.col("mean")), one=pl.lit(1.0))
        .filter(pl.col("loss").is_not_null())
    )
    details: Details = {
        "coverage": 1 - rows["said"].null_count() / rows.height if rows.height else None,
        "rows_without_range": read.height - losses.height,
    }
    if losses.is_empty():
        return Estimate(value=None, why=missing if read.height else "no answer could be read", details=details)
    statistic = resample.mean_over_framings(2, lambda total, rows: figure(ratio(total, rows)))
    sums, names = resample.framing_matrix(losses, ("loss", "one"))
    value, replicates = resample.delete_one(sums, statistic)
    if not np.isfinite(value):
        return Estimate(value=None, why="the true scores differ by too little to divide by", details=details)
    found = Estimate(
        value=value,
        baseline=float(statistic(resample.framing_matrix(losses, ("constant", "one"))[0].sum(axis=0))),
        n=losses.height,
        clusters=len(names),
        details=details,
    )
    return resample.with_interval(
        found,
        replicates,
        bounds=(0.0, float("inf")),
        small=resample.too_small(per_cluster(losses)),
        lacking="every performer gives the same figure",
    )


def _of_range(answer: pl.Expr) -> pl.Expr:
    width = pl.col("highest") - pl.col("lowest")
    return pl.when(width > 0).then(((answer - pl.col("gold")) / width) ** 2)


def _measure(
    *,
    name: str,
    title: str,
    what: str,
    loss: Loss,
    figure: Callable[[Floats], Floats],
    missing: str,
    citation: str,
    chance: str = "none; beside it stands the constant mean's",
) -> Measure:
    return Measure(
        name=name,
        title=title,
        what=what,
        kinds=("score",),
        columns=("gold_score", "score"),
        bounds=(0.0, float("inf")),
        chance=chance,
        higher_is_better=False,
        citation=citation,
        compute=lambda frame: mean_loss(frame, loss, figure, missing=missing),
    )


MEASURES = (
    _measure(
        name="r_l2",
        title="R-l2 (x 100)",
        what=(
            "100 x mean(((true - given) / (highest - lowest true score))^2) over parsed answers, unclipped; the range "
            "is that of the parsed rows' truths per data set, task and action class. Read it beside the constant "
            "mean's."
        ),
        loss=_of_range,
        figure=lambda mean: 100 * mean,
        missing="all true scores are equal, so there is no range",
        chance="none; the constant mean scores 100 x variance / range^2",
        citation="Yu et al., Group-aware contrastive regression for action quality assessment, ICCV 2021",
    ),
    _measure(
        name="rmse",
        title="RMSE / scale",
        what="Root mean squared error as a share of the scale's nominal width, over parsed answers.",
        loss=lambda answer: ((answer - pl.col("gold")) / pl.col("nominal")) ** 2,
        figure=np.sqrt,
        missing="the answers name no scale (scale_min, scale_max)",
        citation="Hyndman & Koehler, Another look at measures of forecast accuracy, Int. J. Forecasting 2006",
    ),
    _measure(
        name="mae",
        title="mean absolute error",
        what="Mean absolute difference of given and true score, in the unit of the scores, over parsed answers.",
        loss=lambda answer: (answer - pl.col("gold")).abs(),
        figure=lambda mean: mean,
        missing="no answer has a true score to compare with",
        citation="Willmott & Matsuura, Advantages of the mean absolute error over the RMSE, Climate Research 2005",
    ),
)


def _coverage(frame: pl.DataFrame) -> Estimate:
    return resample.estimate(
        frame.select(cluster(frame), read=parsed(frame), one=pl.lit(1.0)),
        ("read", "one"),
        resample.mean,
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
    compute=_coverage,
)
