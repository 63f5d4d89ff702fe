"""The contract with OpenAI-compatible servers: the exact body sent, and what each answer becomes."""

from __future__ import annotations

import asyncio
import base64
from pathlib import Path
from typing import Any

import pytest

from aqaudit.core.records import BadInput
from aqaudit.models.call import AskFailed, Call, Reply
from aqaudit.models.catalog import load, open_model
from aqaudit.models.check import check
from model_calls import TRUE_FALSE, call, stored
from servers import Drop, Hang, LoopbackServer, Response, Seen, Send, chat, openai_error

KEY = "sk-planted-0123456789abcdef"


def entry(server: LoopbackServer, **keys: Any) -> Any:
    return load("m", {"provider": "openai", "model": "served", "base_url": server.base_url, **keys})


def ask(server: LoopbackServer, *calls: Call, **keys: Any) -> list[Reply]:
    async def all_of_them() -> list[Reply]:
        model = open_model("m", entry(server, **keys))
        try:
            return list(await asyncio.gather(*(model.ask(one) for one in calls)))
        finally:
            await model.aclose()

    return asyncio.run(all_of_them())


def failure(response: Response, *, models: Response | None = None, **keys: Any) -> AskFailed:
    def respond(seen: Seen) -> Response:
        return response if seen.method == "POST" or models is None else models

    parts = keys.pop("parts", ("Is it so?",))
    with LoopbackServer(respond) as server, pytest.raises(AskFailed) as failed:
        ask(server, call(*parts), **keys)
    assert "\n" not in failed.value.message
    assert str(failed.value) == failed.value.message
    return failed.value


def test_the_body_holds_the_parts_in_order_and_every_setting(tmp_path: Path) -> None:
    first, second = stored(tmp_path, b"\xff\xd8 one"), stored(tmp_path, b"png two", "image/png")
    asked = call("Look:", first, second, "and", first, 'Is "it" sö?', seed=7, option_words=TRUE_FALSE)
    with LoopbackServer(lambda _: chat()) as server:
        ask(
            server,
            asked,
            temperature=0.7,
            top_p=0.8,
            presence_penalty=1.5,
            max_output_tokens=512,
            thinking="off",
            logprobs=True,
            system_prompt="Be brief.",
        )
    (seen,) = server.seen
    one = {
        "type": "image_url",
        "image_url": {"url": "data:image/jpeg;base64," + base64.b64encode(b"\xff\xd8 one").decode()},
    }
    two = {"type": "image_url", "image_url": {"url": "data:image/png;base64," + base64.b64encode(b"png two").decode()}}
    assert seen.path == "/v1/chat/completions"
    assert seen.json == {
        "model": "served",
        "stream": False,
        "messages": [
            {"role": "system", "content": "Be brief."},
            {
                "role": "user",
                "content": [
                    {"type": "text", "text": "Look:"},
                    one,
                    two,
                    {"type": "text", "text": "and"},
                    one,
                    {"type": "text", "text": 'Is "it" sö?'},
                ],
            },
        ],
        "temperature": 0.7,
        "top_p": 0.8,
        "presence_penalty": 1.5,
        "max_tokens": 512,
        "seed": 7,
        "logprobs": True,
        "top_logprobs": 20,
        "chat_template_kwargs": {"enable_thinking": False},
    }


def test_a_clip_is_sent_as_video_url_and_nothing_tells_its_name(tmp_path: Path) -> None:
    # Larger than one piece of the body, with a size that base64 must pad.
    content = bytes(range(256)) * 5000 + b"x"
    clip = stored(tmp_path, content, "video/mp4")
    with LoopbackServer(lambda _: chat()) as server:
        ask(server, call(clip, "Is it so?"), media_form="video")
    (seen,) = server.seen
    assert seen.json == {
        "model": "served",
        "stream": False,
        "messages": [
            {
                "role": "user",
                "content": [
                    {
                        "type": "video_url",
                        "video_url": {"url": "data:video/mp4;base64," + base64.b64encode(content).decode()},
                    },
                    {"type": "text", "text": "Is it so?"},
                ],
            }
        ],
    }
    assert tmp_path.name.encode() not in seen.body


@pytest.mark.parametrize(
    ("thinking", "fields"),
    [
        (None, {}),
        ("on", {"chat_template_kwargs": {"enable_thinking": True}}),
        ("low", {"reasoning_effort": "low"}),
        ("high", {"reasoning_effort": "high"}),
    ],
)
def test_thinking_is_switched_or_given_an_effort(thinking: str | None, fields: dict[str, object]) -> None:
    with LoopbackServer(lambda _: chat()) as server:
        ask(server, call(), **({} if thinking is None else {"thinking": thinking}))
    body = server.seen[0].json
    del body["messages"], body["model"], body["stream"]
    assert body == fields


