"""Broadcast graphics: rectangles that stay while the scene moves, proposed as masks for a person to check.

An edge of a graphic lies at the same pixels with the same direction in frame after frame; under a moving camera an edge
of the scene does not. So the median over time of the brightness gradient keeps the graphics, translucent ones too, and
loses the scene (Dekel et al. 2017, "On the effectiveness of visible watermarks", take watermarks off by it). Where the
camera stands still, the background stays as well as any graphic: nothing is proposed from such a stretch.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy import ndimage

from aqaudit.media.clip import opened
from aqaudit.records import Mask

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from aqaudit.media.views import Picture
    from aqaudit.records import Performance

    Floats = NDArray[np.float32]

#: Frames are looked at so often (a second), at most so many, at this longer side in pixels.
_RATE, _MOST, SIDE = 4.0, 160, 480
#: Frames that a stretch has, and the step from one stretch to the next.
_STRETCH, _STEP = 16, 4
#: A stretch moves if this share of its blocks (pixels a side) changes by so many grey levels (mean absolute deviation).
MOVING, _BLOCK, _CHANGE = 0.5, 16, 2.0
#: An edge stays if its median gradient has so many grey levels a pixel, and so large a share of its mean strength.
_EDGE, _COHERENCE = 3.0, 0.55
#: Edges this close, in pixels at SIDE, belong to one graphic; a graphic has so many pixels of edge, and is so thick.
_NEAR, _PIXELS, _THICK = 7, 24, 5
#: Pixels of edge that the stroke of a letter has at least.
_STROKE = 8
#: A frame shows a graphic if it has this much of its median gradient (1: all of it); between its first and its last
#: frame, a graphic is shown in this share of the frames, which an edge that stayed by chance is not.
_SHOWN, _STEADY = 0.5, 0.85


@dataclass(frozen=True, slots=True, kw_only=True)
class Graphics:
    """What was found in a clip.

    ``masks`` are in pixels of the upright source and seconds of its time line, without times where a graphic is there
    throughout. ``moving`` is the share of the clip (0 to 1) in which the scene moves, so that graphics can be told from
    it; where it is 0, no masks says nothing. ``looked_at`` are frames from the clip with their times, for a person.
    """

    masks: tuple[Mask, ...]
    moving: float
    seconds: float
    looked_at: tuple[tuple[float, Picture], ...]
    scale: float


def graphics(performance: Performance) -> Graphics:
    """Look for static graphics in a clip.

    Raises
    ------
    MediaError
        The clip cannot be decoded.
    """
    clip = opened(performance)
    times = clip.times_s[clip.part.first : clip.part.last + 1]
    seconds = float(times[-1] - times[0])
    count = min(len(times), _MOST, max(2 * _STRETCH, round(seconds * _RATE) + 1))
    positions = sorted({clip.part.first + round(i) for i in np.linspace(0, len(times) - 1, count)})
    pictures, scale = [], 1.0
    for _, still in clip.stills(positions, masked=False):
        width, height = still.fitted(SIDE)
        scale = still.width / width
        pictures.append(np.asarray(still.scaled(width, height)))
    at = clip.times_s[positions]
    looked_at = sorted({int(i) for i in np.linspace(0, len(at) - 1, 6)})
    found, moving = _found(np.stack([_grey(picture) for picture in pictures]), at, scale)
    return Graphics(
        masks=tuple(found),
        moving=moving,
        seconds=seconds,
        looked_at=tuple((float(at[i]), pictures[i]) for i in looked_at),
        scale=scale,
    )


def _grey(picture: Picture) -> Floats:
    return np.asarray(picture @ np.array([0.299, 0.587, 0.114], dtype=np.float32), dtype=np.float32)


def _found(grey: Floats, times: NDArray[np.float64], scale: float) -> tuple[list[Mask], float]:
    """Return the masks of frames (T, H, W) taken at ``times``, and the share of stretches in which the scene moves."""
    starts = range(0, max(1, len(grey) - _STRETCH + 1), _STEP)
    stretches = [grey[start : start + _STRETCH] for start in starts]
    moving = [stretch for stretch in stretches if len(stretch) >= _STRETCH // 2 and moves(stretch) >= MOVING]
    if not moving:
        return [], 0.0
    kept = np.zeros(grey.shape[1:], dtype=bool)
    votes = np.zeros(grey.shape[1:], dtype=np.int32)
    total = np.zeros((2, *grey.shape[1:]), dtype=np.float32)
    before = None
    for stretch in moving:
        stays, median = _staying(stretch)
        votes += stays
        total += median * stays
        if before is not None or len(moving) == 1:
            kept |= stays if before is None else stays & before
        before = stays
    kept = _without_specks(kept)
    template = np.where(kept, total / np.maximum(votes, 1), 0.0).astype(np.float32)
    near = ndimage.binary_dilation(kept, np.ones((2 * _NEAR + 1, 2 * _NEAR + 1), dtype=bool))
    labels, number = ndimage.label(near)
    masks = []
    for label, area in zip(range(1, number + 1), ndimage.find_objects(labels), strict=True):
        edges = kept[area] & (labels[area] == label)
        if edges.sum() < _PIXELS:
            continue
        rows, columns = np.flatnonzero(edges.any(axis=1)), np.flatnonzero(edges.any(axis=0))
        if min(rows[-1] - rows[0], columns[-1] - columns[0]) + 1 < _THICK:
            continue  # a line: the border of black bars, not a graphic
        y, x = area[0].start, area[1].start
        box = (x + columns[0] - 2, y + rows[0] - 2, x + columns[-1] + 3, y + rows[-1] + 3)
        interval = _interval(grey[(slice(None), *area)], template[(slice(None), *area)] * edges, times)
        if interval is not None:
            masks.append(_mask(box, interval, grey.shape, scale))
    return masks, len(moving) / len(stretches)


def _without_specks(edges: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Leave out edges too short for a stroke of a letter: they widen the box of a graphic that they lie beside."""
    labels, _ = ndimage.label(edges, np.ones((3, 3), dtype=bool))
    return np.asarray(edges & (np.bincount(labels.ravel())[labels] >= _STROKE))


