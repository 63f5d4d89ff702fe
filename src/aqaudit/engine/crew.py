"""The crew of a run: who prepares media and asks models. Threads of this process, or workers of a cluster.

What is asked when, how often, how fast and for how much money is decided in one place whoever the crew is: the engine.
"""

from __future__ import annotations

import os
from contextlib import contextmanager
from typing import TYPE_CHECKING, Protocol

import anyio
from anyio import to_thread

from aqaudit.engine.showing import make_shown
from aqaudit.media.store import MediaStore
from aqaudit.models.catalog import open_model

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from aqaudit.engine.preparation import Prepared
    from aqaudit.engine.showing import Showing
    from aqaudit.models.call import Model
    from aqaudit.models.catalog import ModelEntry
    from aqaudit.records import Shown


class Crew(Protocol):
    """Those who do the work of a run; ``media`` is the folder of the files that are sent."""

    media: Path

    def open(self, name: str, entry: ModelEntry) -> Model:
        """Open a model for asking; :class:`BadInput` where it cannot be used."""

    def width(self, entry: ModelEntry) -> int:
        """Return how many requests to a model may be open at once."""

    def begin(self) -> None:
        """Get ready once the output folder is there; :class:`BadInput` where the crew cannot work with it."""

    async def prepare(self, showing: Showing) -> dict[str, Shown]:
        """Prepare media; :class:`BadInput` says why a clip cannot be shown, OSError that a disk is full."""


class Threads:
    """The crew of one machine: threads of this process."""

    def __init__(self, prepared: Prepared) -> None:
        self.media = prepared.options.out / "media"
        self._store = MediaStore(self.media)
        self._poses = prepared.sources.poses
        self._threads = anyio.CapacityLimiter(os.cpu_count() or 1)

    def open(self, name: str, entry: ModelEntry) -> Model:
        """Open a model in this process."""
        return open_model(name, entry)

    def width(self, entry: ModelEntry) -> int:
        """Return the model's own limit."""
        return entry.concurrency

    def begin(self) -> None:
        """Threads are always ready."""

    async def prepare(self, showing: Showing) -> dict[str, Shown]:
        """Prepare media in a thread, one for each core at once."""
        return await to_thread.run_sync(make_shown, showing, self._store, self._poses, limiter=self._threads)


@contextmanager
def gathered(prepared: Prepared) -> Iterator[Crew]:
    """Gather the crew that a run asks for, and let it go at the end.

    Raises
    ------
    BadInput
        There is no cluster to work on.
    """
    if prepared.options.engine == "ray":
        from aqaudit.engine.cluster import workers  # noqa: PLC0415 - an extra

        with workers(prepared) as crew:
            yield crew
    else:
        yield Threads(prepared)
