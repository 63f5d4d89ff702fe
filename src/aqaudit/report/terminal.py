"""The headline figures as a plain text table for a terminal."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING

from aqaudit.report.banners import banners, marks, sentence
from aqaudit.report.text import clean, short
from aqaudit.report.text import width as columns
from aqaudit.report.verdicts import NOTHING, WORDS, Judgement, judgements, not_made, number, reason_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    import polars as pl

    from aqaudit.audits import AuditResult
    from aqaudit.audits.finding import Finding

_SHORT = {"balanced_accuracy": "BA", "spearman": "rho", "balanced_accuracy_macro": "BA/crit"}
_LEGEND = {
    "BA": "BA = balanced accuracy, 0 to 1",
    "rho": "rho = Spearman rank correlation, \u22121 to 1",
}
_HEADS = ("figure", "value", "95% interval", "chance", "n", "perf", "verdict")


def headline(result: AuditResult, frame: pl.DataFrame, width: int = 80, *, failed: pl.DataFrame | None = None) -> str:
    """Return the headline table as plain text without colour, every line at most ``width`` columns (80 or more).

    One block a model; below a row that is not plainly fit stands why. Names are cleaned of control characters and
    wrapped, never cut silently. ``failed`` are the requests that brought no answer, where that is known.
    """
    wide = max(width, 80)
    warnings = banners(frame)
    marked = marks(warnings)
    lines = _facts(frame, wide) + _failed(failed, wide)
    for banner in warnings:
        lines += _wrapped(f"! {sentence(banner)}", wide, "  ")
    judged = judgements(result.findings)
    if not judged:
        lines += ["", "No headline figure: nothing could be judged."]
        for name, why in result.skipped.items():
            lines += _wrapped(f"{name}: {clean(why, 600)}", wide, "  ")
        return "\n".join(lines) + "\n"
    cells = [_cells(finding) for one in judged for finding in one.findings]
    widths = [max(map(len, column)) for column in zip(_HEADS, *cells, strict=True)]
    room = wide - sum(widths) - len(widths)
    model = None
    for one in judged:
        scope = dict(one.scope)
        if scope.get("model", "") != model:
            model = scope.get("model", "")
            mark = f" [{marked[model]}]" if model in marked else ""
            lines += ["", *_wrapped(f"{clean(model, 200) or 'all models'}{mark}", wide, "  ")]
            lines.append(_line("", _HEADS, widths, room))
        lines += _block(one, widths, room, wide)
    used = {_SHORT.get(f.measure) for one in judged for f in one.findings}
    legend = [text for key, text in _LEGEND.items() if key in used]
    lines.append("")
    lines += _wrapped(
        "; ".join([*legend, "perf = performers (clusters); \u2013 = could not be computed"]) + ".", wide, ""
    )
    if missing := not_made(result.findings):
        lines += _wrapped(f"Not checked: {', '.join(missing)}. A verdict covers only what was checked.", wide, "  ")
    return "\n".join(lines) + "\n"


def _facts(frame: pl.DataFrame, wide: int) -> list[str]:
    unread = frame.filter(frame["parse"] != "ok").height
    counts = ", ".join(
        f"{n:,} {word}" if n == 1 else f"{n:,} {word}s"
        for n, word in (
            (frame.height, "answer"),
            (frame["model"].n_unique(), "model"),
            (frame["performer"].n_unique(), "performer"),
        )
    )
    text = f"{counts}; {unread:,} without a readable verdict."
    return _wrapped(text, wide, "  ")


def _failed(failed: pl.DataFrame | None, wide: int) -> list[str]:
    if failed is None or failed.is_empty():
        return []
    models = ", ".join(f"{clean(name, 60)} {n:,}" for name, n in sorted(failed["model"].value_counts().iter_rows()))
    return _wrapped(f"! Requests that brought no answer and are in no figure: {models}.", wide, "  ")


def _block(one: Judgement, widths: Sequence[int], room: int, wide: int) -> list[str]:
    parts = [clean(v, 80) for k, v in one.scope if k in {"dataset", "task", "kind"} and v]
    parts += [f"{k} {clean(v, 80)}" for k, v in one.scope if k not in {"model", "dataset", "task", "kind"}]
    name = _fold(" ".join(dict.fromkeys(parts)) or "all", room)
    lines: list[str] = []
    for place, finding in enumerate(one.findings):
        names = name if place == 0 else [""]
        lines.append(_line(names[0], _cells(finding), widths, room))
        lines += names[1:]
        if finding.verdict != "ok":
            lines += _wrapped(f"  {reason_of(finding)}", wide, "  ")
    return lines


def _cells(finding: Finding) -> tuple[str, ...]:
    interval = NOTHING
    if finding.low is not None and finding.high is not None:
        interval = f"{number(finding.low)} to {number(finding.high)}"
    return (
        _SHORT.get(finding.measure, short(finding.measure, 10)),
        number(finding.value),
        interval,
        number(finding.chance),
        str(finding.n),
        str(finding.clusters),
        WORDS[finding.verdict],
    )


def _line(name: str, cells: tuple[str, ...], widths: Sequence[int], room: int) -> str:
    text = name + " " * (room - columns(name))
    for place, (cell, wide) in enumerate(zip(cells, widths, strict=True)):
        left = place in {0, len(widths) - 1}
        text += " " + (cell.ljust(wide) if left else cell.rjust(wide))
    return text.rstrip()


def _wrapped(text: str, wide: int, indent: str) -> list[str]:
    lead = text[: len(text) - len(text.lstrip())]
    return [
        lead + lines if not i else indent + lines for i, lines in enumerate(_fold(text.strip(), wide - len(indent)))
    ]


def _fold(text: str, room: int) -> list[str]:
    """Break text into lines of at most ``room`` terminal columns, at blanks where there are any."""
    lines: list[str] = []
    for line in textwrap.wrap(text, room, break_on_hyphens=False) or [""]:
        rest = line
        while columns(rest) > room:  # characters that take two columns
            cut = len(rest)
            while columns(rest[:cut]) > room:
                cut -= 1
            lines.append(rest[:cut])
            rest = rest[cut:]
        lines.append(rest)
    return lines
