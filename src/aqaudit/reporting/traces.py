"""Tagged steps of reasoning, ready for the page: text, tag and the frames a step points to."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

import polars as pl

from aqaudit.reporting.text import clean

if TYPE_CHECKING:
    from collections.abc import Sequence

#: Each tag has a colour of its own; the word stands beside it. Red flags are warm, what is seen is blue.
COLOURS = {
    "observation": 0,
    "rule": 2,
    "assumption": 1,
    "prestige": 3,
    "canonical": 5,
    "correlate": 4,
    "conclusion": 6,
    "other": 6,
}
_MOST_CLAIMS = 4
_FRAMES = re.compile(r"\bframes?\s+#?(\d{1,4})(?:\s*(?:-|\u2013|to|and)\s*#?(\d{1,4}))?", re.IGNORECASE)
_SECONDS = re.compile(
    r"\b(?:at|around|by|near)\s+(?:about\s+)?(\d{1,3}(?:\.\d{1,2})?)\s*(?:s|sec|seconds)\b", re.IGNORECASE
)


@dataclass(frozen=True, slots=True, kw_only=True)
class TracedStep:
    """One step: ``frames`` and ``seconds`` are those it names, ``claim`` what it says in figures."""

    tag: str
    colour: int
    text: str
    claim: str
    frames: tuple[int, ...]
    seconds: tuple[float, ...]


def traced(steps: pl.DataFrame | None, keys: Sequence[str]) -> dict[str, tuple[TracedStep, ...]]:
    """Return the tagged steps of answers by key; where several scorers tagged them, the first by name."""
    if steps is None or steps.is_empty():
        return {}
    wanted = steps.filter(pl.col("answer_key").is_in(list(keys)))
    first = wanted.group_by("answer_key").agg(pl.col("scorer").min())
    rows = wanted.join(first, on=["answer_key", "scorer"]).sort("answer_key", "step")
    found: dict[str, list[TracedStep]] = {}
    for row in rows.iter_rows(named=True):
        found.setdefault(row["answer_key"], []).append(_step(row))
    return {key: tuple(ones) for key, ones in found.items()}


def _step(row: dict[str, object]) -> TracedStep:
    text = clean(row["text"], 600)
    tag = clean(row["tag"], 30) or "untagged"
    frames: list[int] = []
    for start, end in _FRAMES.findall(text):
        last = int(end) if end and int(start) < int(end) <= int(start) + 12 else int(start)
        frames += range(int(start), last + 1)
    return TracedStep(
        tag=tag,
        colour=COLOURS.get(tag, 6),
        text=text,
        claim=_claim(row["claim"]),
        frames=tuple(dict.fromkeys(frames)),
        seconds=tuple(float(second) for second in _SECONDS.findall(text)),
    )


def _claim(value: object) -> str:
    """Return claims in words, such as ``knee angle <= 150``; what is no claim of ours is left as it is."""
    try:
        found = json.loads(str(value)) if value else []
    except (ValueError, RecursionError):
        return clean(value, 200)
    claims = found if isinstance(found, list) else [found]
    return clean("; ".join(_in_words(claim) for claim in claims[:_MOST_CLAIMS]), 300)


def _in_words(claim: object) -> str:
    if not isinstance(claim, dict):
        return str(claim)
    if claim.get("quantity") and claim.get("comparator") and isinstance(claim.get("value"), int | float):
        moment = claim.get("moment")
        when = f" at {moment}" if moment and moment != "any" else ""
        return f"{str(claim['quantity']).replace('_', ' ')} {claim['comparator']} {claim['value']:g}{when}"
    known = ((str(name).replace("_", " "), v) for name, v in claim.items() if v not in (None, "", []))
    return ", ".join(f"{name} {v}" for name, v in known)
