"""Integrity checks: what an intact video file never holds, though its reader or decoder says nothing of it.

Of coded pictures: none has check sums, but H.264 and HEVC forbid certain bytes within a unit (ITU-T H.264, 7.4.1;
H.265, 7.4.2): two zeros are followed by a 3 which parts them from what would look like the start of a unit, and by
nothing else below 4. VP9 forbids none; but what its arithmetic coder writes looks drawn at random, and holds no long
runs of zeros. Of files: elements of Matroska and boxes of MP4 that are not known, cut off, or against their check sums.
"""

from __future__ import annotations

import re
import zlib
from collections import Counter
from pathlib import Path
from typing import Any, BinaryIO

from av.packet import Packet

# The place in the decoder configuration record that says of how many bytes the length before each unit is
# (ISO/IEC 14496-15, 5.3.3 and 8.3.3).
_LENGTH_SIZE_AT = {"h264": 4, "hevc": 21}
_SLICES_H264 = frozenset({1, 5})
_SLICES_HEVC = range(32)
_FORBIDDEN = re.compile(rb"\x00\x00(?:[\x00-\x02]|\x03[\x04-\xff])")

# Matroska: names of a segment, a cluster and a group of blocks.
_SEGMENT, _CLUSTER, _GROUP = 0x18538067, 0x1F43B675, 0xA0
_BLOCKS = frozenset({0xA3, 0xA1})
_SUM = b"\xbf\x84"  # the name of a check sum of four bytes
_HEADER = frozenset({0x1A45DFA3, 0xEC, 0xBF})
# Information, seek head, tracks, cues, chapters, attachments and tags of a segment; its padding and check sums.
_OF_SEGMENT = frozenset({0x1549A966, 0x114D9B74, 0x1654AE6B, 0x1C53BB6B, 0x1043A770, 0x1941A469, 0x1254C367})
_OF_CLUSTER = frozenset({0xE7, 0xA7, 0xAB, 0x5854, 0xAF, 0xEC, 0xBF})
_OF_GROUP = frozenset({0x9B, 0xFB, 0xFD, 0xA2, 0xA4, 0x75A1, 0x75A2, 0xFA, 0x8E, 0xCB, 0xCC, 0xC8})
_KNOWN = _OF_SEGMENT | _OF_CLUSTER | _OF_GROUP | _BLOCKS

# Boxes at the top of an MP4.
_BOXES = frozenset(
    b"ftyp styp moov moof mdat sidx ssix mfra free skip wide uuid meta meco udta emsg prft pdin pnot".split()
)


def damaged(packet: Packet[Any] | bytes, codec: str, header: bytes | None) -> bool:
    """Say whether a packet holds what no coded picture can.

    Of H.264 and HEVC only units that are a part of a picture are looked at: what notes hold changes no picture, and
    some cameras write them against the rules. Of VP9, a run of 16 zeros that something follows: the longest run that
    was seen in sound clips, black ones of 3840 x 2160 pixels among them, was of 5.

    Parameters
    ----------
    packet
        A packet of a video stream, or its bytes.
    codec
        FFmpeg's name of the codec; packets of others than those three are never found damaged.
    header
        The decoder configuration record. Where it is none, units are not told apart by lengths, and not looked at.
    """
    if codec == "vp9":
        data = bytes(packet)
        return data.find(bytes(16), 0, len(data.rstrip(b"\0"))) >= 0
    place = _LENGTH_SIZE_AT.get(codec)
    if place is None or header is None or len(header) <= place or header[0] != 1:
        return False
    data, size, at = bytes(packet), (header[place] & 3) + 1, 0
    while at + size <= len(data):
        begin = at + size
        at = begin + int.from_bytes(data[at:begin], "big")
        if at > len(data):
            return True
        if begin == at:
            continue
        first = data[begin]
        if first >> 7:
            return True
        picture = (first >> 1 & 63) in _SLICES_HEVC if codec == "hevc" else (first & 31) in _SLICES_H264
        # Zeros may follow a unit.
        if picture and _FORBIDDEN.search(data, begin, begin + len(data[begin:at].rstrip(b"\0"))):
            return True
    return False


