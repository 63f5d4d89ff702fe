"""Who performs, and where: people drawn from pools, rooms and lights drawn at random, and the camera.

A person is a body shape and a look. A style is what differs between two good repetitions of theirs: pace, depth,
stance, where the arms are, and a small sway.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Pool = Literal["bundled", "recipe", "training"]
Colour = tuple[float, float, float]
Hair = Literal["short", "bob", "bun", "ponytail", "cropped"]

_SKINS = ("#f2d3bd", "#e7bf9f", "#d8a47f", "#c68c66", "#a86f4a", "#8a5636", "#6d4229", "#523020")
_HAIRS = ("#17120f", "#2b1d14", "#4a2f1c", "#6b4526", "#8f6a3a", "#b99a62", "#7a2f1a", "#8c8a88")
_TOPS = ("#c43b3b", "#2f6fb5", "#e0b13c", "#3a8f5c", "#7a4aa3", "#e87f4f", "#2b9a9a", "#d9d9d9", "#d45a8c", "#4b4f58",
         "#8fbf3f", "#1f3f7a")  # fmt: skip
_BOTTOMS = ("#20242c", "#33415c", "#5a5f66", "#3b2f4a", "#1f4d4a", "#6b4b3a", "#243b24", "#5c2330")
_SHOES = ("#f0f0f0", "#2a2a2e", "#c23b2e", "#2e66c2", "#d9c23b", "#5fae6a")
_EYES = ("#3a2416", "#5b3a1e", "#46663f", "#3f6a8c")


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """A body's phenotype; each number goes from 0 to 1 (``gender``: 0 man, 1 woman; ``age``: 0.67 young, 1 old)."""

    gender: float
    age: float
    muscle: float
    weight: float
    height: float
    proportions: float

    def phenotype(self) -> dict[str, float]:
        """Return the sliders as ``anny`` names them."""
        return {name: getattr(self, name) for name in self.__slots__}


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """Colours (linear light, 0 to 1) and cut of hair and clothes.

    ``sleeve`` is where sleeves end (0 shoulder, 1 elbow, 2 wrist), ``leg`` where trousers end (0 hip, 1 knee, 2 ankle).
    """

    skin: Colour
    hair: Colour
    style: Hair
    top: Colour
    bottom: Colour
    shoes: Colour
    eyes: Colour
    sleeve: float
    leg: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Performer:
    """One person: a name that tells nothing, a body shape and a look."""

    name: str
    shape: Shape
    look: Look


@dataclass(frozen=True, slots=True, kw_only=True)
class Style:
    """Nuisances of one execution. Numbers are in -1 to 1 unless said; ``side`` is 1 (left) or -1."""

    pace: float
    depth: float
    width: float
    turnout: float
    lean: float
    arms: float
    head: float
    start: float
    side: int
    variant: int
    sway: tuple[float, ...]


