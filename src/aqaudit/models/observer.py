"""Ideal observers: judges that answer from kinematics, the ceiling beside every vision-language model.

``observer:exact`` reads the exact joints that come with the probe's clips, ``observer:pose`` joints that a pose model
found in the pictures (extra ``pose``). They answer the same questions, in the same words, as any model; what their
joints cannot tell they guess by a fair coin, as they do where nothing is shown. They see the whole performance, not the
sampled frames. Frozen, shuffled and reversed clips are judged as such.
"""

from __future__ import annotations

import hashlib
from dataclasses import replace
from typing import TYPE_CHECKING

import anyio.to_thread
import numpy as np

from aqaudit.models.call import AskFailed
from aqaudit.models.observed import measured, named, turned
from aqaudit.models.simulated import SimulatedJudge
from aqaudit.pose.sources import read_arrays
from aqaudit.records import BadInput

if TYPE_CHECKING:
    from pathlib import Path

    from aqaudit.models.call import Call, Reply
    from aqaudit.models.catalog import ModelEntry
    from aqaudit.models.observed import Look, Movement
    from aqaudit.records import Performance, Request

SOURCES = ("exact", "pose")
_UNSEEN = frozenset({"blank", "text_only", "region_blur"})


class Observer:
    """An ideal observer as a model; see :class:`~aqaudit.models.call.Model`.

    ``source`` is where joints come from; ``seeing`` and ``guessing`` put a verdict, or a guess, into the words
    asked for.
    """

    endpoint = "in process"

    def __init__(self, source: str, seeing: SimulatedJudge, guessing: SimulatedJudge) -> None:
        self._seeing, self._guessing = seeing, guessing
        self._find: Look = _exact if source == "exact" else _Estimated()
        self._known: dict[str, Movement] = {}
        self._version = f"ideal observer from {'exact' if source == 'exact' else 'estimated'} joints (not a model)"

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

    def _movement(self, performance: Performance) -> Movement:
        place = f"{performance.media}\0{performance.id}"
        found = self._known.get(place)
        if found is None:
            # Questions about one performance come together, so only a few need be remembered.
            if len(self._known) > 64:
                self._known.clear()
            found = self._known[place] = self._find(performance)
        return found

    def _measured(self, request: Request) -> Request | None:
        """Return the request with the truth as the observer sees it, None where it sees none."""
        if request.cell.perturbation in _UNSEEN:
            return None

        def look(performance: Performance) -> Movement:
            points, times = self._movement(performance)
            order = _order(request, len(points))
            return points[order], times

        question = measured(request.question, look)
        return (
            None
            if question is None
            else replace(request, question=question, cell=replace(request.cell, perturbation="none"))
        )


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
    return _read(performance.pose)


def _read(path: Path) -> Movement:
    try:
        held = read_arrays(path)
        joints, landmarks, fps = held["joints3d"], held["landmarks3d"], float(held["fps"])
    except (OSError, KeyError, TypeError) as error:
        raise BadInput(
            f"{path}: holds no exact joints (joints3d, landmarks3d and fps, as the probe writes them): {error}"
        ) from None
    points = named(joints.astype(np.float64), landmarks.astype(np.float64))
    return points, np.arange(len(points)) / fps


class _Estimated:
    """Joints in space that the pose model finds, performance by performance; estimates are kept between runs."""

    def __init__(self) -> None:
        from aqaudit.media.posed import Poses  # noqa: PLC0415 - observers alone look at media by themselves
        from aqaudit.media.source import SourceCache  # noqa: PLC0415

        self._poses = Poses(SourceCache(None), "mediapipe")

    def __call__(self, performance: Performance) -> Movement:
        from aqaudit.media.clip import opened  # noqa: PLC0415 - as above
        from aqaudit.media.video import MediaError  # noqa: PLC0415

        try:
            found = self._poses(performance, opened(performance))
        except MediaError as error:
            raise BadInput(str(error)) from None
        if found.joints3d is None:
            raise BadInput(f"performance '{performance.id}': the pose model found nobody in it")
        joints = turned(found.joints3d.astype(np.float64))
        return named(joints), found.times_s - found.times_s[0]


def observer(entry: ModelEntry) -> Observer:
    """Open an ideal observer.

    Raises
    ------
    BadInput
        ``entry.model`` is no observer, or what it needs is missing.
    """
    if entry.model not in SOURCES:
        raise BadInput(f"observer '{entry.model}' is not known; allowed: {', '.join(SOURCES)}")
    seeing, guessing = (entry.model_copy(update={"skill": skill, "bias": 0.5}) for skill in (1.0, 0.0))
    return Observer(entry.model, SimulatedJudge(seeing), SimulatedJudge(guessing))
