"""The state of a run folder, read while a run may be going on."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

from aqaudit.engine import folder
from aqaudit.engine.journal import Journal
from aqaudit.engine.progress import quantity, span
from aqaudit.records import BadInput

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path


@dataclass(frozen=True, slots=True, kw_only=True)
class RunState:
    """Done, failed, left, spent and rate. ``unpriced`` answers have no known price, which is not a price of zero."""

    study: str
    running: bool
    ended: str | None
    planned: int | None
    answered: Mapping[str, int]
    failed: Mapping[str, Mapping[str, int]]
    usd: float
    unpriced: int
    input_tokens: int
    output_tokens: int
    rate: float | None

    @property
    def done(self) -> int:
        """Answers of all models."""
        return sum(self.answered.values())

    @property
    def left(self) -> int | None:
        """Requests of the last plan without an answer or a failure; None when no plan was finished."""
        failures = sum(sum(causes.values()) for causes in self.failed.values())
        return None if self.planned is None else max(0, self.planned - self.done - failures)

    @property
    def seconds_left(self) -> float | None:
        """How long the rest takes at the present rate; None where no run is going on or nothing is known of either."""
        return self.left / self.rate if self.running and self.rate and self.left is not None else None

    def as_json(self) -> dict[str, object]:
        """Return the state as plain values, unrounded; null where something is not known."""
        return {**asdict(self), "done": self.done, "left": self.left, "seconds_left": self.seconds_left}

    def lines(self) -> list[str]:
        """Return the state in lines for a terminal."""
        now = "running" if self.running else f"not running ({self.ended or 'never ended'})"
        total = "?" if self.planned is None else str(self.planned)
        lines = [f"study {self.study}: {now}", f"done    {self.done} of {total}"]
        lines += [f"  {model}: {n}" for model, n in sorted(self.answered.items())]
        failures = sum(sum(causes.values()) for causes in self.failed.values())
        lines.append(f"failed  {failures}")
        for model, causes in sorted(self.failed.items()):
            lines += [f"  {model}: {cause}: {n}" for cause, n in sorted(causes.items(), key=lambda c: (-c[1], c[0]))]
        lines.append(f"left    {'?' if self.left is None else self.left}")
        money = "unknown" if self.unpriced == self.done > 0 else f"{self.usd:.4f} USD"
        if 0 < self.unpriced < self.done:
            money += f" and {self.unpriced} answers of unknown price"
        lines.append(f"spent   {money}, {quantity(self.input_tokens)} in, {quantity(self.output_tokens)} out")
        if self.rate:
            eta = f", {span(self.seconds_left)} to go" if self.seconds_left else ""
            lines.append(f"rate    {self.rate:.2f} answers a second{eta}")
        return lines


def read_state(path: Path) -> RunState:
    """Read the state of a run folder.

    Raises
    ------
    BadInput
        It is not one.
    """
    if folder.study_of(path) is None:
        raise BadInput(f"{path}: no answers.sqlite here; expected the output folder of a run")
    journal = Journal(path / folder.JOURNAL, read_only=True)
    try:
        usd, tokens_in, tokens_out, unpriced = journal.spent()
        planned = journal.meta("planned")
        state = journal.meta("state")
        return RunState(
            study=journal.meta("study") or "?",
            running=folder.is_locked(path),
            ended=None if state == "running" else state,
            planned=None if planned is None else int(planned),
            answered=journal.answered_by_model(),
            failed=journal.counts()[1],
            usd=usd,
            unpriced=unpriced,
            input_tokens=tokens_in,
            output_tokens=tokens_out,
            rate=journal.recent_rate(),
        )
    finally:
        journal.close()
