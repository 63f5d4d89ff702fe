"""Bodies of UI-PRMD: what markers or joints say where a body is, and its drawing as a clip with COCO-17 key points.

The camera stands still and sees without perspective. In front the person faces the viewer, their left on the right side
of the picture; from the side they face right, their right side nearer. Left limbs are blue, right limbs red.
"""

from __future__ import annotations

import gzip
import io
import os
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from aqaudit.core.records import BadInput
from aqaudit.media.encode import mp4
from aqaudit.pose.coco17 import INDEX, JOINTS

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

#: Version of the drawing; raised when it would look otherwise: clips are then drawn again.
DRAWING = 1
SIDE = 480
FPS = 25.0

_PAPER, _GROUND, _DARK = (247, 249, 246), (185, 190, 185), (40, 40, 40)
_COLOURS = {"left": (20, 90, 205), "right": (210, 60, 30)}
_FINER = 2  # drawn larger and scaled down, so that edges are smooth
_LIMBS = (("shoulder", "elbow"), ("elbow", "wrist"), ("wrist", "hand"), ("hip", "knee"), ("knee", "ankle"),
          ("ankle", "heel"), ("ankle", "toe"), ("heel", "toe"))  # fmt: skip

Points = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordedBody:
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


class Seen(NamedTuple):
    """A body as a camera sees it at the rate of the clip: pixels and depth (towards the viewer), by name."""

    points: dict[str, Points]
    joints: Points
    metres: Points
    sure: Points
    ground: float
    times_s: tuple[float, ...]


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


def vicon_body(numbers: Points) -> RecordedBody:
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
    return RecordedBody(joints=joints, sure=sure, drawn=drawn, hz=VICON_HZ)


def kinect_body(positions: Points, angles: Points) -> RecordedBody:
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
    return RecordedBody(joints=joints, sure=sure, drawn=drawn, hz=KINECT_HZ)


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


def look(body: RecordedBody, camera: str) -> Seen:
    """Project a body into the picture of a camera, sampled at 25 frames a second (nearest recorded frame)."""
    count = max(1, round(len(body) / body.hz * FPS))
    rows = np.minimum(np.round(np.arange(count) / FPS * body.hz).astype(int), len(body) - 1)
    joints = body.joints[rows]
    left = _facing(joints)
    forward = np.array([left[1], -left[0], 0.0])  # left x up
    across, depth = (left, forward) if camera == "front" else (forward, -left)
    named = {name: joints[:, INDEX[name]] for name in JOINTS if body.sure[INDEX[name]] > 0}
    named |= {name: points[rows] for name, points in body.drawn.items()}
    low, tall = _floor(named)
    everything = np.concatenate([points for name, points in named.items() if name != "nose"])
    wide = np.ptp(everything @ across)
    high = float(everything[:, 2].max()) - low
    per_mm = SIDE / max(1.35 * tall, wide / 0.9, high / 0.9)
    centre = (float((everything @ across).max()) + float((everything @ across).min())) / 2
    ground = 0.94 * SIDE

    def seen(points: Points) -> Points:
        x = SIDE / 2 + (points @ across - centre) * per_mm
        y = ground - (points[..., 2] - low) * per_mm
        return np.stack([x, y, points @ depth], axis=-1)

    metres = np.stack([joints @ across - centre, joints[..., 2] - low, joints @ depth], axis=-1) / 1000
    return Seen(
        points={name: seen(points) for name, points in named.items()},
        joints=seen(joints),
        metres=metres,
        sure=body.sure,
        ground=ground,
        times_s=tuple(float(time) for time in np.round(np.arange(count) / FPS, 6)),
    )


def write(body: RecordedBody, camera: str, clip: Path, pose: Path) -> None:
    """Draw a body and write its clip (MP4) and its key points (npz); each file is whole or not there.

    Raises
    ------
    BadInput
        Where they cannot be written.
    """
    seen = look(body, camera)
    video = mp4(_pictures(seen), seen.times_s, FPS)
    arrays = io.BytesIO()
    confidence = np.broadcast_to(seen.sure[:, None], (*seen.joints.shape[:2], 1))
    np.savez_compressed(
        arrays,
        keypoints=np.concatenate([seen.joints[..., :2], confidence], axis=-1).astype(np.float32),
        joints3d=seen.metres.astype(np.float32),
        fps=np.float32(FPS),
        width=np.int64(SIDE),
        height=np.int64(SIDE),
    )
    for path, data in ((pose, arrays.getvalue()), (clip, video)):
        partial = path.with_name(f".{path.name}.{os.getpid()}.part")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            partial.write_bytes(data)
            partial.replace(path)
        except OSError as error:
            raise BadInput(
                f"{path}: cannot be written ({error.strerror}); name another folder for drawn clips with options ="
                ' { cache = "…" }'
            ) from None


