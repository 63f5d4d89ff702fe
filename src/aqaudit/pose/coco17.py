"""COCO-17: the joints that every pose is brought to, the limbs between them, and how other sets map to it.

Left and right are the performer's own, not the viewer's.
"""

from __future__ import annotations

from typing import Literal

import numpy as np

#: The joints in order, as in COCO's ``person_keypoints`` (Lin et al., ECCV 2014).
JOINTS: tuple[str, ...] = (
    "nose", "left_eye", "right_eye", "left_ear", "right_ear", "left_shoulder", "right_shoulder", "left_elbow",
    "right_elbow", "left_wrist", "right_wrist", "left_hip", "right_hip", "left_knee", "right_knee", "left_ankle",
    "right_ankle",
)  # fmt: skip

#: Index of each joint by name.
INDEX: dict[str, int] = {name: number for number, name in enumerate(JOINTS)}

Side = Literal["left", "right", "middle"]

_LIMBS: tuple[tuple[str, str, Side], ...] = (
    ("nose", "left_eye", "left"),
    ("left_eye", "left_ear", "left"),
    ("nose", "right_eye", "right"),
    ("right_eye", "right_ear", "right"),
    ("left_shoulder", "right_shoulder", "middle"),
    ("left_hip", "right_hip", "middle"),
    ("left_shoulder", "left_hip", "left"),
    ("right_shoulder", "right_hip", "right"),
    ("left_shoulder", "left_elbow", "left"),
    ("left_elbow", "left_wrist", "left"),
    ("right_shoulder", "right_elbow", "right"),
    ("right_elbow", "right_wrist", "right"),
    ("left_hip", "left_knee", "left"),
    ("left_knee", "left_ankle", "left"),
    ("right_hip", "right_knee", "right"),
    ("right_knee", "right_ankle", "right"),
)

#: The limbs that are drawn: two joints and the side they belong to.
LIMBS: tuple[tuple[int, int, Side], ...] = tuple((INDEX[a], INDEX[b], side) for a, b, side in _LIMBS)

#: Side of each joint.
SIDES: tuple[Side, ...] = tuple(
    "left" if name.startswith("left") else "right" if name.startswith("right") else "middle" for name in JOINTS
)

#: Where COCO-17's joints are among the 33 of BlazePose (MediaPipe).
FROM_BLAZEPOSE: tuple[int, ...] = (0, 2, 5, 7, 8, 11, 12, 13, 14, 15, 16, 23, 24, 25, 26, 27, 28)

#: Where COCO-17's joints are among the 70 of MHR70 (SAM 3D Body): the wrists are counted with the hands.
FROM_MHR70: tuple[int, ...] = (0, 1, 2, 3, 4, 5, 6, 7, 8, 62, 41, 9, 10, 11, 12, 13, 14)

#: Expected standard deviation of a human's placing of each joint over the person's size (COCO's evaluation code).
SIGMAS = np.array([26, 25, 25, 35, 35, 79, 79, 72, 72, 62, 62, 107, 107, 87, 87, 89, 89]) / 1000


def _joints(*names: str) -> tuple[int, ...]:
    return tuple(INDEX[f"{side}_{name}"] for name in names for side in ("left", "right"))


#: Named body parts: the joints that bound each. A part of one side is named ``left_…`` or ``right_…``.
PARTS: dict[str, tuple[int, ...]] = {
    "head": tuple(range(5)),
    "trunk": _joints("shoulder", "hip"),
    "arms": _joints("shoulder", "elbow", "wrist"),
    "legs": _joints("hip", "knee", "ankle"),
    "shoulders": _joints("shoulder"),
    "elbows": _joints("elbow"),
    "wrists": _joints("wrist"),
    "hips": _joints("hip"),
    "knees": _joints("knee"),
    "ankles": _joints("ankle"),
    **{
        f"{side}_{part}": tuple(INDEX[f"{side}_{name}"] for name in names)
        for part, names in (("arm", ("shoulder", "elbow", "wrist")), ("leg", ("hip", "knee", "ankle")))
        for side in ("left", "right")
    },
    "body": tuple(range(17)),
}
