"""What went wrong with a request, in one line a person can act on and without secrets."""

from __future__ import annotations

import json
import re
import socket
from collections.abc import Iterator, Sequence

import httpx2
from pydantic_ai import exceptions as ai

from aqaudit.core.records import MediaPart
from aqaudit.core.text import without_secrets
from aqaudit.models.call import AskFailed, Cause

#: Most characters of what a server says that are passed on.
_LONGEST = 300
_NOISE = re.compile(r"For further information visit \S+")
_TOO_MANY = re.compile(r"(?i)at most (\d+) (image|video)s?\(?s?\)? may be provided")
_OVERFLOW = re.compile(
    r"(?i)maximum context length|maximum model length|max_model_len|context length exceeded|context_length_exceeded"
    r"|exceeds? the available context|exceed_context_size|input token count .*exceeds|longer than the max"
    r"|reduce the length of the (?:messages|input)|prompt is too long"
)
_UNKNOWN_MODEL = re.compile(r"(?i)model\b.*\b(?:does not exist|not found|is not available|not supported|unknown)")
_BY_STATUS: dict[int, Cause] = {408: "timeout", 413: "too_large", 429: "rate_limited", 504: "timeout"}


def redact(text: str) -> str:
    """Return a text in one line, shortened, without secrets."""
    text = " ".join(_NOISE.sub("", without_secrets(text)).split())
    return text if len(text) <= _LONGEST else text[: _LONGEST - 1] + "…"


def explain(  # noqa: PLR0911 - one return for each kind of failure
    error: Exception, *, endpoint: str, media: Sequence[MediaPart], timeout_s: float
) -> AskFailed:
    """Turn an exception of a client library into an :class:`AskFailed`.

    Parameters
    ----------
    error
        What ``pydantic_ai``, a vendor's client or the HTTP library raised.
    endpoint
        Where the request went, for the message.
    media
        What the request held, for the remedy where there were too many pictures.
    timeout_s
        The time limit of the request, for the message.
    """
    if isinstance(error, AskFailed):
        return error
    if isinstance(error, ai.ModelHTTPError):
        said = _message(error.body)
        cause, remedy = _cause(error, said, sum(part.mime.startswith("image/") for part in media))
        message = f"{endpoint} answered {error.status_code}: {redact(said) or 'no explanation'}"
        message += f" — {remedy}" if remedy else ""
        return AskFailed(cause, message, status=error.status_code, retry_after_s=error.retry_after)
    text = redact(_message(getattr(error, "body", None)) or str(error) or type(error).__name__)
    if isinstance(error, (ai.ModelTimeoutError, ai.ModelRequestTimeout, TimeoutError, httpx2.TimeoutException)):
        return AskFailed("timeout", f"no answer from {endpoint} within {timeout_s:g} s")
    if isinstance(error, (ai.ModelConnectionError, httpx2.TransportError, ConnectionError)):
        reason = _reason(error)
        # a server that does not run, or a name that leads nowhere, is told from a connection that broke on the way
        nobody_there = "Connection refused" in reason or any(
            isinstance(cause, ConnectionRefusedError | socket.gaierror) for cause in _chain(error)
        )
        return AskFailed("refused" if nobody_there else "connection", f"cannot reach {endpoint}: {reason or text}")
    if _redirected(error):
        return AskFailed("bad_request", f"{endpoint} redirects elsewhere, which is not followed: set base_url to there")
    if isinstance(error, ai.ModelAPIError) and "decode" not in text.lower() and "JSON" not in text:
        return AskFailed("bad_request", f"{endpoint}: {text}")
    # ValueError includes broken JSON and pydantic's ValidationError
    unusable = (ai.ModelAPIError, ai.UnexpectedModelBehavior, LookupError, AttributeError, TypeError, ValueError)
    if isinstance(error, unusable):
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


def _reason(error: BaseException) -> str:
    """Return the plainest sentence in a chain of causes: ``[Errno 111] Connection refused`` and the like."""
    found = ""
    for cause in _chain(error):
        if isinstance(cause, OSError) and cause.strerror:
            return cause.strerror
        if isinstance(cause, httpx2.TransportError) and str(cause):
            found = redact(str(cause))
    return found


def _cause(error: ai.ModelHTTPError, said: str, pictures: int) -> tuple[Cause, str]:  # noqa: PLR0911 - a list of rules
    """Return the cause of an answer with an error status, and what a person can do about it, where that is known."""
    status = error.status_code
    if limit := _TOO_MANY.search(said):
        return "too_many_images", _fewer(int(limit[1]), limit[2].lower(), pictures)
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
    if status in _BY_STATUS:
        return _BY_STATUS[status], "send fewer or smaller frames, or video" if status == 413 else ""
    return ("server", "") if status >= 500 else ("bad_request", "")


def _fewer(limit: int, kind: str, pictures: int) -> str:
    """Return how to get so many pictures (or clips) through a server that takes ``limit``: vLLM's switch, or fewer."""
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
