"""Commands that decide between answers: compare, gate."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from aqaudit.cli.app import Source, app, one_line, say
from aqaudit.records import BadInput

if TYPE_CHECKING:
    import polars as pl

_SIDE = "Output folder or answers file; cells of it as PATH:view=crop,framing=positive."


@app.command()
def compare(
    a: Annotated[str, typer.Argument(metavar="A", help=_SIDE)],
    b: Annotated[str, typer.Argument(metavar="B", help="The same, for the other side.")],
    json_file: Annotated[Path | None, typer.Option("--json", help="Write the findings as JSON; - for stdout.")] = None,
) -> None:
    """Compare two sets of answers, or two cells, on the questions that both were asked."""
    from aqaudit.audits import comparison
    from aqaudit.audits.pairing import pair
    from aqaudit.report.comparison import table

    result = comparison.compare(pair(_side(a), _side(b)))
    if json_file is not None:
        _write_json(json_file, comparison.as_json(result))
        if str(json_file) == "-":
            return
    say(table(result, a, b).rstrip("\n"))


def _side(given: str) -> pl.DataFrame:
    from aqaudit.audits.pairing import selected, selector
    from aqaudit.table import read_answers

    path, keys = (given, {}) if Path(given).exists() else selector(given)
    return selected(read_answers(path), keys, where=given)


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
    from aqaudit import audits
    from aqaudit.audits import gate as gates
    from aqaudit.sidecars import read_sidecars
    from aqaudit.table import read_answers

    rules = gates.read_rules(config, {name: audit.figures for name, audit in audits.AUDITS.items()})
    result = audits.audit(read_answers(source), read_sidecars(source))
    judged = gates.judge(rules, result.findings)
    for one in judged:
        say(one_line(gates.line(one)))
    raise typer.Exit(gates.exit_code(judged))
