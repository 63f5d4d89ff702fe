"""Comparing two sets of answers: every headline measure on the rows that answer the same question, as B - A.

Only questions that both sides were asked count. Differences of one measure over several scopes are a family, corrected
after Holm. The verdict says the same whichever side comes first, mirrored: ok B is better, fail A is better.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from aqaudit.audits import permutation, verdicts
from aqaudit.audits.finding import Finding, Verdict
from aqaudit.audits.pairing import Pairs
from aqaudit.audits.signature import signature
from aqaudit.measures import MEASURES, paired, resample
from aqaudit.measures.paired import Difference
from aqaudit.measures.pairs import PAIR, pair_credits
from aqaudit.measures.recalls import layout, mean_of_groups, ratio
from aqaudit.measures.rows import CORRECT, classified, codes, scored

Floats = NDArray[np.float64]

NAME = "compare"
LEVEL = 0.05
_START = np.zeros(1, dtype=np.int64)
#: Biases are compared by size: the smaller one is better.
_SIZES = frozenset({"lean", "framing_shift", "position_bias"})
_TITLES: Mapping[str, str] = {"framing_shift": "framing shift", "position_bias": "position bias"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Compared:
    """One measure of one scope on both sides."""

    measure: str
    scope: Mapping[str, str]
    difference: Difference | None
    n: int
    clusters: int
    why: str
    holm_p: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ComparisonResult:
    """The findings of a comparison, what was paired, and the signature of what they depend on."""

    findings: tuple[Finding, ...]
    pairs: Pairs
    signature: Mapping[str, object]

    def as_json(self) -> dict[str, object]:
        """Return the findings' form of ``aqaudit audit --json``, beside each what A and B score and Holm's p."""
        added = ("a", "b", "holm_p")
        return {
            "signature": dict(self.signature),
            "paired": self.pairs.facts(),
            "findings": [
                {
                    key: None if isinstance(value, float) and not np.isfinite(value) else value
                    for key, value in {**one.as_json(), **{name: one.details.get(name) for name in added}}.items()
                }
                for one in self.findings
            ],
        }


def compare(pairs: Pairs) -> ComparisonResult:
    """Return every headline measure's difference, B - A, in every scope of the pairs."""
    compared = [one for scope, a, b in _scopes(pairs) for one in _measures(scope, a, b)]
    corrected: dict[int, float] = {}
    for measure in dict.fromkeys(one.measure for one in compared):
        family = {
            str(at): one.difference.p
            for at, one in enumerate(compared)
            if one.measure == measure and one.difference is not None and one.difference.p is not None
        }
        corrected |= {int(at): p for at, p in permutation.holm(family).items()}
    findings = tuple(_finding(one, corrected.get(at), pairs) for at, one in enumerate(compared))
    settings: dict[str, object] = {"seed": paired.SEED, "draws": paired.DRAWS, "rank_draws": paired.RANK_DRAWS}
    made = {"a": signature(pairs.a, settings), "b": signature(pairs.b, settings)}
    return ComparisonResult(findings=findings, pairs=pairs, signature=made)


def _scopes(pairs: Pairs) -> Iterator[tuple[dict[str, str], pl.DataFrame, pl.DataFrame]]:
    keys = list(dict.fromkeys(("model", "dataset", "task", "kind", *pairs.split)))
    labels = pairs.a.select(pl.col(key).cast(pl.String).fill_null("not set") for key in keys).with_row_index("_at")
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
    estimate: Callable[[bool], Difference],
    *,
    classes: bool = False,
) -> Compared:
    """Return a difference with its sample; ``rows`` holds ``cluster`` and, for classes of the truth, ``gold``."""
    if rows.is_empty():
        return Compared(measure=measure, scope=scope, difference=None, n=0, clusters=0,
                        why="no question was answered readably by both sides")  # fmt: skip
    held = dict(rows.group_by("gold").agg(pl.col("cluster").n_unique()).iter_rows()) if classes else None
    why = resample.too_small(dict(rows.group_by("cluster").len().iter_rows()), held) or ""
    found = estimate(not why)
    if not np.isfinite(found.value):
        why = "the truth holds one class only" if classes else "the true scores are all equal"
    elif found.low is None and not why:
        why = "too few of the resamples define the figure"
    return Compared(measure=measure, scope=scope, difference=found, n=rows.height, clusters=rows["cluster"].n_unique(),
                    why=why)  # fmt: skip


def _sums(rows: pl.DataFrame, column: NDArray[np.int64], weights: list[Floats], width: int) -> Floats:
    """Return sums by cluster: ``width`` columns for each of the weights, side by side."""
    cluster, names = codes(rows["cluster"])
    parts = [np.zeros((len(names), width)) for _ in weights]
    for part, weight in zip(parts, weights, strict=True):
        np.add.at(part, (cluster, column), weight)
    return np.concatenate(parts, axis=1)


def _framed(values: Floats) -> Floats:
    return mean_of_groups(values, _START)[..., 0]


