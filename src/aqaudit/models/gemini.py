"""The Gemini API through ``pydantic_ai``: rate and offsets of each clip, thinking levels, uploads of large clips."""

from __future__ import annotations

import base64
import logging
import time
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, cast

import anyio
import httpx2
from google.genai import errors, types
from google.genai.client import AsyncClient
from google.genai.types import MediaResolution, ThinkingConfigDict, ThinkingLevel
from pydantic_ai.direct import model_request
from pydantic_ai.exceptions import ModelHTTPError
from pydantic_ai.messages import (
    BinaryContent,
    ModelRequest,
    ModelResponse,
    TextPart,
    ThinkingPart,
    UploadedFile,
    UserContent,
    UserPromptPart,
)
from pydantic_ai.models import ModelRequestParameters
from pydantic_ai.models.google import GoogleModel, GoogleModelSettings
from pydantic_ai.output import OutputObjectDefinition
from pydantic_ai.profiles.google import GoogleModelProfile, google_model_profile
from pydantic_ai.providers.google import GoogleProvider

from aqaudit.core.records import BadInput, MediaPart
from aqaudit.models.call import AskFailed, Call, Reply
from aqaudit.models.chat_completions import CONNECT_S, MarkedMedia
from aqaudit.models.failures import explain
from aqaudit.models.settings import ModelEntry

_log = logging.getLogger(__name__)
#: Bytes of media sent inside a request. Google's limit is 20 MB for the whole request, base64 and text included.
INLINE_LIMIT = 15_000_000
#: An upload this close to its end (Google keeps files for two days) is not used any more.
_SPARE = timedelta(minutes=30)
#: Seconds between two looks at whether Google has processed an upload: at first, and at most.
_FIRST_POLL_S, _LONGEST_POLL_S = 0.2, 5.0
#: Google's seeds are 32-bit integers with a sign.
_SEEDS = 2**31
_FINISH = {"MAX_TOKENS": "length", "STOP": "stop"}
_FILTERED = frozenset({"SAFETY", "RECITATION", "BLOCKLIST", "PROHIBITED_CONTENT", "SPII", "LANGUAGE", "IMAGE_SAFETY"})


@dataclass(frozen=True, slots=True)
class Uploaded:
    """A file that Google holds: its address, and until when."""

    uri: str
    expires: datetime | None

    def usable(self) -> bool:
        """Whether it will still be there when a request that is sent now is read."""
        return self.expires is None or datetime.now(UTC) + _SPARE < self.expires


class Uploads:
    """The clips that were uploaded for a model.

    Concurrent requests for the same clip wait for one upload; different clips are uploaded side by side. Files are
    sent under a neutral name. ``done`` are the uploads by the hash of their bytes.
    """

    def __init__(self, client: AsyncClient, *, timeout_s: float) -> None:
        self._client = client
        self._timeout_s = timeout_s
        self.done: dict[str, Uploaded] = {}
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
            known = self.done.get(part.sha256)
            if known is None or not known.usable():
                try:
                    with anyio.fail_after(self._timeout_s):
                        known = self.done[part.sha256] = await self._upload(part)
                except errors.APIError as error:
                    headers = getattr(error.response, "headers", None)
                    raise ModelHTTPError(
                        error.code, "Files API", body=error.details, headers=dict(headers) if headers else None
                    ) from None
            return known

    async def _upload(self, part: MediaPart) -> Uploaded:
        began = time.monotonic()
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
        _log.debug("uploaded a clip of %d bytes in %.2f s, kept until %s", part.size, time.monotonic() - began, expires)
        return Uploaded(sent.uri, expires if expires is None or expires.tzinfo else expires.replace(tzinfo=UTC))


