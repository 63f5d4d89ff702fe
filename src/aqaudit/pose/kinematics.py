"""Kinematics: joint angles, inclinations, distances, symmetry, speed and phase, from keypoints alone.

In the picture (2D) a quantity is what the picture shows, not what the body does: a limb that points at the camera looks
short. Where the source gives joints in space, the same quantities are taken from them too, with ``_3d`` in their names.
A value rests on joints of a confidence of at least 0.3 (:data:`~aqaudit.pose.coco17.MIN_CONFIDENCE`), else it is
NaN; its confidence is the lowest of its joints'. "Vertical" is the picture's, or y in space: the camera is taken to be
level. The angles are the included angles between segments that clinical goniometry reads (Norkin & White, *Measurement
of Joint Motion*), but with 180 degrees for a straight joint; :func:`valgus` is the frontal plane projection angle
(Willson & Davis, J Orthop Sports Phys Ther 2008).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from aqaudit.pose.coco17 import INDEX, MIN_CONFIDENCE, Keypoints

Values = NDArray[np.float64]

#: Quantities by name without side: unit, and what it is. Sided ones are measured as ``<name>_left`` and ``_right``.
QUANTITIES: dict[str, tuple[str, str]] = {
    "knee_angle": ("deg", "between thigh and shank at the knee; 180 = straight"),
    "hip_angle": ("deg", "between trunk side (shoulder to hip) and thigh at the hip; 180 = straight"),
    "elbow_angle": ("deg", "between upper arm and forearm at the elbow; 180 = straight"),
    "shoulder_angle": ("deg", "between trunk side and upper arm at the shoulder; 0 = arm along the trunk"),
    "thigh_inclination": ("deg", "of the line from knee to hip against vertical; 0 = hip straight above knee"),
    "shank_inclination": ("deg", "of the line from ankle to knee against vertical"),
    "upper_arm_inclination": ("deg", "of the line from elbow to shoulder against vertical; 180 = arm straight up"),
    "forearm_inclination": ("deg", "of the line from wrist to elbow against vertical"),
    "trunk_inclination": ("deg", "of the line from mid-hip to mid-shoulder against vertical; 90 = lying"),
    "shoulder_tilt": ("deg", "of the line between the shoulders against horizontal, 0 to 90"),
    "hip_tilt": ("deg", "of the line between the hips against horizontal, 0 to 90"),
    "knee_valgus": ("deg", "how far the knee bends towards the body's middle off the line from hip to ankle"),
    "hip_height": ("body lengths", "of mid-hip above the lowest ankle of the moment"),
    "shoulder_height": ("body lengths", "of mid-shoulder above the lowest ankle of the moment"),
    "knee_height": ("body lengths", "of the knee above the lowest ankle of the moment"),
    "ankle_height": ("body lengths", "of the ankle above the lowest ankle of the moment"),
    "wrist_height": ("body lengths", "of the wrist above the lowest ankle of the moment"),
    "feet_rise": ("body lengths", "of the lowest ankle above its lowest place in the clip; needs a still camera"),
    "knee_separation": ("body lengths", "between the knees"),
    "ankle_separation": ("body lengths", "between the ankles"),
    "wrist_separation": ("body lengths", "between the wrists"),
    "elbow_separation": ("body lengths", "between the elbows"),
    "knee_ankle_ratio": ("ratio", "knee separation over ankle separation; under 1 = knees closer than feet"),
    "knee_asymmetry": ("deg", "left minus right knee angle, without sign"),
    "hip_asymmetry": ("deg", "left minus right hip angle, without sign"),
    "elbow_asymmetry": ("deg", "left minus right elbow angle, without sign"),
    "shoulder_asymmetry": ("deg", "left minus right shoulder angle, without sign"),
    "phase": ("repetitions", "place in a repetition: 0 its start, 0.5 the turning point, 1 its end"),
}

#: Quantities whose speed is given as ``<name>_velocity``, in their unit a second.
MOVING = (
    "knee_angle", "hip_angle", "elbow_angle", "shoulder_angle", "trunk_inclination", "hip_height", "wrist_height"
)  # fmt: skip

_SIDES = ("left", "right")
#: Seen from the side the knee's frontal plane cannot be seen: the hips must be this far apart, in body lengths.
_FRONTAL = 0.08
#: Neighbours further apart than this, in seconds, say nothing about speed.
_LONGEST_STEP_S = 0.5
_ANGLES = {
    "knee_angle": ("hip", "knee", "ankle"),
    "hip_angle": ("shoulder", "hip", "knee"),
    "elbow_angle": ("shoulder", "elbow", "wrist"),
    "shoulder_angle": ("hip", "shoulder", "elbow"),
}
_INCLINATIONS = {
    "thigh_inclination": ("knee", "hip"),
    "shank_inclination": ("ankle", "knee"),
    "upper_arm_inclination": ("elbow", "shoulder"),
    "forearm_inclination": ("wrist", "elbow"),
}
# What a repetition is looked for in, with the range (deg, body lengths) that counts as one unit of movement.
_SIGNALS = {
    "knee_angle_left": 90.0, "knee_angle_right": 90.0, "hip_angle_left": 90.0, "hip_angle_right": 90.0,
    "elbow_angle_left": 90.0, "elbow_angle_right": 90.0, "shoulder_angle_left": 90.0, "shoulder_angle_right": 90.0,
    "trunk_inclination": 90.0, "hip_height": 0.5,
}  # fmt: skip
#: Less movement than this, in those units, is standing still.
_LEAST = 0.2
#: A repetition leaves the lowest quarter of the range and comes through its upper quarter.
_LOW, _HIGH = 0.25, 0.75
#: A signal known at less than this share of the rows is not followed.
_KNOWN = 0.7


@dataclass(frozen=True, slots=True, kw_only=True)
class Series:
    """One quantity over time: T values (NaN where it cannot be told), its unit, and T confidences of 0 to 1."""

    values: Values
    unit: str
    confidence: Values


def kinematics(keypoints: Keypoints) -> dict[str, Series]:
    """Measure every quantity of :data:`QUANTITIES` at every row.

    Returns
    -------
    dict
        By name, sides and ``_3d`` included (``knee_angle_left``, ``knee_angle_3d_left``, ``hip_height_velocity``,
        ``knee_angle_left_velocity``), in a fixed order; T values each. ``phase`` has one entry: it is of the whole
        body.
    """
    confidence = np.where(np.isfinite(keypoints.points[..., 2]), keypoints.points[..., 2], 0.0).astype(np.float64)
    flat = keypoints.points[..., :2].astype(np.float64) * (1, -1)
    result = _measured(_Joints(flat, confidence), "")
    if keypoints.joints3d is not None:
        result |= _measured(_Joints(keypoints.joints3d.astype(np.float64), confidence), "_3d")
    times = keypoints.times_s.astype(np.float64)
    for name, series in list(result.items()):
        if name.removesuffix("_left").removesuffix("_right").removesuffix("_3d") in MOVING:
            speed = velocity(series.values, times)
            result[f"{name}_velocity"] = Series(values=speed, unit=f"{series.unit}/s", confidence=series.confidence)
    values, sure = phase({name: one.values for name, one in result.items()}, times)
    result["phase"] = Series(values=values, unit=QUANTITIES["phase"][0], confidence=sure)
    return result


class _Joints:
    """Joints (T x 17 x 2 or 3, y up) with names, sides and confidences (T x 17)."""

    def __init__(self, joints: Values, confidence: Values) -> None:
        known = np.isfinite(joints).all(axis=-1)
        self.joints, self.confidence = joints, np.where(known, confidence, 0.0)

    def joint(self, name: str, side: str) -> Values:
        if side == "middle":
            return (self.joint(name, "left") + self.joint(name, "right")) / 2
        return self.joints[:, INDEX[f"{side}_{name}"]]

    def sure(self, *joints: tuple[str, str]) -> Values:
        """Return the lowest confidence of some joints, T."""
        sides = [(name, one) for name, side in joints for one in (_SIDES if side == "middle" else (side,))]
        lowest = self.confidence[:, [INDEX[f"{side}_{name}"] for name, side in sides]].min(axis=1)
        return np.asarray(lowest, dtype=np.float64)


def _measured(body: _Joints, suffix: str) -> dict[str, Series]:
    """Measure everything but speeds and phase."""
    length = _body_length(body)
    result: dict[str, Series] = {}

    def add(name: str, side: str, values: Values, *joints: tuple[str, str]) -> None:
        sure = body.sure(*joints)
        good = (sure >= MIN_CONFIDENCE) & np.isfinite(values)
        result[f"{name}{suffix}" + (f"_{side}" if side else "")] = Series(
            values=np.where(good, values, np.nan), unit=QUANTITIES[name][0], confidence=sure
        )

    with np.errstate(invalid="ignore", divide="ignore"):
        for side in _SIDES:
            for name, (a, b, c) in _ANGLES.items():
                ends = ((a, side), (b, side), (c, side))
                add(name, side, angle(*(body.joint(*end) for end in ends)), *ends)
            for name, (low, high) in _INCLINATIONS.items():
                values = inclination(body.joint(low, side), body.joint(high, side))
                add(name, side, values, (low, side), (high, side))
            add("knee_valgus", side, valgus(body, side, length), *((j, "middle") for j in ("hip", "knee", "ankle")))
        middle = (("hip", "middle"), ("shoulder", "middle"))
        add("trunk_inclination", "", inclination(*(body.joint(*one) for one in middle)), *middle)
        for name in ("shoulder", "hip"):
            line = body.joint(name, "left") - body.joint(name, "right")
            tilt = np.degrees(np.arctan2(np.abs(line[:, 1]), np.linalg.norm(np.delete(line, 1, axis=1), axis=1)))
            add(f"{name}_tilt", "", tilt, (name, "middle"))
        _add_distances(body, length, add)
        for name in ("knee", "hip", "elbow", "shoulder"):
            left, right = (result[f"{name}_angle{suffix}_{side}"] for side in _SIDES)
            joints = set(_ANGLES[f"{name}_angle"])
            add(f"{name}_asymmetry", "", np.abs(left.values - right.values), *((j, "middle") for j in sorted(joints)))
    return result


def _body_length(body: _Joints) -> float:
    """Return the length of body that distances are given in: trunk + thigh + shank, in the unit of the joints.

    Of each of the three, the 90th percentile over the rows counts, the mean of both sides: a limb is shown at most as
    long as it is. From shoulder to ankle, this is about three quarters of a person's height. NaN where one of the three
    is never seen.
    """
    total = 0.0
    for near, far in (("shoulder", "hip"), ("hip", "knee"), ("knee", "ankle")):
        lengths = []
        for side in _SIDES:
            length = np.linalg.norm(body.joint(near, side) - body.joint(far, side), axis=-1)
            length = length[body.sure((near, side), (far, side)) >= MIN_CONFIDENCE]
            if len(length):
                lengths.append(float(np.quantile(length, 0.9)))
        if not lengths:
            return float("nan")
        total += float(np.mean(lengths))
    return total


def _add_distances(body: _Joints, length: float, add: Callable[..., None]) -> None:
    ankles = np.stack([body.joint("ankle", side)[:, 1] for side in _SIDES])
    both = ("ankle", "middle")
    floor = ankles.min(axis=0)
    for name in ("hip", "shoulder"):
        add(f"{name}_height", "", (body.joint(name, "middle")[:, 1] - floor) / length, (name, "middle"), both)
    for name in ("knee", "ankle", "wrist"):
        for side in _SIDES:
            add(f"{name}_height", side, (body.joint(name, side)[:, 1] - floor) / length, (name, side), both)
    seen = floor[body.sure(both) >= MIN_CONFIDENCE]
    ground = float(np.min(seen)) if len(seen) else float("nan")
    add("feet_rise", "", (floor - ground) / length, both)
    apart = {}
    for name in ("knee", "ankle", "wrist", "elbow"):
        apart[name] = np.linalg.norm(body.joint(name, "left") - body.joint(name, "right"), axis=-1) / length
        add(f"{name}_separation", "", apart[name], (name, "middle"))
    add("knee_ankle_ratio", "", apart["knee"] / apart["ankle"], ("knee", "middle"), both)


def angle(a: Values, b: Values, c: Values) -> Values:
    """Return the angle at ``b`` between the lines to ``a`` and ``c`` (T x 2 or 3 each), in degrees, 0 to 180."""
    first, second = a - b, c - b
    lengths = np.linalg.norm(first, axis=-1) * np.linalg.norm(second, axis=-1)
    cosine = (first * second).sum(axis=-1) / np.where(lengths > 0, lengths, np.nan)
    return np.asarray(np.degrees(np.arccos(np.clip(cosine, -1.0, 1.0))), dtype=np.float64)


def inclination(low: Values, high: Values) -> Values:
    """Return the angle of the line from ``low`` to ``high`` against straight up, in degrees, 0 to 180; y points up."""
    up = np.zeros(low.shape[-1])
    up[1] = 1.0
    return angle(high, low, low + up)


def valgus(body: _Joints, side: str, length: float) -> Values:
    """Return the frontal plane projection angle of a knee in degrees: positive = towards the body's middle.

    The angle between thigh and shank, off 180, in the picture or, in space, in the plane of the hips' line and the
    vertical. NaN where the hips are closer than 0.08 body lengths in the picture: the person is seen from the side.
    """
    hip, knee, ankle = (body.joint(name, side) for name in ("hip", "knee", "ankle"))
    other = body.joint("hip", "right" if side == "left" else "left")
    across = (other - hip).copy()
    across[:, 1] = 0.0
    width = np.linalg.norm(across, axis=-1)
    across = across / np.where(width > 0, width, np.nan)[:, None]
    # Coordinates in the frontal plane: towards the middle, and up.
    shown = [np.stack([(joint * across).sum(axis=-1), joint[:, 1]], axis=-1) for joint in (hip, knee, ankle)]
    bend = 180.0 - angle(*shown)
    thigh, shank = shown[0] - shown[2], shown[1] - shown[2]
    inward = thigh[:, 1] * shank[:, 0] - thigh[:, 0] * shank[:, 1]
    signed = bend * np.sign(inward)
    return np.where(width >= _FRONTAL * length, signed, np.nan) if body.joints.shape[-1] == 2 else signed


def velocity(values: Values, times_s: Values) -> Values:
    """Return the rate of change a second: central differences over the two neighbours, or the one there is.

    NaN where a value has no neighbour within half a second: speed is not carried over gaps.
    """
    result = np.full(len(values), np.nan)
    known = np.isfinite(values)
    for at in np.flatnonzero(known).tolist():
        before = at - 1 if at > 0 and known[at - 1] and times_s[at] - times_s[at - 1] <= _LONGEST_STEP_S else at
        after = at + 1 if at + 1 < len(values) and known[at + 1] else at
        if after > at and times_s[after] - times_s[at] > _LONGEST_STEP_S:
            after = at
        if after > before:
            result[at] = (values[after] - values[before]) / (times_s[after] - times_s[before])
    return result


def phase(signals: Mapping[str, Values], times_s: Values) -> tuple[Values, Values]:
    """Find each row's place in its repetition.

    Followed are the quantities that move at least half as much as the one that moves most (joint angles against 90
    degrees, the height of the hips against half a body length), each as a level of 0 to 1 from the end of its range
    that the clip begins nearer to, and averaged. A repetition leaves the lowest quarter of that level, passes through
    the upper quarter and comes back: its start is the last row at rest before it leaves, its turning point the farthest
    row, its end the first row back at rest, or the last row where the clip ends on the way back in the lower half.

    Parameters
    ----------
    signals
        Quantities by name, T values each.
    times_s
        T times in seconds.

    Returns
    -------
    tuple
        T values: 0 at the start of a repetition, 0.5 at its turning point, 1 at its end, in between by time; NaN
        outside any. T confidences: 1 within a repetition, else 0.
    """
    result = np.full(len(times_s), np.nan)
    followed = _followed(signals)
    if followed is None:
        return result, np.zeros(len(times_s))
    for start, turn, end in repetitions(followed):
        rows = np.arange(start, end + 1)
        marks = [times_s[start], times_s[turn], times_s[end]]
        result[rows] = np.interp(times_s[rows], marks, [0.0, 0.5, 1.0])
    return result, np.isfinite(result).astype(np.float64)


def _followed(signals: Mapping[str, Values]) -> Values | None:
    """Return the level of movement, 0 at rest to 1, gaps bridged by straight lines, or None where nothing moves."""
    levels: list[tuple[float, Values]] = []
    for name, unit in _SIGNALS.items():
        values = signals.get(name)
        if values is None or len(values) < 3 or np.isfinite(values).mean() < _KNOWN:
            continue
        known = np.flatnonzero(np.isfinite(values))
        low, high = np.quantile(values[known], [0.05, 0.95])
        if (high - low) / unit >= _LEAST:
            level = (np.interp(np.arange(len(values)), known, values[known]) - low) / (high - low)
            levels.append((float(high - low) / unit, 1.0 - level if level[0] > 0.5 else level))
    if not levels:
        return None
    most = max(moved for moved, _ in levels)
    return np.asarray(np.mean([level for moved, level in levels if moved >= most / 2], axis=0), dtype=np.float64)


def repetitions(values: Values) -> list[tuple[int, int, int]]:
    """Return the repetitions of a level that begins at rest as (start, turning point, end) rows, in order."""
    low, high = np.quantile(values, [0.05, 0.95])
    if high <= low:
        return []
    level = (values - low) / (high - low)
    found: list[tuple[int, int, int]] = []
    rest, at, count = -1, 0, len(level)
    while at < count:
        if level[at] <= _LOW:
            rest = at
        elif level[at] >= _HIGH and rest >= 0:
            back = next((n for n in range(at, count) if level[n] <= _LOW), count - 1)
            turn = rest + int(np.argmax(level[rest : back + 1]))
            if level[back] <= 0.5 and rest < turn < back:
                found.append((rest, turn, back))
            rest = back if level[back] <= _LOW else -1
            at = back
        at += 1
    return found
