"""The answer: one row of the table that joins the two halves."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """One row of the answers table: one question asked once; the final answer of a chain, its costs summed.

    The fields are the columns, in order; their meaning is in the contract of the table (:mod:`aqaudit.table`).
    Whether an answer is right is never stored.
    """

    # identity
    answer_key: str
    study: str
    schema_version: int = 1
    # cell
    dataset: str
    split: str | None = None
    task: str
    kind: str
    model: str
    model_version: str | None = None
    thinking: str | None = None
    temperature: float | None = None
    max_tokens: int | None = None
    view: str = "rgb"
    strategy: str = "base"
    framing: str
    answer_words: str | None = None
    perturbation: str = "none"
    media_form: str | None = None
    fps_asked: str | None = None
    fps_sent: float | None = None
    frames_sent: int | None = None
    width: int | None = None
    height: int | None = None
    shots: int = 0
    pair_order: str | None = None
    option_order: list[int] | None = None
    repeat: int = 0
    seed: int | None = None
    prompt_id: str | None = None
    # item
    question_id: str
    performance_id: str
    other_id: str | None = None
    pair_id: str | None = None
    performer: str
    video: str | None = None
    action: str | None = None
    criterion: str | None = None
    error: str | None = None
    severity: float | None = None
    tolerance: float | None = None
    unit: str | None = None
    family: str | None = None
    tags: str | None = None
    options: list[str] | None = None
    # truth
    gold_correct: bool | None = None
    gold_score: float | None = None
    other_gold_score: float | None = None
    gold_choice: str | None = None
    gold_prefer: str | None = None
    scale_min: float | None = None
    scale_max: float | None = None
    # answer
    said: str | None = None
    answered: str | None = None
    reasoning: str | None = None
    parse: str = "ok"
    finish_reason: str | None = None
    says_correct: bool | None = None
    score: float | None = None
    choice: str | None = None
    prefer: str | None = None
    p_correct: float | None = None
    option_logprobs: str | None = None
    # cost
    calls: int = 1
    input_tokens: int | None = None
    output_tokens: int | None = None
    reasoning_tokens: int | None = None
    seconds: float | None = None
    usd: float | None = None
    asked_at: datetime | None = None
    endpoint: str | None = None
    media_sha256: list[str] | None = None
