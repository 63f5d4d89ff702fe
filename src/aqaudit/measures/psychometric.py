"""Psychometric curves: how often a judge says "error" against how large the error is, and how much of it it uses.

The curve is p(x) = g + (1 - g - l) F((x - m) / w), with F logistic, threshold m, width w, guess rate g and lapse rate l
(Wichmann & Hill, Percept. Psychophys. 2001). Its posterior is computed on a grid of the four, with the priors of
psignifit (Schuett, Harmeling, Macke & Wichmann, Vision Research 2016), and widened by a design effect, since the
answers about one performer go together. Efficiency compares a judge's d' with that of an ideal observer.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray
from scipy import special, stats

from aqaudit.measures import resample
from aqaudit.measures.detection import adjusted_z
from aqaudit.measures.rows import Estimate, Interval, per_cluster

Floats = NDArray[np.float64]

LEVEL = 0.95
SEED = 20161
# F rises from .05 to .95 over the width: F(m + w z) = expit(SPREAD z).
SPREAD = 2 * float(np.log(19))
# Points of the grid along m, w, g and l; the last, narrowest grid is the one that is read.
GRID = (41, 25, 15, 15)
# Grid points whose marginal posterior is below this share of the largest are left out of the next grid.
_NEGLIGIBLE = 1e-5
_EDGE = 1e-4
# Rows of curves handled at a time, so that what is computed on the way stays in the processor's cache.
_BLOCK = 128
_QUANTILES = ((1 - LEVEL) / 2, 0.5, (1 + LEVEL) / 2)
# Bins of the values whose quantiles are wanted: the finer, the fewer values lie near a quantile.
_BINS = 2048


@dataclass(frozen=True, slots=True, kw_only=True)
class Trials:
    """Answers counted by performer and severity: arrays of one length, one entry a (performer, severity) met.

    ``cluster`` numbers performers from 0, ``severity`` is in the error's unit, ``total`` and ``said`` are how many
    answers there are and how many say "error"; both may be weighted and so fractional.
    """

    cluster: NDArray[np.int64]
    severity: Floats
    total: Floats
    said: Floats


@dataclass(frozen=True, slots=True, kw_only=True)
class Quantity:
    """A quantity of the curve: the median of its posterior and the central 95 %."""

    value: float
    low: float
    high: float


@dataclass(frozen=True, slots=True, kw_only=True)
class PsychometricCurve:
    """A fitted curve.

    ``threshold`` is the severity at which the curve, corrected for guesses and lapses, is .5; ``threshold_75`` where it
    is .75; ``slope`` its rise at the threshold per unit of severity; ``rise`` is how much more often "error" is said at
    the largest severity asked about than at the smallest. ``draws`` hold the distinct values of the threshold with
    their posterior probabilities, for differences between curves.
    """

    threshold: Quantity
    threshold_75: Quantity
    width: Quantity
    slope: Quantity
    guess: Quantity
    lapse: Quantity
    rise: Quantity
    design_effect: float
    draws: tuple[Floats, Floats]

    def at(self, severity: Floats) -> Floats:
        """Return P(says error) at severities, with every quantity at its median."""
        return self.guess.value + (1 - self.guess.value - self.lapse.value) * self.corrected(severity)

    def corrected(self, severity: Floats) -> Floats:
        """Return the curve corrected for guesses and lapses, which goes from 0 to 1."""
        return np.asarray(special.expit(SPREAD * (severity - self.threshold.value) / self.width.value))

    def probability_at_most(self, severity: float) -> float:
        """Return the posterior probability that the threshold is at most this severity."""
        values, weights = self.draws
        return float(weights[values <= severity].sum())


def fit(trials: Trials) -> PsychometricCurve | None:
    """Fit a curve to counted answers; None with fewer than two severities, where there is no curve to speak of.

    Notes
    -----
    Costs about 0.01 s whatever the number of answers: they enter as one count per severity.
    """
    levels, place = np.unique(trials.severity, return_inverse=True)
    if levels.size < 2:
        return None
    counts = _Counts(
        levels=levels,
        total=np.bincount(place, weights=trials.total, minlength=levels.size).astype(np.float64),
        said=np.bincount(place, weights=trials.said, minlength=levels.size).astype(np.float64),
    )
    grid = _first_grid(levels)
    likelihood = _log_likelihood(grid, counts)
    plain = _marginals(grid, _posterior(grid, levels, likelihood, 1.0))
    effect = _design_effect(trials, *(_quantity(*pair).value for pair in zip(grid.axes, plain, strict=True)))
    weight = _posterior(grid, levels, likelihood, effect)
    for _ in range(2):
        grid = _narrowed(grid, weight)
        weight = _posterior(grid, levels, _log_likelihood(grid, counts), effect)
    return _read(grid, levels, weight, effect)


def difference(first: PsychometricCurve, second: PsychometricCurve) -> Quantity:
    """Return the threshold of ``second`` minus that of ``first``, their posteriors taken as independent.

    For two framings of the same items, which go together rather than against each other, the interval is no too
    narrow one.
    """
    (a, p), (b, q) = first.draws, second.draws
    return _quantity((b[np.newaxis] - a[:, np.newaxis]).ravel(), (p[:, np.newaxis] * q[np.newaxis]).ravel())


@dataclass(frozen=True, slots=True, kw_only=True)
class _Counts:
    """Answers at each severity, ascending: how many there are, and how many say "error"."""

    levels: Floats
    total: Floats
    said: Floats


@dataclass(frozen=True, slots=True, kw_only=True)
class _CurveGrid:
    """Every curve of four axes, for matrices with a row a threshold and width and a column a guess and lapse rate.

    ``threshold`` and ``width`` are those of the rows, ``guess`` and ``lapse`` those of the columns: only the pairs
    ``allowed`` (guess rates x lapse rates), which leave the curve something to rise by.
    """

    axes: tuple[Floats, Floats, Floats, Floats]
    threshold: Floats
    width: Floats
    guess: Floats
    lapse: Floats
    allowed: NDArray[np.bool_]

    @property
    def amplitude(self) -> Floats:
        """By how much the curve of a column rises."""
        return 1 - self.guess - self.lapse


def _grid(*axes: Floats) -> _CurveGrid:
    threshold, width = np.meshgrid(axes[0], axes[1], indexing="ij")
    guess, lapse = np.meshgrid(axes[2], axes[3], indexing="ij")
    allowed = 1 - guess - lapse > _EDGE / 2
    return _CurveGrid(
        axes=(axes[0], axes[1], axes[2], axes[3]),
        threshold=threshold.ravel(),
        width=width.ravel(),
        guess=guess[allowed],
        lapse=lapse[allowed],
        allowed=allowed,
    )


def _first_grid(levels: Floats) -> _CurveGrid:
    span, step = _span_and_step(levels)
    rate = np.linspace(_EDGE, 1 - _EDGE, GRID[2])
    threshold = np.linspace(levels[0] - span / 2, levels[-1] + span / 2, GRID[0])
    return _grid(threshold, np.geomspace(step / 2, 3 * span, GRID[1]), rate, rate)


def _span_and_step(levels: Floats) -> tuple[float, float]:
    """Return the range of the severities and the smallest distance of two."""
    return float(levels[-1] - levels[0]), float(np.diff(levels).min())


def _narrowed(grid: _CurveGrid, weight: Floats) -> _CurveGrid:
    """Return a grid of the same size over what the posterior leaves of each axis."""
    result = []
    for at, (axis, mass) in enumerate(zip(grid.axes, _marginals(grid, weight), strict=True)):
        kept = np.flatnonzero(mass > _NEGLIGIBLE * mass.max())
        low, high = axis[max(kept[0] - 1, 0)], axis[min(kept[-1] + 1, axis.size - 1)]
        result.append(np.geomspace(low, high, GRID[at]) if at == 1 else np.linspace(low, high, GRID[at]))
    return _grid(*result)


def _log_likelihood(grid: _CurveGrid, counts: _Counts) -> Floats:
    """Return the log-likelihood of every curve.

    With r = F((x - m) / w) and a = 1 - g - l, p = a (r + g / a) and 1 - p = a (1 - r + l / a): two logarithms a curve
    and severity, and none for an answer that nobody gave.
    """
    z = SPREAD * (counts.levels - grid.threshold[:, np.newaxis]) / grid.width[:, np.newaxis]
    amplitude = grid.amplitude
    sides = (
        (special.expit(z), grid.guess / amplitude, counts.said),
        (special.expit(-z), grid.lapse / amplitude, counts.total - counts.said),
    )
    log = np.tile(counts.total.sum() * np.log(amplitude), (z.shape[0], 1))
    for start in range(0, z.shape[0], _BLOCK):
        block = log[start : start + _BLOCK]
        part = np.empty_like(block)
        for share, rate, answers in sides:
            for level in np.flatnonzero(answers > 0):
                np.add(share[start : start + _BLOCK, level, np.newaxis], rate, out=part)
                np.log(part, out=part)
                part *= answers[level]
                block += part
    return log


def _posterior(grid: _CurveGrid, levels: Floats, likelihood: Floats, effect: float) -> Floats:
    """Return the probability of every curve."""
    weight = likelihood / effect
    weight += _log_prior(levels, grid.threshold, grid.width)[:, np.newaxis]
    weight -= weight.max()
    np.exp(weight, out=weight)
    # Each point stands for the cell around it, and cells along the widths differ in size.
    weight *= np.outer(np.gradient(grid.axes[0]), np.gradient(grid.axes[1])).reshape(-1, 1)
    weight /= weight.sum()
    return np.asarray(weight)


def _log_prior(levels: Floats, threshold: Floats, width: Floats) -> Floats:
    """Return psignifit's priors: flat for a threshold among the severities, a width between a step and the range."""
    span, step = _span_and_step(levels)
    outside = np.maximum(levels[0] - threshold, threshold - levels[-1]) / (span / 2)
    of_width = np.minimum(_falling((width - span) / (2 * span)), _falling((step - width) / step))
    with np.errstate(divide="ignore"):
        return np.asarray(np.log(_falling(outside)) + np.log(of_width))


