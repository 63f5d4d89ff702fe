"""The report: one self-contained page, tables and figures beside it, and the headline table of a terminal."""

from __future__ import annotations

import sys
from types import ModuleType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from aqaudit.report.folder import write

__all__ = ["write"]


def __getattr__(name: str) -> object:
    # Loaded when used: reading figures is much quicker than loading what writes a page.
    if name == "write":
        from aqaudit.report.folder import write  # noqa: PLC0415

        return write
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


class _Report(ModuleType):
    """Importing this package puts it in the place of the function ``aqaudit.report``, so it is called as that one."""

    def __call__(self, *args: Any, **options: Any) -> Any:
        from aqaudit.library import report  # noqa: PLC0415

        return report(*args, **options)


sys.modules[__name__].__class__ = _Report
