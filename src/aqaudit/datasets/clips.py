"""One line of ``clips.jsonl``: from a JSON object to a performance, with every value checked."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar, get_args

from aqaudit.core.records import (
    BadInput,
    ChoiceQuestion,
    Criterion,
    ErrorStatement,
    Mask,
    MaskStyle,
    Performance,
    Scale,
    Severity,
    nearest,
)
from aqaudit.datasets.declarations import LARGEST, Declarations
from aqaudit.datasets.reader import short

KEYS = frozenset(
    {"id", "media", "start_s", "end_s", "fps", "action", "performer", "video", "split", "criteria", "errors", "scores",
     "choices", "severity", "family", "caption", "tags", "masks", "sha256"}
)  # fmt: skip
#: Media that are files; a name that ends in none of these is a folder of numbered frames.
MEDIA_SUFFIXES = (".mp4", ".mov", ".webm", ".jpg", ".jpeg", ".png")

_SEVERITY_KEYS = frozenset({"value", "unit", "tolerance"})
_MASK_KEYS = frozenset({"box", "from_s", "to_s", "style"})
_SHA256 = re.compile(r"[0-9a-fA-F]{64}")
_NUMBERS = frozenset({int, float})

_Entry = TypeVar("_Entry", Criterion, ErrorStatement, ChoiceQuestion)
_Intervals = tuple[tuple[float, float], ...] | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Declared:
    """What ``dataset.toml`` declares, by action and id (scales by id alone): looked up for every label of a line."""

    criteria: Mapping[str, Mapping[str, Criterion]]
    errors: Mapping[str, Mapping[str, ErrorStatement]]
    choices: Mapping[str, Mapping[str, ChoiceQuestion]]
    scales: Mapping[str, Scale]


def by_action(declarations: Declarations) -> Declared:
    """Return the declarations by action and id."""
    return Declared(
        criteria=_by_action(declarations.criteria),
        errors=_by_action(declarations.errors),
        choices=_by_action(declarations.choices),
        scales={one.id: one for one in declarations.scales},
    )


def _by_action(entries: Iterable[_Entry]) -> dict[str, dict[str, _Entry]]:
    table: dict[str, dict[str, _Entry]] = {}
    for entry in entries:
        table.setdefault(entry.action, {})[entry.id] = entry
    return table


def performance_from(line: Mapping[str, Any], declared: Declared, folder: Path) -> Performance:
    """Make a performance from a line.

    Parameters
    ----------
    line
        The JSON object.
    declared
        What may be asked, from ``dataset.toml``.
    folder
        Absolute path that ``media`` is relative to.

    Raises
    ------
    BadInput
        For the first value that is not allowed; the message names key, value and what is allowed.
    """
    if not line.keys() <= KEYS:
        unknown = next(key for key in line if key not in KEYS)
        raise BadInput(f"unknown key {unknown!r}{nearest(unknown, KEYS)}")
    name = _required(line, "id")
    if "/" in name or "\\" in name or not name.isprintable() or name.startswith("."):
        raise BadInput(f"id is {name!r}; allowed: text without / and \\, not starting with a dot")
    try:
        media_text, action = _required(line, "media"), _required(line, "action")
        media, fps = _media(media_text, line, folder)
        start_s, end_s = _times(line)
        video = _text(line, "video")
        return Performance(
            id=name,
            media=media,
            action=action,
            performer=_text(line, "performer") or video or name,
            video=video or media_text,
            split=_text(line, "split"),
            start_s=start_s,
            end_s=end_s,
            fps=fps,
            criteria=_criteria(line["criteria"], declared, action) if "criteria" in line else {},
            errors=_errors(line["errors"], declared, action, (start_s, end_s)) if "errors" in line else {},
            scores=_scores(line["scores"], declared.scales) if "scores" in line else {},
            choices=_choices(line["choices"], declared, action) if "choices" in line else {},
            severity=_severities(line["severity"], declared, action) if "severity" in line else {},
            family=_text(line, "family") or None,
            caption=_text(line, "caption") or None,
            tags=_tags(line["tags"]) if "tags" in line else {},
            masks=_masks(line["masks"]) if "masks" in line else (),
            sha256=_sha256(line["sha256"]) if "sha256" in line else None,
        )
    except BadInput as error:
        raise BadInput(f"id {name!r}: {error}") from None


def _sha256(value: object) -> str:
    if not isinstance(value, str) or not _SHA256.fullmatch(value):
        raise BadInput(f"sha256 is {short(value)}; allowed: 64 hexadecimal digits")
    return value.lower()


def _required(line: Mapping[str, Any], key: str) -> str:
    if key not in line:
        raise BadInput(f"{key!r} is missing; every line needs id, media and action")
    return _text(line, key)


def _text(line: Mapping[str, Any], key: str) -> str:
    """Return a text; the empty text where the key is absent."""
    if key not in line:
        return ""
    value = line[key]
    if not isinstance(value, str) or not value.strip():
        raise BadInput(f"{key} is {value!r}; allowed: a text that is not empty")
    return value


def _number(value: object, key: str, at_least: float | None = None) -> float:
    # type, not isinstance: true and false are no numbers
    if type(value) not in _NUMBERS or not -LARGEST < value < LARGEST:  # type: ignore[operator]
        raise BadInput(f"{key} is {short(value)}; allowed: a number")
    if at_least is not None and value < at_least:  # type: ignore[operator]
        raise BadInput(f"{key} is {value:g}; allowed: {at_least:g} or more")
    return float(value)  # type: ignore[arg-type]


def _table(value: object, key: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise BadInput(f'{key} is {short(value)}; allowed: an object such as {{"name": …}}')
    return value


def _media(text: str, line: Mapping[str, Any], folder: Path) -> tuple[Path, float | None]:
    if ".." in text and ".." in Path(text).parts:
        raise BadInput(f"media is {text!r}: '..' would leave the folder; write a path inside it, or an absolute one")
    if "\0" in text:
        raise BadInput(f"media is {text!r}; allowed: a path")
    is_file = text.lower().endswith(MEDIA_SUFFIXES)
    if "fps" in line and is_file:
        raise BadInput(f"fps is given, but {text!r} is a file, which says its own rate; leave fps out")
    path = Path(os.path.join(folder, text))  # noqa: PTH118 - half the time of folder / text
    if is_file:
        return path, None
    if "fps" not in line:
        raise BadInput(
            f"media is {text!r}; allowed: {', '.join(MEDIA_SUFFIXES)}, or a folder of numbered frames with fps in the"
            " line"
        )
    fps = _number(line["fps"], "fps")
    if fps <= 0:
        raise BadInput(f"fps is {fps:g}; allowed: more than 0")
    return path, fps


def _times(line: Mapping[str, Any]) -> tuple[float | None, float | None]:
    start_s = _number(line["start_s"], "start_s", 0) if "start_s" in line else None
    end_s = _number(line["end_s"], "end_s", 0) if "end_s" in line else None
    if end_s is not None and end_s <= (start_s or 0):
        raise BadInput(f"end_s is {end_s:g}; allowed: more than start_s, which is {start_s or 0:g}")
    return start_s, end_s


def _declared(name: str, key: str, table: Mapping[str, Mapping[str, _Entry]], action: str) -> _Entry:
    """Return what was declared under ``name`` for ``action``."""
    here = table.get(action, {})
    if name in here:
        return here[name]
    others = sorted(other for other, names in table.items() if name in names)
    if others:
        raise BadInput(f"{key}.{name} is declared for action {others[0]!r}, not for this line's action {action!r}")
    if here:
        raise BadInput(f"{key}.{name} is not declared in dataset.toml for action {action!r}{nearest(name, here)}")
    hint = nearest(action, table) if table else ""
    raise BadInput(f"{key}.{name}: dataset.toml declares no {key} for action {action!r}{hint}")


def _criteria(value: object, declared: Declared, action: str) -> dict[str, bool]:
    labels = _table(value, "criteria")
    for name, label in labels.items():
        _declared(name, "criteria", declared.criteria, action)
        if label is not True and label is not False:
            raise BadInput(f"criteria.{name} is {short(label)}; allowed: true or false (leave out what is unknown)")
    return labels


def _errors(
    value: object, declared: Declared, action: str, times: tuple[float | None, float | None]
) -> dict[str, _Intervals]:
    labels: dict[str, _Intervals] = {}
    for name, label in _table(value, "errors").items():
        _declared(name, "errors", declared.errors, action)
        if label is True:
            labels[name] = None
        elif isinstance(label, list):
            labels[name] = tuple(_interval(one, f"errors.{name}", times) for one in label)
        else:
            raise BadInput(
                f"errors.{name} is {short(label)}; allowed: [] (absent), [[from, to], …] in seconds, or true (present,"
                " time unknown)"
            )
    return labels


def _interval(value: object, key: str, times: tuple[float | None, float | None]) -> tuple[float, float]:
    if not isinstance(value, list) or len(value) != 2:
        raise BadInput(f"{key} has {short(value)}; allowed: [from, to] in seconds")
    low, high = _number(value[0], key), _number(value[1], key)
    start_s, end_s = times
    if low >= high:
        raise BadInput(f"{key} has [{low:g}, {high:g}]; the end must come after the start")
    if low < (start_s or 0) or (end_s is not None and high > end_s):
        until = "the end" if end_s is None else f"{end_s:g}"
        raise BadInput(f"{key} has [{low:g}, {high:g}], outside the clip's times {start_s or 0:g} to {until}")
    return low, high


def _scores(value: object, scales: Mapping[str, Scale]) -> dict[str, float]:
    labels: dict[str, float] = {}
    for name, label in _table(value, "scores").items():
        if name not in scales:
            raise BadInput(f"scores.{name} is no scale of dataset.toml{nearest(name, scales)}")
        scale, number = scales[name], _number(label, f"scores.{name}")
        if not scale.min <= number <= scale.max:
            raise BadInput(f"scores.{name} is {number:g}; allowed: {scale.min:g} to {scale.max:g}")
        labels[name] = number
    return labels


def _choices(value: object, declared: Declared, action: str) -> dict[str, str]:
    labels = _table(value, "choices")
    for name, label in labels.items():
        choice = _declared(name, "choices", declared.choices, action)
        if label not in choice.options:
            hint = nearest(label, choice.options) if isinstance(label, str) else ""
            raise BadInput(f"choices.{name} is {short(label)}; allowed: {', '.join(map(repr, choice.options))}{hint}")
    return labels


def _severities(value: object, declared: Declared, action: str) -> dict[str, Severity]:
    labels: dict[str, Severity] = {}
    for name, label in _table(value, "severity").items():
        key = f"severity.{name}"
        if name not in declared.criteria.get(action, {}):
            _declared(name, "severity", declared.errors, action)
        given = _table(label, key)
        for unknown in given.keys() - _SEVERITY_KEYS:
            raise BadInput(f"{key}: unknown key {unknown!r}{nearest(unknown, _SEVERITY_KEYS)}")
        if "value" not in given or "unit" not in given:
            raise BadInput(f'{key} is {short(given)}; it needs value and unit, such as {{"value": 14, "unit": "deg"}}')
        labels[name] = Severity(
            value=_number(given["value"], f"{key}.value"),
            unit=_text(given, "unit"),
            tolerance=_number(given["tolerance"], f"{key}.tolerance", 0) if "tolerance" in given else None,
        )
    return labels


def _tags(value: object) -> dict[str, str]:
    tags = _table(value, "tags")
    for name, tag in tags.items():
        if not isinstance(tag, str):
            raise BadInput(f"tags.{name} is {short(tag)}; allowed: a text, in quotes")
    return tags


def _masks(value: object) -> tuple[Mask, ...]:
    if not isinstance(value, list):
        raise BadInput(f"masks is {short(value)}; allowed: a list of objects with box, from_s, to_s")
    return tuple(_mask(_table(one, f"masks[{number}]"), f"masks[{number}]") for number, one in enumerate(value))


def _mask(given: Mapping[str, Any], key: str) -> Mask:
    for unknown in given.keys() - _MASK_KEYS:
        raise BadInput(f"{key}: unknown key {unknown!r}{nearest(unknown, _MASK_KEYS)}")
    style = given.get("style", "solid")
    if style not in get_args(MaskStyle):
        raise BadInput(f"{key}.style is {short(style)}; allowed: {', '.join(get_args(MaskStyle))}")
    box = given.get("box")
    if not isinstance(box, list) or len(box) != 4:
        raise BadInput(f"{key}.box is {short(box)}; allowed: [x0, y0, x1, y1] in pixels")
    x0, y0, x1, y1 = (_number(side, f"{key}.box", 0) for side in box)
    if x0 >= x1 or y0 >= y1:
        raise BadInput(f"{key}.box is {short(box)}; x1 must be more than x0, and y1 more than y0")
    from_s = _number(given["from_s"], f"{key}.from_s", 0) if "from_s" in given else None
    to_s = _number(given["to_s"], f"{key}.to_s", 0) if "to_s" in given else None
    if to_s is not None and to_s <= (from_s or 0):
        raise BadInput(f"{key}.to_s is {to_s:g}; allowed: more than from_s, which is {from_s or 0:g}")
    return Mask(box=(x0, y0, x1, y1), from_s=from_s, to_s=to_s, style=style)
