"""The pictures of a report: answers, shares by setting and by level, fitted curves, movement, and small intervals."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

import numpy as np
import polars as pl

from aqaudit.audits.chance import PLAN
from aqaudit.audits.correctness import KINDS
from aqaudit.audits.finding import Finding
from aqaudit.audits.scope import headline_scopes, narrow
from aqaudit.core.table import right
from aqaudit.core.text import clean
from aqaudit.measures import MEASURES, resample
from aqaudit.measures.rows import cluster
from aqaudit.reporting import svg
from aqaudit.reporting.distributions import distribution
from aqaudit.reporting.svg import CurvePoint, Figure, Point, curve, dots
from aqaudit.reporting.verdicts import label, measure_name, scope_of

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
#: Fewer answers than this give no curve: it would be noise.
_LEAST = 20
_MOST_LEVELS = 12
_BINS = 10
_MOST_POINTS = 60
_MOST_MOMENTS = 60
#: What makes two answers ones to the same question, but for the way of asking.
_SETTING = ("question_id", "performance_id", "other_id", "view", "strategy", "fps_asked", "shots", "repeat", "seed")
#: What audits call the coordinates of their points.
_X = ("x", "severity", "gap", "stated")
_Y = ("y", "share", "accuracy", "found")
_N = ("n", "rows", "pairs", "trials")
#: Audit -> what its fitted curve is drawn over, what is drawn, and the level of guessing.
_AXES = {
    "psychometric": ("size of the error", "share that says 'error'", None),
    "order": ("difference of the true scores", "share of right answers", 0.5),
}
_WORDS = {
    "psychometric": "The dashed curve is fitted; the upright line is where it sees half of the errors.",
    "order": "The dashed curve is fitted; the dashed line is guessing.",
}
_NO_CURVE = "Too few answers to fit a curve to."
#: Quantities of movement that are shown; derived ones (velocities, phase) say less at a glance.
_SHOWN = r"^(?:knee|hip|elbow|shoulder)_angle|^trunk_inclination|^hip_height"


def drawn(frame: pl.DataFrame, findings: Sequence[Finding] = ()) -> list[Figure]:
    """Return every figure that the answers allow, group by group, each with a file stem of its own.

    Where an audit fitted a curve, it is drawn in place of the bare shares.
    """
    found = [figure for figure in map(_fitted, findings) if figure is not None]
    curved = {(figure.group, figure.scope) for figure in found}
    # Scopes are found among unperturbed answers; under another name the perturbation is no part of the search.
    any_clip = frame.with_columns(pl.col("perturbation").alias("shown"), pl.lit("none").alias("perturbation"))
    for scope in headline_scopes(frame):
        key = scope_of(scope.labels)
        spoilt = narrow(any_clip, scope.labels).with_columns(pl.col("shown").alias("perturbation"))
        found += [
            replace(figure, scope=key)
            for figure in _of_scope(scope.rows, spoilt, label(key))
            if not figure.continuous or (figure.group, key) not in curved
        ]
    found.sort(key=lambda figure: (tuple(GROUPS).index(figure.group), figure.scope, figure.title))
    names: dict[str, int] = {}
    named = []
    for figure in found:
        about = figure.title.partition(": ")[2]
        words = " ".join([*(v for _, v in figure.scope), *([about] if about else [])])
        stem = svg.slug(words if figure.group == "answers" else f"{figure.group} {words}")
        names[stem] = names.get(stem, 0) + 1
        name = stem if names[stem] == 1 else f"{stem}-{names[stem]}"
        named.append(replace(figure, name=name, table=replace(figure.table, name=name)))
    return named


def _of_scope(rows: pl.DataFrame, with_spoilt: pl.DataFrame, title: str) -> Iterator[Figure]:
    if rows.is_empty():
        return
    yield distribution(rows, title)
    made = (
        _vision(with_spoilt, title),
        _framing(rows, title),
        _order(rows, title),
        _calibration(rows, title),
        _gap(rows, title),
    )
    yield from (figure for figure in made if figure is not None)
    yield from _psychometric(rows, title)


def _vision(rows: pl.DataFrame, title: str) -> Figure | None:
    """Return how well a judge does with the clip, and with it taken away or spoilt; None without the latter."""
    rows = rows.with_columns(pl.col("perturbation").fill_null("none"))
    shown = set(rows["perturbation"].unique())
    if len(shown) < 2 or "none" not in shown:
        return None
    measure = MEASURES[PLAN[str(rows["kind"][0])][0]]
    points: list[Point] = []
    chance = None
    for name in ("none", *sorted(shown - {"none"})):
        estimate = measure(rows.filter(pl.col("perturbation") == name))
        label = "clip as it is" if name == "none" else name.replace("_", " ")
        chance = estimate.chance if name == "none" else chance
        points.append((label, estimate.value, estimate.low, estimate.high, estimate.n))
    low, high = measure.bounds
    figure = dots(title, points, bounds=(low, high), what=measure.title, chance=chance)
    note = "If taking the clip away costs nothing, the answers do not come from the clip."
    return replace(figure, group="vision", note=note)


def _framing(rows: pl.DataFrame, title: str) -> Figure | None:
    """Return how often a judge says "correct" in each wording, by the truth; None where one wording was used."""
    rows = rows.filter(pl.col("kind").is_in(KINDS))
    wordings = [w for w in ("positive", "neutral", "negative") if (rows["framing"] == w).any()]
    if len(wordings) < 2:
        return None
    points: list[Point] = []
    for truth, word in ((True, "correct"), (False, "error")):
        for wording in wordings:
            asked = rows.filter((pl.col("framing") == wording) & (pl.col("gold_correct") == truth))
            points.append(share(asked, pl.col("says_correct"), f"{word}, {wording}"))
    figure = dots(title, points, bounds=(0.0, 1.0), what="share that says 'correct'", chance=None)
    return replace(
        figure,
        group="framing",
        note="A judge that looks says the same of one execution in both wordings. " + _flips(rows, "framing"),
    )


def _order(rows: pl.DataFrame, title: str) -> Figure | None:
    """Return how often the first of two is taken, in each order; None where no pair was asked both ways.

    What is taken is the better one, or the worse one where the negative wording asks for it.
    """
    rows = rows.filter(pl.col("kind") == "prefer")
    orders = [o for o in ("ab", "ba") if (rows["pair_order"] == o).any()]
    if len(orders) < 2:
        return None
    shown_first = pl.when(pl.col("pair_order") == "ab").then(pl.lit("this")).otherwise(pl.lit("other"))
    takes_first = (pl.col("prefer") == shown_first) != (pl.col("framing") == "negative")
    first = pl.when(pl.col("prefer") == "tie").then(0.5).otherwise(takes_first.cast(pl.Float64))
    points = [share(rows.filter(pl.col("pair_order") == o), first, {"ab": "this first", "ba": "other first"}[o])
              for o in orders]  # fmt: skip
    points.append(share(rows, first, "both orders"))
    figure = dots(title, points, bounds=(0.0, 1.0), what="share that takes the first shown", chance=0.5)
    return replace(figure, group="order", note=_flips(rows, "pair_order"))


def _flips(rows: pl.DataFrame, column: str) -> str:
    """Say in how many of the questions asked both ways the answer changed with the way of asking."""
    answer = "says_correct" if column == "framing" else "prefer"
    keys = [key for key in (*_SETTING, *({"pair_order", "framing"} - {column})) if key in rows.columns]
    grouped = rows.filter(pl.col(answer).is_not_null()).group_by(keys).agg(
        pl.col(column).n_unique().alias("ways"), pl.col(answer).n_unique().alias("answers")
    )  # fmt: skip
    both = grouped.filter(pl.col("ways") > 1)
    changed = int((both["answers"] > 1).sum())
    if both.is_empty():
        return ""
    return (
        f"Of {both.height:,} questions answered both ways, {changed:,} ({changed / both.height:.0%}) got two answers."
    )


def _calibration(rows: pl.DataFrame, title: str) -> Figure | None:
    """Return how often an execution is correct over how probable the model calls it; None without probabilities."""
    known = rows.filter(pl.col("p_correct").is_not_null() & pl.col("gold_correct").is_not_null())
    if known.height < _LEAST:
        return None
    points = _levels(known, "p_correct", pl.col("gold_correct"), most=_BINS)
    figure = curve(
        title, points, x_name="probability of 'correct' it gives", y_name="share that is correct", diagonal=True
    )
    return replace(figure, group="calibration", note="A calibrated judge lies on the dashed diagonal.")


def _gap(rows: pl.DataFrame, title: str) -> Figure | None:
    """Return how often the better of two is preferred over how far apart they are; None without scores."""
    pairs = rows.filter(
        (pl.col("kind") == "prefer") & pl.col("gold_score").is_not_null() & pl.col("other_gold_score").is_not_null()
    )
    if pairs.height < _LEAST:
        return None
    apart = pairs.with_columns((pl.col("gold_score") - pl.col("other_gold_score")).abs().alias("gap"))
    if apart["gap"].n_unique() < 3:
        return None
    points = _levels(apart, "gap", pl.coalesce(right(), pl.lit(value=False)))
    figure = curve(title, points, x_name="difference of the true scores", y_name="share of right answers", level=0.5)
    return replace(figure, group="order", note="The dashed line is guessing.")


def _psychometric(rows: pl.DataFrame, title: str) -> Iterator[Figure]:
    """Yield, of each action, a curve for each criterion or error of known severity: share that says "error" over it."""
    known = rows.filter(pl.col("kind").is_in(KINDS) & pl.col("severity").is_not_null())
    if known.height < _LEAST:
        return
    named = known.with_columns(pl.coalesce("error", "criterion").fill_null("").alias("about"))
    by = named.group_by(pl.col("action").fill_null(""), "about", pl.col("unit").fill_null(""))
    for (action, about, unit), part in sorted(((key, part) for key, part in by), key=lambda item: item[0]):
        if part.height < _LEAST or part["severity"].n_unique() < 3:
            continue
        points = _levels(part, "severity", ~pl.col("says_correct"))
        tolerance = part["tolerance"].drop_nulls().unique().to_list()
        figure = curve(
            f"{title}: {', '.join(clean(one, 60) for one in (action, about) if one)}",
            points,
            x_name=f"size of the error{f' in {clean(unit, 20)}' if unit else ''}",
            y_name="share that says 'error'",
            mark_x=float(tolerance[0]) if len(tolerance) == 1 else None,
        )
        note = "The upright line is what is tolerated." if len(tolerance) == 1 else ""
        yield replace(figure, group="psychometric", note=note)


def _levels(rows: pl.DataFrame, column: str, holds: pl.Expr, most: int = _MOST_LEVELS) -> list[CurvePoint]:
    """Return shares at each value of a column; at more than ``most`` values, in bins that hold equally many answers."""
    values = rows[column].to_numpy()
    levels = np.unique(values)
    edges = levels if levels.size <= most else np.unique(np.quantile(values, np.linspace(0, 1, most + 1)[:-1]))
    place = np.clip(np.searchsorted(edges, values, side="right") - 1, 0, edges.size - 1)
    points: list[CurvePoint] = []
    for at in range(edges.size):
        part = rows.filter(pl.Series(place == at))
        if part.is_empty():
            continue
        _, value, low, high, n = share(part, holds, "")
        if value is not None:
            middle = sum(sorted(part[column].to_list())) / part.height
            points.append((middle, value, low, high, n))
    return points


def share(rows: pl.DataFrame, holds: pl.Expr, label: str) -> Point:
    """Return how often ``holds`` among rows where it is known, with a delete-one-performer jackknife interval.

    Without an interval where the sample allows none (:func:`aqaudit.measures.resample.too_small`).
    """
    known = rows.select(cluster(rows), holds.cast(pl.Float64).alias("holds"), pl.lit(1.0).alias("one"))
    estimate = resample.estimate(
        known.filter(pl.col("holds").is_not_null()),
        ("holds", "one"),
        resample.mean,
        bounds=(0.0, 1.0),
        why="nothing is known",
        degenerate=lambda value, clusters: resample.clopper_pearson(round(value * clusters, 9), clusters),
    )
    return label, estimate.value, estimate.low, estimate.high, estimate.n


def _fitted(finding: Finding) -> Figure | None:
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


def _point(record: object) -> CurvePoint | None:
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
    line = line.gather_every(max(1, line.height // _MOST_MOMENTS))
    points = [(float(t), float(v)) for t, v in line.select("t_s", "value").iter_rows()]
    low, high = min(v for _, v in points), max(v for _, v in points)
    if high <= low:
        return None
    name = clean(f"{quantity.replace('_', ' ')}, {unit or ''}".rstrip(", "), 60)
    said = f"from {low:.4g} to {high:.4g} over {points[-1][0] - points[0][0]:.2g} seconds"
    return curve(name, (), x_name="seconds", y_name=name, bounds=(low, high), model=points, said=said)


def interval(finding: Finding) -> str:
    """Return a finding's interval as a picture the size of a word, on its measure's range; empty without a value."""
    bounds = _range(finding)
    if finding.value is None or bounds is None:
        return ""
    low, high = bounds

    def x(value: float) -> float:
        return 6 + 128 * (min(high, max(low, value)) - low) / (high - low)

    body = [svg.rect(6, 9, 128, 1, "axis")]
    if finding.chance is not None:
        body.append(svg.rect(x(finding.chance) - 0.75, 1, 1.5, 17, "chance"))
    if finding.low is not None and finding.high is not None:
        body.append(svg.rect(x(finding.low), 7, max(1.0, x(finding.high) - x(finding.low)), 5, "a"))
    body.append(svg.circle(x(finding.value), 9.5, 4.5, "dot"))
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
