"""A judge model that tags the steps of reasoning traces."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from aqaudit.engine.asides import follow_key
from aqaudit.engine.estimate import check_price
from aqaudit.engine.tracing import JUDGED, read_tags
from aqaudit.models import catalog
from aqaudit.models.call import Call
from aqaudit.prompts.template import fill, load
from aqaudit.records import BadInput, Cell, Chain, MediaSpec, Performance, Question, Request, nearest
from aqaudit.traces import steps
from aqaudit.traces.tags import TAGS

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from aqaudit.engine.asides import Desk
    from aqaudit.engine.preparation import RunOptions
    from aqaudit.models.call import Model
    from aqaudit.models.catalog import ModelEntry
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
    body = load(TEMPLATE).section("steps")[0].text
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

    async def begin(self, desk: Desk) -> None:
        """Look up what there is to tag, and what was tagged before."""
        self._keys = await desk.in_journal(desk.journal.reasoned)
        self._keys.reverse()
        desk.done = await desk.in_journal(desk.journal.followups.keys, JUDGED)

    async def work(self, desk: Desk) -> None:
        """Ask about one trace after the other until none is left."""
        while desk.open and (todo := await self._next(desk)) is not None:
            answer_key, text, count = todo
            key = follow_key(JUDGED, self.entry, f"{answer_key}\n{text}")
            # A server that knows no structured output says so; the prompt asks for the same form in words.
            calls = [_call(key, text, structured=True), _call(key, text, structured=False)]
            said = await desk.ask(calls, key=key, answer_key=answer_key, purpose=JUDGED, part=load(TEMPLATE).id)
            desk.tally.unreadable += said is not None and read_tags(said, count) is None

    async def _next(self, desk: Desk) -> tuple[str, str, int] | None:
        while not self._ready and self._keys:
            taken = [self._keys.pop() for _ in range(min(_CHUNK, len(self._keys)))]
            texts = await desk.in_journal(desk.journal.reasonings, taken)
            for answer_key, said in texts.items():
                found = steps.split(steps.trace_of(*said))
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
