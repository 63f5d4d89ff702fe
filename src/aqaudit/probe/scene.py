"""One clip, wholly described: who does what, how wrong, seen from where, in which room; and its exact truth.

The generator for others to build on::

    from aqaudit.probe.scene import render, sample_specs, take

    for spec in sample_specs(seed=1, count=100, pool="training"):
        shot = take(spec)                                   # joints, keypoints, times: no picture, a few ms
        [picture] = render(spec, shot.at([shot.turning_s]), size=(128, 128))   # H x W x 3 uint8 RGB
        spec.severity, spec.fault.tolerance, spec.fault.unit, spec.correct     # the truth
        spec.fault.positive, spec.fault.statement                              # the criterion's two wordings

``take`` needs the body model, ``render`` the ray caster (both: extra ``probe``). A *family* shares everything but the
severity: ``dataclasses.replace(spec, severity=…)``. Performers of the pool ``training`` are never those of ``bundled``
or ``recipe``: a person is drawn from the pool's name and a number.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from aqaudit.pose.coco17 import JOINTS as COCO
from aqaudit.probe import motions
from aqaudit.probe.appearance import Dressed, dress, dumbbells
from aqaudit.probe.body import BodyMesh, figure
from aqaudit.probe.casting import Camera, Lamp, Performer, Place, Pool, Style, generator, lamp, performer, place, style
from aqaudit.probe.errors import Error, Exercise, checked_severity, chosen, exercise
from aqaudit.probe.measure import POINTS, degrees_between, severity
from aqaudit.probe.motions import FPS
from aqaudit.probe.rig import Bones

#: Joint angles in pose files: 180 degrees is straight; the shoulder's is between upper arm and trunk.
ANGLES = {
    "knee_angle": ("hip", "knee", "ankle"),
    "hip_angle": ("shoulder", "hip", "knee"),
    "elbow_angle": ("shoulder", "elbow", "wrist"),
    "shoulder_angle": ("hip", "shoulder", "elbow"),
}
ANGLE_NAMES = tuple(f"{name}_{side}" for name in ANGLES for side in ("left", "right"))
_RUSHED = {"rushed_descent", "rushed_lowering"}
#: What a picture of each exercise takes in, in body heights: middle (height, forward) and radius.
_FRAMES = {
    "squat": (0.46, 0.04, 0.54), "press": (0.62, 0.0, 0.72), "lunge": (0.47, 0.24, 0.56), "pushup": (0.17, 0.075, 0.55),
    "hinge": (0.46, 0.05, 0.55), "stance": (0.49, 0.03, 0.56), "plank": (0.14, 0.085, 0.55), "jack": (0.6, 0.0, 0.72),
    "raise": (0.53, 0.02, 0.61),
}  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Spec:
    """Everything that decides a clip. ``severity`` is in the error's unit; 0 is a clean execution."""

    exercise: str
    error: str
    severity: float
    performer: Performer
    style: Style
    camera: Camera
    place: Place
    lamp: Lamp

    @property
    def fault(self) -> Error:
        """The error's catalogue entry: unit, tolerance, wording."""
        return exercise(self.exercise).error(self.error)

    @property
    def action(self) -> str:
        """The exercise in plain words."""
        return exercise(self.exercise).action

    @property
    def correct(self) -> bool:
        """Whether the criterion is met: the severity is within the tolerance."""
        return self.severity <= self.fault.tolerance


@dataclass(frozen=True, slots=True, kw_only=True)
class Take:
    """What happens in a clip: bones and named points (T x 30 x 3, metres; COCO-17, then landmarks) at ``times``."""

    times: NDArray[np.float64]
    bones: Bones
    points: NDArray[np.float64]

    @property
    def turning_s(self) -> float:
        """When the body is farthest from where it starts: the moment at which a still shows a pose error best."""
        away = np.linalg.norm(self.points - self.points[0], axis=-1).sum(axis=-1)
        return float(self.times[int(away.argmax())])

    def at(self, times: Sequence[float]) -> Take:
        """Return the frames nearest to these times."""
        places = [int(np.abs(self.times - time).argmin()) for time in times]
        bones = type(self.bones)(self.bones.rotations[places], self.bones.positions[places])
        return Take(times=self.times[places], bones=bones, points=self.points[places])

    def keypoints(self, camera: Camera, size: tuple[int, int]) -> NDArray[np.float64]:
        """Return COCO-17 in pixels, T x 17 x 3 (x, y, confidence 1)."""
        flat = camera.project(self.points[:, : len(COCO)], *size)
        return np.concatenate([flat, np.ones_like(flat[..., :1])], axis=-1)


@lru_cache(maxsize=128)
def body_of(person: Performer) -> BodyMesh:
    """Return a performer's body at rest."""
    return figure(person.shape)


