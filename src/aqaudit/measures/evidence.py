"""What the pictures add: the score with them less the score without, on the same questions.

These measures read the answers of one scope under *several* perturbations. The score is that of the chance audit:
balanced accuracy (unread answers wrong), Spearman's correlation, or accuracy over pairs. Answers are paired: a question
counts where it was asked, under otherwise the same settings, in every condition that a figure compares.

*Without* pictures are ``blank``, ``text_only`` and the blind policy: the best answer per action, criterion and framing
that the truths of all other performers suggest. It is fitted without the performer it answers for, and never by ids.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
import polars as pl
from numpy.typing import NDArray

from aqaudit.measures import pairs, resample
from aqaudit.measures.correlation import spearman
from aqaudit.measures.resample import mean_of_groups, ratio
from aqaudit.measures.rows import (
    Estimate,
    Interval,
    Measure,
    class_of,
    cluster,
    codes,
    joined,
    number,
    parsed,
    per_cluster,
    text,
)

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Mask = NDArray[np.bool_]

FULL, POLICY = "none", "blind_policy"
WITHOUT = ("blank", "text_only")
KEYS = ("question_id", "performance_id", "other_id", "framing", "answer_words", "pair_order", "repeat")
_GOLD = ("gold_correct", "gold_score", "gold_choice", "gold_prefer")
_NOT_WITHOUT = "no answers with perturbation blank or text_only"


@dataclass(frozen=True, slots=True, kw_only=True)
class CreditedRows:
    """Rows of :func:`credited` as arrays, one entry a row.

    ``gold`` is the true score, or the number of its class among ``classes`` (0: these are scores); ``said`` is NaN
    where a score was not read.
    """

    cluster: Ints
    clusters: int
    framing: Ints
    framings: int
    gold: Floats | Ints
    classes: int
    said: Floats


@dataclass(frozen=True, slots=True, kw_only=True)
class Score:
    """A condition's score with its delete-one-cluster values."""

    name: str
    value: float
    replicates: Floats
    interval: Interval | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """Scores on the questions that all conditions share; ``why`` says why there are none.

    ``small`` says why the sample allows no interval, ``widest`` how far two scores may lie apart.
    """

    scores: tuple[Score, ...]
    n: int
    clusters: int
    why: str
    small: str = ""
    widest: float = 1.0

    def of(self, name: str) -> Score:
        """Return a condition's score."""
        return next(one for one in self.scores if one.name == name)


def credited(frame: pl.DataFrame, names: Sequence[str], keep: Sequence[str] = ()) -> pl.DataFrame:
    """Return the rows with a truth under the perturbations named.

    Returns
    -------
    polars.DataFrame
        :data:`KEYS`, ``cluster``, ``condition``, ``stratum`` (action and criterion or error), ``gold`` (a class, empty
        for preferences, or a score), ``said`` (the credit of the answer from 0 to 1, or the score given, null where
        it was not read), and the columns to ``keep``.
    """
    kinds = frame["kind"].unique().to_list() if "kind" in frame.columns else ["verify"]
    kind = kinds[0] if kinds else "verify"
    read = parsed(frame)
    frame = _truth_of_the_clip_shown(frame)
    match kind:
        case "score":
            gold, said = number(frame, "gold_score"), pl.when(read).then(number(frame, "score")).otherwise(None)
            truth = pl.col("gold_score").is_not_null()
        case "prefer":
            said = pl.when(read & pl.col("prefer").is_not_null()).then(pairs.credit()).otherwise(0.0)
            gold, truth = pl.lit(""), pl.col("gold_prefer").cast(pl.String).is_in(["this", "other"])
        case "choose":
            gold, truth = pl.col("gold_choice"), pl.col("gold_choice").is_not_null()
            said = (read & (pl.col("choice") == pl.col("gold_choice"))).fill_null(value=False).cast(pl.Float64)
        case _:
            holds = pl.col("gold_correct").cast(pl.Boolean)
            gold, truth = class_of(holds), holds.is_not_null()
            said = (read & (pl.col("says_correct") == holds)).fill_null(value=False).cast(pl.Float64)
    condition = text(frame, "perturbation").replace("", FULL)
    return frame.filter(truth & condition.is_in(names)).select(
        *[text(frame, name) for name in KEYS],
        cluster(frame),
        condition.alias("condition"),
        joined(frame, "action", "criterion", "error").alias("stratum"),
        gold.alias("gold"),
        said.alias("said"),
        *keep,
    )


