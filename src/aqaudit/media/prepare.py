"""Prepare: from a performance to the files that a model is shown of it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import av
import numpy as np

from aqaudit.media import encode, picture
from aqaudit.media.index import VideoIndex, index_video
from aqaudit.media.perturb import perturbation
from aqaudit.media.sampling import SAME_S, Window, sample, slack_s, window
from aqaudit.media.source import check_frames, frames_within, kind_of
from aqaudit.media.video import DECODE_SECONDS, MAX_FRAMES, Deadline, MediaError, decode, open_video
from aqaudit.media.views import view
from aqaudit.records import Shown

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from aqaudit.media.picture import Frames
    from aqaudit.media.sampling import Sample
    from aqaudit.media.store import MediaStore
    from aqaudit.media.views import Picture
    from aqaudit.records import MediaPart, MediaSpec, Performance


@dataclass(frozen=True, slots=True, kw_only=True)
class _Clip:
    """A source opened for preparing: when it shows its frames, and the window that is the performance."""

    path: Path
    times_s: NDArray[np.float64]
    part: Window
    source: VideoIndex | Frames | None  # None: a still picture


def prepare(performance: Performance, spec: MediaSpec, store: MediaStore) -> Shown:
    """Decode, sample, draw and encode what a model is shown of one performance, and keep the files in ``store``.

    The same source and spec give the same bytes every time. Safe in threads: the heavy work lets other threads run.

    Parameters
    ----------
    performance
        Whose media are shown.
    spec
        Form ``frames``: one JPEG a frame. ``video``: one MP4 (a still picture goes as JPEG), copied without encoding
        where nothing is drawn, masked, resampled or scaled. ``none``: nothing.
    store
        Receives the files.

    Raises
    ------
    MediaError
        The source cannot be shown as asked: unreadable, damaged, cut off, shorter than its times, too large.
    BadInput
        The view or perturbation cannot be prepared.
    OSError
        The store cannot be written.
    """
    if spec.form == "none" or spec.perturbation == "text_only":
        return Shown(parts=(), frames=0, fps=None, width=0, height=0)
    view(spec.view)
    perturbation(spec.perturbation)
    try:
        clip = _opened(performance)
        if clip.source is None:
            return _as_frames(_pictures(clip, (0,), performance, spec), (0.0,), None, store)
        chosen = sample(clip.times_s, clip.part, spec)
        _check_count(clip, chosen)
        times = tuple(max(0.0, round(float(clip.times_s[at]) - clip.part.start_s, 6)) for at in chosen.positions)
        index = _copyable(performance, spec, clip)
        if index is not None:
            return _as_copy(clip, index, chosen, spec, store)
        pictures = _pictures(clip, chosen.positions, performance, spec)
        if spec.form == "video":
            return _as_video(clip, pictures, chosen, times, spec, store)
        return _as_frames(pictures, times, chosen.fps, store)
    except MediaError as error:
        raise MediaError(f"performance '{performance.id}': {error}") from None
    except av.error.FFmpegError as error:
        raise MediaError(
            f"performance '{performance.id}': {performance.media}: cannot be decoded or encoded ({error.strerror})"
        ) from None


def _opened(performance: Performance) -> _Clip:
    media = performance.media
    kind = kind_of(media)
    if kind == "image":
        return _Clip(path=media, times_s=np.zeros(1), part=Window(first=0, last=0, start_s=0.0, end_s=0.0), source=None)
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
    return _Clip(path=media, times_s=times, part=part, source=index)


def _opened_frames(performance: Performance) -> _Clip:
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
    return _Clip(path=performance.media, times_s=times, part=part, source=frames)


def _check_count(clip: _Clip, chosen: Sample) -> None:
    if len(chosen.positions) > MAX_FRAMES:
        raise MediaError(
            f"{clip.path}: {len(chosen.positions)} frames to show, at most {MAX_FRAMES} are prepared; "
            "set fps or frames, or narrow the window"
        )


def _copyable(performance: Performance, spec: MediaSpec, clip: _Clip) -> VideoIndex | None:
    """Return the source where it may be sent as it is: nothing drawn, hidden or left out, a codec for an MP4.

    A provider that samples by itself takes a part of a file by offsets, in any size; another one gets a copy only when
    the whole clip is shown at its own rate and is not too large.
    """
    untouched = spec.view == "rgb" and spec.perturbation == "none" and not (performance.masks or performance.rotate)
    if spec.form != "video" or not untouched or not isinstance(clip.source, VideoIndex):
        return None
    if not spec.native_sampling:
        whole = clip.part.first == 0 and clip.part.last == len(clip.times_s) - 1
        own_rate = spec.fps is None and spec.frames is None and spec.max_frames is None
        if not (whole and own_rate and _fits(clip.path, spec.max_side)):
            return None
    return clip.source if encode.can_copy(clip.source) else None


def _fits(path: Path, max_side: int) -> bool:
    with open_video(path) as (_, stream):
        return max(stream.codec_context.width, stream.codec_context.height) <= max_side


def _pictures(clip: _Clip, positions: Sequence[int], performance: Performance, spec: MediaSpec) -> Iterator[Picture]:
    """Yield the pictures to show, one after the other, so that a clip is never held in memory whole."""
    draw = view(spec.view)
    drawn = (draw(one) for one in _decoded(clip, positions, performance, spec))
    return perturbation(spec.perturbation)(drawn)


def _decoded(clip: _Clip, positions: Sequence[int], performance: Performance, spec: MediaSpec) -> Iterator[Picture]:
    deadline, masks, rotate = Deadline(clip.path, DECODE_SECONDS), performance.masks, performance.rotate
    even = spec.form == "video" and clip.source is not None  # as H.264 wants them
    if clip.source is None:
        yield picture.from_file(clip.path, max_side=spec.max_side, masks=masks, rotate=rotate)
    elif isinstance(clip.source, picture.Frames):
        for at in positions:
            deadline.check()
            file = clip.path / clip.source.names[at]
            yield picture.from_file(
                file, max_side=spec.max_side, masks=masks, time_s=float(clip.times_s[at]), even=even, rotate=rotate
            )
    else:
        for at, frame in decode(clip.source, positions, deadline):
            yield picture.from_frame(
                frame,
                max_side=spec.max_side,
                aspect=clip.source.aspect,
                masks=masks,
                time_s=float(clip.times_s[at]),
                even=even,
                rotate=rotate,
            )


def _as_frames(pictures: Iterator[Picture], times_s: tuple[float, ...], fps: float | None, store: MediaStore) -> Shown:
    parts: list[MediaPart] = []
    size = (0, 0)
    before: Picture | None = None
    for one in pictures:
        if one is not before:
            part = store.put(encode.jpeg(one), "image/jpeg")
        parts.append(part)
        before = one
        size = size if any(size) else (one.shape[1], one.shape[0])
    return Shown(parts=tuple(parts), frames=len(parts), fps=fps, width=size[0], height=size[1], times_s=times_s)


def _as_video(
    clip: _Clip,
    pictures: Iterator[Picture],
    chosen: Sample,
    times_s: tuple[float, ...],
    spec: MediaSpec,
    store: MediaStore,
) -> Shown:
    sizes: set[tuple[int, int]] = set()
    data = encode.mp4(_of_one_size(clip, pictures, sizes), times_s, chosen.fps or 1.0)
    part = store.put(data, "video/mp4")
    if spec.native_sampling:
        part = replace(part, fps=chosen.fps)
    width, height = sizes.pop()
    return Shown(parts=(part,), frames=len(times_s), fps=chosen.fps, width=width, height=height, times_s=times_s)


def _of_one_size(clip: _Clip, pictures: Iterator[Picture], sizes: set[tuple[int, int]]) -> Iterator[Picture]:
    for one in pictures:
        sizes.add((one.shape[1], one.shape[0]))
        if len(sizes) > 1:
            raise MediaError(f"{clip.path}: its frames differ in size, which a video cannot; use media_form = 'frames'")
        yield one


def _as_copy(clip: _Clip, index: VideoIndex, chosen: Sample, spec: MediaSpec, store: MediaStore) -> Shown:
    """Copy the window out of the source; the provider samples it as asked, or as it likes where nothing was asked."""
    size = (0, 0)
    # The copy itself decodes nothing, so look at the frames that will be sampled: damage must not go out unnoticed.
    looked_at = sorted({*chosen.positions, clip.part.last})
    for _, frame in decode(index, looked_at, Deadline(clip.path, DECODE_SECONDS)):
        size = size if any(size) else picture.shown_size(frame, index.aspect)
    cut = encode.copy(index, clip.part.first, clip.part.last)
    asked = spec.fps is not None or spec.frames is not None or spec.max_frames is not None
    part = store.put(cut.data, "video/mp4")
    if not spec.native_sampling:
        return Shown(parts=(part,), frames=len(chosen.positions), fps=chosen.fps, width=size[0], height=size[1])
    fps = chosen.fps if asked else None
    part = replace(part, start_s=cut.start_s, end_s=cut.end_s, fps=fps)
    return Shown(parts=(part,), frames=len(chosen.positions), fps=fps, width=size[0], height=size[1])