def moves(stretch: Floats) -> float:
    """Return the share of blocks (0 to 1) of frames (T, H, W) that change over time."""
    high, wide = (size // _BLOCK * _BLOCK for size in stretch.shape[1:])
    blocks = stretch[:, :high, :wide].reshape(len(stretch), high // _BLOCK, _BLOCK, wide // _BLOCK, _BLOCK)
    means = blocks.mean(axis=(2, 4))
    deviation = np.abs(means - np.median(means, axis=0)).mean(axis=0)
    return float((deviation > _CHANGE).mean())


def _staying(stretch: Floats) -> tuple[NDArray[np.bool_], Floats]:
    """Return which pixels have an edge that stays, and the median gradient (2, H, W: down, right)."""
    down, right = _gradient(stretch)
    median = np.stack([np.median(down, axis=0), np.median(right, axis=0)])
    strength = np.hypot(median[0], median[1])
    usual = np.hypot(down, right).mean(axis=0)
    return (strength >= _EDGE) & (strength >= _COHERENCE * usual), median


def _gradient(frames: Floats) -> tuple[Floats, Floats]:
    down, right = np.gradient(frames, axis=(1, 2))
    return np.asarray(down, dtype=np.float32), np.asarray(right, dtype=np.float32)


def _interval(grey: Floats, template: Floats, times: NDArray[np.float64]) -> tuple[float | None, float | None] | None:
    """Return from when to when a graphic is shown, out to the frames beside it; no times: throughout; None: it is none.

    Only what is clearly there between two frames where it is not gets times.
    """
    down, right = _gradient(grey)
    share = (down * template[0] + right * template[1]).sum(axis=(1, 2)) / float((template**2).sum())
    shown = np.flatnonzero(share > _SHOWN)
    if not len(shown) or len(shown) < _STEADY * (shown[-1] - shown[0] + 1):
        return None
    first, last = int(shown[0]), int(shown[-1])
    return (
        None if first <= 1 else float(times[first - 1]),
        None if last >= len(times) - 2 else float(times[last + 1]),
    )


def _mask(
    box: tuple[int, ...], interval: tuple[float | None, float | None], shape: tuple[int, ...], scale: float
) -> Mask:
    x0, y0, x1, y1 = box
    high, wide = shape[1:]
    edges = (max(0, x0), max(0, y0), min(wide, x1), min(high, y1))
    from_s, to_s = interval
    return Mask(
        box=(
            int(edges[0] * scale),
            int(edges[1] * scale),
            int(np.ceil(edges[2] * scale)),
            int(np.ceil(edges[3] * scale)),
        ),
        from_s=None if from_s is None else round(from_s, 3),
        to_s=None if to_s is None else round(to_s, 3),
    )
