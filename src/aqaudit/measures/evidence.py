"""What the pictures add: the score with them less the score without, on the same questions.

These measures read the answers of one scope under *several* perturbations. The score is that of the chance audit:
balanced accuracy (unread answers wrong), Spearman's correlation, or accuracy over pairs. Answers are paired: a question
counts where it was asked, under otherwise the same settings, in every condition that a figure compares.

*Without* pictures are ``blank``, ``text_only`` and the blind policy: the best answer per action, criterion and framing
that the truths of all other performers suggest. It is fitted without the performer it answers for, and never by ids.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import polars as pl
from numpy.typing import NDArray

from aqaudit.measures import correlation, resample
from aqaudit.measures.recalls import mean_of_groups
from aqaudit.measures.rows import (
    CORRECT,
    ERROR,
    Estimate,
    Interval,
    Measure,
    cluster,
    codes,
    number,
    parsed,
    per_cluster,
    text,
)

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

FULL, POLICY = "none", "blind_policy"
WITHOUT = ("blank", "text_only")
KEYS = ("question_id", "performance_id", "other_id", "framing", "answer_words", "pair_order", "repeat")
_START = np.zeros(1, dtype=np.int64)
_GOLD = ("gold_correct", "gold_score", "gold_choice", "gold_prefer")


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
        return next(score for score in self.scores if score.name == name)


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
            pick, right = pl.col("prefer").cast(pl.String), pl.col("gold_prefer").cast(pl.String)
            credit = pl.when(pick == right).then(1.0).when(pick == "tie").then(0.5).otherwise(0.0)
            said = pl.when(read & pick.is_not_null()).then(credit).otherwise(0.0)
            gold, truth = pl.lit(""), right.is_in(["this", "other"])
        case "choose":
            gold, truth = pl.col("gold_choice"), pl.col("gold_choice").is_not_null()
            said = (read & (pl.col("choice") == pl.col("gold_choice"))).fill_null(value=False).cast(pl.Float64)
        case _:
            holds = pl.col("gold_correct").cast(pl.Boolean)
            gold, truth = pl.when(holds).then(pl.lit(CORRECT)).otherwise(pl.lit(ERROR)), holds.is_not_null()
            said = (read & (pl.col("says_correct") == holds)).fill_null(value=False).cast(pl.Float64)
    condition = text(frame, "perturbation").replace("", FULL)
    stratum = [text(frame, name) for name in ("action", "criterion", "error")]
    return frame.filter(truth & condition.is_in(names)).select(
        *[text(frame, name) for name in KEYS],
        cluster(frame),
        condition.alias("condition"),
        pl.concat_str(stratum, separator="\x1f").alias("stratum"),
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
    scored = shared.schema["gold"].is_float()
    at, clusters = codes(shared["cluster"])
    full = shared.filter(pl.col("condition") == FULL)
    score = _correlations if scored else _accuracies
    found = [(name, *score(shared, at, len(clusters), name)) for name in names]
    if policy:
        own, _ = codes(full["cluster"])
        blind = full.with_columns(said=pl.Series(_policy(full, own, len(clusters), scored=scored)))
        found.append((POLICY, *score(blind, own, len(clusters), FULL)))
    classes = None if scored or full["gold"].eq("").all() else resample.classes_held(full)
    small = resample.too_small(per_cluster(full), classes) or ""
    bounds = (-1.0, 1.0) if scored else (0.0, 1.0)
    return Comparison(
        scores=tuple(
            Score(name=name, value=value, replicates=left,
                  interval=None if small else resample.jackknife_interval(value, left, bounds=bounds, fisher=scored))
            for name, value, left in found
        ),
        n=full.height,
        clusters=len(clusters),
        why="",
        small=small,
        widest=bounds[1] - bounds[0],
    )  # fmt: skip


def _accuracies(rows: pl.DataFrame, at: Ints, clusters: int, name: str) -> tuple[float, Floats]:
    """Mean credit per class, classes averaged within framings, then framings."""
    here = (rows["condition"] == name).to_numpy()
    framing, framings = codes(rows["framing"])
    label, labels = codes(rows["gold"])
    cell = framing * len(labels) + label
    width = len(framings) * len(labels)
    place = (at * width + cell)[here]
    total, right = (
        np.bincount(place, weights=weight, minlength=clusters * width).reshape(clusters, width)
        for weight in (np.ones(int(here.sum())), rows["said"].to_numpy()[here])
    )

    def statistic(table: Floats) -> Floats:
        recall = resample.figure(table[..., width:], table[..., :width])
        by_framing = mean_of_groups(recall, np.arange(0, width, len(labels)))
        return mean_of_groups(by_framing, _START)[..., 0]

    return resample.delete_one(np.hstack((total, right)), statistic)


def _correlations(rows: pl.DataFrame, at: Ints, clusters: int, name: str) -> tuple[float, Floats]:
    """Spearman's correlation within framings, framings averaged."""
    values, left = [], []
    framing, framings = codes(rows["framing"])
    here = (rows["condition"] == name).to_numpy() & rows["said"].is_not_null().to_numpy()
    gold, said = rows["gold"].to_numpy(), rows["said"].to_numpy()
    for k in range(len(framings)):
        part = here & (framing == k)
        if np.count_nonzero(part) > 1:
            found = correlation.spearman(gold[part], said[part], at[part], clusters)
            values.append(found.value)
            left.append(found.replicates)
    if not values:
        return float("nan"), np.full(clusters, np.nan)
    return float(np.mean(values)), np.mean(left, axis=0)


