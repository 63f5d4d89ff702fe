"""Movements on the feet: squat, hip hinge, lunge, single-leg stance, overhead press, lateral raise, jumping jack.

Each is a function as :mod:`aqaudit.probe.motions` describes it: body, style, times (seconds) and faults to a posture.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from aqaudit.probe.body import BodyMesh, unit
from aqaudit.probe.casting import Style, ease, sway, there_and_back
from aqaudit.probe.measure import DESCENT_S, FULL_HINGE, FULL_SPREAD, LOWERING_S
from aqaudit.probe.rig import (
    RAD,
    SIGNS,
    Arms,
    Posture,
    girdle,
    hanging,
    highest_hips,
    lengths,
    lowest,
    pairs,
    planted,
    pointing,
    swung_arms,
    tilt,
    vectors,
)

#: Seconds of one jumping jack, and its hop in metres.
JACK_S, HOP = 1.12, 0.05


def squat(body: BodyMesh, style: Style, t: NDArray[np.float64], faults: Mapping[str, float]) -> Posture:
    """Bodyweight squat: down in 1.2 s, up in 0.8 s."""
    n, size = len(t), lengths(body)
    down = DESCENT_S - faults.get("rushed_descent", 0.0)
    start = 0.2 + 0.05 * style.start
    p = there_and_back(t, start, down, 0.1, 0.75)
    half = size.half_hips * (1.75 + 0.25 * style.width)
    yaw = (16 + 7 * style.turnout) * RAD
    shank = (30 + 3 * style.depth) * RAD * p
    thigh = (90 - faults.get("shallow_depth", -4 + 4 * style.depth)) * RAD * p
    shank = shank * (0.45 + 0.35 * thigh.max())
    # seen from above, the thigh leads from the hip back to the knee, which is farther out than the hip
    flat = size.thigh * np.sin(thigh)
    knee_out = half + size.shank * np.sin(shank.max()) * np.sin(yaw) - size.half_hips
    back = flat * np.sqrt(max(1 - (knee_out / max(float(flat.max()), 1e-9)) ** 2, 0.0))
    z = size.shank * np.sin(shank) * np.cos(yaw) - back
    drift = sway(style, t, 0.003)
    x = drift[:, 0] + style.side * faults.get("weight_shift", 0.0) / 100 * p
    y = size.ankle + size.shank * np.cos(shank) + size.thigh * np.cos(thigh)
    y = lowest(y, highest_hips(size, half - size.half_hips + np.abs(x), z))
    inward = faults.get("knees_inward", 0.0) * RAD * ease(p * 1.3)
    legs = planted(body, n, [[half, 0], [-half, 0]], yaw, yaw - inward, faults.get("heel_lift", 0.0) * ease(p * 1.2))
    lean = (37 + 5 * style.lean) * RAD * np.sin(np.minimum(thigh, np.pi / 2))
    rounding = faults.get("rounded_back", 0.0) * RAD * p
    arms, raised = _front_arms(style, p)
    return Posture(
        hips=vectors(x, y, z + drift[:, 1]),
        pelvis=tilt(0.8 * lean - 0.35 * rounding),
        spine=vectors(0.2 * lean, -x * 0.6, 0.0),
        neck=vectors(-(0.55 + 0.1 * style.head) * lean - 0.3 * rounding, 0.0, 0.0),
        extra_curve=rounding,
        legs=legs,
        arms=arms,
        shrug=pairs(girdle(raised), girdle(raised)),
        reach=np.zeros((n, 2)),
        curl=0.25,
    )


def _front_arms(style: Style, p: NDArray[np.float64]) -> tuple[Arms, NDArray[np.float64]]:
    """Return arms held or brought forward to shoulder height, and how high they are."""
    high = (80 + 8 * style.arms) * RAD
    raised = 12 * RAD + (high - 12 * RAD) * (p if style.variant == 0 else np.ones_like(p))
    bent = (0.12, 0.12, 0.5)[style.variant]
    uppers = pointing(raised, 0.12)
    forearms = [
        vectors(u[:, 0] - sign * bent * 0.9 * np.sin(raised), u[:, 1] + 0.25 * bent, u[:, 2])
        for u, sign in zip(uppers, SIGNS, strict=True)
    ]
    poles = [vectors(0 * p + sign * 0.7, -0.7, -0.3) for sign in SIGNS]
    palms = [vectors(0 * p - sign * (1 - p * 0.6), -np.sin(raised), 0.0) for sign in SIGNS]
    forearms = [part / np.linalg.norm(part, axis=1, keepdims=True) for part in forearms]
    return swung_arms(uppers, forearms, poles, palms), raised


def hinge(body: BodyMesh, style: Style, t: NDArray[np.float64], faults: Mapping[str, float]) -> Posture:
    """Hip hinge with dumbbells: the trunk bends forward over nearly straight legs."""
    n, size = len(t), lengths(body)
    p = there_and_back(t, 0.2 + 0.05 * style.start, 1.05 + 0.05 * style.pace, 0.1, 0.85)
    knees = faults.get("knees_bent", 2 * style.depth) * RAD + 20 * RAD
    shank = (0.25 * 20 * RAD + 0.45 * (knees - 20 * RAD)) * p
    thigh = knees * p - shank
    half = size.half_hips * (1.15 + 0.1 * style.width)
    yaw = (6 + 4 * style.turnout) * RAD
    z = size.shank * np.sin(shank) - size.thigh * np.sin(thigh) - 0.03 * p
    y = size.ankle + size.shank * np.cos(shank) + size.thigh * np.cos(thigh)
    drift = sway(style, t, 0.003)
    y = lowest(y, highest_hips(size, half - size.half_hips + np.abs(drift[:, 0]), z))
    lean = FULL_HINGE * RAD * (1 - faults.get("incomplete_range", 3 * style.lean) / 100) * p
    rounding = faults.get("rounded_back", 0.0) * RAD * p
    uppers = [vectors(0 * t + sign * 0.07, -1.0, 0.03 * p) for sign in SIGNS]
    poles = [vectors(0 * t + sign * 0.6, 0.0, -0.8) for sign in SIGNS]
    palms = [vectors(-sign * (1 - 0.7 * p), 0.0, -0.15 - 0.8 * p) for sign in SIGNS]
    arms = swung_arms(uppers, [vectors(0 * t + sign * 0.02, -1.0, 0.1) for sign in SIGNS], poles, palms)
    return Posture(
        hips=vectors(drift[:, 0], y, z + drift[:, 1]),
        pelvis=tilt(0.9 * lean - 0.45 * rounding),
        spine=vectors(0.1 * lean, 0.0, 0.0),
        neck=vectors(-(0.45 + 0.1 * style.head) * lean - 0.25 * rounding, 0.0, 0.0),
        extra_curve=rounding,
        legs=planted(body, n, [[half, 0], [-half, 0]], yaw, yaw),
        arms=arms,
        shrug=np.zeros((n, 2)),
        reach=pairs(0.12 * p, 0.12 * p),
        curl=1.1,
    )


def lunge(body: BodyMesh, style: Style, t: NDArray[np.float64], faults: Mapping[str, float]) -> Posture:
    """Forward lunge: a step, down, up, and back; the leg in front is ``style.side``."""
    n, size = len(t), lengths(body)
    start = 0.12 + 0.04 * style.start
    step = there_and_back(t, start, 0.62, 0.66, 0.75)
    low = there_and_back(t, start + 0.32, 0.7, 0.14, 0.72)
    rise = faults.get("shallow_lunge", 3 * style.depth) * RAD
    past = faults.get("knee_past_toes", -13 + 3 * style.depth) / 100
    shank = np.arcsin(np.clip((size.foot + 0.055 + past) / size.shank, -0.2, 0.85))
    # a knee far forward would let the hips sink to the floor; the thigh stays a little higher instead
    rise = rise + 0.6 * np.arcsin(size.shank * (1 - np.cos(shank)) / size.thigh)
    stride = (0.86 + 0.04 * style.width) * (size.thigh + size.shank)
    front = stride * step
    half = 0.095 + 0.015 * style.width
    lift = 0.09 * (np.sin(np.pi * ease((t - start) / 0.62)) + np.sin(np.pi * ease((t - start - 1.28) / 0.75)))
    low_z = stride + size.shank * np.sin(shank) - size.thigh * np.cos(rise)
    low_y = size.ankle + size.shank * np.cos(shank) + size.thigh * np.sin(rise)
    z = 0.45 * front * (1 - low) + low_z * low
    heel = 100 * (size.foot + 0.05) * np.sin((58 * RAD) * step)
    first, second = (0, 1) if style.side > 0 else (1, 0)
    lifts = np.zeros((n, 2))
    lifts[:, second] = heel
    knee_yaw = np.zeros((n, 2)) + 4 * RAD
    knee_yaw[:, first] -= faults.get("knee_inward", 0.0) * RAD * ease(low * 1.3)
    legs = planted(body, n, [[half, 0], [-half, 0]], 4 * RAD, knee_yaw, lifts)
    legs.ankle[:, first, 2] += front
    legs.ankle[:, first, 1] += lift
    drift = sway(style, t, 0.002)
    tall = size.ankle + 0.997 * (size.thigh + size.shank)
    y = tall * (1 - low) + low_y * low
    away = [z - legs.ankle[:, place, 2] for place in (0, 1)]
    reach = [highest_hips(size, half - size.half_hips + 0.02, away[k], legs.ankle[:, k, 1]) for k in (0, 1)]
    y = lowest(y, *reach)
    lean = (faults.get("leaning_forward", 4 + 3 * style.lean) * low + 2 * step * (1 - low)) * RAD
    arms = hanging(n, 0.2 + 0.05 * style.arms, 0.25)
    return Posture(
        hips=vectors(drift[:, 0], y, z + drift[:, 1]),
        pelvis=tilt(0.55 * lean),
        spine=vectors(0.45 * lean, 0.0, 0.0),
        neck=vectors(-(0.5 + 0.1 * style.head) * lean, 0.0, 0.0),
        legs=legs,
        arms=arms,
        shrug=np.zeros((n, 2)),
        reach=np.zeros((n, 2)),
        curl=0.35,
    )


def stance(body: BodyMesh, style: Style, t: NDArray[np.float64], faults: Mapping[str, float]) -> Posture:
    """Single-leg stance: one knee comes up and is held; ``style.side`` is the leg stood on."""
    n, size = len(t), lengths(body)
    up = ease((t - 0.15) / (0.75 + 0.08 * style.pace))
    stand, free = (0, 1) if style.side > 0 else (1, 0)
    sign = SIGNS[stand]
    half = size.half_hips * 0.95
    drift = sway(style, t, 0.002)
    wobble = faults.get("wobble", 0.0) / 100 / 2 * np.sin(2 * np.pi * 1.15 * (t - 0.5) + 0.4) * up
    drop = faults.get("hip_drop", 0.0) * RAD * up
    # the hip stood on juts out as the other one drops
    x = sign * (half - 0.015) * up + drift[:, 0] + 0.5 * wobble + 0.5 * sign * size.half_hips * np.sin(drop)
    y = highest_hips(size, np.abs(half - size.half_hips) + 0.02, 0.0) - 0.012 * up
    lean = sign * faults.get("leaning_sideways", 0.0) * RAD * up
    # hips turn about the joint stood on
    y = y - np.sin(drop) * size.half_hips - 0.002 + np.zeros(n)
    y = np.minimum(y, highest_hips(size, np.abs(sign * half - x - sign * size.half_hips * np.cos(drop)), 0.0)
                   - np.sin(drop) * size.half_hips * 0.98)  # fmt: skip
    roll = -sign * drop
    shoulder_way = wobble / (size.trunk * 1.0) * 0.6
    legs = planted(body, n, [[half, 0], [-half, 0]], 5 * RAD, 5 * RAD)
    thigh = (72 + 10 * style.depth) * RAD * up
    hip_x = x - sign * size.half_hips * np.cos(drop)
    hip_y = y - np.sin(drop) * size.half_hips
    free_ankle = vectors(
        hip_x,
        hip_y - size.thigh * np.cos(thigh) - size.shank * np.cos(0.12 * up),
        size.thigh * np.sin(thigh) - size.shank * np.sin(0.12 * up),
    )
    ground = legs.ankle[:, free]
    legs.ankle[:, free] = ground * (1 - ease(up * 4))[:, None] + free_ankle * ease(up * 4)[:, None]
    legs.pole[:, free] = vectors(-sign * 0.05, 0.0, 1.0) + np.zeros((n, 3))
    apart = (16 + 8 * style.arms) * RAD if style.variant else (55 + 12 * style.arms) * RAD
    arms = hanging(n, apart, 0.2)
    return Posture(
        hips=vectors(x, y, drift[:, 1]),
        pelvis=tilt(np.zeros(n), roll + 0.2 * lean),
        spine=vectors(0.0, -roll + 0.8 * lean + shoulder_way, 0.0),
        neck=vectors(0.0, -0.7 * (lean + shoulder_way), 0.0),
        legs=legs,
        arms=arms,
        shrug=np.zeros((n, 2)),
        reach=np.zeros((n, 2)),
        curl=0.3,
    )


def press(body: BodyMesh, style: Style, t: NDArray[np.float64], faults: Mapping[str, float]) -> Posture:
    """Overhead press with dumbbells, from the shoulders to straight arms."""
    n, size = len(t), lengths(body)
    p = there_and_back(t, 0.2 + 0.05 * style.start, 0.95 + 0.06 * style.pace, 0.15, 0.9)
    tilted = faults.get("arms_not_vertical", style.arms - 1) * RAD
    bent = faults.get("elbows_bent", 4 + 2 * style.depth) * RAD
    uneven = faults.get("uneven_arms", 0.0) * RAD
    uppers, forearms, elevations = [], [], []
    for sign in SIGNS:
        late = uneven if sign == style.side else 0.0
        # how far the upper arm is from straight up, and the forearm with it
        upper = (118 - 5 * style.width) * RAD * (1 - p) + (tilted + bent + late) * p
        lower = (tilted - 0.05) * p + 3 * RAD * (1 - p)
        ahead = 0.55 * (1 - p)
        uppers.append(unit(vectors(sign * np.sin(upper) * np.cos(ahead), np.cos(upper), np.sin(upper) * np.sin(ahead))))
        forearms.append(unit(vectors(sign * np.sin(lower), np.cos(lower), 0.04 * (1 - p))))
        elevations.append(np.pi - upper)
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


def lateral_raise(body: BodyMesh, style: Style, t: NDArray[np.float64], faults: Mapping[str, float]) -> Posture:
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


def jack(body: BodyMesh, style: Style, t: NDArray[np.float64], faults: Mapping[str, float]) -> Posture:
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
