"""The commands. Each imports what it needs when it runs, so that ``aqaudit --help`` is quick.

Exit codes: 0 done; 1 finished with failures or stopped by a limit; 2 bad input (one line on standard error).
"""

from __future__ import annotations

import io
import json
import os
import shlex
import sys
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer

from aqaudit.records import BadInput

if TYPE_CHECKING:
    from aqaudit.models.catalog import ModelEntry
    from aqaudit.run.engine import Outcome
    from aqaudit.run.preparation import Prepared

app = typer.Typer(
    name="aqaudit",
    help="Can a vision-language model judge how well an action was performed? Measured, with intervals.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)
data_app = typer.Typer(help="Data sets: what is known, and what a folder holds.", no_args_is_help=True)
app.add_typer(data_app, name="data")

Folder = Annotated[Path, typer.Argument(help="Output folder of a run.")]
Source = Annotated[Path, typer.Argument(help="Output folder of a run, or answers as .parquet, .sqlite or .jsonl.")]


#: Exit code that typer gives a command interrupted by Ctrl-C.
_INTERRUPTED = 130
# typer exports this one of its parser's errors; what it derives from (UsageError) has moved between versions.
_UsageError: type[Exception] = typer.BadParameter.__mro__[1]


def main() -> None:
    """Run the command line; bad input of any kind is one line on standard error and exit code 2."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            # A path or label that the terminal's encoding does not have is no reason to fail.
            stream.reconfigure(errors="backslashreplace")
    try:
        for argument in sys.argv[1:]:
            if any("\ud800" <= c <= "\udfff" for c in argument):
                shown = os.fsencode(argument).decode(errors="backslashreplace")
                raise BadInput(f"{shown}: is not UTF-8 text; rename the file")  # noqa: TRY301
        code = app(standalone_mode=False)
    except BadInput as error:
        _refuse(str(error))
    except _UsageError as error:
        _refuse(_usage(error))
    except BrokenPipeError:
        # The reader of our output has gone; what was asked is on disk.
        sys.stderr.close()
        sys.exit(1)
    except OSError as error:
        _refuse(f"{error.filename or 'output'}: {error.strerror or error}")
    except (KeyboardInterrupt, typer.Abort):
        code = _INTERRUPTED
    if code == _INTERRUPTED:
        sys.stderr.write("aqaudit: interrupted\n")
        code = 1
    sys.exit(code)


def _refuse(message: str) -> NoReturn:
    with suppress(AttributeError, OSError):  # standard error may be closed or full; the exit code still tells
        sys.stderr.write(f"aqaudit: {_one_line(message)}\n")
        sys.stderr.flush()
    sys.exit(2)


def _usage(error: Exception) -> str:
    """Return a message of the option parser as one line that names the command and where its help is."""
    context = getattr(error, "ctx", None)
    if context is not None and type(error).__name__ == "NoArgsIsHelpError":
        typer.echo(context.get_help())
        return f"no command was given; see {context.command_path} --help"
    said = getattr(error, "format_message", error.__str__)().rstrip(".")
    command = context.command_path if context is not None else "aqaudit"
    return f"{said[:1].lower()}{said[1:]}; see {command} --help"


def _one_line(text: str) -> str:
    return _printable(" ".join(text.split()))


def _printable(text: str) -> str:
    """Return text with what could steer a terminal, or is half a character, written as an escape."""
    return "".join(c if c.isprintable() or c == "\n" else ascii(c)[1:-1] for c in text)


def _say(text: str = "") -> None:
    """Print lines on standard output; what a file name or label holds of terminal control is escaped."""
    typer.echo(_printable(text))


@app.command()
def init(
    folder: Annotated[Path, typer.Argument(help="Folder of clips, pictures or numbered frames.")],
    csv: Annotated[Path | None, typer.Option(help="Table of labels, one clip a row.")] = None,
) -> None:
    """Look through a folder of clips; write dataset.toml, clips.jsonl and study.toml ready to edit and run."""
    from aqaudit.datasets.init import initialise

    for path in initialise(folder, csv):
        _say(f"wrote {path}")
    _say(f"next: edit {folder / 'dataset.toml'}, then aqaudit run {folder / 'study.toml'} --dry-run")


@app.command()
def run(
    study: Annotated[str, typer.Argument(help="Study file (.toml), or the name of a bundled study.")],
    out: Annotated[Path | None, typer.Option(help="Output folder [default: out/<study name>].")] = None,
    root: Annotated[list[str] | None, typer.Option(help="NAME=PATH: where a data set is; NAME is its reader.")] = None,
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
    engine: Annotated[str, typer.Option(help="Where work is done; this version has: local.")] = "local",
    quiet: Annotated[bool, typer.Option("--quiet", help="No progress line.")] = False,
) -> None:
    """Ask what is missing of a study and keep every answer."""
    from aqaudit.run.preparation import RunOptions, prepare
    from aqaudit.study import Study

    if engine != "local":
        raise BadInput(f"--engine {engine}: this version runs on one machine; allowed: local")
    loaded = Study.read(study, roots=_pairs(root or []))
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
    )
    if dry_run:
        _print_estimate(prepare(loaded, options))
        return
    from aqaudit.run.engine import run as run_engine

    loaded.import_providers()
    outcome = run_engine(prepare(loaded, options), quiet=quiet)
    _print_outcome(outcome, out, _resume(sys.argv[1:]))
    raise typer.Exit(0 if outcome.complete else 1)


def _pairs(given: list[str]) -> dict[str, str]:
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
    from aqaudit.run import folder
    from aqaudit.run.reparse import reparse

    if folder.study_of(out) is None:
        raise BadInput(f"{out}: no answers here to parse again")
    with folder.opened(out, study) as journal:
        read, changed = reparse(journal)
        folder.export(out, journal)
    _say(f"read {read} answers again, {changed} changed, in {out}")


def _print_estimate(prepared: Prepared) -> None:
    from aqaudit.run.estimate import estimate

    for plan in estimate(prepared):
        usd = "unknown" if plan.usd is None else f"about {plan.usd:.2f} USD"
        where = "leaves this machine" if plan.leaves_machine else "stays on this machine"
        _say(f"model {plan.model} -> {plan.endpoint} ({where})")
        _say(
            f"  requests      {plan.requests}"
            + (f" ({plan.duplicates} equal ones left out)" if plan.duplicates else "")
        )
        _say(f"  performances  {plan.performances}, about {plan.frames_per_clip:.1f} frames each")
        _say(f"  tokens        about {plan.input_tokens:,} in, {plan.output_tokens:,} out")
        _say(f"  money         {usd}")
    for planned in prepared.plan.datasets:
        for problem in planned.dataset.problems[:3]:
            _say(f"note: {planned.dataset.name}: {problem}")
        if len(planned.dataset.problems) > 3:
            _say(f"note: {planned.dataset.name}: {len(planned.dataset.problems) - 3} more; see aqaudit data check")
    _say("tokens and money are estimates; nothing was asked")


def _print_outcome(outcome: Outcome, out: Path, resume: str) -> None:
    tally = outcome.tally
    failed = sum(tally.failed.values())
    _say(f"{out}: {tally.answered} answered now, {tally.found} found, {failed} failed, {tally.left} left")
    if tally.answered and tally.unreadable:
        _say(f"  {tally.unreadable} answers could not be read as an answer; they count as wrong")
    if tally.relabelled:
        _say(f"  {tally.relabelled} stored answers took over changed labels")
    for cause, n in tally.failed.most_common():
        _say(f"  failed: {cause}: {n}")
    for model, reason in outcome.given_up.items():
        _say(f"  model {model} was given up after {reason}")
    if outcome.stopped:
        _say(f"  stopped: {outcome.stopped}")
    if not outcome.complete:
        _say(f"  to go on: {resume}")


@app.command()
def status(folder: Folder) -> None:
    """Show what is done, failed by cause, left and spent, and the rate; safe while a run is going on."""
    from aqaudit.run.state import read_state

    for line in read_state(folder).lines():
        _say(line)


@app.command()
def merge(
    folders: Annotated[list[Path], typer.Argument(help="Output folders of shards of one study.")],
    out: Annotated[Path, typer.Option("-o", "--out", help="Folder for the union.")],
) -> None:
    """Unite the answers that shards of one study wrote."""
    from aqaudit.run.folder import merge as merge_folders

    answered, failed = merge_folders(folders, out)
    _say(f"{out}: {answered} answers, {failed} failures")


@app.command()
def audit(
    source: Source,
    json_file: Annotated[Path | None, typer.Option("--json", help="Write the findings as JSON; - for stdout.")] = None,
) -> None:
    """Run all audits on an answers table."""
    from aqaudit import audits
    from aqaudit.report.folder import failures
    from aqaudit.report.terminal import headline
    from aqaudit.table import read_answers

    frame = read_answers(source)
    result = audits.audit(frame)
    if json_file is not None:
        text = json.dumps(audits.as_json(result), indent=1, ensure_ascii=False, allow_nan=False) + "\n"
        if str(json_file) == "-":
            typer.echo(text, nl=False)
            return
        try:
            json_file.write_text(text, encoding="utf-8")
        except OSError as error:
            raise BadInput(f"--json {json_file}: cannot be written: {error.strerror}") from error
    _say(headline(result, frame, failed=failures(source)).rstrip("\n"))


@app.command()
def report(
    source: Source,
    out: Annotated[
        Path | None, typer.Option("-o", "--out", help="The page [default: report.html beside the answers].")
    ] = None,
    no_frames: Annotated[bool, typer.Option("--no-frames", help="Leave every picture out.")] = False,
) -> None:
    """Write one self-contained page, with its tables and figures beside it."""
    from aqaudit.report.folder import write

    _say(str(write(source, out, frames=not no_frames)))


@data_app.command("list")
def data_list() -> None:
    """List the data sets that can be read."""
    from aqaudit import datasets

    for known in datasets.known():
        _say(str(known))


@data_app.command("check")
def data_check(
    name: Annotated[str, typer.Argument(help="Reader, as in aqaudit data list.")],
    root: Annotated[Path, typer.Argument(help="Folder that holds the data set.")],
) -> None:
    """Hold what a folder has against the published counts, and list every problem found."""
    from aqaudit import datasets

    found = datasets.check(name, root)
    _say(str(found))


@app.command()
def models(
    check: Annotated[
        str | None, typer.Option(help="Send one real request to this model and show what came back.")
    ] = None,
    study: Annotated[Path | None, typer.Option(help="Study file whose [models] are meant as well.")] = None,
) -> None:
    """List models and presets, and which can be used now."""
    from aqaudit.models import catalog

    entries = catalog.presets()
    if study is not None:
        from aqaudit.study import Study

        entries = {**entries, **Study.read(study).models}
    if check is None:
        for name, entry in entries.items():
            _say(f"{name}: {entry.provider}, {entry.model} at {entry.destination()[0]}")
            _say(f"    {_usable(name, entry)}")
        return
    from aqaudit.models.call import AskFailed
    from aqaudit.models.check import check as check_model
    from aqaudit.records import nearest

    if check not in entries:
        raise BadInput(f"--check {check}: no such model{nearest(check, entries)}; name its study with --study")
    try:
        _say(check_model(check, entries[check]))
    except AskFailed as failed:
        typer.echo(f"no answer: {failed.cause}: {_one_line(failed.message)}", err=True)
        raise typer.Exit(1) from None


def _usable(name: str, entry: ModelEntry) -> str:
    from aqaudit.models.catalog import api_key

    try:
        key = api_key(name, entry)
    except BadInput as error:
        return f"not usable now: {error}"
    if entry.provider == "simulated":
        return "usable; a simulated judge, not a vision-language model"
    return "usable: the key is set" if key else "usable if its server runs (no key needed)"


if __name__ == "__main__":
    main()
