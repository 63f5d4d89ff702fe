"""A worker of a cluster: prepares media into the run's store and asks models, whatever the driver tells it.

A worker decides nothing and keeps nothing but open models: limits, retries and the journal are the driver's. What goes
wrong goes back as data, because a message of unknown origin could hold a key, and Ray logs what is raised.
"""

from __future__ import annotations

import os
import socket
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from anyio import to_thread

from aqaudit import __version__
from aqaudit.engine.attempts import slipped_out
from aqaudit.engine.showing import make_shown
from aqaudit.media.posed import Poses
from aqaudit.media.source import SourceCache
from aqaudit.media.store import MediaStore
from aqaudit.models.call import AskFailed
from aqaudit.models.catalog import open_model
from aqaudit.records import BadInput

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from aqaudit.engine.showing import Showing
    from aqaudit.models.call import Call, Cause, Model, Reply
    from aqaudit.models.catalog import ModelEntry
    from aqaudit.records import PoseSource, Shown


@dataclass(frozen=True, slots=True, kw_only=True)
class Trouble:
    """What went wrong on a worker: a failed request, unusable input (no cause), or a disk (``errno``)."""

    message: str
    cause: Cause | None = None
    status: int | None = None
    retry_after_s: float | None = None
    errno: int | None = None

    def error(self) -> Exception:
        """Return it as the exception that it was."""
        if self.errno is not None:
            return OSError(self.errno, self.message)
        if self.cause is None:
            return BadInput(self.message)
        return AskFailed(self.cause, self.message, status=self.status, retry_after_s=self.retry_after_s)


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where the driver works, so that relative paths mean the same to a worker, and what a worker must find there.

    ``estimates`` is the folder of estimated poses, None where the study estimates none. ``tokens`` are files that the
    driver has just written, ``files`` sources with their sizes in bytes (None for a folder).
    """

    version: str
    folder: Path
    media: Path
    pose: PoseSource
    estimates: Path | None
    tokens: Sequence[Path] = ()
    files: Sequence[tuple[Path, int | None]] = ()


class Worker:
    """One process of the cluster; its methods run side by side in one event loop."""

    def __init__(self, place: Place) -> None:
        with suppress(OSError):
            os.chdir(place.folder)
        self._store = MediaStore(place.media)
        self._poses = Poses(SourceCache(None), place.pose, place.estimates)
        self._models: dict[str, Model] = {}

    async def open(self, name: str, entry: ModelEntry) -> str | Trouble:
        """Open a model for asking; return its endpoint."""
        try:
            return self._opened(name, entry).endpoint
        except BadInput as error:
            return Trouble(message=f"worker on {socket.gethostname()}: {error}")
        except Exception as error:  # noqa: BLE001 - see the module's word on messages
            return Trouble(message=f"worker on {socket.gethostname()}: models.{name}: {type(error).__name__}")

    def _opened(self, name: str, entry: ModelEntry) -> Model:
        if name not in self._models:
            self._models[name] = open_model(name, entry)
        return self._models[name]

    async def look(self, place: Place) -> Trouble | None:
        """See whether this machine sees the driver's files and may write beside them."""
        host = socket.gethostname()
        if place.version != __version__:
            return Trouble(message=f"worker on {host}: has aqaudit {__version__}, this is {place.version}")
        for path in place.tokens:
            if not path.is_file():
                return Trouble(message=_unseen(host, path.parent.parent))
        for path, size in place.files:
            if not (path.is_dir() if size is None else path.is_file() and path.stat().st_size == size):
                return Trouble(message=_unseen(host, path))
        try:
            self._store.put(place.version.encode(), "text/plain").path.unlink(missing_ok=True)
        except OSError as error:
            return Trouble(message=f"worker on {host}: cannot write to {place.media}: {error.strerror or error}")
        return None

    async def prepare(self, showing: Showing) -> dict[str, Shown] | Trouble:
        """Prepare media into the store of the run."""
        try:
            return await to_thread.run_sync(make_shown, showing, self._store, self._poses)
        except BadInput as error:
            return Trouble(message=str(error))
        except OSError as error:
            return Trouble(message=error.strerror or type(error).__name__, errno=error.errno or 5)
        except Exception as error:  # noqa: BLE001 - it costs this request only
            return Trouble(cause="internal", message=f"{type(error).__name__} while its media were prepared")

    async def ask(self, name: str, entry: ModelEntry, call: Call) -> Reply | Trouble:
        """Ask a model once."""
        try:
            return await self._opened(name, entry).ask(call)
        except BadInput as error:
            return Trouble(cause="internal", message=str(error))
        except Exception as error:  # noqa: BLE001 - see the module's word on messages
            failed = error if isinstance(error, AskFailed) else slipped_out(error, name, entry.timeout_s)
            return Trouble(
                cause=failed.cause, message=failed.message, status=failed.status, retry_after_s=failed.retry_after_s
            )

    async def close(self) -> None:
        """Close the connections of all models."""
        for model in self._models.values():
            with suppress(Exception):
                await model.aclose()


def _unseen(host: str, path: Path) -> str:
    return (
        f"worker on {host}: does not see {path.absolute()} as this machine does; --engine ray needs the output folder "
        "and the data at the same path on every machine (a shared file system)"
    )
