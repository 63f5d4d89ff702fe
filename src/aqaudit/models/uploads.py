"""Clips uploaded once to Google's Files API and reused by every request that shows them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import anyio
from google.genai import errors, types
from pydantic_ai.exceptions import ModelHTTPError

from aqaudit.models.call import AskFailed

if TYPE_CHECKING:
    from google.genai.client import AsyncClient

    from aqaudit.records import MediaPart

#: An upload this close to its end (Google keeps files for two days) is not used any more.
_SPARE = timedelta(minutes=30)
_FIRST_POLL_S = 0.2
_LONGEST_POLL_S = 5.0


@dataclass(frozen=True, slots=True)
class Uploaded:
    """A file that Google holds: its address, and until when."""

    uri: str
    expires: datetime | None

    def usable(self) -> bool:
        """Whether it will still be there when a request that is sent now is read."""
        return self.expires is None or datetime.now(UTC) + _SPARE < self.expires


class Uploads:
    """Uploads by the hash of their bytes.

    Concurrent requests for the same clip wait for one upload; different clips are uploaded side by side. Files are
    sent under a neutral name.
    """

    def __init__(self, client: AsyncClient, *, timeout_s: float) -> None:
        self._client = client
        self._timeout_s = timeout_s
        self._done: dict[str, Uploaded] = {}
        self._locks: dict[str, anyio.Lock] = {}

    async def get(self, part: MediaPart) -> Uploaded:
        """Return the upload of a part, made now if there is none that can still be used.

        Raises
        ------
        AskFailed
            Cause ``media`` where the file cannot be read or Google cannot process it.
        ModelHTTPError
            Where Google refuses the upload; the client raises other errors where it cannot be reached.
        """
        lock = self._locks.setdefault(part.sha256, anyio.Lock())
        async with lock:
            known = self._done.get(part.sha256)
            if known is None or not known.usable():
                try:
                    with anyio.fail_after(self._timeout_s):
                        known = self._done[part.sha256] = await self._upload(part)
                except errors.APIError as error:
                    headers = getattr(error.response, "headers", None)
                    raise ModelHTTPError(
                        error.code, "Files API", body=error.details, headers=dict(headers) if headers else None
                    ) from None
            return known

    def forget(self, part: MediaPart) -> None:
        """Drop an upload that Google says it does not have."""
        self._done.pop(part.sha256, None)

    async def _upload(self, part: MediaPart) -> Uploaded:
        try:
            # An open file instead of its path: the client would send the file's name along.
            with part.path.open("rb") as file:
                config = types.UploadFileConfig(mime_type=part.mime, display_name="clip")
                sent = await self._client.files.upload(file=file, config=config)
        except FileNotFoundError:
            raise AskFailed("media", f"cannot read {part.path}: it is gone") from None
        wait = _FIRST_POLL_S
        while sent.state == types.FileState.PROCESSING and sent.name:
            await anyio.sleep(wait)
            wait = min(wait * 1.5, _LONGEST_POLL_S)
            sent = await self._client.files.get(name=sent.name)
        if sent.state == types.FileState.FAILED or not sent.uri:
            said = sent.error.message if sent.error is not None and sent.error.message else "no reason given"
            raise AskFailed("media", f"Google could not process a clip of {part.size} bytes: {said}")
        expires = sent.expiration_time
        return Uploaded(sent.uri, expires if expires is None or expires.tzinfo else expires.replace(tzinfo=UTC))
