"""Clips as they are sent: pixels and times only, no sound, no titles, no traces of the programs used."""

from __future__ import annotations

import io
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fractions import Fraction

import av
import numpy as np
from av.bitstream import BitStreamFilterContext
from av.container import OutputContainer
from av.video.frame import VideoFrame

from aqaudit.media.types import MediaError, Picture, VideoIndex
from aqaudit.media.video import open_video

# Units that carry notes rather than pixels: H.264 SEI; HEVC SEI before and after a picture; AV1 metadata.
_FILTERS = {
    "h264": "filter_units=remove_types=6",
    "hevc": "filter_units=remove_types=39|40",
    "av1": "filter_units=remove_types=5",
    "vp9": "null",
}
_CODECS = {
    "h264": "h264", "hevc": "hevc", "vp9": "vp9", "libvpx-vp9": "vp9", "av1": "av1", "libdav1d": "av1",
    "libaom-av1": "av1",
}  # fmt: skip
_TAGS = {"h264": "avc1", "hevc": "hvc1", "av1": "av01", "vp9": "vp09"}
_HEVC_NOTES = (39, 40)
_BITEXACT = {"fflags": "+bitexact"}
# With macroblock trees, flat pictures came out in one of four ways, by what was in memory before (4 % of some runs).
_X264 = "log-level=none:mbtree=0"
_TICKS = 90_000


class Mp4:
    """An H.264 clip in an MP4, made picture by picture: each shown at its time, the last one for 1/fps.

    Pictures are of one even size. The same pictures give the same bytes on every run: one thread, no clock, no version
    strings. ``crf`` is x264's rate factor: the larger, the coarser and shorter.
    """

    def __init__(self, times_s: Sequence[float], fps: float, *, crf: int = 20) -> None:
        self._crf = crf
        self._buffer = io.BytesIO()
        self._last = round(_TICKS / fps)
        self._fps = Fraction(fps).limit_denominator(1001)
        self._ticks = [round((time_s - times_s[0]) * _TICKS) for time_s in times_s]
        after = [*self._ticks[1:], self._ticks[-1] + self._last]
        self._lasting = {tick: end - tick for tick, end in zip(self._ticks, after, strict=True)}
        self._count = 0
        self._container: OutputContainer | None = None

    def add(self, picture: Picture) -> None:
        """Add the next picture."""
        if self._container is None:
            self._container = av.open(self._buffer, "w", format="mp4", options=_BITEXACT)
            self._stream = self._container.add_stream(
                "libx264",
                rate=self._fps,
                options={"preset": "veryfast", "crf": str(self._crf), "threads": "1", "x264-params": _X264},
            )
            self._stream.height, self._stream.width = picture.shape[:2]
            self._stream.pix_fmt = "yuv420p"
            self._stream.codec_context.time_base = self._stream.time_base = Fraction(1, _TICKS)
            self._notes = BitStreamFilterContext(_FILTERS["h264"], "h264")
        frame = VideoFrame.from_ndarray(np.ascontiguousarray(picture), format="rgb24")
        frame.pts, frame.time_base = self._ticks[self._count], Fraction(1, _TICKS)
        self._encode(frame)
        self._count += 1

    def data(self) -> bytes:
        """End the clip and return its bytes."""
        self._encode(None)
        self.close()
        return self._buffer.getvalue()

    def close(self) -> None:
        """Let go of the encoder; does nothing when it is done."""
        if self._container is not None:
            self._container.close()
            self._container = None

    def _encode(self, frame: VideoFrame | None) -> None:
        if self._container is None:
            return
        for packet in self._stream.encode(frame):
            for kept in self._notes.filter(packet):
                kept.stream, kept.time_base = self._stream, self._stream.codec_context.time_base
                kept.duration = self._lasting.get(kept.pts or 0, self._last)
                self._container.mux(kept)


def mp4(pictures: Iterable[Picture], times_s: Sequence[float], fps: float, *, crf: int = 20) -> bytes:
    """Encode pictures as a whole clip, see :class:`Mp4`."""
    clip = Mp4(times_s, fps, crf=crf)
    try:
        for picture in pictures:
            clip.add(picture)
        return clip.data()
    finally:
        clip.close()


@dataclass(frozen=True, slots=True, kw_only=True)
class Cut:
    """A clip copied without decoding, and the part of it that is the performance (None: it begins, ends with it)."""

    data: bytes
    start_s: float | None
    end_s: float | None


def can_copy(index: VideoIndex) -> bool:
    """Say whether frames of this video can go into an MP4 as they are."""
    return index.stamped and index.codec in _CODECS


