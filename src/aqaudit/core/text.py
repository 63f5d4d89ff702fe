"""Text from outside made inert: control characters, terminal escapes and reading-direction marks out, length limited.

Answers, labels and file names come from models and strangers. HTML is escaped by the template engine; what is removed
here is what escaping leaves harmful or unreadable. Secrets are taken out of what is logged, stored or shown.
"""

from __future__ import annotations

import re
import unicodedata

_ESCAPES = re.compile(
    "\x1b\\][^\x07\x1b]{0,4096}(?:\x07|\x1b\\\\)?"  # operating system command: titles, hyperlinks
    "|[\x1b\x9b]\\[?[0-9;:<=>?]*[ -/]*[@-~]"  # colours, cursor movements
)
#: Kept besides printable characters. Joiners stay because some scripts and emoji need them.
_KEPT = "\n\t\u200c\u200d"
#: Blank or invisible characters outside the categories below: they make two names look alike.
_INVISIBLE = "\u115f\u1160\u3164\uffa0\u2800"
_MAX_MARKS = 3
_HIDDEN = "[hidden]"
#: Keys shorter than this are words that servers which ask for none are given; they are hidden as whole words only.
_SHORT_KEY = 8
_LOOK_LIKE_SECRETS = (
    (re.compile(r"(?<=://)[^/@\s\"']+@"), f"{_HIDDEN}@"),
    (
        re.compile(
            r"(?i)((?:x-goog-api-key|x-api-key|api-key|authorization)[\"']?\s*[:=]\s*[\"']?)"
            r"(?:(?:bearer|basic)\s+)?[^\s\"',;}]+"
        ),
        rf"\1{_HIDDEN}",
    ),
    (re.compile(r"(?i)\b(bearer|basic)\s+[^\s\"',;}]{8,}"), rf"\1 {_HIDDEN}"),
    (re.compile(r"(?i)([?&](?:api[-_]?key|key|token|access_token|sig|signature)=)[^&\s\"'#]+"), rf"\1{_HIDDEN}"),
    (re.compile(r"\b(?:(?:sk|pk|rk|gsk|xai)[-_][\w*-]{16,}|(?:hf|r8)_\w{16,}|AIza[\w-]{10,})"), _HIDDEN),
    (
        re.compile(
            r"(?im)^(\s*[\"']?(?:[\w-]*[-_.])?(?:api[-_]?key|key|token|secret|password|authorization)[\"']?\s*[=:]\s*)"
            r"(?:\"[^\"\n]*\"|'[^'\n]*'|[^\s#]+)"
        ),
        rf'\1"{_HIDDEN}"',
    ),
)
_keys: set[str] = set()


def clean(value: object, limit: int, *, lines: bool = False) -> str:
    """Return ``value`` as printable text of at most ``limit`` characters and a note of what was left out.

    Parameters
    ----------
    value
        Anything; None gives an empty text.
    limit
        Longest text that is kept whole, in characters.
    lines
        Keep line breaks (for text blocks); otherwise white space of any kind becomes one blank.
    """
    if value is None:
        return ""
    text = str(value)
    # Cut first: a line of a megabyte must not cost a megabyte of work. Some room is left for what is removed.
    kept = _printable(text[: limit * 2 + 256])
    if not lines:
        kept = " ".join(kept.split())
    left_out = len(text) - limit
    if len(kept) <= limit and len(text) <= limit * 2 + 256:
        return kept
    return f"{kept[:limit].rstrip()} […{max(left_out, len(kept) - limit):,} more characters]"


def short(value: object, limit: int) -> str:
    """Return ``value`` on one line, cut to ``limit`` characters with an ellipsis: for labels that have little room."""
    text = clean(value, limit + 1)
    return text if len(text) <= limit else f"{text[: limit - 1].rstrip()}…"


def hide(key: str) -> None:
    """Take an API key out of every text from now on."""
    _keys.add(key)


def without_secrets(text: str) -> str:
    """Return ``text`` with keys that were read, and whatever looks like a key, a password or a login, replaced."""
    for key in sorted(_keys, key=len, reverse=True):
        if len(key) >= _SHORT_KEY:
            text = text.replace(key, _HIDDEN)
        else:
            text = re.sub(rf"(?<!\w){re.escape(key)}(?!\w)", _HIDDEN, text)
    for pattern, instead in _LOOK_LIKE_SECRETS:
        text = pattern.sub(instead, text)
    return text


def width(text: str) -> int:
    """Return how many terminal columns a line takes: two for wide East Asian characters, none for combining marks."""
    return sum(_columns(character) for character in text)


def _columns(character: str) -> int:
    if unicodedata.combining(character) or unicodedata.category(character) in {"Mn", "Me", "Cf"}:
        return 0
    return 2 if unicodedata.east_asian_width(character) in "WF" else 1


def _printable(text: str) -> str:
    text = _ESCAPES.sub("", text.replace("\r\n", "\n").replace("\r", "\n"))
    text = text.replace("\u2028", "\n").replace("\u2029", "\n")
    kept: list[str] = []
    marks = 0
    for character in text:
        category = unicodedata.category(character)
        # Cc control, Cf direction marks and other invisible ones, Cs lone surrogates, Co private, Cn not a character
        if (category[0] == "C" and character not in _KEPT) or character in _INVISIBLE:
            continue
        marks = marks + 1 if category[0] == "M" else 0
        if marks <= _MAX_MARKS:
            kept.append(character)
    return "".join(kept)