def test_prompt_text_is_sent_as_it_is(tmp_path: Path) -> None:
    text = "<|im_start|>user [INST] <image> \u2028 \x00 data:image/jpeg;base64,AAAA"
    with LoopbackServer(lambda _: chat()) as server:
        ask(server, call(text, stored(tmp_path, b"x")))
    assert server.seen[0].json["messages"][0]["content"][0]["text"] == text


def test_many_calls_at_once_keep_their_own_media(tmp_path: Path) -> None:
    pictures = [stored(tmp_path, b"picture %d" % number) for number in range(40)]
    with LoopbackServer(lambda _: chat(delay_s=0.01)) as server:
        ask(server, *(call(f"q{n}", part) for n, part in enumerate(pictures)), concurrency=8)
    for seen in server.seen:
        text, picture = seen.json["messages"][0]["content"]
        expected = base64.b64encode(b"picture " + text["text"][1:].encode()).decode()
        assert picture["image_url"]["url"] == "data:image/jpeg;base64," + expected
    assert len(server.seen) == 40
    assert server.active_max <= 8


def test_the_answer_its_reasoning_and_costs_are_read() -> None:
    answer = chat(
        "<answer>True</answer>",
        message={"reasoning_content": "I see heels."},
        usage={
            "prompt_tokens": 1000,
            "completion_tokens": 500,
            "total_tokens": 1500,
            "completion_tokens_details": {"reasoning_tokens": 400},
        },
    )
    with LoopbackServer(lambda _: answer) as server:
        (reply,) = ask(server, call(), usd_per_mtok=[1, 2])
    assert reply == Reply(
        text="<answer>True</answer>",
        reasoning="I see heels.",
        finish_reason="stop",
        model_version="test-model-2025",
        input_tokens=1000,
        output_tokens=500,
        reasoning_tokens=400,
        usd=0.002,
    )


@pytest.mark.parametrize(
    ("content", "message", "text", "reasoning"),
    [
        ("<think>hm</think>\nTrue", {}, "True", "hm"),
        ("hm\n</think>\n\nTrue", {}, "True", "hm"),
        ("True", {"reasoning": "hm"}, "True", "hm"),
        ("<think>b</think>True", {"reasoning_content": "a"}, "True", "a\nb"),
        ([{"type": "text", "text": "True"}], {}, "True", None),
    ],
)
def test_reasoning_is_found_wherever_servers_put_it(
    content: Any, message: dict[str, Any], text: str, reasoning: str | None
) -> None:
    with LoopbackServer(lambda _: chat(content, message=message)) as server:
        (reply,) = ask(server, call())
    assert (reply.text, reply.reasoning) == (text, reasoning)


def test_thinking_that_was_cut_off_is_no_answer() -> None:
    with LoopbackServer(lambda _: chat("<think>so <answer>True</answer> or", finish_reason="length")) as server:
        (reply,) = ask(server, call())
    assert reply.text == ""
    assert reply.finish_reason == "length"


def test_counts_that_the_server_does_not_give_are_unknown() -> None:
    with LoopbackServer(lambda _: chat(usage=None)) as server:
        (reply,) = ask(server, call(), usd_per_mtok=[1, 2])
    assert (reply.input_tokens, reply.output_tokens, reply.reasoning_tokens, reply.usd) == (None, None, None, None)


def test_log_probabilities_of_the_answer_words_are_read() -> None:
    def one(text: str, logprob: float, **tops: float) -> dict[str, Any]:
        alternatives = [{"token": word, "logprob": value, "bytes": None} for word, value in tops.items()]
        return {"token": text, "logprob": logprob, "bytes": None, "top_logprobs": alternatives}

    content = [one("<answer>", -0.1), one("Yes", -0.2, Yes=-0.2, No=-1.7), one("</answer>", 0.0)]
    answer = chat("<answer>Yes</answer>", logprobs={"content": content})
    with LoopbackServer(lambda _: answer) as server:
        (reply,) = ask(server, call(option_words=("Yes", "No")), logprobs=True)
        (without,) = ask(server, call(option_words=("Yes", "No")))
    assert reply.option_logprobs == pytest.approx({"Yes": -0.2, "No": -1.7})
    assert "logprobs" not in server.seen[1].json
    assert without.text == reply.text


