"""What can be asked of a data set: one question for every label that a performance carries."""

from __future__ import annotations

import hashlib
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from operator import itemgetter
from typing import Any

from aqaudit.core.records import (
    KINDS,
    ChoiceQuestion,
    Criterion,
    Dataset,
    ErrorStatement,
    Kind,
    Performance,
    Question,
    Scale,
)

Subject = Criterion | ErrorStatement | ChoiceQuestion | Scale

#: Kind of question -> where a performance carries the labels for it.
_LABELS: dict[Kind, str] = {"verify": "criteria", "detect": "errors", "choose": "choices", "score": "scores"}


def shuffled(performances: Iterable[Performance], seed: int) -> list[Performance]:
    """Return the performances in an order that depends on their ids and the seed only.

    Every prefix of a study is then a random sample of it, on any machine and whatever the order of the files.
    """
    drawn = [(hashlib.sha256(f"{seed}\0{p.id}".encode()).digest(), p) for p in performances]
    return [p for _, p in sorted(drawn, key=itemgetter(0))]


class QuestionMaker:
    """Makes the questions about single performances of a data set, in the order of its declarations."""

    def __init__(self, dataset: Dataset, tasks: Sequence[Kind]) -> None:
        self._dataset = dataset
        self._tasks = tuple(kind for kind in tasks if kind in _LABELS)
        # (kind, action) -> what can be asked; scales belong to every action
        self._subjects: dict[tuple[str, str], list[Subject]] = defaultdict(list)
        for criterion in dataset.criteria:
            self._subjects["verify", criterion.action].append(criterion)
        for error in dataset.errors:
            self._subjects["detect", error.action].append(error)
        for choice in dataset.choices:
            self._subjects["choose", choice.action].append(choice)
        for action in {p.action for p in dataset.performances}:
            self._subjects["score", action] = list(dataset.scales)

    def questions(self, performance: Performance) -> Iterator[Question]:
        """Yield the questions about one performance."""
        for kind in self._tasks:
            labels = getattr(performance, _LABELS[kind])
            for subject in self._subjects[kind, performance.action]:
                if subject.id in labels:
                    yield self._question(performance, subject, labels[subject.id])

    def count(self) -> Counter[Kind]:
        """Return how many questions of each kind there are, without making them."""
        counts: Counter[Kind] = Counter()
        for performance in self._dataset.performances:
            for kind in self._tasks:
                labels = getattr(performance, _LABELS[kind])
                counts[kind] += sum(one.id in labels for one in self._subjects[kind, performance.action])
        return counts

    def _question(self, performance: Performance, subject: Subject, label: Any) -> Question:
        dataset = self._dataset.name
        match subject:
            case Criterion():
                return Question(
                    question_id=f"{dataset}/{performance.id}/verify/{subject.id}",
                    kind="verify",
                    task="verify",
                    dataset=dataset,
                    performance=performance,
                    criterion=subject.id,
                    positive=subject.positive,
                    negative=subject.negative,
                    severity=performance.severity.get(subject.id),
                    gold_correct=label,
                )
            case ErrorStatement():
                return Question(
                    question_id=f"{dataset}/{performance.id}/detect/{subject.id}",
                    kind="detect",
                    task="detect",
                    dataset=dataset,
                    performance=performance,
                    error=subject.id,
                    negative=subject.statement,
                    severity=performance.severity.get(subject.id),
                    gold_correct=label == (),
                )
            case ChoiceQuestion():
                return Question(
                    question_id=f"{dataset}/{performance.id}/choose/{subject.id}",
                    kind="choose",
                    task="choose",
                    dataset=dataset,
                    performance=performance,
                    criterion=subject.id,
                    text=subject.question,
                    options=subject.options,
                    gold_choice=label,
                )
            case Scale():
                return Question(
                    question_id=f"{dataset}/{performance.id}/score/{subject.id}",
                    kind="score",
                    task=scale_task(self._dataset, "score", subject.id),
                    dataset=dataset,
                    performance=performance,
                    criterion=subject.id,
                    text=subject.id.replace("_", " "),
                    scale=subject,
                    gold_score=label,
                )


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
