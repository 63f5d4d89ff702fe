"""What every data set reader offers: its facts, a way to read a root and a way to check one."""

from __future__ import annotations

import gc
import hashlib
import json
import os
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Never

from aqaudit.core.records import BadInput, Dataset, Kind, Mask, Performance, nearest

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


#: Where broadcasts put scores and names while somebody performs. Ours: chosen without the videos.
CORNERS = ((0.0, 0.0, 0.3, 0.2), (0.7, 0.0, 1.0, 0.2), (0.0, 0.8, 0.3, 1.0), (0.7, 0.8, 1.0, 1.0))


def masks_of(reader: str, value: object) -> tuple[Mask, ...]:
    """Return masks for ``"none"``, ``"corners"``, or a list of [x0, y0, x1, y1] in shares of width and height.

    Raises
    ------
    BadInput
        For anything else.
    """
    if value in ("none", "corners"):
        return tuple(Mask(box=box, relative=True) for box in (CORNERS if value == "corners" else ()))
    boxes = value if isinstance(value, list | tuple) else [value]
    return tuple(_mask(reader, box) for box in boxes)


def _mask(reader: str, box: object) -> Mask:
    numbers = [float(one) for one in box if _is_share(one)] if isinstance(box, list | tuple) else []
    if not isinstance(box, list | tuple) or len(box) != 4 or len(numbers) != 4:
        raise BadInput(
            f"masks of reader {reader!r} has {short(box)}; allowed: 'none', 'corners', or a list of"
            " [x0, y0, x1, y1] in shares of the picture, 0 to 1"
        )
    x0, y0, x1, y1 = numbers
    if x0 >= x1 or y0 >= y1:
        raise BadInput(f"masks of reader {reader!r} has {box}; x1 must be more than x0, and y1 more than y0")
    return Mask(box=(x0, y0, x1, y1), relative=True)


def _is_share(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value <= 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Count:
    """A number found below a root, beside the published one where there is one."""

    what: str
    found: int
    published: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """What a root holds.

    ``problems`` has one sentence for each record that contradicts itself, another one or the published description;
    ``notes`` say what could not be looked at and how records were read.
    """

    name: str
    root: Path
    counts: tuple[Count, ...]
    problems: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    def __str__(self) -> str:
        """Return the report as lines of text: counts, then notes, then every problem."""
        rows = [("", "found", "published", "")]
        for one in self.counts:
            published = "" if one.published is None else f"{one.published:,}"
            rows.append(
                (one.what, f"{one.found:,}", published, "" if one.published in {None, one.found} else "differs")
            )
        wide = max(len(what) for what, *_ in rows)
        lines = [f"{self.name} at {self.root}", ""]
        lines += [f"  {what:<{wide}}  {found:>7}  {said:>9}  {mark}".rstrip() for what, found, said, mark in rows]
        lines += ["", *(f"note: {note}" for note in self.notes)]
        number = f"{len(self.problems):,} problem{'' if len(self.problems) == 1 else 's'}"
        lines += [f"{number}{':' if self.problems else ''}", *(f"- {problem}" for problem in self.problems)]
        return "\n".join(lines)


@dataclass(frozen=True, slots=True, kw_only=True)
class Reader:
    """A data set that AQAudit can read. Plug-ins offer one under the entry point group ``aqaudit.datasets``.

    ``read(root, *, split=None, **options)`` returns the data set, or raises
    :class:`~aqaudit.core.records.BadInput` where the root cannot be used for a run; ``options`` are the names of its
    further arguments. ``check(root)`` looks through a root without needing all of it. ``performances`` is the published
    number of them. ``bundled`` returns the folder of a data set that comes with its reader, which is read where no root
    is given.
    """

    name: str
    what: str
    licence: str
    kinds: tuple[Kind, ...]
    read: Callable[..., Dataset]
    check: Callable[[Path], Report]
    performances: int | None = None
    options: tuple[str, ...] = ()
    bundled: Callable[[], Path] | None = None


def drawn_split(dataset: str, group: str, *, train: float = 1 / 3) -> str:
    """Return ``train`` or ``test`` for a group of performances where the data set has no usable division.

    Drawn from the group's name alone, so that a part of the data set is divided as the whole is. Ours, not published.
    """
    drawn = int(hashlib.sha256(f"{dataset}/{group}".encode()).hexdigest()[:8], 16) / 2**32
    return "train" if drawn < train else "test"


def partial_or_refused(partial: object, reader: str, message: Callable[[], str], listed: Sequence[str]) -> list[str]:
    """Return ``listed``, a sentence for each thing that is not here, where the user reads what is here.

    ``message`` is made only where it is needed: it may look through folders.

    Raises
    ------
    BadInput
        With ``message``, where something is listed and ``partial`` was not asked for.
    """
    if not isinstance(partial, bool):
        raise BadInput(f"partial of reader {reader!r} is {partial!r}; allowed: true or false")
    if listed and not partial:
        raise BadInput(f"{message()}; or read what is here with options = {{ partial = true }}")
    return list(listed)


def option_of(reader: str, name: str, value: object, allowed: Sequence[str]) -> str:
    """Return an option's value.

    Raises
    ------
    BadInput
        Where it is none of those allowed.
    """
    if value not in allowed:
        raise BadInput(f"{name} of reader {reader!r} is {value!r}{nearest(str(value), allowed)}")
    return str(value)


def options_of(reader: str, name: str, value: object, allowed: Sequence[str]) -> tuple[str, ...]:
    """Return the values of an option that is one of those allowed, a list of them, or ``"all"``.

    Raises
    ------
    BadInput
        Where it is none of these.
    """
    if value == "all":
        return tuple(allowed)
    values = list(value) if isinstance(value, list | tuple) else [value]
    if not values:
        raise BadInput(f"{name} of reader {reader!r} is empty; allowed: {', '.join(allowed)}, a list of them, or all")
    return tuple(dict.fromkeys(option_of(reader, name, one, allowed) for one in values))


def check_split(where: object, split: str | None, names: Sequence[str] = ("train", "test")) -> None:
    """Check that a split is one of those that a data set has.

    Raises
    ------
    BadInput
        It is not; the message names them.
    """
    if split is not None and split not in names:
        raise BadInput(
            f"{where}: nothing is in split {split!r}{nearest(str(split), names)}; splits here: {', '.join(names)}"
        )


def of_split(performances: Sequence[Performance], split: str | None, where: str) -> Sequence[Performance]:
    """Return the performances of one split, all of them when none is asked for.

    Raises
    ------
    BadInput
        Where nothing is in that split; the message names the splits that there are. Where there is nothing at all.
    """
    if not performances:
        of = "" if split is None else f" of split {split!r}"
        raise BadInput(f"{where}: nothing{of} is here that can be asked about; `aqaudit data check` says what is")
    if split is None:
        return performances
    kept = [performance for performance in performances if performance.split == split]
    if kept:
        return kept
    sizes = Counter(performance.split for performance in performances)
    if not any(sizes):
        raise BadInput(f"{where}: split {split!r} was asked for, but no performance names a split; leave split out")
    there = ", ".join(f"{name or 'none'} ({size:,})" for name, size in sorted(sizes.items()))
    raise BadInput(f"{where}: nothing is in split {split!r}{nearest(split, filter(None, sizes))}; splits here: {there}")
