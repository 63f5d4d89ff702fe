"""What a model's text is read as, and what it is not."""

from __future__ import annotations

import math
import random
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aqaudit.core.records import LETTERS, TRUE_FALSE
from aqaudit.engine.parse import Expected, parse, strip_thinking

VERIFY = Expected(kind="verify")
NEGATIVE = Expected(kind="verify", framing="negative")
SCORE = Expected(kind="score", scale_min=0, scale_max=30)
CHOOSE = Expected(kind="choose", options=("above", "level", "below"), option_order=(2, 0, 1))
PREFER = Expected(kind="prefer")


@pytest.mark.parametrize(
    ("said", "answered"),
    [
        ("<answer>True</answer>", "True"),
        ("The thigh passes parallel.\n<answer> true. </answer>", "True"),
        ("<answer>**False**</answer>", "False"),
        ("First <answer>True</answer>, on reflection <answer>False</answer>", "False"),
        ("<think>maybe <answer>True</answer></think><answer>False</answer>", "False"),
        ("so it is <answer>True</answer> </think> <answer>False</answer>", "False"),
        ("Conclusion: <answer>False", "False"),
        ("True", "True"),
        ("True.", "True"),
        ("The back stays straight.\nAnswer: False", "False"),
        ("Reasons...\n\n**Final answer: True**", "True"),
    ],
)
def test_a_tag_or_a_bare_answer_is_read(said: str, answered: str) -> None:
    parsed = parse(said, VERIFY)
    assert (parsed.parse, parsed.answered, parsed.says_correct) == ("ok", answered, answered == "True")


@pytest.mark.parametrize(
    "said",
    [
        "",
        "It is true that the knees are bent, and false that they cave in.",
        "True or False",
        "<answer></answer>",
        "<answer>Partly</answer>",
        "<answer>True/False</answer>",
        "not true",
        "<think>True</think>",
        "Yes",
    ],
)
def test_a_text_that_is_no_allowed_answer_is_unparsed_and_never_guessed(said: str) -> None:
    parsed = parse(said, VERIFY)
    assert parsed.parse == "unparsed"
    assert parsed.says_correct is None


def test_a_negative_statement_that_is_true_says_the_execution_is_faulty() -> None:
    assert parse("<answer>True</answer>", NEGATIVE).says_correct is False
    assert parse("<answer>False</answer>", NEGATIVE).says_correct is True


@pytest.mark.parametrize(("words", "true", "false"), [("yes_no", "Yes", "No"), ("a_b", "A", "B")])
def test_other_answer_words(words: str, true: str, false: str) -> None:
    expected = Expected(kind="detect", framing="negative", answer_words=words)  # type: ignore[arg-type]
    assert parse(f"<answer>{true}</answer>", expected).says_correct is False
    assert parse(f"<answer>{false.lower()}</answer>", expected).says_correct is True
    assert parse("<answer>True</answer>", expected).parse == "unparsed"


def test_causes_are_told_apart() -> None:
    assert parse("I'm sorry, I cannot judge this video.", VERIFY).parse == "refused"
    assert parse("", VERIFY, finish_reason="content_filter").parse == "refused"
    assert parse("First, the hips move down and", VERIFY, finish_reason="length").parse == "truncated"
    assert parse("<answer>31</answer>", SCORE).parse == "out_of_range"
    assert parse("nothing to say", VERIFY).parse == "unparsed"


def test_a_cut_text_with_a_finished_answer_is_an_answer_but_its_last_line_is_not() -> None:
    assert parse("<answer>True</answer> because", VERIFY, finish_reason="length").says_correct is True
    assert parse("Observations:\nTrue", VERIFY, finish_reason="length").parse == "truncated"


@pytest.mark.parametrize(
    ("said", "score"),
    [
        ("<answer>21.5</answer>", 21.5),
        ("<answer>21,5</answer>", 21.5),
        ("<answer>21.5 / 30</answer>", 21.5),
        ("<answer>21.5 out of 30 points</answer>", 21.5),
        ("<answer>0</answer>", 0.0),
        ("Execution was fair.\nAnswer: 18", 18.0),
    ],
)
def test_scores(said: str, score: float) -> None:
    parsed = parse(said, SCORE)
    assert (parsed.parse, parsed.score) == ("ok", score)


@pytest.mark.parametrize(
    "said",
    [
        "<answer>7/10</answer>",
        "<answer>1,000</answer>",
        "<answer>20-22</answer>",
        "<answer>about 20</answer>",
        "I would say 20 points",
        "<answer>nan</answer>",
    ],
)
def test_a_number_that_may_mean_something_else_is_unparsed(said: str) -> None:
    assert parse(said, SCORE).parse == "unparsed"


def test_a_choice_is_the_option_shown_at_the_letter() -> None:
    # shown order: A below, B above, C level
    assert parse("<answer>A</answer>", CHOOSE).choice == "below"
    assert parse("<answer>b)</answer>", CHOOSE).choice == "above"
    assert parse("<answer>C) level</answer>", CHOOSE).choice == "level"
    assert parse("<answer>above</answer>", CHOOSE).choice == "above"
    assert parse("<answer>A) level</answer>", CHOOSE).parse == "unparsed"
    assert parse("<answer>D</answer>", CHOOSE).parse == "unparsed"


