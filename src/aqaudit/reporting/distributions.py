"""Prediction distributions: what was answered beside what was true, as small pictures."""

from __future__ import annotations

import math
import textwrap
from itertools import pairwise

import polars as pl

from aqaudit.core.text import short
from aqaudit.reporting import svg
from aqaudit.reporting.svg import BAR, LEFT, ROW, WIDTH, Figure
from aqaudit.reporting.verdicts import number

_BINS = 12
_MOST_OPTIONS = 12
_CLAIMS = (("a", "says correct"), ("b", "says error"), ("none", "no verdict"))


def distribution(rows: pl.DataFrame, title: str) -> Figure:
    """Return the answers of one scope against the truth, drawn as their kind of question asks for."""
    kind = str(rows["kind"][0])
    return {"verify": _claims, "detect": _claims, "score": _histogram}.get(kind, _options)(rows, title)


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
        body.append(svg.text(LEFT - 10, y + 17, f"truth: {word} ({total:,})", anchor="end"))
        if not total:
            body.append(svg.text(LEFT, y + 17, "none asked", kind="muted"))
        x = float(LEFT)
        for part, (kind, claim) in zip(parts, _CLAIMS, strict=True):
            if not part:
                continue
            wide = BAR * part / total
            body.append(svg.rect(x, y, wide, 24, kind))
            texts = (f"{claim}: {part:,}", f"{part:,}")
            fitting = next((t for t in texts if len(t) * 7 + 8 < wide), "")
            if fitting:
                body.append(svg.text(x + wide / 2, y + 17, fitting, anchor="middle", kind=f"on-{kind}"))
            x += wide
        y += ROW + 4
    body += svg.legend(y + 12, _CLAIMS)
    sentences = [
        f"Of {total:,} answers where the truth is '{truth}', {a:,} say correct, {b:,} say error, {c:,} hold no verdict."
        for truth, total, a, b, c in rows_
        if total
    ]
    columns = ("truth", "answers", "says correct", "says error", "no verdict")
    return svg.figure(title, " ".join(sentences), body, y + 24, columns, tuple(rows_))


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
            body.append(svg.text(LEFT - 10, y + 18 + 14 * at - 7 * (len(lines) - 1), line, anchor="end"))
        for offset, count, mark in ((0, right, "truth"), (13, given, "none" if name == "no verdict" else "a")):
            wide = (BAR - 60) * count / most
            if count:
                body.append(svg.rect(LEFT, y + offset, wide, 12, mark))
            body.append(svg.text(LEFT + wide + 5, y + offset + 10, f"{count:,}", kind="small"))
        y += 34
    body += svg.legend(y + 12, (("truth", "truth"), ("a", "answers given")))
    alt = " ".join(f"{short(o, 40)}: true for {t:,}, answered {a:,} times." for o, t, a in counts)
    return svg.figure(title, alt, body, y + 24, ("option", "truth", "answers given"), tuple(counts), note=note)


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
    wide = (WIDTH - 60) / _BINS
    body = [svg.rect(40, top + tall, WIDTH - 60, 1, "axis")]
    body += [
        svg.text(34, top + 10, f"{most:,}", anchor="end", kind="small"),
        svg.text(34, top + tall, "0", anchor="end", kind="small"),
    ]
    for i, (t, g) in enumerate(zip(truth, given, strict=True)):
        x = 40 + i * wide
        for offset, count, kind in ((0.08, t, "truth"), (0.5, g, "a")):
            up = tall * count / most
            if count:
                body.append(svg.rect(x + offset * wide, top + tall - up, wide * 0.42, up, kind))
    body += [
        svg.text(
            40 + i * wide, top + tall + 16, f"{edges[i]:.4g}".replace("-", "\u2212"), anchor="middle", kind="small"
        )
        for i in range(0, _BINS + 1, 3)
    ]
    y = top + tall + 40
    body += svg.legend(y, (("truth", "true score"), ("a", "score given by the model")))
    table = tuple((f"{a:.4g} to {b:.4g}", t, g) for (a, b), t, g in zip(pairwise(edges), truth, given, strict=True))
    alt = (
        f"{_spread('True scores', gold)} {_spread('Scores given', said)} "
        f"{len(set(said)):,} different values were given; {missing:,} answers held no score."
    )
    note = f"{outside:,} scores outside the scale are counted at its ends." if outside else ""
    return svg.figure(title, alt, body, y + 12, ("score", "truth", "answers given"), table, note=note)


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
