"""Inline reasoning and log-probabilities of answer words, as pure functions."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aqaudit.models.replies import option_logprobs, split_reasoning

WORDS = ("True", "False")


@pytest.mark.parametrize(
    ("text", "rest", "reasoning"),
    [
        ("plain", "plain", None),
        ("  kept as it is\n", "  kept as it is\n", None),
        ("<think>\nhm\n</think>\n\nyes", "yes", "hm"),
        ("hm</think>\nyes", "yes", "hm"),  # the opening tag was in the prompt
        ("<think>cut off <answer>True</answer>", "", "cut off <answer>True</answer>"),
        ("<think></think>yes", "yes", None),
        ("<think>a</think>x<think>b</think>y", "xy", "a\nb"),
        ("a</think>x<think>b</think>y", "xy", "a\nb"),
        ("say <thinking> is not a tag", "say <thinking> is not a tag", None),
    ],
)
def test_inline_reasoning_is_split_off(text: str, rest: str, reasoning: str | None) -> None:
    assert split_reasoning(text) == (rest, reasoning)


@given(st.text(alphabet="ab <>/think\n", max_size=40))
def test_no_think_tag_and_no_reasoning_survives_in_the_answer(text: str) -> None:
    rest, _ = split_reasoning(text)
    assert "</think>" not in rest
    assert "<think>" not in rest


@given(st.text(max_size=30), st.text(max_size=30))
def test_an_answer_after_closed_reasoning_is_kept_whole(thought: str, answer: str) -> None:
    if "think>" in thought or "think>" in answer:
        return
    assert split_reasoning(f"<think>{thought}</think>{answer}")[0] == answer.strip()


def token(text: str, logprob: float = -0.1, **tops: float) -> dict[str, object]:
    """A generated token; ``False_`` stands for the alternative ``"False "``, as keywords cannot be ``False``."""
    alternatives = [{"token": key.replace("_", " "), "logprob": value} for key, value in tops.items()]
    return {"token": text, "logprob": logprob, "top_logprobs": alternatives}


def test_the_place_is_the_first_token_of_the_tagged_answer() -> None:
    tokens = [
        token("True", -9.0, False_=-9.0),  # in the reasoning: not the answer
        token(" so <"),
        token("answer"),
        token(">"),
        token("True", -0.2, False_=-1.8),
        token("</answer>"),
    ]
    assert option_logprobs(tokens, WORDS) == pytest.approx({"True": -0.2, "False": -1.8})


def test_a_tag_glued_to_the_answer_and_white_space_before_it_do_not_hide_it() -> None:
    glued = [token("<answer"), {"token": ">A", "logprob": -0.5, "top_logprobs": [{"token": ">B", "logprob": -1.0}]}]
    assert option_logprobs(glued, ("A", "B")) == pytest.approx({"A": -0.5, "B": -1.0})
    spaced = [token("<answer>"), token("\n"), token("No", -0.3, Yes=-1.5), token("</answer>")]
    assert option_logprobs(spaced, ("Yes", "No")) == pytest.approx({"Yes": -1.5, "No": -0.3})


def test_without_a_tag_the_last_word_that_begins_an_option_counts() -> None:
    tokens = [
        token("False", -0.5, True_=-2.0),
        token(" is"),
        token(" wrong"),
        token(":"),
        token(" True", -0.4, False_=-3),
    ]
    assert option_logprobs(tokens, WORDS) == pytest.approx({"True": -0.4, "False": -3.0})


def test_a_token_that_begins_exactly_one_word_counts_for_it_and_an_ambiguous_one_for_none() -> None:
    tokens = [token("<answer>"), token("Tr", -0.7, Fal=-1.1, T=-4.0)]
    found = option_logprobs(tokens, WORDS)
    assert found == pytest.approx({"True": math.log(math.exp(-0.7) + math.exp(-4.0)), "False": -1.1})
    shared = [token("<answer>"), token("sh", -0.7, shal=-1.0)]
    assert option_logprobs(shared, ("shallow", "short")) == pytest.approx({"shallow": -1.0})


def test_spellings_of_one_word_are_added_up_and_letters_keep_their_case() -> None:
    tokens = [
        token("<answer>"),
        {
            "token": "True",
            "logprob": -1.0,
            "top_logprobs": [
                {"token": "True", "logprob": -1.0},
                {"token": " True", "logprob": -2.0},
                {"token": "true", "logprob": -3.0},
            ],
        },
    ]
    expected = math.log(math.exp(-1) + math.exp(-2) + math.exp(-3))
    assert option_logprobs(tokens, WORDS) == pytest.approx({"True": expected})
    letters = [token("<answer>"), token("B", -0.5, a=-1.0)]
    assert option_logprobs(letters, ("A", "B")) == pytest.approx({"B": -0.5})


def test_words_that_were_not_seen_are_left_out() -> None:
    assert option_logprobs([token("<answer>"), token("maybe")], WORDS) is None
    assert option_logprobs([], WORDS) is None
    assert option_logprobs([token("True")], ()) is None
    assert option_logprobs([token("<answer>")], WORDS) is None


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["True", "False", " T", "F", "<answer>", "answer", "", " x", "\n"]), st.floats(-20, 0)
        ),
        max_size=12,
    )
)
def test_a_log_probability_is_never_above_zero(pairs: list[tuple[str, float]]) -> None:
    tokens = [{"token": text, "logprob": value, "top_logprobs": []} for text, value in pairs]
    found = option_logprobs(tokens, WORDS)
    assert found is None or all(value <= 0 for value in found.values())
