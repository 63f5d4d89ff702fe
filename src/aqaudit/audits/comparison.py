"""Comparing two sets of answers: every headline measure on the rows that answer the same question, as B - A.

Only questions that both sides were asked count. Differences of one measure over several scopes are a family, corrected
after Holm. The verdict says the same whichever side comes first, mirrored: ok B is better, fail A is better.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from aqaudit.audits import verdicts
from aqaudit.audits.finding import Finding, Verdict, plain
from aqaudit.audits.pairing import Pairs
from aqaudit.audits.permutation import LEVEL, holm
from aqaudit.audits.scope import BASE, as_label
from aqaudit.audits.signature import signature
from aqaudit.measures import MEASURES, paired, resample
from aqaudit.measures.paired import Difference
from aqaudit.measures.pairs import PAIR, pair_credits
from aqaudit.measures.recalls import layout
from aqaudit.measures.resample import mean_of_groups, ratio
from aqaudit.measures.rows import CORRECT, classified, codes, per_cluster, scored

Floats = NDArray[np.float64]

NAME = "compare"
#: Biases are compared by size: the smaller one is better.
_SIZES = frozenset({"lean", "framing_shift", "position_bias"})
_TITLES: Mapping[str, str] = {"framing_shift": "framing shift", "position_bias": "position bias"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Compared:
    """One measure of one scope on both sides; ``difference`` is None where it is undefined, and ``why`` says why."""

    measure: str
    scope: Mapping[str, str]
    difference: Difference | None
    n: int
    clusters: int
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ComparisonResult:
    """The findings of a comparison, what was paired, and the signature of what they depend on."""

    findings: tuple[Finding, ...]
    pairs: Pairs
    signature: Mapping[str, object]

    def as_json(self) -> dict[str, object]:
        """Return the findings' form of ``aqaudit audit --json``, beside each what A and B score and Holm's p."""
        return {
            "signature": dict(self.signature),
            "paired": self.pairs.facts(),
            "findings": [
                {**one.as_json(), **{name: plain(one.details.get(name)) for name in ("a", "b", "holm_p")}}
                for one in self.findings
            ],
        }


def compare(pairs: Pairs) -> ComparisonResult:
    """Return every headline measure's difference, B - A, in every scope of the pairs."""
    compared = [one for scope, a, b in _scopes(pairs) for one in _measures(scope, a, b)]
    p_values = [None if one.difference is None else one.difference.p for one in compared]
    corrected = holm(p_values, [one.measure for one in compared])
    findings = tuple(_finding(one, holm_p, pairs) for one, holm_p in zip(compared, corrected, strict=True))
    settings: dict[str, object] = {"seed": paired.SEED, "draws": paired.DRAWS, "rank_draws": paired.RANK_DRAWS}
    made = {"a": signature(pairs.a, settings), "b": signature(pairs.b, settings)}
    return ComparisonResult(findings=findings, pairs=pairs, signature=made)


def _scopes(pairs: Pairs) -> Iterator[tuple[dict[str, str], pl.DataFrame, pl.DataFrame]]:
    keys = list(dict.fromkeys((*BASE, *pairs.split)))
    labels = pairs.a.select(as_label(pl.col(key)) for key in keys).with_row_index("_at")
    groups = labels.partition_by(keys, as_dict=True, maintain_order=True)
    for values in sorted(groups):
        rows = groups[values]["_at"]
        scope = dict(zip(keys, (str(value) for value in values), strict=True))
        for key, (ours, theirs) in pairs.differ.items():
            if key in scope:
                scope[key] = f"{ours} vs {theirs}"
        yield scope, pairs.a[rows], pairs.b[rows]


