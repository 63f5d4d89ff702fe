"""Sources: what a performance's media are, known from headers alone, and remembered from run to run."""

from __future__ import annotations

import contextlib
import hashlib
import os
import sqlite3
import stat
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Literal, Self

from aqaudit.core.records import BadInput, Performance
from aqaudit.media.picture import SUFFIXES, Frames, list_frames, read_size
from aqaudit.media.sample import SAME_S, slack_s
from aqaudit.media.video import MediaError, open_video

Kind = Literal["video", "image", "frames"]

_TABLE = """
create table if not exists source (
  folder text not null, name text not null, size integer not null, mtime_ns integer not null,
  sha256 text, kind text, duration_s real, fps real, frames integer, width integer, height integer,
  primary key (folder, name)) without rowid
"""


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
class _Row:
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
            folder = os.environ.get("AQAUDIT_CACHE")
            path = (Path(folder) if folder else Path.home() / ".cache" / "aqaudit") / "sources.sqlite"
        self._lock = threading.RLock()
        self._database = _opened(path)
        self._folders: dict[str, dict[str, _Row]] = {}
        # By the text of ``Performance.media``, so that the many performances of one file cost one look-up each.
        self._hashes: dict[str, str] = {}
        self._infos: dict[str, SourceInfo] = {}
        self._frame_hashes: dict[tuple[str, int, int], str] = {}

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
        found = self._hashes.get(os.fspath(performance.media))
        return found if found is not None else self._hash(performance)

    def describe(self, performance: Performance) -> SourceInfo:
        """Describe the source from its header.

        Raises
        ------
        BadInput
            The media are missing, unreadable, of no known kind, or without frames.
        """
        found = self._infos.get(os.fspath(performance.media))
        if found is None:
            found = self._describe(performance)
        if found.kind == "frames":
            fps, frames = performance.fps, found.frames
            found = SourceInfo(
                kind="frames",
                duration_s=frames / fps if fps and frames else None,
                fps=fps,
                frames=frames,
                width=found.width,
                height=found.height,
            )
        return found

    def _describe(self, performance: Performance) -> SourceInfo:
        media = performance.media
        with self._lock, _named(performance):
            if _is_folder(media):
                frames = list_frames(media)
                width, height = read_size(media / frames.names[0])
                info = SourceInfo(
                    kind="frames", duration_s=None, fps=None, frames=len(frames.names), width=width, height=height
                )
            else:
                row = self._row(media)
                if row.info is None:
                    row.info = _header(media)
                    self._keep(media, row)
                info = row.info
            self._infos[os.fspath(media)] = info
            return info

    def _hash(self, performance: Performance) -> str:
        media = performance.media
        with self._lock, _named(performance):
            if not _is_folder(media):
                sha256 = self._hashes[os.fspath(media)] = self._file_hash(media)
                return sha256
            frames = list_frames(media)
            first, last = frames_within(frames, performance)
            key = (os.fspath(media), first, last)
            if key not in self._frame_hashes:
                total = hashlib.sha256()
                for number, name in zip(frames.numbers, frames.names, strict=True):
                    if first <= number <= last:
                        total.update(f"{name}\0{self._file_hash(media / name)}\n".encode())
                self._frame_hashes[key] = total.hexdigest()
            return self._frame_hashes[key]

    def _file_hash(self, path: Path) -> str:
        row = self._row(path)
        if row.sha256 is None:
            with path.open("rb") as file:
                row.sha256 = hashlib.file_digest(file, "sha256").hexdigest()
            self._keep(path, row)
        return row.sha256

    def _row(self, path: Path) -> _Row:
        """Return what is known of the file as it is now; rows are read from the database a folder at a time."""
        status = path.stat()
        folder, name = os.path.split(os.path.abspath(path))  # noqa: PTH100 - three times as fast, once for every file
        if folder not in self._folders:
            self._folders[folder] = self._load(folder)
        row = self._folders[folder].get(name)
        if row is None or row.size != status.st_size or row.mtime_ns != status.st_mtime_ns:
            row = self._folders[folder][name] = _Row(status.st_size, status.st_mtime_ns)
        return row

    def _load(self, folder: str) -> dict[str, _Row]:
        if self._database is None:
            return {}
        try:
            rows = self._database.execute(
                "select name, size, mtime_ns, sha256, kind, duration_s, fps, frames, width, height from source"
                " where folder = ?",
                (folder,),
            ).fetchall()
        except sqlite3.Error:
            return {}
        known = {}
        for name, size, mtime_ns, sha256, kind, duration_s, fps, frames, width, height in rows:
            info = None
            if kind is not None:
                info = SourceInfo(kind=kind, duration_s=duration_s, fps=fps, frames=frames, width=width, height=height)
            known[name] = _Row(size, mtime_ns, sha256, info)
        return known

    def _keep(self, path: Path, row: _Row) -> None:
        if self._database is None:
            return
        folder, name = os.path.split(os.path.abspath(path))  # noqa: PTH100 - as in _row
        info = row.info
        described = (
            (info.kind, info.duration_s, info.fps, info.frames, info.width, info.height) if info else (None,) * 6
        )
        with contextlib.suppress(sqlite3.Error):
            self._database.execute(
                "insert or replace into source values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                (folder, name, row.size, row.mtime_ns, row.sha256, *described),
            )


