"""The plan: a study over its data sets as a stream of requests with their keys, made without decoding any video."""

from __future__ import annotations

import random
from collections import Counter, defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple, Protocol

from aqaudit import questions
from aqaudit.keys import (
    answer_key,
    canonical_json,
    digest,
    key_end,
    key_start,
    media_spec,
    prompt_text,
    spec_json,
    window_json,
)
from aqaudit.prompts import strategies
from aqaudit.records import LETTERS, BadInput, Request

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from aqaudit.prompts.strategies import Medium
    from aqaudit.records import Cell, Chain, Dataset, Kind, MediaSpec, Performance, Question
    from aqaudit.study import Study


class Sources(Protocol):
    """What the plan must know of media, from file headers and cached hashes only."""

    def content_hash(self, performance: Performance) -> str:
        """Return the SHA-256 of the source's bytes."""

    def is_image(self, performance: Performance) -> bool:
        """Tell whether the performance is one picture."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedDataset:
    """A data set of the study with the kinds of question asked of it, and how many of each there are."""

    dataset: Dataset
    tasks: tuple[Kind, ...]
    counts: Mapping[Kind, int]


class Plan:
    """Requests of a study, model by model, in an order of which every prefix is a random sample of performances."""

    def __init__(
        self,
        study: Study,
        datasets: Sequence[PlannedDataset],
        sources: Sources,
        shard: tuple[int, int] | None = None,
    ) -> None:
        self.study = study
        self._shard = shard
        self.datasets = tuple(datasets)
        self._sources = sources
        #: Requests left out because another one is the same to the last byte, by model.
        self.duplicates: Counter[str] = Counter()

    @classmethod
    def of(
        cls, study: Study, datasets: Sequence[Dataset], sources: Sources, shard: tuple[int, int] | None = None
    ) -> Plan:
        """Plan a study over its data sets, given in the order of its ``[[dataset]]`` tables.

        With a ``shard`` (i, n) only the i-th of n parts: performances by the hash of their id, so that everything about
        one performance is asked, and its media prepared, in one place.

        Raises
        ------
        BadInput
            A task that the study names finds no label in its data set, a strategy has no wording for it, or nothing is
            left to ask.
        """
        planned = []
        for spec, dataset in zip(study.spec.dataset, datasets, strict=True):
            tasks = questions.tasks_of(dataset, spec.tasks)
            counts = questions.Asker(dataset, tasks).count()
            if "prefer" in tasks:
                counts["prefer"] = sum(1 for _ in questions.pairs(dataset, study.seed))
            plan = PlannedDataset(dataset=dataset, tasks=tasks, counts=counts)
            for kind in tasks:
                if not counts[kind]:
                    raise BadInput(
                        f"{study.name}: data set '{dataset.name}' has no label for task '{kind}'; "
                        f"tasks with labels: {', '.join(questions.tasks_of(dataset, None)) or 'none'}"
                    )
            if not tasks:
                raise BadInput(f"{study.name}: data set '{dataset.name}' carries no label, so there is nothing to ask")
            _check_wording(study, dataset, tasks)
            planned.append(plan)
        names = [p.dataset.name for p in planned]
        if len(set(names)) < len(names):
            raise BadInput(f"{study.name}: two data sets are both named '{max(names, key=names.count)}'; rename one")
        made = cls(study, planned, sources, shard)
        for model in study.models:
            if not any(study.cells(kind, model, p.dataset.name) for p in planned for kind in p.tasks):
                raise BadInput(
                    f"{study.name}: skip leaves out every cell of model '{model}'; take it out of grid.model"
                )
        return made

    def count(self, model: str) -> int:
        """Return how many requests a model gets, exact duplicates included."""
        total = 0
        for planned in self.datasets:
            counts = planned.counts if self._shard is None else Counter(q.kind for q in self._questions(planned))
            total += sum(n * len(self.study.cells(k, model, planned.dataset.name)) for k, n in counts.items())
        return total

    def requests(self, model: str) -> Iterator[Request]:
        """Yield the requests for one model; of several that are the same to the last byte, the first."""
        return (planned.request() for planned in self.planned(model))

    def planned(self, model: str) -> Iterator[PlannedRequest]:
        """Yield what :meth:`requests` does, with the key worked out and the rest left for those who need it."""
        self.duplicates[model] = 0
        twins = self._twins()
        of_twins: set[str] = set()
        for planned in self.datasets:
            writer = _Writer(self.study, planned.dataset.name, model, self._sources)
            of_one: set[str] = set()
            name, last = planned.dataset.name, ""
            for question in self._questions(planned):
                if question.performance.id != last:
                    of_one, last = set(), question.performance.id
                other = question.other or question.performance
                twin = bool(twins) and ((name, question.performance.id) in twins or (name, other.id) in twins)
                seen = of_twins if twin else of_one
                for request in writer.requests(question):
                    if request.answer_key in seen:
                        self.duplicates[model] += 1
                    else:
                        seen.add(request.answer_key)
                        yield request

    def _questions(self, planned: PlannedDataset) -> Iterator[Question]:
        every = _questions(planned.dataset, planned.tasks, self.study.seed)
        if self._shard is None:
            return every
        part, parts = self._shard
        return (q for q in every if int(digest(q.performance.id)[:15], 16) % parts == part - 1)

    def _twins(self) -> set[tuple[str, str]]:
        """Return data set and id of performances that show what another one shows: only they lead to equal requests.

        Remembering the keys of these alone keeps memory flat in the number of questions.
        """
        groups: dict[tuple[str, str], list[tuple[str, str]]] = defaultdict(list)
        for planned in self.datasets:
            for performance in planned.dataset.performances:
                source = self._sources.content_hash(performance)
                groups[source, window_json(performance)].append((planned.dataset.name, performance.id))
        return {name for group in groups.values() if len(group) > 1 for name in group}


class PlannedRequest(NamedTuple):
    """A request of the plan: its key, its question, and what :meth:`request` needs to write it out."""

    answer_key: str
    question: Question
    template: _Template
    facts: tuple[_Facts, ...]
    option_order: tuple[int, ...]

    def request(self) -> Request:
        """Return the whole request."""
        template = self.template
        return Request(
            answer_key=self.answer_key,
            key_fields=(
                "+".join(fact.source for fact in self.facts),
                "+".join(template.show + fact.window for fact in self.facts),
                template.prompt,
                template.settings,
                template.draw,
            ),
            question=self.question,
            cell=template.cell,
            chain=template.chain,
            spec=template.spec,
            option_order=self.option_order,
            seed=template.seed,
        )


class _Template(NamedTuple):
    """What all requests that put the same words in one cell share."""

    cell: Cell
    chain: Chain
    spec: MediaSpec
    show: str
    prompt: str
    settings: str
    draw: str
    seed: int
    key_end: str


class _Facts(NamedTuple):
    """What the plan knows of a performance's media."""

    source: str
    image: bool
    window: str