def _falling(share: Floats) -> Floats:
    """Fall from 1 at 0 to 0 at 1, as half a cosine."""
    return np.asarray((1 + np.cos(np.pi * np.clip(share, 0, 1))) / 2)


def _marginals(grid: _CurveGrid, weight: Floats) -> tuple[Floats, Floats, Floats, Floats]:
    """Return the probability of every value of the four axes."""
    shape = weight.sum(axis=1).reshape(grid.axes[0].size, grid.axes[1].size)
    rates = np.zeros(grid.allowed.shape)
    rates[grid.allowed] = weight.sum(axis=0)
    return shape.sum(axis=1), shape.sum(axis=0), rates.sum(axis=1), rates.sum(axis=0)


def _design_effect(trials: Trials, threshold: float, width: float, guess: float, lapse: float) -> float:
    """Return by how much performers' answers going together widens the interval; at least 1."""
    clusters = int(trials.cluster.max()) + 1
    z = (trials.severity - threshold) / width
    rise = special.expit(SPREAD * z)
    amplitude = max(1 - guess - lapse, _EDGE)
    p = np.clip(guess + amplitude * rise, 1e-6, 1 - 1e-6)
    residual = (trials.said - trials.total * p) / (p * (1 - p))
    expected = trials.total / (p * (1 - p))
    worst = 1.0
    slope = amplitude * rise * (1 - rise) * SPREAD / width
    for direction in (slope, slope * z, np.ones_like(p)):
        between = float((np.bincount(trials.cluster, weights=residual * direction, minlength=clusters) ** 2).sum())
        within = float((expected * direction**2).sum())
        if within > 0:
            worst = max(worst, between / within * clusters / max(clusters - 1, 1))
    few = stats.t.ppf((1 + LEVEL) / 2, max(clusters - 1, 1)) / stats.norm.ppf((1 + LEVEL) / 2)
    return worst * float(few) ** 2


