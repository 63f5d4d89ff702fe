"""What an audit is, and what it finds: plain records that reports, gates and files read."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Literal, TypeAlias

import numpy as np
import polars as pl

from aqaudit.core.auxiliary import AuxiliaryTables
from aqaudit.measures import Estimate

Json: TypeAlias = "bool | float | int | str | Sequence[Json] | Mapping[str, Json] | None"
"""A plain JSON value: what a report draws and lists beside the figure of a finding."""

Verdict = Literal["ok", "warn", "fail", "cannot_tell", "skipped"]

#: The first fields of a finding as JSON, in this order; others follow as they are declared.
_FIRST = (
    *("audit", "scope", "measure", "value", "low", "high", "chance", "n", "clusters", "headline", "verdict"),
    *("flag", "summary"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One result of one audit in one scope.

    ``value`` lies in [``low``, ``high``], a 95 % interval over ``clusters`` clusters; any of the three is None where it
    cannot be computed, and ``why`` then says why. ``chance`` is what an input-independent guess scores, ``baseline``
    what the best constant answer scores on the same rows. Only ``headline`` findings may say ``fail``. ``rows`` are
    answer keys of rows that show the finding (a sample, at most 20). ``details`` holds plain JSON values: what else a
    report may show, such as the points of a curve; ``docs/audits.md`` lists them by audit.
    """

    audit: str
    scope: Mapping[str, str]
    measure: str
    value: float | None
    low: float | None = None
    high: float | None = None
    chance: float | None = None
    baseline: float | None = None
    n: int = 0
    clusters: int = 0
    headline: bool = False
    verdict: Verdict = "cannot_tell"
    flag: str | None = None
    summary: str = ""
    question: str = ""
    why: str = ""
    advice: str = ""
    citation: str = ""
    details: Mapping[str, Json] = field(default_factory=dict)
    rows: tuple[str, ...] = ()

    @classmethod
    def of(cls, audit: str, scope: Mapping[str, str], measure: str, estimate: Estimate) -> Finding:
        """Return a finding that holds the figures of an estimate and nothing else yet."""
        return cls(
            audit=audit,
            scope=scope,
            measure=measure,
            value=estimate.value,
            low=estimate.low,
            high=estimate.high,
            chance=estimate.chance,
            baseline=estimate.baseline,
            n=estimate.n,
            clusters=estimate.clusters,
            flag=estimate.flag,
        )

    def as_json(self) -> dict[str, Json]:
        """Return every field as a plain JSON value, unrounded; numbers that are not finite become null."""
        others = (one.name for one in fields(self) if one.name not in _FIRST)
        return {name: plain(getattr(self, name)) for name in (*_FIRST, *others)}


def plain(value: object) -> Json:
    """Return a value as JSON has it: null for what is not finite, text for what JSON does not know."""
    if isinstance(value, np.generic | np.ndarray):
        value = value.tolist()
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if value is None or isinstance(value, str | int):
        return value
    if isinstance(value, Mapping):
        return {str(key): plain(inner) for key, inner in value.items()}
    if isinstance(value, Sequence):
        return [plain(inner) for inner in value]
    return str(value)


@dataclass(frozen=True, slots=True, kw_only=True)
class Audit:
    """An audit that describes itself; calling it on an answers table gives its findings.

    ``run`` is a pure function of a complete answers table (all columns of :data:`aqaudit.core.table.SCHEMA`) and the
    auxiliary tables that there are. It returns at least one finding: where it cannot be made, one whose verdict is
    ``skipped`` and whose ``why`` says what is lacking.

    ``question`` is what it answers in plain words, ``figures`` the measures of its findings and what each is,
    ``interval`` how their uncertainty is found, ``rule`` how the verdict follows, ``advice`` what to do when it fails.
    """

    name: str
    question: str
    figures: Mapping[str, str]
    interval: str
    rule: str
    advice: str
    citation: str
    run: Callable[[pl.DataFrame, AuxiliaryTables], list[Finding]]

    def __call__(self, frame: pl.DataFrame, auxiliary: AuxiliaryTables) -> list[Finding]:
        """Return the findings on ``frame``."""
        return self.run(frame, auxiliary)
