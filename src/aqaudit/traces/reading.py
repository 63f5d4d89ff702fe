"""A whole trace read against its answer: what carries the conclusion, what the movement says, what it concludes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from aqaudit.traces import claims as claimed
from aqaudit.traces import rules, steps
from aqaudit.traces.stance import stance
from aqaudit.traces.tags import CONCLUSION, OBSERVATION, OTHER, RED_FLAGS, RULE

if TYPE_CHECKING:
    from collections.abc import Sequence

    from aqaudit.traces.claims import Claim
    from aqaudit.traces.kinematics import Check, Movement
    from aqaudit.traces.stance import Stance


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
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


def tagged(trace: str) -> list[Step]:
    """Return the steps of a trace, tagged by the rule scorer."""
    return [Step(text=text, tag=rules.tag(text), claims=claimed.claims(text)) for text in steps.split(trace)]


def topics_of(identifiers: Sequence[str | None], trace: Sequence[Step]) -> frozenset[str]:
    """Return the body parts that a question is about: named in its identifiers, else where the trace restates it."""
    named = frozenset().union(*(claimed.parts_named(one) for one in identifiers if one))
    if named:
        return named
    return frozenset().union(*(claimed.parts_named(step.text) for step in trace if step.tag == RULE))


def read(trace: Sequence[Step], topics: frozenset[str], movement: Movement | None) -> Reading:
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


def carrier(trace: Sequence[Step]) -> str | None:
    """Return the red flag under which the conclusion rests, None where it rests on an observation or on nothing.

    What carries a conclusion is the last step before it that offers a reason; where none does, or nothing is concluded,
    the last such step of all.
    """
    last = max((place for place, step in enumerate(trace) if step.tag == CONCLUSION), default=len(trace))
    reasons = [(place, step.tag) for place, step in enumerate(trace) if step.tag not in {CONCLUSION, RULE, OTHER}]
    before = [tag for place, tag in reasons if place < last] or [tag for _, tag in reasons]
    return before[-1] if before and before[-1] in RED_FLAGS else None
