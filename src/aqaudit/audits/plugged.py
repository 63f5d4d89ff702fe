"""Audits that plug-ins offer under ``aqaudit.audits``, and the figures of measures under ``aqaudit.measures``."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from aqaudit import plugins
from aqaudit.audits.declaration import Audit
from aqaudit.audits.finding import Finding
from aqaudit.audits.scope import headline_scopes
from aqaudit.measures import plugged as measures
from aqaudit.records import BadInput

if TYPE_CHECKING:
    from collections.abc import Iterator

    import polars as pl

    from aqaudit.sidecars import Sidecars

GROUP = "aqaudit.audits"


def plugged(name: str) -> Audit:
    """Return the audit of a plug-in.

    Raises
    ------
    BadInput
        It does not load, is no audit, or is called otherwise than its entry point.
    """
    from aqaudit.audits import AUDITS  # noqa: PLC0415 - which imports this module

    if complaint := plugins.taken(GROUP, name, (*AUDITS, "measures")):
        raise complaint
    offered = plugins.load(GROUP, name)
    if not isinstance(offered, Audit):
        raise plugins.wrong(GROUP, name, offered, "an aqaudit.audits.Audit")
    if offered.name != name:
        raise BadInput(f"audit plug-in {name!r} calls itself {offered.name!r}; both names must be the same")
    return offered


def findings(frame: pl.DataFrame, sidecars: Sidecars) -> Iterator[Finding]:
    """Yield what the audits and measures of plug-ins say; one that fails says why instead."""
    for name in plugins.points(GROUP):
        try:
            yield from _checked(name, plugged(name), frame, sidecars)
        except BadInput as error:
            yield _skipped(name, str(error))
    for name in plugins.points(measures.GROUP):
        try:
            yield from _of_measure(name, frame)
        except BadInput as error:
            yield _skipped("measures", str(error))


def versions() -> dict[str, str]:
    """Return the plug-ins that findings may come from, with their versions, for the signature."""
    return {
        f"{group.rpartition('.')[2]}.{name}": plugins.version_of(group, name)
        for group in (GROUP, measures.GROUP)
        for name in plugins.points(group)
    }


def _checked(name: str, audit: Audit, frame: pl.DataFrame, sidecars: Sidecars) -> list[Finding]:
    try:
        found = audit(frame, sidecars)
    except Exception as error:
        said = " ".join(str(error).split())
        raise BadInput(f"audit plug-in {name!r} failed: {type(error).__name__}: {said}") from error
    for finding in found:
        if not isinstance(finding, Finding) or finding.audit != name:
            raise BadInput(f"audit plug-in {name!r} returned something that is no finding of its own")
    return found


def _of_measure(name: str, frame: pl.DataFrame) -> list[Finding]:
    measure = measures.plugged(name)
    found = []
    for scope in headline_scopes(frame):
        if scope.labels["kind"] not in measure.kinds:
            continue
        try:
            estimate = measure(scope.rows)
        except Exception as error:
            said = " ".join(str(error).split())
            raise BadInput(f"measure plug-in {name!r} failed: {type(error).__name__}: {said}") from error
        found.append(
            replace(
                Finding.of("measures", scope.labels, name, estimate),
                verdict="skipped",
                citation=measure.citation,
                why=estimate.why or "a measure of a plug-in is shown, not judged",
                summary=measure.what,
                question="What else was measured?",
                details=dict(estimate.details),
            )
        )
    return found


def _skipped(name: str, why: str) -> Finding:
    return Finding(audit=name, scope={}, measure="", value=None, verdict="skipped", why=why, summary=f"Not made: {why}")
