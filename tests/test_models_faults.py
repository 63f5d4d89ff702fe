"""A server with faults of every kind at once: each call ends, rightly answered or with the right cause."""

from __future__ import annotations

import asyncio
from collections import Counter

import pytest

from aqaudit.models.call import AskFailed, Reply
from aqaudit.models.catalog import load, open_model
from model_calls import call
from servers import Faulty, LoopbackServer, Response, Seen, ServerProcess, chat


def echo(seen: Seen) -> Response:
    text = seen.json["messages"][0]["content"][0]["text"]
    return chat(f"<answer>{text}</answer>")


async def ask_all(base_url: str, count: int, timeout_s: float = 60) -> list[Reply | BaseException]:
    table = {"provider": "openai", "model": "m", "base_url": base_url, "concurrency": 10, "timeout_s": timeout_s}
    model = open_model("m", load("m", table))
    limit = asyncio.Semaphore(10)

    async def one(number: int) -> Reply:
        async with limit:
            return await model.ask(call(f"q{number}"))

    try:
        return await asyncio.gather(*(one(number) for number in range(count)), return_exceptions=True)
    finally:
        await model.aclose()


def test_every_call_gets_its_own_answer_or_the_cause_of_its_failure() -> None:
    faulty = Faulty(
        respond=echo,
        rate_limit_every=10,
        retry_after="3",
        drop_every=23,
        broken_json_every=29,
        empty_every=31,
        error_500_every=37,
        hang_every=151,
    )
    with LoopbackServer(faulty) as server:
        results = asyncio.run(ask_all(server.base_url, 200, timeout_s=4))
    causes = Counter(one.cause for one in results if isinstance(one, AskFailed))
    assert causes == {
        "rate_limited": 20,
        "connection": 8,
        "bad_response": 6 + 6,
        "server": 5,
        "timeout": 1,
    }
    for number, one in enumerate(results):
        if isinstance(one, Reply):
            assert one.text == f"<answer>q{number}</answer>"
        else:
            assert isinstance(one, AskFailed)
            assert one.retry_after_s == (3.0 if one.cause == "rate_limited" else None)


def test_a_server_that_dies_for_good_is_a_refused_connection() -> None:
    with ServerProcess("--dead-after", "30") as server:
        results = asyncio.run(ask_all(server.base_url, 60))
    answered = [one for one in results if isinstance(one, Reply)]
    causes = {one.cause for one in results if isinstance(one, AskFailed)}
    assert 20 <= len(answered) <= 30
    assert "refused" in causes <= {"refused", "connection"}


@pytest.mark.parametrize("flag", ["--rate-limit-every", "--empty-every"])
def test_the_server_process_makes_faults_and_counts(flag: str) -> None:
    with ServerProcess(flag, "2", "--retry-after", "1") as server:
        results = asyncio.run(ask_all(server.base_url, 10))
        stats = server.stats()
    assert sum(isinstance(one, AskFailed) for one in results) == 5
    assert stats["posts"] == 10
