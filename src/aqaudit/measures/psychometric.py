"""Efficiency: how much of what an ideal observer can see of an error a judge uses."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray
from scipy import special, stats

from aqaudit.measures import resample
from aqaudit.measures.detection import adjusted_z
from aqaudit.measures.rows import Estimate, Interval, codes, per_cluster

Floats = NDArray[np.float64]

LEVEL = 0.95
# F rises from .05 to .95 over the width: F(m + w z) = expit(SPREAD z).
SPREAD = 2 * float(np.log(19))
# Points of the grid along m, w, g and l; the second, narrower grid is the one that is read.
GRID = (41, 25, 15, 15)
# Grid points whose marginal posterior is below this share of the largest are left out of the second grid.
_NEGLIGIBLE = 1e-5
_EDGE = 1e-4


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
    Costs about 0.15 s whatever the number of answers: they enter as one count per severity.
    """
    levels, place = np.unique(trials.severity, return_inverse=True)
    if levels.size < 2:
        return None
    total = np.bincount(place, weights=trials.total, minlength=levels.size).astype(np.float64)
    said = np.bincount(place, weights=trials.said, minlength=levels.size).astype(np.float64)
    axes = _first_grid(levels)
    first = _posterior(levels, total, said, axes, 1.0)
    effect = _design_effect(trials, _medians(axes, first))
    for _ in range(2):
        axes = _narrowed(axes, _posterior(levels, total, said, axes, effect))
    return _read(levels, axes, _posterior(levels, total, said, axes, effect), effect)


def difference(first: PsychometricCurve, second: PsychometricCurve) -> Quantity:
    """Return the threshold of ``second`` minus that of ``first``, their posteriors taken as independent.

    For two framings of the same items, which go together rather than against each other, the interval is no too
    narrow one.
    """
    (a, p), (b, q) = first.draws, second.draws
    return _quantity((b[np.newaxis] - a[:, np.newaxis]).ravel(), (p[:, np.newaxis] * q[np.newaxis]).ravel())


_Axes = tuple["Floats", "Floats", "Floats", "Floats"]


def _first_grid(levels: Floats) -> _Axes:
    span = float(levels[-1] - levels[0])
    step = float(np.diff(levels).min())
    threshold = np.linspace(levels[0] - span / 2, levels[-1] + span / 2, GRID[0])
    width = np.geomspace(step / 2, 3 * span, GRID[1])
    rate = np.linspace(_EDGE, 1 - _EDGE, GRID[2])
    return threshold, width, rate, rate.copy()


def _posterior(levels: Floats, total: Floats, said: Floats, axes: _Axes, effect: float) -> Floats:
    """Return the probability of every point of the grid, shape (m, w, g, l)."""
    threshold, width, guess, lapse = axes
    rise = special.expit(SPREAD * (levels - threshold[:, np.newaxis, np.newaxis]) / width[np.newaxis, :, np.newaxis])
    amplitude = 1 - guess[:, np.newaxis] - lapse[np.newaxis, :]
    allowed = amplitude > _EDGE / 2
    log = np.zeros((threshold.size, width.size, guess.size, lapse.size))
    amplitude = np.where(allowed, amplitude, 1.0)
    # All in two buffers: to ask the system for a new one at every step takes longer than the arithmetic.
    p, part = np.empty_like(log), np.empty_like(log)
    for at in range(levels.size):
        np.multiply(amplitude, rise[:, :, at, np.newaxis, np.newaxis], out=p)
        p += guess[:, np.newaxis]
        np.clip(p, 1e-9, 1 - 1e-9, out=p)
        np.log(p, out=part)
        part *= said[at]
        np.log1p(np.negative(p, out=p), out=p)
        p *= total[at] - said[at]
        part += p
        log += part
    log /= effect
    log += _log_prior(levels, threshold, width)[:, :, np.newaxis, np.newaxis]
    log[:, :, ~allowed] = -np.inf
    log -= log.max()
    weight = np.exp(log, out=log)
    # Each point stands for the cell around it, and cells along the widths differ in size.
    weight *= _cells(threshold)[:, np.newaxis, np.newaxis, np.newaxis] * _cells(width)[:, np.newaxis, np.newaxis]
    weight /= weight.sum()
    return weight


