"""c: where the judge draws the line between correct and faulty."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import polars as pl
from numpy.typing import NDArray
from scipy import special

from aqaudit.measures import resample
from aqaudit.measures.recalls import mean_of_groups, ratio
from aqaudit.measures.rows import CORRECT, ERROR, Estimate, Measure, classified, codes, per_cluster

Floats = NDArray[np.float64]
# From correct rows, hits, error rows and false alarms of every framing to the figure of every framing.
Figure = Callable[[Floats, Floats, Floats, Floats], Floats]


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
    bounds: tuple[float, float],
    limits: Callable[[tuple[float, float], tuple[float, float]], tuple[float, float]] | None = None,
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
    rows = every.filter(pl.col("said").is_not_null())
    held = rows.filter(pl.col("gold").is_in(classes))
    details: dict[str, float | int | str | None] = {
        "coverage": rows.height / every.height if every.height else None,
        "framings": rows["framing"].n_unique(),
    }
    if held["gold"].n_unique() < len(classes):
        why = (
            "no answer could be read" if every.height and rows.is_empty() else f"no truth is '{_absent(held, classes)}'"
        )
        return Estimate(value=None, why=why, details=details)
    counts = (
        held.group_by("cluster", "framing", "gold")
        .agg(pl.len().alias("rows"), pl.col("said").eq(CORRECT).sum().alias("yes"))
        .sort("cluster", "framing", "gold")
    )
    cluster, names = codes(counts["cluster"])
    framing, framings = codes(counts["framing"])
    width = len(framings)
    column = framing + 2 * width * counts["gold"].eq(ERROR).to_numpy()
    sums = resample.cluster_sums(
        np.concatenate((cluster, cluster)),
        np.concatenate((column, column + width)),
        np.concatenate((counts["rows"].to_numpy(), counts["yes"].to_numpy())).astype(np.float64),
        (len(names), 4 * width),
    )

    def statistic(table: Floats) -> Floats:
        correct, hits, error, alarms = (table[..., at * width : (at + 1) * width] for at in range(4))
        return mean_of_groups(figure(correct, hits, error, alarms), np.zeros(1, dtype=np.int64))[..., 0]

    value, replicates = resample.delete_one(sums, statistic)
    if not np.isfinite(value):
        return Estimate(value=None, why="no framing has both classes in its truth", details=details)
    per_class = dict(held.group_by("gold").agg(pl.col("cluster").n_unique()).iter_rows())
    why, interval = resample.too_small(per_cluster(held), per_class) or "", None
    if not why:
        degenerate = limits(*(_clopper_pearson(counts, label) for label in (CORRECT, ERROR))) if limits else None
        interval = resample.jackknife_interval(value, replicates, bounds=bounds, degenerate=degenerate)
        why = "" if interval else "no performer changes the figure"
    return Estimate(
        value=value,
        interval=interval,
        n=held.height,
        clusters=len(names),
        why=why,
        details=details,
    )


def _absent(held: pl.DataFrame, classes: tuple[str, ...]) -> str:
    return next(label for label in classes if label not in held["gold"].to_list())


def _clopper_pearson(counts: pl.DataFrame, label: str) -> tuple[float, float]:
    """Limits of P(says correct | label) with as many trials as performers hold the class."""
    rows = counts.filter(pl.col("gold") == label)
    if rows.is_empty():
        return 0.0, 1.0
    held = rows["cluster"].n_unique()
    return resample.clopper_pearson(float(rows["yes"].sum()) / float(rows["rows"].sum()) * held, held)


def compute_hit_rate(frame: pl.DataFrame) -> Estimate:
    """Return P(says correct | correct) over parsed rows."""
    return estimate(
        frame,
        lambda correct, hits, _error, _alarms: ratio(hits, correct),
        classes=(CORRECT,),
        bounds=(0.0, 1.0),
        limits=lambda hit, _alarm: hit,
    )


HIT_RATE = Measure(
    name="hit_rate",
    title="H, correct executions called correct",
    what="P(says correct | correct), parsed answers only; framings are averaged with equal weight.",
    kinds=("verify", "detect"),
    columns=("gold_correct", "says_correct"),
    bounds=(0.0, 1.0),
    chance="equal to the false-alarm rate",
    higher_is_better=True,
    citation="Macmillan & Creelman, Detection theory: a user's guide, 2nd ed. 2005",
    compute=compute_hit_rate,
)


def compute_false_alarm_rate(frame: pl.DataFrame) -> Estimate:
    """Return P(says correct | error) over parsed rows."""
    return estimate(
        frame,
        lambda _correct, _hits, error, alarms: ratio(alarms, error),
        classes=(ERROR,),
        bounds=(0.0, 1.0),
        limits=lambda _hit, alarm: alarm,
    )


FALSE_ALARM_RATE = Measure(
    name="false_alarm_rate",
    title="F, faulty executions called correct",
    what="P(says correct | error), parsed answers only; framings are averaged with equal weight.",
    kinds=("verify", "detect"),
    columns=("gold_correct", "says_correct"),
    bounds=(0.0, 1.0),
    chance="equal to the hit rate",
    higher_is_better=False,
    citation="Macmillan & Creelman, Detection theory: a user's guide, 2nd ed. 2005",
    compute=compute_false_alarm_rate,
)


def compute_lean(frame: pl.DataFrame) -> Estimate:
    """Return H + F - 1 over parsed rows: 1 always says correct, -1 always says error, 0 leans neither way."""
    return estimate(
        frame,
        lambda correct, hits, error, alarms: ratio(hits, correct) + ratio(alarms, error) - 1,
        classes=(CORRECT, ERROR),
        bounds=(-1.0, 1.0),
        limits=lambda hit, alarm: (hit[0] + alarm[0] - 1, hit[1] + alarm[1] - 1),
    )


LEAN = Measure(
    name="lean",
    title="lean towards 'correct'",
    what="H + F - 1, parsed answers only; above 0 leans to 'correct'. Framings are averaged with equal weight.",
    kinds=("verify", "detect"),
    columns=("gold_correct", "says_correct"),
    bounds=(-1.0, 1.0),
    chance="0 for an even-handed judge",
    higher_is_better=None,
    citation="Macmillan & Creelman, Detection theory: a user's guide, 2nd ed. 2005",
    compute=compute_lean,
)


def compute_d_prime(frame: pl.DataFrame) -> Estimate:
    """Return z(H') - z(F') over parsed rows, H' and F' with the log-linear correction."""
    return estimate(
        frame,
        lambda correct, hits, error, alarms: adjusted_z(hits, correct) - adjusted_z(alarms, error),
        classes=(CORRECT, ERROR),
        bounds=(-float("inf"), float("inf")),
    )


D_PRIME = Measure(
    name="d_prime",
    title="d'",
    what=(
        "z(H') - z(F') with H' = (h + 1/2) / (n1 + 1) and F' = (f + 1/2) / (n0 + 1), parsed answers only; "
        "framings are averaged with equal weight."
    ),
    kinds=("verify", "detect"),
    columns=("gold_correct", "says_correct"),
    bounds=(-float("inf"), float("inf")),
    chance="0",
    higher_is_better=True,
    citation="Hautus, Corrections for extreme proportions and their biasing effects, Behav. Res. Methods 1995",
    compute=compute_d_prime,
)


def compute_criterion_c(frame: pl.DataFrame) -> Estimate:
    """Return -(z(H') + z(F')) / 2 over parsed rows, H' and F' with the log-linear correction."""
    return estimate(
        frame,
        lambda correct, hits, error, alarms: -(adjusted_z(hits, correct) + adjusted_z(alarms, error)) / 2,
        classes=(CORRECT, ERROR),
        bounds=(-float("inf"), float("inf")),
    )


CRITERION_C = Measure(
    name="criterion_c",
    title="response criterion c",
    what=(
        "-(z(H') + z(F')) / 2 with H' = (h + 1/2) / (n1 + 1) and F' = (f + 1/2) / (n0 + 1), parsed answers only; below "
        "0 leans to 'correct'. It misleads when skill is high: judge the lean. Framings are averaged with equal weight."
    ),
    kinds=("verify", "detect"),
    columns=("gold_correct", "says_correct"),
    bounds=(-float("inf"), float("inf")),
    chance="0 for an even-handed judge",
    higher_is_better=None,
    citation="Hautus, Corrections for extreme proportions and their biasing effects, Behav. Res. Methods 1995",
    compute=compute_criterion_c,
)
