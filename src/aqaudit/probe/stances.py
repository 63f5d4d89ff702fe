"""Parts of postures that exercises share: a body's lengths, feet on the floor, arms by direction."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from aqaudit.probe.limbs import across, unit
from aqaudit.probe.rig import Arms, Legs, level_foot

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    from aqaudit.probe.body import Figure

SIGNS = (1.0, -1.0)
RAD = np.pi / 180


@dataclass(frozen=True, slots=True, kw_only=True)
class Lengths:
    """A body's lengths in metres: bones, half widths at hips and shoulders, heights of ankle and hip.

    ``trunk`` is from the hip joints to the shoulder joints, which at rest lean forward by ``slant`` (radians).
    """

    thigh: float
    shank: float
    upper_arm: float
    forearm: float
    half_hips: float
    half_shoulders: float
    ankle: float
    trunk: float
    slant: float
    foot: float
    hip_height: float


def lengths(body: Figure) -> Lengths:
    """Measure a body."""
    hip, knee, ankle = (body.head(f"{name}.L") for name in ("upperleg01", "lowerleg01", "foot"))
    shoulder, elbow, wrist = (body.head(f"{name}.L") for name in ("upperarm01", "lowerarm01", "wrist"))
    toe = body.head("toe2-1.L")
    return Lengths(
        thigh=float(np.linalg.norm(knee - hip)),
        shank=float(np.linalg.norm(ankle - knee)),
        upper_arm=float(np.linalg.norm(elbow - shoulder)),
        forearm=float(np.linalg.norm(wrist - elbow)),
        half_hips=float(abs(hip[0])),
        half_shoulders=float(abs(shoulder[0])),
        ankle=float(ankle[1]),
        trunk=float(np.hypot(shoulder[1] - hip[1], shoulder[2] - hip[2])),
        slant=float(np.arctan2(shoulder[2] - hip[2], shoulder[1] - hip[1])),
        foot=float(np.hypot(toe[0] - ankle[0], toe[2] - ankle[2])),
        hip_height=float(hip[1]),
    )


def vectors(*parts: ArrayLike) -> NDArray[np.float64]:
    """Return T x 3 vectors of three numbers or series."""
    return np.stack(np.broadcast_arrays(*(np.asarray(part, dtype=float) for part in parts)), axis=-1)


def pairs(left: NDArray[np.float64], right: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return left and right as one array, side after time."""
    return np.stack([left, right], axis=1)


def planted(
    body: Figure,
    times: int,
    places: ArrayLike,
    yaw: ArrayLike,
    knee_yaw: ArrayLike,
    lift_cm: ArrayLike = 0.0,
) -> Legs:
    """Return legs whose feet stand at ``places`` (2 x (x, z) of the ankles, metres).

    ``yaw`` turns the feet out and ``knee_yaw`` the knees (radians; each a number, or T x 2), ``lift_cm`` raises the
    heels (cm; number, T or T x 2) about the balls of the feet, which stay where they are.
    """
    spot = np.asarray(places, dtype=float)
    feet = _by_side(yaw, times)
    knees = _by_side(knee_yaw, times)
    size = lengths(body)
    heel_reach = size.foot + 0.05
    pitch = np.arcsin(np.clip(_by_side(lift_cm, times) / 100 / heel_reach, 0, 0.97))
    ankles, poles, rotations = [], [], []
    for place, sign in enumerate(SIGNS):
        level = level_foot(body, feet[:, place], np.zeros(times), place)
        risen = level_foot(body, feet[:, place], pitch[:, place], place)
        side = "L" if place == 0 else "R"
        ball = body.head(f"toe2-1.{side}") - body.head(f"foot.{side}")
        rest = vectors(spot[place, 0], size.ankle, spot[place, 1]) + np.zeros((times, 3))
        ankles.append(rest + np.einsum("tij,j->ti", level - risen, ball))
        poles.append(vectors(sign * np.sin(knees[:, place]), 0.0, np.cos(knees[:, place])))
        rotations.append(risen)
    return Legs(ankle=pairs(*ankles), pole=pairs(*poles), foot=pairs(*rotations), toes=-pitch)


