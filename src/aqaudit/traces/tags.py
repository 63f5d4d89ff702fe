"""The tags of a reasoning step: the one place where their words are fixed.

The third to sixth are the four kinds of prior-driven justification that arXiv 2604.08294 shows: something other than
the pixels carries the judgement.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

OBSERVATION, RULE, ASSUMPTION, PRESTIGE = "observation", "rule", "assumption", "prestige"
CANONICAL, CORRELATE, CONCLUSION, OTHER = "canonical", "correlate", "conclusion", "other"

#: Tag -> what a step with this tag does; the judge model is told the same sentences.
TAGS: Mapping[str, str] = {
    OBSERVATION: "says what is seen of this performance: a body part, a position, a movement, a moment",
    RULE: "restates the statement, guideline, scale or definition of correct form, without saying whether it is met",
    ASSUMPTION: "supposes something about this performance that was not seen: hidden, guessed, taken for granted",
    PRESTIGE: "infers quality from who performs or where: champion, professional, coach, competition, beginner",
    CANONICAL: "takes how the exercise is usually done, or what its name says, for what was done here",
    CORRELATE: "infers quality from something that merely goes along with it: height, speed, weight, smile, applause",
    CONCLUSION: "states the verdict: true or false, met or not, a score, the better one",
    OTHER: "none of these: plans, talk about the task, filler",
}

#: The tags under which a judgement rests on a prior instead of the picture.
RED_FLAGS: tuple[str, ...] = (ASSUMPTION, PRESTIGE, CANONICAL, CORRELATE)
