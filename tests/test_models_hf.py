"""Models of transformers in process: tiny, untrained ones of five families, with pictures, clips, thinking, batches."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from aqaudit.core.records import BadInput
from aqaudit.models.catalog import load

TESTS = Path(__file__).resolve().parent
PORTABLE = ("llava", "idefics3")
#: Their processors need torchvision.
WITH_CLIPS = ("smolvlm", "internvl", "qwen3_vl")


def _absent(reason: str) -> None:
    if "server" in os.environ.get("AQAUDIT_REQUIRE", ""):
        pytest.fail(reason)
    pytest.skip(reason)


def _report(out: Path, *names: str, torchvision: str | None = None) -> dict[str, Any]:
    path = [str(TESTS), *filter(None, [torchvision]), os.environ.get("PYTHONPATH", "")]
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(filter(None, path)),
        "HF_HUB_OFFLINE": "1",
        "OMP_NUM_THREADS": "1",
    }
    command = [sys.executable, str(TESTS / "hf_report.py"), str(out), *names]
    done = subprocess.run(command, check=False, env=environment, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(out.read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def portable(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    if importlib.util.find_spec("torch") is None or importlib.util.find_spec("transformers") is None:
        _absent("torch and transformers are not installed (extra hf)")
    return _report(tmp_path_factory.mktemp("hf") / "report.json", *PORTABLE, "refusals")


@pytest.fixture(scope="module")
def with_clips(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    folder = os.environ.get("AQAUDIT_TORCHVISION")
    if importlib.util.find_spec("torch") is None or importlib.util.find_spec("transformers") is None:
        _absent("torch and transformers are not installed (extra hf)")
    if folder is None and importlib.util.find_spec("torchvision") is None:
        pytest.skip("torchvision is not here (AQAUDIT_TORCHVISION names a folder that it was installed to)")
    return _report(tmp_path_factory.mktemp("hf") / "report.json", *WITH_CLIPS, torchvision=folder)


@pytest.fixture
def found(request: pytest.FixtureRequest) -> dict[str, Any]:
    """What came back from one family."""
    name = request.param
    fixture = "portable" if name in PORTABLE else "with_clips"
    return request.getfixturevalue(fixture)[name]


everywhere = pytest.mark.parametrize("found", [*PORTABLE, *WITH_CLIPS], indirect=True)


@everywhere
def test_frames_get_an_answer_with_counts_and_a_fingerprint(found: dict[str, Any]) -> None:
    reply = found["frames"]
    assert reply["finish_reason"] in {"length", "stop"}
    assert reply["input_tokens"] > 60
    assert 1 <= reply["output_tokens"] <= 4
    assert "sha256:" in reply["model_version"]
    assert reply["usd"] == 0.0
    assert found["blind"]["input_tokens"] < reply["input_tokens"]


@everywhere
def test_the_logprobs_of_the_options_are_those_of_whole_forward_passes(found: dict[str, Any]) -> None:
    assert found["frames"]["option_logprobs"] == pytest.approx(found["by_hand"], abs=1e-4)
    assert all(value < 0 for value in found["by_hand"].values())


@everywhere
def test_a_batch_says_what_the_same_requests_say_alone(found: dict[str, Any]) -> None:
    for together, alone in zip(found["batch"], found["singly"], strict=True):
        assert together["text"] == alone["text"]
        assert together["input_tokens"] == alone["input_tokens"]
        assert together["option_logprobs"] == pytest.approx(alone["option_logprobs"], abs=1e-4)


@everywhere
def test_what_is_drawn_depends_on_the_seed_and_not_on_the_batch(found: dict[str, Any]) -> None:
    texts = [reply["text"] for reply in found["drawn"]]
    assert texts == [reply["text"] for reply in found["drawn_again"]]
    assert texts[0] != texts[4], "the same request with another seed"


@pytest.mark.parametrize("found", WITH_CLIPS, indirect=True)
def test_a_clip_is_shown_as_a_clip(found: dict[str, Any]) -> None:
    reply = found["video"]
    assert reply["input_tokens"] > found["blind"]["input_tokens"]
    assert set(reply["option_logprobs"]) == {"True", "False"}


@pytest.mark.parametrize("found", PORTABLE, indirect=True)
def test_a_clip_for_a_processor_without_clips_is_refused(found: dict[str, Any]) -> None:
    assert "takes no clips" in found["video"]
    assert 'media_form = "frames"' in found["video"]


@pytest.mark.parametrize("found", [n for n in (*PORTABLE, *WITH_CLIPS) if n != "llava"], indirect=True)
def test_thinking_is_switched_in_the_chat_template(found: dict[str, Any]) -> None:
    assert found["thinking_on"]["input_tokens"] < found["thinking_off"]["input_tokens"]


@pytest.mark.parametrize("found", ["llava"], indirect=True)
def test_a_template_without_a_switch_for_thinking_is_refused(found: dict[str, Any]) -> None:
    assert "has no switch for thinking" in found["thinking_on"]


@pytest.mark.parametrize(
    ("case", "said"),
    [
        ("nowhere", "it is not there"),
        ("empty", "it holds no config.json"),
        ("a file", "it is a file"),
        ("unknown id", "neither a folder here nor a model that can be fetched"),
        ("text only", "type 'llama'"),
        ("no template", "has no chat template"),
        ("broken weights", "its weights cannot be loaded"),
        ("too large", "GB are free"),
    ],
)
def test_what_cannot_be_asked_is_refused_in_one_line(portable: dict[str, Any], case: str, said: str) -> None:
    message = portable["refusals"][case]
    assert said in message
    assert message.startswith("models.m.model: ")
    assert "\n" not in message
    assert len(message) < 420


def test_levels_of_thinking_are_refused_for_models_in_process() -> None:
    with pytest.raises(BadInput, match="only off and on"):
        load("m", {"provider": "hf", "model": "x", "thinking": "high"})


def test_a_model_in_process_leaves_nothing_and_costs_nothing() -> None:
    entry = load("m", {"provider": "hf", "model": "x"})
    assert entry.destination() == ("in process", False)
    assert entry.price(10, 10) == 0.0


def test_without_the_extra_one_line_names_it() -> None:
    code = (
        "import sys; sys.modules['torch'] = None\n"
        "from aqaudit.models.catalog import import_provider, load\n"
        "from aqaudit.core.records import BadInput\n"
        "try:\n    import_provider(load('m', {'provider': 'hf', 'model': 'x'}))\n"
        "except BadInput as bad:\n    assert \"pip install 'aqaudit[hf]'\" in str(bad), bad\n"
        "else:\n    raise AssertionError\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
