"""How severe each error is, from exact joints alone. NumPy only.

Points are T x 30 x 3 in metres (:data:`POINTS`: COCO-17, then landmarks), axes as in :mod:`aqaudit.probe.body`: x to
the performer's left, y up, z forward. Times are seconds. A pose error is read at the frames where the movement is at
its turning point; a temporal one from the whole course.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from aqaudit.core.records import BadInput, nearest
from aqaudit.pose.coco17 import JOINTS

#: Points beside COCO's that errors are measured by: toes and heels on the skin, joints inside the body, palms.
LANDMARKS = (
    "left_toe", "right_toe", "left_heel", "right_heel", "left_hip_joint", "right_hip_joint", "pelvis", "lumbar",
    "thorax", "neck", "head", "left_hand", "right_hand",
)  # fmt: skip
POINTS = (*JOINTS, *LANDMARKS)

#: Part of a smooth (minimum-jerk) movement's time between 5 % and 95 % of its way.
MIDDLE_TIME = 0.62066
#: Durations that severities of rushed movements count from, seconds.
DESCENT_S, LOWERING_S = 1.2, 1.0
#: Trunk inclination of a full hip hinge (deg), elbow flexion of a full push-up (deg), foot spread of a full jumping
#: jack (shoulder widths), elbow-to-trunk angle of a push-up that severities count from (deg).
FULL_HINGE, FULL_PUSHUP, FULL_SPREAD, CLOSE_ELBOWS = 72.0, 90.0, 2.4, 45.0
#: Knee flexion of a proper hip hinge, and how far the line from neck to ears leans forward of a straight trunk, deg.
HINGE_KNEES, LEVEL_HEAD = 20.0, 16.0


class Course:
    """Points of one performance by name, with what measures share."""

    def __init__(self, points: NDArray[np.float64], times: NDArray[np.float64]) -> None:
        self.points = np.asarray(points, dtype=float)
        self.times = np.asarray(times, dtype=float)

    def __getitem__(self, name: str) -> NDArray[np.float64]:
        return self.points[:, POINTS.index(name)]

    def both(self, name: str) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return the left and the right point."""
        return self[f"left_{name}"], self[f"right_{name}"]

    def middle(self, name: str) -> NDArray[np.float64]:
        """Return the point half-way between left and right."""
        left, right = self.both(name)
        return (left + right) / 2


