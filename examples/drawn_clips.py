"""Draw a small data set of squats: twelve stick figures, each once from the front and once from the side.

    python examples/drawn_clips.py OUT [--seed N] [--table]

The figures differ in proportions, colours and tempo. Every label follows from the angles that the figure is drawn with,
so the truth is exact: whether the hips reach knee height (verify), whether the knees move inward or the trunk leans too
far (detect, with the angle in degrees), where the hips end up (choose) and a score (score, prefer). The same seed draws
the same clips. The study written beside them uses the simulated judge. With --table there is no data set but what
somebody with a camera and a spreadsheet would have: clips, and labels.csv.
"""

from __future__ import annotations

import argparse
import csv
import json
import math
import random
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import av
from PIL import Image, ImageDraw

from aqaudit.datasets.proposal import study_toml

if TYPE_CHECKING:
    from collections.abc import Iterator

SIDE = 160  # pixels
FINER = 3  # frames are drawn so many times larger, then scaled down
FPS = 12
FRAMES = 24
PERFORMERS = 12
INWARD_TOLERANCE = 8.0  # degrees
LEAN_TOLERANCE = 45.0

DATASET = """\
name = "drawn_squats"
licence = "CC0-1.0"
citation = "drawn by examples/drawn_clips.py"
allow_upload = true

[[criterion]]
id = "deep_enough"
action = "squat"
positive = "At the lowest point the hips are at knee height or below."
negative = "At the lowest point the hips are above knee height."

[[error]]
id = "knees_inward"
action = "squat"
statement = "The knees move inward, closer to each other than the feet are."

[[error]]
id = "trunk_leans"
action = "squat"
statement = "The trunk leans forward by more than 45 degrees."

[[choice]]
id = "hips"
action = "squat"
question = "Where are the hips at the lowest point?"
options = ["clearly above the knees", "at knee height", "clearly below the knees"]

[[scale]]
id = "execution"
min = 0
max = 10
step = 0.5
unit = "points"
"""


@dataclass(frozen=True)
class Figure:
    """A performer: lengths relative to the height of the picture, colours, and half the width of the stance."""

    shank: float
    thigh: float
    trunk: float
    arm: float
    head: float
    thick: float
    stance: float
    skin: str
    shirt: str
    trousers: str
    wall: str
    floor: str


@dataclass(frozen=True)
class Squat:
    """What is done: angles in degrees at the lowest point. The thigh is upright at 0 and level at 90."""

    view: str
    thigh: float
    lean: float
    inward: float

    @property
    def score(self) -> float:
        """10, less up to 5 for missing depth and up to 4 for an error; in half points."""
        shallow = 5 * min(1, max(0, 90 - self.thigh) / 40)
        error = 2 * min(2, max(0, self.inward - INWARD_TOLERANCE) / 4 + max(0, self.lean - LEAN_TOLERANCE) / 10)
        return round(2 * (10 - shallow - error)) / 2


def figure_from(draw: random.Random) -> Figure:
    tall = draw.uniform(0.85, 1.05)
    hue = draw.randrange(360)
    return Figure(
        shank=0.20 * tall * draw.uniform(0.93, 1.07),
        thigh=0.21 * tall * draw.uniform(0.93, 1.07),
        trunk=0.25 * tall * draw.uniform(0.93, 1.07),
        arm=0.24 * tall,
        head=0.058 * tall,
        thick=draw.uniform(0.035, 0.055),
        stance=draw.uniform(0.09, 0.12),
        skin=draw.choice(["#f0c8a0", "#d9a066", "#a86e3c", "#7a4a2a", "#5a3620"]),
        shirt=f"hsl({hue}, 70%, 45%)",
        trousers=f"hsl({(hue + draw.randrange(90, 270)) % 360}, 55%, 30%)",
        wall=f"hsl({draw.randrange(360)}, 25%, 88%)",
        floor=f"hsl({draw.randrange(360)}, 15%, 65%)",
    )


def squats_from(draw: random.Random) -> Iterator[tuple[int, Squat]]:
    """Yield performer and squat: from each side half of them deep enough, and half of them with an error."""
    for view in ("front", "side"):
        kinds = [(deep, wrong) for deep in ("above", "at", "below", "above") for wrong in (True, False)]
        kinds = (kinds + kinds)[:PERFORMERS]
        draw.shuffle(kinds)
        for performer, (deep, wrong) in enumerate(kinds, 1):
            thigh = {"above": draw.uniform(52, 72), "at": draw.uniform(90, 93), "below": draw.uniform(106, 114)}[deep]
            lean, inward = draw.uniform(24, 36), draw.uniform(0, 4)
            if wrong and view == "front":
                inward = draw.uniform(13, 18)
            elif wrong:
                lean = draw.uniform(56, 66)
            yield performer, Squat(view=view, thigh=thigh, lean=lean, inward=inward)


