"""Pairs of performances: how often the better one is preferred, and how the place of what is shown first matters.

Preferences are paired: one pair of performances asked in both orders under otherwise the same settings, both answers
read. The place is what the answer names; in negative words (which is worse?) that is the place of the worse one.
"""

from __future__ import annotations

import polars as pl

from aqaudit.measures import resample
from aqaudit.measures.resample import ratio
from aqaudit.measures.rows import Estimate, Measure, cluster, number, parsed, per_cluster, require, scale_width, text

PAIR = ("framing", "question_id", "performance_id", "other_id", "pair_id")
KEYS = (*PAIR, "repeat")
_WANG = "Wang et al., Large language models are not fair evaluators, ACL 2024"
_EVEN = "0 for a judge that does not mind the order"
_NO_PAIR = "no pair was asked, and read, in both orders"


def credit() -> pl.Expr:
    """Return what a preference earns: 1 for the right performance, 1/2 for a tie, 0 for the wrong one."""
    said = pl.col("prefer").cast(pl.String)
    return pl.when(said == pl.col("gold_prefer").cast(pl.String)).then(1.0).when(said == "tie").then(0.5).otherwise(0.0)


def pair_credits(frame: pl.DataFrame) -> pl.DataFrame:
    """Return one row per pair and framing: ``credit`` between 0 and 1, ``read`` rows, and what constants would score.

    A row earns 1 for the right performance, 1/2 for a tie, 0 for the wrong one or no readable answer. A pair's credit
    is the mean over its orders of presentation, so a preference for a position rather than a performance earns 1/2.
    Pairs that are truly tied are left out. ``first`` is the credit of always naming the performance shown first.
    """
    require(frame, ("gold_prefer", "prefer"))
    gold = pl.col("gold_prefer").cast(pl.String)
    read = parsed(frame) & pl.col("prefer").is_not_null()
    turned = text(frame, "pair_order").eq("ba")
    rows = frame.filter(gold.is_in(["this", "other"])).select(
        *[text(frame, name) for name in PAIR],
        cluster(frame),
        turned.alias("turned"),
        read.alias("read"),
        pl.when(read).then(credit()).otherwise(0.0).alias("credit"),
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


def _accuracy(frame: pl.DataFrame) -> Estimate:
    pairs = pair_credits(frame).with_columns(one=pl.lit(1.0))
    if pairs.is_empty():
        return Estimate(value=None, why="no pair has a better performance in its truth")
    statistic = resample.mean_over_framings(2, ratio)
    sums, names = resample.framing_matrix(pairs, ("credit", "one"))
    value, replicates = resample.delete_one(sums, statistic)
    first = float(statistic(resample.framing_matrix(pairs, ("first", "one"))[0].sum(axis=0)))
    rows = int(pairs["rows"].sum())
    found = Estimate(
        value=value,
        chance=0.5,
        baseline=max(first, 1 - first),
        n=rows,
        clusters=len(names),
        details={"coverage": float(pairs["read"].sum()) / rows, "pairs": pairs.height},
    )
    return resample.with_interval(
        found,
        replicates,
        bounds=(0.0, 1.0),
        small=resample.too_small(per_cluster(pairs)),
        degenerate=resample.share_limits,
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
    citation=_WANG,
    compute=_accuracy,
)


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
    turned = text(frame, "pair_order").eq("ba")
    named = pl.when(text(frame, "framing") == "negative").then(said == "other").otherwise(said == "this")
    earned = pl.lit(None, pl.Float64)
    if "gold_prefer" in frame.columns:
        earned = pl.when(pl.col("gold_prefer").cast(pl.String).is_in(["this", "other"])).then(credit())
    rows = frame.filter(parsed(frame) & said.is_not_null()).select(
        *[text(frame, name) for name in KEYS],
        cluster(frame),
        turned.alias("turned"),
        pl.when(said == "tie").then(0.5).otherwise((named != turned).cast(pl.Float64)).alias("first"),
        said.alias("said"),
        earned.alias("credit"),
        ((number(frame, "gold_score") - number(frame, "other_gold_score")).abs() / scale_width(frame)).alias("gap"),
    )
    orders = rows.group_by(*KEYS, "turned").agg(
        pl.col("cluster").min(),
        pl.col("first").mean(),
        pl.col("said").min(),
        pl.col("credit").mean(),
        pl.col("gap").min(),
    )
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


def _position_bias(frame: pl.DataFrame) -> Estimate:
    def limits(value: float, clusters: int) -> tuple[float, float]:
        low, high = resample.share_limits(value + 0.5, clusters)
        return low - 0.5, high - 0.5

    found = preferences(frame)
    return resample.estimate(
        found,
        ("first", "one"),
        lambda sums: resample.mean(sums) - 0.5,
        bounds=(-0.5, 0.5),
        why=_NO_PAIR,
        degenerate=limits,
        chance=0.0,
        details={"pairs": found.height},
    )


def _consistency(frame: pl.DataFrame) -> Estimate:
    found = preferences(frame)
    return resample.estimate(
        found,
        ("agree", "one"),
        resample.mean,
        bounds=(0.0, 1.0),
        why=_NO_PAIR,
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


def _option_bias(frame: pl.DataFrame) -> Estimate:
    return resample.estimate(
        chosen_options(frame),
        ("first", "gold_first", "one"),
        lambda sums: ratio(sums[..., 0] - sums[..., 1], sums[..., 2]),
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
        citation=_WANG,
        compute=_position_bias,
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
        citation=_WANG,
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
        compute=_option_bias,
    ),
)
