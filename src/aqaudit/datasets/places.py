"""Finding the files of a data set below a root, whatever release or archive they came from, and reading their JSON."""

from __future__ import annotations

import gc
import json
import os
import re
from collections import Counter
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Never

from aqaudit.records import BadInput

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

VIDEO_SUFFIXES = frozenset({".mp4", ".mov", ".webm", ".mkv", ".avi", ".m4v"})
IMAGE_SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".bmp", ".webp"})
#: Folders below a root are looked into so deep; releases need five.
DEEPEST = 8
#: Names of folders that hold, or lead to, a hundred thousand frames each.
_FRAMES = re.compile(r"\d+|(?:ego|exo)_[lmr]|frames_open")
#: No annotation file of these data sets has a tenth of this, in bytes.
LARGEST_JSON = 1 << 30


def walk(root: Path, skip: Callable[[str], object] | None = None) -> Iterator[tuple[Path, list[str], list[str]]]:
    """Walk below ``root`` in the order of names: folder, its folders, its files.

    Hidden folders and those whose name ``skip`` picks out (folders of frames, which hold a hundred thousand files) are
    listed, but not entered.
    """
    for at, folders, inside in os.walk(root, followlinks=True):
        folder = Path(at)
        folders.sort()
        yield folder, list(folders), sorted(inside)
        deep = len(folder.parts) - len(root.parts) >= DEEPEST
        kept = () if deep else (name for name in folders if not name.startswith((".", "__MACOSX")))
        folders[:] = [name for name in kept if skip is None or not skip(name)]


def one_of(copies: Iterable[Path]) -> Path:
    """Return the first of several files of one name, by depth.

    Raises
    ------
    BadInput
        Where they differ.
    """
    first, *others = sorted(copies, key=lambda path: (len(path.parts), path))
    for other in others:
        if other.stat().st_size != first.stat().st_size or other.read_bytes() != first.read_bytes():
            raise BadInput(f"{first} and {other} have the same name and differ; keep the right one")
    return first


def nearest_to(path: Path, candidates: Sequence[Path]) -> list[Path]:
    """Return those candidates whose folders have the most in common with the folders of ``path``."""
    shared = [len(os.path.commonpath([path.parent, one.parent])) for one in candidates]
    return [one for one, length in zip(candidates, shared, strict=True) if length == max(shared)]


def index_by_stem(folder: Path, suffixes: frozenset[str]) -> dict[str, list[Path]]:
    """Return the files below a folder that have one of the suffixes, by their name without it."""
    found: dict[str, list[Path]] = {}
    for at, _, inside in walk(folder):
        for name in inside:
            stem, dot, suffix = name.rpartition(".")
            if f"{dot}{suffix}".lower() in suffixes and stem and not stem.startswith("."):
                found.setdefault(stem, []).append(at / name)
    return found


def archives_below(root: Path) -> list[str]:
    """Return the names of archives below a root, to say that they must be unpacked first."""
    kinds = (".zip", ".tar", ".tgz", ".tar.gz", ".rar", ".7z")
    folders = walk(root, _FRAMES.fullmatch)
    return [name for _, _, inside in folders for name in inside if name.lower().endswith(kinds)]


def to_unpack(root: Path) -> str:
    """Return half a sentence that names archives to unpack, where there are any."""
    names = archives_below(root)
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


def short(value: object) -> str:
    """Return a value as one short line for a message."""
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


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