def _balanced(scope: dict[str, str], a: pl.DataFrame, b: pl.DataFrame, gold: str, answer: str) -> Compared:
    rows = _both_classified(a, b, gold, answer)
    cells = rows.select("framing", "gold").unique().sort("framing", "gold").with_row_index("cell")
    plan = layout(cells.with_columns(table=pl.lit("")))
    cell = (
        rows.join(cells, on=["framing", "gold"], how="left", maintain_order="left")["cell"].to_numpy().astype(np.int64)
    )
    width = plan.cells

    def both(sums: Floats) -> tuple[Floats, Floats]:
        asked = sums[..., :width]
        return tuple(plan.average(ratio(sums[..., k * width : (k + 1) * width], asked)) for k in (1, 2))  # type: ignore[return-value]

    def estimate(interval: bool) -> Difference:
        right = [
            rows[said].eq(rows["gold"]).fill_null(value=False).to_numpy().astype(np.float64) for said in ("a", "b")
        ]
        sums = _sums(rows, cell, [np.ones(rows.height), *right], width)
        return paired.of_sums(sums, both, bounds=(-1.0, 1.0), interval=interval)

    return _compared("balanced_accuracy", scope, rows, estimate, classes=True)


def _both_classified(a: pl.DataFrame, b: pl.DataFrame, gold: str, answer: str) -> pl.DataFrame:
    """Return cluster, framing, gold, and what either side said (null where unread), row by row."""
    ours, theirs = (classified(rows.with_columns(framing=a["framing"]), gold, answer) for rows in (a, b))
    return ours.select("cluster", "framing", "gold", pl.col("said").alias("a"), theirs["said"].alias("b"))


def _lean(scope: dict[str, str], a: pl.DataFrame, b: pl.DataFrame) -> Compared:
    rows = _both_classified(a, b, "gold_correct", "says_correct").drop_nulls(["a", "b"])
    framing, names = codes(rows["framing"])
    width = len(names)
    column = framing + width * rows["gold"].ne(CORRECT).to_numpy().astype(np.int64)

    def both(sums: Floats) -> tuple[Floats, Floats]:
        asked = sums[..., : 2 * width]
        figures = []
        for k in (1, 2):
            share = ratio(sums[..., 2 * k * width : 2 * (k + 1) * width], asked)
            figures.append(np.abs(_framed(share[..., :width] + share[..., width:] - 1)))
        return figures[0], figures[1]

    def estimate(interval: bool) -> Difference:
        yes = [rows[said].eq(CORRECT).to_numpy().astype(np.float64) for said in ("a", "b")]
        sums = _sums(rows, column, [np.ones(rows.height), *yes], 2 * width)
        return paired.of_sums(sums, both, bounds=(-1.0, 1.0), interval=interval)

    return _compared("lean", scope, rows, estimate, classes=True)


def _shift(scope: dict[str, str], a: pl.DataFrame, b: pl.DataFrame) -> Compared:
    """Compare the sizes of the framing shift over questions that both sides answered readably in both wordings."""
    item = ["question_id", "performance_id", "other_id", "answer_words", "repeat"]
    rows = _both_classified(a, b, "gold_correct", "says_correct")
    keyed = pl.concat(
        [
            a.filter(pl.col("gold_correct").is_not_null()).select(
                pl.col(c).cast(pl.String).fill_null("") for c in item
            ),
            rows,
        ],
        how="horizontal",
    )
    sides = [
        keyed.filter(pl.col("framing") == framing)
        .drop_nulls(["a", "b"])
        .select(*item, "cluster", *(pl.col(s).eq(CORRECT).cast(pl.Float64).alias(s + framing[:1]) for s in ("a", "b")))
        for framing in ("positive", "negative")
    ]
    asked = sides[0].join(sides[1].drop("cluster"), on=item).sort(*item)

    def both(sums: Floats) -> tuple[Floats, Floats]:
        a_size, b_size = (np.abs(ratio(sums[..., k], sums[..., 0])) for k in (1, 2))
        return a_size, b_size

    def estimate(interval: bool) -> Difference:
        moved = [(asked[s + "p"] - asked[s + "n"]).to_numpy() for s in ("a", "b")]
        column = np.zeros(asked.height, dtype=np.int64)
        sums = _sums(asked, column, [np.ones(asked.height), *moved], 1)
        return paired.of_sums(sums, both, bounds=(-1.0, 1.0), interval=interval)

    return _compared("framing_shift", scope, asked, estimate)


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

    def estimate(interval: bool) -> Difference:
        values = [rows[name].to_numpy().astype(np.float64) for name in ("gold", "a", "b")]
        cluster, framing = codes(rows["cluster"])[0], codes(rows["framing"])[0]
        return paired.of_ranks(values[0], values[1], values[2], cluster, framing, interval=interval)

    return _compared("spearman", scope, rows, estimate)


