"""The first sheet of an .xlsx workbook as rows of text, from its XML alone; no formula is worked out."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING
from xml.etree import ElementTree as ET

from aqaudit.imports.bounded import Archive
from aqaudit.records import BadInput

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_MOST_CELLS = 20_000_000
_COLUMN = re.compile(r"([A-Z]{1,3})\d{1,7}")
_MAIN = "{http://schemas.openxmlformats.org/spreadsheetml/2006/main}"


def rows(path: Path) -> Iterator[list[str]]:
    """Yield the rows of the first sheet, every cell as text, empty where there is none.

    Raises
    ------
    BadInput
        It is no workbook, declares entities, or has more cells than allowed.
    """
    with Archive(path) as book:
        names = sorted((n for n in book.names() if re.fullmatch(r"xl/worksheets/sheet\d+\.xml", n)), key=_number)
        if not names:
            raise BadInput(f"{path}: is no .xlsx workbook: it holds no sheet")
        strings = []
        if "xl/sharedStrings.xml" in set(book.names()):
            table = _parse(book.read("xl/sharedStrings.xml"), f"{path}: xl/sharedStrings.xml")
            strings = ["".join(part.text or "" for part in item.iter(f"{_MAIN}t")) for item in table.iter(f"{_MAIN}si")]
        sheet = _parse(book.read(names[0]), f"{path}: {names[0]}")
    cells = 0
    for row in sheet.iter(f"{_MAIN}row"):
        found: list[str] = []
        for cell in row.iter(f"{_MAIN}c"):
            place = _place(cell.get("r"), len(found))
            cells += max(1, place - len(found) + 1)
            if cells > _MOST_CELLS:
                raise BadInput(f"{path}: has more than {_MOST_CELLS:,} cells")
            found += [""] * (place - len(found))
            if place == len(found):
                found.append(_value(cell, strings))
        yield found


def _number(name: str) -> int:
    return int(re.sub(r"\D", "", name.rpartition("/")[2])[:9] or 0)


def _parse(content: bytes, where: str) -> ET.Element:
    if b"<!DOCTYPE" in content or b"<!ENTITY" in content:
        raise BadInput(f"{where}: declares entities, which no workbook needs")
    try:
        return ET.fromstring(content)  # noqa: S314 - bounded in size, and without entities there is nothing to expand
    except ET.ParseError as error:
        raise BadInput(f"{where}: is not XML: {error}") from None


def _place(reference: str | None, following: int) -> int:
    """Return the column of a cell, from 0; the next one where it does not say."""
    found = _COLUMN.fullmatch(reference or "")
    if found is None:
        return following
    place = 0
    for letter in found[1]:
        place = place * 26 + ord(letter) - ord("A") + 1
    return place - 1


def _value(cell: ET.Element, strings: list[str]) -> str:
    if cell.get("t") == "inlineStr":
        return "".join(part.text or "" for part in cell.iter(f"{_MAIN}t"))
    value = cell.find(f"{_MAIN}v")
    text = (value.text or "") if value is not None else ""
    if cell.get("t") == "s":
        return strings[int(text)] if text.isdecimal() and int(text) < len(strings) else ""
    if cell.get("t") == "b":
        return "True" if text == "1" else "False"
    # Whole numbers are kept as 3, not 3.0, as they were written.
    return text.removesuffix(".0") if re.fullmatch(r"-?\d{1,15}\.0", text) else text
