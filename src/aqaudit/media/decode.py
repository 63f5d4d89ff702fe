"""Decoding: exactly the wanted frames of a video."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from fractions import Fraction
from itertools import islice
from typing import NamedTuple

import av
import numpy as np
from av.container import InputContainer
from av.packet import Packet
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from aqaudit.media.index import VideoIndex
from aqaudit.media.video import Deadline, MediaError, decoder, open_video, packets


class UnsureError(Exception):
    """A file reads otherwise than its index says, or something in it looks odd; a longer way decides."""


class DecodeRange(NamedTuple):
    """The packets (places in decoding order) ``first``, a key frame, to ``last``, and the frames wanted of them."""

    first: int
    last: int
    frames: list[int]


def decode_ranges(index: VideoIndex, wanted: Sequence[int]) -> list[DecodeRange]:
    """Group wanted frames (positions in ``index.shown``, increasing) into stretches: overlapping ones become one."""
    found: list[DecodeRange] = []
    for position, last in zip(wanted, index.packets(wanted), strict=True):
        first = index.key(last)
        if found and first <= found[-1].last:
            begin, end, inside = found[-1]
            found[-1] = DecodeRange(begin, max(end, last), [*inside, position])
        else:
            found.append(DecodeRange(first, last, [position]))
    return found


def numbered(
    index: VideoIndex, container: InputContainer, stream: VideoStream, first: int
) -> Iterator[tuple[int, Packet[VideoStream]]]:
    """Packets with their places in decoding order, from ``first`` or a little before it.

    Raises
    ------
    UnsureError
        The packets are not those of the index.
    """
    number = 0
    if first > 0:
        container.seek(int(index.order[first]), stream=stream)
    for count, packet in enumerate(container.demux(stream)):
        if packet.size == 0:
            continue
        if count == 0 and first > 0:
            at = np.flatnonzero(index.order == packet.pts)
            if not len(at) or at[0] > first:
                raise UnsureError
            number = int(at[0])
        if number >= len(index.order) or packet.pts != index.order[number]:
            raise UnsureError
        yield number, packet
        number += 1


def damaged(index: VideoIndex, packet: int) -> MediaError:
    """Return the error that names a damaged packet."""
    stamp = int(index.order[min(packet, len(index.order) - 1)])
    at_s = float((stamp - int(index.shown[0])) * index.time_base)
    return MediaError(
        f"{index.path}: damaged at {max(0.0, at_s):.2f} s, within the frames wanted; replace the file or "
        "leave this performance out"
    )


# Decoders for which leaving out unwanted non-reference frames was shown to be bit-exact.
_SKIPPING = ("h264", "hevc", "mpeg4")


class Decoded(NamedTuple):
    """A decoded frame: its position among the shown ones, and the width of its pixels over their height if known."""

    at: int
    frame: VideoFrame
    aspect: Fraction | None


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
            for item in islice(_decode_ranges(index, wanted, deadline, quick=quick), given, None):
                yield item
                given += 1
        except (UnsureError, av.error.FFmpegError):
            continue
        return
    yield from islice(_decode_all(index, wanted, deadline), given, None)


def _decode_ranges(index: VideoIndex, wanted: Sequence[int], deadline: Deadline, *, quick: bool) -> Iterator[Decoded]:
    targets = index.packets(wanted)
    stamps = {int(index.shown[position]) for position in wanted}
    if any(index.reaches(harmed, targets) for harmed in index.harmed):
        raise UnsureError
    with open_video(index.path, quick=quick) as (container, stream):
        context = decoder(stream)
        skipping = context.name in _SKIPPING
        coded = numbered(index, container, stream, index.key(targets[0]))
        for first, last, inside in decode_ranges(index, wanted):
            coming = iter(inside)
            expected = next(coming, None)
            for number, packet in coded:
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
                        raise UnsureError
                    yield Decoded(expected, frame, _aspect(stream))
                    expected = next(coming, None)
                if number == last:
                    break
            if expected is not None:
                raise UnsureError


def _judge(index: VideoIndex, frame: VideoFrame, targets: Sequence[int]) -> None:
    if frame.is_corrupt:
        at = np.flatnonzero(index.order == frame.pts)
        if not len(at) or index.reaches(int(at[0]), targets):
            raise UnsureError


def _decode_all(index: VideoIndex, wanted: Sequence[int], deadline: Deadline) -> Iterator[Decoded]:
    """Decode from the start of the file, every frame, and be the judge of what is damaged."""
    targets = index.packets(wanted) if index.stamped else list(wanted)
    for harmed in index.harmed:
        if index.reaches(harmed, targets):
            raise damaged(index, harmed)
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
                    raise damaged(index, number) from None
                continue
            for frame in frames:
                if frame.is_corrupt and index.stamped:
                    at = np.flatnonzero(index.order == frame.pts)
                    if len(at) and index.reaches(int(at[0]), targets):
                        raise damaged(index, int(at[0]))
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
