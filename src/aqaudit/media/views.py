"""Views: what is drawn of a frame. Every view of a clip is made from the same decoded frames.

``rgb`` is the frame itself; ``crop`` the performer's box; ``overlay`` the frame with the skeleton drawn on it;
``skeleton`` the skeleton on black; ``pose_text`` angles and distances as text (:mod:`aqaudit.media.poses`).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from aqaudit.core.records import MediaSpec, View
from aqaudit.media import skeleton
from aqaudit.media.clip import Clip
from aqaudit.media.mask import hidden, obscured
from aqaudit.media.picture import Still
from aqaudit.media.types import MediaError, Picture
from aqaudit.pose.coco17 import Keypoints, averaged, box

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


@dataclass(frozen=True, slots=True, kw_only=True)
class Drawing:
    """How the frames of one clip are drawn in a view, or under a perturbation, that rests on the performer's joints.

    ``pose`` are the joints at the rows of the window, ``first`` the position of its first frame, ``size`` the person's
    over the clip (in the pixels of the pose), ``crop`` their box where the view is that, ``region`` what is blurred.
    """

    view: View
    max_side: int
    even: bool
    first: int
    pose: Keypoints
    size: float
    crop: Crop | None
    region: str | None

    def draw(self, at: int, still: Still) -> Picture:
        """Draw the frame at a position; the picture may be shared and must not be changed.

        Raises
        ------
        MediaError
            The joints are of frames of another shape.
        """
        pose = self.pose
        if abs(still.width * pose.height - still.height * pose.width) > 0.02 * (still.height * pose.width):
            raise MediaError(
                f"its keypoints are of frames of {pose.width} x {pose.height} pixels, but it shows {still.width} x "
                f"{still.height}; write them for the upright frame"
            )
        if self.crop is not None:
            return self._cropped(at, still, self.crop)
        width, height = still.fitted(self.max_side, even=self.even)
        scale = width / pose.width, height / pose.height
        size = self.size * max(scale)
        points = pose.points[at - self.first] * np.array([*scale, 1.0], dtype=np.float32)
        if self.view == "skeleton":
            picture = np.zeros((height, width, 3), dtype=np.uint8)
        else:
            picture = still.scaled(width, height)
            if self.region is not None:
                picture = obscured(picture, self._bridged(at) * np.array([*scale, 1.0]), self.region, size)
        if self.view == "rgb":
            return picture
        if self.view == "overlay" and self.region is None:
            picture = picture.copy()
        if self.region is not None:
            skeleton.lay(picture, skeleton.drawn(hidden(points, self.region), size, (width, height)))
        else:  # the same in every view of the frame
            key = ("skeleton", id(pose), width, height)
            if key not in still.shared:
                still.shared[key] = skeleton.drawn(points, size, (width, height))
            skeleton.lay(picture, still.shared[key])
        return picture

    def _cropped(self, at: int, still: Still, crop: Crop) -> Picture:
        to_x, to_y = still.width / self.pose.width, still.height / self.pose.height
        x0, y0 = crop.corners[at - self.first].tolist()
        x1, y1 = x0 + crop.width, y0 + crop.height
        wide, high = max(1, round((x1 - x0) * to_x)), max(1, round((y1 - y0) * to_y))
        left = min(max(0, round(x0 * to_x)), max(0, still.width - wide))
        top = min(max(0, round(y0 * to_y)), max(0, still.height - high))
        wide, high = min(wide, still.width), min(high, still.height)
        width, height = still.fitted(self.max_side, even=self.even, part=(wide, high))
        picture = still.part((left, top, left + wide, top + high), width, height)
        if self.region is None:
            return picture
        scale = width / wide, height / high
        points = self._bridged(at) * np.array([to_x, to_y, 1.0]) - np.array([left, top, 0.0])
        return obscured(picture, points * np.array([*scale, 1.0]), self.region, self.size * to_x * max(scale))

    def _bridged(self, at: int) -> NDArray[np.float64]:
        """Return the joints of a frame, those not found from the nearest frame: what hides must not have gaps."""
        points = self.pose.points[at - self.first].astype(np.float64)
        for joint in np.flatnonzero(points[:, 2] <= 0):
            rows = np.flatnonzero(self.pose.points[:, joint, 2] > 0)
            if len(rows):
                points[joint] = self.pose.points[rows[np.argmin(np.abs(rows - (at - self.first)))], joint]
        return np.asarray(points, dtype=np.float64)


def drawing(clip: Clip, spec: MediaSpec, pose: Keypoints | None, *, even: bool) -> Drawing:
    """Set up the drawing of a clip; ``pose`` are the joints at its window's rows, None where nobody was looked for.

    Raises
    ------
    MediaError
        The performer is not found in any frame.
    """
    size = skeleton.clip_size(pose) if pose is not None else 0.0
    if pose is None or size <= 0:
        raise MediaError(
            f"{clip.performance.media}: the performer is found in no frame of it, which this view or perturbation needs"
        )
    return Drawing(
        view=spec.view,
        max_side=spec.max_side,
        even=even,
        first=clip.part.first,
        pose=pose,
        size=size,
        crop=crop_of(pose) if spec.view == "crop" else None,
        region=spec.region if spec.perturbation == "region_blur" else None,
    )
