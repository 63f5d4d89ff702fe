"""Answers in words: what is true, what was said, in which cell; and the tagged steps of the reasoning behind it."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import polars as pl

from aqaudit.core.text import clean
from aqaudit.reporting.verdicts import number

_EXECUTION = {True: "the execution is correct", False: "the execution has the error", None: "unknown"}
_UNREAD = {"refused": "the model refused to answer", "truncated": "the answer was cut off"}
#: Settings whose values do not speak for themselves.
_BARE = frozenset({"fps_asked", "shots", "repeat", "pair_order", "thinking", "answer_words"})
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


def truth_words(row: Mapping[str, object]) -> str:
    """Return what is true of the execution."""
    match row["kind"]:
        case "verify" | "detect":
            severity, unit = row["severity"], clean(row["unit"], 20)
            size = f" ({number(severity)}{f' {unit}' if unit else ''})" if isinstance(severity, float) else ""
            return _EXECUTION[_claim(row["gold_correct"])] + size
        case "choose":
            return clean(row["gold_choice"], 200) or "unknown"
        case "prefer":
            return _better(row, row["gold_prefer"])
        case _:
            scale = f" on a scale from {_plain(row['scale_min'])} to {_plain(row['scale_max'])}"
            return f"{_plain(row['gold_score'])}{scale if row['scale_max'] is not None else ''}"


def answer_words(row: Mapping[str, object]) -> str:
    """Return what the model says about the execution, or why nothing could be read."""
    if row["parse"] == "out_of_range":
        return f"outside what was asked for: {clean(row['answered'], 80)}".rstrip(": ")
    if row["parse"] != "ok":
        return _UNREAD.get(str(row["parse"]), "no verdict found in the answer")
    match row["kind"]:
        case "verify" | "detect":
            return _EXECUTION[_claim(row["says_correct"])]
        case "choose":
            return clean(row["choice"], 200)
        case "prefer":
            return _better(row, row["prefer"])
        case _:
            return _plain(row["score"])


def cell_words(row: Mapping[str, object], varying: Sequence[str]) -> str:
    """Return the settings of a row that vary in its table; a name alone says little for numbers."""
    parts = []
    for name in varying:
        value = row[name]
        if value is None or (name == "perturbation" and value == "none"):
            continue
        lead = f"{name.replace('_asked', '').replace('_', ' ')} " if name in _BARE else ""
        parts.append(f"{lead}{clean(value, 40)}")
    return ", ".join(parts)


def _better(row: Mapping[str, object], preferred: object) -> str:
    ids = {"this": row["performance_id"], "other": row["other_id"]}
    if preferred in ids:
        return f"{clean(ids[str(preferred)], 80) or f'the performance called {preferred}'} is better"
    return "both are equally good" if preferred == "tie" else "unknown"


def _claim(value: object) -> bool | None:
    return value if isinstance(value, bool) else None


def _plain(value: object) -> str:
    return number(value, "unknown") if isinstance(value, float) else "unknown"


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
        claim=_step_claim(row["claim"]),
        frames=tuple(dict.fromkeys(frames)),
        seconds=tuple(float(second) for second in _SECONDS.findall(text)),
    )


def _step_claim(value: object) -> str:
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
