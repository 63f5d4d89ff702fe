"""Ideal observers: judges that answer from kinematics, the ceiling beside every vision-language model.

``observer:exact`` reads the exact joints that come with the probe's clips, ``observer:pose`` joints that a pose model
found in the pictures (extra ``pose``). They answer the same questions, in the same words, as any model; what their
joints cannot tell they guess by a fair coin, as they do where nothing is shown. They see the whole performance, not the
sampled frames. Frozen, shuffled and reversed clips are judged as such.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import replace

import anyio.to_thread
import numpy as np
from numpy.typing import NDArray

from aqaudit.core.records import BadInput, Performance, Question, Request
from aqaudit.media.clip import opened
from aqaudit.media.poses import Poses
from aqaudit.media.source import SourceCache
from aqaudit.media.types import MediaError
from aqaudit.models.call import AskFailed, Call, Reply
from aqaudit.models.settings import ModelEntry
from aqaudit.models.simulated import SimulatedJudge
from aqaudit.pose.coco17 import JOINTS
from aqaudit.pose.sources import read_arrays
from aqaudit.probe.errors import EXERCISES, Error, Exercise
from aqaudit.probe.measure import POINTS, severity

Floats = NDArray[np.float64]
#: Named points of a performance (T x 30 x 3, metres, the performer's axes) and their times (seconds).
Movement = tuple[Floats, Floats]
Look = Callable[[Performance], Movement]

SOURCES = ("exact", "pose")
#: Perturbations that leave nothing to see.
_UNSEEN = frozenset({"blank", "text_only", "region_blur"})
#: Performances whose movement is kept in memory.
_REMEMBERED = 64
_BY_ACTION: Mapping[str, Exercise] = {exercise.action: exercise for exercise in EXERCISES.values()}
_UP = np.array([0.0, 1.0, 0.0])
#: Who moves less than this, in metres, makes no movement whose time could be taken.
_STILL_M = 0.01


class Observer:
    """An ideal observer as a model; see :class:`~aqaudit.models.call.Model`.

    What its joints say, or its guess, is put into the words asked for by a simulated judge that always, or never, sees.
    """

    endpoint = "in process"

    def __init__(self, name: str, entry: ModelEntry) -> None:
        if entry.model not in SOURCES:
            raise BadInput(f"observer '{entry.model}' is not known; allowed: {', '.join(SOURCES)}")
        seeing, guessing = (entry.model_copy(update={"skill": skill, "bias": 0.5}) for skill in (1.0, 0.0))
        self._seeing, self._guessing = SimulatedJudge(name, seeing), SimulatedJudge(name, guessing)
        self._find: Look = _exact if entry.model == "exact" else _Estimated()
        self._known: dict[str, Movement] = {}
        joints = "exact" if entry.model == "exact" else "estimated"
        self._version = f"ideal observer from {joints} joints (not a model)"

    async def ask(self, call: Call) -> Reply:
        """Answer from the joints of the performance.

        Raises
        ------
        AskFailed
            There are no such joints for it.
        """
        try:
            request = await anyio.to_thread.run_sync(self._measured, call.request)
        except BadInput as error:
            raise AskFailed("media", " ".join(str(error).split())) from None
        judge = self._guessing if request is None else self._seeing
        reply = await judge.ask(call if request is None else replace(call, request=request))
        return replace(reply, model_version=self._version)

    async def aclose(self) -> None:
        """Nothing to close."""

    def _measured(self, request: Request) -> Request | None:
        """Return the request with the truth as the observer sees it, None where it sees none."""
        if request.cell.perturbation in _UNSEEN:
            return None

        def look(performance: Performance) -> Movement:
            place = f"{performance.media}\0{performance.id}"
            movement = self._known.get(place)
            if movement is None:
                # Questions about one performance come together, so only a few need be remembered.
                if len(self._known) > _REMEMBERED:
                    self._known.clear()
                movement = self._known[place] = self._find(performance)
            points, times = movement
            return points[_order(request, len(points))], times

        question = measured(request.question, look)
        if question is None:
            return None
        return replace(request, question=question, cell=replace(request.cell, perturbation="none"))


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


def _order(request: Request, length: int) -> list[int]:
    """Return which frames are seen, one after the other."""
    if request.cell.perturbation == "frozen":
        return [length // 2] * length
    if request.cell.perturbation == "reversed":
        return list(range(length))[::-1]
    if request.cell.perturbation == "shuffled":
        seed = hashlib.sha256(request.question.question_id.encode()).digest()
        return [int(at) for at in np.random.default_rng(int.from_bytes(seed[:8], "big")).permutation(length)]
    return list(range(length))


def _exact(performance: Performance) -> Movement:
    if performance.pose is None:
        raise BadInput(f"performance '{performance.id}' has no file of exact joints; the probe's clips have")
    try:
        held = read_arrays(performance.pose)
        joints, landmarks, fps = held["joints3d"], held["landmarks3d"], float(held["fps"])
    except (OSError, KeyError, TypeError) as error:
        raise BadInput(
            f"{performance.pose}: holds no exact joints (joints3d, landmarks3d and fps, as the probe writes them): "
            f"{error}"
        ) from None
    points = named(joints.astype(np.float64), landmarks.astype(np.float64))
    return points, np.arange(len(points)) / fps


class _Estimated:
    """Joints in space that the pose model finds, performance by performance; estimates are kept between runs."""

    def __init__(self) -> None:
        self._poses = Poses(SourceCache(None), "mediapipe")

    def __call__(self, performance: Performance) -> Movement:
        try:
            found = self._poses(performance, opened(performance))
        except MediaError as error:
            raise BadInput(str(error)) from None
        if found.joints3d is None:
            raise BadInput(f"performance '{performance.id}': the pose model found nobody in it")
        joints = turned(found.joints3d.astype(np.float64))
        return named(joints), found.times_s - found.times_s[0]
