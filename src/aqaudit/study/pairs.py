"""Pairs: ``prefer`` questions about two performances of one action by two performers in two videos.

And swap pairing: whose clip is shown in place of a performance's own under the perturbation ``swapped``.
"""

from __future__ import annotations

import random
from bisect import bisect_left, bisect_right
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from itertools import combinations, pairwise
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from aqaudit.core.records import Dataset, Performance, Preference, Question, Scale, Swap
from aqaudit.study.questions import scale_task, shuffled

#: Where the fixed bands of the gap begin, as shares of the scale; the last one has no end.
EDGES = (0.0, 0.05, 0.1, 0.2, 0.4)
#: Quantile bands: as many as there are fixed ones, cut from the gaps of all pairs, or of so many drawn at random.
_DRAWN = 4000
#: Partners looked at in one band before the next band is tried.
_TRIES = 48


class Pairing(BaseModel):
    """How a data set's performances are paired: the table ``pairs`` of a ``[[dataset]]``.

    Attributes
    ----------
    uses
        Most pairs that one performance is in, for each thing compared.
    min_gap
        Smallest difference of scores worth asking about, as a share of the scale: below the noise of the labels nobody
        knows which one is better. Equal scores are never paired.
    gaps
        The bands of the gap that are filled evenly: the fixed ``edges`` 0, .05, .1, .2, .4, or five ``quantiles``.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)
    uses: Annotated[int, Field(strict=True, ge=1, le=100)] = 2
    min_gap: Annotated[float, Field(ge=0, lt=1)] = 0.0
    gaps: Literal["edges", "quantiles"] = "edges"


def pairs(dataset: Dataset, seed: int, pairing: Pairing) -> Iterator[Question]:
    """Yield ``prefer`` questions; which of the two is better alternates, and every draw depends on ``seed``."""
    by_action: dict[str, list[Performance]] = defaultdict(list)
    for performance in shuffled(dataset.performances, seed):
        by_action[performance.action].append(performance)
    for action, group in by_action.items():
        for scale in dataset.scales:
            scored = [p for p in group if scale.id in p.scores]
            task, text = scale_task(dataset, "prefer", scale.id), scale.id.replace("_", " ")
            rng = random.Random(f"{seed}/pairs/{action}/{scale.id}")
            for better, worse, first in _turned(_by_gap(scored, scale, pairing, rng), rng):
                yield _pair(dataset, better, worse, task, text, better_first=first, scale=scale)
        for criterion in (c for c in dataset.criteria if c.action == action):
            met = [p for p in group if p.criteria.get(criterion.id) is True]
            missed = [p for p in group if p.criteria.get(criterion.id) is False]
            rng = random.Random(f"{seed}/pairs/{action}/{criterion.id}/criterion")
            for better, worse, first in _turned(_crossed(met, missed, pairing), rng):
                yield _pair(
                    dataset, better, worse, "prefer", criterion.positive, better_first=first, criterion=criterion.id
                )
        for error in (e for e in dataset.errors if e.action == action):
            absent = [p for p in group if p.errors.get(error.id, None) == ()]
            present = [p for p in group if error.id in p.errors and p.errors[error.id] != ()]
            rng = random.Random(f"{seed}/pairs/{action}/{error.id}/error")
            text = f"not making this error: {error.statement}"
            for better, worse, first in _turned(_crossed(absent, present, pairing), rng):
                yield _pair(dataset, better, worse, "prefer", text, better_first=first, error=error.id)


def _turned(
    found: Iterable[tuple[Performance, Performance]], rng: random.Random
) -> Iterator[tuple[Performance, Performance, bool]]:
    """Add whether the better one is the first of the item: at every other pair."""
    start = rng.random() < 0.5
    for number, (better, worse) in enumerate(found):
        yield better, worse, (number % 2 == 0) == start


def _by_gap(
    group: Sequence[Performance], scale: Scale, pairing: Pairing, rng: random.Random
) -> Iterator[tuple[Performance, Performance]]:
    """Pair each performance with one at a gap of the band that has the fewest pairs so far."""
    ranked = sorted(group, key=lambda p: (p.scores[scale.id], p.id))
    scores = [p.scores[scale.id] for p in ranked]
    least = pairing.min_gap * (scale.max - scale.min)
    bands = _bands(scores, scale, pairing, rng)
    filled, uses = [0] * len(bands), Counter[str]()
    paired: set[tuple[str, str]] = set()

    def fits(one: Performance, other: Performance) -> bool:
        gap = abs(one.scores[scale.id] - other.scores[scale.id])
        return (
            _apart(one, other)
            and uses[other.id] < pairing.uses
            and gap > 0
            and gap >= least
            and (one.id, other.id) not in paired
        )

    for _ in range(pairing.uses):
        for first in group:
            if uses[first.id] >= pairing.uses:
                continue
            for band in sorted(range(len(bands)), key=filled.__getitem__):
                near = _at_gap(first.scores[scale.id], scores, *bands[band], rng)
                second = next((ranked[at] for at in near if fits(first, ranked[at])), None)
                if second is not None:
                    filled[band] += 1
                    uses.update((first.id, second.id))
                    paired.update(((first.id, second.id), (second.id, first.id)))
                    first_wins = first.scores[scale.id] > second.scores[scale.id]
                    yield (first, second) if first_wins else (second, first)
                    break


def _bands(scores: Sequence[float], scale: Scale, pairing: Pairing, rng: random.Random) -> list[tuple[float, float]]:
    """Return the bands of the gap as (from, to) in points of the scale."""
    width = scale.max - scale.min
    if pairing.gaps == "edges" or len(scores) < 2:
        return [(low * width, high * width) for low, high in pairwise((*EDGES, float("inf")))]
    few = len(scores) * (len(scores) - 1) // 2 <= _DRAWN
    drawn = combinations(scores, 2) if few else (rng.sample(scores, 2) for _ in range(_DRAWN))
    gaps = sorted(abs(a - b) for a, b in drawn)
    gaps = [gap for gap in gaps if gap > 0 and gap >= pairing.min_gap * width] or [0.0]
    cuts = [gaps[len(gaps) * part // len(EDGES)] for part in range(1, len(EDGES))]
    return list(pairwise((0.0, *cuts, float("inf"))))


def _at_gap(score: float, scores: Sequence[float], low: float, high: float, rng: random.Random) -> Iterator[int]:
    """Yield places in the sorted scores whose gap to ``score`` is from ``low`` to below ``high``, in a drawn order."""
    above = range(bisect_left(scores, score + low), bisect_left(scores, score + high))
    below = range(bisect_right(scores, score - high), bisect_right(scores, score - low))
    total = len(above) + len(below)
    chosen = rng.sample(range(total), total) if total <= _TRIES else (rng.randrange(total) for _ in range(_TRIES))
    for at in chosen:
        yield above[at] if at < len(above) else below[at - len(above)]


def _crossed(
    better: Sequence[Performance], worse: Sequence[Performance], pairing: Pairing
) -> Iterator[tuple[Performance, Performance]]:
    """Pair those of one list with those of the other; in each round each of them is used at most once."""
    uses = Counter[str]()
    paired: set[tuple[str, str]] = set()
    for _ in range(pairing.uses):
        free = list(worse)
        for first in sorted(better, key=lambda p: uses[p.id]):
            at = next((i for i, p in enumerate(free) if _apart(first, p) and (first.id, p.id) not in paired), None)
            if at is not None:
                second = free.pop(at)
                uses[first.id] += 1
                paired.add((first.id, second.id))
                yield first, second
            if not free:
                break


def _apart(one: Performance, other: Performance) -> bool:
    return one.performer != other.performer and one.video != other.video


def _pair(
    dataset: Dataset,
    better: Performance,
    worse: Performance,
    task: str,
    text: str,
    *,
    better_first: bool,
    scale: Scale | None = None,
    criterion: str | None = None,
    error: str | None = None,
) -> Question:
    first, second = (better, worse) if better_first else (worse, better)
    gold: Preference = "this" if better_first else "other"
    # A scale, a criterion and an error may share an id.
    subject = f"scale:{scale.id}" if scale else f"criterion:{criterion}" if criterion else f"error:{error}"
    pair_id = f"{dataset.name}/{first.id}|{second.id}"
    return Question(
        question_id=f"{pair_id}/prefer/{subject}",
        kind="prefer",
        task=task,
        dataset=dataset.name,
        performance=first,
        other=second,
        pair_id=pair_id,
        criterion=scale.id if scale else criterion,
        error=error,
        text=text,
        scale=scale,
        gold_score=first.scores[scale.id] if scale else None,
        other_gold_score=second.scores[scale.id] if scale else None,
        gold_prefer=gold,
    )


class SwapPairing:
    """Draws one partner for every performance of a data set, by the study's seed and the performances' ids alone.

    A partner is by another performer and from another recording: of the same action under ``same_action``, of another
    one under ``another_action``.
    """

    def __init__(self, dataset: Dataset, seed: int, swap: Swap) -> None:
        self._seed, self._swap = seed, swap
        self._all = shuffled(dataset.performances, seed)
        self._by_action: dict[str, list[Performance]] = defaultdict(list)
        for performance in self._all:
            self._by_action[performance.action].append(performance)
        self._known: dict[str, Performance | None] = {}

    def of(self, performance: Performance) -> Performance | None:
        """Return the partner of a performance, None where there is none."""
        if performance.id not in self._known:
            self._known[performance.id] = self._drawn(performance)
        return self._known[performance.id]

    def _drawn(self, performance: Performance) -> Performance | None:
        same = self._swap == "same_action"
        among = self._by_action[performance.action] if same else self._all
        if not among:
            return None
        start = random.Random(f"{self._seed}/swapped/{performance.id}").randrange(len(among))
        for number in range(len(among)):
            other = among[(start + number) % len(among)]
            if (
                other.performer != performance.performer
                and other.media != performance.media
                and (same or other.action != performance.action)
            ):
                return other
        return None
