"""``aqaudit run --verbose``: what happens is told on standard error, keys never, and nothing without the flag."""

from __future__ import annotations

import logging
import re
import sys
from pathlib import Path

import pytest

import made
from aqaudit import cli
from aqaudit.core import log
from servers import LoopbackServer, Response, Seen, chat, openai_error

#: One that looks like a key, one that does not, and one that is a word.
KEYS = ("sk-planted-0123456789abcdef", "correct horse battery", "EMPTY")
LINE = re.compile(r"\d\d:\d\d:\d\d\.\d{3} (DEBUG|INFO ) aqaudit(\.\w+)+: \S")


def run(monkeypatch: pytest.MonkeyPatch, *words: str) -> int:
    monkeypatch.setattr(sys, "argv", ["aqaudit", "run", "study.toml", *words])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    return int(ended.value.code or 0)


@pytest.fixture(params=KEYS)
def key(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setenv("JUDGE_KEY", request.param)
    monkeypatch.setattr("aqaudit.core.text._keys", set())
    return request.param


@pytest.fixture
def server(key: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> LoopbackServer:
    """A server that echoes the key in every way it can, fails at first, and refuses one question for good."""

    def respond(seen: Seen) -> Response:
        echo = f"got Bearer {key} from https://me:{key}@host/v1?key={key}, x-api-key: {key}\nkey = '{key}'"
        if seen.number == 1:
            return openai_error(500, echo, retry_after="0")
        return openai_error(400, echo) if seen.number == 3 else chat(model=f"model of {key}")

    monkeypatch.chdir(tmp_path)
    made.folder(tmp_path, performances=4, criteria=1)
    with LoopbackServer(respond) as running:
        made.study(tmp_path, model=made.served(running.base_url, api_key_env="JUDGE_KEY"))
        yield running


def test_verbose_tells_what_happens_with_time_and_module_and_no_key(
    server: LoopbackServer, key: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(monkeypatch, "--verbose") == 1
    captured = capsys.readouterr()
    assert all(seen.headers["authorization"] == f"Bearer {key}" for seen in server.posts)
    assert key not in captured.err
    assert key not in captured.out
    assert all(LINE.match(line) for line in captured.err.splitlines())
    assert "aqaudit.models.catalog: opened models.judge" in captured.err
    assert captured.err.count(f"asking {server.url}") == len(server.posts)


@pytest.mark.parametrize("words", [(), ("--quiet",)])
def test_nothing_is_printed_without_the_flag(
    server: LoopbackServer, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], words: tuple[str, ...]
) -> None:
    assert run(monkeypatch, *words) == 1
    assert capsys.readouterr().err == ""
    assert server.posts


def test_the_flag_leaves_no_trace(capsys: pytest.CaptureFixture[str]) -> None:
    logger = logging.getLogger("aqaudit")
    before = (list(logger.handlers), logger.level, logger.propagate)
    with log.to_stderr():
        logging.getLogger("aqaudit.models").info("one")
    logging.getLogger("aqaudit.models").warning("two")
    assert (list(logger.handlers), logger.level, logger.propagate) == before
    told = capsys.readouterr().err
    assert "aqaudit.models: one\n" in told
    assert "two" not in told


def test_a_record_is_one_printable_line_and_a_traceback_its_own(capsys: pytest.CaptureFixture[str]) -> None:
    with log.to_stderr():
        logger = logging.getLogger("aqaudit.models")
        logger.info("a name of\n23:59:59.999 INFO  aqaudit: two lines\x1b[31m")
        try:
            int("token = 'abcdefgh'")
        except ValueError:
            logger.debug("failed", exc_info=True)
    first, second, *rest = capsys.readouterr().err.splitlines()
    assert first.endswith("INFO  aqaudit.models: a name of 23:59:59.999 INFO aqaudit: two lines")
    assert second.endswith("failed")
    assert rest[0].startswith("Traceback")
    assert "test_log.py" in rest[1]
