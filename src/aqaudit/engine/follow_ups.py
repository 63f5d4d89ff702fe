"""Follow-ups: what a run asks about its answers afterwards. Each reply is kept, none is asked for twice.

Here reasoning is put to the test: cut off early, or with a mistake put into it, and the same question asked again. The
judges that tag the steps of reasoning are in :mod:`aqaudit.engine.traces`.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from typing import Any, Protocol

import anyio
import polars as pl

from aqaudit.core.auxiliary import SCHEMAS
from aqaudit.core.keys import REQUEST_FORMAT, canonical_json
from aqaudit.core.records import Request
from aqaudit.core.table import write_parquet
from aqaudit.engine.channel import Attempts, ModelChannel, StopAsking, Timed, call_of
from aqaudit.engine.executor import MediaCache
from aqaudit.engine.journal import FollowUp, Journal
from aqaudit.engine.parse import NEEDED, parsed_row
from aqaudit.models.call import AskFailed, Call, Model
from aqaudit.models.settings import ModelEntry
from aqaudit.prompts.template import fill, load
from aqaudit.study.plan import Plan
from aqaudit.study.requests import PlannedRequest, ways_of_showing
from aqaudit.study.study import TraceTestsSpec
from aqaudit.traces import rules
from aqaudit.traces.rules import CONCLUSION, OBSERVATION

#: The auxiliary table that tests of reasoning are written to, and the template of their words.
FILE = "trace_tests.parquet"
TEMPLATE = "trace_tests"
#: Purposes under which replies are kept in the journal.
EARLY, MISTAKE = "early", "mistake"
#: Kind of question -> the column that holds its answer.
_ANSWERS = {
    "verify": "says_correct",
    "detect": "says_correct",
    "choose": "choice",
    "prefer": "prefer",
    "score": "score",
}


@dataclass(slots=True, kw_only=True)
class FollowUpTally:
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
class FollowUpContext:
    """What somebody who asks follow-ups works with: the way to a model, the journal, and how replies are kept."""

    channel: ModelChannel
    journal: Journal
    in_journal: Callable[..., Awaitable[Any]]
    keep: Callable[..., Awaitable[bool]]
    media_cache: MediaCache
    plan: Plan
    tally: FollowUpTally
    done: set[str] = field(default_factory=set)

    @property
    def open(self) -> bool:
        """Whether more may be asked."""
        return not self.channel.controller.reason and not self.channel.breaker.opened

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
            model=self.channel.name,
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
        if not await self.keep(self.journal.add_follow_up, kept):
            return None
        self.tally.asked += 1
        return reply.text

    async def _reply(self, calls: list[Call]) -> Timed:
        for call in calls[:-1]:
            try:
                return await Attempts(channel=self.channel).ask(call)
            except AskFailed as failed:
                if failed.cause != "bad_request":
                    raise
        return await Attempts(channel=self.channel).ask(calls[-1])


class FollowUpTask(Protocol):
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

    async def begin(self, context: FollowUpContext) -> None:
        """Look up what there is to ask."""

    async def work(self, context: FollowUpContext) -> None:
        """Ask one thing after the other until none is left; several do so at once."""


def follow_up_key(purpose: str, entry: ModelEntry, *texts: str) -> str:
    """Return the key of a follow-up: of its purpose, its words and the model's settings, as an answer's key is."""
    parts = (REQUEST_FORMAT, purpose, *texts, canonical_json(entry.key_settings))
    return hashlib.sha256("\n".join(hashlib.sha256(part.encode()).hexdigest() for part in parts).encode()).hexdigest()


@dataclass(frozen=True, slots=True, kw_only=True)
class Test:
    """One test of one answer's reasoning: what it is, which part of it, and what is asked behind the question."""

    purpose: str
    part: str
    text: str


def tests_of(trace: str, spec: TraceTestsSpec) -> list[Test]:
    """Return the tests of a trace: the shares of its steps that are shown, and the place of the planted mistake.

    The steps before the first conclusion count; a conclusion would give the answer away. The mistake is the last
    observation turned into its opposite; a trace without one has none.
    """
    found = rules.split(trace)
    tags = [rules.tag(step) for step in found]
    reasons = found[: tags.index(CONCLUSION)] if CONCLUSION in tags else found
    sections = load(TEMPLATE)
    made = []
    for share in spec.early:
        shown = reasons[: round(share * len(reasons))]
        section = sections.text("early" if shown else "none")
        made.append(Test(purpose=EARLY, part=f"{share:g}", text=fill(section, {"reasoning": "\n".join(shown)})))
    last = max((i for i, tag in enumerate(tags[: len(reasons)]) if tag == OBSERVATION), default=None)
    if spec.mistakes and last is not None:
        wrong = [*reasons[:last], opposite(reasons[last])]
        text = fill(sections.text("mistake"), {"reasoning": "\n".join(wrong)})
        made.append(Test(purpose=MISTAKE, part=f"{(last + 1) / len(reasons):g}", text=text))
    return made


