"""The files a run has sent, each kept once, named by the hash of its bytes."""

from __future__ import annotations

import hashlib
import uuid
from dataclasses import dataclass
from pathlib import Path

from aqaudit.core.records import MediaPart

_SUFFIXES = {"image/jpeg": ".jpg", "image/png": ".png", "video/mp4": ".mp4", "text/plain": ".txt"}


@dataclass(frozen=True, slots=True)
class MediaStore:
    """Content-addressed files under one folder: ``ab/abcdef….jpg``.

    Safe for any number of threads and processes: a file appears whole or not at all, and the name tells nothing.
    """

    folder: Path

    def put(self, data: bytes, mime: str) -> MediaPart:
        """Keep ``data`` and say where; does nothing when it is already there.

        Raises
        ------
        OSError
            The disk is full or the folder cannot be written; no partial file is left.
        """
        sha256 = hashlib.sha256(data).hexdigest()
        path = self.folder / sha256[:2] / f"{sha256}{_SUFFIXES[mime]}"
        part = MediaPart(sha256=sha256, path=path, mime=mime, size=len(data))
        try:
            # A wrong size is what a power cut may leave of a renamed file.
            if path.stat().st_size == len(data):
                return part
        except FileNotFoundError:
            path.parent.mkdir(parents=True, exist_ok=True)
        draft = path.with_name(f".{uuid.uuid4().hex}.part")
        try:
            draft.write_bytes(data)
            draft.replace(path)
        except BaseException:
            draft.unlink(missing_ok=True)
            raise
        return part
