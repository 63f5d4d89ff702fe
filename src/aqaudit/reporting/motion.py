"""How a performance moved: the joint angle or distance that changes most, over time."""

from __future__ import annotations

import polars as pl

from aqaudit.reporting.drawing import Figure, curve
from aqaudit.reporting.text import clean

_MOST_POINTS = 60
#: Quantities that are shown; derived ones (velocities, phase) say less at a glance.
_SHOWN = r"^(?:knee|hip|elbow|shoulder)_angle|^trunk_inclination|^hip_height"


def motion(kinematics: pl.DataFrame | None, performance: str) -> Figure | None:
    """Return a line of the quantity with the widest range; None where nothing is known of the performance."""
    if kinematics is None:
        return None
    rows = kinematics.filter(
        (pl.col("performance_id") == performance)
        & pl.col("quantity").str.contains(_SHOWN)
        & pl.col("value").is_finite()
        & pl.col("t_s").is_finite()
    )
    if rows.is_empty():
        return None
    spans = rows.group_by("quantity", "unit").agg(
        pl.len().alias("n"), (pl.col("value").max() - pl.col("value").min()).alias("span")
    )
    # Degrees and body lengths do not compare: angles come first.
    best = spans.filter((pl.col("n") > 2) & (pl.col("span") > 0)).sort(
        pl.col("unit") != "deg", -pl.col("span"), "quantity"
    )
    if best.is_empty():
        return None
    quantity, unit = best["quantity"][0], best["unit"][0]
    line = rows.filter(pl.col("quantity") == quantity).sort("t_s", "value")
    line = line.gather_every(max(1, line.height // _MOST_POINTS))
    points = [(float(t), float(v)) for t, v in line.select("t_s", "value").iter_rows()]
    low, high = min(v for _, v in points), max(v for _, v in points)
    if high <= low:
        return None
    name = clean(f"{quantity.replace('_', ' ')}, {unit or ''}".rstrip(", "), 60)
    said = f"from {low:.4g} to {high:.4g} over {points[-1][0] - points[0][0]:.2g} seconds"
    return curve(name, (), x_name="seconds", y_name=name, bounds=(low, high), model=points, said=said)
