"""Providers that plug-ins offer under the entry point group ``aqaudit.models``."""

from __future__ import annotations

import importlib
import importlib.resources
import os
import tomllib
from collections.abc import Mapping
from functools import cache
from importlib.util import find_spec

from pydantic import ValidationError

from aqaudit.core.records import BadInput, nearest
from aqaudit.models.call import Model
from aqaudit.models.settings import BUILT_IN, PLUG_INS, ModelEntry, SimulatedBiases, _OnlyFor


def load(name: str, table: Mapping[str, object]) -> ModelEntry:
    """Read a table ``[models.NAME]``; where NAME is a preset, the table changes single keys of it.

    Raises
    ------
    BadInput
        The message begins with ``models.NAME.key:``.
    """
    keys = {**_preset_tables().get(name, {}), **table}
    for key, value in keys.items():
        if key not in ModelEntry.model_fields:
            if isinstance(value, dict):
                whole = f"{name}.{key}"
                raise BadInput(f'models.{whole}: write a name that holds a dot in quotes: [models."{whole}"]')
            raise BadInput(f"models.{name}.{key}: unknown key{nearest(key, ModelEntry.model_fields)}")
    try:
        return ModelEntry.model_validate(keys)
    except ValidationError as error:
        raise BadInput(f"models.{name}.{_first_problem(error)}") from None


def _first_problem(error: ValidationError) -> str:
    problem = error.errors(include_url=False)[0]
    cause = problem.get("ctx", {}).get("error")
    if isinstance(cause, _OnlyFor | BadInput):  # the latter about a plug-in
        return f"{getattr(cause, 'key', 'provider')}: {cause}"
    key = ".".join(str(part) for part in problem["loc"]) or "table"
    if key.startswith("usd_per_mtok"):
        return "usd_per_mtok: give two numbers of 0 or more: [price of a million input tokens, of output tokens]"
    if problem["type"] == "missing":
        return f"{key}: is missing; allowed: {', '.join(BUILT_IN)}"
    value = problem["input"]
    if problem["type"] == "extra_forbidden":
        return f"{key}: unknown key{nearest(str(problem['loc'][-1]), SimulatedBiases.model_fields)}"
    if problem["type"] == "literal_error":
        allowed = [word.strip(" '") for word in problem["ctx"]["expected"].replace(" or ", ", ").split(",")]
        return f"{key}: {value!r} is not allowed{nearest(str(value), allowed)}"
    message = problem["msg"]
    return f"{key}: {value!r}: {message[:1].lower()}{message[1:]}"


@cache
def _preset_tables() -> dict[str, dict[str, object]]:
    text = importlib.resources.files(__package__).joinpath("presets.toml").read_text(encoding="utf-8")
    return tomllib.loads(text)


def presets() -> dict[str, ModelEntry]:
    """Return the models that are known by name: the paper's five, and the simulated judge."""
    return {name: load(name, {}) for name in _preset_tables()}


def api_key(name: str, entry: ModelEntry) -> str | None:
    """Return the key for an entry from the environment; None where the server is on this machine and none is named.

    Raises
    ------
    BadInput
        When a key is needed and no variable holds one.
    """
    names = entry.key_names()
    for variable in names:
        if value := os.environ.get(variable, "").strip():
            return value
    endpoint, remote = entry.destination()
    if entry.api_key_env is None and not remote:
        return None
    if not names:
        raise BadInput(
            f"models.{name}.api_key_env: is missing; name the environment variable that holds the key for {endpoint} "
            "(any value where that server asks for none)"
        )
    raise BadInput(f"models.{name}: no API key for {endpoint}; set the environment variable {' or '.join(names)}")


_MODULES = {
    "openai": "chat_completions",
    "google": "gemini",
    "hf": "hf",
    "onnx": "onnx",
    "observer": "observer",
    "simulated": "simulated",
}


#: Provider -> the packages of its extra, and its name.
_EXTRAS = {"hf": (("torch", "transformers"), "hf"), "onnx": (("onnxruntime",), "demo")}


def check_installed(entry: ModelEntry) -> None:
    """Check, importing nothing large, that an entry's extra is installed; :class:`BadInput` names it where not."""
    packages, extra = _EXTRAS.get(entry.provider, ((), ""))
    if any(find_spec(package) is None for package in packages):
        needed = " and ".join(packages)
        raise BadInput(f"provider '{entry.provider}' needs {needed}: pip install 'aqaudit[{extra}]'")


def import_provider(entry: ModelEntry) -> None:
    """Import what an entry's provider needs, which takes over a second, before somebody waits for it."""
    check_installed(entry)
    if entry.provider in _MODULES:
        importlib.import_module(f"{__package__}.{_MODULES[entry.provider]}")
    else:
        PLUG_INS.load(entry.provider)


def open_model(name: str, entry: ModelEntry) -> Model:  # noqa: PLR0911 - one return for each provider
    """Open a model for asking, importing what its provider needs or the plug-in that offers it.

    Raises
    ------
    BadInput
        When no API key is set, or the provider cannot do what the entry asks.
    """
    check_installed(entry)
    if entry.provider == "observer":
        from aqaudit.models.observer import observer  # noqa: PLC0415 - NumPy, and poses where they are estimated

        return observer(entry)
    if entry.provider == "simulated":
        from aqaudit.models.simulated import SimulatedJudge  # noqa: PLC0415 - symmetry with the two below

        return SimulatedJudge(entry)
    if entry.provider == "hf":
        from aqaudit.models.hf import LocalModel  # noqa: PLC0415 - 5 s of CPU, and an extra

        return LocalModel(name, entry)
    if entry.provider == "onnx":
        from aqaudit.models.onnx import DemoModel  # noqa: PLC0415 - an extra

        return DemoModel(name, entry)
    if entry.provider not in _MODULES:
        return PLUG_INS.load(entry.provider).open(name, entry)
    key = api_key(name, entry)
    if entry.provider == "google":
        from aqaudit.models.gemini import GeminiModel  # noqa: PLC0415 - 1.5 s of CPU

        return GeminiModel(name, entry, api_key=key)
    from aqaudit.models.chat_completions import ChatServerModel  # noqa: PLC0415 - 1.5 s of CPU

    return ChatServerModel(name, entry, api_key=key)
