"""Guidelines: what the strategy ``guideline`` says of an action, in the data set's own criteria, errors and questions.

Data sets that only have scores carry no text of that kind; for those AQAudit knows by name, what their judges look at
is written in ``templates/judging.v1.md`` (re-created from the rules of the sports, in short sentences).
"""

from __future__ import annotations

from aqaudit.core.records import LETTERS, TRUE_FALSE, AnswerWords, Dataset, Framing, Kind, Question
from aqaudit.prompts import template

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
