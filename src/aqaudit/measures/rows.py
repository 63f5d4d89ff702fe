"""What measures are made of: estimates, measures that describe themselves, and the columns of answers they read.

Every row of answers has a truth, an answer, a framing, a criterion, an action and a cluster, its performer.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import polars as pl
from numpy.typing import NDArray

from aqaudit.core.records import BadInput, Kind

CLUSTER = "performer"
# What stands in for a missing performer, as on import.
_CLUSTER_SOURCES = (CLUSTER, "performance_id", "question_id")

CORRECT, ERROR = "correct", "error"
"""The two classes of the boolean kinds: what the truth or the answer says about the execution."""

Details = Mapping[str, float | int | str | None]
"""What an estimate tells beside its value, by name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Interval:
    """A confidence interval; ``se`` is its standard error, on the Fisher z scale where ``fisher`` says so."""

    low: float
    high: float
    se: float
    fisher: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """A measure's value on some rows, with what is needed to read it.

    ``value`` is None where the measure is undefined, ``interval`` where the sample allows none; ``why`` then says why
    in one clause. ``n`` counts the rows used, ``clusters`` their distinct performers. ``chance`` is
    what a guess that ignores the input scores on these rows, ``baseline`` what the best constant answer scores.
    """

    value: float | None
    interval: Interval | None = None
    chance: float | None = None
    baseline: float | None = None
    n: int = 0
    clusters: int = 0
    flag: str | None = None
    why: str = ""
    details: Details = field(default_factory=dict)

    @property
    def low(self) -> float | None:
        """Lower end of the 95 % interval."""
        return self.interval.low if self.interval else None

    @property
    def high(self) -> float | None:
        """Upper end of the 95 % interval."""
        return self.interval.high if self.interval else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Measure:
    """A measure that describes itself; calling it on rows of one scope gives an :class:`Estimate`.

    ``columns`` are the columns it cannot do without (besides one that names the performer); ``bounds`` is the range of
    its values; ``chance`` says in words what a guess scores; ``compute`` is a pure function of the frame.
    """

    name: str
    title: str
    what: str
    kinds: tuple[Kind, ...]
    columns: tuple[str, ...]
    bounds: tuple[float, float]
    chance: str
    higher_is_better: bool | None
    citation: str
    compute: Callable[[pl.DataFrame], Estimate]

    def __call__(self, frame: pl.DataFrame) -> Estimate:
        """Return the estimate on ``frame``, the answers of one scope; rows without a truth are left out."""
        return self.compute(frame)


def require(frame: pl.DataFrame, columns: Sequence[str]) -> None:
    """Raise BadInput naming the first of ``columns`` that ``frame`` lacks."""
    for name in columns:
        if name not in frame.columns:
            raise BadInput(f"the answers have no column '{name}', which this measure reads; add it or leave it out")
    if not any(name in frame.columns for name in _CLUSTER_SOURCES):
        raise BadInput("the answers have no column 'performer' (nor 'performance_id' or 'question_id') to cluster by")


def text(frame: pl.DataFrame, name: str) -> pl.Expr:
    """Return column ``name`` as text without nulls; empty text where the column or the value is missing."""
    if name not in frame.columns:
        return pl.lit("").alias(name)
    return pl.col(name).cast(pl.String).fill_null("").alias(name)


def joined(frame: pl.DataFrame, *names: str) -> pl.Expr:
    """Return the texts of several columns as one."""
    return pl.concat_str([text(frame, name) for name in names], separator="\x1f")


def number(frame: pl.DataFrame, name: str) -> pl.Expr:
    """Return column ``name`` as finite floats; null where it is missing, not a number or infinite."""
    if name not in frame.columns:
        return pl.lit(None, dtype=pl.Float64).alias(name)
    value = pl.col(name).cast(pl.Float64)
    return pl.when(value.is_finite()).then(value).otherwise(None).alias(name)


