"""A second look at coded pictures whose decoder takes damage for a picture: H.264 of small size, and HEVC.

Neither has check sums. But behind a changed byte other numbers are read than were written, and a picture's data then
hardly ever end where the picture does.
"""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

import av

from aqaudit.media.libde265 import check_hevc
from aqaudit.media.stretches import UnsureError
from aqaudit.media.tails import check_h264
from aqaudit.media.video import Deadline

if TYPE_CHECKING:
    from collections.abc import Sequence

    from aqaudit.media.index import VideoIndex


def second_look(index: VideoIndex, wanted: Sequence[int], deadline: Deadline) -> None:
    """Look at what the wanted frames (positions in ``index.shown``, increasing) are decoded from, each once.

    Raises
    ------
    MediaError
        A picture that a wanted frame rests on is damaged; or the time, as much again as ``deadline`` gave, is over.
    """
    check = {"h264": check_h264, "hevc": check_hevc}.get(index.codec)
    new = [position for position in wanted if int(index.shown[position]) not in index.looked]
    if check is None or not index.stamped or not new:
        return
    own = Deadline(index.path, deadline.seconds)
    for seek in (True, False):
        # What reads otherwise than its index, or not at all, is for the decoder to judge.
        with suppress(UnsureError, av.error.FFmpegError):
            check(index, new, own, seek=seek)
            index.looked.update(int(index.shown[position]) for position in new)
            return
