"""Requests: a study's grid as cells, and one question in every cell, with its key.

What many requests share is worked out once.
"""

from __future__ import annotations

import itertools
import random
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import lru_cache
from typing import Any, NamedTuple, Protocol

from aqaudit.core.keys import answer_key, canonical_json, digest, prompt_text, spec_json, window_json
from aqaudit.core.records import (
    DRAWING,
    KINDS,
    Cell,
    Chain,
    Dataset,
    Kind,
    MediaSpec,
    Performance,
    Question,
    Request,
    ShowOptions,
    in_order,
)
from aqaudit.models.settings import ModelEntry
from aqaudit.prompts import strategies
from aqaudit.prompts.framing import guideline, wordings
from aqaudit.prompts.shots import Pool, Shot
from aqaudit.prompts.strategies import Medium
from aqaudit.study.pairs import SwapPairing
from aqaudit.study.study import Study

#: Perturbations of the order of frames, which a single picture does not have: they are not asked about one.
_TEMPORAL = frozenset({"frozen", "shuffled", "reversed"})


_PLAIN = ShowOptions()


def cells_of(study: Study, kind: Kind, model: str, dataset: str = "") -> list[Cell]:
    """Return the grid's distinct cells for one kind of question and one model, skips left out, in stable order."""
    grid = study.spec.grid
    sampling: list[tuple[float | None, int | None]]
    if grid.frames is not None:
        sampling = [(None, n) for n in grid.frames]
    else:
        sampling = [(None if f == "default" else float(f), None) for f in grid.fps or ("default",)]
    # Examples belong to one strategy; the others are asked without any.
    asked = [(s, k) for s in grid.strategy for k in (grid.shots if s == strategies.FEW_SHOT else (0,))]
    product = itertools.product(
        grid.perturbation,
        grid.view,
        [(strategy, shots) for strategy, shots in asked if (shots > 0) == (strategy == strategies.FEW_SHOT)],
        wordings(kind, grid.framing, grid.answer_words),
        sampling,
        grid.pair_order if kind == "prefer" else ("ab",),
        range(grid.repeats),
    )
    cells = (
        Cell(
            model=model,
            perturbation=perturbation,
            view=view,
            strategy=strategy,
            framing=framing,
            answer_words=words,
            fps=fps,
            frames=frames,
            shots=shots,
            pair_order=order,
            repeat=repeat,
        )
        for perturbation, view, (strategy, shots), (framing, words), (fps, frames), order, repeat in product
    )
    return [cell for cell in cells if not any(_matches(cell, kind, dataset, skip) for skip in study.spec.skip)]


def _matches(cell: Cell, kind: Kind, dataset: str, skip: Mapping[str, Any]) -> bool:
    facts: dict[str, object] = {"kind": kind, "dataset": dataset}
    for key, wanted in skip.items():
        fact = facts[key] if key in facts else getattr(cell, key)
        if key == "fps" and fact is None and cell.frames is None:
            fact = "default"
        if fact not in (wanted if isinstance(wanted, list) else [wanted]):
            return False
    return True


@lru_cache(maxsize=4096)
def media_spec(cell: Cell, entry: ModelEntry, *, image: bool, options: ShowOptions = _PLAIN) -> MediaSpec:
    """Return how a performance is shown in a cell, given what the model takes. A rate means nothing for a picture."""
    if cell.perturbation == "text_only":
        return MediaSpec(perturbation="text_only", form="none")
    shown = MediaSpec(view=cell.view, perturbation=cell.perturbation, max_side=entry.max_side)
    shown = replace(
        shown,
        drawing=DRAWING if shown.posed else None,
        region=options.region if cell.perturbation == "region_blur" else None,
        seed=options.seed if cell.perturbation == "shuffled" else None,
        swap=options.swap if cell.perturbation == "swapped" else None,
    )
    if image:
        return shown
    # A clip sent whole keeps its own rate unless one is asked for; frames, providers that sample and texts need a
    # number.
    sampled = entry.media_form == "frames" or entry.native_sampling or cell.view == "pose_text"
    default = entry.default_fps if sampled else None
    return replace(
        shown,
        form=entry.media_form,
        fps=None if cell.frames is not None else cell.fps or default,
        frames=cell.frames,
        max_frames=entry.max_frames,
        native_sampling=entry.native_sampling,
    )


class Source(Protocol):
    """What is known of a source without decoding it."""

    @property
    def kind(self) -> str:
        """``image``, ``video`` or ``frames``."""


class Sources(Protocol):
    """What the plan must know of media, from file headers and cached hashes only."""

    def content_hash(self, performance: Performance) -> str:
        """Return the SHA-256 of the source's bytes."""

    def describe(self, performance: Performance) -> Source:
        """Return the facts of the source's header."""


class PoseSources(Protocol):
    """What the plan must know of joints; nothing is estimated."""

    def identity(self, performance: Performance) -> str:
        """Say what the joints of a performance come from: a file by its hash, or a model by its version."""


