"""AQAudit tells whether a vision-language model can judge how well an action was performed.

The commands as a library::

    from aqaudit import Study, audit, read_answers, report, run

    outcome = run(Study.read("study.toml"), out="out/my-study")
    result = audit(read_answers("out/my-study"))
    page = report("out/my-study")
"""

from __future__ import annotations

from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from aqaudit.records import BadInput

if TYPE_CHECKING:
    import polars as pl

    from aqaudit.audits import AuditResult
    from aqaudit.run.engine import Outcome
    from aqaudit.study import Study

__version__ = version("aqaudit")

__all__ = ["BadInput", "Study", "__version__", "audit", "read_answers", "report", "run"]


def __getattr__(name: str) -> Any:
    # Polars and pydantic take half a second to import: only those who use them wait.
    if name == "Study":
        from aqaudit.study import Study  # noqa: PLC0415

        return Study
    if name == "read_answers":
        from aqaudit.table import read_answers  # noqa: PLC0415

        return read_answers
    raise AttributeError(f"module 'aqaudit' has no attribute '{name}'")


def run(study: Study, *, out: str | Path, quiet: bool = True, **options: Any) -> Outcome:
    """Ask what is missing of a study and keep every answer in the folder ``out``.

    ``options`` are the fields of :class:`aqaudit.run.preparation.RunOptions`, as the command ``aqaudit run`` has them.

    Raises
    ------
    BadInput
        Anything given cannot be used; nothing was asked then.
    """
    from aqaudit.run.engine import run as run_engine  # noqa: PLC0415
    from aqaudit.run.preparation import RunOptions, prepare  # noqa: PLC0415

    return run_engine(prepare(study, RunOptions(out=Path(out), **options)), quiet=quiet)


def audit(answers: pl.DataFrame) -> AuditResult:
    """Run all audits on an answers table, as :func:`read_answers` returns it."""
    from aqaudit import audits  # noqa: PLC0415

    return audits.audit(answers)


def report(source: str | Path, *, out: str | Path | None = None, frames: bool = True) -> Path:
    """Write the report of a run folder or an answers file; return the path of the page."""
    from aqaudit.report.folder import write  # noqa: PLC0415

    return write(Path(source), None if out is None else Path(out), frames=frames)
