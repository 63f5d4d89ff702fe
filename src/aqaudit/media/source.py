"""Sources: what a performance's media are, known from headers alone, and remembered from run to run."""

from __future__ import annotations

import hashlib
import os
import sqlite3
import stat
import threading
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from types import TracebackType
from typing import Literal, Self

from aqaudit.core.records import BadInput, Performance
from aqaudit.media.picture import SUFFIXES, Frames, list_frames, read_size
from aqaudit.media.types import SAME_S, MediaError
from aqaudit.media.video import open_video

Kind = Literal["video", "image", "frames"]

_TABLE = """
create table if not exists source (
  folder text not null, name text not null, size integer not null, mtime_ns integer not null,
  sha256 text, kind text, duration_s real, fps real, frames integer, width integer, height integer,
  primary key (folder, name)) without rowid
"""
_DESCRIBED = ("kind", "duration_s", "fps", "frames", "width", "height")


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceInfo:
    """A source as its header describes it; None = the header does not say.

    ``frames`` is an estimate for a video. ``width`` and ``height`` are in pixels, of a video as stored (before it is
    turned upright). For a folder of numbered frames all but ``fps`` describe the whole folder.
    """

    kind: Kind
    duration_s: float | None
    fps: float | None
    frames: int | None
    width: int
    height: int


@dataclass(slots=True)
class _KnownFile:
    """What is remembered of a file of this size and time of change."""

    size: int
    mtime_ns: int
    sha256: str | None = None
    info: SourceInfo | None = None


