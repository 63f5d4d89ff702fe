"""A small HTTP/1.1 server on the loopback interface that answers as it is told and records what it was sent.

It runs in a thread of the test (``with LoopbackServer(respond) as server``) or, for benchmarks and for tests that kill
processes, in a process of its own (``with ServerProcess("--delay", "0.02") as server``, or by hand:
``python tests/servers.py --port 0``). Nothing here knows AQAudit.

A *responder* is a function from :class:`Seen` (the request) to :class:`Send`, :class:`Drop` or :class:`Hang`; it may be
``async``. :class:`Faulty` wraps one with faults at stated intervals.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import inspect
import json
import subprocess
import sys
import threading
import urllib.request
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """A request as it arrived; ``number`` counts from 1 over the whole life of the server."""

    number: int
    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


@dataclass(frozen=True, slots=True, kw_only=True)
class Send:
    """An answer: ``body`` is sent as JSON unless it is bytes."""

    body: object = b""
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    delay_s: float = 0.0


@dataclass(frozen=True, slots=True)
class Drop:
    """Close the connection without an answer."""


@dataclass(frozen=True, slots=True)
class Hang:
    """Never answer."""


Response = Send | Drop | Hang
Responder = Callable[[Seen], Response | Awaitable[Response]]


def chat(text: str | None = "<answer>True</answer>", *, delay_s: float = 0.0, **over: Any) -> Send:
    """Answer as an OpenAI-compatible chat server; ``over`` may set finish_reason, message, usage, logprobs, model."""
    message = {"role": "assistant", "content": text, **over.get("message", {})}
    choice = {"index": 0, "finish_reason": over.get("finish_reason", "stop"), "message": message}
    if "logprobs" in over:
        choice["logprobs"] = over["logprobs"]
    usage = over.get("usage", {"prompt_tokens": 100, "completion_tokens": 5, "total_tokens": 105})
    body = {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "created": 1_700_000_000,
        "model": over.get("model", "test-model-2025"),
        "choices": over.get("choices", [choice]),
    }
    if usage is not None:
        body["usage"] = usage
    return Send(body=body, delay_s=delay_s)


def openai_error(
    status: int,
    message: str,
    *,
    code: str | None = None,
    kind: str = "error",
    **headers: str,
) -> Send:
    """Refuse as an OpenAI-compatible server; header names are given with ``_`` for ``-``."""
    body = {"error": {"message": message, "type": kind, "param": None, "code": code}}
    return Send(status=status, body=body, headers={name.replace("_", "-"): value for name, value in headers.items()})


def gemini(text: str | None = "<answer>True</answer>", *, thoughts: str | None = None, **over: Any) -> Send:
    """Answer as the Gemini API's ``generateContent``; ``over`` replaces top-level keys of the body."""
    parts: list[dict[str, object]] = []
    if thoughts is not None:
        parts.append({"text": thoughts, "thought": True})
    if text is not None:
        parts.append({"text": text})
    body: dict[str, object] = {
        "candidates": [{"content": {"role": "model", "parts": parts}, "finishReason": "STOP", "index": 0}],
        "usageMetadata": {
            "promptTokenCount": 300,
            "candidatesTokenCount": 6,
            "thoughtsTokenCount": 40,
            "totalTokenCount": 346,
        },
        "modelVersion": "gemini-test-001",
        "responseId": "r1",
    }
    return Send(body={**body, **over})


