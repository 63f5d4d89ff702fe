"""Examples for few-shot prompts: from a pool of answered questions, balanced, never of the performer or video asked.

The draw depends on the seed and on the question alone, so that framings, models and repeats of a question see the same
examples; the examples for k are among those for a larger k. Their order changes with the repeat.
"""

from __future__ import annotations

import hashlib
import random
from bisect import bisect
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple, TypeVar

from aqaudit.core.records import BadInput, PairOrder, Question

#: Examples kept of each class of each thing asked about: clips are prepared once and shown with many questions.
KEPT = 16
#: Bands that the scores of a pool are cut into, equally full ones, for examples to be spread over.
_BANDS = 4


class Shot(NamedTuple):
    """One example: an answered question, and the order in which a pair or options are shown."""

    question: Question
    pair_order: PairOrder = "ab"
    option_order: tuple[int, ...] = ()


T = TypeVar("T")


@dataclass(frozen=True, slots=True, eq=False)
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
        drawn = _Draws(f"{self._seed}/shots/{question.question_id}")
        labels = drawn.turned(labels)
        chosen: list[_Member] = []
        while len(chosen) < k:
            due = labels[len(chosen) % len(labels) :] + labels[: len(chosen) % len(labels)] if labels else []
            found = None
            for label in due:
                found = _one([level[label] for level in levels if label in level], people, videos, chosen, drawn)
                if found is not None:
                    break
            if found is None:
                raise BadInput(
                    f"few_shot: question '{question.question_id}' finds only {len(chosen)} of {k} examples by other "
                    f"performers and from other videos in the training split; ask for fewer shots or add clips to it"
                )
            chosen.append(found)
        turned = drawn.number(2) > 0
        # Two alternatives are turned after each round of the classes, so that the right letters are balanced as well.
        shots = [_shot(one, drawn, turned=turned ^ (i // len(labels) % 2 > 0)) for i, one in enumerate(chosen)]
        return _Draws(f"{self._seed}/shot order/{question.question_id}/{repeat}").shuffled(shots)


class _Draws:
    """Draws from the hash of a text: for the few that are needed, a tenth of the time a generator takes to begin."""

    def __init__(self, text: str) -> None:
        self._left = int.from_bytes(hashlib.blake2b(text.encode()).digest())  # 512 bits

    def number(self, below: int) -> int:
        self._left, drawn = divmod(self._left, below)
        return drawn

    def turned(self, values: list[T]) -> list[T]:
        at = self.number(len(values)) if values else 0
        return values[at:] + values[:at]

    def shuffled(self, values: Sequence[T]) -> list[T]:
        left = list(values)
        return [left.pop(self.number(len(left))) for _ in values]


def _one(
    groups: Sequence[Sequence[_Member]],
    people: frozenset[str],
    videos: frozenset[str],
    chosen: Sequence[_Member],
    drawn: _Draws,
) -> _Member | None:
    """Return a member of the first group that has one to give, by a performer not chosen yet where there is one."""
    seen = {person for one in chosen for person in one.people}
    for group in groups:
        start, spare = drawn.number(len(group)), None
        for at in range(len(group)):
            member = group[(start + at) % len(group)]
            if member.people & people or member.videos & videos or any(one is member for one in chosen):
                continue
            if not member.people & seen:
                return member
            spare = spare or member
        if spare is not None:
            return spare
    return None


def _shot(member: _Member, drawn: _Draws, *, turned: bool) -> Shot:
    example = member.question
    if example.kind == "prefer":
        # The class of a pair is the place of the better one, so that the right letters are balanced.
        return Shot(example, "ab" if (example.gold_prefer == "this") == (member.label == "first") else "ba")
    if example.options:
        return Shot(example, "ab", tuple(drawn.shuffled(range(len(example.options)))))
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
