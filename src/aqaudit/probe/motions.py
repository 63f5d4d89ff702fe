"""Movements by name, and the commanded severity made exact by measuring what was moved.

A movement is a function of body, style, times and *faults*: amounts that its author gave a meaning close to the error's
unit. What the joints then show is measured (:mod:`aqaudit.probe.measure`) and the amount corrected until it is what was
commanded, so a severity means the same on every body.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from aqaudit.probe import floor, lifting, standing
from aqaudit.probe.errors import EXERCISES, checked_severity
from aqaudit.probe.measure import raw_severity
from aqaudit.probe.rig import solve

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from numpy.typing import NDArray

    from aqaudit.probe.body import Figure
    from aqaudit.probe.rig import Bones, Posture
    from aqaudit.probe.style import Style

    Movement = Callable[[Figure, Style, NDArray[np.float64], Mapping[str, float]], Posture]

#: Seconds of every clip, its frames a second and their times.
DURATION_S, FPS = 2.4, 15.0
CLIP_TIMES = np.arange(round(DURATION_S * FPS)) / FPS

_MOVEMENTS: Mapping[str, Movement] = {
    "squat": standing.squat,
    "press": lifting.press,
    "lunge": standing.lunge,
    "pushup": floor.pushup,
    "hinge": standing.hinge,
    "stance": standing.stance,
    "plank": floor.plank,
    "jack": lifting.jack,
    "raise": lifting.lateral_raise,
}
#: Exercises done with a dumbbell in each hand.
DUMBBELLS = frozenset({"press", "hinge", "raise"})


def move(body: Figure, exercise: str, style: Style, times: NDArray[np.float64], faults: Mapping[str, float]) -> Bones:
    """Return the bones of a performance at ``times`` (seconds)."""
    return solve(body, _MOVEMENTS[exercise](body, style, times, faults))


def fault_for(body: Figure, exercise: str, error: str, severity: float, style: Style) -> dict[str, float]:
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