def copy(index: VideoIndex, first: int, last: int) -> Cut:
    """Copy shown frames ``first`` to ``last`` (inclusive) into an MP4 without decoding.

    The copy begins at the key frame before the first frame, since nothing can be shown without it, and holds every
    frame that the last one rests on.
    """
    begin, end = int(index.begins[first]), int(index.packets[first : last + 1].max())
    origin = int(index.order[begin])
    # Frames that come after the key frame but are shown before it rest on frames that are not here.
    kept = [number for number in range(begin, end + 1) if index.order[number] >= origin]
    stamps = index.order[kept] - origin
    data = _copied(index, kept, _decoding_times(stamps))
    tick = float(index.time_base)
    start = (int(index.shown[first]) - origin) * tick
    after = int(index.shown[last + 1]) if last + 1 < len(index.shown) else index.end
    shown_later = bool((stamps > int(index.shown[last]) - origin).any())
    return Cut(data=data, start_s=start or None, end_s=(after - origin) * tick if shown_later else None)


def _decoding_times(stamps: np.ndarray[tuple[int], np.dtype[np.int64]]) -> list[int]:
    """Make decoding times from times shown: the same ones in order, moved back until none comes too late."""
    ordered = np.sort(stamps)
    ranks = np.searchsorted(ordered, stamps)
    delay = max(0, int((np.arange(len(stamps)) - ranks).max()))
    step = int(np.diff(ordered).min()) if len(ordered) > 1 else 1
    early = [int(ordered[0]) - step * (delay - number) for number in range(delay)]
    return early + [int(stamp) for stamp in ordered[: len(ordered) - delay]]


def _copied(index: VideoIndex, numbers: Sequence[int], decoding: Sequence[int]) -> bytes:
    """Copy these packets (in decoding order, the first one a key frame) with new times from 0."""
    for seeking in (True, False) if numbers[0] > 0 else (False,):
        data = _copied_from(index, numbers, decoding, seeking=seeking)
        if data is not None:
            return data
    raise MediaError(f"{index.path}: cannot be copied: it reads differently every time; re-encode it")


def _copied_from(index: VideoIndex, numbers: Sequence[int], decoding: Sequence[int], *, seeking: bool) -> bytes | None:
    """Copy from where seeking leads, or from the start; None where seeking went past the first packet."""
    buffer = io.BytesIO()
    codec = _CODECS[index.codec]
    with open_video(index.path) as (source, stream), av.open(buffer, "w", format="mp4", options=_BITEXACT) as target:
        copied = target.add_stream_from_template(stream, opaque=True)
        notes = BitStreamFilterContext(_FILTERS[codec], stream, copied)
        copied.codec_context.codec_tag = _TAGS[codec]  # the filter brought the source container's own
        if codec == "hevc" and copied.codec_context.extradata:
            copied.codec_context.extradata = _without_notes(copied.codec_context.extradata)
        origin = int(index.order[numbers[0]])
        coming = {int(index.order[number]): decode_at for number, decode_at in zip(numbers, decoding, strict=True)}
        if seeking:
            source.seek(origin, stream=stream)
        for packet in source.demux(stream):
            if packet.size == 0 or packet.pts not in coming:
                continue
            if len(coming) == len(numbers) and packet.pts != origin:
                return None
            packet.pts, packet.dts = packet.pts - origin, coming.pop(packet.pts)
            for kept in notes.filter(packet):
                kept.stream, kept.time_base = copied, index.time_base
                target.mux(kept)
            if not coming:
                break
    return None if coming else buffer.getvalue()


def _without_notes(header: bytes) -> bytes:
    """Take SEI units, where encoders sign, out of an HEVC decoder configuration record (ISO/IEC 14496-15, 8.3.3)."""
    if header[:1] != b"\x01":  # start codes instead of a record
        units = re.split(rb"\x00*\x00\x00\x01", header)[1:]
        return b"".join(b"\x00\x00\x00\x01" + unit for unit in units if unit[0] >> 1 & 0x3F not in _HEVC_NOTES)
    kept, at = [], 23
    for _ in range(header[22]):
        start, count = at, int.from_bytes(header[at + 1 : at + 3], "big")
        kind, at = header[at] & 0x3F, at + 3
        for _ in range(count):
            at += 2 + int.from_bytes(header[at : at + 2], "big")
        if kind not in _HEVC_NOTES:
            kept.append(header[start:at])
    return header[:22] + bytes([len(kept)]) + b"".join(kept)
