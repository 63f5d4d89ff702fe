"""Framing: the same fact in positive, in negative or in neutral words, and what a guideline says of an action.

Data sets that only have scores carry no text for the strategy ``guideline``; for those AQAudit knows by name, what
their judges look at is written in ``templates/judging.v1.md`` (re-created from the rules of the sports, in short
sentences).
"""

from __future__ import annotations

from aqaudit.core.records import LETTERS, TRUE_FALSE, AnswerWords, Dataset, Framing, Kind, Question
from aqaudit.prompts import template

_WORDED: frozenset[Kind] = frozenset({"verify", "detect", "prefer"})


def wordings(
    kind: Kind, framings: tuple[Framing, ...] | None, answer_words: tuple[AnswerWords, ...]
) -> list[tuple[Framing, AnswerWords]]:
    """Return the framings and answer words in which a kind of question is asked, given those that a grid names.

    Without a wish: negative for ``detect`` (it asks whether an error is there), else positive. ``choose`` and ``score``
    have one wording only and are asked once, recorded as positive. Answer words are for statements; neutral ones are
    answered with a letter only.
    """
    put: tuple[Framing, ...] = framings if framings is not None and kind in _WORDED else ("positive",)
    if framings is None and kind == "detect":
        put = ("negative",)
    if kind not in {"verify", "detect"}:
        return [(framing, answer_words[0]) for framing in put]
    lettered: tuple[AnswerWords, ...] = ("a_b",)
    return [(framing, words) for framing in put for words in (lettered if framing == "neutral" else answer_words)]


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
    for title, steps in template.load("judging").sections.items():
        name, _, word = title.partition(" ")
        if name == dataset and (not word or word in action.split()):
            return tuple(line.removeprefix("- ") for line in steps[0].text.splitlines() if line)
    return ()
