"""The verdict that a concluding step states, in the terms of the answer it leads to."""

from __future__ import annotations

import re
from dataclasses import dataclass

_FALSE_FIRST = r"(?:not|n't|cannot|can't|never|fails? to|hardly|no longer)"
_WORD = re.compile(r"\b(true|false)\b")
_YES_NO = re.compile(
    r"(?:\banswer(?:ing)?\b(?: \w+){0,3}:?|^(?:so|thus|hence|therefore|final answer|answer)[,:]?) ['\"]?(yes|no)\b"
)
_MET = re.compile(
    r"\b(?:criterion|guideline|requirement|rule|condition|standard|key ?point)s?\b.{0,25}?\b"
    r"(met|satisfied|fulfilled|followed|respected|violated|broken|upheld|unmet)\b"
    r"|\b(meets?|satisf(?:y|ies)|fulfils?|fulfills?|follows?|respects?|violates?|breaks?) (?:the|this|that) "
    r"(?:criterion|guideline|requirement|rule|condition|standard)"
)
_BAD = frozenset({"violated", "broken", "unmet", "violates", "violate", "breaks", "break"})
_ERROR = re.compile(r"\b(?:error|fault|mistake)\b.{0,40}?\b(present|absent|visible|occurs?|committed|made|there)\b")
_FORM = re.compile(
    r"\b(?:form|execution|performance|technique|repetition|rep|movement|exercise|attempt)\b.{0,20}?\b(correct|incorrect|valid|invalid|faulty)\b"
    r"|\bperform\w*\b.{0,30}?\b(correctly|incorrectly)\b"
)
_NEGATED = re.compile(rf"\b{_FALSE_FIRST}\b|n't\b|\bno (?:such )?(?:error|fault|mistake)")
_SCORE = re.compile(
    r"\b(?:score|rating|grade|mark|goe|value|at|give|rate|estimate)\b[^.\d+-]{0,30}([+-]?\d+(?:\.\d+)?)(?![\d%]|\s?(?:s\b|sec|deg|\u00b0))"
)
_OPTION = re.compile(
    r"\b(?:option|answer|choice|performance|video|clip)\b(?: is| would be| should be|:)? ['\"(]?([a-h])\b(?!\w)"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Stance:
    """What a step concludes: the statement's truth, whether the execution is right, a score, or a letter."""

    statement: bool | None = None
    correct: bool | None = None
    score: float | None = None
    letter: str | None = None


def stance(step: str) -> Stance | None:
    """Return the verdict that a step states, or None where it states none that is plain."""
    text = step.lower().replace("\u2019", "'")
    return next((found for read in (_truth, _execution, _value) if (found := read(text)) is not None), None)


def _truth(text: str) -> Stance | None:
    if found := _WORD.findall(text):
        # "not true" is false; of several words the last one is the verdict.
        true = found[-1] == "true"
        flipped = re.search(rf"\b{_FALSE_FIRST} (?:\w+ )?{found[-1]}\b|n't (?:\w+ )?{found[-1]}\b", text) is not None
        return Stance(statement=true != flipped)
    word = _YES_NO.search(text)
    return Stance(statement=word[1] == "yes") if word else None


def _execution(text: str) -> Stance | None:
    negated = _NEGATED.search(text) is not None
    if met := _MET.search(text):
        return Stance(correct=((met[1] or met[2]) not in _BAD) != negated)
    if error := _ERROR.search(text):
        return Stance(correct=(error[1] == "absent") != negated)
    if form := _FORM.search(text):
        return Stance(correct=((form[1] or form[2]) in {"correct", "valid", "correctly"}) != negated)
    return None


def _value(text: str) -> Stance | None:
    if score := _SCORE.search(text):
        return Stance(score=float(score[1]))
    letter = _OPTION.search(text)
    return Stance(letter=letter[1]) if letter else None
