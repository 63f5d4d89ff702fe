"""Model entries: validation, keys, destinations, prices, presets, API keys."""

from __future__ import annotations

import subprocess
import sys

import pytest

from aqaudit.core.records import BadInput
from aqaudit.models.catalog import api_key, load, open_model, presets
from aqaudit.models.check import check
from aqaudit.models.settings import ModelEntry

OPENAI = {"provider": "openai", "model": "some/model", "base_url": "http://localhost:8000/v1"}
GOOGLE = {"provider": "google", "model": "gemini-3.1-pro-preview"}


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ({}, "models.m.provider: is missing"),
        ({**OPENAI, "provider": "opena"}, "models.m.provider: 'opena' is not allowed; did you mean 'openai'?"),
        (
            {"provider": "observer", "model": "exact", "base_url": "http://h/v1"},
            "models.m.base_url: provider 'observer'",
        ),
        ({"provider": "openai"}, "models.m.model: is missing"),
        ({**OPENAI, "temprature": 1}, "models.m.temprature: unknown key; did you mean 'temperature'?"),
        ({**OPENAI, "temperature": 3}, "models.m.temperature: 3"),
        ({**OPENAI, "thinking": "meduim"}, "models.m.thinking: 'meduim' is not allowed; did you mean 'medium'?"),
        ({**OPENAI, "resolution": "low"}, "models.m.resolution: provider 'openai' cannot do this, only google"),
        ({**OPENAI, "skill": 0.9}, "models.m.skill: provider 'openai' cannot do this, only simulated"),
        ({**OPENAI, "base_url": "http://localhost:8000/v1?key=x"}, "models.m.base_url: holds a password, query"),
        ({**OPENAI, "base_url": "http://me:secret@host/v1"}, "models.m.base_url: holds a password, query"),
        ({**OPENAI, "base_url": "localhost:8000"}, "models.m.base_url: is no address such as"),
        ({**OPENAI, "base_url": "http://host:99999/v1"}, "models.m.base_url: is no address such as"),
        ({"provider": "openai", "model": "gpt", "thinking": "off"}, "models.m.thinking: 'off': api.openai.com knows"),
        ({**OPENAI, "usd_per_mtok": [1]}, "models.m.usd_per_mtok: give two numbers"),
        ({**OPENAI, "usd_per_mtok": ["a", 2]}, "models.m.usd_per_mtok: give two numbers"),
        ({**OPENAI, "concurrency": 0}, "models.m.concurrency: 0"),
        ({**GOOGLE, "thinking": "off"}, "models.m.thinking: 'off': gemini-3.1-pro-preview always thinks"),
        ({**GOOGLE, "model": "gemini-2.5-flash", "thinking": "high"}, "models.m.thinking: 'high'"),
        ({**GOOGLE, "model": "gemini-2.5-pro", "thinking": "off"}, "always thinks"),
        ({**GOOGLE, "logprobs": True}, "models.m.logprobs: provider 'google' cannot do this, only hf and openai"),
        ({**GOOGLE, "default_fps": 30}, "models.m.default_fps: 30: the Gemini API samples at most 24"),
        ({"provider": "simulated", "temperature": 1.0}, "models.m.temperature: provider 'simulated' cannot do this"),
        ({"provider": "simulated", "bias": 1.5}, "models.m.bias: 1.5"),
    ],
)
def test_a_bad_entry_is_refused_in_one_line_that_names_the_key(table: dict[str, object], message: str) -> None:
    with pytest.raises(BadInput) as error:
        load("m", table)
    assert message in str(error.value)
    assert str(error.value).startswith("models.m")
    assert "\n" not in str(error.value)


def test_a_name_with_a_dot_that_was_not_quoted_is_explained() -> None:
    with pytest.raises(BadInput, match=r'in quotes: \[models."gemini-3.1-pro"\]'):
        load("gemini-3", {"1-pro": {"thinking": "low"}})


def test_what_cannot_change_an_answer_is_no_part_of_the_key() -> None:
    plain = load("m", {**OPENAI, "temperature": 0.7})
    moved = load(
        "m",
        {
            **OPENAI,
            "temperature": 0.7,
            "base_url": "https://other.example/v1",
            "api_key_env": "OTHER",
            "concurrency": 99,
            "rpm": 5,
            "timeout_s": 5,
            "usd_per_mtok": [1, 2],
        },
    )
    assert plain.key_settings == moved.key_settings
    assert plain.key_settings == {"provider": "openai", "model": "some/model", "temperature": 0.7}


@pytest.mark.parametrize(
    "change",
    [
        {"model": "another"},
        {"thinking": "on"},
        {"temperature": 0.1},
        {"top_p": 0.5},
        {"presence_penalty": 1.0},
        {"max_output_tokens": 7},
        {"system_prompt": "Think."},
        {"logprobs": True},
    ],
)
def test_every_setting_that_can_change_an_answer_is_in_the_key(change: dict[str, object]) -> None:
    assert load("m", {**OPENAI, **change}).key_settings != load("m", OPENAI).key_settings


