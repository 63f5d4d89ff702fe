"""Skeletons: a performer's COCO-17 joints and limbs as they are drawn."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from aqaudit.media.drawing import strokes
from aqaudit.pose.coco17 import LIMBS, SIDES
from aqaudit.pose.keypoints import person_sizes, sure

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from aqaudit.media.drawing import Stroke
    from aqaudit.pose.keypoints import Keypoints

#: Colours (RGB) by the performer's own side: told apart by the colour-blind too, on light and on dark.
COLOURS: dict[str, tuple[int, int, int]] = {"middle": (235, 235, 235), "left": (0, 140, 255), "right": (255, 120, 0)}
#: Half the width of a limb, and the radius of a joint, over the person's size (the diagonal of the box around them).
LIMB, JOINT = 0.008, 0.013
_THINNEST = 0.75  # pixels

_ORDER = tuple(COLOURS)
_PALETTE = np.array(list(COLOURS.values()), dtype=np.uint8)
_FROM = np.array([limb[0] for limb in LIMBS])
_TO = np.array([limb[1] for limb in LIMBS])
_LIMB_COLOURS = np.array([_ORDER.index(limb[2]) for limb in LIMBS])
_JOINT_COLOURS = np.array([_ORDER.index(side) for side in SIDES])


def clip_size(keypoints: Keypoints) -> float:
    """Return the person's size over a clip, in pixels: the median of the rows where they are seen."""
    sizes = person_sizes(keypoints.points)
    sizes = sizes[sizes > 0]
    return float(np.median(sizes)) if len(sizes) else 0.0


def drawn(points: NDArray[np.floating], person: float, size: tuple[int, int]) -> list[Stroke]:
    """Draw one row of joints (17 x 3) for pictures of a size (width, height), in whose pixels they and ``person`` are.

    ``person`` is the person's size. Joints under the confidence of 0.3, and limbs that end in one, are left out.
    """
    known = sure(points)
    limbs = np.flatnonzero(known[_FROM] & known[_TO])
    joints = np.flatnonzero(known)
    if not len(joints):
        return []
    xy = points[:, :2]
    return strokes(
        np.concatenate([xy[_FROM[limbs]], xy[joints]]),
        np.concatenate([xy[_TO[limbs]], xy[joints]]),
        np.concatenate(
            [
                np.full(len(limbs), max(_THINNEST, LIMB * person)),
                np.full(len(joints), max(2 * _THINNEST, JOINT * person)),
            ]
        ),
        np.concatenate([_LIMB_COLOURS[limbs], _JOINT_COLOURS[joints]]),
        _PALETTE,
        size,
    )