class GeminiModel:
    """A model of the Gemini API; see :class:`~aqaudit.models.call.Model`."""

    def __init__(self, name: str, entry: ModelEntry, *, api_key: str | None) -> None:
        self.name = name
        self.entry = entry
        self.endpoint, remote = entry.destination()
        self._media = MarkedMedia()
        self._http = httpx2.AsyncClient(
            timeout=httpx2.Timeout(entry.timeout_s, connect=min(CONNECT_S, entry.timeout_s), pool=None),
            limits=httpx2.Limits(max_connections=entry.concurrency, max_keepalive_connections=entry.concurrency),
            event_hooks={"request": [self._media.fill]},
            follow_redirects=False,
            trust_env=remote,
        )
        provider = GoogleProvider(api_key=api_key or "none", base_url=entry.base_url, http_client=self._http)
        self._model = GoogleModel(entry.model, provider=provider)
        self._uploads = Uploads(provider.client.aio, timeout_s=entry.timeout_s)
        self._settings = self._model_settings()

    def _model_settings(self) -> GoogleModelSettings:
        entry = self.entry
        profile = cast("GoogleModelProfile", google_model_profile(entry.model) or {})
        # Reasoning is asked for wherever the model has any: it costs nothing more and is part of the record.
        thinking = ThinkingConfigDict(include_thoughts=True)
        if entry.thinking == "off":
            thinking = ThinkingConfigDict(thinking_budget=0)
        elif entry.thinking in {"low", "medium", "high"}:
            level = entry.thinking.upper()
            known = profile.get("google_thinking_levels")
            if known is not None and level not in known:
                allowed = ", ".join(sorted(one.lower() for one in known))
                raise BadInput(f"models.{self.name}.thinking: '{entry.thinking}': {entry.model} knows {allowed}")
            thinking = ThinkingConfigDict(include_thoughts=True, thinking_level=ThinkingLevel(level))
        settings = GoogleModelSettings()
        if entry.thinking is not None or profile.get("supports_thinking", False):
            settings["google_thinking_config"] = thinking
        if entry.temperature is not None:
            settings["temperature"] = entry.temperature
        if entry.top_p is not None:
            settings["top_p"] = entry.top_p
        if entry.max_output_tokens is not None:
            settings["max_tokens"] = entry.max_output_tokens
        if entry.resolution is not None:
            settings["google_video_resolution"] = MediaResolution(f"MEDIA_RESOLUTION_{entry.resolution.upper()}")
        return settings

    async def ask(self, call: Call) -> Reply:
        """Ask once; see :meth:`aqaudit.models.call.Model.ask`. Large clips are uploaded before the first question."""
        media = [part for part in call.parts if not isinstance(part, str)]
        by_upload = _by_upload(media)
        try:
            try:
                return await self._once(call, by_upload)
            except ModelHTTPError as error:
                if not by_upload or not _lost_a_file(error):
                    raise
            for part in by_upload:  # Google does not have one of them any more
                self._uploads.done.pop(part.sha256, None)
            return await self._once(call, by_upload)
        except Exception as error:  # noqa: BLE001 - every failure gets a cause
            failure = explain(error, endpoint=self.endpoint, media=media, timeout_s=self.entry.timeout_s)
        # Raised out here so that no exception with headers or keys hangs on to it.
        raise failure

    async def _once(self, call: Call, by_upload: list[MediaPart]) -> Reply:
        uris: dict[str, str] = {}

        async def upload(part: MediaPart) -> None:
            uris[part.sha256] = (await self._uploads.get(part)).uri

        if by_upload:
            await _all(upload, by_upload)
        inline = [part for part in call.parts if not isinstance(part, str) and part.sha256 not in uris]
        settings = self._settings
        if call.seed is not None:
            settings = GoogleModelSettings(**settings, seed=call.seed % _SEEDS)
        form = None
        if call.json_schema is not None:
            schema = OutputObjectDefinition(json_schema=dict(call.json_schema), name="reply")
            form = ModelRequestParameters(output_mode="native", output_object=schema)
        size = sum(part.size for part in inline)
        _log.debug("asking %s: %d files of %d bytes, %d uploaded", self.endpoint, len(inline), size, len(uris))
        with self._media.marks(inline) as marks, anyio.fail_after(self.entry.timeout_s):
            waiting = iter(marks)
            content: list[UserContent] = []
            for part in call.parts:
                if isinstance(part, str):
                    content.append(part)
                elif uri := uris.get(part.sha256):
                    content.append(UploadedFile(uri, "google", media_type=part.mime, vendor_metadata=_sampling(part)))
                else:
                    stand_in = base64.b64decode(next(waiting))
                    content.append(BinaryContent(stand_in, media_type=part.mime, vendor_metadata=_sampling(part)))
            response = await model_request(
                self._model,
                [ModelRequest(parts=[UserPromptPart(content=content)])],
                model_settings=settings,
                model_request_parameters=form,
                instrument=False,
            )
        return self._reply(response)

    def _reply(self, response: ModelResponse) -> Reply:
        details = response.provider_details or {}
        text = "".join(part.content for part in response.parts if isinstance(part, TextPart))
        reasoning = "\n".join(part.content for part in response.parts if isinstance(part, ThinkingPart)) or None
        raw = str(details.get("finish_reason") or "")
        finish = _FINISH.get(raw) or ("content_filter" if raw in _FILTERED else raw.lower()) or response.finish_reason
        if not text and reasoning is None and finish not in {"content_filter", "length"}:
            raise AskFailed("bad_response", f"{self.endpoint} sent an empty answer (finish reason: {finish})")
        usage = response.usage
        input_tokens = usage.input_tokens or None  # never truly 0
        output_tokens = usage.output_tokens if input_tokens else None
        return Reply(
            text=text,
            reasoning=reasoning,
            finish_reason=finish,
            model_version=response.model_name or None,
            input_tokens=input_tokens,
            output_tokens=output_tokens,
            reasoning_tokens=usage.details.get("thoughts_tokens") if input_tokens else None,
            usd=self.entry.price(input_tokens, output_tokens),
            extra={"block_reason": details["block_reason"]} if "block_reason" in details else {},
        )

    async def aclose(self) -> None:
        """Close the connections."""
        await self._http.aclose()


