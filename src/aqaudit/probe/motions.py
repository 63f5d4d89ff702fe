"""Movements by name: those on hands or forearms are here; and the commanded severity made exact by measuring it.

A movement is a function of body, style, times and *faults*: amounts that its author gave a meaning close to the error's
unit. What the joints then show is measured (:mod:`aqaudit.probe.measure`) and the amount corrected until it is what was
commanded, so a severity means the same on every body.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
from numpy.typing import ArrayLike, NDArray

from aqaudit.probe import standing
from aqaudit.probe.body import BodyMesh
from aqaudit.probe.casting import Style, sway, there_and_back
from aqaudit.probe.errors import EXERCISES, checked_severity
from aqaudit.probe.measure import FULL_PUSHUP, raw_severity
from aqaudit.probe.rig import (
    RAD,
    SIGNS,
    Arms,
    Bones,
    Legs,
    Lengths,
    Posture,
    lengths,
    level_foot,
    pairs,
    solve,
    tilt,
    vectors,
)

Movement = Callable[[BodyMesh, Style, NDArray[np.float64], Mapping[str, float]], Posture]

#: Seconds of every clip, its frames a second and their times.
DURATION_S, FPS = 2.4, 15.0
CLIP_TIMES = np.arange(round(DURATION_S * FPS)) / FPS
#: Exercises done with a dumbbell in each hand.
DUMBBELLS = frozenset({"press", "hinge", "raise"})
#: How far the wrist joint is above the floor with the palm on it, and the elbow joint with the forearm on it, metres.
PALM, FOREARM = 0.062, 0.05


def pushup(body: BodyMesh, style: Style, t: NDArray[np.float64], faults: Mapping[str, float]) -> Posture:
    """Push-up: down until the elbows are bent by 90 degrees, and up."""
    n, size = len(t), lengths(body)
    p = there_and_back(t, 0.15 + 0.05 * style.start, 0.95 + 0.06 * style.pace, 0.1, 0.9)
    drift = sway(style, t, 0.0015)
    below = (faults.get("hip_sag", 0.0) - faults.get("hips_high", 0.0)) / 100 + drift[:, 1]
    legs, ankle = _toes(body, n, 0.07 + 0.01 * style.turnout, -0.75, 72 * RAD)
    leg = 0.998 * (size.thigh + size.shank)
    flat = np.sqrt(leg**2 - np.minimum(below**2, 0.2)) + np.sqrt(size.trunk**2 - np.minimum(below**2, 0.2))
    # hands under the shoulders of the straight body with straight arms
    out = 0.05 + 0.02 * style.width
    reach = _chord(size, 8 * RAD)
    height = np.sqrt(reach**2 - out**2) + PALM - ankle[0]
    whole = leg + size.trunk
    far = np.sqrt(whole**2 - height**2) + 0.02 * style.lean
    deep = FULL_PUSHUP * (1 - faults.get("incomplete_range", 2 * style.depth) / 100) * RAD
    bent = 8 * RAD + (deep - 8 * RAD) * p
    to_wrist = np.hypot(far, PALM - ankle[0])
    arm = np.sqrt(_chord(size, bent) ** 2 - out**2)
    cosine = (flat**2 + to_wrist**2 - arm**2) / (2 * flat * to_wrist)
    rise = np.arccos(np.clip(cosine, -1, 1)) + np.arctan2(PALM - ankle[0], far)
    hips, low, high = _line(size, ankle, rise, below)
    tilted, spine = _trunk(size, low, high)
    flare = (38 + faults.get("elbows_flared", 0.0)) * RAD
    wrist = [vectors(sign * (size.half_shoulders + out), PALM, ankle[1] + far) + np.zeros((n, 3)) for sign in SIGNS]
    arms = Arms(
        wrist=pairs(*wrist),
        pole=pairs(*(vectors(0 * t + sign * np.sin(flare), 0.25, -np.cos(flare)) for sign in SIGNS)),
        palm=pairs(*(vectors(0 * t, -1.0, 0.0) for _ in SIGNS)),
        hand=pairs(*(vectors(0 * t + 0.12 * sign, -0.03, 1.0) for sign in SIGNS)),
    )
    return Posture(
        hips=hips,
        pelvis=tilt(tilted),
        spine=vectors(spine, 0.0, 0.0),
        neck=vectors(-0.3 + 0.1 * style.head + 0 * t, 0.0, 0.0),
        legs=legs,
        arms=arms,
        shrug=np.zeros((n, 2)),
        reach=np.full((n, 2), 0.1),
        curl=-0.2,
    )


def plank(body: BodyMesh, style: Style, t: NDArray[np.float64], faults: Mapping[str, float]) -> Posture:
    """Forearm plank, held; the hips sink in the course of it where that is the error."""
    n, size = len(t), lengths(body)
    drift = sway(style, t, 0.0015)
    span = max(float(t[-1] - t[0]), 1e-9)
    sunk = faults.get("sinking", 0.0) * 1.12 * np.clip((t - t[0]) / span, 0, 1)
    below = (faults.get("hip_sag", 0.0) - faults.get("hips_high", 0.0) + sunk) / 100 + drift[:, 1]
    legs, ankle = _toes(body, n, 0.07 + 0.015 * style.turnout, -0.75, 70 * RAD)
    leg = 0.998 * (size.thigh + size.shank)
    height = FOREARM + 0.985 * size.upper_arm
    flat = np.sqrt(leg**2 - np.minimum(below**2, 0.2)) + np.sqrt(size.trunk**2 - np.minimum(below**2, 0.2))
    rise = np.arcsin(np.clip((height - ankle[0]) / flat, -1, 1))
    hips, low, high = _line(size, ankle, rise, below)
    tilted, spine = _trunk(size, low, high)
    elbow_z = ankle[1] + np.sqrt((leg + size.trunk) ** 2 - (height - ankle[0]) ** 2)
    turned_in = 0.1 + 0.08 * style.arms
    out = size.half_shoulders + 0.01
    wrist = [
        vectors(
            sign * (out - size.forearm * np.sin(turned_in)), FOREARM + 0.015, elbow_z + size.forearm * np.cos(turned_in)
        )
        + np.zeros((n, 3))
        for sign in SIGNS
    ]
    arms = Arms(
        wrist=pairs(*wrist),
        pole=pairs(*(vectors(0 * t + 0.1 * sign, -1.0, -0.8) for sign in SIGNS)),
        palm=pairs(*(vectors(0 * t - sign, -0.25, 0.0) for sign in SIGNS)),
    )
    drop = faults.get("head_drop", 0.0) * RAD
    return Posture(
        hips=hips,
        pelvis=tilt(tilted),
        spine=vectors(spine, 0.0, 0.0),
        neck=vectors(-0.12 + 0.06 * style.head + drop + 0 * t, 0.0, 0.0),
        legs=legs,
        arms=arms,
        shrug=np.zeros((n, 2)),
        reach=np.full((n, 2), 0.05),
        curl=0.9,
    )


def _toes(body: BodyMesh, n: int, half: float, ball_z: float, pitch: float) -> tuple[Legs, NDArray[np.float64]]:
    """Return legs that stand on the toes, and the place of the ankles in the sagittal plane (y, z)."""
    ankles, rotations = [], []
    for place, sign in enumerate(SIGNS):
        side = "L" if place == 0 else "R"
        rotation = level_foot(body, np.zeros(n), np.full(n, pitch), place)
        ball = body.head(f"toe2-1.{side}") - body.head(f"foot.{side}")
        spot = np.array([sign * half + ball[0], 0.045, ball_z])
        ankles.append(spot - np.einsum("tij,j->ti", rotation, ball))
        rotations.append(rotation)
    legs = Legs(
        ankle=pairs(*ankles),
        pole=pairs(*(vectors(np.zeros(n) + 0.03 * sign, -1.0, 0.2) for sign in SIGNS)),
        foot=pairs(*rotations),
        toes=np.full((n, 2), pitch - 0.15) * -1.0,
    )
    return legs, ankles[0][0, 1:]


def _line(
    size: Lengths, ankle: NDArray[np.float64], rise: NDArray[np.float64], below: ArrayLike
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Return hips (T x 3), and the angles of legs and trunk above horizontal, for a body line that rises so steeply.

    ``below`` is how far the hips are under the line from ankles to shoulders, metres (negative: above it).
    """
    leg = 0.998 * (size.thigh + size.shank)
    off = np.broadcast_to(np.asarray(below, dtype=float), rise.shape)
    legs = rise - np.arcsin(np.clip(off / leg, -0.9, 0.9))
    trunk = rise + np.arcsin(np.clip(off / size.trunk, -0.9, 0.9))
    hips = vectors(0.0, ankle[0] + leg * np.sin(legs), ankle[1] + leg * np.cos(legs))
    return hips, legs, trunk