class SourceCache:
    """Hashes and descriptions of sources, kept in one SQLite file by path, size and time of change.

    ``path`` defaults to ``sources.sqlite`` in the folder ``AQAUDIT_CACHE`` or ``~/.cache/aqaudit``. A cache that cannot
    be read or written only costs time. Within one run every file is looked at once.
    """

    def __init__(self, path: Path | None = None) -> None:
        if path is None:
            path = Path(os.environ.get("AQAUDIT_CACHE") or Path.home() / ".cache" / "aqaudit") / "sources.sqlite"
        self._lock = threading.RLock()
        self._folders: dict[str, dict[str, _KnownFile]] = {}
        # By the text of ``Performance.media``, so that the many performances of one file cost one look-up each.
        self._hashes: dict[str, str] = {}
        self._infos: dict[str, SourceInfo] = {}
        self._frame_hashes: dict[tuple[str, int, int], str] = {}
        self._database: sqlite3.Connection | None = None
        with suppress(OSError, sqlite3.Error):
            path.parent.mkdir(parents=True, exist_ok=True)
            database = sqlite3.connect(path, timeout=5.0, isolation_level=None, check_same_thread=False)
            try:
                # A lost row costs one hash; waiting for the disk after every row would cost more.
                database.execute("pragma journal_mode = wal")
                database.execute("pragma synchronous = off")
                database.execute(_TABLE)
                self._database = database
            except sqlite3.Error:
                database.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the file; the cache still works, without remembering."""
        with self._lock:
            if self._database is not None:
                self._database.close()
                self._database = None

    def content_hash(self, performance: Performance) -> str:
        """Return the sha256 of the source's bytes, in hexadecimal.

        For a folder of numbered frames: of the names and hashes of the frames within the performance's window.

        Raises
        ------
        BadInput
            The media are missing or cannot be read.
        """
        media = performance.media
        found = self._hashes.get(os.fspath(media))
        if found is not None:
            return found
        try:
            with self._lock:
                if not stat.S_ISDIR(media.stat().st_mode):
                    sha256 = self._row(media, "sha256").sha256
                    assert sha256 is not None  # noqa: S101 - it was asked for
                    self._hashes[os.fspath(media)] = sha256
                    return sha256
                frames = list_frames(media)
                first, last = frames_within(frames, performance)
                key = (os.fspath(media), first, last)
                if key not in self._frame_hashes:
                    total = hashlib.sha256()
                    for number, name in zip(frames.numbers, frames.names, strict=True):
                        if first <= number <= last:
                            total.update(f"{name}\0{self._row(media / name, 'sha256').sha256}\n".encode())
                    self._frame_hashes[key] = total.hexdigest()
                return self._frame_hashes[key]
        except (OSError, BadInput) as error:
            raise _named(performance, error) from None

    def describe(self, performance: Performance) -> SourceInfo:
        """Describe the source from its header.

        Raises
        ------
        BadInput
            The media are missing, unreadable, of no known kind, or without frames.
        """
        media = performance.media
        info = self._infos.get(os.fspath(media))
        if info is None:
            try:
                with self._lock:
                    if stat.S_ISDIR(media.stat().st_mode):
                        names = list_frames(media).names
                        wide, high = read_size(media / names[0])
                        info = SourceInfo(
                            kind="frames", duration_s=None, fps=None, frames=len(names), width=wide, height=high
                        )
                    else:
                        info = self._row(media, "info").info
                        assert info is not None  # noqa: S101 - it was asked for
                    self._infos[os.fspath(media)] = info
            except (OSError, BadInput) as error:
                raise _named(performance, error) from None
        if info.kind == "frames":
            fps, frames = performance.fps, info.frames
            info = replace(info, fps=fps, duration_s=frames / fps if fps and frames else None)
        return info

    def _row(self, path: Path, fact: Literal["sha256", "info"]) -> _KnownFile:
        """Return what is known of a file as it is now, with a fact that is read from it where it is not known."""
        status = path.stat()
        folder, name = os.path.split(os.path.abspath(path))  # noqa: PTH100 - three times as fast, once for every file
        if folder not in self._folders:  # read a folder at a time
            known: dict[str, _KnownFile] = {}
            self._folders[folder] = known
            with suppress(sqlite3.Error):
                if self._database is not None:
                    query = (
                        "select name, size, mtime_ns, sha256, kind, duration_s, fps, frames, width, height from source"
                        " where folder = ?"
                    )
                    for other, size, mtime_ns, sha256, *described in self._database.execute(query, (folder,)):
                        info = SourceInfo(**dict(zip(_DESCRIBED, described, strict=True))) if described[0] else None
                        known[other] = _KnownFile(size, mtime_ns, sha256, info)
        row = self._folders[folder].get(name)
        if row is None or row.size != status.st_size or row.mtime_ns != status.st_mtime_ns:
            row = self._folders[folder][name] = _KnownFile(status.st_size, status.st_mtime_ns)
        if getattr(row, fact) is not None:
            return row
        if fact == "sha256":
            with path.open("rb") as file:
                row.sha256 = hashlib.file_digest(file, "sha256").hexdigest()
        else:
            row.info = _header(path)
        if self._database is not None:
            described = [getattr(row.info, column, None) for column in _DESCRIBED]
            with suppress(sqlite3.Error):
                self._database.execute(
                    "insert or replace into source values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                    (folder, name, row.size, row.mtime_ns, row.sha256, *described),
                )
        return row


def _named(performance: Performance, error: OSError | BadInput) -> BadInput:
    """Return an error that says whose media they are."""
    who = f"performance '{performance.id}'"
    if isinstance(error, FileNotFoundError):
        return BadInput(f"{who}: media {performance.media} are missing; put them there or correct 'media'")
    if isinstance(error, OSError):
        return BadInput(f"{who}: media {performance.media} cannot be read ({error.strerror})")
    return type(error)(f"{who}: {error}")


def _header(path: Path) -> SourceInfo:
    if path.stat().st_size == 0:
        raise MediaError(f"{path}: is an empty file")
    if path.suffix.lower() in SUFFIXES:
        width, height = read_size(path)
        return SourceInfo(kind="image", duration_s=None, fps=None, frames=1, width=width, height=height)
    with open_video(path) as (container, stream):
        if not any(packet.size for packet in container.demux(stream)):
            raise MediaError(f"{path}: holds no frames")
        seconds = None
        if stream.duration is not None and stream.time_base is not None:
            seconds = float(stream.duration * stream.time_base)
        elif container.duration is not None:
            seconds = container.duration / 1e6
        rate = stream.average_rate or stream.guessed_rate
        # The header's count includes frames that an edit list hides; its duration does not.
        frames = round(seconds * rate) if seconds and rate else stream.frames or None
        return SourceInfo(
            kind="video",
            duration_s=seconds,
            fps=float(rate) if rate else None,
            frames=frames,
            width=stream.codec_context.width,
            height=stream.codec_context.height,
        )


def checksum(media: Path) -> str:
    """Return the SHA-256 of a file's bytes; of a folder of frames, of their names and hashes in order.

    Read anew at every call: what was remembered of a file says nothing about a byte that changed on a disk.

    Raises
    ------
    MediaError
        The folder holds no numbered frames.
    OSError
        It cannot be read.
    """
    if not stat.S_ISDIR(media.stat().st_mode):
        with media.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    total = hashlib.sha256()
    for name in list_frames(media).names:
        total.update(f"{name}\0{checksum(media / name)}\n".encode())
    return total.hexdigest()


def check_checksum(performance: Performance) -> None:
    """Hold a performance's media against the checksum that its data set states.

    Raises
    ------
    MediaError
        The bytes are not those of which it was made.
    """
    found, stated = checksum(performance.media), performance.sha256 or ""
    if found != stated:
        raise MediaError(
            f"{performance.media}: its bytes have changed: sha256 is {found[:12]}…, clips.jsonl states "
            f"{stated[:12]}…; restore the file, or delete sha256 from its line"
        )


def slack_s(fps: float | None) -> float:
    """Return by how many seconds a label may end after its clip: one frame, at least 0.1 s (labels are rounded)."""
    return max(0.1, 1 / fps) if fps else 0.1


def frames_within(frames: Frames, performance: Performance) -> tuple[int, int]:
    """Return the first and last number of a performance's window in a folder of numbered frames, there or not."""
    first, last = frames.numbers[0], frames.numbers[-1]
    origin, fps = first, performance.fps
    if performance.first_frame is not None:
        first = performance.first_frame
    if performance.last_frame is not None:
        last = performance.last_frame
    if fps and performance.start_s is not None:
        first = max(first, origin + _ceil(performance.start_s * fps))
    if fps and performance.end_s is not None:
        last = min(last, origin + _ceil(performance.end_s * fps) - 1)
    return first, last


