"""Whether coded pictures of HEVC end where their data end, as libde265 sees it, in a process of its own.

FFmpeg's decoder makes a picture of whatever it is given: of 100 changed bytes in a clip of 720 x 1280 pixels 85 changed
pictures, most of them beyond recognition, without a word. libde265 warns where a picture's data end elsewhere than the
picture. (Its pictures themselves are not compared: where slices meet they are a few levels off.)

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
from aqaudit.media.units import header_units, length_size, spans
from aqaudit.media.video import MediaError, open_video

if TYPE_CHECKING:
    from collections.abc import Sequence

    from aqaudit.media.index import VideoIndex
    from aqaudit.media.video import Deadline

# Kinds of units (ITU-T H.265, table 7-1) that hold pictures on which no other rests.
_UNREFERENCED = frozenset({0, 2, 4, 6, 8})


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
    try:
        _asked(child, index, wanted, deadline, seek=seek)
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


def _asked(
    child: subprocess.Popen[bytes], index: VideoIndex, wanted: Sequence[int], deadline: Deadline, *, seek: bool
) -> None:
    asking, answers = child.stdin, child.stdout
    assert asking is not None  # noqa: S101 - both are pipes
    assert answers is not None  # noqa: S101
    stamps = {int(index.shown[position]) for position in wanted}
    with open_video(index.path, quick=True) as (container, stream):
        header = stream.codec_context.extradata or b""
        size = length_size("hevc", header)
        runs = stretches(index, wanted)
        coded = numbered(index, container, stream, runs[0].first if seek else 0)
        for first, last, _ in runs:
            for unit in header_units(header):
                process.send(asking, process.UNIT, unit)
            for number, packet in coded:
                if number < first:
                    continue
                deadline.check()
                data = bytes(packet)
                for begin, end in spans(data, size):
                    if packet.pts in stamps or data[begin] >> 1 & 63 not in _UNREFERENCED:
                        process.send(asking, process.UNIT, data[begin:end])
                process.send(asking, process.END if number == last else process.PICTURE)
                asking.flush()
                if process.receive(answers):
                    raise damaged(index, number, "the data of a picture do not end where it does")
                if number == last:
                    break
