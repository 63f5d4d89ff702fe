"""Attempts: one request is asked until an answer comes, the cause is not one that passes, or waiting takes too long."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import anyio

from aqaudit.models.call import RETRYABLE, AskFailed
from aqaudit.run.asking import Timed
from aqaudit.run.limits import Breaker, RateLimit, back_off

if TYPE_CHECKING:
    import random

    from aqaudit.models.call import Call, Model
    from aqaudit.models.catalog import ModelEntry
    from aqaudit.run.limits import Brakes
    from aqaudit.run.progress import Tally

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
            The run is ending.
        """
        line, waited, attempt = self.line, 0.0, 0
        while True:
            line.brakes.check()
            await line.rate.wait()
            await line.brakes.admit()
            attempt += 1
            self.count += 1
            try:
                return await self._once(call)
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

    async def _once(self, call: Call) -> Timed:
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
        except TimeoutError:
            raise AskFailed("timeout", f"no answer within {timeout_s:g} s") from None
        except Exception as error:
            # A message of unknown origin could hold a key, so only its kind is kept.
            raise AskFailed("internal", f"{type(error).__name__} in the provider of model '{line.name}'") from error
        finally:
            budget.end(usd)
        line.breaker.success()
        return Timed(reply=reply, seconds=time.monotonic() - began)
