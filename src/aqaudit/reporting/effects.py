"""What should not matter and does, and what should and does not: wording, order, and whether there was a picture."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import polars as pl

from aqaudit.measures import MEASURES
from aqaudit.reporting.drawing import Figure, dots
from aqaudit.reporting.shares import share

if TYPE_CHECKING:
    from aqaudit.reporting.drawing import Point

_MEASURE = {
    "verify": "balanced_accuracy",
    "detect": "balanced_accuracy",
    "choose": "balanced_accuracy",
    "score": "spearman",
    "prefer": "pair_accuracy",
}
_BOOLEAN = ("verify", "detect")
_SETTING = ("question_id", "performance_id", "other_id", "view", "strategy", "fps_asked", "shots", "repeat", "seed")


def framing(rows: pl.DataFrame, title: str) -> Figure | None:
    """Return how often a judge says "correct" in each wording, by the truth; None where one wording was used."""
    rows = rows.filter(pl.col("kind").is_in(_BOOLEAN))
    wordings = [w for w in ("positive", "neutral", "negative") if (rows["framing"] == w).any()]
    if len(wordings) < 2:
        return None
    points: list[Point] = []
    for truth, word in ((True, "correct"), (False, "error")):
        for wording in wordings:
            asked = rows.filter((pl.col("framing") == wording) & (pl.col("gold_correct") == truth))
            points.append(share(asked, pl.col("says_correct"), f"{word}, {wording}"))
    figure = dots(title, points, bounds=(0.0, 1.0), what="share that says 'correct'", chance=None)
    return replace(
        figure,
        group="framing",
        note="A judge that looks says the same of one execution in both wordings. " + _flips(rows, "framing"),
    )


def order(rows: pl.DataFrame, title: str) -> Figure | None:
    """Return how often the first of two is taken, in each order; None where no pair was asked both ways.

    What is taken is the better one, or the worse one where the negative wording asks for it.
    """
    rows = rows.filter(pl.col("kind") == "prefer")
    orders = [o for o in ("ab", "ba") if (rows["pair_order"] == o).any()]
    if len(orders) < 2:
        return None
    shown_first = pl.when(pl.col("pair_order") == "ab").then(pl.lit("this")).otherwise(pl.lit("other"))
    takes_first = (pl.col("prefer") == shown_first) != (pl.col("framing") == "negative")
    first = pl.when(pl.col("prefer") == "tie").then(0.5).otherwise(takes_first.cast(pl.Float64))
    points = [share(rows.filter(pl.col("pair_order") == o), first, {"ab": "this first", "ba": "other first"}[o])
              for o in orders]  # fmt: skip
    points.append(share(rows, first, "both orders"))
    figure = dots(title, points, bounds=(0.0, 1.0), what="share that takes the first shown", chance=0.5)
    return replace(figure, group="order", note=_flips(rows, "pair_order"))


def vision(rows: pl.DataFrame, title: str) -> Figure | None:
    """Return how well a judge does with the clip, and with it taken away or spoilt; None without the latter."""
    rows = rows.with_columns(pl.col("perturbation").fill_null("none"))
    shown = set(rows["perturbation"].unique())
    if len(shown) < 2 or "none" not in shown:
        return None
    measure = MEASURES[_MEASURE[str(rows["kind"][0])]]
    points: list[Point] = []
    chance = None
    for name in ("none", *sorted(shown - {"none"})):
        estimate = measure(rows.filter(pl.col("perturbation") == name))
        label = "clip as it is" if name == "none" else name.replace("_", " ")
        chance = estimate.chance if name == "none" else chance
        points.append((label, estimate.value, estimate.low, estimate.high, estimate.n))
    low, high = measure.bounds
    figure = dots(title, points, bounds=(low, high), what=measure.title, chance=chance)
    note = "If taking the clip away costs nothing, the answers do not come from the clip."
    return replace(figure, group="vision", note=note)


def _flips(rows: pl.DataFrame, column: str) -> str:
    """Say in how many of the questions asked both ways the answer changed with the way of asking."""
    answer = "says_correct" if column == "framing" else "prefer"
    keys = [key for key in (*_SETTING, *({"pair_order", "framing"} - {column})) if key in rows.columns]
    grouped = rows.filter(pl.col(answer).is_not_null()).group_by(keys).agg(
        pl.col(column).n_unique().alias("ways"), pl.col(answer).n_unique().alias("answers")
    )  # fmt: skip
    both = grouped.filter(pl.col("ways") > 1)
    changed = int((both["answers"] > 1).sum())
    if both.is_empty():
        return ""
    return (
        f"Of {both.height:,} questions answered both ways, {changed:,} ({changed / both.height:.0%}) got two answers."
    )
