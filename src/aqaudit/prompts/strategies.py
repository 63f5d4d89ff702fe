"""Strategies: a question in one cell becomes a chain of calls."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Literal

from aqaudit.prompts import template
from aqaudit.prompts.framing import statement
from aqaudit.prompts.template import WORDING, fill, load, parts
from aqaudit.records import LETTERS, Chain, Step

if TYPE_CHECKING:
    from aqaudit.records import AnswerWords, Framing, Kind, Question, Scale

Medium = Literal["image", "frames", "video"]

names = template.strategies


def chain(
    question: Question,
    strategy: str,
    framing: Framing,
    answer_words: AnswerWords,
    medium: Medium,
    option_order: tuple[int, ...] = (),
) -> Chain:
    """Return the calls that ask ``question``, exactly as they will be sent but for the media.

    Parameters
    ----------
    medium
        What stands in the places of media: one picture, frames of a clip, or a clip.
    option_order
        For ``choose``: ``option_order[i]`` is the index of the option shown at place ``i``.

    Raises
    ------
    BadInput
        The strategy is not known, or has no wording for this kind of question.
    """
    worded = statement(question, framing) if question.kind in {"verify", "detect"} else ""
    return _chain(
        strategy,
        question.kind,
        framing,
        answer_words,
        medium,
        question.performance.action,
        worded,
        question.text,
        tuple(question.options[i] for i in option_order),
        question.scale,
    )


def check(strategy: str, kind: Kind, framing: Framing) -> None:
    """Check that a strategy has a wording for a kind of question in a framing.

    Raises
    ------
    BadInput
        It has none, or the strategy is not known.
    """
    load(strategy).section(f"{kind} {framing}", kind)


@lru_cache(maxsize=4096)
def _chain(
    strategy: str,
    kind: Kind,
    framing: Framing,
    answer_words: AnswerWords,
    medium: Medium,
    action: str,
    worded: str,
    text: str,
    options: tuple[str, ...],
    scale: Scale | None,
) -> Chain:
    texts, wording = load(strategy), load(WORDING)
    form = answer_words if kind in {"verify", "detect"} else kind
    fields = {
        "action": action,
        "statement": worded,
        "question": text,
        "aspect": text,
        "options": "\n".join(f"{LETTERS[i]}) {option}" for i, option in enumerate(options)),
        "answer_format": wording.section(f"answer {form}")[0][1],
        "shown_first": wording.section(f"shown {medium}")[0][1],
        **(_scale_fields(scale) if scale else {}),
    }
    fields["answer_format"] = fill(fields["answer_format"], fields)
    steps = texts.section(f"{kind} {framing}", kind)
    return Chain(
        prompt_id=f"{texts.id}+{wording.id}/{kind}",
        steps=tuple(Step(name=name, parts=parts(body, fields)) for name, body in steps),
    )


def _scale_fields(scale: Scale) -> dict[str, str]:
    return {
        "scale_min": f"{scale.min:g}",
        "scale_max": f"{scale.max:g}",
        "scale_step": f" in steps of {scale.step:g}" if scale.step else "",
        "scale_unit": f" {scale.unit}" if scale.unit else "",
    }
