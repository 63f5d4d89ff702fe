"""The executor of a run: who prepares media and asks models. Threads of this process, or workers of a cluster.

What is asked when, how often, how fast and for how much money is decided elsewhere, whoever does the work. The media
cache has each clip prepared once for all who show it.
"""

from __future__ import annotations

import logging
import os
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import anyio
from anyio import to_thread

from aqaudit.core.keys import digest, spec_json, window_json
from aqaudit.core.records import KINDS, BadInput, MediaSpec, Performance, Shown
from aqaudit.engine.journal import Journal
from aqaudit.engine.preparation import Prepared
from aqaudit.media.cache import MediaStore
from aqaudit.media.poses import Poses
from aqaudit.media.prepare import prepare
from aqaudit.models.call import AskFailed, Model
from aqaudit.models.catalog import open_model
from aqaudit.models.settings import ModelEntry
from aqaudit.study.requests import cells_of, media_spec
from aqaudit.study.study import Study

_log = logging.getLogger(__name__)

_REMEMBERED = 4096
#: Ways of showing a clip that need no pixel of the clip itself, or pixels of another one.
_APART = frozenset({"text_only", "swapped"})


@dataclass(frozen=True, slots=True, kw_only=True)
class PrepareJob:
    """What is to be prepared of one performance: ways of showing it by their keys.

    ``key`` is the one that was asked for, ``source`` the SHA-256 of the performance's file, ``instead`` the performance
    whose clip is shown in this one's place, where clips are swapped.
    """

    key: str
    wanted: Mapping[str, MediaSpec]
    performance: Performance
    instead: Performance | None
    source: str


def run_job(job: PrepareJob, store: MediaStore, poses: Poses) -> dict[str, Shown]:
    """Prepare everything wanted at once; where that fails, what was asked for alone, which then says why.

    Raises
    ------
    BadInput
        It cannot be shown.
    OSError
        The store cannot be written.
    """
    performance, wanted, source, began = job.performance, job.wanted, job.source, time.monotonic()
    if len(wanted) > 1:
        try:
            made = prepare(performance, list(wanted.values()), store, poser=poses, draw=source)
            _log.debug("showed %s in %d ways: %.2f s", source[:12], len(wanted), time.monotonic() - began)
            return dict(zip(wanted, made, strict=True))
        except BadInput as error:
            _log.debug("cannot show %s in all %d ways: %s", source[:12], len(wanted), error)
    alone = [wanted[job.key]]
    (shown,) = prepare(performance, alone, store, poser=poses, instead=job.instead, draw=source)
    _log.debug("showed %s in 1 way: %.2f s", source[:12], time.monotonic() - began)
    return {job.key: shown}


class MediaCache:
    """Has media prepared, each once, and remembers which way of showing a clip led to which files.

    All ways in which a study shows a clip are prepared from one decode, when the first of them is asked for.
    """

    def __init__(
        self,
        folder: Path,
        make: Callable[[PrepareJob], Awaitable[dict[str, Shown]]],
        prepared: Prepared,
        journal: Journal,
        in_journal: Callable[..., Awaitable[object]],
    ) -> None:
        self._folder = folder
        self._make = make
        self._sources, self._poses = prepared.sources, prepared.poses
        self._journal = journal
        self._in_journal = in_journal
        self._ready: OrderedDict[str, Shown] = OrderedDict()
        self._under_way: dict[str, anyio.Event] = {}
        self._together = {image: _ways(prepared.study, image=image) for image in (True, False)}

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
        wanted = {key: spec}
        if spec.perturbation not in _APART and (spec.form != "none" or spec.view == "pose_text"):
            for other in self._together[self._sources.describe(performance).kind == "image"]:
                name = self._key(performance, other)
                if name not in self._ready and name not in self._under_way:
                    wanted.setdefault(name, other)
        event = anyio.Event()
        self._under_way.update(dict.fromkeys(wanted, event))
        try:
            earlier = await self._in_journal(self._journal.shown, key, self._folder)
            if isinstance(earlier, Shown):
                made = {key: earlier}
            else:
                source = self._sources.content_hash(performance)
                job = PrepareJob(key=key, wanted=wanted, performance=performance, instead=instead, source=source)
                made = await self._make(job)
                for name, shown in made.items():
                    await self._in_journal(self._journal.add_shown, name, shown, self._folder)
        except BadInput as error:
            raise AskFailed("media", str(error)) from error
        finally:
            for name in wanted:
                self._under_way.pop(name)
            event.set()
        self._ready.update(made)
        while len(self._ready) > _REMEMBERED:
            self._ready.popitem(last=False)
        return made[key]

    def _key(self, performance: Performance, spec: MediaSpec, instead: Performance | None = None) -> str:
        texts = []
        for one in (performance, instead):
            if one is not None:
                pose = f"~{self._poses.identity(one)}" if spec.posed else ""
                texts.append(f"{self._sources.content_hash(one)}{pose} {spec_json(spec)}{window_json(one)}")
        return digest("".join(texts))


def _ways(study: Study, *, image: bool) -> tuple[MediaSpec, ...]:
    """Return every way in which a study shows a performance's own clip."""
    ways: dict[MediaSpec, None] = {}
    for model, entry in study.models.items():
        for cell in (cell for kind in KINDS for cell in cells_of(study, kind, model)):
            spec = media_spec(cell, entry, image=image, options=study.show_options)
            if spec.perturbation not in _APART:
                ways[spec] = None
    return tuple(ways)


class Executor(Protocol):
    """Those who do the work of a run; ``media`` is the folder of the files that are sent."""

    media: Path

    def open(self, name: str, entry: ModelEntry) -> Model:
        """Open a model for asking; :class:`BadInput` where it cannot be used."""

    def width(self, entry: ModelEntry) -> int:
        """Return how many requests to a model may be open at once."""

    def begin(self) -> None:
        """Get ready once the output folder is there; :class:`BadInput` where the executor cannot work with it."""

    async def prepare(self, job: PrepareJob) -> dict[str, Shown]:
        """Prepare media; :class:`BadInput` says why a clip cannot be shown, OSError that a disk is full."""


class ThreadExecutor:
    """The executor of one machine: threads of this process."""

    def __init__(self, prepared: Prepared) -> None:
        self.media = prepared.options.out / "media"
        self._store = MediaStore(self.media)
        self._poses = prepared.poses
        self._threads = anyio.CapacityLimiter(os.cpu_count() or 1)

    def open(self, name: str, entry: ModelEntry) -> Model:
        """Open a model in this process."""
        return open_model(name, entry)

    def width(self, entry: ModelEntry) -> int:
        """Return the model's own limit."""
        return entry.concurrency

    def begin(self) -> None:
        """Threads are always ready."""

    async def prepare(self, job: PrepareJob) -> dict[str, Shown]:
        """Prepare media in a thread, one for each core at once."""
        return await to_thread.run_sync(run_job, job, self._store, self._poses, limiter=self._threads)
