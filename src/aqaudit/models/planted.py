"""Flaws that can be planted into a simulated judge, and the judges that the audits are tested with.

A study plants them as ``[models.NAME]`` with ``provider = "simulated"`` and ``planted = { lean = 0.3 }``. What each
size means is stated so that the audit's figure for the judge is known: a judge with ``shift`` 0.2 has a framing shift
of 0.2. Sizes add no skill: where a flaw answers, the truth is not asked.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

if TYPE_CHECKING:
    from collections.abc import Mapping

    from aqaudit.records import Perturbation, Question, Request

Share = Annotated[float, Field(ge=0, le=1)]
Signed = Annotated[float, Field(ge=-1, le=1)]
Trace = Literal["observed", "assumed", "prestige", "canonical", "popular", "contradicted"]

_NO_PICTURE: frozenset[Perturbation] = frozenset({"blank", "text_only", "region_blur"})
_NO_MOTION: frozenset[Perturbation] = frozenset({"frozen", "shuffled", "reversed"})


class Planted(BaseModel):
    """What is planted into a simulated judge; nothing by default.

    Attributes
    ----------
    stable
        One draw for a question, whatever its wording, order, repeat and perturbation; else one for each request.
    lean
        Share of ``verify`` and ``detect`` answers that say "correct" unseen (below 0: "error"). H + F - 1 of the judge,
        where the rest is even-handed.
    shift
        Share of ``verify`` and ``detect`` answers that affirm the statement shown (below 0: deny it), whatever it says.
    position
        P(first) - 1/2: with probability 2 |position| a preference, or a choice, takes what is shown first (below 0:
        last). 0.5 always takes the first.
    gap
        Smallest difference of two scores, as a share of the scale, at which it sees which of a pair is better.
    leak
        Share of questions it answers rightly without a picture, and by the question's own clip where another is shown.
    motion
        Share of its skill that is lost where there is no movement to see (``frozen``, ``shuffled``, ``reversed``).
    guess_mean, guess_sd
        Where on the scale a guessed score lies, and its standard deviation, both as a share of the scale.
    confidence
        Gives log-probabilities of the two answers: the true log-odds times this. 1 is calibrated (where correct and
        faulty are equally frequent and nothing else is planted), above 1 over-confident; None gives none.
    unparsed
        Share of answers that hold no verdict.
    weak_tag, weak_skill
        Its skill is ``weak_skill`` for performances with this tag, given as ``"camera=side"``.
    trace
        A reasoning text of this kind comes with every answer. It is the same for all: what it claims of a squat holds
        for any squat (``observed``) or for none (``contradicted``).
    """

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    stable: bool = False
    lean: Signed = 0.0
    shift: Signed = 0.0
    position: Annotated[float, Field(ge=-0.5, le=0.5)] = 0.0
    gap: Share = 0.0
    leak: Share = 0.0
    motion: Share = 1.0
    guess_mean: Share = 0.5
    guess_sd: Annotated[float, Field(gt=0, le=1)] = 1 / 6
    confidence: Annotated[float, Field(gt=0, le=20)] | None = None
    unparsed: Share = 0.0
    weak_tag: Annotated[str, Field(pattern=r"^[^=]+=.+$")] | None = None
    weak_skill: Share = 0.0
    trace: Trace | None = None

    def settings(self) -> dict[str, object]:
        """Return what differs from the default: the part of an answer's identity."""
        return self.model_dump(exclude_defaults=True)


def sight(skill: float, planted: Planted, request: Request) -> float:
    """Return the probability that a judge perceives the truth of a request."""
    question, perturbation = request.question, request.cell.perturbation
    if perturbation in _NO_PICTURE:
        return planted.leak
    if planted.weak_tag is not None:
        tag, _, value = planted.weak_tag.partition("=")
        if question.performance.tags.get(tag) == value:
            skill = planted.weak_skill
    if question.kind == "prefer" and _gap(request) < planted.gap:
        skill = 0.0
    if perturbation in _NO_MOTION:
        skill *= 1 - planted.motion
    return max(skill, planted.leak)


def as_shown(question: Question) -> Question:
    """Return a question with the truth of the clip that is shown in place of its own; none where that is unknown."""
    shown, subject = question.instead, question.criterion or ""
    if len(shown) > 1:
        first, second = (one.scores.get(subject) for one in shown[:2])
        known = first is not None and second is not None and first != second
        if not known:
            return question._replace(gold_prefer=None)
        return question._replace(gold_prefer="this" if first > second else "other")  # type: ignore[operator]
    one = shown[0]
    correct = one.criteria.get(subject)
    if question.kind == "detect":
        error = question.error or ""
        correct = one.errors[error] == () if error in one.errors else None
    return question._replace(
        gold_correct=correct, gold_score=one.scores.get(subject), gold_choice=one.choices.get(subject)
    )


def _gap(request: Request) -> float:
    """Return the difference of a pair's scores as a share of their scale; without scores, the largest there is."""
    question = request.question
    if question.scale is None or question.gold_score is None or question.other_gold_score is None:
        return 1.0
    return abs(question.gold_score - question.other_gold_score) / (question.scale.max - question.scale.min)


TRACES: Mapping[Trace, str] = {
    "observed": "At the lowest point the hips are lower than at the start. The knees bend on the way down.",
    "assumed": "The knees are probably bent as they should be. A trained person would normally keep the back straight.",
    "prestige": "The knees bend on the way down. An elite athlete in a professional competition surely does it right.",
    "canonical": "A standard squat goes down until the thighs are parallel to the floor, as every textbook shows.",
    "popular": "The person wears sportswear and moves smoothly, which good executions usually do.",
    "contradicted": "The thighs stay vertical at every moment. The knees stay straight from first to last.",
}
"""The reasoning texts that can be planted, the conclusion left out."""
