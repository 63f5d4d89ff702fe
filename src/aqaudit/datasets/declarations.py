"""What ``dataset.toml`` declares may be asked, and whether two statements can be exact opposites.

Only a person can tell that two sentences are exact complements. What a program can tell is that they cannot be: the
same text twice, no opposite and no negation between them, other numbers, other body parts.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from aqaudit.core.records import BadInput, ChoiceQuestion, Criterion, ErrorStatement, Scale, nearest

FILE = "dataset.toml"
#: Above any time, pixel or score; also refuses infinity and whole numbers that no float holds.
LARGEST = 1e15

_KEYS = ("name", "licence", "citation", "allow_upload", "criterion", "error", "choice", "scale")
_ENTRY_KEYS: Mapping[str, tuple[str, ...]] = {
    "criterion": ("id", "action", "positive", "negative"),
    "error": ("id", "action", "statement"),
    "choice": ("id", "action", "question", "options"),
    "scale": ("id", "min", "max", "step", "unit"),
}


_NEGATIONS = frozenset({"not", "no", "never", "without", "neither", "nor", "cannot", "none", "nothing"})
#: Pairs of which one side stands in each statement, as beginnings of words.
_OPPOSITES = (
    ("correct", "incorrect"), ("correct", "wrong"), ("correct", "error"),
    ("above", "below"), ("above", "at"), ("inward", "apart"), ("inward", "over"), ("inward", "outward"),
    ("bent", "straight"), ("bend", "straight"), ("bent", "stretch"), ("round", "straight"), ("round", "flat"),
    ("arch", "straight"), ("sag", "straight"), ("lift", "stay"), ("lift", "down"), ("lift", "flat"), ("leave", "stay"),
    ("forward", "upright"), ("forward", "back"), ("lean", "upright"), ("tilt", "level"), ("drop", "level"),
    ("short", "full"), ("shallow", "deep"), ("high", "low"), ("left", "right"), ("front", "behind"), ("up", "down"),
    ("open", "close"), ("wide", "narrow"), ("more", "less"), ("more", "at most"), ("less", "at least"),
    ("fewer", "at least"), ("slow", "fast"), ("together", "apart"), ("same", "different"), ("same", "other"),
    ("even", "uneven"), ("symmetric", "asymmetric"), ("parallel", "angle"), ("in line", "out of line"),
    ("within", "beyond"), ("within", "outside"), ("in front", "over"), ("before", "after"), ("both", "only"),
    ("stops", "continue"), ("stop", "reach"), ("further", "no further"), ("keep", "lose"), ("stays", "moves"),
    ("stay", "move"), ("steady", "sway"), ("past", "behind"), ("past", "over"), ("smooth", "jerk"), ("control", "drop"),
)  # fmt: skip
_NUMBER = re.compile(r"\d+(?:\.\d+)?")
_WORD = re.compile(r"[a-z]+(?:n't)?")
_PARTS = (
    "head", "neck", "shoulder", "trunk", "torso", "back", "spine", "chest", "arm", "elbow", "wrist", "hand", "hip",
    "pelvis", "leg", "thigh", "knee", "shin", "calf", "ankle", "heel", "foot", "feet", "toe",
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Declarations:
    """What ``dataset.toml`` says. A criterion, error or choice is known by its action and its id together."""

    name: str
    licence: str = ""
    citation: str = ""
    allow_upload: bool = False
    criteria: tuple[Criterion, ...] = ()
    errors: tuple[ErrorStatement, ...] = ()
    choices: tuple[ChoiceQuestion, ...] = ()
    scales: tuple[Scale, ...] = ()


def read_text(path: Path) -> str:
    """Return a file's text, which is UTF-8 with or without a byte order mark.

    Raises
    ------
    BadInput
        Where the file is missing, unreadable, or not UTF-8 (the message names the line).
    """
    try:
        raw = path.read_bytes()
    except FileNotFoundError:
        raise BadInput(f"{path} is missing; `aqaudit init {path.parent}` writes one from a folder of clips") from None
    except OSError as error:
        raise BadInput(f"{path} cannot be read: {error.strerror}") from None
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        raise BadInput(f"{path}, line {line}: byte 0x{raw[error.start]:02x} is not UTF-8; save it as UTF-8") from None


def read_declarations(path: Path) -> Declarations:
    """Read a ``dataset.toml``.

    Raises
    ------
    BadInput
        For anything that is not as described in the contract of a folder data set, one line.
    """
    text = read_text(path)
    try:
        table = tomllib.loads(text)
    except ValueError as error:  # TOMLDecodeError, and numbers of thousands of digits
        raise BadInput(f"{path}: not TOML: {error}") from None
    try:
        _known_keys(table, _KEYS)
        allow_upload = table.get("allow_upload", False)
        if not isinstance(allow_upload, bool):
            raise BadInput(f"allow_upload is {allow_upload!r}; allowed: true or false")  # noqa: TRY301
        return Declarations(
            name=_text(table, "name"),
            licence=_text(table, "licence", default=""),
            citation=_text(table, "citation", default=""),
            allow_upload=allow_upload,
            criteria=tuple(_criterion(entry, where) for entry, where in _entries(table, "criterion")),
            errors=tuple(_error(entry, where) for entry, where in _entries(table, "error")),
            choices=tuple(_choice(entry, where) for entry, where in _entries(table, "choice")),
            scales=tuple(_scale(entry, where) for entry, where in _entries(table, "scale")),
        )
    except BadInput as wrong:
        raise BadInput(f"{path}: {wrong}") from None


def _entries(table: Mapping[str, object], kind: str) -> list[tuple[Mapping[str, object], str]]:
    """Return the entries ``[[kind]]`` with what each is called in messages."""
    entries = table.get(kind, [])
    if not isinstance(entries, list):
        raise BadInput(f"{kind} is {entries!r}; write each as its own [[{kind}]] entry")
    named: list[tuple[Mapping[str, object], str]] = []
    places: dict[tuple[object, object], int] = {}
    for number, entry in enumerate(entries, 1):
        where = f"[[{kind}]] number {number}"
        if not isinstance(entry, dict):
            raise BadInput(f"{where} is {entry!r}; allowed: an entry with {', '.join(_ENTRY_KEYS[kind])}")
        _known_keys(entry, _ENTRY_KEYS[kind], where)
        identifier = _text(entry, "id", where)
        where = f"[[{kind}]] {identifier!r}"
        action = None if kind == "scale" else _text(entry, "action", where)
        first = places.setdefault((action, identifier), number)
        if first != number:
            of = "" if action is None else f" for action {action!r}"
            raise BadInput(f"{where} is declared twice{of} (entries {first} and {number}); give each its own id")
        named.append((entry, where))
    return named


def _criterion(entry: Mapping[str, object], where: str) -> Criterion:
    criterion = Criterion(
        id=_text(entry, "id", where),
        action=_text(entry, "action", where),
        positive=_text(entry, "positive", where),
        negative=_text(entry, "negative", where),
    )
    if criterion.positive.casefold() == criterion.negative.casefold():
        raise BadInput(f"{where}: positive and negative are the same text; negative must be its exact complement")
    return criterion


def _error(entry: Mapping[str, object], where: str) -> ErrorStatement:
    return ErrorStatement(
        id=_text(entry, "id", where),
        action=_text(entry, "action", where),
        statement=_text(entry, "statement", where),
    )


def _choice(entry: Mapping[str, object], where: str) -> ChoiceQuestion:
    options = entry.get("options")
    if not isinstance(options, list) or len(options) < 2:
        raise BadInput(f"{where}: options is {options!r}; allowed: a list of two or more texts")
    for option in options:
        if not isinstance(option, str) or not option.strip():
            raise BadInput(f"{where}: options has {option!r}; allowed: texts that are not empty")
    if len({option.strip().casefold() for option in options}) < len(options):
        raise BadInput(f"{where}: options has the same text twice: {options!r}")
    return ChoiceQuestion(
        id=_text(entry, "id", where),
        action=_text(entry, "action", where),
        question=_text(entry, "question", where),
        options=tuple(options),
    )


def _scale(entry: Mapping[str, object], where: str) -> Scale:
    low, high = _number(entry, "min", where), _number(entry, "max", where)
    if low >= high:
        raise BadInput(f"{where}: min is {low} and max is {high}; min must be below max")
    step = _number(entry, "step", where) if "step" in entry else None
    if step is not None and not 0 < step <= high - low:
        raise BadInput(f"{where}: step is {step:g}; allowed: above 0, at most {high - low:g} (max - min)")
    return Scale(
        id=_text(entry, "id", where), min=low, max=high, step=step, unit=_text(entry, "unit", where, default="")
    )


def _number(entry: Mapping[str, object], key: str, where: str) -> float:
    if key not in entry:
        raise BadInput(f"{where}: {key} is missing; allowed: a number")
    value = entry[key]
    if isinstance(value, bool) or not isinstance(value, int | float) or not abs(value) < LARGEST:
        raise BadInput(f"{where}: {key} is {value!r}; allowed: a number")
    return float(value)


def _text(entry: Mapping[str, object], key: str, where: str = "", *, default: str | None = None) -> str:
    value = entry.get(key, default)
    label = f"{where}: {key}" if where else key
    if value is None:
        raise BadInput(f"{label} is missing; allowed: a text")
    if not isinstance(value, str) or not (value.strip() or value == default):
        raise BadInput(f"{label} is {value!r}; allowed: a text that is not empty")
    if key in {"name", "id"} and not value.isprintable():
        raise BadInput(f"{label} is {value!r}; allowed: one line of printable text")
    return value


def _known_keys(table: Mapping[str, object], known: Sequence[str], where: str = "") -> None:
    for key in table:
        if key not in known:
            raise BadInput(f"{where + ': ' if where else ''}unknown key {key!r}{nearest(key, known)}")


def doubts(positive: str, negative: str) -> list[str]:
    """Return why two statements cannot be exact complements, one clause each; empty where nothing speaks against it."""
    a, b = (" ".join(text.lower().split()) for text in (positive, negative))
    found = []
    if a == b:
        found.append("both are the same text")
    negated = [_negations(text) for text in (a, b)]
    if negated[0] == negated[1] and not any(_opposed(a, b, one, other) for one, other in _OPPOSITES):
        found.append("neither negates the other, and no opposites stand in them")
    numbers = [sorted(_NUMBER.findall(text)) for text in (a, b)]
    if numbers[0] != numbers[1]:
        found.append(f"they speak of other numbers: {numbers[0]} and {numbers[1]}")
    parts = [{part for part in _PARTS if re.search(rf"\b{part}s?\b", text)} for text in (a, b)]
    if parts[0] and parts[1] and not parts[0] & parts[1]:
        found.append(f"they speak of other body parts: {sorted(parts[0])} and {sorted(parts[1])}")
    if "?" in a + b:
        found.append("one of them is a question")
    return found


def _negations(text: str) -> int:
    return sum(word in _NEGATIONS or word.endswith("n't") for word in _WORD.findall(text))


def _opposed(a: str, b: str, one: str, other: str) -> bool:
    def only_in(word: str, here: str, there: str) -> bool:
        return bool(re.search(rf"\b{word}", here)) and not re.search(rf"\b{word}", there)

    return (only_in(one, a, b) and only_in(other, b, a)) or (only_in(other, a, b) and only_in(one, b, a))
