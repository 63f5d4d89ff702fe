"""Columns: values as others write them (CSV, JSON, SQLite, other types) turned into a column's type, or refused."""

from __future__ import annotations

import polars as pl

from aqaudit.records import BadInput


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
        result = None
    if result is not None and (bad := (result.is_null() & column.is_not_null())).any() is not True:
        return result
    row = int(bad.arg_max() or 0) if result is not None else _first_misfit(column, dtype)
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
