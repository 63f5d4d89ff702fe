"""Pictures as the demo model's processor makes them, with Pillow and NumPy: square, levels from -1 to 1."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from aqaudit.models import part_files

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from aqaudit.records import MediaPart

#: So many frames of a clip are looked at, spread over it.
CLIP_FRAMES = 8


def pixels(part: MediaPart, side: int) -> NDArray[np.float32]:
    """Return the pictures of a file, N x 3 x side x side: one of a picture, up to :data:`CLIP_FRAMES` of a clip.

    Raises
    ------
    AskFailed
        The file cannot be decoded.
    """
    if part.mime.startswith("video/"):
        return np.stack([_scaled(picture, side) for picture in _clip(part)])
    return _scaled(part_files.picture(part), side)[None]


def _scaled(picture: Image.Image, side: int) -> NDArray[np.float32]:
    # In two steps, as the processor of the model's family does: the longer side first, in whole and even pixels.
    width, height = picture.size
    aspect = width / height
    whole = (side, _even(int(side / aspect))) if width >= height else (_even(int(side * aspect)), side)
    for size in ((max(1, whole[0]), max(1, whole[1])), (side, side)):
        if picture.size != size:
            picture = picture.resize(size, resample=Image.Resampling.LANCZOS)
    small = np.asarray(picture)
    levels = (small.astype(np.float64) * (1 / 255)).astype(np.float32)
    return np.ascontiguousarray(((levels - np.float32(0.5)) / np.float32(0.5)).transpose(2, 0, 1))


def _even(pixels: int) -> int:
    return pixels + pixels % 2


def _clip(part: MediaPart) -> list[Image.Image]:
    frames, _ = part_files.clip(part)
    count = min(len(frames), CLIP_FRAMES)
    places = [int((at + 0.5) * len(frames) / count) for at in range(count)]
    return [Image.fromarray(frames[at].to_ndarray(format="rgb24")) for at in places]
