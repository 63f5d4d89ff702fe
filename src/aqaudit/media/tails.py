"""Tails: whether coded pictures of H.264 end where their data end.

Behind a changed byte a decoder reads on until something cannot be, but a small picture may be over before. Where it
then needs more data than there are FFmpeg's decoder tells, and where some are left it does not. So each picture is
decoded with its last bytes taken away or replaced. A sound one cannot do without them, and the decoder complains; where
it never does, whatever the change, those bytes mean nothing, and what comes before them is not what was written.
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
    from collections.abc import Sequence

    from aqaudit.media.index import VideoIndex
    from aqaudit.media.stretches import Stretch
    from aqaudit.media.video import Deadline

#: Macroblocks of a picture (16 x 16 pixels) from which on damage hardly ever goes without a sign: of 400 changed bytes
#: in pictures of 3,600, two changed a picture and were not told, by at most 4 of 256 levels.
LARGE = 2000
#: Bytes under which a slice is not judged: next to its header it has no tail to speak of.
LEAST = 64
#: Slices of a picture that are judged.
MOST_SLICES = 8

_SLICES = frozenset({1, 5})
_NOISE = bytes(1 + (number * number * 37 + number * 101) % 255 for number in range(64))


class _Change(NamedTuple):
    """So many bytes cut from the end of a slice, and what is written over those before them."""

    cut: int
    over: bytes = b""


# From small to large: most sound pictures need the first only, and all need one of the first few.
_CHANGES = (
    _Change(16),
    _Change(8, b"\xff" * 8),
    _Change(8, b"\xaa" * 8),
    _Change(8, _NOISE[:8]),
    _Change(24),
    _Change(8, _NOISE[8:24]),
    _Change(16, b"\xff" * 16),
    _Change(40),
    _Change(16, _NOISE[24:56]),
    _Change(64),
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
    while which < min(most, MOST_SLICES):
        left: set[int] | None = None
        for change in _CHANGES:
            left, slices = _indifferent(index, runs, stamps, _How(which, change, size, seek), left, deadline)
            most = max(most, slices)
            if not left:
                break
        if left:
            raise damaged(index, min(left))
        which += 1


class _How(NamedTuple):
    """Which slice of pictures is changed and how; of how many bytes unit lengths are; whether to go there at once."""

    which: int
    change: _Change
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
                    data = _with_changed_tail(whole, slices[how.which], how) if how.which < len(slices) else None
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


def _with_changed_tail(packet: bytes, span: tuple[int, int], how: _How) -> bytes | None:
    """Change the end of a slice (its first byte and the one after its last); None where it is too short."""
    begin, end = span
    kept = packet[begin:end].rstrip(b"\0")
    while kept.endswith(b"\0\0\3"):  # words of zeros that fill a picture up
        kept = kept[:-3].rstrip(b"\0")
    gone = how.change.cut + len(how.change.over)
    if len(kept) < max(LEAST, 2 * gone):
        return None
    kept = kept[:-gone] + how.change.over
    head = packet[: begin - how.size] + (len(kept).to_bytes(how.size, "big") if how.size else b"")
    return head + kept + packet[end:]
