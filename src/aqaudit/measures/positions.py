"""What is shown first: how the place of a performance, or of an option, moves the answer.

Preferences are paired: one pair of performances asked in both orders under otherwise the same settings, both answers
read. The place is what the answer names; in negative words (which is worse?) that is the place of the worse one.
"""

from __future__ import annotations

import polars as pl

from aqaudit.measures import sums
from aqaudit.measures.measure import Estimate, Measure
from aqaudit.measures.pair_accuracy import PAIR
from aqaudit.measures.rows import cluster, number, parsed, require, text

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
    return sums.estimate(
        found,
        ("first", "one"),
        lambda table: sums.figure(table[..., 0], table[..., 1]) - 0.5,
        bounds=(-0.5, 0.5),
        why="no pair was asked, and read, in both orders",
        degenerate=lambda value, n: _shifted(sums.share_limits(value + 0.5, n)),
        chance=0.0,
        details={"pairs": found.height},
    )


def _shifted(limits: tuple[float, float]) -> tuple[float, float]:
    return limits[0] - 0.5, limits[1] - 0.5


def _consistency(frame: pl.DataFrame) -> Estimate:
    found = preferences(frame)
    return sums.estimate(
        found,
        ("agree", "one"),
        lambda table: sums.figure(table[..., 0], table[..., 1]),
        bounds=(0.0, 1.0),
        why="no pair was asked, and read, in both orders",
        degenerate=sums.share_limits,
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
    return sums.estimate(
        found,
        ("first", "gold_first", "one"),
        lambda table: sums.figure(table[..., 0] - table[..., 1], table[..., 2]),
        bounds=(-1.0, 1.0),
        why="the answers do not say in which order their options were shown",
        degenerate=sums.difference_limits,
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
