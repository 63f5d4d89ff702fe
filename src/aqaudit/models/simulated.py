"""A judge with stated biases: it is told the truth, sees it as often as stated, and otherwise guesses with a bias.

It needs no network and no media, and is no vision-language model: its answers show what the measures and audits do.

With ``skill`` s and ``bias`` b, each request is drawn once: with probability s the judge perceives the truth and says
it; otherwise it looks at nothing and answers from its prior. s is 0 without a picture (perturbations ``blank``,
``text_only``, and ``region_blur``, which hides what matters) and without movement (``frozen``, ``shuffled``,
``reversed``).

* ``verify``, ``detect``: the prior says "correct" with probability b. So it calls a correct execution correct with
  probability s + (1 - s) b, and a faulty one with probability (1 - s) b, whatever the wording.
* ``choose``: the prior is uniform over the options, ``prefer``: a fair coin between first and second.
* ``score``: the prior is a normal draw around the middle of the scale with a standard deviation of a sixth of its
  range, clipped to the scale and rounded to its step (to a hundredth of the range where there is none).

Further biases come on top of that (:class:`aqaudit.models.settings.SimulatedBiases`).

All draws come from a hash of the request's ``answer_key``, for a ``stable`` judge of its question: the same request is
always answered alike.
"""

from __future__ import annotations

import hashlib
import math
import random
from collections.abc import Mapping
from dataclasses import replace

import anyio

from aqaudit.core.records import LETTERS, TRUE_FALSE, Perturbation, Question, Request, Scale, claims
from aqaudit.models.call import AskFailed, Call, Reply
from aqaudit.models.settings import ModelEntry, SimulatedBiases, Trace

#: The reasoning texts that it can give, the conclusion left out.
TRACES: Mapping[Trace, str] = {
    "observed": "At the lowest point the hips are lower than at the start. The knees bend on the way down.",
    "assumed": "The knees are probably bent as they should be. A trained person would normally keep the back straight.",
    "prestige": "The knees bend on the way down. An elite athlete in a professional competition surely does it right.",
    "canonical": "A standard squat goes down until the thighs are parallel to the floor, as every textbook shows.",
    "popular": "The person wears sportswear and moves smoothly, which good executions usually do.",
    "contradicted": "The thighs stay vertical at every moment. The knees stay straight from first to last.",
}
MODEL_VERSION = "simulated (not a vision-language model)"
_NO_VERDICT = "The execution was looked at from beginning to end."
_NO_PICTURE: frozenset[Perturbation] = frozenset({"blank", "text_only", "region_blur"})
_NO_MOTION: frozenset[Perturbation] = frozenset({"frozen", "shuffled", "reversed"})
#: Highest probability that its log-probabilities express.
_SUREST = 1 - 1e-6
#: What its two streams of draws are seeded with, besides the request: changing a word changes its answers.
_SALTS = ("simulated judge", "planted flaw")


class SimulatedJudge:
    """The simulated judge as a model; see :class:`~aqaudit.models.call.Model`."""

    endpoint = "in process"

    def __init__(self, _name: str, entry: ModelEntry) -> None:
        self.entry = entry

    async def ask(self, call: Call) -> Reply:
        """Answer at once, or after ``latency_s`` seconds."""
        if self.entry.latency_s:
            await anyio.sleep(self.entry.latency_s)
        if not call.final:
            return Reply(text="(no observation: simulated)", finish_reason="stop", model_version=MODEL_VERSION, usd=0.0)
        word, logprobs = self._answer(call.request)
        trace = self.entry.planted.trace
        return Reply(
            text=_NO_VERDICT if word is None else f"<answer>{word}</answer>",
            reasoning=None if trace is None else f"{TRACES[trace]} So the answer is {word}.",
            finish_reason="stop",
            model_version=MODEL_VERSION,
            usd=0.0,
            option_logprobs=logprobs,
        )

    async def aclose(self) -> None:
        """Nothing to close."""

    def _answer(self, request: Request) -> tuple[str | None, dict[str, float] | None]:
        """Return the word given, None for none, and the log-probabilities of the two words of a verdict."""
        biases, question = self.entry.planted, request.question
        # Biases draw from a stream of their own: setting one changes no answer that it does not touch.
        identity = question.question_id if biases.stable else request.answer_key
        digests = (hashlib.sha256(f"{salt}\n{identity}".encode()).digest() for salt in _SALTS)
        draw, flaw = (random.Random(int.from_bytes(digest, "big")) for digest in digests)
        skill = _sight(self.entry.skill, biases, request)
        if biases.confidence is not None:
            # Some questions are clearer than others; the judge knows which.
            reach = min(skill, 1 - skill)
            skill += reach * (2 * flaw.random() - 1)
        place = draw.random()
        sees = place < skill
        if question.instead and place >= biases.leak:
            # What it sees is the clip shown; what it knew without looking is about the question's own.
            question = _as_shown(question)
            request = replace(request, question=question)
        logprobs = None
        if question.kind in {"verify", "detect"}:
            word = self._verdict(request, draw, flaw, sees=sees)
            logprobs = _logprobs(request, word, (1 + skill) / 2, biases.confidence)
        elif question.kind == "choose":
            word = _placed(biases, flaw, LETTERS[: len(question.options)]) or _choice(request, draw, sees=sees)
        elif question.kind == "prefer":
            word = _placed(biases, flaw, "".join(TRUE_FALSE["a_b"])) or _preference(request, draw, sees=sees)
        elif question.scale is None:
            raise AskFailed("internal", f"question {question.question_id} of kind score has no scale")
        else:
            word = f"{_on_scale(draw, question.scale, biases, question.gold_score if sees else None):g}"
        return (None, None) if flaw.random() < biases.unparsed else (word, logprobs)

    def _verdict(self, request: Request, draw: random.Random, flaw: random.Random, *, sees: bool) -> str:
        biases = self.entry.planted
        truth = request.question.gold_correct
        prior = draw.random() < self.entry.bias
        says_correct = truth if sees and truth is not None else prior
        if flaw.random() < abs(biases.lean):
            says_correct = biases.lean > 0
        framing = request.cell.framing
        said = claims(framing, request.cell.answer_words, request.option_order)
        if flaw.random() < abs(biases.shift) and framing != "neutral":  # no statement there to affirm
            # The negative wording states the error: true where the execution is not correct.
            says_correct = (biases.shift > 0) == (framing != "negative")
        return next(word for word, correct in said.items() if correct == says_correct)


