"""What went wrong with a request, in one line a person can act on and without secrets."""

from __future__ import annotations

import json
import re
import socket
from collections.abc import Iterable, Iterator

import httpx2
from pydantic_ai import exceptions as ai

from aqaudit.models.call import AskFailed, Cause

_LONGEST = 300


_SECRETS = (
    (re.compile(r"(?i)\b(bearer|basic)\s+[^\s\"',;}]+"), r"\1 ***"),
    (re.compile(r"(?i)([?&](?:api[_-]?)?(?:key|token)=)[^\s&\"']+"), r"\1***"),
    (
        re.compile(r"(?i)((?:x-goog-api-key|x-api-key|api-key|authorization)[\"']?\s*[:=]\s*[\"']?)[^\s\"',;}]+"),
        r"\1***",
    ),
    (re.compile(r"\b(sk|pk|rk|hf|gsk|xai)[-_][A-Za-z0-9_*-]{8,}"), r"\1-***"),
    (re.compile(r"\bAIza[A-Za-z0-9_-]{10,}"), "AIza***"),
    (re.compile(r"(?i)(https?://)[^\s/@]+:[^\s/@]+@"), r"\1***@"),
)


_NOISE = re.compile(r"For further information visit \S+")


_IMAGES = re.compile(r"(?i)at most (\d+) (image|video)s?\(?s?\)? may be provided")


_OVERFLOW = re.compile(
    r"(?i)maximum context length|maximum model length|max_model_len|context length exceeded|context_length_exceeded"
    r"|exceeds? the available context|exceed_context_size|input token count .*exceeds|longer than the max"
    r"|reduce the length of the (?:messages|input)|prompt is too long"
)


_UNKNOWN_MODEL = re.compile(r"(?i)model\b.*\b(?:does not exist|not found|is not available|not supported|unknown)")


def redact(text: str, secrets: Iterable[str] = ()) -> str:
    """Return a text in one line, shortened, with ``secrets`` and whatever looks like a key or header starred out."""
    for secret in secrets:
        if secret:
            text = text.replace(secret, "***")
    for pattern, stars in _SECRETS:
        text = pattern.sub(stars, text)
    text = " ".join(_NOISE.sub("", text).split())
    return text if len(text) <= _LONGEST else text[: _LONGEST - 1] + "…"


def explain(  # noqa: PLR0911 - one return for each kind of failure
    error: Exception, *, endpoint: str, secrets: Iterable[str] = (), pictures: int = 0, timeout_s: float | None = None
) -> AskFailed:
    """Turn an exception of a client library into an :class:`AskFailed`.

    Parameters
    ----------
    error
        What ``pydantic_ai``, a vendor's client or the HTTP library raised.
    endpoint
        Where the request went, for the message.
    secrets
        Keys that may not appear in the message, whatever the server echoes.
    pictures
        Pictures in the request, for the remedy where there were too many.
    timeout_s
        The time limit of the request, for the message.
    """
    if isinstance(error, AskFailed):
        return error
    if isinstance(error, ai.ModelHTTPError):
        return _of_status(error, endpoint, list(secrets), pictures)
    text = redact(_message(getattr(error, "body", None)) or str(error) or type(error).__name__, secrets)
    if isinstance(error, (ai.ModelTimeoutError, ai.ModelRequestTimeout, TimeoutError, httpx2.TimeoutException)):
        limit = "" if timeout_s is None else f" within {timeout_s:g} s"
        return AskFailed("timeout", f"no answer from {endpoint}{limit}")
    if isinstance(error, (ai.ModelConnectionError, httpx2.TransportError, ConnectionError)):
        cause: Cause = "refused" if _nobody_there(error) else "connection"
        return AskFailed(cause, f"cannot reach {endpoint}: {_reason(error) or text}")
    if _redirected(error):
        return AskFailed("bad_request", f"{endpoint} redirects elsewhere, which is not followed: set base_url to there")
    if isinstance(error, ai.ModelAPIError) and "decode" not in text.lower() and "JSON" not in text:
        return AskFailed("bad_request", f"{endpoint}: {text}")
    if isinstance(error, (ai.ModelAPIError, ai.UnexpectedModelBehavior, LookupError, AttributeError, TypeError)):
        return AskFailed("bad_response", f"{endpoint} sent no usable answer: {text}")
    if isinstance(error, ValueError):  # includes broken JSON and pydantic's ValidationError
        return AskFailed("bad_response", f"{endpoint} sent no usable answer: {text}")
    return AskFailed("internal", f"{type(error).__name__}: {text}")