def _measures(scope: dict[str, str], a: pl.DataFrame, b: pl.DataFrame) -> Iterator[Compared]:
    match scope["kind"]:
        case "verify" | "detect":
            yield _balanced(scope, a, b, "gold_correct", "says_correct")
            yield _lean(scope, a, b)
            if a["framing"].n_unique() > 1:
                yield _shift(scope, a, b)
        case "choose":
            yield _balanced(scope, a, b, "gold_choice", "choice")
        case "score":
            yield _spearman(scope, a, b)
            yield _loss(scope, a, b, "r_l2")
            yield _loss(scope, a, b, "mae")
        case "prefer":
            yield _preferences(scope, a, b, "pair_accuracy")
            if a["pair_order"].drop_nulls().n_unique() > 1:
                yield _preferences(scope, a, b, "position_bias")


def _compared(
    measure: str,
    scope: dict[str, str],
    rows: pl.DataFrame,
    difference: Callable[[bool], Difference],
    *,
    classes: bool = False,
) -> Compared:
    """Return a difference with its sample; ``rows`` holds ``cluster`` and, for classes of the truth, ``gold``."""
    if rows.is_empty():
        why = "no question was answered readably by both sides"
        return Compared(measure=measure, scope=scope, difference=None, n=0, clusters=0, why=why)
    clusters = per_cluster(rows)
    why = resample.too_small(clusters, resample.classes_held(rows) if classes else None) or ""
    found = difference(not why)
    defined = bool(np.isfinite(found.value))
    if not defined:
        why = "the truth holds one class only" if classes else "the true scores are all equal"
    elif found.low is None and not why:
        why = "too few of the resamples define the figure"
    shown = found if defined else None
    return Compared(measure=measure, scope=scope, difference=shown, n=rows.height, clusters=len(clusters), why=why)


def _of_shares(
    rows: pl.DataFrame,
    column: NDArray[np.int64],
    sides: Sequence[Floats],
    width: int,
    figure: Callable[[Floats], Floats],
    bounds: tuple[float, float] = (-1.0, 1.0),
) -> Callable[[bool], Difference]:
    """Return what compares the figures of two sides, with an interval or without.

    Parameters
    ----------
    column : numpy.ndarray, shape (rows,)
        Which of ``width`` kinds of question each row is.
    sides : two arrays, shape (rows,)
        What A and B earn for each row.
    figure : callable
        From what was earned by kind of question, as a share of the questions asked, to the figure.
    """

    def both(sums: Floats) -> tuple[Floats, Floats]:
        asked = sums[..., :width]
        first, second = (figure(ratio(sums[..., k * width : (k + 1) * width], asked)) for k in (1, 2))
        return first, second

    def difference(interval: bool) -> Difference:
        cluster, names = codes(rows["cluster"])
        parts = [np.zeros((len(names), width)) for _ in range(3)]
        for part, weight in zip(parts, (np.ones(rows.height), *sides), strict=True):
            np.add.at(part, (cluster, column), weight)
        return paired.of_sums(np.concatenate(parts, axis=1), both, bounds=bounds, interval=interval)

    return difference


def _framed(values: Floats) -> Floats:
    """Return the mean over framings, with equal weight."""
    return mean_of_groups(values)[..., 0]


def _balanced(scope: dict[str, str], a: pl.DataFrame, b: pl.DataFrame, gold: str, answer: str) -> Compared:
    rows = _both_classified(a, b, gold, answer)
    cells = rows.select("framing", "gold").unique().sort("framing", "gold").with_row_index("cell")
    plan = layout(cells.with_columns(table=pl.lit("")))
    placed = rows.join(cells, on=["framing", "gold"], how="left", maintain_order="left")
    right = [rows[said].eq(rows["gold"]).fill_null(value=False).to_numpy().astype(np.float64) for said in ("a", "b")]
    difference = _of_shares(rows, placed["cell"].to_numpy().astype(np.int64), right, plan.cells, plan.average)
    return _compared("balanced_accuracy", scope, rows, difference, classes=True)


def _both_classified(a: pl.DataFrame, b: pl.DataFrame, gold: str, answer: str) -> pl.DataFrame:
    """Return cluster, framing, gold, and what either side said (null where unread), row by row."""
    ours, theirs = (classified(rows.with_columns(framing=a["framing"]), gold, answer) for rows in (a, b))
    return ours.select("cluster", "framing", "gold", pl.col("said").alias("a"), theirs["said"].alias("b"))


