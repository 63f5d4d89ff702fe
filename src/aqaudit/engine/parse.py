"""Parsing: from the text a model gave to what it says about the execution. Pure, strict, and told apart by cause.

Stored texts can be read anew after the parser was improved; no model is asked for that.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from aqaudit.core.records import (
    LETTERS,
    TRUE_FALSE,
    AnswerWords,
    Framing,
    Kind,
    PairOrder,
    Parse,
    Preference,
    claims,
)
from aqaudit.engine.journal import Change, Journal

PARSED_COLUMNS = ("answered", "parse", "says_correct", "score", "choice", "prefer", "p_correct")

#: What reading a stored text anew needs of its row.
NEEDED = (
    "answer_key", "kind", "framing", "answer_words", "options", "option_order", "pair_order", "scale_min", "scale_max",
    "said", "finish_reason", "option_logprobs", *PARSED_COLUMNS,
)  # fmt: skip

_THINKING = re.compile(r"<think(?:ing)?>.*?(?:</think(?:ing)?>|\Z)", re.DOTALL | re.IGNORECASE)
_THOUGHT_END = re.compile(r"\A.*</think(?:ing)?>", re.DOTALL | re.IGNORECASE)
_TAGGED = re.compile(r"<answer>((?:(?!<answer>).)*?)</answer>", re.DOTALL | re.IGNORECASE)
_OPENED = re.compile(r"<answer>([^<]*)\Z", re.DOTALL | re.IGNORECASE)
# How the prompts say what an answer must look like; small models repeat that instead of answering.
_ECHOED = re.compile(
    r"<answer>[^<]{0,40}</answer>,?\s{0,9}(?:or\s{1,9})?<answer>[^<]{0,40}</answer>"
    r"|<answer>[^<]{0,40}</answer>\s{0,9}if the statement is (?:true|false|not)"
    r"|<answer>[^<]{0,40}</answer> if it is (?:false|not)"
    r"|for example:?\s{1,9}<answer>[^<]{0,40}</answer>",
    re.IGNORECASE,
)
_LED = re.compile(r"\A(?:final )?answer\s*(?:is)?\s*[:=]?\s*", re.IGNORECASE)
_WRAPPING = " \t\r\n\"'`*_.()[]{}:;!$\\"
_NUMBER = re.compile(r"[+-]?(?:\d+(?:[.,]\d+)?|[.,]\d+)(?:[eE][+-]?\d+)?")
_THOUSANDS = re.compile(r"[+-]?\d{1,3},\d{3}")  # 1,000 may be one or a thousand
_OF = re.compile(r"\s*(?:/|out of|of)\s*(\d+(?:[.,]\d+)?)\s*(?:points?)?\Z", re.IGNORECASE)
#: Longer than any number; searching on through pages of white space would take minutes.
_LONGEST_NUMBER = 60
_REFUSAL = re.compile(
    r"\b(?:i(?:'m| am)? (?:sorry|unable to|not able to|can(?:'|no)t|cannot|will not|won't)"
    r"|(?:cannot|can't|unable to) (?:determine|judge|assess|answer|help|assist|provide|see)"
    r"|as an ai\b)",
    re.IGNORECASE,
)
_FINISH_REFUSED = frozenset({"content_filter", "refusal", "safety"})
_FINISH_CUT = frozenset({"length", "max_tokens"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Expected:
    """What an answer is read against: everything needed is in the answers table, so no model is asked again."""

    kind: Kind
    framing: Framing = "positive"
    answer_words: AnswerWords = "true_false"
    options: Sequence[str] = ()
    option_order: Sequence[int] = ()
    pair_order: PairOrder = "ab"
    scale_min: float | None = None
    scale_max: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Parsed:
    """What the text says. ``answered`` is the literal token or number; ``how`` is tag or fallback, for the log."""

    parse: Parse
    answered: str | None = None
    says_correct: bool | None = None
    score: float | None = None
    choice: str | None = None
    prefer: Preference | None = None
    p_correct: float | None = None
    how: str | None = None


def strip_thinking(text: str) -> str:
    """Return the text without ``<think>`` blocks, closed, left open, or opened before the text began."""
    return _THOUGHT_END.sub("", _THINKING.sub("", text)) if "<think" in text.lower() else _THOUGHT_END.sub("", text)


def parse(
    said: str,
    expected: Expected,
    *,
    finish_reason: str | None = None,
    option_logprobs: Mapping[str, float] | None = None,
) -> Parsed:
    """Read one final text.

    Parameters
    ----------
    said
        The raw final text, thinking included where the server left it in.
    finish_reason
        Why the model stopped; ``length`` makes an unanswered text *truncated*, ``content_filter`` *refused*.
    option_logprobs
        Log-probability of each literal answer; gives ``p_correct`` for ``verify`` and ``detect``.
    """
    p_correct = _p_correct(option_logprobs, expected)
    text = strip_thinking(said)
    candidate, how = _candidate(text, expected, finish_reason)
    if candidate is None:
        return Parsed(parse=_why_not(text, finish_reason), p_correct=p_correct)
    result = _score(candidate, expected) if expected.kind == "score" else _word(candidate, expected)
    if result is None:
        return Parsed(parse=_why_not(text, finish_reason), answered=candidate[:200], p_correct=p_correct)
    return replace(result, p_correct=p_correct, how=how)


def _why_not(text: str, finish_reason: str | None) -> Parse:
    if finish_reason in _FINISH_REFUSED:
        return "refused"
    if finish_reason in _FINISH_CUT:
        return "truncated"
    return "refused" if _REFUSAL.search(text) else "unparsed"


def _candidate(text: str, expected: Expected, finish_reason: str | None) -> tuple[str | None, str | None]:
    text = _ECHOED.sub("", text)
    opened, cut = _OPENED.search(text), finish_reason in _FINISH_CUT
    if opened and opened[1].strip() and not cut:
        return _bare(opened[1], expected), "tag"  # servers that stop at "</answer>" leave it out
    tagged = _TAGGED.findall(text)
    if tagged and not opened:
        return _bare(tagged[-1], expected), "tag"
    if cut or opened:
        return None, None  # the last words of a cut text are not its conclusion
    lines = [line for line in text.strip().splitlines() if line.strip()]
    for part in (text, lines[-1] if lines else ""):
        bare = _bare(_LED.sub("", _bare(part, expected)), expected)
        if _is_answer(bare, expected):
            return bare, "fallback"
    return None, None


def _bare(text: str, expected: Expected) -> str:
    """Return a text without what wraps it; the point that a number begins with is not wrapping."""
    if expected.kind != "score":
        return text.strip(_WRAPPING)
    return text.lstrip(_WRAPPING.replace(".", "")).rstrip(_WRAPPING)


def _is_answer(bare: str, expected: Expected) -> bool:
    if expected.kind == "score":
        return _number(bare, expected.scale_max) is not None
    return bare.lower() in {word.lower() for word in _words(expected)}


def _words(expected: Expected) -> tuple[str, ...]:
    if expected.kind in {"verify", "detect"}:
        return TRUE_FALSE[expected.answer_words]
    return tuple(LETTERS[: len(expected.options)]) if expected.kind == "choose" else ("A", "B")


def _number(text: str, scale_max: float | None) -> float | None:
    bare = text.replace("\u2212", "-")
    if len(bare) > _LONGEST_NUMBER:
        return None
    if out_of := _OF.search(bare):
        # "7/10" on a scale to 30 is an answer to another question.
        if scale_max is None or float(out_of[1].replace(",", ".")) != scale_max:
            return None
        bare = bare[: out_of.start()].rstrip(_WRAPPING)
    if not _NUMBER.fullmatch(bare) or _THOUSANDS.fullmatch(bare):
        return None
    value = float(bare.replace(",", "."))
    return value if math.isfinite(value) else None


def _score(candidate: str, expected: Expected) -> Parsed | None:
    value = _number(candidate, expected.scale_max)
    if value is None:
        return None
    low, high = expected.scale_min, expected.scale_max
    if (low is not None and value < low) or (high is not None and value > high):
        return Parsed(parse="out_of_range", answered=candidate)
    return Parsed(parse="ok", answered=candidate, score=value)


def _word(candidate: str, expected: Expected) -> Parsed | None:
    words = _words(expected)
    given = _given(candidate, words, expected)
    if given is None:
        return None
    place = words.index(given)
    match expected.kind:
        case "choose":
            order = expected.option_order or range(len(expected.options))
            return Parsed(parse="ok", answered=given, choice=expected.options[order[place]])
        case "prefer":
            better = place if expected.framing != "negative" else 1 - place
            first_is_this = expected.pair_order == "ab"
            return Parsed(parse="ok", answered=given, prefer="this" if (better == 0) == first_is_this else "other")
        case _:
            return Parsed(parse="ok", answered=given, says_correct=_claims(expected)[given])


def _claims(expected: Expected) -> dict[str, bool]:
    return claims(expected.framing, expected.answer_words, expected.option_order)


def _given(candidate: str, words: tuple[str, ...], expected: Expected) -> str | None:
    """Return the allowed word that ``candidate`` is: itself, or a letter with its own option's text behind it."""
    lowered = candidate.lower()
    for word in words:
        if lowered == word.lower():
            return word
    if expected.kind != "choose":
        return None
    # Only when exactly one option reads like this is its text, or its letter and text, as good as the letter.
    order = expected.option_order or range(len(expected.options))
    same = [
        word
        for place, word in enumerate(words)
        if _reads_as(lowered, word.lower(), expected.options[order[place]].lower().strip(_WRAPPING))
    ]
    return same[0] if len(same) == 1 else None


