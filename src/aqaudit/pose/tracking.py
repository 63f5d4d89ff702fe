"""Tracking: which of several people in view is the performer, and where they are in every frame."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy.optimize import linear_sum_assignment

from aqaudit.pose.coco17 import SIGMAS
from aqaudit.pose.keypoints import box, sure

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

#: Two poses that agree less than this (object keypoint similarity, 0 to 1) are not the same person.
_LEAST = 0.1
#: A track that was not seen for more rows than this has ended.
_PATIENCE = 30


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
