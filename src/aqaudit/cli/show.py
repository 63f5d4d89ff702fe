"""Commands that show what a model is sent: prompts show, media show."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from aqaudit.cli.app import Roots, StudyName, paths_of, say
from aqaudit.core.records import BadInput

media_app = typer.Typer(name="media", help="Media: what a model is shown of a performance.", no_args_is_help=True)
prompts_app = typer.Typer(name="prompts", help="Prompts: exactly what a model receives.", no_args_is_help=True)


@prompts_app.command("show")
def prompts_show(
    study: StudyName,
    root: Roots = None,
    item: Annotated[str | None, typer.Option(help="Id of the performance or question [default: the first].")] = None,
    kind: Annotated[str | None, typer.Option(help="verify, detect, choose, score or prefer.")] = None,
    model: Annotated[str | None, typer.Option(help="Model of the study [default: the first].")] = None,
    strategy: Annotated[str | None, typer.Option(help="Only this strategy.")] = None,
    framing: Annotated[str | None, typer.Option(help="Only this framing.")] = None,
    shots: Annotated[int | None, typer.Option(help="Only with so many examples.")] = None,
    every: Annotated[bool, typer.Option("--all", help="All cells of the item, not only the first.")] = False,
) -> None:
    """Print what a model receives for an item: each part in order, media named; nothing is decoded or sent."""
    from aqaudit.engine.preparation import plan_only
    from aqaudit.engine.show import render
    from aqaudit.study.study import Study

    loaded = Study.read(study, roots=paths_of(root))
    name = model or next(iter(loaded.models))
    if name not in loaded.models:
        raise BadInput(f"--model {name}: not in the study; allowed: {', '.join(loaded.models)}")
    wanted = {"strategy": strategy, "framing": framing, "shots": shots}
    wanted = {key: value for key, value in wanted.items() if value is not None}
    found = ""
    for planned in plan_only(loaded).planned(name):
        question, cell = planned.question, planned.template.cell
        if kind not in {None, question.kind} or any(getattr(cell, key) != value for key, value in wanted.items()):
            continue
        if item not in {None, question.question_id, question.performance.id, question.other and question.other.id}:
            continue
        if found and (not every or question.question_id != found):
            break
        if found:
            say("=" * 80 + "\n")
        found = question.question_id
        say(render(planned.request(), loaded.models[name]))
    if not found:
        asked = ", ".join(f"--{key} {value}" for key, value in {"item": item, "kind": kind, **wanted}.items() if value)
        raise BadInput(f"{loaded.name}: nothing is asked of {name} with {asked or 'this study'}")


@media_app.command("show")
def media_show(
    study: StudyName,
    root: Roots = None,
    item: Annotated[str | None, typer.Option(help="Id of the performance [default: the first that is asked].")] = None,
    model: Annotated[str | None, typer.Option(help="Model of the study [default: the first].")] = None,
    frames: Annotated[int, typer.Option(min=1, max=32, help="Frames of a clip.")] = 6,
    out: Annotated[Path, typer.Option("-o", "--out", help="The sheet, .jpg or .png.")] = Path("media.jpg"),
) -> None:
    """Write a contact sheet of every view and perturbation of a performance, as a model would receive them."""
    from aqaudit.engine.preparation import look_at
    from aqaudit.engine.show import sheet_of
    from aqaudit.study.questions import shuffled
    from aqaudit.study.study import Study

    if out.suffix.lower() not in {".jpg", ".jpeg", ".png"}:
        raise BadInput(f"--out {out}: a sheet is written as .jpg or .png")
    loaded = Study.read(study, roots=paths_of(root))
    name = model or next(iter(loaded.models))
    if name not in loaded.models:
        raise BadInput(f"--model {name}: not in the study; allowed: {', '.join(loaded.models)}")
    found, sources, poses = look_at(loaded)
    for dataset in found:
        for performance in shuffled(dataset.performances, loaded.spec.seed):
            if item in {None, performance.id}:
                sheet = sheet_of(loaded, dataset, performance, name, sources, poses, frames=frames)
                out.parent.mkdir(parents=True, exist_ok=True)
                sheet.picture.save(out, quality=90)
                for line in sheet.lines:
                    say(line)
                say(f"wrote {out}")
                return
    raise BadInput(f"{loaded.name}: no performance is called '{item}'" if item else f"{loaded.name}: is empty")
