"""Tails: whether coded pictures end where their data end, found by changing the ends.

Behind a changed byte a decoder reads on until something cannot be, but a picture may be over before. Where it then
needs more data than there are decoders tell, and where some are left they do not. So each picture is decoded with its
last bytes taken away or replaced. A sound one cannot do without them, and the decoder complains; where it never does,
whatever the change, those bytes mean nothing, and what comes before them is not what was written.
"""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any, NamedTuple

import av
from av.packet import Packet

from aqaudit.media.stretches import damaged, numbered, stretches
from aqaudit.media.units import length_size, spans
from aqaudit.media.video import decoder, open_video

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from aqaudit.media.index import VideoIndex
    from aqaudit.media.stretches import Stretch
    from aqaudit.media.video import Deadline

#: Macroblocks of a picture (16 x 16 pixels) from which on damage hardly ever goes without a sign: of 400 changed bytes
#: in pictures of 3,600, two changed a picture and were not told, by at most 4 of 256 levels.
LARGE = 2000
#: Bytes under which a slice is not judged: next to its header it has no tail to speak of.
LEAST = 64
#: What is said of a damaged picture.
ELSEWHERE = "the data of a picture do not end where it does"
#: Slices of a picture that are judged.
MOST_SLICES = 8

_SLICES = frozenset({1, 5})
_NOISE = bytes(1 + (number * number * 37 + number * 101) % 255 for number in range(64))


class Change(NamedTuple):
    """So many bytes cut from the end of a slice, and what is written over those before them."""

    cut: int
    over: bytes = b""


#: From small to large: most sound pictures need the first only, and all need one of the first few.
CHANGES = (
    Change(16),
    Change(8, b"\xff" * 8),
    Change(8, b"\xaa" * 8),
    Change(8, _NOISE[:8]),
    Change(24),
    Change(8, _NOISE[8:24]),
    Change(16, b"\xff" * 16),
    Change(40),
    Change(16, _NOISE[24:56]),
    Change(64),
)


def check_h264(index: VideoIndex, wanted: Sequence[int], deadline: Deadline, *, seek: bool = True) -> None:
    """Check the pictures that wanted frames (positions in ``index.shown``, increasing) are decoded from.

    Large pictures are left out, see :data:`LARGE`. ``seek``: go to the first packet at once, not from the file's start.

    Raises
    ------
    MediaError
        A picture is damaged, or the time is over.
    UnsureError
        The file reads otherwise than its index says.
    """
    if index.pixels >= LARGE * 256:
        return
    with open_video(index.path, quick=True) as (_, stream):
        size = length_size("h264", stream.codec_context.extradata)
    stamps = {int(index.shown[position]) for position in wanted}
    runs = stretches(index, wanted)
    which, most = 0, 1

    def indifferent(change: Change, among: set[int] | None) -> set[int]:
        nonlocal most
        found, slices = _indifferent(index, runs, stamps, _How(which, change, size, seek), among, deadline)
        most = max(most, slices)
        return found

    while which < min(most, MOST_SLICES):
        judge(index, indifferent)
        which += 1


def judge(index: VideoIndex, indifferent: Callable[[Change, set[int] | None], set[int]]) -> None:
    """Change the ends of pictures in one way after the other.

    ``indifferent`` decodes pictures (places in decoding order; None: all) with a change and returns those for which it
    makes no difference.

    Raises
    ------
    MediaError
        No change makes a difference to some picture.
    """
    left: set[int] | None = None
    for change in CHANGES:
        left = indifferent(change, left)
        if not left:
            return
    raise damaged(index, min(left or {0}), ELSEWHERE)


class _How(NamedTuple):
    """Which slice of pictures is changed and how; of how many bytes unit lengths are; whether to go there at once."""

    which: int
    change: Change
    size: int
    seek: bool


def _indifferent(
    index: VideoIndex, runs: list[Stretch], stamps: set[int], how: _How, among: set[int] | None, deadline: Deadline
) -> tuple[set[int], int]:
    """Decode stretches with a slice of each picture changed.

    Parameters
    ----------
    stamps
        Of the frames that are wanted.
    among
        Places in decoding order of the packets that are changed; None: all.

    Returns
    -------
    tuple
        The packets whose pictures come out as if nothing was changed; the largest number of slices of a picture.
    """
    found: set[int] = set()
    most = 0
    with open_video(index.path, quick=True) as (container, stream):
        context = decoder(stream)
        coded = numbered(index, container, stream, runs[0].first if how.seek else 0)
        for first, last, _ in runs:
            if among is not None and not any(first <= number <= last for number in among):
                continue
            changed: dict[int, int] = {}
            for number, packet in coded:
                if number < first:
                    continue
                deadline.check()
                sent: Packet[Any] = packet
                if among is None or number in among:
                    whole = bytes(packet)
                    slices = [span for span in spans(whole, how.size) if whole[span[0]] & 31 in _SLICES]
                    most = max(most, len(slices))
                    data = None
                    if how.which < len(slices):
                        data = with_changed_tail(whole, slices[how.which], how.change, how.size)
                    if data is not None:
                        changed[int(index.order[number])] = number
                        sent = Packet(data)
                        sent.pts, sent.dts, sent.time_base = packet.pts, packet.dts, packet.time_base
                        sent.is_keyframe = packet.is_keyframe
                    elif among is not None:
                        found.add(number)  # too short for this change: what the others told stands
                context.skip_frame = "DEFAULT" if packet.pts in stamps else "NONREF"
                frames = []
                with suppress(av.error.FFmpegError):  # a complaint: no picture comes of it
                    frames = context.decode(sent)
                if number == last:
                    with suppress(av.error.FFmpegError):
                        frames += context.decode(None)
                    context.flush_buffers()
                found.update(changed[frame.pts] for frame in frames if frame.pts in changed and not frame.is_corrupt)
                if number == last:
                    break
    return found, most


def with_changed_tail(packet: bytes, span: tuple[int, int], change: Change, size: int) -> bytes | None:
    """Change the end of a slice (its first byte and the one after its last); None where it is too short.

    ``size`` is of how many bytes the length before each unit is; 0: there are start codes instead.
    """
    begin, end = span
    kept = packet[begin:end].rstrip(b"\0")
    while kept.endswith(b"\0\0\3"):  # words of zeros that fill a picture up
        kept = kept[:-3].rstrip(b"\0")
    gone = change.cut + len(change.over)
    if len(kept) < max(LEAST, 2 * gone):
        return None
    kept = kept[:-gone] + change.over
    head = packet[: begin - size] + (len(kept).to_bytes(size, "big") if size else b"")
    return head + kept + packet[end:]
