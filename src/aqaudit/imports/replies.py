"""A target and a reply as other harnesses keep them, turned into truth and answer of one kind of question.

The kind follows from the target: yes/no and true/false are ``verify``, one letter is ``choose``, a number is ``score``.
A yes is taken as "the execution is correct". What a reply means is never guessed: it must be the word, begin or end
with it, or hold it in an ``<answer>`` tag.
"""

from __future__ import annotations

import math
import re
from typing import Any

_WORDS = {"yes": True, "true": True, "no": False, "false": False}
_THINK = re.compile(r"<think(?:ing)?>(.*?)(?:</think(?:ing)?>|\Z)", re.DOTALL | re.IGNORECASE)
_UNOPENED = re.compile(r"\A(.*?)</think(?:ing)?>", re.DOTALL | re.IGNORECASE)
_TAGGED = re.compile(r"<answer>([^<]{1,200})</answer>", re.IGNORECASE)
_WRAPPING = " \t\r\n\"'`*_.()[]{}:;!$,\\"
_LEADS = re.compile(r"\A(?:the )?(?:final |correct |best )?(?:answer|option|choice)\s*(?:is|:|=)?\s*", re.IGNORECASE)
_FIRST_WORD = re.compile(r"\A(yes|no|true|false)\b", re.IGNORECASE)
_FIRST_LETTER = re.compile(r"\A\(?([A-Z])(?:[).:,]|\s*\Z|\s*\n)")
_LAST = re.compile(r"(?:answer|option|choice)\s*(?:is|:|=)\s*\**\(?([A-Za-z]+)\)?\**[.!]?\s*\Z", re.IGNORECASE)
_NUMBER = re.compile(r"[+-]?\d{1,12}(?:\.\d{1,12})?")
_LETTER = re.compile(r"[A-Z]")
#: A reply is searched no further than this from either end.
_REACH = 400


def row(target: str, said: str, options: list[str] | None = None) -> dict[str, Any] | None:
    """Return the columns ``kind``, truth, answer, ``said``, ``reasoning`` and ``parse`` of one reply.

    None where the target is neither a yes or no, nor a letter, nor a number.
    """
    reasoning, text = split_thinking(said)
    wanted = target.strip(_WRAPPING)
    found: dict[str, Any] = {"said": said, "reasoning": reasoning, "parse": "unparsed"}
    if wanted.lower() in _WORDS:
        answer = _word(text)
        found |= {"kind": "verify", "gold_correct": _WORDS[wanted.lower()]}
        return found if answer is None else {**found, "parse": "ok", "says_correct": _WORDS[answer], "answered": answer}
    if options and wanted in options and not _LETTER.fullmatch(wanted):
        wanted = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"[options.index(wanted)] if options.index(wanted) < 26 else ""
    if _LETTER.fullmatch(wanted):
        letter = _letter(text, options)
        found |= {"kind": "choose", "gold_choice": wanted}
        if options:
            found["options"] = list("ABCDEFGHIJKLMNOPQRSTUVWXYZ"[: len(options)])
        return found if letter is None else {**found, "parse": "ok", "choice": letter, "answered": letter}
    gold = _number(wanted)
    if gold is None:
        return None
    score = _number(_bare(text))
    found |= {"kind": "score", "gold_score": gold}
    return found if score is None else {**found, "parse": "ok", "score": score, "answered": f"{score:g}"}


def split_thinking(said: str) -> tuple[str | None, str]:
    """Return the thinking inside a reply, None where there is none, and the rest."""
    thoughts = [found.strip() for found in _THINK.findall(said)]
    rest = _THINK.sub("", said)
    if unopened := _UNOPENED.match(rest):
        thoughts.insert(0, unopened[1].strip())
        rest = rest[unopened.end() :]
    return "\n".join(filter(None, thoughts)) or None, rest.strip()


def _bare(text: str) -> str:
    tagged = _TAGGED.findall(text)
    bare = (tagged[-1] if tagged else text)[: _REACH * 4].strip(_WRAPPING)
    return _LEADS.sub("", bare, count=1).strip(_WRAPPING)


def _word(text: str) -> str | None:
    bare = _bare(text)
    found = _FIRST_WORD.match(bare) or _LAST.search(text[-_REACH:])
    return found[1].lower() if found and found[1].lower() in _WORDS else None


def _letter(text: str, options: list[str] | None) -> str | None:
    bare = _bare(text)
    if _LETTER.fullmatch(bare.upper()):
        return bare.upper()
    if options and bare.lower() in (lowered := [option.lower().strip(_WRAPPING) for option in options]):
        return "ABCDEFGHIJKLMNOPQRSTUVWXYZ"[lowered.index(bare.lower())]
    found = _FIRST_LETTER.match(bare) or _LAST.search(text[-_REACH:])
    return found[1] if found and _LETTER.fullmatch(found[1]) else None


def _number(text: str) -> float | None:
    if not _NUMBER.fullmatch(text):
        return None
    value = float(text)
    return value if math.isfinite(value) else None
