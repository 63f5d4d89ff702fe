"""The demo model on onnxruntime: its own tokenizer and pictures, and the same answers as transformers gives."""

from __future__ import annotations

import importlib.util
import json
import pickle
import shutil
import subprocess
import sys
from pathlib import Path

import anyio
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aqaudit.core.records import BadInput, MediaPart
from aqaudit.models.call import AskFailed, Call, Reply
from aqaudit.models.catalog import load, open_model, presets
from aqaudit.models.check import _clip, _frames
from aqaudit.prompts.framing import option_words
from aqaudit.prompts.strategies import chain
from demo_calls import WORDS, call, calls, question

pytest.importorskip("onnxruntime", reason="onnxruntime is not installed (extra demo)")

BUNDLE = Path(str(importlib.util.find_spec("aqaudit").submodule_search_locations[0])) / "models" / "demo"


def ask(*calls: Call) -> list[Reply]:
    model = open_model("demo", presets()["demo"])

    async def all_of_them() -> list[Reply]:
        return [await model.ask(one) for one in calls]

    return anyio.run(all_of_them)


def test_it_answers_a_plain_question_in_the_form_asked_for(tmp_path: Path) -> None:
    [reply] = ask(call(tuple(_frames(tmp_path))))
    assert reply.text in {"<answer>True</answer>", "<answer>False</answer>"}
    assert reply.finish_reason == "stop"
    assert set(reply.option_logprobs or {}) == set(WORDS)
    likeliest = max(WORDS, key=(reply.option_logprobs or {}).__getitem__)
    assert likeliest in reply.text
    assert reply.input_tokens is not None
    assert reply.input_tokens < 300


def test_it_is_called_a_demonstration_model(tmp_path: Path) -> None:
    [reply] = ask(call(tuple(_frames(tmp_path))))
    assert "demonstration model" in (reply.model_version or "")
    assert presets()["demo"].destination() == ("in process", False)


def test_the_same_request_gets_the_same_reply_whatever_was_asked_before(tmp_path: Path) -> None:
    frames = tuple(_frames(tmp_path))
    first, other = call(frames), call(frames[::-1])
    once = ask(first)[0]
    assert ask(other, first)[1] == once
    assert ask(first, first)[1] == once


def test_a_clip_is_looked_at_in_eight_frames_at_most(tmp_path: Path) -> None:
    frames, clip = tuple(_frames(tmp_path)), tuple(_clip(tmp_path))
    shown, whole, blind = ask(call(frames), call(clip), call(()))
    assert whole.input_tokens == shown.input_tokens
    assert (blind.input_tokens or 0) < (shown.input_tokens or 0)


@pytest.mark.parametrize("strategy", ["base"])
def test_prompts_of_the_plain_strategy_are_short(strategy: str) -> None:
    from aqaudit.models.onnx import Tokenizer

    tokenizer = Tokenizer(BUNDLE / "tokenizer.json")
    for framing in ("positive", "negative", "neutral"):
        words = "a_b" if framing == "neutral" else "true_false"
        parts = chain(question(), strategy, framing, words, "frames").steps[-1].parts
        assert len(tokenizer.encode("".join(part for part in parts if isinstance(part, str)))) < 60
        assert option_words(question(), words)


def test_a_prompt_longer_than_its_window_fails_with_the_remedy(tmp_path: Path) -> None:
    with pytest.raises(AskFailed, match="the demo model's window 2048") as failed:
        ask(call(tuple(_frames(tmp_path)), "zq" * 4000))
    assert failed.value.cause == "context_overflow"


def test_damaged_media_fail_alone(tmp_path: Path) -> None:
    path = tmp_path / "broken"
    path.write_bytes(b"no picture")
    for mime in ("image/jpeg", "video/mp4"):
        with pytest.raises(AskFailed) as failed:
            ask(call((MediaPart(sha256=mime, path=path, mime=mime, size=10),)))
        assert failed.value.cause == "media"


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (shutil.rmtree, "it is not there"),
        (lambda folder: (folder / "text.onnx").unlink(), "it has no text.onnx"),
        (lambda folder: (folder / "vision.onnx").write_bytes(b"nonsense"), "its files cannot be read"),
        (lambda folder: (folder / "tokenizer.json").write_text("{"), "its files cannot be read"),
    ],
)
def test_a_folder_that_is_no_demo_model_is_refused_in_one_line(tmp_path: Path, spoil: object, said: str) -> None:
    folder = tmp_path / "model"
    shutil.copytree(BUNDLE, folder)
    spoil(folder)  # type: ignore[operator]
    with pytest.raises(BadInput, match=said) as error:
        open_model("m", load("m", {"provider": "onnx", "model": str(folder)}))
    assert "\n" not in str(error.value)


