"""Framing: the same fact in positive or in negative words.

The paper's prompts are not published, so every wording here is re-created. A positive statement is true of a correct
execution, a negative one of an erroneous one; the two are exact complements.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from aqaudit.prompts import template
from aqaudit.records import LETTERS, TRUE_FALSE

if TYPE_CHECKING:
    from aqaudit.records import AnswerWords, Framing, Kind, Question

_DEFAULT: dict[Kind, Framing] = {"detect": "negative"}
_WORDED: frozenset[Kind] = frozenset({"verify", "detect", "prefer"})


def framings(kind: Kind, asked: tuple[Framing, ...] | None) -> tuple[Framing, ...]:
    """Return the framings in which a kind of question is asked.

    Without a wish: negative for ``detect`` (it asks whether an error is there), else positive. ``choose`` and ``score``
    have one wording only and are asked once, recorded as positive.
    """
    if asked is None:
        return (_DEFAULT.get(kind, "positive"),)
    return asked if kind in _WORDED else ("positive",)


def statement(question: Question, framing: Framing) -> str:
    """Return the statement a model is asked to judge for a ``verify`` or ``detect`` question."""
    if framing == "negative":
        return question.negative
    if question.kind == "detect":
        (_, text), *_ = template.load(template.WORDING).section("statement error absent")
        return template.fill(text, {"statement": question.negative})
    return question.positive


def option_words(question: Question, words: AnswerWords) -> tuple[str, ...]:
    """Return the literal answers a question allows: two words, the letters of its options, or A and B of a pair."""
    match question.kind:
        case "verify" | "detect":
            return TRUE_FALSE[words]
        case "choose":
            return tuple(LETTERS[: len(question.options)])
        case "prefer":
            return ("A", "B")
        case _:
            return ()
