"""Views: what is drawn of a frame. Every view of a clip is made from the same decoded frames.

``rgb`` is the frame itself; ``crop`` the performer's box; ``overlay`` the frame with the skeleton drawn on it;
``skeleton`` the skeleton on black; ``pose_text`` angles and distances as text (:mod:`aqaudit.media.poses`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import get_args

import numpy as np
from numpy.typing import NDArray

from aqaudit.core.records import BadInput, MediaSpec, View, nearest
from aqaudit.media import skeleton
from aqaudit.media.mask import hidden, obscured
from aqaudit.media.picture import Still
from aqaudit.media.skeleton import lay
from aqaudit.media.types import Picture
from aqaudit.media.video import MediaError
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


#: The views that can be prepared.
VIEWS: tuple[str, ...] = get_args(View)


def check_view(name: str) -> None:
    """Check that a view can be prepared; :class:`BadInput` names the available ones."""
    if name not in VIEWS:
        raise BadInput(f"view '{name}' cannot be prepared{nearest(name, VIEWS)}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Drawing:
    """How the frames of one clip are drawn in one view.

    ``pose`` are the joints at the rows of the window, ``first`` the position of its first frame, ``size`` the person's
    over the clip (in the pixels of the pose), ``crop`` their box; None where the view does not need them.
    """

    view: View
    max_side: int
    even: bool
    first: int = 0
    pose: Keypoints | None = None
    size: float = 0.0
    crop: Crop | None = None
    region: str | None = None

    def draw(self, at: int, still: Still) -> Picture:
        """Draw the frame at a position; the picture may be shared and must not be changed."""
        if self.pose is None:
            return still.scaled(*still.fitted(self.max_side, even=self.even))
        row = self.pose.points[at - self.first]
        self._check(still)
        if self.view == "crop":
            return self._cropped(at, still)
        width, height = still.fitted(self.max_side, even=self.even)
        scale = width / self.pose.width, height / self.pose.height
        size = self.size * max(scale)
        points = row * np.array([*scale, 1.0], dtype=np.float32)
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
            lay(picture, skeleton.drawn(hidden(points, self.region), size, (width, height)))
        else:  # the same in every view of the frame
            key = ("skeleton", id(self.pose), width, height)
            lay(picture, still.once(key, lambda: skeleton.drawn(points, size, (width, height))))
        return picture

    def _cropped(self, at: int, still: Still) -> Picture:
        if self.pose is None or self.crop is None:
            raise AssertionError("a crop has a pose")
        to_x, to_y = still.width / self.pose.width, still.height / self.pose.height
        x0, y0, x1, y1 = self.crop.box(at - self.first)
        wide, high = max(1, round((x1 - x0) * to_x)), max(1, round((y1 - y0) * to_y))
        left = min(max(0, round(x0 * to_x)), max(0, still.width - wide))
        top = min(max(0, round(y0 * to_y)), max(0, still.height - high))
        wide, high = min(wide, still.width), min(high, still.height)
        width, height = still.fitted_part(wide, high, self.max_side, even=self.even)
        picture = still.part((left, top, left + wide, top + high), width, height)
        if self.region is None:
            return picture
        scale = width / wide, height / high
        points = self._bridged(at) * np.array([to_x, to_y, 1.0]) - np.array([left, top, 0.0])
        return obscured(picture, points * np.array([*scale, 1.0]), self.region, self.size * to_x * max(scale))

    def _bridged(self, at: int) -> NDArray[np.float64]:
        """Return the joints of a frame, those not found from the nearest frame: what hides must not have gaps."""
        if self.pose is None:
            raise AssertionError("bridging needs a pose")
        points = self.pose.points[at - self.first].astype(np.float64)
        for joint in np.flatnonzero(points[:, 2] <= 0):
            rows = np.flatnonzero(self.pose.points[:, joint, 2] > 0)
            if len(rows):
                points[joint] = self.pose.points[rows[np.argmin(np.abs(rows - (at - self.first)))], joint]
        return np.asarray(points, dtype=np.float64)

    def _check(self, still: Still) -> None:
        pose = self.pose
        if pose is not None and abs(still.width * pose.height - still.height * pose.width) > 0.02 * (
            still.height * pose.width
        ):
            raise MediaError(
                f"its keypoints are of frames of {pose.width} x {pose.height} pixels, but it shows {still.width} x "
                f"{still.height}; write them for the upright frame"
            )


def drawing(spec: MediaSpec, *, even: bool, first: int, pose: Keypoints | None) -> Drawing:
    """Set up the drawing of a clip; ``pose`` are the joints at its window's rows.

    Raises
    ------
    MediaError
        The view needs joints and the performer is not found in any frame.
    """
    plain = Drawing(view=spec.view, max_side=spec.max_side, even=even, first=first)
    if not spec.posed:
        return plain
    size = skeleton.clip_size(pose) if pose is not None else 0.0
    if pose is None or size <= 0:
        raise MediaError("the performer is found in no frame of it, which this view or perturbation needs")
    return Drawing(
        view=spec.view,
        max_side=spec.max_side,
        even=even,
        first=first,
        pose=pose,
        size=size,
        crop=crop_of(pose) if spec.view == "crop" else None,
        region=spec.region if spec.perturbation == "region_blur" else None,
    )
