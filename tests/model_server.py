"""``transformers serve`` on a free port of this machine, for tests that want a real server."""

from __future__ import annotations

import contextlib
import importlib.util
import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def _healthy(url: str) -> bool:
    try:
        with urllib.request.urlopen(f"{url}/health", timeout=2) as answer:
            return answer.status == 200
    except (urllib.error.URLError, OSError):
        return False


def need_server() -> None:
    """Skip the test where no server can be started, or fail it where one is required."""
    if importlib.util.find_spec("torch") is None or importlib.util.find_spec("fastapi") is None:
        reason = "torch and transformers[serving] are not installed (extra hf)"
        if "server" in os.environ.get("AQAUDIT_REQUIRE", ""):
            pytest.fail(reason)
        pytest.skip(reason)


@contextlib.contextmanager
def serving(model: Path, base: Path) -> Iterator[str]:
    """Serve a model's folder and yield the server's address; caches and the log go to ``base``."""
    (base / "cache" / "hub").mkdir(parents=True, exist_ok=True)
    port = _free_port()
    environment = {
        **os.environ,
        "HF_HUB_OFFLINE": "1",
        "HF_HOME": str(base / "cache"),
        "OMP_NUM_THREADS": "1",
        "OMP_WAIT_POLICY": "passive",
    }
    binary = Path(sys.executable).with_name("transformers")
    command = [str(binary), "serve", str(model), "--device", "cpu", "--host", "127.0.0.1", "--port", str(port)]
    log = (base / "log.txt").open("wb")
    process = subprocess.Popen(command, env=environment, stdout=log, stderr=subprocess.STDOUT)
    url = f"http://127.0.0.1:{port}"
    try:
        deadline = time.monotonic() + 180
        while not _healthy(url):
            if process.poll() is not None or time.monotonic() > deadline:
                pytest.fail(f"the server did not start:\n{(base / 'log.txt').read_text()[-2000:]}")
            time.sleep(0.3)
        yield url
    finally:
        process.terminate()
        process.wait(20)
        log.close()
