"""Videos: opening files safely, and decoding exactly the wanted frames.

PyAV is the one reader that is right on every awkward file that was tried, provided that the frames are counted here
(:mod:`aqaudit.media.index`): a cut-off file decodes to fewer frames without a word, and damage is only a flag on the
frames it reaches.
"""

from __future__ import annotations

import time
from contextlib import ExitStack, contextmanager, suppress
from itertools import islice
from typing import TYPE_CHECKING, Any, NamedTuple

import av
import numpy as np
from av.stream import Disposition
from av.video.codeccontext import VideoCodecContext

from aqaudit.records import BadInput

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from fractions import Fraction
    from pathlib import Path

    from av.container import InputContainer
    from av.packet import Packet
    from av.video.frame import VideoFrame
    from av.video.stream import VideoStream

    from aqaudit.media.index import VideoIndex

MAX_PIXELS = 100_000_000  # of one picture: 100 megapixels
MAX_FRAMES = 10_000  # sent of one clip
DECODE_SECONDS = 120.0  # for one clip

# Only real files with frames of their own: no play lists or scripts that name other files, no network.
_CONTAINERS = "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,avi,mpegts,mpeg,mpegvideo,flv,asf,ogg,h264,hevc,m4v,ivf,mxf,gif"
_OPTIONS = {"format_whitelist": _CONTAINERS, "protocol_whitelist": "file"}
# Containers whose headers describe their streams.
_DESCRIBED = ("mov", "matroska")
# While a file is opened only: decode nothing of any stream, and read no more than the header where that tells enough.
_UNDECODED = [{"skip_frame": "all"}] * 64
_HEADER = {**_OPTIONS, "probesize": "8192"}
# FFmpeg's own VP9 decoder reads past damage without a word; libvpx, whose pictures are the same, tells of it.
_STRICT = {"vp9": "libvpx-vp9"}
# Decoders for which leaving out unwanted non-reference frames was shown to be bit-exact.
_SKIPPING = ("h264", "hevc", "mpeg4")


class MediaError(BadInput):
    """A source that cannot be shown as asked: unreadable, cut off, damaged or too large; names the file."""


class _UnsureError(Exception):
    """The short way of decoding met something odd; the long way decides."""


class Decoded(NamedTuple):
    """A decoded frame: its position among the shown ones, and the width of its pixels over their height if known."""

    at: int
    frame: VideoFrame
    aspect: Fraction | None


class Deadline:
    """A limit on the time spent on one clip, so that no file can hold up a run."""

    def __init__(self, path: Path, seconds: float) -> None:
        self.path, self.seconds = path, seconds
        self.ends = time.monotonic() + seconds

    def check(self) -> None:
        """Raise :class:`MediaError` once the time is over."""
        if time.monotonic() > self.ends:
            raise MediaError(
                f"{self.path}: not decoded within {self.seconds:g} s; cut the clip shorter or re-encode it"
            )


@contextmanager
def open_video(path: Path, *, quick: bool = False) -> Iterator[tuple[InputContainer, VideoStream]]:
    """Open a file and its (first, not cover art) video stream; :class:`MediaError` where there is none.

    ``quick`` does not decode the first frames to learn more of the stream, which costs as much as a fifth of decoding
    four seconds, where the file's header tells enough. What only decoding tells is then known after the first frame:
    the shape of pixels that the container does not state, and how far frames are reordered.
    """
    with ExitStack() as closing:
        container = None
        if quick:
            # Some containers do not know their streams before they are decoded; the long way says what is wrong.
            with suppress(MediaError):
                container = closing.enter_context(_opened(path, _HEADER, _UNDECODED))
        if container is None or (quick and not _told(container)):
            closing.close()
            container = closing.enter_context(_opened(path))
        yield container, _stream(path, container)


def _told(container: InputContainer) -> bool:
    videos = container.streams.video
    known = [getattr(one, "codec_context", None) for one in videos]
    described = all(
        one and one.width and one.height and (one.name not in _STRICT or one.pix_fmt is not None) for one in known
    )
    return container.format.name.startswith(_DESCRIBED) and described


