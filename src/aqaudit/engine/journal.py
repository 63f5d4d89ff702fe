"""The journal: one SQLite file that holds every answer, committed one by one, and what is needed to go on.

Tables: ``answers`` (the columns of the answers table), ``failures``, ``calls`` (texts of a chain's earlier steps),
``keys`` and ``texts`` (what each answer key was made of), ``shown`` (which files a showing led to) and ``meta``.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, fields
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import polars as pl

from aqaudit.core.keys import digest
from aqaudit.core.records import BadInput, MediaPart, Request, Shown
from aqaudit.core.schema import Answer
from aqaudit.core.table import SCHEMA

_VERSION = "1"
_SQL_TYPES: dict[type, str] = {pl.Int64: "INTEGER", pl.Boolean: "INTEGER", pl.Float64: "REAL"}
_COLUMNS = tuple(SCHEMA)
_LISTS = frozenset(name for name, dtype in SCHEMA.items() if isinstance(dtype, pl.List))
_INSERT = f"INSERT OR IGNORE INTO answers ({', '.join(_COLUMNS)}) VALUES ({', '.join('?' * len(_COLUMNS))})"
#: SQLite's primary result codes for what keeps a journal from being written: a disk, or a quota on it, that is full, a
#: write that fails, a file that somebody else holds or has made read-only.
_FULL = frozenset(
    {sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_BUSY, sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN}
)
#: Seconds to wait for another program that holds the file.
_PATIENCE_S = 10.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """A request that brought no answer, as it is kept; it is asked again on a rerun."""

    answer_key: str
    study: str
    dataset: str
    task: str
    kind: str
    model: str
    question_id: str
    performance_id: str
    cause: str
    message: str
    status: int | None
    attempts: int
    failed_at: datetime
    endpoint: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class EarlierCall:
    """The reply to one of a chain's steps before the last."""

    step: int
    name: str
    said: str
    reasoning: str | None
    finish_reason: str | None
    input_tokens: int | None
    output_tokens: int | None
    reasoning_tokens: int | None
    seconds: float
    usd: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class FollowUp:
    """A reply to something asked about an answer: ``purpose`` says what, ``part`` which version or part of it."""

    key: str
    answer_key: str
    purpose: str
    model: str
    part: str
    said: str
    finish_reason: str | None
    model_version: str | None
    input_tokens: int | None
    output_tokens: int | None
    seconds: float
    usd: float | None
    asked_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """New values of a stored answer's columns; ``item`` is the new digest of its item, where labels changed."""

    answer_key: str
    columns: dict[str, object]
    item: str | None = None


class DiskFullError(OSError):
    """The journal could not be written; nothing more may be asked."""


_FAILURE_COLUMNS = tuple(f.name for f in fields(Failure))
_CALL_COLUMNS = tuple(f.name for f in fields(EarlierCall))
_FOLLOW_UP_COLUMNS = tuple(f.name for f in fields(FollowUp))
_ANSWER_COLUMNS = ", ".join(f"{name} {_SQL_TYPES.get(type(dtype), 'TEXT')}" for name, dtype in SCHEMA.items())
_TABLES = tuple(
    f"CREATE TABLE IF NOT EXISTS {table}"
    for table in (
        f"answers ({_ANSWER_COLUMNS}, PRIMARY KEY (answer_key))",
        f"failures ({', '.join(_FAILURE_COLUMNS)}, PRIMARY KEY (answer_key))",
        f"calls (answer_key, {', '.join(_CALL_COLUMNS)}, PRIMARY KEY (answer_key, step))",
        f"followups ({', '.join(_FOLLOW_UP_COLUMNS)}, PRIMARY KEY (key))",
        "keys (answer_key PRIMARY KEY, sources, shown, prompt, model, draw, item) WITHOUT ROWID",
        "texts (sha256 PRIMARY KEY, text) WITHOUT ROWID",
        "shown (key PRIMARY KEY, files) WITHOUT ROWID",
        "meta (key PRIMARY KEY, value) WITHOUT ROWID",
    )
)


