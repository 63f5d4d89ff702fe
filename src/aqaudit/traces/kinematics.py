"""Claims held against the measured movement: supported, contradicted, or uncheckable."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
import polars as pl
from numpy.typing import NDArray

from aqaudit.traces.claims import Claim

Floats = NDArray[np.float64]

Check = Literal["supported", "contradicted", "uncheckable"]

#: Measurements that the pose model was less sure of are left out.
MIN_CONFIDENCE = 0.3
#: Fewer measurements of a quantity allow no check.
MIN_SAMPLES = 3
#: Half the width of a moment in seconds.
WINDOW_S = 0.15
#: A turning point needs so much vertical travel of the hips (or hands), in body lengths.
MIN_TRAVEL = 0.08
#: ``throughout`` holds for so large a share of the time, ``any`` for at least so large a share.
THROUGHOUT, BRIEFLY = 0.90, 0.05
#: Seen from the front, these are not what the picture shows: they need joints in space, or a view from the side.
FROM_THE_SIDE = frozenset({"knee_angle", "hip_angle", "thigh_inclination", "shank_inclination", "trunk_inclination"})
#: Takes the place of a second quantity: the first one's own value at the start.
AT_START = "start"
_SIDES = ("left", "right")


@dataclass(frozen=True, slots=True)
class Movement:
    """The measured quantities of one performance: name -> (times in seconds, values), in order of time."""

    series: Mapping[str, tuple[Floats, Floats]]
    _checked: dict[Claim, Check] = field(default_factory=dict)

    def check(self, claim: Claim) -> Check:
        """Return whether the movement supports a claim, contradicts it, or cannot tell."""
        known = self._checked.get(claim)
        if known is None:
            known = self._checked[claim] = _check(claim, self.series)
        return known


def movements(kinematics: pl.DataFrame) -> dict[str, Movement]:
    """Return the movements of a ``kinematics.parquet`` (performance_id, t_s, quantity, value, unit, confidence)."""
    sure = kinematics.filter(
        pl.col("value").is_finite()
        & pl.col("t_s").is_finite()
        & (pl.col("confidence").fill_null(1.0) >= MIN_CONFIDENCE)
    )
    found: dict[str, dict[str, tuple[Floats, Floats]]] = {}
    groups = sure.sort("performance_id", "quantity", "t_s", "value").partition_by(
        "performance_id", "quantity", as_dict=True, maintain_order=True
    )
    for (performance, quantity), rows in groups.items():
        found.setdefault(str(performance), {})[str(quantity)] = (
            rows["t_s"].to_numpy().astype(np.float64),
            rows["value"].to_numpy().astype(np.float64),
        )
    return {name: Movement(series) for name, series in found.items()}


def _check(claim: Claim, series: Mapping[str, tuple[Floats, Floats]]) -> Check:
    if claim.quantity is None or claim.value is None or claim.margin is None or claim.comparator is None:
        return "uncheckable"
    found = [one for one in _values(claim, series) if one[0].size >= MIN_SAMPLES]
    if not found:
        return "uncheckable"
    # Said of no side, a claim holds when both sides, or the one that was measured, agree.
    verdicts = {_of_side(claim, times, values, series) for times, values in found}
    verdict: Check = verdicts.pop() if len(verdicts) == 1 else _disagreeing(claim, verdicts)
    if not claim.negated or verdict == "uncheckable":
        return verdict
    return "contradicted" if verdict == "supported" else "supported"


def _disagreeing(claim: Claim, verdicts: set[Check]) -> Check:
    # A fault of one knee is a fault of the knees; an ideal that one side misses is not met, but hardly a false report.
    return "supported" if claim.moment == "any" and "supported" in verdicts else "uncheckable"


def _values(claim: Claim, series: Mapping[str, tuple[Floats, Floats]]) -> list[tuple[Floats, Floats]]:
    first = _sides(claim.quantity or "", claim.side, series)
    if claim.minus is None:
        return list(first.values())
    if claim.minus == AT_START:
        return [(times, values - values[0]) for times, values in first.values()]
    second = _sides(claim.minus, claim.side, series)
    pairs = []
    for side in sorted(first.keys() | second.keys()):
        a, b = first.get(side, first.get("")), second.get(side, second.get(""))
        if a is not None and b is not None:
            pairs.append((a[0], a[1] - np.interp(a[0], b[0], b[1])))
    return pairs


def _sides(
    name: str, side: str | None, series: Mapping[str, tuple[Floats, Floats]]
) -> dict[str, tuple[Floats, Floats]]:
    """Return a quantity's series by side (empty for one without sides), from joints in space where there are some."""
    wanted = {"": ""} | {one: f"_{one}" for one in (_SIDES if side is None else (side,))}
    for space in ("_3d", ""):
        if not space and name in FROM_THE_SIDE and any(f"knee_valgus_{one}" in series for one in _SIDES):
            return {}  # valgus is measured only where the body faces the camera
        found = {one: series[f"{name}{space}{end}"] for one, end in wanted.items() if f"{name}{space}{end}" in series}
        if found:
            return found
    return {}


def _of_side(claim: Claim, times: Floats, values: Floats, series: Mapping[str, tuple[Floats, Floats]]) -> Check:
    here = values[_at(claim, times, series)]
    if here.size == 0:
        return "uncheckable"
    holds, fails = _compare(claim, here)
    if claim.moment == "any":
        if holds.mean() >= BRIEFLY:
            return "supported"
        return "contradicted" if fails.mean() > 1 - BRIEFLY / 2 else "uncheckable"
    if claim.moment == "throughout":
        if holds.mean() >= THROUGHOUT:
            return "supported"
        return "contradicted" if fails.mean() >= 1 - THROUGHOUT else "uncheckable"
    middle = np.array([np.median(here)])
    holds, fails = _compare(claim, middle)
    return "supported" if holds[0] else "contradicted" if fails[0] else "uncheckable"


def _compare(claim: Claim, values: Floats) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Return where a claim holds and where it fails beyond its margin."""
    value, margin = claim.value or 0.0, claim.margin or 0.0
    if claim.comparator == ">=":
        return values >= value, values < value - margin
    if claim.comparator == "<=":
        return values <= value, values > value + margin
    off = np.abs(values - value)
    return off <= margin, off > 2 * margin


def _at(claim: Claim, times: Floats, series: Mapping[str, tuple[Floats, Floats]]) -> NDArray[np.bool_]:
    """Return which measurements belong to the moment of a claim; none where the moment cannot be found."""
    match claim.moment:
        case "any" | "throughout":
            return np.ones(times.size, dtype=bool)
        case "start":
            at: float | None = float(times[0])
        case "end":
            at = float(times[-1])
        case "at":
            at = claim.at_s
        case _:
            at = _turning_point(series, lowest=claim.moment == "bottom")
    if at is None:
        return np.zeros(times.size, dtype=bool)
    inside = np.abs(times - at) <= WINDOW_S
    if not inside.any() and times[0] <= at <= times[-1]:
        inside = np.zeros(times.size, dtype=bool)
        inside[int(np.abs(times - at).argmin())] = True
    return inside


def _turning_point(series: Mapping[str, tuple[Floats, Floats]], *, lowest: bool) -> float | None:
    """Return when the hips (or, where they hardly move, the hands) are lowest or highest; None without such travel."""
    for name in ("hip_height", "wrist_height_left", "wrist_height_right", "shoulder_height"):
        if name in series and series[name][0].size >= MIN_SAMPLES:
            times, values = series[name]
            if float(np.ptp(values)) >= MIN_TRAVEL:
                return float(times[int(values.argmin() if lowest else values.argmax())])
    return None
