"""Names and settings of models: the tables ``[models.NAME]`` of a study, the presets, where calls go, what they cost.

Nothing here imports a provider; :func:`open_model` does, when a run needs one.
"""

from __future__ import annotations

import importlib
import importlib.resources
import ipaddress
import os
import re
import tomllib
from functools import cache
from typing import TYPE_CHECKING, Annotated, Literal, Self, get_args
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, model_validator

from aqaudit.models import plugged
from aqaudit.models.planted import Planted
from aqaudit.records import BadInput, nearest

if TYPE_CHECKING:
    from collections.abc import Mapping

    from aqaudit.models.call import Model

Provider = Literal["openai", "google", "hf", "onnx", "observer", "simulated"]
Thinking = Literal["off", "on", "low", "medium", "high"]

#: Providers that nothing leaves this process for, and that nobody bills.
_IN_PROCESS = frozenset({"hf", "onnx", "observer", "simulated"})
_HOME = {"openai": "https://api.openai.com/v1", "google": "https://generativelanguage.googleapis.com"}
_KEY_ENV = {"openai": ("OPENAI_API_KEY",), "google": ("GEMINI_API_KEY", "GOOGLE_API_KEY")}
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
#: Keys that only some providers can honour.
_ONLY_FOR: dict[str, frozenset[str]] = {
    "resolution": frozenset({"google"}),
    "presence_penalty": frozenset({"openai"}),
    **dict.fromkeys(("logprobs", "system_prompt"), frozenset({"openai", "hf"})),
    **dict.fromkeys(("base_url", "api_key_env", "usd_per_mtok"), frozenset({"openai", "google"})),
    **dict.fromkeys(
        ("thinking", "temperature", "top_p", "max_output_tokens"),
        frozenset({"openai", "google", "hf"}),
    ),
    **dict.fromkeys(("skill", "bias", "planted", "latency_s"), frozenset({"simulated"})),
}


class _OnlyFor(ValueError):  # noqa: N818 - carries a key to the message, is never seen by users
    """A key that this provider cannot honour; ``key`` is where the message points."""

    def __init__(self, key: str, message: str) -> None:
        super().__init__(message)
        self.key = key


