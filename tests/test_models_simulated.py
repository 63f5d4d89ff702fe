"""The simulated judge: it errs as stated, in the words asked, and always alike."""

from __future__ import annotations

import asyncio
import math
import re
from collections import Counter
from dataclasses import replace
from typing import Any

import pytest

from aqaudit.core.records import BadInput, Request, Scale
from aqaudit.models.call import Reply
from aqaudit.models.catalog import load, open_model
from aqaudit.models.simulated import TRACES
from model_calls import call, request
from simulated_judges import JUDGES

SCALE = Scale(id="s", min=0, max=30, step=0.5)


def answers(requests: list[Request], **entry: Any) -> list[str]:
    model = open_model("sim", load("sim", {"provider": "simulated", **entry}))

    async def ask() -> list[str]:
        return [(await model.ask(call(request=one))).text for one in requests]

    texts = asyncio.run(ask())
    assert all(text.startswith("<answer>") and text.endswith("</answer>") for text in texts)
    return [text[8:-9] for text in texts]


def replies(requests: list[Request], **entry: Any) -> list[Reply]:
    model = open_model("sim", load("sim", {"provider": "simulated", **entry}))

    async def ask() -> list[Reply]:
        return [await model.ask(call(request=one)) for one in requests]

    return asyncio.run(ask())


def many(count: int = 4000, **fields: Any) -> list[Request]:
    return [request(f"k{number}", **fields) for number in range(count)]


@pytest.mark.parametrize(("skill", "bias"), [(0.0, 0.5), (0.5, 0.8), (0.9, 0.1), (1.0, 0.3)])
def test_hits_and_false_alarms_are_the_stated_ones(skill: float, bias: float) -> None:
    # H = s + (1 - s) b, F = (1 - s) b; 4,000 draws: a standard error of 0.008 at most.
    for truth, expected in ((True, skill + (1 - skill) * bias), (False, (1 - skill) * bias)):
        said = answers(many(gold_correct=truth), skill=skill, bias=bias)
        assert said.count("True") / len(said) == pytest.approx(expected, abs=0.035)


@pytest.mark.parametrize("perturbation", ["blank", "text_only", "region_blur", "frozen", "shuffled", "reversed"])
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


# Planted flaws. 4,000 draws each: a standard error of 0.008 at most.


def share_affirmed(framing: str, truth: bool, **planted: Any) -> float:
    said = answers(many(gold_correct=truth, cell={"framing": framing}), skill=0.5, planted=planted)
    return said.count("True") / len(said)


@pytest.mark.parametrize("size", [0.3, -0.2, 1.0])
def test_a_lean_is_hits_plus_false_alarms_less_one(size: float) -> None:
    for framing in ("positive", "negative"):
        rates = [share_affirmed(framing, truth, lean=size) for truth in (True, False)]
        hit, alarm = rates if framing == "positive" else [1 - rate for rate in rates]
        assert hit + alarm - 1 == pytest.approx(size, abs=0.04)


@pytest.mark.parametrize("size", [0.2, -0.2, 1.0])
def test_a_shift_is_how_much_more_often_an_execution_is_called_correct_in_positive_words(size: float) -> None:
    for truth in (True, False):
        positive, negative = (
            share_affirmed("positive", truth, shift=size),
            share_affirmed("negative", truth, shift=size),
        )
        assert positive - (1 - negative) == pytest.approx(size, abs=0.04)


@pytest.mark.parametrize("size", [0.2, -0.3, 0.5])
def test_a_position_bias_is_how_much_more_often_than_half_the_first_is_taken(size: float) -> None:
    for order in ("ab", "ba"):
        requests = many(kind="prefer", gold_prefer="tie", cell={"pair_order": order})
        said = answers(requests, planted={"position": size})
        assert said.count("A") / len(said) - 0.5 == pytest.approx(size, abs=0.04)
    chosen = answers(
        many(kind="choose", options=("x", "y", "z"), gold_choice="y"), skill=1.0, planted={"position": size}
    )
    assert chosen.count("A" if size > 0 else "C") / len(chosen) == pytest.approx(2 * abs(size), abs=0.04)


def test_small_gaps_are_not_seen() -> None:
    for better, expected in ((16.0, 0.5), (25.0, 1.0)):
        pair = {"gold_score": 15.0, "other_gold_score": better, "gold_prefer": "other", "scale": SCALE}
        said = answers(many(kind="prefer", **pair), skill=1.0, planted={"gap": 0.3})
        assert said.count("B") / len(said) == pytest.approx(expected, abs=0.035)


@pytest.mark.parametrize(
    ("perturbation", "planted", "skill"),
    [
        ("blank", {"leak": 0.6}, 0.6),
        ("text_only", {"leak": 0.6}, 0.6),
        ("none", {"leak": 0.6}, 0.8),
        ("frozen", {"motion": 0.0}, 0.8),
        ("reversed", {"motion": 0.5}, 0.4),
    ],
)
def test_how_often_it_sees_the_truth_follows_what_it_is_shown(
    perturbation: str, planted: dict[str, Any], skill: float
) -> None:
    said = answers(many(cell={"perturbation": perturbation}), skill=0.8, bias=0.0, planted=planted)
    assert said.count("True") / len(said) == pytest.approx(skill, abs=0.035)


