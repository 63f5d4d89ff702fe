"""Commands that say what there is: models, plugins."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from aqaudit.cli.app import one_line, say
from aqaudit.core.records import BadInput, nearest


def models(
    check: Annotated[
        str | None, typer.Option(help="Send one real request to this model and show what came back.")
    ] = None,
    study: Annotated[Path | None, typer.Option(help="Study file whose [models] are meant as well.")] = None,
) -> None:
    """List models and presets, and which can be used now."""
    from aqaudit.models import check as checking
    from aqaudit.models.call import AskFailed
    from aqaudit.models.catalog import presets

    entries = presets()
    if study is not None:
        from aqaudit.study.study import Study

        entries = {**entries, **Study.read(study).models}
    if check is None:
        for name, entry in entries.items():
            say(f"{name}: {entry.provider}, {entry.model} at {entry.destination()[0]}")
            say(f"    {checking.usable(name, entry)}")
        return
    if check not in entries:
        raise BadInput(f"--check {check}: no such model{nearest(check, entries)}; name its study with --study")
    try:
        say(checking.check(check, entries[check]))
    except AskFailed as failed:
        typer.echo(f"no answer: {failed.cause}: {one_line(failed.message)}", err=True)
        raise typer.Exit(1) from None


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
