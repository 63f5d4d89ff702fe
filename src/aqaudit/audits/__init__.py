"""Audits: one file each, pure functions of an answers table that return findings.

``audit(frame)`` runs them all. An audit that lacks what it needs says so in a finding whose verdict is ``skipped``.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from html import escape
from itertools import chain

import polars as pl

from aqaudit import measures
from aqaudit.audits import (
    calibration,
    chance,
    collapse,
    consistency,
    correctness,
    findings_text,
    framing,
    order,
    permutation,
    psychometric,
    subgroups,
    traces,
    vision,
)
from aqaudit.audits.finding import Audit, Finding
from aqaudit.audits.scope import headline_scopes, remembered
from aqaudit.audits.signature import format_signature, rows_hash, signature
from aqaudit.core import table
from aqaudit.core.auxiliary import AuxiliaryTables
from aqaudit.core.plugins import PlugIns
from aqaudit.core.records import BadInput

__all__ = ["AUDITS", "PLUG_INS", "Audit", "AuditResult", "Finding", "audit", "format_signature"]

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
        """Return what ``aqaudit audit --json`` writes: every field of every finding, null where there is no value."""
        return {"signature": dict(self.signature), "findings": [finding.as_json() for finding in self.findings]}

    def to_frame(self) -> pl.DataFrame:
        """Return the findings as a frame, one row each: the fields of the JSON, every key of a scope a column.

        ``details`` differ from audit to audit and are JSON text.
        """
        keys = list(dict.fromkeys(key for finding in self.findings for key in finding.scope))
        rows = []
        for finding in self.findings:
            row = finding.as_json()
            row["details"] = json.dumps(row["details"], ensure_ascii=False)
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


def audit(frame: pl.DataFrame, auxiliary: AuxiliaryTables | None = None) -> AuditResult:
    """Run every audit on an answers table and the auxiliary tables that belong to it.

    Parameters
    ----------
    frame : polars.DataFrame
        Answers; columns that are missing get the import defaults of :func:`aqaudit.core.table.normalise`. A table that
        cannot be completed gives findings that say ``skipped`` and name what it lacks.
    auxiliary : mapping, optional
        Tables beside the answers, as :func:`aqaudit.core.auxiliary.read_auxiliary` returns them.

    Returns
    -------
    AuditResult
        The same frame gives the same result to the last digit, whatever the order of its rows.
    """
    beside = auxiliary or {}
    settings: dict[str, object] = {"permutation_draws": permutation.DRAWS, "seed": permutation.SEED}
    if beside:
        settings["sidecars"] = {f"{name}.sha256": rows_hash(beside[name])[:12] for name in sorted(beside)}
    if others := _plug_in_versions():
        settings["plug_ins"] = others
    try:
        complete = table.normalise(frame)
    except BadInput as problem:
        skipped = [findings_text.not_made(one.name, one.question, "", str(problem)) for one in AUDITS.values()]
        return AuditResult(findings=tuple(chain.from_iterable(skipped)), signature=signature(frame, settings))
    with remembered(complete):
        findings = tuple(finding for one in AUDITS.values() for finding in one(complete, beside))
    findings += tuple(_plug_in_findings(complete, beside))
    return AuditResult(findings=findings, signature=signature(complete, settings))


def _read(name: str, offered: object) -> Audit | None:
    if not isinstance(offered, Audit):
        return None
    if offered.name != name:
        raise BadInput(f"audit plug-in {name!r} calls itself {offered.name!r}; both names must be the same")
    return offered


PLUG_INS = PlugIns(
    group="aqaudit.audits",
    kind="audit",
    wanted="an aqaudit.audits.Audit",
    built_in=lambda: (*AUDITS, "measures"),
    read=_read,
)


def _plug_in_findings(frame: pl.DataFrame, auxiliary: AuxiliaryTables) -> Iterator[Finding]:
    """Yield what the audits and measures of plug-ins say; one that fails says why instead."""
    for name in PLUG_INS.versions():
        try:
            yield from _checked(name, PLUG_INS.load(name), frame, auxiliary)
        except BadInput as error:
            yield from findings_text.not_made(name, "", "", str(error))
    for name in measures.PLUG_INS.versions():
        try:
            yield from _of_measure(name, frame)
        except BadInput as error:
            yield from findings_text.not_made("measures", "", "", str(error))


def _plug_in_versions() -> dict[str, str]:
    """Return the plug-ins that findings may come from, with their versions, for the signature."""
    return {
        f"{plug_ins.group.rpartition('.')[2]}.{name}": version
        for plug_ins in (PLUG_INS, measures.PLUG_INS)
        for name, version in plug_ins.versions().items()
    }


def _checked(name: str, audit: Audit, frame: pl.DataFrame, auxiliary: AuxiliaryTables) -> list[Finding]:
    try:
        found = audit(frame, auxiliary)
    except Exception as error:
        said = " ".join(str(error).split())
        raise BadInput(f"audit plug-in {name!r} failed: {type(error).__name__}: {said}") from error
    for finding in found:
        if not isinstance(finding, Finding) or finding.audit != name:
            raise BadInput(f"audit plug-in {name!r} returned something that is no finding of its own")
    return found


def _of_measure(name: str, frame: pl.DataFrame) -> list[Finding]:
    measure = measures.PLUG_INS.load(name)
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