class _Writer:
    """Writes requests of one model. What many requests share is worked out once: a plan may hold a million of them."""

    def __init__(self, study: Study, dataset: str, model: str, sources: Sources) -> None:
        self._study = study
        self._dataset = dataset
        self._model = model
        self._entry = study.models[model]
        self._sources = sources
        self._settings = canonical_json(self._entry.key_settings())
        self._facts: dict[str, _Facts] = {}
        self._starts: dict[tuple[str, tuple[_Facts, ...]], str] = {}
        self._templates: dict[tuple[object, ...], list[_Template]] = {}

    def requests(self, question: Question) -> list[PlannedRequest]:
        order = _option_order(question, self._study.seed)
        this = self._fact(question.performance)
        facts = (this,) if question.other is None else (this, self._fact(question.other))
        result = []
        for template in self._of(question, order, image=all(fact.image for fact in facts)):
            shown = facts if template.cell.pair_order == "ab" else facts[::-1]
            key = answer_key(self._start(template.show, shown), template.key_end)
            result.append(PlannedRequest(key, question, template, shown, order))
        return result

    def _start(self, show: str, shown: tuple[_Facts, ...]) -> str:
        known = self._starts.get((show, shown))
        if known is None:
            # Questions about one performance come together, so only a few need be remembered.
            if len(self._starts) > 1000:
                self._starts.clear()
            known = self._starts[show, shown] = key_start(
                "+".join(fact.source for fact in shown), "+".join(show + fact.window for fact in shown)
            )
        return known

    def _fact(self, performance: Performance) -> _Facts:
        known = self._facts.get(performance.id)
        if known is None:
            # Questions about one performance come together, so only a few need be remembered.
            if len(self._facts) > 1000:
                self._facts.clear()
            known = self._facts[performance.id] = _Facts(
                source=self._sources.content_hash(performance),
                image=self._sources.is_image(performance),
                window=window_json(performance),
            )
        return known

    def _of(self, question: Question, order: tuple[int, ...], *, image: bool) -> list[_Template]:
        told = tuple(one.context for one in (question.performance, question.other) if one is not None)
        subject = (question.criterion, question.error, question.text, told)
        key = (question.kind, question.performance.action, subject, order, image)
        known = self._templates.get(key)
        if known is None:
            if len(self._templates) > 10_000:
                self._templates.clear()
            cells = self._study.cells(question.kind, self._model, self._dataset)
            known = self._templates[key] = [self._template(question, cell, order, image=image) for cell in cells]
        return known

    def _template(self, question: Question, cell: Cell, order: tuple[int, ...], *, image: bool) -> _Template:
        medium: Medium = "image" if image else "video" if self._entry.media_form == "video" else "frames"
        chain = strategies.chain(question, cell.strategy, cell.framing, cell.answer_words, medium, order)
        spec = media_spec(cell, self._entry, image=image)
        seed = self._study.seed + cell.repeat
        prompt, draw = prompt_text(chain), f"repeat {cell.repeat}, seed {seed}"
        return _Template(
            cell=cell,
            chain=chain,
            spec=spec,
            show=spec_json(spec),
            prompt=prompt,
            settings=self._settings,
            draw=draw,
            seed=seed,
            key_end=key_end(prompt, self._settings, draw),
        )


