"""Types that the modules of media hand to one another: pictures, windows, samples, indexes of videos, errors."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from aqaudit.core.records import BadInput

#: One upright picture, height x width x 3 (RGB).
Picture = NDArray[np.uint8]

MAX_PIXELS = 100_000_000  # of one picture: 100 megapixels
# Times come from ticks of 1/90000 s or coarser and from decimal labels: closer than this is the same moment.
SAME_S = 1e-6


class MediaError(BadInput):
    """A source that cannot be shown as asked: unreadable, cut off, damaged or too large; names the file."""


def too_large(path: Path, width: int, height: int) -> MediaError:
    """Return the error that refuses a picture of over :data:`MAX_PIXELS`, before anything of it is decoded."""
    return MediaError(f"{path}: {width} x {height} pixels; at most {MAX_PIXELS // 10**6} megapixels are read")


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """The part of a source that is the performance.

    ``first`` and ``last`` are positions (from 0, inclusive) in the list of shown times; ``start_s`` and ``end_s`` its
    bounds on the source's time line, the end exclusive.
    """

    first: int
    last: int
    start_s: float
    end_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """The frames picked from a window: positions in the list of shown times, and their rate in frames per second.

    ``times_s`` are the moments at which they are shown, in seconds from the start of the window.
    """

    positions: tuple[int, ...]
    times_s: tuple[float, ...]
    fps: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class VideoIndex:
    """The frames a video shows, read without decoding wherever the file allows.

    ``shown`` are their time stamps in ticks of ``time_base``, increasing; ``end`` is the tick at which the last one
    ends; ``times_s`` and ``end_s`` are the same in seconds from the first shown frame. ``order`` and ``keys`` list
    every packet in decoding order (its stamp, whether it is a key frame). For each shown frame ``packets`` is where in
    that order its packet comes, and ``begins`` where decoding must begin for it: at the last key packet up to it that
    is not shown later. Where the packets carry no usable stamps (``stamped`` is False) frames are known by their
    position in the decoder's output, and decoding begins with the file. ``harmed`` are packets (positions in
    ``order``), or frames where not stamped, that are known to be damaged. ``missing`` says what is there of a cut-off
    file, for an error message, and is empty for a whole one; the frames listed are then those before the cut.
    """

    path: Path
    codec: str
    time_base: Fraction
    shown: NDArray[np.int64]
    end: int
    times_s: NDArray[np.float64]
    end_s: float
    order: NDArray[np.int64]
    keys: NDArray[np.int64]
    packets: NDArray[np.int64]
    begins: NDArray[np.int64]
    stamped: bool
    harmed: tuple[int, ...]
    missing: str
