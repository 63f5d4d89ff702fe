"""Tiny media for made data sets: every file differs from every other one, as in life."""

from __future__ import annotations

import io
from fractions import Fraction
from functools import cache
from pathlib import Path

import av
import numpy as np
from PIL import Image


def picture(path: Path, number: int, size: tuple[int, int] = (32, 24)) -> None:
    """Write a small JPEG that shows ``number`` as a colour."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(_jpeg(number, size))


@cache
def _jpeg(number: int, size: tuple[int, int]) -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", size, (number * 37 % 256, number * 91 % 256, number * 53 % 256)).save(buffer, "JPEG")
    # what the colours cannot tell apart the comment does
    return buffer.getvalue()[:2] + b"\xff\xfe\x00\x06" + number.to_bytes(4, "big") + buffer.getvalue()[2:]


def clip(path: Path, number: int, *, seconds: int = 4, rate: int = 5) -> None:
    """Write a small H.264 clip whose colour is its number and changes over time."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=Fraction(rate), options={"preset": "ultrafast", "threads": "1"})
        stream.width, stream.height, stream.pix_fmt = 40, 32, "yuv420p"
        for frame in range(seconds * rate):
            colour = (number * 37 % 256, frame * 11 % 256, number * 53 % 256)
            image = np.full((32, 40, 3), colour, np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(image, format="rgb24")))
        container.mux(stream.encode())
