"""Estimators: models that find joints in pictures, by name, as one interface."""

from __future__ import annotations

import hashlib
import importlib.util
import os
import urllib.error
import urllib.request
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from http.client import HTTPException
from pathlib import Path
from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from aqaudit.core.records import BadInput, nearest
from aqaudit.pose.coco17 import Points

_DOWNLOAD_S = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelFile:
    """A file of weights: its name, size and hash, and where it may be.

    ``variable`` names an environment variable that holds a path; ``packages`` are (module, path below it) of packages
    that carry the file; ``url`` is where it is published, None where it is not.
    """

    name: str
    size: int
    sha256: str
    variable: str
    packages: tuple[tuple[str, str], ...]
    url: str | None = None

    def path(self) -> Path:
        """Return the path of the file, downloading it where it is nowhere on this machine.

        Raises
        ------
        BadInput
            It is not to be had, or the one named by the environment variable is another file.
        """
        given = os.environ.get(self.variable)
        if given:
            path = Path(given)
            if not self._is(path):
                raise BadInput(
                    f"{self.variable}: {path} is not {self.name} with sha256 {self.sha256}; give that file, or unset it"
                )
            return path
        for path in self.places():
            if self._is(path):
                return path
        return self.download()

    def places(self) -> Iterator[Path]:
        """Yield where the file may lie on this machine, packages first, then the cache."""
        for module, below in self.packages:
            try:
                found = importlib.util.find_spec(module)
            except (ImportError, ValueError):
                continue
            for folder in (found.submodule_search_locations if found else None) or ():
                yield Path(folder) / below
        yield self.cached()

    def here(self) -> bool:
        """Say whether a file of this name and size is on this machine; its hash is checked when it is used."""
        given = os.environ.get(self.variable)
        places = [Path(given)] if given else self.places()
        return any(path.is_file() and path.stat().st_size == self.size for path in places)

    def cached(self) -> Path:
        """Return where a downloaded copy is kept."""
        folder = os.environ.get("AQAUDIT_CACHE")
        return (Path(folder) if folder else Path.home() / ".cache" / "aqaudit") / "models" / self.sha256 / self.name

    def download(self, url: str | None = None) -> Path:
        """Download the file into the cache, from ``url`` or its publisher; kept only when its hash is right.

        Raises
        ------
        BadInput
            It cannot be fetched, is another file, or is published nowhere.
        """
        url = url or self.url
        how = f"put it on this machine and name it in {self.variable}"
        if url is None:
            carriers = ", ".join(module for module, _ in self.packages)
            raise BadInput(f"{self.name} is not on this machine: install {carriers}, or {how}")
        target = self.cached()
        draft = target.with_name(f".{uuid.uuid4().hex}.part")
        digest, size = hashlib.sha256(), 0
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            with urllib.request.urlopen(url, timeout=_DOWNLOAD_S) as answer, draft.open("wb") as file:  # noqa: S310
                while block := answer.read(1 << 20):
                    size += len(block)
                    if size > self.size:
                        break
                    digest.update(block)
                    file.write(block)
            if size != self.size or digest.hexdigest() != self.sha256:
                raise BadInput(f"{url}: is not {self.name} with sha256 {self.sha256}; {how}")
            draft.replace(target)
        except (OSError, ValueError, HTTPException) as error:
            if isinstance(error, BadInput):
                raise
            reason = error.reason if isinstance(error, urllib.error.URLError) else error.__class__.__name__
            raise BadInput(f"{self.name} cannot be fetched from {url} ({reason}); {how}") from None
        finally:
            draft.unlink(missing_ok=True)
        return target

    def _is(self, path: Path) -> bool:
        try:
            if path.stat().st_size != self.size:
                return False
            with path.open("rb") as file:
                return hashlib.file_digest(file, "sha256").hexdigest() == self.sha256
        except OSError:
            return False


class People(NamedTuple):
    """The people found in one picture: P x 17 x 3 joints, and the same in space (metres) where the model gives them."""

    points: Points
    joints3d: Points | None = None


class Estimator(Protocol):
    """A pose model, used from any number of threads; each clip is begun anew and depends on no other."""

    @property
    def id(self) -> str:
        """Name and version of the model and of its use here; it is part of answer keys."""

    def begin(self) -> Callable[[NDArray[np.uint8]], People]:
        """Return a function that takes the upright RGB pictures of one clip in order."""


#: The estimators by name.
ESTIMATORS: tuple[str, ...] = ("mediapipe", "movenet")


def open_estimator(name: str) -> Estimator:
    """Return an estimator by name; what it needs is checked, not loaded.

    Raises
    ------
    BadInput
        The name is not known, the library is missing or of another version, or no model file can be found.
    """
    if name == "mediapipe":
        from aqaudit.pose.mediapipe import MediaPipe  # noqa: PLC0415 - a model of its own is loaded when it is used

        return MediaPipe()
    if name == "movenet":
        from aqaudit.pose.movenet import MoveNet  # noqa: PLC0415 - as above

        return MoveNet()
    raise BadInput(f"pose estimator '{name}' is not known{nearest(name, ESTIMATORS)}")
