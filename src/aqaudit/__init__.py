"""AQAudit tells whether a vision-language model can judge how well an action was performed.

The commands as a library::

    from aqaudit import Study, audit, read_answers, report, run

    outcome = run(Study.read("study.toml"), out="out/my-study")
    result = audit("out/my-study")
    page = report("out/my-study")
"""

from __future__ import annotations

from importlib import import_module
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

from aqaudit.core.records import BadInput

if TYPE_CHECKING:
    from aqaudit.api import AuditResult, Outcome, Study, audit, compare, gate, read_answers, report, run, run_async

__version__ = version("aqaudit")

__all__ = [
    "AuditResult",
    "BadInput",
    "Outcome",
    "Study",
    "__version__",
    "audit",
    "compare",
    "gate",
    "read_answers",
    "report",
    "run",
    "run_async",
]


def __getattr__(name: str) -> Any:
    # Polars and what else the functions need take half a second to import: only those who use them wait.
    if name in __all__:
        return getattr(import_module("aqaudit.api"), name)
    raise AttributeError(f"module 'aqaudit' has no attribute '{name}'")
