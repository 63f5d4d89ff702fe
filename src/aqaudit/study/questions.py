"""What can be asked of a data set: one question for every label that a performance carries."""

from __future__ import annotations

import hashlib
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from typing import TypeVar

from aqaudit.core.records import KINDS, ChoiceQuestion, Criterion, Dataset, ErrorStatement, Kind, Performance, Question

Declared = TypeVar("Declared", Criterion, ErrorStatement, ChoiceQuestion)


def shuffled(performances: Iterable[Performance], seed: int) -> list[Performance]:
    """Return the performances in an order that depends on their ids and the seed only.

    Every prefix of a study is then a random sample of it, on any machine and whatever the order of the files.
    """
    return sorted(performances, key=lambda p: hashlib.sha256(f"{seed}\0{p.id}".encode()).digest())


class QuestionMaker:
    """Makes the questions about single performances of a data set, in the order of its declarations."""

    def __init__(self, dataset: Dataset, tasks: Sequence[Kind]) -> None:
        self._dataset = dataset
        self._tasks = tasks
        self._criteria = _by_action(dataset.criteria)
        self._errors = _by_action(dataset.errors)
        self._choices = _by_action(dataset.choices)

    def questions(self, performance: Performance) -> Iterator[Question]:
        """Yield the questions about one performance."""
        make = {"verify": self._verify, "detect": self._detect, "choose": self._choose, "score": self._score}
        for kind in self._tasks:
            if kind in make:
                yield from make[kind](performance)

    def count(self) -> Counter[Kind]:
        """Return how many questions of each kind there are, without making them."""
        counts: Counter[Kind] = Counter()
        for p in self._dataset.performances:
            counts["verify"] += sum(c.id in p.criteria for c in self._criteria[p.action])
            counts["detect"] += sum(e.id in p.errors for e in self._errors[p.action])
            counts["choose"] += sum(c.id in p.choices for c in self._choices[p.action])
            counts["score"] += sum(s.id in p.scores for s in self._dataset.scales)
        return Counter({kind: n for kind, n in counts.items() if kind in self._tasks})

    def _identity(self, performance: Performance, kind: str, subject: str) -> str:
        return f"{self._dataset.name}/{performance.id}/{kind}/{subject}"

    def _verify(self, performance: Performance) -> Iterator[Question]:
        for criterion in self._criteria[performance.action]:
            if criterion.id in performance.criteria:
                yield Question(
                    question_id=self._identity(performance, "verify", criterion.id),
                    kind="verify",
                    task="verify",
                    dataset=self._dataset.name,
                    performance=performance,
                    criterion=criterion.id,
                    positive=criterion.positive,
                    negative=criterion.negative,
                    severity=performance.severity.get(criterion.id),
                    gold_correct=performance.criteria[criterion.id],
                )

    def _detect(self, performance: Performance) -> Iterator[Question]:
        for error in self._errors[performance.action]:
            if error.id in performance.errors:
                yield Question(
                    question_id=self._identity(performance, "detect", error.id),
                    kind="detect",
                    task="detect",
                    dataset=self._dataset.name,
                    performance=performance,
                    error=error.id,
                    negative=error.statement,
                    severity=performance.severity.get(error.id),
                    gold_correct=performance.errors[error.id] == (),
                )

    def _choose(self, performance: Performance) -> Iterator[Question]:
        for choice in self._choices[performance.action]:
            if choice.id in performance.choices:
                yield Question(
                    question_id=self._identity(performance, "choose", choice.id),
                    kind="choose",
                    task="choose",
                    dataset=self._dataset.name,
                    performance=performance,
                    criterion=choice.id,
                    text=choice.question,
                    options=choice.options,
                    gold_choice=performance.choices[choice.id],
                )

    def _score(self, performance: Performance) -> Iterator[Question]:
        for scale in self._dataset.scales:
            if scale.id in performance.scores:
                yield Question(
                    question_id=self._identity(performance, "score", scale.id),
                    kind="score",
                    task=scale_task(self._dataset, "score", scale.id),
                    dataset=self._dataset.name,
                    performance=performance,
                    criterion=scale.id,
                    text=scale.id.replace("_", " "),
                    scale=scale,
                    gold_score=performance.scores[scale.id],
                )


def _by_action(declared: Iterable[Declared]) -> dict[str, list[Declared]]:
    result: dict[str, list[Declared]] = defaultdict(list)
    for one in declared:
        result[one.action].append(one)
    return result


def scale_task(dataset: Dataset, kind: str, scale: str) -> str:
    """Return the task of a question about a scale.

    Ranks over two different scales mean nothing, so each scale of several is a task, and a scope, of its own.
    """
    return kind if len(dataset.scales) == 1 else f"{kind}:{scale}"


def tasks_of(dataset: Dataset, wanted: Sequence[Kind] | None) -> tuple[Kind, ...]:
    """Return the kinds to ask: those wanted, or all with labels but pairs, which are asked only on request."""
    if wanted is not None:
        return tuple(wanted)
    people = dataset.performances
    has: dict[Kind, bool] = {
        "verify": any(p.criteria for p in people),
        "detect": any(p.errors for p in people),
        "choose": any(p.choices for p in people),
        "score": any(p.scores for p in people),
    }
    return tuple(kind for kind in KINDS if has.get(kind))