def generator(*parts: object) -> np.random.Generator:
    """Return a Philox generator of its own for these words and numbers: the same on every machine."""
    text = "\0".join(str(part) for part in parts)
    words = np.frombuffer(text.encode().ljust(4 * -(-len(text.encode()) // 4), b"\0"), dtype="<u4")
    return np.random.Generator(np.random.Philox(np.random.SeedSequence([len(text), *(int(word) for word in words)])))


def performer(pool: Pool, number: int) -> Performer:
    """Return person ``number`` of a pool."""
    draw = generator("performer", pool, 0, number)
    woman = (number + int(draw.integers(2))) % 2 if pool == "training" else number % 2
    shape = Shape(
        gender=float(np.clip(woman + (0.12 if woman == 0 else -0.12) * draw.random(), 0, 1)),
        age=float(draw.uniform(0.58, 0.86)),
        muscle=float(draw.uniform(0.42, 0.85)),
        weight=float(draw.uniform(0.32, 0.66)),
        height=float(draw.uniform(0.35, 0.72)),
        proportions=float(draw.uniform(0.45, 0.95)),
    )
    styles: Sequence[Hair] = ("bun", "ponytail", "bob", "short") if woman else ("short", "cropped", "short", "cropped")
    hair = _HAIRS[int(draw.integers(len(_HAIRS)))] if shape.age < 0.82 else "#8c8a88"
    look = Look(
        skin=_shade(linear(_SKINS[int(draw.integers(len(_SKINS)))]), draw),
        hair=_shade(linear(hair), draw),
        style=styles[int(draw.integers(len(styles)))],
        top=_shade(linear(_TOPS[int(draw.integers(len(_TOPS)))]), draw),
        bottom=_shade(linear(_BOTTOMS[int(draw.integers(len(_BOTTOMS)))]), draw),
        shoes=_shade(linear(_SHOES[int(draw.integers(len(_SHOES)))]), draw),
        eyes=linear(_EYES[int(draw.integers(len(_EYES)))]),
        sleeve=float(draw.choice([0.02, 0.5, 0.62])),
        leg=float(draw.choice([0.5, 0.68, 1.9])),
    )
    return Performer(name=f"{pool[0]}{number:03d}", shape=shape, look=look)


def style(draw: np.random.Generator) -> Style:
    """Draw a style."""
    values = draw.uniform(-1, 1, 8)
    return Style(
        pace=float(values[0]),
        depth=float(values[1]),
        width=float(values[2]),
        turnout=float(values[3]),
        lean=float(values[4]),
        arms=float(values[5]),
        head=float(values[6]),
        start=float(values[7]),
        side=1 if draw.random() < 0.5 else -1,
        variant=int(draw.integers(3)),
        sway=tuple(float(part) for part in draw.uniform(0, 2 * np.pi, 4)),
    )


def linear(colour: str) -> Colour:
    """Return a colour such as ``#aabbcc`` as linear light."""
    parts = (int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5))
    red, green, blue = (part**2.2 for part in parts)
    return red, green, blue


def _shade(colour: Colour, draw: np.random.Generator) -> Colour:
    factor = float(draw.uniform(0.85, 1.15))
    red, green, blue = (min(1.0, part * factor) for part in colour)
    return red, green, blue


def ease(share: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the smoothest way from 0 to 1 (minimum jerk; Flash and Hogan, 1985) for shares of its time."""
    u = np.clip(share, 0, 1)
    return u**3 * (10 - 15 * u + 6 * u**2)


def there_and_back(
    times: NDArray[np.float64], start: float, there: float, hold: float, back: float
) -> NDArray[np.float64]:
    """Return 0, to 1 in ``there`` seconds from ``start`` on, ``hold``, and to 0 in ``back`` seconds."""
    return ease((times - start) / there) - ease((times - start - there - hold) / back)


def sway(style_: Style, times: NDArray[np.float64], amount: float) -> NDArray[np.float64]:
    """Return a slow drift (T x 2: sideways, forward) of about ``amount`` metres."""
    a, b, c, d = style_.sway
    x = np.sin(2.1 * times + a) + 0.5 * np.sin(4.7 * times + b)
    z = np.sin(1.7 * times + c) + 0.5 * np.sin(5.3 * times + d)
    return amount * np.stack([x, z], axis=1)


_FLOORS = (("#b98d5c", "#8c6239"), ("#d9b98c", "#b8935f"), ("#7d7f85", "#63666d"), ("#d5d2cb", "#a9a69f"),
           ("#4c4f56", "#3b3e45"), ("#93a1a8", "#7c8a92"), ("#6e5240", "#533b2c"))  # fmt: skip


_WALLS = (("#e8e4da", "#c9c2b2"), ("#d3dde3", "#9fb1bd"), ("#c9d3c0", "#8fa183"), ("#e6d4c4", "#b98f74"),
          ("#b5652f", "#d8cbbd"), ("#8d98ab", "#6c768a"), ("#f1efec", "#b9b4aa"), ("#a7a19a", "#d6d0c6"))  # fmt: skip


_MATS = ("#3f6fa8", "#7a3f8f", "#2f8f7a", "#a84a4a", "#444a55", "#8f8f3f")


@dataclass(frozen=True, slots=True, kw_only=True)
class Camera:
    """A level pinhole camera that looks at ``aim`` (metres).

    ``azimuth`` is in degrees round the performer: 0 in front, 90 at the performer's left, 180 behind; ``height`` and
    ``distance`` in metres; ``focal`` is the focal length in picture heights (1 = a field of view of 53 degrees).
    """

    azimuth: float
    height: float
    distance: float
    focal: float
    aim: tuple[float, float, float] = (0.0, 0.9, 0.0)

    @property
    def eye(self) -> NDArray[np.float64]:
        """Where the camera is."""
        angle = np.radians(self.azimuth)
        aim = np.array(self.aim)
        return np.array([aim[0] + self.distance * np.sin(angle), self.height, aim[2] + self.distance * np.cos(angle)])

    @property
    def axes(self) -> NDArray[np.float64]:
        """Rows: to the right of the picture, up in it, into it."""
        ahead = np.array(self.aim) - self.eye
        ahead /= np.linalg.norm(ahead)
        right = np.cross(ahead, [0.0, 1.0, 0.0])
        right /= np.linalg.norm(right)
        return np.stack([right, np.cross(right, ahead), ahead])

    def project(self, points: NDArray[np.float64], width: int, height: int) -> NDArray[np.float64]:
        """Return pixels (… x 2: x to the right, y down, 0 at the picture's corner) of points (… x 3)."""
        seen = (points - self.eye) @ self.axes.T
        scale = self.focal * height / seen[..., 2]
        return np.stack([width / 2 + scale * seen[..., 0], height / 2 - scale * seen[..., 1]], axis=-1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """A room: colours in linear light, patterns by number, sizes in metres; ``mat_half`` of 0 is no mat."""

    floor_a: Colour
    floor_b: Colour
    wall_a: Colour
    wall_b: Colour
    mat: Colour
    floor_kind: int
    wall_kind: int
    scale: float
    half: tuple[float, float, float]
    panel: float
    mat_half: tuple[float, float, float]
    mat_turn: float
    grain: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Lamp:
    """One lamp as seen from the performer (unit vector), how soft it is, and the light from above and below."""

    towards: tuple[float, float, float]
    spread: float
    key: Colour
    sky: Colour
    ground: Colour


def place(draw: np.random.Generator) -> Place:
    """Draw a room."""
    floor_a, floor_b = _FLOORS[int(draw.integers(len(_FLOORS)))]
    wall_a, wall_b = _WALLS[int(draw.integers(len(_WALLS)))]
    kind = int(draw.integers(4))
    has_mat = draw.random() < 0.4
    return Place(
        floor_a=linear(floor_a),
        floor_b=linear(floor_b),
        wall_a=linear(wall_a),
        wall_b=linear(wall_b),
        mat=linear(_MATS[int(draw.integers(len(_MATS)))]),
        floor_kind=min(kind, 2) if kind else 0,
        wall_kind=int(draw.integers(4)),
        scale=float((0.3, 0.16, 0.55, 0.55)[kind] * draw.uniform(0.85, 1.2)),
        half=(float(draw.uniform(4.6, 5.6)), 3.0, float(draw.uniform(4.6, 5.6))),
        panel=float(draw.uniform(0.8, 1.3)),
        mat_half=(1.15, 0.0, 1.05) if has_mat else (0.0, 0.0, 0.0),
        mat_turn=float(draw.uniform(-0.05, 0.05)),
        grain=float(draw.integers(1, 50)),
    )


def lamp(draw: np.random.Generator) -> Lamp:
    """Draw a light: from above, anywhere round the performer, warm or cool."""
    around, up = draw.uniform(0, 2 * np.pi), np.radians(draw.uniform(42, 72))
    warm = draw.uniform(-0.06, 0.06)
    strength, fill = draw.uniform(0.75, 1.05), draw.uniform(0.42, 0.6)
    return Lamp(
        towards=(float(np.cos(up) * np.sin(around)), float(np.sin(up)), float(np.cos(up) * np.cos(around))),
        spread=float(draw.uniform(0.04, 0.16)),
        key=(float(strength * (1 + warm)), float(strength), float(strength * (1 - warm))),
        sky=(float(fill * (1 - warm / 2)), float(fill), float(fill * (1 + warm / 2))),
        ground=(float(fill * 0.55), float(fill * 0.52), float(fill * 0.48)),
    )
