"""The answers table: its columns, reading, checking, writing, completing tables of others, and which answers are right.

One row is one question asked once. :data:`SCHEMA` is derived from :class:`aqaudit.core.schema.Answer`, so that record
and table cannot drift apart. Right of this table everything is a pure function of a Polars frame.
"""

from __future__ import annotations

import json
import sqlite3
import typing
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import fields
from datetime import datetime
from pathlib import Path
from typing import Any, get_args

import polars as pl
from polars.io.plugins import register_io_source

from aqaudit.core import records
from aqaudit.core.records import BadInput, nearest
from aqaudit.core.schema import Answer, cast, shown

SCHEMA_VERSION = 1
#: A score this near the truth, as a share of its scale, is shown as right.
NEAR = 0.1
#: Endings of answers files of our own.
SUFFIXES = (".parquet", ".jsonl", ".ndjson", ".sqlite", ".db")

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
#: Rows of an SQLite table that are held at once as Python objects.
_BATCH = 2000


def read_table(path: Path) -> pl.DataFrame:
    """Return the answers of a Parquet, SQLite or JSON Lines file as they are written there.

    Raises
    ------
    BadInput
        The file has another ending, or cannot be read.
    """
    match path.suffix:
        case ".parquet":
            read = _read_parquet
        case ".jsonl" | ".ndjson":
            read = _read_jsonl
        case ".sqlite" | ".db":
            read = _read_sqlite
        case suffix:
            raise BadInput(f"{path}: answers are read from {', '.join(SUFFIXES)}, not from '{suffix}'")
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
    try:
        return pl.read_ndjson(path, infer_schema_length=None)
    except pl.exceptions.PolarsError:
        lines = _json_lines(path)
        if not lines:
            raise BadInput(f"{path}: holds no answers; each line is one JSON object") from None
        # Polars takes no byte order mark; what else it did not take, it must say itself.
        return pl.read_ndjson("\n".join(lines).encode(), infer_schema_length=None)


def _json_lines(path: Path) -> list[str]:
    """Return the lines of a file that hold something, each checked to be one JSON object."""
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise BadInput(f"{path}: byte {error.start + 1} is not UTF-8 text") from None
    lines = []
    for number, line in enumerate(text.split("\n"), 1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except json.JSONDecodeError as error:
            raise BadInput(f"{path}: line {number} is not JSON: {error.msg} at column {error.colno}") from None
        except (ValueError, RecursionError):
            raise BadInput(f"{path}: line {number} is not a row of answers") from None
        if not isinstance(row, dict):
            raise BadInput(f"{path}: line {number} holds {line[:40]!r}; allowed: one JSON object")
        lines.append(line)
    return lines


def _read_sqlite(path: Path) -> pl.DataFrame:
    try:
        return pl.concat(_sqlite_frames(path))
    except (pl.exceptions.PolarsError, TypeError, OverflowError):
        # SQLite lets any value stand in any column. As text all can be read, and normalise() names the one that is odd.
        return pl.concat(_sqlite_frames(path, as_text=True))


def _sqlite_frames(path: Path, *, as_text: bool = False) -> Iterator[pl.DataFrame]:
    """Yield the rows of ``answers`` as frames of a few thousand; the first has none."""
    with closing(sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True, check_same_thread=False)) as db:
        columns = [row[1] for row in db.execute("PRAGMA table_info(answers)")]
        if not columns:
            raise sqlite3.DatabaseError("it has no table 'answers'")
        schema = {c: pl.String() if as_text else _sqlite_dtype(SCHEMA[c]) for c in columns if c in SCHEMA}
        quoted = {c: '"' + c.replace('"', '""') + '"' for c in columns}
        read = (f"CAST({quoted[c]} AS TEXT)" if as_text else quoted[c] for c in schema)
        others = {c: pl.Null() for c in columns if c not in SCHEMA}  # their names are checked, nothing else
        cursor = db.execute(f"SELECT {', '.join([*read, *('NULL' for _ in others)])} FROM answers")  # noqa: S608 - quoted
        yield pl.DataFrame(schema={**schema, **others})
        while rows := cursor.fetchmany(_BATCH):
            yield pl.DataFrame(rows, schema={**schema, **others}, orient="row")


def _sqlite_dtype(dtype: pl.DataType) -> pl.DataType:
    # Lists are JSON text and booleans integers in SQLite; normalise() turns them into the column's type.
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
    frame = frame.select(cast(frame, name, dtype, source) for name, dtype in SCHEMA.items() if name in frame.columns)
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
    raise BadInput(
        f"{source}: row {row + 1} (answer_key {str(frame['answer_key'][row])[:16]}), "
        f"column '{column}': {shown(value)}; {allowed}"
    )


def write_parquet(frame: pl.DataFrame, path: Path, *, metadata: dict[str, str] | None = None) -> None:
    """Write a frame so that ``path`` holds either the old or the whole new file, never a part."""
    with _whole(path) as partial:
        frame.write_parquet(partial, compression="zstd", metadata=metadata)


def copy_to_parquet(source: Path, path: Path) -> None:
    """Write the answers of a run's SQLite file as Parquet, checked, in memory that does not grow with their number.

    Its rows have answer keys, each once.

    Raises
    ------
    BadInput
        A row breaks the schema.
    """

    def frames(*_: object) -> Iterator[pl.DataFrame]:
        for frame in _sqlite_frames(source):
            yield check(normalise(frame, source=str(source)), source=str(source))

    with _whole(path) as partial:
        register_io_source(frames, schema=SCHEMA).sink_parquet(partial, compression="zstd", row_group_size=_BATCH)


@contextmanager
def _whole(path: Path) -> Iterator[Path]:
    partial = path.with_name(f".{path.name}.part")
    try:
        yield partial
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


def right() -> pl.Expr:
    """Return whether an answer agrees with the truth; null where either is missing or the answer was not read.

    Verdicts, choices and preferences must be the same; a score must lie within :data:`NEAR` of the scale's width, or of
    the range of the true scores where the scale is not known.
    """
    kind = pl.col("kind")
    span = (pl.col("scale_max") - pl.col("scale_min")).fill_null(
        pl.col("gold_score").max() - pl.col("gold_score").min()
    )
    agrees = (
        pl.when(kind.is_in(["verify", "detect"]))
        .then(pl.col("says_correct") == pl.col("gold_correct"))
        .when(kind == "choose")
        .then(pl.col("choice") == pl.col("gold_choice"))
        .when(kind == "prefer")
        .then(pl.col("prefer") == pl.col("gold_prefer"))
        .otherwise((pl.col("score") - pl.col("gold_score")).abs() <= NEAR * span)
    )
    return pl.when(pl.col("parse") == "ok").then(agrees)


def outcome() -> pl.Expr:
    """Return ``right``, ``wrong``, ``unparsed`` (not read) or ``unknown`` (no truth to compare with)."""
    agrees = right()
    return (
        pl.when(pl.col("parse") != "ok")
        .then(pl.lit("unparsed"))
        .when(agrees)
        .then(pl.lit("right"))
        .when(~agrees)
        .then(pl.lit("wrong"))
        .otherwise(pl.lit("unknown"))
    )
