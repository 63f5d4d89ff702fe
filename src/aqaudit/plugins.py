"""Plug-ins: what other distributions add to AQAudit, found by entry points and loaded when they are used.

A distribution names what it offers under one of the groups of :data:`GROUPS`. What is built in cannot be replaced.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from importlib import import_module
from importlib.metadata import EntryPoint, entry_points
from typing import TYPE_CHECKING

from aqaudit.records import BadInput

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

#: Entry point group -> what a plug-in of it is called, and where the check of one is (module and function).
GROUPS: Mapping[str, tuple[str, str]] = {
    "aqaudit.datasets": ("data set", "aqaudit.datasets:plugged"),
    "aqaudit.models": ("model provider", "aqaudit.models.plugged:plugged"),
    "aqaudit.strategies": ("strategy", "aqaudit.prompts.plugged:plugged"),
    "aqaudit.audits": ("audit", "aqaudit.audits.plugged:plugged"),
    "aqaudit.measures": ("measure", "aqaudit.measures.plugged:plugged"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class PlugIn:
    """One entry point that is installed; ``failed`` says why it cannot be used, empty where it can."""

    kind: str
    name: str
    value: str
    distribution: str
    version: str
    failed: str


@cache
def points(group: str) -> Mapping[str, EntryPoint]:
    """Return the entry points of a group by name, in the order of their names; of two with one name, the first."""
    found: dict[str, EntryPoint] = {}
    for point in sorted(entry_points(group=group), key=lambda one: (one.name, one.value)):
        found.setdefault(point.name, point)
    return found


def load(group: str, name: str) -> object:
    """Return what an entry point stands for.

    Raises
    ------
    BadInput
        It does not load; the message says what was raised.
    """
    kind, point = GROUPS[group][0], points(group)[name]
    try:
        return point.load()
    except Exception as error:
        said = " ".join(str(error).split())
        raise BadInput(
            f"{kind} plug-in {name!r} ({point.value}) does not load: {type(error).__name__}: {said}"
        ) from error


def wrong(group: str, name: str, offered: object, wanted: str) -> BadInput:
    """Return the complaint about a plug-in that offers something else than its group asks for."""
    return BadInput(f"{GROUPS[group][0]} plug-in {name!r} offers a {type(offered).__name__}; allowed: {wanted}")


def taken(group: str, name: str, built_in: Iterable[str]) -> BadInput | None:
    """Return the complaint about a plug-in that has the name of something built in."""
    if name not in set(built_in):
        return None
    return BadInput(f"{GROUPS[group][0]} plug-in {name!r} has the name of a built-in one and is left out; rename it")


def installed() -> list[PlugIn]:
    """Return every plug-in that is installed, each loaded once to see whether it can be used."""
    found = []
    for group, (kind, check) in GROUPS.items():
        module, _, function = check.partition(":")
        for name, point in points(group).items():
            failed = ""
            try:
                getattr(import_module(module), function)(name)
            except BadInput as error:
                failed = str(error)
            made_by = point.dist
            found.append(
                PlugIn(
                    kind=kind,
                    name=name,
                    value=point.value,
                    distribution=made_by.name if made_by is not None else "unknown",
                    version=made_by.version if made_by is not None else "unknown",
                    failed=failed,
                )
            )
    return found


def version_of(group: str, name: str) -> str:
    """Return the distribution that offers a plug-in and its version, for signatures."""
    made_by = points(group)[name].dist
    return "unknown" if made_by is None else f"{made_by.name} {made_by.version}"