class PlannedRequest(NamedTuple):
    """A request of the plan: its key, its question, and what :meth:`request` needs to write it out.

    ``facts`` are about what is shown: the performances asked about, then those shown in their place, then those of the
    examples.
    """

    answer_key: str
    question: Question
    template: _Filled
    facts: tuple[_Facts, ...]
    shots: tuple[Performance, ...] = ()

    def request(self) -> Request:
        """Return the whole request."""
        template = self.template
        return Request(
            answer_key=self.answer_key,
            key_fields=(*_media_fields(template, self.facts), template.prompt, template.settings, template.draw),
            question=self.question,
            cell=template.cell,
            chain=template.chain,
            spec=template.spec,
            option_order=template.option_order,
            shots=self.shots,
            seed=template.seed,
        )


class _Filled(NamedTuple):
    """What all requests that put the same words in one cell share."""

    cell: Cell
    chain: Chain
    spec: MediaSpec
    show: str
    prompt: str
    settings: str
    draw: str
    seed: int
    posed: bool
    key_end: str
    option_order: tuple[int, ...]


class _Facts(NamedTuple):
    """What the plan knows of a performance's media."""

    source: str
    image: bool
    window: str


class Writer:
    """Writes the requests of one model about one data set.

    What many requests share is worked out once: a plan may hold a million of them.
    """

    def __init__(
        self, study: Study, dataset: Dataset, model: str, sources: Sources, poses: PoseSources, pool: Pool | None
    ) -> None:
        self._study = study
        self._dataset = dataset
        self._model = model
        self._entry = study.models[model]
        self._sources = sources
        self._poses = poses
        self._pool = pool
        self._settings = canonical_json(self._entry.key_settings)
        self._options = study.show_options
        self._swap_pairing: SwapPairing | None = None
        self._facts: dict[tuple[str, bool], _Facts] = {}
        self._starts: dict[tuple[str, tuple[_Facts, ...]], str] = {}
        self._templates: dict[tuple[object, ...], list[_Filled]] = {}
        self._put_of = ""
        self._put: dict[tuple[object, ...], tuple[_Filled, tuple[Performance, ...]]] = {}
        kinds: tuple[Kind, ...] = ("verify", "detect")
        self._cells = {kind: cells_of(study, kind, model, dataset.name) for kind in KINDS}
        self._lettered = {kind for kind in kinds if any(cell.answer_words == "a_b" for cell in self._cells[kind])}

    def requests(self, question: Question) -> list[PlannedRequest]:
        """Return the requests of a question, one for each cell."""
        this, other = question.performance, question.other
        facts: tuple[_Facts, ...] = (self._fact(this),) if other is None else (self._fact(this), self._fact(other))
        image = all(fact.image for fact in facts)
        order: tuple[int, ...] = ()
        if question.options or question.kind in self._lettered:
            # The order of options, or of two statements, is drawn: a liking for a letter is no liking for an answer.
            drawn = list(range(len(question.options) or 2))
            random.Random(f"{self._study.spec.seed}/{question.question_id}").shuffle(drawn)
            order = tuple(drawn)
        told = this.context if other is None else (this.context, other.context)
        same = (question.kind, this.action, question.criterion, question.error, question.text, told, order, image)
        templates = self._templates.get(same)
        if templates is None:
            if len(self._templates) > 10_000:
                self._templates.clear()
            cells = self._cells[question.kind]
            templates = self._templates[same] = [self._template(question, c, order, image=image) for c in cells]
        made = (self._request(question, template, facts, order, image=image) for template in templates)
        return [request for request in made if request is not None]

    def _request(
        self,
        question: Question,
        template: _Filled,
        facts: tuple[_Facts, ...],
        order: tuple[int, ...],
        *,
        image: bool,
    ) -> PlannedRequest | None:
        """Return the request of a question in a cell, None where it cannot be put there."""
        cell = template.cell
        shots: tuple[Performance, ...] = ()
        if image and cell.perturbation in _TEMPORAL:
            return None
        turned = cell.pair_order == "ba"
        if cell.perturbation == "swapped":
            question = question._replace(instead=self._instead(question))
            if not question.instead:
                return None
        if template.posed or question.instead:
            shown = in_order(question, cell.pair_order)
            shown += question.instead[::-1] if turned else question.instead
            facts = tuple(self._fact(performance, posed=template.posed) for performance in shown)
        elif turned:
            facts = facts[::-1]
        if self._pool is not None and cell.shots:
            template, shots = self._with_examples(self._pool, question, cell, order, image=image)
            facts += tuple(self._fact(performance, posed=template.posed) for performance in shots)
        start = self._starts.get((template.show, facts))
        if start is None:
            # Questions about one performance come together, so only a few need be remembered.
            if len(self._starts) > 1000:
                self._starts.clear()
            start = self._starts[template.show, facts] = digest(*_media_fields(template, facts))
        return PlannedRequest(answer_key(start, template.key_end), question, template, facts, shots)

    def _instead(self, question: Question) -> tuple[Performance, ...]:
        """Return the performances shown in place of those asked about, none where one of them has no partner."""
        if self._swap_pairing is None:
            self._swap_pairing = SwapPairing(self._dataset, self._study.spec.seed, self._study.spec.swap)
        partners = [self._swap_pairing.of(performance) for performance in in_order(question, "ab")]
        return tuple(one for one in partners if one is not None) if None not in partners else ()

    def _with_examples(
        self, pool: Pool, question: Question, cell: Cell, order: tuple[int, ...], *, image: bool
    ) -> tuple[_Filled, tuple[Performance, ...]]:
        """Return what a cell says with examples for this very question, and the performances that they show."""
        if self._put_of != question.question_id:
            self._put_of, self._put = question.question_id, {}
        # Perturbations, views and samplings of one question share its words.
        words = (cell.strategy, cell.framing, cell.answer_words, cell.pair_order, cell.shots, cell.repeat)
        known = self._put.get(words)
        if known is None:
            drawn = pool.draw(question, cell.shots, cell.repeat)
            performances = tuple(p for shot in drawn for p in in_order(shot.question, shot.pair_order))
            made = self._template(question, cell, order, image=image, shots=drawn)
            known = self._put[words] = made, performances
        made, performances = known
        spec = media_spec(cell, self._entry, image=image, options=self._options)
        return made._replace(cell=cell, spec=spec, show=spec_json(spec), posed=spec.posed), performances

    def _fact(self, performance: Performance, *, posed: bool = False) -> _Facts:
        known = self._facts.get((performance.id, posed))
        if known is None:
            # Questions about one performance come together, so only a few need be remembered.
            if len(self._facts) > 1000:
                self._facts.clear()
            source = self._sources.content_hash(performance)
            if posed:
                source += f"~{self._poses.identity(performance)}"
            known = self._facts[performance.id, posed] = _Facts(
                source=source,
                image=self._sources.describe(performance).kind == "image",
                window=window_json(performance),
            )
        return known

    def _template(
        self, question: Question, cell: Cell, order: tuple[int, ...], *, image: bool, shots: Sequence[Shot] = ()
    ) -> _Filled:
        medium: Medium = "image" if image else "video" if self._entry.media_form == "video" else "frames"
        if cell.view == "pose_text" and cell.perturbation != "text_only":
            medium = "pose_text"
        if question.kind in {"verify", "detect"} and cell.framing != "neutral":
            # The words ``a_b`` of a statement begin with "A is true" and are turned at every other repeat.
            order = ((0, 1), (1, 0))[cell.repeat % 2] if cell.answer_words == "a_b" else ()
        elif order:
            # So many repeats as there are options show each option once at every place.
            turned = cell.repeat % len(order)
            order = order[turned:] + order[:turned]
        told: tuple[str, ...] = ()
        if cell.strategy == strategies.GUIDELINE:
            told = guideline(self._dataset, question.performance.action, question.kind, cell.framing)
        chain = strategies.chain(
            question,
            cell.strategy,
            cell.framing,
            cell.answer_words,
            medium,
            order,
            pair_order=cell.pair_order,
            guideline=told,
            shots=shots,
        )
        spec = media_spec(cell, self._entry, image=image, options=self._options)
        seed = self._options.seed + cell.repeat
        prompt, draw = prompt_text(chain), f"repeat {cell.repeat}, seed {seed}"
        return _Filled(
            cell=cell,
            chain=chain,
            spec=spec,
            show=spec_json(spec),
            prompt=prompt,
            settings=self._settings,
            draw=draw,
            seed=seed,
            posed=spec.posed,
            key_end=digest(prompt, self._settings, draw),
            option_order=order,
        )


def _media_fields(template: _Filled, facts: tuple[_Facts, ...]) -> tuple[str, str]:
    """Return the key fields of the media: content hashes of the sources, and how they are shown."""
    return "+".join([fact.source for fact in facts]), "+".join([template.show + fact.window for fact in facts])


def shown_in_order(request: Request) -> tuple[Performance, ...]:
    """Return the performances a request shows: those asked about in their order, then those of its examples."""
    return (*in_order(request.question, request.cell.pair_order), *request.shots)


def ways_of_showing(request: Request) -> list[tuple[Performance, MediaSpec, Performance | None]]:
    """Return what a request shows, in order: a performance, how, and the one whose clip is shown in its place.

    The clips of examples are their own, also where those asked about are swapped.
    """
    instead = request.question.instead
    asked = in_order(request.question, request.cell.pair_order)
    if not instead:
        return [(performance, request.spec, None) for performance in (*asked, *request.shots)]
    partners = instead if request.cell.pair_order == "ab" else instead[::-1]
    plain = replace(request.spec, perturbation="none", swap=None)
    return [
        *((performance, request.spec, other) for performance, other in zip(asked, partners, strict=True)),
        *((performance, plain, None) for performance in request.shots),
    ]