def _check_wording(study: Study, dataset: Dataset, tasks: Sequence[Kind]) -> None:
    """Refuse before the first request what would only be found while asking."""
    for kind in tasks:
        cells = [cell for model in study.models for cell in study.cells(kind, model, dataset.name)]
        for strategy, framing in {(cell.strategy, cell.framing) for cell in cells}:
            strategies.check(strategy, kind, framing)
    for choice in dataset.choices:
        if len(choice.options) > len(LETTERS):
            raise BadInput(
                f"{study.name}: data set '{dataset.name}': choice '{choice.id}' has {len(choice.options)} options; "
                f"allowed: at most {len(LETTERS)}, one for each letter"
            )


def _questions(dataset: Dataset, tasks: Sequence[Kind], seed: int) -> Iterator[Question]:
    asker = questions.Asker(dataset, tasks)
    for performance in questions.shuffled(dataset.performances, seed):
        yield from asker.questions(performance)
    if "prefer" in tasks:
        yield from questions.pairs(dataset, seed)


def shown_in_order(question: Question, cell: Cell) -> tuple[Performance, ...]:
    """Return the performances in the order they are shown: for a pair asked as ``ba``, the other one first."""
    if question.other is None:
        return (question.performance,)
    pair = (question.performance, question.other)
    return pair if cell.pair_order == "ab" else pair[::-1]


def _option_order(question: Question, seed: int) -> tuple[int, ...]:
    """Options are shown in an order drawn per question, so that a liking for a letter is no liking for an answer."""
    if not question.options:
        return ()
    order = list(range(len(question.options)))
    random.Random(f"{seed}/{question.question_id}").shuffle(order)
    return tuple(order)
