"""Pictures: files and folders of them, and stills: one decoded frame or picture, turned upright, masked and scaled."""

from __future__ import annotations

import re
import struct
import threading
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import simplejpeg
from av.sidedata.sidedata import SideData, Type
from av.video.frame import VideoFrame
from av.video.reformatter import VideoReformatter
from PIL import Image, ImageOps, UnidentifiedImageError

from aqaudit.core.records import Mask
from aqaudit.media.mask import masked
from aqaudit.media.types import MAX_PIXELS, MediaError, Picture, too_large

#: Suffixes of files that are read as pictures; every other file is read as a video.
SUFFIXES: frozenset[str] = frozenset({".jpg", ".jpeg", ".png", ".webp", ".bmp"})

JPEG_QUALITY = 85

_FORMATS = ("JPEG", "PNG", "WEBP", "BMP")
_NUMBERED = re.compile(r"(?P<number>\d+)\.[a-z]+$")
_ORIENTATION = 0x0112  # of EXIF
# Eight bits, colours at half size both ways: what nearly all videos decode to.
_COMMON = frozenset({"yuv420p", "yuvj420p"})
# Each thread's own scaler and converter, which keep their tables from frame to frame.
_TOOLS = threading.local()


def read_size(path: Path) -> tuple[int, int]:
    """Read the size of a picture as shown from its header; :class:`MediaError` where it is no picture."""
    with _opened(path) as image:
        width, height = image.size
        turned = image.getexif().get(_ORIENTATION, 1) in {5, 6, 7, 8}
    return (height, width) if turned else (width, height)


