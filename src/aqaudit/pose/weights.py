"""Files of weights: where they may lie on this machine, how they are fetched, and that they are the right ones."""

from __future__ import annotations

import hashlib
import importlib.util
import os
import urllib.error
import urllib.request
import uuid
from dataclasses import dataclass
from http.client import HTTPException
from pathlib import Path

from aqaudit.core.records import BadInput

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
        """Return the path of the file, downloading it into the cache where it is nowhere on this machine.

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
        return self._downloaded()

    def places(self) -> list[Path]:
        """Return where the file may lie on this machine: in packages, and last in the cache."""
        places = []
        for module, below in self.packages:
            try:
                found = importlib.util.find_spec(module)
            except (ImportError, ValueError):
                continue
            places += [Path(folder) / below for folder in (found.submodule_search_locations if found else None) or ()]
        cache = Path(os.environ.get("AQAUDIT_CACHE") or Path.home() / ".cache" / "aqaudit")
        return [*places, cache / "models" / self.sha256 / self.name]

    def _is(self, path: Path) -> bool:
        try:
            if path.stat().st_size != self.size:
                return False
            with path.open("rb") as file:
                return hashlib.file_digest(file, "sha256").hexdigest() == self.sha256
        except OSError:
            return False

    def _downloaded(self) -> Path:
        """Download the file from its publisher into the cache; it is kept only when its hash is right."""
        how = f"put it on this machine and name it in {self.variable}"
        if self.url is None:
            carriers = ", ".join(module for module, _ in self.packages)
            raise BadInput(f"{self.name} is not on this machine: install {carriers}, or {how}")
        target = self.places()[-1]
        draft = target.with_name(f".{uuid.uuid4().hex}.part")
        digest, size = hashlib.sha256(), 0
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            with urllib.request.urlopen(self.url, timeout=_DOWNLOAD_S) as answer, draft.open("wb") as file:  # noqa: S310
                while block := answer.read(1 << 20):
                    size += len(block)
                    if size > self.size:
                        break
                    digest.update(block)
                    file.write(block)
            right = size == self.size and digest.hexdigest() == self.sha256
            if right:
                draft.replace(target)
        except (OSError, ValueError, HTTPException) as error:
            reason = error.reason if isinstance(error, urllib.error.URLError) else error.__class__.__name__
            raise BadInput(f"{self.name} cannot be fetched from {self.url} ({reason}); {how}") from None
        finally:
            draft.unlink(missing_ok=True)
        if not right:
            raise BadInput(f"{self.url}: is not {self.name} with sha256 {self.sha256}; {how}")
        return target
