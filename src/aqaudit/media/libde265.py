"""Whether coded pictures of HEVC end where their data end, as libde265 sees it, in a process of its own.

FFmpeg's decoder makes a picture of whatever it is given: of 100 changed bytes in a clip of 720 x 1280 pixels 85 changed
pictures, most of them beyond recognition, without a word. libde265 warns where a picture needs more data than there
are, and, with its end changed (:mod:`aqaudit.media.tails`), where some are left. (Its pictures are not compared: where
slices meet they are a few levels off.)

The library comes with pi-heif, or is the system's own.
"""

from __future__ import annotations

import subprocess
import sys
import threading
import warnings
from ctypes.util import find_library
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import av

from aqaudit.media import libde265_process as process
from aqaudit.media.stretches import damaged, numbered, stretches
from aqaudit.media.tails import ELSEWHERE, judge, with_changed_tail
from aqaudit.media.units import header_units, length_size, spans
from aqaudit.media.video import MediaError, open_video

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from aqaudit.media.index import VideoIndex
    from aqaudit.media.tails import Change
    from aqaudit.media.video import Deadline

# Kinds of units (ITU-T H.265, table 7-1) that hold pictures on which no other rests.
_UNREFERENCED = frozenset({0, 2, 4, 6, 8})
_SLICES = range(32)


@lru_cache(maxsize=1)
def library() -> str | None:
    """Return where libde265 is, None (with a warning) where there is none."""
    spec = find_spec("pi_heif")
    for folder in (spec and spec.submodule_search_locations) or ():
        for inside in (f"{folder}.libs", f"{folder}/.dylibs", folder):
            for file in sorted(Path(inside).glob("*de265*")):
                return str(file)
    found = find_library("de265")
    if found is None:
        warnings.warn(
            "damage in HEVC videos cannot be told: libde265 is missing; pip install pi-heif, or install it as your "
            "system does (Debian: libde265-0)",
            stacklevel=2,
        )
    return found


def check_hevc(index: VideoIndex, wanted: Sequence[int], deadline: Deadline, *, seek: bool = True) -> None:
    """Check the pictures that wanted frames (positions in ``index.shown``, increasing) are decoded from.

    Where there is no libde265 nothing is checked. ``seek``: go to the first packet at once, not from the file's start.

    Raises
    ------
    MediaError
        A picture is damaged, libde265 failed altogether, or the time is over.
    UnsureError
        The file reads otherwise than its index says.
    """
    place = library()
    if place is None or not sys.executable:
        return
    child = subprocess.Popen(  # noqa: S603 - our own script; a crash of the decoder must not be one of the run
        [sys.executable, "-I", "-S", process.__file__, place],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )
    # Nothing can hold it up: it is ended when the time is over.
    watch = threading.Timer(max(0.0, deadline.left_s), child.kill)
    watch.start()
    look = _Look(child, index, wanted, deadline, seek=seek)
    try:
        look.check()
        judge(index, look.indifferent)
    except av.error.FFmpegError:  # of the file, and for the decoder to judge; some are OSErrors too
        raise
    except (OSError, EOFError):
        deadline.check()
        child.communicate()
        if child.returncode != process.NO_LIBRARY:
            raise MediaError(
                f"{index.path}: libde265, with which HEVC is checked for damage, fails on it; replace the file, "
                "re-encode it, for example as H.264, or leave this performance out"
            ) from None
    finally:
        watch.cancel()
        child.kill()
        child.communicate()


class _Look:
    """Pictures that wanted frames are decoded from, as libde265 decodes them."""

    def __init__(
        self,
        child: subprocess.Popen[bytes],
        index: VideoIndex,
        wanted: Sequence[int],
        deadline: Deadline,
        *,
        seek: bool,
    ) -> None:
        assert child.stdin is not None  # noqa: S101 - both are pipes
        assert child.stdout is not None  # noqa: S101
        self._asking, self._answers = child.stdin, child.stdout
        self._index, self._deadline, self._seek = index, deadline, seek
        self._runs = stretches(index, wanted)
        self._stamps = {int(index.shown[position]) for position in wanted}

    def check(self) -> None:
        """Raise :class:`MediaError` where a picture needs more data than there are."""
        for number, complains in self._decoded(None, lambda _number, data, _size: data):
            if complains:
                raise damaged(self._index, number, ELSEWHERE)

    def indifferent(self, change: Change, among: set[int] | None) -> set[int]:
        """Return the pictures (places in decoding order; of ``among``, None: of all) that a change does not trouble."""
        changed: set[int] = set()
        short: set[int] = set()  # for this change: what the others told stands

        def edited(number: int, data: bytes, size: int) -> bytes:
            if among is not None and number not in among:
                return data
            slices = [span for span in spans(data, size) if data[span[0]] >> 1 & 63 in _SLICES]
            # The last one: only after it there is nothing to go on with.
            new = with_changed_tail(data, slices[-1], change, size) if slices else None
            (short if new is None else changed).add(number)
            return data if new is None else new

        found = {number for number, complains in self._decoded(among, edited) if number in changed and not complains}
        return found if among is None else found | short

    def _decoded(
        self, among: set[int] | None, edited: Callable[[int, bytes, int], bytes]
    ) -> Iterator[tuple[int, bool]]:
        """Decode the stretches (that hold one of ``among``); say of each picture whether libde265 complains of it."""
        with open_video(self._index.path, quick=True) as (container, stream):
            header = stream.codec_context.extradata or b""
            size = length_size("hevc", header)
            coded = numbered(self._index, container, stream, self._runs[0].first if self._seek else 0)
            for first, last, _ in self._runs:
                if among is not None and not any(first <= number <= last for number in among):
                    continue
                for unit in header_units(header):
                    process.send(self._asking, process.UNIT, unit)
                for number, packet in coded:
                    if number < first:
                        continue
                    self._deadline.check()
                    data, needed = edited(number, bytes(packet), size), packet.pts in self._stamps
                    for begin, end in spans(data, size):
                        kind = data[begin] >> 1 & 63
                        if needed or kind not in _UNREFERENCED:
                            process.send(self._asking, process.UNIT, data[begin:end])
                            needed = needed or kind in _SLICES
                    process.send(self._asking, process.END if number == last else process.PICTURE)
                    self._asking.flush()
                    complains = process.receive(self._answers)
                    if needed:
                        yield number, complains
                    if number == last:
                        break
