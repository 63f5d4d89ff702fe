"""Accuracy of preferences over pairs of performances."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from aqaudit.measures import resample
from aqaudit.measures.measure import Estimate, Measure
from aqaudit.measures.recalls import mean_of_groups, per_cluster, ratio
from aqaudit.measures.rows import cluster, codes, parsed, require, text

if TYPE_CHECKING:
    from numpy.typing import NDArray

PAIR = ("framing", "question_id", "performance_id", "other_id", "pair_id")


def pair_credits(frame: pl.DataFrame) -> pl.DataFrame:
    """Return one row per pair and framing: ``credit`` between 0 and 1, ``read`` rows, and what constants would score.

    A row earns 1 for the right performance, 1/2 for a tie, 0 for the wrong one or no readable answer. A pair's credit
    is the mean over its orders of presentation, so a preference for a position rather than a performance earns 1/2.
    Pairs that are truly tied are left out. ``first`` is the credit of always naming the performance shown first.
    """
    require(frame, ("gold_prefer", "prefer"))
    said = pl.col("prefer").cast(pl.String)
    gold = pl.col("gold_prefer").cast(pl.String)
    credit = pl.when(said == gold).then(1.0).when(said == "tie").then(0.5).otherwise(0.0)
    turned = text(frame, "pair_order").eq("ba")
    rows = frame.filter(gold.is_in(["this", "other"])).select(
        *[text(frame, name) for name in PAIR],
        cluster(frame),
        turned.alias("turned"),
        (parsed(frame) & said.is_not_null()).alias("read"),
        pl.when(parsed(frame) & said.is_not_null()).then(credit).otherwise(0.0).alias("credit"),
        (gold.eq("this") != turned).cast(pl.Float64).alias("first"),
    )
    orders = rows.group_by(*PAIR, "turned").agg(
        pl.col("cluster").min(),
        pl.len().alias("rows"),
        pl.col("read").sum(),
        pl.col("credit").sum() / pl.len(),
        pl.col("first").sum() / pl.len(),
    )
    return (
        orders.group_by(*PAIR)
        .agg(
            pl.col("cluster").min(),
            pl.col("rows").sum(),
            pl.col("read").sum(),
            pl.col("credit").sort().sum() / pl.len(),
            pl.col("first").sort().sum() / pl.len(),
        )
        .sort("cluster", *PAIR)
    )


def compute(frame: pl.DataFrame) -> Estimate:
    """Return the mean credit over pairs, framings averaged with equal weight."""
    pairs = pair_credits(frame)
    if pairs.is_empty():
        return Estimate(value=None, why="no pair has a better performance in its truth")
    at, names = codes(pairs["cluster"])
    framing, framings = codes(pairs["framing"])
    width = len(framings)
    start = np.zeros(1, dtype=np.int64)

    def statistic(sums: NDArray[np.float64]) -> NDArray[np.float64]:
        total, count = sums[..., :width], sums[..., width:]
        mean = ratio(total, count)
        return mean_of_groups(mean, start)[..., 0]

    def sums(column: str) -> object:
        weight = np.concatenate((pairs[column].to_numpy(), np.ones(pairs.height)))
        return resample.cluster_sums(
            np.concatenate((at, at)), np.concatenate((framing, framing + width)), weight, (len(names), 2 * width)
        )

    value, replicates = resample.delete_one(sums("credit"), statistic)
    first, _ = resample.delete_one(sums("first"), statistic)
    why, interval = resample.too_small(per_cluster(pairs)) or "", None
    if not why:
        interval = resample.jackknife_interval(
            value, replicates, bounds=(0.0, 1.0), degenerate=resample.clopper_pearson(value * len(names), len(names))
        )
        why = "" if interval else "the figure hangs on a single performer"
    rows = int(pairs["rows"].sum())
    return Estimate(
        value=value,
        interval=interval,
        chance=0.5,
        baseline=max(first, 1 - first),
        n=rows,
        clusters=len(names),
        why=why,
        details={"coverage": float(pairs["read"].sum()) / rows, "pairs": pairs.height},
    )


MEASURE = Measure(
    name="pair_accuracy",
    title="accuracy over pairs",
    what=(
        "Share of pairs in which the truly better performance is preferred; pairs judged differently in the two "
        "orders, and ties, count one half, unread answers nothing. Framings are averaged with equal weight."
    ),
    kinds=("prefer",),
    columns=("gold_prefer", "prefer"),
    bounds=(0.0, 1.0),
    chance="0.5",
    higher_is_better=True,
    citation="Wang et al., Large language models are not fair evaluators, ACL 2024",
    compute=compute,
)
