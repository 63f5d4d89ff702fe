"""Commands that decide between answers: compare, gate."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from aqaudit.cli.app import Source, app, in_colour, one_line, printable, say
from aqaudit.core.records import BadInput


@app.command()
def audit(
    source: Source,
    json_file: Annotated[Path | None, typer.Option("--json", help="Write the findings as JSON; - for stdout.")] = None,
    quiet: Annotated[bool, typer.Option("--quiet", help="Only the verdicts, one line each.")] = False,
) -> None:
    """Run all audits on an answers table."""
    from aqaudit import api
    from aqaudit.core.auxiliary import read_auxiliary
    from aqaudit.imports.answers import read_answers
    from aqaudit.reporting.folder import failures
    from aqaudit.reporting.terminal import coloured, headline, verdicts

    frame = read_answers(source)
    result = api.audit(frame, read_auxiliary(source))
    if json_file is not None:
        text = json.dumps(result.as_json(), indent=1, ensure_ascii=False, allow_nan=False) + "\n"
        if str(json_file) == "-":
            typer.echo(text, nl=False)
            return
        try:
            json_file.write_text(text, encoding="utf-8")
        except OSError as error:
            raise BadInput(f"--json {json_file}: cannot be written: {error.strerror}") from error
    if quiet:
        say(verdicts(result, frame).rstrip("\n"))
        return
    text = printable(headline(result, frame, failed=failures(source)).rstrip("\n"))
    typer.echo(coloured(text) if in_colour() else text)


@app.command()
def report(
    source: Source,
    out: Annotated[
        Path | None, typer.Option("-o", "--out", help="The page [default: report.html beside the answers].")
    ] = None,
    no_frames: Annotated[bool, typer.Option("--no-frames", help="Leave every picture out.")] = False,
) -> None:
    """Write one self-contained page, with its tables and figures beside it."""
    from aqaudit import api

    say(str(api.report(source, out=out, frames=not no_frames)))


_SIDE = "Output folder or answers file; cells of it as PATH:view=crop,framing=positive."


@app.command()
def compare(
    a: Annotated[str, typer.Argument(metavar="A", help=_SIDE)],
    b: Annotated[str, typer.Argument(metavar="B", help="The same, for the other side.")],
    json_file: Annotated[Path | None, typer.Option("--json", help="Write the findings as JSON; - for stdout.")] = None,
) -> None:
    """Compare two sets of answers, or two cells, on the questions that both were asked."""
    from aqaudit import api
    from aqaudit.reporting.terminal import table

    result = api.compare(a, b)
    if json_file is not None:
        _write_json(json_file, result.as_json())
        if str(json_file) == "-":
            return
    say(table(result, a, b).rstrip("\n"))


def _write_json(path: Path, value: Any) -> None:
    text = json.dumps(value, indent=1, ensure_ascii=False, allow_nan=False) + "\n"
    if str(path) == "-":
        typer.echo(text, nl=False)
        return
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise BadInput(f"--json {path}: cannot be written: {error.strerror}") from error


@app.command()
def gate(
    source: Source,
    config: Annotated[Path, typer.Option("--config", help="Requirements: a TOML file of [[require]] tables.")],
) -> None:
    """Hold the figures of the audits against requirements; exit 0 passed, 1 not passed, 3 cannot tell."""
    from aqaudit import api
    from aqaudit.audits import gate as gates

    result = api.gate(source, config=config)
    for one in result.judged:
        say(one_line(gates.line(one)))
    raise typer.Exit(result.exit_code)
