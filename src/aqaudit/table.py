"""The answers table: its columns, reading, checking, writing, and completing tables made by other harnesses.

One row is one question asked once. :data:`SCHEMA` is derived from :class:`aqaudit.records.Answer`, so that the record
and the table cannot drift apart. Right of this table everything is a pure function of a Polars frame.
"""

from __future__ import annotations

import sqlite3
import typing
from contextlib import closing
from dataclasses import fields
from datetime import datetime
from pathlib import Path
from typing import Any, get_args

import polars as pl

from aqaudit import records
from aqaudit.records import Answer, BadInput, nearest

SCHEMA_VERSION = 1

_DTYPES: dict[object, pl.DataType] = {
    str: pl.String(),
    int: pl.Int64(),
    float: pl.Float64(),
    bool: pl.Boolean(),
    datetime: pl.Datetime("us", "UTC"),
    list[int]: pl.List(pl.Int64()),
    list[str]: pl.List(pl.String()),
}


def _schema() -> dict[str, pl.DataType]:
    hints = typing.get_type_hints(Answer, localns={"datetime": datetime})
    plain = {name: next((a for a in get_args(hint) if a is not type(None)), hint) for name, hint in hints.items()}
    # list[int] has get_args too; only unions with None are unwrapped
    plain = {name: hints[name] if hints[name] in _DTYPES else plain[name] for name in plain}
    return {f.name: _DTYPES[plain[f.name]] for f in fields(Answer)}


#: Column name -> Polars type, in the order they are written.
SCHEMA: dict[str, pl.DataType] = _schema()

#: Allowed values of the columns that have a fixed set of them.
DOMAINS: dict[str, tuple[str, ...]] = {
    "kind": records.KINDS,
    "view": get_args(records.View),
    "framing": get_args(records.Framing),
    "answer_words": get_args(records.AnswerWords),
    "perturbation": get_args(records.Perturbation),
    "media_form": get_args(records.MediaForm),
    "pair_order": get_args(records.PairOrder),
    "gold_prefer": get_args(records.Preference),
    "prefer": get_args(records.Preference),
    "parse": get_args(records.Parse),
}

#: Which gold column and which answer column a kind of question has.
TRUTH_AND_ANSWER: dict[str, tuple[str, str]] = {
    "verify": ("gold_correct", "says_correct"),
    "detect": ("gold_correct", "says_correct"),
    "choose": ("gold_choice", "choice"),
    "score": ("gold_score", "score"),
    "prefer": ("gold_prefer", "prefer"),
}

_NOT_NEGATIVE = ("repeat", "shots", "calls", "frames_sent", "input_tokens", "output_tokens", "seconds", "usd")
_UNKNOWN = "unknown"
_BATCH = 5000


def read_answers(source: str | Path) -> pl.DataFrame:
    """Read an answers table, complete it with the import defaults and check it.

    Parameters
    ----------
    source
        An output folder, or a ``.parquet``, ``.sqlite`` or ``.jsonl`` file.

    Raises
    ------
    BadInput
        The file is missing, not of these kinds, or a row breaks the schema (row, column, value and what is allowed).
    """
    path = Path(source)
    if path.is_dir():
        found = [path / f"answers.{kind}" for kind in ("sqlite", "parquet", "jsonl")]
        existing = [p for p in found if p.is_file()]
        if not existing:
            raise BadInput(f"{path}: no answers here; expected answers.sqlite, answers.parquet or answers.jsonl")
        path = existing[0]
    if not path.is_file():
        raise BadInput(f"{path}: no such answers file or folder")
    return check(normalise(_read_file(path), source=str(path)), source=str(path))


def _read_file(path: Path) -> pl.DataFrame:
    match path.suffix:
        case ".parquet":
            read = _read_parquet
        case ".jsonl" | ".ndjson":
            read = _read_jsonl
        case ".sqlite" | ".db":
            read = _read_sqlite
        case suffix:
            raise BadInput(f"{path}: answers are read from .parquet, .sqlite or .jsonl, not from '{suffix}'")
    try:
        return read(path)
    except (pl.exceptions.PolarsError, sqlite3.Error, OSError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise BadInput(f"{path}: not a readable {suffix_name(path)} file: {reason}") from error


def suffix_name(path: Path) -> str:
    """Return the kind of an answers file in words."""
    return {".parquet": "Parquet", ".sqlite": "SQLite", ".db": "SQLite"}.get(path.suffix, "JSON Lines")


def _read_parquet(path: Path) -> pl.DataFrame:
    return pl.read_parquet(path)


def _read_jsonl(path: Path) -> pl.DataFrame:
    return pl.read_ndjson(path, infer_schema_length=None)


def _read_sqlite(path: Path) -> pl.DataFrame:
    with closing(sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True)) as db:
        columns = [row[1] for row in db.execute("PRAGMA table_info(answers)")]
        if not columns:
            raise sqlite3.DatabaseError("it has no table 'answers'")
        # Lists are JSON text and booleans integers in SQLite; normalise() turns them into the column's type.
        overrides = {c: _sqlite_dtype(SCHEMA[c]) for c in columns if c in SCHEMA}
        # In batches: rows as Python objects take many times the memory of a frame.
        batches = pl.read_database(
            "SELECT * FROM answers ORDER BY rowid",
            db,
            iter_batches=True,
            batch_size=_BATCH,
            schema_overrides=overrides,
            infer_schema_length=None,
        )
        empty = pl.DataFrame(schema={c: overrides.get(c, pl.String()) for c in columns})
        return pl.concat([empty, *batches], how="vertical_relaxed")


