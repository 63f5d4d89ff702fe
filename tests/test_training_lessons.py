"""What the demo model is taught: the right answer of every question is what the product reads as the truth."""

from __future__ import annotations

import random
import sys
from pathlib import Path

import pytest

from aqaudit.core.records import Performance, Question, Scale
from aqaudit.engine.parse import Expected, parse

TRAINING = Path(__file__).resolve().parent.parent / "training"


@pytest.fixture
def taught(monkeypatch: pytest.MonkeyPatch) -> object:
    monkeypatch.syspath_prepend(str(TRAINING))
    import lessons

    yield lessons
    for name in ("lessons", "vocabulary"):
        sys.modules.pop(name, None)


def question(kind: str, *, correct: bool) -> Question:
    performance = Performance(id="p", media=Path("p"), action="bodyweight squat", performer="p", video="p")
    return Question(
        question_id="q", kind=kind, task=kind, dataset="d", performance=performance, gold_correct=correct,
        positive="The back stays straight.", negative="The back is rounded.", text="Which error is shown?",
        options=("The back is rounded.", "The heels come off the floor.", "None of these errors."),
        gold_choice="None of these errors.", gold_score=6.3, scale=Scale(id="execution", min=0, max=10, step=0.1),
    )  # fmt: skip


@pytest.mark.parametrize("kind", ["verify", "detect"])
@pytest.mark.parametrize("framing", ["positive", "negative", "neutral"])
@pytest.mark.parametrize("words", ["true_false", "yes_no", "a_b"])
@pytest.mark.parametrize("correct", [True, False])
def test_a_right_answer_says_the_truth_of_the_execution(
    taught: object, kind: str, framing: str, words: str, correct: bool
) -> None:
    for seed in range(6):
        asked = question(kind, correct=correct)._replace(options=())
        draw = random.Random(seed)
        lesson = taught.ask(asked, framing, words, "frames", draw)  # type: ignore[attr-defined]
        assert lesson.answer in lesson.options
        order: list[int] = [0, 1] if words == "a_b" or framing == "neutral" else []
        random.Random(seed).shuffle(order)
        expected = Expected(
            kind=kind, framing=framing, answer_words="a_b" if framing == "neutral" else words, option_order=order
        )
        assert parse(f"<answer>{lesson.answer}</answer>", expected).says_correct is correct


def test_the_right_option_and_the_right_number_are_read_back(taught: object) -> None:
    for seed in range(6):
        asked = question("choose", correct=True)
        lesson = taught.ask(asked, "positive", "true_false", "frames", random.Random(seed))  # type: ignore[attr-defined]
        order = [0, 1, 2]
        random.Random(seed).shuffle(order)
        expected = Expected(kind="choose", options=asked.options, option_order=order)
        assert parse(f"<answer>{lesson.answer}</answer>", expected).choice == asked.gold_choice
    scored = taught.ask(question("score", correct=True), "positive", "true_false", "frames", random.Random(0))  # type: ignore[attr-defined]
    expected = Expected(kind="score", scale_min=0, scale_max=10)
    assert parse(f"<answer>{scored.answer}</answer>", expected).score == pytest.approx(6.3, abs=0.25)


def test_no_wording_is_the_likelier_one_to_be_true(taught: object) -> None:
    from aqaudit.core.records import Severity

    draw = random.Random(0)
    severity = Severity(value=30, unit="deg", tolerance=15)
    asked = [question("verify", correct=at % 2 == 0)._replace(severity=severity, options=()) for at in range(400)]
    told = [one for q in asked for one in taught.lessons([q], 8, draw, 6)]  # type: ignore[attr-defined]
    first = sum(lesson.answer == lesson.options[0] for lesson in told) / len(told)
    assert first == pytest.approx(0.5, abs=0.06)