class ModelEntry(BaseModel):
    """One named model with its settings: a table ``[models.NAME]``.

    Everything that decides how media are sampled and scaled (``media_form``, ``default_fps``, ``max_frames``,
    ``max_side``) reaches a request through its :class:`~aqaudit.records.MediaSpec` and is keyed there.

    Attributes
    ----------
    provider
        ``openai`` for any OpenAI-compatible server, ``google`` for the Gemini API, ``hf`` for a model of transformers
        in this process, ``onnx`` for the demo model, ``simulated`` for planted judges.
    model
        The name the server knows the model by; of ``hf`` a folder on this machine or an id of the Hugging Face hub, of
        ``onnx`` the bundled model's name with its version, or a folder with one of the same kind.
    base_url
        Address of the API, for OpenAI-compatible servers including ``/v1``; the vendor's own where absent.
    api_key_env
        Environment variable that holds the key; keys are never written anywhere else.
    media_form
        ``frames`` (pictures) or ``video`` (the clip itself); google: video, others: frames, where not given.
    thinking
        None leaves it to the provider. ``on`` and ``off`` switch it (``chat_template_kwargs.enable_thinking`` for
        OpenAI-compatible servers), ``low``, ``medium``, ``high`` set an effort or level.
    system_prompt
        Sent as a system message, for models whose thinking mode is turned on that way.
    max_output_tokens
        Limit of the answer including its reasoning; None leaves it to the server.
    concurrency
        Most requests open at once.
    rpm
        Most requests sent in a minute.
    usd_per_mtok
        Prices of a million input and a million output tokens, in US dollars.
    timeout_s
        Seconds after which a request that has brought no answer has failed.
    max_frames, max_side, default_fps
        Most frames of one performance, longest side of a frame in pixels, and frames per second where a study says
        ``default`` (google: 1, the API's own; others: 2, as Qwen3-VL documents).
    resolution
        Google's media resolution (tokens per frame).
    logprobs
        Ask for the log-probabilities of the answer's words.
    skill, bias, planted, latency_s
        Of the simulated judge: see :mod:`aqaudit.models.simulated` and :mod:`aqaudit.models.planted`.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, protected_namespaces=(), allow_inf_nan=False)

    provider: Annotated[str, AfterValidator(plugged.known)]
    model: Annotated[str, Field(min_length=1)] = "simulated"
    base_url: str | None = None
    api_key_env: str | None = None
    media_form: Literal["frames", "video"] = "frames"
    thinking: Thinking | None = None
    system_prompt: str | None = None
    temperature: Annotated[float, Field(ge=0, le=2)] | None = None
    top_p: Annotated[float, Field(gt=0, le=1)] | None = None
    presence_penalty: Annotated[float, Field(ge=-2, le=2)] | None = None
    max_output_tokens: Annotated[int, Field(ge=1)] | None = None
    concurrency: Annotated[int, Field(ge=1, le=4096)] = 8
    rpm: Annotated[float, Field(gt=0)] | None = None
    usd_per_mtok: tuple[Annotated[float, Field(ge=0)], Annotated[float, Field(ge=0)]] | None = None
    timeout_s: Annotated[float, Field(gt=0)] = 600.0
    max_frames: Annotated[int, Field(ge=1)] | None = None
    max_side: Annotated[int, Field(ge=16)] = 768
    default_fps: Annotated[float, Field(gt=0)] = 2.0
    resolution: Literal["low", "medium", "high"] | None = None
    logprobs: bool = False
    skill: Annotated[float, Field(ge=0, le=1)] = 0.5
    bias: Annotated[float, Field(ge=0, le=1)] = 0.5
    planted: Planted = Planted()
    latency_s: Annotated[float, Field(ge=0)] = 0.0

    @model_validator(mode="before")
    @classmethod
    def _defaults_of_google(cls, data: object) -> object:
        if isinstance(data, dict) and data.get("provider") == "google":
            return {"media_form": "video", "default_fps": 1.0, **data}
        return data

    @model_validator(mode="after")
    def _only_what_the_provider_can_do(self) -> Self:
        for key in sorted(self.model_fields_set & _ONLY_FOR.keys()):
            able_ones = _ONLY_FOR[key] | plugged.able(self.provider, key)
            if self.provider not in able_ones and getattr(self, key) != type(self).model_fields[key].default:
                able = " and ".join(sorted(able_ones))
                raise _OnlyFor(key, f"provider '{self.provider}' cannot do this, only {able}: remove the key")
        if self.provider != "simulated" and "model" not in self.model_fields_set:
            raise _OnlyFor("model", "is missing: the name the server knows the model by, or for hf its folder")
        if self.api_key_env is not None and not _VARIABLE.fullmatch(self.api_key_env):
            # the value is not quoted: it may be the key itself
            raise _OnlyFor("api_key_env", "is no name of an environment variable; the key itself goes there, not here")
        self._check_base_url()
        self._check_thinking()
        if (fps := self.default_fps) > 24 and self.native_sampling:
            raise _OnlyFor("default_fps", f"{fps:g}: the Gemini API samples at most 24 frames a second")
        return self

    def _check_base_url(self) -> None:
        if self.base_url is None:
            return
        try:
            url = urlsplit(self.base_url)
            bad = url.scheme not in {"http", "https"} or not url.hostname or (url.port is not None and url.port < 1)
        except ValueError:
            url, bad = urlsplit(""), True
        if bad:
            raise _OnlyFor("base_url", "is no address such as 'http://localhost:8000/v1'")
        if url.username or url.password or url.query or url.fragment:
            raise _OnlyFor("base_url", "holds a password, query or fragment: keys are given by api_key_env only")

    def _check_thinking(self) -> None:
        switch = self.thinking in {"off", "on"}
        if self.provider == "hf" and self.thinking is not None and not switch:
            raise _OnlyFor("thinking", f"'{self.thinking}': a model in process has no levels, only off and on")
        if self.provider == "openai" and switch and self.destination()[0] == "https://api.openai.com:443":
            raise _OnlyFor("thinking", f"'{self.thinking}': api.openai.com knows low, medium and high only")
        if self.provider != "google" or self.thinking is None:
            return
        old = self.model.startswith(("gemini-1", "gemini-2"))
        if old and not switch:
            raise _OnlyFor("thinking", f"'{self.thinking}': {self.model} has no levels, only off and on")
        if self.thinking == "off" and (not old or "pro" in self.model):
            raise _OnlyFor("thinking", f"'off': {self.model} always thinks{'' if old else '; low is its least'}")

    @property
    def native_sampling(self) -> bool:
        """Whether the provider samples the clip it is given itself (google, clips sent as video)."""
        return self.provider == "google" and self.media_form == "video"

    def key_settings(self) -> dict[str, object]:
        """Return the model's name and every setting that can change an answer and is not part of the media sent.

        Settings that are not set are left out, so that a setting added in a later version changes no key.
        """
        names = ["provider", "model"]
        if self.provider == "simulated":
            names += ["skill", "bias"]
        names += ["thinking", "system_prompt", "temperature", "top_p", "presence_penalty", "max_output_tokens"]
        names += ["resolution", "logprobs"]
        settings = {name: getattr(self, name) for name in names}
        settings["planted"] = self.planted.settings() or None
        return {name: value for name, value in settings.items() if value is not None and value is not False}

    def destination(self) -> tuple[str, bool]:
        """Return where calls go, as ``scheme://host:port`` or ``in process``, and whether that is off this machine.

        On this machine are 127.0.0.0/8, ::1 and ``localhost``; every other address is off it, private ranges and
        0.0.0.0 included. Names are not resolved.
        """
        if self.provider in _IN_PROCESS:
            return "in process", False
        if self.provider not in _HOME and self.base_url is None:
            return plugged.destination(self.provider)
        url = urlsplit(self.base_url or _HOME[self.provider])
        host = url.hostname or ""
        port = url.port or (443 if url.scheme == "https" else 80)
        try:
            address = ipaddress.ip_address(host)
            local = address.is_loopback and getattr(address, "ipv4_mapped", None) is None
        except ValueError:
            local = host == "localhost"
        return f"{url.scheme}://{f'[{host}]' if ':' in host else host}:{port}", not local

    def price(self, input_tokens: int | None, output_tokens: int | None) -> float | None:
        """Return the price of a call in US dollars, None where no price is known (never 0 for unknown).

        The entry's own price comes first, then the table of ``genai-prices`` for the vendor behind the address. A
        server of one's own has no price unless the entry gives one. ``output_tokens`` include reasoning.
        """
        if self.provider in _IN_PROCESS:
            return 0.0
        if input_tokens is None or output_tokens is None:
            return None
        if self.usd_per_mtok is not None:
            per_input, per_output = self.usd_per_mtok
            return (input_tokens * per_input + output_tokens * per_output) / 1e6
        if not self.destination()[1] or self.provider not in _HOME:
            return None
        from genai_prices import Usage, calc_price  # noqa: PLC0415 - 0.3 s, and only a run needs it

        try:
            usage = Usage(input_tokens=input_tokens, output_tokens=output_tokens)
            found = calc_price(usage, self.model, provider_api_url=self.base_url or _HOME[self.provider])
        except (LookupError, ValueError):
            return None
        return float(found.total_price)

    def key_names(self) -> tuple[str, ...]:
        """Return the environment variables that may hold the API key, the first one found wins."""
        if self.api_key_env is not None:
            return (self.api_key_env,)
        # A vendor's key is never sent to somebody else's server.
        return () if self.base_url is not None and self.provider == "openai" else _KEY_ENV.get(self.provider, ())


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
        return f"{key}: is missing; allowed: {', '.join(get_args(Provider))}"
    value = problem["input"]
    if problem["type"] == "extra_forbidden":
        return f"{key}: unknown key{nearest(str(problem['loc'][-1]), Planted.model_fields)}"
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
    "openai": "openai_compatible",
    "google": "google",
    "hf": "hf.model",
    "onnx": "onnx.model",
    "observer": "observer",
    "simulated": "simulated",
}


def check_installed(entry: ModelEntry) -> None:
    """Check, importing nothing large, that an entry's extra is installed; :class:`BadInput` names it where not."""
    package, dot, _ = _MODULES.get(entry.provider, "").partition(".")
    if dot:
        importlib.import_module(f"{__package__}.{package}")