def _lean(scope: dict[str, str], a: pl.DataFrame, b: pl.DataFrame) -> Compared:
    rows = _both_classified(a, b, "gold_correct", "says_correct").drop_nulls(["a", "b"])
    framing, names = codes(rows["framing"])
    framings = len(names)

    def size(share: Floats) -> Floats:
        return np.abs(_framed(share[..., :framings] + share[..., framings:] - 1))

    column = framing + framings * rows["gold"].ne(CORRECT).to_numpy().astype(np.int64)
    yes = [rows[said].eq(CORRECT).to_numpy().astype(np.float64) for said in ("a", "b")]
    return _compared("lean", scope, rows, _of_shares(rows, column, yes, 2 * framings, size), classes=True)


def _shift(scope: dict[str, str], a: pl.DataFrame, b: pl.DataFrame) -> Compared:
    """Compare the sizes of the framing shift over questions that both sides answered readably in both wordings."""
    item = ["question_id", "performance_id", "other_id", "answer_words", "repeat"]
    rows = _both_classified(a, b, "gold_correct", "says_correct")
    asked = a.filter(pl.col("gold_correct").is_not_null()).select(
        pl.col(name).cast(pl.String).fill_null("") for name in item
    )
    keyed = pl.concat([asked, rows], how="horizontal").drop_nulls(["a", "b"])
    positive, negative = (
        keyed.filter(pl.col("framing") == framing).select(
            *item,
            "cluster",
            *(pl.col(side).eq(CORRECT).cast(pl.Float64).alias(side + framing[:1]) for side in ("a", "b")),
        )
        for framing in ("positive", "negative")
    )
    pairs = positive.join(negative.drop("cluster"), on=item).sort(*item)
    moved = [(pairs[side + "p"] - pairs[side + "n"]).to_numpy() for side in ("a", "b")]
    column = np.zeros(pairs.height, dtype=np.int64)
    return _compared("framing_shift", scope, pairs, _of_shares(pairs, column, moved, 1, lambda s: np.abs(s[..., 0])))


def _both_scored(a: pl.DataFrame, b: pl.DataFrame) -> pl.DataFrame:
    """Return readable scores of both sides in an order that depends on their content only."""
    order = pl.int_range(pl.len()).cast(pl.String)
    ours, theirs = (
        scored(rows.with_columns(framing=a["framing"], criterion=order)).sort("criterion") for rows in (a, b)
    )
    both = ours.with_columns(a=pl.col("said"), b=theirs["said"])
    return both.drop_nulls(["a", "b"]).sort("cluster", "framing", "action", "gold", "a", "b")


def _spearman(scope: dict[str, str], a: pl.DataFrame, b: pl.DataFrame) -> Compared:
    rows = _both_scored(a, b)

    def difference(interval: bool) -> Difference:
        gold, ours, theirs = (rows[name].to_numpy().astype(np.float64) for name in ("gold", "a", "b"))
        cluster, framing = codes(rows["cluster"])[0], codes(rows["framing"])[0]
        return paired.of_ranks(gold, ours, theirs, cluster, framing, interval=interval)

    return _compared("spearman", scope, rows, difference)


def _loss(scope: dict[str, str], a: pl.DataFrame, b: pl.DataFrame, measure: str) -> Compared:
    rows = _both_scored(a, b)
    gold = pl.col("gold")
    if measure == "r_l2":
        span = (gold.max() - gold.min()).over("action")
        rows = rows.with_columns(span=span).filter(pl.col("span") > 0)
        losses = [100 * ((pl.col(side) - gold) / pl.col("span")) ** 2 for side in ("a", "b")]
    else:
        losses = [(pl.col(side) - gold).abs() for side in ("a", "b")]
    framing, names = codes(rows["framing"])
    lost = [rows.select(loss.alias("loss"))["loss"].to_numpy().astype(np.float64) for loss in losses]
    unbounded = (-np.inf, np.inf)
    return _compared(measure, scope, rows, _of_shares(rows, framing, lost, max(len(names), 1), _framed, unbounded))