def scale_width(frame: pl.DataFrame) -> pl.Expr:
    """Return the width of every row's scale; null where it is unknown or not positive."""
    width = number(frame, "scale_max") - number(frame, "scale_min")
    return pl.when(width > 0).then(width).otherwise(None)


def cluster(frame: pl.DataFrame) -> pl.Expr:
    """Return the cluster of every row: the performer, else the performance, else the question."""
    names = [name for name in _CLUSTER_SOURCES if name in frame.columns]
    return pl.coalesce([pl.col(name).cast(pl.String) for name in names]).fill_null("").alias("cluster")


def parsed(frame: pl.DataFrame) -> pl.Expr:
    """Return whether a row's answer was read without reservation (``parse`` is ok, or the column is missing)."""
    return pl.col("parse").cast(pl.String).eq_missing("ok") if "parse" in frame.columns else pl.lit(value=True)


def classified(frame: pl.DataFrame, gold: str, answer: str) -> pl.DataFrame:
    """Return rows that have a truth, with classes as text.

    Parameters
    ----------
    frame : polars.DataFrame
        Answers of one scope.
    gold, answer : str
        Columns of truth and answer: booleans (then the classes are ``correct`` and ``error``) or text.

    Returns
    -------
    polars.DataFrame
        ``cluster``, ``framing``, ``criterion`` (action and criterion or error together, since the same identifier under
        another action is another statement), ``gold``, ``said`` (null where the answer was not read), ``options``
        (how many the question offered; null where unknown).
    """
    require(frame, (gold, answer))
    offered = pl.lit(None, dtype=pl.UInt32)
    if isinstance(frame.schema.get("options"), pl.List):
        count = pl.col("options").list.len()
        offered = pl.when(count > 0).then(count).otherwise(None)
    truth, said = (
        class_of(pl.col(name).cast(pl.Boolean)) if gold == "gold_correct" else pl.col(name).cast(pl.String)
        for name in (gold, answer)
    )
    return frame.select(
        cluster(frame),
        text(frame, "framing"),
        joined(frame, "action", "criterion", "error").alias("criterion"),
        truth.alias("gold"),
        pl.when(parsed(frame)).then(said).otherwise(None).alias("said"),
        offered.alias("options"),
    ).filter(pl.col("gold").is_not_null())


def class_of(holds: pl.Expr) -> pl.Expr:
    """Return the class of a boolean that says whether an execution is correct; null stays null."""
    return pl.when(holds).then(pl.lit(CORRECT)).when(~holds).then(pl.lit(ERROR)).otherwise(None)


def scored(frame: pl.DataFrame) -> pl.DataFrame:
    """Return rows that have a true score, in an order that depends on their content only.

    Floating-point sums depend on the order of their terms; with this order the same answers give the same digits
    however the table was sorted.

    Returns
    -------
    polars.DataFrame
        ``cluster``, ``framing``, ``criterion``, ``action``, ``gold``, ``said`` (null where not read), ``nominal`` (the
        width of the scale; null where unknown or not positive).
    """
    require(frame, ("gold_score", "score"))
    return (
        frame.select(
            cluster(frame),
            text(frame, "framing"),
            text(frame, "criterion"),
            text(frame, "action"),
            number(frame, "gold_score").alias("gold"),
            pl.when(parsed(frame)).then(number(frame, "score")).otherwise(None).alias("said"),
            scale_width(frame).alias("nominal"),
        )
        .filter(pl.col("gold").is_not_null())
        .sort("cluster", "framing", "criterion", "action", "gold", "said", "nominal", nulls_last=True)
    )


def codes(values: pl.Series) -> tuple[NDArray[np.int64], list[str]]:
    """Return the position of each text among the sorted distinct texts, and those texts."""
    names = values.unique().sort().to_list()
    position = values.replace_strict(names, list(range(len(names))), return_dtype=pl.Int64) if names else values
    return position.to_numpy().astype(np.int64), names


def per_cluster(rows: pl.DataFrame) -> dict[str, int]:
    """Return how many rows each cluster has."""
    return dict(rows.group_by("cluster").len().iter_rows())
