"""Views: what is drawn of a frame. A view is a function from one RGB picture to another of the same size."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from aqaudit.records import BadInput

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from aqaudit.records import Mask

#: One upright picture, height x width x 3.
Picture = NDArray[np.uint8]

GREY = 128


def rgb(picture: Picture) -> Picture:
    """Show the frame as it is."""
    return picture


_DRAWN: dict[str, Callable[[Picture], Picture]] = {"rgb": rgb}

#: The views that can be prepared.
VIEWS: tuple[str, ...] = tuple(_DRAWN)


def view(name: str) -> Callable[[Picture], Picture]:
    """Return the view of this name; :class:`BadInput` names the available ones."""
    if name not in _DRAWN:
        raise BadInput(f"view '{name}' cannot be prepared; available: {', '.join(VIEWS)}")
    return _DRAWN[name]


def masked(picture: Picture, masks: Sequence[Mask], time_s: float) -> Picture:
    """Cover with mid-grey what no model may see at ``time_s`` (seconds on the source's time line).

    Boxes are in pixels of the upright source picture, or in shares of it, and cover every pixel they touch.
    """
    covered = picture
    for mask in masks:
        starts, ends = mask.from_s, mask.to_s
        if (starts is not None and time_s < starts) or (ends is not None and time_s > ends):
            continue
        if covered is picture:
            covered = picture.copy()
        high, wide = picture.shape[:2] if mask.relative else (1, 1)
        x0, x1 = sorted((mask.box[0] * wide, mask.box[2] * wide))
        y0, y1 = sorted((mask.box[1] * high, mask.box[3] * high))
        left, top = max(0, int(np.floor(x0))), max(0, int(np.floor(y0)))
        covered[top : max(top, int(np.ceil(y1))), left : max(left, int(np.ceil(x1)))] = GREY
    return covered