def test_google_samples_clips_itself_at_one_frame_a_second_by_default() -> None:
    entry = load("m", GOOGLE)
    assert (entry.media_form, entry.default_fps, entry.native_sampling) == ("video", 1.0, True)
    frames = load("m", {**GOOGLE, "media_form": "frames"})
    assert not frames.native_sampling
    other = load("m", OPENAI)
    assert (other.media_form, other.default_fps, other.native_sampling) == ("frames", 2.0, False)


@pytest.mark.parametrize(
    ("base_url", "endpoint", "remote"),
    [
        ("http://localhost:8000/v1", "http://localhost:8000", False),
        ("http://127.0.0.1/v1", "http://127.0.0.1:80", False),
        ("http://127.8.9.1:1/v1", "http://127.8.9.1:1", False),
        ("http://[::1]:8000/v1", "http://[::1]:8000", False),
        ("http://0.0.0.0:8000/v1", "http://0.0.0.0:8000", True),
        ("http://192.168.1.5:8000/v1", "http://192.168.1.5:8000", True),
        ("http://10.0.0.1:8000/v1", "http://10.0.0.1:8000", True),
        ("http://127.1:8000/v1", "http://127.1:8000", True),
        ("http://localhost.evil.example/v1", "http://localhost.evil.example:80", True),
        ("http://[::ffff:10.0.0.1]/v1", "http://[::ffff:10.0.0.1]:80", True),
        ("https://api.example.com/v1", "https://api.example.com:443", True),
        (None, "https://api.openai.com:443", True),
    ],
)
def test_only_loopback_is_this_machine(base_url: str | None, endpoint: str, remote: bool) -> None:
    table = {k: v for k, v in {**OPENAI, "base_url": base_url}.items() if v is not None}
    assert load("m", table).destination() == (endpoint, remote)


def test_the_simulated_judge_stays_in_the_process_and_costs_nothing() -> None:
    entry = load("m", {"provider": "simulated"})
    assert entry.destination() == ("in process", False)
    assert entry.price(None, None) == 0.0


def test_the_price_is_the_entrys_own_then_the_vendors_then_unknown() -> None:
    own = load("m", {**OPENAI, "usd_per_mtok": [0.3, 1.2]})
    assert own.price(1_000_000, 500_000) == pytest.approx(0.3 + 0.6)
    assert own.price(None, 5) is None
    # 2 and 12 USD a million tokens (up to 200,000 tokens of input), Google's published price.
    assert load("m", GOOGLE).price(1000, 1000) == pytest.approx((2 + 12) / 1000)
    assert load("m", OPENAI).price(1000, 1000) is None
    unknown = {"provider": "openai", "model": "gpt-4o", "base_url": "https://gpu.example/v1", "api_key_env": "K"}
    assert load("m", unknown).price(1000, 1000) is None


def test_presets_are_the_papers_models_the_demo_model_and_a_simulated_judge() -> None:
    known = presets()
    assert set(known) == {
        "gemini-3.1-pro",
        "qwen3-vl-235b-instruct",
        "qwen3-vl-235b-thinking",
        "internvl3.5-241b",
        "internvl3.5-241b-thinking",
        "demo",
        "observer:exact",
        "observer:pose",
        "simulated",
    }
    assert known["gemini-3.1-pro"].thinking == "high"
    assert known["internvl3.5-241b"].max_frames == 120
    assert all(isinstance(entry, ModelEntry) for entry in known.values())


def test_a_table_named_like_a_preset_changes_single_keys_of_it() -> None:
    entry = load("qwen3-vl-235b-instruct", {"base_url": "http://localhost:9000/v1"})
    assert entry.base_url == "http://localhost:9000/v1"
    assert entry.temperature == 0.7


def test_keys_come_from_the_environment_only(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("OPENAI_API_KEY", "GEMINI_API_KEY", "GOOGLE_API_KEY", "MINE"):
        monkeypatch.delenv(name, raising=False)
    assert api_key("m", load("m", OPENAI)) is None  # on this machine: none needed
    with pytest.raises(BadInput, match="set the environment variable MINE"):
        open_model("m", load("m", {**OPENAI, "api_key_env": "MINE"}))
    with pytest.raises(BadInput, match="set the environment variable OPENAI_API_KEY"):
        open_model("m", load("m", {"provider": "openai", "model": "gpt-4o"}))
    with pytest.raises(BadInput, match="set the environment variable GEMINI_API_KEY or GOOGLE_API_KEY"):
        open_model("m", load("m", GOOGLE))
    monkeypatch.setenv("MINE", " secret \n")
    assert api_key("m", load("m", {**OPENAI, "api_key_env": "MINE"})) == "secret"


def test_a_vendors_key_is_never_sent_to_another_server(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-for-openai-only")
    assert api_key("m", load("m", OPENAI)) is None
    with pytest.raises(BadInput, match=r"models\.m\.api_key_env: is missing; .* https://other\.example:443"):
        api_key("m", load("m", {**OPENAI, "base_url": "https://other.example/v1"}))


def test_the_catalog_imports_no_provider() -> None:
    code = (
        "import sys, aqaudit.models.catalog as c; c.presets(); "
        "assert not {'pydantic_ai', 'openai', 'google.genai', 'genai_prices', 'httpx2'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_a_check_shows_both_directions() -> None:
    record = check("simulated", presets()["simulated"])
    assert "simulated (not a vision-language model)" in record
    assert "<answer>" in record
    assert "in process" in record
