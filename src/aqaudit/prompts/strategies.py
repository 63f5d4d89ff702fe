"""Strategies: a question in one cell becomes a chain of calls."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Literal, NamedTuple

from aqaudit.core.records import (
    LETTERS,
    AnswerWords,
    BadInput,
    Chain,
    Framing,
    Kind,
    PairOrder,
    Question,
    Scale,
    Slot,
    Step,
    claims,
    in_order,
)
from aqaudit.prompts import template
from aqaudit.prompts.framing import statement
from aqaudit.prompts.shots import Shot
from aqaudit.prompts.template import WORDING, fill, load, parts

Medium = Literal["image", "frames", "video", "pose_text"]

names = template.strategies

GUIDELINE = "guideline"
FEW_SHOT = "few_shot"
_SHOTS = "{shots}"
_JUDGED: frozenset[Kind] = frozenset({"verify", "detect"})


class _Put(NamedTuple):
    """How a question is put: everything its wording depends on, so that equal wordings are made once."""

    kind: Kind
    framing: Framing
    answer_words: AnswerWords
    medium: Medium
    action: str
    context: tuple[str, ...]
    statements: tuple[str, ...]
    text: str
    options: tuple[str, ...]
    scale: Scale | None
    turned: bool
    guideline: tuple[str, ...]


def chain(
    question: Question,
    strategy: str,
    framing: Framing,
    answer_words: AnswerWords,
    medium: Medium,
    option_order: tuple[int, ...] = (),
    *,
    pair_order: PairOrder = "ab",
    guideline: tuple[str, ...] = (),
    shots: Sequence[Shot] = (),
) -> Chain:
    """Return the calls that ask ``question``, exactly as they will be sent but for the media.

    Parameters
    ----------
    medium
        What stands in the places of media: one picture, frames of a clip, or a clip.
    option_order
        Of the options, or of the two statements or answers that letters stand for: ``option_order[i]`` is the index of
        the one shown at place ``i``.
    pair_order
        Which performance of a pair is shown first: what is told of the two stands in that order.
    guideline
        What the strategy ``guideline`` says of the action, one sentence each; see
        :func:`aqaudit.prompts.framing.guideline`.
    shots
        The examples of ``few_shot``.

    Raises
    ------
    BadInput
        The strategy is not known, or has no wording for this kind of question.
    """
    put = _put(question, framing, answer_words, medium, option_order, pair_order, guideline)
    if not shots:
        return _chain(strategy, put)
    examples = tuple(
        (
            _put(
                shot.question,
                framing,
                answer_words,
                medium,
                _order_of(shot, framing, answer_words),
                shot.pair_order,
            ),
            _right(shot, put),
        )
        for shot in shots
    )
    return _with_examples(strategy, put, examples)


def check(strategy: str, kind: Kind, framing: Framing) -> None:
    """Check that a strategy has a wording for a kind of question in a framing.

    Raises
    ------
    BadInput
        It has none, or the strategy is not known.
    """
    load(strategy).calls(kind, framing)


def _put(
    question: Question,
    framing: Framing,
    answer_words: AnswerWords,
    medium: Medium,
    order: tuple[int, ...],
    pair_order: PairOrder,
    guideline: tuple[str, ...] = (),
) -> _Put:
    statements: tuple[str, ...] = ()
    if question.kind in _JUDGED:
        both = (statement(question, "positive"), statement(question, "negative"))
        statements = (
            tuple(both[i] for i in order or (0, 1)) if framing == "neutral" else (statement(question, framing),)
        )
    return _Put(
        question.kind,
        framing,
        answer_words,
        medium,
        question.performance.action,
        tuple(p.context or "" for p in in_order(question, pair_order)),
        statements,
        question.text,
        tuple(question.options[i] for i in order) if question.options else (),
        question.scale,
        question.kind in _JUDGED and framing != "neutral" and order == (1, 0),
        guideline,
    )


@lru_cache(maxsize=4096)
def _chain(strategy: str, put: _Put) -> Chain:
    texts, fields = load(strategy), _fields(put)
    return Chain(
        prompt_id=f"{texts.id}+{load(WORDING).id}/{put.kind}",
        steps=tuple(Step(name=c.name, parts=parts(c.text, fields)) for c in texts.calls(put.kind, put.framing)),
    )


def _with_examples(strategy: str, put: _Put, examples: Sequence[tuple[_Put, str]]) -> Chain:
    name, before, after = _around_examples(strategy, put)
    made, places = list(before), 0
    for number, (shown, right) in enumerate(examples, 1):
        for part in _example(strategy, shown, number, right):
            if isinstance(part, Slot):
                places += 1
                made.append(Slot(name="shot", step=places))
            else:
                made.append(part)
    prompt_id = f"{load(strategy).id}+{load(WORDING).id}/{put.kind}"
    return Chain(prompt_id=prompt_id, steps=(Step(name=name, parts=(*made, *after)),))


@lru_cache(maxsize=4096)
def _around_examples(strategy: str, put: _Put) -> tuple[str, tuple[str | Slot, ...], tuple[str | Slot, ...]]:
    fields = _fields(put)
    [step] = load(strategy).calls(put.kind, put.framing)
    before, _, after = step.text.partition(_SHOTS)
    return step.name, parts(before, fields), parts(after, fields)


@lru_cache(maxsize=4096)
def _example(strategy: str, put: _Put, number: int, right: str) -> tuple[str | Slot, ...]:
    text = load(strategy).text("example pair" if put.kind == "prefer" else "example single")
    return parts(text, {**_fields(put), "number": str(number), "right_answer": right})


@lru_cache(maxsize=4096)
def _fields(put: _Put) -> dict[str, str]:
    wording, kind, framing = load(WORDING), put.kind, put.framing
    judged = kind in _JUDGED
    form: str = kind
    if judged:
        form = "letter" if framing == "neutral" else put.answer_words + (" turned" if put.turned else "")
    # What is told of the performances stands in paragraphs of its own; of two, each is named by its letter.
    told = put.context
    if len(told) > 1:
        told = tuple(f"Performance {letter}: {text}" if text else "" for letter, text in zip("AB", told, strict=True))
    fields = {
        "action": put.action,
        "context": "".join(f"\n\n{text}" for text in told if text),
        "statement": put.statements[0] if put.statements else "",
        "question": put.text,
        "aspect": put.text,
        "options": "\n".join(f"{LETTERS[i]}) {option}" for i, option in enumerate(put.options)),
        "shown_first": wording.text(f"shown {put.medium}"),
        **(_scale_fields(put.scale) if put.scale else {}),
    }
    if judged and framing == "neutral":
        fields |= {"statement_a": put.statements[0], "statement_b": put.statements[1]}
    fields["answer_format"] = fill(wording.text(f"answer {form}"), fields)
    named = "statement" if judged else kind
    name = f"question {named} {framing}"
    fields["asked"] = fill(wording.text(name if name in wording.sections else f"question {named}"), fields)
    if put.guideline:
        about = kind if kind in {"choose", "score"} else framing
        listed = "\n".join(f"- {sentence}" for sentence in put.guideline)
        fields["guideline"] = fill(wording.text(f"guideline {about}"), {"guideline_list": listed})
    return fields


def _order_of(shot: Shot, framing: Framing, answer_words: AnswerWords) -> tuple[int, ...]:
    """Return the order an example is put in: only options and letters have one."""
    lettered = shot.question.kind == "choose" or framing == "neutral" or answer_words == "a_b"
    return shot.option_order if lettered and shot.question.kind in {"choose", *_JUDGED} else ()


def _right(shot: Shot, put: _Put) -> str:
    """Return the right answer to an example in the form an answer has."""
    question, order = shot.question, _order_of(shot, put.framing, put.answer_words)
    match question.kind:
        case "verify" | "detect":
            said = claims(put.framing, put.answer_words, order)
            return next(word for word, correct in said.items() if correct == question.gold_correct)
        case "choose":
            return LETTERS[order.index(question.options.index(question.gold_choice or ""))]
        case "score":
            return f"{question.gold_score:g}"
        case "prefer":
            better_first = (question.gold_prefer == "this") == (shot.pair_order == "ab")
            return "A" if better_first == (put.framing != "negative") else "B"
    raise BadInput(f"question '{question.question_id}' has no kind that an example could be of")


def _scale_fields(scale: Scale) -> dict[str, str]:
    return {
        "scale_min": f"{scale.min:g}",
        "scale_max": f"{scale.max:g}",
        "scale_step": f" in steps of {scale.step:g}" if scale.step else "",
        "scale_unit": f" {scale.unit}" if scale.unit else "",
    }
