"""Which frames are shown: pure functions of the times at which a source shows its frames."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from aqaudit.core.records import MediaSpec, Performance

# Times come from ticks of 1/90000 s or coarser and from decimal labels: closer than this is the same moment.
SAME_S = 1e-6


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
    """The frames picked from a window: positions in the list of shown times, and their rate in frames per second."""

    positions: tuple[int, ...]
    fps: float | None


def slack_s(fps: float | None) -> float:
    """Return by how many seconds a label may end after its clip: one frame, at least 0.1 s (labels are rounded)."""
    return max(0.1, 1 / fps) if fps else 0.1


def window(times_s: NDArray[np.float64], end_s: float, performance: Performance, *, first_number: int = 1) -> Window:
    """Find the frames of a performance among the shown times of its source.

    Parameters
    ----------
    times_s
        Shown times in seconds, increasing, from the first shown frame.
    end_s
        When the last frame stops being shown.
    performance
        Narrows by ``start_s`` and ``end_s`` (end exclusive) and by ``first_frame`` and ``last_frame`` (inclusive).
    first_number
        The number that ``first_frame`` counts the first shown frame as.

    Returns
    -------
    Window
        With ``last < first`` where no frame is shown within the times.
    """
    first, last = 0, len(times_s) - 1
    start, end = 0.0, end_s
    if performance.first_frame is not None:
        first = max(first, performance.first_frame - first_number)
        start = float(times_s[min(first, len(times_s) - 1)])
    if performance.last_frame is not None:
        last = min(last, performance.last_frame - first_number)
        end = float(times_s[last + 1]) if 0 <= last + 1 < len(times_s) else end_s
    if performance.start_s is not None:
        start = max(start, performance.start_s)
        first = max(first, int(np.searchsorted(times_s, performance.start_s - SAME_S)))
    if performance.end_s is not None:
        end = min(end, performance.end_s)
        last = min(last, int(np.searchsorted(times_s, performance.end_s - SAME_S)) - 1)
    return Window(first=first, last=last, start_s=start, end_s=end)


def sample(times_s: NDArray[np.float64], part: Window, spec: MediaSpec) -> Sample:
    """Pick the frames that ``spec`` asks for; a frame is never picked twice, so a slow source is never filled up.

    ``spec.frames`` = n: the frame on show at the centre of each of n equal bins of the window (all frames when the
    window has n or fewer). ``spec.fps``: the frame nearest to every 1/fps from the start of the window, the earlier of
    two equally near. Neither: all frames. ``spec.max_frames`` then thins evenly.
    """
    inside = times_s[part.first : part.last + 1]
    span = max(part.end_s - part.start_s, SAME_S)
    rate: float | None
    if spec.frames is not None:
        picked = _by_count(inside, part, spec.frames)
        rate = _rate(inside, span) if len(picked) == len(inside) else len(picked) / span
    elif spec.fps is not None:
        picked = _by_rate(inside, part, spec.fps)
        due = max(1, math.ceil((span - SAME_S) * spec.fps))
        if len(picked) == due:
            rate = spec.fps
        else:
            rate = _rate(inside, span) if len(picked) == len(inside) else len(picked) / span
    else:
        picked = list(range(len(inside)))
        rate = _rate(inside, span)
    if spec.max_frames is not None and len(picked) > spec.max_frames:
        picked = [picked[index] for index in _thinned(len(picked), spec.max_frames)]
        rate = len(picked) / span
    return Sample(positions=tuple(part.first + index for index in picked), fps=round(rate, 6) if rate else None)


def _by_count(inside: NDArray[np.float64], part: Window, count: int) -> list[int]:
    if len(inside) <= count:
        return list(range(len(inside)))
    centres = part.start_s + (np.arange(count) + 0.5) * ((part.end_s - part.start_s) / count)
    on_show = np.searchsorted(inside, centres + SAME_S, side="right") - 1
    picked: list[int] = []
    for index, position in enumerate(on_show.tolist()):
        # Where a source stands still (variable frame rate) several centres fall on one frame: take the next ones.
        lowest = picked[-1] + 1 if picked else 0
        picked.append(min(max(position, lowest), len(inside) - count + index))
    return picked


def _by_rate(inside: NDArray[np.float64], part: Window, fps: float) -> list[int]:
    due = max(1, math.ceil((part.end_s - part.start_s - SAME_S) * fps))
    picked: list[int] = []
    for tick in range(due):
        target = part.start_s + tick / fps
        after = int(np.searchsorted(inside, target))
        if after == len(inside) or (after > 0 and target - inside[after - 1] <= inside[after] - target + SAME_S):
            after -= 1
        if not picked or after > picked[-1]:
            picked.append(after)
        elif picked[-1] == len(inside) - 1:
            break
    return picked


def _thinned(count: int, most: int) -> Sequence[int]:
    return [(2 * index + 1) * count // (2 * most) for index in range(most)]


def _rate(inside: NDArray[np.float64], span: float) -> float | None:
    if len(inside) > 1:
        return float((len(inside) - 1) / (inside[-1] - inside[0]))
    return 1 / span if span > 0 and len(inside) else None
