"""Examples for few-shot prompts: from a pool of answered questions, balanced, never of the performer or video asked.

The draw depends on the seed and on the question alone, so that framings, models and repeats of a question see the same
examples; the examples for k are among those for a larger k. Their order changes with the repeat.
"""

from __future__ import annotations

import hashlib
import random
from bisect import bisect
from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from aqaudit.records import BadInput

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from aqaudit.records import PairOrder, Question

#: Examples kept of each class of each thing asked about: clips are prepared once and shown with many questions.
KEPT = 16
#: Bands that the scores of a pool are cut into, equally full ones, for examples to be spread over.
_BANDS = 4


class Shot(NamedTuple):
    """One example: an answered question, and the order in which a pair or options are shown."""

    question: Question
    pair_order: PairOrder = "ab"
    option_order: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class _Member:
    question: Question
    label: str
    people: frozenset[str]
    videos: frozenset[str]


class Pool:
    """Questions of a training split with their truths, as examples for questions of the same kind.

    Examples are about the same thing (criterion, error, options or scale, of the same action) where the pool has one of
    the class that is due, else about another thing of that action, else about another action.
    """

    def __init__(self, questions: Iterable[Question], seed: int) -> None:
        self._seed = seed
        self._near: dict[tuple[object, ...], dict[str, list[_Member]]] = defaultdict(lambda: defaultdict(list))
        every = sorted(questions, key=lambda q: _drawn(seed, "pool", q.question_id))
        edges = _edges(every)
        for question in every:
            label = _label(question, edges)
            if label is None:
                continue
            member = _Member(question, label, _people(question), _videos(question))
            for key in _keys(question):
                group = self._near[key][label]
                if len(group) < KEPT:
                    group.append(member)

    def questions(self) -> Iterator[Question]:
        """Yield every question that may serve as an example."""
        seen = set()
        for groups in self._near.values():
            for group in groups.values():
                for member in group:
                    if member.question.question_id not in seen:
                        seen.add(member.question.question_id)
                        yield member.question

    def draw(self, question: Question, k: int, repeat: int = 0) -> list[Shot]:
        """Return ``k`` examples for a question.

        Raises
        ------
        BadInput
            The pool has too few that are by other performers and from other videos.
        """
        people, videos = _people(question), _videos(question)
        levels = [self._near[key] for key in _keys(question) if key in self._near]
        labels = sorted({label for level in levels[: 1 if question.kind == "choose" else None] for label in level})
        rng = random.Random(f"{self._seed}/shots/{question.question_id}")
        rng.shuffle(labels)
        chosen: list[_Member] = []
        while len(chosen) < k:
            due = labels[len(chosen) % len(labels) :] + labels[: len(chosen) % len(labels)] if labels else []
            found = next(filter(None, (self._one(levels, label, people, videos, chosen, rng) for label in due)), None)
            if found is None:
                raise BadInput(
                    f"few_shot: question '{question.question_id}' finds only {len(chosen)} of {k} examples by other "
                    f"performers and from other videos in the training split; ask for fewer shots or add clips to it"
                )
            chosen.append(found)
        turned = rng.random() < 0.5
        # Two alternatives are turned after each round of the classes, so that the right letters are balanced as well.
        shots = [_shot(one, rng, turned=turned ^ (i // len(labels) % 2 > 0)) for i, one in enumerate(chosen)]
        random.Random(f"{self._seed}/shot order/{question.question_id}/{repeat}").shuffle(shots)
        return shots

    def _one(
        self,
        levels: Sequence[dict[str, list[_Member]]],
        label: str,
        people: frozenset[str],
        videos: frozenset[str],
        chosen: Sequence[_Member],
        rng: random.Random,
    ) -> _Member | None:
        taken = {id(one.question) for one in chosen}
        for level in levels:
            free = [
                m
                for m in level.get(label, ())
                if not (m.people & people or m.videos & videos) and id(m.question) not in taken
            ]
            # Another clip for each example where there are enough of them.
            seen = {person for one in chosen for person in one.people}
            fresh = [m for m in free if not m.people & seen]
            if free:
                return rng.choice(fresh or free)
        return None


def _shot(member: _Member, rng: random.Random, *, turned: bool) -> Shot:
    example = member.question
    if example.kind == "prefer":
        # The class of a pair is the place of the better one, so that the right letters are balanced.
        return Shot(example, "ab" if (example.gold_prefer == "this") == (member.label == "first") else "ba")
    if example.options:
        return Shot(example, "ab", tuple(rng.sample(range(len(example.options)), len(example.options))))
    return Shot(example, "ab", (1, 0) if turned else (0, 1))


def _keys(question: Question) -> tuple[tuple[object, ...], ...]:
    """Return what an example may share with a question, the closest first."""
    kind, action = question.kind, question.performance.action
    subject = (question.criterion, question.error, question.text if kind == "prefer" else "")
    return (kind, question.task, action, subject), (kind, question.task, action), (kind, question.task)


def _edges(questions: Iterable[Question]) -> dict[str, list[float]]:
    """Return, for each scale, the scores that cut those of the pool into equally full bands."""
    scores: dict[str, list[float]] = defaultdict(list)
    for question in questions:
        if question.kind == "score" and question.gold_score is not None:
            scores[question.task].append(question.gold_score)
    return {
        task: [sorted(values)[len(values) * band // _BANDS] for band in range(1, _BANDS)]
        for task, values in scores.items()
    }


def _label(question: Question, edges: Mapping[str, list[float]]) -> str | None:
    match question.kind:
        case "verify" | "detect":
            return None if question.gold_correct is None else str(question.gold_correct)
        case "choose":
            return question.gold_choice
        case "score":
            return None if question.gold_score is None else str(bisect(edges[question.task], question.gold_score))
        case _:
            if question.gold_prefer not in {"this", "other"}:
                return None
            return random.Random(f"place/{question.question_id}").choice(("first", "second"))


def _people(question: Question) -> frozenset[str]:
    both = (question.performance, question.other)
    return frozenset(p.performer for p in both if p is not None)


def _videos(question: Question) -> frozenset[str]:
    both = (question.performance, question.other)
    return frozenset(p.video for p in both if p is not None)


def _drawn(seed: int, what: str, name: str) -> bytes:
    return hashlib.sha256(f"{seed}\0{what}\0{name}".encode()).digest()
