"""Prepare: from a performance to the files that a model is shown of it. All views of a clip come from one decode."""

from __future__ import annotations

from contextlib import ExitStack, contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING

import av

from aqaudit.media import encode
from aqaudit.media.clip import opened
from aqaudit.media.decoding import decode
from aqaudit.media.index import VideoIndex
from aqaudit.media.perturb import check_perturbation, order
from aqaudit.media.pose_text import pose_text
from aqaudit.media.sampling import sample
from aqaudit.media.showings import Showing
from aqaudit.media.still import Still
from aqaudit.media.video import DECODE_SECONDS, Deadline, MediaError, open_video
from aqaudit.media.views import check_view, drawing
from aqaudit.records import Shown

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from aqaudit.media.clip import Clip
    from aqaudit.media.sampling import Sample
    from aqaudit.media.store import MediaStore
    from aqaudit.pose.keypoints import Keypoints
    from aqaudit.records import MediaSpec, Performance

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
    """Prepare one way of showing a performance; see :func:`prepare_all`."""
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
    showings: dict[int, Showing] = {}
    with ExitStack() as closing:
        for number, spec in enumerate(specs):
            chosen = sample(clip.times_s, clip.part, spec)
            index = _copyable(performance, spec, clip)
            if spec.view == "pose_text":
                results[number] = _as_text(clip, chosen, spec, pose, store, f"{spec.seed}/{draw}")
            elif index is not None:
                results[number] = _as_copy(clip, index, chosen, spec, store)
            else:
                showing = _showing(clip, spec, chosen.positions, _times(clip, chosen), chosen.fps, pose, draw)
                closing.callback(showing.close)
                showings[number] = showing
        wanted = sorted({at for showing in showings.values() for at in showing.wanted})
        if wanted:
            for at, still in clip.stills(wanted):
                for showing in showings.values():
                    if at in showing.wanted:
                        showing.take(at, still, store)
        results |= {number: showing.result(store) for number, showing in showings.items()}
    return [results[number] for number in range(len(specs))]


def _pose(performance: Performance, clip: Clip, specs: Sequence[MediaSpec], poser: Poser | None) -> Keypoints | None:
    if not any(spec.posed for spec in specs):
        return None
    if poser is None:
        raise MediaError(f"{clip.path}: this view or perturbation needs the performer's joints, and no pose is given")
    return poser(performance, clip)


def _showing(
    clip: Clip,
    spec: MediaSpec,
    positions: Sequence[int],
    times_s: tuple[float, ...],
    fps: float | None,
    pose: Keypoints | None,
    draw: str,
    size: tuple[int, int] | None = None,
) -> Showing:
    still = clip.source is None
    even = spec.form == "video" and not still  # as H.264 wants them
    try:
        drawn = drawing(spec, even=even, first=clip.part.first, pose=pose)
    except MediaError as error:
        raise MediaError(f"{clip.path}: {error}") from None
    return Showing(
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
    showing = _showing(other, spec, positions, times, chosen.fps, pose, "", size)
    try:
        for at, still in other.stills(sorted(showing.wanted)):
            showing.take(at, still, store)
        return showing.result(store)
    finally:
        showing.close()


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