def from_file(path: Path) -> Picture:
    """Read a still or one numbered frame, turned upright by its EXIF orientation, what is transparent on black.

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
                upright.getexif()[_ORIENTATION] = image.getexif().get(_ORIENTATION, 1)
            else:
                image.load()
                upright = image
            upright = ImageOps.exif_transpose(upright)
            if upright.has_transparency_data:
                black = Image.new("RGBA", upright.size, (0, 0, 0, 255))
                upright = Image.alpha_composite(black, upright.convert("RGBA"))
            upright = upright.convert("RGB")
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


def _opened(path: Path) -> Image.Image:
    try:
        image = Image.open(path, formats=_FORMATS)
    except UnidentifiedImageError:
        raise MediaError(f"{path}: is not a picture; allowed: {', '.join(_FORMATS)}") from None
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        what = (error.strerror if isinstance(error, OSError) else None) or str(error)
        raise MediaError(f"{path}: cannot be read as a picture ({what})") from None
    width, height = image.size
    if getattr(image, "is_animated", False) and image.format != "MPO":
        image.close()
        raise MediaError(f"{path}: is an animated picture; convert it to a video")
    if width * height > MAX_PIXELS:
        image.close()
        raise too_large(path, width, height)
    return image


def jpeg(picture: Picture) -> bytes:
    """Encode a picture as JPEG, quality 85, colours at half size."""
    return bytes(
        simplejpeg.encode_jpeg(picture, quality=JPEG_QUALITY, colorspace="RGB", colorsubsampling="420", fastdct=False)
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Frames:
    """A folder of numbered frames: their numbers and names, in order."""

    numbers: tuple[int, ...]
    names: tuple[str, ...]


def list_frames(folder: Path) -> Frames:
    """List the numbered frames of a folder; remembered for the last few folders by their time of change.

    Raises
    ------
    MediaError
        The folder cannot be read, holds no numbered frame, or two of one number.
    """
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
    return Frames(numbers=numbers, names=tuple(found[number] for number in numbers))


class Still:
    """One frame of a source, ``width`` and ``height`` pixels when upright.

    Used from one thread: a decoded frame must never be converted by two at once. Pictures that come out are shared and
    must not be changed. ``shared`` is for what several views need of the frame, by keys of their own.

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

    __slots__ = (
        "_aspect", "_frame", "_masks", "_rotate", "_scaled", "_time_s", "_turn", "_whole", "height", "shared", "width"
    )  # fmt: skip

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
        self._scaled: dict[tuple[int, int], Picture] = {}
        self.shared: dict[Hashable, Any] = {}
        # The display matrix as signs (a, b, c, d): shown x = a x + c y, shown y = b x + d y.
        self._turn = 1, 0, 0, 1
        if isinstance(source, VideoFrame):
            self._frame: VideoFrame | None = source
            self._whole: Picture | None = None
            for data in source.side_data:  # (the type stubs take this for a mapping by name)
                if isinstance(data, SideData) and data.type == Type.DISPLAYMATRIX:
                    a, b, _, c, d = struct.unpack("=5i", bytes(data)[:20])
                    if abs(a) + abs(d) >= abs(b) + abs(c):
                        self._turn = (-1 if a < 0 else 1), 0, 0, (-1 if d < 0 else 1)
                    else:
                        self._turn = 0, (-1 if b < 0 else 1), (-1 if c < 0 else 1), 0
                    break
            turned = (self._turn[0] == 0) != (rotate % 180 == 90)
            sides = source.width, source.height
            self.width, self.height = sides[::-1] if turned else sides
            self._aspect = 1 / aspect if aspect and turned else aspect
        else:
            upright = np.ascontiguousarray(np.rot90(source, rotate // 90))
            self.height, self.width = upright.shape[:2]
            self._frame, self._whole, self._aspect = None, masked(upright, masks, time_s), aspect

    def fitted(self, max_side: int, *, even: bool = False, part: tuple[int, int] | None = None) -> tuple[int, int]:
        """Return the width and height at which the frame, or a part of so many stored pixels, is shown.

        Square pixels, the longer side at most ``max_side``, never scaled up. ``even`` rounds both sides down to even
        numbers.
        """
        wide, high = part or (self.width, self.height)
        across, down = float(wide), float(high)
        if self._aspect and self._aspect > 0:
            # Scaling one way up would invent pixels: shrink the other way instead.
            across, down = (across, down / self._aspect) if self._aspect > 1 else (across * self._aspect, down)
        scale = min(1.0, max_side / max(across, down))
        width, height = max(1, round(across * scale)), max(1, round(down * scale))
        return (max(2, width // 2 * 2), max(2, height // 2 * 2)) if even else (width, height)

    def scaled(self, width: int, height: int) -> Picture:
        """Return the frame at this size; each pixel is the mean of those it covers."""
        made = self._scaled.get((width, height))
        if made is not None:
            return made
        frame = self._frame
        if self._whole is not None or frame is None or self._masks or self._rotate:
            # Masks are in pixels of the upright frame; scaling first would smear what they cover into their edges.
            made = self._resized(self.whole(), width, height)
        else:
            if not hasattr(_TOOLS, "scaler"):
                _TOOLS.scaler, _TOOLS.converter = VideoReformatter(), VideoReformatter()
            sides = (height, width) if self._turn[0] == 0 else (width, height)
            if frame.format.name in _COMMON:
                # Scaled first, it is converted in under half the time; JPEG and MP4 halve the colours again all the
                # same.
                frame = _TOOLS.scaler.reformat(frame, *sides, interpolation="AREA", threads=1)
            frame = _TOOLS.converter.reformat(frame, *sides, format="rgb24", interpolation="AREA", threads=1)
            made = np.ascontiguousarray(_pixels(frame, self._turn))
        self._scaled[width, height] = made
        return made

    def whole(self) -> Picture:
        """Return the frame upright in its own pixels."""
        if self._whole is None and self._frame is not None:
            full = _pixels(self._frame.reformat(format="rgb24", threads=1), self._turn)
            self._whole = masked(np.ascontiguousarray(np.rot90(full, self._rotate // 90)), self._masks, self._time_s)
        assert self._whole is not None  # noqa: S101 - one of the two was given
        return self._whole

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
        _pixels(frame)[:] = whole
        return _pixels(frame.reformat(width, height, format="rgb24", interpolation="AREA", threads=1))


def _pixels(frame: VideoFrame, turn: tuple[int, int, int, int] = (1, 0, 0, 1)) -> Picture:
    """Return the pixels of a frame in RGB, turned, without copying them; they keep the frame's memory alive."""
    plane = frame.planes[0]
    rows = np.frombuffer(memoryview(plane), dtype=np.uint8).reshape(-1, plane.line_size)[: frame.height]
    stored = rows[:, : frame.width * 3].reshape(frame.height, frame.width, 3)
    a, b, c, d = turn
    if a == 0:
        stored, a, d = stored.swapaxes(0, 1), c, b
    return np.asarray(stored[::d, ::a], dtype=np.uint8)