def _facing(joints: Points) -> Points:
    """Return the horizontal direction of the person's left over the clip, of length 1."""
    hips = joints[:, INDEX["left_hip"]] - joints[:, INDEX["right_hip"]]
    shoulders = joints[:, INDEX["left_shoulder"]] - joints[:, INDEX["right_shoulder"]]
    left = (hips + shoulders).mean(axis=0) * [1.0, 1.0, 0.0]
    length = float(np.linalg.norm(left))
    return np.asarray(left / length) if length > 0 else np.array([1.0, 0.0, 0.0])


def _floor(named: dict[str, Points]) -> tuple[float, float]:
    """Return how high the lowest point of the feet is, and how far above it the head gets: the person's height."""
    feet = [points[:, 2].min() for name, points in named.items() if name.endswith(("toe", "heel", "ankle"))]
    low = float(min(feet)) if feet else float(min(points[:, 2].min() for points in named.values()))
    return low, max(1.0, float(named["head"][:, 2].max()) - low + 100)


def _pictures(seen: Seen) -> Iterator[NDArray[np.uint8]]:
    for row in range(len(seen.times_s)):
        yield _picture({name: points[row] for name, points in seen.points.items()}, seen.ground)


def _picture(at: dict[str, Points], ground: float) -> NDArray[np.uint8]:
    image = Image.new("RGB", (SIDE * _FINER, SIDE * _FINER), _PAPER)
    pen = ImageDraw.Draw(image)
    pen.line([(0, ground * _FINER), (SIDE * _FINER, ground * _FINER)], fill=_GROUND, width=_FINER)
    lines = _lines(at)
    lines.sort(key=lambda line: line[0])  # what is nearer is drawn over what is farther
    for _, a, b, colour, width in lines:
        pen.line([_xy(a), _xy(b)], fill=colour, width=width * _FINER)
        for end in (a, b):
            _dot(pen, end, 3.5, _DARK)
    if "head" in at:
        _dot(pen, at["head"], 14, _DARK)
    return np.asarray(image.reduce(_FINER), dtype=np.uint8)


def _lines(at: dict[str, Points]) -> list[tuple[float, Points, Points, tuple[int, int, int], int]]:
    """Return what is drawn as lines: depth, ends, colour, width."""
    lines = []
    for side, colour in _COLOURS.items():
        for one, other in _LIMBS:
            a, b = at.get(f"{side}_{one}"), at.get(f"{side}_{other}")
            if a is not None and b is not None:
                lines.append((float(a[2] + b[2]) / 2, a, b, colour, 5))
    hips = [at[name] for name in ("left_hip", "right_hip") if name in at]
    shoulders = [at[name] for name in ("left_shoulder", "right_shoulder") if name in at]
    trunk = [np.mean(ends, axis=0) for ends in (hips, shoulders) if ends]
    if "neck" in at:
        trunk.append(at["neck"])
    if "head" in at:
        trunk.append(at["head"])
    lines += [(float(a[2] + b[2]) / 2, a, b, _DARK, 6) for a, b in pairwise(trunk)]
    for ends, middle in ((hips, 0), (shoulders, 1)):
        for end, colour in zip(ends, _COLOURS.values(), strict=False):
            if len(trunk) > middle:
                lines.append((float(end[2] + trunk[middle][2]) / 2, trunk[middle], end, colour, 5))
    return lines


def _xy(point: Points) -> tuple[float, float]:
    return float(point[0]) * _FINER, float(point[1]) * _FINER


def _dot(pen: ImageDraw.ImageDraw, point: Points, radius: float, colour: tuple[int, int, int]) -> None:
    x, y = _xy(point)
    wide = radius * _FINER
    pen.ellipse([x - wide, y - wide, x + wide, y + wide], fill=colour)
