"""Repetitions: where in its repetition a movement is, found in its own joint angles and heights."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from collections.abc import Mapping

Values = NDArray[np.float64]

# What a repetition is looked for in, with the range (deg, body lengths) that counts as one unit of movement.
_SIGNALS = {
    "knee_angle_left": 90.0, "knee_angle_right": 90.0, "hip_angle_left": 90.0, "hip_angle_right": 90.0,
    "elbow_angle_left": 90.0, "elbow_angle_right": 90.0, "shoulder_angle_left": 90.0, "shoulder_angle_right": 90.0,
    "trunk_inclination": 90.0, "hip_height": 0.5,
}  # fmt: skip
#: Less movement than this, in those units, is standing still.
_LEAST = 0.2
#: A repetition leaves the lowest quarter of the range and comes through its upper quarter.
_LOW, _HIGH = 0.25, 0.75
#: A signal known at less than this share of the rows is not followed.
_KNOWN = 0.7


def phase(signals: Mapping[str, Values], times_s: Values) -> tuple[Values, Values]:
    """Find each row's place in its repetition.

    Followed are the quantities that move at least half as much as the one that moves most (joint angles against 90
    degrees, the height of the hips against half a body length), each as a level of 0 to 1 from the end of its range
    that the clip begins nearer to, and averaged. A repetition leaves the lowest quarter of that level, passes through
    the upper quarter and comes back: its start is the last row at rest before it leaves, its turning point the farthest
    row, its end the first row back at rest, or the last row where the clip ends on the way back in the lower half.

    Parameters
    ----------
    signals
        Quantities by name, T values each.
    times_s
        T times in seconds.

    Returns
    -------
    tuple
        T values: 0 at the start of a repetition, 0.5 at its turning point, 1 at its end, in between by time; NaN
        outside any. T confidences: 1 within a repetition, else 0.
    """
    result = np.full(len(times_s), np.nan)
    followed = _followed(signals)
    if followed is None:
        return result, np.zeros(len(times_s))
    for start, turn, end in repetitions(followed):
        rows = np.arange(start, end + 1)
        marks = [times_s[start], times_s[turn], times_s[end]]
        result[rows] = np.interp(times_s[rows], marks, [0.0, 0.5, 1.0])
    return result, np.isfinite(result).astype(np.float64)


def _followed(signals: Mapping[str, Values]) -> Values | None:
    """Return the level of movement, 0 at rest to 1, gaps bridged by straight lines, or None where nothing moves."""
    levels: list[tuple[float, Values]] = []
    for name, unit in _SIGNALS.items():
        values = signals.get(name)
        if values is None or len(values) < 3 or np.isfinite(values).mean() < _KNOWN:
            continue
        known = np.flatnonzero(np.isfinite(values))
        low, high = np.quantile(values[known], [0.05, 0.95])
        if (high - low) / unit >= _LEAST:
            level = (np.interp(np.arange(len(values)), known, values[known]) - low) / (high - low)
            levels.append((float(high - low) / unit, 1.0 - level if level[0] > 0.5 else level))
    if not levels:
        return None
    most = max(moved for moved, _ in levels)
    return np.asarray(np.mean([level for moved, level in levels if moved >= most / 2], axis=0), dtype=np.float64)


def repetitions(values: Values) -> list[tuple[int, int, int]]:
    """Return the repetitions of a level that begins at rest as (start, turning point, end) rows, in order."""
    low, high = np.quantile(values, [0.05, 0.95])
    if high <= low:
        return []
    level = (values - low) / (high - low)
    found: list[tuple[int, int, int]] = []
    rest, at, count = -1, 0, len(level)
    while at < count:
        if level[at] <= _LOW:
            rest = at
        elif level[at] >= _HIGH and rest >= 0:
            back = next((n for n in range(at, count) if level[n] <= _LOW), count - 1)
            turn = rest + int(np.argmax(level[rest : back + 1]))
            if level[back] <= 0.5 and rest < turn < back:
                found.append((rest, turn, back))
            rest = back if level[back] <= _LOW else -1
            at = back
        at += 1
    return found