def _opened(path: Path, options: dict[str, str] = _OPTIONS, streams: Any = None) -> InputContainer:
    try:
        return av.open(
            str(path.absolute()),
            "r",
            container_options=options,
            stream_options=streams,
            metadata_errors="replace",
        )
    except (av.error.FFmpegError, OSError, ValueError) as error:
        what = error.strerror if isinstance(error, OSError) else str(error)
        raise MediaError(
            f"{path}: cannot be read as video ({what}); allowed: a video, a picture or a folder of numbered frames"
        ) from None


def _stream(path: Path, container: InputContainer) -> VideoStream:
    streams = [one for one in container.streams.video if not one.disposition & Disposition.attached_pic]
    if not streams:
        held = ", ".join(sorted({one.type for one in container.streams})) or "nothing"
        raise MediaError(f"{path}: has no video stream (it holds: {held})")
    stream = streams[0]
    # A stream of an unknown codec has no context, which the type stubs do not say.
    if getattr(stream, "codec_context", None) is None:
        raise MediaError(f"{path}: its video codec is not known; re-encode it, for example as H.264")
    check_size(path, stream.codec_context.width, stream.codec_context.height)
    _limit(stream.codec_context)
    return stream


def _limit(context: VideoCodecContext) -> None:
    context.thread_count = 1  # clips run side by side instead
    # Frames larger than the header says are refused by the decoder.
    context.options = {"max_pixels": str(MAX_PIXELS)}


def decoder(stream: VideoStream) -> VideoCodecContext:
    """Return what decodes a stream of :func:`open_video`: the decoder of its codec that tells most of damage."""
    own = stream.codec_context
    name = _STRICT.get(own.name)
    # (built for eight bits)
    if name is None or name not in av.codecs_available or own.format is None or own.format.components[0].bits != 8:
        return own
    context = VideoCodecContext.create(name, "r")
    assert isinstance(context, VideoCodecContext)  # noqa: S101 - the codec is one of videos
    context.extradata = own.extradata
    _limit(context)
    return context


def check_size(path: Path, width: int, height: int) -> None:
    """Refuse pictures of over 100 megapixels before anything is decoded."""
    if width * height > MAX_PIXELS:
        raise MediaError(f"{path}: {width} x {height} pixels; at most {MAX_PIXELS // 10**6} megapixels are read")


def packets(container: InputContainer, stream: VideoStream) -> Iterator[Packet[VideoStream]]:
    """Packets in decoding order, the empty last one, which flushes the decoder, included; ends where reading fails."""
    try:
        yield from container.demux(stream)
    except av.error.FFmpegError:
        return


def decode(index: VideoIndex, wanted: Sequence[int], deadline: Deadline) -> Iterator[Decoded]:
    """Decode the wanted frames (positions in ``index.shown``, increasing) in the order shown, and nothing needless.

    Only the stretches from a key frame to the last wanted frame after it are decoded, without their unwanted
    non-reference frames. Whatever looks odd on that way is decoded again in full before anything is said about it.

    Raises
    ------
    MediaError
        A wanted frame is damaged, rests on a damaged one, or is not there; or the time is over.
    """
    given = 0
    for quick in (True, False) if index.stamped else ():
        try:
            for item in islice(_decode_stretches(index, wanted, deadline, quick=quick), given, None):
                yield item
                given += 1
        except (_UnsureError, av.error.FFmpegError):
            continue
        return
    yield from islice(_decode_all(index, wanted, deadline), given, None)


def _stretches(index: VideoIndex, wanted: Sequence[int]) -> list[tuple[int, int, list[int]]]:
    """Group wanted frames into (first packet, last packet, frames): overlapping stretches become one."""
    found: list[tuple[int, int, list[int]]] = []
    for position, last in zip(wanted, index.packets(wanted), strict=True):
        first = index.key(last)
        if found and first <= found[-1][1]:
            begin, end, inside = found[-1]
            found[-1] = (begin, max(end, last), [*inside, position])
        else:
            found.append((first, last, [position]))
    return found


