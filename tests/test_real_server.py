"""A study on the real sample clips against a real OpenAI-compatible server with a tiny, untrained model."""

from __future__ import annotations

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

import aqaudit
from aqaudit import Study, read_answers

REPOSITORY = Path(__file__).resolve().parent.parent

#: The data sets made from the samples, and how many of their requests are asked.
STUDIES = {"skeleton_uiprmd": 160, "rgb_video": 56, "rgb_keyframes": 64}


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


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Path]]:
    """``transformers serve`` on a free port with the tiny model; its address and the model's folder."""
    if importlib.util.find_spec("torch") is None or importlib.util.find_spec("fastapi") is None:
        reason = "torch and transformers[serving] are not installed (extra hf)"
        if "server" in os.environ.get("AQAUDIT_REQUIRE", ""):
            pytest.fail(reason)
        pytest.skip(reason)
    base = tmp_path_factory.mktemp("server")
    # Built in a process of its own, so that torch stays out of the tests' memory.
    build = f"import sys; sys.path.insert(0, {str(REPOSITORY / 'tests')!r}); import pathlib, tiny_vlm; "
    folder = base / "untrained-test-model"
    subprocess.run([sys.executable, "-c", f"{build}tiny_vlm.build(pathlib.Path({str(folder)!r}))"], check=True)
    (base / "cache" / "hub").mkdir(parents=True)
    port = _free_port()
    environment = {
        **os.environ,
        "HF_HUB_OFFLINE": "1",
        "HF_HOME": str(base / "cache"),
        "OMP_NUM_THREADS": "1",
        "OMP_WAIT_POLICY": "passive",
    }
    binary = Path(sys.executable).with_name("transformers")
    command = [str(binary), "serve", str(folder), "--device", "cpu", "--host", "127.0.0.1", "--port", str(port)]
    log = (base / "log.txt").open("wb")
    process = subprocess.Popen(command, env=environment, stdout=log, stderr=subprocess.STDOUT)
    url = f"http://127.0.0.1:{port}"
    try:
        deadline = time.monotonic() + 180
        while not _healthy(url):
            if process.poll() is not None or time.monotonic() > deadline:
                pytest.fail(f"the server did not start:\n{(base / 'log.txt').read_text()[-2000:]}")
            time.sleep(0.3)
        yield url, folder
    finally:
        process.terminate()
        process.wait(20)
        log.close()


@pytest.fixture(scope="module")
def samples(shared_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("samples") / "data"
    command = [sys.executable, str(REPOSITORY / "examples" / "sample_data.py"), str(shared_data), str(out)]
    subprocess.run(command, check=True, capture_output=True)
    return out


@pytest.mark.parametrize("name", STUDIES)
def test_every_request_on_the_real_clips_becomes_an_answer(
    name: str, server: tuple[str, Path], samples: Path, tmp_path: Path
) -> None:
    url, folder = server
    study = tmp_path / "study.toml"
    study.write_text(
        f'name = "{name}"\n[[dataset]]\nreader = "folder"\nroot = "{samples / name}"\n'
        '[grid]\nmodel = ["untrained-test-model"]\nframing = ["positive", "negative"]\nframes = [4]\n'
        f'[models.untrained-test-model]\nprovider = "openai"\nmodel = "{folder}"\nbase_url = "{url}/v1"\n'
        "max_side = 128\nmax_output_tokens = 8\nconcurrency = 2\n"
    )
    out = tmp_path / "out"
    outcome = aqaudit.run(Study.read(study), out=out)
    assert outcome.complete, outcome.tally.failed
    answers = read_answers(out)
    assert len(answers) == outcome.tally.planned == STUDIES[name]
    assert not outcome.tally.failed
    assert set(answers["endpoint"]) == {url}
    assert answers["said"].str.len_chars().max() > 0
    assert (answers["input_tokens"] > 50).all()
    findings = aqaudit.audit(answers).findings
    headline = [f for f in findings if f.headline]
    assert headline
    assert {f.verdict for f in headline} == {"cannot_tell"}
    assert all("performer" in f.why for f in headline), [f.why for f in headline]
    page = aqaudit.report(out).read_text(encoding="utf-8")
    assert "untrained test model" in page.lower()
    assert "cannot tell" in page.lower()
    assert "at least 8 are needed for an interval" in page
