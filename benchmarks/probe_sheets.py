"""Contact sheets of every exercise and error for the documentation: three severities from two cameras, to be looked at.

    python benchmarks/probe_sheets.py docs/probe [EXERCISE ...]

A pose error is shown at its turning point, from a camera that sees it well and from one that sees it less well; a
temporal error as a strip of frames, one strip a severity. Needs the extra ``probe``.
"""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from PIL import Image, ImageDraw

from aqaudit.probe import scene
from aqaudit.probe.casting import generator, performer, style
from aqaudit.probe.errors import EXERCISES
from aqaudit.probe.scene import Spec, camera_for, render, severities, take

if TYPE_CHECKING:
    import numpy as np

    from aqaudit.probe.errors import Error

SIDE = 176
LABEL = 18
#: Times of the strips of temporal errors, seconds.
MOMENTS = {
    "wobble": (0.9, 1.13, 1.33, 1.53, 1.73, 1.93),
    "sinking": (0.0, 0.45, 0.9, 1.35, 1.8, 2.3),
}


def spec_of(exercise: str, error: Error, number: int, azimuth: float) -> Spec:
    draw = generator("sheet", exercise, error.id)
    person = performer("recipe", number)
    height = 0.7 if exercise in {"pushup", "plank"} else 1.1
    place = replace(scene.place(draw), mat_half=(0.0, 0.0, 0.0))
    return Spec(
        exercise=exercise,
        error=error.id,
        severity=0.0,
        performer=person,
        style=style(draw),
        camera=camera_for(person, exercise, azimuth, height, 1.5),
        place=place,
        lamp=scene.lamp(draw),
    )


def levels(error: Error) -> tuple[float, float, float]:
    """Return a clean execution, one clearly beyond the tolerance, and a strong one."""
    return 0.0, round(min(1.8 * error.tolerance, 0.5 * error.largest), 2), round(0.85 * error.largest, 2)


def cameras(exercise: str, error: Error) -> tuple[float, float]:
    if error.views[0] > 0:
        return 90.0, 55.0
    return (0.0, 55.0) if exercise in {"pushup", "plank"} else (0.0, 38.0)


def row(exercise: str, error: Error, number: int) -> Image.Image:
    cells: list[tuple[np.ndarray, str]] = []
    for azimuth in cameras(exercise, error)[: 1 if error.temporal else 2]:
        base = spec_of(exercise, error, number, azimuth)
        for spec in severities(base, levels(error)):
            shot = take(spec)
            moments = MOMENTS.get(error.id, (0.35, 0.6, 0.85, 1.1, 1.45, 1.8)) if error.temporal else (shot.turning_s,)
            label = f"severity {spec.severity:g} {error.unit}"
            pictures = list(render(spec, shot.at(moments), (SIDE, SIDE)))
            cells += [
                (picture, label if place == 0 else f"{moments[place]:g} s") for place, picture in enumerate(pictures)
            ]
    rows = -(-len(cells) // 6)
    sheet = Image.new("RGB", (6 * SIDE, rows * SIDE + LABEL), "white")
    pen = ImageDraw.Draw(sheet)
    pen.text(
        (4, 3), f"{EXERCISES[exercise].action}: {error.id} (tolerance {error.tolerance:g} {error.unit})", fill="black"
    )
    for place, (picture, label) in enumerate(cells):
        x, y = place % 6 * SIDE, place // 6 * SIDE + LABEL
        sheet.paste(Image.fromarray(picture), (x, y))
        pen.rectangle((x + 2, y + 2, x + 8 + 6 * len(label), y + 14), fill="black")
        pen.text((x + 5, y + 3), label, fill="white")
    return sheet


def main() -> None:
    folder = Path(sys.argv[1] if len(sys.argv) > 1 else "docs/probe")
    folder.mkdir(parents=True, exist_ok=True)
    for number, (name, exercise) in enumerate(EXERCISES.items()):
        if len(sys.argv) > 2 and name not in sys.argv[2:]:
            continue
        rows = [row(name, error, number + 9 * place) for place, error in enumerate(exercise.errors)]
        sheet = Image.new("RGB", (rows[0].width, sum(one.height for one in rows)), "white")
        y = 0
        for one in rows:
            sheet.paste(one, (0, y))
            y += one.height
        path = folder / f"{name}.jpg"
        sheet.save(path, quality=78, optimize=True)
        print(f"{path}: {path.stat().st_size / 1000:.0f} kB")


if __name__ == "__main__":
    main()