def _truth_of_the_clip_shown(frame: pl.DataFrame) -> pl.DataFrame:
    """Give swapped rows the truth of the clip that was shown, which their tags hold; null where that is unknown.

    A table without such tags is taken to hold that truth in its own columns.
    """
    if "tags" not in frame.columns or "swapped" not in asked(frame):
        return frame
    swapped = text(frame, "perturbation") == "swapped"
    if not frame.select((swapped & pl.col("tags").str.contains('"shown_gold_', literal=True)).any()).item():
        return frame
    shown = {name: pl.col("tags").str.json_path_match(f"$.shown_{name}") for name in _GOLD if name in frame.columns}
    if "gold_correct" in shown:
        shown["gold_correct"] = shown["gold_correct"].replace_strict(
            {"true": True, "false": False}, default=None, return_dtype=pl.Boolean
        )
    return frame.with_columns(
        pl.when(swapped).then(value.cast(frame.schema[name], strict=False)).otherwise(pl.col(name)).alias(name)
        for name, value in shown.items()
    )


def compare(frame: pl.DataFrame, names: Sequence[str], *, policy: bool = False) -> Comparison:
    """Score conditions on the questions that were asked in all of them.

    Parameters
    ----------
    frame : polars.DataFrame
        Answers of one scope under several perturbations.
    names : sequence of str
        Perturbations, ``none`` among them.
    policy : bool
        Score the blind policy on the same questions as well.
    """
    rows = credited(frame, names)
    held = rows.group_by(*KEYS).agg(pl.col("condition").n_unique().alias("held"))
    shared = rows.join(held.filter(pl.col("held") == len(names)).drop("held"), on=KEYS)
    if shared.is_empty():
        lacking = [name for name in names if not (rows["condition"] == name).any()]
        why = (
            f"no answers with perturbation {' or '.join(lacking)}" if lacking
            else f"no question was asked with all of the perturbations {', '.join(names)}"
        )  # fmt: skip
        return Comparison(scores=(), n=0, clusters=0, why=why)
    shared = shared.sort("cluster", *KEYS, "condition", "gold", "said", nulls_last=True)
    answers = coded(shared)
    conditions = {name: (shared["condition"] == name).to_numpy() for name in names}
    found = {name: score(answers, mask) for name, mask in conditions.items()}
    full = shared.filter(pl.col("condition") == FULL)
    if policy:
        said = answers.said.copy()
        said[conditions[FULL]] = _policy(full, answers.cluster[conditions[FULL]], answers.clusters)
        found[POLICY] = score(replace(answers, said=said), conditions[FULL])
    scores = answers.classes == 0
    classes = None if scores or full["gold"].eq("").all() else resample.classes_held(full)
    small = resample.too_small(per_cluster(full), classes) or ""
    low, high = (-1.0, 1.0) if scores else (0.0, 1.0)

    def interval(value: float, replicates: Floats) -> Interval | None:
        if small:
            return None
        return resample.jackknife_interval(value, replicates, bounds=(low, high), fisher=scores)

    return Comparison(
        scores=tuple(
            Score(name=name, value=value, replicates=left, interval=interval(value, left))
            for name, (value, left) in found.items()
        ),
        n=full.height,
        clusters=answers.clusters,
        why="",
        small=small,
        widest=high - low,
    )


