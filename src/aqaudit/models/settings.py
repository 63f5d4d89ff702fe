"""The tables ``[models.NAME]`` of a study: their keys, what each provider can do, where calls go and what they cost."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Annotated, Literal, Self
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from aqaudit.core.plugins import PlugIns
from aqaudit.core.records import BadInput, nearest
from aqaudit.models.call import Model

Share = Annotated[float, Field(ge=0, le=1)]
Signed = Annotated[float, Field(ge=-1, le=1)]
Thinking = Literal["off", "on", "low", "medium", "high"]
Trace = Literal["observed", "assumed", "prestige", "canonical", "popular", "contradicted"]

BUILT_IN = ("openai", "google", "hf", "onnx", "observer", "simulated")
#: Providers that are reached by an API with a key, and the vendor's own address.
HOMES = {"openai": "https://api.openai.com/v1", "google": "https://generativelanguage.googleapis.com"}
#: Providers that nothing leaves this process for, and that nobody bills.
_IN_PROCESS = frozenset(BUILT_IN) - HOMES.keys()
#: Settings that only some of the built-in providers can honour.
_ONLY_FOR: dict[str, frozenset[str]] = {
    "resolution": frozenset({"google"}),
    "presence_penalty": frozenset({"openai"}),
    **dict.fromkeys(("logprobs", "system_prompt"), frozenset({"openai", "hf"})),
    **dict.fromkeys(("base_url", "api_key_env", "usd_per_mtok"), frozenset({"openai", "google"})),
    **dict.fromkeys(("thinking", "temperature", "top_p", "max_output_tokens"), frozenset({"openai", "google", "hf"})),
    **dict.fromkeys(("skill", "bias", "planted", "latency_s"), frozenset({"simulated"})),
}
#: Of these, what every plug-in honours: AQAudit's own business.
_ALWAYS = frozenset({"base_url", "api_key_env", "usd_per_mtok"})
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


class SimulatedBiases(BaseModel):
    """The biases of a simulated judge; none by default.

    Attributes
    ----------
    stable
        One draw for a question, whatever its wording, order, repeat and perturbation; else one for each request.
    lean
        Share of ``verify`` and ``detect`` answers that say "correct" unseen (below 0: "error"). H + F - 1 of the judge,
        where the rest is even-handed.
    shift
        Share of ``verify`` and ``detect`` answers that affirm the statement shown (below 0: deny it), whatever it says.
    position
        P(first) - 1/2: with probability 2 |position| a preference, or a choice, takes what is shown first (below 0:
        last). 0.5 always takes the first.
    gap
        Smallest difference of two scores, as a share of the scale, at which it sees which of a pair is better.
    leak
        Share of questions it answers rightly without a picture, and by the question's own clip where another is shown.
    motion
        Share of its skill that is lost where there is no movement to see (``frozen``, ``shuffled``, ``reversed``).
    guess_mean, guess_sd
        Where on the scale a guessed score lies, and its standard deviation, both as a share of the scale.
    confidence
        Gives log-probabilities of the two answers: the true log-odds times this. 1 is calibrated (where correct and
        faulty are equally frequent and it has no other bias), above 1 over-confident; None gives none.
    unparsed
        Share of answers that hold no verdict.
    weak_tag, weak_skill
        Its skill is ``weak_skill`` for performances with this tag, given as ``"camera=side"``.
    trace
        A reasoning text of this kind comes with every answer. It is the same for all: what it claims of a squat holds
        for any squat (``observed``) or for none (``contradicted``).
    """

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    stable: bool = False
    lean: Signed = 0.0
    shift: Signed = 0.0
    position: Annotated[float, Field(ge=-0.5, le=0.5)] = 0.0
    gap: Share = 0.0
    leak: Share = 0.0
    motion: Share = 1.0
    guess_mean: Share = 0.5
    guess_sd: Annotated[float, Field(gt=0, le=1)] = 1 / 6
    confidence: Annotated[float, Field(gt=0, le=20)] | None = None
    unparsed: Share = 0.0
    weak_tag: Annotated[str, Field(pattern=r"^[^=]+=.+$")] | None = None
    weak_skill: Share = 0.0
    trace: Trace | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Provider:
    """A way to reach models; the name of its entry point is what a study writes as ``provider``.

    ``open(name, entry)`` returns the model of one ``[models.NAME]`` (see :class:`aqaudit.models.call.Model`).
    ``leaves_machine`` says whether what is asked leaves this machine; where an entry gives a ``base_url``, its address
    decides instead. ``settings`` are the keys of the entry, besides those of sampling and pace, that it honours: a
    study that sets another one is refused.
    """

    open: Callable[[str, ModelEntry], Model]
    leaves_machine: bool
    settings: tuple[str, ...] = ()


PLUG_INS = PlugIns(
    group="aqaudit.models",
    kind="model provider",
    wanted="an aqaudit.models.settings.Provider",
    built_in=lambda: BUILT_IN,
    read=lambda _, offered: offered if isinstance(offered, Provider) else None,
)


def known_provider(name: str) -> str:
    """Return the name of a provider that there is.

    Raises
    ------
    BadInput
        There is none of this name, or its plug-in does not load.
    """
    if name not in BUILT_IN:
        if name not in PLUG_INS.names():
            raise BadInput(f"{name!r} is not allowed{nearest(name, (*BUILT_IN, *PLUG_INS.names()))}")
        PLUG_INS.load(name)
    return name


class EntryError(ValueError):
    """A setting that cannot be so; ``key`` is where the message points."""

    def __init__(self, key: str, message: str) -> None:
        super().__init__(message)
        self.key = key


class ModelEntry(BaseModel):
    """One named model with its settings: a table ``[models.NAME]``.

    Everything that decides how media are sampled and scaled (``media_form``, ``default_fps``, ``max_frames``,
    ``max_side``) reaches a request through its :class:`~aqaudit.core.records.MediaSpec` and is keyed there.

    Attributes
    ----------
    provider
        ``openai`` for any OpenAI-compatible server, ``google`` for the Gemini API, ``hf`` for a model of transformers
        in this process, ``onnx`` for the demo model, ``observer`` for an ideal observer, ``simulated`` for a judge with
        stated biases, or the name of a plug-in.
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
        Of the simulated judge: see :mod:`aqaudit.models.simulated`; ``planted`` are its biases.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, protected_namespaces=(), allow_inf_nan=False)

    provider: Annotated[str, AfterValidator(known_provider)]
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
    skill: Share = 0.5
    bias: Share = 0.5
    planted: SimulatedBiases = SimulatedBiases()
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
            able = sorted(_ONLY_FOR[key])
            if self.provider in able or getattr(self, key) == type(self).model_fields[key].default:
                continue
            if self.provider in BUILT_IN or key not in {*_ALWAYS, *PLUG_INS.load(self.provider).settings}:
                only = " and ".join(able)
                raise EntryError(key, f"provider '{self.provider}' cannot do this, only {only}: remove the key")
        if self.provider != "simulated" and "model" not in self.model_fields_set:
            raise EntryError("model", "is missing: the name the server knows the model by, or for hf its folder")
        if self.api_key_env is not None and not _VARIABLE.fullmatch(self.api_key_env):
            # the value is not quoted: it may be the key itself
            raise EntryError(
                "api_key_env", "is no name of an environment variable; the key itself goes there, not here"
            )
        self._check_base_url()
        self._check_thinking()
        if (fps := self.default_fps) > 24 and self.native_sampling:
            raise EntryError("default_fps", f"{fps:g}: the Gemini API samples at most 24 frames a second")
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
            raise EntryError("base_url", "is no address such as 'http://localhost:8000/v1'")
        if url.username or url.password or url.query or url.fragment:
            raise EntryError("base_url", "holds a password, query or fragment: keys are given by api_key_env only")

    def _check_thinking(self) -> None:
        switch = self.thinking in {"off", "on"}
        if self.provider == "hf" and self.thinking is not None and not switch:
            raise EntryError("thinking", f"'{self.thinking}': a model in process has no levels, only off and on")
        if self.provider == "openai" and switch and self.destination()[0] == "https://api.openai.com:443":
            raise EntryError("thinking", f"'{self.thinking}': api.openai.com knows low, medium and high only")
        if self.provider != "google" or self.thinking is None:
            return
        old = self.model.startswith(("gemini-1", "gemini-2"))
        if old and not switch:
            raise EntryError("thinking", f"'{self.thinking}': {self.model} has no levels, only off and on")
        if self.thinking == "off" and (not old or "pro" in self.model):
            raise EntryError("thinking", f"'off': {self.model} always thinks{'' if old else '; low is its least'}")

    @property
    def native_sampling(self) -> bool:
        """Whether the provider samples the clip it is given itself (google, clips sent as video)."""
        return self.provider == "google" and self.media_form == "video"

    @cached_property
    def key_settings(self) -> Mapping[str, object]:
        """The model's name and every setting that can change an answer and is not part of the media sent.

        Settings that are not set are left out, so that a setting added in a later version changes no key.
        """
        names = ["provider", "model"]
        if self.provider == "simulated":
            names += ["skill", "bias"]
        names += ["thinking", "system_prompt", "temperature", "top_p", "presence_penalty", "max_output_tokens"]
        names += ["resolution", "logprobs"]
        settings = {name: getattr(self, name) for name in names}
        settings["planted"] = self.planted.model_dump(exclude_defaults=True) or None
        return {name: value for name, value in settings.items() if value is not None and value is not False}

    def destination(self) -> tuple[str, bool]:
        """Return where calls go, as ``scheme://host:port`` or ``in process``, and whether that is off this machine.

        On this machine are 127.0.0.0/8, ::1 and ``localhost``; every other address is off it, private ranges and
        0.0.0.0 included. Names are not resolved.
        """
        if self.provider in _IN_PROCESS:
            return "in process", False
        if self.provider not in HOMES and self.base_url is None:
            leaves = PLUG_INS.load(self.provider).leaves_machine
            return (f"where the plug-in {self.provider} sends it", True) if leaves else ("in process", False)
        url = urlsplit(self.base_url or HOMES[self.provider])
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
        if not self.destination()[1] or self.provider not in HOMES:
            return None
        from genai_prices import Usage, calc_price  # noqa: PLC0415 - 0.3 s, and only a run needs it

        try:
            usage = Usage(input_tokens=input_tokens, output_tokens=output_tokens)
            found = calc_price(usage, self.model, provider_api_url=self.base_url or HOMES[self.provider])
        except (LookupError, ValueError):
            return None
        return float(found.total_price)
