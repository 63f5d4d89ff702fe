"""Files of others read within bounds of size: text, JSON, zip archives, and the first sheet of an .xlsx workbook.

Nothing is unpacked to a disk; a workbook is read from its XML alone, and no formula is worked out.
"""

from __future__ import annotations

import json
import re
import struct
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Self
from xml.etree import ElementTree as ET

from aqaudit.core.records import BadInput

#: Bytes of one JSON text or one archive member, and of all members together once unpacked.
MOST_OF_ONE, MOST_OF_ALL = 256 * 2**20, 4 * 2**30
MOST_MEMBERS, _MOST_CELLS = 500_000, 20_000_000
#: Bytes of the header before a packed member of a zip archive.
_LOCAL_HEADER = 30
#: How newer versions of Inspect pack their logs; the standard library reads it from Python 3.14 on.
_ZSTANDARD = 93
_CELL = re.compile(r"([A-Z]{1,3})\d{1,7}")
_MAIN = "{http://schemas.openxmlformats.org/spreadsheetml/2006/main}"


def text(path: Path) -> str:
    """Return a text file of bounded size.

    Raises
    ------
    BadInput
        It cannot be read, is larger, or is not UTF-8.
    """
    try:
        if path.stat().st_size > MOST_OF_ONE:
            raise BadInput(f"{path}: is larger than {MOST_OF_ONE // 2**20} MiB")
        return path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise BadInput(f"{path}: cannot be read: {error.strerror}") from None
    except UnicodeDecodeError as error:
        raise BadInput(f"{path}: byte {error.start + 1} is not UTF-8 text") from None


def loads(given: str | bytes, where: str) -> Any:
    """Return the value of a JSON text.

    Raises
    ------
    BadInput
        It is not JSON, or nested too deeply.
    """
    try:
        return json.loads(given)
    except (ValueError, RecursionError) as error:
        reason = str(error).splitlines()[0] if isinstance(error, ValueError) else "nested too deeply"
        raise BadInput(f"{where}: is not JSON: {reason}") from None


class Archive:
    """A zip archive whose members are read whole, within bounds; nothing is written anywhere."""

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            self._zip = zipfile.ZipFile(path)
        except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError) as error:
            reason = getattr(error, "strerror", None) or str(error)
            raise BadInput(f"{path}: is not a readable zip archive: {reason}") from None
        members = self._zip.infolist()
        if len(members) > MOST_MEMBERS:
            raise BadInput(f"{path}: holds {len(members):,} files; allowed: {MOST_MEMBERS:,}")
        if sum(member.file_size for member in members) > MOST_OF_ALL:
            raise BadInput(f"{path}: would unpack to more than {MOST_OF_ALL // 2**30} GiB")
        self._unpacked = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._zip.close()

    def names(self) -> list[str]:
        """Return the names of the members."""
        return self._zip.namelist()

    def read(self, name: str) -> bytes:
        """Return a member.

        Raises
        ------
        BadInput
            It is damaged, encrypted, larger than allowed, or packed in a way that this Python cannot read.
        """
        where = f"{self.path}: {name}"
        try:
            if self._zip.getinfo(name).compress_type == _ZSTANDARD:
                content = self._unpack_zstandard(self._zip.getinfo(name))
            else:
                with self._zip.open(name) as member:
                    content = member.read(MOST_OF_ONE + 1)
        except NotImplementedError:
            raise BadInput(
                f"{where}: is packed in a way that this Python cannot read; write the log anew as .json"
            ) from None
        except KeyError:
            raise BadInput(f"{self.path}: holds no {name}") from None
        except (zipfile.BadZipFile, OSError, RuntimeError, EOFError, ValueError) as error:
            raise BadInput(
                f"{where}: cannot be unpacked: {str(error).splitlines()[0] if str(error) else 'damaged'}"
            ) from None
        except Exception as error:  # zlib.error and its like have no common base
            if type(error).__module__ not in {"zlib", "_lzma", "lzma", "_bz2"}:
                raise
            raise BadInput(f"{where}: cannot be unpacked: {error}") from None
        self._unpacked += len(content)
        if len(content) > MOST_OF_ONE or self._unpacked > MOST_OF_ALL:
            raise BadInput(f"{where}: is larger than allowed once unpacked")
        return content

    def _unpack_zstandard(self, member: zipfile.ZipInfo) -> bytes:
        try:
            import zstandard  # noqa: PLC0415 - an extra
        except ImportError:
            raise BadInput(
                f"{self.path}: is packed with Zstandard; reading it needs the extra: pip install 'aqaudit[import]'"
            ) from None
        with self.path.open("rb") as file:
            file.seek(member.header_offset)
            head = file.read(_LOCAL_HEADER)
            if len(head) < _LOCAL_HEADER:
                raise zipfile.BadZipFile("damaged")
            name, extra = struct.unpack("<26xHH", head)
            file.seek(name + extra, 1)
            packed = file.read(min(member.compress_size, MOST_OF_ONE))
        try:
            with zstandard.ZstdDecompressor().stream_reader(packed) as stream:
                content = stream.read(MOST_OF_ONE + 1)
        except zstandard.ZstdError as error:
            raise zipfile.BadZipFile(str(error)) from None
        if len(content) <= MOST_OF_ONE and zlib.crc32(content) != member.CRC:
            raise zipfile.BadZipFile("damaged")
        return bytes(content)


def sheet(path: Path) -> Iterator[list[str]]:
    """Yield the rows of a workbook's first sheet, every cell as text, empty where there is none.

    Raises
    ------
    BadInput
        It is no workbook, declares entities, or has more cells than allowed.
    """
    with Archive(path) as book:
        sheets = (re.fullmatch(r"xl/worksheets/sheet(\d+)\.xml", name) for name in book.names())
        names = [one[0] for one in sorted(filter(None, sheets), key=lambda one: int(one[1][:9]))]
        if not names:
            raise BadInput(f"{path}: is no .xlsx workbook: it holds no sheet")
        strings = []
        if "xl/sharedStrings.xml" in book.names():
            table = _parse(book.read("xl/sharedStrings.xml"), f"{path}: xl/sharedStrings.xml")
            strings = ["".join(part.text or "" for part in item.iter(f"{_MAIN}t")) for item in table.iter(f"{_MAIN}si")]
        first = _parse(book.read(names[0]), f"{path}: {names[0]}")
    cells = 0
    for row in first.iter(f"{_MAIN}row"):
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


def _parse(content: bytes, where: str) -> ET.Element:
    if b"<!DOCTYPE" in content or b"<!ENTITY" in content:
        raise BadInput(f"{where}: declares entities, which no workbook needs")
    try:
        return ET.fromstring(content)  # noqa: S314 - bounded in size, and without entities there is nothing to expand
    except ET.ParseError as error:
        raise BadInput(f"{where}: is not XML: {error}") from None


def _place(reference: str | None, following: int) -> int:
    """Return the column of a cell, from 0; the next one where it does not say."""
    found = _CELL.fullmatch(reference or "")
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
