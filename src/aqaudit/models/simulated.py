"""A judge with planted flaws: it is told the truth, sees it as often as stated, and otherwise guesses with a bias.

It needs no network and no media, and is no vision-language model: its answers show what the measures and audits do.

With ``skill`` s and ``bias`` b, each question is drawn once: with probability s the judge perceives the truth and says
it; otherwise it looks at nothing and answers from its prior. Without a picture (perturbations ``blank`` and
``text_only``) s is 0.

* ``verify``, ``detect``: the prior says "correct" with probability b. So it calls a correct execution correct with
  probability s + (1 - s) b, and a faulty one with probability (1 - s) b, whatever the wording.
* ``choose``: the prior is uniform over the options, ``prefer``: a fair coin between first and second.
* ``score``: the prior is a normal draw around the middle of the scale with a standard deviation of a sixth of its
  range, clipped to the scale and rounded to its step (to a hundredth of the range where there is none).

All draws come from a hash of the request's ``answer_key``: the same request is always answered alike.
"""

from __future__ import annotations

import hashlib
import random
from typing import TYPE_CHECKING

import anyio

from aqaudit.models.call import AskFailed, Call, Reply
from aqaudit.records import LETTERS, TRUE_FALSE

if TYPE_CHECKING:
    from aqaudit.models.catalog import ModelEntry
    from aqaudit.records import Question, Request, Scale

MODEL_VERSION = "simulated (not a vision-language model)"
_BLIND = frozenset({"blank", "text_only"})


class SimulatedJudge:
    """The simulated judge as a model; see :class:`~aqaudit.models.call.Model`."""

    endpoint = "in process"

    def __init__(self, entry: ModelEntry) -> None:
        self.entry = entry

    async def ask(self, call: Call) -> Reply:
        """Answer at once, or after ``latency_s`` seconds."""
        if self.entry.latency_s:
            await anyio.sleep(self.entry.latency_s)
        if not call.final:
            return Reply(text="(no observation: simulated)", finish_reason="stop", model_version=MODEL_VERSION, usd=0.0)
        return Reply(
            text=f"<answer>{self._word(call.request)}</answer>",
            finish_reason="stop",
            model_version=MODEL_VERSION,
            usd=0.0,
        )

    async def aclose(self) -> None:
        """Nothing to close."""

    def _word(self, request: Request) -> str:
        digest = hashlib.sha256(b"simulated judge\n" + request.answer_key.encode()).digest()
        draw = random.Random(int.from_bytes(digest, "big"))
        sees = draw.random() < (0.0 if request.cell.perturbation in _BLIND else self.entry.skill)
        question = request.question
        if question.kind in {"verify", "detect"}:
            return self._verdict(request, draw, sees=sees)
        if question.kind == "choose":
            return _choice(request, draw, sees=sees)
        if question.kind == "prefer":
            return _preference(request, draw, sees=sees)
        if question.scale is None:
            raise AskFailed("internal", f"question {question.question_id} of kind score has no scale")
        truth = question.gold_score if sees else None
        return f"{_on_scale(draw, question.scale, truth):g}"

    def _verdict(self, request: Request, draw: random.Random, *, sees: bool) -> str:
        truth = request.question.gold_correct
        prior = draw.random() < self.entry.bias
        says_correct = truth if sees and truth is not None else prior
        holds, fails = TRUE_FALSE[request.cell.answer_words]
        # The negative wording states the error: true where the execution is not correct.
        return holds if says_correct == (request.cell.framing != "negative") else fails


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
    truth = _preferred(request.question)
    if not sees or truth is None:
        return guess
    better_first = (truth == "this") == (request.cell.pair_order == "ab")
    # The negative wording asks which of the two is worse.
    return first if better_first == (request.cell.framing != "negative") else second


def _preferred(question: Question) -> str | None:
    """Return ``this`` or ``other``; None for a tie, between whose sides the judge tosses its coin."""
    return question.gold_prefer if question.gold_prefer in {"this", "other"} else None


def _on_scale(draw: random.Random, scale: Scale, truth: float | None) -> float:
    span = scale.max - scale.min
    value = draw.gauss(scale.min + span / 2, span / 6) if truth is None else truth
    if truth is None:
        step = scale.step or span / 100
        value = scale.min + round((value - scale.min) / step) * step
    return round(min(max(value, scale.min), scale.max), 6)
