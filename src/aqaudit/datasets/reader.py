"""What every data set reader offers: its facts, a way to read a root and a way to check one."""

from __future__ import annotations

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

    @property
    def as_published(self) -> bool:
        """Whether every count that was published was also found."""
        return all(count.published in {None, count.found} for count in self.counts)

    def __str__(self) -> str:
        """Return the report as lines of text: counts, then notes, then every problem."""
        rows = [("", "found", "published")]
        rows += [(c.what, f"{c.found:,}", "" if c.published is None else f"{c.published:,}") for c in self.counts]
        wide = max(len(what) for what, _, _ in rows)
        lines = [f"{self.name} at {self.root}", ""]
        lines += [f"  {what:<{wide}}  {found:>9}  {published:>9}".rstrip() for what, found, published in rows]
        lines += ["", *(f"note: {note}" for note in self.notes)]
        lines += [f"{len(self.problems):,} problems{':' if self.problems else ''}", *(f"- {p}" for p in self.problems)]
        return "\n".join(lines)


@dataclass(frozen=True, slots=True, kw_only=True)
class Reader:
    """A data set that AQAudit can read. Plug-ins offer one under the entry point group ``aqaudit.datasets``.

    ``read(root, *, split=None, **options)`` returns the data set, or raises :class:`~aqaudit.records.BadInput` where
    the root cannot be used for a run; ``options`` are the names of its further arguments. ``check(root)`` looks through
    a root without needing all of it. ``performances`` is the published number of them.
    """

    name: str
    what: str
    licence: str
    kinds: tuple[Kind, ...]
    read: Callable[..., Dataset]
    check: Callable[[Path], Report]
    performances: int | None = None
    options: tuple[str, ...] = ()


def of_split(performances: Sequence[Performance], split: str | None, where: str) -> Sequence[Performance]:
    """Return the performances of one split, all of them when none is asked for.

    Raises
    ------
    BadInput
        Where nothing is in that split; the message names the splits that there are.
    """
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
