"""Audits: one file each, pure functions of an answers table that return findings.

``audit(frame)`` runs them all. An audit that lacks what it needs says so in a finding whose verdict is ``skipped``.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from aqaudit import table
from aqaudit.audits import permutation
from aqaudit.audits.chance import chance
from aqaudit.audits.finding import Finding
from aqaudit.audits.signature import format_signature, signature
from aqaudit.records import BadInput

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    import polars as pl

__all__ = ["AUDITS", "AuditResult", "Finding", "as_json", "audit", "format_signature"]

AUDITS: Mapping[str, Callable[[pl.DataFrame], list[Finding]]] = {"chance": chance}
"""Audit name -> function of a complete answers table (all columns of :data:`aqaudit.table.SCHEMA`)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditResult:
    """All findings of all audits, and the signature of what they depend on."""

    findings: tuple[Finding, ...]
    signature: Mapping[str, object]

    @property
    def skipped(self) -> dict[str, str]:
        """Why audits were skipped: audit name -> reason."""
        return {f.audit: f.why for f in self.findings if f.verdict == "skipped" and not f.scope}


def audit(frame: pl.DataFrame) -> AuditResult:
    """Run every audit on an answers table.

    Parameters
    ----------
    frame : polars.DataFrame
        Answers; columns that are missing get the import defaults of :func:`aqaudit.table.normalise`. A table that
        cannot be completed gives findings that say ``skipped`` and name what it lacks.

    Returns
    -------
    AuditResult
        The same frame gives the same result to the last digit, whatever the order of its rows.
    """
    settings = {"permutation_draws": permutation.DRAWS, "seed": permutation.SEED}
    try:
        complete = table.normalise(frame)
    except BadInput as problem:
        skipped = tuple(_skipped(name, str(problem)) for name in AUDITS)
        return AuditResult(findings=skipped, signature=signature(frame, settings))
    findings = tuple(finding for run in AUDITS.values() for finding in run(complete))
    return AuditResult(findings=findings, signature=signature(complete, settings))


def as_json(result: AuditResult) -> dict[str, object]:
    """Return what ``aqaudit audit --json`` writes: values unrounded, null where there is none."""
    return {
        "signature": dict(result.signature),
        "findings": [{key: _plain(value) for key, value in finding.as_json().items()} for finding in result.findings],
    }


def _plain(value: object) -> object:
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _skipped(name: str, why: str) -> Finding:
    return Finding(audit=name, scope={}, measure="", value=None, verdict="skipped", why=why, summary=f"Not made: {why}")
