"""Guidelines: what the strategy ``guideline`` says of an action, in the data set's own criteria, errors and questions.

Data sets that only have scores carry no text of that kind; for those AQAudit knows by name, what their judges look at
is written in ``templates/judging.v1.md`` (re-created from the rules of the sports, in short sentences).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from aqaudit.prompts import template
from aqaudit.prompts.framing import absent

if TYPE_CHECKING:
    from aqaudit.records import Dataset, Framing, Kind

JUDGING = "judging"


def guideline(dataset: Dataset, action: str, kind: Kind, framing: Framing) -> tuple[str, ...]:
    """Return the sentences of the guideline for an action, in the order the data set declares them.

    For ``verify``, ``detect`` and ``prefer``: what is correct (positive framing), what is wrong (negative), or both
    (neutral). For ``score``: what is correct, else what the judges of the sport look at. For ``choose``: the questions
    and options of the action. Empty where the data set has no text for it.
    """
    if kind == "choose":
        asked = (c for c in dataset.choices if c.action == action)
        return tuple(f"{c.question} ({' / '.join(c.options)})" for c in asked)
    criteria = [c for c in dataset.criteria if c.action == action]
    errors = [e for e in dataset.errors if e.action == action]
    correct = [*(c.positive for c in criteria), *(absent(e.statement) for e in errors)]
    wrong = [*(c.negative for c in criteria), *(e.statement for e in errors)]
    if not correct:
        return _judging(dataset.name, action) if kind in {"score", "prefer"} else ()
    if kind == "score" or framing == "positive":
        return tuple(correct)
    return (
        tuple(wrong) if framing == "negative" else tuple(f"{r} Not: {w}" for r, w in zip(correct, wrong, strict=True))
    )


def _judging(dataset: str, action: str) -> tuple[str, ...]:
    """Return the section of a data set whose word, where it has one, is a word of the action."""
    for title, steps in template.load(JUDGING).sections.items():
        name, _, word = title.partition(" ")
        if name == dataset and (not word or word in action.split()):
            return tuple(line.removeprefix("- ") for line in steps[0].text.splitlines() if line)
    return ()
