"""What a coded picture can never hold: damage within H.264, HEVC and VP9 that their decoders take for pictures.

None has check sums, but H.264 and HEVC forbid certain bytes within a unit (ITU-T H.264, 7.4.1; H.265, 7.4.2): two zeros
are followed by a 3 which parts them from what would look like the start of a unit, and by nothing else below 4. VP9
forbids none; but what its arithmetic coder writes looks drawn at random, and holds no long runs of zeros.
"""

from __future__ import annotations

import numpy as np

_PARTED = frozenset({0, 1, 2, 3})
_SLICES_H264 = frozenset({1, 5})
_SLICES_HEVC = range(32)


def length_size(codec: str, header: bytes | None) -> int:
    """Return of how many bytes the length before each unit is; 0 where units are not told apart by their lengths.

    ``header`` is the decoder configuration record (ISO/IEC 14496-15, 5.3.3 and 8.3.3).
    """
    at = {"h264": 4, "hevc": 21}.get(codec)
    if at is None or header is None or len(header) <= at or header[0] != 1:
        return 0
    return (header[at] & 3) + 1


def blanked(packet: bytes) -> bool:
    """Say whether a packet of VP9 holds a run of 16 zeros that something follows.

    The longest run that was seen in sound clips, black ones of 3840 x 2160 pixels among them, was of 5.
    """
    return packet.find(bytes(16), 0, len(packet.rstrip(b"\0"))) >= 0


def damaged_units(packet: bytes, codec: str, size: int) -> bool:
    """Say whether a packet of units with lengths of ``size`` bytes holds what no coded picture can.

    Only units that are a part of a picture are looked at: what notes hold changes no picture, and some cameras write
    them against the rules.
    """
    at = 0
    while at + size <= len(packet):
        begin = at + size
        at = begin + int.from_bytes(packet[at:begin], "big")
        if at > len(packet):
            return True
        if begin == at:
            continue
        first = packet[begin]
        picture = (first >> 1 & 63) in _SLICES_HEVC if codec == "hevc" else (first & 31) in _SLICES_H264
        if first >> 7 or (picture and _forbidden(packet, begin, at)):
            return True
    return False


def _forbidden(packet: bytes, begin: int, end: int) -> bool:
    while end > begin and not packet[end - 1]:  # zeros may follow a unit
        end -= 1
    unit = np.frombuffer(packet, dtype=np.uint8)[begin:end]
    for pair in np.flatnonzero((unit[:-1] | unit[1:]) == 0).tolist():
        after = unit[pair + 2 : pair + 4].tolist()  # (the last byte is not zero, so there is one at least)
        if after[0] < 3 or (after[0] == 3 and len(after) > 1 and after[1] not in _PARTED):
            return True
    return False