@pytest.mark.parametrize(
    ("order", "framing", "letter", "prefer"),
    [
        ("ab", "positive", "A", "this"),
        ("ab", "positive", "B", "other"),
        ("ba", "positive", "A", "other"),
        ("ba", "positive", "B", "this"),
        ("ab", "negative", "A", "other"),
        ("ba", "negative", "A", "this"),
    ],
)
def test_a_preference_is_by_item_whatever_the_position_and_the_wording(
    order: str, framing: str, letter: str, prefer: str
) -> None:
    expected = Expected(kind="prefer", pair_order=order, framing=framing)  # type: ignore[arg-type]
    assert parse(f"<answer>{letter}</answer>", expected).prefer == prefer


def test_p_correct_is_the_renormalised_probability_of_the_answer_that_means_correct() -> None:
    logprobs = {"True": math.log(0.6), "False": math.log(0.2)}
    assert parse("<answer>True</answer>", VERIFY, option_logprobs=logprobs).p_correct == pytest.approx(0.75)
    assert parse("<answer>True</answer>", NEGATIVE, option_logprobs=logprobs).p_correct == pytest.approx(0.25)
    assert parse("<answer>True</answer>", VERIFY, option_logprobs={"True": -0.1}).p_correct is None


@given(st.text())
def test_any_text_is_read_without_error_and_an_answer_is_an_allowed_one(said: str) -> None:
    for expected in (VERIFY, SCORE, CHOOSE, PREFER):
        parsed = parse(said, expected)
        assert parsed.parse in {"ok", "unparsed", "refused", "out_of_range", "truncated"}
        given_answers = [parsed.says_correct, parsed.score, parsed.choice, parsed.prefer]
        assert (parsed.parse == "ok") == any(answer is not None for answer in given_answers)


@given(st.text(alphabet="<>/thinkanswer TrueFalse\n", max_size=60))
def test_thinking_never_survives(text: str) -> None:
    assert "</think>" not in strip_thinking(text).lower()


@pytest.mark.parametrize("words", ["true_false", "yes_no", "a_b"])
def test_the_instruction_repeated_is_no_answer(words: str) -> None:
    from aqaudit.prompts.template import WORDING, load

    instruction = load(WORDING).text(f"answer {words}")
    expected = Expected(kind="verify", answer_words=words)  # type: ignore[arg-type]
    assert parse(instruction, expected).parse == "unparsed"
    first = TRUE_FALSE[words][0]  # type: ignore[index]
    assert parse(f"{instruction}\n<answer>{first}</answer>", expected).says_correct is True


@pytest.mark.parametrize(("kind", "expected"), [("choose", CHOOSE), ("prefer", PREFER), ("score", SCORE)])
def test_the_other_instructions_repeated_are_no_answer(kind: str, expected: Expected) -> None:
    from aqaudit.prompts.template import WORDING, load

    assert parse(load(WORDING).text(f"answer {kind}"), expected).parse == "unparsed"


def test_an_answer_begun_after_another_one_takes_its_place_unless_it_was_cut() -> None:
    assert parse("<answer>True</answer> No: <answer>False", VERIFY).says_correct is False
    assert parse("<answer>True</answer> No: <answer>Fal", VERIFY, finish_reason="length").parse == "truncated"
    assert parse("<answer>True</answer> No: <answer>", VERIFY).parse == "unparsed"


def test_the_point_that_a_number_begins_with_is_part_of_it() -> None:
    assert parse("<answer>.5</answer>", SCORE).score == 0.5
    assert parse("<answer>**.5**</answer>", SCORE).score == 0.5
    assert parse("<answer>**5.**</answer>", SCORE).score == 5.0


def test_the_text_of_one_option_is_never_read_as_the_letter_of_another() -> None:
    shown = Expected(kind="choose", options=("way", "away", "a way"))
    assert parse("<answer>away</answer>", shown).choice == "away"
    assert parse("<answer>A) way</answer>", shown).choice == "way"
    assert parse("<answer>a way</answer>", shown).parse == "unparsed"  # letter A and its text, or the third option


def test_a_probability_of_two_impossible_answers_is_unknown() -> None:
    logprobs = {"True": -math.inf, "False": -math.inf}
    assert parse("<answer>True</answer>", VERIFY, option_logprobs=logprobs).p_correct is None


@pytest.mark.parametrize("part", ["<answer>", "<think>", "</think>", " ", "\n", "answer ", "<answer>5 ", "I cannot "])
def test_a_text_that_goes_round_in_circles_is_read_at_once(part: str) -> None:
    began = time.monotonic()
    for expected in (VERIFY, SCORE, CHOOSE):
        parse("7 " + part * (100_000 // len(part)) + "x", expected)
    assert time.monotonic() - began < 3


@given(
    st.lists(st.sampled_from(["a", "b", "way", "away", "a way", "b) a", "level", "A"]), min_size=2, unique=True),
    st.randoms(use_true_random=False),
    st.data(),
)
def test_an_option_is_read_only_from_its_own_letter_or_its_own_text(
    options: list[str], rng: random.Random, data: st.DataObject
) -> None:
    order = list(range(len(options)))
    rng.shuffle(order)
    place = data.draw(st.integers(0, len(options) - 1))
    letter, text = LETTERS[place], options[order[place]]
    expected = Expected(kind="choose", options=tuple(options), option_order=tuple(order))
    assert parse(f"<answer>{letter}</answer>", expected).choice == text
    assert parse(f"<answer>{letter}) {text}</answer>", expected).choice in {text, None}
    if len(text) > 1:
        assert parse(f"<answer>{text}</answer>", expected).choice in {text, None}
