"""Detection theory: how often correct and faulty executions are called correct, and where the judge draws the line.

From the hit rate H = P(says correct | correct) and the false-alarm rate F = P(says correct | error) follow the lean
H + F - 1, the sensitivity d' and the criterion c. Only answers that were read count; framings are averaged with equal
weight.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import polars as pl
from numpy.typing import NDArray
from scipy import special

from aqaudit.measures import resample
from aqaudit.measures.resample import ratio
from aqaudit.measures.rows import CORRECT, ERROR, Details, Estimate, Measure, classified, per_cluster

Floats = NDArray[np.float64]
# From correct rows, hits, error rows and false alarms of every framing to the figure of every framing.
Figure = Callable[[Floats, Floats, Floats, Floats], Floats]
Pair = tuple[float, float]


def adjusted_z(part: Floats, whole: Floats) -> Floats:
    """Return the normal quantile of (part + 1/2) / (whole + 1), the log-linear correction, which is always applied.

    NaN where there is no whole. Hautus, Corrections for extreme proportions, Behav. Res. Methods 1995.
    """
    z = special.ndtri((part + 0.5) / (whole + 1))
    return np.asarray(np.where(whole > 0, z, np.nan), dtype=np.float64)


def estimate(
    frame: pl.DataFrame,
    figure: Figure,
    *,
    classes: tuple[str, ...],
    bounds: Pair,
    limits: Callable[[Pair, Pair], Pair] | None = None,
) -> Estimate:
    """Estimate a figure of hits and false alarms.

    Parameters
    ----------
    frame : polars.DataFrame
        Answers of one scope.
    figure : callable
    classes : tuple of str
        The classes of the truth it needs.
    bounds : (float, float)
        Range of the figure.
    limits : callable, optional
        From the Clopper-Pearson limits of H and of F to those of the figure, for when no performer changes it.
    """
    every = classified(frame, "gold_correct", "says_correct")
    read = every.filter(pl.col("said").is_not_null())
    details: Details = {
        "coverage": read.height / every.height if every.height else None,
        "framings": read["framing"].n_unique(),
    }
    rows = read.filter(pl.col("gold").is_in(classes)).select(
        "cluster",
        "framing",
        "gold",
        correct=pl.col("gold") == CORRECT,
        hits=(pl.col("gold") == CORRECT) & (pl.col("said") == CORRECT),
        error=pl.col("gold") == ERROR,
        alarms=(pl.col("gold") == ERROR) & (pl.col("said") == CORRECT),
    )
    held = resample.classes_held(rows)
    absent = [label for label in classes if label not in held]
    if absent:
        unread = every.height and read.is_empty()
        why = "no answer could be read" if unread else f"no truth is '{absent[0]}'"
        return Estimate(value=None, why=why, details=details)
    columns = ("correct", "hits", "error", "alarms")
    sums, names = resample.framing_matrix(rows, columns)
    value, replicates = resample.delete_one(sums, resample.mean_over_framings(len(columns), figure))
    if not np.isfinite(value):
        return Estimate(value=None, why="no framing has both classes in its truth", details=details)

    def rate(label: str, said: str, asked: str) -> Pair:
        clusters = held.get(label)
        if clusters is None:
            return 0.0, 1.0
        return resample.share_limits(float(rows[said].sum()) / float(rows[asked].sum()), clusters)

    return resample.with_interval(
        Estimate(value=value, n=rows.height, clusters=len(names), details=details),
        replicates,
        bounds=bounds,
        small=resample.too_small(per_cluster(rows), held),
        degenerate=limits
        and (lambda _value, _clusters: limits(rate(CORRECT, "hits", "correct"), rate(ERROR, "alarms", "error"))),
        lacking="no performer changes the figure",
    )


def _measure(
    *,
    name: str,
    title: str,
    what: str,
    figure: Figure,
    bounds: Pair,
    chance: str,
    higher_is_better: bool | None,
    citation: str,
    classes: tuple[str, ...] = (CORRECT, ERROR),
    limits: Callable[[Pair, Pair], Pair] | None = None,
) -> Measure:
    return Measure(
        name=name,
        title=title,
        what=what,
        kinds=("verify", "detect"),
        columns=("gold_correct", "says_correct"),
        bounds=bounds,
        chance=chance,
        higher_is_better=higher_is_better,
        citation=citation,
        compute=lambda frame: estimate(frame, figure, classes=classes, bounds=bounds, limits=limits),
    )


_GUIDE = "Macmillan & Creelman, Detection theory: a user's guide, 2nd ed. 2005"
_HAUTUS = "Hautus, Corrections for extreme proportions and their biasing effects, Behav. Res. Methods 1995"
_INFINITY = float("inf")

MEASURES = (
    _measure(
        name="hit_rate",
        title="H, correct executions called correct",
        what="P(says correct | correct), parsed answers only; framings are averaged with equal weight.",
        figure=lambda correct, hits, _error, _alarms: ratio(hits, correct),
        classes=(CORRECT,),
        limits=lambda hit, _alarm: hit,
        bounds=(0.0, 1.0),
        chance="equal to the false-alarm rate",
        higher_is_better=True,
        citation=_GUIDE,
    ),
    _measure(
        name="false_alarm_rate",
        title="F, faulty executions called correct",
        what="P(says correct | error), parsed answers only; framings are averaged with equal weight.",
        figure=lambda _correct, _hits, error, alarms: ratio(alarms, error),
        classes=(ERROR,),
        limits=lambda _hit, alarm: alarm,
        bounds=(0.0, 1.0),
        chance="equal to the hit rate",
        higher_is_better=False,
        citation=_GUIDE,
    ),
    _measure(
        name="lean",
        title="lean towards 'correct'",
        what="H + F - 1, parsed answers only; above 0 leans to 'correct'. Framings are averaged with equal weight.",
        figure=lambda correct, hits, error, alarms: ratio(hits, correct) + ratio(alarms, error) - 1,
        limits=lambda hit, alarm: (hit[0] + alarm[0] - 1, hit[1] + alarm[1] - 1),
        bounds=(-1.0, 1.0),
        chance="0 for an even-handed judge",
        higher_is_better=None,
        citation=_GUIDE,
    ),
    _measure(
        name="d_prime",
        title="d'",
        what=(
            "z(H') - z(F') with H' = (h + 1/2) / (n1 + 1) and F' = (f + 1/2) / (n0 + 1), parsed answers only; "
            "framings are averaged with equal weight."
        ),
        figure=lambda correct, hits, error, alarms: adjusted_z(hits, correct) - adjusted_z(alarms, error),
        bounds=(-_INFINITY, _INFINITY),
        chance="0",
        higher_is_better=True,
        citation=_HAUTUS,
    ),
    _measure(
        name="criterion_c",
        title="response criterion c",
        what=(
            "-(z(H') + z(F')) / 2 with H' = (h + 1/2) / (n1 + 1) and F' = (f + 1/2) / (n0 + 1), parsed answers only; "
            "below 0 leans to 'correct'. It misleads when skill is high: judge the lean. Framings are averaged with "
            "equal weight."
        ),
        figure=lambda correct, hits, error, alarms: -(adjusted_z(hits, correct) + adjusted_z(alarms, error)) / 2,
        bounds=(-_INFINITY, _INFINITY),
        chance="0 for an even-handed judge",
        higher_is_better=None,
        citation=_HAUTUS,
    ),
)