def picture(figure: Figure, squat: Squat, depth: float) -> Image.Image:
    """Draw one moment; ``depth`` is 0 standing and 1 at the lowest point."""
    size = SIDE * FINER
    image = Image.new("RGB", (size, size), figure.wall)
    pen = ImageDraw.Draw(image)
    ground = 0.88
    pen.rectangle((0, ground * size, size, size), fill=figure.floor)
    thigh, lean = math.radians(squat.thigh * depth), math.radians(4 + (squat.lean - 4) * depth)
    shank = 0.38 * thigh  # the knee travels forward as it bends
    knee_y = figure.shank * math.cos(shank)
    hip_y = knee_y + figure.thigh * math.cos(thigh)
    shoulder_y = hip_y + figure.trunk * math.cos(lean)

    def limb(colour: str, thick: float, *points: tuple[float, float]) -> None:
        at = [(x * size, (ground - 0.012 - y) * size) for x, y in points]
        wide = thick * size
        pen.line(at, fill=colour, width=round(wide), joint="curve")
        for x, y in at:
            pen.ellipse((x - wide / 2, y - wide / 2, x + wide / 2, y + wide / 2), fill=colour)

    def head(x: float, y: float) -> None:
        limb(figure.skin, 2 * figure.head, (x, y), (x, y))

    if squat.view == "side":
        ankle_x = 0.47
        knee_x = ankle_x + figure.shank * math.sin(shank)
        hip_x = knee_x - figure.thigh * math.sin(thigh)
        shoulder_x = hip_x + figure.trunk * math.sin(lean)
        raised = math.radians(15 + 70 * depth)
        hand = shoulder_x + figure.arm * math.sin(raised), shoulder_y - figure.arm * math.cos(raised)
        limb("#303030", 0.03, (ankle_x, 0), (ankle_x + 0.075, 0))
        limb(figure.trousers, figure.thick, (ankle_x, 0.01), (knee_x, knee_y), (hip_x, hip_y))
        limb(figure.shirt, figure.thick * 1.5, (hip_x, hip_y), (shoulder_x, shoulder_y))
        limb(figure.skin, figure.thick * 0.7, (shoulder_x, shoulder_y), hand)
        up = figure.head + figure.thick
        head(shoulder_x + up * math.sin(lean * 0.6), shoulder_y + up * math.cos(lean * 0.6))
        return image

    shift = figure.shank * math.tan(math.radians(squat.inward)) * depth
    outward = 0.03 * depth if squat.inward <= INWARD_TOLERANCE else 0.0
    hip, shoulder = figure.stance * 0.62, figure.stance * 1.0
    for sign in (-1, 1):
        ankle_x, knee_x = 0.5 + sign * figure.stance, 0.5 + sign * (figure.stance + outward - shift)
        limb("#303030", 0.035, (ankle_x, 0), (ankle_x + sign * 0.02, 0))
        limb(figure.trousers, figure.thick, (0.5 + sign * hip, hip_y), (knee_x, knee_y))
        limb(figure.trousers, figure.thick, (knee_x, knee_y), (ankle_x, 0.01))
    limb(figure.trousers, figure.thick * 1.2, (0.5 - hip, hip_y), (0.5 + hip, hip_y))
    limb(figure.shirt, figure.thick * 2.2, (0.5, hip_y + 0.02), (0.5, shoulder_y - 0.01))
    limb(figure.shirt, figure.thick, (0.5 - shoulder, shoulder_y), (0.5 + shoulder, shoulder_y))
    for sign in (-1, 1):
        elbow = 0.5 + sign * (shoulder + 0.03 + 0.03 * depth), shoulder_y - figure.arm * (0.5 - 0.2 * depth)
        hand = 0.5 + sign * (shoulder + 0.03) * (1 - 0.9 * depth), shoulder_y - figure.arm * (1 - 0.6 * depth)
        limb(figure.skin, figure.thick * 0.7, (0.5 + sign * shoulder, shoulder_y), elbow, hand)
    head(0.5, shoulder_y + figure.head + figure.thick * 0.8)
    return image