def _reads_as(lowered: str, letter: str, option: str) -> bool:
    return lowered == option or bool(re.fullmatch(rf"{letter}(?:\s*[).:\-]\s*|\s+){re.escape(option)}", lowered))


def _p_correct(option_logprobs: Mapping[str, float] | None, expected: Expected) -> float | None:
    if not option_logprobs or expected.kind not in {"verify", "detect"}:
        return None
    said = _claims(expected)
    if not said.keys() <= option_logprobs.keys():
        return None
    # Renormalised over the two answers: a logistic of their difference.
    difference = sum(option_logprobs[word] * (1 if correct else -1) for word, correct in said.items())
    if math.isnan(difference):
        return None
    return 1 / (1 + math.exp(-max(-700.0, min(700.0, difference))))


def logprobs_from_json(text: str | None) -> dict[str, float] | None:
    """Return the stored log-probabilities of a row, or None."""
    return {str(k): float(v) for k, v in json.loads(text).items()} if text else None


#: The columns that parsing fills.


def reparse(journal: Journal) -> tuple[int, int]:
    """Parse every stored text again and store what changed; return how many rows were read and how many changed."""
    changes: list[Change] = []
    read = 0
    for row in journal.rows(NEEDED):
        read += 1
        parsed = parsed_row(row)
        fresh = {name: getattr(parsed, name) for name in PARSED_COLUMNS}
        changed = {name: value for name, value in fresh.items() if row[name] != value}
        if changed:
            changes.append(Change(answer_key=str(row["answer_key"]), columns=changed))
    journal.update(changes)
    return read, len(changes)


def parsed_row(row: Mapping[str, Any]) -> Parsed:
    """Parse the text of one stored row (the columns of :data:`NEEDED`)."""
    expected = Expected(
        kind=row["kind"],
        framing=row["framing"],
        answer_words=row["answer_words"] or "true_false",
        options=row["options"] or (),
        option_order=row["option_order"] or (),
        pair_order=row["pair_order"] or "ab",
        scale_min=row["scale_min"],
        scale_max=row["scale_max"],
    )
    logprobs = logprobs_from_json(row["option_logprobs"])
    return parse(row["said"] or "", expected, finish_reason=row["finish_reason"], option_logprobs=logprobs)
