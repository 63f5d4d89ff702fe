"""Progress of a run: one line on a terminal's standard error, gone when the run ends; nothing anywhere else."""

from __future__ import annotations

import shutil
import sys
import time
from collections import Counter
from dataclasses import dataclass, field
from typing import TextIO

from aqaudit.core.schema import Answer


@dataclass(slots=True, kw_only=True)
class Tally:
    """What a run has done so far. ``planned`` counts requests of this run's plan, ``found`` those answered before."""

    planned: int = 0
    found: int = 0
    relabelled: int = 0
    answered: int = 0
    failed: Counter[str] = field(default_factory=Counter)
    unreadable: int = 0
    retries: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    usd: float = 0.0
    unpriced: int = 0
    began: float = field(default_factory=time.monotonic)

    def answer(self, answer: Answer) -> None:
        """Count an answer."""
        self.answered += 1
        self.unreadable += answer.parse != "ok"
        self.input_tokens += answer.input_tokens or 0
        self.output_tokens += answer.output_tokens or 0
        self.usd += answer.usd or 0.0
        self.unpriced += answer.usd is None

    @property
    def left(self) -> int:
        """Requests of the plan that are neither answered nor failed."""
        return max(0, self.planned - self.found - self.answered - sum(self.failed.values()))

    @property
    def rate(self) -> float:
        """Answers a second in this run."""
        return self.answered / max(1e-9, time.monotonic() - self.began)

    def line(self, width: int = 200) -> str:
        """Return the progress in one line of at most ``width`` characters; what has no room is left out whole."""
        failed = sum(self.failed.values())
        eta = span(self.left / self.rate) if self.answered else "?"
        money = "price unknown" if self.unpriced == self.answered > 0 else f"{self.usd:.2f} USD"
        if 0 < self.unpriced < self.answered:
            money += f" + {self.unpriced} of unknown price"
        line = f"{self.found + self.answered}/{self.planned}, {failed} failed"
        tokens = f"{quantity(self.input_tokens)} in, {quantity(self.output_tokens)} out"
        again = f"{self.retries} tried again" if self.retries else ""
        for part in filter(None, (f"{eta} left", f"{self.rate:.1f}/s", again, money, tokens)):
            if len(line) + len(part) + 2 <= width:
                line += f", {part}"
        return line[:width]


class ProgressLine:
    """Draws a tally on a terminal; does nothing where standard error is no terminal."""

    def __init__(self, stream: TextIO | None = None, *, quiet: bool = False) -> None:
        self._stream = stream or sys.stderr
        self.active = not quiet and self._stream.isatty()

    def draw(self, tally: Tally) -> None:
        """Draw or redraw the line."""
        if self.active:
            width = shutil.get_terminal_size().columns - 1
            self._stream.write(f"\r{tally.line(width):<{width}}")
            self._stream.flush()

    def clear(self) -> None:
        """Take the line away."""
        if self.active:
            self._stream.write("\r\x1b[K")
            self._stream.flush()


def span(seconds: float) -> str:
    """Return a duration in words short enough for a progress line: ``42 s``, ``3 min``, ``2 h 05 min``."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 90 else f"{minutes // 60} h {minutes % 60:02d} min"


def quantity(tokens: float) -> str:
    """Return a number of tokens in short form: ``950 tok``, ``12k tok``, ``3.4M tok``."""
    if tokens < 1000:
        return f"{tokens:.0f} tok"
    return f"{tokens / 1000:.0f}k tok" if tokens < 1e6 else f"{tokens / 1e6:.1f}M tok"
