"""Cropping: the performer's box over a clip, of one size, standing still where it can."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from aqaudit.pose.keypoints import box
from aqaudit.pose.smoothing import averaged

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from aqaudit.pose.keypoints import Keypoints

#: Added on each side, over the longer side of the box around the joints: hands, feet and head reach beyond joints.
MARGIN = 0.15
#: The box stands still unless it would be over so many times as large as one that follows the performer.
STILL = 2.0
#: A box that follows is moved by the joints' boxes averaged over this standard deviation, in seconds.
FOLLOW_S = 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class Crop:
    """A box of constant size over T rows: ``corners`` (T x 2) are its upper left corners, in the pixels of the pose."""

    corners: NDArray[np.float64]
    width: float
    height: float

    def box(self, row: int) -> tuple[float, float, float, float]:
        """Return the box (x0, y0, x1, y1) at a row."""
        x, y = self.corners[row].tolist()
        return x, y, x + self.width, y + self.height


def crop_of(keypoints: Keypoints) -> Crop:
    """Return the box of a performer who is seen in at least one row.

    The box around the sure joints of all rows, with a margin of 15 % of its longer side, within the frame. Where the
    performer travels, so that this box would be over twice as large as the largest one of a row, a box of that size
    follows them, its centre averaged over half a second; over rows where they are not found it moves evenly.
    """
    found = [box(row) for row in keypoints.points]
    rows = np.array([number for number, one in enumerate(found) if one is not None])
    boxes = np.array([one for one in found if one is not None])
    sizes = boxes[:, 2:] - boxes[:, :2]
    whole = np.concatenate([boxes[:, :2].min(axis=0), boxes[:, 2:].max(axis=0)])
    span, largest = whole[2:] - whole[:2], sizes.max(axis=0)
    frame = np.array([keypoints.width, keypoints.height], dtype=np.float64)
    if span.prod() <= STILL * max(largest.prod(), 1.0):
        side = np.minimum(span + 2 * MARGIN * span.max(), frame)
        centres = np.tile((whole[:2] + whole[2:]) / 2, (len(keypoints), 1))
    else:
        side = np.minimum(largest + 2 * MARGIN * largest.max(), frame)
        times = keypoints.times_s
        middles = averaged((boxes[:, :2] + boxes[:, 2:]) / 2, np.ones(len(rows)), times[rows], FOLLOW_S)
        centres = np.stack([np.interp(times, times[rows], middles[:, axis]) for axis in (0, 1)], axis=1)
    corners = np.clip(centres - side / 2, 0.0, np.maximum(frame - side, 0.0))
    return Crop(corners=corners, width=float(side[0]), height=float(side[1]))