def _by_side(values: ArrayLike, times: int) -> NDArray[np.float64]:
    table = np.asarray(values, dtype=float)
    if table.ndim == 1 and len(table) == times:
        table = table[:, None]
    return np.broadcast_to(table, (times, 2))


def highest_hips(
    size: Lengths, sideways: ArrayLike, forward: ArrayLike, ankle: ArrayLike | None = None
) -> NDArray[np.float64]:
    """Return how high the hips can be with straight legs whose ankles are that far away sideways and forward."""
    away = np.asarray(sideways) ** 2 + np.asarray(forward) ** 2
    reach = 0.997 * (size.thigh + size.shank)
    return (size.ankle if ankle is None else np.asarray(ankle)) + np.sqrt(np.maximum(reach**2 - away, 0.01))


def lowest(*heights: ArrayLike) -> NDArray[np.float64]:
    """Return the least of several heights, rounded off by some millimetres where two cross, so that nothing jerks."""
    table = np.stack(np.broadcast_arrays(*(np.asarray(one, dtype=float) for one in heights)))
    least = table.min(axis=0)
    return least - 0.006 * np.log(np.exp(-(table - least) / 0.006).sum(axis=0))


def pointing(elevation: NDArray[np.float64], azimuth: ArrayLike) -> list[NDArray[np.float64]]:
    """Return directions for (left, right): ``elevation`` from straight down, ``azimuth`` from forward to the side."""
    azimuth = np.asarray(azimuth, dtype=float)
    return [
        vectors(sign * np.sin(elevation) * np.sin(azimuth), -np.cos(elevation), np.sin(elevation) * np.cos(azimuth))
        for sign in SIGNS
    ]


def swung_arms(
    uppers: list[NDArray[np.float64]],
    forearms: list[NDArray[np.float64]],
    poles: list[NDArray[np.float64]],
    palms: list[NDArray[np.float64]],
    hands: list[NDArray[np.float64]] | None = None,
) -> Arms:
    """Return arms with given directions of upper arm and forearm; ``poles`` say where straight elbows would point."""
    flexions, bends = [], []
    for above, below, pole in zip(uppers, forearms, poles, strict=True):
        cosine = np.clip(np.sum(unit(above) * unit(below), axis=-1), -1, 1)
        flexion = np.arccos(cosine)
        away = -(below - np.sum(below * above, axis=-1, keepdims=True) * above)
        # a straight elbow has no direction of its own; the pole takes over smoothly
        flexions.append(flexion)
        bends.append(unit(away + 0.02 * np.exp(-((flexion / 0.1) ** 2))[..., None] * across(pole, unit(above))))
    return Arms(
        pole=pairs(*bends),
        palm=pairs(*palms),
        upper=pairs(*(unit(part) for part in uppers)),
        flexion=pairs(*flexions),
        hand=None if hands is None else pairs(*hands),
    )


def girdle(elevation: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return how far the shoulder blade lifts (radians) with an arm raised that far."""
    return 0.24 * np.clip(elevation - 0.7, 0, None)


def hanging(times: int, apart: float, bent: float) -> Arms:
    """Return arms that hang at the sides, ``apart`` from the body and a little ``bent`` (radians)."""
    down = np.zeros(times)
    uppers = pointing(down + apart, np.pi / 2 + 0.15)
    forearms = [
        unit(vector + np.tan(bent) * np.array([-0.2 * sign, 0.0, 1.0]))
        for vector, sign in zip(uppers, SIGNS, strict=True)
    ]
    poles = [vectors(0 * down + 0.2 * sign, 0.0, -1.0) for sign in SIGNS]
    palms = [vectors(0 * down - sign, 0.0, 0.0) for sign in SIGNS]
    return swung_arms(uppers, forearms, poles, palms)
