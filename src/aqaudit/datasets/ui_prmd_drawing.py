"""Drawing a body: stick figures seen from the front or the side, as a clip and as COCO-17 key points in its pixels.

The camera stands still and sees without perspective. In front the person faces the viewer, their left on the right side
of the picture; from the side they face right, their right side nearer. Left limbs are blue, right limbs red.
"""

from __future__ import annotations

import io
import os
from itertools import pairwise
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from PIL import Image, ImageDraw

from aqaudit.media.encode import mp4
from aqaudit.pose.coco17 import INDEX, JOINTS
from aqaudit.records import BadInput

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from numpy.typing import NDArray

    from aqaudit.datasets.ui_prmd_motion import Body, Points

#: Raised when a drawing would look otherwise: clips are then drawn again.
VERSION = 1
SIDE = 480
FPS = 25.0

_PAPER, _GROUND, _DARK = (247, 249, 246), (185, 190, 185), (40, 40, 40)
_COLOURS = {"left": (20, 90, 205), "right": (210, 60, 30)}
_FINER = 2  # drawn larger and scaled down, so that edges are smooth
_LIMBS = (("shoulder", "elbow"), ("elbow", "wrist"), ("wrist", "hand"), ("hip", "knee"), ("knee", "ankle"),
          ("ankle", "heel"), ("ankle", "toe"), ("heel", "toe"))  # fmt: skip


class Seen(NamedTuple):
    """A body as a camera sees it at the rate of the clip: pixels and depth (towards the viewer), by name."""

    points: dict[str, Points]
    joints: Points
    metres: Points
    sure: Points
    ground: float
    times_s: tuple[float, ...]


def look(body: Body, camera: str) -> Seen:
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


def write(body: Body, camera: str, clip: Path, pose: Path) -> None:
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
