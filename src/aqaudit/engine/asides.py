"""Asking about answers afterwards, within the limits of the run: each reply is kept, none asked for twice."""

from __future__ import annotations

import hashlib
from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Protocol

from aqaudit.engine.attempts import Attempts
from aqaudit.engine.followups import FollowUp
from aqaudit.engine.limits import StopAsking
from aqaudit.keys import REQUEST_FORMAT, canonical_json
from aqaudit.models.call import AskFailed

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from aqaudit.engine.asking import Timed
    from aqaudit.engine.attempts import Line
    from aqaudit.engine.journal import Journal
    from aqaudit.engine.showing import Projector
    from aqaudit.models.call import Call, Model
    from aqaudit.models.catalog import ModelEntry
    from aqaudit.plan import Plan


@dataclass(slots=True, kw_only=True)
class FollowTally:
    """What was asked about answers in this run: found from before, asked now, not readable, failed by cause."""

    what: str
    found: int = 0
    asked: int = 0
    unreadable: int = 0
    failed: Counter[str] = field(default_factory=Counter)

    def line(self) -> str:
        """Return the tally in one line."""
        text = f"{self.what}: {self.asked} asked now, {self.found} found, {self.failed.total()} failed"
        return f"{text}, {self.unreadable} not readable" if self.unreadable else text


@dataclass(slots=True, kw_only=True)
class Desk:
    """What somebody who asks follow-ups works with: the way to a model, the journal, and how replies are kept."""

    line: Line
    journal: Journal
    in_journal: Callable[..., Awaitable[Any]]
    keep: Callable[..., Awaitable[bool]]
    projector: Projector
    plan: Plan
    tally: FollowTally
    done: set[str] = field(default_factory=set)

    @property
    def open(self) -> bool:
        """Whether more may be asked."""
        return not self.line.brakes.on and not self.line.breaker.opened

    async def ask(self, calls: list[Call], *, key: str, answer_key: str, purpose: str, part: str) -> str | None:
        """Ask once, keep the reply, and return its text; None where it was asked before, or brought none.

        ``calls`` are the same question in several forms: the next one is tried where a server takes the first for a bad
        request.
        """
        if key in self.done:
            self.tally.found += 1
            return None
        try:
            timed = await self._reply(calls)
        except StopAsking:
            return None
        except AskFailed as failed:
            self.tally.failed[failed.cause] += 1
            return None
        reply = timed.reply
        kept = FollowUp(
            key=key,
            answer_key=answer_key,
            purpose=purpose,
            model=self.line.name,
            part=part,
            said=reply.text,
            finish_reason=reply.finish_reason,
            model_version=reply.model_version,
            input_tokens=reply.input_tokens,
            output_tokens=reply.output_tokens,
            seconds=timed.seconds,
            usd=reply.usd,
            asked_at=datetime.now(UTC),
        )
        if not await self.keep(self.journal.followups.add, kept):
            return None
        self.tally.asked += 1
        return reply.text

    async def _reply(self, calls: list[Call]) -> Timed:
        for call in calls[:-1]:
            try:
                return await Attempts(line=self.line).ask(call)
            except AskFailed as failed:
                if failed.cause != "bad_request":
                    raise
        return await Attempts(line=self.line).ask(calls[-1])


class Asker(Protocol):
    """Somebody who asks follow-ups about the answers of a run."""

    @property
    def name(self) -> str:
        """Name of the model that is asked."""

    @property
    def what(self) -> str:
        """What is done, in words."""

    @property
    def entry(self) -> ModelEntry:
        """Settings of the model."""

    @property
    def model(self) -> Model:
        """The model."""

    async def begin(self, desk: Desk) -> None:
        """Look up what there is to ask."""

    async def work(self, desk: Desk) -> None:
        """Ask one thing after the other until none is left; several do so at once."""


def follow_key(purpose: str, entry: ModelEntry, *texts: str) -> str:
    """Return the key of a follow-up: of its purpose, its words and the model's settings, as an answer's key is."""
    parts = (REQUEST_FORMAT, purpose, *texts, canonical_json(entry.key_settings()))
    return hashlib.sha256("\n".join(hashlib.sha256(part.encode()).hexdigest() for part in parts).encode()).hexdigest()
