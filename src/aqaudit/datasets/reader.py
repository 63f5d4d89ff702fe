"""What every data set reader offers: its facts, a way to read a root and a way to check one."""

from __future__ import annotations

import hashlib
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

from aqaudit.records import BadInput, nearest

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from aqaudit.records import Dataset, Kind, Performance


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

    ``read(root, *, split=None, **options)`` returns the data set, or raises :class:`~aqaudit.records.BadInput` where
    the root cannot be used for a run; ``options`` are the names of its further arguments. ``check(root)`` looks through
    a root without needing all of it. ``performances`` is the published number of them. ``bundled`` returns the folder
    of a data set that comes with its reader, which is read where no root is given.
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
