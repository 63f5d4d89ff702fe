"""Exact keypoints of the probe against MediaPipe's, on pictures of every exercise from the front and from the side.

    python benchmarks/probe_pose.py [PEOPLE] [SIZE]

The figure is the median distance over joints and pictures in per cent of the performer's height in the picture; bound:
6 %. Joints that MediaPipe itself holds for hidden (confidence under 0.5) are left out and counted. Needs the extras
``probe`` and ``pose`` and MediaPipe's model file.
"""

from __future__ import annotations

import sys
from collections import defaultdict

import numpy as np

from aqaudit.pose.coco17 import JOINTS as COCO
from aqaudit.pose.estimators import open_estimator
from aqaudit.probe.casting import generator, performer, style
from aqaudit.probe.errors import EXERCISES
from aqaudit.probe.recipes import family_levels
from aqaudit.probe.scene import Spec, body_of, camera_for, lamp, place, render, take

VIEWS = {"front": 8.0, "side": 86.0}
MOMENTS = (0.3, 0.8, 1.3, 1.9)


def distances(person: int, exercise: str, view: str, size: int) -> tuple[np.ndarray, int, int]:
    """Return distances of joints (body heights; NaN: hidden), pictures shown, and those with nobody found."""
    draw = generator("pose", person, exercise, view)
    one = performer("recipe", person)
    error = EXERCISES[exercise].errors[person % len(EXERCISES[exercise].errors)]
    camera = camera_for(one, exercise, VIEWS[view], 0.8 if exercise in {"pushup", "plank"} else 1.1, 1.6)
    spec = Spec(
        exercise=exercise,
        error=error.id,
        severity=family_levels(error)[person % 4],
        performer=one,
        style=style(draw),
        camera=camera,
        place=place(draw),
        lamp=lamp(draw),
    )
    shot = take(spec).at(MOMENTS)
    exact = shot.keypoints(camera, (size, size))[..., :2]
    tall = float(body_of(one).vertices[:, 1].max()) * camera.focal * size / camera.distance
    find = open_estimator("mediapipe").begin()
    found, missed = [], 0
    for picture, truth in zip(render(spec, shot, (size, size)), exact, strict=True):
        people = find(picture).points
        if not len(people):
            missed += 1
            continue
        nearest = people[np.nanmean(np.linalg.norm(people[..., :2] - truth, axis=2), axis=1).argmin()]
        off = np.linalg.norm(nearest[:, :2] - truth, axis=1) / tall
        found.append(np.where(nearest[:, 2] >= 0.5, off, np.nan))
    return np.array(found).reshape(-1, len(COCO)), len(MOMENTS), missed


def main() -> None:
    people = int(sys.argv[1]) if len(sys.argv) > 1 else 4
    size = int(sys.argv[2]) if len(sys.argv) > 2 else 512
    print(f"{people} people x {len(EXERCISES)} exercises x {len(MOMENTS)} pictures of {size} x {size} px")
    print("median distance to MediaPipe, per cent of body height (90th percentile); joints seen; nobody found")
    parts: dict[str, list[np.ndarray]] = defaultdict(list)
    for view in VIEWS:
        for exercise in EXERCISES:
            rows = [distances(person, exercise, view, size) for person in range(people)]
            joined = np.concatenate([row[0] for row in rows])
            parts[view].append(joined)
            shown, missed = sum(row[1] for row in rows), sum(row[2] for row in rows)
            print(f"  {view:<6}{exercise:<8}{summary(joined)}   nobody {missed} of {shown}")
        print(f"{view:<14}{summary(np.concatenate(parts[view]))}")
    whole = np.concatenate([part for view in VIEWS for part in parts[view]])
    for number, joint in enumerate(COCO):
        print(f"  {joint:<16}{summary(whole[:, number : number + 1])}")


def summary(off: np.ndarray) -> str:
    seen = off[np.isfinite(off)]
    if not len(seen):
        return "nothing seen"
    return f"{100 * np.median(seen):5.1f} % ({100 * np.quantile(seen, 0.9):4.1f})   {len(seen) / max(off.size, 1):4.0%}"


if __name__ == "__main__":
    main()
