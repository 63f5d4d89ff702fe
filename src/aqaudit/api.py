"""The commands as functions with typed options: run a study, audit answers, compare, gate, write a report."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Literal

import polars as pl
from anyio import CancelScope, to_thread

from aqaudit.audits import AUDITS, AuditResult, comparison
from aqaudit.audits import audit as run_audits
from aqaudit.audits import gate as gates
from aqaudit.audits.comparison import ComparisonResult
from aqaudit.audits.gate import GateResult
from aqaudit.audits.pairing import pair, selected, selector
from aqaudit.core.auxiliary import read_auxiliary
from aqaudit.engine.preparation import RunOptions, prepare
from aqaudit.engine.run import Outcome, run_prepared
from aqaudit.imports.answers import read_answers
from aqaudit.reporting.folder import write
from aqaudit.study.study import Study

__all__ = ["AuditResult", "Outcome", "Study", "audit", "compare", "gate", "read_answers", "report", "run", "run_async"]


def run(
    study: Study,
    *,
    out: str | Path,
    limit: int | None = None,
    shard: tuple[int, int] | None = None,
    max_usd: float | None = None,
    max_requests: int | None = None,
    max_wait_s: float = 600.0,
    retry_failed: bool = True,
    allow_upload: Iterable[str] = (),
    trace_judge: str | None = None,
    engine: Literal["local", "ray"] = "local",
    quiet: bool = True,
) -> Outcome:
    """Ask what is missing of a study and keep every answer in the folder ``out``.

    Where an event loop is running already, as in a notebook, the run goes on in a thread of its own.

    Parameters
    ----------
    limit
        Take only the first requests of each model.
    shard
        (i, n): the i-th of n parts, by performance; 1 <= i <= n.
    max_usd, max_requests
        Stop before this run has spent so much, or after so many requests, retries included.
    max_wait_s
        Seconds that one request may wait between attempts.
    retry_failed
        Ask again what failed in an earlier run.
    allow_upload
        Data sets whose media may leave this machine although they do not say so themselves.
    trace_judge
        The model that tags the steps of reasoning afterwards.
    engine
        Who does the work: threads of this process, or workers of a Ray cluster.
    quiet
        Without a progress line on the terminal.

    Raises
    ------
    BadInput
        Anything given cannot be used; nothing was asked then.
    """
    work = partial(
        _run,
        study,
        RunOptions(
            out=Path(out),
            limit=limit,
            shard=shard,
            max_usd=max_usd,
            max_requests=max_requests,
            max_wait_s=max_wait_s,
            retry_failed=retry_failed,
            allow_upload=frozenset(allow_upload),
            trace_judge=trace_judge,
            engine=engine,
        ),
        quiet=quiet,
    )
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return work(stop=None)
    stop = threading.Event()
    with ThreadPoolExecutor(1, "aqaudit run") as thread:
        going_on = thread.submit(work, stop=stop)
        try:
            return going_on.result()
        except KeyboardInterrupt:
            stop.set()
            return going_on.result()


async def run_async(
    study: Study,
    *,
    out: str | Path,
    limit: int | None = None,
    shard: tuple[int, int] | None = None,
    max_usd: float | None = None,
    max_requests: int | None = None,
    max_wait_s: float = 600.0,
    retry_failed: bool = True,
    allow_upload: Iterable[str] = (),
    trace_judge: str | None = None,
    engine: Literal["local", "ray"] = "local",
    quiet: bool = True,
) -> Outcome:
    """Do what :func:`run` does without holding up the event loop; cancelled, it ends as after Ctrl-C."""
    options = RunOptions(
        out=Path(out),
        limit=limit,
        shard=shard,
        max_usd=max_usd,
        max_requests=max_requests,
        max_wait_s=max_wait_s,
        retry_failed=retry_failed,
        allow_upload=frozenset(allow_upload),
        trace_judge=trace_judge,
        engine=engine,
    )
    stop, ended = threading.Event(), threading.Event()

    def work() -> Outcome:
        try:
            return _run(study, options, quiet=quiet, stop=stop)
        finally:
            ended.set()

    try:
        return await to_thread.run_sync(work, abandon_on_cancel=True)
    finally:
        stop.set()
        with CancelScope(shield=True):
            await to_thread.run_sync(ended.wait)


def _run(study: Study, options: RunOptions, *, quiet: bool, stop: threading.Event | None) -> Outcome:
    study.import_providers()
    return run_prepared(prepare(study, options), quiet=quiet, stop=stop)


def audit(answers: pl.DataFrame | str | Path, auxiliary: Mapping[str, pl.DataFrame] | None = None) -> AuditResult:
    """Run all audits on an answers table.

    Parameters
    ----------
    answers
        A frame as :func:`read_answers` returns it, a file of answers, or the folder of a run, whose auxiliary tables
        (joint angles, tagged reasoning) are read as well.
    auxiliary
        The tables beside the answers, by name, as :func:`aqaudit.core.auxiliary.read_auxiliary` returns them.

    Raises
    ------
    BadInput
        The answers cannot be read.
    """
    if isinstance(answers, pl.DataFrame):
        return run_audits(answers, auxiliary)
    return run_audits(read_answers(answers), read_auxiliary(answers) if auxiliary is None else auxiliary)


def compare(a: pl.DataFrame | str | Path, b: pl.DataFrame | str | Path) -> ComparisonResult:
    """Compare two sets of answers, or two cells, on the questions that both were asked; differences are B - A.

    ``a`` and ``b`` are frames, folders or files, or cells of these written as ``"PATH:view=crop,framing=positive"``.

    Raises
    ------
    BadInput
        A side cannot be read, names a cell that it does not hold, or shares no question with the other.
    """
    return comparison.compare(pair(_side(a), _side(b)))


def _side(given: pl.DataFrame | str | Path) -> pl.DataFrame:
    if isinstance(given, pl.DataFrame):
        return selected(given, {}, where="the frame")
    text = str(given)
    path, keys = (text, {}) if Path(given).exists() else selector(text)
    return selected(read_answers(path), keys, where=text)


def gate(source: str | Path, *, config: str | Path) -> GateResult:
    """Hold the figures of the audits against the requirements of a TOML file of ``[[require]]`` tables.

    Raises
    ------
    BadInput
        The answers or the requirements cannot be read, or a requirement names what is not known.
    """
    rules = gates.read_rules(Path(config), {name: one.figures for name, one in AUDITS.items()})
    return gates.judge(rules, audit(source).findings)


def report(source: str | Path, *, out: str | Path | None = None, frames: bool = True) -> Path:
    """Write the report of a run folder or an answers file, with its tables and figures beside it.

    Parameters
    ----------
    out
        The page; ``report.html`` beside the answers where it is not given.
    frames
        Whether the page shows the frames that models were shown.

    Returns
    -------
    Path
        Where the page is.

    Raises
    ------
    BadInput
        The answers cannot be read, or the page cannot be written.
    """
    return write(read_answers(source), Path(source), None if out is None else Path(out), frames=frames)
