"""Reasoning traces of a run: every step is tagged by rules and, where one is named, by a judge model.

Tags go into the auxiliary table ``trace_steps.parquet``; the judge is asked as a follow-up.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import polars as pl
from polars.io.plugins import register_io_source

from aqaudit.core.auxiliary import SCHEMAS
from aqaudit.core.records import BadInput, Cell, Chain, MediaSpec, Performance, Question, Request, nearest
from aqaudit.engine.estimate import check_price
from aqaudit.engine.follow_ups import FollowUpContext, TraceTests, follow_up_key
from aqaudit.engine.journal import FollowUp, Journal
from aqaudit.engine.preparation import RunOptions
from aqaudit.models import catalog
from aqaudit.models.call import Call, Model
from aqaudit.models.settings import ModelEntry
from aqaudit.prompts.template import fill, load
from aqaudit.study.study import Study
from aqaudit.traces import claims, rules
from aqaudit.traces.rules import TAGS

FILE = "trace_steps.parquet"
#: Purpose under which a judge model's replies are kept in the journal.
JUDGED = "trace_judge"
#: Answers whose steps are held at once.
_CHUNK = 500
_SCHEMA = SCHEMAS["trace_steps"]
_OBJECT = re.compile(r"\{.*\}", re.DOTALL)

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
_JUDGE_CHUNK = 200


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


def open_judge(study: Study, options: RunOptions, opened: Callable[[str, ModelEntry], Model]) -> TraceJudge | None:
    """Open the judge model of a run by ``opened``, before anything is asked; None where there is none.

    Raises
    ------
    BadInput
        It cannot be used, or its price is unknown under a money limit.
    """
    name = options.trace_judge
    if name is None:
        return None
    entry = entry_of(study, name)
    if options.max_usd is not None:
        check_price(name, entry)
    return TraceJudge(name=name, entry=entry, model=opened(name, entry))


def prompt(found: Sequence[str]) -> str:
    """Return what a judge model is asked about the steps of one trace."""
    body = load(TEMPLATE).text("steps")
    listed = "\n".join(f"[{place}] {text}" for place, text in enumerate(found, 1))
    return fill(body, {"tags": "\n".join(f"- {tag}: {what}" for tag, what in TAGS.items()), "steps": listed})


@dataclass(slots=True, kw_only=True)
class TraceJudge:
    """A judge model; takes the traces of the journal in turn."""

    name: str
    entry: ModelEntry
    model: Model
    _keys: list[str] = field(default_factory=list)
    _ready: list[tuple[str, str, int]] = field(default_factory=list)

    @property
    def what(self) -> str:
        """What is done, in words."""
        return f"traces tagged by {self.name}"

    async def begin(self, context: FollowUpContext) -> None:
        """Look up what there is to tag, and what was tagged before."""
        self._keys = await context.in_journal(context.journal.reasoned)
        self._keys.reverse()
        context.done = await context.in_journal(context.journal.follow_up_keys, JUDGED)

    async def work(self, context: FollowUpContext) -> None:
        """Ask about one trace after the other until none is left."""
        while context.open and (todo := await self._next(context)) is not None:
            answer_key, text, count = todo
            key = follow_up_key(JUDGED, self.entry, f"{answer_key}\n{text}")
            # A server that knows no structured output says so; the prompt asks for the same form in words.
            calls = [_call(key, text, structured=True), _call(key, text, structured=False)]
            said = await context.ask(calls, key=key, answer_key=answer_key, purpose=JUDGED, part=load(TEMPLATE).id)
            context.tally.unreadable += said is not None and read_tags(said, count) is None

    async def _next(self, context: FollowUpContext) -> tuple[str, str, int] | None:
        while not self._ready and self._keys:
            taken = [self._keys.pop() for _ in range(min(_JUDGE_CHUNK, len(self._keys)))]
            texts = await context.in_journal(context.journal.reasonings, taken)
            for answer_key, said in texts.items():
                found = rules.split(rules.trace_of(*said))
                if found:
                    self._ready.append((answer_key, prompt(found), len(found)))
        return self._ready.pop() if self._ready else None


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


def write_trace_steps(folder: Path, journal: Journal) -> None:
    """Write the auxiliary table of a run folder, whole or not at all; none where no answer came with reasoning.

    The rule scorer's tags of an earlier writing are taken over while its lexicon is the same: answers do not change.
    """
    path = folder / FILE
    kept = _kept(path)
    known = set(kept["answer_key"].unique()) if kept is not None else set()
    keys = journal.reasoned()
    frames = (frame for frame in _frames(journal, keys, kept, known) if not frame.is_empty())
    first = next(frames, None)
    if first is None:
        path.unlink(missing_ok=True)
        return

    def batches(*_: object) -> Iterator[pl.DataFrame]:
        yield first
        yield from frames

    partial = path.with_name(f".{path.name}.part")
    try:
        register_io_source(batches, schema=dict(_SCHEMA)).sink_parquet(partial, compression="zstd")
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


def _kept(path: Path) -> pl.DataFrame | None:
    try:
        frame = pl.read_parquet(path) if path.is_file() else None
    except (pl.exceptions.PolarsError, OSError):
        return None  # a broken auxiliary table is made anew
    if frame is None or dict(frame.schema) != dict(_SCHEMA):
        return None
    return frame.filter(pl.col("scorer") == rules.scorer())


def _frames(
    journal: Journal, keys: Sequence[str], kept: pl.DataFrame | None, known: set[str]
) -> Iterator[pl.DataFrame]:
    wanted = set(keys)
    if kept is not None:
        yield kept.filter(pl.col("answer_key").is_in(list(wanted)))
    missing = [key for key in keys if key not in known]
    for start in range(0, len(missing), _CHUNK):
        texts = journal.reasonings(missing[start : start + _CHUNK])
        yield _frame([row for key, said in texts.items() for row in _by_rules(key, rules.split(rules.trace_of(*said)))])
    replies = [one for one in journal.follow_ups(JUDGED) if one.answer_key in wanted]
    for start in range(0, len(replies), _CHUNK):
        chunk = replies[start : start + _CHUNK]
        texts = journal.reasonings([one.answer_key for one in chunk])
        yield _frame([row for one in chunk for row in _by_judge(one, texts)])


def _frame(rows: list[tuple[Any, ...]]) -> pl.DataFrame:
    return pl.DataFrame(rows, schema=dict(_SCHEMA), orient="row")


def _by_rules(key: str, found: Sequence[str]) -> Iterator[tuple[Any, ...]]:
    name = rules.scorer()
    for place, text in enumerate(found):
        yield key, place, name, rules.tag(text), text, claims.to_json(claims.claims(text))


def _by_judge(reply: FollowUp, texts: dict[str, tuple[str | None, str | None]]) -> Iterator[tuple[Any, ...]]:
    found = rules.split(rules.trace_of(*texts.get(reply.answer_key, (None, None))))
    tags = read_tags(reply.said, len(found))
    for place, text in enumerate(found):
        if tags is not None:
            yield reply.answer_key, place, f"judge:{reply.model}", tags[place], text, None


def read_tags(said: str, count: int) -> list[str] | None:
    """Return the tags that a judge model gave to ``count`` steps; None where it did not give each of them one."""
    found = _OBJECT.search(said)
    try:
        entries = json.loads(found[0])["steps"] if found else None
        tags = {int(entry["step"]): str(entry["tag"]).strip().lower() for entry in entries or ()}
    except (ValueError, KeyError, TypeError, RecursionError):
        return None
    given = [tags.get(place + 1) for place in range(count)]
    # All or nothing: agreement over the steps that a judge happened to tag would not be agreement.
    return [tag for tag in given if tag is not None] if given and all(tag in TAGS for tag in given) else None


def follow_up_tasks(
    study: Study, models: Mapping[str, Model], limit: int | None, judge: TraceJudge | None
) -> list[TraceTests | TraceJudge]:
    """Return those who ask about a run's answers afterwards: the tests of each model's reasoning, then the judge."""
    spec = study.spec.trace_tests
    made: list[TraceTests | TraceJudge] = []
    if spec is not None:
        made += [
            TraceTests(name=name, entry=entry, model=models[name], spec=spec, limit=limit)
            for name, entry in study.models.items()
        ]
    return made if judge is None else [*made, judge]
