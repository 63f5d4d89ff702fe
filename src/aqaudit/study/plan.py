"""The plan: a study over its data sets as a stream of requests with their keys, made without decoding any video."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain

from aqaudit.core.keys import digest, window_json
from aqaudit.core.records import LETTERS, BadInput, Dataset, Kind, Performance, Question, Request, in_order
from aqaudit.prompts import strategies
from aqaudit.prompts.framing import guideline
from aqaudit.prompts.shots import Pool
from aqaudit.study import pairs, questions
from aqaudit.study.pairs import Pairing
from aqaudit.study.requests import PlannedRequest, PoseSources, Sources, Writer, cells_of
from aqaudit.study.study import Study


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedDataset:
    """A data set of the study with the kinds of question asked of it, and how many of each there are.

    ``pairing`` says how performances are paired for ``prefer``, ``pool`` holds the examples of ``few_shot``.
    """

    dataset: Dataset
    tasks: tuple[Kind, ...]
    counts: Mapping[Kind, int]
    pairing: Pairing
    pool: Pool | None = None

    def examples(self) -> Iterator[Performance]:
        """Yield the performances that may be shown in examples."""
        seen = set()
        for question in self.pool.questions() if self.pool else ():
            for performance in filter(None, (question.performance, question.other)):
                if performance.id not in seen:
                    seen.add(performance.id)
                    yield performance


class Plan:
    """Requests of a study, model by model, in an order of which every prefix is a random sample of performances."""

    def __init__(
        self,
        study: Study,
        datasets: Sequence[PlannedDataset],
        sources: Sources,
        poses: PoseSources,
        shard: tuple[int, int] | None = None,
    ) -> None:
        self.study = study
        self._shard = shard
        self.datasets = tuple(datasets)
        self._sources = sources
        self._poses = poses
        #: Requests left out because another one is the same to the last byte, by model.
        self.duplicates: Counter[str] = Counter()

    @classmethod
    def of(
        cls,
        study: Study,
        datasets: Sequence[Dataset],
        sources: Sources,
        poses: PoseSources,
        shard: tuple[int, int] | None = None,
        training: Sequence[Dataset] | None = None,
    ) -> Plan:
        """Plan a study over its data sets, given in the order of its ``[[dataset]]`` tables.

        ``training`` are the same data sets with the performances that examples may be taken from.

        With a ``shard`` (i, n) only the i-th of n parts: performances by the hash of their id, so that everything about
        one performance is asked, and its media prepared, in one place.

        Raises
        ------
        BadInput
            A task that the study names finds no label in its data set, a strategy has no wording for it, or nothing is
            left to ask.
        """
        planned = []
        pools = training or (None,) * len(datasets)
        for spec, dataset, examples in zip(study.used, datasets, pools, strict=True):
            tasks = questions.tasks_of(dataset, spec.tasks)
            counts = questions.QuestionMaker(dataset, tasks).count()
            if "prefer" in tasks:
                counts["prefer"] = sum(1 for _ in pairs.pairs(dataset, study.spec.seed, spec.pairs))
            pool = (
                None
                if examples is None
                else Pool(_questions(examples, tasks, spec.pairs, study.spec.seed), study.spec.seed)
            )
            plan = PlannedDataset(dataset=dataset, tasks=tasks, counts=counts, pairing=spec.pairs, pool=pool)
            for kind in tasks:
                if not counts[kind]:
                    if kind == "prefer":
                        raise BadInput(
                            f"{study.name}: data set '{dataset.name}' has no two performances to compare: of one "
                            "action, by two performers, in two videos, one better than the other"
                        )
                    raise BadInput(
                        f"{study.name}: data set '{dataset.name}' has no label for task '{kind}'; "
                        f"tasks with labels: {', '.join(questions.tasks_of(dataset, None)) or 'none'}"
                    )
            if not tasks:
                raise BadInput(f"{study.name}: data set '{dataset.name}' carries no label, so there is nothing to ask")
            _check_wording(study, dataset, tasks)
            _check_guidelines(study, dataset, tasks)
            _check_examples(study, plan)
            planned.append(plan)
        names = [p.dataset.name for p in planned]
        if len(set(names)) < len(names):
            raise BadInput(f"{study.name}: two data sets are both named '{max(names, key=names.count)}'; rename one")
        made = cls(study, planned, sources, poses, shard)
        for model in study.models:
            if not any(cells_of(study, kind, model, p.dataset.name) for p in planned for kind in p.tasks):
                raise BadInput(
                    f"{study.name}: skip leaves out every cell of model '{model}'; take it out of grid.model"
                )
        return made

    def count(self, model: str) -> int:
        """Return how many requests a model gets, exact duplicates included."""
        total = 0
        for one in self.datasets:
            counts = one.counts
            if self._shard is not None:
                asked = _questions(one.dataset, one.tasks, one.pairing, self.study.spec.seed, self._shard)
                counts = Counter(question.kind for question in asked)
            total += sum(n * len(cells_of(self.study, k, model, one.dataset.name)) for k, n in counts.items())
        return total

    def requests(self, model: str) -> Iterator[Request]:
        """Yield the requests for one model; of several that are the same to the last byte, the first."""
        return (planned.request() for planned in self.planned(model))

    def planned(self, model: str) -> Iterator[PlannedRequest]:
        """Yield what :meth:`requests` does, with the key worked out and the rest left for those who need it."""
        self.duplicates[model] = 0
        # Only performances that show what another one shows lead to equal requests: to remember the keys of these alone
        # keeps memory flat in the number of questions.
        groups: dict[tuple[str, str], list[tuple[str, str]]] = defaultdict(list)
        for one in self.datasets:
            for performance in one.dataset.performances:
                source = self._sources.content_hash(performance)
                groups[source, window_json(performance)].append((one.dataset.name, performance.id))
        twins = {name for group in groups.values() if len(group) > 1 for name in group}
        of_twins: set[str] = set()
        for planned in self.datasets:
            writer = Writer(self.study, planned.dataset, model, self._sources, self._poses, planned.pool)
            of_one: set[str] = set()
            name, last = planned.dataset.name, ""
            for question in _questions(
                planned.dataset, planned.tasks, planned.pairing, self.study.spec.seed, self._shard
            ):
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


def _check_wording(study: Study, dataset: Dataset, tasks: Sequence[Kind]) -> None:
    """Refuse before the first request what would only be found while asking."""
    for kind in tasks:
        cells = [cell for model in study.models for cell in cells_of(study, kind, model, dataset.name)]
        for strategy, framing in {(cell.strategy, cell.framing) for cell in cells}:
            strategies.check(strategy, kind, framing)
    for choice in dataset.choices:
        if len(choice.options) > len(LETTERS):
            raise BadInput(
                f"{study.name}: data set '{dataset.name}': choice '{choice.id}' has {len(choice.options)} options; "
                f"allowed: at most {len(LETTERS)}, one for each letter"
            )


def _check_guidelines(study: Study, dataset: Dataset, tasks: Sequence[Kind]) -> None:
    cells = {
        (kind, cell.framing)
        for kind in tasks
        for model in study.models
        for cell in cells_of(study, kind, model, dataset.name)
        if cell.strategy == strategies.GUIDELINE
    }
    for action in sorted({p.action for p in dataset.performances}) if cells else ():
        for kind, framing in sorted(cells):
            if _is_asked(dataset, action, kind) and not guideline(dataset, action, kind, framing):
                raise BadInput(
                    f"{study.name}: data set '{dataset.name}' has no criterion or error for action '{action}', so the "
                    f"strategy '{strategies.GUIDELINE}' has nothing to say of it; declare some, or leave it out with "
                    f"[[skip]] strategy = '{strategies.GUIDELINE}', dataset = '{dataset.name}', kind = '{kind}'"
                )


def _is_asked(dataset: Dataset, action: str, kind: Kind) -> bool:
    if kind == "choose":
        return any(c.action == action for c in dataset.choices)
    actions = {*(c.action for c in dataset.criteria), *(e.action for e in dataset.errors)}
    return kind in {"score", "prefer"} or action in actions


def _check_examples(study: Study, planned: PlannedDataset) -> None:
    """Draw examples once for every performer, video and thing asked about, so that a lack of them shows now."""
    if planned.pool is None:
        return
    most = max(study.spec.grid.shots)
    seen = set()
    for question in _questions(planned.dataset, planned.tasks, planned.pairing, study.spec.seed):
        who = tuple((p.performer, p.video) for p in in_order(question, "ab"))
        subject = (question.task, question.performance.action, question.criterion, question.error, who)
        if subject not in seen:
            seen.add(subject)
            planned.pool.draw(question, most)


def _questions(
    dataset: Dataset, tasks: Sequence[Kind], pairing: Pairing, seed: int, shard: tuple[int, int] | None = None
) -> Iterator[Question]:
    """Yield the questions about a data set, those about pairs last; with a shard, those of its performances."""
    maker = questions.QuestionMaker(dataset, tasks)
    single = (question for one in questions.shuffled(dataset.performances, seed) for question in maker.questions(one))
    paired = pairs.pairs(dataset, seed, pairing) if "prefer" in tasks else ()
    for question in chain(single, paired):
        if shard is None or int(digest(question.performance.id)[:15], 16) % shard[1] == shard[0] - 1:
            yield question