def _loss(scope: dict[str, str], a: pl.DataFrame, b: pl.DataFrame, measure: str) -> Compared:
    rows = _both_scored(a, b)
    gold = pl.col("gold")
    if measure == "r_l2":
        width = (gold.max() - gold.min()).over("action")
        rows = rows.with_columns(_w=width).filter(pl.col("_w") > 0)
        losses = [100 * ((pl.col(side) - gold) / pl.col("_w")) ** 2 for side in ("a", "b")]
    else:
        losses = [(pl.col(side) - gold).abs() for side in ("a", "b")]
    framing, names = codes(rows["framing"])
    width_of = max(len(names), 1)

    def both(sums: Floats) -> tuple[Floats, Floats]:
        asked = sums[..., :width_of]
        first, second = (_framed(ratio(sums[..., k * width_of : (k + 1) * width_of], asked)) for k in (1, 2))
        return first, second

    def estimate(interval: bool) -> Difference:
        lost = [rows.select(loss.alias("l"))["l"].to_numpy().astype(np.float64) for loss in losses]
        sums = _sums(rows, framing, [np.ones(rows.height), *lost], width_of)
        return paired.of_sums(sums, both, bounds=(-np.inf, np.inf), interval=interval)

    return _compared(measure, scope, rows, estimate)


def _preferences(scope: dict[str, str], a: pl.DataFrame, b: pl.DataFrame, measure: str) -> Compared:
    """Compare accuracy over pairs, or the size of the share by which what is shown first is preferred."""
    credit = "credit"
    sides = []
    for rows in (a, b):
        named = rows.with_columns(framing=a["framing"])
        if measure == "position_bias":
            # As if what is shown first were the better one, in every order.
            first = pl.when(pl.col("pair_order") == "ba").then(pl.lit("other")).otherwise(pl.lit("this"))
            read = (pl.col("parse") == "ok") & pl.col("prefer").is_not_null()
            named = named.filter(read).with_columns(gold_prefer=first)
        sides.append(pair_credits(named))
    joined = sides[0].join(sides[1].select(*PAIR, pl.col(credit).alias("b")), on=list(PAIR)).sort("cluster", *PAIR)
    framing, names = codes(joined["framing"])
    width = max(len(names), 1)

    def both(sums: Floats) -> tuple[Floats, Floats]:
        asked = sums[..., :width]
        first, second = (_framed(ratio(sums[..., k * width : (k + 1) * width], asked)) for k in (1, 2))
        return (np.abs(first - 0.5), np.abs(second - 0.5)) if measure == "position_bias" else (first, second)

    def estimate(interval: bool) -> Difference:
        weights = [np.ones(joined.height), joined[credit].to_numpy(), joined["b"].to_numpy()]
        return paired.of_sums(_sums(joined, framing, weights, width), both, bounds=(-1.0, 1.0), interval=interval)

    return _compared(measure, scope, joined, estimate)


def _better_when(measure: str) -> int:
    """Return 1 where a higher figure is better, -1 where a lower one is (errors, and biases by their size)."""
    if measure in _SIZES:
        return -1
    return 1 if MEASURES[measure].higher_is_better else -1


def _finding(one: Compared, holm_p: float | None, pairs: Pairs) -> Finding:
    found = one.difference
    defined = found is not None and np.isfinite(found.value)
    verdict, flag = _verdict(one, holm_p) if defined else ("cannot_tell", None)
    title = _TITLES.get(one.measure) or MEASURES[one.measure].title
    title = f"size of the {title.removeprefix('the ')}" if one.measure in _SIZES else title
    return Finding(
        audit=NAME,
        scope=one.scope,
        measure=one.measure,
        value=found.value if found is not None and defined else None,
        low=found.low if found is not None else None,
        high=found.high if found is not None else None,
        chance=0.0,
        n=one.n,
        clusters=one.clusters,
        headline=True,
        verdict=verdict,
        flag=flag,
        summary=_summary(title, one, verdict, flag),
        why=one.why,
        question="Which of the two is better?",
        details={
            "a": found.a if found is not None and defined else None,
            "b": found.b if found is not None and defined else None,
            "p": found.p if found is not None else None,
            "holm_p": holm_p,
            **pairs.facts(),
        },
    )


def _verdict(one: Compared, holm_p: float | None) -> tuple[Verdict, str | None]:
    found = one.difference
    if found is None or found.low is None or found.high is None:
        return "cannot_tell", None
    direction = _better_when(one.measure)
    if not found.low <= 0 <= found.high:
        if holm_p is not None and holm_p >= LEVEL:
            return "warn", "not after Holm"
        return ("ok", "B better") if found.value * direction > 0 else ("fail", "A better")
    same = verdicts.thresholds()[NAME].get(one.measure, {}).get("alike")
    if same is not None and max(abs(found.low), abs(found.high)) <= same:
        return "ok", "alike"
    return "cannot_tell", None


def _summary(title: str, one: Compared, verdict: Verdict, flag: str | None) -> str:
    found = one.difference
    head = f"{title[:1].upper()}{title[1:]}"
    if found is None or not np.isfinite(found.value):
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
