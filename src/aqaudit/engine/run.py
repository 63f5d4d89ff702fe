"""The run engine: asks what is missing, model by model and side by side, and keeps every answer as it comes."""

from __future__ import annotations

import gc
import logging
import random
import signal
import sqlite3
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from itertools import islice
from threading import Event
from typing import Any

import anyio
from anyio import to_thread

from aqaudit.core.records import BadInput, Request
from aqaudit.engine import folder
from aqaudit.engine.channel import Attempts, Budget, ModelChannel, StopAsking, StopController, ask_chain
from aqaudit.engine.estimate import check_prices, first_prices
from aqaudit.engine.executor import Executor, MediaCache, ThreadExecutor
from aqaudit.engine.follow_ups import FollowUpContext, FollowUpTally, FollowUpTask
from aqaudit.engine.journal import Change, DiskFullError, EarlierCall, Failure, Journal
from aqaudit.engine.kinematics import write_kinematics
from aqaudit.engine.preparation import Prepared
from aqaudit.engine.progress import ProgressLine, Tally
from aqaudit.engine.rows import answer_row, item_columns, item_digest
from aqaudit.engine.traces import TraceJudge, follow_up_tasks, open_judge
from aqaudit.models.call import AskFailed, Model
from aqaudit.study.requests import PlannedRequest, ways_of_showing

_log = logging.getLogger(__name__)

#: Requests whose keys are looked up in the journal at once.
CHUNK = 500
#: Models get so long to close their connections.
_CLOSE_S = 10.0


