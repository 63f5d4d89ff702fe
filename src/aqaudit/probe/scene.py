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

import numpy as np
from numpy.typing import NDArray

from aqaudit.pose.coco17 import JOINTS as COCO
from aqaudit.probe import motions
from aqaudit.probe.appearance import Dressed
from aqaudit.probe.body import BodyMesh, figure
from aqaudit.probe.errors import Error, checked_severity, chosen, exercise
from aqaudit.probe.performers import Colour, Performer, Pool, Style, generator, linear, performer, style
from aqaudit.probe.rig import Bones


@dataclass(frozen=True, slots=True, kw_only=True)
class Camera:
    """A level pinhole camera that looks at ``aim`` (metres).

    ``azimuth`` is in degrees round the performer: 0 in front, 90 at the performer's left, 180 behind; ``height`` and
    ``distance`` in metres; ``focal`` is the focal length in picture heights (1 = a field of view of 53 degrees).
    """

    azimuth: float
    height: float
    distance: float
    focal: float
    aim: tuple[float, float, float] = (0.0, 0.9, 0.0)

    @property
    def eye(self) -> NDArray[np.float64]:
        """Where the camera is."""
        angle = np.radians(self.azimuth)
        aim = np.array(self.aim)
        return np.array([aim[0] + self.distance * np.sin(angle), self.height, aim[2] + self.distance * np.cos(angle)])

    @property
    def axes(self) -> NDArray[np.float64]:
        """Rows: to the right of the picture, up in it, into it."""
        ahead = np.array(self.aim) - self.eye
        ahead /= np.linalg.norm(ahead)
        right = np.cross(ahead, [0.0, 1.0, 0.0])
        right /= np.linalg.norm(right)
        return np.stack([right, np.cross(right, ahead), ahead])

    def project(self, points: NDArray[np.float64], width: int, height: int) -> NDArray[np.float64]:
        """Return pixels (… x 2: x to the right, y down, 0 at the picture's corner) of points (… x 3)."""
        seen = (points - self.eye) @ self.axes.T
        scale = self.focal * height / seen[..., 2]
        return np.stack([width / 2 + scale * seen[..., 0], height / 2 - scale * seen[..., 1]], axis=-1)


_FLOORS = (("#b98d5c", "#8c6239"), ("#d9b98c", "#b8935f"), ("#7d7f85", "#63666d"), ("#d5d2cb", "#a9a69f"),
           ("#4c4f56", "#3b3e45"), ("#93a1a8", "#7c8a92"), ("#6e5240", "#533b2c"))  # fmt: skip
_WALLS = (("#e8e4da", "#c9c2b2"), ("#d3dde3", "#9fb1bd"), ("#c9d3c0", "#8fa183"), ("#e6d4c4", "#b98f74"),
          ("#b5652f", "#d8cbbd"), ("#8d98ab", "#6c768a"), ("#f1efec", "#b9b4aa"), ("#a7a19a", "#d6d0c6"))  # fmt: skip
_MATS = ("#3f6fa8", "#7a3f8f", "#2f8f7a", "#a84a4a", "#444a55", "#8f8f3f")


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """A room: colours in linear light, patterns by number, sizes in metres; ``mat_half`` of 0 is no mat."""

    floor_a: Colour
    floor_b: Colour
    wall_a: Colour
    wall_b: Colour
    mat: Colour
    floor_kind: int
    wall_kind: int
    scale: float
    half: tuple[float, float, float]
    panel: float
    mat_half: tuple[float, float, float]
    mat_turn: float
    grain: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Lamp:
    """One lamp as seen from the performer (unit vector), how soft it is, and the light from above and below."""

    towards: tuple[float, float, float]
    spread: float
    key: Colour
    sky: Colour
    ground: Colour


def place(draw: np.random.Generator) -> Place:
    """Draw a room."""
    floor_a, floor_b = _FLOORS[int(draw.integers(len(_FLOORS)))]
    wall_a, wall_b = _WALLS[int(draw.integers(len(_WALLS)))]
    kind = int(draw.integers(4))
    has_mat = draw.random() < 0.4
    return Place(
        floor_a=linear(floor_a),
        floor_b=linear(floor_b),
        wall_a=linear(wall_a),
        wall_b=linear(wall_b),
        mat=linear(_MATS[int(draw.integers(len(_MATS)))]),
        floor_kind=min(kind, 2) if kind else 0,
        wall_kind=int(draw.integers(4)),
        scale=float((0.3, 0.16, 0.55, 0.55)[kind] * draw.uniform(0.85, 1.2)),
        half=(float(draw.uniform(4.6, 5.6)), 3.0, float(draw.uniform(4.6, 5.6))),
        panel=float(draw.uniform(0.8, 1.3)),
        mat_half=(1.15, 0.0, 1.05) if has_mat else (0.0, 0.0, 0.0),
        mat_turn=float(draw.uniform(-0.05, 0.05)),
        grain=float(draw.integers(1, 50)),
    )


def lamp(draw: np.random.Generator) -> Lamp:
    """Draw a light: from above, anywhere round the performer, warm or cool."""
    around, up = draw.uniform(0, 2 * np.pi), np.radians(draw.uniform(42, 72))
    warm = draw.uniform(-0.06, 0.06)
    strength, fill = draw.uniform(0.75, 1.05), draw.uniform(0.42, 0.6)
    return Lamp(
        towards=(float(np.cos(up) * np.sin(around)), float(np.sin(up)), float(np.cos(up) * np.cos(around))),
        spread=float(draw.uniform(0.04, 0.16)),
        key=(float(strength * (1 + warm)), float(strength), float(strength * (1 - warm))),
        sky=(float(fill * (1 - warm / 2)), float(fill), float(fill * (1 + warm / 2))),
        ground=(float(fill * 0.55), float(fill * 0.52), float(fill * 0.48)),
    )


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
def _dressed(person: Performer, dumbbells: bool) -> Dressed:
    from aqaudit.probe.appearance import dress  # noqa: PLC0415
    from aqaudit.probe.appearance import dumbbells as pair  # noqa: PLC0415

    body = body_of(person)
    return dress(body, person.look, pair(body) if dumbbells else ())


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
    from aqaudit.probe.render import pictures  # noqa: PLC0415 - compiles the ray caster

    dressed = _dressed(spec.performer, spec.exercise in motions.DUMBBELLS)
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
        yield Spec(
            exercise=one.name,
            error=error.id,
            severity=drawn_severity(error, draw),
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
