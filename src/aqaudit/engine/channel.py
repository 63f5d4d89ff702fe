"""Attempts: one request is asked until an answer comes, the cause is not one that passes, or waiting takes too long."""

from __future__ import annotations

import math
import random
import shutil
import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import anyio
import anyio.lowlevel

from aqaudit.engine.asking import Timed
from aqaudit.engine.progress import Tally
from aqaudit.models.call import FATAL, RETRYABLE, AskFailed, Call, Model
from aqaudit.models.settings import ModelEntry

#: So many attempts in a row with a cause that says "this model cannot be used" stop the model.
BREAKER = 10
#: Back-off: the first wait, and the longest one without a server's word.
FIRST_WAIT_S, LONGEST_WAIT_S = 0.5, 60.0
#: Below so much free space nothing more is asked.
DISK_RESERVE = 32 * 2**20


class RateLimit:
    """At most ``rpm`` starts a minute, evenly spaced; without a limit it never waits."""

    def __init__(self, rpm: float | None) -> None:
        self._gap = 60.0 / rpm if rpm else 0.0
        self._next = 0.0

    def turn(self) -> float:
        """Take the next free start; return how many seconds from now it is."""
        if not self._gap:
            return 0.0
        now = time.monotonic()
        start = max(now, self._next)
        self._next = start + self._gap
        return start - now


@dataclass(slots=True, kw_only=True)
class Breaker:
    """Opens after :data:`BREAKER` fatal failures in a row of one model; any other outcome starts the count anew."""

    in_a_row: int = 0
    opened: str | None = None
    event: anyio.Event = field(default_factory=anyio.Event)

    def success(self) -> None:
        """Note that the model answered."""
        self.in_a_row = 0

    def failure(self, failed: AskFailed) -> None:
        """Note a failed attempt."""
        self.in_a_row = self.in_a_row + 1 if failed.cause in FATAL else 0
        if self.in_a_row >= BREAKER and self.opened is None:
            self.opened = f"{BREAKER} in a row: {failed.cause}: {failed.message}"
            self.event.set()


def back_off(attempt: int, failed: AskFailed, rng: random.Random) -> float:
    """Return how long to wait before the next attempt: what the server asked for, else doubling, with jitter.

    ``attempt`` counts from 1. A server's ``Retry-After`` is a lower bound and gets jitter on top, so that waiting
    requests do not all come back in the same instant. A server that says "now" again and again is not asked eight
    times in that instant: from the second attempt on, our own wait is a lower bound too.
    """
    own = min(LONGEST_WAIT_S, FIRST_WAIT_S * 2.0 ** (attempt - 1)) * (0.5 + rng.random() / 2)
    told = failed.retry_after_s
    if told is None or math.isnan(told):
        return own
    return max(told * (1 + 0.1 * rng.random()), 0.0 if attempt == 1 else own)


@dataclass(slots=True, kw_only=True)
class Budget:
    """What a run may still spend, in requests and in money; both count over one run, retries included.

    Under a money limit, what is in flight is reserved at the highest price its model has shown so far, and until a
    model has shown one (``guess_usd`` by model stands in for it) only one of its requests is in flight; so a run stops
    before, not after, the limit.
    """

    max_requests: int | None = None
    max_usd: float | None = None
    guess_usd: Mapping[str, float] = field(default_factory=dict)
    requests: int = 0
    usd: float = 0.0
    reserved: float = 0.0
    in_flight: Counter[str] = field(default_factory=Counter)
    highest: dict[str, float] = field(default_factory=dict)
    _ended: anyio.Event = field(default_factory=anyio.Event)

    def spent_requests(self) -> str | None:
        """Say that no further request may start because of their number, or None."""
        over = self.max_requests is not None and self.requests >= self.max_requests
        return f"--max-requests {self.max_requests} reached" if over else None

    def short_of_money(self, model: str) -> str | None:
        """Say that one more request to a model might pass the money limit, or None."""
        if self.max_usd is None:
            return None
        each = self._price(model)
        first_is_out = model not in self.highest and self.in_flight[model] > 0
        if self.usd + self.reserved + each <= self.max_usd and not first_is_out:
            return None
        return f"--max-usd {self.max_usd:g} reached: {self.usd:.4f} USD spent, next request up to {each:.4f} USD"

    def start(self, model: str) -> float:
        """Count a request that is about to be sent; return the money put aside for it."""
        self.requests += 1
        self.in_flight[model] += 1
        self.reserved += (held := self._price(model))
        return held

    def end(self, model: str, held: float, usd: float | None) -> None:
        """Count what came of it; None when it failed or has no price."""
        self.in_flight[model] -= 1
        self.reserved = self.reserved - held if self.in_flight.total() else 0.0
        if usd is not None:
            self.usd += usd
            self.highest[model] = max(self.highest.get(model, 0.0), usd)
        self._ended.set()
        self._ended = anyio.Event()

    async def wait_for_an_end(self) -> None:
        """Wait until a request in flight has ended."""
        await self._ended.wait()

    def _price(self, model: str) -> float:
        return self.highest.get(model, self.guess_usd.get(model, 0.0))


