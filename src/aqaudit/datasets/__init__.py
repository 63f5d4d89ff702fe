"""Data sets: readers by name, and what a root holds compared with what was published.

Built-in readers are modules of this package, loaded when they are used. A plug-in offers a
:class:`~aqaudit.datasets.reader.Reader` under the entry point group ``aqaudit.datasets``.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path

from aqaudit.core.plugins import PlugIns
from aqaudit.core.records import BadInput, Dataset, Kind, nearest
from aqaudit.datasets.reader import Count, Reader, Report

__all__ = ["READERS", "Count", "Known", "Reader", "Report", "check", "known", "read"]

_BUILT_IN = ("folder", "llm_fms", "egoexo_fitness", "fitness_aqa", "finefs", "mtl_aqa", "ui_prmd", "probe")

PLUG_INS = PlugIns(
    group="aqaudit.datasets",
    kind="data set",
    wanted="a aqaudit.datasets Reader",
    built_in=lambda: _BUILT_IN,
    read=lambda _, offered: offered if isinstance(offered, Reader) else None,
)


class _Readers(Mapping[str, Reader]):
    """Readers by name; a name is looked up without loading the others."""

    def __getitem__(self, name: str) -> Reader:
        if name in _BUILT_IN:
            reader: Reader = import_module(f"{__name__}.readers.{name}").READER
            return reader
        if name not in PLUG_INS.names():
            raise KeyError(name)
        return PLUG_INS.load(name)

    def __iter__(self) -> Iterator[str]:
        yield from _BUILT_IN
        yield from PLUG_INS.names()

    def __len__(self) -> int:
        return len(_BUILT_IN) + len(PLUG_INS.names())


READERS: Mapping[str, Reader] = _Readers()


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """A row of the list of known data sets; ``failed`` says why a plug-in does not load."""

    name: str
    what: str = ""
    licence: str = ""
    kinds: tuple[Kind, ...] = ()
    performances: int | None = None
    failed: str = ""

    def __str__(self) -> str:
        """Return two lines of text."""
        if self.failed:
            return f"{self.name}: {self.failed}"
        size = "" if self.performances is None else f"{self.performances:,} performances; "
        return f"{self.name}: {self.what}\n    {size}{', '.join(self.kinds)}; licence: {self.licence}"


def read(reader: str, root: Path | None = None, *, split: str | None = None, **options: object) -> Dataset:
    """Read a data set.

    Parameters
    ----------
    reader
        Name in :data:`READERS`.
    root
        Folder with the data; may be left out where the reader comes with its own.
    split
        Keep the performances of this split only.
    **options
        What the reader names in ``Reader.options``.

    Raises
    ------
    BadInput
        For an unknown reader or option, a root that is no folder, an empty split, and everything in the data that
        cannot be used.
    """
    found, folder = _reader(reader, root)
    for option in options:
        if option not in found.options:
            raise BadInput(f"reader {reader!r} has no option {option!r}{nearest(option, found.options)}")
    return found.read(folder, split=split, **options)


def check(reader: str, root: Path | None = None) -> Report:
    """Say what a root holds, against the published counts, with every problem found.

    Raises
    ------
    BadInput
        For an unknown reader and a root that is no folder or holds nothing of this data set.
    """
    found, folder = _reader(reader, root)
    return found.check(folder)


def known() -> list[Known]:
    """Return the data sets that can be read, built-in ones first; a plug-in that does not load says why."""
    rows = []
    for name in READERS:
        try:
            reader = READERS[name]
        except BadInput as error:
            rows.append(Known(name=name, failed=str(error)))
        else:
            rows.append(
                Known(
                    name=name,
                    what=reader.what,
                    licence=reader.licence,
                    kinds=reader.kinds,
                    performances=reader.performances,
                )
            )
    return rows


def _reader(name: str, root: Path | None) -> tuple[Reader, Path]:
    if name not in set(READERS):
        raise BadInput(f"no data set reader is called {name!r}{nearest(name, READERS)}")
    if root is None:
        reader = READERS[name]
        if reader.bundled is None:
            raise BadInput(f"data set {name!r} needs a root: the folder that holds it")
        return reader, reader.bundled()
    if not root.is_dir():
        is_file = " (it is a file)" if root.exists() else ""
        raise BadInput(f"root of data set {name!r}: {root} is not a folder{is_file}")
    return READERS[name], root
