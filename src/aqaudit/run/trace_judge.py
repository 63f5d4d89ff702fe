"""A judge model that tags the steps of reasoning traces; what it says is kept in the journal and never asked twice."""

from __future__ import annotations

import hashlib
from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from aqaudit.keys import REQUEST_FORMAT, canonical_json
from aqaudit.models import catalog
from aqaudit.models.call import AskFailed, Call
from aqaudit.prompts.template import fill, load
from aqaudit.records import BadInput, Cell, Chain, MediaSpec, Performance, Question, Request, nearest
from aqaudit.run.attempts import Attempts
from aqaudit.run.journal import FollowUp
from aqaudit.run.limits import StopAsking
from aqaudit.run.tracing import JUDGED, read_tags
from aqaudit.traces import steps
from aqaudit.traces.tags import TAGS

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence
    from typing import Any

    from aqaudit.models.call import Model
    from aqaudit.models.catalog import ModelEntry
    from aqaudit.run.attempts import Line
    from aqaudit.run.journal import Journal
    from aqaudit.study import Study

TEMPLATE = "trace_judge"
SCHEMA: dict[str, object] = {
    "type": "object",
    "properties": {
        "steps": {
            "type": "array",
            "items": {
                "type": "object",
                "properties": {"step": {"type": "integer"}, "tag": {"type": "string", "enum": list(TAGS)}},
                "required": ["step", "tag"],
                "additionalProperties": False,
            },
        }
    },
    "required": ["steps"],
    "additionalProperties": False,
}
#: These are told the truth or see only joints: they cannot read a text.
_CANNOT_READ = frozenset({"simulated", "observer"})
_CHUNK = 200


@dataclass(slots=True, kw_only=True)
class JudgeTally:
    """What a judge model has done in this run: traces tagged before, now, not readably, and failures by cause."""

    judge: str
    found: int = 0
    asked: int = 0
    unreadable: int = 0
    failed: Counter[str] = field(default_factory=Counter)

    def line(self) -> str:
        """Return the tally in one line."""
        text = f"traces: {self.asked} tagged now by {self.judge}, {self.found} found, {self.failed.total()} failed"
        return f"{text}, {self.unreadable} not readable" if self.unreadable else text


@dataclass(frozen=True, slots=True, kw_only=True)
class TraceJudge:
    """A judge model by its name, ready to be asked."""

    name: str
    entry: ModelEntry
    model: Model


def entry_of(study: Study, name: str) -> ModelEntry:
    """Return the settings of the model named by ``--trace-judge``: one of the study's, or a built-in one.

    Raises
    ------
    BadInput
        There is no such model, or it cannot read a text.
    """
    if name in study.spec.models:
        entry = catalog.load(name, study.spec.models[name])
    elif name in (built_in := catalog.presets()):
        entry = built_in[name]
    else:
        raise BadInput(f"--trace-judge {name}: no such model{nearest(name, [*study.spec.models, *built_in])}")
    if entry.provider in _CANNOT_READ:
        raise BadInput(f"--trace-judge {name}: a model of provider '{entry.provider}' cannot read texts")
    return entry


def open_judge(study: Study, name: str) -> TraceJudge:
    """Open the judge model of a run, before anything is asked."""
    entry = entry_of(study, name)
    return TraceJudge(name=name, entry=entry, model=catalog.open_model(name, entry))


def prompt(found: Sequence[str]) -> str:
    """Return what a judge model is asked about the steps of one trace."""
    body = load(TEMPLATE).section("steps")[0].text
    listed = "\n".join(f"[{place}] {text}" for place, text in enumerate(found, 1))
    return fill(body, {"tags": "\n".join(f"- {tag}: {what}" for tag, what in TAGS.items()), "steps": listed})


def key_of(text: str, entry: ModelEntry) -> str:
    """Return the key of one asking: of its words and of the model's settings, as an answer's key is."""
    parts = (REQUEST_FORMAT, JUDGED, text, canonical_json(entry.key_settings()))
    return hashlib.sha256("\n".join(hashlib.sha256(part.encode()).hexdigest() for part in parts).encode()).hexdigest()


@dataclass(slots=True, kw_only=True)
class Judging:
    """One run's judging: takes traces from the journal in turn, asks, keeps what came."""

    judge: TraceJudge
    line: Line
    journal: Journal
    in_journal: Callable[..., Awaitable[Any]]
    keep: Callable[..., Awaitable[bool]]
    tally: JudgeTally
    _keys: list[str] = field(default_factory=list)
    _ready: list[tuple[str, str, int]] = field(default_factory=list)
    _done: set[str] = field(default_factory=set)
    _structured: bool = True

    async def begin(self) -> None:
        """Look up what there is to tag, and what was tagged before."""
        self._keys = await self.in_journal(self.journal.unperturbed)
        self._keys.reverse()
        self._done = await self.in_journal(self.journal.followup_keys, JUDGED)

    async def work(self) -> None:
        """Ask about one trace after the other until none is left."""
        while (todo := await self._next()) is not None and not self.line.brakes.on and not self.line.breaker.opened:
            await self._ask(*todo)

    async def _next(self) -> tuple[str, str, int] | None:
        while not self._ready and self._keys:
            taken = [self._keys.pop() for _ in range(min(_CHUNK, len(self._keys)))]
            texts = await self.in_journal(self.journal.reasonings, taken)
            for answer_key, said in texts.items():
                found = steps.split(steps.trace_of(*said))
                if found:
                    self._ready.append((answer_key, prompt(found), len(found)))
        return self._ready.pop() if self._ready else None

    async def _ask(self, answer_key: str, text: str, count: int) -> None:
        key = key_of(f"{answer_key}\n{text}", self.judge.entry)
        if key in self._done:
            self.tally.found += 1
            return
        try:
            timed = await self._reply(key, text)
        except StopAsking:
            return
        except AskFailed as failed:
            self.tally.failed[failed.cause] += 1
            return
        reply = timed.reply
        kept = FollowUp(
            key=key,
            answer_key=answer_key,
            purpose=JUDGED,
            model=self.judge.name,
            part=load(TEMPLATE).id,
            said=reply.text,
            finish_reason=reply.finish_reason,
            model_version=reply.model_version,
            input_tokens=reply.input_tokens,
            output_tokens=reply.output_tokens,
            seconds=timed.seconds,
            usd=reply.usd,
            asked_at=datetime.now(UTC),
        )
        if await self.keep(self.journal.add_followup, kept):
            self.tally.asked += 1
            self.tally.unreadable += read_tags(reply.text, count) is None

    async def _reply(self, key: str, text: str) -> Any:
        call = _call(key, text, structured=self._structured)
        try:
            return await Attempts(line=self.line).ask(call)
        except AskFailed as failed:
            # A server that knows no structured output says so with a 400; the prompt asks for the same form in words.
            if failed.cause != "bad_request" or not self._structured:
                raise
            timed = await Attempts(line=self.line).ask(_call(key, text, structured=False))
            self._structured = False
            return timed


def _call(key: str, text: str, *, structured: bool) -> Call:
    nobody = Performance(id="trace", media=Path(), action="", performer="", video="")
    question = Question(question_id=key, kind="choose", task="trace", dataset="", performance=nobody)
    request = Request(
        answer_key=key,
        key_fields=("", "", text, "", ""),
        question=question,
        cell=Cell(model="judge"),
        chain=Chain(prompt_id=load(TEMPLATE).id, steps=()),
        spec=MediaSpec(perturbation="text_only", form="none"),
    )
    return Call(parts=(text,), request=request, json_schema=SCHEMA if structured else None)
