"""Drawing: lines with round ends, anti-aliased, many at once; no library but NumPy, the same bytes on every run.

Coordinates are in pixels with the centre of the first pixel at (0.5, 0.5). A pixel is covered by how far it lies within
the outline, so that edges are smooth over one pixel.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from aqaudit.media.views import Picture

Floats = NDArray[np.float32]


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
    end = ends.astype(np.float32) - np.float32(0.5)
    reach = radii.astype(np.float32) + np.float32(0.5)
    along = end - start
    low, high = np.minimum(start, end) - reach[:, None], np.maximum(start, end) + reach[:, None]
    # The rows of every line, then the pixels of every row: only those near the line, so few are looked at.
    first = np.clip(np.ceil(low[:, 1]), 0, height).astype(np.intp)
    last = np.clip(np.floor(high[:, 1]), -1, height - 1).astype(np.intp)
    line, y = _spread(first, last)
    dy = along[line, 1]
    above = y.astype(np.float32) - start[line, 1]
    steep = np.abs(dy) > 1e-3
    slope = np.where(steep, dy, np.float32(1.0))
    middle = start[line, 0] + above * along[line, 0] / slope
    wide = reach[line] * np.hypot(along[line, 0], dy) / np.abs(slope)
    left = np.where(steep, np.maximum(low[line, 0], middle - wide), low[line, 0])
    right = np.where(steep, np.minimum(high[line, 0], middle + wide), high[line, 0])
    row, x = _spread(
        np.clip(np.ceil(left), 0, width).astype(np.intp), np.clip(np.floor(right), -1, width - 1).astype(np.intp)
    )
    line = line[row]
    to_x = x.astype(np.float32) - start[line, 0]
    to_y = above[row]
    squared = np.maximum((along * along).sum(axis=1), np.float32(1e-12))
    unit = along / squared[:, None]
    at = np.clip(to_x * unit[line, 0] + to_y * unit[line, 1], 0, 1)
    off_x, off_y = to_x - at * along[line, 0], to_y - at * along[line, 1]
    covered = np.minimum(reach[line] - np.sqrt(off_x * off_x + off_y * off_y), np.float32(1.0))
    kept = np.flatnonzero(covered > 0)
    return (y[row[kept]] * width + x[kept]), covered[kept], line[kept]


def _spread(first: NDArray[np.intp], last: NDArray[np.intp]) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Write out ranges: the number of the range, and the value, for every value from first to last (inclusive)."""
    counts = np.maximum(last - first + 1, 0)
    number = np.repeat(np.arange(len(counts)), counts)
    offsets = first - (np.cumsum(counts) - counts)
    return number, np.arange(len(number)) + offsets[number]


def paint(
    picture: Picture,
    starts: NDArray[np.floating],
    ends: NDArray[np.floating],
    radii: NDArray[np.floating],
    colours: NDArray[np.intp],
    palette: NDArray[np.uint8],
) -> None:
    """Draw lines onto a picture (contiguous) in place.

    ``colours`` (N) are places in ``palette`` (K x 3). Lines of one colour are united before they are laid on, colour by
    colour in the order of the palette, so that no seam shows where they meet.
    """
    height, width = picture.shape[:2]
    pixels, covered, line = cover(starts, ends, radii, width, height)
    flat = picture.reshape(-1, 3)
    union = np.zeros(height * width, dtype=np.float32)
    of = colours[line]
    for colour in range(len(palette)):
        mine = np.flatnonzero(of == colour)
        if not len(mine):
            continue
        where = pixels[mine]
        np.maximum.at(union, where, covered[mine])
        share = union[where][:, None]
        under = flat[where].astype(np.float32)
        under += (palette[colour].astype(np.float32) - under) * share + np.float32(0.5)
        flat[where] = under.astype(np.uint8)
        union[where] = 0.0


def coverage(
    starts: NDArray[np.floating], ends: NDArray[np.floating], radii: NDArray[np.floating], width: int, height: int
) -> Floats:
    """Return how much of every pixel (height x width, 0 to 1) lies under any of the lines."""
    pixels, covered, _ = cover(starts, ends, radii, width, height)
    union = np.zeros(height * width, dtype=np.float32)
    np.maximum.at(union, pixels, covered)
    return union.reshape(height, width)