def _decode_stretches(
    index: VideoIndex, wanted: Sequence[int], deadline: Deadline, *, quick: bool
) -> Iterator[Decoded]:
    targets = index.packets(wanted)
    stamps = {int(index.shown[position]) for position in wanted}
    if any(index.reaches(harmed, targets) for harmed in index.harmed):
        raise _UnsureError
    with open_video(index.path, quick=quick) as (container, stream):
        context = decoder(stream)
        skipping = context.name in _SKIPPING
        numbered = _numberedpackets(index, container, stream, index.key(targets[0]))
        for first, last, inside in _stretches(index, wanted):
            coming = iter(inside)
            expected = next(coming, None)
            for number, packet in numbered:
                if number < first:
                    continue
                deadline.check()
                if skipping:
                    context.skip_frame = "DEFAULT" if packet.pts in stamps else "NONREF"
                frames = context.decode(packet)
                if number == last:
                    frames += context.decode(None)
                    context.flush_buffers()
                for frame in frames:
                    _judge(index, frame, targets)
                    if frame.pts not in stamps:
                        continue
                    if expected is None or frame.pts != index.shown[expected]:
                        raise _UnsureError
                    yield Decoded(expected, frame, _aspect(stream))
                    expected = next(coming, None)
                if number == last:
                    break
            if expected is not None:
                raise _UnsureError


def _judge(index: VideoIndex, frame: VideoFrame, targets: Sequence[int]) -> None:
    if frame.is_corrupt:
        at = np.flatnonzero(index.order == frame.pts)
        if not len(at) or index.reaches(int(at[0]), targets):
            raise _UnsureError


def _numberedpackets(
    index: VideoIndex, container: InputContainer, stream: VideoStream, first: int
) -> Iterator[tuple[int, Packet[VideoStream]]]:
    """Packets with their places in decoding order, from ``first`` or a little before it."""
    number = 0
    if first > 0:
        container.seek(int(index.order[first]), stream=stream)
    for count, packet in enumerate(container.demux(stream)):
        if packet.size == 0:
            continue
        if count == 0 and first > 0:
            at = np.flatnonzero(index.order == packet.pts)
            if not len(at) or at[0] > first:
                raise _UnsureError
            number = int(at[0])
        if number >= len(index.order) or packet.pts != index.order[number]:
            raise _UnsureError
        yield number, packet
        number += 1


def _decode_all(index: VideoIndex, wanted: Sequence[int], deadline: Deadline) -> Iterator[Decoded]:
    """Decode from the start of the file, every frame, and be the judge of what is damaged."""
    targets = index.packets(wanted) if index.stamped else list(wanted)
    for harmed in index.harmed:
        if index.reaches(harmed, targets):
            raise _damaged(index, harmed)
    coming = iter(wanted)
    expected = next(coming, None)
    count = 0
    with open_video(index.path) as (container, stream):
        context = decoder(stream)
        for number, packet in enumerate(packets(container, stream)):
            deadline.check()
            try:
                frames = context.decode(packet if packet.size else None)
            except av.error.FFmpegError:
                if index.stamped and index.reaches(number, targets):
                    raise _damaged(index, number) from None
                continue
            for frame in frames:
                if frame.is_corrupt and index.stamped:
                    at = np.flatnonzero(index.order == frame.pts)
                    if len(at) and index.reaches(int(at[0]), targets):
                        raise _damaged(index, int(at[0]))
                here = frame.pts == index.shown[expected] if index.stamped else count == expected
                count += 1
                if here and expected is not None:
                    yield Decoded(expected, frame, _aspect(stream))
                    expected = next(coming, None)
                    if expected is None:
                        return
    if expected is not None:
        raise MediaError(
            f"{index.path}: {len(wanted) - wanted.index(expected)} of {len(wanted)} wanted frames cannot be decoded, "
            f"the first at {index.times_s[expected]:.2f} s; replace the file or leave this performance out"
        )


def _aspect(stream: VideoStream) -> Fraction | None:
    """Return the width of a pixel over its height, as the container says, or else the pictures themselves."""
    return stream.sample_aspect_ratio or stream.codec_context.sample_aspect_ratio


def _damaged(index: VideoIndex, packet: int) -> MediaError:
    stamp = int(index.order[min(packet, len(index.order) - 1)])
    at_s = float((stamp - int(index.shown[0])) * index.time_base)
    return MediaError(
        f"{index.path}: damaged at {max(0.0, at_s):.2f} s, within the frames wanted; "
        "replace the file or leave this performance out"
    )
