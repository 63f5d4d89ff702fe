"""Curves that audits fitted: drawn from the ``points`` and ``curve`` that a finding carries in its details."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from aqaudit.reporting.drawing import Figure, curve
from aqaudit.reporting.text import clean
from aqaudit.reporting.verdicts import label, measure_name, scope_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from aqaudit.audits.finding import Finding

_MOST_POINTS = 60
#: What audits call the coordinates of their points.
_X = ("x", "severity", "gap", "stated")
_Y = ("y", "share", "accuracy", "found")
_N = ("n", "rows", "pairs", "trials")
_AXES = {
    "psychometric": ("size of the error", "share that says 'error'", None),
    "order": ("difference of the true scores", "share of right answers", 0.5),
}
_WORDS = {
    "psychometric": "The dashed curve is fitted; the upright line is where it sees half of the errors.",
    "order": "The dashed curve is fitted; the dashed line is guessing.",
}

_NO_CURVE = "Too few answers to fit a curve to."

_Point = tuple[float, float, float | None, float | None, int]


def fitted(finding: Finding) -> Figure | None:
    """Return the curve of a finding; None where it carries none that can be drawn as shares."""
    points = [p for p in map(_point, _records(finding.details.get("points"))) if p is not None]
    line = [(p[0], p[1]) for p in map(_point, _records(finding.details.get("curve"))) if p is not None]
    if len(points) < 2 or any(not 0 <= y <= 1 for _, y, *_ in points):
        return None
    x_name, y_name, level = _AXES.get(finding.audit, ("x", measure_name(finding.measure), None))
    unit = clean(finding.details.get("unit"), 20)
    scope = scope_of({k: v for k, v in finding.scope.items() if k not in {"action", "error", "criterion"}})
    named = (finding.scope.get("action"), finding.scope.get("error") or finding.scope.get("criterion"))
    about = ", ".join(clean(one, 60) for one in named if one)
    figure = curve(
        f"{label(scope)}: {about}" if about else label(scope),
        points[:_MOST_POINTS],
        x_name=f"{x_name} in {unit}" if unit else x_name,
        y_name=y_name,
        level=level,
        model=line,
        mark_x=finding.value if finding.audit == "psychometric" else None,
    )
    group = finding.audit if finding.audit in _AXES else "other"
    note = _WORDS.get(finding.audit, "The dashed curve is fitted.") if line else _NO_CURVE
    return replace(figure, group=group, scope=scope, note=note)


def _records(value: object) -> Sequence[object]:
    return value if isinstance(value, list | tuple) else ()


def _point(record: object) -> _Point | None:
    """Return x, y, low, high, n of one record: a list in the order x, y, n, or a mapping."""
    if isinstance(record, list | tuple):
        numbers = [v for v in record if isinstance(v, int | float)]
        if len(numbers) < 2:
            return None
        return float(numbers[0]), float(numbers[1]), None, None, int(numbers[2]) if len(numbers) > 2 else 0
    if not isinstance(record, dict):
        return None
    x, y = _named(record, _X), _named(record, _Y)
    if x is None or y is None:
        return None
    return x, y, _named(record, ("low",)), _named(record, ("high",)), int(_named(record, _N) or 0)


def _named(record: Mapping[str, object], names: Sequence[str]) -> float | None:
    found = (record[name] for name in names if name in record)
    return next((float(v) for v in found if isinstance(v, int | float)), None)
