"""Any OpenAI-compatible chat server: vLLM, SGLang, ``transformers serve``, llama.cpp, and the vendors that speak so.

Requests go through :func:`pydantic_ai.direct.model_request`, which maps failures and replies. The body's fields are
written here and handed over as extra fields. Two libraries that check, convert and copy every message take about a
fifth of the CPU time of a request with one picture (``benchmarks/client_rate.py``), and they drop or rewrite settings
and text without an error for model names they believe to know.

Media are no part of what these libraries see: they are given *marks*, short random texts, and the files take their
places when a request is about to be sent (:class:`MarkedMedia`).
"""

from __future__ import annotations

import base64
import logging
import secrets
import ssl
from collections import deque
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import anyio
import httpx2
from openai import AsyncOpenAI, OpenAIError
from openai.types.chat import ChatCompletion
from pydantic_ai.direct import model_request
from pydantic_ai.exceptions import ModelHTTPError
from pydantic_ai.messages import ModelRequest, ModelResponse, TextPart, ThinkingPart
from pydantic_ai.models.openai import OpenAIChatModel
from pydantic_ai.profiles.openai import OpenAIModelProfile
from pydantic_ai.providers.openai import OpenAIProvider

from aqaudit.core.records import MediaPart
from aqaudit.models.call import AskFailed, Call, Reply
from aqaudit.models.failures import explain, redact
from aqaudit.models.replies import option_logprobs, split_reasoning
from aqaudit.models.settings import HOMES, ModelEntry

_log = logging.getLogger(__name__)
_OFFICIAL = "https://api.openai.com:443"
CONNECT_S = 20.0
#: Most connections of one pool to a server on this machine.
_POOL = 6
#: Bodies up to this size are sent as one piece: fewer writes.
_WHOLE = 2**20
#: Bytes of a file that are read and encoded at once in a longer body; a multiple of 3, so that their base64 joins.
_PIECE = 3 * 2**18
#: The empty turn that the extra field ``messages`` replaces.
_PLACE = [ModelRequest(parts=[])]
#: Tags that no text holds: inline reasoning is split off here, where a block left open is reasoning too.
_PROFILE = OpenAIModelProfile(thinking_tags=("\0<think>", "\0</think>"))
#: Most alternatives a server may be asked for (OpenAI's and vLLM's limit).
_TOP_LOGPROBS = 20
#: Names of the server's models shown where the asked one is not among them.
_SHOWN_NAMES = 8


