"""Scores: how far they are off, how many could be read, and whether a judge uses the scale or hides in its middle.

Parsed answers only (coverage apart), within each framing; framings are averaged with equal weight. Beside an error
stands that of the constant answer, the mean true score of the action class.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np
import polars as pl
from numpy.typing import NDArray

from aqaudit.measures import resample
from aqaudit.measures.resample import ratio
from aqaudit.measures.rows import Details, Estimate, Measure, cluster, parsed, per_cluster, scored

Floats = NDArray[np.float64]
Loss = Callable[[pl.Expr], pl.Expr]
"""From the answers to the loss of every row; null where it has none."""

#: Values of which the most frequent one is looked for when a performer is left out.
_MOST_VALUES = 60
_NO_SPREAD = 1e-12
_INFINITY = float("inf")


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


def read_scores(frame: pl.DataFrame) -> pl.DataFrame:
    """Return scored rows that were read (:func:`aqaudit.measures.rows.scored`)."""
    return scored(frame).filter(pl.col("said").is_not_null())


def value_counts(frame: pl.DataFrame) -> pl.DataFrame:
    """Return how often each score was given: ``said``, ``rows``, the most frequent first."""
    counts = read_scores(frame).group_by("said").agg(pl.len().alias("rows"))
    return counts.sort("rows", "said", descending=[True, False])


def _of_moments(
    frame: pl.DataFrame, figure: Callable[[Floats, Floats, Floats], Floats], *, bounds: tuple[float, float], why: str
) -> Estimate:
    """Estimate a figure of the variances of answers and truths and their covariance."""
    rows = read_scores(frame)
    if rows.is_empty():
        return Estimate(value=None, why="no answer could be read")
    # Moments around the means, lest large scores lose their digits.
    s, g = (pl.col(name) - float(rows[name].to_numpy().mean()) for name in ("said", "gold"))
    parts = rows.select("cluster", "framing", one=pl.lit(1.0), s=s, ss=s**2, g=g, gg=g**2, sg=s * g)

    def of_sums(n: Floats, s: Floats, ss: Floats, g: Floats, gg: Floats, sg: Floats) -> Floats:
        s, g = ratio(s, n), ratio(g, n)
        said, gold = (np.maximum(ratio(square, n) - mean**2, 0.0) for square, mean in ((ss, s), (gg, g)))
        said, gold = (np.where(variance < _NO_SPREAD, 0.0, variance) for variance in (said, gold))
        return figure(said, gold, ratio(sg, n) - s * g)

    return resample.estimate(
        parts,
        ("one", "s", "ss", "g", "gg", "sg"),
        resample.mean_over_framings(6, of_sums),
        bounds=bounds,
        why=why,
        degenerate=resample.itself,
        by_framing=True,
    )


def _modal_share(frame: pl.DataFrame) -> Estimate:
    rows, counts = read_scores(frame), value_counts(frame)
    top = counts["said"].head(_MOST_VALUES).to_list()
    values = {f"v{at}": (pl.col("said") == value).cast(pl.Float64) for at, value in enumerate(top)}
    return resample.estimate(
        rows.select("cluster", "framing", one=pl.lit(1.0), **values),
        ("one", *values),
        resample.mean_over_framings(1 + len(top), lambda n, *given: ratio(np.maximum.reduce(given), n)),
        bounds=(0.0, 1.0),
        why="no answer could be read",
        degenerate=resample.share_limits,
        by_framing=True,
        details={"distinct_values": counts.height, "modal_value": float(top[0]) if top else None},
    )


_spread_measure = partial(Measure, kinds=("score",), columns=("gold_score", "score"), higher_is_better=None)


SPREAD = (
    _spread_measure(
        name="sd_ratio",
        title="spread of the answers / spread of the truths",
        what=(
            "Standard deviation of given scores over that of true scores, over parsed answers. The best predictor has "
            "one as small as its correlation: never judged alone."
        ),
        bounds=(0.0, _INFINITY),
        chance="none; 0 for one score for everything",
        citation="Murphy, Skill scores based on the mean square error, Mon. Weather Rev. 1988",
        compute=lambda frame: _of_moments(
            frame,
            lambda said, gold, _cross: np.sqrt(ratio(said, gold, _NO_SPREAD)),
            bounds=(0.0, _INFINITY),
            why="all true scores are equal",
        ),
    ),
    _spread_measure(
        name="modal_share",
        title="share of the most frequent score",
        what="Share of parsed answers that are the most frequent score.",
        bounds=(0.0, 1.0),
        chance="none; 1 for one score for everything",
        citation="Gneiting, Making and evaluating point forecasts, J. Am. Stat. Assoc. 2011",
        compute=_modal_share,
    ),
    _spread_measure(
        name="calibration_slope",
        title="calibration slope",
        what=(
            "Slope of the regression of true on given scores, over parsed answers: 1 where a point more means a point "
            "more, 0 where it means nothing."
        ),
        bounds=(-_INFINITY, _INFINITY),
        chance="0",
        citation="Cox, Two further applications of a model for binary regression, Biometrika 1958",
        compute=lambda frame: _of_moments(
            frame,
            lambda said, _gold, cross: ratio(cross, said, _NO_SPREAD),
            bounds=(-_INFINITY, _INFINITY),
            why="every answer is the same score",
        ),
    ),
)
