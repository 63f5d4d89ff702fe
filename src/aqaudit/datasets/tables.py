"""A table of labels (CSV) for ``aqaudit init``: which clip each row is about, and what its columns say."""

from __future__ import annotations

import csv
import io
import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from aqaudit.core.records import BadInput

Meaning = Literal["criterion", "error", "score", "choice", "tag"]

#: Columns that are not labels, and the key of ``clips.jsonl`` that each fills. Times and rates are numbers.
FACTS: Mapping[str, str] = {
    "id": "id", "performer": "performer", "subject": "performer", "athlete": "performer", "person": "performer",
    "participant": "performer", "action": "action", "exercise": "action", "movement": "action", "split": "split",
    "video": "video", "session": "video", "caption": "caption", "family": "family", "start_s": "start_s",
    "end_s": "end_s", "fps": "fps",
}  # fmt: skip
NUMERIC_FACTS = frozenset({"start_s", "end_s", "fps"})
#: Columns that name the clip of a row, the likeliest first. ``id`` and ``video`` do where no other column does.
MEDIA_COLUMNS = ("media", "file", "filename", "file_name", "path", "clip", "image", "id", "video")
#: Columns that describe the recording: kept as tags, like every column whose name starts with ``tag:``.
TAG_COLUMNS = frozenset({"camera", "view", "sex", "gender", "age", "site", "notes", "comment"})

_TRUE = frozenset({"true", "yes", "1", "y", "t"})
_FALSE = frozenset({"false", "no", "0", "n", "f"})
_UNKNOWN = frozenset({"", "na", "n/a", "nan", "none", "null", "?"})
#: More different texts than this are remarks, not options.
MOST_OPTIONS = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """A column of labels: ``values`` holds what each row says, None where it is unknown."""

    header: str
    name: str
    meaning: Meaning
    values: tuple[bool | float | str | None, ...]

    @property
    def known(self) -> list[bool | float | str]:
        """What the rows say that say something."""
        return [value for value in self.values if value is not None]


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelTable:
    """A table of labels: ``lines`` are the rows' numbers in the file, ``clips`` the texts that name their clips.

    ``facts`` are what is no label, such as the performer of each row (an empty text where a row does not say), by the
    key of ``clips.jsonl``.
    """

    path: Path
    lines: tuple[int, ...]
    clips: tuple[str, ...]
    facts: Mapping[str, tuple[str, ...]]
    columns: tuple[Column, ...]


def read_labels(path: Path) -> LabelTable:
    """Read a table of labels and decide what each column means.

    ``error:NAME`` with true and false is an error, other columns of true and false are criteria, numbers are scores,
    up to eight different texts are a choice; ``tag:NAME``, remarks and facts about the recording are tags. True and
    false may be written true, false, yes, no, 1, 0. Empty cells are unknown.

    Raises
    ------
    BadInput
        Where the table cannot be read, has no column that names the clips, or a row or column is malformed.
    """
    header, rows = _cells(path)
    lowered = [name.lower() for name in header]
    media = next((lowered.index(name) for name in MEDIA_COLUMNS if name in lowered), None)
    if media is None:
        raise BadInput(
            f"{path}: no column names the clips; allowed: one of {', '.join(MEDIA_COLUMNS)}; columns here:"
            f" {', '.join(header)}"
        )
    lines = tuple(line for line, _ in rows)
    for line, cells in rows:
        if not cells[media]:
            raise BadInput(f"{path}, row {line}: column {header[media]!r} is empty; it must name the clip")
    facts: dict[str, tuple[str, ...]] = {}
    columns: list[Column] = []
    for place, name in enumerate(lowered):
        values = tuple(cells[place] for _, cells in rows)
        if place == media and name != "id":
            continue
        if name in FACTS:
            if FACTS[name] in facts:
                raise BadInput(f"{path}: two columns say the {FACTS[name]}, one of them is {header[place]!r}; drop one")
            facts[FACTS[name]] = values
        else:
            columns.append(_column(header[place], values, lines, path))
    _refuse_same_names(columns, path)
    return LabelTable(
        path=path, lines=lines, clips=tuple(cells[media] for _, cells in rows), facts=facts, columns=tuple(columns)
    )


