"""Probabilities that a judge gives (``p_correct``) against the truth: ranking, calibration, confidence.

Ranking is the area under the ROC curve. Calibration is the Brier score and the expected calibration error, beside the
error that a calibrated judge with the same probabilities would show.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

import numpy as np
import polars as pl
from numpy.typing import NDArray

from aqaudit.measures import resample
from aqaudit.measures.resample import ratio
from aqaudit.measures.rows import Estimate, Measure, class_of, cluster, codes, joined, number, per_cluster, require

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

BINS = 10
NULL_DRAWS = 1000
SEED = 20260408
_NULL_TERMS = 4_000_000
_WHY = "no answer comes with p_correct: the log-probabilities of its words were not asked for, or not given"


def probable(frame: pl.DataFrame) -> pl.DataFrame:
    """Return rows with a truth and a probability, sorted.

    Returns
    -------
    polars.DataFrame
        ``cluster``, ``item`` (what shares one truth: the question), ``p``, ``y`` (1 correct), ``gold``.
    """
    require(frame, ("gold_correct",))
    gold = pl.col("gold_correct").cast(pl.Boolean)
    return (
        frame.select(
            cluster(frame),
            joined(frame, "question_id", "performance_id").alias("item"),
            number(frame, "p_correct").alias("p"),
            gold.cast(pl.Float64).alias("y"),
            class_of(gold).alias("gold"),
        )
        .filter(pl.col("p").is_not_null() & pl.col("y").is_not_null())
        .sort("cluster", "item", "p", "y")
    )


def auroc(p: Floats, y: NDArray[np.bool_], cluster: Ints, clusters: int) -> tuple[float, Floats]:
    """Return P(p of a correct execution > p of a faulty one), ties 1/2, and its delete-one-cluster values.

    Exact: the pairs that a cluster takes with it are those of its rows with all others, less those among itself.
    """
    won_correct, won_error = _wins(p, y)
    correct = np.bincount(cluster[y], minlength=clusters).astype(np.float64)
    error = np.bincount(cluster[~y], minlength=clusters).astype(np.float64)
    taken = np.bincount(cluster[y], weights=won_correct, minlength=clusters)
    taken += np.bincount(cluster[~y], weights=won_error, minlength=clusters)
    order = np.argsort(cluster, kind="stable")
    ends = np.cumsum(np.bincount(cluster, minlength=clusters))
    for k in range(clusters):
        own = order[ends[k - 1] if k else 0 : ends[k]]
        if correct[k] and error[k]:
            taken[k] -= _wins(p[own], y[own])[0].sum()
    total = won_correct.sum()
    left = (correct.sum() - correct) * (error.sum() - error)
    return float(total / (correct.sum() * error.sum())), ratio(total - taken, left)


def _wins(p: Floats, y: NDArray[np.bool_]) -> tuple[Floats, Floats]:
    """Return how many errors each correct row lies above, and how many correct rows lie above each error."""
    correct, error = np.sort(p[y]), np.sort(p[~y])
    above = (np.searchsorted(error, p[y], "left") + np.searchsorted(error, p[y], "right")) / 2
    below = (np.searchsorted(correct, p[~y], "left") + np.searchsorted(correct, p[~y], "right")) / 2
    return above, correct.size - below


@dataclass(frozen=True, slots=True, kw_only=True)
class Reliability:
    """Bins of equal mass: rows, mean probability and share correct of each; what a calibrated judge's ECE would be."""

    rows: Ints
    stated: Floats
    found: Floats
    null_mean: float
    null_high: float
    p_value: float


def bins_of(p: Floats) -> Ints:
    """Return the bin of each probability: at most ten of equal mass; equal probabilities share a bin."""
    edges = np.unique(np.quantile(p, np.arange(1, BINS) / BINS, method="inverted_cdf"))
    return np.unique(np.searchsorted(edges, p, side="left"), return_inverse=True)[1].astype(np.int64)


def reliability(p: Floats, y: Floats, item: Ints) -> Reliability:
    """Return the reliability diagram, and the ECE that a calibrated judge with the same probabilities shows.

    The null draws one truth an item, with the mean of the probabilities that were stated about it: a question asked in
    two wordings has one truth. Beyond :data:`_NULL_TERMS` terms, the bins' sums are drawn from their normal limit.
    """
    bins = bins_of(p)
    size = int(bins.max()) + 1
    count = np.bincount(bins, minlength=size)
    stated = np.bincount(bins, weights=p, minlength=size)
    found = np.bincount(bins, weights=y, minlength=size)
    rng = np.random.default_rng(SEED)
    mean = np.bincount(item, weights=p) / np.bincount(item)
    if p.size * NULL_DRAWS <= _NULL_TERMS:
        order = np.argsort(bins, kind="stable")
        starts = np.concatenate(([0], np.cumsum(count)[:-1]))
        truths = rng.random((NULL_DRAWS, mean.size)) < mean
        drift = np.add.reduceat(truths[:, item[order]] - p[order], starts, axis=1)
    else:
        # Rows of one item in one bin move together.
        held, places = np.unique(bins * mean.size + item, return_counts=True)
        own, of = np.divmod(held, mean.size)
        spread = np.bincount(own, weights=places**2 * (mean * (1 - mean))[of], minlength=size)
        drift = np.bincount(bins, weights=mean[item] - p, minlength=size)
        drift = drift + rng.normal(size=(NULL_DRAWS, size)) * np.sqrt(spread)
    null = np.sort(np.abs(drift).sum(axis=1) / p.size)
    observed = float(np.abs(found - stated).sum() / p.size)
    return Reliability(
        rows=count,
        stated=stated / count,
        found=found / count,
        null_mean=float(null.mean()),
        null_high=float(null[round(0.95 * (NULL_DRAWS - 1))]),
        p_value=float((1 + np.count_nonzero(null >= observed)) / (1 + NULL_DRAWS)),
    )


