"""Groups of executions against the rest: the score of one less that of all others, with its interval."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import polars as pl
from numpy.typing import NDArray

from aqaudit.measures import correlation, resample
from aqaudit.measures.evidence import FULL, credited
from aqaudit.measures.recalls import mean_of_groups
from aqaudit.measures.rows import Estimate, Measure, codes

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Mask = NDArray[np.bool_]

_START = np.zeros(1, dtype=np.int64)
_MIN_RANKED = 4


def against_rest(frame: pl.DataFrame, groups: Mapping[str, pl.Series]) -> dict[str, Estimate]:
    """Return each group's score less that of the rows outside it.

    Parameters
    ----------
    frame : polars.DataFrame
        Answers of one scope.
    groups : mapping
        Masks over the frame's rows, null where a row belongs to no group of this kind (it is then left out).

    Returns
    -------
    dict
        Without an interval where the group or the rest is too small; ``details`` hold both scores.
    """
    names = {f"_group{at}": name for at, name in enumerate(groups)}
    masked = frame.with_columns(*[groups[name].alias(column) for column, name in names.items()])
    rows = credited(masked, (FULL,), keep=tuple(names))
    if rows.is_empty():
        return {}
    at, clusters = codes(rows["cluster"])
    framing, framings = codes(rows["framing"])
    scored = rows.schema["gold"].is_float()
    label = None if scored else codes(rows["gold"])
    found = {}
    for column, name in names.items():
        known = rows[column].is_not_null().to_numpy()
        inside = rows[column].fill_null(value=False).to_numpy() & known
        sides = [
            _side(rows, mask, at, len(clusters), framing, len(framings), label) for mask in (inside, known & ~inside)
        ]
        found[name] = _difference(
            sides[0], sides[1], rows.filter(pl.Series(inside)), rows.filter(pl.Series(~inside & known))
        )
    return found


def _side(
    rows: pl.DataFrame, mask: Mask, at: Ints, clusters: int, framing: Ints, framings: int,
    label: tuple[Ints, list[str]] | None,
) -> tuple[float, Floats]:  # fmt: skip
    """Return the score of the rows of a mask and its delete-one-cluster values."""
    if label is None:
        gold, said = rows["gold"].to_numpy(), rows["said"].to_numpy()
        read = mask & rows["said"].is_not_null().to_numpy()
        each = [
            correlation.spearman(gold[part], said[part], at[part], clusters, min_rows=_MIN_RANKED)
            for k in range(framings)
            if np.count_nonzero(part := read & (framing == k)) >= _MIN_RANKED
        ]
        if not each:
            return float("nan"), np.full(clusters, np.nan)
        return float(np.mean([one.value for one in each])), np.mean([one.replicates for one in each], axis=0)
    classes = len(label[1])
    width = framings * classes
    place = (at * width + framing * classes + label[0])[mask]
    total, right = (
        np.bincount(place, weights=weight, minlength=clusters * width).reshape(clusters, width)
        for weight in (np.ones(place.size), rows["said"].to_numpy()[mask])
    )

    def statistic(table: Floats) -> Floats:
        recall = resample.figure(table[..., width:], table[..., :width])
        # A framing without one of the classes says nothing of the difference.
        by_framing = mean_of_groups(recall, np.arange(0, width, classes), at_least=min(classes, 2))
        return mean_of_groups(by_framing, _START)[..., 0]

    return resample.delete_one(np.hstack((total, right)), statistic)


def _difference(
    group: tuple[float, Floats], rest: tuple[float, Floats], inside: pl.DataFrame, outside: pl.DataFrame
) -> Estimate:
    value = group[0] - rest[0]
    details: dict[str, float | int | str | None] = {
        name: score if np.isfinite(score) else None for name, score in (("score", group[0]), ("rest", rest[0]))
    }
    clusters = inside["cluster"].n_unique()
    if not np.isfinite(value):
        return Estimate(value=None, n=inside.height, clusters=clusters, why="a side has no score", details=details)
    why = _small(inside) or _small(outside)
    interval = None
    if not why:
        interval = resample.jackknife_interval(
            value, group[1] - rest[1], bounds=(-2.0, 2.0), degenerate=resample.difference_limits(value, clusters)
        )
        why = "" if interval else "the figure hangs on a single performer"
    return Estimate(
        value=value, interval=interval, chance=0.0, n=inside.height, clusters=clusters, why=why, details=details
    )


def _small(side: pl.DataFrame) -> str:
    """Return why one side allows no interval: few performers, or few that hold a class of the truth."""
    clusters = side["cluster"].n_unique()
    if clusters < resample.MIN_CLUSTERS:
        return f"only {clusters} performers; at least {resample.MIN_CLUSTERS} are needed for an interval"
    if side.schema["gold"].is_float():
        return ""
    held = resample.classes_held(side)
    few = min(held.values())
    return "" if few >= resample.MIN_CLUSTERS_PER_CLASS else f"only {few} performers hold one of the classes"


def _tagged(frame: pl.DataFrame) -> Estimate:
    values = frame["tags"].drop_nulls().unique().sort().to_list() if "tags" in frame.columns else []
    found = against_rest(frame, {str(value): frame["tags"] == value for value in values}) if len(values) > 1 else {}
    known = {name: one for name, one in found.items() if one.value is not None}
    if not known:
        return Estimate(value=None, why="there are no two groups of tags")
    return known[min(known, key=lambda name: (known[name].value, name))]


MEASURE = Measure(
    name="worst_group_gap",
    title="worst group less the rest",
    what=(
        "The score (balanced accuracy, Spearman's correlation, accuracy over pairs) of the group that stands out "
        "worst, less that of all rows outside it. Taken alone, groups are the distinct values of `tags`."
    ),
    kinds=("verify", "detect", "choose", "score", "prefer"),
    columns=("tags",),
    bounds=(-2.0, 2.0),
    chance="0 where groups do not differ",
    higher_is_better=True,
    citation="Buolamwini & Gebru, Gender shades, FAT* 2018",
    compute=_tagged,
)
