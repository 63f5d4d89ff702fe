"""What a data set reader is: its facts, a way to read a root and a way to check one; and what all readers do alike.

That is: check their options, keep one split, say what is not here, and draw a split where none was published.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from aqaudit.core.records import BadInput, Dataset, Kind, Mask, Performance, nearest

#: Where broadcasts put scores and names while somebody performs. Ours: chosen without the videos.
CORNERS = ((0.0, 0.0, 0.3, 0.2), (0.7, 0.0, 1.0, 0.2), (0.0, 0.8, 0.3, 1.0), (0.7, 0.8, 1.0, 1.0))


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


def short(value: object) -> str:
    """Return a value as one short line for a message."""
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


def true_or_false(reader: str, name: str, value: object) -> bool:
    """Return the value of an option that is a truth value.

    Raises
    ------
    BadInput
        Where it is none.
    """
    if not isinstance(value, bool):
        raise BadInput(f"{name} of reader {reader!r} is {value!r}; allowed: true or false")
    return value


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


def partial_or_refused(partial: object, reader: str, message: Callable[[], str], listed: Sequence[str]) -> list[str]:
    """Return ``listed``, a sentence for each thing that is not here, where the user reads what is here.

    ``message`` is made only where it is needed: it may look for archives.

    Raises
    ------
    BadInput
        With ``message``, where something is listed and ``partial`` was not asked for.
    """
    if not true_or_false(reader, "partial", partial) and listed:
        raise BadInput(f"{message()}; or read what is here with options = {{ partial = true }}")
    return list(listed)


def drawn_split(dataset: str, group: str) -> str:
    """Return ``train`` or ``test`` for a group of performances where the data set has no usable division.

    A third is for training. Drawn from the group's name alone, so that a part of the data set is divided as the whole
    is. Ours, not published.
    """
    drawn = int(hashlib.sha256(f"{dataset}/{group}".encode()).hexdigest()[:8], 16) / 2**32
    return "train" if drawn < 1 / 3 else "test"


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