def coded(rows: pl.DataFrame) -> CreditedRows:
    """Return rows of :func:`credited` as arrays."""
    cluster, clusters = codes(rows["cluster"])
    framing, framings = codes(rows["framing"])
    gold, labels = (rows["gold"].to_numpy(), []) if rows.schema["gold"].is_float() else codes(rows["gold"])
    return CreditedRows(
        cluster=cluster,
        clusters=len(clusters),
        framing=framing,
        framings=len(framings),
        gold=gold,
        classes=len(labels),
        said=rows["said"].to_numpy(),
    )


def score(answers: CreditedRows, among: Mask, *, min_ranked: int = 2, min_classes: int = 1) -> tuple[float, Floats]:
    """Return the score of some rows, and its delete-one-cluster values.

    Parameters
    ----------
    answers : CreditedRows
    among : numpy.ndarray, shape (rows,)
        Which rows.
    min_ranked : int
        How many scores a framing needs to be ranked.
    min_classes : int
        How many classes of the truth a framing needs to count.
    """
    if answers.classes:
        return _accuracy(answers, among, min_classes)
    read = among & np.isfinite(answers.said)
    framings = [read & (answers.framing == k) for k in range(answers.framings)]
    found = [
        spearman(answers.gold[part], answers.said[part], answers.cluster[part], answers.clusters, min_rows=min_ranked)
        for part in framings
        if np.count_nonzero(part) >= min_ranked
    ]
    if not found:
        return float("nan"), np.full(answers.clusters, np.nan)
    return float(np.mean([one.value for one in found])), np.mean([one.replicates for one in found], axis=0)


def _accuracy(answers: CreditedRows, among: Mask, min_classes: int) -> tuple[float, Floats]:
    """Mean credit per class, classes averaged within framings, then framings."""
    width = answers.framings * answers.classes
    place = (answers.cluster * width + answers.framing * answers.classes + answers.gold)[among]
    total, right = (
        np.bincount(place, weights=weight, minlength=answers.clusters * width).reshape(answers.clusters, width)
        for weight in (np.ones(place.size), answers.said[among])
    )

    def statistic(sums: Floats) -> Floats:
        recall = ratio(sums[..., width:], sums[..., :width])
        by_framing = mean_of_groups(recall, np.arange(0, width, answers.classes), at_least=min_classes)
        return mean_of_groups(by_framing)[..., 0]

    return resample.delete_one(np.hstack((total, right)), statistic)


def _policy(full: pl.DataFrame, at: Ints, clusters: int) -> Floats:
    """Return the blind policy's score, or the credit of its answer, for every row; ``at`` numbers their clusters."""
    scores = full.schema["gold"].is_float()
    if not scores and full["gold"].eq("").all():
        return np.full(full.height, 0.5)
    keyed = full.select(pl.concat_str(["stratum", "framing"], separator="\x1f").alias("key"))["key"]
    stratum, strata = codes(keyed)

    def others(weights: Floats) -> Floats:
        """Sum weights over all other clusters (clusters x strata)."""
        size = clusters * len(strata)
        own = np.bincount(at * len(strata) + stratum, weights=weights, minlength=size).reshape(clusters, len(strata))
        return np.asarray(own.sum(axis=0) - own)

    if scores:
        total, held = others(full["gold"].to_numpy()), others(np.ones(full.height))
        overall = ratio(total.sum(axis=1), held.sum(axis=1))
        guess = np.where(held > 0, ratio(total, held), overall[:, np.newaxis])
        # Strata have one mean whoever is left out: the same number would be ranked as many. Where there is nobody else
        # to learn from, the policy gives one score to all.
        return np.asarray(np.nan_to_num(np.round(guess[at, stratum], 9)))
    label, labels = codes(full["gold"])
    counts = [others((label == k).astype(np.float64)) for k in range(len(labels))]
    # A class counts as much as all others, however rare: the vote of a class is its share that falls in here.
    votes = np.nan_to_num([ratio(n, np.broadcast_to(n.sum(axis=1, keepdims=True), n.shape)) for n in counts])
    winners = votes >= votes.max(axis=0) - 1e-12
    credit = winners / winners.sum(axis=0)
    return np.asarray(credit[label, at, stratum])


