"""A whole trace read against its answer: what carries the conclusion, what the movement says, what it concludes."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from aqaudit.traces import claims as claimed
from aqaudit.traces import rules
from aqaudit.traces.claims import Claim
from aqaudit.traces.kinematics import Check, Movement
from aqaudit.traces.rules import CONCLUSION, OBSERVATION, OTHER, RED_FLAGS, RULE

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


@dataclass(frozen=True, slots=True, kw_only=True)
class TraceStep:
    """One step of a trace with its tag and what it claims about the body."""

    text: str
    tag: str
    claims: tuple[Claim, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """What a trace amounts to.

    ``flag`` is the red flag that carries the conclusion, None where it is an observation or nothing. ``supported`` and
    ``contradicted`` say whether an observation that bears on the question is borne out, or denied, by the measured
    movement; ``checkable`` whether any could be checked. ``stance`` is the last verdict stated.
    """

    flag: str | None
    supported: bool
    contradicted: bool
    checkable: bool
    stance: Stance | None

    @property
    def grounded(self) -> bool:
        """Whether at least one supported observation bears on the question and nothing undermines the conclusion."""
        return self.supported and not self.contradicted and self.flag is None


def tagged(trace: str) -> list[TraceStep]:
    """Return the steps of a trace, tagged by the rule scorer."""
    return [TraceStep(text=text, tag=rules.tag(text), claims=claimed.claims(text)) for text in rules.split(trace)]


def topics_of(identifiers: Sequence[str | None], trace: Sequence[TraceStep]) -> frozenset[str]:
    """Return the body parts that a question is about: named in its identifiers, else where the trace restates it."""
    named = frozenset().union(*(claimed.parts_named(one) for one in identifiers if one))
    if named:
        return named
    return frozenset().union(*(claimed.parts_named(step.text) for step in trace if step.tag == RULE))


def read(trace: Sequence[TraceStep], topics: frozenset[str], movement: Movement | None) -> Reading:
    """Return the reading of a trace about a question on ``topics`` (empty: unknown, then every observation bears)."""
    checks: list[Check] = []
    for step in trace:
        if step.tag == OBSERVATION and movement is not None:
            checks += [movement.check(claim) for claim in step.claims if not topics or topics & set(claim.topics)]
    verdicts = [found for step in trace if step.tag == CONCLUSION and (found := stance(step.text)) is not None]
    return Reading(
        flag=carrier(trace),
        supported="supported" in checks,
        contradicted="contradicted" in checks,
        checkable="supported" in checks or "contradicted" in checks,
        stance=verdicts[-1] if verdicts else None,
    )


def carrier(trace: Sequence[TraceStep]) -> str | None:
    """Return the red flag under which the conclusion rests, None where it rests on an observation or on nothing.

    What carries a conclusion is the last step before it that offers a reason; where none does, or nothing is concluded,
    the last such step of all.
    """
    last = max((place for place, step in enumerate(trace) if step.tag == CONCLUSION), default=len(trace))
    reasons = [(place, step.tag) for place, step in enumerate(trace) if step.tag not in {CONCLUSION, RULE, OTHER}]
    before = [tag for place, tag in reasons if place < last] or [tag for _, tag in reasons]
    return before[-1] if before and before[-1] in RED_FLAGS else None
