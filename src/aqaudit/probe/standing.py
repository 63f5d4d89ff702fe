"""Movements on the feet that are about legs and trunk: squat, hip hinge, lunge, single-leg stance."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from aqaudit.probe.measure import DESCENT_S, FULL_HINGE
from aqaudit.probe.rig import Arms, Posture, tilt
from aqaudit.probe.stances import (
    RAD,
    SIGNS,
    girdle,
    hanging,
    highest_hips,
    lengths,
    lowest,
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


def squat(body: Figure, style: Style, t: NDArray[np.float64], faults: Mapping[str, float]) -> Posture:
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


def hinge(body: Figure, style: Style, t: NDArray[np.float64], faults: Mapping[str, float]) -> Posture:
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


def lunge(body: Figure, style: Style, t: NDArray[np.float64], faults: Mapping[str, float]) -> Posture:
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


def stance(body: Figure, style: Style, t: NDArray[np.float64], faults: Mapping[str, float]) -> Posture:
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
