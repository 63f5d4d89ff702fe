"""What all commands share: the application, its arguments, and printing that no file name can abuse."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Annotated

import typer

from aqaudit.core.records import BadInput

app = typer.Typer(
    name="aqaudit",
    help="Can a vision-language model judge how well an action was performed? Measured, with intervals.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)

Folder = Annotated[Path, typer.Argument(help="Output folder of a run.")]
Source = Annotated[Path, typer.Argument(help="Output folder of a run, or answers as .parquet, .sqlite or .jsonl.")]
StudyName = Annotated[str, typer.Argument(help="Study file (.toml), or the name of a bundled study.")]
Roots = Annotated[list[str] | None, typer.Option(help="NAME=PATH: where a data set is; NAME is its reader.")]


def paths_of(roots: list[str] | None) -> dict[str, str]:
    """Return the NAME=PATH arguments of --root as a mapping.

    Raises
    ------
    BadInput
        One of them is something else.
    """
    paths = {}
    for given in roots or []:
        name, equals, path = given.partition("=")
        if not (name and equals and path):
            raise BadInput(f"--root {given}: expected NAME=PATH")
        paths[name] = path
    return paths


def one_line(text: str) -> str:
    """Return text as one printable line."""
    return printable(" ".join(text.split()))


def printable(text: str) -> str:
    """Return text with what could steer a terminal, or is half a character, written as an escape."""
    return "".join(c if c.isprintable() or c == "\n" else ascii(c)[1:-1] for c in text)


def in_colour() -> bool:
    """Tell whether standard output is a terminal whose reader has not asked for no colour (https://no-color.org)."""
    return sys.stdout.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


def say(text: str = "") -> None:
    """Print lines on standard output; what a file name or label holds of terminal control is escaped."""
    typer.echo(printable(text))
