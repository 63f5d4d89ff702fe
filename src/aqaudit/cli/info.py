"""Commands that say what there is: data sets and models."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from aqaudit.cli.app import app, one_line, say
from aqaudit.core.records import BadInput

if TYPE_CHECKING:
    from aqaudit.models.settings import ModelEntry

data_app = typer.Typer(help="Data sets: what is known, and what a folder holds.", no_args_is_help=True)
app.add_typer(data_app, name="data")


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

    found = datasets.check(name, root)
    say(str(found))


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
        from aqaudit.study.study import Study

        entries = {**entries, **Study.read(study).models}
    if check is None:
        for name, entry in entries.items():
            say(f"{name}: {entry.provider}, {entry.model} at {entry.destination()[0]}")
            say(f"    {_usable(name, entry)}")
        return
    from aqaudit.core.records import nearest
    from aqaudit.models.call import AskFailed
    from aqaudit.models.check import check as check_model

    if check not in entries:
        raise BadInput(f"--check {check}: no such model{nearest(check, entries)}; name its study with --study")
    try:
        say(check_model(check, entries[check]))
    except AskFailed as failed:
        typer.echo(f"no answer: {failed.cause}: {one_line(failed.message)}", err=True)
        raise typer.Exit(1) from None


@app.command()
def plugins() -> None:
    """List the plug-ins that are installed, and why one cannot be used."""
    from aqaudit import audits, datasets, measures
    from aqaudit.models import settings
    from aqaudit.prompts import template

    rooms = (datasets.PLUG_INS, settings.PLUG_INS, template.PLUG_INS, audits.PLUG_INS, measures.PLUG_INS)
    found = [one for plug_ins in rooms for one in plug_ins.installed()]
    for one in found:
        say(f"{one.kind} {one.name}: {one.value}, {one.distribution} {one.version}")
        say(f"    {one_line(one.failed) or 'usable'}")
    if not found:
        say("no plug-in is installed; docs/extend.md says how to make one")


def _usable(name: str, entry: ModelEntry) -> str:
    from aqaudit.models.catalog import api_key, check_installed

    try:
        check_installed(entry)
        key = api_key(name, entry)
    except BadInput as error:
        return f"not usable now: {error}"
    if entry.provider == "onnx":
        return "usable; a small demonstration model (docs/demo-model.md)"
    if entry.provider == "hf":
        return "usable if its files are there (no key needed)"
    if entry.provider == "simulated":
        return "usable; a simulated judge, not a vision-language model"
    if entry.provider == "observer":
        needs = "estimated joints, which need the extra pose" if entry.model == "pose" else "exact joints"
        return f"usable; an ideal observer that answers from {needs}"
    return "usable: the key is set" if key else "usable if its server runs (no key needed)"
