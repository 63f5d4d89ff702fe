"""Rows of the answers table: what was asked, shown, answered and spent of one request, and what is true of it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, TypeVar

from aqaudit.core.records import Performance, Question, Request, Shown
from aqaudit.core.schema import Answer
from aqaudit.engine.channel import TEXT, Timed, earlier_call
from aqaudit.engine.journal import EarlierCall
from aqaudit.engine.parse import PARSED_COLUMNS, Expected, Parsed, parse
from aqaudit.models.call import Reply
from aqaudit.models.settings import ModelEntry

Number = TypeVar("Number", int, float)

#: The columns that say what was asked about and what is true of it: they follow the data set when labels change.
ITEM_COLUMNS = (
    "split", "task", "performance_id", "other_id", "pair_id", "performer", "video", "action", "criterion", "error",
    "severity", "tolerance", "unit", "family", "tags", "gold_correct", "gold_score", "other_gold_score", "gold_choice",
    "gold_prefer", "scale_min", "scale_max",
)  # fmt: skip


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
    calls = [*earlier, earlier_call(len(earlier), "answer", timed)]
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