@lru_cache(maxsize=128)
def _dressed(person: Performer, exercise: str) -> Dressed:
    body = body_of(person)
    return dress(body, person.look, dumbbells(body) if exercise in motions.DUMBBELLS else ())


def take(spec: Spec, times: NDArray[np.float64] | None = None) -> Take:
    """Return what the body does at ``times`` (seconds; default: every frame of a clip).

    Raises
    ------
    BadInput
        For a severity that is impossible, and where the extra ``probe`` is missing.
    """
    if times is None:
        times = motions.CLIP_TIMES
    body = body_of(spec.performer)
    fault = motions.fault_for(body, spec.exercise, spec.error, spec.severity, spec.style)
    bones = motions.move(body, spec.exercise, spec.style, times, fault)
    return Take(times=times, bones=bones, points=body.named_points(bones.rotations, bones.positions))


def render(spec: Spec, shot: Take, size: tuple[int, int] = (256, 256)) -> Iterator[NDArray[np.uint8]]:
    """Yield a picture (height x width x 3, RGB) for each frame of ``shot``."""
    from aqaudit.probe.render import pictures  # noqa: PLC0415 - warp, of the extra, which compiles the ray caster

    dressed = _dressed(spec.performer, spec.exercise)
    return pictures(dressed, shot.bones.rotations, shot.bones.positions, spec.camera, spec.place, spec.lamp, size)


def camera_for(person: Performer, name: str, azimuth: float, height: float, focal: float) -> Camera:
    """Return a camera that has the whole exercise in the picture, whatever the error and its severity."""
    tall = float(body_of(person).vertices[:, 1].max())
    middle, ahead, radius = _FRAMES[name]
    return Camera(
        azimuth=azimuth,
        height=height,
        distance=2.16 * radius * tall * focal,
        focal=focal,
        aim=(0.0, middle * tall, ahead * tall),
    )


def drawn_camera(person: Performer, name: str, fault: Error, draw: np.random.Generator) -> Camera:
    """Draw a camera from which an error of this kind can be seen."""
    low, high = fault.views
    azimuth = float(draw.uniform(low, high) * draw.choice([-1.0, 1.0]))
    on_floor = name in {"pushup", "plank"}
    if on_floor and fault.views[0] == 0:
        azimuth = float(draw.uniform(0, 30) * draw.choice([-1.0, 1.0]))
    height = float(draw.uniform(0.45, 0.95) if on_floor else draw.uniform(0.75, 1.5))
    return camera_for(person, name, azimuth, height, float(draw.uniform(1.25, 2.0)))


def sample_specs(
    *,
    seed: int,
    count: int,
    pool: Pool = "training",
    performers: int = 64,
    exercises: Sequence[str] | None = None,
    errors: Sequence[str] | None = None,
    temporal: bool = True,
) -> Iterator[Spec]:
    """Yield ``count`` random clips: everything is drawn anew for each, half of them within tolerance.

    Parameters
    ----------
    performers
        How many people of the pool appear.
    exercises, errors
        Names to draw from (default: all).
    temporal
        Whether errors that no single frame shows are drawn too.

    Raises
    ------
    BadInput
        For an unknown exercise, or errors that none of the exercises has.
    """
    kinds = [(one, error) for one, error in chosen(exercises or (), errors or ()) if temporal or not error.temporal]
    for number in range(count):
        draw = generator("sample", seed, number)
        one, error = kinds[int(draw.integers(len(kinds)))]
        person = performer(pool, int(draw.integers(performers)))
        yield drawn_spec(one, error, drawn_severity(error, draw), person, draw)


def drawn_spec(one: Exercise, error: Error, severity: float, person: Performer, draw: np.random.Generator) -> Spec:
    """Draw how and where a person does an exercise with an error of this severity."""
    return Spec(
        exercise=one.name,
        error=error.id,
        severity=severity,
        performer=person,
        style=style(draw),
        camera=drawn_camera(person, one.name, error, draw),
        place=place(draw),
        lamp=lamp(draw),
    )


def drawn_severity(error: Error, draw: np.random.Generator) -> float:
    """Draw a severity: a quarter clean, a quarter within tolerance, half clearly above it."""
    kind = draw.random()
    if kind < 0.25:
        return 0.0
    if kind < 0.5:
        return float(draw.uniform(0.2, 0.85) * error.tolerance)
    return float(draw.uniform(1.3 * error.tolerance, error.largest))


def severities(spec: Spec, values: Sequence[float]) -> list[Spec]:
    """Return the family of a spec: the same in everything but the severity."""
    return [replace(spec, severity=checked_severity(spec.fault, value)) for value in values]


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
    """Return the execution score of an error of this severity, to one decimal.

    It is 10 times 2 to the minus (severity / 3 tolerances): 10 for a clean execution, 7.9 at the tolerance, 5 at three
    times the tolerance.
    """
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
