"""Plug-ins: what other distributions add to AQAudit, found by entry points and loaded when they are used.

Every room that takes plug-ins declares one :class:`PlugIns`. What is built in cannot be replaced.
"""

from __future__ import annotations

from collections.abc import Callable, Container
from dataclasses import dataclass
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from typing import Generic, TypeVar

from aqaudit.core.records import BadInput

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Installed:
    """One plug-in that is installed; ``failed`` says why it cannot be used, empty where it can."""

    kind: str
    name: str
    value: str
    distribution: str
    version: str
    failed: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PlugIns(Generic[T]):
    """The plug-ins of one kind: what distributions offer under one group of entry points.

    Attributes
    ----------
    group
        The group of entry points.
    kind
        What one of them is called in messages.
    wanted
        What an entry point must offer, in words; ``{name}`` in it stands for the plug-in's own.
    built_in
        Returns the names that plug-ins cannot have.
    read
        Takes the name of an entry point and what it offers; returns what is used of it, or None where it is something
        else than wanted. Raises :class:`BadInput` where it is of the right kind but unusable.
    """

    group: str
    kind: str
    wanted: str
    built_in: Callable[[], Container[str]]
    read: Callable[[str, object], T | None]

    def names(self) -> tuple[str, ...]:
        """Return the names of those that can be asked for, in order; nothing is loaded."""
        taken = self.built_in()
        return tuple(name for name in _points(self.group) if name not in taken)

    def load(self, name: str) -> T:
        """Return what a plug-in offers.

        Raises
        ------
        BadInput
            It has the name of something built in, does not load, or offers something else than is wanted.
        """
        if name in self.built_in():
            raise BadInput(f"{self.kind} plug-in {name!r} has the name of a built-in one and is left out; rename it")
        point = _points(self.group)[name]
        try:
            offered = point.load()
        except Exception as error:
            said = " ".join(str(error).split())
            raise BadInput(
                f"{self.kind} plug-in {name!r} ({point.value}) does not load: {type(error).__name__}: {said}"
            ) from error
        found = self.read(name, offered)
        if found is None:
            allowed = self.wanted.format(name=name)
            raise BadInput(f"{self.kind} plug-in {name!r} offers a {type(offered).__name__}; allowed: {allowed}")
        return found

    def versions(self) -> dict[str, str]:
        """Return every name with the distribution that offers it and its version, for signatures."""
        return {name: "unknown" if point.dist is None else f"{point.dist.name} {point.dist.version}"
                for name, point in _points(self.group).items()}  # fmt: skip

    def installed(self) -> list[Installed]:
        """Return every one that is installed, each loaded once to see whether it can be used."""
        found = []
        for name, point in _points(self.group).items():
            failed = ""
            try:
                self.load(name)
            except BadInput as error:
                failed = str(error)
            found.append(
                Installed(
                    kind=self.kind,
                    name=name,
                    value=point.value,
                    distribution=point.dist.name if point.dist is not None else "unknown",
                    version=point.dist.version if point.dist is not None else "unknown",
                    failed=failed,
                )
            )
        return found


@cache
def _points(group: str) -> dict[str, EntryPoint]:
    """Return the entry points of a group by name, in the order of their names; of two with one name, the first."""
    found: dict[str, EntryPoint] = {}
    for point in sorted(entry_points(group=group), key=lambda one: (one.name, one.value)):
        found.setdefault(point.name, point)
    return found