def _log_prior(levels: Floats, threshold: Floats, width: Floats) -> Floats:
    """Return psignifit's priors: flat for a threshold among the severities, a width between a step and the range."""
    span, step = float(levels[-1] - levels[0]), float(np.diff(levels).min())
    outside = np.maximum(levels[0] - threshold, threshold - levels[-1]) / (span / 2)
    of_threshold = _falling(np.clip(outside, 0, 1))
    above = np.clip((width - span) / (2 * span), 0, 1)
    below = np.clip((step - width) / step, 0, 1)
    of_width = np.minimum(_falling(above), _falling(below))
    with np.errstate(divide="ignore"):
        return np.asarray(np.log(of_threshold)[:, np.newaxis] + np.log(of_width)[np.newaxis])


def _falling(share: Floats) -> Floats:
    return np.asarray((1 + np.cos(np.pi * share)) / 2)


def _cells(axis: Floats) -> Floats:
    return np.gradient(axis) if axis.size > 1 else np.ones(1)


def _marginal(weight: Floats, axis: int) -> Floats:
    return np.asarray(weight.sum(axis=tuple(at for at in range(4) if at != axis)))


def _medians(axes: _Axes, weight: Floats) -> tuple[float, float, float, float]:
    m, w, g, lapse = (_quantity(axis, _marginal(weight, at)).value for at, axis in enumerate(axes))
    return m, w, g, lapse


def _narrowed(axes: _Axes, weight: Floats) -> _Axes:
    """Return a grid of the same size over what the posterior leaves of each axis."""
    result = []
    for at, axis in enumerate(axes):
        mass = _marginal(weight, at)
        kept = np.flatnonzero(mass > _NEGLIGIBLE * mass.max())
        low, high = axis[max(kept[0] - 1, 0)], axis[min(kept[-1] + 1, axis.size - 1)]
        result.append(np.geomspace(low, high, GRID[at]) if at == 1 else np.linspace(low, high, GRID[at]))
    return result[0], result[1], result[2], result[3]


def _design_effect(trials: Trials, at: tuple[float, float, float, float]) -> float:
    """Return by how much performers' answers going together widens the interval; at least 1."""
    threshold, width, guess, lapse = at
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


def _read(levels: Floats, axes: _Axes, weight: Floats, effect: float) -> PsychometricCurve:
    threshold, width, guess, lapse = axes
    both = weight.sum(axis=(2, 3)).ravel()
    m, w = (grid.ravel() for grid in np.meshgrid(threshold, width, indexing="ij"))
    first, last = (special.expit(SPREAD * (x - m) / w) for x in (levels[0], levels[-1]))
    amplitude = 1 - guess[:, np.newaxis] - lapse[np.newaxis]
    rise = ((last - first)[:, np.newaxis] * amplitude.ravel()[np.newaxis]).ravel()
    of_width = _quantity(width, _marginal(weight, 1))
    return PsychometricCurve(
        threshold=_quantity(threshold, _marginal(weight, 0)),
        threshold_75=_quantity(m + w * np.log(3) / SPREAD, both),
        width=of_width,
        slope=Quantity(
            value=SPREAD / (4 * of_width.value), low=SPREAD / (4 * of_width.high), high=SPREAD / (4 * of_width.low)
        ),
        guess=_quantity(guess, _marginal(weight, 2)),
        lapse=_quantity(lapse, _marginal(weight, 3)),
        rise=_quantity(rise, weight.ravel()),
        design_effect=effect,
        draws=(threshold, _marginal(weight, 0)),
    )


def _quantity(values: Floats, weights: Floats) -> Quantity:
    """Return median and central 95 % of weighted values; between two values the mass is spread evenly."""
    order = np.argsort(values, kind="stable")
    sorted_values, mass = values[order], weights[order]
    middle = (np.cumsum(mass) - mass / 2) / mass.sum()
    low, value, high = np.interp([(1 - LEVEL) / 2, 0.5, (1 + LEVEL) / 2], middle, sorted_values)
    return Quantity(value=float(value), low=float(low), high=float(high))


SEED = 20161


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
    place, names = codes(rows["cluster"])
    bad = ~rows["gold"].to_numpy()
    parts = [bad, ~bad]
    sums = np.zeros((len(names), 6))
    for at, part in enumerate(parts):
        for offset, said in enumerate((np.ones(rows.height), rows["error"].to_numpy(), rows["observer"].to_numpy())):
            sums[:, 3 * at + offset] = np.bincount(place, weights=part * said, minlength=len(names))
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
