"""Framing: the same fact in positive, in negative or in neutral words.

The paper's prompts are not published, so every wording here is re-created. A positive statement is true of a correct
execution, a negative one of an erroneous one; the two are exact complements. Neutral wording puts both statements side
by side and asks which one is true; of a pair it asks for the better one and says that the other one is worse.
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


def words_of(kind: Kind, framing: Framing, asked: tuple[AnswerWords, ...]) -> tuple[AnswerWords, ...]:
    """Return the answer words in which a kind of question is asked: neutral ones are answered with a letter only."""
    if kind not in {"verify", "detect"}:
        return asked[:1]
    return ("a_b",) if framing == "neutral" else asked


def statement(question: Question, framing: Framing) -> str:
    """Return the statement a model is asked to judge for a ``verify`` or ``detect`` question."""
    if framing == "negative":
        return question.negative
    if question.kind == "detect":
        return absent(question.negative)
    return question.positive


def absent(error: str) -> str:
    """Return the statement that an error does not happen."""
    return template.fill(template.load(template.WORDING).text("statement error absent"), {"statement": error})


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
