"""Pictures: frames of a video, stills and numbered frames as upright RGB arrays, scaled as they are decoded."""

from __future__ import annotations

import re
import struct
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np
import simplejpeg
from av.sidedata.sidedata import SideData, Type
from av.video.frame import VideoFrame
from PIL import Image, ImageOps, UnidentifiedImageError

from aqaudit.media.video import MediaError, check_size
from aqaudit.media.views import masked

if TYPE_CHECKING:
    from collections.abc import Sequence
    from fractions import Fraction
    from pathlib import Path

    from aqaudit.media.views import Picture
    from aqaudit.records import Mask

#: Suffixes of files that are read as pictures; every other file is read as a video.
SUFFIXES: frozenset[str] = frozenset({".jpg", ".jpeg", ".png", ".webp", ".bmp"})

_FORMATS = ("JPEG", "PNG", "WEBP", "BMP")
_NUMBERED = re.compile(r"(?P<number>\d+)\.[a-z]+$")
_UPRIGHT = (1, 0, 0, 1)


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


def from_frame(
    frame: VideoFrame,
    *,
    max_side: int,
    aspect: Fraction | None,
    masks: Sequence[Mask] = (),
    time_s: float = 0.0,
    even: bool = False,
    rotate: int = 0,
) -> Picture:
    """Turn a decoded frame into a picture: colours converted, masked, scaled and turned upright.

    ``time_s`` is the frame's time on the source's time line, which the masks' intervals refer to. ``rotate`` turns what
    a player would show counter-clockwise, by quarter turns in degrees.
    """
    turn = _turn(frame)
    if masks or rotate:
        # Boxes are in pixels of the upright picture; scaling first would smear what they cover into their edges.
        shown = np.rot90(_turned(_array(frame.reformat(format="rgb24", threads=1)), turn), rotate // 90)
        whole = masked(shown, masks, time_s)
        if (turn[0] == 0) != (rotate % 180 == 90):
            aspect = 1 / aspect if aspect else aspect
        frame, turn = VideoFrame.from_ndarray(np.ascontiguousarray(whole), format="rgb24"), _UPRIGHT
    width, height = fitted(frame.width, frame.height, max_side=max_side, aspect=aspect, even=even)
    # One pass converts and scales. A frame must never be converted by two threads at once.
    small = frame.reformat(width=width, height=height, format="rgb24", interpolation="AREA", threads=1)
    return np.ascontiguousarray(_turned(_array(small), turn))


def shown_size(frame: VideoFrame, aspect: Fraction | None) -> tuple[int, int]:
    """Return the size of a decoded frame as a player shows it: upright, with square pixels."""
    width, height = fitted(frame.width, frame.height, max_side=max(frame.width, frame.height), aspect=aspect)
    return (height, width) if _turn(frame)[0] == 0 else (width, height)


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
    return np.asarray(frame.to_ndarray(), dtype=np.uint8)


def _turned(stored: Picture, turn: tuple[int, int, int, int]) -> Picture:
    a, b, c, d = turn
    if a == 0:
        stored, a, d = stored.swapaxes(0, 1), c, b
    return stored[::d, ::a]


def read_size(path: Path) -> tuple[int, int]:
    """Read the size of a picture as shown from its header; :class:`MediaError` where it is no picture."""
    with _opened(path) as image:
        width, height = image.size
        turned = image.getexif().get(0x0112, 1) in {5, 6, 7, 8}
    return (height, width) if turned else (width, height)


def from_file(
    path: Path,
    *,
    max_side: int,
    masks: Sequence[Mask] = (),
    time_s: float = 0.0,
    even: bool = False,
    rotate: int = 0,
) -> Picture:
    """Read a still or one numbered frame: turned upright by its EXIF orientation and ``rotate``, masked and scaled.

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
            upright = ImageOps.exif_transpose(upright)
            upright = _flat(upright)
            if rotate:
                upright = upright.rotate(rotate, expand=True)  # by quarter turns: no pixel is invented
        except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
            raise MediaError(f"{path}: damaged or cut off ({str(error).strip()}); replace the file") from None
    picture = masked(np.asarray(upright), masks, time_s)
    width, height = fitted(upright.width, upright.height, max_side=max_side, even=even)
    if (width, height) == upright.size:
        return np.ascontiguousarray(picture)
    scaled = Image.fromarray(picture).resize((width, height), Image.Resampling.BOX)
    return np.asarray(scaled)


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
