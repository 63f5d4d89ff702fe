"""Made broadcasts: a scene under a panning, a jittering or a standing camera, with graphics over it."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from PIL import Image, ImageDraw, ImageFilter, ImageFont

SIZE = (640, 360)
FPS = 25


@dataclass(frozen=True, slots=True, kw_only=True)
class Graphic:
    """A graphic at ``box`` (pixels), shown from ``from_s`` to ``to_s``, drawn at ``alpha``."""

    box: tuple[int, int, int, int]
    text: str
    alpha: float = 1.0
    from_s: float = 0.0
    to_s: float = 1e9

    def over(self, picture: Image.Image) -> Image.Image:
        layer = Image.new("L", picture.size, 0)
        draw = ImageDraw.Draw(layer)
        draw.rectangle((self.box[0], self.box[1], self.box[2] - 1, self.box[3] - 1), outline=255, width=2)
        font = ImageFont.load_default(max(10, (self.box[3] - self.box[1]) * 6 // 10))
        draw.text((self.box[0] + 6, self.box[1] + 2), self.text, fill=255, font=font)
        back = picture.copy()
        if self.alpha == 1.0:
            back.paste((20, 30, 90), self.box)
        white = Image.new("RGB", picture.size, (255, 255, 255))
        return Image.composite(white, back, layer.point(lambda value: int(value * self.alpha)))


LOGO = Graphic(box=(540, 20, 610, 50), text="AQ")
SCORE = Graphic(box=(30, 300, 250, 336), text="SMITH  87.45", from_s=3.0, to_s=8.0)
GHOST = Graphic(box=(530, 300, 610, 340), text="LIVE", alpha=0.45)
CASES: dict[str, tuple[str, tuple[Graphic, ...]]] = {
    "pan, no graphic": ("pan", ()),
    "pan, logo": ("pan", (LOGO,)),
    "pan, logo and score bar for 5 of 12 s": ("pan", (LOGO, SCORE)),
    "pan, translucent logo": ("pan", (GHOST,)),
    "hand-held, logo": ("shake", (LOGO,)),
    "hand-held, no graphic": ("shake", ()),
    "standing camera, logo": ("stand", (LOGO,)),
    "standing camera, no graphic": ("stand", ()),
}


def scene(rng: np.random.Generator, width: int, height: int) -> Image.Image:
    """Return a wide picture with structure at several sizes, and hard-edged things in it."""
    whole = np.zeros((height, width, 3))
    for cell, weight in ((64, 90.0), (20, 70.0), (6, 40.0)):
        small = rng.random((height // cell + 1, width // cell + 1, 3)) * 255
        layer = Image.fromarray(small.astype(np.uint8)).resize((width, height), Image.Resampling.BICUBIC)
        whole += np.asarray(layer) * weight / 200
    picture = Image.fromarray(np.clip(whole, 0, 255).astype(np.uint8)).filter(ImageFilter.GaussianBlur(1))
    draw = ImageDraw.Draw(picture)
    for _ in range(width // 25):
        x, y = int(rng.integers(0, width)), int(rng.integers(0, height))
        w, h = (int(rng.integers(8, 60)) for _ in range(2))
        draw.rectangle((x, y, x + w, y + h), fill=tuple(int(c) for c in rng.integers(0, 255, 3)))
    return picture


def broadcast(path: Path, camera: str, graphics: tuple[Graphic, ...], *, seconds: float = 12.0, seed: int = 1) -> Path:
    """Write a clip of a scene with a performer walking through it."""
    rng = np.random.default_rng(seed)
    wide, high = SIZE
    whole = scene(rng, wide * 3, high + 80)
    drift = np.cumsum(rng.normal(0, 3.0, (int(seconds * FPS), 2)), axis=0) % 80
    with av.open(str(path), "w") as output:
        stream = output.add_stream("libx264", rate=FPS, options={"crf": "26", "preset": "veryfast", "threads": "1"})
        stream.width, stream.height, stream.pix_fmt = wide, high, "yuv420p"
        for number in range(int(seconds * FPS)):
            time = number / FPS
            x, y = {
                "pan": (int(60 + 80 * time) % (wide * 2), 40),
                "shake": (int(400 + 60 * np.sin(time * 1.7) + drift[number, 0]), int(drift[number, 1])),
                "stand": (300, 40),
            }[camera]
            picture = whole.crop((x, y, x + wide, y + high))
            draw = ImageDraw.Draw(picture)
            left = 280 + int(80 * np.sin(time * 2))
            draw.ellipse((left, 120, left + 40, 160), fill=(220, 180, 150))
            draw.rectangle((left + 5, 160, left + 35, 260 + int(15 * np.sin(time * 6))), fill=(180, 30, 40))
            for graphic in graphics:
                if graphic.from_s <= time < graphic.to_s:
                    picture = graphic.over(picture)
            frame = av.VideoFrame.from_image(picture)
            frame.pts, frame.time_base = number, Fraction(1, FPS)
            output.mux(stream.encode(frame))
        output.mux(stream.encode(None))
    return path


def _area(box: tuple[float, ...]) -> float:
    return max(0.0, box[2] - box[0]) * max(0.0, box[3] - box[1])


def _common(one: tuple[float, ...], other: tuple[float, ...]) -> float:
    return _area((max(one[0], other[0]), max(one[1], other[1]), min(one[2], other[2]), min(one[3], other[3])))


def overlap(one: tuple[float, ...], other: tuple[float, ...]) -> float:
    """Return intersection over union of two boxes."""
    return _common(one, other) / (_area(one) + _area(other) - _common(one, other))


def covered(graphic: tuple[float, ...], mask: tuple[float, ...]) -> float:
    """Return the share of a graphic that a mask covers."""
    return _common(graphic, mask) / _area(graphic)