def write_clip(path: Path, figure: Figure, squat: Squat) -> None:
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=FPS)
        stream.width = stream.height = SIDE
        stream.pix_fmt = "yuv420p"
        stream.options = {"crf": "20", "threads": "1"}
        for number in range(FRAMES):
            depth = math.sin(math.pi * number / (FRAMES - 1)) ** 2
            image = picture(figure, squat, depth).resize((SIDE, SIDE), Image.Resampling.BOX)
            container.mux(stream.encode(av.VideoFrame.from_image(image)))
        container.mux(stream.encode())


def line_for(name: str, performer: int, squat: Squat) -> dict[str, object]:
    times = [[round(FRAMES / FPS * 0.3, 2), round(FRAMES / FPS * 0.7, 2)]]
    if squat.view == "front":
        error, angle, tolerance = "knees_inward", squat.inward, INWARD_TOLERANCE
    else:
        error, angle, tolerance = "trunk_leans", squat.lean, LEAN_TOLERANCE
    missing = max(0.0, 90 - squat.thigh)
    where = (
        "clearly above the knees" if missing else "at knee height" if squat.thigh < 100 else "clearly below the knees"
    )
    return {
        "id": name,
        "media": f"clips/{name}.mp4",
        "action": "squat",
        "performer": f"p{performer:02d}",
        "criteria": {"deep_enough": missing == 0},
        "errors": {error: times if angle > tolerance else []},
        "scores": {"execution": squat.score},
        "choices": {"hips": where},
        "severity": {
            "deep_enough": {"value": round(missing, 1), "unit": "deg", "tolerance": 0},
            error: {"value": round(angle, 1), "unit": "deg", "tolerance": tolerance},
        },
        "tags": {"camera": squat.view},
    }


def draw_clips(folder: Path, seed: int) -> list[dict[str, object]]:
    """Write the clips into ``folder`` and return a line for each."""
    folder.mkdir(parents=True, exist_ok=True)
    draw = random.Random(seed)
    figures = {performer: figure_from(draw) for performer in range(1, PERFORMERS + 1)}
    squats = list(squats_from(draw))
    draw.shuffle(squats)  # the numbers of the clips must tell nothing
    lines = []
    for number, (performer, squat) in enumerate(squats, 1):
        name = f"c{number:02d}"
        write_clip(folder / f"{name}.mp4", figures[performer], squat)
        lines.append(line_for(name, performer, squat))
    return lines


def draw_table(out: Path, seed: int = 7) -> None:
    """Write clips in a folder named after the action, and labels.csv."""
    lines = draw_clips(out / "squat", seed)
    with (out / "labels.csv").open("w", encoding="utf-8", newline="") as file:
        table = csv.writer(file, lineterminator="\n")
        table.writerow(("file", "performer", "deep_enough", "error:knees_inward", "points"))
        for line in lines:
            knees = line["errors"].get("knees_inward")  # type: ignore[attr-defined]
            table.writerow(
                (
                    f"squat/{line['id']}.mp4",
                    line["performer"],
                    "yes" if line["criteria"]["deep_enough"] else "no",  # type: ignore[index]
                    "" if knees is None else "yes" if knees else "no",
                    line["scores"]["execution"],  # type: ignore[index]
                )
            )


def draw_dataset(out: Path, seed: int = 7) -> None:
    """Write the data set and its study into ``out``."""
    lines = draw_clips(out / "clips", seed)
    (out / "dataset.toml").write_text(DATASET, encoding="utf-8")
    (out / "clips.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
    (out / "study.toml").write_text(study_toml("drawn_squats", lines, pairs=True), encoding="utf-8")


def main() -> None:
    parser = argparse.ArgumentParser(description="Draw a small data set of squats.")
    parser.add_argument("out", type=Path, help="folder to write to; files of an earlier run are replaced")
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--table", action="store_true", help="clips and labels.csv only, as for aqaudit init")
    arguments = parser.parse_args()
    if arguments.table:
        draw_table(arguments.out, arguments.seed)
        print(f"{arguments.out}: {2 * PERFORMERS} clips and labels.csv")
        return
    draw_dataset(arguments.out, arguments.seed)
    print(f"{arguments.out}: {2 * PERFORMERS} clips; next: aqaudit run {arguments.out / 'study.toml'}")


if __name__ == "__main__":
    main()
