"""Movements of UI-PRMD as bodies in space: markers of Vicon, or joints of Kinect put together from their parents.

Vicon: 39 markers (Plug-in Gait, full body) x (x, y, z), millimetres, z up, absolute, 100 Hz. Kinect: 22 joints,
centimetres, y up, 30 Hz; only the first is a place, each other one an offset from its parent, turned by the angles
(degrees) of all joints above it, an angle turning what hangs on its joint: R = Rz Rx Ry. The data set's own drawing
script composes Rz Ry Rx, and its authors call some legs unnatural; of all orders and signs this one agrees best with
Vicon, arms and legs together, on the 40 executions that were sampled from both: thighs and shanks point 12.3 degrees
apart in the mean (20.6 with the script's order), and knee angles correlate with 0.96 (median).
"""

from __future__ import annotations

import gzip
import io
import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from aqaudit.pose.coco17 import INDEX, JOINTS
from aqaudit.records import BadInput

if TYPE_CHECKING:
    from pathlib import Path

VICON_HZ, KINECT_HZ = 100.0, 30.0
#: Columns of a text file.
VICON_COLUMNS, KINECT_COLUMNS = 117, 66
#: Text of one execution, unpacked, in bytes; the longest has a tenth of it.
LARGEST = 64 << 20

#: Their order in a line.
MARKERS = (
    "LFHD", "RFHD", "LBHD", "RBHD", "C7", "T10", "CLAV", "STRN", "RBAK", "LSHO", "LUPA", "LELB", "LFRM", "LWRA", "LWRB",
    "LFIN", "RSHO", "RUPA", "RELB", "RFRM", "RWRA", "RWRB", "RFIN", "LASI", "RASI", "LPSI", "RPSI", "LTHI", "LKNE",
    "LTIB", "LANK", "LHEE", "LTOE", "RTHI", "RKNE", "RTIB", "RANK", "RHEE", "RTOE",
)  # fmt: skip
#: Parents of the 22 joints of Kinect: waist, spine, chest, neck, head, tip of it; collar, upper arm, forearm, hand of
#: the left and of the right; upper leg, lower leg, foot, toes of the left and of the right.
PARENTS = (-1, 0, 1, 2, 3, 4, 2, 6, 7, 8, 2, 10, 11, 12, 0, 14, 15, 16, 0, 18, 19, 20)
#: How sure a joint of the face is that was placed by the head alone.
GUESSED = 0.5

Points = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Body:
    """A body over time: millimetres, z up. ``joints`` are COCO-17's (T x 17 x 3) with ``sure`` (17) from 0 to 1.

    ``drawn`` holds further points (T x 3) for drawing: neck, head, and heel, toe and hand of each side where recorded.
    ``hz`` is their rate.
    """

    joints: Points
    sure: Points
    drawn: dict[str, Points]
    hz: float

    def __len__(self) -> int:
        return len(self.joints)


def numbers_of(path: Path, columns: int) -> Points:
    """Read a text file of numbers, plain or gzip: one frame a line.

    Raises
    ------
    BadInput
        Where it cannot be read, is too large, or has other than ``columns`` finite numbers in a line.
    """
    try:
        with gzip.open(path) if path.suffix == ".gz" else path.open("rb") as file:
            raw = file.read(LARGEST + 1)
    except (OSError, EOFError, zlib.error) as error:
        raise BadInput(f"{path} cannot be read: {error}") from None
    if len(raw) > LARGEST:
        raise BadInput(f"{path} has over {LARGEST >> 20} MB; one execution has a tenth of that")
    if not raw.strip():
        raise BadInput(f"{path}: holds no numbers")
    try:
        text = raw.decode("ascii").replace(",", " ")
        array = np.loadtxt(io.StringIO(text), ndmin=2, dtype=np.float64, comments=None)
    except ValueError as error:
        raise BadInput(f"{path}: not lines of numbers: {' '.join(str(error).split())[:120]}") from None
    if array.ndim != 2 or array.shape[1] != columns or len(array) < 2 or not np.isfinite(array).all():
        shape = " x ".join(map(str, array.shape))
        raise BadInput(f"{path}: {shape} numbers; allowed: two or more lines of {columns} finite numbers")
    return array


