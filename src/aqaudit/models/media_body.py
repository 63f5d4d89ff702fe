"""Media in request bodies: a short mark stands for a file until its base64 text is written into the body being sent.

Clients build, check, copy and encode request bodies as Python strings several times over; a clip of 5 MB costs tens of
megabytes and a picture most of a millisecond that way. A mark of some forty characters costs nothing, and the file is
read, encoded and sent piece by piece at the very end.
"""

from __future__ import annotations

import base64
import secrets
from contextlib import contextmanager
from typing import TYPE_CHECKING

import httpx2

from aqaudit.models.call import AskFailed

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator, Sequence
    from pathlib import Path

    from aqaudit.records import MediaPart

#: Bytes of a file that are read and encoded at once; a multiple of 3, so that the pieces' base64 joins.
_PIECE = 3 * 2**18
#: Bodies up to this size are sent as one piece: fewer writes.
_WHOLE = 2**20


class MarkedMedia:
    """The marks that are in use by one HTTP client, and the request hook that replaces them.

    A mark is random for every client, so that no text of a prompt can be taken for one. It is 32 characters of base64,
    so that a client which encodes bytes itself can be given ``base64.b64decode(mark)`` and writes the mark.
    """

    def __init__(self) -> None:
        self._prefix = secrets.token_hex(12).encode("ascii")
        self._count = 0
        self._files: dict[bytes, tuple[Path, int]] = {}

    @contextmanager
    def marks(self, parts: Sequence[MediaPart]) -> Iterator[list[str]]:
        """Give one mark for each part, valid inside the ``with``.

        Raises
        ------
        AskFailed
            Cause ``media``, when a file is gone or has another size than when it was stored.
        """
        made = []
        try:
            for part in parts:
                try:
                    size = part.path.stat().st_size
                except OSError as error:
                    raise AskFailed("media", f"cannot read {part.path}: {error.strerror}") from None
                if size != part.size:
                    raise AskFailed("media", f"{part.path} has {size} bytes, {part.size} were stored: delete it")
                self._count = (self._count + 1) % 10**8
                mark = self._prefix + b"%08d" % self._count
                self._files[mark] = (part.path, size)
                made.append(mark)
            yield [mark.decode("ascii") for mark in made]
        finally:
            for mark in made:
                self._files.pop(mark, None)

    async def fill(self, request: httpx2.Request) -> None:
        """Replace the marks in a request about to be sent by their files (a request hook of ``httpx2``)."""
        try:
            body = request.content
        except httpx2.RequestNotRead:  # an upload, which is streamed and holds no mark
            return
        start = body.find(self._prefix)
        if start < 0:
            return
        pieces: list[bytes | tuple[Path, int]] = []
        length = end = 0
        width = len(self._prefix) + 8
        while start >= 0:
            path, size = self._files[body[start : start + width]]
            pieces += [body[end:start], (path, size)]
            length += start - end + 4 * ((size + 2) // 3)
            end = start + width
            start = body.find(self._prefix, end)
        pieces.append(body[end:])
        length += len(body) - end
        request.stream = _Pieces(pieces, whole=length <= _WHOLE)
        request.headers["content-length"] = str(length)


class _Pieces(httpx2.AsyncByteStream):
    """A body that is read from its files while it is sent; it can be sent again."""

    def __init__(self, pieces: list[bytes | tuple[Path, int]], *, whole: bool) -> None:
        self._pieces = pieces
        self._whole = whole

    async def __aiter__(self) -> AsyncIterator[bytes]:
        if self._whole:
            yield b"".join(self._read())
            return
        for piece in self._read():
            yield piece

    def _read(self) -> Iterator[bytes]:
        for piece in self._pieces:
            if isinstance(piece, bytes):
                yield piece
                continue
            path, size = piece
            left = size
            with path.open("rb", buffering=0) as file:
                # A file that shrank meanwhile ends the request with a protocol error, never with a wrong body.
                while left > 0 and (data := file.read(min(_PIECE, left))):
                    left -= len(data)
                    yield base64.b64encode(data)