@dataclass(slots=True, kw_only=True)
class Queue:
    """The requests of one model that have no answer yet, looked up a chunk at a time as the plan is walked."""

    channel: ModelChannel
    planned: Iterator[PlannedRequest]
    ready: deque[Request] = field(default_factory=deque)
    turn: anyio.Lock = field(default_factory=anyio.Lock)
    walked: int = 0
    ended: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """How a run ended.

    ``stopped`` says why it ended early; ``given_up`` which models were given up and why; ``notes`` what of the clips
    could not be measured.
    """

    tally: Tally
    stopped: str | None
    given_up: Mapping[str, str]
    follow_ups: tuple[FollowUpTally, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def complete(self) -> bool:
        """Whether every request of the plan has an answer."""
        unasked = any(follow_up.failed for follow_up in self.follow_ups)
        return not (self.stopped or self.given_up or self.tally.failed or self.tally.left or unasked)


def run_prepared(prepared: Prepared, *, quiet: bool = False, stop: Event | None = None) -> Outcome:
    """Run a prepared study to its end and export its tables.

    ``stop`` ends the run as Ctrl-C does when somebody sets it: nothing new is asked, what is in flight is kept.

    Raises
    ------
    BadInput
        A model cannot be opened (no key), its price is unknown under a money limit, or the folder cannot be used;
        nothing was asked then.
    """
    study, options = prepared.study, prepared.options
    budget = Budget(max_requests=options.max_requests, max_usd=options.max_usd)
    if options.max_usd is not None:
        check_prices(prepared)
        budget.guess_usd = first_prices(prepared)
    with _executor(prepared) as executor:
        models = {name: executor.open(name, entry) for name, entry in study.models.items()}
        judge = open_judge(study, options, executor.open)
        return _run(prepared, executor, models, judge, budget, quiet=quiet, stop=stop)


def _run(
    prepared: Prepared,
    executor: Executor,
    models: Mapping[str, Model],
    judge: TraceJudge | None,
    budget: Budget,
    *,
    quiet: bool,
    stop: Event | None,
) -> Outcome:
    study, options = prepared.study, prepared.options
    with folder.opened(options.out, study.name) as journal:
        executor.begin()
        folder.keep_study(options.out, study.text)
        folder.keep_datasets(options.out, (planned.dataset for planned in prepared.plan.datasets))

        async def main() -> Outcome:
            engine = _Engine(prepared, executor, journal, budget, ProgressLine(quiet=quiet), stop)
            try:
                outcome = await engine.run(models)
                for task in follow_up_tasks(study, models, options.limit, judge):
                    outcome = outcome if outcome.stopped else await engine.follow_up(task, outcome)
                return outcome
            finally:
                await _close(models if judge is None else {**models, "": judge.model})

        outcome = None
        # The plan and the libraries live as long as the run: the collector need not walk through them at every request,
        # nor now, when somebody waits for the first one.
        gc.freeze()
        try:
            outcome = anyio.run(main)
        finally:
            gc.unfreeze()
            # The journal holds everything; a table that cannot be written now is written by the next run.
            problem = folder.try_export(options.out, journal)
        notes: list[str] = []
        try:
            notes = write_kinematics(prepared, anew=outcome.tally.answered > 0)
        except OSError as error:
            problem = problem or f"kinematics in {options.out} cannot be written: {error.strerror or error}"
        outcome = replace(outcome, notes=tuple(notes))
        return outcome if problem is None else replace(outcome, stopped=outcome.stopped or problem)


@contextmanager
def _executor(prepared: Prepared) -> Iterator[Executor]:
    """Yield the executor that a run asks for, and let it go at the end.

    Raises
    ------
    BadInput
        There is no cluster to work on.
    """
    if prepared.options.engine == "ray":
        from aqaudit.engine.ray import workers  # noqa: PLC0415 - an extra

        with workers(prepared) as executor:
            yield executor
    else:
        yield ThreadExecutor(prepared)


async def _close(models: Mapping[str, Model]) -> None:
    with anyio.move_on_after(_CLOSE_S, shield=True):
        for name, model in models.items():
            with suppress(Exception):
                await model.aclose()
                _log.debug("closed models.%s", name)


class _Engine:
    """One run of a prepared study into an open journal."""

    def __init__(
        self,
        prepared: Prepared,
        executor: Executor,
        journal: Journal,
        budget: Budget,
        progress: ProgressLine,
        stop: Event | None,
    ) -> None:
        self._prepared = prepared
        self._executor = executor
        self._options = prepared.options
        self._journal = journal
        self._progress = progress
        self._stop = stop
        self._journal_turn = anyio.CapacityLimiter(1)
        self._controller = StopController(self._options.out, budget)
        self._media_cache = MediaCache(executor.media, executor.prepare, prepared, journal, self._in_journal)
        self._tally = Tally()
        self._answered: set[str] = set()
        self._fault: Exception | None = None
        self._lost = 0

    async def run(self, models: Mapping[str, Model]) -> Outcome:
        """Ask everything that is missing; return when all is asked, given up or stopped.

        Raises
        ------
        BadInput
            The journal cannot be read, or the plan cannot be written out. What was in flight is kept before.
        """
        plan, rng = self._prepared.plan, random.Random(self._prepared.study.spec.seed)
        channels = [
            ModelChannel(
                name=name,
                model=models[name],
                entry=entry,
                controller=self._controller,
                tally=self._tally,
                rng=rng,
                max_wait_s=self._options.max_wait_s,
            )
            for name, entry in self._prepared.study.models.items()
        ]
        for channel in channels:
            size = plan.count(channel.name)
            self._tally.planned += size if self._options.limit is None else min(size, self._options.limit)
        await self._note("running")
        # Read whole, not looked up one by one: a tenth of the time, and a tenth of the memory that answering takes.
        self._answered = await self._in_journal(self._journal.answered)
        queues = []
        async with anyio.create_task_group() as background:
            async with anyio.create_task_group() as work:
                background.start_soon(self._watch_signals, work.cancel_scope)
                background.start_soon(self._watch_stop)
                background.start_soon(self._draw)
                for channel in channels:
                    planned = islice(plan.planned(channel.name), self._options.limit)
                    queue = Queue(channel=channel, planned=planned)
                    queues.append(queue)
                    for _ in range(self._executor.width(channel.entry)):
                        work.start_soon(self._work, channel, queue)
            if self._tally.found and not self._controller.reason:
                await self._relabel()
            background.cancel_scope.cancel()
        self._progress.clear()
        if all(queue.ended for queue in queues):
            # Now it is known how many of the planned ones were equal.
            self._tally.planned = sum(queue.walked for queue in queues)
        await self._note(self._controller.reason or "ended")
        if isinstance(self._fault, sqlite3.Error):
            raise BadInput(f"{self._journal.path}: cannot be read: {self._fault}; restore it or choose another --out")
        if self._fault is not None:
            raise self._fault
        given_up = {channel.name: channel.breaker.opened for channel in channels if channel.breaker.opened}
        return Outcome(tally=self._tally, stopped=self._stopped(), given_up=given_up)

    def _stopped(self) -> str | None:
        lost = f"; {self._lost} replies could not be kept and will be asked for again" if self._lost else ""
        return self._controller.reason and self._controller.reason + lost

    async def follow_up(self, task: FollowUpTask, outcome: Outcome) -> Outcome:
        """Let somebody ask about the answers that there are, within the limits of this run."""
        channel = ModelChannel(name=task.name, model=task.model, entry=task.entry,
                    controller=self._controller, tally=self._tally,
                    rng=random.Random(self._prepared.study.spec.seed), max_wait_s=self._options.max_wait_s)  # fmt: skip
        context = FollowUpContext(channel=channel, journal=self._journal, in_journal=self._in_journal, keep=self._keep,
                    media_cache=self._media_cache, plan=self._prepared.plan, tally=FollowUpTally(what=task.what)
                    )  # fmt: skip
        await task.begin(context)
        async with anyio.create_task_group() as background:
            async with anyio.create_task_group() as work:
                background.start_soon(self._watch_signals, work.cancel_scope)
                background.start_soon(self._watch_stop)
                for _ in range(self._executor.width(task.entry)):
                    work.start_soon(task.work, context)
            background.cancel_scope.cancel()
        given_up = {task.name: channel.breaker.opened} if channel.breaker.opened else {}
        return replace(outcome, follow_ups=(*outcome.follow_ups, context.tally), stopped=self._stopped(),
                       given_up={**outcome.given_up, **given_up})  # fmt: skip

    async def _note(self, state: str) -> None:
        facts = {"planned": str(self._tally.planned), "state": state}
        with suppress(DiskFullError):
            await self._in_journal(self._journal.set_meta, facts)

    async def _in_journal(self, function: Callable[..., Any], *args: object) -> Any:
        """Run a journal method in a thread, one at a time; what is being written is finished even on cancellation."""
        return await to_thread.run_sync(function, *args, limiter=self._journal_turn)

    async def _watch_signals(self, work: anyio.CancelScope) -> None:
        # Outside the main thread signals are the caller's business, and some systems have none: an error there.
        nowhere = suppress(ValueError, RuntimeError, NotImplementedError)
        with nowhere, anyio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as signals:
            asked_to_end = False
            async for _ in signals:
                if asked_to_end:
                    work.cancel()
                asked_to_end = True
                self._controller.stop("interrupted")

    async def _watch_stop(self) -> None:
        while self._stop is not None and not self._controller.reason:
            if self._stop.is_set():
                self._controller.stop("interrupted")
            await anyio.sleep(0.1)

    async def _draw(self) -> None:
        while self._progress.active:
            self._progress.draw(self._tally)
            await anyio.sleep(0.5)

    async def _next(self, queue: Queue) -> Request | None:
        """Return the next request to ask, None when the plan, the run or the model has come to its end."""
        async with queue.turn:
            while not (queue.ready or self._controller.reason or queue.channel.breaker.opened):
                chunk = list(islice(queue.planned, CHUNK))
                queue.walked += len(chunk)
                if not chunk:
                    queue.ended = True
                    return None
                missing = [p for p in chunk if p.answer_key not in self._answered]
                self._tally.found += len(chunk) - len(missing)
                failed: set[str] = set()
                if missing and not self._options.retry_failed:
                    failed = await self._in_journal(self._journal.failed_of, [p.answer_key for p in missing])
                if before := sum(p.answer_key in failed for p in missing):
                    self._tally.failed["failed before"] += before
                queue.ready.extend(p.request() for p in missing if p.answer_key not in failed)
            if self._controller.reason or queue.channel.breaker.opened or not queue.ready:
                return None
            return queue.ready.popleft()

    async def _relabel(self) -> None:
        """Bring the labels of answers found from earlier runs up to date with the data set; no model is needed."""
        for name in self._prepared.study.models:
            planned = self._prepared.plan.planned(name)
            while not self._controller.reason and (chunk := list(islice(planned, CHUNK))):
                try:
                    self._tally.relabelled += await self._in_journal(_relabel, self._journal, chunk)
                except DiskFullError as error:
                    self._controller.stop(str(error))

    async def _work(self, channel: ModelChannel, queue: Queue) -> None:
        try:
            while (request := await self._next(queue)) is not None:
                await self._answer(channel, request)
        except Exception as error:  # noqa: BLE001 - it is raised again once the others have kept what they paid for
            self._fault = self._fault or error
            self._controller.stop(f"{type(error).__name__} in AQAudit")

    async def _answer(self, channel: ModelChannel, request: Request) -> None:
        """Ask one request to its end: an answer kept, a failure kept, or left unasked because the run is ending."""
        attempts = Attempts(channel=channel)
        try:
            self._controller.check()
            shown = [await self._media_cache.show(*way) for way in ways_of_showing(request)]
            several = len(request.chain.steps) > 1
            earlier = await self._in_journal(self._journal.earlier_calls, request.answer_key) if several else ()

            async def keep(call: EarlierCall) -> None:
                await self._keep(self._journal.add_call, request.answer_key, call)

            timed, calls = await ask_chain(request, shown, earlier, attempts.ask, keep)
            row = answer_row(
                request,
                channel.entry,
                study=self._prepared.study.name,
                endpoint=channel.model.endpoint,
                shown=shown,
                timed=timed,
                earlier=calls,
            )
        except StopAsking:
            return
        except AskFailed as failed:
            await self._fail(channel, request, failed, attempts.count)
            return
        except OSError as error:
            self._controller.stop(f"cannot write to {self._options.out}: {error.strerror or error}")
            return
        except sqlite3.Error:
            raise
        except Exception as error:  # noqa: BLE001 - a fault in one request, of a plug-in perhaps, costs that one only
            cause = f"{type(error).__name__} while this request was prepared or its reply read"
            await self._fail(channel, request, AskFailed("internal", cause), attempts.count)
            return
        if await self._keep(self._journal.add, row, request, item_digest(request.question)):
            self._tally.answer(row)

    async def _keep(self, write: Callable[..., None], *args: object) -> bool:
        """Commit what was paid for: on a full disk it waits in memory for room, while nothing new is asked.

        Returns whether it was committed: waiting ends after ``max_wait_s``, or when the run is cancelled.
        """
        give_up = time.monotonic() + self._options.max_wait_s
        kept = False
        try:
            while True:
                try:
                    with anyio.CancelScope(shield=True):
                        await self._in_journal(write, *args)
                except DiskFullError as error:
                    self._controller.stop(str(error))
                    if time.monotonic() >= give_up:
                        return False
                    await anyio.sleep(1)
                else:
                    kept = True
                    return True
        finally:
            self._lost += not kept

    async def _fail(self, channel: ModelChannel, request: Request, failed: AskFailed, attempts: int) -> None:
        self._tally.failed[failed.cause] += 1
        question = request.question
        failure = Failure(
            answer_key=request.answer_key,
            study=self._prepared.study.name,
            dataset=question.dataset,
            task=question.task,
            kind=question.kind,
            model=channel.name,
            question_id=question.question_id,
            performance_id=question.performance.id,
            cause=failed.cause,
            message=failed.message,
            status=failed.status,
            attempts=attempts,
            failed_at=datetime.now(UTC),
            endpoint=channel.model.endpoint,
        )
        try:
            await self._in_journal(self._journal.fail, failure)
        except DiskFullError as error:
            self._controller.stop(str(error))


def _relabel(journal: Journal, planned: list[PlannedRequest]) -> int:
    stored = journal.items_of([p.answer_key for p in planned])
    changes = []
    for one in planned:
        item = item_digest(one.question)
        if stored.get(one.answer_key, item) != item:
            changes.append(Change(answer_key=one.answer_key, columns=item_columns(one.question), item=item))
    journal.update(changes)
    return len(changes)