class Journal:
    """The store of one run folder. All methods are quick; one instance is used from one thread at a time."""

    def __init__(self, path: Path, *, read_only: bool = False) -> None:
        self.path = path
        if read_only:
            self._db = sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True, check_same_thread=False)
        else:
            self._db = sqlite3.connect(path, check_same_thread=False, isolation_level=None, timeout=_PATIENCE_S)
        if read_only:
            return
        self._db.execute("PRAGMA journal_mode = WAL")
        # FULL survives a power cut too: an answer may have cost money.
        self._db.execute("PRAGMA synchronous = FULL")
        with self._transaction():
            self._create()

    def _create(self) -> None:
        for statement in _TABLES:
            self._db.execute(statement)
        self._db.execute("INSERT OR IGNORE INTO meta VALUES ('journal_version', ?)", (_VERSION,))
        found = self.meta("journal_version")
        if found != _VERSION:
            raise BadInput(f"{self.path}: journal version {found}; this AQAudit reads version {_VERSION}")

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        try:
            self._db.execute("BEGIN IMMEDIATE")
            yield
            self._db.execute("COMMIT")
        except BaseException as error:
            if self._db.in_transaction:
                with suppress(sqlite3.OperationalError):  # it may have been rolled back by what went wrong
                    self._db.execute("ROLLBACK")
            if isinstance(error, sqlite3.OperationalError) and (error.sqlite_errorcode & 0xFF) in _FULL:
                raise DiskFullError(f"{self.path}: cannot be written: {error}") from error
            raise

    def close(self) -> None:
        """Close the file."""
        self._db.close()

    # --- what is there -------------------------------------------------------------------------------------------

    def meta(self, key: str) -> str | None:
        """Return a stored fact about the run."""
        row = self._db.execute("SELECT value FROM meta WHERE key = ?", (key,)).fetchone()
        return None if row is None else str(row[0])

    def begun(self) -> bool:
        """Tell whether a run has made its tables in this file; one that was killed before leaves it without any.

        Raises
        ------
        BadInput
            It is a database of something else, or of another version.
        """
        tables = {row[0] for row in self._db.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
        if tables and "meta" not in tables:
            raise BadInput(f"{self.path}: is a database, but not the journal of a run")
        found = self.meta("journal_version") if tables else None
        if found not in {None, _VERSION}:
            raise BadInput(f"{self.path}: journal version {found}; this AQAudit reads version {_VERSION}")
        return bool(tables)

    def items_of(self, keys: Sequence[str]) -> dict[str, str]:
        """Return, for those of ``keys`` that are answered, the digest of the item as it was stored."""
        marks = ",".join("?" * len(keys))
        return dict(self._db.execute(f"SELECT answer_key, item FROM keys WHERE answer_key IN ({marks})", keys))

    def answered(self) -> set[str]:
        """Return the keys of all answers."""
        return {row[0] for row in self._db.execute("SELECT answer_key FROM answers")}

    def failed_of(self, keys: Sequence[str]) -> set[str]:
        """Return those of ``keys`` that failed."""
        marks = ",".join("?" * len(keys))
        rows = self._db.execute(f"SELECT answer_key FROM failures WHERE answer_key IN ({marks})", keys)
        return {row[0] for row in rows}

    def earlier_calls(self, key: str) -> list[EarlierCall]:
        """Return the replies that an unfinished chain already has, in order of its steps."""
        query = f"SELECT {', '.join(_CALL_COLUMNS)} FROM calls WHERE answer_key = ? ORDER BY step"
        return [EarlierCall(**dict(zip(_CALL_COLUMNS, row, strict=True))) for row in self._db.execute(query, (key,))]

    def spent(self) -> tuple[float, int, int, int]:
        """Return money in USD, input tokens, output tokens, and how many answers have no known price."""
        usd, tokens_in, tokens_out, unknown = self._db.execute(
            "SELECT total(usd), coalesce(sum(input_tokens), 0), coalesce(sum(output_tokens), 0), "
            "coalesce(sum(usd IS NULL), 0) FROM answers"
        ).fetchone()
        lost = self._db.execute(
            "SELECT total(usd) FROM calls WHERE answer_key NOT IN (SELECT answer_key FROM answers)"
        ).fetchone()
        after = self._db.execute("SELECT total(usd) FROM followups").fetchone() if self._has("followups") else (0.0,)
        return usd + lost[0] + after[0], tokens_in, tokens_out, unknown

    def _has(self, table: str, schema: str = "main") -> bool:
        # Journals of earlier versions lack the tables that were added since.
        return self._db.execute(f"SELECT 1 FROM {schema}.sqlite_master WHERE name = ?", (table,)).fetchone() is not None

    def reasoned(self) -> list[str]:
        """Return the keys of answers to unperturbed clips that may hold reasoning, in the order they came."""
        # A verdict in its tags is shorter than this: most rows of most runs need not be read again.
        query = "SELECT answer_key FROM answers WHERE perturbation = 'none' AND (reasoning != '' OR length(said) > 30)"
        return [row[0] for row in self._db.execute(query)]

    def reasonings(self, keys: Sequence[str]) -> dict[str, tuple[str | None, str | None]]:
        """Return ``reasoning`` and ``said`` of those of ``keys`` that are answered."""
        marks = ",".join("?" * len(keys))
        rows = self._db.execute(f"SELECT answer_key, reasoning, said FROM answers WHERE answer_key IN ({marks})", keys)
        return {key: (reasoning, said) for key, reasoning, said in rows}

    def counts(self) -> tuple[int, dict[str, dict[str, int]]]:
        """Return how many answers there are, and how many failures by model and cause."""
        answered = self._db.execute("SELECT count(*) FROM answers").fetchone()[0]
        failed: dict[str, dict[str, int]] = {}
        for model, cause, n in self._db.execute("SELECT model, cause, count(*) FROM failures GROUP BY model, cause"):
            failed.setdefault(model, {})[cause] = n
        return answered, failed

    def answered_by_model(self) -> dict[str, int]:
        """Return the number of answers of each model."""
        return dict(self._db.execute("SELECT model, count(*) FROM answers GROUP BY model"))

    def recent_rate(self) -> float | None:
        """Return answers a second over the last 500 answers, None with fewer than two."""
        times = [
            datetime.fromisoformat(row[0])
            for row in self._db.execute("SELECT asked_at FROM answers ORDER BY rowid DESC LIMIT 500")
        ]
        seconds = (max(times) - min(times)).total_seconds() if len(times) > 1 else 0.0
        return (len(times) - 1) / seconds if seconds else None

    def shown(self, key: str, folder: Path) -> Shown | None:
        """Return what an earlier preparation of the same showing led to, if its files are still there."""
        row = self._db.execute("SELECT files FROM shown WHERE key = ?", (key,)).fetchone()
        if row is None:
            return None
        stored = json.loads(row[0])
        parts = tuple(MediaPart(**{**part, "path": folder / part["path"]}) for part in stored.pop("parts"))
        if not all(_is_whole(part) for part in parts):
            return None
        return Shown(**{**stored, "parts": parts, "times_s": tuple(stored["times_s"])})

    # --- what is kept --------------------------------------------------------------------------------------------

    def set_meta(self, facts: dict[str, str]) -> None:
        """Store facts about the run."""
        with self._transaction():
            self._db.executemany("INSERT OR REPLACE INTO meta VALUES (?, ?)", facts.items())

    def add(self, answer: Answer, request: Request, item: str) -> None:
        """Keep an answer: one commit. A failure of the same request is forgotten.

        Raises
        ------
        DiskFullError
            It could not be written.
        """
        texts = request.key_fields[1:]
        with self._transaction():
            self._db.execute(_INSERT, _row(answer))
            self._db.executemany("INSERT OR IGNORE INTO texts VALUES (?, ?)", ((digest(t), t) for t in texts))
            self._db.execute(
                "INSERT OR REPLACE INTO keys VALUES (?, ?, ?, ?, ?, ?, ?)",
                (request.answer_key, request.key_fields[0], *(digest(t) for t in texts), item),
            )
            self._db.execute("DELETE FROM failures WHERE answer_key = ?", (request.answer_key,))

    def fail(self, failure: Failure) -> None:
        """Keep a failure."""
        row = tuple(_cell(value) for value in asdict(failure).values())
        with self._transaction():
            self._db.execute(f"INSERT OR REPLACE INTO failures VALUES ({', '.join('?' * len(row))})", row)

    def add_call(self, key: str, call: EarlierCall) -> None:
        """Keep the reply to one of a chain's earlier steps: it was paid for even if a later step fails."""
        with self._transaction():
            self._db.execute(
                f"INSERT OR REPLACE INTO calls VALUES ({', '.join('?' * (len(_CALL_COLUMNS) + 1))})",
                (key, *(_cell(getattr(call, name)) for name in _CALL_COLUMNS)),
            )

    def follow_up_keys(self, *purposes: str) -> set[str]:
        """Return the keys of the follow-ups that brought a reply, for some purposes."""
        marks = ",".join("?" * len(purposes))
        return {row[0] for row in self._db.execute(f"SELECT key FROM followups WHERE purpose IN ({marks})", purposes)}

    def follow_ups(self, *purposes: str) -> list[FollowUp]:
        """Return the replies to follow-ups for some purposes, by answer and key."""
        columns, marks = ", ".join(_FOLLOW_UP_COLUMNS), ",".join("?" * len(purposes))
        query = f"SELECT {columns} FROM followups WHERE purpose IN ({marks}) ORDER BY answer_key, key"
        return [
            FollowUp(**{**dict(zip(_FOLLOW_UP_COLUMNS, row, strict=True)), "asked_at": datetime.fromisoformat(row[-1])})
            for row in self._db.execute(query, purposes)
        ]

    def add_follow_up(self, reply: FollowUp) -> None:
        """Keep the reply to a follow-up: one commit."""
        row = tuple(_cell(value) for value in asdict(reply).values())
        with self._transaction():
            self._db.execute(f"INSERT OR IGNORE INTO followups VALUES ({', '.join('?' * len(row))})", row)

    def add_shown(self, key: str, shown: Shown, folder: Path) -> None:
        """Remember which files a showing led to."""
        stored = asdict(shown)
        for part in stored["parts"]:
            part["path"] = str(Path(part["path"]).relative_to(folder))
        with self._transaction():
            self._db.execute("INSERT OR REPLACE INTO shown VALUES (?, ?)", (key, json.dumps(stored)))

    def update(self, changes: Sequence[Change]) -> None:
        """Change columns of stored answers (labels that were corrected, texts that were parsed anew) in one commit."""
        if not changes:
            return
        with self._transaction():
            for change in changes:
                assignments = ", ".join(f"{name} = ?" for name in change.columns)
                self._db.execute(
                    f"UPDATE answers SET {assignments} WHERE answer_key = ?",
                    (*(_cell(value) for value in change.columns.values()), change.answer_key),
                )
                if change.item is not None:
                    self._db.execute("UPDATE keys SET item = ? WHERE answer_key = ?", (change.item, change.answer_key))

    def rows(self, columns: Sequence[str]) -> Iterator[dict[str, object]]:
        """Yield stored answers, restricted to ``columns``; lists are decoded."""
        cursor = self._db.cursor()
        for row in cursor.execute(f"SELECT {', '.join(columns)} FROM answers"):
            yield {
                name: json.loads(value) if name in _LISTS and value is not None else value
                for name, value in zip(columns, row, strict=True)
            }

    def failures(self) -> pl.DataFrame:
        """Return the failures as a frame."""
        schema = {name: pl.Int64 if name in {"status", "attempts"} else pl.String for name in _FAILURE_COLUMNS}
        return pl.read_database("SELECT * FROM failures ORDER BY rowid", self._db, schema_overrides=schema)

    def absorb(self, other: Path) -> int:
        """Take over everything another journal of the same study holds; return the number of new answers."""
        before = self.counts()[0]
        self._db.execute("ATTACH DATABASE ? AS other", (str(other),))
        try:
            with self._transaction():
                for name in ("answers", "keys", "texts", "calls", "followups", "shown", "failures"):
                    if not self._has(name, "other"):
                        continue
                    self._db.execute(f"INSERT OR IGNORE INTO main.{name} SELECT * FROM other.{name}")
                self._db.execute("DELETE FROM failures WHERE answer_key IN (SELECT answer_key FROM answers)")
        finally:
            self._db.execute("DETACH DATABASE other")
        return self.counts()[0] - before


def _row(answer: Answer) -> tuple[Any, ...]:
    return tuple(_cell(getattr(answer, name)) for name in _COLUMNS)


def _cell(value: object) -> Any:
    """Return a value as SQLite takes it: lists as JSON, times as text in UTC."""
    if isinstance(value, list):
        value = json.dumps(value, ensure_ascii=False)
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat(timespec="microseconds")
    if isinstance(value, str) and not value.isascii():
        # Half a character, as a server may send of a picture sign that its token limit cut in two, cannot be stored.
        return value.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return value


def _is_whole(part: MediaPart) -> bool:
    try:
        return part.path.stat().st_size == part.size
    except OSError:
        return False
