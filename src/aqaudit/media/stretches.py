"""Stretches: which packets are decoded for the frames that are wanted of a video, and no others."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from aqaudit.media.video import MediaError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from av.container import InputContainer
    from av.packet import Packet
    from av.video.stream import VideoStream

    from aqaudit.media.index import VideoIndex


class UnsureError(Exception):
    """A file reads otherwise than its index says, or something in it looks odd; a longer way decides."""


class Stretch(NamedTuple):
    """The packets (places in decoding order) ``first``, a key frame, to ``last``, and the frames wanted of them."""

    first: int
    last: int
    frames: list[int]


def stretches(index: VideoIndex, wanted: Sequence[int]) -> list[Stretch]:
    """Group wanted frames (positions in ``index.shown``, increasing) into stretches: overlapping ones become one."""
    found: list[Stretch] = []
    for position, last in zip(wanted, index.packets(wanted), strict=True):
        first = index.key(last)
        if found and first <= found[-1].last:
            begin, end, inside = found[-1]
            found[-1] = Stretch(begin, max(end, last), [*inside, position])
        else:
            found.append(Stretch(first, last, [position]))
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
