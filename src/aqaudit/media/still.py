"""Stills: one decoded frame or picture, turned upright, masked, and scaled only as far as it is asked for."""

from __future__ import annotations

import struct
import threading
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
from av.sidedata.sidedata import SideData, Type
from av.video.frame import VideoFrame
from av.video.reformatter import VideoReformatter
from PIL import Image

from aqaudit.media.mask import masked
from aqaudit.media.picture import fitted

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Sequence
    from fractions import Fraction

    from aqaudit.media.views import Picture
    from aqaudit.records import Mask

_Made = TypeVar("_Made")

_UPRIGHT = (1, 0, 0, 1)
# Eight bits, colours at half size both ways: what nearly all videos decode to.
_COMMON = frozenset({"yuv420p", "yuvj420p"})


class Still:
    """One frame of a source.

    Used from one thread: a decoded frame must never be converted by two at once. Pictures that come out are shared and
    must not be changed.

    Parameters
    ----------
    source
        A decoded frame, or an upright picture.
    aspect
        Width of a stored pixel of a decoded frame over its height.
    masks, time_s
        What no model may see, and the frame's time on the source's time line.
    rotate
        Turns what a player would show counter-clockwise, by quarter turns in degrees.
    """

    __slots__ = ("_aspect", "_frame", "_made", "_masks", "_rotate", "_time_s", "_turn", "_whole", "height", "width")

    def __init__(
        self,
        source: VideoFrame | Picture,
        *,
        aspect: Fraction | None = None,
        masks: Sequence[Mask] = (),
        time_s: float = 0.0,
        rotate: int = 0,
    ) -> None:
        self._masks, self._time_s, self._rotate = masks, time_s, rotate
        self._whole: Picture | None = None
        self._made: dict[Hashable, Any] = {}
        self._frame = source if isinstance(source, VideoFrame) else None
        if isinstance(source, VideoFrame):
            self._turn = _turn(source)
            sides = (source.width, source.height)
            turned = (self._turn[0] == 0) != (rotate % 180 == 90)
            self.width, self.height = sides[::-1] if turned else sides
            self._aspect = 1 / aspect if aspect and turned else aspect
        else:
            self._turn, self._aspect = _UPRIGHT, aspect
            upright = np.ascontiguousarray(np.rot90(source, rotate // 90))
            self.height, self.width = upright.shape[:2]
            self._whole = masked(upright, masks, time_s)

    def fitted(self, max_side: int, *, even: bool = False) -> tuple[int, int]:
        """Return the width and height at which the frame is shown: square pixels, never scaled up."""
        return fitted(self.width, self.height, max_side=max_side, aspect=self._aspect, even=even)

    def scaled(self, width: int, height: int) -> Picture:
        """Return the frame at this size."""
        return self.once((width, height), lambda: self._at_size(width, height))

    def once(self, key: Hashable, make: Callable[[], _Made]) -> _Made:
        """Return what several views need of the frame, made when the first of them asks for it."""
        if key not in self._made:
            self._made[key] = make()
        made: _Made = self._made[key]
        return made

    def _at_size(self, width: int, height: int) -> Picture:
        if self._whole is None and self._frame is not None and not (self._masks or self._rotate):
            sides = (height, width) if self._turn[0] == 0 else (width, height)
            return np.ascontiguousarray(_turned(_array(_shrunk(self._frame, *sides)), self._turn))
        # Masks are in pixels of the upright frame; scaling first would smear what they cover into their edges.
        return self._resized(self.whole(), width, height)

    def whole(self) -> Picture:
        """Return the frame upright in its own pixels."""
        if self._whole is None and self._frame is not None:
            full = np.rot90(
                _turned(_array(self._frame.reformat(format="rgb24", threads=1)), self._turn), self._rotate // 90
            )
            self._whole = masked(np.ascontiguousarray(full), self._masks, self._time_s)
        assert self._whole is not None  # noqa: S101 - one of the two was given
        return self._whole

    def fitted_part(self, width: int, height: int, max_side: int, *, even: bool = False) -> tuple[int, int]:
        """Return the size at which a part of the frame of this many stored pixels is shown."""
        return fitted(width, height, max_side=max_side, aspect=self._aspect, even=even)

    def part(self, box: tuple[int, int, int, int], width: int, height: int) -> Picture:
        """Return the part within a box (x0, y0, x1, y1; pixels of the upright frame) at a size."""
        x0, y0, x1, y1 = box
        return self._resized(self.whole()[y0:y1, x0:x1], width, height)

    def _resized(self, whole: Picture, width: int, height: int) -> Picture:
        if whole.shape[:2] == (height, width):
            return np.ascontiguousarray(whole)
        if self._frame is None:
            return np.asarray(
                Image.fromarray(np.ascontiguousarray(whole)).resize((width, height), Image.Resampling.BOX)
            )
        frame = VideoFrame(whole.shape[1], whole.shape[0], "rgb24")
        plane = frame.planes[0]
        stored = np.frombuffer(memoryview(plane), dtype=np.uint8).reshape(-1, plane.line_size)[: whole.shape[0]]
        stored[:, : whole.shape[1] * 3].reshape(whole.shape)[:] = whole
        return _array(frame.reformat(width, height, format="rgb24", interpolation="AREA", threads=1))


class _Tools(threading.local):
    """Each thread's own scaler and converter, which keep their tables from frame to frame."""

    def __init__(self) -> None:
        self.scaler, self.converter = VideoReformatter(), VideoReformatter()


_TOOLS = _Tools()


def _shrunk(frame: VideoFrame, width: int, height: int) -> VideoFrame:
    """Scale a frame, each pixel the mean of those it covers, and convert it to RGB."""
    if frame.format.name in _COMMON:
        # Scaled first, it is converted in under half the time; JPEG and MP4 halve the colours again all the same.
        frame = _TOOLS.scaler.reformat(frame, width, height, interpolation="AREA", threads=1)
    return _TOOLS.converter.reformat(frame, width, height, format="rgb24", interpolation="AREA", threads=1)


def _turn(frame: VideoFrame) -> tuple[int, int, int, int]:
    """Read the display matrix as signs (a, b, c, d): shown x = a x + c y, shown y = b x + d y."""
    for data in frame.side_data:  # (the type stubs take this for a mapping by name)
        if isinstance(data, SideData) and data.type == Type.DISPLAYMATRIX:
            a, b, _, c, d = struct.unpack("=5i", bytes(data)[:20])
            if abs(a) + abs(d) >= abs(b) + abs(c):
                return (-1 if a < 0 else 1), 0, 0, (-1 if d < 0 else 1)
            return 0, (-1 if b < 0 else 1), (-1 if c < 0 else 1), 0
    return _UPRIGHT


def _array(frame: VideoFrame) -> Picture:
    """Return the pixels of a frame in RGB, without copying them; they keep the frame's memory alive."""
    plane = frame.planes[0]
    rows = np.frombuffer(memoryview(plane), dtype=np.uint8).reshape(-1, plane.line_size)[: frame.height]
    return np.asarray(rows[:, : frame.width * 3].reshape(frame.height, frame.width, 3), dtype=np.uint8)


def _turned(stored: Picture, turn: tuple[int, int, int, int]) -> Picture:
    a, b, c, d = turn
    if a == 0:
        stored, a, d = stored.swapaxes(0, 1), c, b
    return stored[::d, ::a]
