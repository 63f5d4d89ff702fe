"""Any OpenAI-compatible chat server: vLLM, SGLang, ``transformers serve``, llama.cpp, and the vendors that speak so.

Requests go through :func:`pydantic_ai.direct.model_request`, which maps failures and replies. The body's fields are
written here and handed over as extra fields. Two libraries that check, convert and copy every message take about a
fifth of the CPU time of a request with one picture (``benchmarks/client_rate.py``), and they drop or rewrite settings
and text without an error for model names they believe to know.
"""

from __future__ import annotations

import base64
import itertools
import secrets
import ssl
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
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
from aqaudit.models.settings import ModelEntry

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


#: The empty turn that the extra field ``messages`` replaces.
_PLACE = [ModelRequest(parts=[])]
#: Most alternatives a server may be asked for (OpenAI's and vLLM's limit).
_TOP_LOGPROBS = 20
_CONNECT_S = 20.0
_OFFICIAL = "https://api.openai.com:443"
#: Names of the server's models shown where the asked one is not among them.
_SHOWN_NAMES = 8


#: Tags that no text holds: inline reasoning is split off here, where a block left open is reasoning too.
_PROFILE = OpenAIModelProfile(thinking_tags=("\0<think>", "\0</think>"))


class _Chat(OpenAIChatModel):
    """Chat completions; an error object in an answer with status 200, as gateways send it, is an error."""

    def _validate_completion(self, response: ChatCompletion) -> Any:
        error = (response.model_extra or {}).get("error")
        if isinstance(error, dict):
            code = error.get("code")
            status = code if isinstance(code, int) and 400 <= code < 600 else 502
            raise ModelHTTPError(status, self.model_name, body=error)
        return super()._validate_completion(response)


class _Spread(httpx2.AsyncBaseTransport):
    """Several small connection pools in turn, for a server on this machine.

    A pool looks at each of its idle connections at every request, which with one pool of 50 is a tenth of all the work.
    Together they open at most ``connections``.
    """

    _EACH = 6

    def __init__(self, connections: int) -> None:
        context = ssl.create_default_context()
        count = -(-connections // self._EACH)
        self._pools = []
        for i in range(count):
            most = connections // count + (i < connections % count)
            limits = httpx2.Limits(max_connections=most, max_keepalive_connections=most)
            self._pools.append(httpx2.AsyncHTTPTransport(verify=context, limits=limits, trust_env=False))
        self._turns = itertools.cycle(self._pools)

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        return await next(self._turns).handle_async_request(request)

    async def aclose(self) -> None:
        for pool in self._pools:
            await pool.aclose()


class ChatServerModel:
    """A model behind an OpenAI-compatible server; see :class:`~aqaudit.models.call.Model`."""

    def __init__(self, name: str, entry: ModelEntry, *, api_key: str | None) -> None:
        self.name = name
        self.entry = entry
        self.endpoint, remote = entry.destination()
        self._secrets = [api_key] if api_key else []
        self._media = MarkedMedia()
        self._served: str | None = None
        http = httpx2.AsyncClient(
            timeout=httpx2.Timeout(entry.timeout_s, connect=min(_CONNECT_S, entry.timeout_s), pool=None),
            limits=httpx2.Limits(max_connections=entry.concurrency, max_keepalive_connections=entry.concurrency),
            event_hooks={"request": [self._media.fill]},
            # Media and keys go where the study says: not to where a server points, nor, for a server on this
            # machine, through a proxy.
            follow_redirects=False,
            trust_env=remote,
            transport=None if remote else _Spread(entry.concurrency),
        )
        self._client = AsyncOpenAI(
            base_url=entry.base_url or "https://api.openai.com/v1",
            api_key=api_key or "none",
            max_retries=0,
            http_client=http,
        )
        if self.endpoint != _OFFICIAL:
            # The client reads these from the environment; they are nobody else's business.
            self._client.organization = self._client.project = None
        self._model = _Chat(entry.model, provider=OpenAIProvider(openai_client=self._client), profile=_PROFILE)
        self._settings = self._body_settings()

    def _body_settings(self) -> dict[str, Any]:
        entry = self.entry
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
        return {key: value for key, value in settings.items() if value is not None}

    async def ask(self, call: Call) -> Reply:
        """Ask once; see :meth:`aqaudit.models.call.Model.ask`."""
        media = [part for part in call.parts if not isinstance(part, str)]
        failure: AskFailed
        try:
            with self._media.marks(media) as marks, anyio.fail_after(self.entry.timeout_s):
                response = await model_request(
                    self._model, _PLACE, model_settings={"extra_body": self._body(call, marks)}, instrument=False
                )
            return self._reply(call, response)
        except Exception as error:  # noqa: BLE001 - every failure gets a cause
            pictures = sum(part.mime.startswith("image/") for part in media)
            failure = explain(
                error,
                endpoint=self.endpoint,
                secrets=self._secrets,
                pictures=pictures,
                timeout_s=self.entry.timeout_s,
            )
        # Raised out here so that no exception with headers or keys hangs on to it.
        if failure.cause == "not_found":
            message = failure.message + await self._served_names()
            raise AskFailed(failure.cause, message, status=failure.status, retry_after_s=failure.retry_after_s)
        raise failure

    def _body(self, call: Call, marks: Sequence[str]) -> dict[str, Any]:
        messages: list[dict[str, Any]] = []
        if self.entry.system_prompt is not None:
            messages.append({"role": "system", "content": self.entry.system_prompt})
        waiting = iter(marks)
        content = [
            {"type": "text", "text": part} if isinstance(part, str) else _media_item(part, next(waiting))
            for part in call.parts
        ]
        messages.append({"role": "user", "content": content})
        body: dict[str, Any] = {**self._settings, "messages": messages}
        if call.seed is not None:
            body["seed"] = call.seed
        if call.json_schema is not None:
            form = {"name": "reply", "strict": True, "schema": call.json_schema}
            body["response_format"] = {"type": "json_schema", "json_schema": form}
        if self.entry.logprobs and call.final and call.option_words:
            body |= {"logprobs": True, "top_logprobs": _TOP_LOGPROBS}
        return body

    def _reply(self, call: Call, response: ModelResponse) -> Reply:
        details = response.provider_details or {}
        said = "".join(part.content for part in response.parts if isinstance(part, TextPart))
        thought = "\n".join(part.content for part in response.parts if isinstance(part, ThinkingPart))
        text, inline = split_reasoning(said)
        reasoning = "\n".join(filter(None, (thought, inline))) or None
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
            elif self.entry.model in names:
                self._served = ""
            else:
                shown = ", ".join(f"'{one}'" for one in names[:_SHOWN_NAMES]) or "none"
                more = f" and {len(names) - _SHOWN_NAMES} more" if len(names) > _SHOWN_NAMES else ""
                served = redact(f"the server serves {shown}{more}", self._secrets)
                self._served = f" — {served}: set models.{self.name}.model to a served name"
        return self._served

    async def aclose(self) -> None:
        """Close the connections."""
        await self._client.close()


def _media_item(part: MediaPart, mark: str) -> dict[str, Any]:
    kind = "video_url" if part.mime.startswith("video/") else "image_url"
    return {"type": kind, kind: {"url": f"data:{part.mime};base64,{mark}"}}
