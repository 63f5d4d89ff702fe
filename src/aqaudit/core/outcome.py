"""Whether an answer is right: computed from truth and answer, never stored."""

from __future__ import annotations

import polars as pl

#: A score this near the truth, as a share of its scale, is shown as right.
NEAR = 0.1


def right() -> pl.Expr:
    """Return whether an answer agrees with the truth; null where either is missing or the answer was not read.

    Verdicts, choices and preferences must be the same; a score must lie within :data:`NEAR` of the scale's width, or of
    the range of the true scores where the scale is not known.
    """
    kind = pl.col("kind")
    span = (pl.col("scale_max") - pl.col("scale_min")).fill_null(
        pl.col("gold_score").max() - pl.col("gold_score").min()
    )
    agrees = (
        pl.when(kind.is_in(["verify", "detect"]))
        .then(pl.col("says_correct") == pl.col("gold_correct"))
        .when(kind == "choose")
        .then(pl.col("choice") == pl.col("gold_choice"))
        .when(kind == "prefer")
        .then(pl.col("prefer") == pl.col("gold_prefer"))
        .otherwise((pl.col("score") - pl.col("gold_score")).abs() <= NEAR * span)
    )
    return pl.when(pl.col("parse") == "ok").then(agrees)


def outcome() -> pl.Expr:
    """Return ``right``, ``wrong``, ``unparsed`` (not read) or ``unknown`` (no truth to compare with)."""
    agrees = right()
    return (
        pl.when(pl.col("parse") != "ok")
        .then(pl.lit("unparsed"))
        .when(agrees)
        .then(pl.lit("right"))
        .when(~agrees)
        .then(pl.lit("wrong"))
        .otherwise(pl.lit("unknown"))
    )
