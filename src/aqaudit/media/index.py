"""Which frames a video shows and when, without decoding it wherever the file allows.

Header counts are not to be trusted: they include frames that an edit list hides, and a cut-off file keeps the count it
once had. So every packet's own time is read.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from fractions import Fraction
from functools import lru_cache
from itertools import pairwise
from pathlib import Path

import av
import numpy as np
from av.container import InputContainer
from av.video.stream import VideoStream
from numpy.typing import NDArray

from aqaudit.media.integrity import blanked, damaged_units, fragment_damage, length_size, matroska_damage
from aqaudit.media.video import DECODE_SECONDS, Deadline, MediaError, decoder, open_video, packets

MAX_PACKETS = 10_000_000
MAX_REORDERED = 16  # frames that a stream may hold back, by the H.264 and HEVC standards

# Containers of recordings, which may begin anywhere.
_BROADCAST = ("mpegts", "mpeg", "mpegvideo", "h264", "hevc")
# Containers whose header states the duration; others have it estimated from what is there.
_STATED = ("mov", "matroska", "avi", "flv", "asf")


@dataclass(frozen=True, slots=True, kw_only=True)
class VideoIndex:
    """The frames a video shows, read without decoding wherever the file allows.

    ``shown`` are their time stamps in ticks of ``time_base``, increasing; ``end`` is the tick at which the last one
    ends. ``order`` and ``keys`` list every packet in decoding order (its stamp, whether it is a key frame). Where the
    packets carry no usable stamps (``stamped`` is False) frames are known by their position in the decoder's output.
    ``harmed`` are packets (positions in ``order``), or frames where not stamped, that are known to be damaged.
    ``missing`` says what is there of a cut-off file, for an error message, and is empty for a whole one; the frames
    listed are then those before the cut. ``pixels`` are those of a stored picture.
    """

    path: Path
    time_base: Fraction
    shown: NDArray[np.int64]
    end: int
    order: NDArray[np.int64]
    keys: NDArray[np.int64]
    stamped: bool
    harmed: tuple[int, ...]
    missing: str
    codec: str
    pixels: int

    @property
    def times_s(self) -> NDArray[np.float64]:
        """Shown times in seconds from the first shown frame."""
        return np.asarray((self.shown - self.shown[0]) * float(self.time_base), dtype=np.float64)

    @property
    def end_s(self) -> float:
        """When the last frame stops being shown, in seconds from the first shown frame."""
        return float((self.end - int(self.shown[0])) * self.time_base)

    def packets(self, positions: Sequence[int]) -> list[int]:
        """Return where in decoding order the packets of shown frames come."""
        by_stamp = np.argsort(self.order)
        found = np.searchsorted(self.order, self.shown[list(positions)], sorter=by_stamp)
        return [int(packet) for packet in by_stamp[found]]

    def key(self, packet: int) -> int:
        """Return where decoding must begin for a packet: the last key packet up to it that is not shown later."""
        at = int(np.searchsorted(self.keys, packet, side="right")) - 1
        while at > 0 and self.order[self.keys[at]] > self.order[packet]:
            at -= 1
        return int(self.keys[at]) if at >= 0 else 0

    def reaches(self, harmed: int, packets: Sequence[int]) -> bool:
        """Say whether damage in one packet can reach any of these: those from it to the next key frame."""
        later = self.keys[self.keys > harmed]
        until = int(later[0]) if len(later) else len(self.order)
        return any(harmed <= packet < until for packet in packets)


_LOCKS: dict[tuple[Path, int, int], threading.Lock] = {}
_LOCKS_LOCK = threading.Lock()


def index_video(path: Path) -> VideoIndex:
    """Find out which frames a video shows; remembered for the last few files (by size and time).

    Raises
    ------
    MediaError
        The file cannot be read, or shows no frame.
    """
    try:
        status = path.stat()
    except OSError as error:
        raise MediaError(f"{path}: cannot be read ({error.strerror})") from None
    key = (path, status.st_size, status.st_mtime_ns)
    with _LOCKS_LOCK:
        lock = _LOCKS.setdefault(key, threading.Lock())
    try:
        with lock:  # many clips of one long video: one of them reads it, the others wait
            return _index(*key)
    finally:
        with _LOCKS_LOCK:
            _LOCKS.pop(key, None)


@lru_cache(maxsize=16)
def _index(path: Path, size: int, mtime_ns: int) -> VideoIndex:  # noqa: ARG001 - the key of the memory
    with open_video(path, quick=True) as (container, stream):
        try:
            index = _read_index(path, container, stream)
        except av.error.FFmpegError as error:
            raise MediaError(f"{path}: cannot be read as video ({error.strerror})") from None
    if index is None:
        return _index_by_decoding(path)
    if len(index.keys) and index.order[index.keys[0]] > index.shown[0]:
        return _without_lost_start(index, container.format.name)
    return index


@dataclass(slots=True)
class _Packets:
    """What one pass over the packets has seen."""

    stamps: list[int | None]
    hidden: list[bool]
    keys: list[int]
    harmed: list[int]
    places: list[int] = field(default_factory=list)  # in the file, in bytes; -1 where not known
    decoding: list[int | None] = field(default_factory=list)
    last_duration: int = 0
    end_s: float = 0.0
    broken: bool = False


def _read_packets(container: InputContainer, stream: VideoStream) -> _Packets:
    seen = _Packets([], [], [], [])
    latest = -math.inf
    streams = [one for one in container.streams if one.type in {"video", "audio"}]
    codec = stream.codec_context.name
    size = length_size(codec, stream.codec_context.extradata)
    ends = dict.fromkeys((one.index for one in streams), 0)  # in ticks: fractions of a second are slow to add
    try:
        for packet in container.demux(*streams):
            if packet.size == 0:
                continue
            if packet.pts is not None:
                ends[packet.stream_index] = max(ends[packet.stream_index], packet.pts + (packet.duration or 0))
            if packet.stream_index != stream.index:
                continue
            if packet.is_keyframe:
                seen.keys.append(len(seen.stamps))
            if (
                packet.is_corrupt
                or (size and damaged_units(bytes(packet), codec, size))
                or (codec == "vp9" and blanked(bytes(packet)))
            ):
                seen.harmed.append(len(seen.stamps))
            if packet.pts is not None and packet.pts > latest and not packet.is_discard:
                latest, seen.last_duration = packet.pts, packet.duration or 0
            seen.places.append(-1 if packet.pos is None else packet.pos)
            seen.decoding.append(packet.dts)
            seen.stamps.append(packet.pts)
            seen.hidden.append(packet.is_discard or (packet.pts is not None and packet.pts < 0))
            if len(seen.stamps) > MAX_PACKETS:
                raise MediaError(f"{container.name}: over {MAX_PACKETS} frames; cut it into shorter files")
    except av.error.FFmpegError:
        seen.broken = True
    seen.end_s = max(float(ends[one.index] * (one.time_base or 0)) for one in streams)
    return seen


def _read_index(path: Path, container: InputContainer, stream: VideoStream) -> VideoIndex | None:
    """Index by packets, or None where only decoding can tell."""
    seen = _read_packets(container, stream)
    if not seen.stamps:
        raise MediaError(f"{path}: holds no frames")
    missing, trusted = _missing(container, stream, seen)
    stamps = [stamp for stamp in seen.stamps if stamp is not None]
    if len(stamps) < len(seen.stamps) or len(set(stamps)) < len(stamps) or not seen.keys or stream.time_base is None:
        return None
    order = np.array(stamps, dtype=np.int64)
    shown = np.sort(order[~np.array(seen.hidden)])
    if missing:
        shown = shown[shown < _trusted_until(seen, trusted)]
    if not len(shown):
        raise MediaError(f"{path}: shows no frames" + (f"; it is cut off and holds {missing}" if missing else ""))
    return VideoIndex(
        path=path,
        time_base=stream.time_base,
        shown=shown,
        end=int(shown[-1]) + ((not missing and seen.last_duration) or _interval(shown, stream)),
        order=order,
        keys=np.array(seen.keys, dtype=np.int64),
        stamped=True,
        harmed=tuple(seen.harmed),
        missing=missing,
        codec=stream.codec_context.name,
        pixels=stream.codec_context.width * stream.codec_context.height,
    )


def _interval(shown: NDArray[np.int64], stream: VideoStream) -> int:
    if len(shown) > 1:
        return max(1, int(np.median(np.diff(shown))))
    rate, base = stream.average_rate, stream.time_base
    return max(1, round(1 / (rate * base))) if rate and base else 1


def _missing(container: InputContainer, stream: VideoStream, seen: _Packets) -> tuple[str, int]:
    """Compare what is there with what the header promises.

    Returns
    -------
    tuple
        What is there, in words for an error message, empty for a whole file; how many packets come before any damage.
    """
    form, count = container.format.name, len(seen.stamps)
    promised = 0
    if form.startswith("mov"):
        promised = len(stream.index_entries)
    elif form == "avi":
        promised = stream.frames
    if promised > count:
        return f"{count} of the {promised} frames that its header promises", count
    late = _late(seen)
    if late is not None:
        return f"a frame whose time, far after that of all others, cannot be its own (the {late + 1}th stored)", late
    found = None
    if form.startswith("matroska"):
        found = matroska_damage(Path(container.name), count)
    elif form.startswith("mov"):
        found = fragment_damage(Path(container.name))
    if found is not None:
        return found[1], sum(place < found[0] for place in seen.places)
    if form.startswith(_STATED) and container.duration:
        start = container.start_time or 0
        promised_s, there_s = container.duration / 1e6, seen.end_s - start / 1e6
        rate = float(stream.average_rate or 0)
        if promised_s - there_s > max(0.25, 3 / rate if rate else 0.0):
            return f"{there_s:.2f} s of the {promised_s:.2f} s that its header promises", count
    return (f"{count} frames that can be read, and then damage" if seen.broken else ""), count


def _late(seen: _Packets) -> int | None:
    """Return the first packet that is shown longer after it is decoded than any reordering explains."""
    decoding = [due for due in seen.decoding if due is not None]
    stamps = [stamp for stamp in seen.stamps if stamp is not None]
    if len(decoding) < len(seen.decoding) or len(stamps) < len(seen.stamps):
        return None
    span = max(decoding) - min(decoding)
    most = span + MAX_REORDERED * max(1, span // max(1, len(decoding) - 1))
    late = [number for number, stamp in enumerate(stamps) if stamp - decoding[number] > most]
    return late[0] if late else None


def _trusted_until(seen: _Packets, count: int) -> int:
    """Return the time stamp before which no frame is missing when only the first ``count`` packets can be trusted.

    Frames are stored out of order, but none is shown before it is decoded.
    """
    stamps = sorted(stamp for stamp in seen.stamps[:count] if stamp is not None)
    due = seen.decoding[count - 1] if count else None
    if due is not None:
        return due
    return stamps[-MAX_REORDERED] if len(stamps) >= MAX_REORDERED else -1


def _index_by_decoding(path: Path) -> VideoIndex:
    """Index a video whose packets carry no usable stamps, by decoding it once."""
    deadline = Deadline(path, DECODE_SECONDS)
    stamps: list[int | None] = []
    keys: list[int] = []
    harmed: list[int] = []
    with open_video(path) as (container, stream):
        context = decoder(stream)
        for packet in packets(container, stream):
            deadline.check()
            try:
                frames = context.decode(packet if packet.size else None)
            except av.error.FFmpegError:
                harmed.append(len(stamps))
                continue
            for frame in frames:
                if frame.key_frame:
                    keys.append(len(stamps))
                if frame.is_corrupt:
                    harmed.append(len(stamps))
                stamps.append(frame.pts)
        if not stamps:
            raise MediaError(f"{path}: no frame of it can be decoded")
        known = [stamp for stamp in stamps if stamp is not None]
        rate = stream.average_rate or stream.guessed_rate
        time_base = stream.time_base
        if len(known) < len(stamps) or time_base is None or any(b <= a for a, b in pairwise(known)):
            if not rate:
                raise MediaError(f"{path}: neither its frames have times nor the file a frame rate; re-encode it")
            known, time_base = list(range(len(stamps))), 1 / rate
        shown = np.array(known, dtype=np.int64)
        interval = max(1, int(np.median(np.diff(shown)))) if len(shown) > 1 else 1
        missing = ""
        if container.format.name.startswith(_STATED) and container.duration:
            there_s = float((int(shown[-1]) + interval - int(shown[0])) * time_base)
            if container.duration / 1e6 - there_s > max(0.25, 3 * float(interval * time_base)):
                missing = f"{there_s:.2f} s of the {container.duration / 1e6:.2f} s that its header promises"
        return VideoIndex(
            path=path,
            time_base=time_base,
            shown=shown,
            end=int(shown[-1]) + interval,
            order=shown,
            keys=np.array(keys or [0], dtype=np.int64),
            stamped=False,
            harmed=tuple(harmed),
            missing=missing,
            codec=stream.codec_context.name,
            pixels=stream.codec_context.width * stream.codec_context.height,
        )


def _without_lost_start(index: VideoIndex, form: str) -> VideoIndex:
    """Leave out frames before the first key frame that no player can show: the recording began between key frames."""
    first_key = int(index.order[index.keys[0]])
    found: set[int] = set()
    deadline = Deadline(index.path, DECODE_SECONDS)
    with open_video(index.path) as (container, stream):
        context = decoder(stream)
        for packet in packets(container, stream):
            deadline.check()
            try:
                frames = context.decode(packet if packet.size else None)
            except av.error.FFmpegError:
                continue
            found.update(frame.pts for frame in frames if frame.pts is not None and not frame.is_corrupt)
            if any(stamp >= first_key for stamp in found):
                break
    if form in _BROADCAST:
        lost = {stamp for stamp in index.shown.tolist() if stamp < first_key} - found
    else:
        # Other files begin with a key frame: only what is stored after it and shown before it may be lost by design.
        lost = {stamp for stamp in index.order[index.keys[0] :].tolist() if stamp < first_key} - found
    kept = index.shown[~np.isin(index.shown, list(lost))]
    if not len(kept):
        raise MediaError(f"{index.path}: no frame of it can be decoded")
    return replace(index, shown=kept)