def test_where_another_clip_is_shown_it_judges_that_one_unless_it_answers_without_looking() -> None:
    shown = replace(request().question.performance, id="p2", criteria={"heels": False}, scores={"heels": 3.0})
    asked = many(criterion="heels", gold_correct=True, instead=(shown,), cell={"perturbation": "swapped"})
    for leak, expected in ((0.0, 0.8), (0.5, 0.3)):
        said = answers(asked, skill=0.8, bias=1.0, planted={"leak": leak})
        assert said.count("False") / len(said) == pytest.approx(expected, abs=0.035)
    one = request(kind="score", scale=SCALE, gold_score=9.0, criterion="heels", instead=(shown,),
                  cell={"perturbation": "swapped"})  # fmt: skip
    assert answers([one], skill=1.0) == ["3"]
    unknown = request(criterion="back", gold_correct=False, instead=(shown,), cell={"perturbation": "swapped"})
    assert answers([unknown], skill=1.0, bias=1.0) == ["True"]  # nothing is known: it guesses


def test_confidence_is_the_true_odds_times_the_factor_set() -> None:
    requests = many(6000)
    honest, loud = (replies(requests, skill=0.5, planted={"confidence": factor}) for factor in (1.0, 3.0))
    assert [one.text for one in honest] == [one.text for one in loud]
    sure = [max(math.exp(p) for p in one.option_logprobs.values()) for one in honest if one.option_logprobs]
    right = ["True" in one.text for one in honest]
    for low, high in ((0.5, 0.65), (0.65, 0.85), (0.85, 1.0)):
        inside = [hit for p, hit in zip(sure, right, strict=True) if low <= p < high]
        stated = [p for p in sure if low <= p < high]
        assert sum(inside) / len(inside) == pytest.approx(sum(stated) / len(stated), abs=0.05)
    for mild, wild in zip(honest[:50], loud[:50], strict=True):
        assert mild.option_logprobs is not None
        assert wild.option_logprobs is not None
        odds = [one["True"] - one["False"] for one in (mild.option_logprobs, wild.option_logprobs)]
        assert odds[1] == pytest.approx(3 * odds[0], rel=1e-6) or abs(odds[1]) > 13


def test_a_stable_judge_says_the_same_in_all_wordings_orders_and_repeats() -> None:
    for number in range(60):
        question = f"q{number}"
        cells: list[dict[str, Any]] = [{}, {"framing": "negative"}, {"repeat": 1}, {"answer_words": "yes_no"}]
        asked = [request(f"k{number}-{at}", cell=cell, question_id=question) for at, cell in enumerate(cells)]
        first, negative, again, words = answers(asked, skill=0.3, planted={"stable": True})
        assert (negative, again, words) == (
            {"True": "False", "False": "True"}[first], first, {"True": "Yes", "False": "No"}[first],
        )  # fmt: skip


def test_some_answers_hold_no_verdict() -> None:
    texts = [one.text for one in replies(many(), planted={"unparsed": 0.2})]
    assert sum("<answer>" not in text for text in texts) / len(texts) == pytest.approx(0.2, abs=0.03)


def test_skill_is_lost_where_the_tag_says_so() -> None:
    one = request()
    for camera, expected in (("side", 0.5), ("front", 0.9)):
        tagged = replace(one.question.performance, tags={"camera": camera})
        requests = [replace(r, question=r.question._replace(performance=tagged)) for r in many()]
        said = answers(requests, skill=0.8, planted={"weak_tag": "camera=side"})
        assert said.count("True") / len(said) == pytest.approx(expected, abs=0.035)


def test_a_trace_ends_with_the_answer() -> None:
    for name, text in TRACES.items():
        (reply,) = replies([request()], skill=1.0, planted={"trace": name})
        assert reply.reasoning == f"{text} So the answer is True."


def test_planting_a_flaw_changes_only_the_answers_it_touches() -> None:
    requests = many(2000)
    plain, leaning = answers(requests, skill=0.5), answers(requests, skill=0.5, planted={"lean": 0.3})
    assert all(b == "True" for a, b in zip(plain, leaning, strict=True) if a != b)


def test_what_is_planted_is_part_of_an_answers_identity_and_its_default_is_not() -> None:
    plain, planted = (load("sim", {"provider": "simulated", **extra}) for extra in ({}, {"planted": {"lean": 0.3}}))
    assert "planted" not in plain.key_settings
    assert planted.key_settings["planted"] == {"lean": 0.3}


@pytest.mark.parametrize(
    ("planted", "message"),
    [
        ({"leen": 0.3}, "models.sim.planted.leen: unknown key; did you mean 'lean'?"),
        ({"position": 0.6}, "models.sim.planted.position: 0.6: input should be less than or equal to 0.5"),
        ({"weak_tag": "side"}, "models.sim.planted.weak_tag: 'side'"),
    ],
)
def test_a_flaw_that_cannot_be_planted_is_named(planted: dict[str, Any], message: str) -> None:
    with pytest.raises(BadInput, match=re.escape(message)):
        load("sim", {"provider": "simulated", "planted": planted})


def test_every_judge_of_the_benchmark_can_be_opened() -> None:
    for settings in JUDGES.values():
        open_model("sim", load("sim", {"provider": "simulated", **settings}))
