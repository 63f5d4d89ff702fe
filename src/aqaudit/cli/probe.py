"""Commands about the probe: probe make, probe list."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from aqaudit.cli.app import say
from aqaudit.core.records import BadInput

probe_app = typer.Typer(name="probe", help="Rendered minimal pairs with exact truth.", no_args_is_help=True)


@probe_app.command("make")
def make(
    out: Annotated[Path, typer.Option(help="Folder to make; it must not hold anything.")] = Path("out/probe"),
    seed: Annotated[int, typer.Option(min=0, help="Seed of performers' styles, cameras, rooms and lights.")] = 7,
    recipe: Annotated[
        str, typer.Option(help="families, bundled, standard (320 clips an error), twins or conflict.")
    ] = "families",
    exercise: Annotated[list[str] | None, typer.Option(help="Only this exercise; may be repeated.")] = None,
    error: Annotated[list[str] | None, typer.Option(help="Only this error; may be repeated.")] = None,
    severity: Annotated[
        list[float] | None, typer.Option(help="Severity of a clip in each family, in the error's unit; repeat it.")
    ] = None,
    families: Annotated[int, typer.Option(min=1, help="Families of clips for each error.")] = 1,
    size: Annotated[int, typer.Option(min=64, max=1024, help="Width and height in pixels, even.")] = 256,
) -> None:
    """Generate clips whose truth is exact: minimal pairs that differ in the severity of one error."""
    from aqaudit.probe.build import make as build
    from aqaudit.probe.recipes import plans

    if size % 2:
        raise BadInput(f"--size {size}: allowed: an even number, as H.264 needs")
    chosen = list(
        plans(recipe, seed, exercises=exercise or (), errors=error or (), levels=severity or (), families=families)
    )

    def told(done: int) -> None:
        if sys.stderr.isatty():
            sys.stderr.write(f"\r{done:,} of {len(chosen):,} clips" + ("\n" if done == len(chosen) else ""))
            sys.stderr.flush()

    made = build(out, chosen, size=(size, size), told=told)
    say(f"wrote {made:,} clips to {out}")
    say(f"next: aqaudit data check probe {out}")


@probe_app.command("list")
def listing() -> None:
    """List the exercises and their errors with units, tolerances and largest severities."""
    from aqaudit.probe.errors import EXERCISES

    for one in EXERCISES.values():
        say(f"{one.name}: {one.action}")
        for kind in one.errors:
            seen = "over time" if kind.temporal else "in a frame"
            limits = f"tolerance {kind.tolerance:g}, at most {kind.largest:g} {kind.unit}"
            say(f"    {kind.id:<18} {limits}, shows {seen}")