@dataclass(slots=True)
class MarkedMedia:
    """The marks that are in use by one HTTP client, and the request hook that replaces them.

    A mark is random for every client, so that no text of a prompt can be taken for one. It is 32 characters of base64,
    so that a client which encodes bytes itself can be given ``base64.b64decode(mark)`` and writes the mark.
    """

    prefix: str = field(default_factory=partial(secrets.token_hex, 12))
    count: int = 0
    files: dict[str, MediaPart] = field(default_factory=dict)

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
                self.count = (self.count + 1) % 10**8
                mark = f"{self.prefix}{self.count:08d}"
                self.files[mark] = part
                made.append(mark)
            yield made
        finally:
            for mark in made:
                self.files.pop(mark, None)

    async def fill(self, request: httpx2.Request) -> None:
        """Replace the marks in a request about to be sent by their files (a request hook of ``httpx2``)."""
        try:
            body = request.content
        except httpx2.RequestNotRead:  # an upload, which is streamed and holds no mark
            return
        prefix = self.prefix.encode("ascii")
        start = body.find(prefix)
        if start < 0:
            return
        pieces: list[bytes | MediaPart] = []
        length = end = 0
        width = len(prefix) + 8
        while start >= 0:
            part = self.files[body[start : start + width].decode("ascii")]
            pieces += [body[end:start], part]
            length += start - end + 4 * ((part.size + 2) // 3)
            end = start + width
            start = body.find(prefix, end)
        pieces.append(body[end:])
        length += len(body) - end
        # A file that changes its size meanwhile ends the request with a protocol error, never with a wrong body.
        if length <= _WHOLE:
            request.stream = httpx2.ByteStream(
                b"".join(
                    piece if isinstance(piece, bytes) else base64.b64encode(piece.path.read_bytes()) for piece in pieces
                )
            )
        else:
            request.stream = _LongBody(pieces)
        request.headers["content-length"] = str(length)


@dataclass(frozen=True, slots=True)
class _LongBody(httpx2.AsyncByteStream):
    """A body that is read from its files while it is sent; it can be sent again."""

    pieces: Sequence[bytes | MediaPart]

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for piece in self.pieces:
            if isinstance(piece, bytes):
                yield piece
                continue
            left = piece.size
            with piece.path.open("rb", buffering=0) as file:
                while left > 0 and (data := file.read(min(_PIECE, left))):
                    left -= len(data)
                    yield base64.b64encode(data)


@dataclass(frozen=True, slots=True)
class _Pools(httpx2.AsyncBaseTransport):
    """Several small pools of connections in turn, for a server on this machine.

    A pool looks at each of its idle connections at every request, which with one pool of 50 is a tenth of all the work.
    """

    pools: deque[httpx2.AsyncHTTPTransport]

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        self.pools.rotate()
        return await self.pools[0].handle_async_request(request)

    async def aclose(self) -> None:
        for pool in self.pools:
            await pool.aclose()


class _Chat(OpenAIChatModel):
    """Chat completions; an error object in an answer with status 200, as gateways send it, is an error."""

    def _validate_completion(self, response: ChatCompletion) -> Any:
        error = (response.model_extra or {}).get("error")
        if isinstance(error, dict):
            code = error.get("code")
            status = code if isinstance(code, int) and 400 <= code < 600 else 502
            raise ModelHTTPError(status, self.model_name, body=error)
        return super()._validate_completion(response)


class ChatServerModel:
    """A model behind an OpenAI-compatible server; see :class:`~aqaudit.models.call.Model`."""

    def __init__(self, name: str, entry: ModelEntry, *, api_key: str | None) -> None:
        self.name = name
        self.entry = entry
        self.endpoint, remote = entry.destination()
        self._media = MarkedMedia()
        self._served: str | None = None
        transport = None
        if not remote:
            context = ssl.create_default_context()
            count = -(-entry.concurrency // _POOL)
            sizes = [entry.concurrency // count + (i < entry.concurrency % count) for i in range(count)]
            limits = [httpx2.Limits(max_connections=size, max_keepalive_connections=size) for size in sizes]
            pools = [httpx2.AsyncHTTPTransport(verify=context, limits=each, trust_env=False) for each in limits]
            transport = _Pools(deque(pools))
        self._client = AsyncOpenAI(
            base_url=entry.base_url or HOMES["openai"],
            api_key=api_key or "none",
            max_retries=0,
            http_client=httpx2.AsyncClient(
                timeout=httpx2.Timeout(entry.timeout_s, connect=min(CONNECT_S, entry.timeout_s), pool=None),
                limits=httpx2.Limits(max_connections=entry.concurrency, max_keepalive_connections=entry.concurrency),
                event_hooks={"request": [self._media.fill]},
                # Media and keys go where the study says: not to where a server points, nor, for a server on this
                # machine, through a proxy.
                follow_redirects=False,
                trust_env=remote,
                transport=transport,
            ),
        )
        if self.endpoint != _OFFICIAL:
            # The client reads these from the environment; they are nobody else's business.
            self._client.organization = self._client.project = None
        self._model = _Chat(entry.model, provider=OpenAIProvider(openai_client=self._client), profile=_PROFILE)
        # OpenAI's newer models refuse max_tokens; most other servers know nothing else.
        settings: dict[str, Any] = {
            "max_completion_tokens" if self.endpoint == _OFFICIAL else "max_tokens": entry.max_output_tokens,
            "temperature": entry.temperature,
            "top_p": entry.top_p,
            "presence_penalty": entry.presence_penalty,
        }
        if entry.thinking in {"off", "on"}:
            settings["chat_template_kwargs"] = {"enable_thinking": entry.thinking == "on"}
        elif entry.thinking is not None:
            settings["reasoning_effort"] = entry.thinking
        self._settings = {key: value for key, value in settings.items() if value is not None}

    async def ask(self, call: Call) -> Reply:
        """Ask once; see :meth:`aqaudit.models.call.Model.ask`."""
        media = [part for part in call.parts if not isinstance(part, str)]
        with self._media.marks(media) as marks:
            waiting = iter(marks)
            content: list[dict[str, Any]] = []
            for part in call.parts:
                if isinstance(part, str):
                    content.append({"type": "text", "text": part})
                else:
                    kind = "video_url" if part.mime.startswith("video/") else "image_url"
                    content.append({"type": kind, kind: {"url": f"data:{part.mime};base64,{next(waiting)}"}})
            messages: list[dict[str, Any]] = [{"role": "user", "content": content}]
            if self.entry.system_prompt is not None:
                messages.insert(0, {"role": "system", "content": self.entry.system_prompt})
            body: dict[str, Any] = {**self._settings, "messages": messages}
            if call.seed is not None:
                body["seed"] = call.seed
            if call.json_schema is not None:
                form = {"name": "reply", "strict": True, "schema": call.json_schema}
                body["response_format"] = {"type": "json_schema", "json_schema": form}
            if self.entry.logprobs and call.final and call.option_words:
                body |= {"logprobs": True, "top_logprobs": _TOP_LOGPROBS}
            size = sum(part.size for part in media)
            _log.debug("asking %s: %d files of %d bytes, fields %s", self.endpoint, len(media), size, sorted(body))
            try:
                with anyio.fail_after(self.entry.timeout_s):
                    response = await model_request(
                        self._model, _PLACE, model_settings={"extra_body": body}, instrument=False
                    )
                return self._reply(call, response)
            except Exception as error:  # noqa: BLE001 - every failure gets a cause
                failure = explain(error, endpoint=self.endpoint, media=media, timeout_s=self.entry.timeout_s)
        # Raised out here so that no exception with headers or keys hangs on to it.
        if failure.cause == "not_found":
            message = failure.message + await self._served_names()
            raise AskFailed(failure.cause, message, status=failure.status, retry_after_s=failure.retry_after_s)
        raise failure

    def _reply(self, call: Call, response: ModelResponse) -> Reply:
        details = response.provider_details or {}
        said = "".join(part.content for part in response.parts if isinstance(part, TextPart))
        apart = "\n".join(part.content for part in response.parts if isinstance(part, ThinkingPart))
        text, inline = split_reasoning(said)
        reasoning = "\n".join(filter(None, (apart, inline))) or None
        finish = str(details.get("finish_reason") or response.finish_reason or "") or None
        extra: dict[str, object] = {}
        if "refusal" in details:
            text, finish = str(details["refusal"]), "content_filter"
            extra["refusal"] = True
        if not text and reasoning is None and finish not in {"content_filter", "length"}:
            raise AskFailed("bad_response", f"{self.endpoint} sent an empty answer (finish reason: {finish})")
        usage = response.usage
        counted = not usage.unmeasured_requests
        input_tokens = usage.input_tokens if counted else None
        output_tokens = usage.output_tokens if counted else None
        tokens = details.get("logprobs")
        return Reply(
            text=text,
            reasoning=reasoning,
            finish_reason=finish,
            model_version=response.model_name or None,
            input_tokens=input_tokens,
            output_tokens=output_tokens,
            reasoning_tokens=usage.details.get("reasoning_tokens") if counted else None,
            usd=self.entry.price(input_tokens, output_tokens),
            option_logprobs=option_logprobs(tokens, call.option_words) if isinstance(tokens, list) else None,
            extra=extra,
        )

    async def _served_names(self) -> str:
        """Return the remedy for a model that is not there: what the server does serve, asked for once."""
        if self._served is None:
            self._served = ""
            try:
                with anyio.fail_after(10):
                    page = await self._client.models.list()
                names = sorted(str(model.id) for model in page.data)
            except (OpenAIError, httpx2.HTTPError, TimeoutError, ValueError, TypeError, AttributeError):
                names = None
            if names is None:
                self._served = f" — models.{self.name}.base_url may lack its path: most servers want it to end in /v1"
            elif self.entry.model not in names:
                shown = ", ".join(f"'{one}'" for one in names[:_SHOWN_NAMES]) or "none"
                more = f" and {len(names) - _SHOWN_NAMES} more" if len(names) > _SHOWN_NAMES else ""
                served = redact(f"the server serves {shown}{more}")
                self._served = f" — {served}: set models.{self.name}.model to a served name"
        return self._served

    async def aclose(self) -> None:
        """Close the connections."""
        await self._client.close()
