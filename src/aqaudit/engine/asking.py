"""Asking one request: media and text into calls, the chain's replies into one row of the answers table."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, TypeVar

from aqaudit.core.records import MediaPart, Performance, Question, Request, Shown, Slot, Step
from aqaudit.core.schema import Answer
from aqaudit.engine.journal import EarlierCall
from aqaudit.engine.parse import PARSED_COLUMNS, Expected, Parsed, parse
from aqaudit.models.call import Call, Reply
from aqaudit.models.settings import ModelEntry
from aqaudit.prompts.framing import option_words

#: The kind of file that goes into a prompt as words.
TEXT = "text/plain"

Number = TypeVar("Number", int, float)

#: The columns that say what was asked about and what is true of it: they follow the data set when labels change.
ITEM_COLUMNS = (
    "split", "task", "performance_id", "other_id", "pair_id", "performer", "video", "action", "criterion", "error",
    "severity", "tolerance", "unit", "family", "tags", "gold_correct", "gold_score", "other_gold_score", "gold_choice",
    "gold_prefer", "scale_min", "scale_max",
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Timed:
    """A reply and how long it took."""

    reply: Reply
    seconds: float


def item_columns(question: Question) -> dict[str, Any]:
    """Return the columns of :data:`ITEM_COLUMNS` for a question."""
    return dict(zip(ITEM_COLUMNS, _item_values(question), strict=True))


def item_digest(question: Question) -> str:
    """Return a short digest of the item columns: it changes when a label does."""
    return hashlib.blake2b(repr(_item_values(question)).encode(), digest_size=8).hexdigest()


def _item_values(question: Question) -> tuple[object, ...]:
    performance, severity = question.performance, question.severity
    return (
        performance.split or None,
        question.task,
        performance.id,
        question.other.id if question.other else None,
        question.pair_id,
        performance.performer,
        performance.video,
        performance.action,
        question.criterion,
        question.error,
        severity.value if severity else None,
        severity.tolerance if severity else None,
        severity.unit if severity else None,
        performance.family,
        _tags(question),
        question.gold_correct,
        question.gold_score,
        question.other_gold_score,
        question.gold_choice,
        question.gold_prefer,
        question.scale.min if question.scale else None,
        question.scale.max if question.scale else None,
    )


def _tags(question: Question) -> str | None:
    """Return the tags, and for swapped clips whose clip is shown and what is true of it, as JSON."""
    tags: dict[str, object] = dict(question.performance.tags)
    for name, shown in zip(("shown_id", "shown_other_id"), question.instead, strict=False):
        tags[name] = shown.id
    if len(question.instead) == 1:
        tags |= _truth_shown(question, question.instead[0])
    return json.dumps(tags, sort_keys=True) if tags else None


def _truth_shown(question: Question, shown: Performance) -> dict[str, object]:
    """Return the truth about the clip that is shown, as far as the data set knows it."""
    subject = question.criterion or ""
    if question.kind == "verify" and subject in shown.criteria:
        return {"shown_gold_correct": shown.criteria[subject]}
    if question.kind == "detect" and question.error in shown.errors:
        return {"shown_gold_correct": shown.errors[question.error or ""] == ()}
    if question.kind == "score" and subject in shown.scores:
        return {"shown_gold_score": shown.scores[subject]}
    if question.kind == "choose" and subject in shown.choices:
        return {"shown_gold_choice": shown.choices[subject]}
    return {}


def _expected(request: Request) -> Expected:
    question = request.question
    return Expected(
        kind=question.kind,
        framing=request.cell.framing,
        answer_words=request.cell.answer_words,
        options=question.options,
        option_order=request.option_order,
        pair_order=request.cell.pair_order,
        scale_min=question.scale.min if question.scale else None,
        scale_max=question.scale.max if question.scale else None,
    )


async def ask_chain(
    request: Request,
    shown: Sequence[Shown],
    earlier: Sequence[EarlierCall],
    ask: Callable[[Call], Awaitable[Timed]],
    keep: Callable[[EarlierCall], Awaitable[None]],
) -> tuple[Timed, list[EarlierCall]]:
    """Ask a chain's steps in turn; return the last reply and the earlier ones.

    Parameters
    ----------
    shown
        What is shown: the performances asked about in their order, then those of the examples.
    earlier
        Replies that an interrupted attempt already brought: those steps are not asked again.
    ask
        Asks one call, with retries.
    keep
        Stores the reply of an earlier step at once.

    Raises
    ------
    AskFailed
        A step brought no answer.
    """
    steps = request.chain.steps
    done = list(earlier[: len(steps) - 1])
    for index in range(len(done), len(steps)):
        final = index == len(steps) - 1
        timed = await ask(_call(request, shown, done, index))
        if final:
            return timed, done
        done.append(_earlier(index, steps[index].name, timed))
        await keep(done[-1])
    raise AssertionError("a chain has at least one step")


def final_call(request: Request, shown: Sequence[Shown], earlier: Sequence[EarlierCall]) -> Call:
    """Return the last call of a chain, given the replies to its earlier steps."""
    return _call(request, shown, earlier, len(request.chain.steps) - 1)


def _call(request: Request, shown: Sequence[Shown], done: Sequence[EarlierCall], index: int) -> Call:
    steps = request.chain.steps
    final = index == len(steps) - 1
    return Call(
        parts=_parts(steps[index], shown, done, 1 if request.question.other is None else 2),
        request=request,
        option_words=option_words(request.question, request.cell.answer_words) if final else (),
        seed=request.seed,
        final=final,
    )


def _parts(step: Step, shown: Sequence[Shown], done: Sequence[EarlierCall], asked: int) -> tuple[str | MediaPart, ...]:
    parts: list[str | MediaPart] = []
    for part in step.parts:
        if not isinstance(part, Slot):
            parts.append(part)
        elif part.name == "step":
            parts.append(done[(part.step or 1) - 1].said)
        else:
            parts.extend(_sent(one) for one in shown[_place(part, asked)].parts)
    return tuple(parts)


def _sent(part: MediaPart) -> str | MediaPart:
    return part.path.read_text(encoding="utf-8") if part.mime == TEXT else part


def _place(slot: Slot, asked: int) -> int:
    """Return which of the shown performances stands in a slot: examples come behind the ``asked`` ones."""
    if slot.name == "shot":
        return asked + (slot.step or 1) - 1
    return 0 if slot.name == "first" else 1


def _earlier(index: int, name: str, timed: Timed) -> EarlierCall:
    reply = timed.reply
    return EarlierCall(
        step=index,
        name=name,
        said=reply.text,
        reasoning=reply.reasoning,
        finish_reason=reply.finish_reason,
        input_tokens=reply.input_tokens,
        output_tokens=reply.output_tokens,
        reasoning_tokens=reply.reasoning_tokens,
        seconds=timed.seconds,
        usd=reply.usd,
    )


def answer_row(
    request: Request,
    entry: ModelEntry,
    *,
    study: str,
    endpoint: str,
    shown: Sequence[Shown],
    timed: Timed,
    earlier: Sequence[EarlierCall],
) -> Answer:
    """Return the row of the answers table for a request that was answered."""
    question, cell, reply = request.question, request.cell, timed.reply
    logprobs = dict(reply.option_logprobs) if reply.option_logprobs else None
    parsed = parse(reply.text, _expected(request), finish_reason=reply.finish_reason, option_logprobs=logprobs)
    first = shown[0]
    calls = [*earlier, _earlier(len(earlier), "answer", timed)]
    return Answer(
        answer_key=request.answer_key,
        study=study,
        dataset=question.dataset,
        kind=question.kind,
        model=cell.model,
        model_version=reply.model_version,
        thinking=entry.thinking,
        temperature=entry.temperature,
        max_tokens=entry.max_output_tokens,
        view=cell.view,
        strategy=cell.strategy,
        framing=cell.framing,
        answer_words=cell.answer_words if question.kind in {"verify", "detect"} else None,
        perturbation=cell.perturbation,
        media_form=_form_sent(shown),
        fps_asked=cell.sampling,
        fps_sent=first.fps,
        frames_sent=sum(s.frames for s in shown),
        width=first.width or None,
        height=first.height or None,
        shots=cell.shots,
        pair_order=cell.pair_order if question.kind == "prefer" else None,
        option_order=list(request.option_order) or None,
        repeat=cell.repeat,
        seed=request.seed,
        prompt_id=request.chain.prompt_id,
        question_id=question.question_id,
        options=list(question.options) or None,
        said=reply.text,
        reasoning=_reasoning(earlier, reply),
        finish_reason=reply.finish_reason,
        option_logprobs=json.dumps(logprobs) if logprobs else None,
        calls=len(calls),
        input_tokens=_total([c.input_tokens for c in calls]),
        output_tokens=_total([c.output_tokens for c in calls]),
        reasoning_tokens=_total([c.reasoning_tokens for c in calls]),
        seconds=sum(c.seconds for c in calls),
        usd=_total([c.usd for c in calls]),
        asked_at=datetime.now(UTC),
        endpoint=endpoint,
        media_sha256=[part.sha256 for s in shown for part in s.parts] or None,
        **_parsed_columns(parsed),
        **item_columns(question),
    )


def _parsed_columns(parsed: Parsed) -> dict[str, Any]:
    return {name: getattr(parsed, name) for name in PARSED_COLUMNS}


def _form_sent(shown: Sequence[Shown]) -> str:
    parts = [part for s in shown for part in s.parts if part.mime != TEXT]
    if not parts:
        return "none"
    return "video" if any(part.mime.startswith("video/") for part in parts) else "frames"


def _reasoning(earlier: Sequence[EarlierCall], reply: Reply) -> str | None:
    # The texts of earlier steps are kept on their own; the column holds the thinking behind the final answer.
    thoughts = [text for text in (*(call.reasoning for call in earlier), reply.reasoning) if text]
    return "\n\n".join(thoughts) or None


def _total(values: Sequence[Number | None]) -> Number | None:
    """Sum, or nothing when any part is unknown: half a cost would look like a whole one."""
    known = [value for value in values if value is not None]
    return sum(known[1:], known[0]) if known and len(known) == len(values) else None