def _policy(full: pl.DataFrame, at: Ints, clusters: int, *, scored: bool) -> Floats:
    """Return the blind policy's score, or the credit of its answer, for every row."""
    if full["gold"].eq("").all() if not scored else False:
        return np.full(full.height, 0.5)
    keyed = full.select(pl.concat_str(["stratum", "framing"], separator="\x1f").alias("key"))["key"]
    stratum, strata = codes(keyed)
    place = at * len(strata) + stratum
    shape = (clusters, len(strata))
    if scored:
        gold = full["gold"].to_numpy()
        total, count = (
            np.bincount(place, weights=w, minlength=shape[0] * shape[1]).reshape(shape)
            for w in (gold, np.ones(gold.size))
        )
        others, held = total.sum(axis=0) - total, count.sum(axis=0) - count
        overall = resample.figure(others.sum(axis=1), held.sum(axis=1))
        guess = np.where(held > 0, resample.figure(others, held), overall[:, np.newaxis])
        # Strata have one mean whoever is left out: the same number would be ranked as many.
        return np.asarray(np.round(guess[at, stratum], 9))
    label, labels = codes(full["gold"])
    votes = np.empty((len(labels), *shape))
    for k in range(len(labels)):
        own = np.bincount(place, weights=(label == k).astype(np.float64), minlength=shape[0] * shape[1]).reshape(shape)
        others = own.sum(axis=0) - own
        # A class counts as much as all others, however rare: the vote of a class is its share that falls in here.
        votes[k] = resample.figure(others, np.broadcast_to(others.sum(axis=1, keepdims=True), shape))
    votes = np.nan_to_num(votes)
    best = votes.max(axis=0)
    winners = votes >= best - 1e-12
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
    interval = None
    if not found.small:
        interval = resample.jackknife_interval(
            value,
            found.of(name).replicates - best,
            bounds=(-found.widest, found.widest),
            degenerate=resample.difference_limits(value, found.clusters, widest=found.widest),
        )
    return Estimate(
        value=value,
        interval=interval,
        chance=0.0,
        n=found.n,
        clusters=found.clusters,
        why=found.small or ("" if interval else "the figure hangs on a single performer"),
        details={score.name: score.value for score in found.scores},
    )


def asked(frame: pl.DataFrame) -> tuple[str, ...]:
    """Return the perturbations that a frame has answers to."""
    return tuple(sorted(frame.select(text(frame, "perturbation").replace("", FULL)).to_series().unique()))


def _without(frame: pl.DataFrame) -> tuple[str, ...]:
    return tuple(name for name in WITHOUT if name in asked(frame))


def dependence(frame: pl.DataFrame) -> tuple[Comparison, Estimate]:
    """Return the comparison and the estimate of the dependence on the pictures."""
    without = _without(frame)
    if not without:
        why = "no answers with perturbation blank or text_only"
        return Comparison(scores=(), n=0, clusters=0, why=why), Estimate(value=None, why=why)
    found = compare(frame, (FULL, *without), policy=True)
    return found, difference(found, FULL, (*without, POLICY))


def _dependence(frame: pl.DataFrame) -> Estimate:
    return dependence(frame)[1]


def _static(frame: pl.DataFrame) -> Estimate:
    without = _without(frame)
    if not without:
        return Estimate(value=None, why="no answers with perturbation blank or text_only")
    return difference(compare(frame, (FULL, "frozen", *without), policy=True), "frozen", (*without, POLICY))


def _drop(name: str, frame: pl.DataFrame) -> Estimate:
    return difference(compare(frame, (FULL, name)), FULL, (name,))


def _measure(name: str, title: str, what: str, compute: partial[Estimate]) -> Measure:
    return Measure(
        name=name,
        title=title,
        what=what,
        kinds=("verify", "detect", "choose", "score", "prefer"),
        columns=("perturbation",),
        bounds=(-2.0, 2.0),
        chance="0 for a judge that does not use what was taken away",
        higher_is_better=True,
        citation="Goyal et al., Making the V in VQA matter, CVPR 2017; Yuksekgonul et al., ICLR 2023",
        compute=compute,
    )


MEASURES = (
    _measure(
        "vision_dependence",
        "dependence on the pictures",
        "Score with the pictures less the best of blank pictures, no pictures and the blind policy, same questions.",
        partial(_dependence),
    ),
    _measure(
        "static_evidence",
        "evidence from one frame",
        "Score with a frozen frame less the best of blank pictures, no pictures and the blind policy.",
        partial(_static),
    ),
    _measure(
        "temporal_evidence",
        "evidence from the movement",
        "Score with the clip less the score with one frozen frame.",
        partial(_drop, "frozen"),
    ),
    _measure(
        "shuffled_drop",
        "loss when frames are shuffled",
        "Score with the clip less the score with its frames in random order.",
        partial(_drop, "shuffled"),
    ),
    _measure(
        "reversed_drop",
        "loss when the clip runs backwards",
        "Score with the clip less the score with its frames in reverse order.",
        partial(_drop, "reversed"),
    ),
    _measure(
        "swapped_drop",
        "loss when another clip is shown",
        "Score with the clip less the score with another clip, held against the truth of the clip shown.",
        partial(_drop, "swapped"),
    ),
    _measure(
        "region_blur_drop",
        "loss when the region is blurred",
        "Score with the clip less the score with the region that matters blurred.",
        partial(_drop, "region_blur"),
    ),
)
