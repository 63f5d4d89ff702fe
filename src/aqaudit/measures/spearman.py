"""Spearman's rank correlation of given and true scores."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from aqaudit.measures import ranks, resample
from aqaudit.measures.measure import Estimate, Measure
from aqaudit.measures.recalls import per_cluster, ratio
from aqaudit.measures.rows import codes, scored

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

CITATION = "Spearman, The proof and measurement of association between two things, Am. J. Psychol. 1904"
# Beyond this a correlation counts as this much when Fisher z are averaged, or a perfect one would outweigh all others.
_Z_CLIP = 0.999


def compute(frame: pl.DataFrame) -> Estimate:
    """Return Spearman's correlation over the parsed rows, framings averaged with equal weight."""
    return correlate(scored(frame), by=("framing",), min_rows=2)


def correlate(rows: pl.DataFrame, *, by: Sequence[str], min_rows: int) -> Estimate:
    """Estimate Spearman's correlation on scored rows (:func:`aqaudit.measures.rows.scored`).

    Parameters
    ----------
    rows : polars.DataFrame
    by : sequence of str
        Columns that split the rows before ranking, ``framing`` first. Further columns are averaged on the Fisher z
        scale within a framing, then framings are averaged.
    min_rows : int
        Rows that a split needs to count.
    """
    read = rows.filter(pl.col("said").is_not_null())
    details: dict[str, float | int | str | None] = {"coverage": read.height / rows.height if rows.height else None}
    if rows.is_empty():
        return Estimate(value=None, why="no answer has a true score to compare with", details=details)
    if read.is_empty():
        return Estimate(value=None, why="no answer could be read", details=details)
    cluster, names = codes(read["cluster"])
    gold, said = read["gold"].to_numpy(), read["said"].to_numpy()
    values: dict[str, list[float]] = {}
    replicates: dict[str, list[NDArray[np.float64]]] = {}
    constant, exact = True, True
    for key, part in read.with_row_index("at").group_by(*by, maintain_order=True):
        at = part["at"].to_numpy()
        found = ranks.spearman(gold[at], said[at], cluster[at], len(names), min_rows=min_rows)
        values.setdefault(str(key[0]), []).append(found.value)
        replicates.setdefault(str(key[0]), []).append(found.replicates)
        constant, exact = constant and found.constant, exact and found.exact
    splits = sum(int(np.isfinite(value).sum()) for value in values.values())
    if len(by) > 1:
        details["splits"] = splits
    details["rank_interval"] = "exact delete-one" if exact else "influence function"
    if not splits:
        why = (
            "all true scores are equal" if gold.min() == gold.max() else f"no group has {min_rows} different executions"
        )
        return Estimate(value=None, chance=0.0, why=why, n=read.height, clusters=len(names), details=details)
    fisher = len(by) > 1
    value = float(_average([np.array(v)[:, np.newaxis] for v in values.values()], fisher=fisher)[0])
    if constant:
        return Estimate(
            value=0.0,
            chance=0.0,
            baseline=0.0,
            n=read.height,
            clusters=len(names),
            flag="constant",
            why="every answer is the same score",
            details=details,
        )
    why, interval = resample.too_small(per_cluster(read)) or "", None
    if not why:
        interval = resample.jackknife_interval(
            value,
            _average([np.stack(r) for r in replicates.values()], fisher=fisher),
            bounds=(-1.0, 1.0),
            fisher=True,
            degenerate=_degenerate(value, len(names)),
        )
        why = "" if interval else "the figure hangs on a single performer"
    return Estimate(
        value=value,
        interval=interval,
        chance=0.0,
        baseline=0.0,
        n=read.height,
        clusters=len(names),
        why=why,
        details=details,
    )


def _average(framings: list[NDArray[np.float64]], *, fisher: bool) -> NDArray[np.float64]:
    """Average (splits x replicates) within each framing, then framings, over the values that are defined."""
    means = []
    for values in framings:
        scale = np.arctanh(np.clip(values, -_Z_CLIP, _Z_CLIP)) if fisher else values
        mean = _mean_defined(scale)
        means.append(np.tanh(mean) if fisher else mean)
    return _mean_defined(np.stack(means))


def _mean_defined(values: NDArray[np.float64]) -> NDArray[np.float64]:
    defined = np.isfinite(values)
    count = defined.sum(axis=0)
    total = np.where(defined, values, 0.0).sum(axis=0)
    return ratio(total, count.astype(np.float64))


def _degenerate(value: float, clusters: int) -> tuple[float, float]:
    """Clopper-Pearson on the correlation mapped to 0..1, for a correlation that no single performer changes."""
    low, high = resample.clopper_pearson((value + 1) / 2 * clusters, clusters)
    return 2 * low - 1, 2 * high - 1


MEASURE = Measure(
    name="spearman",
    title="Spearman's rank correlation",
    what=(
        "Pearson's correlation of average ranks of given and true scores, over parsed answers. Constant answers score "
        "0. Framings are averaged with equal weight."
    ),
    kinds=("score",),
    columns=("gold_score", "score"),
    bounds=(-1.0, 1.0),
    chance="0",
    higher_is_better=True,
    citation=CITATION,
    compute=compute,
)
