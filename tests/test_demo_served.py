"""The demo model behind ``transformers serve`` says what it says on onnxruntime."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import anyio
import pytest

from aqaudit.models.call import Call, Reply
from aqaudit.models.catalog import load, open_model, presets
from aqaudit.models.settings import ModelEntry
from demo_calls import calls
from model_server import need_server, serving

pytest.importorskip("onnxruntime", reason="onnxruntime is not installed (extra demo)")

BUNDLE = Path(str(importlib.util.find_spec("aqaudit").submodule_search_locations[0])) / "models" / "demo"


def ask(entry: ModelEntry, asked: list[Call]) -> list[Reply]:
    model = open_model("m", entry)

    async def all_of_them() -> list[Reply]:
        try:
            return [await model.ask(one) for one in asked]
        finally:
            await model.aclose()

    return anyio.run(all_of_them)


def test_a_server_gives_the_same_answers(tmp_path: Path) -> None:
    need_server()
    asked = calls(tmp_path, 12)
    with serving(BUNDLE, tmp_path) as url:
        table = {"provider": "openai", "model": str(BUNDLE), "base_url": f"{url}/v1", "max_output_tokens": 24}
        served = ask(load("m", {**table, "temperature": 0.0}), asked)
    ours = ask(presets()["demo"], asked)
    assert [reply.text for reply in served] == [reply.text for reply in ours]
    assert [reply.input_tokens for reply in served] == [reply.input_tokens for reply in ours]
