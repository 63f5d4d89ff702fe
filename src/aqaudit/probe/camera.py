"""The camera: where it stands, and where points in the room fall in the picture."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray


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
