"""Pictures as hand-written SVG: bars, dots with intervals, lines; each with its numbers and the same in a sentence.

Colours come from classes (``templates/figure.css``), so that pictures follow the reader's light or dark setting.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from html import escape
from importlib.resources import files

from aqaudit.core.text import short, width
from aqaudit.reporting.tables import Cell, Table
from aqaudit.reporting.verdicts import ScopeKey, number

#: Width of a picture, where its bars begin, how long they are, height of a line; in pixels.
WIDTH, LEFT, BAR, ROW = 460, 138, 315, 30

#: A dot with its interval: label, value, low, high, and how many answers it rests on.
Point = tuple[str, float | None, float | None, float | None, int]
#: A point over a number line: x, y, the ends of y's interval, and how many answers it rests on.
CurvePoint = tuple[float, float, float | None, float | None, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """One picture: ``svg`` for the page, ``alt`` the same in a sentence, ``table`` its numbers.

    Figures of one ``group`` stand together; ``continuous`` ones are drawn over a number line.
    """

    name: str = ""
    group: str = "answers"
    scope: ScopeKey = ()
    title: str
    alt: str
    svg: str
    table: Table
    continuous: bool = False
    note: str = ""


def template(name: str) -> str:
    """Return the text of a file under ``templates/``."""
    return files("aqaudit.reporting").joinpath("templates", name).read_text(encoding="utf-8")


@cache
def palettes() -> Mapping[str, Mapping[str, str]]:
    """Return ``light``, ``dark`` and ``print``: role -> colour."""
    return tomllib.loads(template("palettes.toml"))


def page_colours() -> str:
    """Return the colours of the page: as the reader's system has it, unless ``data-theme`` on the root says otherwise.

    Paper is always light.
    """
    light, dark, paper = (_variables(name) for name in ("light", "dark", "print"))
    return "\n".join(
        (
            f":root {{ color-scheme: light dark; {light} }}",
            f'@media (prefers-color-scheme: dark) {{ :root:not([data-theme="light"]) {{ {dark} }} }}',
            ':root[data-theme="light"] { color-scheme: light; }',
            f':root[data-theme="dark"] {{ color-scheme: dark; {dark} }}',
            f"@media print {{ :root, :root[data-theme], :root:not([data-theme]) {{ color-scheme: light; {paper} }} }}",
        )
    )


def picture_colours() -> str:
    """Return the colours of a picture that stands alone."""
    light, dark, paper = (_variables(name) for name in ("light", "dark", "print"))
    lines = (
        f"svg {{ {light} }}",
        f"@media (prefers-color-scheme: dark) {{ svg {{ {dark} }} }}",
        f"@media print {{ svg {{ {paper} }} }}",
    )
    return "\n".join(lines) + "\n"


def _variables(name: str) -> str:
    return " ".join(f"--{role}: {colour};" for role, colour in palettes()[name].items())


def dots(
    title: str, points: Sequence[Point], *, bounds: tuple[float, float], what: str, chance: float | None
) -> Figure:
    """Return points with their intervals, one a line, over ``bounds``; ``chance`` is an upright line through them."""
    low_end, high_end = bounds

    def x(value: float) -> float:
        return LEFT + 8 + (BAR - 70) * (min(high_end, max(low_end, value)) - low_end) / (high_end - low_end)

    body: list[str] = []
    tall = 8 + 26 * len(points)
    if chance is not None:
        body.append(rect(x(chance) - 0.75, 4, 1.5, tall - 6, "chance"))
    for at, (label, value, low, high, _) in enumerate(points):
        y = 18 + 26 * at
        body.append(text(LEFT - 10, y + 4, short(label, 20), anchor="end"))
        body.append(rect(LEFT + 8, y - 0.5, BAR - 70, 1, "axis"))
        if value is None:
            body.append(text(LEFT + 14, y + 4, "could not be computed", kind="muted"))
            continue
        if low is not None and high is not None:
            body.append(rect(x(low), y - 3, max(1.0, x(high) - x(low)), 6, "a"))
        body.append(circle(x(value), y, 5, "dot"))
        body.append(text(WIDTH - 4, y + 4, number(value), anchor="end", kind="small"))
    for value, anchor in ((low_end, "start"), (high_end, "end")):
        body.append(text(x(value), tall + 14, number(value), anchor=anchor, kind="small"))
    body.append(text(LEFT + 8 + (BAR - 70) / 2, tall + 30, what, anchor="middle", kind="small"))
    alt = " ".join(_said(point) for point in points)
    return figure(title, alt, body, tall + 38, ("of", "value", "low", "high", "answers"), points)


def _said(point: Point) -> str:
    label, value, low, high, n = point
    if value is None:
        return f"{short(label, 40)}: could not be computed."
    between = f", 95 % interval {number(low)} to {number(high)}" if low is not None and high is not None else ""
    return f"{short(label, 40)}: {number(value)}{between}, {n:,} answers."


def curve(
    title: str,
    points: Sequence[CurvePoint],
    *,
    x_name: str,
    y_name: str,
    bounds: tuple[float, float] = (0.0, 1.0),
    level: float | None = None,
    diagonal: bool = False,
    model: Sequence[tuple[float, float]] = (),
    mark_x: float | None = None,
    said: str = "",
) -> Figure:
    """Return points over a number line, with a band where there are intervals.

    ``level`` is a dashed line across, ``diagonal`` the line of y = x, ``model`` a fitted curve, ``mark_x`` an upright
    line; ``said`` stands for the points' own sentence.
    """
    xs = [p[0] for p in points] + [p[0] for p in model] + ([] if mark_x is None else [mark_x])
    left, right = (0.0, 1.0) if diagonal else (min(xs), max(xs))
    right = right if right > left else left + 1.0
    top, tall, begin, wide = 10.0, 170.0, 48.0, WIDTH - 66.0

    def at(x: float, y: float) -> tuple[float, float]:
        share = (min(bounds[1], max(bounds[0], y)) - bounds[0]) / (bounds[1] - bounds[0])
        return begin + wide * (x - left) / (right - left), top + tall * (1 - share)

    body = [rect(begin, top + tall, wide, 1, "axis"), rect(begin, top, 1, tall, "axis")]
    body += [
        text(begin - 6, at(left, value)[1] + 4, number(value), anchor="end", kind="small")
        for value in (bounds[0], (bounds[0] + bounds[1]) / 2, bounds[1])
    ]
    for value, anchor in ((left, "start"), ((left + right) / 2, "middle"), (right, "end")):
        body.append(text(at(value, 0)[0], top + tall + 16, f"{value:.4g}", anchor=anchor, kind="small"))
    body.append(text(begin + wide / 2, top + tall + 34, short(x_name, 50), anchor="middle", kind="small"))
    if level is not None:
        body.append(polyline([at(left, level), at(right, level)], "axis"))
    if mark_x is not None:
        body.append(polyline([at(mark_x, bounds[0]), at(mark_x, bounds[1])], "axis"))
    if diagonal:
        body.append(polyline([at(0, 0), at(1, 1)], "axis"))
    if model:
        body.append(polyline([at(x, y) for x, y in model], "b"))
    for x, y, low, high, _ in points:
        px, py = at(x, y)
        if low is not None and high is not None:
            upper, lower = at(x, high)[1], at(x, low)[1]
            body.append(rect(px - 1, upper, 2, max(1.0, lower - upper), "a"))
        body.append(circle(px, py, 4.5, "dot-a"))
    columns = (x_name, y_name, "low", "high", "answers")
    alt = said or " ".join(f"At {x:.4g}: {number(y)} of {n:,} answers." for x, y, _, _, n in points)
    return figure(title, f"{y_name} over {x_name}. {alt}", body, top + tall + 44, columns, points, continuous=True)


def figure(
    title: str,
    alt: str,
    body: Sequence[str],
    height: float,
    columns: tuple[str, ...],
    rows: Sequence[tuple[Cell, ...]],
    *,
    continuous: bool = False,
    note: str = "",
) -> Figure:
    """Return what was drawn together with its numbers; the first column names the rows unless it is a number line."""
    return Figure(
        title=title,
        alt=alt,
        svg=svg("".join(body), WIDTH, height, title, alt),
        table=Table(
            name="",
            caption=title,
            columns=columns,
            rows=tuple(rows),
            numbers=frozenset(columns if continuous else columns[1:]),
        ),
        continuous=continuous,
        note=note,
    )


def standalone(figure: Figure) -> str:
    """Return a figure as an SVG file that carries its own colours."""
    css = picture_colours() + template("figure.css")
    namespace = '<svg xmlns="http://www.w3.org/2000/svg"'
    return figure.svg.replace("<svg", namespace, 1).replace("</title>", f"</title><style>{css}</style>", 1) + "\n"


def svg(body: str, wide: float, height: float, title: str, alt: str) -> str:
    """Return a picture: role=img makes one of it, and its label is read aloud in its place."""
    return (
        f'<svg class="figure" role="img" aria-label="{escape(f"{title}. {alt}")}" viewBox="0 0 {wide:g} {height:g}"'
        f' width="{wide:g}" height="{height:g}"><title>{escape(title)}</title>{body}</svg>'
    )


def rect(x: float, y: float, wide: float, high: float, kind: str) -> str:
    """Return a rectangle."""
    return f'<rect x="{x:.1f}" y="{y:.1f}" width="{wide:.1f}" height="{high:.1f}" class="{kind}"/>'


def circle(x: float, y: float, radius: float, kind: str) -> str:
    """Return a dot."""
    return f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{radius:g}" class="{kind}"/>'


def polyline(points: Iterable[tuple[float, float]], kind: str) -> str:
    """Return a line through points."""
    return f'<polyline points="{" ".join(f"{x:.1f},{y:.1f}" for x, y in points)}" class="{kind}"/>'


def text(x: float, y: float, words: str, *, anchor: str = "start", kind: str = "label") -> str:
    """Return a text; ``anchor`` says which of its ends (or its middle) stands at x."""
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" class="{kind}">{escape(words)}</text>'


def legend(y: float, entries: Iterable[tuple[str, str]]) -> list[str]:
    """Return coloured squares with their names, side by side."""
    body: list[str] = []
    x = float(LEFT)
    for kind, word in entries:
        body += [rect(x, y - 10, 11, 11, kind), text(x + 16, y, word, kind="small")]
        x += 40 + 7 * width(word)
    return body


def slug(words: str) -> str:
    """Return words as a file stem."""
    return re.sub(r"[^a-z0-9]+", "-", words.lower()).strip("-")[:80].strip("-") or "figure"
