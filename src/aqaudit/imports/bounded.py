"""Files of strangers, read within bounds: JSON texts, and members of zip archives."""

from __future__ import annotations

import json
import struct
import zipfile
import zlib
from typing import TYPE_CHECKING, Any, Self

from aqaudit.records import BadInput

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_LOCAL_HEADER = 30
#: How newer versions of Inspect pack their logs; the standard library reads it from Python 3.14 on.
_ZSTANDARD = 93
#: Bytes of one JSON text or one archive member, and of all members together once unpacked.
MOST_OF_ONE, MOST_OF_ALL = 256 * 2**20, 4 * 2**30
MOST_MEMBERS = 500_000


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

    def names(self) -> Iterator[str]:
        """Yield the names of the members."""
        return iter(self._zip.namelist())

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
