"""Models by name: presets, tables ``[models.NAME]`` read, keys from the environment, and models opened for asking."""

from __future__ import annotations

import importlib
import importlib.resources
import logging
import os
import time
import tomllib
from collections.abc import Callable, Mapping
from functools import cache
from importlib.util import find_spec

from pydantic import ValidationError

from aqaudit.core.records import BadInput, nearest
from aqaudit.core.text import hide
from aqaudit.models.call import Model
from aqaudit.models.settings import BUILT_IN, HOMES, PLUG_INS, EntryError, ModelEntry, SimulatedBiases

_log = logging.getLogger(__name__)
#: Built-in provider -> the module and the class of its models, imported when one is opened: some take 5 s of CPU.
_CLASSES = {
    "openai": ("chat_completions", "ChatServerModel"),
    "google": ("gemini", "GeminiModel"),
    "hf": ("hf", "LocalModel"),
    "onnx": ("onnx", "DemoModel"),
    "observer": ("observer", "Observer"),
    "simulated": ("simulated", "SimulatedJudge"),
}
#: Provider -> the packages of its extra, and its name.
_EXTRAS = {"hf": (("torch", "transformers"), "hf"), "onnx": (("onnxruntime",), "demo")}
#: Provider -> the environment variables that may hold the vendor's key; the first one found wins.
_KEY_ENV = {"openai": ("OPENAI_API_KEY",), "google": ("GEMINI_API_KEY", "GOOGLE_API_KEY")}


@cache
def _preset_tables() -> dict[str, dict[str, object]]:
    text = importlib.resources.files(__package__).joinpath("presets.toml").read_text(encoding="utf-8")
    return tomllib.loads(text)


def presets() -> dict[str, ModelEntry]:
    """Return the models that are known by name: the paper's five, the demo model, observers and a simulated judge."""
    return {name: load(name, {}) for name in _preset_tables()}


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
    if isinstance(cause, EntryError | BadInput):  # the latter is about a plug-in
        return f"{cause.key if isinstance(cause, EntryError) else 'provider'}: {cause}"
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


def api_key(name: str, entry: ModelEntry) -> str | None:
    """Return the key for an entry from the environment; None where the server is on this machine and none is named.

    From then on the key is hidden wherever log lines and messages are shown (:func:`aqaudit.core.text.hide`).

    Raises
    ------
    BadInput
        When a key is needed and no variable holds one.
    """
    variables = _KEY_ENV.get(entry.provider, ())
    if entry.api_key_env is not None:
        variables = (entry.api_key_env,)
    elif entry.provider == "openai" and entry.base_url is not None:
        variables = ()  # a vendor's key is never sent to somebody else's server
    for variable in variables:
        if value := os.environ.get(variable, "").strip():
            hide(value)
            return value
    endpoint, remote = entry.destination()
    if entry.api_key_env is None and not remote:
        return None
    if not variables:
        raise BadInput(
            f"models.{name}.api_key_env: is missing; name the environment variable that holds the key for {endpoint} "
            "(any value where that server asks for none)"
        )
    raise BadInput(f"models.{name}: no API key for {endpoint}; set the environment variable {' or '.join(variables)}")


def check_installed(entry: ModelEntry) -> None:
    """Check, importing nothing large, that an entry's extra is installed; :class:`BadInput` names it where not."""
    packages, extra = _EXTRAS.get(entry.provider, ((), ""))
    if any(find_spec(package) is None for package in packages):
        needed = " and ".join(packages)
        raise BadInput(f"provider '{entry.provider}' needs {needed}: pip install 'aqaudit[{extra}]'")


def import_provider(entry: ModelEntry) -> Callable[..., Model]:
    """Import what an entry's provider needs, which may take seconds, and return what opens its models.

    Raises
    ------
    BadInput
        Its extra is not installed, or the plug-in does not load.
    """
    if entry.provider not in _CLASSES:
        return PLUG_INS.load(entry.provider).open
    if entry.provider in _EXTRAS:
        check_installed(entry)
    module, name = _CLASSES[entry.provider]
    opener: Callable[..., Model] = getattr(importlib.import_module(f"{__package__}.{module}"), name)
    return opener


def open_model(name: str, entry: ModelEntry) -> Model:
    """Open a model for asking, importing what its provider needs or the plug-in that offers it.

    Raises
    ------
    BadInput
        When no API key is set, or the provider cannot do what the entry asks.
    """
    began = time.monotonic()
    key = {"api_key": api_key(name, entry)} if entry.provider in HOMES else {}
    model = import_provider(entry)(name, entry, **key)
    place, took = entry.destination()[0], time.monotonic() - began
    _log.info("opened models.%s in %.2f s: %s, %s, %s", name, took, entry.provider, entry.model, place)
    return model