def _sight(skill: float, biases: SimulatedBiases, request: Request) -> float:
    """Return the probability that a judge perceives the truth of a request."""
    question, perturbation = request.question, request.cell.perturbation
    if perturbation in _NO_PICTURE:
        return biases.leak
    if biases.weak_tag is not None:
        tag, _, value = biases.weak_tag.partition("=")
        if question.performance.tags.get(tag) == value:
            skill = biases.weak_skill
    if question.kind == "prefer" and question.scale is not None:
        first, second = question.gold_score, question.other_gold_score
        span = question.scale.max - question.scale.min
        if first is not None and second is not None and abs(first - second) / span < biases.gap:
            skill = 0.0
    if perturbation in _NO_MOTION:
        skill *= 1 - biases.motion
    return max(skill, biases.leak)


def _as_shown(question: Question) -> Question:
    """Return a question with the truth of the clip that is shown in place of its own; none where that is unknown."""
    shown, subject = question.instead, question.criterion or ""
    if len(shown) > 1:
        first, second = (one.scores.get(subject) for one in shown[:2])
        if first is None or second is None or first == second:
            return question._replace(gold_prefer=None)
        return question._replace(gold_prefer="this" if first > second else "other")
    one = shown[0]
    correct = one.criteria.get(subject)
    if question.kind == "detect":
        error = question.error or ""
        correct = one.errors[error] == () if error in one.errors else None
    return question._replace(
        gold_correct=correct, gold_score=one.scores.get(subject), gold_choice=one.choices.get(subject)
    )


def _logprobs(request: Request, word: str, right: float, confidence: float | None) -> dict[str, float] | None:
    if confidence is None:
        return None
    right = min(right, _SUREST)
    sure = 1 / (1 + math.exp(-confidence * math.log(right / (1 - right))))
    sure = min(sure, _SUREST)
    return {option: math.log(sure if option == word else 1 - sure) for option in TRUE_FALSE[request.cell.answer_words]}


def _placed(biases: SimulatedBiases, flaw: random.Random, shown: str) -> str | None:
    """Return the first or last letter shown where the judge takes it unseen."""
    if flaw.random() >= 2 * abs(biases.position):
        return None
    return shown[0] if biases.position > 0 else shown[-1]


def _choice(request: Request, draw: random.Random, *, sees: bool) -> str:
    question = request.question
    order = request.option_order or tuple(range(len(question.options)))
    guess = draw.randrange(len(order))
    if sees and question.gold_choice in question.options:
        return LETTERS[order.index(question.options.index(question.gold_choice))]
    return LETTERS[guess]


def _preference(request: Request, draw: random.Random, *, sees: bool) -> str:
    first, second = TRUE_FALSE["a_b"]
    guess = draw.choice((first, second))
    truth = request.question.gold_prefer
    if not sees or truth not in {"this", "other"}:  # between the sides of a tie it tosses its coin
        return guess
    better_first = (truth == "this") == (request.cell.pair_order == "ab")
    # The negative wording asks which of the two is worse.
    return first if better_first == (request.cell.framing != "negative") else second


def _on_scale(draw: random.Random, scale: Scale, biases: SimulatedBiases, truth: float | None) -> float:
    span = scale.max - scale.min
    value = draw.gauss(scale.min + span * biases.guess_mean, span * biases.guess_sd) if truth is None else truth
    if truth is None:
        step = scale.step or span / 100
        value = scale.min + round((value - scale.min) / step) * step
    return round(min(max(value, scale.min), scale.max), 6)
