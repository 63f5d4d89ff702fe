"""COCO-17: the joints, their names and limbs; keypoints over time; and which of several people is the performer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

Points = NDArray[np.float32]

#: Joints under this confidence are neither drawn nor measured.
MIN_CONFIDENCE = 0.3
#: Joints are smoothed over this standard deviation in seconds: short against a repetition, long against a frame.
SIGMA_S = 0.05
# Two poses that agree less than this (object keypoint similarity, 0 to 1) are not the same person.
_LEAST = 0.1
# A track that was not seen for more rows than this has ended.
_PATIENCE = 30

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


@dataclass(frozen=True, slots=True, kw_only=True)
class Keypoints:
    """COCO-17 joints of one performer, one row a frame.

    ``points`` is T x 17 x 3: x and y in pixels of the upright frame (y down), and a confidence of 0 to 1. A joint that
    was not found has x and y NaN and confidence 0: a gap stays a gap. ``times_s`` (T) are seconds on the source's time
    line; ``width`` and ``height`` the size of the frame in pixels. ``joints3d``, where the source gives it, is
    T x 17 x 3 in metres, x to the viewer's right, y up, z towards the viewer.
    """

    points: Points
    times_s: NDArray[np.float64]
    width: int
    height: int
    joints3d: Points | None = None

    def __len__(self) -> int:
        return len(self.points)

    def at(self, rows: Sequence[int] | slice) -> Keypoints:
        """Return the rows at these positions."""
        return replace(
            self,
            points=self.points[rows],
            times_s=self.times_s[rows],
            joints3d=None if self.joints3d is None else self.joints3d[rows],
        )


def cleaned(points: NDArray[np.floating]) -> Points:
    """Return T x 17 x 3 with what was not found as NaN with confidence 0, and confidences cut to 0 to 1."""
    result = np.array(points, dtype=np.float32)
    confidence = np.nan_to_num(result[..., 2], nan=0.0, posinf=0.0, neginf=0.0)
    found = (confidence > 0) & np.isfinite(result[..., :2]).all(axis=-1)
    result[..., 2] = np.where(found, np.clip(confidence, 0.0, 1.0), 0.0)
    result[..., :2][~found] = np.nan
    return result


def sure(points: NDArray[np.floating]) -> NDArray[np.bool_]:
    """Say for every joint (… x 3) whether it is known well enough to be drawn or measured."""
    return np.asarray(points[..., 2] >= MIN_CONFIDENCE)


def box(points: NDArray[np.floating]) -> tuple[float, float, float, float] | None:
    """Return the box (x0, y0, x1, y1) around the sure joints of one or more rows, None where there is none."""
    good = points[sure(points)]
    if not len(good):
        return None
    low, high = good[:, :2].min(axis=0), good[:, :2].max(axis=0)
    return float(low[0]), float(low[1]), float(high[0]), float(high[1])


def person_sizes(points: NDArray[np.floating]) -> NDArray[np.float64]:
    """Return how large the person is in each row (T x 17 x 3): the diagonal of the box around the sure joints, or 0."""
    known = sure(points)[..., None]
    low = np.where(known, points[..., :2], np.inf).min(axis=1)
    high = np.where(known, points[..., :2], -np.inf).max(axis=1)
    span = np.where(np.isfinite(low), high - low, 0.0)
    return np.asarray(np.hypot(span[:, 0], span[:, 1]), dtype=np.float64)


def smoothed(keypoints: Keypoints) -> Keypoints:
    """Return keypoints with every joint averaged over its neighbours in time.

    A Gaussian window of :data:`SIGMA_S` weighted by confidence. A joint that was not found stays not found, and
    found ones take nothing from beyond a gap. Confidences stay as they are.
    """
    points = keypoints.points.copy()
    for joint in range(points.shape[1]):
        track = keypoints.points[:, joint].astype(np.float64)
        points[:, joint, :2] = averaged(track[:, :2], track[:, 2], keypoints.times_s, SIGMA_S)
    return replace(keypoints, points=points)


def averaged(
    values: NDArray[np.float64], weights: NDArray[np.float64], times_s: NDArray[np.float64], sigma_s: float
) -> NDArray[np.float64]:
    """Average rows (T x D) over time, Gaussian times weight; rows of weight 0 stay as they are and cut what goes on."""
    result = values.copy()
    found = (weights > 0) & np.isfinite(values).all(axis=1)
    edges = np.flatnonzero(np.diff(np.concatenate([[0], found.astype(np.int8), [0]])))
    for begin, end in zip(edges[::2].tolist(), edges[1::2].tolist(), strict=True):
        times = times_s[begin:end]
        low = np.searchsorted(times, times - 3 * sigma_s, side="left")
        high = np.searchsorted(times, times + 3 * sigma_s, side="right")
        for row in range(end - begin):
            near = slice(int(low[row]), int(high[row]))
            share = np.exp(-0.5 * ((times[near] - times[row]) / sigma_s) ** 2) * weights[begin:end][near]
            result[begin + row] = (share[:, None] * values[begin:end][near]).sum(axis=0) / share.sum()
    return result


def performer(
    people: Sequence[NDArray[np.floating]], width: int | None = None, height: int | None = None
) -> list[int | None]:
    """Choose the performer and find them in every frame.

    People are linked from frame to frame by how well their joints agree, the best pairs first; a person may be missed
    for up to 30 frames. The performer is the track with the greatest sum, over its frames, of size (diagonal of the box
    around the joints) x mean confidence x moved (their joints' path over their size, 0.5 to 1.5) x central (1 in the
    middle of the frame, 0.5 at its edge): the large person who moves, rather than a trainer or spectators.

    Parameters
    ----------
    people
        For each of T frames P x 17 x 3: x, y in pixels, confidence; P may be 0 and differ.
    width, height
        Size of the frame, where known.

    Returns
    -------
    list
        For each frame the index of the performer, None where they are not seen.
    """
    tracks = linked(people)
    if not tracks:
        return [None] * len(people)
    best = max(tracks, key=lambda track: _weight(track, people, width, height))
    return [best.get(row) for row in range(len(people))]


def joints_of_performer(
    people: Sequence[NDArray[np.floating]],
    in_space: Sequence[NDArray[np.floating] | None],
    width: int | None = None,
    height: int | None = None,
) -> tuple[Points, Points | None]:
    """Return the joints of the performer, T x 17 x 3, and the same in space, None where they are in no frame.

    ``people`` and ``in_space`` hold P x 17 x 3 joints for each of T frames; see :func:`performer`.
    """
    points = np.full((len(people), 17, 3), np.nan, dtype=np.float32)
    joints3d = points.copy()
    for row, who in enumerate(performer(people, width, height)):
        if who is not None:
            points[row] = people[row][who]
            spatial = in_space[row]
            if spatial is not None:
                joints3d[row] = spatial[who]
    return cleaned(points), joints3d if np.isfinite(joints3d).any() else None


def linked(people: Sequence[NDArray[np.floating]]) -> list[dict[int, int]]:
    """Link people over the frames; each track is a table from frame to index, in the order of their beginnings."""
    tracks: list[dict[int, int]] = []
    live: list[int] = []  # numbers of tracks that may go on
    for row, here in enumerate(people):
        there = [index for index in range(len(here)) if box(here[index]) is not None]
        live = [number for number in live if row - max(tracks[number]) <= _PATIENCE]
        taken: set[int] = set()
        if live and there:
            last = [people[max(tracks[number])][tracks[number][max(tracks[number])]] for number in live]
            alike = np.array([[similarity(old, here[index]) for index in there] for old in last])
            for old, new in zip(*linear_sum_assignment(-alike), strict=True):
                if alike[old, new] >= _LEAST:
                    tracks[live[old]][row] = there[new]
                    taken.add(there[new])
        for index in there:
            if index not in taken:
                live.append(len(tracks))
                tracks.append({row: index})
    return tracks


def similarity(first: NDArray[np.floating], second: NDArray[np.floating]) -> float:
    """Return how well two poses (17 x 3) agree, 0 to 1.

    COCO's object keypoint similarity over the joints sure in both, with the larger person's box as the scale and twice
    the tolerance, since people move between frames; 0 where no joint is sure in both.
    """
    both = sure(first) & sure(second)
    if not both.any():
        return 0.0
    sizes = [found for found in (box(first), box(second)) if found is not None]
    area = max((x1 - x0) * (y1 - y0) for x0, y0, x1, y1 in sizes) + 1.0
    off = ((first[both, :2] - second[both, :2]).astype(np.float64) ** 2).sum(axis=1)
    return float(np.exp(-off / (2 * area * (4 * SIGMAS[both]) ** 2)).mean())


def _weight(
    track: dict[int, int], people: Sequence[NDArray[np.floating]], width: int | None, height: int | None
) -> float:
    total, path, size = 0.0, 0.0, 0.0
    before: NDArray[np.floating] | None = None
    for row, index in track.items():
        pose = people[row][index]
        found = box(pose)
        if found is None:
            continue
        x0, y0, x1, y1 = found
        here = float(np.hypot(x1 - x0, y1 - y0))
        size = max(size, here)
        central = 1.0
        if width and height:
            off = np.hypot((x0 + x1) / width - 1, (y0 + y1) / height - 1)
            central = 1.0 - 0.5 * min(1.0, float(off))
        total += here * float(pose[sure(pose), 2].mean()) * central
        if before is not None:
            both = sure(before) & sure(pose)
            if both.any():
                path += float(np.linalg.norm(pose[both, :2] - before[both, :2], axis=1).mean())
        before = pose
    moved = min(1.5, 0.5 + path / size) if size else 0.5
    return total * moved
