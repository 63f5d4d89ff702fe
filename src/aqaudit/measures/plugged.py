"""Measures that plug-ins offer under the entry point group ``aqaudit.measures``."""

from __future__ import annotations

from aqaudit import plugins
from aqaudit.measures.measure import Measure
from aqaudit.records import BadInput

GROUP = "aqaudit.measures"


def plugged(name: str) -> Measure:
    """Return the measure of a plug-in.

    Raises
    ------
    BadInput
        It does not load, is no measure, or is called otherwise than its entry point.
    """
    from aqaudit.measures import MEASURES  # noqa: PLC0415 - the package imports all its measures

    if complaint := plugins.taken(GROUP, name, MEASURES):
        raise complaint
    offered = plugins.load(GROUP, name)
    if not isinstance(offered, Measure):
        raise plugins.wrong(GROUP, name, offered, "an aqaudit.measures.Measure")
    if offered.name != name:
        raise BadInput(f"measure plug-in {name!r} calls itself {offered.name!r}; both names must be the same")
    return offered