def matroska_damage(path: Path, frames: int) -> tuple[int, str] | None:
    """Compare what a Matroska file holds with what was read of it.

    Parameters
    ----------
    path
        A Matroska or WebM file.
    frames
        The number of frames that were read of the video track.

    Returns
    -------
    tuple or None
        None for a whole file. Otherwise the byte up to which it can be trusted, and what is wrong as in "it holds ...".
    """
    size = path.stat().st_size
    found: Counter[int] = Counter()
    with path.open("rb") as file:
        at = _segment(file)
        while at is not None and at < size:
            element = _element(file, at)
            if element is None or (element[0] not in _KNOWN and element[0] not in {_CLUSTER, _GROUP}):
                return at, f"damage at byte {at} of {size}"
            name, data, length = element
            whole = length is not None and data + length <= size
            if name == _CLUSTER and whole and not _intact(file, data, length or 0):
                return at, f"damage within {length} bytes from byte {at} of {size}"
            if name in {_CLUSTER, _GROUP}:
                at = data  # look at what is inside
                continue
            if length is None:
                return at, f"damage at byte {at} of {size}"
            if data + length > size:
                return at, f"{size} of at least {data + length} bytes"
            if name in _BLOCKS:
                file.seek(data)
                found[_number(file.read(8))[0] or 0] += 1
            at = data + length
    if found and frames not in found.values():
        return 0, f"{frames} frames that can be read, of {max(found.values())}"
    return None


def _intact(file: BinaryIO, at: int, length: int) -> bool:
    """Check the sum that an element may begin with (RFC 8794, 11.3.1: CRC-32 over the rest of it, low byte first)."""
    file.seek(at)
    if file.read(2) != _SUM:
        return True
    promised, left = int.from_bytes(file.read(4), "little"), length - 6
    found = 0
    while left > 0 and (block := file.read(min(left, 1 << 20))):
        found, left = zlib.crc32(block, found), left - len(block)
    return found == promised


def _segment(file: BinaryIO) -> int | None:
    """Return where the contents of the segment begin; None where that cannot be told."""
    at = 0
    for _ in range(8):
        element = _element(file, at)
        if element is None:
            return None
        name, data, length = element
        if name == _SEGMENT:
            return data
        if name not in _HEADER or length is None:
            return None
        at = data + length
    return None


def _element(file: BinaryIO, at: int) -> tuple[int, int, int | None] | None:
    """Read an element's name, where its data begin, and their length (None: not known when it was written)."""
    file.seek(at)
    start = file.read(12)
    if not start or start[0] < 0x10:
        return None
    name_length = 9 - start[0].bit_length()
    number, length = _number(start[name_length:])
    if length == 0:
        return None
    return int.from_bytes(start[:name_length], "big"), at + name_length + length, number


def _number(start: bytes) -> tuple[int | None, int]:
    """Read a number of variable length: its value (None: all ones, unknown) and how many bytes it takes (0: none)."""
    if not start or not start[0]:
        return None, 0
    length = 9 - start[0].bit_length()
    if len(start) < length:
        return None, 0
    ones = (1 << 7 * length) - 1
    value = int.from_bytes(start[:length], "big") & ones
    return (None if value == ones else value), length


def fragment_damage(path: Path) -> tuple[int, str] | None:
    """Look for damage between the fragments of an MP4; like :func:`matroska_damage`, None where it has no fragments."""
    size, at, fragmented = path.stat().st_size, 0, False
    with path.open("rb") as file:
        while at < size:
            file.seek(at)
            start = file.read(16)
            length, name = int.from_bytes(start[:4], "big"), start[4:8]
            if length == 1:
                length = int.from_bytes(start[8:16], "big")
            elif length == 0:  # until the end of the file
                length = size - at
            fragmented |= name == b"moof"
            if name not in _BOXES or length < 8:
                break
            at += length
    if fragmented and at != size:
        return min(at, size), f"damage at byte {min(at, size)} of {size}"
    return None
