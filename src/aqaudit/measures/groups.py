"""Groups of executions against the rest: the score of one less that of all others, with its interval."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import polars as pl
from numpy.typing import NDArray

from aqaudit.measures import resample
from aqaudit.measures.correlation import MIN_RANKED
from aqaudit.measures.evidence import FULL, coded, credited, score
from aqaudit.measures.rows import Details, Estimate, Measure

Floats = NDArray[np.float64]


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
    answers = coded(rows)
    found = {}
    for column, name in names.items():
        known = rows[column].is_not_null()
        inside = rows[column].fill_null(value=False)
        # A framing without one of the classes says nothing of the difference.
        group, rest = (
            score(answers, mask.to_numpy(), min_ranked=MIN_RANKED, min_classes=min(answers.classes, 2))
            for mask in (inside, known & ~inside)
        )
        found[name] = _difference(group, rest, rows.filter(inside), rows.filter(known & ~inside))
    return found


def _difference(
    group: tuple[float, Floats], rest: tuple[float, Floats], inside: pl.DataFrame, outside: pl.DataFrame
) -> Estimate:
    value = group[0] - rest[0]
    details: Details = {"score": _known(group[0]), "rest": _known(rest[0])}
    clusters = inside["cluster"].n_unique()
    if not np.isfinite(value):
        return Estimate(value=None, n=inside.height, clusters=clusters, why="a side has no score", details=details)
    return resample.with_interval(
        Estimate(value=value, chance=0.0, n=inside.height, clusters=clusters, details=details),
        group[1] - rest[1],
        bounds=(-2.0, 2.0),
        small=_small(inside) or _small(outside),
        degenerate=resample.difference_limits,
    )


def _known(value: float) -> float | None:
    return value if np.isfinite(value) else None


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