def _sqlite_dtype(dtype: pl.DataType) -> pl.DataType:
    if isinstance(dtype, pl.List | pl.Datetime):
        return pl.String()
    return pl.Int64() if isinstance(dtype, pl.Boolean) else dtype


def normalise(frame: pl.DataFrame, *, source: str = "answers") -> pl.DataFrame:
    """Give a frame every column of :data:`SCHEMA`, with its type and the import defaults; other columns are dropped.

    ``question_id``, ``kind``, one gold and one answer column suffice. Defaults: ``performer`` = ``performance_id`` =
    ``question_id``, ``perturbation`` none, ``view`` rgb, ``strategy`` base, ``repeat`` 0, ``parse`` ok where an
    answer is present else unparsed, ``framing`` positive (negative for detect); ``model``, ``dataset`` and ``task``
    "unknown".

    Raises
    ------
    BadInput
        A needed column is missing, a column's name looks like a slip, or a value has the wrong type.
    """
    _check_names(frame, source)
    frame = frame.select(_cast(frame, name, dtype, source) for name, dtype in SCHEMA.items() if name in frame.columns)
    frame = frame.with_columns(pl.lit(None, dtype=t).alias(c) for c, t in SCHEMA.items() if c not in frame.columns)
    answered = pl.any_horizontal(pl.col(answer).is_not_null() for _, answer in TRUTH_AND_ANSWER.values())
    frame = frame.with_columns(pl.col("performance_id").fill_null(pl.col("question_id")))
    key = pl.concat_str([pl.lit("import-"), pl.int_range(pl.len()).cast(pl.String)])
    return frame.with_columns(
        pl.col("answer_key").fill_null(key),
        pl.col("study").fill_null(_UNKNOWN),
        pl.col("schema_version").fill_null(SCHEMA_VERSION),
        pl.col("performer").fill_null(pl.col("performance_id")),
        pl.col("parse").fill_null(pl.when(answered).then(pl.lit("ok")).otherwise(pl.lit("unparsed"))),
        pl.col("framing").fill_null(
            pl.when(pl.col("kind") == "detect").then(pl.lit("negative")).otherwise(pl.lit("positive"))
        ),
        *(pl.col(c).fill_null(_UNKNOWN) for c in ("model", "dataset", "task")),
        *(
            pl.col(c).fill_null(default)
            for c, default in (("perturbation", "none"), ("view", "rgb"), ("strategy", "base"))
        ),
        *(pl.col(c).fill_null(0) for c in ("repeat", "shots")),
        pl.col("calls").fill_null(1),
    ).select(*SCHEMA)


def _check_names(frame: pl.DataFrame, source: str) -> None:
    known = set(frame.columns) & set(SCHEMA)
    for name in frame.columns:
        hint = nearest(name, set(SCHEMA) - known)
        # An extra column of another harness is nobody's business; a slip in one of ours would lose answers silently.
        if name not in SCHEMA and hint.startswith("; did you mean") and name[:4] in hint:
            raise BadInput(f"{source}: unknown column '{name}'{hint} (other harnesses' own columns need other names)")
    for needed in ("question_id", "kind"):
        if needed not in known:
            raise BadInput(
                f"{source}: column '{needed}' is missing; question_id, kind, one gold and one answer suffice"
            )
    gold, answers = zip(*TRUTH_AND_ANSWER.values(), strict=True)
    if not known & set(gold) or not known & set(answers):
        raise BadInput(
            f"{source}: needs one of the truth columns {', '.join(sorted(set(gold)))} "
            f"and one of the answer columns {', '.join(sorted(set(answers)))}"
        )


