"""Which frames a video shows and when, without decoding it wherever the file allows.

Header counts are not to be trusted: they include frames that an edit list hides, and a cut-off file keeps the count it
once had. So every packet's own time is read.
"""

from __future__ import annotations

import math
import threading
from dataclasses import dataclass, field, replace
from functools import lru_cache
from itertools import pairwise
from pathlib import Path

import av
import numpy as np
from av.container import InputContainer
from av.video.stream import VideoStream

from aqaudit.media.integrity import damaged, fragment_damage, matroska_damage
from aqaudit.media.types import MediaError, VideoIndex
from aqaudit.media.video import DECODE_SECONDS, Deadline, decode_packets, open_video

MAX_PACKETS = 10_000_000
MAX_REORDERED = 16  # frames that a stream may hold back, by the H.264 and HEVC standards

# Containers of recordings, which may begin anywhere.
_BROADCAST = ("mpegts", "mpeg", "mpegvideo", "h264", "hevc")
# Containers whose header states the duration; others have it estimated from what is there.
_STATED = ("mov", "matroska", "avi", "flv", "asf")

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
    """Index a video by its packets, or where only decoding can tell, by that."""
    with open_video(path, quick=True) as (container, stream):
        try:
            seen = _read_packets(container, stream)
            if not seen.stamps:
                raise MediaError(f"{path}: holds no frames")
            missing, trusted = _missing(container, stream, seen)
        except av.error.FFmpegError as error:
            raise MediaError(f"{path}: cannot be read as video ({error.strerror})") from None
        stamps = [stamp for stamp in seen.stamps if stamp is not None]
        time_base, rate, codec = stream.time_base, stream.average_rate, stream.codec_context.name
        form = container.format.name
    if len(stamps) < len(seen.stamps) or len(set(stamps)) < len(stamps) or not seen.keys or time_base is None:
        return _index_by_decoding(path)
    order, keys = np.array(stamps, dtype=np.int64), np.array(seen.keys, dtype=np.int64)
    shown = np.sort(order[~np.array(seen.hidden)])
    if missing:
        shown = shown[shown < _trusted_until(seen, trusted)]
    if not len(shown):
        raise MediaError(f"{path}: shows no frames" + (f"; it is cut off and holds {missing}" if missing else ""))
    if seen.last_duration and not missing:
        interval = seen.last_duration
    elif len(shown) > 1:
        interval = max(1, int(np.median(np.diff(shown))))
    else:
        interval = max(1, round(1 / (rate * time_base))) if rate and time_base else 1
    end = int(shown[-1]) + interval
    by_stamp = np.argsort(order)
    packets = by_stamp[np.searchsorted(order, shown, sorter=by_stamp)]
    key = np.searchsorted(keys, packets, side="right") - 1
    while (later := (key > 0) & (order[keys[key]] > shown)).any():
        key -= later
    index = VideoIndex(
        path=path,
        codec=codec,
        time_base=time_base,
        shown=shown,
        end=end,
        times_s=(shown - shown[0]) * float(time_base),
        end_s=float((end - int(shown[0])) * time_base),
        order=order,
        keys=keys,
        packets=packets,
        begins=np.where(key >= 0, keys[key], 0),
        stamped=True,
        harmed=tuple(seen.harmed),
        missing=missing,
    )
    return _without_lost_start(index, form) if order[keys[0]] > shown[0] else index


@dataclass(slots=True)
class _Packets:
    """What one pass over the packets has seen."""

    stamps: list[int | None] = field(default_factory=list)
    hidden: list[bool] = field(default_factory=list)
    keys: list[int] = field(default_factory=list)
    harmed: list[int] = field(default_factory=list)
    places: list[int] = field(default_factory=list)  # in the file, in bytes; -1 where not known
    decoding: list[int | None] = field(default_factory=list)
    last_duration: int = 0
    end_s: float = 0.0
    broken: bool = False


