"""AQAudit tells whether a vision-language model can judge how well an action was performed.

The commands as a library::

    from aqaudit import Study, audit, read_answers, report, run

    outcome = run(Study.read("study.toml"), out="out/my-study")
    result = audit(read_answers("out/my-study"))
    page = report("out/my-study")
"""

from __future__ import annotations

from importlib.metadata import version
from typing import TYPE_CHECKING, Any

from aqaudit.library import audit, report, run
from aqaudit.records import BadInput

if TYPE_CHECKING:
    from aqaudit.study import Study
    from aqaudit.table import read_answers

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
