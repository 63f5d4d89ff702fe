"""Log lines for whoever hunts a problem: modules log with ``logging.getLogger(__name__)``, all below ``aqaudit``.

Nothing is printed unless a program asks for it, as ``aqaudit run --verbose`` does.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from aqaudit.core.text import clean, without_secrets

#: Most characters of a record that are printed.
_LONGEST = 20_000

# Without a handler of its own, what is logged would go to Python's handler of last resort.
logging.getLogger("aqaudit").addHandler(logging.NullHandler())


class _Formatter(logging.Formatter):
    """Time, level, module and message on one line, a traceback on lines of its own; printable, without secrets."""

    def __init__(self) -> None:
        super().__init__("%(asctime)s.%(msecs)03d %(levelname)-5s %(name)s: %(message)s", datefmt="%H:%M:%S")

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 - logging's name
        record.message = " ".join(record.message.split())
        return super().formatMessage(record)

    def format(self, record: logging.LogRecord) -> str:
        return clean(without_secrets(super().format(record)), _LONGEST, lines=True)


@contextmanager
def to_stderr() -> Iterator[None]:
    """Print AQAudit's log lines, all levels, on standard error while inside the ``with``."""
    logger, handler = logging.getLogger("aqaudit"), logging.StreamHandler(sys.stderr)
    handler.setFormatter(_Formatter())
    level, propagate = logger.level, logger.propagate
    logger.addHandler(handler)
    logger.setLevel(logging.DEBUG)
    logger.propagate = False  # a library's handler at the root would print the line again, secrets and all
    try:
        yield
    finally:
        logger.removeHandler(handler)
        logger.setLevel(level)
        logger.propagate = propagate
