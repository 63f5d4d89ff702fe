"""Commands of the half that reads answers: audit, report."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from aqaudit.cli.app import Source, app, in_colour, printable, say
from aqaudit.records import BadInput


@app.command()
def audit(
    source: Source,
    json_file: Annotated[Path | None, typer.Option("--json", help="Write the findings as JSON; - for stdout.")] = None,
    quiet: Annotated[bool, typer.Option("--quiet", help="Only the verdicts, one line each.")] = False,
) -> None:
    """Run all audits on an answers table."""
    from aqaudit import api
    from aqaudit.reporting.folder import failures
    from aqaudit.reporting.terminal import coloured, headline, verdicts
    from aqaudit.sidecars import read_sidecars
    from aqaudit.table import read_answers

    frame = read_answers(source)
    result = api.audit(frame, read_sidecars(source))
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
