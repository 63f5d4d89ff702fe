"""What an audit declares about itself."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    import polars as pl

    from aqaudit.audits.finding import Finding, Verdict
    from aqaudit.sidecars import Sidecars

Expected = Literal["target", "entailed", "unrelated"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Audit:
    """An audit that describes itself; calling it on an answers table gives its findings.

    ``run`` is a pure function of a complete answers table (all columns of :data:`aqaudit.table.SCHEMA`) and the
    sidecars that there are. It returns at least one finding: where it cannot be made, one whose verdict is ``skipped``
    and whose ``why`` says what is lacking.

    ``question`` is what it answers in plain words, ``figures`` the measures of its findings and what each is,
    ``interval`` how their uncertainty is found, ``rule`` how the verdict follows, ``advice`` what to do when it fails.

    ``judges`` names the simulated judges (:data:`aqaudit.models.planted.JUDGES`) that the audit must call out
    (*target*) and those whose flaw shows here as well (*entailed*); about every other judge it must keep quiet. It
    calls a judge out when a finding on one of the measures of ``calls`` has the verdict stated there, the strongest
    that the measure can have.
    """

    name: str
    question: str
    figures: Mapping[str, str]
    interval: str
    rule: str
    advice: str
    citation: str
    run: Callable[[pl.DataFrame, Sidecars], list[Finding]]
    judges: Mapping[str, Expected] = field(default_factory=dict)
    calls: Mapping[str, Verdict] = field(default_factory=dict)

    def __call__(self, frame: pl.DataFrame, sidecars: Sidecars) -> list[Finding]:
        """Return the findings on ``frame``."""
        return self.run(frame, sidecars)

    def calls_out(self, findings: Iterable[Finding]) -> bool:
        """Return whether findings of this audit call the judge out."""
        return any(self.calls.get(finding.measure) == finding.verdict for finding in findings)

    def expects(self, judge: str) -> Expected:
        """Return what the audit is to make of a simulated judge."""
        return self.judges.get(judge, "unrelated")


def judges(*, target: tuple[str, ...], entailed: tuple[str, ...] = ()) -> dict[str, Expected]:
    """Return a declaration for :attr:`Audit.judges`."""
    return {**dict.fromkeys(entailed, "entailed"), **dict.fromkeys(target, "target")}
