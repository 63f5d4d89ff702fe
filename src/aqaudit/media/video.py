"""Videos: opening files safely, within bounds, and decoding exactly the wanted frames.

PyAV is the one reader that is right on every awkward file that was tried, provided that the frames are counted here
(:mod:`aqaudit.media.index`): a cut-off file decodes to fewer frames without a word, and damage is only a flag on the
frames it reaches.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from fractions import Fraction
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

import av
import numpy as np
from av.container import InputContainer
from av.packet import Packet
from av.stream import Disposition
from av.video.codeccontext import VideoCodecContext
from av.video.frame import VideoFrame
from av.video.stream import VideoStream
from numpy.typing import NDArray

from aqaudit.media.types import MAX_PIXELS, MediaError, VideoIndex, too_large

DECODE_SECONDS = 120.0  # for one clip

# Only real files with frames of their own: no play lists or scripts that name other files, no network.
_CONTAINERS = "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,avi,mpegts,mpeg,mpegvideo,flv,asf,ogg,h264,hevc,m4v,ivf,mxf,gif"
_OPTIONS = {"format_whitelist": _CONTAINERS, "protocol_whitelist": "file"}
# Containers whose headers describe their streams.
_DESCRIBED = ("mov", "matroska")
# While a file is opened only: decode nothing of any stream, and read no more than the header where that tells enough.
_UNDECODED: Any = [{"skip_frame": "all"}] * 64
_HEADER = {**_OPTIONS, "probesize": "8192"}
# FFmpeg's own VP9 decoder reads past damage without a word; libvpx, whose pictures are the same, tells of it.
_STRICT = {"vp9": "libvpx-vp9"}
# Decoders for which leaving out unwanted non-reference frames was shown to be bit-exact.
_SKIPPING = ("h264", "hevc", "mpeg4")


@dataclass(frozen=True, slots=True)
class Deadline:
    """A limit on the time spent on one clip, from now on, so that no file can hold up a run."""

    path: Path
    seconds: float
    begun: float = field(default_factory=time.monotonic)

    def check(self) -> None:
        """Raise :class:`MediaError` once the time is over."""
        if time.monotonic() > self.begun + self.seconds:
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
        for options, of_streams in ((_HEADER, _UNDECODED), (_OPTIONS, None)) if quick else ((_OPTIONS, None),):
            closing.close()
            try:
                container = closing.enter_context(
                    av.open(
                        str(path.absolute()),
                        "r",
                        container_options=options,
                        stream_options=of_streams,
                        metadata_errors="replace",
                    )
                )
            except (av.error.FFmpegError, OSError, ValueError) as error:
                if options is _HEADER:
                    continue  # the long way says what is wrong
                what = error.strerror if isinstance(error, OSError) else str(error)
                raise MediaError(
                    f"{path}: cannot be read as video ({what}); allowed: a video, a picture or a folder of numbered "
                    "frames"
                ) from None
            # A stream of an unknown codec has no context, which the type stubs do not say.
            contexts = [getattr(one, "codec_context", None) for one in container.streams.video]
            # Some containers do not know their streams before they are decoded.
            if container.format.name.startswith(_DESCRIBED) and all(
                one and one.width and one.height and (one.name not in _STRICT or one.pix_fmt is not None)
                for one in contexts
            ):
                break
        streams = [one for one in container.streams.video if not one.disposition & Disposition.attached_pic]
        if not streams:
            held = ", ".join(sorted({one.type for one in container.streams})) or "nothing"
            raise MediaError(f"{path}: has no video stream (it holds: {held})")
        context = getattr(streams[0], "codec_context", None)
        if context is None:
            raise MediaError(f"{path}: its video codec is not known; re-encode it, for example as H.264")
        if context.width * context.height > MAX_PIXELS:
            raise too_large(path, context.width, context.height)
        context.thread_count = 1  # clips run side by side instead
        # Frames larger than the header says are refused by the decoder.
        context.options = {"max_pixels": str(MAX_PIXELS)}
        yield container, streams[0]


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
    context.thread_count, context.options = 1, own.options
    return context


def decode_packets(
    container: InputContainer, stream: VideoStream, deadline: Deadline
) -> Iterator[list[VideoFrame] | None]:
    """Decode a file from its start: for each packet in decoding order the frames that come out, None where it fails.

    The empty last packet, which flushes the decoder, is included. Ends where reading fails.
    """
    context = decoder(stream)
    with suppress(av.error.FFmpegError):
        for packet in container.demux(stream):
            deadline.check()
            try:
                frames = context.decode(packet if packet.size else None)
            except av.error.FFmpegError:
                yield None
            else:
                yield frames


class Decoded(NamedTuple):
    """A decoded frame: its position among the shown ones, and the width of its pixels over their height if known."""

    at: int
    frame: VideoFrame
    aspect: Fraction | None


class UnsureError(Exception):
    """A file reads otherwise than its index says, or something in it looks odd; a longer way decides."""


def decode(index: VideoIndex, wanted: Sequence[int], deadline: Deadline) -> Iterator[Decoded]:
    """Decode the wanted frames (positions in ``index.shown``, increasing) in the order shown, and nothing needless.

    Only decode ranges are decoded, without their unwanted non-reference frames: a decode range is the packets from a
    key frame to the last wanted frame that rests on it; ranges that overlap are one. Whatever looks odd on that way is
    decoded again in full before anything is said about it.

    Raises
    ------
    MediaError
        A wanted frame is damaged, rests on a damaged one, or is not there; or the time is over.
    """
    given = 0
    for quick in (True, False) if index.stamped else ():
        try:
            for item in islice(_decode_ranges(index, wanted, deadline, quick=quick), given, None):
                yield item
                given += 1
        except (UnsureError, av.error.FFmpegError):
            continue
        return
    yield from islice(_decode_all(index, wanted, deadline), given, None)


def _decode_ranges(index: VideoIndex, wanted: Sequence[int], deadline: Deadline, *, quick: bool) -> Iterator[Decoded]:
    targets = index.packets[list(wanted)]
    if any(_reaches(index, harmed, targets) for harmed in index.harmed):
        raise UnsureError
    stamps = set(index.shown[list(wanted)].tolist())
    coming = iter(wanted)
    with open_video(index.path, quick=quick) as (container, stream):
        context = decoder(stream)
        skipping = context.name in _SKIPPING
        for packet, ends in _packets_of_ranges(index, container, stream, wanted):
            deadline.check()
            if skipping:
                context.skip_frame = "DEFAULT" if packet.pts in stamps else "NONREF"
            frames = context.decode(packet)
            if ends:
                frames += context.decode(None)
                context.flush_buffers()
            for frame in frames:
                if frame.is_corrupt:
                    packets = np.flatnonzero(index.order == frame.pts)
                    if not len(packets) or _reaches(index, packets[0], targets):
                        raise UnsureError
                if frame.pts in stamps:
                    at = next(coming, None)
                    if at is None or frame.pts != index.shown[at]:
                        raise UnsureError
                    yield Decoded(at, frame, stream.sample_aspect_ratio or stream.codec_context.sample_aspect_ratio)
        if next(coming, None) is not None:
            raise UnsureError


def _packets_of_ranges(
    index: VideoIndex, container: InputContainer, stream: VideoStream, wanted: Sequence[int]
) -> Iterator[tuple[Packet[VideoStream], bool]]:
    """Read the packets of the decode ranges of wanted frames, each with whether its range ends with it.

    Raises
    ------
    UnsureError
        The packets are not those of the index.
    """
    ranges: list[tuple[int, int]] = []  # first and last packet
    for first, last in zip(index.begins[list(wanted)].tolist(), index.packets[list(wanted)].tolist(), strict=True):
        if ranges and first <= ranges[-1][1]:
            ranges[-1] = ranges[-1][0], max(ranges[-1][1], last)
        else:
            ranges.append((first, last))
    first, last = ranges.pop(0)
    seeking, number = first > 0, 0
    if seeking:
        container.seek(int(index.order[first]), stream=stream)
    for packet in container.demux(stream):
        if packet.size == 0:
            continue
        if seeking:  # it may lead to a little before the range
            at = np.flatnonzero(index.order == packet.pts)
            if not len(at) or at[0] > first:
                raise UnsureError
            seeking, number = False, int(at[0])
        if number >= len(index.order) or packet.pts != index.order[number]:
            raise UnsureError
        if number >= first:
            yield packet, number == last
        if number == last:
            if not ranges:
                return
            first, last = ranges.pop(0)
        number += 1


def _decode_all(index: VideoIndex, wanted: Sequence[int], deadline: Deadline) -> Iterator[Decoded]:
    """Decode from the start of the file, every frame, and be the judge of what is damaged."""
    targets = index.packets[list(wanted)]
    for harmed in index.harmed:
        if _reaches(index, harmed, targets):
            raise _damaged(index, harmed)
    coming = iter(wanted)
    expected = next(coming, None)
    count = 0
    with open_video(index.path) as (container, stream):
        for number, frames in enumerate(decode_packets(container, stream, deadline)):
            if frames is None and index.stamped and _reaches(index, number, targets):
                raise _damaged(index, number)
            for frame in frames or ():
                if frame.is_corrupt and index.stamped:
                    packets = np.flatnonzero(index.order == frame.pts)
                    if len(packets) and _reaches(index, packets[0], targets):
                        raise _damaged(index, packets[0])
                here = frame.pts == index.shown[expected] if index.stamped else count == expected
                count += 1
                if here and expected is not None:
                    yield Decoded(
                        expected, frame, stream.sample_aspect_ratio or stream.codec_context.sample_aspect_ratio
                    )
                    expected = next(coming, None)
                    if expected is None:
                        return
    if expected is not None:
        raise MediaError(
            f"{index.path}: {len(wanted) - wanted.index(expected)} of {len(wanted)} wanted frames cannot be decoded, "
            f"the first at {index.times_s[expected]:.2f} s; replace the file or leave this performance out"
        )


def _reaches(index: VideoIndex, harmed: int, packets: NDArray[np.int64]) -> bool:
    """Say whether damage in one packet can reach any of these: those from it to the next key frame."""
    later = index.keys[index.keys > harmed]
    until = int(later[0]) if len(later) else len(index.order)
    return bool(((packets >= harmed) & (packets < until)).any())


def _damaged(index: VideoIndex, packet: int) -> MediaError:
    """Return the error that names a damaged packet."""
    stamp = int(index.order[min(packet, len(index.order) - 1)])
    at_s = float((stamp - int(index.shown[0])) * index.time_base)
    return MediaError(
        f"{index.path}: damaged at {max(0.0, at_s):.2f} s, within the frames wanted; replace the file or "
        "leave this performance out"
    )
