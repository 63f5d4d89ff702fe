"""What is true of a clip: labels, severity, time of the error, score, keypoints, joints and angles.

The execution score is 10 times 2 to the minus (severity / 3 tolerances): 10 for a clean execution, 7.9 at the
tolerance, 5 at three times the tolerance; one decimal.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from aqaudit.pose.coco17 import JOINTS as COCO
from aqaudit.probe.errors import Error, exercise
from aqaudit.probe.measure import POINTS, degrees_between, severity
from aqaudit.probe.motions import FPS
from aqaudit.probe.scene import Spec, Take, take

#: Joint angles in pose files: 180 degrees is straight; the shoulder's is between upper arm and trunk.
ANGLES = {
    "knee_angle": ("hip", "knee", "ankle"),
    "hip_angle": ("shoulder", "hip", "knee"),
    "elbow_angle": ("shoulder", "elbow", "wrist"),
    "shoulder_angle": ("hip", "shoulder", "elbow"),
}
ANGLE_NAMES = tuple(f"{name}_{side}" for name in ANGLES for side in ("left", "right"))
_RUSHED = {"rushed_descent", "rushed_lowering"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Truth:
    """What is true of a clip.

    ``criteria`` and ``errors`` say what holds; an error of the exercise that the commanded one brings along beyond its
    own tolerance (arms that are uneven because one is bent) is in neither. ``interval`` is when the commanded error
    shows, seconds, or None where it is within tolerance.
    """

    criteria: dict[str, bool]
    errors: dict[str, bool]
    measured: dict[str, float]
    interval: tuple[float, float] | None
    score: float


def truth_of(spec: Spec, shot: Take) -> Truth:
    """Return what is true of a whole clip."""
    errors = exercise(spec.exercise).errors
    measured = {error.id: severity(spec.exercise, error.id, shot.points, shot.times) for error in errors}
    criteria, present = {}, {}
    for error in errors:
        wrong = spec.severity > error.tolerance if error.id == spec.error else measured[error.id] > error.tolerance
        if error.id == spec.error or not wrong:
            criteria[error.criterion], present[error.id] = not wrong, wrong
    return Truth(
        criteria=criteria,
        errors=present,
        measured=measured,
        interval=None if spec.correct else shown_during(spec, shot),
        score=score(spec.fault, spec.severity),
    )


def score(error: Error, value: float) -> float:
    """Return the execution score, 0 to 10, of an error of this severity; see the module's text."""
    return round(10 * 2 ** (-value / (3 * error.tolerance)), 1)


def shown_during(spec: Spec, shot: Take) -> tuple[float, float]:
    """Return from when to when the error shows: where joints are off a clean execution by a third of the most or more.

    A rushed movement shows while it lasts.
    """
    clean = take(replace(spec, severity=0.0), shot.times)
    if spec.error in _RUSHED:
        speed = np.linalg.norm(np.diff(shot.points, axis=0), axis=-1).sum(axis=-1)
        turning = int(np.abs(shot.times - shot.turning_s).argmin())
        moving = speed > 0.1 * speed.max()
        half = np.arange(len(speed)) < turning if spec.error == "rushed_descent" else np.arange(len(speed)) >= turning
        shown = np.append(moving & half, False)
    else:
        off = np.linalg.norm(shot.points - clean.points, axis=-1).max(axis=-1)
        shown = off >= off.max() / 3
    first, last = np.flatnonzero(shown)[[0, -1]]
    return float(shot.times[first]), float(shot.times[last] + 1 / FPS)


def angles(points: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the joint angles (T x 8, degrees) named by :data:`ANGLE_NAMES` from named points (T x 30 x 3)."""
    columns = []
    for first, middle, last in ANGLES.values():
        for side in ("left", "right"):
            a, b, c = (points[:, POINTS.index(f"{side}_{name}")] for name in (first, middle, last))
            columns.append(degrees_between(a - b, c - b))
    return np.stack(columns, axis=1)


def pose_arrays(spec: Spec, shot: Take, size: tuple[int, int]) -> dict[str, NDArray[Any]]:
    """Return the arrays of a pose file.

    ``keypoints`` T x 17 x 3 (pixels, confidence 1), ``joints3d`` T x 17 x 3 and ``landmarks3d`` T x 13 x 3 in metres (x
    to the performer's left, y up, z forward), ``angles`` T x 8 degrees, ``fps``, ``width``, ``height``.
    """
    return {
        "keypoints": shot.keypoints(spec.camera, size).astype(np.float32),
        "joints3d": shot.points[:, : len(COCO)].astype(np.float32),
        "landmarks3d": shot.points[:, len(COCO) :].astype(np.float32),
        "angles": angles(shot.points).astype(np.float32),
        "fps": np.array(FPS),
        "width": np.array(size[0]),
        "height": np.array(size[1]),
    }
