"""Clips: a source opened for showing, with the window that is the performance."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from aqaudit.core.records import Mask, Performance
from aqaudit.media import picture
from aqaudit.media.decode import decode
from aqaudit.media.index import VideoIndex, index_video
from aqaudit.media.picture import Frames, Still
from aqaudit.media.sample import SAME_S, Window, slack_s, window
from aqaudit.media.source import check_checksum, check_frames, frames_within, kind_of
from aqaudit.media.video import DECODE_SECONDS, Deadline, MediaError


@dataclass(frozen=True, slots=True, kw_only=True)
class Clip:
    """A source opened for showing: when it shows its frames, the window, what is masked, how it is turned."""

    path: Path
    times_s: NDArray[np.float64]
    part: Window
    source: VideoIndex | Frames | None  # None: a still picture
    masks: tuple[Mask, ...] = ()
    rotate: int = 0

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
        deadline, masks = Deadline(self.path, DECODE_SECONDS), self.masks if masked else ()
        if self.source is None:
            yield 0, Still(picture.from_file(self.path), masks=masks, rotate=self.rotate)
        elif isinstance(self.source, VideoIndex):
            for at, frame, aspect in decode(self.source, positions, deadline):
                time_s = float(self.times_s[at])
                yield at, Still(frame, aspect=aspect, masks=masks, time_s=time_s, rotate=self.rotate)
        else:
            for at in positions:
                deadline.check()
                whole = picture.from_file(self.path / self.source.names[at])
                yield at, Still(whole, masks=masks, time_s=float(self.times_s[at]), rotate=self.rotate)


def opened(performance: Performance) -> Clip:
    """Open the source of a performance and find its window.

    Raises
    ------
    MediaError
        The source cannot be read, is cut off within the window, is shorter than the performance's times, or is not
        what its checksum states.
    """
    media = performance.media
    check_checksum(performance)
    kind = kind_of(media)
    if kind == "image":
        part = Window(first=0, last=0, start_s=0.0, end_s=0.0)
        return Clip(
            path=media, times_s=np.zeros(1), part=part, source=None, masks=performance.masks, rotate=performance.rotate
        )
    if kind == "frames":
        return _opened_frames(performance)
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
        raise MediaError(
            f"{media}: the clip is shorter than its times: it shows {len(times)} frames in {end_s:.2f} s, "
            f"the performance ends at "
            + (f"frame {performance.last_frame}" if asked_last else f"{performance.end_s:g} s")
        )
    if part.last < part.first:
        raise MediaError(f"{media}: shows no frame between {part.start_s:g} and {part.end_s:g} s; widen the window")
    return Clip(path=media, times_s=times, part=part, source=index, masks=performance.masks, rotate=performance.rotate)


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
    return Clip(
        path=performance.media,
        times_s=times,
        part=part,
        source=frames,
        masks=performance.masks,
        rotate=performance.rotate,
    )
