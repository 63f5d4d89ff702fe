"""What is shown first: how the place of a performance, or of an option, moves the answer.

Preferences are paired: one pair of performances asked in both orders under otherwise the same settings, both answers
read. The place is what the answer names; in negative words (which is worse?) that is the place of the worse one.
"""

from __future__ import annotations

import numpy as np
import polars as pl
from numpy.typing import NDArray

from aqaudit.measures import resample
from aqaudit.measures.recalls import mean_of_groups, ratio
from aqaudit.measures.rows import Estimate, Measure, cluster, codes, number, parsed, per_cluster, require, text

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


def compute_pair_accuracy(frame: pl.DataFrame) -> Estimate:
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


PAIR_ACCURACY = Measure(
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
    compute=compute_pair_accuracy,
)


KEYS = (*PAIR, "repeat")
_CITATION = "Wang et al., Large language models are not fair evaluators, ACL 2024"
_EVEN = "0 for a judge that does not mind the order"


def preferences(frame: pl.DataFrame) -> pl.DataFrame:
    """Return one row per pair asked in both orders and read in both, sorted.

    Returns
    -------
    polars.DataFrame
        The keys, ``cluster``; ``first``: share of the two orders in which the performance shown first is named (ties
        1/2); ``agree``: 1 where the same performance, or a tie, is preferred in both orders; ``credit``: the share
        of the orders that prefer the better one (null where the truth is a tie or unknown); ``gap``: the difference of
        the true scores as a share of their scale (null where unknown); ``one``.
    """
    require(frame, ("prefer",))
    said = pl.col("prefer").cast(pl.String)
    gold = pl.col("gold_prefer").cast(pl.String) if "gold_prefer" in frame.columns else pl.lit(None, pl.String)
    turned = text(frame, "pair_order").eq("ba")
    named = pl.when(text(frame, "framing") == "negative").then(said == "other").otherwise(said == "this")
    width = number(frame, "scale_max") - number(frame, "scale_min")
    gap = (number(frame, "gold_score") - number(frame, "other_gold_score")).abs() / width
    rows = frame.filter(parsed(frame) & said.is_not_null()).select(
        *[text(frame, name) for name in KEYS],
        cluster(frame),
        turned.alias("turned"),
        pl.when(said == "tie").then(0.5).otherwise((named != turned).cast(pl.Float64)).alias("first"),
        said.alias("said"),
        pl.when(gold.is_in(["this", "other"]))
        .then(pl.when(said == gold).then(1.0).when(said == "tie").then(0.5).otherwise(0.0))
        .alias("credit"),
        pl.when(width > 0).then(gap).alias("gap"),
    )
    orders = rows.group_by(*KEYS, "turned").agg(
        pl.col("cluster").min(), pl.col("first").mean(), pl.col("said").min(), pl.col("credit").mean(),
        pl.col("gap").min(),
    )  # fmt: skip
    return (
        orders.group_by(*KEYS)
        .agg(
            pl.col("cluster").min(),
            pl.len().alias("orders"),
            pl.col("first").mean(),
            (pl.col("said").n_unique() == 1).cast(pl.Float64).alias("agree"),
            pl.col("credit").mean(),
            pl.col("gap").min(),
        )
        .filter(pl.col("orders") == 2)
        .with_columns(one=pl.lit(1.0))
        .sort("cluster", *KEYS)
    )


def _bias(frame: pl.DataFrame) -> Estimate:
    found = preferences(frame)
    return resample.estimate(
        found,
        ("first", "one"),
        lambda table: resample.figure(table[..., 0], table[..., 1]) - 0.5,
        bounds=(-0.5, 0.5),
        why="no pair was asked, and read, in both orders",
        degenerate=lambda value, n: _shifted(resample.share_limits(value + 0.5, n)),
        chance=0.0,
        details={"pairs": found.height},
    )


def _shifted(limits: tuple[float, float]) -> tuple[float, float]:
    return limits[0] - 0.5, limits[1] - 0.5


def _consistency(frame: pl.DataFrame) -> Estimate:
    found = preferences(frame)
    return resample.estimate(
        found,
        ("agree", "one"),
        lambda table: resample.figure(table[..., 0], table[..., 1]),
        bounds=(0.0, 1.0),
        why="no pair was asked, and read, in both orders",
        degenerate=resample.share_limits,
        details={"pairs": found.height},
    )


def chosen_options(frame: pl.DataFrame) -> pl.DataFrame:
    """Return read ``choose`` rows whose options' order is known, sorted.

    ``first`` says whether the option shown first was chosen, ``gold_first`` whether it is the right one, ``one`` is 1.
    """
    require(frame, ("choice", "options", "option_order"))
    shown = pl.col("options").list.get(pl.col("option_order").list.first(), null_on_oob=True)
    return (
        frame.filter(parsed(frame) & pl.col("choice").is_not_null() & pl.col("gold_choice").is_not_null())
        .select(
            cluster(frame),
            text(frame, "question_id"),
            first=(pl.col("choice") == shown).cast(pl.Float64),
            gold_first=(pl.col("gold_choice") == shown).cast(pl.Float64),
        )
        .filter(pl.col("first").is_not_null())
        .with_columns(one=pl.lit(1.0))
        .sort("cluster", "question_id", "first")
    )


def _option(frame: pl.DataFrame) -> Estimate:
    found = chosen_options(frame)
    return resample.estimate(
        found,
        ("first", "gold_first", "one"),
        lambda table: resample.figure(table[..., 0] - table[..., 1], table[..., 2]),
        bounds=(-1.0, 1.0),
        why="the answers do not say in which order their options were shown",
        degenerate=resample.difference_limits,
        chance=0.0,
    )


MEASURES = (
    Measure(
        name="position_bias",
        title="position bias",
        what="P(the one shown first is named) - 1/2 over pairs asked, and read, in both orders; ties count one half.",
        kinds=("prefer",),
        columns=("prefer",),
        bounds=(-0.5, 0.5),
        chance=_EVEN,
        higher_is_better=None,
        citation=_CITATION,
        compute=_bias,
    ),
    Measure(
        name="order_consistency",
        title="agreement of the two orders",
        what="Share of pairs asked, and read, in both orders in which the same one, or a tie, is preferred.",
        kinds=("prefer",),
        columns=("prefer",),
        bounds=(0.0, 1.0),
        chance="0.5 for a coin",
        higher_is_better=True,
        citation=_CITATION,
        compute=_consistency,
    ),
    Measure(
        name="option_position_bias",
        title="pull of the first option",
        what="P(the option shown first is chosen) - P(it is the right one), over read answers.",
        kinds=("choose",),
        columns=("choice", "options", "option_order"),
        bounds=(-1.0, 1.0),
        chance=_EVEN,
        higher_is_better=None,
        citation="Pezeshkpour & Hruschka, Large language models sensitivity to the order of options, NAACL 2024",
        compute=_option,
    ),
)
