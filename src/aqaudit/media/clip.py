"""Clips: a source opened to be shown, the window that is the performance, and the frames that are picked from it.

What is picked is a pure function of the times at which a source shows its frames.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from aqaudit.core.records import MediaSpec, Performance
from aqaudit.media import picture
from aqaudit.media.index import index_video
from aqaudit.media.picture import SUFFIXES, Frames, Still
from aqaudit.media.source import check_checksum, check_frames, frames_within, slack_s
from aqaudit.media.types import SAME_S, MediaError, Sample, VideoIndex, Window
from aqaudit.media.video import DECODE_SECONDS, Deadline, decode


@dataclass(frozen=True, slots=True, kw_only=True)
class Clip:
    """A performance whose source is opened: when it shows its frames, and the window that is the performance."""

    performance: Performance
    source: VideoIndex | Frames | None  # None: a still picture
    times_s: NDArray[np.float64]
    part: Window

    @property
    def positions(self) -> range:
        """The positions of the window's frames in the list of shown times."""
        return range(self.part.first, self.part.last + 1)

    def stills(self, positions: Sequence[int], *, masked: bool = True) -> Iterator[tuple[int, Still]]:
        """Decode frames (positions, increasing), each with its position; one after the other, so none need be kept.

        Raises
        ------
        MediaError
            A frame is damaged or missing, or the time is over.
        """
        media, rotate = self.performance.media, self.performance.rotate
        masks = self.performance.masks if masked else ()
        deadline = Deadline(media, DECODE_SECONDS)
        if self.source is None:
            yield 0, Still(picture.from_file(media), masks=masks, rotate=rotate)
        elif isinstance(self.source, VideoIndex):
            for at, frame, aspect in decode(self.source, positions, deadline):
                yield at, Still(frame, aspect=aspect, masks=masks, time_s=float(self.times_s[at]), rotate=rotate)
        else:
            for at in positions:
                deadline.check()
                whole = picture.from_file(media / self.source.names[at])
                yield at, Still(whole, masks=masks, time_s=float(self.times_s[at]), rotate=rotate)


def opened(performance: Performance) -> Clip:
    """Open the source of a performance and find its window.

    Raises
    ------
    MediaError
        The source cannot be read, is cut off within the window, is shorter than the performance's times, or is not
        what its checksum states.
    """
    media = performance.media
    if performance.sha256 is not None:
        check_checksum(performance)
    if media.is_dir():
        return _opened_frames(performance)
    if media.suffix.lower() in SUFFIXES:
        part = Window(first=0, last=0, start_s=0.0, end_s=0.0)
        return Clip(performance=performance, source=None, times_s=np.zeros(1), part=part)
    index = index_video(media)
    times, end_s = index.times_s, index.end_s
    part = window(times, end_s, performance)
    asked_last = performance.last_frame is not None and performance.last_frame > len(times)
    bounded = performance.last_frame is not None or (
        performance.end_s is not None and performance.end_s <= end_s + SAME_S
    )
    if index.missing and (asked_last or not bounded):
        raise MediaError(
            f"{media}: the file is cut off or damaged: it holds {index.missing}; replace it, or narrow the window"
        )
    fps = 1 / float(np.median(np.diff(times))) if len(times) > 1 else None
    if asked_last or (performance.end_s is not None and performance.end_s > end_s + slack_s(fps)):
        asked = f"frame {performance.last_frame}" if asked_last else f"{performance.end_s:g} s"
        raise MediaError(
            f"{media}: the clip is shorter than its times: it shows {len(times)} frames in {end_s:.2f} s, "
            f"the performance ends at {asked}"
        )
    if part.last < part.first:
        raise MediaError(f"{media}: shows no frame between {part.start_s:g} and {part.end_s:g} s; widen the window")
    return Clip(performance=performance, source=index, times_s=times, part=part)


def _opened_frames(performance: Performance) -> Clip:
    check_frames(performance)
    frames, fps = picture.list_frames(performance.media), performance.fps or 1.0
    first, last = frames_within(frames, performance)
    times = (np.array(frames.numbers) - frames.numbers[0]) / fps
    places = frames.numbers.index(first), frames.numbers.index(min(last, frames.numbers[-1]))
    start = float(times[places[0]])
    if performance.start_s is not None and performance.first_frame is None:
        start = performance.start_s
    end = float(times[places[1]]) + 1 / fps
    if performance.end_s is not None:
        end = min(end, performance.end_s)
    part = Window(first=places[0], last=places[1], start_s=start, end_s=end)
    return Clip(performance=performance, source=frames, times_s=times, part=part)


def window(times_s: NDArray[np.float64], end_s: float, performance: Performance) -> Window:
    """Find the frames of a performance among the shown times of its video.

    Parameters
    ----------
    times_s
        Shown times in seconds, increasing, from the first shown frame.
    end_s
        When the last frame stops being shown.
    performance
        Narrows by ``start_s`` and ``end_s`` (end exclusive) and by ``first_frame`` and ``last_frame`` (inclusive,
        counted from 1).

    Returns
    -------
    Window
        With ``last < first`` where no frame is shown within the times.
    """
    first, last = 0, len(times_s) - 1
    start, end = 0.0, end_s
    if performance.first_frame is not None:
        first = max(first, performance.first_frame - 1)
        start = float(times_s[min(first, len(times_s) - 1)])
    if performance.last_frame is not None:
        last = min(last, performance.last_frame - 1)
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
    count = len(inside)
    picked = list(range(count))
    if spec.frames is not None and count > spec.frames:
        centres = part.start_s + (np.arange(spec.frames) + 0.5) * ((part.end_s - part.start_s) / spec.frames)
        picked = []
        for place, on_show in enumerate((np.searchsorted(inside, centres + SAME_S, side="right") - 1).tolist()):
            # Where a source stands still (variable frame rate) several centres fall on one frame: take the next ones.
            lowest = picked[-1] + 1 if picked else 0
            picked.append(min(max(on_show, lowest), count - spec.frames + place))
    elif spec.frames is None and spec.fps is not None:
        picked = _by_rate(inside, part, spec.fps)
    rate = len(picked) / span
    if spec.frames is None and spec.fps is not None and len(picked) == max(1, math.ceil((span - SAME_S) * spec.fps)):
        rate = spec.fps
    elif len(picked) == count > 1:
        rate = float((count - 1) / (inside[-1] - inside[0]))  # the source's own
    if spec.max_frames is not None and len(picked) > spec.max_frames:
        picked = [picked[(2 * place + 1) * len(picked) // (2 * spec.max_frames)] for place in range(spec.max_frames)]
        rate = len(picked) / span
    return Sample(
        positions=tuple(part.first + place for place in picked),
        times_s=tuple(max(0.0, round(float(inside[place]) - part.start_s, 6)) for place in picked),
        fps=round(rate, 6) if rate else None,
    )


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
