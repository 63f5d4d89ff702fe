"""What a figure is about: the headline scopes of a table, and the groups within one.

A headline scope is model x dataset x task x kind, and settings where they vary. Its groups (actions, criteria, tags)
have the same figure each; a group is warned of when its figure is larger than tolerated after Holm's correction over
all groups looked at, and never fails.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import TypeVar

import polars as pl
from scipy import stats

from aqaudit.audits.finding import Json
from aqaudit.audits.permutation import LEVEL, holm
from aqaudit.measures import Estimate, Measure
from aqaudit.measures.resample import MIN_CLUSTERS

BASE = ("model", "dataset", "task", "kind")
ASKED = ("view", "strategy", "thinking", "fps_asked", "shots")
"""Settings that split scopes where they vary in the table; ``fps_asked`` holds both rates and frame counts."""
SENT = ("frames_sent", "longer_side_px")
"""What is known about the media only after sending, and splits scopes where one question was sent in several ways."""

MOST_GROUPS = 200
"""Groups looked at: those with most answers."""

Column = TypeVar("Column", pl.Expr, pl.Series)


@dataclass(frozen=True, slots=True, kw_only=True)
class Scope:
    """What a figure is about (``labels``) and its answers (``rows``)."""

    labels: Mapping[str, str]
    rows: pl.DataFrame


_known: ContextVar[tuple[pl.DataFrame, list[Scope]] | None] = ContextVar("scopes", default=None)


@contextmanager
def remembered(frame: pl.DataFrame) -> Iterator[None]:
    """Find the headline scopes of a frame once for all audits that ask for them inside this context."""
    token = _known.set((frame, list(headline_scopes(frame))))
    try:
        yield
    finally:
        _known.reset(token)


def headline_scopes(frame: pl.DataFrame) -> Iterator[Scope]:
    """Yield the headline scopes of the unperturbed answers, ordered by their labels.

    A scope is model x dataset x task x kind, and each of view, strategy, thinking, sampling and shots that has more
    than one value in the table. Resolution and the number of frames sent differ from clip to clip; they split scopes
    only where one question was sent at several of them under otherwise the same settings.
    """
    known = _known.get()
    if known is not None and known[0] is frame:
        yield from known[1]
        return
    answers = unperturbed(frame)
    keys = [*BASE, *(name for name in ASKED if name in answers.columns and answers[name].n_unique() > 1)]
    labelled = answers.with_columns(as_label(pl.col(name)).alias(_key(name)) for name in keys)
    item = [name for name in ("question_id", "performance_id", "other_id") if name in answers.columns]
    for name, sent in _sent(answers).items():
        varies = labelled.group_by(*(_key(k) for k in keys), *item).agg(sent.n_unique().alias("several"))
        if (varies["several"] > 1).any():
            labelled = labelled.with_columns(as_label(sent).alias(_key(name)))
            keys.append(name)
    grouped = labelled.partition_by([_key(k) for k in keys], as_dict=True, maintain_order=True)
    for values in sorted(grouped):
        labels = dict(zip(keys, (str(value) for value in values), strict=True))
        yield Scope(labels=labels, rows=grouped[values].select(answers.columns))


def unperturbed(frame: pl.DataFrame) -> pl.DataFrame:
    """Return the answers given to what was really there: perturbation none, or not stated."""
    return frame if "perturbation" not in frame.columns else frame.filter(~_perturbed())


def narrow(frame: pl.DataFrame, labels: Mapping[str, str]) -> pl.DataFrame:
    """Return the unperturbed answers of a scope, found again by its labels."""
    answers = unperturbed(frame)
    columns = {name: pl.col(name) for name in labels if name in answers.columns} | _sent(answers)
    return answers.filter(*(as_label(columns[name]) == value for name, value in labels.items() if name in columns))


def with_perturbed(frame: pl.DataFrame, scope: Scope) -> pl.DataFrame:
    """Return the answers of a scope under every perturbation.

    Labels that are known only after sending (resolution, frames) do not bind the perturbed ones: a blank picture may
    have another size, and a question asked without pictures has none.
    """
    wanted = (
        as_label(pl.col(name)) == value
        for name, value in scope.labels.items()
        if name in {*BASE, *ASKED} and name in frame.columns
    )
    return pl.concat([scope.rows, frame.filter(_perturbed(), *wanted).select(scope.rows.columns)])


def as_label(column: Column) -> Column:
    """Return a setting as scopes show it: its text, ``not set`` where there is none."""
    return column.cast(pl.String).fill_null("not set")


def _perturbed() -> pl.Expr:
    return pl.col("perturbation").cast(pl.String).fill_null("none") != "none"


def _key(name: str) -> str:
    return f"_scope_{name}"


def _sent(frame: pl.DataFrame) -> dict[str, pl.Expr]:
    """Return the settings of :data:`SENT` that a table holds; frames only where nothing was asked for."""
    sent = {}
    asked = "fps_asked" in frame.columns and frame["fps_asked"].null_count() < frame.height
    if "frames_sent" in frame.columns and not asked:
        sent["frames_sent"] = pl.col("frames_sent")
    if {"width", "height"} <= set(frame.columns):
        sent["longer_side_px"] = pl.max_horizontal("width", "height")
    return sent


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """One group's figure; ``p`` is that of being larger than tolerated, ``holm_p`` the same corrected over the groups.

    Both are None where the figure has no interval.
    """

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
            "name": self.name,
            "value": one.value,
            "low": one.low,
            "high": one.high,
            "n": one.n,
            "clusters": one.clusters,
            "holm_p": self.holm_p,
            "verdict": "warn" if self.warns else "skipped",
            "why": one.why,
        }


def breakdown(rows: pl.DataFrame, by: str, measure: Measure, tolerated: float) -> list[Group]:
    """Return the figure of every group that has a name and enough performers, sorted by name.

    Nothing where there is only one group: it would repeat the whole. ``by`` is a column; ``criterion`` means the error
    where questions are about errors.
    """
    column = pl.coalesce("criterion", "error") if by == "criterion" else pl.col(by).cast(pl.String)
    keyed = rows.with_columns(column.fill_null("").alias("_group")).filter(pl.col("_group") != "")
    sizes = keyed.group_by("_group").agg(pl.len().alias("rows"), pl.col("performer").n_unique().alias("clusters"))
    if sizes.height < 2:
        return []
    kept = sizes.filter(pl.col("clusters") >= MIN_CLUSTERS).sort("rows", "_group", descending=[True, False])
    names = kept["_group"].head(MOST_GROUPS).sort().to_list()
    parts = keyed.filter(pl.col("_group").is_in(names)).partition_by("_group", as_dict=True, maintain_order=True)
    return corrected({name: measure(parts[name,].drop("_group")) for name in names}, tolerated)


def corrected(estimates: Mapping[str, Estimate], tolerated: float) -> list[Group]:
    """Return groups with p-values of being larger than tolerated, and Holm's correction over them."""
    p_values = [_exceeds(one, tolerated) for one in estimates.values()]
    return [
        Group(name=name, estimate=one, p=p, holm_p=holm_p)
        for (name, one), p, holm_p in zip(estimates.items(), p_values, holm(p_values), strict=True)
    ]


def _exceeds(estimate: Estimate, tolerated: float) -> float | None:
    """Return the two-sided p of a figure's size being larger than tolerated, by Student's t with G - 1."""
    if estimate.value is None or estimate.interval is None:
        return None
    if estimate.interval.se == 0:
        smallest = min(abs(estimate.interval.low), abs(estimate.interval.high))
        inside = estimate.interval.low <= 0 <= estimate.interval.high
        return LEVEL / 2 if not inside and smallest > tolerated else 1.0
    t = (abs(estimate.value) - tolerated) / estimate.interval.se
    return min(1.0, 2 * float(stats.t.sf(t, estimate.clusters - 1)))