def _redirected(error: Exception) -> bool:
    cause = error.__cause__
    status = getattr(cause, "status_code", getattr(cause, "code", None))
    return isinstance(status, int) and 300 <= status < 400


def _chain(error: BaseException) -> Iterator[BaseException]:
    seen: set[int] = set()
    cause: BaseException | None = error
    while cause is not None and id(cause) not in seen:
        seen.add(id(cause))
        yield cause
        if isinstance(cause, BaseExceptionGroup):
            for inner in cause.exceptions:
                yield from _chain(inner)
        cause = cause.__cause__ or cause.__context__


def _nobody_there(error: BaseException) -> bool:
    """Tell a server that does not run, or a name that leads nowhere, from a connection that broke on the way."""
    return any(isinstance(cause, ConnectionRefusedError | socket.gaierror) for cause in _chain(error)) or (
        "Connection refused" in _reason(error)
    )


def _reason(error: BaseException) -> str:
    """Return the plainest sentence in a chain of causes: ``[Errno 111] Connection refused`` and the like."""
    found = ""
    for cause in _chain(error):
        if isinstance(cause, OSError) and cause.strerror:
            return cause.strerror
        if isinstance(cause, httpx2.TransportError) and str(cause):
            found = redact(str(cause))
    return found


def _of_status(error: ai.ModelHTTPError, endpoint: str, secrets: list[str], pictures: int) -> AskFailed:
    status = error.status_code
    said = _message(error.body)
    cause, remedy = _cause(error, status, said, pictures)
    text = redact(said, secrets) or "no explanation"
    message = f"{endpoint} answered {status}: {text}" + (f" — {remedy}" if remedy else "")
    return AskFailed(cause, message, status=status, retry_after_s=error.retry_after)


def _cause(error: ai.ModelHTTPError, status: int, said: str, pictures: int) -> tuple[Cause, str]:  # noqa: PLR0911 - a list of rules
    if limit := _IMAGES.search(said):
        return "too_many_images", _images_remedy(int(limit[1]), limit[2].lower(), pictures)
    if isinstance(error, ai.ModelContextWindowExceededError) or _OVERFLOW.search(said):
        return "context_overflow", (
            "send fewer frames (frames, fps or max_frames) or smaller ones (max_side), lower max_output_tokens, "
            "or start vLLM with a larger --max-model-len"
        )
    if status == 402:
        return "payment", ""
    if isinstance(error, ai.ModelQuotaExceededError):
        return "quota", "the account's quota or credit is used up"
    if isinstance(error, ai.ModelAuthenticationError) or status in {401, 403}:
        return "auth", "check the API key and that it may use this model"
    if isinstance(error, ai.ModelNotFoundError) or status == 404 or (status == 400 and _UNKNOWN_MODEL.search(said)):
        return "not_found", ""
    by_status: dict[int, Cause] = {408: "timeout", 413: "too_large", 429: "rate_limited", 504: "timeout"}
    if status in by_status:
        return by_status[status], "send fewer or smaller frames, or video" if status == 413 else ""
    return ("server", "") if status >= 500 else ("bad_request", "")


def _images_remedy(limit: int, kind: str, pictures: int) -> str:
    option = f"--limit-mm-per-prompt '{{\"{kind}\": {max(pictures, limit + 1, 1)}}}'"
    if kind == "video":
        return f'start vLLM with {option}, or set media_form = "frames"'
    sent = f"{pictures} were sent; " if pictures else ""
    fewer = f", or set max_frames = {limit}" if limit else ""
    return f"{sent}start vLLM with {option}{fewer}"


def _message(body: object) -> str:
    """Return what an error body says: the message inside the shapes that servers use, else its text."""
    for _ in range(4):
        if isinstance(body, bytes):
            body = body.decode("utf-8", "replace")
        if isinstance(body, str):
            try:
                inner = json.loads(body)
            except ValueError:
                return re.sub(r"<[^>]*>", " ", body)
            if not isinstance(inner, (dict, list)):
                return body
            body = inner
        if isinstance(body, list) and body:
            body = body[0]
        elif isinstance(body, dict):
            body = next((body[key] for key in ("error", "message", "detail", "msg") if body.get(key)), str(body))
    return "" if body is None else str(body)
