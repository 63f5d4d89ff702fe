"""Permutation p-values: how often answers shuffled over the executions score as high as they did; Holm's correction.

Answers are exchanged between rows of the same criterion and framing (within one task), so that knowing how often a
criterion is met, or which wording draws a yes, earns nothing. The test is one-sided: better than guessing. Rows count
as exchangeable, which performers with several clips may violate; verdicts therefore come from intervals.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Hashable, Sequence

import numpy as np
import polars as pl
from numpy.typing import NDArray
from scipy import special, stats

from aqaudit.measures.pairs import pair_credits
from aqaudit.measures.recalls import of_kind
from aqaudit.measures.resample import mean_of_groups, ratio
from aqaudit.measures.rows import codes, scored

Floats = NDArray[np.float64]

DRAWS = 2000
SEED = 20260408
#: Significance level of every test, after correction where there are several.
LEVEL = 0.05
# Answers up to which scores are shuffled; the normal limit is indistinguishable beyond.
EXACT_ROWS = 20_000
# Guards the comparison of equal figures against rounding.
_EQUAL = 1e-12


def p_value(observed: float, drawn: Floats) -> float:
    """Return (1 + draws at least as high) / (1 + draws) (Phipson & Smyth 2010)."""
    return float((1 + np.count_nonzero(drawn >= observed - _EQUAL)) / (1 + drawn.size))


def balanced_accuracy(frame: pl.DataFrame, *, seed: int = SEED, draws: int = DRAWS) -> float | None:
    """Return the permutation p of balanced accuracy, or None where it is undefined.

    Shuffling answers within a stratum makes its table of truths by answers a random table with the same margins, so
    tables are drawn and no row is touched (Patefield, Applied Statistics 1981).
    """
    rows = of_kind(frame).with_columns(pl.col("said").fill_null("\x00"))
    if rows.is_empty():
        return None
    labels = sorted(set(rows["gold"]) | set(rows["said"]))
    place = {label: at for at, label in enumerate(labels)}
    framings = rows["framing"].unique().sort().to_list()
    totals = np.zeros((len(framings), len(labels)))
    observed, drawn = np.zeros_like(totals), np.zeros((draws, *totals.shape))
    rng = np.random.default_rng(seed)
    counts = rows.group_by("framing", "criterion", "gold", "said").len().sort("framing", "criterion", "gold", "said")
    for (framing, _), stratum in counts.group_by("framing", "criterion", maintain_order=True):
        at = framings.index(framing)
        golds, saids = (sorted(set(stratum[name])) for name in ("gold", "said"))
        table = np.zeros((len(golds), len(saids)), dtype=np.int64)
        for gold, said, count in stratum.select("gold", "said", "len").iter_rows():
            table[golds.index(gold), saids.index(said)] = count
        random = _random_tables(table, rng, draws)
        for row, gold in enumerate(golds):
            totals[at, place[gold]] += table[row].sum()
            if gold in saids:
                observed[at, place[gold]] += table[row, saids.index(gold)]
                drawn[:, at, place[gold]] += random[:, row, saids.index(gold)]

    def figure(right: Floats) -> Floats:
        recall = ratio(right, np.broadcast_to(totals, right.shape))
        return mean_of_groups(mean_of_groups(recall, at_least=2)[..., 0])[..., 0]

    value = float(figure(observed))
    return p_value(value, figure(drawn)) if np.isfinite(value) else None


def _random_tables(table: NDArray[np.int64], rng: np.random.Generator, draws: int) -> NDArray[np.int64]:
    if min(table.shape) == 1:
        return np.broadcast_to(table, (draws, *table.shape))
    random = stats.random_table(table.sum(axis=1), table.sum(axis=0), seed=rng)
    tables: NDArray[np.int64] = random.rvs(draws, method="patefield")
    return tables


def spearman(frame: pl.DataFrame, *, seed: int = SEED, draws: int = DRAWS) -> float | None:
    """Return the permutation p of Spearman's correlation, or None where it is undefined.

    Beyond :data:`EXACT_ROWS` parsed rows the permutation distribution is replaced by the normal one with its exact mean
    and variance (Hoeffding's combinatorial central limit theorem).
    """
    rows = scored(frame).filter(pl.col("said").is_not_null())
    rng = np.random.default_rng(seed)
    exact = rows.height <= EXACT_ROWS
    observed, drawn, variance, used = 0.0, np.zeros(draws if exact else 1), 0.0, 0
    for _, part in rows.group_by("framing", maintain_order=True):
        gold, said = (stats.rankdata(part[name].to_numpy()) for name in ("gold", "said"))
        gold, said = gold - gold.mean(), said - said.mean()
        norm = math.sqrt(float((gold * gold).sum()) * float((said * said).sum()))
        if norm == 0:
            continue
        used += 1
        observed += float((gold * said).sum()) / norm
        stratum, _ = codes(part["criterion"])
        for at in range(int(stratum.max()) + 1):
            x, y = gold[stratum == at] / norm, said[stratum == at]
            if exact:
                drawn += _shuffled_products(x, y, rng, draws)
            else:
                drawn += x.size * x.mean() * y.mean()
                variance += max(x.size - 1, 0) * (x.var(ddof=1) * y.var(ddof=1) if x.size > 1 else 0.0)
    if not used:
        return None
    if exact:
        return p_value(observed, drawn)
    if variance == 0:
        return 1.0
    # A p-value is never nothing, though its digits may run out.
    return max(float(special.ndtr(-(observed - drawn[0]) / math.sqrt(variance))), 1e-300)


def _shuffled_products(x: Floats, y: Floats, rng: np.random.Generator, draws: int) -> Floats:
    products = np.empty(draws)
    block = max(1, 2_000_000 // x.size)
    for start in range(0, draws, block):
        size = min(block, draws - start)
        shuffled = rng.permuted(np.broadcast_to(y, (size, y.size)), axis=1)
        products[start : start + size] = (shuffled * x).sum(axis=1)
    return products


def pair_accuracy(frame: pl.DataFrame, *, seed: int = SEED, draws: int = DRAWS) -> float | None:
    """Return the sign-flip p of accuracy over pairs: each judged pair might as well have been judged the other way."""
    pairs = pair_credits(frame)
    if pairs.is_empty():
        return None
    rng = np.random.default_rng(seed)
    framings = pairs["framing"].n_unique()
    observed, drawn = 0.0, np.zeros(draws)
    for _, part in pairs.group_by("framing", maintain_order=True):
        lead = part["credit"].to_numpy() - 0.5
        judged = part["read"].to_numpy() > 0
        weight = 1 / part.height / framings
        observed += float(np.sort(lead).sum()) * weight
        drawn += float(lead[~judged].sum()) * weight
        for size, count in zip(*np.unique(np.abs(lead[judged]), return_counts=True), strict=True):
            drawn += (2 * rng.binomial(count, 0.5, size=draws) - count) * size * weight
    return p_value(observed, drawn)


def holm(p_values: Sequence[float | None], families: Sequence[Hashable] | None = None) -> list[float | None]:
    """Return p-values adjusted within each family by Holm's step-down method (Scand. J. Statistics 1979).

    Parameters
    ----------
    p_values
        One for each test; None where there was none, which stays None and counts in no family.
    families
        The family of each test; all are one family where they are not given.
    """
    members: dict[Hashable, list[tuple[float, int]]] = defaultdict(list)
    for at, p in enumerate(p_values):
        if p is not None:
            members[families[at] if families is not None else None].append((p, at))
    adjusted: list[float | None] = [None] * len(p_values)
    for tests in members.values():
        highest = 0.0
        for rank, (p, at) in enumerate(sorted(tests)):
            highest = max(highest, min(1.0, p * (len(tests) - rank)))
            adjusted[at] = highest
    return adjusted
