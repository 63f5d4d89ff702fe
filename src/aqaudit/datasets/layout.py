"""What lies in the root of a published data set: its files, by the places of the published layout, and what they hold.

Nothing is searched for: a reader names the folders of the published layout, and of the one other layout that copies
have, and only these are listed.
"""

from __future__ import annotations

import gc
import json
import os
import re
from collections import Counter
from collections.abc import Container, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Never

import av

from aqaudit.core.records import BadInput

VIDEO_SUFFIXES = frozenset({".mp4", ".mov", ".webm", ".mkv", ".avi", ".m4v"})
IMAGE_SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".bmp", ".webp"})
ARCHIVE_SUFFIXES = (".zip", ".tar", ".tgz", ".tar.gz", ".rar", ".7z")
#: No annotation file of these data sets has a tenth of this, in bytes.
LARGEST_JSON = 1 << 30


def files_in(folder: Path) -> list[Path]:
    """Return the files of a folder in the order of their names, hidden ones left out; none where it is not there.

    Raises
    ------
    BadInput
        Where the folder cannot be read; so do :func:`folders_in` and :func:`files_below`.
    """
    return _entries(folder, folders=False)


def folders_in(folder: Path) -> list[Path]:
    """Return the folders within a folder in the order of their names, hidden ones left out."""
    return _entries(folder, folders=True)


def files_below(folder: Path, depth: int = 8) -> Iterator[Path]:
    """Yield the files of a folder and of the folders in it, to a depth that no data set has."""
    yield from files_in(folder)
    for inner in folders_in(folder) if depth else ():
        yield from files_below(inner, depth - 1)


def _entries(folder: Path, *, folders: bool) -> list[Path]:
    try:
        with os.scandir(folder) as entries:
            names = sorted(one.name for one in entries if not one.name.startswith(".") and one.is_dir() == folders)
    except (FileNotFoundError, NotADirectoryError):
        return []
    except OSError as error:
        raise BadInput(f"{folder} cannot be read: {error.strerror}") from None
    return [folder / name for name in names]


def by_number(paths: Iterable[Path], suffixes: Container[str]) -> dict[int, list[Path]]:
    """Return those of the paths whose name is a number, with or without leading zeros, and one of the suffixes."""
    found: dict[int, list[Path]] = {}
    for stem, named in by_stem(paths, suffixes).items():
        if re.fullmatch(r"[0-9]{1,6}", stem):
            found.setdefault(int(stem), []).extend(named)
    return found


def by_stem(files: Iterable[Path], suffixes: Container[str]) -> dict[str, list[Path]]:
    """Return those of the files that have one of the suffixes, by their name without it."""
    found: dict[str, list[Path]] = {}
    for path in files:
        if path.suffix.lower() in suffixes:
            found.setdefault(path.stem, []).append(path)
    return found


def one_of(copies: Iterable[Path]) -> Path:
    """Return the first of several files that should be the same.

    Raises
    ------
    BadInput
        Where they differ.
    """
    first, *others = copies
    for other in others:
        if other.stat().st_size != first.stat().st_size or other.read_bytes() != first.read_bytes():
            raise BadInput(f"{first} and {other} differ, though they are one file of the data set; keep the right one")
    return first


def file_of(root: Path, name: str, folders: Iterable[str]) -> Path | None:
    """Return the file of that name in one of the folders of a layout; None where it is in none.

    Raises
    ------
    BadInput
        Where it is in several and the copies differ.
    """
    copies = [path for folder in folders if (path := root / folder / name).is_file()]
    return one_of(copies) if copies else None


def to_unpack(*folders: Path) -> str:
    """Return half a sentence that names archives in these folders, which must be unpacked; empty where there are none.

    No other folder is looked into.
    """
    files = [path for folder in dict.fromkeys(folders) for path in files_in(folder)]
    names = [path.name for path in files if path.name.lower().endswith(ARCHIVE_SUFFIXES)]
    return f"; unpack {', '.join(names[:3])}{' …' if len(names) > 3 else ''} first" if names else ""


def load_json(path: Path) -> Any:
    """Read a JSON file (UTF-8, with or without a byte order mark).

    Raises
    ------
    BadInput
        Where it is unreadable, over a gigabyte, no strict JSON, or has one key twice in an object.
    """
    try:
        if path.stat().st_size > LARGEST_JSON:
            raise BadInput(f"{path} has over a gigabyte; that is no annotation file")
        text = path.read_bytes().decode("utf-8-sig")
    except OSError as error:
        raise BadInput(f"{path} cannot be read: {error.strerror}") from None
    except UnicodeDecodeError as error:
        raise BadInput(f"{path}: byte {error.start + 1} is not UTF-8") from None
    try:
        with without_garbage_collection():
            return _DECODER.decode(text)
    except json.JSONDecodeError as error:
        raise BadInput(f"{path}, line {error.lineno}, column {error.colno}: not JSON: {error.msg}") from None
    except RecursionError:
        raise BadInput(f"{path}: lists within lists without end") from None
    except BadInput as error:
        raise BadInput(f"{path}: {error}") from None
    except ValueError as error:  # a number of thousands of digits
        raise BadInput(f"{path}: not JSON: {error}") from None


def without_doubles(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Make an object of pairs; JSON by itself would silently keep the last of two labels."""
    table = dict(pairs)
    if len(table) < len(pairs):
        twice = next(key for key, times in Counter(key for key, _ in pairs).items() if times > 1)
        raise BadInput(f"key {twice!r} is there twice")
    return table


def _no_constant(word: str) -> Never:
    raise BadInput(f"{word} is not a JSON number")


_DECODER = json.JSONDecoder(object_pairs_hook=without_doubles, parse_constant=_no_constant)


@contextmanager
def without_garbage_collection() -> Iterator[None]:
    """Make many small records without the collector looking through all of them again and again: half the time."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


def header_of(video: Path) -> tuple[float, int]:
    """Return the frame rate (per second) and the number of frames that a video's header states; 0 where it does not.

    Raises
    ------
    BadInput
        Where the file is no readable video.
    """
    try:
        with av.open(os.fspath(video)) as container:
            stream = container.streams.video[0]
            fps = float(stream.average_rate or 0)
            seconds = (container.duration or 0) / av.time_base
            return fps, stream.frames or round(seconds * fps)
    except (av.FFmpegError, OSError, IndexError) as error:
        raise BadInput(f"{video} cannot be read as a video ({error}); get it again") from None
