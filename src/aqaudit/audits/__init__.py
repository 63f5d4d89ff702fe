"""Audits: one file each, pure functions of an answers table that return findings.

``audit(frame)`` runs them all. An audit that lacks what it needs says so in a finding whose verdict is ``skipped``.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING

import polars as pl

from aqaudit import table
from aqaudit.audits import (
    calibration,
    chance,
    collapse,
    consistency,
    correctness,
    framing,
    order,
    permutation,
    plugged,
    psychometric,
    subgroups,
    traces,
    vision,
)
from aqaudit.audits.declaration import Audit
from aqaudit.audits.finding import Finding
from aqaudit.audits.scope import remembered
from aqaudit.audits.signature import format_signature, rows_hash, signature
from aqaudit.records import BadInput

if TYPE_CHECKING:
    from collections.abc import Mapping

    from aqaudit.sidecars import Sidecars

__all__ = ["AUDITS", "Audit", "AuditResult", "Finding", "audit", "format_signature"]

_MODULES = (
    chance,
    correctness,
    framing,
    collapse,
    order,
    vision,
    traces,
    calibration,
    consistency,
    psychometric,
    subgroups,
)

AUDITS: Mapping[str, Audit] = {module.AUDIT.name: module.AUDIT for module in _MODULES}
"""Audit name -> audit, in the order of the contract."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditResult:
    """All findings of all audits, and the signature of what they depend on."""

    findings: tuple[Finding, ...]
    signature: Mapping[str, object]

    @property
    def skipped(self) -> dict[str, str]:
        """Why audits were skipped: audit name -> reason."""
        return {f.audit: f.why for f in self.findings if f.verdict == "skipped" and not f.scope}

    def as_json(self) -> dict[str, object]:
        """Return what ``aqaudit audit --json`` writes: values unrounded, null where there is none."""
        return {
            "signature": dict(self.signature),
            "findings": [{key: _plain(value) for key, value in finding.as_json().items()} for finding in self.findings],
        }

    def to_frame(self) -> pl.DataFrame:
        """Return the findings as a frame, one row each: the fields of the JSON, every key of a scope a column."""
        keys = list(dict.fromkeys(key for finding in self.findings for key in finding.scope))
        rows = []
        for finding in self.findings:
            row = finding.as_json()
            scope = {key: finding.scope.get(key) for key in keys}
            rows.append({"audit": row.pop("audit"), **scope, **{k: v for k, v in row.items() if k != "scope"}})
        return pl.DataFrame(rows, infer_schema_length=None, strict=False)

    def _repr_html_(self) -> str:
        """Show the headline findings as a table, in a notebook; text of others is escaped."""
        heads = ("model", "dataset", "task", "audit", "measure", "value", "95 % interval", "n", "verdict")
        lines = []
        for one in self.findings:
            if not one.headline:
                continue
            interval = "" if one.low is None or one.high is None else f"{one.low:.2f} to {one.high:.2f}"
            value = "" if one.value is None else f"{one.value:.2f}"
            scope = (one.scope.get(key, "") for key in heads[:3])
            lines.append((*scope, one.audit, one.measure, value, interval, str(one.n), one.verdict.replace("_", " ")))
        body = "".join(f"<tr>{''.join(f'<td>{escape(cell)}</td>' for cell in line)}</tr>" for line in lines)
        head = "".join(f"<th>{name}</th>" for name in heads)
        return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


def audit(frame: pl.DataFrame, sidecars: Sidecars | None = None) -> AuditResult:
    """Run every audit on an answers table and the sidecars that belong to it.

    Parameters
    ----------
    frame : polars.DataFrame
        Answers; columns that are missing get the import defaults of :func:`aqaudit.table.normalise`. A table that
        cannot be completed gives findings that say ``skipped`` and name what it lacks.
    sidecars : mapping, optional
        Tables beside the answers, as :func:`aqaudit.sidecars.read_sidecars` returns them.

    Returns
    -------
    AuditResult
        The same frame gives the same result to the last digit, whatever the order of its rows.
    """
    beside = sidecars or {}
    settings: dict[str, object] = {"permutation_draws": permutation.DRAWS, "seed": permutation.SEED}
    if beside:
        settings["sidecars"] = {f"{name}.sha256": rows_hash(beside[name])[:12] for name in sorted(beside)}
    if others := plugged.versions():
        settings["plug_ins"] = others
    try:
        complete = table.normalise(frame)
    except BadInput as problem:
        skipped = tuple(_skipped(name, str(problem)) for name in AUDITS)
        return AuditResult(findings=skipped, signature=signature(frame, settings))
    with remembered(complete):
        findings = tuple(finding for one in AUDITS.values() for finding in one(complete, beside))
    findings += tuple(plugged.findings(complete, beside))
    return AuditResult(findings=findings, signature=signature(complete, settings))


def _plain(value: object) -> object:
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _skipped(name: str, why: str) -> Finding:
    return Finding(audit=name, scope={}, measure="", value=None, verdict="skipped", why=why, summary=f"Not made: {why}")