@dataclass(slots=True, kw_only=True)
class Faulty:
    """Wrap a responder with faults: every n-th request (0 = never) fails in the named way.

    ``rate_limit_every`` answers 429 with ``retry_after``; ``dead_after`` makes the server die for good after that many
    requests. Only ``POST`` requests count and fail. Where several faults fall on one request, the first named wins.
    """

    respond: Responder
    rate_limit_every: int = 0
    retry_after: str = "0"
    drop_every: int = 0
    broken_json_every: int = 0
    empty_every: int = 0
    error_500_every: int = 0
    hang_every: int = 0
    dead_after: int = 0
    posts: int = 0

    def __call__(self, seen: Seen) -> Response | Awaitable[Response]:
        if seen.method != "POST":
            return self.respond(seen)
        self.posts += 1
        faults: list[tuple[int, Response]] = [
            (
                self.rate_limit_every,
                openai_error(429, "slow down", kind="requests", retry_after=self.retry_after),
            ),
            (self.drop_every, Drop()),
            (self.broken_json_every, Send(body=b'{"choices": [{"mess', headers={"content-type": "application/json"})),
            (self.empty_every, Send(body=b"", headers={"content-type": "application/json"})),
            (self.error_500_every, openai_error(500, "internal error")),
            (self.hang_every, Hang()),
        ]
        for every, fault in faults:
            if every and self.posts % every == 0:
                return fault
        return self.respond(seen)


