"""Commands that hand answers on: report, export inspect."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from aqaudit.cli.app import Source, say
from aqaudit.core.records import BadInput, nearest

export_app = typer.Typer(name="export", help="Answers for other programs.", no_args_is_help=True)


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


@export_app.command("inspect")
def export_inspect(
    source: Source,
    out: Annotated[
        Path, typer.Option("-o", "--out", help="A file .eval where the answers are one model's, else a folder.")
    ],
    model: Annotated[str | None, typer.Option(help="Only the answers of this model.")] = None,
) -> None:
    """Write answers as logs of Inspect AI: one a model, pictures by reference."""
    import polars as pl

    from aqaudit.imports.answers import read_answers
    from aqaudit.imports.inspect_ai import write_logs
    from aqaudit.reporting.folder import prompts

    frame = read_answers(source)
    if model is not None:
        known = sorted(frame["model"].unique())
        if model not in known:
            raise BadInput(f"--model {model}: no answers of it here{nearest(model, known)}")
        frame = frame.filter(pl.col("model") == model)
    home = source if source.is_dir() else source.parent
    for path in write_logs(frame, out, media=home / "media", prompts=prompts(source)):
        say(str(path))
