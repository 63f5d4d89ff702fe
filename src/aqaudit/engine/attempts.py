"""Attempts: one request is asked until an answer comes, the cause is not one that passes, or waiting takes too long."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import anyio
import anyio.lowlevel

from aqaudit.engine.asking import Timed
from aqaudit.engine.limits import Breaker, RateLimit, StopAsking, back_off
from aqaudit.models.call import RETRYABLE, AskFailed

if TYPE_CHECKING:
    import random

    from aqaudit.engine.limits import Brakes
    from aqaudit.engine.progress import Tally
    from aqaudit.models.call import Call, Model
    from aqaudit.models.catalog import ModelEntry

_MOST = 8
#: A broken reply may have been paid for, so it is asked for less often.
_MOST_AFTER_BAD_RESPONSE = 3
#: The provider keeps the time limit itself; this much later it is kept for one that forgot.
_GRACE_S = 5.0


@dataclass(slots=True, kw_only=True)
class Line:
    """The way to one model: its limits, shared by all who ask it."""

    name: str
    model: Model
    entry: ModelEntry
    brakes: Brakes
    tally: Tally
    rng: random.Random
    max_wait_s: float
    breaker: Breaker = field(default_factory=Breaker)
    rate: RateLimit = field(init=False)

    def __post_init__(self) -> None:
        self.rate = RateLimit(self.entry.rpm)


@dataclass(slots=True, kw_only=True)
class Attempts:
    """The attempts at one request, over all steps of its chain; ``count`` says how many there were."""

    line: Line
    count: int = 0

    async def ask(self, call: Call) -> Timed:
        """Ask one call, again where that may help.

        Raises
        ------
        AskFailed
            The last failure.
        StopAsking
            The run is ending, or the model was given up.
        """
        line, waited, attempt = self.line, 0.0, 0
        while True:
            line.brakes.check()
            turn = line.rate.turn()
            if turn > 0 and not await line.brakes.pause(turn, line.breaker):
                raise StopAsking
            aside = await line.brakes.admit(line.name, line.breaker)
            attempt += 1
            self.count += 1
            try:
                return await self._once(call, aside)
            except AskFailed as failed:
                line.breaker.failure(failed)
                wait = back_off(attempt, failed, line.rng)
                most = _MOST_AFTER_BAD_RESPONSE if failed.cause == "bad_response" else _MOST
                over = failed.cause not in RETRYABLE or attempt >= most or waited + wait > line.max_wait_s
                if over or line.breaker.opened:
                    raise
                line.tally.retries += 1
                if not await line.brakes.pause(wait, line.breaker):
                    raise
                waited += wait

    async def _once(self, call: Call, aside: float) -> Timed:
        line = self.line
        budget, timeout_s = line.brakes.budget, line.entry.timeout_s
        usd: float | None = None
        began = time.monotonic()
        try:
            with anyio.fail_after(timeout_s + _GRACE_S):
                reply = await line.model.ask(call)
            usd = reply.usd
        except AskFailed:
            raise
        except anyio.get_cancelled_exc_class():
            # A cancellation of ours goes on from here; one that a provider let slip out must not end the run.
            await anyio.lowlevel.checkpoint_if_cancelled()
            raise AskFailed("internal", f"the provider of model '{line.name}' cancelled its own request") from None
        except Exception as error:
            raise slipped_out(error, line.name, timeout_s) from error
        finally:
            budget.end(line.name, aside, usd)
        if usd is None and budget.max_usd is not None:
            line.brakes.stop(f"--max-usd: model '{line.name}' does not say what it used, so what is spent is unknown")
        line.breaker.success()
        return Timed(reply=reply, seconds=time.monotonic() - began)


def slipped_out(error: Exception, name: str, timeout_s: float) -> AskFailed:
    """Return as a failure what the provider of a model let slip out.

    A message of unknown origin could hold a key, so only its kind is kept.
    """
    if isinstance(error, TimeoutError):
        return AskFailed("timeout", f"no answer within {timeout_s:g} s")
    return AskFailed("internal", f"{type(error).__name__} in the provider of model '{name}'")
