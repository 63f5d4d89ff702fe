"""Where a clip is shot: the camera, the room and the light; rooms and lights are drawn at random."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from aqaudit.probe.performers import Colour, linear

_FLOORS = (("#b98d5c", "#8c6239"), ("#d9b98c", "#b8935f"), ("#7d7f85", "#63666d"), ("#d5d2cb", "#a9a69f"),
           ("#4c4f56", "#3b3e45"), ("#93a1a8", "#7c8a92"), ("#6e5240", "#533b2c"))  # fmt: skip
_WALLS = (("#e8e4da", "#c9c2b2"), ("#d3dde3", "#9fb1bd"), ("#c9d3c0", "#8fa183"), ("#e6d4c4", "#b98f74"),
          ("#b5652f", "#d8cbbd"), ("#8d98ab", "#6c768a"), ("#f1efec", "#b9b4aa"), ("#a7a19a", "#d6d0c6"))  # fmt: skip
_MATS = ("#3f6fa8", "#7a3f8f", "#2f8f7a", "#a84a4a", "#444a55", "#8f8f3f")


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