def test_early_steps_of_a_chain_ask_for_no_log_probabilities() -> None:
    with LoopbackServer(lambda _: chat("I see a squat.")) as server:
        ask(server, call(option_words=TRUE_FALSE, final=False), logprobs=True)
    assert "logprobs" not in server.seen[0].json


def test_a_refusal_is_a_reply() -> None:
    with LoopbackServer(lambda _: chat(None, finish_reason="content_filter")) as server:
        (filtered,) = ask(server, call())
    assert (filtered.text, filtered.finish_reason) == ("", "content_filter")
    with LoopbackServer(lambda _: chat(None, message={"refusal": "I will not."})) as server:
        (refused,) = ask(server, call())
    assert (refused.text, refused.finish_reason) == ("I will not.", "content_filter")


@pytest.mark.parametrize(
    ("response", "cause", "says"),
    [
        (openai_error(401, "bad key"), "auth", "check the API key"),
        (openai_error(403, "not yours"), "auth", ""),
        (openai_error(402, "pay"), "payment", ""),
        (openai_error(429, "slow down"), "rate_limited", "slow down"),
        (openai_error(429, "used up", code="insufficient_quota"), "quota", "used up"),
        (openai_error(413, "too big"), "too_large", "fewer or smaller frames"),
        (openai_error(400, "no such field"), "bad_request", "no such field"),
        (openai_error(422, "no such field"), "bad_request", "no such field"),
        (openai_error(500, "oops"), "server", "500: oops"),
        (openai_error(503, "overloaded"), "server", ""),
        (Send(status=502, body=b"<html><b>Bad</b> gateway</html>"), "server", "Bad gateway"),
        (Send(status=500, body=b""), "server", "no explanation"),
        (Send(status=307, headers={"location": "http://elsewhere.example/"}), "bad_request", "redirects elsewhere"),
        (Send(body=b'{"choices": [{"mess'), "bad_response", "JSON"),
        (Send(body=b""), "bad_response", ""),
        (Send(body=b"hello", headers={"content-type": "text/plain"}), "bad_response", ""),
        (Send(body={}), "bad_response", ""),
        (Send(body=[]), "bad_response", ""),
        (chat(choices=[]), "bad_response", ""),
        (chat(""), "bad_response", "empty answer"),
        (chat(None), "bad_response", "empty answer"),
        (Send(body={"error": {"message": "upstream fell over", "code": 503}}), "server", "upstream fell over"),
        (Drop(), "connection", "without sending a response"),
    ],
)
def test_every_failure_has_its_cause(response: Response, cause: str, says: str) -> None:
    failed = failure(response)
    assert failed.cause == cause, failed.message
    assert says in failed.message


def test_a_refused_connection_says_so() -> None:
    with LoopbackServer(lambda _: chat()) as server:
        pass
    with pytest.raises(AskFailed, match=r"cannot reach http://127.0.0.1:\d+: ") as failed:
        ask(server, call())
    assert failed.value.cause == "refused"


def test_a_server_that_hangs_is_given_up() -> None:
    failed = failure(Hang(), timeout_s=0.3)
    assert failed.cause == "timeout"
    assert "within 0.3 s" in failed.message


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"retry_after": "7"}, 7.0),
        ({"retry_after_ms": "1500"}, 1.5),
        ({"retry_after": "Wed, 21 Oct 2015 07:28:00 GMT"}, 0.0),
        ({"retry_after": "soon"}, None),
        ({}, None),
    ],
)
def test_the_wait_that_the_server_asks_for_is_read(headers: dict[str, str], seconds: float | None) -> None:
    assert failure(openai_error(429, "slow down", **headers)).retry_after_s == seconds


def test_too_many_pictures_name_vllms_switch(tmp_path: Path) -> None:
    refusal = openai_error(400, "At most 1 image(s) may be provided in one prompt.")
    parts = tuple(stored(tmp_path, b"%d" % number) for number in range(8))
    failed = failure(refusal, parts=(*parts, "q"))
    assert failed.cause == "too_many_images"
    assert "8 were sent" in failed.message
    assert """--limit-mm-per-prompt '{"image": 8}'""" in failed.message
    assert "max_frames = 1" in failed.message


@pytest.mark.parametrize(
    "said",
    [
        "This model's maximum context length is 4096 tokens. However, you requested 5000 tokens.",
        "The decoder prompt (length 9632) is longer than the maximum model length of 8192.",
        "the request exceeds the available context size",
    ],
)
def test_a_prompt_over_the_window_names_the_ways_out(said: str) -> None:
    failed = failure(openai_error(400, said))
    assert failed.cause == "context_overflow"
    assert "fewer frames" in failed.message
    assert "--max-model-len" in failed.message


