"""What is hidden: masks, boxes that no model may see, and regions, a named body part or everything but it."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from itertools import combinations

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFilter

from aqaudit.core.records import BadInput, Mask, nearest
from aqaudit.media.skeleton import coverage
from aqaudit.media.types import Picture
from aqaudit.pose.coco17 import LIMBS, PARTS

GREY = 128
#: Standard deviation of a mask's blur over the shorter side of its box, at least 8 pixels.
BLUR = 0.25
#: How a region is named that is everything but a part.
ALL_BUT = "all_but_"
#: Half the width of what is covered along a limb, and around a joint, over the person's size.
LIMB, JOINT = 0.07, 0.09
#: Around wrists and ankles, beyond which hands and feet reach.
END = 0.13
#: Standard deviation of a region's blur over the person's size, at least 4 pixels.
REGION_BLUR = 0.06
_ENDS = frozenset({*PARTS["wrists"], *PARTS["ankles"]})


def masked(picture: Picture, masks: Sequence[Mask], time_s: float) -> Picture:
    """Cover what no model may see at ``time_s`` (seconds on the source's time line).

    Boxes are in pixels of the upright source picture, or in shares of it, and cover every pixel they touch: with
    mid-grey, or blurred by a quarter of their shorter side, so that shapes stay but neither figures nor letters.
    """
    covered = picture
    for mask in masks:
        if (mask.from_s is not None and time_s < mask.from_s) or (mask.to_s is not None and time_s > mask.to_s):
            continue
        if covered is picture:
            covered = picture.copy()
        high, wide = picture.shape[:2] if mask.relative else (1, 1)
        x0, x1 = sorted((mask.box[0] * wide, mask.box[2] * wide))
        y0, y1 = sorted((mask.box[1] * high, mask.box[3] * high))
        left, top = max(0, int(np.floor(x0))), max(0, int(np.floor(y0)))
        box = covered[top : max(top, int(np.ceil(y1))), left : max(left, int(np.ceil(x1)))]
        if mask.style == "blur" and box.size:
            # The box alone: nothing of it may be smeared into what is around it.
            box[:] = blurred(box, max(8.0, BLUR * min(box.shape[:2])))
        else:
            box[:] = GREY
    return covered


def blurred(picture: Picture, sigma: float) -> Picture:
    """Return a picture blurred with a Gaussian of this standard deviation in pixels."""
    return np.asarray(Image.fromarray(np.ascontiguousarray(picture)).filter(ImageFilter.GaussianBlur(sigma)))


@lru_cache(maxsize=64)
def region(name: str) -> tuple[tuple[int, ...], bool]:
    """Return the joints of a region's part, and whether everything but it is meant.

    Raises
    ------
    BadInput
        The part is not known.
    """
    part = name.removeprefix(ALL_BUT)
    if part not in PARTS:
        raise BadInput(f"region '{name}' is not known{nearest(part, PARTS)}; put {ALL_BUT} before it for all the rest")
    return PARTS[part], name.startswith(ALL_BUT)


def hidden(points: NDArray[np.floating], name: str) -> NDArray[np.floating]:
    """Return joints (… x 17 x 3) with those that a region hides as not found."""
    joints, rest = region(name)
    gone = np.isin(np.arange(17), joints) != rest
    result = points.copy()
    result[..., gone, :2] = np.nan
    result[..., gone, 2] = 0.0
    return result


def obscured(picture: Picture, points: NDArray[np.floating], name: str, size: float) -> Picture:
    """Blur a region of a picture.

    Parameters
    ----------
    points
        The performer's joints, 17 x 3, in pixels of the picture; of those not found nothing is known.
    name
        The region.
    size
        The person's size in pixels of the picture.

    Returns
    -------
    Picture
        A new picture. What is covered are the part's limbs and joints with their flesh; between four joints of a trunk
        the whole of it.
    """
    joints, rest = region(name)
    found = {joint for joint in joints if points[joint, 2] > 0}
    if len(joints) == 17 or joints == PARTS["trunk"]:
        trunk = [pair for pair in combinations(PARTS["trunk"], 2) if found.issuperset(pair)]
    else:
        trunk = []
    limbs = [(a, b) for a, b, _ in LIMBS if a in found and b in found]
    lines = [*limbs, *trunk]
    starts = np.array([points[a, :2] for a, _ in lines] + [points[joint, :2] for joint in sorted(found)])
    ends = np.array([points[b, :2] for _, b in lines] + [points[joint, :2] for joint in sorted(found)])
    radii = np.array(
        [LIMB * size] * len(lines) + [(END if joint in _ENDS else JOINT) * size for joint in sorted(found)]
    )
    height, width = picture.shape[:2]
    share = coverage(starts, ends, radii, width, height) if len(radii) else np.zeros((height, width), np.float32)
    if rest:
        share = 1.0 - share
    plain = picture.astype(np.float32)
    plain += (blurred(picture, max(4.0, REGION_BLUR * size)) - plain) * share[..., None]
    return (plain + 0.5).astype(np.uint8)