def vicon_body(numbers: Points) -> Body:
    """Make a body of markers; a marker at exactly 0, 0, 0 was not seen and makes its joint unsure.

    Hip joints follow the pelvis markers (Bell et al., J. Biomech. 1990): 36 % of the distance of the front markers to
    the side, 19 % back and 30 % down from their middle. Eyes, ears and nose are placed by the four markers of the head.
    """
    points = numbers.reshape(len(numbers), len(MARKERS), 3)
    at = {name: points[:, place] for place, name in enumerate(MARKERS)}
    lost = {name: bool((np.abs(points[:, place]).sum(axis=1) == 0).any()) for place, name in enumerate(MARKERS)}
    joints = np.zeros((len(points), len(JOINTS), 3))
    sure = np.ones(len(JOINTS))
    drawn: dict[str, Points] = {}
    middle = (at["LASI"] + at["RASI"]) / 2
    width = np.linalg.norm(at["LASI"] - at["RASI"], axis=1, keepdims=True)
    left = _unit(at["LASI"] - at["RASI"])
    forward = middle - (at["LPSI"] + at["RPSI"]) / 2
    forward = _unit(forward - left * np.sum(forward * left, axis=1, keepdims=True))
    up = np.cross(forward, left)
    head = (at["LFHD"] + at["RFHD"] + at["LBHD"] + at["RBHD"]) / 4
    front = (at["LFHD"] + at["RFHD"]) / 2
    ahead = front - (at["LBHD"] + at["RBHD"]) / 2
    down = (at["C7"] + at["CLAV"]) / 2 - head
    for side, sign, letter in (("left", 1.0, "L"), ("right", -1.0, "R")):
        hip = middle + width * (sign * 0.36 * left - 0.19 * forward - 0.30 * up)
        placed: dict[str, tuple[Points, tuple[str, ...]]] = {
            "shoulder": (at[f"{letter}SHO"], (f"{letter}SHO",)),
            "elbow": (at[f"{letter}ELB"], (f"{letter}ELB",)),
            "wrist": ((at[f"{letter}WRA"] + at[f"{letter}WRB"]) / 2, (f"{letter}WRA", f"{letter}WRB")),
            "hip": (hip, ("LASI", "RASI", "LPSI", "RPSI")),
            "knee": (at[f"{letter}KNE"], (f"{letter}KNE",)),
            "ankle": (at[f"{letter}ANK"], (f"{letter}ANK",)),
            "eye": (at[f"{letter}FHD"] + 0.25 * down, ("LFHD", "RFHD")),
            "ear": ((at[f"{letter}FHD"] + at[f"{letter}BHD"]) / 2 + 0.3 * down, ("LFHD", "RFHD")),
        }
        for name, (place, markers) in placed.items():
            joints[:, INDEX[f"{side}_{name}"]] = place
            sure[INDEX[f"{side}_{name}"]] = 0.0 if any(lost[one] for one in markers) else 1.0
        for name, marker in (("heel", "HEE"), ("toe", "TOE"), ("hand", "FIN")):
            if not lost[f"{letter}{marker}"]:
                drawn[f"{side}_{name}"] = at[f"{letter}{marker}"]
    joints[:, INDEX["nose"]] = front + 0.2 * ahead + 0.35 * down
    sure[INDEX["nose"]] = 0.0 if lost["LFHD"] or lost["RFHD"] else 1.0
    sure[:5] *= GUESSED
    drawn |= {"head": head + 0.2 * down, "neck": (at["C7"] + at["CLAV"]) / 2}
    return Body(joints=joints, sure=sure, drawn=drawn, hz=VICON_HZ)


def kinect_body(positions: Points, angles: Points) -> Body:
    """Make a body of joints: offsets from their parents, turned by the angles above them. Eyes and ears are unknown."""
    frames = min(len(positions), len(angles))
    offsets = positions[:frames].reshape(frames, len(PARENTS), 3)
    turns = _turns(angles[:frames].reshape(frames, len(PARENTS), 3))
    world = np.zeros((frames, len(PARENTS), 3))
    total = np.zeros((frames, len(PARENTS), 3, 3))
    for joint, parent in enumerate(PARENTS):
        if parent < 0:
            world[:, joint], total[:, joint] = offsets[:, joint], turns[:, joint]
        else:
            world[:, joint] = world[:, parent] + np.einsum("tij,tj->ti", total[:, parent], offsets[:, joint])
            total[:, joint] = total[:, parent] @ turns[:, joint]
    # centimetres with y up become millimetres with z up
    points = 10 * np.stack([world[..., 0], -world[..., 2], world[..., 1]], axis=-1)
    joints = np.zeros((frames, len(JOINTS), 3))
    sure = np.zeros(len(JOINTS))
    drawn = {"head": (points[:, 4] + points[:, 5]) / 2, "neck": points[:, 3]}
    for side, arm, leg in (("left", 7, 14), ("right", 11, 18)):
        for name, place in zip(("shoulder", "elbow", "wrist"), range(arm, arm + 3), strict=True):
            joints[:, INDEX[f"{side}_{name}"]], sure[INDEX[f"{side}_{name}"]] = points[:, place], 1.0
        for name, place in zip(("hip", "knee", "ankle"), range(leg, leg + 3), strict=True):
            joints[:, INDEX[f"{side}_{name}"]], sure[INDEX[f"{side}_{name}"]] = points[:, place], 1.0
        drawn[f"{side}_toe"] = points[:, leg + 3]
    joints[:, INDEX["nose"]], sure[INDEX["nose"]] = drawn["head"], GUESSED
    return Body(joints=joints, sure=sure, drawn=drawn, hz=KINECT_HZ)


def _unit(vectors: Points) -> Points:
    length = np.linalg.norm(vectors, axis=-1, keepdims=True)
    return np.asarray(vectors / np.where(length > 0, length, 1.0), dtype=np.float64)


def _turns(degrees: Points) -> Points:
    """Return the rotations Rz Rx Ry of angles (… x 3) as matrices (… x 3 x 3)."""
    x, y, z = (np.radians(degrees[..., axis]) for axis in range(3))
    cx, sx, cy, sy, cz, sz = np.cos(x), np.sin(x), np.cos(y), np.sin(y), np.cos(z), np.sin(z)
    rows = [
        [cz * cy - sz * sx * sy, -sz * cx, cz * sy + sz * sx * cy],
        [sz * cy + cz * sx * sy, cz * cx, sz * sy - cz * sx * cy],
        [-cx * sy, sx, cx * cy],
    ]
    return np.stack([np.stack(row, axis=-1) for row in rows], axis=-2)
