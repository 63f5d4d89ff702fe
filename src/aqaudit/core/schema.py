"""The answers table column by column: one answer as a record, and values of others turned into a column's type."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

import polars as pl

from aqaudit.core.records import BadInput


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """One row of the answers table: one question asked once; the final answer of a chain, its costs summed.

    The fields are the columns, in order; their meaning is in the contract of the table (:mod:`aqaudit.core.table`).
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


def cast(frame: pl.DataFrame, name: str, dtype: pl.DataType, source: str) -> pl.Series:
    """Return a column of a frame with the values it means in another type; empty text is no value but in text.

    Raises
    ------
    BadInput
        Naming ``source``, the first row that does not fit, the column, the value and what is allowed.
    """
    column = frame[name]
    if column.dtype == dtype:
        return column
    if column.dtype == pl.String:
        column = column.set(column.str.strip_chars() == "", None)  # an empty field of a CSV is no value
    try:
        result = _converted(column, dtype)
    except pl.exceptions.PolarsError:
        row = _first_misfit(column, dtype)
    else:
        bad = result.is_null() & column.is_not_null()
        if not bad.any():
            return result
        row = int(bad.arg_max() or 0)
    raise BadInput(f"{source}: row {row + 1}, column '{name}': {shown(column[row])} is not {_described(dtype)}")


def _converted(column: pl.Series, dtype: pl.DataType) -> pl.Series:
    if column.dtype == pl.Null:
        return column.cast(dtype)
    if column.dtype == pl.String:
        return _from_text(column, dtype)
    if isinstance(column.dtype, pl.Struct) and isinstance(dtype, pl.String):
        return column.struct.json_encode()
    if column.dtype.is_temporal() != isinstance(dtype, pl.Datetime):
        return pl.Series(column.name, [None] * len(column), dtype=dtype)  # a number is no time, a time no number
    if isinstance(dtype, pl.Int64) and column.dtype.is_float():
        return pl.select(pl.when(column == column.round()).then(column.cast(pl.Int64, strict=False))).to_series()
    return _as_boolean(column) if isinstance(dtype, pl.Boolean) else column.cast(dtype, strict=False)


def _from_text(column: pl.Series, dtype: pl.DataType) -> pl.Series:
    if isinstance(dtype, pl.List):
        return column.str.json_decode(dtype)
    if isinstance(dtype, pl.Datetime):
        return column.str.to_datetime(time_unit="us", time_zone="UTC", strict=False)
    return _as_boolean(column) if isinstance(dtype, pl.Boolean) else column.cast(dtype, strict=False)


def _as_boolean(column: pl.Series) -> pl.Series:
    if column.dtype == pl.String:
        words = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}
        return column.str.strip_chars().str.to_lowercase().replace_strict(words, default=None, return_dtype=pl.Boolean)
    if column.dtype.is_numeric():
        return pl.select(pl.when((column == 0) | (column == 1)).then(column == 1)).to_series()
    return column.cast(pl.Boolean, strict=False)


def _first_misfit(column: pl.Series, dtype: pl.DataType) -> int:
    for row in range(len(column)):
        try:
            _converted(column[row : row + 1], dtype)
        except pl.exceptions.PolarsError:
            return row
    return 0


def _described(dtype: pl.DataType) -> str:
    words: dict[type, str] = {
        pl.Boolean: "a boolean (true, false)",
        pl.Int64: "a whole number",
        pl.Float64: "a number",
        pl.String: "text",
        pl.Datetime: "an ISO 8601 time",
        pl.List: "a list",
    }
    return words[type(dtype)]


def shown(value: object) -> str:
    """Return a value as messages quote it: in one line, and not too long."""
    return " ".join(repr(value.to_list() if isinstance(value, pl.Series) else value).split())[:80]
