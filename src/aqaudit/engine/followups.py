"""Follow-ups: replies to what a run asks about its answers afterwards, as the journal keeps them."""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable
    from contextlib import AbstractContextManager


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


_COLUMNS = tuple(f.name for f in fields(FollowUp))
TABLE = f"followups ({', '.join(_COLUMNS)}, PRIMARY KEY (key))"


class FollowUps:
    """The follow-ups of a journal."""

    def __init__(self, db: sqlite3.Connection, transaction: Callable[[], AbstractContextManager[None]]) -> None:
        self._db = db
        self._transaction = transaction

    def keys(self, *purposes: str) -> set[str]:
        """Return the keys of what brought a reply, for some purposes."""
        marks = ",".join("?" * len(purposes))
        return {row[0] for row in self._db.execute(f"SELECT key FROM followups WHERE purpose IN ({marks})", purposes)}

    def of(self, *purposes: str) -> list[FollowUp]:
        """Return the replies for some purposes, by answer and key."""
        marks = ",".join("?" * len(purposes))
        query = f"SELECT {', '.join(_COLUMNS)} FROM followups WHERE purpose IN ({marks}) ORDER BY answer_key, key"
        return [
            FollowUp(**{**dict(zip(_COLUMNS, row, strict=True)), "asked_at": datetime.fromisoformat(row[-1])})
            for row in self._db.execute(query, purposes)
        ]

    def add(self, reply: FollowUp) -> None:
        """Keep a reply: one commit."""
        row = tuple(_cell(value) for value in asdict(reply).values())
        with self._transaction():
            self._db.execute(f"INSERT OR IGNORE INTO followups VALUES ({', '.join('?' * len(row))})", row)


def _cell(value: object) -> Any:
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat(timespec="microseconds")
    # Half a character, as a server may send of a picture sign that its token limit cut in two, cannot be stored.
    return value.encode("utf-16", "surrogatepass").decode("utf-16", "replace") if isinstance(value, str) else value