@contextlib.contextmanager
def _named(performance: Performance) -> Iterator[None]:
    """Say in every error whose media they are."""
    try:
        yield
    except FileNotFoundError:
        raise BadInput(
            f"performance '{performance.id}': media {performance.media} are missing; put them there or correct 'media'"
        ) from None
    except OSError as error:
        raise BadInput(
            f"performance '{performance.id}': media {performance.media} cannot be read ({error.strerror})"
        ) from None
    except BadInput as error:
        raise type(error)(f"performance '{performance.id}': {error}") from None


def _opened(path: Path) -> sqlite3.Connection | None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        database = sqlite3.connect(path, timeout=5.0, isolation_level=None, check_same_thread=False)
        try:
            # A lost row costs one hash; waiting for the disk after every row would cost more.
            database.execute("pragma journal_mode = wal")
            database.execute("pragma synchronous = off")
            database.execute(_TABLE)
        except sqlite3.Error:
            database.close()
            return None
    except (OSError, sqlite3.Error):
        return None
    return database


def _is_folder(media: Path) -> bool:
    return stat.S_ISDIR(media.stat().st_mode)


def kind_of(media: Path) -> Kind:
    """Say how a source is read: a folder as numbered frames, a file by its suffix as a picture or a video."""
    if media.is_dir():
        return "frames"
    return "image" if media.suffix.lower() in SUFFIXES else "video"


def _header(path: Path) -> SourceInfo:
    if path.stat().st_size == 0:
        raise MediaError(f"{path}: is an empty file")
    if kind_of(path) == "image":
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
    if not _is_folder(media):
        with media.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    total = hashlib.sha256()
    for name in list_frames(media).names:
        total.update(f"{name}\0{checksum(media / name)}\n".encode())
    return total.hexdigest()


def check_checksum(performance: Performance) -> None:
    """Hold a performance's media against the checksum that its data set states, where it states one.

    Raises
    ------
    MediaError
        The bytes are not those of which it was made.
    """
    if performance.sha256 is None:
        return
    found = checksum(performance.media)
    if found != performance.sha256:
        raise MediaError(
            f"{performance.media}: its bytes have changed: sha256 is {found[:12]}…, clips.jsonl states "
            f"{performance.sha256[:12]}…; restore the file, or delete sha256 from its line"
        )


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
    gaps = frames.gaps(first, last)
    if gaps:
        raise MediaError(
            f"{who}: {len(gaps)} of the frames {first} to {last} are missing, the first is {gaps[0]}; "
            "put them there or narrow the window"
        )


def _check_video(who: str, performance: Performance, info: SourceInfo) -> None:
    duration, fps = info.duration_s, info.fps
    if duration is not None:
        for name, time_s, most in (
            ("start_s", performance.start_s, duration - SAME_S),
            ("end_s", performance.end_s, duration + slack_s(fps)),
        ):
            if time_s is not None and time_s > most:
                raise BadInput(
                    f"{who}: the clip is shorter than its times: {name} is {time_s:g}, but it lasts {duration:.2f} s"
                )
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
