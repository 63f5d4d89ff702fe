"""Prepare: from a performance to the files that a model is shown of it. All views of a clip come from one decode."""

from __future__ import annotations

import math
import random
import tempfile
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import replace
from itertools import pairwise

import av
import numpy as np
from PIL import Image

from aqaudit.core.records import PERTURBATIONS, VIEWS, BadInput, MediaPart, MediaSpec, Performance, Shown, nearest
from aqaudit.media import encode
from aqaudit.media.cache import MediaStore
from aqaudit.media.clip import Clip, opened, sample
from aqaudit.media.picture import Still, jpeg
from aqaudit.media.poses import pose_text
from aqaudit.media.types import MediaError, Picture, Sample, VideoIndex
from aqaudit.media.video import open_video
from aqaudit.media.views import drawing
from aqaudit.pose.coco17 import Keypoints

MAX_FRAMES = 10_000  # sent of one clip

#: Bytes of pictures out of order that are kept in memory before they go to a temporary file.
_IN_MEMORY = 64 * 2**20
_NOTHING = Shown(parts=(), frames=0, fps=None, width=0, height=0)

#: Gives the joints of a performance at every frame of its clip's window.
Poser = Callable[[Performance, Clip], Keypoints]


def prepare(
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
        for what, name, known in (("view", spec.view, VIEWS), ("perturbation", spec.perturbation, PERTURBATIONS)):
            if name not in known:
                raise BadInput(f"{what} '{name}' cannot be prepared{nearest(name, known)}")
    shown = {
        number: spec
        for number, spec in enumerate(specs)
        if spec.perturbation != "text_only" and (spec.form != "none" or spec.view == "pose_text")
    }
    own = {number: spec for number, spec in shown.items() if spec.perturbation != "swapped"}
    results = dict.fromkeys(range(len(specs)), _NOTHING)
    collectors: dict[int, FrameCollector] = {}
    try:
        results |= {n: _swapped(performance, instead, shown[n], store, poser) for n in shown if n not in own}
        if own:
            with ExitStack() as closing:
                clip = opened(performance)
                pose = _joints(clip, poser) if any(spec.posed for spec in own.values()) else None
                for number, spec in own.items():
                    chosen = sample(clip.times_s, clip.part, spec)
                    if spec.view == "pose_text":
                        results[number] = _as_text(clip, chosen, pose, spec, store, draw)
                    elif spec.form == "video" and (index := _copyable(clip, spec)) is not None:
                        results[number] = _as_copy(clip, index, chosen, spec, store)
                    else:
                        collectors[number] = FrameCollector(clip, chosen, spec, pose, closing, draw=draw)
                wanted = sorted({at for collector in collectors.values() for at in collector.wanted})
                for at, still in clip.stills(wanted) if wanted else ():
                    for collector in collectors.values():
                        collector.take(at, still, store)
                results |= {number: collector.result(store) for number, collector in collectors.items()}
    except (MediaError, av.error.FFmpegError) as error:
        raise _named(performance, error) from None
    return list(results.values())


def _named(performance: Performance, error: MediaError | av.error.FFmpegError) -> MediaError:
    """Return an error that says whose media they are."""
    who = f"performance '{performance.id}'"
    if isinstance(error, MediaError):
        return MediaError(f"{who}: {error}")
    return MediaError(f"{who}: {performance.media}: cannot be decoded or encoded ({error.strerror})")


def _joints(clip: Clip, poser: Poser | None) -> Keypoints:
    if poser is None:
        raise MediaError(
            f"{clip.performance.media}: this view or perturbation needs the performer's joints, and no pose is given"
        )
    return poser(clip.performance, clip)


def order(name: str, count: int, draw: str) -> list[int]:
    """Return which of ``count`` pictures is shown in each place.

    ``frozen``: the middle one everywhere. ``reversed``: the last one first. ``shuffled``: an order drawn by ``draw``,
    never the true one where there are two or more. All others: the true one.
    """
    places = list(range(count))
    if name == "frozen":
        return [count // 2] * count
    if name == "reversed":
        return places[::-1]
    if name == "shuffled" and count > 1:
        rng, mixed = random.Random(draw), list(places)
        while mixed == places:
            rng.shuffle(mixed)
        return mixed
    return places


class MeanColour:
    """The mean colour of the pictures of a clip, of which none need be kept."""

    def __init__(self) -> None:
        self._total = np.zeros(3)
        self._count = 0

    def add(self, picture: Picture) -> None:
        """Take one more picture into the mean; each counts alike."""
        self._total += picture.mean(axis=(0, 1), dtype=np.float64)
        self._count += 1

    def plain(self, width: int, height: int) -> Picture:
        """Return a picture in the mean colour."""
        return np.full((height, width, 3), np.rint(self._total / self._count).astype(np.uint8), dtype=np.uint8)


class FrameCollector:
    """Collects the frames of a clip for one spec, as they are decoded, and makes of them what is shown.

    Each frame comes once, in the order of the source, and is drawn and encoded when it comes.

    Parameters
    ----------
    clip
        Whose frames are shown. A still picture is sent as a picture whatever the form.
    chosen
        The frames (positions in the source) that are shown, when, and their rate.
    spec
        How they are shown.
    pose
        The joints at the rows of the clip's window, where the spec needs them.
    closing
        Lets go of what is half done, when it is closed.
    draw
        What the order of ``shuffled`` is drawn from beside the spec's seed.
    size
        Width and height that every picture is brought to, with black at the sides; None: as it is drawn.
    """

    def __init__(
        self,
        clip: Clip,
        chosen: Sample,
        spec: MediaSpec,
        pose: Keypoints | None,
        closing: ExitStack,
        *,
        draw: str = "",
        size: tuple[int, int] | None = None,
    ) -> None:
        still = clip.source is None
        self._path, self._spec, self._size = clip.performance.media, spec, size
        self._even = spec.form == "video" and not still  # as H.264 wants them
        self._drawing = drawing(clip, spec, pose, even=self._even) if spec.posed else None
        count = len(chosen.positions)
        if count > MAX_FRAMES:
            raise MediaError(
                f"{self._path}: {count} frames to show, at most {MAX_FRAMES} are prepared; "
                "set fps or frames, or narrow the window"
            )
        self._times_s, self._fps = chosen.times_s, None if still else chosen.fps
        self._slots = [chosen.positions[n] for n in order(spec.perturbation, count, f"{spec.seed}/{draw}")]
        self.wanted = frozenset(self._slots)
        self._mean = MeanColour() if spec.perturbation == "blank" else None
        self._video: _Video | None = None
        if self._even:
            self._video = _Video(self._slots, chosen.times_s, self._fps)
            closing.callback(self._video.close)
        self._parts: dict[int, MediaPart] = {}
        self._sizes: dict[int, tuple[int, int]] = {}

    def take(self, at: int, still: Still, store: MediaStore) -> None:
        """Draw and keep the frame at a position, where it is wanted."""
        if at not in self.wanted:
            return
        if self._drawing is not None:
            picture = self._drawing.draw(at, still)
        else:
            picture = still.scaled(*still.fitted(self._spec.max_side, even=self._even))
        if self._size is not None:
            picture = letterboxed(picture, *self._size)
        height, width = picture.shape[:2]
        self._sizes[at] = (width, height)
        if self._video is not None and (width, height) != next(iter(self._sizes.values())):
            raise MediaError(
                f"{self._path}: its frames differ in size, which a video cannot; use media_form = 'frames'"
            )
        if self._mean is not None:
            self._mean.add(picture)
        elif self._video is not None:
            self._video.take(at, picture)
        else:
            self._parts[at] = store.put(jpeg(picture), "image/jpeg")

    def result(self, store: MediaStore) -> Shown:
        """Return what is shown, once every wanted frame was taken."""
        width, height = self._sizes[self._slots[0]]
        if self._video is not None:
            if self._mean is not None:
                plain = self._mean.plain(width, height)
                for at in self._slots:
                    self._video.take(at, plain)
            part = store.put(self._video.data(), "video/mp4")
            parts = [replace(part, fps=self._fps) if self._spec.native_sampling else part]
        else:
            if self._mean is not None:
                plains = {size: self._mean.plain(*size) for size in self._sizes.values()}
                sent = {size: store.put(jpeg(plain), "image/jpeg") for size, plain in plains.items()}
                self._parts = {at: sent[size] for at, size in self._sizes.items()}
            parts = [self._parts[at] for at in self._slots]
        return Shown(
            parts=tuple(parts),
            frames=len(self._slots),
            fps=self._fps,
            width=width,
            height=height,
            times_s=self._times_s,
        )


class _Video:
    """Pictures of one size on their way into a clip: straight where they come in its order, else once all are there."""

    def __init__(self, slots: Sequence[int], times_s: Sequence[float], fps: float | None) -> None:
        self._slots = slots
        self._clip = encode.Mp4(times_s, fps or 1.0)
        self._straight = all(a < b for a, b in pairwise(slots))
        self._kept: tempfile.SpooledTemporaryFile[bytes] | None = None
        self._places: dict[int, int] = {}
        self._shape: tuple[int, ...] = ()

    def take(self, at: int, picture: Picture) -> None:
        if self._straight:
            self._clip.add(picture)
            return
        if self._kept is None:
            self._kept = tempfile.SpooledTemporaryFile(max_size=_IN_MEMORY)  # noqa: SIM115 - closed by close()
        self._shape = picture.shape
        self._places[at] = self._kept.seek(0, 2)
        self._kept.write(picture.tobytes())

    def data(self) -> bytes:
        if self._kept is not None:
            for at in self._slots:
                self._kept.seek(self._places[at])
                raw = self._kept.read(math.prod(self._shape))
                self._clip.add(np.frombuffer(raw, dtype=np.uint8).reshape(self._shape))
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


def _swapped(
    performance: Performance, instead: Performance | None, spec: MediaSpec, store: MediaStore, poser: Poser | None
) -> Shown:
    """Show another performance in as many frames, of the same size, at the same times as this one's."""
    if instead is None:
        raise MediaError(f"{performance.media}: nothing is given to be shown in its place")
    clip, other = opened(performance), opened(instead)
    chosen = sample(clip.times_s, clip.part, spec)
    count = len(chosen.positions)
    found = sample(other.times_s, other.part, replace(spec, frames=count, fps=None, max_frames=None)).positions
    # A shorter clip is shown more slowly rather than cut short.
    chosen = replace(chosen, positions=tuple(found[(2 * n + 1) * len(found) // (2 * count)] for n in range(count)))
    pose = _joints(other, poser) if spec.posed else None
    if spec.view == "pose_text":
        return _as_text(other, chosen, pose, spec, store)
    even = spec.form == "video" and clip.source is not None
    own = _joints(clip, poser) if spec.view == "crop" else None
    ((at, still),) = clip.stills([clip.part.first])
    width, height = still.fitted(spec.max_side, even=even)
    if own is not None:
        height, width = drawing(clip, replace(spec, perturbation="none"), own, even=even).draw(at, still).shape[:2]
    with ExitStack() as closing:
        collector = FrameCollector(other, chosen, spec, pose, closing, size=(width, height))
        for at, still in other.stills(sorted(collector.wanted)):
            collector.take(at, still, store)
        return collector.result(store)


def _as_text(
    clip: Clip, chosen: Sample, pose: Keypoints | None, spec: MediaSpec, store: MediaStore, draw: str = ""
) -> Shown:
    assert pose is not None  # noqa: S101 - this view is one that needs it
    rows = [at - clip.part.first for at in chosen.positions]
    rows = [rows[place] for place in order(spec.perturbation, len(rows), f"{spec.seed}/{draw}")]
    region = spec.region if spec.perturbation == "region_blur" else None
    text = pose_text(pose, rows, chosen.times_s, region=region, blank=spec.perturbation == "blank")
    part = store.put(text.encode(), "text/plain")
    return Shown(parts=(part,), frames=len(rows), fps=chosen.fps, width=0, height=0, times_s=chosen.times_s)


def _copyable(clip: Clip, spec: MediaSpec) -> VideoIndex | None:
    """Return the source where it may be sent as it is: nothing drawn, hidden or left out, a codec for an MP4.

    A provider that samples by itself takes a part of a file by offsets, in any size; another one gets a copy only when
    the whole clip is shown at its own rate and is not too large.
    """
    untouched = spec.view == "rgb" and spec.perturbation == "none"
    if not untouched or clip.performance.masks or clip.performance.rotate or not isinstance(clip.source, VideoIndex):
        return None
    if not spec.native_sampling:
        whole = clip.part.first == 0 and clip.part.last == len(clip.times_s) - 1
        own_rate = spec.fps is None and spec.frames is None and spec.max_frames is None
        if not (whole and own_rate):
            return None
        with open_video(clip.performance.media) as (_, stream):
            if max(stream.codec_context.width, stream.codec_context.height) > spec.max_side:
                return None
    return clip.source if encode.can_copy(clip.source) else None


def _as_copy(clip: Clip, index: VideoIndex, chosen: Sample, spec: MediaSpec, store: MediaStore) -> Shown:
    """Copy the window out of the source; the provider samples it as asked, or as it likes where nothing was asked."""
    width = height = 0
    # The copy itself decodes nothing, so look at the frames that will be sampled: damage must not go out unnoticed.
    for _, still in clip.stills(sorted({*chosen.positions, clip.part.last})):
        if not width:
            width, height = still.fitted(max(still.width, still.height))
    cut = encode.copy(index, clip.part.first, clip.part.last)
    asked = spec.fps is not None or spec.frames is not None or spec.max_frames is not None
    part = store.put(cut.data, "video/mp4")
    fps = chosen.fps
    if spec.native_sampling:
        fps = chosen.fps if asked else None
        part = replace(part, start_s=cut.start_s, end_s=cut.end_s, fps=fps)
    return Shown(parts=(part,), frames=len(chosen.positions), fps=fps, width=width, height=height)
