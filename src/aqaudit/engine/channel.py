"""The channel to a model: a request becomes calls, each is asked until an answer comes or it makes no sense to go on.

Rate, budget and what ends a run early are kept here, in one place for all who ask.
"""

from __future__ import annotations

import logging
import math
import random
import shutil
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import anyio
import anyio.lowlevel

from aqaudit.core.records import MediaPart, Request, Shown, Slot
from aqaudit.engine.journal import EarlierCall
from aqaudit.engine.progress import Tally
from aqaudit.models.call import FATAL, RETRYABLE, AskFailed, Call, Model, Reply
from aqaudit.models.settings import ModelEntry
from aqaudit.prompts.framing import option_words

_log = logging.getLogger(__name__)

#: So many attempts in a row with a cause that says "this model cannot be used" stop the model.
BREAKER = 10
#: Back-off: the first wait, and the longest one without a server's word.
FIRST_WAIT_S, LONGEST_WAIT_S = 0.5, 60.0
#: Below so much free space nothing more is asked.
DISK_RESERVE = 32 * 2**20
#: Seconds between two looks at the free space.
_DISK_EVERY_S = 0.5
#: Most attempts at one request; a broken reply may have been paid for, so it is asked for less often.
_MOST, _MOST_AFTER_BAD_RESPONSE = 8, 3
#: The provider keeps the time limit itself; this much later it is kept for one that forgot.
_GRACE_S = 5.0


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

    def hold(self, model: str) -> float | None:
        """Count a request that is about to be sent, and return the money held for it.

        None where one more request to the model might pass the money limit.
        """
        price = self.highest.get(model, self.guess_usd.get(model, 0.0))
        first_is_out = model not in self.highest and self.in_flight[model] > 0
        if self.max_usd is not None and (self.usd + self.reserved + price > self.max_usd or first_is_out):
            return None
        self.requests += 1
        self.in_flight[model] += 1
        self.reserved += price
        return price

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


class StopAsking(Exception):  # noqa: N818 - not an error: the request stays unasked
    """The run is ending; the request is left for the next one."""


class StopController:
    """What ends a run early: a signal, a budget, a full disk. What is in flight is finished, nothing more started.

    ``reason`` says why the run is ending, None while it is not.
    """

    def __init__(self, folder: Path, budget: Budget) -> None:
        self.budget = budget
        self.reason: str | None = None
        self._folder = folder
        self._looked_at_disk = -math.inf
        self._event = anyio.Event()

    def stop(self, reason: str) -> None:
        """End the run; the first reason given stands."""
        if self.reason is None:
            self.reason = reason
            _log.info("ending the run: %s", reason)
            self._event.set()

    def check(self) -> None:
        """Raise :class:`StopAsking` when nothing more may be asked."""
        now, most = time.monotonic(), self.budget.max_requests
        if now - self._looked_at_disk > _DISK_EVERY_S:
            self._looked_at_disk = now
            free = shutil.disk_usage(self._folder).free
            if free < DISK_RESERVE:
                self.stop(f"disk full: {free // 2**20} MiB free for {self._folder}")
        if most is not None and self.budget.requests >= most:
            self.stop(f"--max-requests {most} reached")
        if self.reason is not None:
            raise StopAsking

    async def admit(self, model: str, breaker: Breaker) -> float:
        """Let one request start, once money is sure to be left for it; return the money held for it.

        Raises
        ------
        StopAsking
            The run is ending, or the model was given up meanwhile.
        """
        budget = self.budget
        while True:
            self.check()
            if breaker.opened:
                raise StopAsking
            held = budget.hold(model)
            if held is not None:
                return held
            # What is in flight may turn out cheaper than the money held for it.
            if budget.in_flight.total() == 0:
                price = budget.highest.get(model, budget.guess_usd.get(model, 0.0))
                self.stop(
                    f"--max-usd {budget.max_usd:g} reached: {budget.usd:.4f} USD spent, "
                    f"next request up to {price:.4f} USD"
                )
            else:
                await budget.wait_for_an_end()

    async def pause(self, seconds: float, breaker: Breaker) -> bool:
        """Wait before an attempt; return False when the run or the model is given up meanwhile."""
        with anyio.move_on_after(seconds):
            async with anyio.create_task_group() as group:

                async def watch(event: anyio.Event) -> None:
                    await event.wait()
                    group.cancel_scope.cancel()

                group.start_soon(watch, self._event)
                group.start_soon(watch, breaker.event)
        return not (self.reason or breaker.opened)


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
        what = f"{call.request.answer_key[:12]} of models.{channel.name}"
        while True:
            channel.controller.check()
            turn = channel.rate.turn()
            if turn > 0 and not await channel.controller.pause(turn, channel.breaker):
                raise StopAsking
            held = await channel.controller.admit(channel.name, channel.breaker)
            attempt += 1
            self.count += 1
            try:
                timed = await self._once(call, held)
            except AskFailed as failed:
                channel.breaker.failure(failed)
                wait = back_off(attempt, failed, channel.rng)
                most = _MOST_AFTER_BAD_RESPONSE if failed.cause == "bad_response" else _MOST
                over = failed.cause not in RETRYABLE or attempt >= most or waited + wait > channel.max_wait_s
                again = "" if over or channel.breaker.opened else f"; again in {wait:.1f} s"
                _log.info("asked %s, attempt %d: %s: %s%s", what, attempt, failed.cause, failed.message, again)
                if not again:
                    raise
                channel.tally.retries += 1
                if not await channel.controller.pause(wait, channel.breaker):
                    raise
                waited += wait
            else:
                reply = timed.reply
                _log.info(
                    "asked %s, attempt %d: answered in %.2f s, finish reason %s, tokens in %s, out %s",
                    what, attempt, timed.seconds, reply.finish_reason, reply.input_tokens, reply.output_tokens,
                )  # fmt: skip
                return timed

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
    _log.debug("the provider of models.%s let an exception slip out", name, exc_info=error)
    if isinstance(error, TimeoutError):
        return AskFailed("timeout", f"no answer within {timeout_s:g} s")
    return AskFailed("internal", f"{type(error).__name__} in the provider of model '{name}'")