def _read(grid: _CurveGrid, levels: Floats, weight: Floats, effect: float) -> PsychometricCurve:
    of_threshold, of_width, of_guess, of_lapse = _marginals(grid, weight)
    first, last = (special.expit(SPREAD * (x - grid.threshold) / grid.width) for x in levels[[0, -1]])
    width = _quantity(grid.axes[1], of_width)
    return PsychometricCurve(
        threshold=_quantity(grid.axes[0], of_threshold),
        threshold_75=_quantity(grid.threshold + grid.width * np.log(3) / SPREAD, weight.sum(axis=1)),
        width=width,
        slope=Quantity(value=SPREAD / (4 * width.value), low=SPREAD / (4 * width.high), high=SPREAD / (4 * width.low)),
        guess=_quantity(grid.axes[2], of_guess),
        lapse=_quantity(grid.axes[3], of_lapse),
        rise=_quantity(*_thinned(np.outer(last - first, grid.amplitude).ravel(), weight.ravel())),
        design_effect=effect,
        draws=(grid.axes[0], of_threshold),
    )


def _quantity(values: Floats, weights: Floats) -> Quantity:
    """Return median and central 95 % of weighted values; between two values the mass is spread evenly."""
    order = np.argsort(values, kind="stable")
    sorted_values, mass = values[order], weights[order]
    middle = (np.cumsum(mass) - mass / 2) / mass.sum()
    low, value, high = np.interp(_QUANTILES, middle, sorted_values)
    return Quantity(value=float(value), low=float(low), high=float(high))


