"""What the model is taught: questions about clips, worded by the product's own templates, packed behind their pictures.

All questions about a clip share its pictures, so they are read once: a row is the pictures and then every question,
each of which sees the pictures and itself, at the positions it would have alone.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

import vocabulary
from aqaudit.core.records import LETTERS, TRUE_FALSE
from aqaudit.prompts.framing import option_words
from aqaudit.prompts.strategies import chain

if TYPE_CHECKING:
    import random
    from collections.abc import Sequence

    from aqaudit.core.records import AnswerWords, Framing, Question
    from aqaudit.prompts.strategies import Medium

_FRAMINGS: tuple[Framing, ...] = ("positive", "negative", "neutral")
#: How often both statements are put side by side as well.
_NEUTRAL = 0.2
#: How often which error is there is asked, and how often for a score.
_REST = 0.3
#: How often a clip is asked about something that was not varied in it.
_OTHERS = 0.35
_WORDS: tuple[AnswerWords, ...] = ("true_false", "true_false", "true_false", "true_false", "yes_no", "a_b")


@dataclass(frozen=True, slots=True, kw_only=True)
class Lesson:
    """One question as text, its allowed answers (none for a number), and the right one."""

    text: str
    options: tuple[str, ...]
    answer: str


def ask(question: Question, framing: Framing, words: AnswerWords, medium: Medium, draw: random.Random) -> Lesson:
    """Word a question as a study with the strategy ``base`` does; what letters stand for comes in a drawn order."""
    words = "a_b" if framing == "neutral" else words
    lettered = question.kind == "choose" or words == "a_b"
    order = list(range(len(question.options) or 2)) if lettered else []
    draw.shuffle(order)
    step = chain(question, "base", framing, words, medium, tuple(order)).steps[-1]
    text = "".join(part for part in step.parts if isinstance(part, str))
    return Lesson(text=text, options=option_words(question, words), answer=right(question, framing, words, order))


def right(question: Question, framing: Framing, words: AnswerWords, order: Sequence[int]) -> str:
    """Return the literal right answer."""
    match question.kind:
        case "verify" | "detect":
            place = 0 if question.gold_correct == (framing != "negative") else 1
            return TRUE_FALSE[words][order.index(place) if order else place]
        case "choose":
            return LETTERS[order.index(question.options.index(question.gold_choice or ""))]
        case _:
            # half points are fine enough for what can be seen
            return f"{round((question.gold_score or 0.0) * 2) / 2:g}"


def lessons(questions: Sequence[Question], frames: int, draw: random.Random, most: int) -> list[Lesson]:
    """Return a handful of questions about a clip: what was varied in it, and now and then something that was not.

    ``verify`` and ``detect`` come in both framings, so that no wording is the likelier one to be true; and what was
    varied is wrong in half of the clips, so that neither answer is the likelier one.
    """
    medium: Medium = "frames" if frames > 1 else draw.choice(("image", "frames"))
    told = [q for q in questions if q.kind in {"verify", "detect"}]
    varied = [q for q in told if q.severity is not None]
    others = [q for q in told if q.severity is None]
    draw.shuffle(varied)
    draw.shuffle(others)
    chosen = [*varied[:1], *(others[:1] if draw.random() < _OTHERS else varied[1:2])]
    found: list[Lesson] = []
    for question in chosen:
        asked = _FRAMINGS if draw.random() < _NEUTRAL else _FRAMINGS[:2]
        found += [ask(question, framing, draw.choice(_WORDS), medium, draw) for framing in asked]
    rest = [q for q in questions if q.kind in {"choose", "score"} and draw.random() < _REST]
    found += [ask(question, "positive", "true_false", medium, draw) for question in rest]
    draw.shuffle(found)
    return found[:most]


def sentences(questions: Sequence[Question]) -> dict[str, bool]:
    """Return what is true of the catalogue's sentences about a clip, as far as it is known."""
    told = [q for q in questions if q.gold_correct is not None]
    return {q.positive: bool(q.gold_correct) for q in told if q.positive} | {
        q.negative: not q.gold_correct for q in told
    }


def guesses(found: Sequence[Lesson], draw: random.Random) -> list[Lesson]:
    """Return the same questions with answers drawn at random: what may be learned from a picture that shows nothing."""
    numbers = [f"{value / 2:g}" for value in range(21)]
    return [Lesson(text=one.text, options=one.options, answer=draw.choice(one.options or numbers)) for one in found]


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One clip's tokens: ``segment`` is 0 for the pictures and counts the questions; ``label`` -100 is not learned."""

    tokens: list[int]
    segment: list[int]
    position: list[int]
    label: list[int]

    @property
    def beginning(self) -> int:
        """How many tokens the pictures take, the turn's own included."""
        return self.segment.count(0)


def pack(found: Sequence[Lesson], frames: int, tokenizer: Any) -> Row:
    """Return the row of a clip."""
    tokens = tokenizer.convert_tokens_to_ids([vocabulary.BOS, vocabulary.USER, *vocabulary.PICTURE * frames])
    segment, position, label = [0] * len(tokens), list(range(len(tokens))), [-100] * len(tokens)
    end = vocabulary.EOS
    for number, lesson in enumerate(found, start=1):
        prompt = tokenizer.encode(lesson.text + vocabulary.ASSISTANT, add_special_tokens=False)
        reply = tokenizer.encode(f"<answer>{lesson.answer}</answer>{end}", add_special_tokens=False)
        position += range(segment.count(0), segment.count(0) + len(prompt) + len(reply))
        segment += [number] * (len(prompt) + len(reply))
        label += [-100] * len(prompt) + reply
        tokens += prompt + reply
    return Row(tokens=tokens, segment=segment, position=position, label=label)


def collate(rows: Sequence[Row], pad: int) -> dict[str, Any]:
    """Return rows as tensors of one length, with a mask (rows, 1, length, length) that is true where one may look."""
    import torch

    length = max(len(row.tokens) for row in rows)

    def filled(values: Sequence[list[int]], empty: int) -> Any:
        table = np.full((len(rows), length), empty, dtype=np.int64)
        for at, line in enumerate(values):
            table[at, : len(line)] = line
        return torch.from_numpy(table)

    segment = filled([row.segment for row in rows], -1)
    earlier = torch.ones(length, length, dtype=torch.bool).tril()
    same = segment[:, :, None] == segment[:, None, :]
    mask = earlier & (same | (segment[:, None, :] == 0))
    return {
        "input_ids": filled([row.tokens for row in rows], pad),
        "position_ids": filled([row.position for row in rows], 0),
        "labels": filled([row.label for row in rows], -100),
        "mask": mask[:, None],
    }
