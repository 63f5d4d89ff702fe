"""The contract with the Gemini API: the exact body sent, uploads, and what each answer becomes."""

from __future__ import annotations

import asyncio
import base64
import re
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from aqaudit.core.records import BadInput
from aqaudit.models import gemini as gemini_api
from aqaudit.models.call import AskFailed, Call, Reply
from aqaudit.models.catalog import load, open_model
from model_calls import call, stored
from servers import Drop, Hang, LoopbackServer, Response, Seen, Send, gemini

KEY = "AIzaPlanted0123456789abcdefghijklmnop"
MODEL = "gemini-3.1-pro-preview"


@pytest.fixture(autouse=True)
def _key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GEMINI_API_KEY", KEY)


def ask(server: LoopbackServer, *calls: Call, **keys: Any) -> list[Reply]:
    async def all_of_them() -> list[Reply]:
        entry = load("m", {"provider": "google", "model": MODEL, "base_url": server.url, **keys})
        model = open_model("m", entry)
        try:
            return list(await asyncio.gather(*(model.ask(one) for one in calls)))
        finally:
            await model.aclose()

    return asyncio.run(all_of_them())


def data(content: bytes, mime: str) -> dict[str, str]:
    return {"data": base64.b64encode(content).decode(), "mime_type": mime}


def test_the_body_holds_the_parts_in_order_each_clip_with_its_own_sampling(tmp_path: Path) -> None:
    picture = stored(tmp_path, b"\xff\xd8 picture")
    first = stored(tmp_path, b"clip one", "video/mp4", fps=4.0, start_s=0.5, end_s=3.25)
    second = stored(tmp_path, b"clip two" * 90_000, "video/mp4", fps=1.0)
    with LoopbackServer(lambda _: gemini()) as server:
        ask(
            server,
            call("Example:", picture, "First:", first, "Second:", second, "Which?", seed=2**40 + 5),
            thinking="high",
            resolution="low",
            temperature=0.2,
            top_p=0.9,
            max_output_tokens=4096,
        )
    (seen,) = server.seen
    assert seen.path == f"/v1beta/models/{MODEL}:generateContent"
    assert seen.headers["x-goog-api-key"] == KEY
    assert seen.json == {
        "contents": [
            {
                "role": "user",
                "parts": [
                    {"text": "Example:"},
                    {"inlineData": data(b"\xff\xd8 picture", "image/jpeg")},
                    {"text": "First:"},
                    {
                        "inlineData": data(b"clip one", "video/mp4"),
                        "videoMetadata": {"fps": 4.0, "start_offset": "0.5s", "end_offset": "3.25s"},
                    },
                    {"text": "Second:"},
                    {"inlineData": data(b"clip two" * 90_000, "video/mp4"), "videoMetadata": {"fps": 1.0}},
                    {"text": "Which?"},
                ],
            }
        ],
        "generationConfig": {
            "temperature": 0.2,
            "topP": 0.9,
            "maxOutputTokens": 4096,
            "seed": 5,
            "responseModalities": ["TEXT"],
            "mediaResolution": "MEDIA_RESOLUTION_LOW",
            "thinkingConfig": {"include_thoughts": True, "thinking_level": "HIGH"},
        },
    }


@pytest.mark.parametrize(
    ("model", "thinking", "config"),
    [
        (MODEL, None, {"include_thoughts": True}),
        (MODEL, "on", {"include_thoughts": True}),
        (MODEL, "low", {"include_thoughts": True, "thinking_level": "LOW"}),
        ("gemini-2.5-flash", "off", {"thinking_budget": 0}),
        ("gemini-2.0-flash", None, None),
    ],
)
def test_thinking_is_set_as_the_model_takes_it(model: str, thinking: str | None, config: object) -> None:
    with LoopbackServer(lambda _: gemini()) as server:
        ask(server, call(), model=model, **({"thinking": thinking} if thinking else {}))
    assert server.seen[0].json["generationConfig"].get("thinkingConfig") == config


def test_a_level_the_model_does_not_have_is_refused() -> None:
    with (
        LoopbackServer(lambda _: gemini()) as server,
        pytest.raises(BadInput, match=r"models\.m\.thinking: 'low': .* knows high, minimal"),
    ):
        ask(server, call(), model="gemini-3.1-flash-lite-image", thinking="low")


def test_the_answer_its_thoughts_and_costs_are_read() -> None:
    with LoopbackServer(lambda _: gemini("<answer>True</answer>", thoughts="The heels rise.")) as server:
        (reply,) = ask(server, call(), usd_per_mtok=[2, 12])
    # Thoughts are billed as output: 6 + 40 tokens.
    assert reply == Reply(
        text="<answer>True</answer>",
        reasoning="The heels rise.",
        finish_reason="stop",
        model_version="gemini-test-001",
        input_tokens=300,
        output_tokens=46,
        reasoning_tokens=40,
        usd=pytest.approx((300 * 2 + 46 * 12) / 1e6),
    )


