"""Writing requests: one question in every cell, with its key. What many requests share is worked out once."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import replace
from functools import lru_cache
from typing import NamedTuple, Protocol

from aqaudit.core.keys import answer_key, canonical_json, key_end, key_start, prompt_text, spec_json, window_json
from aqaudit.core.records import (
    DRAWING,
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
from aqaudit.prompts.framing import guideline
from aqaudit.prompts.shots import Pool, Shot
from aqaudit.prompts.strategies import Medium
from aqaudit.study.pairs import SwapPairing
from aqaudit.study.study import Study

#: Perturbations of the order of frames, which a single picture does not have: they are not asked about one.
_TEMPORAL = frozenset({"frozen", "shuffled", "reversed"})


class Sources(Protocol):
    """What the plan must know of media, from file headers and cached hashes only."""

    def content_hash(self, performance: Performance) -> str:
        """Return the SHA-256 of the source's bytes."""

    def is_image(self, performance: Performance) -> bool:
        """Tell whether the performance is one picture."""

    def pose_identity(self, performance: Performance) -> str:
        """Say what the joints of a performance come from: a file by its hash, or a model by its version."""


class PlannedRequest(NamedTuple):
    """A request of the plan: its key, its question, and what :meth:`request` needs to write it out.

    ``facts`` are about what is shown: the performances asked about, then those shown in their place, then those of the
    examples.
    """

    answer_key: str
    question: Question
    template: _Template
    facts: tuple[_Facts, ...]
    shots: tuple[Performance, ...] = ()

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
            option_order=template.option_order,
            shots=self.shots,
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

    def __init__(self, study: Study, dataset: Dataset, model: str, sources: Sources, pool: Pool | None) -> None:
        self._study = study
        self._dataset = dataset
        self._model = model
        self._entry = study.models[model]
        self._sources = sources
        self._pool = pool
        self._settings = canonical_json(self._entry.key_settings())
        self._swap_pairing = SwapPairing(dataset, study.seed, study.spec.swap)
        self._facts: dict[tuple[str, bool], _Facts] = {}
        self._starts: dict[tuple[str, tuple[_Facts, ...]], str] = {}
        self._templates: dict[tuple[object, ...], list[_Template]] = {}
        self._put_of = ""
        self._put: dict[tuple[object, ...], tuple[_Template, tuple[Performance, ...]]] = {}
        self._lettered = {kind: self._has_letters(kind) for kind in ("verify", "detect")}

    def requests(self, question: Question) -> list[PlannedRequest]:
        """Return the requests of a question, one for each cell."""
        order, other = self._drawn_order(question), question.other
        this = self._fact(question.performance)
        facts: tuple[_Facts, ...] = (this,)
        image = this.image
        if other is not None:
            that = self._fact(other)
            facts, image = (this, that), this.image and that.image
        result = []
        for template in self._of(question, order, image=image):
            perturbation, asked = template.cell.perturbation, question
            if image and perturbation in _TEMPORAL:
                continue
            if template.posed or perturbation == "swapped":
                if perturbation == "swapped":
                    asked = question._replace(instead=self._instead(question))
                    if not asked.instead:
                        continue
                shown = self._shown(asked, template)
            else:
                shown = facts if other is None or template.cell.pair_order == "ab" else facts[::-1]
            if self._pool is not None and template.cell.shots:
                result.append(self._with_examples(self._pool, asked, template.cell, order, shown, image=image))
                continue
            key = answer_key(self._start(template.show, shown), template.key_end)
            result.append(PlannedRequest(key, asked, template, shown))
        return result

    def _shown(self, question: Question, template: _Template) -> tuple[_Facts, ...]:
        order = template.cell.pair_order
        shown = (*in_order(question, order), *(question.instead if order == "ab" else question.instead[::-1]))
        return tuple(self._fact(performance, posed=template.posed) for performance in shown)

    def _instead(self, question: Question) -> tuple[Performance, ...]:
        """Return the performances shown in place of those asked about, none where one of them has no partner."""
        partners = [self._swap_pairing.of(performance) for performance in in_order(question, "ab")]
        return tuple(one for one in partners if one is not None) if None not in partners else ()

    def _with_examples(
        self,
        pool: Pool,
        question: Question,
        cell: Cell,
        order: tuple[int, ...],
        shown: tuple[_Facts, ...],
        *,
        image: bool,
    ) -> PlannedRequest:
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
        spec = media_spec(cell, self._entry, image=image, options=self._study.show_options)
        template = made._replace(cell=cell, spec=spec, show=spec_json(spec), posed=spec.posed)
        facts = (*shown, *(self._fact(p, posed=spec.posed) for p in performances))
        key = answer_key(self._start(template.show, facts), template.key_end)
        return PlannedRequest(key, question, template, facts, performances)

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

    def _fact(self, performance: Performance, *, posed: bool = False) -> _Facts:
        known = self._facts.get((performance.id, posed))
        if known is None:
            # Questions about one performance come together, so only a few need be remembered.
            if len(self._facts) > 1000:
                self._facts.clear()
            source = self._sources.content_hash(performance)
            if posed:
                source += f"~{self._sources.pose_identity(performance)}"
            known = self._facts[performance.id, posed] = _Facts(
                source=source,
                image=self._sources.is_image(performance),
                window=window_json(performance),
            )
        return known

    def _of(self, question: Question, order: tuple[int, ...], *, image: bool) -> list[_Template]:
        this, other = question.performance, question.other
        told = this.context if other is None else (this.context, other.context)
        key = (question.kind, this.action, question.criterion, question.error, question.text, told, order, image)
        known = self._templates.get(key)
        if known is None:
            if len(self._templates) > 10_000:
                self._templates.clear()
            cells = self._study.cells(question.kind, self._model, self._dataset.name)
            known = self._templates[key] = [self._template(question, cell, order, image=image) for cell in cells]
        return known

    def _template(
        self, question: Question, cell: Cell, order: tuple[int, ...], *, image: bool, shots: Sequence[Shot] = ()
    ) -> _Template:
        medium: Medium = "image" if image else "video" if self._entry.media_form == "video" else "frames"
        if cell.view == "pose_text" and cell.perturbation != "text_only":
            medium = "pose_text"
        shown_order = _shown_order(question, cell, order)
        chain = strategies.chain(
            question,
            cell.strategy,
            cell.framing,
            cell.answer_words,
            medium,
            shown_order,
            pair_order=cell.pair_order,
            guideline=self._guideline(question, cell),
            shots=shots,
        )
        spec = media_spec(cell, self._entry, image=image, options=self._study.show_options)
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
            posed=spec.posed,
            key_end=key_end(prompt, self._settings, draw),
            option_order=shown_order,
        )

    def _guideline(self, question: Question, cell: Cell) -> tuple[str, ...]:
        if cell.strategy != strategies.GUIDELINE:
            return ()
        return guideline(self._dataset, question.performance.action, question.kind, cell.framing)

    def _has_letters(self, kind: Kind) -> bool:
        cells = self._study.cells(kind, self._model, self._dataset.name)
        return any(cell.answer_words == "a_b" for cell in cells)

    def _drawn_order(self, question: Question) -> tuple[int, ...]:
        """Draw the order of options, or of two statements, per question.

        A liking for a letter is then no liking for an answer.
        """
        if not question.options and not self._lettered.get(question.kind):
            return ()
        order = list(range(len(question.options) or 2))
        random.Random(f"{self._study.seed}/{question.question_id}").shuffle(order)
        return tuple(order)


