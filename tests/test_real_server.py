"""A study on the real sample clips against a real OpenAI-compatible server with a tiny, untrained model."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import aqaudit
from aqaudit import Study, read_answers
from model_server import need_server, serving

REPOSITORY = Path(__file__).resolve().parent.parent

#: The data sets made from the samples, and how many of their requests are asked.
STUDIES = {"skeleton_uiprmd": 160, "rgb_video": 56, "rgb_keyframes": 64}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Path]]:
    """``transformers serve`` on a free port with the tiny model; its address and the model's folder."""
    need_server()
    base = tmp_path_factory.mktemp("server")
    # Built in a process of its own, so that torch stays out of the tests' memory.
    build = f"import sys; sys.path.insert(0, {str(REPOSITORY / 'tests')!r}); import pathlib, tiny_vlm; "
    folder = base / "untrained-test-model"
    subprocess.run([sys.executable, "-c", f"{build}tiny_vlm.build(pathlib.Path({str(folder)!r}))"], check=True)
    with serving(folder, base) as url:
        yield url, folder


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
    chance = [f.why for f in headline if f.audit == "chance"]
    assert chance
    assert all("performer" in why for why in chance), chance
    page = aqaudit.report(out).read_text(encoding="utf-8")
    assert "untrained test model" in page.lower()
    assert "cannot tell" in page.lower()
    assert "at least 8 are needed for an interval" in page
