"""Truth and answer of a row in words."""

from __future__ import annotations

from typing import TYPE_CHECKING

from aqaudit.reporting.text import clean
from aqaudit.reporting.verdicts import number

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_EXECUTION = {True: "the execution is correct", False: "the execution has the error", None: "unknown"}
_UNREAD = {"refused": "the model refused to answer", "truncated": "the answer was cut off"}


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


#: Settings whose values do not speak for themselves.
_BARE = frozenset({"fps_asked", "shots", "repeat", "pair_order", "thinking", "answer_words"})


def _better(row: Mapping[str, object], preferred: object) -> str:
    ids = {"this": row["performance_id"], "other": row["other_id"]}
    if preferred in ids:
        return f"{clean(ids[str(preferred)], 80) or f'the performance called {preferred}'} is better"
    return "both are equally good" if preferred == "tie" else "unknown"


def _claim(value: object) -> bool | None:
    return value if isinstance(value, bool) else None


def _plain(value: object) -> str:
    return number(value, "unknown") if isinstance(value, float) else "unknown"