class LoopbackServer:
    """The server in a thread with an event loop of its own; use it as a context manager.

    ``seen`` holds every request in order of arrival (without bodies where ``keep_bodies`` is False). ``active_max`` is
    the largest number of requests that were open at once.
    """

    def __init__(self, respond: Responder, *, keep: bool = True, port: int = 0) -> None:
        self.respond = respond
        self.seen: list[Seen] = []
        self.count = 0
        self.body_bytes = 0
        self.active = 0
        self.active_max = 0
        self.port = port
        self._keep = keep
        self._loop = asyncio.new_event_loop()
        self._writers: set[asyncio.StreamWriter] = set()
        self._server: asyncio.Server | None = None
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True, name="loopback-server")

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def base_url(self) -> str:
        """What an OpenAI-compatible client is given."""
        return f"{self.url}/v1"

    @property
    def posts(self) -> list[Seen]:
        return [seen for seen in self.seen if seen.method == "POST"]

    def __enter__(self) -> Self:
        self._thread.start()
        if not self._ready.wait(10):
            raise RuntimeError("the loopback server did not start")
        return self

    def __exit__(self, *exc: object) -> None:
        with contextlib.suppress(RuntimeError):
            self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)

    def die(self) -> None:
        """Stop listening and close every connection, for good; may be called from a responder or any thread."""
        self._loop.call_soon_threadsafe(self._die)

    def _die(self) -> None:
        if self._server is not None:
            self._server.close()
        for writer in list(self._writers):
            writer.transport.abort()

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._server = self._loop.run_until_complete(
            asyncio.start_server(self._serve, "127.0.0.1", self.port, limit=2**20, backlog=512)
        )
        self.port = self._server.sockets[0].getsockname()[1]
        self._ready.set()
        self._loop.run_forever()
        self._die()
        tasks = asyncio.all_tasks(self._loop)
        for task in tasks:
            task.cancel()
        self._loop.run_until_complete(asyncio.gather(*tasks, return_exceptions=True))
        self._loop.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.add(writer)
        try:
            while await self._one(reader, writer):
                pass
        except (OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError, asyncio.CancelledError):
            pass  # the client left, or the server ends
        finally:
            self._writers.discard(writer)
            writer.close()

    async def _one(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        first, *lines = head.rstrip("\r\n").split("\r\n")
        method, path, _ = first.split(" ", 2)
        headers = {name.strip().lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
        body = await self._body(reader, headers)
        self.count += 1
        self.body_bytes += len(body)
        seen = Seen(number=self.count, method=method, path=path, headers=headers, body=body)
        if self._keep:
            self.seen.append(seen)
        self.active += 1
        self.active_max = max(self.active_max, self.active)
        try:
            response = self.respond(seen)
            if inspect.isawaitable(response):
                response = await response
            if isinstance(response, Hang):
                await asyncio.Event().wait()
            if isinstance(response, Send) and response.delay_s:
                await asyncio.sleep(response.delay_s)
        finally:
            self.active -= 1
        dead_after = self.respond.dead_after if isinstance(self.respond, Faulty) else 0
        if dead_after and isinstance(self.respond, Faulty) and self.respond.posts > dead_after:
            self._die()
            return False
        if not isinstance(response, Send):
            writer.transport.abort()
            return False
        raw = response.body if isinstance(response.body, bytes) else json.dumps(response.body).encode()
        out = {"content-type": "application/json", **{k.lower(): v for k, v in response.headers.items()}}
        out["content-length"] = str(len(raw))
        lines = [f"HTTP/1.1 {response.status} X", *(f"{name}: {value}" for name, value in out.items()), "", ""]
        writer.write("\r\n".join(lines).encode("latin-1") + raw)
        await writer.drain()
        return True

    @staticmethod
    async def _body(reader: asyncio.StreamReader, headers: Mapping[str, str]) -> bytes:
        if headers.get("transfer-encoding", "").lower() == "chunked":
            chunks = []
            while size := int((await reader.readline()).split(b";")[0], 16):
                chunks.append(await reader.readexactly(size))
                await reader.readline()
            await reader.readline()
            return b"".join(chunks)
        return await reader.readexactly(int(headers.get("content-length", "0")))


def answer_chat(delay_s: float = 0.0) -> Responder:
    """Answer ``True`` to every chat request, list one model, and report counts at ``GET /stats`` via the server."""

    def respond(seen: Seen) -> Response:
        if seen.path.endswith("/models"):
            return Send(body={"object": "list", "data": [{"id": "test-model", "object": "model"}]})
        return chat(delay_s=delay_s)

    return respond


class ServerProcess:
    """The server in a process of its own, started as ``python tests/servers.py ARGS``; use it as a context manager."""

    def __init__(self, *args: str) -> None:
        self._args = args
        self.port = 0
        self.process: subprocess.Popen[str] | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def base_url(self) -> str:
        return f"{self.url}/v1"

    def stats(self) -> dict[str, int]:
        """Return what the server counted: ``posts``, ``body_bytes``, ``active_max``."""
        with urllib.request.urlopen(f"{self.url}/stats", timeout=10) as answer:
            return json.load(answer)

    def __enter__(self) -> Self:
        command = [sys.executable, str(Path(__file__).resolve()), *self._args]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        assert self.process.stdout is not None
        self.port = int(self.process.stdout.readline())
        return self

    def __exit__(self, *exc: object) -> None:
        assert self.process is not None
        self.process.terminate()
        self.process.wait(10)
        if self.process.stdout is not None:
            self.process.stdout.close()


def main() -> None:
    """Serve until the process is ended; print the port on the first line."""
    parser = argparse.ArgumentParser(description="An OpenAI-compatible server on loopback that answers True.")
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--delay", type=float, default=0.0, help="seconds before each answer")
    faults = ("rate-limit", "drop", "broken-json", "empty", "error-500", "hang")
    for name in faults:
        parser.add_argument(f"--{name}-every", type=int, default=0)
    parser.add_argument("--retry-after", default="0")
    parser.add_argument("--dead-after", type=int, default=0)
    args = parser.parse_args()
    every = {f"{name.replace('-', '_')}_every": getattr(args, f"{name.replace('-', '_')}_every") for name in faults}
    faulty = Faulty(respond=answer_chat(args.delay), retry_after=args.retry_after, dead_after=args.dead_after, **every)

    def respond(seen: Seen) -> Response | Awaitable[Response]:
        if seen.path == "/stats":
            counts = {"posts": faulty.posts, "body_bytes": server.body_bytes, "active_max": server.active_max}
            return Send(body=counts)
        answer = faulty(seen)
        if args.dead_after and faulty.posts > args.dead_after:
            server.die()
            return Drop()
        return answer

    server = LoopbackServer(respond, keep=False, port=args.port)
    with server:
        print(server.port, flush=True)
        with contextlib.suppress(KeyboardInterrupt):
            threading.Event().wait()


if __name__ == "__main__":
    main()
