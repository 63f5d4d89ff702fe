"""The same question asked again: how often, or how far, the answers differ."""

from __future__ import annotations

import numpy as np
import polars as pl

from aqaudit.measures import resample
from aqaudit.measures.rows import Estimate, Measure, cluster, number, parsed, scale_width, text

SETTING = ("question_id", "performance_id", "other_id", "framing", "answer_words", "pair_order")
_ANSWERS = ("says_correct", "choice", "prefer")
_ATIL = "Atil et al., Non-determinism of deterministic LLM settings, 2024"


def repeated(frame: pl.DataFrame) -> pl.DataFrame:
    """Return one row per question asked several times under the same settings, sorted.

    Returns
    -------
    polars.DataFrame
        The keys, ``cluster``; ``differ``: the chance that two of its answers differ, for verdicts, options and
        preferences; ``variance``: that of its scores, divided by n - 1 and by the squared width of the scale (null for
        other kinds); ``one``.
    """
    given = [pl.col(name).cast(pl.String) for name in _ANSWERS if name in frame.columns]
    rows = frame.filter(parsed(frame)).select(
        *[text(frame, name) for name in SETTING],
        cluster(frame),
        pl.coalesce([*given, pl.lit(None, pl.String)]).alias("said"),
        number(frame, "score"),
        scale_width(frame).alias("width"),
    )
    counted = rows.filter(pl.col("said").is_not_null())
    same = counted.group_by(*SETTING, "said").agg(pl.col("cluster").min(), pl.len().cast(pl.Float64).alias("k"))
    n, alike = pl.col("n"), pl.col("alike")
    verdicts = (
        same.group_by(*SETTING)
        .agg(
            pl.col("cluster").min(),
            pl.col("k").sum().alias("n"),
            (pl.col("k") * (pl.col("k") - 1)).sum().alias("alike"),
        )
        .filter(n > 1)
        .select(*SETTING, "cluster", differ=1 - alike / (n * (n - 1)), variance=pl.lit(None, pl.Float64))
    )
    scores = (
        rows.filter(pl.col("score").is_not_null())
        .group_by(*SETTING)
        .agg(
            pl.col("cluster").min(),
            pl.len().alias("n"),
            (pl.col("score").sort().var() / pl.col("width").first() ** 2).alias("variance"),
        )
        .filter(n > 1)
        .select(*SETTING, "cluster", differ=pl.lit(None, pl.Float64), variance="variance")
    )
    return pl.concat([verdicts, scores]).with_columns(one=pl.lit(1.0)).sort("cluster", *SETTING)


def _estimate(
    frame: pl.DataFrame,
    column: str,
    statistic: resample.Statistic,
    bounds: tuple[float, float],
    degenerate: resample.Limits,
) -> Estimate:
    rows = repeated(frame).filter(pl.col(column).is_not_null())
    return resample.estimate(
        rows,
        (column, "one"),
        statistic,
        bounds=bounds,
        why="no question was asked, and read, more than once under the same settings",
        degenerate=degenerate,
        details={"questions": rows.height},
    )


MEASURES = (
    Measure(
        name="repeat_disagreement",
        title="disagreement of repeats",
        what="The chance that two answers to one question under the same settings differ.",
        kinds=("verify", "detect", "choose", "prefer"),
        columns=(),
        bounds=(0.0, 1.0),
        chance="0.5 for a fair coin",
        higher_is_better=False,
        citation=_ATIL,
        compute=lambda frame: _estimate(frame, "differ", resample.mean, (0.0, 1.0), resample.share_limits),
    ),
    Measure(
        name="repeat_sd",
        title="spread of repeated scores",
        what=(
            "Standard deviation of the scores given to one question under the same settings, pooled, as a share of the "
            "scale's width."
        ),
        kinds=("score",),
        columns=("score",),
        bounds=(0.0, float("inf")),
        chance="none",
        higher_is_better=False,
        citation=_ATIL,
        compute=lambda frame: _estimate(
            frame, "variance", lambda sums: np.sqrt(resample.mean(sums)), (0.0, float("inf")), resample.itself
        ),
    ),
)
