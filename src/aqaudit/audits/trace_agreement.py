"""How far findings about reasoning can be trusted: two scorers on the same steps, and reasoning that was tampered with.

Agreement of the rule scorer with a judge model is Cohen's kappa (Educ. Psychol. Meas. 1960) and Gwet's AC1 (Br. J.
Math. Stat. Psychol. 2008). What became of answers whose reasoning was cut off early or given a mistake: the area over
the curve, and the share changed, after Lanham et al., Measuring faithfulness in chain-of-thought reasoning (arXiv
2307.13702).
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import polars as pl
from numpy.typing import NDArray

from aqaudit.audits.finding import Json
from aqaudit.core.auxiliary import AuxiliaryTables
from aqaudit.measures import resample
from aqaudit.measures.resample import ratio
from aqaudit.measures.rows import Estimate, codes, per_cluster
from aqaudit.traces.rules import TAGS

Floats = NDArray[np.float64]

_K = len(TAGS)


def kappa(pairs: pl.DataFrame) -> Estimate:
    """Estimate Cohen's kappa, unweighted, over steps tagged twice.

    Parameters
    ----------
    pairs : polars.DataFrame
        ``trace`` (the cluster), ``first`` and ``second``: the tags of one step.
    """
    return _agreement(pairs, _kappa, "both scorers give every step the same one tag")


def ac1(pairs: pl.DataFrame) -> Estimate:
    """Estimate Gwet's AC1 on the same pairs."""
    return _agreement(pairs, _ac1, "there is no step that both scorers tagged")


def _agreement(pairs: pl.DataFrame, statistic: resample.Statistic, undefined: str) -> Estimate:
    place = {tag: at for at, tag in enumerate(TAGS)}
    known = pairs.filter(pl.col("first").is_in(list(TAGS)) & pl.col("second").is_in(list(TAGS)))
    if known.is_empty():
        return Estimate(value=None, why="there is no step that both scorers tagged")
    cells = known.group_by("trace", "first", "second").len().sort("trace", "first", "second")
    cluster, names = codes(cells["trace"])
    column = np.array([place[a] * _K + place[b] for a, b in cells.select("first", "second").iter_rows()])
    sums = resample.cluster_sums(cluster, column, cells["len"].to_numpy().astype(np.float64), (len(names), _K * _K))
    value, replicates = resample.delete_one(sums, statistic)
    if not np.isfinite(value):
        return Estimate(value=None, n=known.height, clusters=len(names), why=undefined)
    small = resample.too_small(per_cluster(known.rename({"trace": "cluster"})))
    return resample.with_interval(
        Estimate(value=value, n=known.height, clusters=len(names)),
        replicates,
        bounds=(-1.0, 1.0),
        small=small and small.replace("performer", "trace"),
        lacking="",
    )


def _kappa(counts: Floats) -> Floats:
    table = counts.reshape(*counts.shape[:-1], _K, _K)
    total = table.sum(axis=(-2, -1))
    agreed = ratio(np.trace(table, axis1=-2, axis2=-1), total)
    expected = ratio((table.sum(axis=-1) * table.sum(axis=-2)).sum(axis=-1), total**2)
    return ratio(agreed - expected, 1 - expected, 1e-12)


def _ac1(counts: Floats) -> Floats:
    table = counts.reshape(*counts.shape[:-1], _K, _K)
    total = table.sum(axis=(-2, -1))
    agreed = ratio(np.trace(table, axis1=-2, axis2=-1), total)
    both = table.sum(axis=-1) + table.sum(axis=-2)
    share_of_tag = ratio(both, np.broadcast_to(2 * total[..., np.newaxis], both.shape))
    expected = (share_of_tag * (1 - share_of_tag)).sum(axis=-1) / (_K - 1)
    return ratio(agreed - expected, 1 - expected, 1e-12)


def figures(rows: pl.DataFrame, auxiliary: AuxiliaryTables) -> Iterator[tuple[str, Estimate, dict[str, Json]]]:
    """Yield name, estimate and details of the figures that the auxiliary table ``trace_tests`` allows for a scope."""
    kept = auxiliary.get("trace_tests")
    if kept is None:
        return
    who = rows.select("answer_key", pl.col("performer").alias("cluster")).unique("answer_key")
    tests = kept.join(who, on="answer_key", how="inner").sort("cluster", "answer_key", "test", "share")
    read = tests.filter(pl.col("same").is_not_null())
    unread = 1 - read.height / tests.height if tests.height else 0.0
    early = read.filter(pl.col("test") == "early")
    if early["share"].n_unique() > 1:
        estimate, points = _area(early)
        yield "early_area", estimate, {"points": points, "not_readable": unread}
    mistakes = read.filter(pl.col("test") == "mistake").with_columns(hit=~pl.col("same"))
    if not mistakes.is_empty():
        yield "mistake_changes", share(mistakes, "no answer could be read"), {"not_readable": unread}


def share(cases: pl.DataFrame, nothing: str) -> Estimate:
    """Estimate the share of cases that ``hit``, clustered by ``cluster``; ``nothing`` says why there are none."""
    return resample.estimate(
        cases.with_columns(pl.col("hit").cast(pl.Float64), one=pl.lit(1.0)),
        ("hit", "one"),
        resample.mean,
        bounds=(0.0, 1.0),
        why=nothing,
        degenerate=resample.share_limits,
    )


def _area(early: pl.DataFrame) -> tuple[Estimate, list[Json]]:
    """Return the area over the curve of agreement against the share of the reasoning shown, by trapezia; its points.

    The range is that of the shares asked about, scaled to 1.
    """
    shares = early["share"].unique().sort().to_list()
    k, places = len(shares), np.array(shares)
    shown = [(pl.col("share") == share).alias(f"n{i}") for i, share in enumerate(shares)]
    same = [((pl.col("share") == share) & pl.col("same")).alias(f"s{i}") for i, share in enumerate(shares)]
    flags = early.with_columns(*shown, *same)
    columns = [*(f"n{i}" for i in range(k)), *(f"s{i}" for i in range(k))]

    def agreement(table: Floats) -> Floats:
        return ratio(table[..., k:], table[..., :k])

    def area(table: Floats) -> Floats:
        over = 1 - agreement(table)
        return np.asarray(((over[..., 1:] + over[..., :-1]) / 2 * np.diff(places)).sum(axis=-1) / np.ptp(places))

    estimate = resample.estimate(
        flags, columns, area, bounds=(0.0, 1.0), why="no answer could be read", degenerate=resample.share_limits
    )
    matrix, names = resample.cluster_matrix(flags, columns)
    points: list[Json] = []
    for at, value in enumerate(agreement(matrix.sum(axis=0))):
        low, high = resample.clopper_pearson(float(value) * len(names), len(names))
        n = int(matrix[:, at].sum())
        points.append({"share": shares[at], "same": float(value), "low": low, "high": high, "n": n})
    return estimate, points
