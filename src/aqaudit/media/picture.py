"""Stills: one decoded frame or picture, turned upright, masked, and scaled only as far as it is asked for."""

from __future__ import annotations

import re
import struct
import threading
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import simplejpeg
from av.sidedata.sidedata import SideData, Type
from av.video.frame import VideoFrame
from av.video.reformatter import VideoReformatter
from PIL import Image, ImageOps, UnidentifiedImageError

from aqaudit.core.records import Mask
from aqaudit.media.mask import masked
from aqaudit.media.types import Picture
from aqaudit.media.video import MediaError, check_size

#: Suffixes of files that are read as pictures; every other file is read as a video.
SUFFIXES: frozenset[str] = frozenset({".jpg", ".jpeg", ".png", ".webp", ".bmp"})

_FORMATS = ("JPEG", "PNG", "WEBP", "BMP")
_NUMBERED = re.compile(r"(?P<number>\d+)\.[a-z]+$")


def fitted(
    width: int, height: int, *, max_side: int, aspect: Fraction | None = None, even: bool = False
) -> tuple[int, int]:
    """Return the size at which a frame is shown: square pixels, longer side at most ``max_side``, never scaled up.

    ``aspect`` is the width of a stored pixel over its height. ``even`` rounds both sides down to even numbers.
    """
    wide, high = float(width), float(height)
    if aspect and aspect > 0:
        # Stretching one way would invent pixels: shrink the other way instead.
        wide, high = (wide, high / aspect) if aspect > 1 else (wide * aspect, high)
    scale = min(1.0, max_side / max(wide, high))
    size = max(1, round(wide * scale)), max(1, round(high * scale))
    return (max(2, size[0] // 2 * 2), max(2, size[1] // 2 * 2)) if even else size


def read_size(path: Path) -> tuple[int, int]:
    """Read the size of a picture as shown from its header; :class:`MediaError` where it is no picture."""
    with _opened(path) as image:
        width, height = image.size
        turned = image.getexif().get(0x0112, 1) in {5, 6, 7, 8}
    return (height, width) if turned else (width, height)


def from_file(path: Path) -> Picture:
    """Read a still or one numbered frame, turned upright by its EXIF orientation.

    Raises
    ------
    MediaError
        The file is missing, no picture, damaged, cut off or too large.
    """
    with _opened(path) as image:
        try:
            if image.format == "JPEG" and image.mode in {"RGB", "L"}:
                # It notices damage that Pillow paints over.
                upright = Image.fromarray(_decode_jpeg(path.read_bytes()))
                upright.getexif()[0x0112] = image.getexif().get(0x0112, 1)
            else:
                image.load()
                upright = image
            upright = _flat(ImageOps.exif_transpose(upright))
        except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
            raise MediaError(f"{path}: damaged or cut off ({str(error).strip()}); replace the file") from None
    return np.ascontiguousarray(np.asarray(upright))


def _decode_jpeg(data: bytes) -> Picture:
    try:
        decoded = simplejpeg.decode_jpeg(data, colorspace="RGB")
    except ValueError as error:
        # A few bytes of padding before a marker are common and harmless; many are what is left over after damage.
        padding = re.search(r"(\d+) extraneous bytes", str(error))
        if padding is None or int(padding[1]) > 16:
            raise
        decoded = simplejpeg.decode_jpeg(data, colorspace="RGB", strict=False)
    return np.asarray(decoded, dtype=np.uint8)


def _flat(image: Image.Image) -> Image.Image:
    """Return the picture in RGB, what is transparent on black."""
    if image.has_transparency_data:
        image = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", image.size, (0, 0, 0, 255)), image)
    return image.convert("RGB")


def _opened(path: Path) -> Image.Image:
    try:
        image = Image.open(path, formats=_FORMATS)
    except UnidentifiedImageError:
        raise MediaError(f"{path}: is not a picture; allowed: {', '.join(_FORMATS)}") from None
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        what = (error.strerror if isinstance(error, OSError) else None) or str(error)
        raise MediaError(f"{path}: cannot be read as a picture ({what})") from None
    if getattr(image, "is_animated", False) and image.format != "MPO":
        image.close()
        raise MediaError(f"{path}: is an animated picture; convert it to a video")
    try:
        check_size(path, *image.size)
    except MediaError:
        image.close()
        raise
    return image


@dataclass(frozen=True, slots=True, kw_only=True)
class Frames:
    """A folder of numbered frames: names by number, in order."""

    folder: Path
    numbers: tuple[int, ...]
    names: tuple[str, ...]

    def gaps(self, first: int, last: int) -> tuple[int, ...]:
        """Return the numbers from first to last that are missing."""
        have = set(self.numbers)
        return tuple(number for number in range(first, last + 1) if number not in have)


def list_frames(folder: Path) -> Frames:
    """List the numbered frames of a folder; remembered for the last few folders by their time of change."""
    try:
        return _listed(folder, folder.stat().st_mtime_ns)
    except OSError as error:
        raise MediaError(f"{folder}: cannot be read ({error.strerror})") from None


@lru_cache(maxsize=16)
def _listed(folder: Path, mtime_ns: int) -> Frames:  # noqa: ARG001 - the key of the memory
    found: dict[int, str] = {}
    for path in folder.iterdir():
        name = path.name
        match = _NUMBERED.search(name.lower())
        if name.startswith(".") or path.suffix.lower() not in SUFFIXES or match is None:
            continue
        number = int(match["number"])
        if number in found:
            raise MediaError(f"{folder}: two frames are numbered {number}: {found[number]} and {name}")
        found[number] = name
    if not found:
        raise MediaError(f"{folder}: holds no numbered frames; their names are like 000001.jpg or frame_0001.png")
    numbers = tuple(sorted(found))
    return Frames(folder=folder, numbers=numbers, names=tuple(found[number] for number in numbers))


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
