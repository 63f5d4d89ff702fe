"""All pictures of a report, and intervals the size of a word."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING

import polars as pl

from aqaudit.audits.scope import headline_scopes, narrow
from aqaudit.measures import MEASURES
from aqaudit.reporting import curves, drawing, effects
from aqaudit.reporting.distributions import distribution
from aqaudit.reporting.fitted import fitted
from aqaudit.reporting.verdicts import Scope, label, scope_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from aqaudit.audits.finding import Finding
    from aqaudit.reporting.drawing import Figure

#: Groups of figures in the order of the page, with their headings.
GROUPS = {
    "answers": "Answers beside the truth",
    "vision": "With and without the clip",
    "framing": "Wording",
    "order": "Order and distance of two",
    "psychometric": "How large an error must be to be seen",
    "calibration": "Probability given and truth",
    "other": "Further curves",
}


def scopes(frame: pl.DataFrame) -> list[Scope]:
    """Return what figures are drawn of: the scopes of headline figures."""
    return sorted(scope_of(scope.labels) for scope in headline_scopes(frame))


def drawn(frame: pl.DataFrame, findings: Sequence[Finding] = ()) -> list[Figure]:
    """Return every figure that the answers allow, group by group, each with a file stem of its own.

    Where an audit fitted a curve, it is drawn in place of the bare shares.
    """
    found = [figure for figure in map(fitted, findings) if figure is not None]
    curved = {(figure.group, figure.scope) for figure in found}
    # Scopes are found among unperturbed answers; under another name the perturbation is no part of the search.
    any_clip = frame.with_columns(pl.col("perturbation").alias("shown"), pl.lit("none").alias("perturbation"))
    for scope in headline_scopes(frame):
        key = scope_of(scope.labels)
        spoilt = narrow(any_clip, scope.labels).with_columns(pl.col("shown").alias("perturbation"))
        found += [
            replace(figure, scope=key)
            for figure in _of_scope(scope.rows, spoilt, label(key))
            if figure.mark != "line" or (figure.group, key) not in curved
        ]
    found.sort(key=lambda figure: (tuple(GROUPS).index(figure.group), figure.scope, figure.title))
    names: dict[str, int] = {}
    named = []
    for figure in found:
        about = figure.title.partition(": ")[2]
        words = " ".join([*(v for _, v in figure.scope), *([about] if about else [])])
        stem = drawing.slug(words if figure.group == "answers" else f"{figure.group} {words}")
        names[stem] = names.get(stem, 0) + 1
        name = stem if names[stem] == 1 else f"{stem}-{names[stem]}"
        named.append(replace(figure, name=name, table=replace(figure.table, name=name)))
    return named


def _of_scope(rows: pl.DataFrame, with_spoilt: pl.DataFrame, title: str) -> Iterator[Figure]:
    if rows.is_empty():
        return
    yield distribution(rows, title)
    for figure in (
        effects.vision(with_spoilt, title),
        effects.framing(rows, title),
        effects.order(rows, title),
        curves.calibration(rows, title),
        curves.gap(rows, title),
    ):
        if figure is not None:
            yield figure
    yield from curves.psychometric(rows, title)


def interval(finding: Finding) -> str:
    """Return a finding's interval as a picture the size of a word, on its measure's range; empty without a value."""
    bounds = _range(finding)
    if finding.value is None or bounds is None:
        return ""
    low, high = bounds

    def x(value: float) -> float:
        return 6 + 128 * (min(high, max(low, value)) - low) / (high - low)

    body = [drawing.rect(6, 9, 128, 1, "axis")]
    if finding.chance is not None:
        body.append(drawing.rect(x(finding.chance) - 0.75, 1, 1.5, 17, "chance"))
    if finding.low is not None and finding.high is not None:
        body.append(drawing.rect(x(finding.low), 7, max(1.0, x(finding.high) - x(finding.low)), 5, "a"))
    body.append(drawing.circle(x(finding.value), 9.5, 4.5, "dot"))
    return f'<svg class="spark" viewBox="0 0 140 19" width="140" height="19" aria-hidden="true">{"".join(body)}</svg>'


def _range(finding: Finding) -> tuple[float, float] | None:
    """Return the range a finding's figure is drawn on: its measure's, else the smaller of 0 to 1 and -1 to 1."""
    if finding.measure in MEASURES:
        low, high = MEASURES[finding.measure].bounds
        return None if math.isinf(low) or math.isinf(high) else (low, high)
    known = [v for v in (finding.value, finding.low, finding.high, finding.chance) if v is not None]
    if not known or max(map(abs, known)) > 1:
        return None
    return (0.0, 1.0) if min(known) >= 0 and finding.chance is not None else (-1.0, 1.0)
