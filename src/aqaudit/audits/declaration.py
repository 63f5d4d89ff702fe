"""What an audit declares about itself."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    import polars as pl

    from aqaudit.audits.finding import Finding
    from aqaudit.sidecars import Sidecars


@dataclass(frozen=True, slots=True, kw_only=True)
class Audit:
    """An audit that describes itself; calling it on an answers table gives its findings.

    ``run`` is a pure function of a complete answers table (all columns of :data:`aqaudit.table.SCHEMA`) and the
    sidecars that there are. It returns at least one finding: where it cannot be made, one whose verdict is ``skipped``
    and whose ``why`` says what is lacking.

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
    run: Callable[[pl.DataFrame, Sidecars], list[Finding]]

    def __call__(self, frame: pl.DataFrame, sidecars: Sidecars) -> list[Finding]:
        """Return the findings on ``frame``."""
        return self.run(frame, sidecars)