def _thinned(values: Floats, weights: Floats) -> tuple[Floats, Floats]:
    """Put values together that are far from the quantiles of :func:`_quantity`, which spares sorting them all."""
    lowest = values.min()
    per_bin = (_BINS - 1) / (float(np.ptp(values)) or 1.0)
    bins = ((values - lowest) * per_bin).astype(np.int64)
    mass = np.bincount(bins, weights=weights)
    held = np.flatnonzero(np.bincount(bins))
    reached = np.searchsorted(np.cumsum(mass[held]) / mass.sum(), _QUANTILES)
    # A quantile may lie between two bins.
    near = np.unique(np.clip(reached[:, np.newaxis] + np.arange(-1, 2), 0, held.size - 1))
    apart = np.zeros(mass.size, dtype=bool)
    apart[held[near]] = True
    alone, rest = np.flatnonzero(apart[bins]), np.delete(held, near)
    return (
        np.concatenate((values[alone], lowest + (rest + 0.5) / per_bin)),
        np.concatenate((weights[alone], mass[rest])),
    )


def efficiency(judge: pl.DataFrame, observer: pl.DataFrame) -> Estimate:
    """Return (d' of the judge / d' of the observer)^2 on the items both answered.

    d' as in :mod:`aqaudit.measures.detection`, with the log-linear correction; a judge whose d' is not positive has
    efficiency 0. The interval is a percentile one over 10,000 multinomial draws of performers.

    Parameters
    ----------
    judge, observer : polars.DataFrame
        Columns ``item`` (the same text for the same question asked alike), ``cluster``, ``gold`` (the execution is
        correct), ``error`` (the answer says error).

    Notes
    -----
    Tanner & Birdsall, Definitions of d' and eta as psychophysical measures, J. Acoust. Soc. Am. 30, 1958, p. 922.
    """
    seen = observer.unique("item", keep="first", maintain_order=True).select("item", pl.col("error").alias("observer"))
    rows = judge.join(seen, on="item").filter(pl.col("gold").is_not_null())
    if rows["gold"].n_unique() < 2:
        why = "no item was judged by both" if rows.is_empty() else "the truth of the items judged by both is one class"
        return Estimate(value=None, n=rows.height, why=why)
    sides = {
        f"{name}_{side}": pl.col("gold").eq(gold) & counted
        for side, gold in (("bad", False), ("good", True))
        for name, counted in (("rows", pl.lit(value=True)), ("judge", pl.col("error")), ("seen", pl.col("observer")))
    }
    sums, names = resample.cluster_matrix(rows.with_columns(**sides), tuple(sides))
    value = float(_ratio(sums.sum(axis=0)[np.newaxis])[0])
    if not np.isfinite(value):
        return Estimate(value=None, n=rows.height, clusters=len(names), why="the observer itself sees nothing")
    classes = {"error": int((sums[:, 0] > 0).sum()), "correct": int((sums[:, 3] > 0).sum())}
    why = resample.too_small(per_cluster(rows), classes) or ""
    interval = None
    if not why:
        draws = resample.cluster_bootstrap(sums, _ratio, seed=SEED)
        low, high = np.nanpercentile(draws, [2.5, 97.5])
        interval = Interval(low=float(low), high=float(high), se=float(np.nanstd(draws)))
    return Estimate(value=value, interval=interval, n=rows.height, clusters=len(names), why=why)


def _ratio(sums: Floats) -> Floats:
    """From (bad, judge hits, observer hits, good, judge alarms, observer alarms) to the efficiency."""
    bad, hits, seen, good, alarms, wrong = (sums[..., at] for at in range(6))
    judge = adjusted_z(hits, bad) - adjusted_z(alarms, good)
    ideal = adjusted_z(seen, bad) - adjusted_z(wrong, good)
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.asarray(np.where(ideal > 0, (np.maximum(judge, 0) / ideal) ** 2, np.nan))