def import_provider(entry: ModelEntry) -> None:
    """Import what an entry's provider needs, which takes over a second, before somebody waits for it."""
    if entry.provider in _MODULES:
        importlib.import_module(f"{__package__}.{_MODULES[entry.provider]}")
    else:
        plugged.plugged(entry.provider)


def open_model(name: str, entry: ModelEntry) -> Model:  # noqa: PLR0911 - one return for each provider
    """Open a model for asking, importing what its provider needs or the plug-in that offers it.

    Raises
    ------
    BadInput
        When no API key is set, or the provider cannot do what the entry asks.
    """
    if entry.provider == "observer":
        from aqaudit.models.observer import observer  # noqa: PLC0415 - NumPy, and poses where they are estimated

        return observer(entry)
    if entry.provider == "simulated":
        from aqaudit.models.simulated import SimulatedJudge  # noqa: PLC0415 - symmetry with the two below

        return SimulatedJudge(entry)
    if entry.provider == "hf":
        from aqaudit.models.hf.model import LocalModel  # noqa: PLC0415 - 5 s of CPU, and an extra

        return LocalModel(name, entry)
    if entry.provider == "onnx":
        from aqaudit.models.onnx.model import DemoModel  # noqa: PLC0415 - an extra

        return DemoModel(name, entry)
    if entry.provider not in _MODULES:
        return plugged.plugged(entry.provider).open(name, entry)
    key = api_key(name, entry)
    if entry.provider == "google":
        from aqaudit.models.google import GeminiModel  # noqa: PLC0415 - 1.5 s of CPU

        return GeminiModel(name, entry, api_key=key)
    from aqaudit.models.openai_compatible import ChatServerModel  # noqa: PLC0415 - 1.5 s of CPU

    return ChatServerModel(name, entry, api_key=key)
