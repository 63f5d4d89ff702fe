"""How many answers could be read."""

from __future__ import annotations

import polars as pl

from aqaudit.measures import sums
from aqaudit.measures.measure import Estimate, Measure
from aqaudit.measures.rows import cluster, parsed


def compute(frame: pl.DataFrame) -> Estimate:
    """Return the share of rows whose answer was read without reservation."""
    rows = frame.select(cluster(frame), one=pl.lit(1.0), read=parsed(frame).cast(pl.Float64))
    return sums.estimate(
        rows,
        ("read", "one"),
        lambda table: sums.figure(table[..., 0], table[..., 1]),
        bounds=(0.0, 1.0),
        why="there are no answers",
        degenerate=sums.share_limits,
    )


MEASURE = Measure(
    name="coverage",
    title="share of answers that could be read",
    what="Share of answers whose parse is ok: neither unparsed, refused, out of range nor truncated.",
    kinds=("verify", "detect", "choose", "score", "prefer"),
    columns=(),
    bounds=(0.0, 1.0),
    chance="none",
    higher_is_better=True,
    citation="Wang et al., My answer is C: first-token probabilities do not match text answers, ACL Findings 2024",
    compute=compute,
)
