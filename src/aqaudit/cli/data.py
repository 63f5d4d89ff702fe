"""Commands about data sets: data list, data check, init."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from aqaudit.cli.app import say
from aqaudit.core.records import BadInput

data_app = typer.Typer(name="data", help="Data sets: what is known, and what a folder holds.", no_args_is_help=True)


@data_app.command("list")
def data_list() -> None:
    """List the data sets that can be read."""
    from aqaudit import datasets

    for known in datasets.known():
        say(str(known))


@data_app.command("check")
def data_check(
    name: Annotated[str, typer.Argument(help="Reader, as in aqaudit data list.")],
    root: Annotated[Path | None, typer.Argument(help="Folder that holds it (not needed for the probe).")] = None,
) -> None:
    """Hold what a folder has against the published counts, and list every problem found."""
    from aqaudit import datasets

    say(str(datasets.check(name, root)))


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
