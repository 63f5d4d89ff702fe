"""Commands that judge answers: audit, compare, gate."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from aqaudit.cli.app import Source, in_colour, one_line, printable, say
from aqaudit.core.records import BadInput

_Json = Annotated[Path | None, typer.Option("--json", help="Write the findings as JSON; - for stdout.")]
_SIDE = "Output folder or answers file; cells of it as PATH:view=crop,framing=positive."


def audit(
    source: Source,
    json_file: _Json = None,
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
        _write_json(json_file, result.as_json())
        if str(json_file) == "-":
            return
    if quiet:
        say(verdicts(result, frame).rstrip("\n"))
        return
    text = printable(headline(result, frame, failed=failures(source)).rstrip("\n"))
    typer.echo(coloured(text) if in_colour() else text)


def compare(
    a: Annotated[str, typer.Argument(metavar="A", help=_SIDE)],
    b: Annotated[str, typer.Argument(metavar="B", help="The same, for the other side.")],
    json_file: _Json = None,
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