def _trunk(
    size: Lengths, legs: NDArray[np.float64], trunk: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return how far the pelvis is tilted forward, and the spine's bend that brings the shoulders where they belong."""
    pelvis = trunk - 0.45 * (trunk - legs)
    return np.pi / 2 - size.slant - pelvis, -2 * 0.45 * (trunk - legs)


def _chord(size: Lengths, flexion: ArrayLike) -> NDArray[np.float64]:
    """Return the distance from shoulder to wrist of an elbow bent by this angle (radians)."""
    a, b = size.upper_arm, size.forearm
    chord: NDArray[np.float64] = np.sqrt(a**2 + b**2 + 2 * a * b * np.cos(flexion))
    return chord


_MOVEMENTS: Mapping[str, Movement] = {
    "squat": standing.squat,
    "press": standing.press,
    "lunge": standing.lunge,
    "pushup": pushup,
    "hinge": standing.hinge,
    "stance": standing.stance,
    "plank": plank,
    "jack": standing.jack,
    "raise": standing.lateral_raise,
}


def move(body: BodyMesh, exercise: str, style: Style, times: NDArray[np.float64], faults: Mapping[str, float]) -> Bones:
    """Return the bones of a performance at ``times`` (seconds)."""
    return solve(body, _MOVEMENTS[exercise](body, style, times, faults))


def fault_for(body: BodyMesh, exercise: str, error: str, severity: float, style: Style) -> dict[str, float]:
    """Return the fault that shows as ``severity``; none for severity 0, which is a clean execution.

    Raises
    ------
    BadInput
        For an error that the exercise does not have and a severity that is impossible.
    """
    spec = EXERCISES[exercise].error(error)
    wanted = checked_severity(spec, severity)
    if wanted == 0:
        return {}
    if not spec.calibrated:
        return {error: wanted}
    times = CLIP_TIMES

    def shown(amount: float) -> float:
        bones = move(body, exercise, style, times, {error: amount})
        return raw_severity(exercise, error, body.named_points(bones.rotations, bones.positions), times)

    first, second = wanted, wanted * 1.1 + 0.1
    at_first, at_second = shown(first), shown(second)
    for _ in range(8):
        if abs(at_first - wanted) < 1e-4 or abs(at_first - at_second) < 1e-12:
            break
        step = (wanted - at_first) * (first - second) / (at_first - at_second)
        second, at_second = first, at_first
        first = first + float(np.clip(step, -20, 20))
        at_first = shown(first)
    return {error: first}