async def _all(function: Callable[[MediaPart], Coroutine[Any, Any, None]], parts: list[MediaPart]) -> None:
    """Run a coroutine function on every part at once; the first failure is raised as it is."""
    try:
        async with anyio.create_task_group() as tasks:
            for part in parts:
                tasks.start_soon(function, part)
    except BaseExceptionGroup as group:
        first: BaseException = group
        while isinstance(first, BaseExceptionGroup):
            first = first.exceptions[0]
        raise first from None


def _by_upload(media: list[MediaPart]) -> list[MediaPart]:
    """Return the parts to upload: the largest first, until the rest fits into a request."""
    left = sum(part.size for part in media)
    chosen: dict[str, MediaPart] = {}
    for part in sorted(media, key=lambda part: -part.size):
        if left <= INLINE_LIMIT:
            break
        if part.sha256 not in chosen:
            chosen[part.sha256] = part
            left -= sum(other.size for other in media if other.sha256 == part.sha256)
    return list(chosen.values())


def _sampling(part: MediaPart) -> dict[str, Any] | None:
    """Return Google's ``video_metadata`` of a clip: what of it is sampled, and at which rate."""
    if not part.mime.startswith("video/"):
        return None
    metadata: dict[str, Any] = {}
    if part.fps is not None:
        metadata["fps"] = part.fps
    if part.start_s is not None:
        metadata["start_offset"] = f"{part.start_s:.9g}s"
    if part.end_s is not None:
        metadata["end_offset"] = f"{part.end_s:.9g}s"
    return metadata or None


def _lost_a_file(error: ModelHTTPError) -> bool:
    """Whether Google says that an uploaded file is not there (any more): it says 403 as well as 404."""
    said = str(error.body).lower()
    return error.status_code in {400, 403, 404} and "file" in said and ("exist" in said or "not found" in said)
