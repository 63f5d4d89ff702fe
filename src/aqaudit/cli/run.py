"""Commands of the half that makes answers: init, run, status, merge."""

from __future__ import annotations

import json
import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from aqaudit.cli.app import Folder, app, say
from aqaudit.core.records import BadInput, nearest

if TYPE_CHECKING:
    from aqaudit.engine.preparation import Prepared
    from aqaudit.engine.run import Outcome
    from aqaudit.study.study import Study


@app.command()
def init(
    folder: Annotated[Path, typer.Argument(help="Folder of clips, pictures or numbered frames.")],
    csv: Annotated[Path | None, typer.Option(help="Table of labels, one clip a row.")] = None,
    probe: Annotated[
        bool, typer.Option("--probe", help="Put the bundled probe clips there first, as a worked example.")
    ] = False,
) -> None:
    """Look through a folder of clips; write dataset.toml, clips.jsonl and study.toml ready to edit and run."""
    from aqaudit.datasets.proposal import initialise, worked_example

    if probe and csv is not None:
        raise BadInput("--probe brings its own labels; leave out --csv")
    for path in worked_example(folder) if probe else initialise(folder, csv):
        say(f"wrote {path}")
    first = "" if probe else f"edit {folder / 'dataset.toml'}, then "
    say(f"next: {first}aqaudit run {folder / 'study.toml'} --dry-run")


@app.command()
def run(
    study: Annotated[str, typer.Argument(help="Study file (.toml), or the name of a bundled study.")],
    out: Annotated[Path | None, typer.Option(help="Output folder [default: out/<study name>].")] = None,
    root: Annotated[list[str] | None, typer.Option(help="NAME=PATH: where a data set is; NAME is its reader.")] = None,
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
) -> None:
    """Ask what is missing of a study and keep every answer."""
    from aqaudit.engine.preparation import RunOptions, prepare
    from aqaudit.study.study import Study

    if engine not in {"local", "ray"}:
        raise BadInput(f"--engine {engine}: is not available{nearest(engine, ('local', 'ray'))}")
    loaded = Study.read(study, roots=pairs(root or []), models=model)
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
        from aqaudit.engine.traces import entry_of

        entry_of(loaded, trace_judge)
    if dry_run:
        _print_estimate(prepare(loaded, options))
        return
    from aqaudit.engine.run import run_prepared

    _say_left_out(loaded)
    loaded.import_providers()
    prepared = prepare(loaded, options)
    outcome = run_prepared(prepared, quiet=quiet)
    for planned in prepared.plan.datasets:
        if planned.dataset.problems:
            held = len(planned.dataset.problems)
            say(f"note: {planned.dataset.name}: {held:,} records with problems; aqaudit data check lists them")
    _print_outcome(outcome, out, _resume(sys.argv[1:]))
    raise typer.Exit(0 if outcome.complete else 1)


def _say_left_out(study: Study) -> None:
    if study.used:
        for name in study.without_root:
            say(f"left out: {name} has no root; give --root {name}=PATH")


def pairs(given: list[str]) -> dict[str, str]:
    """Return the NAME=PATH arguments of --root as a mapping."""
    result = {}
    for item in given:
        name, equals, path = item.partition("=")
        if not (name and equals and path):
            raise BadInput(f"--root {item}: expected NAME=PATH")
        result[name] = path
    return result


def _shard(given: str | None) -> tuple[int, int] | None:
    if given is None:
        return None
    part, _, parts = given.partition("/")
    if not (part.isdecimal() and parts.isdecimal() and 1 <= int(part) <= int(parts)):
        raise BadInput(f"--shard {given}: expected I/N with 1 <= I <= N, for example 2/4")
    return int(part), int(parts)


_LIMITS = ("--max-usd", "--max-requests")


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


def _print_estimate(prepared: Prepared) -> None:
    from aqaudit.engine.estimate import estimate, fits, lines

    _say_left_out(prepared.study)
    for plan in estimate(prepared):
        usd = "unknown" if plan.usd is None else f"about {plan.usd:.2f} USD"
        where = "leaves this machine" if plan.leaves_machine else "stays on this machine"
        say(f"model {plan.model} -> {plan.endpoint} ({where})")
        say(
            f"  requests      {plan.requests}"
            + (f" ({plan.duplicates} equal ones left out)" if plan.duplicates else "")
        )
        say(f"  performances  {plan.performances}, about {plan.frames_per_clip:.1f} frames each")
        say(f"  tokens        about {plan.input_tokens:,} in, {plan.output_tokens:,} out")
        say(f"  money         {usd}")
    for line in lines(fits(prepared)):
        say(line)
    for planned in prepared.plan.datasets:
        for problem in planned.dataset.problems[:3]:
            say(f"note: {planned.dataset.name}: {problem}")
        if len(planned.dataset.problems) > 3:
            say(f"note: {planned.dataset.name}: {len(planned.dataset.problems) - 3} more; see aqaudit data check")
    if (tests := prepared.study.spec.trace_tests) is not None:
        say(f"trace tests: up to {tests.answers * (len(tests.early) + tests.mistakes):,} further requests a model")
    if prepared.options.trace_judge is not None:
        from aqaudit.engine.traces import entry_of

        name = prepared.options.trace_judge
        endpoint, remote = entry_of(prepared.study, name).destination()
        where = "leaves this machine" if remote else "stays on this machine"
        say(f"trace judge {name} -> {endpoint} ({where}): the reasoning text of every answer that has one, no media")
    say("tokens and money are estimates; nothing was asked")


def _print_outcome(outcome: Outcome, out: Path, resume: str) -> None:
    tally = outcome.tally
    failed = sum(tally.failed.values())
    say(f"{out}: {tally.answered} answered now, {tally.found} found, {failed} failed, {tally.left} left")
    if tally.answered and tally.unreadable:
        say(f"  {tally.unreadable} answers could not be read as an answer; they count as wrong")
    if tally.relabelled:
        say(f"  {tally.relabelled} stored answers took over changed labels")
    for cause, n in tally.failed.most_common():
        say(f"  failed: {cause}: {n}")
    for follow_up in outcome.follow_ups:
        say(f"  {follow_up.line()}")
        for cause, n in follow_up.failed.most_common():
            say(f"    failed: {cause}: {n}")
    for model, reason in outcome.given_up.items():
        say(f"  model {model} was given up after {reason}")
    for note in outcome.notes[:3]:
        say(f"  note: {note}")
    if len(outcome.notes) > 3:
        say(f"  note: {len(outcome.notes) - 3} more performances without kinematics")
    if outcome.stopped:
        say(f"  stopped: {outcome.stopped}")
    if not outcome.complete:
        say(f"  to go on: {resume}")


@app.command()
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


@app.command()
def merge(
    folders: Annotated[list[Path], typer.Argument(help="Output folders of shards of one study.")],
    out: Annotated[Path, typer.Option("-o", "--out", help="Folder for the union.")],
) -> None:
    """Unite the answers that shards of one study wrote."""
    from aqaudit.engine.folder import merge as merge_folders

    answered, failed = merge_folders(folders, out)
    say(f"{out}: {answered} answers, {failed} failures")