def test_the_package_holds_both_forms_in_at_most_25_megabytes() -> None:
    sizes = {path.name: path.stat().st_size for path in BUNDLE.iterdir()}
    assert {"model.safetensors", "vision.onnx", "text.onnx"} <= set(sizes)
    assert sum(sizes.values()) <= 25_000_000


def test_without_the_extra_one_line_names_it() -> None:
    code = (
        "import sys; sys.modules['onnxruntime'] = None\n"
        "from aqaudit.models.catalog import import_provider, presets\n"
        "from aqaudit.core.records import BadInput\n"
        "try:\n    import_provider(presets()['demo'])\n"
        "except BadInput as bad:\n    assert \"pip install 'aqaudit[demo]'\" in str(bad), bad\n"
        "else:\n    raise AssertionError\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_it_runs_without_torch_transformers_and_tokenizers(tmp_path: Path) -> None:
    code = (
        "import sys\nfor name in ('torch', 'transformers', 'tokenizers'):\n    sys.modules[name] = None\n"
        "from aqaudit.models.catalog import presets\nfrom aqaudit.models.check import check\n"
        "print(check('demo', presets()['demo']))\n"
    )
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert "demonstration model" in done.stdout


ALPHABET = st.sampled_from(
    [*"aZ é漢\n\t\"'.,0175<>/|", " the", " knees", "<answer>", "</answer>", "True", "<image>", "<s>"]
)


@pytest.fixture(scope="module")
def theirs() -> object:
    tokenizers = pytest.importorskip("tokenizers", reason="tokenizers is not installed (extra hf)")
    return tokenizers.Tokenizer.from_file(str(BUNDLE / "tokenizer.json"))


@settings(max_examples=150, deadline=None)
@given(st.lists(ALPHABET, max_size=12).map("".join))
def test_tokens_are_those_of_the_tokenizers_library(theirs: object, text: str) -> None:
    from aqaudit.models.onnx import Tokenizer

    ours = Tokenizer(BUNDLE / "tokenizer.json")
    numbers = theirs.encode(text, add_special_tokens=False).ids  # type: ignore[attr-defined]
    assert ours.encode(text) == numbers
    assert ours.decode(numbers) == theirs.decode(numbers)  # type: ignore[attr-defined]


def test_transformers_gives_the_same_answers_and_logprobs(tmp_path: Path) -> None:
    if importlib.util.find_spec("torch") is None or importlib.util.find_spec("transformers") is None:
        pytest.skip("torch and transformers are not installed (extra hf)")
    asked = calls(tmp_path, 24)
    code = (
        "import sys, json, pickle, anyio\n"
        "from aqaudit.models.catalog import load, open_model\n"
        "calls = pickle.load(open(sys.argv[1], 'rb'))\n"
        "entry = load('m', {'provider': 'hf', 'model': sys.argv[2], 'logprobs': True, 'max_output_tokens': 24})\n"
        "model = open_model('m', entry)\n"
        "async def ask():\n    return [await model.ask(call) for call in calls]\n"
        "replies = [(r.text, r.input_tokens, dict(r.option_logprobs)) for r in anyio.run(ask)]\n"
        "print(json.dumps(replies))\n"
    )
    (tmp_path / "calls").write_bytes(pickle.dumps(asked))
    command = [sys.executable, "-c", code, str(tmp_path / "calls"), str(BUNDLE)]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    for ours, (text, tokens, logprobs) in zip(ask(*asked), json.loads(done.stdout.splitlines()[-1]), strict=True):
        assert ours.text == text
        assert ours.input_tokens == tokens
        assert ours.option_logprobs == pytest.approx(logprobs, abs=1e-2)
