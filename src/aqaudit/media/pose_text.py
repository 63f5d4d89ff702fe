"""Pose as text: joint angles and distances at the sampled moments, compact enough for a prompt."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from aqaudit.media.region import hidden
from aqaudit.pose.kinematics import kinematics

if TYPE_CHECKING:
    from collections.abc import Sequence

    from aqaudit.pose.keypoints import Keypoints

#: What is told, in columns: heading, quantity, whether it has two sides, decimal places.
COLUMNS: tuple[tuple[str, str, bool, int], ...] = (
    ("knee", "knee_angle", True, 0),
    ("hip", "hip_angle", True, 0),
    ("elbow", "elbow_angle", True, 0),
    ("shoulder", "shoulder_angle", True, 0),
    ("thigh", "thigh_inclination", True, 0),
    ("shank", "shank_inclination", True, 0),
    ("trunk", "trunk_inclination", False, 0),
    ("knee in", "knee_valgus", True, 0),
    ("hip high", "hip_height", False, 2),
    ("wrist high", "wrist_height", True, 2),
    ("ankle high", "ankle_height", True, 2),
    ("knees apart", "knee_separation", False, 2),
    ("ankles apart", "ankle_separation", False, 2),
    ("wrists apart", "wrist_separation", False, 2),
)
_EXPLAINED = """\
Pose of the performer, measured from the video by a pose estimator; one line a moment.
Columns: time in seconds; knee, hip, elbow, shoulder = joint angles in degrees (180 = straight; shoulder: 0 = arm \
along the trunk); thigh, shank, trunk = degrees from vertical; knee in = degrees the knee bends towards the middle of \
the body, seen from the front; the rest in body lengths (shoulder to ankle): high = above the lower ankle, apart = \
distance between the two.
Two values are the performer's left/right side; - = not seen."""


def pose_text(
    keypoints: Keypoints,
    rows: Sequence[int],
    times_s: Sequence[float],
    *,
    region: str | None = None,
    blank: bool = False,
) -> str:
    """Write the pose at some rows as text.

    Parameters
    ----------
    keypoints
        The joints over the whole performance; body lengths are measured over all of it.
    rows, times_s
        Which rows are told, and the times that are told of them, in seconds from the start of the performance.
    region
        A region whose joints are taken out; what rests on them is not told.
    blank
        Tell no value at all, in as many lines.
    """
    if region is not None:
        keypoints = _without(keypoints, region)
    measured = kinematics(keypoints)
    lines = [_EXPLAINED, " | ".join(["t", *(heading for heading, *_ in COLUMNS)])]
    for row, time_s in zip(rows, times_s, strict=True):
        cells = [f"{time_s:.2f}"]
        for _, name, sided, places in COLUMNS:
            names = [f"{name}_left", f"{name}_right"] if sided else [name]
            values = [np.nan if blank else float(measured[one].values[row]) for one in names]
            cells.append("/".join(_written(value, places) for value in values))
        lines.append(" | ".join(cells))
    return "\n".join(lines)


def _written(value: float, places: int) -> str:
    return "-" if not np.isfinite(value) else f"{round(value, places) + 0.0:.{places}f}"


def _without(keypoints: Keypoints, region: str) -> Keypoints:
    return replace(keypoints, points=hidden(keypoints.points, region), joints3d=None)
