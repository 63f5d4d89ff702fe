"""What differs between two good repetitions: pace, depth, stance, where the arms are, small sway."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray


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
