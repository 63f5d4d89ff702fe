"""Accuracy of preferences by how far apart the two performances are, and the gap needed for 75 %.

The curve is p(g) = 1/2 + (1/2 - l) (1 - exp(-(g / a)^b)): a Weibull function that starts at the coin and ends at 1 - l.
It is fitted by maximum likelihood; its interval is a percentile one over clusters drawn with replacement, each draw
fitted on a grid of curves.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cache

import numpy as np
import polars as pl
from numpy.typing import NDArray
from scipy import optimize

from aqaudit.measures import resample
from aqaudit.measures.pairs import preferences
from aqaudit.measures.rows import Estimate, Interval, Measure, per_cluster

Floats = NDArray[np.float64]

WANTED = 0.75
DRAWS = 1000
SEED = 20260408
MOST_BINS = 16
# The grid of curves: scales (as multiples of the one in the middle), shapes and lapses.
_REACH = np.log(12.0)
_SCALES = 60
_SHAPES = np.array([0.5, 0.8, 1.3, 2.2, 4.0, 10.0])
_LAPSES = np.array([0.0, 0.03, 0.08, 0.14, 0.2])
# Half a step of the grid, by which its limits are moved outwards.
_HALF_STEP = float(np.exp(_REACH / (_SCALES - 1)))
_SURE = 1e-6


@dataclass(frozen=True, slots=True, kw_only=True)
class GapCurve:
    """A fitted curve and what it rests on: points (mean gap, pairs, accuracy), parameters a, b, l, the gap at 75 %."""

    points: tuple[tuple[float, int, float], ...]
    scale: float
    shape: float
    lapse: float

    def at(self, gap: Floats) -> Floats:
        """Return the fitted accuracy at gaps."""
        return accuracy(gap, self.scale, self.shape, self.lapse)


def accuracy(gap: Floats, scale: Floats | float, shape: Floats | float, lapse: Floats | float) -> Floats:
    """Return 1/2 + (1/2 - l) (1 - exp(-(g / a)^b))."""
    return np.asarray(0.5 + (0.5 - lapse) * (1 - np.exp(-((gap / scale) ** shape))))


def reaches(scale: Floats | float, shape: Floats | float, lapse: Floats | float) -> Floats:
    """Return the gap at which the curve reaches 75 %; infinite where it never does."""
    left = 1 - (WANTED - 0.5) / (0.5 - np.asarray(lapse, dtype=np.float64))
    with np.errstate(divide="ignore", invalid="ignore"):
        at = np.asarray(scale) * (-np.log(left)) ** (1 / np.asarray(shape))
    return np.asarray(np.where(left > 0, at, np.inf))


def fit(frame: pl.DataFrame) -> tuple[GapCurve | None, Estimate]:
    """Return the fitted curve, None where there is none, and the estimate of the gap at 75 %."""
    found = preferences(frame).filter(pl.col("gap").is_not_null() & pl.col("credit").is_not_null())
    if found.is_empty() or found["gap"].n_unique() < 3:
        why = "the pairs have no scores that differ by three or more different amounts"
        return None, Estimate(value=None, why=why, n=found.height, clusters=found["cluster"].n_unique())
    bins, centres = _bins(found["gap"].to_numpy())
    sums = {
        f"{name}{at}": pl.when(pl.Series(bins == at)).then(weight).otherwise(0.0)
        for name, weight in (("n", pl.lit(1.0)), ("right", pl.col("credit")))
        for at in range(centres.size)
    }
    matrix, names = resample.cluster_matrix(found.with_columns(**sums), tuple(sums))
    total = matrix.sum(axis=0)
    curve = _curve(centres, total)
    value = float(reaches(curve.scale, curve.shape, curve.lapse))
    lowest, highest = float(found["gap"].min()), float(found["gap"].max())  # type: ignore[arg-type]
    details: dict[str, float | int | str | None] = {
        "pairs": found.height,
        "smallest_gap": lowest,
        "largest_gap": highest,
        "draws": DRAWS,
        "seed": SEED,
    }
    why = resample.too_small(per_cluster(found)) or ""
    low, high = (None, None) if why else _limits(matrix, centres, curve.scale)
    if low is not None and np.isfinite(value):
        low, high = min(low, value), None if high is None else max(high, value)
    details |= {"low_unclipped": low, "high_unclipped": high}
    estimate = Estimate(value=None, n=found.height, clusters=len(names), details=details)
    flag = "not reached" if value > highest else "below the gaps seen" if value < lowest else None
    if flag:
        reason = why or f"75 % is {flag}: the gaps are {lowest:.2f} to {highest:.2f} of the scale"
        return curve, replace(estimate, flag=flag, why=reason)
    interval = None
    if low is not None and high is not None:
        interval = Interval(low=max(low, lowest), high=min(high, highest), se=(high - low) / 3.92)
    return curve, replace(estimate, value=value, interval=interval, why=why)


def _bins(gap: Floats) -> tuple[NDArray[np.int64], Floats]:
    """Return the bin of each gap and the bins' mean gaps: of equal mass, or one a gap where those are few."""
    edges = np.unique(gap)
    if edges.size > MOST_BINS:
        edges = np.unique(np.quantile(gap, np.arange(1, MOST_BINS) / MOST_BINS, method="inverted_cdf"))
        bins = np.searchsorted(edges, gap, side="left")
    else:
        bins = np.searchsorted(edges, gap)
    used, bins = np.unique(bins, return_inverse=True)
    order = np.argsort(gap, kind="stable")
    count = np.bincount(bins, minlength=used.size)
    return bins.astype(np.int64), np.bincount(bins[order], weights=gap[order], minlength=used.size) / count