def test_a_wrong_name_lists_what_is_served_and_asks_for_it_once() -> None:
    listing = Send(body={"object": "list", "data": [{"id": "Qwen/Qwen3-VL-8B", "object": "model"}]})
    refusal = openai_error(404, "The model `served` does not exist.", code="NotFoundError")

    def respond(seen: Seen) -> Response:
        return refusal if seen.method == "POST" else listing

    async def twice(server: LoopbackServer) -> list[BaseException | Reply]:
        model = open_model("m", entry(server))
        return [(await asyncio.gather(model.ask(call()), return_exceptions=True))[0] for _ in range(2)]

    with LoopbackServer(respond) as server:
        first, second = asyncio.run(twice(server))
    assert isinstance(first, AskFailed)
    assert first.cause == "not_found"
    assert "the server serves 'Qwen/Qwen3-VL-8B': set models.m.model to a served name" in str(first)
    assert str(second) == str(first)
    assert [seen.path for seen in server.seen if seen.method == "GET"] == ["/v1/models"]


def test_a_wrong_path_is_told_from_a_wrong_name() -> None:
    failed = failure(
        Send(status=404, body={"detail": "Not Found"}), models=Send(status=404, body={"detail": "Not Found"})
    )
    assert failed.cause == "not_found"
    assert "end in /v1" in failed.message


@pytest.mark.parametrize("status", [400, 401, 404, 429, 500])
def test_no_key_reaches_a_message_whatever_the_server_echoes(monkeypatch: pytest.MonkeyPatch, status: int) -> None:
    monkeypatch.setenv("PLANTED", KEY)
    echoed = f"got Authorization: Bearer {KEY} for https://u:{KEY}@h/?key={KEY}&x=1, x-api-key={KEY}; {KEY[:20]}"

    def respond(seen: Seen) -> Response:
        assert seen.headers["authorization"] == f"Bearer {KEY}"
        if seen.method == "GET":
            return Send(body={"object": "list", "data": [{"id": KEY, "object": "model"}]})
        return openai_error(status, echoed)

    with LoopbackServer(respond) as server, pytest.raises(AskFailed) as failed:
        ask(server, call(), api_key_env="PLANTED")
    chain: BaseException | None = failed.value
    while chain is not None:
        assert KEY[:14] not in str(chain)
        assert "Bearer sk" not in str(chain)
        chain = chain.__cause__ or chain.__context__


def test_organisation_and_project_of_another_vendor_are_not_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_ORG_ID", "org-mine")
    monkeypatch.setenv("OPENAI_PROJECT_ID", "proj-mine")
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    with LoopbackServer(lambda _: chat()) as server:
        ask(server, call())
    headers = str(dict(server.seen[0].headers))
    assert "org-mine" not in headers
    assert "proj-mine" not in headers
    assert KEY not in headers


def test_a_server_on_this_machine_is_never_asked_through_a_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    with LoopbackServer(lambda _: Send(status=500)) as proxy, LoopbackServer(lambda _: chat()) as server:
        for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
            monkeypatch.setenv(name, proxy.url)
        ask(server, call())
    assert proxy.seen == []


def test_media_that_are_gone_or_changed_are_no_servers_fault(tmp_path: Path) -> None:
    gone, changed = stored(tmp_path, b"one"), stored(tmp_path, b"two")
    gone.path.unlink()
    changed.path.write_bytes(b"longer")
    with LoopbackServer(lambda _: chat()) as server:
        for part in (gone, changed):
            with pytest.raises(AskFailed) as failed:
                ask(server, call(part))
            assert failed.value.cause == "media"
    assert server.seen == []


def test_a_check_prints_what_was_sent_and_came_back() -> None:
    with LoopbackServer(lambda _: chat("<think>red</think><answer>True</answer>")) as server:
        record = check("m", entry(server, usd_per_mtok=[1, 1], temperature=0.5))
    assert "3 frames" in record
    assert "100 in, 5 out" in record
    assert "0.000105 USD" in record
    assert "test-model-2025" in record
    assert "temperature 0.5" in record
    assert [item["type"] for item in server.seen[0].json["messages"][0]["content"]] == ["image_url"] * 3 + ["text"]


def test_a_missing_key_is_found_before_anything_is_sent() -> None:
    with LoopbackServer(lambda _: chat()) as server, pytest.raises(BadInput, match="NO_SUCH_VARIABLE"):
        ask(server, call(), api_key_env="NO_SUCH_VARIABLE")
