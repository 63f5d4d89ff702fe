"""Standing movements that are about the arms: overhead press, lateral raise, jumping jack."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from aqaudit.probe.limbs import unit
from aqaudit.probe.measure import FULL_SPREAD, LOWERING_S
from aqaudit.probe.rig import Posture, tilt
from aqaudit.probe.stances import (
    RAD,
    SIGNS,
    girdle,
    highest_hips,
    lengths,
    pairs,
    planted,
    pointing,
    swung_arms,
    vectors,
)
from aqaudit.probe.style import ease, sway, there_and_back

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from aqaudit.probe.body import Figure
    from aqaudit.probe.style import Style


def press(body: Figure, style: Style, t: NDArray[np.float64], faults: Mapping[str, float]) -> Posture:
    """Overhead press with dumbbells, from the shoulders to straight arms."""
    n, size = len(t), lengths(body)
    p = there_and_back(t, 0.2 + 0.05 * style.start, 0.95 + 0.06 * style.pace, 0.15, 0.9)
    tilted = faults.get("arms_not_vertical", style.arms - 1) * RAD
    bent = faults.get("elbows_bent", 4 + 2 * style.depth) * RAD
    uneven = faults.get("uneven_arms", 0.0) * RAD
    uppers, forearms, elevations = [], [], []
    for place, sign in enumerate(SIGNS):
        late = uneven if sign == style.side else 0.0
        # how far the upper arm is from straight up, and the forearm with it
        upper = (118 - 5 * style.width) * RAD * (1 - p) + (tilted + bent + late) * p
        lower = (tilted - 0.05) * p + 3 * RAD * (1 - p)
        ahead = 0.55 * (1 - p)
        uppers.append(unit(vectors(sign * np.sin(upper) * np.cos(ahead), np.cos(upper), np.sin(upper) * np.sin(ahead))))
        forearms.append(unit(vectors(sign * np.sin(lower), np.cos(lower), 0.04 * (1 - p))))
        elevations.append(np.pi - upper)
        del place
    arch = faults.get("leaning_back", 1.0 + style.lean) * RAD * p
    half = size.half_hips * (1.25 + 0.15 * style.width)
    drift = sway(style, t, 0.003)
    forward = 0.35 * size.trunk * np.sin(arch)
    y = highest_hips(size, half - size.half_hips + np.abs(drift[:, 0]), np.abs(forward + drift[:, 1])) - 0.002
    return Posture(
        hips=vectors(drift[:, 0], y, forward + drift[:, 1]),
        pelvis=tilt(-0.45 * arch),
        spine=vectors(-0.55 * arch, 0.0, 0.0),
        neck=vectors(-0.06 - 0.12 * p + 0.35 * arch, 0.0, 0.0),
        legs=planted(body, n, [[half, 0], [-half, 0]], 10 * RAD, 10 * RAD),
        arms=swung_arms(
            uppers,
            forearms,
            [vectors(0 * t + sign, 0.0, 0.3) for sign in SIGNS],
            [vectors(0 * t, 0.0, 1.0) for _ in SIGNS],
        ),
        shrug=pairs(*(girdle(part) for part in elevations)),
        reach=np.zeros((n, 2)),
        curl=1.1,
    )


def lateral_raise(body: Figure, style: Style, t: NDArray[np.float64], faults: Mapping[str, float]) -> Posture:
    """Lateral raise with dumbbells, to shoulder height and down in 1 s."""
    n, size = len(t), lengths(body)
    back = LOWERING_S - faults.get("rushed_lowering", 0.0)
    p = there_and_back(t, 0.15 + 0.04 * style.start, 0.85 + 0.04 * style.pace, 0.15, back)
    high = (88 + 3 * style.depth + faults.get("arms_too_high", 0.0)) * RAD
    bent = faults.get("elbows_bent", 10 + 4 * style.arms) * RAD
    elevations = []
    for sign in SIGNS:
        late = faults.get("uneven_arms", 0.0) * RAD if sign == style.side else 0.0
        elevations.append(9 * RAD * (1 - p) + (high - late) * p)
    uppers = [pointing(part, 75 * RAD)[place] for place, part in enumerate(elevations)]
    # elbows bend forward, and the more so the higher the arm
    forearms = []
    for upper, sign in zip(uppers, SIGNS, strict=True):
        towards = vectors(-0.35 * sign * (1 - p), 0.0, 1.0)
        towards = unit(towards - np.sum(towards * upper, axis=1, keepdims=True) * upper)
        forearms.append(np.cos(bent) * upper + np.sin(bent) * towards)
    poles = [vectors(0 * t + 0.1 * sign, -0.2, -1.0) for sign in SIGNS]
    palms = [vectors(-sign * (1 - p), -p - 0.05, 0.0) for sign in SIGNS]
    half = size.half_hips * (1.2 + 0.15 * style.width)
    drift = sway(style, t, 0.003)
    y = highest_hips(size, half - size.half_hips + np.abs(drift[:, 0]), np.abs(drift[:, 1])) - 0.002
    return Posture(
        hips=vectors(drift[:, 0], y, drift[:, 1]),
        pelvis=tilt(np.zeros(n)),
        spine=vectors(0.03 * style.lean * p, 0.0, 0.0),
        neck=vectors(0.04 * style.head + 0 * t, 0.0, 0.0),
        legs=planted(body, n, [[half, 0], [-half, 0]], 9 * RAD, 9 * RAD),
        arms=swung_arms(uppers, forearms, poles, palms),
        shrug=pairs(*(girdle(part) for part in elevations)),
        reach=np.zeros((n, 2)),
        curl=1.1,
    )


#: Seconds of one jumping jack, and its hop in metres.
JACK_S, HOP = 1.12, 0.05


def jack(body: Figure, style: Style, t: NDArray[np.float64], faults: Mapping[str, float]) -> Posture:
    """Two jumping jacks: feet apart with arms up, and together."""
    n, size = len(t), lengths(body)
    start = 0.08 + 0.04 * style.start
    legs_open, hop = _jacks(t - start, style)
    arms_open, _ = _jacks(t - start - faults.get("out_of_time", 0.0), style)
    wide = FULL_SPREAD * size.half_shoulders * 0.97 * (1 - faults.get("feet_narrow", 1 + style.width) / 100)
    closed = size.half_hips * 0.75
    half = closed + (wide - closed) * legs_open
    half = np.maximum(half, 0.055)
    top = (174 - faults.get("arms_short", 4 + 3 * style.arms)) * RAD
    elevations = []
    for sign in SIGNS:
        late = faults.get("uneven_arms", 0.0) * RAD if sign == style.side else 0.0
        elevations.append(12 * RAD * (1 - arms_open) + (top - late) * arms_open)
    uppers = [pointing(part, 84 * RAD)[place] for place, part in enumerate(elevations)]
    poles = [vectors(0 * t, -0.3, -1.0) for _ in SIGNS]
    bent = 0.12
    forearms = []
    for upper, sign in zip(uppers, SIGNS, strict=True):
        towards = vectors(0 * t - 0.1 * sign, 0.0, 1.0)
        towards = unit(towards - np.sum(towards * upper, axis=1, keepdims=True) * upper)
        forearms.append(np.cos(bent) * upper + np.sin(bent) * towards)
    palms = [vectors(0 * t - sign * 0.2, 0.1, 1.0) for sign in SIGNS]
    legs = planted(body, n, [[closed, 0], [-closed, 0]], 8 * RAD, 8 * RAD, 100 * np.clip(hop, 0, 0.05))
    for place, sign in enumerate(SIGNS):
        legs.ankle[:, place, 0] += sign * (half - closed)
        legs.ankle[:, place, 1] += hop
    soft = 0.018 + 0.02 * legs_open
    y = highest_hips(size, half - size.half_hips, 0.0) + hop - soft
    drift = sway(style, t, 0.002)
    return Posture(
        hips=vectors(0 * t, y, drift[:, 1] * 0),
        pelvis=tilt(np.full(n, 0.02)),
        spine=vectors(0.02 + 0 * t, 0.0, 0.0),
        neck=vectors(0.03 * style.head + 0 * t, 0.0, 0.0),
        legs=legs,
        arms=swung_arms(uppers, forearms, poles, palms),
        shrug=pairs(*(girdle(part) for part in elevations)),
        reach=np.zeros((n, 2)),
        curl=0.15,
    )


def _jacks(t: NDArray[np.float64], style: Style) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return how open the body is (0 to 1) and the height of the hop (metres) of two repetitions."""
    opening, hop = np.zeros_like(t), np.zeros_like(t)
    begin = 0.0
    for number in range(4):
        # no two repetitions take the same time or open as wide
        half = JACK_S / 2 * (1 + 0.015 * style.pace + (0.03 * style.head if number > 1 else 0.0))
        share = np.clip((t - begin) / half, 0, 1)
        begin += half
        way = ease(share * 1.25) * (1 - 0.02 * abs(style.lean) * (number > 1))
        opening = opening + (way if number % 2 == 0 else -way)
        hop = hop + HOP * np.sin(np.pi * np.clip(share * 1.25, 0, 1)) ** 2 * (share > 0)
    return opening, hop
