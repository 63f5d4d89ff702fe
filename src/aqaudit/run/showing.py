"""Showing: each performance is prepared once per way of showing it, whoever asks and however often."""

from __future__ import annotations

import os
from collections import OrderedDict
from typing import TYPE_CHECKING

import anyio
from anyio import to_thread

from aqaudit.keys import digest, media_spec, show_fields
from aqaudit.media.prepare import prepare, prepare_all
from aqaudit.models.call import AskFailed
from aqaudit.records import KINDS, BadInput

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from aqaudit.media.store import MediaStore
    from aqaudit.records import MediaSpec, Performance, Shown
    from aqaudit.run.journal import Journal
    from aqaudit.run.preparation import MediaSources
    from aqaudit.study import Study

_REMEMBERED = 4096
#: Ways of showing that need no pixel of the clip itself, or pixels of another one.
_APART = frozenset({"text_only", "swapped"})


class Projector:
    """Prepares media in threads, keeps the files in the store and remembers which showing led to which files.

    All ways in which a study shows a clip are prepared from one decode, when the first of them is asked for.
    """

    def __init__(
        self,
        store: MediaStore,
        sources: MediaSources,
        study: Study,
        journal: Journal,
        in_journal: Callable[..., Awaitable[object]],
    ) -> None:
        self._store = store
        self._sources = sources
        self._journal = journal
        self._in_journal = in_journal
        self._ready: OrderedDict[str, Shown] = OrderedDict()
        self._under_way: dict[str, anyio.Event] = {}
        self._threads = anyio.CapacityLimiter(os.cpu_count() or 1)
        self._together = {image: _ways(study, image=image) for image in (True, False)}

    async def show(self, performance: Performance, spec: MediaSpec, instead: Performance | None = None) -> Shown:
        """Return what a model is shown; two who ask for the same thing wait for one preparation.

        ``instead`` is the performance whose clip is shown in this one's place, where clips are swapped.

        Raises
        ------
        AskFailed
            With cause ``media``: the clip is damaged in a way that its header does not tell, or nobody is found in it.
        """
        key = self._key(performance, spec, instead)
        while key in self._under_way:
            await self._under_way[key].wait()
        if key in self._ready:
            self._ready.move_to_end(key)
            return self._ready[key]
        batch = {key: spec}
        if spec.perturbation not in _APART and (spec.form != "none" or spec.view == "pose_text"):
            for other in self._together[self._sources.is_image(performance)]:
                batch.setdefault(self._key(performance, other), other)
        wanted = {k: s for k, s in batch.items() if k not in self._ready and k not in self._under_way}
        event = anyio.Event()
        self._under_way.update(dict.fromkeys(wanted, event))
        try:
            made = await self._prepare(key, wanted, performance, instead)
        finally:
            for name in wanted:
                self._under_way.pop(name)
            event.set()
        self._ready.update(made)
        while len(self._ready) > _REMEMBERED:
            self._ready.popitem(last=False)
        return made[key]

    def _key(self, performance: Performance, spec: MediaSpec, instead: Performance | None = None) -> str:
        text = ""
        for one in (performance, instead):
            if one is not None:
                pose = f"~{self._sources.pose_identity(one)}" if spec.posed else ""
                text += f"{self._sources.content_hash(one)}{pose} {show_fields(one, spec)}"
        return digest(text)

    async def _prepare(
        self, key: str, wanted: dict[str, MediaSpec], performance: Performance, instead: Performance | None
    ) -> dict[str, Shown]:
        folder = self._store.folder
        earlier = await self._in_journal(self._journal.shown, key, folder)
        if earlier is not None:
            return {key: earlier}  # type: ignore[dict-item]
        try:
            made = await to_thread.run_sync(self._make, key, wanted, performance, instead, limiter=self._threads)
        except BadInput as error:
            raise AskFailed("media", str(error)) from error
        for name, shown in made.items():
            await self._in_journal(self._journal.add_shown, name, shown, folder)
        return made

    def _make(
        self, key: str, wanted: dict[str, MediaSpec], performance: Performance, instead: Performance | None
    ) -> dict[str, Shown]:
        """Prepare everything wanted at once; where that fails, what was asked for alone, which then says why."""
        source, poses = self._sources.content_hash(performance), self._sources.poses
        names: Sequence[str] = list(wanted)
        if len(names) > 1:
            try:
                specs = [wanted[name] for name in names]
                made = prepare_all(performance, specs, self._store, poser=poses, draw=source)
                return dict(zip(names, made, strict=True))
            except BadInput:
                pass
        return {key: prepare(performance, wanted[key], self._store, poser=poses, instead=instead, draw=source)}


def _ways(study: Study, *, image: bool) -> tuple[MediaSpec, ...]:
    """Return every way in which a study shows a performance's own clip."""
    ways: dict[MediaSpec, None] = {}
    for model, entry in study.models.items():
        for cell in (cell for kind in KINDS for cell in study.cells(kind, model)):
            spec = media_spec(cell, entry, image=image, options=study.show_options)
            if spec.perturbation not in _APART:
                ways[spec] = None
    return tuple(ways)
