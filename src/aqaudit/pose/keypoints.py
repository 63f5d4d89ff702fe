"""Keypoints: the joints of one performer over the frames of one source."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from collections.abc import Sequence

#: Joints under this confidence are neither drawn nor measured.
MIN_CONFIDENCE = 0.3

Points = NDArray[np.float32]


@dataclass(frozen=True, slots=True, kw_only=True)
class Keypoints:
    """COCO-17 joints of one performer, one row a frame.

    ``points`` is T x 17 x 3: x and y in pixels of the upright frame (y down), and a confidence of 0 to 1. A joint that
    was not found has x and y NaN and confidence 0: a gap stays a gap. ``times_s`` (T) are seconds on the source's time
    line; ``width`` and ``height`` the size of the frame in pixels. ``joints3d``, where the source gives it, is
    T x 17 x 3 in metres, x to the viewer's right, y up, z towards the viewer.
    """

    points: Points
    times_s: NDArray[np.float64]
    width: int
    height: int
    joints3d: Points | None = None

    def __len__(self) -> int:
        return len(self.points)

    def at(self, rows: Sequence[int] | slice) -> Keypoints:
        """Return the rows at these positions."""
        return replace(
            self,
            points=self.points[rows],
            times_s=self.times_s[rows],
            joints3d=None if self.joints3d is None else self.joints3d[rows],
        )


def cleaned(points: NDArray[np.floating]) -> Points:
    """Return T x 17 x 3 with what was not found as NaN with confidence 0, and confidences cut to 0 to 1."""
    result = np.array(points, dtype=np.float32)
    confidence = np.nan_to_num(result[..., 2], nan=0.0, posinf=0.0, neginf=0.0)
    found = (confidence > 0) & np.isfinite(result[..., :2]).all(axis=-1)
    result[..., 2] = np.where(found, np.clip(confidence, 0.0, 1.0), 0.0)
    result[..., :2][~found] = np.nan
    return result


def sure(points: NDArray[np.floating]) -> NDArray[np.bool_]:
    """Say for every joint (… x 3) whether it is known well enough to be drawn or measured."""
    return np.asarray(points[..., 2] >= MIN_CONFIDENCE)


def box(points: NDArray[np.floating]) -> tuple[float, float, float, float] | None:
    """Return the box (x0, y0, x1, y1) around the sure joints of one or more rows, None where there is none."""
    good = points[sure(points)]
    if not len(good):
        return None
    low, high = good[:, :2].min(axis=0), good[:, :2].max(axis=0)
    return float(low[0]), float(low[1]), float(high[0]), float(high[1])


def person_sizes(points: NDArray[np.floating]) -> NDArray[np.float64]:
    """Return how large the person is in each row (T x 17 x 3): the diagonal of the box around the sure joints, or 0."""
    known = sure(points)[..., None]
    low = np.where(known, points[..., :2], np.inf).min(axis=1)
    high = np.where(known, points[..., :2], -np.inf).max(axis=1)
    span = np.where(np.isfinite(low), high - low, 0.0)
    return np.asarray(np.hypot(span[:, 0], span[:, 1]), dtype=np.float64)
