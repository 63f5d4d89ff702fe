"""Whether the same question gets the same verdict: in positive and in negative wording, and when it is asked again.

A pair is one question asked in both framings under otherwise the same settings, both answers read. y+ and y- say
whether the execution was called correct; an affirmed positive and a denied negative statement do so.
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import numpy as np
import polars as pl
from numpy.typing import NDArray

from aqaudit.measures import resample
from aqaudit.measures.resample import ratio
from aqaudit.measures.rows import (
    CORRECT,
    ERROR,
    Estimate,
    Measure,
    class_of,
    cluster,
    number,
    parsed,
    require,
    scale_width,
    text,
)

Floats = NDArray[np.float64]

ITEM = ("question_id", "performance_id", "other_id", "answer_words")
PAIR = (*ITEM, "repeat")
_COLUMNS = ("says_correct", "framing")
_COLUMN_OF = {
    "framing_shift": "shift",
    "contradiction_rate": "differ",
    "tt_rate": "both_affirmed",
    "ff_rate": "both_denied",
}
SETTING = ("question_id", "performance_id", "other_id", "framing", "answer_words", "pair_order")
_ANSWERS = ("says_correct", "choice", "prefer")
_ATIL = "Atil et al., Non-determinism of deterministic LLM settings, 2024"
_NO_PAIR = "no question was asked, and read, in positive and in negative words"


def _read(frame: pl.DataFrame, keys: tuple[str, ...]) -> pl.DataFrame:
    require(frame, _COLUMNS)
    said = pl.col("says_correct").cast(pl.Boolean)
    gold = pl.col("gold_correct").cast(pl.Boolean) if "gold_correct" in frame.columns else pl.lit(None, pl.Boolean)
    return frame.select(
        *[text(frame, name) for name in keys],
        text(frame, "framing"),
        cluster(frame),
        pl.when(parsed(frame)).then(said).otherwise(None).cast(pl.Float64).alias("said"),
        gold.alias("gold"),
        number(frame, "p_correct"),
    ).filter(pl.col("framing").is_in(["positive", "negative"]))


def pairs(frame: pl.DataFrame) -> pl.DataFrame:
    """Return one row per question asked in both framings.

    Returns
    -------
    polars.DataFrame
        The keys of :data:`PAIR`, ``cluster``, ``gold`` (bool), ``plus`` and ``minus`` (the share of readings that call
        the execution correct; null where none was read), ``p_plus`` and ``p_minus`` (mean ``p_correct``), sorted.
    """
    rows = _read(frame, PAIR)
    sides = [
        rows.filter(pl.col("framing") == framing)
        .group_by(*PAIR)
        .agg(
            pl.col("cluster").min(),
            pl.col("gold").first(),
            pl.col("said").mean().alias(name),
            pl.col("p_correct").sort().mean().alias(f"p_{name}"),
        )
        for framing, name in (("positive", "plus"), ("negative", "minus"))
    ]
    return sides[0].join(sides[1].drop("cluster", "gold"), on=PAIR).sort("cluster", *PAIR)


def complete(asked: pl.DataFrame) -> pl.DataFrame:
    """Return the pairs of which both answers were read, with the columns that the measures add up."""
    plus, minus = pl.col("plus"), pl.col("minus")
    both = asked.filter(plus.is_not_null() & minus.is_not_null())
    return both.with_columns(
        one=pl.lit(1.0),
        shift=plus - minus,
        both_affirmed=plus * (1 - minus),
        both_denied=(1 - plus) * minus,
        differ=plus * (1 - minus) + (1 - plus) * minus,
    )


def repeat_disagreement(frame: pl.DataFrame) -> pl.DataFrame:
    """Return one row per question and framing asked several times: the chance that two of its answers differ.

    ``differ`` is 2 m (1 - m) k / (k - 1) with k answers read, of which the share m says correct; ``one`` is 1.
    """
    rows = _read(frame, ITEM).filter(pl.col("said").is_not_null())
    counts = rows.group_by(*ITEM, "framing").agg(
        pl.col("cluster").min(), pl.len().cast(pl.Float64).alias("k"), pl.col("said").sum().alias("yes")
    )
    k, yes = pl.col("k"), pl.col("yes")
    return (
        counts.filter(k > 1)
        .with_columns(differ=2 * yes * (k - yes) / (k * (k - 1)), one=pl.lit(1.0))
        .sort("cluster", *ITEM, "framing")
    )


def share(measure: str, asked: pl.DataFrame) -> Estimate:
    """Estimate ``framing_shift``, ``contradiction_rate``, ``tt_rate`` or ``ff_rate`` on pairs (:func:`pairs`)."""
    found, column = complete(asked), _COLUMN_OF[measure]
    shift = column == "shift"
    return resample.estimate(
        found,
        (column, "one"),
        resample.mean,
        bounds=(-1.0, 1.0) if shift else (0.0, 1.0),
        why=_NO_PAIR,
        degenerate=resample.difference_limits if shift else resample.share_limits,
        chance=0.0 if shift else None,
        details={"pairs": found.height, "pairs_lost": asked.height - found.height},
    )


def excess(asked: pl.DataFrame, frame: pl.DataFrame) -> Estimate:
    """Estimate ``contradiction_excess`` on pairs and the frame that they are from."""
    found, again = complete(asked), repeat_disagreement(frame)
    if again.is_empty():
        return Estimate(value=None, why="no question was repeated")
    rows = pl.concat(
        [
            found.select("cluster", pair=pl.col("one"), pair_differ=pl.col("differ"), again=0.0, again_differ=0.0),
            again.select("cluster", pair=0.0, pair_differ=0.0, again=pl.col("one"), again_differ=pl.col("differ")),
        ]
    )
    estimate = resample.estimate(
        rows,
        ("pair_differ", "pair", "again_differ", "again"),
        lambda sums: resample.mean(sums[..., :2]) - resample.mean(sums[..., 2:]),
        bounds=(-1.0, 1.0),
        why=_NO_PAIR,
        degenerate=resample.difference_limits,
        chance=0.0,
        details={
            "pairs": found.height,
            "pairs_lost": asked.height - found.height,
            "repeat_disagreement": float(again["differ"].sum()) / again.height,
        },
    )
    return replace(estimate, n=found.height)


def debiased(asked: pl.DataFrame) -> pl.DataFrame:
    """Return complete pairs with a truth, and the decision that both framings make together.

    ``decision`` is 1 for correct, 0 for error: by the sign of the mean log-odds where both answers have ``p_correct``,
    else what both say, 1/2 where they contradict each other. ``right`` and ``alone`` are the credits of the decision
    and of a framing by itself, ``used_odds`` says which rule decided.
    """
    odds = [
        (pl.col(name).clip(1e-9, 1 - 1e-9) / (1 - pl.col(name).clip(1e-9, 1 - 1e-9))).log()
        for name in ("p_plus", "p_minus")
    ]
    lead = odds[0] + odds[1]
    by_odds = pl.when(lead > 0).then(1.0).when(lead < 0).then(0.0).otherwise(0.5)
    known = pl.col("p_plus").is_not_null() & pl.col("p_minus").is_not_null()
    said = (pl.col("plus") + pl.col("minus")) / 2
    credit = pl.when("gold").then
    return (
        complete(asked)
        .filter(pl.col("gold").is_not_null())
        .with_columns(decision=pl.when(known).then(by_odds).otherwise(said), used_odds=known)
        .with_columns(
            right=credit(pl.col("decision")).otherwise(1 - pl.col("decision")),
            alone=credit(said).otherwise(1 - said),
        )
    )


def gain(asked: pl.DataFrame) -> Estimate:
    """Estimate ``debiased_gain`` on pairs."""
    rows = debiased(asked).with_columns(gold=class_of(pl.col("gold")))
    of_class = {
        f"{name}_{label}": pl.when(pl.col("gold") == label).then(pl.col(name)).otherwise(0.0)
        for label in (CORRECT, ERROR)
        for name in ("one", "right", "alone")
    }

    def statistic(sums: Floats) -> Floats:
        by_class = [ratio(sums[..., at + 1] - sums[..., at + 2], sums[..., at]) for at in (0, 3)]
        return np.asarray(np.mean(by_class, axis=0))

    return resample.estimate(
        rows.with_columns(**of_class),
        tuple(of_class),
        statistic,
        bounds=(-1.0, 1.0),
        why="no pair of framings with both classes in its truth was read",
        degenerate=resample.difference_limits,
        classes=resample.classes_held(rows),
        chance=0.0,
        details={"pairs": rows.height, "pairs_by_log_odds": int(rows["used_odds"].sum())},
    )


_measure = partial(
    Measure,
    kinds=("verify", "detect"),
    columns=_COLUMNS,
    citation="Krosnick, Survey research, Annu. Rev. Psychol. 1999; framing pairs as in arXiv 2604.08294",
)
_share = partial(_measure, bounds=(0.0, 1.0), chance="none: noise contradicts itself too", higher_is_better=False)
_difference = partial(_measure, bounds=(-1.0, 1.0), chance="0 for a judge that the wording does not move")
MEASURES = (
    _difference(
        name="framing_shift",
        title="framing shift",
        what=(
            "mean(y+) - mean(y-) over pairs of framings that were both read; the same as the acquiescence "
            "P(True given positive) + P(True given negative) - 1. Above 0 statements are affirmed whatever they say."
        ),
        higher_is_better=None,
        compute=lambda frame: share("framing_shift", pairs(frame)),
    ),
    _share(
        name="contradiction_rate",
        title="contradictions between wordings",
        what="Share of pairs of framings whose verdicts about the execution differ.",
        compute=lambda frame: share("contradiction_rate", pairs(frame)),
    ),
    _difference(
        name="contradiction_excess",
        title="contradictions beyond noise",
        what=(
            "Share of pairs of framings that contradict each other, less the chance that two repeats of one framing do."
        ),
        higher_is_better=None,
        compute=lambda frame: excess(pairs(frame), frame),
    ),
    _share(
        name="tt_rate",
        title="both wordings affirmed",
        what="Share of pairs in which the positive and the negative statement are both affirmed.",
        compute=lambda frame: share("tt_rate", pairs(frame)),
    ),
    _share(
        name="ff_rate",
        title="both wordings denied",
        what="Share of pairs in which the positive and the negative statement are both denied.",
        compute=lambda frame: share("ff_rate", pairs(frame)),
    ),
    _difference(
        name="debiased_gain",
        title="gain of asking both ways",
        what=(
            "Balanced accuracy of the decision that both framings make together (mean log-odds where p_correct exists, "
            "else contradicting pairs count one half, which gains nothing) less the mean of the two framings."
        ),
        higher_is_better=True,
        compute=lambda frame: gain(pairs(frame)),
    ),
)


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


def _of_repeats(
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


REPEATS = (
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
        compute=lambda frame: _of_repeats(frame, "differ", resample.mean, (0.0, 1.0), resample.share_limits),
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
        compute=lambda frame: _of_repeats(
            frame, "variance", lambda sums: np.sqrt(resample.mean(sums)), (0.0, float("inf")), resample.itself
        ),
    ),
)
