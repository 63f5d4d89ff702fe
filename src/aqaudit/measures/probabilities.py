"""Probabilities that a judge gives (``p_correct``) against the truth: ranking, calibration, confidence."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from aqaudit.measures import resample
from aqaudit.measures.rows import CORRECT, ERROR, Estimate, Measure, cluster, codes, number, per_cluster, require, text

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

BINS = 10
NULL_DRAWS = 1000
SEED = 20260408
_NULL_TERMS = 4_000_000
_WHY = "no answer comes with p_correct: the log-probabilities of its words were not asked for, or not given"
_COLUMNS = ("gold_correct", "p_correct")


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
            pl.concat_str([text(frame, "question_id"), text(frame, "performance_id")], separator="\x1f").alias("item"),
            number(frame, "p_correct").alias("p"),
            gold.cast(pl.Float64).alias("y"),
            pl.when(gold).then(pl.lit(CORRECT)).otherwise(pl.lit(ERROR)).alias("gold"),
        )
        .filter(pl.col("p").is_not_null() & pl.col("y").is_not_null())
        .sort("cluster", "item", "p", "y")
    )


# AUROC


def _auroc(frame: pl.DataFrame) -> Estimate:
    rows = probable(frame)
    if rows.is_empty():
        return Estimate(value=None, why=_WHY)
    at, names = codes(rows["cluster"])
    p, y = rows["p"].to_numpy(), rows["y"].to_numpy() > 0
    if y.all() or not y.any():
        return Estimate(value=None, why="every truth is the same", n=rows.height, clusters=len(names))
    value, replicates = auroc(p, y, at, len(names))
    why = resample.too_small(per_cluster(rows), resample.classes_held(rows)) or ""
    interval = None
    if not why:
        interval = resample.jackknife_interval(
            value, replicates, bounds=(0.0, 1.0), degenerate=resample.share_limits(value, len(names))
        )
        why = "" if interval else "the figure hangs on a single performer"
    return Estimate(
        value=value, interval=interval, chance=0.5, n=rows.height, clusters=len(names), why=why,
        details={"coverage": rows.height / max(frame.height, 1)},
    )  # fmt: skip


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
    return float(total / (correct.sum() * error.sum())), resample.figure(total - taken, left)


def _wins(p: Floats, y: NDArray[np.bool_]) -> tuple[Floats, Floats]:
    """Return how many errors each correct row lies above, and how many correct rows lie above each error."""
    correct, error = np.sort(p[y]), np.sort(p[~y])
    above = (np.searchsorted(error, p[y], "left") + np.searchsorted(error, p[y], "right")) / 2
    below = (np.searchsorted(correct, p[~y], "left") + np.searchsorted(correct, p[~y], "right")) / 2
    return above, correct.size - below


# Calibration


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
        lambda t: resample.figure(np.abs(t[..., size:]).sum(axis=-1), t[..., :size].sum(axis=-1)),
        bounds=(0.0, 1.0),
        why=_WHY,
        degenerate=lambda value, _n: (value, value),
        classes=resample.classes_held(rows),
        chance=null.null_mean,
        details={
            "null_mean": null.null_mean,
            "null_high": null.null_high,
            "null_p": null.p_value,
            "coverage": rows.height / max(frame.height, 1),
        },
    )


def _mean_of(term: Callable[[pl.DataFrame], pl.Expr], bounds: tuple[float, float], frame: pl.DataFrame) -> Estimate:
    rows = probable(frame)
    if rows.is_empty():
        return Estimate(value=None, why=_WHY)
    parts = rows.with_columns(term=term(rows), one=pl.lit(1.0)).filter(pl.col("term").is_not_null())
    return resample.estimate(
        parts,
        ("term", "one"),
        lambda t: resample.figure(t[..., 0], t[..., 1]),
        bounds=bounds,
        why=_WHY,
        degenerate=lambda value, _n: (value, value),
        classes=resample.classes_held(parts),
    )


def _brier(frame: pl.DataFrame) -> Estimate:
    return _mean_of(lambda _rows: (pl.col("p") - pl.col("y")) ** 2, (0.0, 1.0), frame)


def _over(frame: pl.DataFrame) -> Estimate:
    p, y = pl.col("p"), pl.col("y")
    sure = pl.max_horizontal(p, 1 - p)
    right = pl.when(p == 0.5).then(0.5).otherwise(((p > 0.5) == (y > 0)).cast(pl.Float64))
    return _mean_of(lambda _rows: sure - right, (-1.0, 1.0), frame)


def _measure(
    name: str, title: str, what: str, chance: str, citation: str, bounds: tuple[float, float], better: bool | None,
    compute: Callable[[pl.DataFrame], Estimate],
) -> Measure:  # fmt: skip
    return Measure(
        name=name, title=title, what=what, kinds=("verify", "detect"), columns=_COLUMNS, bounds=bounds, chance=chance,
        higher_is_better=better, citation=citation, compute=compute,
    )  # fmt: skip


MEASURES = (
    _measure(
        "auroc",
        "AUROC of p_correct",
        "Probability that p_correct of a correct execution lies above that of a faulty one, ties one half.",
        "0.5",
        "Hanley & McNeil, The meaning and use of the area under a ROC curve, Radiology 1982",
        (0.0, 1.0),
        True,
        _auroc,
    ),
    _measure(
        "ece",
        "expected calibration error",
        "Mean distance of p_correct from the share of correct executions, over ten bins of equal mass. A calibrated "
        "judge has one above 0 too: judge it against the simulated null of the same probabilities.",
        "the mean of the simulated calibrated null",
        "Naeini, Cooper & Hauskrecht, Obtaining well calibrated probabilities, AAAI 2015; Vaicenavicius et al. 2019",
        (0.0, 1.0),
        False,
        _ece,
    ),
    _measure(
        "brier",
        "Brier score",
        "Mean of (p_correct - truth)^2.",
        "0.25 for always saying 0.5",
        "Brier, Verification of forecasts expressed in terms of probability, Mon. Weather Rev. 1950",
        (0.0, 1.0),
        False,
        _brier,
    ),
    _measure(
        "overconfidence",
        "confidence less accuracy",
        "Mean of max(p, 1 - p) less the share of rows whose more probable verdict is right; above 0 over-confident.",
        "0 for a calibrated judge",
        "Lichtenstein, Fischhoff & Phillips, Calibration of probabilities, 1982",
        (-1.0, 1.0),
        None,
        _over,
    ),
)