def degrees_between(a: NDArray[np.float64], b: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return angles between vectors, degrees."""
    sine = np.linalg.norm(np.cross(a, b), axis=-1)
    angles: NDArray[np.float64] = np.degrees(np.arctan2(sine, np.sum(a * b, axis=-1)))
    return angles


def _at(values: NDArray[np.float64], signal: NDArray[np.float64]) -> float:
    """Return the mean of ``values`` where ``signal`` is at its top (within 2 % of its range)."""
    low, high = float(signal.min()), float(signal.max())
    return float(values[signal >= high - 0.02 * (high - low)].mean())


def _depth(course: Course) -> NDArray[np.float64]:
    return -course.middle("hip")[:, 1]


def _hands_up(course: Course) -> NDArray[np.float64]:
    return course.middle("wrist")[:, 1]


def _low_shoulders(course: Course) -> NDArray[np.float64]:
    return -course.middle("shoulder")[:, 1]


def _inward(course: Course, side: str) -> NDArray[np.float64]:
    """Return by how many degrees a thigh points inward of its foot, seen from above."""
    sign = 1.0 if side == "left" else -1.0
    thigh = course[f"{side}_knee"] - course[f"{side}_hip_joint"]
    foot = course[f"{side}_toe"] - course[f"{side}_heel"]
    yaw = np.arctan2(sign * foot[:, 0], foot[:, 2]) - np.arctan2(sign * thigh[:, 0], thigh[:, 2])
    return np.degrees(yaw)


def _thigh_rise(course: Course, side: str) -> NDArray[np.float64]:
    """Return the thigh's angle above horizontal (hip higher than knee), degrees."""
    thigh = course[f"{side}_hip_joint"] - course[f"{side}_knee"]
    return np.degrees(np.arctan2(thigh[:, 1], np.hypot(thigh[:, 0], thigh[:, 2])))


def _rounding(course: Course) -> NDArray[np.float64]:
    """Return how much more the spine is bent forward than in the first frame, degrees."""
    low, high = course["lumbar"] - course["pelvis"], course["neck"] - course["thorax"]
    angle = np.degrees(np.arctan2(high[:, 2], high[:, 1]) - np.arctan2(low[:, 2], low[:, 1]))
    angle = (angle + 180) % 360 - 180
    return angle - angle[0]


def _lean(course: Course) -> NDArray[np.float64]:
    """Return the trunk's forward inclination from vertical, degrees (backward is negative)."""
    trunk = course.middle("shoulder") - course.middle("hip")
    return np.degrees(np.arctan2(trunk[:, 2], trunk[:, 1]))


def _side_lean(course: Course) -> NDArray[np.float64]:
    trunk = course.middle("shoulder") - course.middle("hip")
    return np.degrees(np.arctan2(trunk[:, 0], trunk[:, 1]))


def _elevation(course: Course, side: str) -> NDArray[np.float64]:
    """Return the angle of shoulder to wrist from straight down, degrees: 90 horizontal, 180 up."""
    arm = course[f"{side}_wrist"] - course[f"{side}_shoulder"]
    return np.degrees(np.arctan2(np.hypot(arm[:, 0], arm[:, 2]), -arm[:, 1]))


def _flexion(course: Course, joint: str, side: str) -> NDArray[np.float64]:
    """Return how far an elbow or knee is from straight, degrees."""
    first, last = {"elbow": ("shoulder", "wrist"), "knee": ("hip", "ankle")}[joint]
    here = course[f"{side}_{joint}"]
    return degrees_between(here - course[f"{side}_{first}"], course[f"{side}_{last}"] - here)


def _mean_of(part: Callable[[Course, str], NDArray[np.float64]], course: Course) -> NDArray[np.float64]:
    return (part(course, "left") + part(course, "right")) / 2


def _front(course: Course) -> str:
    ahead = course["left_ankle"][:, 2] - course["right_ankle"][:, 2]
    return "left" if ahead[np.abs(ahead).argmax()] > 0 else "right"


def _hips_off_line(course: Course) -> NDArray[np.float64]:
    """Return how far the hips are below the line from shoulders to ankles, cm, at right angles to it."""
    start, end, hips = course.middle("ankle"), course.middle("shoulder"), course.middle("hip")
    line = (end - start)[:, 1:]
    to_hips = (hips - start)[:, 1:]
    away = (line[:, 0] * to_hips[:, 1] - line[:, 1] * to_hips[:, 0]) / np.linalg.norm(line, axis=1)
    return 100 * away * np.sign(line[:, 1])


def _course_time(course: Course, signal: NDArray[np.float64], *, rising: bool) -> float:
    """Return how long the (last) rise or fall of a signal takes, seconds, from the time between 5 % and 95 % of it."""
    low, high = signal.min(), signal.max()
    share = (signal - low) / max(high - low, 1e-12)
    top = int(share.argmax())
    if rising:
        marks = [_crossing(course.times[: top + 1], share[: top + 1], level) for level in (0.05, 0.95)]
    else:
        bottom = len(share) - 1 - int(share[::-1].argmax())
        marks = [-_crossing(-course.times[bottom:][::-1], share[bottom:][::-1], level) for level in (0.95, 0.05)]
    return (marks[1] - marks[0]) / MIDDLE_TIME


def _crossing(times: NDArray[np.float64], share: NDArray[np.float64], level: float) -> float:
    """Return when a rising signal last passes a level."""
    below = np.flatnonzero(share < level)
    if not len(below) or below[-1] + 1 >= len(share):
        return float(times[0 if not len(below) else -1])
    at = int(below[-1])
    part = (level - share[at]) / (share[at + 1] - share[at])
    return float(times[at] + part * (times[at + 1] - times[at]))


def _lag(course: Course) -> float:
    """Return by how many seconds the arms' movement comes after the legs'."""
    fine = np.arange(course.times[0], course.times[-1], 0.005)
    arms = np.interp(fine, course.times, _mean_of(_elevation, course))
    feet = np.abs(course["left_ankle"][:, 0] - course["right_ankle"][:, 0])
    legs = np.interp(fine, course.times, feet)
    arms, legs = (signal - signal.mean() for signal in (arms, legs))
    best, found = -np.inf, 0
    for shift in range(-20, 121):
        a, b = (arms[shift:], legs[: len(legs) - shift]) if shift >= 0 else (arms[:shift], legs[-shift:])
        a, b = a - a.mean(), b - b.mean()
        score = float(a @ b / np.sqrt((a @ a) * (b @ b)))
        if score > best:
            best, found = score, shift
    return found * 0.005


def _head_drop(course: Course) -> NDArray[np.float64]:
    """Return how far the line from neck to head is bent forward of the trunk, degrees."""
    trunk = course["neck"] - course["thorax"]
    skull = course.middle("ear") - course["neck"]
    angle = np.degrees(np.arctan2(skull[:, 2], skull[:, 1]) - np.arctan2(trunk[:, 2], trunk[:, 1]))
    return (angle + 180) % 360 - 180 - LEVEL_HEAD


def _level(course: Course) -> NDArray[np.float64]:
    """Return the angle of the line between the wrists from horizontal, degrees."""
    left, right = course.both("wrist")
    across = left - right
    return np.degrees(np.arctan2(np.abs(across[:, 1]), np.hypot(across[:, 0], across[:, 2])))


def _heels(course: Course) -> NDArray[np.float64]:
    heels = course.middle("heel")[:, 1]
    return 100 * (heels - heels[0])


def _shift(course: Course) -> NDArray[np.float64]:
    return 100 * np.abs(course.middle("hip")[:, 0] - course.middle("ankle")[:, 0])


def _past_toes(course: Course) -> NDArray[np.float64]:
    side = _front(course)
    return 100 * (course[f"{side}_knee"][:, 2] - course[f"{side}_toe"][:, 2])


def _top_tilt(course: Course) -> NDArray[np.float64]:
    """Return how far the forearms lean outwards from vertical, degrees, in the mean of both sides."""
    tilts = []
    for side, sign in (("left", 1.0), ("right", -1.0)):
        arm = course[f"{side}_wrist"] - course[f"{side}_elbow"]
        tilts.append(np.degrees(np.arctan2(sign * arm[:, 0], arm[:, 1])))
    return np.mean(tilts, axis=0)


def _flare(course: Course) -> NDArray[np.float64]:
    angles = []
    for side in ("left", "right"):
        shoulder = course[f"{side}_shoulder"]
        angles.append(degrees_between(course[f"{side}_elbow"] - shoulder, course[f"{side}_hip"] - shoulder))
    return np.mean(angles, axis=0) - CLOSE_ELBOWS


def _spread(course: Course) -> NDArray[np.float64]:
    feet = np.linalg.norm(course["left_ankle"] - course["right_ankle"], axis=1)
    shoulders = np.linalg.norm(course["left_shoulder"] - course["right_shoulder"], axis=1).mean()
    return feet / shoulders


def _uneven(course: Course) -> NDArray[np.float64]:
    return np.abs(_elevation(course, "left") - _elevation(course, "right"))


def _hip_drop(course: Course) -> NDArray[np.float64]:
    """Return by how many degrees the hip of the lifted leg is below the other one."""
    left, right = course.both("hip_joint")
    lifted = 1.0 if course["left_ankle"][-1, 1] > course["right_ankle"][-1, 1] else -1.0
    across = left - right
    return -lifted * np.degrees(np.arctan2(across[:, 1], np.hypot(across[:, 0], across[:, 2])))


def _held(course: Course) -> NDArray[np.bool_]:
    """Return where one foot is held up (single-leg stance)."""
    lift = np.abs(course["left_ankle"][:, 1] - course["right_ankle"][:, 1])
    return lift >= 0.95 * lift.max()


def _wobble(course: Course) -> float:
    x = course.middle("shoulder")[_held(course), 0]
    return 100 * float(np.ptp(x))


def _sinking(course: Course) -> float:
    off = _hips_off_line(course)
    part = max(1, len(off) // 12)
    return float(off[-part:].mean() - off[:part].mean())


def _bend(course: Course, joint: str) -> NDArray[np.float64]:
    return (_flexion(course, joint, "left") + _flexion(course, joint, "right")) / 2


def _raised(course: Course) -> NDArray[np.float64]:
    return _mean_of(_elevation, course)


_MEASURES: dict[tuple[str, str], Callable[[Course], float]] = {
    ("squat", "knees_inward"): lambda c: _at(_mean_of(_inward, c), _depth(c)),
    ("squat", "shallow_depth"): lambda c: _at(_mean_of(_thigh_rise, c), _depth(c)),
    ("squat", "rounded_back"): lambda c: _at(_rounding(c), _depth(c)),
    ("squat", "heel_lift"): lambda c: _at(_heels(c), _depth(c)),
    ("squat", "weight_shift"): lambda c: _at(_shift(c), _depth(c)),
    ("squat", "rushed_descent"): lambda c: DESCENT_S - _course_time(c, -_mean_of(_thigh_rise, c), rising=True),
    ("press", "arms_not_vertical"): lambda c: _at(_top_tilt(c), _hands_up(c)),
    ("press", "elbows_bent"): lambda c: _at(_bend(c, "elbow"), _hands_up(c)),
    ("press", "uneven_arms"): lambda c: _at(_level(c), _hands_up(c)),
    ("press", "leaning_back"): lambda c: _at(-_lean(c), _hands_up(c)),
    ("lunge", "knee_past_toes"): lambda c: _at(_past_toes(c), _depth(c)),
    ("lunge", "knee_inward"): lambda c: _at(_inward(c, _front(c)), _depth(c)),
    ("lunge", "leaning_forward"): lambda c: _at(_lean(c), _depth(c)),
    ("lunge", "shallow_lunge"): lambda c: _at(_thigh_rise(c, _front(c)), _depth(c)),
    ("pushup", "hip_sag"): lambda c: _at(_hips_off_line(c), _low_shoulders(c)),
    ("pushup", "hips_high"): lambda c: _at(-_hips_off_line(c), _low_shoulders(c)),
    ("pushup", "elbows_flared"): lambda c: _at(_flare(c), _low_shoulders(c)),
    ("pushup", "incomplete_range"): lambda c: 100 * (1 - _at(_bend(c, "elbow"), _low_shoulders(c)) / FULL_PUSHUP),
    ("hinge", "rounded_back"): lambda c: _at(_rounding(c), _lean(c)),
    ("hinge", "knees_bent"): lambda c: _at(_bend(c, "knee"), _lean(c)) - HINGE_KNEES,
    ("hinge", "incomplete_range"): lambda c: 100 * (1 - _at(_lean(c), _lean(c)) / FULL_HINGE),
    ("stance", "hip_drop"): lambda c: float(_hip_drop(c)[_held(c)].mean()),
    ("stance", "leaning_sideways"): lambda c: float(abs(_side_lean(c)[_held(c)].mean())),
    ("stance", "wobble"): _wobble,
    ("plank", "hip_sag"): lambda c: float(_hips_off_line(c).mean()),
    ("plank", "hips_high"): lambda c: -float(_hips_off_line(c).mean()),
    ("plank", "head_drop"): lambda c: float(_head_drop(c).mean()),
    ("plank", "sinking"): _sinking,
    ("jack", "arms_short"): lambda c: 180 - _at(_raised(c), _raised(c)),
    ("jack", "feet_narrow"): lambda c: 100 * (1 - _at(_spread(c), _spread(c)) / FULL_SPREAD),
    ("jack", "uneven_arms"): lambda c: _at(_uneven(c), _raised(c)),
    ("jack", "out_of_time"): _lag,
    ("raise", "arms_too_high"): lambda c: _at(_raised(c), _raised(c)) - 90,
    ("raise", "uneven_arms"): lambda c: _at(_uneven(c), _raised(c)),
    ("raise", "elbows_bent"): lambda c: _at(_bend(c, "elbow"), _raised(c)),
    ("raise", "rushed_lowering"): lambda c: LOWERING_S - _course_time(c, _raised(c), rising=False),
}


def raw_severity(exercise: str, error: str, points: NDArray[np.float64], times: NDArray[np.float64]) -> float:
    """Return the measured quantity of an error before negative values are cut off; see :func:`severity`."""
    if (exercise, error) not in _MEASURES:
        known = [name for kind, name in _MEASURES if kind == exercise]
        raise BadInput(f"exercise '{exercise}' has no error '{error}'{nearest(error, known)}")
    return float(_MEASURES[exercise, error](Course(points, times)))


def severity(exercise: str, error: str, points: NDArray[np.float64], times: NDArray[np.float64]) -> float:
    """Return how severe an error is, in its unit; 0 where there is nothing of it.

    Parameters
    ----------
    exercise, error
        Names in :data:`aqaudit.probe.errors.EXERCISES`.
    points
        Exact joints, T x 30 x 3 metres (``joints3d`` and ``landmarks3d`` of a pose file, joined).
    times
        T times in seconds.

    Raises
    ------
    BadInput
        For an exercise or error that is not in the catalogue.
    """
    return max(0.0, raw_severity(exercise, error, points, times))
