"""Masks: rectangles that no model may see, such as a scoreboard."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from PIL import Image, ImageFilter

if TYPE_CHECKING:
    from collections.abc import Sequence

    from aqaudit.media.views import Picture
    from aqaudit.records import Mask

GREY = 128
#: Standard deviation of the blur over the shorter side of the box, at least 8 pixels.
BLUR = 0.25


def masked(picture: Picture, masks: Sequence[Mask], time_s: float) -> Picture:
    """Cover what no model may see at ``time_s`` (seconds on the source's time line).

    Boxes are in pixels of the upright source picture, or in shares of it, and cover every pixel they touch: with
    mid-grey, or blurred by a quarter of their shorter side, so that shapes stay but neither figures nor letters.
    """
    covered = picture
    for mask in masks:
        if not in_effect(mask, time_s):
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


def in_effect(mask: Mask, time_s: float) -> bool:
    """Return whether a mask covers its box at ``time_s`` (seconds on the source's time line)."""
    return (mask.from_s is None or time_s >= mask.from_s) and (mask.to_s is None or time_s <= mask.to_s)


def blurred(picture: Picture, sigma: float) -> Picture:
    """Return a picture blurred with a Gaussian of this standard deviation in pixels."""
    return np.asarray(Image.fromarray(np.ascontiguousarray(picture)).filter(ImageFilter.GaussianBlur(sigma)))