def _cells(path: Path) -> tuple[list[str], list[tuple[int, list[str]]]]:
    """Return the header and the rows with their line numbers, all cells stripped."""
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except OSError as error:
        raise BadInput(f"{path} cannot be read: {error.strerror}") from None
    except UnicodeDecodeError as error:
        raise BadInput(f"{path}: byte {error.start + 1} is not UTF-8; save the table as CSV in UTF-8") from None
    if "\0" in text:
        raise BadInput(f"{path} is no CSV text (perhaps a spreadsheet or UTF-16); save the table as CSV in UTF-8")
    first = text.partition("\n")[0]
    delimiter = max(",;\t", key=first.count)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    rows: list[tuple[int, list[str]]] = []
    try:
        for cells in reader:
            stripped = [cell.strip() for cell in cells]
            if any(stripped):
                rows.append((reader.line_num, stripped))
    except csv.Error as error:
        raise BadInput(f"{path}, row {reader.line_num}: {error}") from None
    if len(rows) < 2:
        raise BadInput(f"{path} holds no row of labels; it needs a line of column names and a row for each clip")
    (_, header), *body = rows
    _check_shape(path, header, body)
    return header, body


def _check_shape(path: Path, header: Sequence[str], body: Iterable[tuple[int, Sequence[str]]]) -> None:
    for place, name in enumerate(header):
        if not name:
            raise BadInput(f"{path}: column {place + 1} has no name")
        if name.lower() in (other.lower() for other in header[:place]):
            raise BadInput(f"{path}: column {name!r} is there twice")
    for line, cells in body:
        if len(cells) != len(header):
            raise BadInput(f"{path}, row {line}: {len(cells)} cells, but there are {len(header)} columns")


def _column(header: str, values: tuple[str, ...], lines: Sequence[int], path: Path) -> Column:
    prefix, colon, rest = header.partition(":")
    prefix = prefix.strip().lower() if colon else ""
    name = re.sub(r"\W+", "_", (rest if prefix in {"error", "tag"} else header).lower()).strip("_")
    if not name:
        raise BadInput(f"{path}: column {header!r} has no letters; give it a name")
    known = [value.lower() for value in values if value.lower() not in _UNKNOWN]
    if prefix == "error":
        return Column(header=header, name=name, meaning="error", values=_booleans(header, values, lines, path))
    if prefix == "tag" or name in TAG_COLUMNS or not known:
        return Column(header=header, name=name, meaning="tag", values=tuple(value or None for value in values))
    if all(value in _TRUE | _FALSE for value in known):
        return Column(header=header, name=name, meaning="criterion", values=_booleans(header, values, lines, path))
    if all(_is_number(value) for value in known):
        numbers = tuple(None if value.lower() in _UNKNOWN else float(value) for value in values)
        return Column(header=header, name=name, meaning="score", values=numbers)
    texts = tuple(None if value.lower() in _UNKNOWN else value for value in values)
    different = {text for text in texts if text is not None}
    few = 2 <= len(different) <= MOST_OPTIONS and len(different) < len(known)
    if few and len({text.casefold() for text in different}) < len(different):
        raise BadInput(f"{path}: column {header!r} writes one option in two ways (capital letters); write it in one")
    return Column(header=header, name=name, meaning="choice" if few else "tag", values=texts)


def _booleans(header: str, values: tuple[str, ...], lines: Sequence[int], path: Path) -> tuple[bool | None, ...]:
    found: list[bool | None] = []
    for line, value in zip(lines, values, strict=True):
        lowered = value.lower()
        if lowered not in _TRUE | _FALSE | _UNKNOWN:
            raise BadInput(f"{path}, row {line}: {header!r} is {value!r}; allowed: true, false, yes, no, 1, 0 or empty")
        found.append(None if lowered in _UNKNOWN else lowered in _TRUE)
    return tuple(found)


def _is_number(value: str) -> bool:
    try:
        return math.isfinite(float(value))
    except ValueError:
        return False


def _refuse_same_names(columns: Iterable[Column], path: Path) -> None:
    seen: dict[tuple[Meaning, str], str] = {}
    for column in columns:
        first = seen.setdefault((column.meaning, column.name), column.header)
        if first != column.header:
            raise BadInput(f"{path}: columns {first!r} and {column.header!r} both become {column.name!r}; rename one")