def _shown_order(question: Question, cell: Cell, drawn: tuple[int, ...]) -> tuple[int, ...]:
    """Return the order shown in a cell: that drawn, turned by one place at every repeat.

    So many repeats as there are options show each option once at every place. The words ``a_b`` of a statement begin
    with "A is true" and are turned at every other repeat.
    """
    if question.kind in {"verify", "detect"} and cell.framing != "neutral":
        return ((0, 1), (1, 0))[cell.repeat % 2] if cell.answer_words == "a_b" else ()
    turned = cell.repeat % len(drawn) if drawn else 0
    return drawn[turned:] + drawn[:turned]


def shown_in_order(request: Request) -> tuple[Performance, ...]:
    """Return the performances a request shows: those asked about in their order, then those of its examples."""
    return (*in_order(request.question, request.cell.pair_order), *request.shots)


def ways_of_showing(request: Request) -> list[tuple[Performance, MediaSpec, Performance | None]]:
    """Return what a request shows, in order: a performance, how, and the one whose clip is shown in its place.

    The clips of examples are their own, also where those asked about are swapped.
    """
    instead = request.question.instead
    if not instead:
        return [(performance, request.spec, None) for performance in shown_in_order(request)]
    asked = in_order(request.question, request.cell.pair_order)
    partners = instead if request.cell.pair_order == "ab" else instead[::-1]
    plain = replace(request.spec, perturbation="none", swap=None)
    return [
        *((performance, request.spec, other) for performance, other in zip(asked, partners, strict=True)),
        *((performance, plain, None) for performance in request.shots),
    ]


_PLAIN = ShowOptions()


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