def candidate(reason: str, *parts: dict[str, object]) -> Response:
    return gemini(candidates=[{"content": {"role": "model", "parts": list(parts)}, "finishReason": reason, "index": 0}])


@pytest.mark.parametrize(
    ("response", "text", "finish"),
    [
        (candidate("MAX_TOKENS", {"text": "so far"}), "so far", "length"),
        (candidate("MAX_TOKENS"), "", "length"),
        (candidate("SAFETY"), "", "content_filter"),
        (candidate("PROHIBITED_CONTENT"), "", "content_filter"),
        (gemini(candidates=[], promptFeedback={"blockReason": "SAFETY"}), "", "content_filter"),
    ],
)
def test_cut_and_filtered_answers_are_replies(response: Response, text: str, finish: str) -> None:
    with LoopbackServer(lambda _: response) as server:
        (reply,) = ask(server, call())
    assert (reply.text, reply.finish_reason) == (text, finish)


def google_error(status: int, name: str, message: str, *details: dict[str, object]) -> Send:
    return Send(
        status=status, body={"error": {"code": status, "message": message, "status": name, "details": list(details)}}
    )


_RETRY = {"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "14s"}
_DAILY = {
    "@type": "type.googleapis.com/google.rpc.QuotaFailure",
    "violations": [{"quotaId": "GenerateRequestsPerDayPerProjectPerModel"}],
}
_BAD_KEY = {"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": "API_KEY_INVALID"}


@pytest.mark.parametrize(
    ("response", "cause", "retry_after_s"),
    [
        (google_error(400, "INVALID_ARGUMENT", f"API key not valid: {KEY}", _BAD_KEY), "auth", None),
        (google_error(403, "PERMISSION_DENIED", "no"), "auth", None),
        (google_error(404, "NOT_FOUND", "models/x is not found"), "not_found", None),
        (google_error(429, "RESOURCE_EXHAUSTED", "slow down", _RETRY), "rate_limited", 14.0),
        (google_error(429, "RESOURCE_EXHAUSTED", "slow down", _DAILY), "quota", None),
        (
            google_error(400, "INVALID_ARGUMENT", "The input token count (9) exceeds the maximum number of tokens."),
            "context_overflow",
            None,
        ),
        (google_error(400, "INVALID_ARGUMENT", "fps out of range"), "bad_request", None),
        (google_error(503, "UNAVAILABLE", "overloaded"), "server", None),
        (google_error(500, "INTERNAL", f"see https://x/?key={KEY}"), "server", None),
        (Send(body=b"{"), "bad_response", None),
        (Send(body=b""), "bad_response", None),
        (gemini(candidates=[]), "bad_response", None),
        (candidate("STOP"), "bad_response", None),
        (Send(status=307, headers={"location": "http://elsewhere.example/"}), "bad_request", None),
        (Drop(), "connection", None),
        (Hang(), "timeout", None),
    ],
)
def test_every_failure_has_its_cause_and_no_key(response: Response, cause: str, retry_after_s: float | None) -> None:
    timeout = {"timeout_s": 0.3} if isinstance(response, Hang) else {}
    with LoopbackServer(lambda _: response) as server, pytest.raises(AskFailed) as failed:
        ask(server, call(), **timeout)
    assert failed.value.cause == cause, failed.value.message
    assert failed.value.retry_after_s == retry_after_s
    assert KEY not in failed.value.message
    assert "\n" not in failed.value.message
    assert failed.value.__context__ is None


class Files:
    """The part of Google's Files API that uploads use; ``state`` and ``lost`` make it misbehave."""

    def __init__(self, *, pending: int = 1, lasts: timedelta = timedelta(hours=48), fails: bool = False) -> None:
        self.pending = pending
        self.lasts = lasts
        self.fails = fails
        self.uploads: list[bytes] = []
        self.starts: list[Seen] = []
        self.polls: dict[str, int] = {}
        self.lost: set[str] = set()
        self.url = ""

    def file(self, name: str) -> dict[str, object]:
        waiting = self.polls.get(name, 0) < self.pending
        state = "PROCESSING" if waiting else "FAILED" if self.fails else "ACTIVE"
        ends = (datetime.now(UTC) + self.lasts).isoformat().replace("+00:00", "Z")
        return {
            "name": name,
            "uri": f"https://generativelanguage.googleapis.com/v1beta/{name}",
            "mimeType": "video/mp4",
            "state": state,
            "expirationTime": ends,
            **({"error": {"message": "cannot be decoded"}} if state == "FAILED" else {}),
        }

    async def __call__(self, seen: Seen) -> Response:
        if seen.path.startswith("/upload/v1beta/files?upload_id="):
            await asyncio.sleep(0.05)
            self.uploads.append(seen.body)
            return Send(
                body={"file": self.file(f"files/f{len(self.uploads)}")}, headers={"x-goog-upload-status": "final"}
            )
        if seen.path.startswith("/upload/v1beta/files"):
            self.starts.append(seen)
            return Send(body={}, headers={"x-goog-upload-url": f"{self.url}/upload/v1beta/files?upload_id=1"})
        if seen.path.startswith("/v1beta/files/"):
            name = seen.path.removeprefix("/v1beta/")
            self.polls[name] = self.polls.get(name, 0) + 1
            return Send(body=self.file(name))
        if gone := [name for name in self.lost if name.encode() in seen.body]:
            said = f"You do not have permission to access the File {gone[0]} or it may not exist."
            return google_error(403, "PERMISSION_DENIED", said)
        return gemini()

    def questions(self, server: LoopbackServer) -> list[Any]:
        return [seen.json["contents"][0]["parts"] for seen in server.seen if "generateContent" in seen.path]


@pytest.fixture
def _small_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    """Upload from 1,000 bytes on, so that tests need no large files."""
    monkeypatch.setattr(gemini_api, "INLINE_LIMIT", 1000)


@pytest.mark.usefixtures("_small_limit")
def test_a_large_clip_is_uploaded_once_for_all_questions_about_it(tmp_path: Path) -> None:
    clip = stored(tmp_path, b"large" * 1000, "video/mp4", fps=2.0, end_s=4.0)
    other = stored(tmp_path, b"other" * 1000, "video/mp4")
    picture = stored(tmp_path, b"small picture")
    files = Files()
    with LoopbackServer(files) as server:
        files.url = server.url
        ask(server, *(call(f"q{n}", clip if n < 4 else other, picture) for n in range(5)))
    assert sorted(files.uploads) == sorted([b"large" * 1000, b"other" * 1000])
    for parts in files.questions(server):
        assert parts[1]["fileData"]["file_uri"].startswith("https://generativelanguage.googleapis.com/v1beta/files/f")
        assert parts[1]["fileData"]["mime_type"] == "video/mp4"
        assert parts[2] == {"inlineData": data(b"small picture", "image/jpeg")}
    # The questions are asked at once, so they arrive in any order.
    sampling = [parts[1].get("videoMetadata") for parts in files.questions(server)]
    assert sampling.count({"fps": 2.0, "end_offset": "4s"}) == 4
    assert sampling.count(None) == 1


@pytest.mark.usefixtures("_small_limit")
def test_an_upload_tells_nothing_about_the_file(tmp_path: Path) -> None:
    clip = stored(tmp_path, b"large" * 1000, "video/mp4")
    files = Files()
    with LoopbackServer(files) as server:
        files.url = server.url
        ask(server, call(clip, "q"))
    for seen in server.seen:
        assert clip.path.name not in str(seen.headers) + seen.body.decode("utf-8", "replace")
        assert tmp_path.name not in str(seen.headers)
    assert files.starts[0].json["file"]["display_name"] == "clip"


@pytest.mark.usefixtures("_small_limit")
def test_different_clips_are_uploaded_side_by_side(tmp_path: Path) -> None:
    clips = [stored(tmp_path, b"clip %d " % n * 500, "video/mp4") for n in range(6)]
    files = Files(pending=0)
    with LoopbackServer(files) as server:
        files.url = server.url
        ask(server, *(call(clip, "q") for clip in clips))
    assert len(files.uploads) == 6
    assert server.active_max >= 3


@pytest.mark.usefixtures("_small_limit")
def test_an_upload_that_ends_soon_or_is_lost_is_made_again(tmp_path: Path) -> None:
    clip = stored(tmp_path, b"large" * 1000, "video/mp4")

    async def twice(server: LoopbackServer, files: Files) -> None:
        entry = load("m", {"provider": "google", "model": MODEL, "base_url": server.url})
        model = open_model("m", entry)
        await model.ask(call("one", clip))
        files.lost = {"files/f1"} if files.lasts > timedelta(hours=1) else set()
        await model.ask(call("two", clip))
        await model.aclose()

    for files in (Files(lasts=timedelta(minutes=5)), Files()):
        with LoopbackServer(files) as server:
            files.url = server.url
            asyncio.run(twice(server, files))
        assert len(files.uploads) == 2
        assert re.search(r"files/f2$", files.questions(server)[-1][1]["fileData"]["file_uri"])


@pytest.mark.usefixtures("_small_limit")
def test_a_clip_that_google_cannot_read_is_a_fault_of_the_media(tmp_path: Path) -> None:
    clip = stored(tmp_path, b"large" * 1000, "video/mp4")
    files = Files(fails=True)
    with LoopbackServer(files) as server:
        files.url = server.url
        with pytest.raises(AskFailed, match="cannot be decoded") as failed:
            ask(server, call(clip, "q"))
    assert failed.value.cause == "media"
    assert files.questions(server) == []


@pytest.mark.usefixtures("_small_limit")
def test_an_upload_that_is_refused_fails_with_the_servers_cause(tmp_path: Path) -> None:
    clip = stored(tmp_path, b"large" * 1000, "video/mp4")
    refusal = google_error(429, "RESOURCE_EXHAUSTED", f"too many uploads {KEY}", _RETRY)
    with LoopbackServer(lambda _: refusal) as server, pytest.raises(AskFailed) as failed:
        ask(server, call(clip, "q"))
    assert failed.value.cause == "rate_limited"
    assert KEY not in failed.value.message
