"""Showing: each performance is prepared once per way of showing it, whoever asks and however often."""

from __future__ import annotations

import os
from collections import OrderedDict
from typing import TYPE_CHECKING

import anyio
from anyio import to_thread

from aqaudit.keys import digest, show_fields
from aqaudit.media.prepare import prepare
from aqaudit.models.call import AskFailed
from aqaudit.records import BadInput

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from aqaudit.media.store import MediaStore
    from aqaudit.records import MediaSpec, Performance, Shown
    from aqaudit.run.journal import Journal
    from aqaudit.run.preparation import MediaSources

_REMEMBERED = 512


class Projector:
    """Prepares media in threads, keeps the files in the store and remembers which showing led to which files."""

    def __init__(
        self,
        store: MediaStore,
        sources: MediaSources,
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

    async def show(self, performance: Performance, spec: MediaSpec) -> Shown:
        """Return what a model is shown; two who ask for the same thing wait for one preparation.

        Raises
        ------
        AskFailed
            With cause ``media``: the clip is damaged in a way that its header does not tell.
        """
        key = digest(f"{self._sources.content_hash(performance)} {show_fields(performance, spec)}")
        while key in self._under_way:
            await self._under_way[key].wait()
        if key in self._ready:
            self._ready.move_to_end(key)
            return self._ready[key]
        self._under_way[key] = anyio.Event()
        try:
            shown = await self._prepare(key, performance, spec)
        finally:
            self._under_way.pop(key).set()
        self._ready[key] = shown
        if len(self._ready) > _REMEMBERED:
            self._ready.popitem(last=False)
        return shown

    async def _prepare(self, key: str, performance: Performance, spec: MediaSpec) -> Shown:
        folder = self._store.folder
        earlier = await self._in_journal(self._journal.shown, key, folder)
        if earlier is not None:
            return earlier  # type: ignore[return-value]
        try:
            shown = await to_thread.run_sync(prepare, performance, spec, self._store, limiter=self._threads)
        except BadInput as error:
            raise AskFailed("media", str(error)) from error
        await self._in_journal(self._journal.add_shown, key, shown, folder)
        return shown
