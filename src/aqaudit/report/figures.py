"""Prediction distributions as small pictures: hand-written SVG, each with its numbers and the same in a sentence.

Colours come from classes (``templates/figure.css``), so that pictures follow the reader's light or dark setting.
"""

from __future__ import annotations

import math
import re
import textwrap
from dataclasses import dataclass, replace
from html import escape
from importlib.resources import files
from itertools import pairwise
from typing import TYPE_CHECKING

import polars as pl

from aqaudit.audits.scope import headline_scopes, narrow
from aqaudit.measures import MEASURES
from aqaudit.report.tables import Table
from aqaudit.report.text import short, width
from aqaudit.report.verdicts import Scope, label, number, scope_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from aqaudit.audits.finding import Finding

_WIDTH, _LEFT, _BAR, _ROW = 460, 138, 315, 30
_BINS = 12
_MOST_OPTIONS = 12
_CLAIMS = (("a", "says correct"), ("b", "says error"), ("none", "no verdict"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """One picture: ``svg`` for the page, ``alt`` the same in a sentence, ``table`` its numbers."""

    name: str
    scope: Scope
    title: str
    alt: str
    svg: str
    table: Table
    note: str = ""


def scopes(frame: pl.DataFrame) -> list[Scope]:
    """Return what figures are drawn of and examples taken from: the scopes of headline figures."""
    return sorted(scope_of(scope.labels) for scope in headline_scopes(frame))


def distributions(frame: pl.DataFrame, found: Sequence[Scope]) -> list[Figure]:
    """Return one figure a scope, of the answers given against the truth; scopes without answers are left out."""
    drawn: list[Figure] = []
    names: dict[str, int] = {}
    for scope in found:
        rows = narrow(frame, dict(scope))
        if rows.is_empty():
            continue
        kind = str(rows["kind"][0])
        title = label(scope)
        figure = {"verify": _claims, "detect": _claims, "score": _histogram}.get(kind, _options)(rows, title)
        stem = _slug(" ".join(v for _, v in scope))
        names[stem] = names.get(stem, 0) + 1
        name = stem if names[stem] == 1 else f"{stem}-{names[stem]}"
        drawn.append(replace(figure, name=name, scope=scope, table=replace(figure.table, name=name)))
    return drawn


def _claims(rows: pl.DataFrame, title: str) -> Figure:
    rows_: list[tuple[str, int, int, int, int]] = []
    for word, truth in (("correct", True), ("error", False), ("unknown", None)):
        said = rows.filter(pl.col("gold_correct").eq_missing(pl.lit(truth)))["says_correct"]
        none, good = said.null_count(), int(said.sum())
        if len(said) or truth is not None:
            rows_.append((word, len(said), good, len(said) - none - good, none))
    body: list[str] = []
    y = 8.0
    for word, total, *parts in rows_:
        body.append(_text(_LEFT - 10, y + 17, f"truth: {word} ({total:,})", anchor="end"))
        if not total:
            body.append(_text(_LEFT, y + 17, "none asked", kind="muted"))
        x = float(_LEFT)
        for part, (kind, claim) in zip(parts, _CLAIMS, strict=True):
            if not part:
                continue
            wide = _BAR * part / total
            body.append(_rect(x, y, wide, 24, kind))
            texts = (f"{claim}: {part:,}", f"{part:,}")
            fitting = next((t for t in texts if len(t) * 7 + 8 < wide), "")
            if fitting:
                body.append(_text(x + wide / 2, y + 17, fitting, anchor="middle", kind=f"on-{kind}"))
            x += wide
        y += _ROW + 4
    body += _legend(y + 12, _CLAIMS)
    sentences = [
        f"Of {total:,} answers where the truth is '{truth}', {a:,} say correct, {b:,} say error, {c:,} hold no verdict."
        for truth, total, a, b, c in rows_
        if total
    ]
    columns = ("truth", "answers", "says correct", "says error", "no verdict")
    return _figure(title, " ".join(sentences), body, y + 24, columns, tuple(rows_))


def _options(rows: pl.DataFrame, title: str) -> Figure:
    kind = str(rows["kind"][0])
    gold, said = ("gold_prefer", "prefer") if kind == "prefer" else ("gold_choice", "choice")
    truth = dict(rows[gold].drop_nulls().value_counts().iter_rows())
    answers = dict(rows[said].drop_nulls().value_counts().iter_rows())
    names = sorted({*truth, *answers}, key=lambda o: (-truth.get(o, 0), -answers.get(o, 0), o))
    counts: list[tuple[str, int, int]] = [(o, truth.get(o, 0), answers.get(o, 0)) for o in names]
    note = ""
    if len(counts) > _MOST_OPTIONS:
        rest = counts[_MOST_OPTIONS - 1 :]
        note = f"The {len(rest)} rarest options are drawn as one."
        counts = [
            *counts[: _MOST_OPTIONS - 1],
            (f"{len(rest)} other options", sum(r[1] for r in rest), sum(r[2] for r in rest)),
        ]
    none = int(rows[said].null_count())
    counts.append(("no verdict", int(rows[gold].null_count()), none))
    most = max(1, *(max(t, a) for _, t, a in counts))
    body: list[str] = []
    y = 6.0
    for name, right, given in counts:
        lines = textwrap.wrap(short(name, 40), 20, max_lines=2, placeholder=" …") or [""]
        for at, line in enumerate(lines):
            body.append(_text(_LEFT - 10, y + 18 + 14 * at - 7 * (len(lines) - 1), line, anchor="end"))
        for offset, count, mark in ((0, right, "truth"), (13, given, "none" if name == "no verdict" else "a")):
            wide = (_BAR - 60) * count / most
            if count:
                body.append(_rect(_LEFT, y + offset, wide, 12, mark))
            body.append(_text(_LEFT + wide + 5, y + offset + 10, f"{count:,}", kind="small"))
        y += 34
    body += _legend(y + 12, (("truth", "truth"), ("a", "answers given")))
    alt = " ".join(f"{short(o, 40)}: true for {t:,}, answered {a:,} times." for o, t, a in counts)
    return _figure(title, alt, body, y + 24, ("option", "truth", "answers given"), tuple(counts), note)


def _histogram(rows: pl.DataFrame, title: str) -> Figure:
    gold = [float(v) for v in rows["gold_score"].drop_nulls()]
    said = [float(v) for v in rows["score"].drop_nulls()]
    low, high = _range(rows, gold, said)
    step = (high - low) / _BINS
    edges = [low + i * step for i in range(_BINS + 1)]
    truth, given = _binned(gold, low, step), _binned(said, low, step)
    outside = sum(v < low or v > high for v in said)
    missing = int(rows["score"].null_count())
    top, tall = 10.0, 130.0
    most = max(1, *truth, *given)
    wide = (_WIDTH - 60) / _BINS
    body = [_rect(40, top + tall, _WIDTH - 60, 1, "axis")]
    body += [
        _text(34, top + 10, f"{most:,}", anchor="end", kind="small"),
        _text(34, top + tall, "0", anchor="end", kind="small"),
    ]
    for i, (t, g) in enumerate(zip(truth, given, strict=True)):
        x = 40 + i * wide
        for offset, count, kind in ((0.08, t, "truth"), (0.5, g, "a")):
            up = tall * count / most
            if count:
                body.append(_rect(x + offset * wide, top + tall - up, wide * 0.42, up, kind))
    body += [
        _text(40 + i * wide, top + tall + 16, f"{edges[i]:.4g}".replace("-", "\u2212"), anchor="middle", kind="small")
        for i in range(0, _BINS + 1, 3)
    ]
    y = top + tall + 40
    body += _legend(y, (("truth", "true score"), ("a", "score given by the model")))
    table = tuple((f"{a:.4g} to {b:.4g}", t, g) for (a, b), t, g in zip(pairwise(edges), truth, given, strict=True))
    alt = (
        f"{_spread('True scores', gold)} {_spread('Scores given', said)} "
        f"{len(set(said)):,} different values were given; {missing:,} answers held no score."
    )
    note = f"{outside:,} scores outside the scale are counted at its ends." if outside else ""
    return _figure(title, alt, body, y + 12, ("score", "truth", "answers given"), table, note)


def _range(rows: pl.DataFrame, gold: list[float], said: list[float]) -> tuple[float, float]:
    ends = [float(v) for c in ("scale_min", "scale_max") for v in rows[c].drop_nulls().unique()]
    values = ends or [*gold, *said] or [0.0, 1.0]
    low, high = min(values), max(values)
    return (low, high) if high > low else (low - 0.5, low + 0.5)


def _binned(values: list[float], low: float, step: float) -> list[int]:
    counts = [0] * _BINS
    for value in values:
        counts[min(_BINS - 1, max(0, math.floor((value - low) / step)))] += 1
    return counts


def _spread(what: str, values: list[float]) -> str:
    if not values:
        return f"{what}: none."
    return f"{what} run from {number(min(values))} to {number(max(values))}, mean {number(sum(values) / len(values))}."


def _figure(
    title: str,
    alt: str,
    body: list[str],
    height: float,
    columns: tuple[str, ...],
    rows: tuple[tuple[str | int, ...], ...],
    note: str = "",
) -> Figure:
    return Figure(
        name="",
        scope=(),
        title=title,
        alt=alt,
        svg=_svg("".join(body), _WIDTH, height, title, alt),
        table=Table(name="", caption=title, columns=columns, rows=rows, numbers=frozenset(columns[1:])),
        note=note,
    )


def interval(finding: Finding) -> str:
    """Return a finding's interval as a picture the size of a word, on its measure's range; empty without a value."""
    low, high = MEASURES[finding.measure].bounds if finding.measure in MEASURES else (0.0, math.inf)
    if finding.value is None or math.isinf(high) or math.isinf(low):
        return ""

    def x(value: float) -> float:
        return 6 + 128 * (min(high, max(low, value)) - low) / (high - low)

    body = [_rect(6, 9, 128, 1, "axis")]
    if finding.chance is not None:
        body.append(_rect(x(finding.chance) - 0.75, 1, 1.5, 17, "chance"))
    if finding.low is not None and finding.high is not None:
        body.append(_rect(x(finding.low), 7, max(1.0, x(finding.high) - x(finding.low)), 5, "a"))
    body.append(f'<circle cx="{x(finding.value):.1f}" cy="9.5" r="4.5" class="dot"/>')
    return f'<svg class="spark" viewBox="0 0 140 19" width="140" height="19" aria-hidden="true">{"".join(body)}</svg>'


def standalone(figure: Figure) -> str:
    """Return a figure as an SVG file that carries its own colours."""
    css = files("aqaudit.report").joinpath("templates", "figure.css").read_text(encoding="utf-8")
    namespace = '<svg xmlns="http://www.w3.org/2000/svg"'
    return figure.svg.replace("<svg", namespace, 1).replace("</title>", f"</title><style>{css}</style>", 1) + "\n"


def _svg(body: str, wide: float, height: float, title: str, alt: str) -> str:
    # role=img makes one picture of it, and the label is read aloud in its place.
    return (
        f'<svg class="figure" role="img" aria-label="{escape(f"{title}. {alt}")}" viewBox="0 0 {wide:g} {height:g}"'
        f' width="{wide:g}" height="{height:g}"><title>{escape(title)}</title>{body}</svg>'
    )


def _rect(x: float, y: float, wide: float, high: float, kind: str) -> str:
    return f'<rect x="{x:.1f}" y="{y:.1f}" width="{wide:.1f}" height="{high:.1f}" class="{kind}"/>'


def _text(x: float, y: float, text: str, *, anchor: str = "start", kind: str = "label") -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" class="{kind}">{escape(text)}</text>'


def _legend(y: float, entries: Iterable[tuple[str, str]]) -> list[str]:
    body: list[str] = []
    x = float(_LEFT)
    for kind, word in entries:
        body += [_rect(x, y - 10, 11, 11, kind), _text(x + 16, y, word, kind="small")]
        x += 40 + 7 * width(word)
    return body


def _slug(text: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")[:80].strip("-") or "figure"