def _curve(centres: Floats, total: Floats) -> GapCurve:
    n, right = total[: centres.size], total[centres.size :]
    scales, shapes, lapses = _grid()
    middle = float(centres.max()) / 3
    best = int(np.argmax(_likelihoods(total[np.newaxis], centres, middle)[0]))

    def loss(x: Floats) -> float:
        p = np.clip(accuracy(centres, np.exp(x[0]), np.exp(x[1]), x[2]), _SURE, 1 - _SURE)
        return -float((right * np.log(p) + (n - right) * np.log(1 - p)).sum())

    start = np.array([np.log(scales[best] * middle), np.log(shapes[best]), lapses[best]])
    bounds = [(start[0] - 1, start[0] + 1), (np.log(0.4), np.log(15.0)), (0.0, 0.24)]
    found = optimize.minimize(loss, start, bounds=bounds, method="L-BFGS-B")
    scale, shape, lapse = found.x if found.fun <= loss(start) else start
    points = tuple((float(g), int(k), float(c / k)) for g, k, c in zip(centres, n, right, strict=True))
    return GapCurve(points=points, scale=float(np.exp(scale)), shape=float(np.exp(shape)), lapse=float(lapse))


@cache
def _grid() -> tuple[Floats, Floats, Floats]:
    """Scales (as multiples of the one in the middle), shapes and lapses of every curve of the grid."""
    scales = np.exp(np.linspace(-_REACH, _REACH, _SCALES))
    grid = np.meshgrid(scales, _SHAPES, _LAPSES, indexing="ij")
    scale, shape, lapse = (part.ravel() for part in grid)
    return scale, shape, lapse


def _likelihoods(totals: Floats, centres: Floats, middle: float) -> Floats:
    """Log-likelihood of every curve of the grid for each row of sums (draws x 2 bins)."""
    scale, shape, lapse = _grid()
    p = accuracy(centres[:, np.newaxis], scale * middle, shape, lapse)
    p = np.clip(p, _SURE, 1 - _SURE)
    n, right = totals[:, : centres.size], totals[:, centres.size :]
    return np.asarray(right @ np.log(p) + (n - right) @ np.log(1 - p))


def _limits(matrix: Floats, centres: Floats, middle: float) -> tuple[float | None, float | None]:
    scale, shape, lapse = _grid()
    at = reaches(scale * middle, shape, lapse)

    def statistic(totals: Floats) -> Floats:
        return np.asarray(at[np.argmax(_likelihoods(totals, centres, middle), axis=1)])

    drawn = np.sort(resample.cluster_bootstrap(matrix, statistic, seed=SEED, draws=DRAWS))
    low, high = (float(drawn[round(q * (DRAWS - 1))]) for q in (0.025, 0.975))
    low, high = low / _HALF_STEP, high * _HALF_STEP
    return (low if np.isfinite(low) else None), (high if np.isfinite(high) else None)


MEASURE = Measure(
    name="gap_75",
    title="gap needed for 75 %",
    what=(
        "The difference of true scores, as a share of the scale, at which the curve "
        "1/2 + (1/2 - l) (1 - exp(-(g/a)^b)) fitted to accuracy over pairs reaches 75 %; null outside the gaps seen."
    ),
    kinds=("prefer",),
    columns=("prefer", "gold_prefer"),
    bounds=(0.0, float("inf")),
    chance="none",
    higher_is_better=False,
    citation="Wichmann & Hill, The psychometric function I, Perception & Psychophysics 2001",
    compute=lambda frame: fit(frame)[1],
)
