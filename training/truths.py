"""From what a clip was commanded and measured to be, to the questions that may be asked of it and their answers."""

from __future__ import annotations

import math
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from aqaudit.core.records import ChoiceQuestion, Criterion, Dataset, ErrorStatement, Performance, Scale, Severity
from aqaudit.probe.build import CHOICE, NO_ERROR, QUESTION, SCALE
from aqaudit.probe.errors import EXERCISES
from aqaudit.probe.recipes import BUNDLED
from aqaudit.probe.scene import score
from aqaudit.study.questions import QuestionMaker

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from aqaudit.core.records import Question


def errors() -> list[tuple[str, str]]:
    """Return every (exercise, error) of the catalogue."""
    return [(one.name, error.id) for one in EXERCISES.values() for error in one.errors]


def severities(facts: Mapping[str, Any], columns: Sequence[tuple[str, str]]) -> list[float]:
    """Return how severe each error is in tolerances; NaN for errors of other exercises.

    The commanded severity counts for the error that was varied, the measured one for the others.
    """
    row = []
    for name, error in columns:
        if name != facts["exercise"]:
            row.append(math.nan)
            continue
        value = facts["severity"] if error == facts["error"] else facts["measured"][error]
        row.append(value / EXERCISES[name].error(error).tolerance)
    return row


@cache
def declared() -> Dataset:
    """Return what may be asked, in the catalogue's words; an action's criteria and errors have the ids of errors."""
    pairs = [(one, error) for one in EXERCISES.values() for error in one.errors]
    return Dataset(
        name="training",
        root=Path(),
        criteria=tuple(
            Criterion(id=error.criterion, action=one.action, positive=error.positive, negative=error.negative)
            for one, error in pairs
        ),
        errors=tuple(ErrorStatement(id=error.id, action=one.action, statement=error.statement) for one, error in pairs),
        choices=tuple(
            ChoiceQuestion(id=CHOICE, action=one.action, question=QUESTION, options=options(one.name))
            for one in EXERCISES.values()
        ),
        scales=(Scale(id=SCALE, min=0, max=10, step=0.1),),
    )


def options(exercise: str) -> tuple[str, ...]:
    """Return the options of the choose question about an exercise, as the bundled clips have them."""
    one = EXERCISES[exercise]
    return (*(error.statement for error in one.errors if error.id in BUNDLED[exercise]), NO_ERROR)


def performance(facts: Mapping[str, Any], number: int) -> Performance:
    """Return a clip as a record with its labels.

    Of the errors that were not varied only those are asked that the joints clearly do not show.
    """
    one = EXERCISES[facts["exercise"]]
    criteria: dict[str, bool] = {}
    found: dict[str, tuple[tuple[float, float], ...] | None] = {}
    severity: dict[str, Severity] = {}
    for error in one.errors:
        varied = error.id == facts["error"]
        value = facts["severity"] if varied else facts["measured"][error.id]
        if not varied and value > 0.8 * error.tolerance:
            continue
        correct = value <= error.tolerance
        criteria[error.criterion] = correct
        found[error.id] = () if correct else None
        if varied:
            amount = Severity(value=value, unit=error.unit, tolerance=error.tolerance)
            severity[error.criterion] = severity[error.id] = amount
    fault = one.error(facts["error"])
    shown = NO_ERROR if facts["severity"] <= fault.tolerance else fault.statement
    return Performance(
        id=str(number),
        media=Path(),
        action=one.action,
        performer=facts["performer"],
        video=str(number),
        criteria=criteria,
        errors=found,
        severity=severity,
        choices={CHOICE: shown} if shown in options(one.name) else {},
        scores={SCALE: score(fault, facts["severity"])},
    )


def questions(facts: Sequence[Mapping[str, Any]]) -> list[list[Question]]:
    """Return the questions about each clip."""
    asker = QuestionMaker(declared(), ("verify", "detect", "choose", "score"))
    return [list(asker.questions(performance(one, at))) for at, one in enumerate(facts)]