class DiskWatch:
    """Tells, at most twice a second, whether the folder's disk has room for more answers."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._checked = -1.0
        self._full: str | None = None

    def refusal(self) -> str | None:
        """Say that the disk is full, or None."""
        now = time.monotonic()
        if now - self._checked > 0.5:
            free = shutil.disk_usage(self._folder).free
            self._full = f"disk full: {free // 2**20} MiB free for {self._folder}" if free < DISK_RESERVE else None
            self._checked = now
        return self._full


class StopAsking(Exception):  # noqa: N818 - not an error: the request stays unasked
    """The run is ending; the request is left for the next one."""


class StopController:
    """What ends a run early: a signal, a budget, a full disk. What is in flight is finished, nothing more started."""

    def __init__(self, disk: DiskWatch, budget: Budget) -> None:
        self._disk = disk
        self.budget = budget
        self.reason: str | None = None
        self._event = anyio.Event()

    @property
    def on(self) -> bool:
        """Whether the run is ending."""
        return self.reason is not None

    def stop(self, reason: str) -> None:
        """End the run; the first reason given stands."""
        if self.reason is None:
            self.reason = reason
            self._event.set()

    def check(self) -> None:
        """Raise :class:`StopAsking` when nothing more may be asked."""
        if not self.on and (reason := self._disk.refusal() or self.budget.spent_requests()):
            self.stop(reason)
        if self.on:
            raise StopAsking

    async def admit(self, model: str, breaker: Breaker) -> float:
        """Let one request start, once money is sure to be left for it; return the money put aside.

        Raises
        ------
        StopAsking
            The run is ending, or the model was given up meanwhile.
        """
        self.check()
        while reason := self.budget.short_of_money(model):
            # What is in flight may turn out cheaper than was put aside for it.
            if self.budget.in_flight.total() == 0:
                self.stop(reason)
            else:
                await self.budget.wait_for_an_end()
            self.check()
        if breaker.opened:
            raise StopAsking
        return self.budget.start(model)

    async def pause(self, seconds: float, breaker: Breaker) -> bool:
        """Wait before an attempt; return False when the run or the model is given up meanwhile."""
        with anyio.move_on_after(seconds):
            async with anyio.create_task_group() as group:

                async def watch(event: anyio.Event) -> None:
                    await event.wait()
                    group.cancel_scope.cancel()

                group.start_soon(watch, self._event)
                group.start_soon(watch, breaker.event)
        return not (self.on or breaker.opened)


_MOST = 8
#: A broken reply may have been paid for, so it is asked for less often.
_MOST_AFTER_BAD_RESPONSE = 3
#: The provider keeps the time limit itself; this much later it is kept for one that forgot.
_GRACE_S = 5.0


@dataclass(slots=True, kw_only=True)
class ModelChannel:
    """The way to one model: its limits, shared by all who ask it."""

    name: str
    model: Model
    entry: ModelEntry
    controller: StopController
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

    channel: ModelChannel
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
        channel, waited, attempt = self.channel, 0.0, 0
        while True:
            channel.controller.check()
            turn = channel.rate.turn()
            if turn > 0 and not await channel.controller.pause(turn, channel.breaker):
                raise StopAsking
            held = await channel.controller.admit(channel.name, channel.breaker)
            attempt += 1
            self.count += 1
            try:
                return await self._once(call, held)
            except AskFailed as failed:
                channel.breaker.failure(failed)
                wait = back_off(attempt, failed, channel.rng)
                most = _MOST_AFTER_BAD_RESPONSE if failed.cause == "bad_response" else _MOST
                over = failed.cause not in RETRYABLE or attempt >= most or waited + wait > channel.max_wait_s
                if over or channel.breaker.opened:
                    raise
                channel.tally.retries += 1
                if not await channel.controller.pause(wait, channel.breaker):
                    raise
                waited += wait

    async def _once(self, call: Call, held: float) -> Timed:
        channel = self.channel
        budget, timeout_s = channel.controller.budget, channel.entry.timeout_s
        usd: float | None = None
        began = time.monotonic()
        try:
            with anyio.fail_after(timeout_s + _GRACE_S):
                reply = await channel.model.ask(call)
            usd = reply.usd
        except AskFailed:
            raise
        except anyio.get_cancelled_exc_class():
            # A cancellation of ours goes on from here; one that a provider let slip out must not end the run.
            await anyio.lowlevel.checkpoint_if_cancelled()
            raise AskFailed("internal", f"the provider of model '{channel.name}' cancelled its own request") from None
        except Exception as error:
            raise slipped_out(error, channel.name, timeout_s) from error
        finally:
            budget.end(channel.name, held, usd)
        if usd is None and budget.max_usd is not None:
            channel.controller.stop(
                f"--max-usd: model '{channel.name}' does not say what it used, so what is spent is unknown"
            )
        channel.breaker.success()
        return Timed(reply=reply, seconds=time.monotonic() - began)


def slipped_out(error: Exception, name: str, timeout_s: float) -> AskFailed:
    """Return as a failure what the provider of a model let slip out.

    A message of unknown origin could hold a key, so only its kind is kept.
    """
    if isinstance(error, TimeoutError):
        return AskFailed("timeout", f"no answer within {timeout_s:g} s")
    return AskFailed("internal", f"{type(error).__name__} in the provider of model '{name}'")