def _read_packets(container: InputContainer, stream: VideoStream) -> _Packets:
    seen = _Packets()
    latest = -math.inf
    streams = [one for one in container.streams if one.type in {"video", "audio"}]
    codec, header = stream.codec_context.name, stream.codec_context.extradata
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
            if packet.is_corrupt or damaged(packet, codec, header):
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
    decoding = [due for due in seen.decoding if due is not None]
    stamps = [stamp for stamp in seen.stamps if stamp is not None]
    if len(decoding) == len(stamps) == count:
        # No reordering explains that a packet is shown longer than this after it is decoded.
        span = max(decoding) - min(decoding)
        most = span + MAX_REORDERED * max(1, span // max(1, count - 1))
        late = next((number for number, stamp in enumerate(stamps) if stamp - decoding[number] > most), None)
        if late is not None:
            return (
                f"a frame whose time, far after that of all others, cannot be its own (the {late + 1}th stored)",
                late,
            )
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


def _trusted_until(seen: _Packets, count: int) -> int:
    """Return the time stamp before which no frame is missing when only the first ``count`` packets can be trusted.

    Frames are stored out of order, but none is shown before it is decoded.
    """
    due = seen.decoding[count - 1] if count else None
    if due is not None:
        return due
    stamps = sorted(stamp for stamp in seen.stamps[:count] if stamp is not None)
    return stamps[-MAX_REORDERED] if len(stamps) >= MAX_REORDERED else -1


def _index_by_decoding(path: Path) -> VideoIndex:
    """Index a video whose packets carry no usable stamps, by decoding it once."""
    stamps: list[int | None] = []
    keys: list[int] = []
    harmed: list[int] = []
    with open_video(path) as (container, stream):
        for frames in decode_packets(container, stream, Deadline(path, DECODE_SECONDS)):
            if frames is None:
                harmed.append(len(stamps))
            for frame in frames or ():
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
        end = known[-1] + (max(1, int(np.median(np.diff(shown)))) if len(shown) > 1 else 1)
        end_s = float((end - known[0]) * time_base)
        missing = ""
        if container.format.name.startswith(_STATED) and container.duration:
            promised_s = container.duration / 1e6
            if promised_s - end_s > max(0.25, 3 * float((end - known[-1]) * time_base)):
                missing = f"{end_s:.2f} s of the {promised_s:.2f} s that its header promises"
        return VideoIndex(
            path=path,
            codec=stream.codec_context.name,
            time_base=time_base,
            shown=shown,
            end=end,
            times_s=(shown - shown[0]) * float(time_base),
            end_s=end_s,
            order=shown,
            keys=np.array(keys or [0], dtype=np.int64),
            packets=np.arange(len(shown)),
            begins=np.zeros(len(shown), dtype=np.int64),
            stamped=False,
            harmed=tuple(harmed),
            missing=missing,
        )


def _without_lost_start(index: VideoIndex, form: str) -> VideoIndex:
    """Leave out frames before the first key frame that no player can show: the recording began between key frames."""
    first_key = int(index.order[index.keys[0]])
    found: set[int] = set()
    with open_video(index.path) as (container, stream):
        for frames in decode_packets(container, stream, Deadline(index.path, DECODE_SECONDS)):
            found.update(frame.pts for frame in frames or () if frame.pts is not None and not frame.is_corrupt)
            if any(stamp >= first_key for stamp in found):
                break
    # Other files begin with a key frame: only what is stored after it and shown before it may be lost by design.
    stored = index.shown if form in _BROADCAST else index.order[index.keys[0] :]
    lost = {stamp for stamp in stored.tolist() if stamp < first_key} - found
    kept = ~np.isin(index.shown, list(lost))
    shown = index.shown[kept]
    if not len(shown):
        raise MediaError(f"{index.path}: no frame of it can be decoded")
    return replace(
        index,
        shown=shown,
        times_s=(shown - shown[0]) * float(index.time_base),
        end_s=float((index.end - int(shown[0])) * index.time_base),
        packets=index.packets[kept],
        begins=index.begins[kept],
    )
