"""The simulated judge: it errs as stated, in the words asked, and always alike."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import Any

import pytest

from aqaudit.models.catalog import load, open_model
from aqaudit.records import Request, Scale
from model_calls import call, request

SCALE = Scale(id="s", min=0, max=30, step=0.5)


def answers(requests: list[Request], **entry: Any) -> list[str]:
    model = open_model("sim", load("sim", {"provider": "simulated", **entry}))

    async def ask() -> list[str]:
        return [(await model.ask(call(request=one))).text for one in requests]

    texts = asyncio.run(ask())
    assert all(text.startswith("<answer>") and text.endswith("</answer>") for text in texts)
    return [text[8:-9] for text in texts]


def many(count: int = 4000, **fields: Any) -> list[Request]:
    return [request(f"k{number}", **fields) for number in range(count)]


@pytest.mark.parametrize(("skill", "bias"), [(0.0, 0.5), (0.5, 0.8), (0.9, 0.1), (1.0, 0.3)])
def test_hits_and_false_alarms_are_the_stated_ones(skill: float, bias: float) -> None:
    # H = s + (1 - s) b, F = (1 - s) b; 4,000 draws: a standard error of 0.008 at most.
    for truth, expected in ((True, skill + (1 - skill) * bias), (False, (1 - skill) * bias)):
        said = answers(many(gold_correct=truth), skill=skill, bias=bias)
        assert said.count("True") / len(said) == pytest.approx(expected, abs=0.035)


@pytest.mark.parametrize("perturbation", ["blank", "text_only"])
def test_without_a_picture_only_the_bias_is_left(perturbation: str) -> None:
    said = answers(many(gold_correct=False, cell={"perturbation": perturbation}), skill=1.0, bias=0.7)
    assert said.count("True") / len(said) == pytest.approx(0.7, abs=0.035)


@pytest.mark.parametrize(
    ("words", "framing", "correct", "expected"),
    [
        ("true_false", "positive", True, "True"),
        ("true_false", "negative", True, "False"),
        ("true_false", "negative", False, "True"),
        ("true_false", "neutral", True, "True"),
        ("yes_no", "positive", False, "No"),
        ("yes_no", "negative", False, "Yes"),
        ("a_b", "positive", True, "A"),
        ("a_b", "negative", True, "B"),
    ],
)
@pytest.mark.parametrize("kind", ["verify", "detect"])
def test_the_verdict_is_given_in_the_words_asked(
    kind: str, words: str, framing: str, correct: bool, expected: str
) -> None:
    one = request(kind=kind, gold_correct=correct, cell={"answer_words": words, "framing": framing})
    assert answers([one], skill=1.0) == [expected]


def test_a_choice_is_the_letter_under_which_the_option_is_shown() -> None:
    fields: dict[str, Any] = {"kind": "choose", "options": ("over", "on", "under"), "gold_choice": "over"}
    assert answers([request(**fields)], skill=1.0) == ["A"]
    assert answers([request(**fields, option_order=(2, 1, 0))], skill=1.0) == ["C"]
    blind = Counter(answers(many(3000, **fields), skill=0.0))
    assert set(blind) == {"A", "B", "C"}
    assert all(count == pytest.approx(1000, abs=130) for count in blind.values())


@pytest.mark.parametrize(
    ("gold", "order", "framing", "expected"),
    [
        ("this", "ab", "positive", "A"),
        ("this", "ba", "positive", "B"),
        ("other", "ab", "positive", "B"),
        ("other", "ba", "positive", "A"),
        ("this", "ab", "negative", "B"),  # which is worse?
    ],
)
def test_a_preference_names_the_place_of_the_better_one(gold: str, order: str, framing: str, expected: str) -> None:
    one = request(kind="prefer", gold_prefer=gold, cell={"pair_order": order, "framing": framing})
    assert answers([one], skill=1.0) == [expected]


def test_a_tie_is_a_coin() -> None:
    said = Counter(answers(many(2000, kind="prefer", gold_prefer="tie"), skill=1.0))
    assert said["A"] == pytest.approx(1000, abs=120)


def test_scores_are_the_truth_or_a_draw_around_the_middle_on_the_step() -> None:
    assert answers([request(kind="score", scale=SCALE, gold_score=21.5)], skill=1.0) == ["21.5"]
    said = [float(text) for text in answers(many(2000, kind="score", scale=SCALE, gold_score=29.0), skill=0.0)]
    assert min(said) >= 0
    assert max(said) <= 30
    assert all((value / 0.5).is_integer() for value in said)
    mean = sum(said) / len(said)
    assert mean == pytest.approx(15, abs=0.5)
    assert (sum((value - mean) ** 2 for value in said) / len(said)) ** 0.5 == pytest.approx(5, abs=0.4)


def test_the_same_request_is_always_answered_alike_and_its_key_decides() -> None:
    requests = many(50)
    assert answers(requests, skill=0.3) == answers(requests, skill=0.3)
    assert len(set(answers(requests, skill=0.0))) == 2


def test_the_reply_says_that_it_is_no_model() -> None:
    model = open_model("sim", load("sim", {"provider": "simulated", "latency_s": 0.01}))
    reply = asyncio.run(model.ask(call()))
    assert reply.model_version == "simulated (not a vision-language model)"
    assert (reply.usd, reply.finish_reason, reply.input_tokens) == (0.0, "stop", None)
    early = asyncio.run(model.ask(call(final=False)))
    assert "<answer>" not in early.text
