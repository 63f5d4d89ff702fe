"""The same figure for every action, criterion or other group of a scope, corrected for how many were looked at.

Breakdowns never fail: a group is warned of when its figure is larger than tolerated after Holm's correction.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import polars as pl
from scipy import stats

from aqaudit.audits import permutation
from aqaudit.measures.resample import MIN_CLUSTERS

if TYPE_CHECKING:
    from collections.abc import Mapping

    from aqaudit.audits.finding import Json
    from aqaudit.measures import Estimate, Measure

LEVEL = 0.05
MOST_GROUPS = 200
"""Groups looked at: those with most answers."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """One group's figure; ``holm_p`` is that of being larger than tolerated, corrected over the groups."""

    name: str
    estimate: Estimate
    p: float | None
    holm_p: float | None

    @property
    def warns(self) -> bool:
        """Whether the figure is larger than tolerated after correction."""
        return self.holm_p is not None and self.holm_p < LEVEL

    def as_json(self) -> dict[str, Json]:
        """Return plain values for a report."""
        one = self.estimate
        return {
            "name": self.name, "value": one.value, "low": one.low, "high": one.high, "n": one.n,
            "clusters": one.clusters, "holm_p": self.holm_p, "verdict": "warn" if self.warns else "skipped",
            "why": one.why,
        }  # fmt: skip


def group_column(by: str) -> pl.Expr:
    """Return the column of a breakdown: ``action``, or ``criterion``, which for ``detect`` is the error."""
    if by == "criterion":
        return pl.coalesce("criterion", "error").fill_null("").alias("_group")
    return pl.col(by).cast(pl.String).fill_null("").alias("_group")


def breakdown(rows: pl.DataFrame, by: str, measure: Measure, tolerated: float) -> list[Group]:
    """Return the figure of every group that has a name and enough performers, sorted by name.

    Nothing where there is only one group: it would repeat the whole.
    """
    keyed = rows.with_columns(group_column(by)).filter(pl.col("_group") != "")
    sizes = keyed.group_by("_group").agg(pl.len().alias("rows"), pl.col("performer").n_unique().alias("clusters"))
    if sizes.height < 2:
        return []
    kept = sizes.filter(pl.col("clusters") >= MIN_CLUSTERS).sort("rows", "_group", descending=[True, False])
    names = kept["_group"].head(MOST_GROUPS).sort().to_list()
    parts = keyed.filter(pl.col("_group").is_in(names)).partition_by("_group", as_dict=True, maintain_order=True)
    return corrected({name: measure(parts[name,].drop("_group")) for name in names}, tolerated)


def corrected(estimates: Mapping[str, Estimate], tolerated: float) -> list[Group]:
    """Return groups with p-values of being larger than tolerated, and Holm's correction over them."""
    p_values = {name: p for name, one in estimates.items() if (p := exceeds(one, tolerated)) is not None}
    adjusted = permutation.holm(p_values)
    return [
        Group(name=name, estimate=one, p=p_values.get(name), holm_p=adjusted.get(name))
        for name, one in estimates.items()
    ]


def exceeds(estimate: Estimate, tolerated: float) -> float | None:
    """Return the two-sided p of a figure's size being larger than tolerated, by Student's t with G - 1."""
    if estimate.value is None or estimate.interval is None:
        return None
    if estimate.interval.se == 0:
        smallest = min(abs(estimate.interval.low), abs(estimate.interval.high))
        inside = estimate.interval.low <= 0 <= estimate.interval.high
        return LEVEL / 2 if not inside and smallest > tolerated else 1.0
    t = (abs(estimate.value) - tolerated) / estimate.interval.se
    return min(1.0, 2 * float(stats.t.sf(t, estimate.clusters - 1)))
