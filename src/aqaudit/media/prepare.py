"""Prepare: from a performance to the files that a model is shown of it. All views of a clip come from one decode."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import av
import numpy as np
from PIL import Image

from aqaudit.core.records import MediaPart, MediaSpec, Performance, Shown
from aqaudit.media import encode
from aqaudit.media.cache import MediaStore
from aqaudit.media.clip import Clip, opened
from aqaudit.media.decode import decode
from aqaudit.media.index import VideoIndex
from aqaudit.media.perturb import MeanColour, check_perturbation, order
from aqaudit.media.picture import Still
from aqaudit.media.poses import pose_text
from aqaudit.media.sample import Sample, sample
from aqaudit.media.types import Picture
from aqaudit.media.video import DECODE_SECONDS, MAX_FRAMES, Deadline, MediaError, open_video
from aqaudit.media.views import Drawing, check_view, drawing
from aqaudit.pose.coco17 import Keypoints

#: Bytes of pictures out of order that are kept in memory before they go to a temporary file.
_IN_MEMORY = 64 * 2**20


class FrameCollector:
    """One way of collector a clip: takes frames as they are decoded, in the order of the source, each once.

    Parameters
    ----------
    path
        The source, for error messages.
    spec
        How it is shown.
    draw
        How its frames are drawn.
    positions
        The frames (positions in the source) that are shown, in the order of their times.
    times_s, fps
        When each is shown, in seconds from the start of the performance, and their rate.
    still
        Whether the source is a picture, which is sent as a picture whatever the form.
    seed
        What the order of ``shuffled`` is drawn from.
    size
        Width and height that every picture is brought to, with black at the sides; None: as it is drawn.
    """

    def __init__(
        self,
        path: Path,
        spec: MediaSpec,
        draw: Drawing,
        positions: Sequence[int],
        times_s: tuple[float, ...],
        fps: float | None,
        *,
        still: bool,
        seed: str,
        size: tuple[int, int] | None = None,
    ) -> None:
        if len(positions) > MAX_FRAMES:
            raise MediaError(
                f"{path}: {len(positions)} frames to show, at most {MAX_FRAMES} are prepared; "
                "set fps or frames, or narrow the window"
            )
        self._path, self._spec, self._draw, self._fit = path, spec, draw, size
        self._times_s, self._fps = times_s, fps
        self._slots = [positions[n] for n in order(spec.perturbation, len(positions), seed)]
        self.wanted = frozenset(self._slots)
        self._video = _Video(path, self._slots, times_s, fps) if spec.form == "video" and not still else None
        self._mean = MeanColour() if spec.perturbation == "blank" else None
        self._parts: dict[int, MediaPart] = {}
        self._sizes: dict[int, tuple[int, int]] = {}

    def take(self, at: int, still: Still, store: MediaStore) -> None:
        """Draw and keep the frame at a position, which is wanted."""
        picture = self._draw.draw(at, still)
        if self._fit is not None:
            picture = letterboxed(picture, *self._fit)
        height, width = picture.shape[:2]
        self._sizes[at] = (width, height)
        if self._video is not None:
            self._video.check_size(width, height)
        if self._mean is not None:
            self._mean.add(picture)
        elif self._video is not None:
            self._video.take(at, picture)
        else:
            self._parts[at] = store.put(encode.jpeg(picture), "image/jpeg")

    def result(self, store: MediaStore) -> Shown:
        """Return what is shown, once every wanted frame was taken."""
        width, height = self._sizes[self._slots[0]]
        count = len(self._slots)
        if self._video is not None:
            if self._mean is not None:
                plain = self._mean.plain(width, height)
                data = self._video.of(plain for _ in self._slots)
            else:
                data = self._video.data()
            part = store.put(data, "video/mp4")
            parts = [replace(part, fps=self._fps) if self._spec.native_sampling else part]
        else:
            if self._mean is not None:
                plains = {size: self._mean.plain(*size) for size in self._sizes.values()}
                sent = {size: store.put(encode.jpeg(plain), "image/jpeg") for size, plain in plains.items()}
                self._parts = {at: sent[size] for at, size in self._sizes.items()}
            parts = [self._parts[at] for at in self._slots]
        return Shown(parts=tuple(parts), frames=count, fps=self._fps, width=width, height=height, times_s=self._times_s)

    def close(self) -> None:
        """Let go of what is half done."""
        if self._video is not None:
            self._video.close()


class _Video:
    """Pictures on their way into a clip: straight where they come in its order, else kept until all are there."""

    def __init__(self, path: Path, slots: Sequence[int], times_s: Sequence[float], fps: float | None) -> None:
        self._path, self._slots = path, slots
        self._clip = encode.Mp4(times_s, fps or 1.0)
        self._straight = all(a < b for a, b in pairwise(slots))
        self._kept: tempfile.SpooledTemporaryFile[bytes] | None = None
        self._places: dict[int, int] = {}
        self._size: tuple[int, int] | None = None

    def check_size(self, width: int, height: int) -> None:
        if self._size not in {None, (width, height)}:
            raise MediaError(
                f"{self._path}: its frames differ in size, which a video cannot; use media_form = 'frames'"
            )
        self._size = width, height

    def take(self, at: int, picture: Picture) -> None:
        if self._straight:
            self._clip.add(picture)
            return
        if self._kept is None:
            self._kept = tempfile.SpooledTemporaryFile(max_size=_IN_MEMORY)  # noqa: SIM115 - closed by close()
        self._places[at] = self._kept.seek(0, 2)
        self._kept.write(picture.tobytes())

    def data(self) -> bytes:
        if self._kept is not None and self._size is not None:
            width, height = self._size
            for at in self._slots:
                self._kept.seek(self._places[at])
                raw = np.frombuffer(self._kept.read(width * height * 3), dtype=np.uint8)
                self._clip.add(raw.reshape(height, width, 3))
        return self._clip.data()

    def of(self, pictures: Iterable[Picture]) -> bytes:
        for picture in pictures:
            self._clip.add(picture)
        return self._clip.data()

    def close(self) -> None:
        self._clip.close()
        if self._kept is not None:
            self._kept.close()


def letterboxed(picture: Picture, width: int, height: int) -> Picture:
    """Bring a picture to a size: as large as fits, in the middle, black around it."""
    high, wide = picture.shape[:2]
    if (wide, high) == (width, height):
        return picture
    scale = min(width / wide, height / high)
    fit = max(1, min(width, round(wide * scale))), max(1, min(height, round(high * scale)))
    small = np.asarray(Image.fromarray(picture).resize(fit, Image.Resampling.BICUBIC))
    result = np.zeros((height, width, 3), dtype=np.uint8)
    top, left = (height - fit[1]) // 2, (width - fit[0]) // 2
    result[top : top + fit[1], left : left + fit[0]] = small
    return result


#: Gives the joints of a performance at every frame of its clip's window.
Poser = Callable[[Performance, Clip], Keypoints]

_NOTHING = Shown(parts=(), frames=0, fps=None, width=0, height=0)


def prepare(
    performance: Performance,
    spec: MediaSpec,
    store: MediaStore,
    *,
    poser: Poser | None = None,
    instead: Performance | None = None,
    draw: str = "",
) -> Shown:
    """Prepare one way of collector a performance; see :func:`prepare_all`."""
    return prepare_all(performance, [spec], store, poser=poser, instead=instead, draw=draw)[0]


def prepare_all(
    performance: Performance,
    specs: Sequence[MediaSpec],
    store: MediaStore,
    *,
    poser: Poser | None = None,
    instead: Performance | None = None,
    draw: str = "",
) -> list[Shown]:
    """Decode a clip once; sample, draw and encode what a model is shown of it in several ways; keep the files.

    The same source and spec give the same bytes every time. Safe in threads: the heavy work lets other threads run.

    Parameters
    ----------
    performance
        Whose media are shown.
    specs
        Form ``frames``: one JPEG a frame. ``video``: one MP4 (a still picture goes as JPEG), copied without encoding
        where nothing is drawn, masked, resampled or scaled. ``none``: nothing. View ``pose_text``: one text.
    store
        Receives the files.
    poser
        Finds the performer's joints, for views and perturbations that rest on them.
    instead
        For ``swapped``: the performance that is shown in this one's place.
    draw
        Text that ``shuffled`` draws its order from beside the spec's seed, such as the source's hash.

    Returns
    -------
    list
        What is shown, in the order of ``specs``.

    Raises
    ------
    MediaError
        The source cannot be shown as asked: unreadable, damaged, cut off, shorter than its times, too large; or nobody
        is found in it.
    BadInput
        The view or perturbation cannot be prepared.
    OSError
        The store cannot be written.
    """
    for spec in specs:
        check_view(spec.view)
        check_perturbation(spec.perturbation)
    with _named(performance):
        results: dict[int, Shown] = {}
        direct: list[int] = []
        for number, spec in enumerate(specs):
            if spec.perturbation == "text_only" or (spec.form == "none" and spec.view != "pose_text"):
                results[number] = _NOTHING
            elif spec.perturbation == "swapped":
                if instead is None:
                    raise MediaError(f"{performance.media}: nothing is given to be shown in its place")
                results[number] = _swapped(performance, instead, spec, store, poser)
            else:
                direct.append(number)
        if direct:
            shown = _shown(performance, [specs[number] for number in direct], store, poser, draw)
            results |= dict(zip(direct, shown, strict=True))
        return [results[number] for number in range(len(specs))]


@contextmanager
def _named(performance: Performance) -> Iterator[None]:
    """Say in every error whose media they are."""
    try:
        yield
    except MediaError as error:
        raise MediaError(f"performance '{performance.id}': {error}") from None
    except av.error.FFmpegError as error:
        raise MediaError(
            f"performance '{performance.id}': {performance.media}: cannot be decoded or encoded ({error.strerror})"
        ) from None


def _shown(
    performance: Performance, specs: Sequence[MediaSpec], store: MediaStore, poser: Poser | None, draw: str
) -> list[Shown]:
    clip = opened(performance)
    pose = _pose(performance, clip, specs, poser)
    results: dict[int, Shown] = {}
    collectors: dict[int, FrameCollector] = {}
    with ExitStack() as closing:
        for number, spec in enumerate(specs):
            chosen = sample(clip.times_s, clip.part, spec)
            index = _copyable(performance, spec, clip)
            if spec.view == "pose_text":
                results[number] = _as_text(clip, chosen, spec, pose, store, f"{spec.seed}/{draw}")
            elif index is not None:
                results[number] = _as_copy(clip, index, chosen, spec, store)
            else:
                collector = _collector(clip, spec, chosen.positions, _times(clip, chosen), chosen.fps, pose, draw)
                closing.callback(collector.close)
                collectors[number] = collector
        wanted = sorted({at for collector in collectors.values() for at in collector.wanted})
        if wanted:
            for at, still in clip.stills(wanted):
                for collector in collectors.values():
                    if at in collector.wanted:
                        collector.take(at, still, store)
        results |= {number: collector.result(store) for number, collector in collectors.items()}
    return [results[number] for number in range(len(specs))]


def _pose(performance: Performance, clip: Clip, specs: Sequence[MediaSpec], poser: Poser | None) -> Keypoints | None:
    if not any(spec.posed for spec in specs):
        return None
    if poser is None:
        raise MediaError(f"{clip.path}: this view or perturbation needs the performer's joints, and no pose is given")
    return poser(performance, clip)


def _collector(
    clip: Clip,
    spec: MediaSpec,
    positions: Sequence[int],
    times_s: tuple[float, ...],
    fps: float | None,
    pose: Keypoints | None,
    draw: str,
    size: tuple[int, int] | None = None,
) -> FrameCollector:
    still = clip.source is None
    even = spec.form == "video" and not still  # as H.264 wants them
    try:
        drawn = drawing(spec, even=even, first=clip.part.first, pose=pose)
    except MediaError as error:
        raise MediaError(f"{clip.path}: {error}") from None
    return FrameCollector(
        clip.path, spec, drawn, positions, times_s, None if still else fps, still=still,
        seed=f"{spec.seed}/{draw}", size=size,
    )  # fmt: skip


def _times(clip: Clip, chosen: Sample) -> tuple[float, ...]:
    return tuple(max(0.0, round(float(clip.times_s[at]) - clip.part.start_s, 6)) for at in chosen.positions)


def _swapped(
    performance: Performance, instead: Performance, spec: MediaSpec, store: MediaStore, poser: Poser | None
) -> Shown:
    """Show another performance in as many frames, of the same size, at the same times as this one's."""
    clip, other = opened(performance), opened(instead)
    chosen = sample(clip.times_s, clip.part, spec)
    times, count = _times(clip, chosen), len(chosen.positions)
    found = sample(other.times_s, other.part, replace(spec, frames=count, fps=None, max_frames=None)).positions
    # A shorter clip is shown more slowly rather than cut short.
    positions = [found[(2 * n + 1) * len(found) // (2 * count)] for n in range(count)]
    pose = _pose(instead, other, [spec], poser)
    if spec.view == "pose_text":
        if pose is None:
            raise AssertionError("pose as text needs a pose")
        return _text(pose, [at - other.part.first for at in positions], times, chosen.fps, spec, store)
    own = _pose(performance, clip, [spec], poser) if spec.view == "crop" else None
    size = _size(clip, spec, own)
    collector = _collector(other, spec, positions, times, chosen.fps, pose, "", size)
    try:
        for at, still in other.stills(sorted(collector.wanted)):
            collector.take(at, still, store)
        return collector.result(store)
    finally:
        collector.close()


def _size(clip: Clip, spec: MediaSpec, pose: Keypoints | None) -> tuple[int, int]:
    """Return the width and height at which a clip would be shown."""
    plain = replace(spec, perturbation="none", view="crop" if pose is not None else "rgb")
    drawn = drawing(plain, even=spec.form == "video" and clip.source is not None, first=clip.part.first, pose=pose)
    for at, still in clip.stills([clip.part.first]):
        height, width = drawn.draw(at, still).shape[:2]
    return width, height


def _as_text(
    clip: Clip, chosen: Sample, spec: MediaSpec, pose: Keypoints | None, store: MediaStore, draw: str
) -> Shown:
    if pose is None:
        raise AssertionError("pose as text needs a pose")
    rows = [at - clip.part.first for at in chosen.positions]
    rows = [rows[place] for place in order(spec.perturbation, len(rows), draw)]
    return _text(pose, rows, _times(clip, chosen), chosen.fps, spec, store)


def _text(
    pose: Keypoints,
    rows: Sequence[int],
    times_s: tuple[float, ...],
    fps: float | None,
    spec: MediaSpec,
    store: MediaStore,
) -> Shown:
    region = spec.region if spec.perturbation == "region_blur" else None
    text = pose_text(pose, rows, times_s, region=region, blank=spec.perturbation == "blank")
    part = store.put(text.encode(), "text/plain")
    return Shown(parts=(part,), frames=len(rows), fps=fps, width=0, height=0, times_s=times_s)


def _copyable(performance: Performance, spec: MediaSpec, clip: Clip) -> VideoIndex | None:
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


def _as_copy(clip: Clip, index: VideoIndex, chosen: Sample, spec: MediaSpec, store: MediaStore) -> Shown:
    """Copy the window out of the source; the provider samples it as asked, or as it likes where nothing was asked."""
    size = (0, 0)
    # The copy itself decodes nothing, so look at the frames that will be sampled: damage must not go out unnoticed.
    looked_at = sorted({*chosen.positions, clip.part.last})
    for one in decode(index, looked_at, Deadline(clip.path, DECODE_SECONDS)):
        if not any(size):
            seen = Still(one.frame, aspect=one.aspect)
            size = seen.fitted(max(seen.width, seen.height))
    cut = encode.copy(index, clip.part.first, clip.part.last)
    asked = spec.fps is not None or spec.frames is not None or spec.max_frames is not None
    part = store.put(cut.data, "video/mp4")
    if not spec.native_sampling:
        return Shown(parts=(part,), frames=len(chosen.positions), fps=chosen.fps, width=size[0], height=size[1])
    fps = chosen.fps if asked else None
    part = replace(part, start_s=cut.start_s, end_s=cut.end_s, fps=fps)
    return Shown(parts=(part,), frames=len(chosen.positions), fps=fps, width=size[0], height=size[1])
