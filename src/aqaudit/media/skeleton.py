"""Skeletons: a performer's COCO-17 joints and limbs as they are drawn."""

from __future__ import annotations

import threading
from collections.abc import Iterable
from itertools import pairwise
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from aqaudit.media.types import Picture
from aqaudit.pose.coco17 import LIMBS, SIDES, Keypoints, person_sizes, sure

Floats = NDArray[np.float32]

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
# A dot has no direction; any will do, since it has no length in it.
_ACROSS = np.array([1, 0], dtype=np.float32)
_BUFFERS = threading.local()


class Stroke(NamedTuple):
    """What lines of one colour cover of a picture.

    Places in the flattened picture (some come several times), how much of each is covered (N x 1, over 0, to 1), and
    the colour (RGB).
    """

    where: NDArray[np.intp]
    share: Floats
    colour: Floats


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


def strokes(
    starts: NDArray[np.floating],
    ends: NDArray[np.floating],
    radii: NDArray[np.floating],
    colours: NDArray[np.intp],
    palette: NDArray[np.uint8],
    size: tuple[int, int],
) -> list[Stroke]:
    """Find what lines cover of a picture of a size (width, height), to be laid on any number of them.

    ``colours`` (N) are places in ``palette`` (K x 3). Lines of one colour are united, so that no seam shows where they
    meet; the colours come in the order of the palette.
    """
    width, height = size
    grouped = np.argsort(colours, kind="stable")
    pixels, covered, line = cover(starts[grouped], ends[grouped], radii[grouped], width, height)
    union = _blank(height * width)
    # Pixels come line by line, so those of one colour lie together.
    bounds = np.searchsorted(line, np.searchsorted(colours[grouped], np.arange(len(palette) + 1)))
    found = []
    for colour, (begin, end) in enumerate(pairwise(bounds.tolist())):
        if begin == end:
            continue
        where = pixels[begin:end]
        _raise(union, where, covered[begin:end])
        found.append(Stroke(where, union[where][:, None], palette[colour].astype(np.float32)))
        union[where] = 0.0
    return found


def lay(picture: Picture, found: Iterable[Stroke]) -> None:
    """Lay strokes onto a picture (contiguous) of the size that they were found for, in place, one after the other."""
    flat = picture.reshape(-1, 3)
    for where, share, colour in found:
        under = flat[where].astype(np.float32)
        under += (colour - under) * share + np.float32(0.5)
        flat[where] = under.astype(np.uint8)


def coverage(
    starts: NDArray[np.floating], ends: NDArray[np.floating], radii: NDArray[np.floating], width: int, height: int
) -> Floats:
    """Return how much of every pixel (height x width, 0 to 1) lies under any of the lines."""
    pixels, covered, _ = cover(starts, ends, radii, width, height)
    union = np.zeros(height * width, dtype=np.float32)
    _raise(union, pixels, covered)
    return union.reshape(height, width)


def cover(
    starts: NDArray[np.floating], ends: NDArray[np.floating], radii: NDArray[np.floating], width: int, height: int
) -> tuple[NDArray[np.intp], Floats, NDArray[np.intp]]:
    """Find the pixels that round-ended lines cover.

    Parameters
    ----------
    starts, ends
        N x 2: where each line begins and ends; a dot begins where it ends.
    radii
        N: half its width.
    width, height
        Of the picture, in pixels; what lies outside is left out.

    Returns
    -------
    tuple
        For every pixel of every line: its place in the flattened picture, how much of it is covered (over 0, to 1), and
        the line's number. A pixel under several lines comes several times.
    """
    start = starts.astype(np.float32) - np.float32(0.5)
    along = ends.astype(np.float32) - starts.astype(np.float32)
    reach = radii.astype(np.float32) + np.float32(0.5)
    length = np.sqrt((along * along).sum(axis=1))
    unit = np.where(length[:, None] > 0, along / np.maximum(length, np.float32(1e-6))[:, None], _ACROSS)
    low = np.minimum(start, start + along) - reach[:, None]
    high = np.maximum(start, start + along) + reach[:, None]
    # The rows of every line, then the pixels of every row: only those near the line, so few are looked at.
    first = np.clip(np.ceil(low[:, 1]), 0, height).astype(np.intp)
    rows = np.maximum(np.clip(np.floor(high[:, 1]), -1, height - 1).astype(np.intp) - first + 1, 0)
    line = np.repeat(np.arange(len(rows)), rows)
    y = _counted(first, rows)
    above = y.astype(np.float32) - start[line, 1]
    steep = np.abs(unit[:, 1]) > 1e-3
    slope = np.where(steep, unit[:, 1], np.float32(1.0))
    middle = start[line, 0] + above * (unit[:, 0] / slope)[line]
    wide = np.where(steep, reach / np.abs(slope), np.float32(width + height) * 2)[line]
    left = np.clip(np.ceil(np.maximum(low[line, 0], middle - wide)), 0, width).astype(np.intp)
    right = np.clip(np.floor(np.minimum(high[line, 0], middle + wide)), -1, width - 1).astype(np.intp)
    count = np.maximum(right - left + 1, 0)
    x = _counted(left, count)
    # In each pixel, how far along the line it lies and how far off it.
    to_x = x.astype(np.float32) - np.repeat(start[line, 0], count)
    to_y = np.repeat(above, count)
    unit_x, unit_y = np.repeat(unit[line, 0], count), np.repeat(unit[line, 1], count)
    at = unit_x * to_x + unit_y * to_y
    at -= np.clip(at, 0, np.repeat(length[line], count))
    off = unit_x * to_y - unit_y * to_x
    covered = np.minimum(np.repeat(reach[line], count) - np.sqrt(at * at + off * off), np.float32(1.0))
    kept = np.flatnonzero(covered > 0)
    return np.repeat(y * width, count)[kept] + x[kept], covered[kept], np.repeat(line, count)[kept]


def _counted(first: NDArray[np.intp], counts: NDArray[np.intp]) -> NDArray[np.intp]:
    """Write out ranges: for each so many values from its first one on."""
    total = int(counts.sum())
    return np.asarray(np.arange(total) + np.repeat(first - (np.cumsum(counts) - counts), counts), dtype=np.intp)


def _blank(size: int) -> Floats:
    """Return zeros, used again and again by a thread, which leaves them zeros."""
    buffer: Floats | None = getattr(_BUFFERS, "buffer", None)
    if buffer is None or len(buffer) < size:
        buffer = _BUFFERS.buffer = np.zeros(size, dtype=np.float32)
    return buffer


def _raise(union: Floats, where: NDArray[np.intp], values: Floats) -> None:
    """Raise places of an array to values where these are higher; a place may come several times.

    As ``np.maximum.at`` does, in a third of the time: few places come twice, and those are set again.
    """
    while len(where):
        union[where] = values  # of the same kind of number, or it might never be as high
        lower = np.flatnonzero(union[where] < values)
        where, values = where[lower], values[lower]
