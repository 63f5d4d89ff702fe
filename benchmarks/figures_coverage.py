"""Judges whose figure is known, for the coverage of the intervals of the audits' figures.

Each function draws answers about the executions of ``clusters`` performers and returns the interval, the true figure,
and the classes of the truth where the figure needs both. Answers about one performer are correlated (``icc`` of the
normal values that are cut into verdicts). Sums and statistics are those of ``aqaudit.measures``.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

import numpy as np
import polars as pl
from scipy import special, stats

from aqaudit.measures import detection, gap, probabilities, recalls, resample

if TYPE_CHECKING:
    from collections.abc import Callable

HIT, ALARM, SHARE_CORRECT = 0.80, 0.45, 0.6
PLUS, MINUS, ALIKE = 0.65, 0.50, 0.5
SKILL, STATED = 0.9, 1.6


def latent(rng, cluster, clusters, icc):
    """Return standard normal values whose correlation within a cluster is ``icc``."""
    return np.sqrt(icc) * rng.normal(size=clusters)[cluster] + np.sqrt(1 - icc) * rng.normal(size=cluster.size)


def alike(rng, cluster, clusters, icc, correlation, count=2):
    """Return ``count`` standard normal values a row that correlate with each other."""
    shared = latent(rng, cluster, clusters, icc)
    return [
        np.sqrt(correlation) * shared + np.sqrt(1 - correlation) * latent(rng, cluster, clusters, icc)
        for _ in range(count)
    ]


def jackknife(cluster, clusters, weights, statistic, bounds):
    """Return the interval of a statistic of per-cluster sums of ``weights``."""
    table = np.column_stack([np.bincount(cluster, weights=w, minlength=clusters) for w in weights])
    total = table.sum(axis=0)
    value, left = statistic(total[np.newaxis])[0], statistic(total - table)
    return resample.jackknife_interval(float(value), left, bounds=bounds)


def share(cluster, clusters, term, bounds=(0.0, 1.0)):
    """Return the interval of a mean."""
    return jackknife(cluster, clusters, (term, np.ones(term.size)), lambda t: t[..., 0] / t[..., 1], bounds)


def _verdicts(rng, cluster, clusters, icc, figure, bounds):
    gold = rng.random(cluster.size) < SHARE_CORRECT
    says = latent(rng, cluster, clusters, icc) < np.where(gold, special.ndtri(HIT), special.ndtri(ALARM))
    weights = (gold, gold & says, ~gold, ~gold & says)
    interval = jackknife(
        cluster, clusters, weights, lambda t: figure(t[..., 0], t[..., 1], t[..., 2], t[..., 3]), bounds
    )
    return interval, gold


def lean(rng, cluster, clusters, icc):
    interval, gold = _verdicts(rng, cluster, clusters, icc, lambda a, h, b, f: h / a + f / b - 1, (-1.0, 1.0))
    return interval, HIT + ALARM - 1, gold


def d_prime(rng, cluster, clusters, icc):
    z = detection.adjusted_z
    interval, gold = _verdicts(rng, cluster, clusters, icc, lambda a, h, b, f: z(h, a) - z(f, b), (-np.inf, np.inf))
    return interval, special.ndtri(HIT) - special.ndtri(ALARM), gold


def criterion_c(rng, cluster, clusters, icc):
    z = detection.adjusted_z
    interval, gold = _verdicts(
        rng, cluster, clusters, icc, lambda a, h, b, f: -(z(h, a) + z(f, b)) / 2, (-np.inf, np.inf)
    )
    return interval, -(special.ndtri(HIT) + special.ndtri(ALARM)) / 2, gold


@cache
def both(first: float, second: float, correlation: float) -> float:
    """Return P(both) of two verdicts with these shares whose normal values correlate."""
    return float(
        stats.multivariate_normal.cdf(special.ndtri([first, second]), cov=[[1, correlation], [correlation, 1]])
    )


def _pair(rng, cluster, clusters, icc):
    plus, minus = alike(rng, cluster, clusters, icc, ALIKE)
    return plus < special.ndtri(PLUS), minus < special.ndtri(MINUS)


def framing_shift(rng, cluster, clusters, icc):
    plus, minus = _pair(rng, cluster, clusters, icc)
    return share(cluster, clusters, plus.astype(float) - minus, (-1.0, 1.0)), PLUS - MINUS, None


def contradiction_rate(rng, cluster, clusters, icc):
    plus, minus = _pair(rng, cluster, clusters, icc)
    return share(cluster, clusters, plus != minus), PLUS + MINUS - 2 * both(PLUS, MINUS, ALIKE), None


def tt_rate(rng, cluster, clusters, icc):
    plus, minus = _pair(rng, cluster, clusters, icc)
    return share(cluster, clusters, plus & ~minus), PLUS - both(PLUS, MINUS, ALIKE), None


def contradiction_excess(rng, cluster, clusters, icc):
    p1, p2, m1, m2 = alike(rng, cluster, clusters, icc, ALIKE, count=4)
    plus = [z < special.ndtri(PLUS) for z in (p1, p2)]
    minus = [z < special.ndtri(MINUS) for z in (m1, m2)]
    between = np.mean([a != b for a, b in zip(plus, minus, strict=True)], axis=0)
    within = ((plus[0] != plus[1]).astype(float) + (minus[0] != minus[1])) / 2
    truth = PLUS + MINUS - 2 * both(PLUS, MINUS, ALIKE)
    truth -= PLUS - both(PLUS, PLUS, ALIKE) + MINUS - both(MINUS, MINUS, ALIKE)
    return share(cluster, clusters, between - within, (-1.0, 1.0)), truth, None


def repeat_disagreement(rng, cluster, clusters, icc):
    first, second = (z < special.ndtri(PLUS) for z in alike(rng, cluster, clusters, icc, ALIKE))
    return share(cluster, clusters, first != second), 2 * (PLUS - both(PLUS, PLUS, ALIKE)), None


def repeat_sd(rng, cluster, clusters, icc):
    first, second = alike(rng, cluster, clusters, icc, ALIKE)
    term = (first - second) ** 2 / 2
    interval = jackknife(
        cluster, clusters, (term, np.ones(term.size)), lambda t: np.sqrt(t[..., 0] / t[..., 1]), (0.0, np.inf)
    )
    return interval, np.sqrt(1 - ALIKE), None


def position_bias(rng, cluster, clusters, icc):
    first, second = _pair(rng, cluster, clusters, icc)
    return (
        share(cluster, clusters, (first.astype(float) + second) / 2 - 0.5, (-0.5, 0.5)),
        (PLUS + MINUS) / 2 - 0.5,
        None,
    )


def order_consistency(rng, cluster, clusters, icc):
    first, second = _pair(rng, cluster, clusters, icc)
    return share(cluster, clusters, first != second), PLUS + MINUS - 2 * both(PLUS, MINUS, ALIKE), None


def coverage(rng, cluster, clusters, icc):
    return share(cluster, clusters, latent(rng, cluster, clusters, icc) < special.ndtri(0.9)), 0.9, None


# Probabilities: a judge sees a normal value around +-SKILL; its log-odds are STATED times the true ones.


def _probable(rng, cluster, clusters, icc):
    gold = rng.random(cluster.size) < 0.5
    seen = np.where(gold, SKILL, -SKILL) + latent(rng, cluster, clusters, icc)
    return special.expit(STATED * 2 * SKILL * seen), gold


@cache
def _true(name: str) -> float:
    """Return the figure of the judge in five million answers."""
    rng = np.random.default_rng(99)
    p, gold = _probable(rng, np.arange(5_000_000), 5_000_000, 0.0)
    if name == "brier":
        return float(np.mean((p - gold) ** 2))
    if name == "overconfidence":
        return float(np.mean(np.maximum(p, 1 - p) - ((p > 0.5) == gold)))
    bins = probabilities.bins_of(p)
    return float(np.abs(np.bincount(bins, weights=gold - p)).sum() / p.size)


def auroc(rng, cluster, clusters, icc):
    p, gold = _probable(rng, cluster, clusters, icc)
    value, left = probabilities.auroc(p, gold, cluster, clusters)
    return resample.jackknife_interval(value, left, bounds=(0.0, 1.0)), special.ndtr(np.sqrt(2) * SKILL), gold


def brier(rng, cluster, clusters, icc):
    p, gold = _probable(rng, cluster, clusters, icc)
    return share(cluster, clusters, (p - gold) ** 2), _true("brier"), gold


def overconfidence(rng, cluster, clusters, icc):
    p, gold = _probable(rng, cluster, clusters, icc)
    term = np.maximum(p, 1 - p) - ((p > 0.5) == gold)
    return share(cluster, clusters, term, (-1.0, 1.0)), _true("overconfidence"), gold


def ece(rng, cluster, clusters, icc):
    p, gold = _probable(rng, cluster, clusters, icc)
    bins = probabilities.bins_of(p)
    size = int(bins.max()) + 1
    weights = [np.where(bins == k, gold - p, 0.0) for k in range(size)] + [np.ones(p.size)]
    interval = jackknife(cluster, clusters, weights, lambda t: np.abs(t[..., :-1]).sum(-1) / t[..., -1], (0.0, 1.0))
    return interval, _true("ece"), gold


# Scores


def _scores(rng, cluster, clusters, icc):
    gold = latent(rng, cluster, clusters, icc)
    return gold, 0.5 * gold + 0.5 * latent(rng, cluster, clusters, icc)


def _moments(rng, cluster, clusters, icc, figure):
    gold, said = _scores(rng, cluster, clusters, icc)
    said, gold = said - said.mean(), gold - gold.mean()
    weights = (np.ones(gold.size), said, said**2, gold, gold**2, said * gold)

    def statistic(t):
        n, s, ss, g, gg, sg = (t[..., k] for k in range(6))
        return figure(ss / n - (s / n) ** 2, gg / n - (g / n) ** 2, sg / n - s * g / n**2)

    return jackknife(cluster, clusters, weights, statistic, (-np.inf, np.inf))


def sd_ratio(rng, cluster, clusters, icc):
    return _moments(rng, cluster, clusters, icc, lambda s, g, _sg: np.sqrt(s / g)), np.sqrt(0.5), None


def calibration_slope(rng, cluster, clusters, icc):
    return _moments(rng, cluster, clusters, icc, lambda s, _g, sg: sg / s), 1.0, None


def modal_share(rng, cluster, clusters, icc):
    said = np.clip(np.rint(latent(rng, cluster, clusters, icc) * 0.9), -3, 3).astype(int) + 3
    weights = [said == k for k in range(7)] + [np.ones(said.size)]
    interval = jackknife(cluster, clusters, weights, lambda t: t[..., :-1].max(-1) / t[..., -1], (0.0, 1.0))
    return interval, special.ndtr(0.5 / 0.9) - special.ndtr(-0.5 / 0.9), None


# With and without pictures, groups, gaps


def _balanced(columns):
    layout = recalls.Layout(cells=2, tables=np.zeros(1, dtype=np.int64), framings=np.zeros(1, dtype=np.int64))
    return lambda t: layout.balanced_accuracy(t[..., columns])


def _right(rng, shared, cluster, clusters, icc, recall):
    own = np.sqrt(ALIKE) * shared + np.sqrt(1 - ALIKE) * latent(rng, cluster, clusters, icc)
    return own < special.ndtri(recall)


def vision_dependence(rng, cluster, clusters, icc, blank=0.62, text=0.52):
    gold = rng.random(cluster.size) < SHARE_CORRECT
    shared = latent(rng, cluster, clusters, icc)
    weights = []
    for recall in (0.75, blank, text):
        right = _right(rng, shared, cluster, clusters, icc, recall)
        weights += [~gold, gold, ~gold & right, gold & right]
    full, first, second = (_balanced(slice(4 * k, 4 * k + 4)) for k in range(3))
    interval = jackknife(cluster, clusters, weights, lambda t: full(t) - np.maximum(first(t), second(t)), (-1.0, 1.0))
    return interval, 0.75 - max(blank, text), gold


def vision_dependence_tied(rng, cluster, clusters, icc):
    return vision_dependence(rng, cluster, clusters, icc, blank=0.5, text=0.5)


def worst_group_gap(rng, cluster, clusters, icc):
    inside = rng.random(cluster.size) < 0.4
    gold = rng.random(cluster.size) < SHARE_CORRECT
    right = latent(rng, cluster, clusters, icc) < np.where(inside, special.ndtri(0.6), special.ndtri(0.8))
    weights = [
        m for side in (inside, ~inside) for m in (side & ~gold, side & gold, side & ~gold & right, side & gold & right)
    ]
    group, rest = _balanced(slice(0, 4)), _balanced(slice(4, 8))
    return jackknife(cluster, clusters, weights, lambda t: group(t) - rest(t), (-2.0, 2.0)), -0.2, gold


GAP_SCALE, GAP_SHAPE = 0.3, 1.6


def gap_75(rng, cluster, clusters, icc):
    gaps = rng.uniform(0.02, 0.9, cluster.size)
    p = gap.accuracy(gaps, GAP_SCALE, GAP_SHAPE, 0.0)
    right = latent(rng, cluster, clusters, icc) < special.ndtri(p)
    score = np.zeros(cluster.size)
    frame = pl.DataFrame({
        "question_id": np.arange(cluster.size).astype(str), "performer": cluster.astype(str), "gold_score": gaps,
        "other_gold_score": score, "scale_min": 0.0, "scale_max": 1.0, "gold_prefer": "this", "kind": "prefer",
        "prefer": np.where(right, "this", "other"),
    })  # fmt: skip
    frame = pl.concat([frame.with_columns(pair_order=pl.lit(order)) for order in ("ab", "ba")])
    estimate = gap.fit(frame)[1]
    return estimate.interval, float(gap.reaches(GAP_SCALE, GAP_SHAPE, 0.0)), None


FIGURES: dict[str, Callable] = {
    one.__name__: one
    for one in (
        lean, d_prime, criterion_c, auroc, framing_shift, contradiction_rate, contradiction_excess, tt_rate,
        repeat_disagreement, repeat_sd, position_bias, order_consistency, coverage, brier, overconfidence, ece,
        sd_ratio, calibration_slope, modal_share, vision_dependence, vision_dependence_tied, worst_group_gap,
    )
}  # fmt: skip
SLOW: dict[str, Callable] = {"gap_75": gap_75}
"""Figures that are fitted anew for every draw: too slow for a test."""
