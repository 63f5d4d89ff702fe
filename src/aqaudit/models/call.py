"""How a model is asked: one call, and the reply to it or the cause why there is none."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, Protocol

from aqaudit.core.records import MediaPart, Request

Cause = Literal[
    "auth",  # 401, 403: the key is missing, wrong or not allowed to use this model
    "payment",  # 402
    "quota",  # the account's quota is exhausted: waiting a minute will not help
    "not_found",  # 404: no such model or path at this server
    "rate_limited",  # 429
    "server",  # 5xx
    "refused",  # nobody answers there: connection refused, host name not resolved
    "connection",  # the connection broke on the way
    "timeout",
    "bad_response",  # broken JSON, empty body, no choice in it
    "too_many_images",  # the server's limit of pictures per prompt
    "context_overflow",  # the prompt is longer than the model's window
    "too_large",  # request body over the server's limit
    "bad_request",  # any other 4xx
    "media",  # the media could not be prepared
    "internal",  # a fault of AQAudit or of a plug-in
]

#: Causes after which the same request may succeed a little later.
RETRYABLE: frozenset[str] = frozenset({"rate_limited", "server", "refused", "connection", "timeout", "bad_response"})
#: Causes that say the model itself cannot be reached or used; ten in a row open the circuit breaker.
FATAL: frozenset[str] = frozenset({"auth", "payment", "quota", "not_found", "refused"})


class AskFailed(Exception):  # noqa: N818 - reads as what happened
    """A request that brought no answer. ``message`` holds no secret, one line, with the remedy where one is known."""

    def __init__(
        self, cause: Cause, message: str, *, status: int | None = None, retry_after_s: float | None = None
    ) -> None:
        super().__init__(message)
        self.cause: Cause = cause
        self.message = message
        self.status = status
        self.retry_after_s = retry_after_s


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One request to a model: text and media in sending order, as one user turn.

    ``option_words`` are the literal answers whose log-probabilities are wanted. ``request`` is there for judges that
    are not models of the world (``simulated`` and observers); a real provider must not look at it. ``seed`` is sent
    where the provider takes one. ``final`` is False for the early steps of a chain. ``json_schema`` asks for a reply of
    that form, where the provider has structured output.
    """

    parts: tuple[str | MediaPart, ...]
    request: Request
    option_words: tuple[str, ...] = ()
    seed: int | None = None
    final: bool = True
    json_schema: Mapping[str, object] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """What came back. Token counts are None where the server does not say; ``usd`` is None where no price is known."""

    text: str
    reasoning: str | None = None
    finish_reason: str | None = None
    model_version: str | None = None
    input_tokens: int | None = None
    output_tokens: int | None = None
    reasoning_tokens: int | None = None
    usd: float | None = None
    option_logprobs: Mapping[str, float] | None = None
    extra: Mapping[str, object] = field(default_factory=dict)


class Model(Protocol):
    """Anything that can be asked. One instance serves all concurrent calls of a run."""

    @property
    def endpoint(self) -> str:
        """Where calls go, as shown and recorded: ``https://host:port`` or ``in process``; never a secret."""

    async def ask(self, call: Call) -> Reply:
        """Ask once, without retrying; raise :class:`AskFailed` when no answer comes back."""

    async def aclose(self) -> None:
        """Close connections."""
