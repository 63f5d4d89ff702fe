"""Pictures: stills and numbered frames as upright RGB arrays, and the size at which a picture is shown."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np
import simplejpeg
from PIL import Image, ImageOps, UnidentifiedImageError

from aqaudit.media.video import MediaError, check_size

if TYPE_CHECKING:
    from fractions import Fraction
    from pathlib import Path

    from aqaudit.media.views import Picture

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
