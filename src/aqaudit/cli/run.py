"""Commands that ask models and keep what they answer: run, status, merge."""

from __future__ import annotations

import json
import shlex
import sys
from pathlib import Path
from typing import Annotated

import typer

from aqaudit.cli.app import Folder, Roots, StudyName, paths_of, say
from aqaudit.core.records import BadInput, nearest

_LIMITS = ("--max-usd", "--max-requests")


def run(
    context: typer.Context,
    study: StudyName,
    out: Annotated[Path | None, typer.Option(help="Output folder [default: out/<study name>].")] = None,
    root: Roots = None,
    model: Annotated[
        list[str] | None, typer.Option(help="Ask this model, of the study or built in, in place of the study's.")
    ] = None,
    limit: Annotated[int | None, typer.Option(min=1, help="Take only the first N requests of each model.")] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say what would be asked, sent and paid; ask nothing.")
    ] = False,
    shard: Annotated[
        str | None, typer.Option(help="I/N: the I-th of N parts, by performance; unite with merge.")
    ] = None,
    reparse: Annotated[bool, typer.Option("--reparse", help="Read stored texts anew; ask nothing.")] = False,
    max_usd: Annotated[float | None, typer.Option(min=0, help="Stop before this run has spent so much.")] = None,
    max_requests: Annotated[
        int | None, typer.Option(min=1, help="Stop after so many requests, retries included.")
    ] = None,
    max_wait: Annotated[float, typer.Option(min=0, help="Seconds one request may wait between attempts.")] = 600.0,
    no_retry_failed: Annotated[bool, typer.Option("--no-retry-failed", help="Leave out what failed before.")] = False,
    allow_upload: Annotated[
        list[str] | None, typer.Option(help="Let the media of this data set leave the machine.")
    ] = None,
    trace_judge: Annotated[
        str | None, typer.Option(metavar="MODEL", help="Then let this model tag the steps of all reasoning.")
    ] = None,
    engine: Annotated[str, typer.Option(help="Who does the work: local (threads), or ray (a cluster).")] = "local",
    quiet: Annotated[bool, typer.Option("--quiet", help="No progress line.")] = False,
    verbose: Annotated[
        bool, typer.Option("--verbose", help="Log lines on standard error in place of the progress line.")
    ] = False,
) -> None:
    """Ask what is missing of a study and keep every answer."""
    from aqaudit.cli import run_text
    from aqaudit.core import log
    from aqaudit.engine.preparation import RunOptions, prepare
    from aqaudit.engine.run import run_prepared
    from aqaudit.engine.traces import entry_of
    from aqaudit.study.study import Study

    if verbose:
        context.with_resource(log.to_stderr())
    if engine not in {"local", "ray"}:
        raise BadInput(f"--engine {engine}: is not available{nearest(engine, ('local', 'ray'))}")
    loaded = Study.read(study, roots=paths_of(root), models=model)
    out = out or Path("out") / loaded.name
    if reparse:
        _reparse(out, loaded.name)
        return
    options = RunOptions(
        out=out,
        limit=limit,
        shard=_shard(shard),
        max_usd=max_usd,
        max_requests=max_requests,
        max_wait_s=max_wait,
        retry_failed=not no_retry_failed,
        allow_upload=frozenset(allow_upload or []),
        trace_judge=trace_judge,
        engine="ray" if engine == "ray" else "local",
    )
    if trace_judge is not None:
        entry_of(loaded, trace_judge)
    if dry_run:
        for line in run_text.estimated(prepare(loaded, options)):
            say(line)
        return
    for line in run_text.left_out(loaded):
        say(line)
    loaded.import_providers()
    prepared = prepare(loaded, options)
    outcome = run_prepared(prepared, quiet=quiet or verbose)
    for line in run_text.done(prepared, outcome, _resume(sys.argv[1:])):
        say(line)
    raise typer.Exit(0 if outcome.complete else 1)


def _shard(given: str | None) -> tuple[int, int] | None:
    if given is None:
        return None
    part, _, parts = given.partition("/")
    if not (part.isdecimal() and parts.isdecimal() and 1 <= int(part) <= int(parts)):
        raise BadInput(f"--shard {given}: expected I/N with 1 <= I <= N, for example 2/4")
    return int(part), int(parts)


def _resume(arguments: list[str]) -> str:
    """Return the command that goes on: the same one without the limits that ended it."""
    kept, skip = [], False
    for argument in arguments:
        if skip:
            skip = False
        elif argument in _LIMITS:
            skip = True
        elif not argument.startswith(tuple(f"{name}=" for name in _LIMITS)):
            kept.append(argument)
    return shlex.join(["aqaudit", *kept])


def _reparse(out: Path, study: str) -> None:
    from aqaudit.engine import folder
    from aqaudit.engine.parse import reparse

    if folder.study_of(out) is None:
        raise BadInput(f"{out}: no answers here to parse again")
    with folder.opened(out, study) as journal:
        read, changed = reparse(journal)
        folder.export(out, journal)
    say(f"read {read} answers again, {changed} changed, in {out}")


def status(
    folder: Folder,
    as_json: Annotated[bool, typer.Option("--json", help="Print the same as JSON.")] = False,
) -> None:
    """Show what is done, failed by cause, left and spent, and the rate; safe while a run is going on."""
    from aqaudit.engine.folder import read_state

    state = read_state(folder)
    if as_json:
        say(json.dumps(state.as_json(), indent=1))
        return
    for line in state.lines():
        say(line)


def merge(
    folders: Annotated[list[Path], typer.Argument(help="Output folders of shards of one study.")],
    out: Annotated[Path, typer.Option("-o", "--out", help="Folder for the union.")],
) -> None:
    """Unite the answers that shards of one study wrote."""
    from aqaudit.engine.folder import merge as merge_folders

    answered, failed = merge_folders(folders, out)
    say(f"{out}: {answered} answers, {failed} failures")
