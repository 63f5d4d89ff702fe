"""What a step claims about the body, as a quantity that can be looked up in the measured movement.

A claim is (body part, quantity, comparator, value, moment). The phrases and their meaning are data (``claims.toml``).
"""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from functools import cache, lru_cache
from importlib import resources
from typing import Any

from aqaudit.traces.rules import unquoted

#: When a claim is meant to hold; ``any`` = at some time, ``at`` = at a time that the step names.
MOMENTS = ("any", "bottom", "top", "start", "end", "throughout", "at")

_ANGLE_MARGIN = 15.0
_MOST_CLAIMS = 8
_NEGATION = re.compile(
    r"\b(?:not|no|never|neither|nor|without|fails? to|failed to|failing to|cannot|hardly|barely|instead of|rather than"
    r"|lacks?|avoids?|prevents?)\b|n't\b"
)
# A negation reaches up to here, not across a contrast.
_BREAK = re.compile(r"\b(?:but|while|whereas|although|though|and then|yet|however|so)\b|[;:]|,(?! (?:or|and|nor)\b)")
_SIDE = re.compile(r"\b(left|right)\b(?: \w+){0,1}$")
_SECONDS = re.compile(
    r"\b(?:at|around|near|after|from|by|about|in)\s(?:about |around |roughly |t ?= ?|the )?"
    r"(\d{1,4}(?:\.\d{1,3})?)[- ]?s(?:ec(?:ond)?s?)?\b"
    r"|\b(\d{1,2}):(\d{2})(?:\.\d)?\b"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """One claim about a body.

    ``quantity`` (minus ``minus``, where given) is a name of ``kinematics.parquet`` without its side; None where it
    cannot be measured from keypoints. ``comparator`` is ``>=``, ``<=`` or ``about``; between ``value`` and ``margin``
    beyond it a claim is too close to call. ``negated`` claims say that it is not so. ``at_s`` is a time in seconds.
    """

    part: str
    topics: tuple[str, ...]
    side: str | None = None
    quantity: str | None = None
    minus: str | None = None
    comparator: str | None = None
    value: float | None = None
    margin: float | None = None
    moment: str = "any"
    at_s: float | None = None
    negated: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class _Phrase:
    match: re.Pattern[str]
    unless: re.Pattern[str] | None
    claim: Claim


@dataclass(frozen=True, slots=True, kw_only=True)
class _Phrases:
    phrases: tuple[_Phrase, ...]
    parts: Mapping[str, re.Pattern[str]]
    moments: Mapping[str, re.Pattern[str]]


@cache
def _phrases() -> _Phrases:
    table = tomllib.loads(resources.files("aqaudit.traces").joinpath("claims.toml").read_text(encoding="utf-8"))
    words = table["words"]

    def pattern(patterns: Iterable[str]) -> re.Pattern[str]:
        joined = "|".join(f"(?:{one})" for one in patterns)
        return re.compile(re.sub(r"@(\w+)", lambda found: words[found[1]], joined))

    def phrase(entry: dict[str, Any]) -> _Phrase:
        claim = Claim(
            part=entry["part"],
            topics=(entry["part"], *entry["topics"]),
            quantity=entry.get("quantity"),
            minus=entry.get("minus"),
            comparator=entry.get("is", "about" if entry.get("quantity") else None),
            value=entry.get("value"),
            margin=entry.get("margin", _ANGLE_MARGIN if entry.get("quantity") else None),
            moment=entry.get("moment", "any"),
        )
        unless = pattern(entry["unless"]) if "unless" in entry else None
        return _Phrase(match=pattern(entry["match"]), unless=unless, claim=claim)

    return _Phrases(
        phrases=tuple(phrase(entry) for entry in (*table["claim"], *table["angle"])),
        parts={part: re.compile(rf"\b(?:{found})\b") for part, found in table["parts"].items()},
        moments={moment: re.compile(found) for moment, found in table["moments"].items()},
    )


@lru_cache(maxsize=65536)
def claims(step: str) -> tuple[Claim, ...]:
    """Return what a step claims about the body, without what it quotes; empty where no phrase is known."""
    text = unquoted(step)
    found: dict[tuple[str | None, str | None, str], Claim] = {}
    for phrase in _phrases().phrases:
        if phrase.unless is not None and phrase.unless.search(text):
            continue
        if hit := phrase.match.search(text):
            claim = _placed(phrase.claim, text, hit)
            # A phrase with a number is more exact than one without; it comes later and takes its place.
            found[claim.quantity, claim.minus, claim.part] = claim
            if len(found) == _MOST_CLAIMS:
                break
    return tuple(found.values())


def _placed(claim: Claim, text: str, hit: re.Match[str]) -> Claim:
    before = text[: hit.start()]
    for stop in _BREAK.finditer(before):
        before = text[stop.end() : hit.start()]
    negated = _NEGATION.search(before + hit[0]) is not None
    side = _SIDE.search(text[: hit.start()].rstrip())
    degrees = hit.groupdict().get("deg")
    moment, at_s = _moment(text, claim.moment)
    return Claim(
        part=claim.part,
        topics=claim.topics,
        side=side[1] if side else None,
        quantity=claim.quantity,
        minus=claim.minus,
        comparator=claim.comparator,
        value=float(degrees) if degrees else claim.value,
        margin=claim.margin,
        moment=moment,
        at_s=at_s,
        negated=negated,
    )


def _moment(text: str, default: str) -> tuple[str, float | None]:
    if seconds := _SECONDS.search(text):
        at = float(seconds[1]) if seconds[1] else 60.0 * int(seconds[2]) + int(seconds[3])
        return "at", at
    for moment, pattern in _phrases().moments.items():
        if pattern.search(text):
            return moment, None
    return default, None


@lru_cache(maxsize=65536)
def parts_named(text: str) -> frozenset[str]:
    """Return the canonical body parts that a text or an identifier such as ``knees_inward`` names."""
    plain = text.lower().replace("_", " ").replace("-", " ")
    return frozenset(part for part, pattern in _phrases().parts.items() if pattern.search(plain))


def to_json(found: Iterable[Claim]) -> str | None:
    """Return claims as they stand in the column ``claim``: a JSON list, or None where there are none."""
    rows = [{k: v for k, v in asdict(claim).items() if v is not None and v is not False} for claim in found]
    return json.dumps(rows, ensure_ascii=False, separators=(",", ":")) if rows else None


@lru_cache(maxsize=65536)
def from_json(text: str | None) -> tuple[Claim, ...]:
    """Return the claims of a column value; what is not a list of claims gives none: the table may be anybody's."""
    if not text:
        return ()
    try:
        rows = json.loads(text)
    except (ValueError, RecursionError):
        return ()
    if not isinstance(rows, list):
        return ()
    return tuple(claim for row in rows[:_MOST_CLAIMS] if (claim := _claim(row)) is not None)


def _claim(row: object) -> Claim | None:
    if not isinstance(row, dict) or not isinstance(row.get("part"), str):
        return None
    topics, moment = row.get("topics"), row.get("moment")
    return Claim(
        part=row["part"],
        topics=tuple(str(topic) for topic in topics) if isinstance(topics, list) else (row["part"],),
        side=_word(row.get("side")),
        quantity=_word(row.get("quantity")),
        minus=_word(row.get("minus")),
        comparator=_word(row.get("comparator")),
        value=_number(row.get("value")),
        margin=_number(row.get("margin")),
        moment=moment if moment in MOMENTS else "any",
        at_s=_number(row.get("at_s")),
        negated=row.get("negated") is True,
    )


def _word(value: object) -> str | None:
    return value if isinstance(value, str) else None


def _number(value: object) -> float | None:
    return float(value) if isinstance(value, int | float) and abs(value) < 1e9 else None
