"""The run: asking what is missing, keeping every answer, reading what was said."""

from __future__ import annotations

import sys
from types import ModuleType
from typing import Any


class _Run(ModuleType):
    """Importing this package puts it in the place of the function ``aqaudit.run``, so it can be called as that one."""

    def __call__(self, *args: Any, **options: Any) -> Any:
        from aqaudit.library import run  # noqa: PLC0415

        return run(*args, **options)


sys.modules[__name__].__class__ = _Run