def difference(found: Comparison, name: str, others: Sequence[str]) -> Estimate:
    """Return the score of a condition less the best of others, with its interval over clusters."""
    if found.why:
        return Estimate(value=None, why=found.why)
    best = np.maximum.reduce([found.of(other).replicates for other in others])
    value = found.of(name).value - max(found.of(other).value for other in others)
    if not np.isfinite(value):
        return Estimate(value=None, why="a condition has no score", n=found.n, clusters=found.clusters)
    return resample.with_interval(
        Estimate(
            value=value,
            chance=0.0,
            n=found.n,
            clusters=found.clusters,
            details={one.name: one.value for one in found.scores},
        ),
        found.of(name).replicates - best,
        bounds=(-found.widest, found.widest),
        small=found.small,
        degenerate=partial(resample.difference_limits, widest=found.widest),
    )


def asked(frame: pl.DataFrame) -> tuple[str, ...]:
    """Return the perturbations that a frame has answers to."""
    return tuple(sorted(frame.select(text(frame, "perturbation").replace("", FULL)).to_series().unique()))


def dependence(frame: pl.DataFrame) -> tuple[Comparison, Estimate]:
    """Return the comparison and the estimate of the dependence on the pictures."""
    without = [name for name in WITHOUT if name in asked(frame)]
    if not without:
        return Comparison(scores=(), n=0, clusters=0, why=_NOT_WITHOUT), Estimate(value=None, why=_NOT_WITHOUT)
    found = compare(frame, (FULL, *without), policy=True)
    return found, difference(found, FULL, (*without, POLICY))


def _static(frame: pl.DataFrame) -> Estimate:
    without = [name for name in WITHOUT if name in asked(frame)]
    if not without:
        return Estimate(value=None, why=_NOT_WITHOUT)
    return difference(compare(frame, (FULL, "frozen", *without), policy=True), "frozen", (*without, POLICY))


def _drop(perturbation: str) -> Callable[[pl.DataFrame], Estimate]:
    return lambda frame: difference(compare(frame, (FULL, perturbation)), FULL, (perturbation,))


_measure = partial(
    Measure,
    kinds=("verify", "detect", "choose", "score", "prefer"),
    columns=("perturbation",),
    bounds=(-2.0, 2.0),
    chance="0 for a judge that does not use what was taken away",
    higher_is_better=True,
    citation="Goyal et al., Making the V in VQA matter, CVPR 2017; Yuksekgonul et al., ICLR 2023",
)
MEASURES = (
    _measure(
        name="vision_dependence",
        title="dependence on the pictures",
        what=(
            "Score with the pictures less the best of blank pictures, no pictures and the blind policy, same questions."
        ),
        compute=lambda frame: dependence(frame)[1],
    ),
    _measure(
        name="static_evidence",
        title="evidence from one frame",
        what="Score with a frozen frame less the best of blank pictures, no pictures and the blind policy.",
        compute=_static,
    ),
    _measure(
        name="temporal_evidence",
        title="evidence from the movement",
        what="Score with the clip less the score with one frozen frame.",
        compute=_drop("frozen"),
    ),
    _measure(
        name="shuffled_drop",
        title="loss when frames are shuffled",
        what="Score with the clip less the score with its frames in random order.",
        compute=_drop("shuffled"),
    ),
    _measure(
        name="reversed_drop",
        title="loss when the clip runs backwards",
        what="Score with the clip less the score with its frames in reverse order.",
        compute=_drop("reversed"),
    ),
    _measure(
        name="swapped_drop",
        title="loss when another clip is shown",
        what="Score with the clip less the score with another clip, held against the truth of the clip shown.",
        compute=_drop("swapped"),
    ),
    _measure(
        name="region_blur_drop",
        title="loss when the region is blurred",
        what="Score with the clip less the score with the region that matters blurred.",
        compute=_drop("region_blur"),
    ),
)