def opposite(step: str) -> str:
    """Return a step that denies another one."""
    plain = step if step[:2].isupper() else f"{step[:1].lower()}{step[1:]}"
    return f"It is not the case that {plain.rstrip(' .!')}."


@dataclass(slots=True, kw_only=True)
class TraceTests:
    """The tests of one model's reasoning: takes the planned requests that have an answer with reasoning in turn."""

    name: str
    entry: ModelEntry
    model: Model
    spec: TraceTestsSpec
    limit: int | None
    _planned: Iterator[PlannedRequest] | None = None
    _left: int = 0
    _ready: list[tuple[PlannedRequest, Test]] = field(default_factory=list)
    _turn: anyio.Lock = field(default_factory=anyio.Lock)

    @property
    def what(self) -> str:
        """What is done, in words."""
        return f"tests of the reasoning of {self.name}"

    async def begin(self, context: FollowUpContext) -> None:
        """Look up what was tested before; plan the rest."""
        context.done = await context.in_journal(context.journal.follow_up_keys, EARLY, MISTAKE)
        self._planned, self._left = islice(context.plan.planned(self.name), self.limit), self.spec.answers

    async def work(self, context: FollowUpContext) -> None:
        """Put one trace after the other to its tests until none is left."""
        while context.open and (todo := await self._next(context)) is not None:
            planned, test = todo
            key = follow_up_key(test.purpose, self.entry, planned.answer_key, test.part, test.text)
            if key in context.done:
                context.tally.found += 1
                continue
            request = planned.request()
            try:
                calls = [await _call(request, test, context)]
            except AskFailed as failed:
                context.tally.failed[failed.cause] += 1
                continue
            await context.ask(calls, key=key, answer_key=planned.answer_key, purpose=test.purpose, part=test.part)

    async def _next(self, context: FollowUpContext) -> tuple[PlannedRequest, Test] | None:
        async with self._turn:  # so that no more answers than asked for are tested, however many ask at once
            while not self._ready and self._left > 0 and self._planned is not None:
                planned = next(self._planned, None)
                if planned is None:
                    return None
                if planned.template.cell.perturbation != "none":
                    continue
                texts = await context.in_journal(context.journal.reasonings, [planned.answer_key])
                trace = rules.trace_of(*texts.get(planned.answer_key, (None, None)))
                if trace:
                    self._left -= 1
                    self._ready += [(planned, test) for test in reversed(tests_of(trace, self.spec))]
            return self._ready.pop() if self._ready else None


async def _call(request: Request, test: Test, context: FollowUpContext) -> Call:
    shown = [await context.media_cache.show(*way) for way in ways_of_showing(request)]
    earlier = await context.in_journal(context.journal.earlier_calls, request.answer_key)
    call = call_of(request, shown, earlier, len(request.chain.steps) - 1)
    return replace(call, parts=(*call.parts, test.text))


def write_trace_tests(folder: Path, journal: Journal) -> None:
    """Write the auxiliary table: whether each test left the answer as it was; none where nothing was tested."""
    replies = journal.follow_ups(EARLY, MISTAKE)
    if not replies:
        (folder / FILE).unlink(missing_ok=True)
        return
    wanted = {reply.answer_key for reply in replies}
    answers = {str(row["answer_key"]): row for row in journal.rows(NEEDED) if row["answer_key"] in wanted}
    rows = [
        (reply.answer_key, reply.purpose, float(reply.part), _same(answers[reply.answer_key], reply.said))
        for reply in replies
        if reply.answer_key in answers
    ]
    write_parquet(pl.DataFrame(rows, schema=dict(SCHEMAS["trace_tests"]), orient="row"), folder / FILE)


def _same(row: Mapping[str, Any], said: str) -> bool | None:
    """Return whether a reply gives the answer that was given; None where either cannot be read."""
    column = _ANSWERS[row["kind"]]
    given, now = row[column], getattr(parsed_row({**row, "said": said, "finish_reason": None}), column)
    if given is None or now is None or row["parse"] != "ok":
        return None
    if column != "score":
        return bool(given == now) if column != "says_correct" else bool(given) == bool(now)
    width = (row["scale_max"] or 0.0) - (row["scale_min"] or 0.0)
    return abs(float(given) - float(now)) <= max(1e-9, 0.01 * width)