def _preferences(scope: dict[str, str], a: pl.DataFrame, b: pl.DataFrame, measure: str) -> Compared:
    """Compare accuracy over pairs, or the size of the share by which what is shown first is preferred."""
    sides = []
    for rows in (a, b):
        named = rows.with_columns(framing=a["framing"])
        if measure == "position_bias":
            # As if what is shown first were the better one, in every order.
            first = pl.when(pl.col("pair_order") == "ba").then(pl.lit("other")).otherwise(pl.lit("this"))
            read = (pl.col("parse") == "ok") & pl.col("prefer").is_not_null()
            named = named.filter(read).with_columns(gold_prefer=first)
        sides.append(pair_credits(named))
    joined = sides[0].join(sides[1].select(*PAIR, pl.col("credit").alias("b")), on=list(PAIR)).sort("cluster", *PAIR)
    framing, names = codes(joined["framing"])
    earned = [joined[side].to_numpy() for side in ("credit", "b")]

    def figure(share: Floats) -> Floats:
        mean = _framed(share)
        return np.abs(mean - 0.5) if measure == "position_bias" else mean

    return _compared(measure, scope, joined, _of_shares(joined, framing, earned, max(len(names), 1), figure))


def _finding(one: Compared, holm_p: float | None, pairs: Pairs) -> Finding:
    found = one.difference
    verdict, flag = _verdict(one, holm_p)
    return Finding(
        audit=NAME,
        scope=one.scope,
        measure=one.measure,
        value=found.value if found else None,
        low=found.low if found else None,
        high=found.high if found else None,
        chance=0.0,
        n=one.n,
        clusters=one.clusters,
        headline=True,
        verdict=verdict,
        flag=flag,
        summary=_summary(one, verdict, flag),
        why=one.why,
        question="Which of the two is better?",
        details={
            "a": found.a if found else None,
            "b": found.b if found else None,
            "p": found.p if found else None,
            "holm_p": holm_p,
            **pairs.facts(),
        },
    )


def _verdict(one: Compared, holm_p: float | None) -> tuple[Verdict, str | None]:
    found = one.difference
    if found is None or found.low is None or found.high is None:
        return "cannot_tell", None
    if not found.low <= 0 <= found.high:
        if holm_p is not None and holm_p >= LEVEL:
            return "warn", "not after Holm"
        higher_is_better = bool(one.measure not in _SIZES and MEASURES[one.measure].higher_is_better)
        return ("ok", "B better") if (found.value > 0) == higher_is_better else ("fail", "A better")
    same = verdicts.thresholds()[NAME].get(one.measure, {}).get("alike")
    if same is not None and max(abs(found.low), abs(found.high)) <= same:
        return "ok", "alike"
    return "cannot_tell", None


def _summary(one: Compared, verdict: Verdict, flag: str | None) -> str:
    found = one.difference
    title = _TITLES.get(one.measure) or MEASURES[one.measure].title
    title = f"size of the {title.removeprefix('the ')}" if one.measure in _SIZES else title
    head = f"{title[:1].upper()}{title[1:]}"
    if found is None:
        return f"{head} cannot be compared: {one.why}."
    text = f"{head}: A {found.a:.3f}, B {found.b:.3f}, B - A {found.value:+.3f}"
    if found.low is not None and found.high is not None:
        text += f", 95 % interval {found.low:+.3f} to {found.high:+.3f}"
    said = {
        "B better": "B is better",
        "A better": "A is better",
        "alike": "alike within what matters",
        "not after Holm": "different, but not after correction for the number of comparisons",
    }.get(flag or "", one.why or "the interval holds no difference")
    return f"{text}; {said if verdict != 'cannot_tell' or one.why else 'cannot tell which is better'}."