def _cast(frame: pl.DataFrame, name: str, dtype: pl.DataType, source: str) -> pl.Series:
    column = frame[name]
    if column.dtype == dtype:
        return column
    try:
        result = _converted(column, dtype)
    except pl.exceptions.PolarsError:
        result = None
    if result is not None and (bad := (result.is_null() & column.is_not_null())).any() is not True:
        return result
    row = int(bad.arg_max() or 0) if result is not None else _first_misfit(column, dtype)
    raise BadInput(f"{source}: row {row + 1}, column '{name}': {column[row]!r} is not {_described(dtype)}")


def _converted(column: pl.Series, dtype: pl.DataType) -> pl.Series:
    if column.dtype == pl.Null:
        return column.cast(dtype)
    if isinstance(dtype, pl.List) and column.dtype == pl.String:
        return column.str.json_decode(dtype)
    if isinstance(dtype, pl.Datetime) and column.dtype == pl.String:
        return column.str.to_datetime(time_unit="us", time_zone="UTC", strict=False)
    if isinstance(dtype, pl.Boolean):
        return _as_boolean(column)
    if isinstance(dtype, pl.Int64) and column.dtype.is_float():
        return pl.select(pl.when(column == column.round()).then(column.cast(pl.Int64, strict=False))).to_series()
    return column.cast(dtype, strict=False)


def _as_boolean(column: pl.Series) -> pl.Series:
    if column.dtype == pl.String:
        words = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False, "": None}
        return column.str.strip_chars().str.to_lowercase().replace_strict(words, default=None, return_dtype=pl.Boolean)
    if column.dtype.is_numeric():
        return pl.select(pl.when(column.is_in([0, 1])).then(column == 1)).to_series()
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


def check(frame: pl.DataFrame, *, source: str = "answers") -> pl.DataFrame:
    """Check every value of a normalised frame against its domain; return the frame.

    Raises
    ------
    BadInput
        The first offence: row (1-based, with its answer_key), column, value and what is allowed.
    """
    for column in ("question_id", "kind", "answer_key"):
        _refuse(frame, pl.col(column).is_null(), column, "a value is needed", source)
    for column, allowed in DOMAINS.items():
        _refuse(frame, ~pl.col(column).is_in(allowed), column, f"allowed: {', '.join(allowed)}", source)
    for column, dtype in SCHEMA.items():
        if isinstance(dtype, pl.Float64):
            _refuse(frame, ~pl.col(column).is_finite(), column, "allowed: finite numbers, or nothing", source)
    for column in _NOT_NEGATIVE:
        _refuse(frame, pl.col(column) < 0, column, "allowed: 0 or more", source)
    _refuse(frame, ~pl.col("p_correct").is_between(0, 1), "p_correct", "allowed: 0 to 1", source)
    _refuse(frame, pl.col("scale_min") >= pl.col("scale_max"), "scale_min", "allowed: less than scale_max", source)
    for column in ("choice", "gold_choice"):
        stranger = pl.col("options").is_not_null() & ~pl.col("options").list.contains(pl.col(column))
        _refuse(frame, pl.col(column).is_not_null() & stranger, column, "allowed: one of the row's options", source)
    for kind, (_, answer) in TRUTH_AND_ANSWER.items():
        empty = (pl.col("kind") == kind) & (pl.col("parse") == "ok") & pl.col(answer).is_null()
        _refuse(frame, empty, answer, f"parse is ok, so a {kind} row needs it", source)
    _refuse(
        frame,
        pl.struct("answer_key", "question_id").is_duplicated(),
        "answer_key",
        "each answer once (same answer_key and question_id)",
        source,
    )
    return frame


def _refuse(frame: pl.DataFrame, offence: pl.Expr, column: str, allowed: str, source: str) -> None:
    bad = frame.select(offence.fill_null(value=False).alias("bad")).to_series()
    if not bad.any():
        return
    row = int(bad.arg_max() or 0)
    value: Any = frame[column][row]
    shown = repr(value.to_list() if isinstance(value, pl.Series) else value)[:80]
    raise BadInput(
        f"{source}: row {row + 1} (answer_key {str(frame['answer_key'][row])[:16]}), "
        f"column '{column}': {shown}; {allowed}"
    )


def to_frame(answers: list[Answer]) -> pl.DataFrame:
    """Return answers as a frame of :data:`SCHEMA`."""
    columns = {name: [getattr(a, name) for a in answers] for name in SCHEMA}
    return pl.DataFrame(columns, schema=SCHEMA)


def write_parquet(frame: pl.DataFrame, path: Path) -> None:
    """Write a frame so that ``path`` holds either the old or the whole new file, never a part."""
    partial = path.with_name(f".{path.name}.part")
    frame.write_parquet(partial, compression="zstd")
    partial.replace(path)
