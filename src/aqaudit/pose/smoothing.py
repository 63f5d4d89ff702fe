"""Smoothing: jitter out, gaps left alone."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from aqaudit.pose.keypoints import Keypoints

#: Standard deviation of the window in seconds: short against a repetition, long against a frame.
SIGMA_S = 0.05


def smoothed(keypoints: Keypoints, sigma_s: float = SIGMA_S) -> Keypoints:
    """Return keypoints with every joint averaged over its neighbours in time.

    A Gaussian window of ``sigma_s`` seconds weighted by confidence. A joint that was not found stays not found, and
    found ones take nothing from beyond a gap. Confidences stay as they are.
    """
    points = keypoints.points.copy()
    for joint in range(points.shape[1]):
        track = keypoints.points[:, joint].astype(np.float64)
        points[:, joint, :2] = averaged(track[:, :2], track[:, 2], keypoints.times_s, sigma_s)
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
