"""What kinematics say of a performance of the probe's exercises: how severe each error is, and so what is true.

Severities are measured by :mod:`aqaudit.probe.measure`, whose catalogue also knows which error a criterion forbids.
Joints are those of a pose file, or estimated ones; what needs a point that the pose does not have (a heel, a toe, the
lumbar spine) cannot be measured from it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from aqaudit.pose.coco17 import JOINTS
from aqaudit.probe.errors import EXERCISES
from aqaudit.probe.measure import POINTS, severity

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from numpy.typing import NDArray

    from aqaudit.probe.errors import Error, Exercise
    from aqaudit.records import Performance, Question

    Floats = NDArray[np.float64]
    #: Named points of a performance (T x 30 x 3, metres, the performer's axes) and their times (seconds).
    Movement = tuple[Floats, Floats]
    Look = Callable[[Performance], Movement]

_BY_ACTION: Mapping[str, Exercise] = {exercise.action: exercise for exercise in EXERCISES.values()}
_UP = np.array([0.0, 1.0, 0.0])
#: Who moves less than this, in metres, makes no movement whose time could be taken.
_STILL_M = 0.01


def named(joints: Floats, landmarks: Floats | None = None) -> Floats:
    """Return named points (T x 30 x 3) from COCO-17 joints in space (T x 17 x 3) and the landmarks, where known.

    Without landmarks those that lie between joints are put there (pelvis, hip joints, thorax, neck, head); the others
    are NaN.
    """
    if landmarks is not None:
        return np.concatenate([joints, landmarks], axis=1)
    at = {name: joints[:, place] for place, name in enumerate(JOINTS)}
    points = np.full((len(joints), len(POINTS), 3), np.nan)
    points[:, : len(JOINTS)] = joints
    shoulders = (at["left_shoulder"] + at["right_shoulder"]) / 2
    between = {
        "left_hip_joint": at["left_hip"],
        "right_hip_joint": at["right_hip"],
        "pelvis": (at["left_hip"] + at["right_hip"]) / 2,
        "thorax": shoulders,
        "neck": shoulders,
        "head": (at["left_ear"] + at["right_ear"]) / 2,
    }
    for name, where in between.items():
        points[:, POINTS.index(name)] = where
    return points


def turned(joints: Floats) -> Floats:
    """Return joints (T x 17 x 3; x to the viewer's right, y up) in the performer's axes: x left, y up, z forward.

    Left is where the left shoulder and hip are, on the whole, from the right ones.
    """
    at = {name: joints[:, place] for place, name in enumerate(JOINTS)}
    across = at["left_shoulder"] - at["right_shoulder"] + at["left_hip"] - at["right_hip"]
    known = across[np.isfinite(across).all(axis=-1)]
    left = known.sum(axis=0) / max(len(known), 1) * (1 - _UP)
    length = float(np.linalg.norm(left))
    if length == 0:
        return np.full_like(joints, np.nan)
    left = left / length
    return np.asarray(joints @ np.stack([left, _UP, np.cross(left, _UP)], axis=1))


def measured(question: Question, look: Look) -> Question | None:
    """Return a question with its truth replaced by what kinematics say; None where they cannot say.

    Parameters
    ----------
    question
        About an exercise of the probe's catalogue, in its words.
    look
        Gives the movement of a performance.
    """
    exercise = _BY_ACTION.get(question.performance.action)
    if exercise is None:
        return None
    people = (question.performance, *((question.other,) if question.other is not None else ()))
    found = [_severities(exercise, look(one)) for one in people]
    if question.kind == "prefer":
        return _preferred(question, exercise, found)
    (severities,) = found
    if question.kind == "score":
        value = _score(exercise, severities)
        return None if value is None else question._replace(gold_score=value)
    if question.kind == "choose":
        shown = _worst(exercise, severities)
        chosen = next((o for o in question.options if shown is not None and o == shown.statement), None)
        if chosen is None:
            # None of these errors: the one option that is no error's statement.
            others = [o for o in question.options if all(o != error.statement for error in exercise.errors)]
            chosen = others[0] if shown is None and others else None
        return None if chosen is None else question._replace(gold_choice=chosen)
    error = _asked(question, exercise)
    value = None if error is None else severities.get(error.id)
    if error is None or value is None:
        return None
    return question._replace(gold_correct=value <= error.tolerance)


def _severities(exercise: Exercise, movement: Movement) -> dict[str, float]:
    """Return the severity of every error that can be measured from these points."""
    points, times = movement
    still = float(np.nanmax(np.ptp(points, axis=0), initial=0.0)) < _STILL_M
    found = {}
    with np.errstate(invalid="ignore", divide="ignore"):
        for error in exercise.errors:
            if error.unit == "s" and still:  # no movement has a duration
                continue
            try:
                value = severity(exercise.name, error.id, points, times)
            except (ValueError, IndexError):
                continue  # gaps where the movement would have been read
            if np.isfinite(value):
                found[error.id] = value
    return found


def _asked(question: Question, exercise: Exercise) -> Error | None:
    for error in exercise.errors:
        if question.error == error.id or (question.error is None and question.criterion == error.criterion):
            return error
    return None


def _worst(exercise: Exercise, severities: Mapping[str, float]) -> Error | None:
    """Return the error that is most beyond its tolerance, None where none is."""
    beyond = [(severities[error.id] / error.tolerance, error) for error in exercise.errors if error.id in severities]
    ratio, worst = max(beyond, key=lambda one: one[0], default=(0.0, None))
    return worst if ratio > 1 else None


def _score(exercise: Exercise, severities: Mapping[str, float]) -> float | None:
    """Return the execution score by the probe's formula, from the error that is largest in tolerances."""
    ratios = [severities[error.id] / error.tolerance for error in exercise.errors if error.id in severities]
    return round(10 * 2 ** (-max(ratios) / 3), 1) if ratios else None


def _preferred(question: Question, exercise: Exercise, found: list[dict[str, float]]) -> Question | None:
    error = _asked(question, exercise)
    merits: list[float | None]
    if question.scale is not None:
        merits = [_score(exercise, one) for one in found]
    else:
        # The smaller the error, the better; both within tolerance or both beyond it is still a difference.
        merits = [None if error is None or error.id not in one else -one[error.id] for one in found]
    first, second = merits
    if first is None or second is None:
        return None
    return question._replace(gold_prefer="this" if first > second else "other" if second > first else "tie")
