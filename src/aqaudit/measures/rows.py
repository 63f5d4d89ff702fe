"""From answers to what the measures work on: truth, answer, framing, criterion, action and cluster of every row."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from aqaudit.records import BadInput

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

CLUSTER = "performer"
# What stands in for a missing performer, as on import.
_CLUSTER_SOURCES = ("performer", "performance_id", "question_id")

CORRECT, ERROR = "correct", "error"
"""The two classes of the boolean kinds: what the truth or the answer says about the execution."""


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


def number(frame: pl.DataFrame, name: str) -> pl.Expr:
    """Return column ``name`` as finite floats; null where it is missing, not a number or infinite."""
    if name not in frame.columns:
        return pl.lit(None, dtype=pl.Float64).alias(name)
    value = pl.col(name).cast(pl.Float64)
    return pl.when(value.is_finite()).then(value).otherwise(None).alias(name)


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
    truth, said = (_label(name, boolean=gold == "gold_correct") for name in (gold, answer))
    return frame.select(
        cluster(frame),
        text(frame, "framing"),
        pl.concat_str([text(frame, "action"), text(frame, "criterion"), text(frame, "error")], separator="\x1f").alias(
            "criterion"
        ),
        truth.alias("gold"),
        pl.when(parsed(frame)).then(said).otherwise(None).alias("said"),
        offered.alias("options"),
    ).filter(pl.col("gold").is_not_null())


def _label(name: str, *, boolean: bool) -> pl.Expr:
    if not boolean:
        return pl.col(name).cast(pl.String)
    holds = pl.col(name).cast(pl.Boolean)
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
    width = number(frame, "scale_max") - number(frame, "scale_min")
    return (
        frame.select(
            cluster(frame),
            text(frame, "framing"),
            text(frame, "criterion"),
            text(frame, "action"),
            number(frame, "gold_score").alias("gold"),
            pl.when(parsed(frame)).then(number(frame, "score")).otherwise(None).alias("said"),
            pl.when(width > 0).then(width).otherwise(None).alias("nominal"),
        )
        .filter(pl.col("gold").is_not_null())
        .sort("cluster", "framing", "criterion", "action", "gold", "said", "nominal", nulls_last=True)
    )


def codes(values: pl.Series) -> tuple[NDArray[np.int64], list[str]]:
    """Return the position of each text among the sorted distinct texts, and those texts."""
    names = values.unique().sort().to_list()
    position = values.replace_strict(names, list(range(len(names))), return_dtype=pl.Int64) if names else values
    return position.to_numpy().astype(np.int64), names
