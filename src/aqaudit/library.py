"""The commands as functions: run a study, audit answers, write a report."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import polars as pl

    from aqaudit.audits import AuditResult
    from aqaudit.run.engine import Outcome
    from aqaudit.sidecars import Sidecars
    from aqaudit.study import Study


def run(study: Study, *, out: str | Path, quiet: bool = True, **options: Any) -> Outcome:
    """Ask what is missing of a study and keep every answer in the folder ``out``.

    ``options`` are the fields of :class:`aqaudit.run.preparation.RunOptions`, as the command ``aqaudit run`` has them.

    Raises
    ------
    BadInput
        Anything given cannot be used; nothing was asked then.
    """
    from aqaudit.run.engine import run as run_engine  # noqa: PLC0415 - heavy imports wait until they are needed
    from aqaudit.run.preparation import RunOptions, prepare  # noqa: PLC0415

    study.import_providers()
    return run_engine(prepare(study, RunOptions(out=Path(out), **options)), quiet=quiet)


def audit(answers: pl.DataFrame, sidecars: Sidecars | None = None) -> AuditResult:
    """Run all audits on an answers table, as :func:`aqaudit.read_answers` returns it.

    ``sidecars`` are the tables beside it, as :func:`aqaudit.sidecars.read_sidecars` returns them.
    """
    from aqaudit import audits  # noqa: PLC0415

    return audits.audit(answers, sidecars)


def report(source: str | Path, *, out: str | Path | None = None, frames: bool = True) -> Path:
    """Write the report of a run folder or an answers file; return the path of the page."""
    from aqaudit.report.folder import write  # noqa: PLC0415

    return write(Path(source), None if out is None else Path(out), frames=frames)