def _auroc(frame: pl.DataFrame) -> Estimate:
    rows = probable(frame)
    if rows.is_empty():
        return Estimate(value=None, why=_WHY)
    at, names = codes(rows["cluster"])
    p, y = rows["p"].to_numpy(), rows["y"].to_numpy() > 0
    if y.all() or not y.any():
        return Estimate(value=None, why="every truth is the same", n=rows.height, clusters=len(names))
    value, replicates = auroc(p, y, at, len(names))
    coverage = rows.height / max(frame.height, 1)
    return resample.with_interval(
        Estimate(value=value, chance=0.5, n=rows.height, clusters=len(names), details={"coverage": coverage}),
        replicates,
        bounds=(0.0, 1.0),
        small=resample.too_small(per_cluster(rows), resample.classes_held(rows)),
        degenerate=resample.share_limits,
    )


def _ece(frame: pl.DataFrame) -> Estimate:
    rows = probable(frame)
    if rows.is_empty():
        return Estimate(value=None, why=_WHY)
    p, y = rows["p"].to_numpy(), rows["y"].to_numpy()
    null = reliability(p, y, codes(rows["item"])[0])
    bins = bins_of(p)
    size = null.rows.size
    parts = rows.select("cluster").with_columns(
        *[pl.Series(f"n{k}", (bins == k).astype(np.float64)) for k in range(size)],
        *[pl.Series(f"off{k}", np.where(bins == k, y - p, 0.0)) for k in range(size)],
    )
    return resample.estimate(
        parts,
        [f"{name}{k}" for name in ("n", "off") for k in range(size)],
        lambda sums: ratio(np.abs(sums[..., size:]).sum(axis=-1), sums[..., :size].sum(axis=-1)),
        bounds=(0.0, 1.0),
        why=_WHY,
        degenerate=resample.itself,
        classes=resample.classes_held(rows),
        chance=null.null_mean,
        details={
            "null_mean": null.null_mean,
            "null_high": null.null_high,
            "null_p": null.p_value,
            "coverage": rows.height / max(frame.height, 1),
        },
    )


def _mean(frame: pl.DataFrame, term: pl.Expr, bounds: tuple[float, float]) -> Estimate:
    """Estimate the mean of a term of the columns of :func:`probable`."""
    rows = probable(frame)
    return resample.estimate(
        rows.with_columns(term=term, one=pl.lit(1.0)),
        ("term", "one"),
        resample.mean,
        bounds=bounds,
        why=_WHY,
        degenerate=resample.itself,
        classes=resample.classes_held(rows),
    )


_P, _Y = pl.col("p"), pl.col("y")
_SQUARE = (_P - _Y) ** 2
# A probability of one half says neither, which is right half the time.
_EXCESS = pl.max_horizontal(_P, 1 - _P) - pl.when(_P == 0.5).then(0.5).otherwise(
    ((_P > 0.5) == (_Y > 0)).cast(pl.Float64)
)

_measure = partial(Measure, kinds=("verify", "detect"), columns=("gold_correct", "p_correct"))
MEASURES = (
    _measure(
        name="auroc",
        title="AUROC of p_correct",
        what="Probability that p_correct of a correct execution lies above that of a faulty one, ties one half.",
        bounds=(0.0, 1.0),
        chance="0.5",
        higher_is_better=True,
        citation="Hanley & McNeil, The meaning and use of the area under a ROC curve, Radiology 1982",
        compute=_auroc,
    ),
    _measure(
        name="ece",
        title="expected calibration error",
        what=(
            "Mean distance of p_correct from the share of correct executions, over ten bins of equal mass. A "
            "calibrated judge has one above 0 too: judge it against the simulated null of the same probabilities."
        ),
        bounds=(0.0, 1.0),
        chance="the mean of the simulated calibrated null",
        higher_is_better=False,
        citation=(
            "Naeini, Cooper & Hauskrecht, Obtaining well calibrated probabilities, AAAI 2015; Vaicenavicius et al. 2019"
        ),
        compute=_ece,
    ),
    _measure(
        name="brier",
        title="Brier score",
        what="Mean of (p_correct - truth)^2.",
        bounds=(0.0, 1.0),
        chance="0.25 for always saying 0.5",
        higher_is_better=False,
        citation="Brier, Verification of forecasts expressed in terms of probability, Mon. Weather Rev. 1950",
        compute=lambda frame: _mean(frame, _SQUARE, (0.0, 1.0)),
    ),
    _measure(
        name="overconfidence",
        title="confidence less accuracy",
        what=(
            "Mean of max(p, 1 - p) less the share of rows whose more probable verdict is right; above 0 over-confident."
        ),
        bounds=(-1.0, 1.0),
        chance="0 for a calibrated judge",
        higher_is_better=None,
        citation="Lichtenstein, Fischhoff & Phillips, Calibration of probabilities, 1982",
        compute=lambda frame: _mean(frame, _EXCESS, (-1.0, 1.0)),
    ),
)