#: The kind of file that goes into a prompt as words.
TEXT = "text/plain"


@dataclass(frozen=True, slots=True, kw_only=True)
class Timed:
    """A reply and how long it took."""

    reply: Reply
    seconds: float


async def ask_chain(
    request: Request,
    shown: Sequence[Shown],
    earlier: Sequence[EarlierCall],
    ask: Callable[[Call], Awaitable[Timed]],
    keep: Callable[[EarlierCall], Awaitable[None]],
) -> tuple[Timed, list[EarlierCall]]:
    """Ask a chain's steps in turn; return the last reply and the earlier ones.

    Parameters
    ----------
    shown
        What is shown: the performances asked about in their order, then those of the examples.
    earlier
        Replies that an interrupted attempt already brought: those steps are not asked again.
    ask
        Asks one call, with retries.
    keep
        Stores the reply of an earlier step at once.

    Raises
    ------
    AskFailed
        A step brought no answer.
    """
    steps = request.chain.steps
    done = list(earlier[: len(steps) - 1])
    for index in range(len(done), len(steps)):
        final = index == len(steps) - 1
        timed = await ask(call_of(request, shown, done, index))
        if final:
            return timed, done
        done.append(earlier_call(index, steps[index].name, timed))
        await keep(done[-1])
    raise AssertionError("a chain has at least one step")


def call_of(request: Request, shown: Sequence[Shown], done: Sequence[EarlierCall], index: int) -> Call:
    """Return a step of a chain as a call: its text, media in their places, and the replies to earlier steps."""
    steps = request.chain.steps
    asked = 1 if request.question.other is None else 2
    parts: list[str | MediaPart] = []
    for part in steps[index].parts:
        if not isinstance(part, Slot):
            parts.append(part)
            continue
        number = (part.step or 1) - 1
        if part.name == "step":
            parts.append(done[number].said)
            continue
        # Examples come behind the performances asked about.
        place = {"first": 0, "second": 1, "shot": asked + number}[part.name]
        parts += [one.path.read_text(encoding="utf-8") if one.mime == TEXT else one for one in shown[place].parts]
    final = index == len(steps) - 1
    return Call(
        parts=tuple(parts),
        request=request,
        option_words=option_words(request.question, request.cell.answer_words) if final else (),
        seed=request.seed,
        final=final,
    )


def earlier_call(index: int, name: str, timed: Timed) -> EarlierCall:
    """Return the reply to a step as the journal keeps it."""
    reply = timed.reply
    return EarlierCall(
        step=index,
        name=name,
        said=reply.text,
        reasoning=reply.reasoning,
        finish_reason=reply.finish_reason,
        input_tokens=reply.input_tokens,
        output_tokens=reply.output_tokens,
        reasoning_tokens=reply.reasoning_tokens,
        seconds=timed.seconds,
        usd=reply.usd,
    )