def _ceil(frames: float) -> int:
    """Round up, but not over the noise of a decimal time."""
    return -int(-(frames - SAME_S) // 1)


def check(performance: Performance, info: SourceInfo) -> None:
    """Check that a performance lies within its source, as far as the header tells.

    Raises
    ------
    BadInput
        Times or frame numbers that are contradictory or beyond the clip; a folder of frames without ``fps`` or with
        frames missing within the window.
    """
    who = f"performance '{performance.id}' ({performance.media})"
    start, end = performance.start_s, performance.end_s
    first, last = performance.first_frame, performance.last_frame
    if start is not None and start < 0:
        raise BadInput(f"{who}: start_s is {start:g}; allowed: 0 or more")
    if end is not None and end <= (start or 0.0):
        raise BadInput(f"{who}: end_s is {end:g}, start_s {start or 0:g}; allowed: an end after the start")
    if first is not None and last is not None and last < first:
        raise BadInput(f"{who}: first_frame is {first}, last_frame {last}; allowed: a last frame from {first} on")
    if info.kind == "image":
        if start or end or (first or 1) != 1 or (last or 1) != 1:
            raise BadInput(f"{who}: is one picture and has no times or frames to narrow; leave them out")
    elif info.kind == "frames":
        check_frames(performance)
    else:
        _check_video(who, performance, info)


def check_frames(performance: Performance) -> None:
    """Check that the numbered frames of a performance's window are all there; :class:`MediaError` where not."""
    who, fps = f"performance '{performance.id}' ({performance.media})", performance.fps
    if not fps or fps <= 0:
        raise MediaError(f"{who}: is a folder of frames and needs 'fps', their rate, a number over 0")
    frames = list_frames(performance.media)
    low, high = frames.numbers[0], frames.numbers[-1]
    duration = (high - low + 1) / fps
    for name, time_s in (("start_s", performance.start_s), ("end_s", performance.end_s)):
        if time_s is not None and time_s > duration + slack_s(fps):
            raise MediaError(
                f"{who}: the clip is shorter than its times: {name} is {time_s:g}, but its frames {low} to {high} "
                f"at {fps:g} fps last {duration:.2f} s"
            )
    for name, number in (("first_frame", performance.first_frame), ("last_frame", performance.last_frame)):
        if number is not None and not low <= number <= high:
            raise MediaError(f"{who}: {name} is {number}, but the folder holds frames {low} to {high}")
    first, last = frames_within(frames, performance)
    last = min(last, high)
    if last < first:
        raise MediaError(f"{who}: no frame lies within its times; the folder holds {duration:.2f} s at {fps:g} fps")
    gaps = sorted({*range(first, last + 1)} - {*frames.numbers})
    if gaps:
        raise MediaError(
            f"{who}: {len(gaps)} of the frames {first} to {last} are missing, the first is {gaps[0]}; "
            "put them there or narrow the window"
        )


def _check_video(who: str, performance: Performance, info: SourceInfo) -> None:
    duration, start, end = info.duration_s, performance.start_s, performance.end_s
    if duration is not None:
        late = None
        if start is not None and start > duration - SAME_S:
            late = f"start_s is {start:g}"
        elif end is not None and end > duration + slack_s(info.fps):
            late = f"end_s is {end:g}"
        if late:
            raise BadInput(f"{who}: the clip is shorter than its times: {late}, but it lasts {duration:.2f} s")
    if info.frames is not None:
        for name, number in (("first_frame", performance.first_frame), ("last_frame", performance.last_frame)):
            # The header's count is an estimate: leave what is close to the count of the frames themselves.
            if number is not None and number > info.frames * 1.02 + 2:
                raise BadInput(
                    f"{who}: the clip is shorter than its frames: {name} is {number}, but it has {info.frames}"
                )
    for name, number in (("first_frame", performance.first_frame), ("last_frame", performance.last_frame)):
        if number is not None and number < 1:
            raise BadInput(f"{who}: {name} is {number}; the frames of a video count from 1")
