"""Curves over a number: how large an error must be to be seen, how sure is right, how far apart two must be."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from aqaudit.reporting.drawing import Figure, curve
from aqaudit.reporting.outcomes import right
from aqaudit.reporting.shares import share
from aqaudit.reporting.text import clean

if TYPE_CHECKING:
    from collections.abc import Iterator

_MOST_LEVELS = 12
_BINS = 10
#: Fewer answers than this give no curve: it would be noise.
_LEAST = 20


def psychometric(rows: pl.DataFrame, title: str) -> Iterator[Figure]:
    """Yield, of each action, a curve for each criterion or error of known severity: share that says "error" over it."""
    known = rows.filter(pl.col("kind").is_in(["verify", "detect"]) & pl.col("severity").is_not_null())
    if known.height < _LEAST:
        return
    named = known.with_columns(pl.coalesce("error", "criterion").fill_null("").alias("about"))
    by = named.group_by(pl.col("action").fill_null(""), "about", pl.col("unit").fill_null(""))
    for (action, about, unit), part in sorted(((key, part) for key, part in by), key=lambda item: item[0]):
        if part.height < _LEAST or part["severity"].n_unique() < 3:
            continue
        points = _levels(part, "severity", ~pl.col("says_correct"))
        tolerance = part["tolerance"].drop_nulls().unique().to_list()
        figure = curve(
            f"{title}: {', '.join(clean(one, 60) for one in (action, about) if one)}",
            points,
            x_name=f"size of the error{f' in {clean(unit, 20)}' if unit else ''}",
            y_name="share that says 'error'",
            mark_x=float(tolerance[0]) if len(tolerance) == 1 else None,
        )
        note = "The upright line is what is tolerated." if len(tolerance) == 1 else ""
        yield replace(figure, group="psychometric", note=note)


def calibration(rows: pl.DataFrame, title: str) -> Figure | None:
    """Return how often an execution is correct over how probable the model calls it; None without probabilities."""
    known = rows.filter(pl.col("p_correct").is_not_null() & pl.col("gold_correct").is_not_null())
    if known.height < _LEAST:
        return None
    points = _levels(known, "p_correct", pl.col("gold_correct"), most=_BINS)
    figure = curve(
        title, points, x_name="probability of 'correct' it gives", y_name="share that is correct", diagonal=True
    )
    return replace(figure, group="calibration", note="A calibrated judge lies on the dashed diagonal.")


def gap(rows: pl.DataFrame, title: str) -> Figure | None:
    """Return how often the better of two is preferred over how far apart they are; None without scores."""
    pairs = rows.filter(
        (pl.col("kind") == "prefer") & pl.col("gold_score").is_not_null() & pl.col("other_gold_score").is_not_null()
    )
    if pairs.height < _LEAST:
        return None
    apart = pairs.with_columns((pl.col("gold_score") - pl.col("other_gold_score")).abs().alias("gap"))
    if apart["gap"].n_unique() < 3:
        return None
    points = _levels(apart, "gap", pl.coalesce(right(), pl.lit(value=False)))
    figure = curve(title, points, x_name="difference of the true scores", y_name="share of right answers", level=0.5)
    return replace(figure, group="order", note="The dashed line is guessing.")


def _levels(
    rows: pl.DataFrame, column: str, holds: pl.Expr, most: int = _MOST_LEVELS
) -> list[tuple[float, float, float | None, float | None, int]]:
    """Return shares at each value of a column; at more than ``most`` values, in bins that hold equally many answers."""
    values = rows[column].to_numpy()
    levels = np.unique(values)
    edges = levels if levels.size <= most else np.unique(np.quantile(values, np.linspace(0, 1, most + 1)[:-1]))
    place = np.clip(np.searchsorted(edges, values, side="right") - 1, 0, edges.size - 1)
    points = []
    for at in range(edges.size):
        part = rows.filter(pl.Series(place == at))
        if part.is_empty():
            continue
        _, value, low, high, n = share(part, holds, "")
        if value is not None:
            middle = sum(sorted(part[column].to_list())) / part.height
            points.append((middle, value, low, high, n))
    return points
