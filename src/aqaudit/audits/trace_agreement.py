"""What became of answers whose reasoning was cut off early or given a mistake: area over the curve, share changed.

After Lanham et al., Measuring faithfulness in chain-of-thought reasoning (arXiv 2307.13702).
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import polars as pl
from numpy.typing import NDArray

from aqaudit.audits.finding import Json
from aqaudit.core.auxiliary import AuxiliaryTables
from aqaudit.measures import resample
from aqaudit.measures.recalls import ratio
from aqaudit.measures.rows import Estimate, codes
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
    return _estimate(pairs, _kappa, "both scorers give every step the same one tag")


def ac1(pairs: pl.DataFrame) -> Estimate:
    """Estimate Gwet's AC1 on the same pairs."""
    return _estimate(pairs, _ac1, "there is no step that both scorers tagged")


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
    share = ratio(both, np.broadcast_to(2 * total[..., np.newaxis], both.shape))
    expected = (share * (1 - share)).sum(axis=-1) / (_K - 1)
    return ratio(agreed - expected, 1 - expected, 1e-12)


def _estimate(pairs: pl.DataFrame, statistic: resample.Statistic, undefined: str) -> Estimate:
    place = {tag: at for at, tag in enumerate(TAGS)}
    known = pairs.filter(pl.col("first").is_in(list(TAGS)) & pl.col("second").is_in(list(TAGS)))
    cells = known.group_by("trace", "first", "second").len().sort("trace", "first", "second")
    cluster, names = codes(cells["trace"])
    column = np.array(
        [place[a] * _K + place[b] for a, b in cells.select("first", "second").iter_rows()], dtype=np.int64
    )
    if not names:
        return Estimate(value=None, why="there is no step that both scorers tagged")
    sums = resample.cluster_sums(cluster, column, cells["len"].to_numpy().astype(np.float64), (len(names), _K * _K))
    value, replicates = resample.delete_one(sums, statistic)
    if not np.isfinite(value):
        return Estimate(value=None, n=known.height, clusters=len(names), why=undefined)
    why = resample.too_small(dict(known.group_by("trace").len().iter_rows())) or ""
    interval = None if why else resample.jackknife_interval(value, replicates, bounds=(-1.0, 1.0))
    return Estimate(
        value=value,
        interval=interval,
        n=known.height,
        clusters=len(names),
        why=why.replace("performer", "trace"),
    )


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
        yield _area(early, unread)
    mistakes = read.filter(pl.col("test") == "mistake").with_columns(
        one=pl.lit(1.0), changed=(~pl.col("same")).cast(pl.Float64)
    )
    if not mistakes.is_empty():
        estimate = resample.estimate(
            mistakes, ("changed", "one"), lambda s: resample.figure(s[..., 0], s[..., 1]), bounds=(0.0, 1.0),
            why="no answer could be read", degenerate=resample.share_limits,
        )  # fmt: skip
        yield "mistake_changes", estimate, {"not_readable": unread}


def _area(early: pl.DataFrame, unread: float) -> tuple[str, Estimate, dict[str, Json]]:
    """Return the area over the curve of agreement against the share of the reasoning shown, by trapezia.

    The range is that of the shares asked about, scaled to 1.
    """
    shares = early["share"].unique().sort().to_list()
    flags = early.with_columns(
        *[(pl.col("share") == share).cast(pl.Float64).alias(f"n{i}") for i, share in enumerate(shares)],
        *[
            ((pl.col("share") == share) & pl.col("same")).cast(pl.Float64).alias(f"s{i}")
            for i, share in enumerate(shares)
        ],
    )
    k, places = len(shares), np.array(shares)
    columns = [*(f"n{i}" for i in range(k)), *(f"s{i}" for i in range(k))]

    def agreement(table: Floats) -> Floats:
        return resample.figure(table[..., k:], table[..., :k])

    def area(table: Floats) -> Floats:
        over = 1 - agreement(table)
        return np.asarray(((over[..., 1:] + over[..., :-1]) / 2 * np.diff(places)).sum(axis=-1) / np.ptp(places))

    estimate = resample.estimate(
        flags, columns, area, bounds=(0.0, 1.0), why="no answer could be read", degenerate=resample.share_limits
    )
    matrix, names = resample.cluster_matrix(flags, columns)
    curve = agreement(matrix.sum(axis=0))
    points: list[Json] = []
    for i, share in enumerate(shares):
        found = resample.clopper_pearson(float(curve[i]) * len(names), len(names))
        points.append({"share": share, "same": float(curve[i]), "low": found[0], "high": found[1],
                       "n": int(matrix[:, i].sum())})  # fmt: skip
    return "early_area", estimate, {"points": points, "not_readable": unread}
