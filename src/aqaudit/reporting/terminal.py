"""What the audits found as plain text for a terminal: worst first, one block a scope, at most 80 columns."""

from __future__ import annotations

import re
import textwrap
from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import groupby

import polars as pl

from aqaudit.audits import AuditResult
from aqaudit.audits.comparison import ComparisonResult
from aqaudit.audits.finding import Finding, Verdict
from aqaudit.core.text import clean
from aqaudit.core.text import width as columns
from aqaudit.reporting.verdicts import (
    NOTHING,
    VERDICT_ORDER,
    WORDS,
    Judgement,
    banners,
    judgements,
    marks,
    measure_name,
    not_made,
    number,
    overall,
    reason_of,
    scope_of,
    sentence,
    without_figures,
)

_COMPARED_HEADS = ("figure", "A", "B", "B\u2212A", "95% interval", "n", "perf", "verdict")
_COMPARED_SHORT = {
    "balanced_accuracy": "BA",
    "pair_accuracy": "pairs",
    "spearman": "rho",
    "framing_shift": "|shift|",
    "position_bias": "|pos|",
    "lean": "|lean|",
    "r_l2": "R-l2",
    "mae": "MAE",
}
_COMPARED_LEGEND = {
    "BA": "BA = balanced accuracy",
    "pairs": "pairs = accuracy over pairs",
    "rho": "rho = Spearman rank correlation",
    "|lean|": "|lean| = size of the lean towards one verdict (smaller is better)",
    "|shift|": "|shift| = size of what wording moves (smaller is better)",
    "|pos|": "|pos| = size of the position bias (smaller is better)",
    "R-l2": "R-l2, MAE = errors (smaller is better)",
}
_WORDS = {"not after Holm": "not sure"}
_WIDTH = 80


def table(result: ComparisonResult, a: str, b: str) -> str:
    """Return what was paired and every difference, every line at most 80 columns."""
    pairs = result.pairs
    lines = [*_compared_wrapped(f"A  {clean(a, 200)}"), *_compared_wrapped(f"B  {clean(b, 200)}")]
    if pairs.differ:
        told = "; ".join(f"{k}: {clean(x, 60)} vs {clean(y, 60)}" for k, (x, y) in pairs.differ.items())
        lines += _compared_wrapped(f"They differ in {told}.")
    alone = f"{pairs.only_a:,} answers only in A, {pairs.only_b:,} only in B"
    if pairs.other_truth:
        alone += f", {pairs.other_truth:,} pairs with different truths left out"
    lines += _compared_wrapped(f"{pairs.a.height:,} pairs of answers to the same question; {alone}.")
    cells = [_compared_cells(finding) for finding in result.findings]
    widths = [max(map(len, column)) for column in zip(_COMPARED_HEADS, *cells, strict=True)]
    scope = None
    for finding, row in zip(result.findings, cells, strict=True):
        if finding.scope != scope:
            scope = finding.scope
            lines += ["", *_compared_wrapped(_compared_name(finding)), _compared_line(_COMPARED_HEADS, widths)]
        lines.append(_compared_line(row, widths))
        if finding.why:
            lines += _compared_wrapped(f"    {clean(finding.why, 300)}")
    used = {row[0] for row in cells}
    legend = [text for short, text in _COMPARED_LEGEND.items() if short in used]
    lines += ["", *_compared_wrapped("; ".join([*legend, "perf = performers (clusters)"]) + ".")]
    lines += _compared_wrapped(
        "better = the interval excludes 0, after Holm over the scopes of a figure; alike = the whole interval is too "
        "small to matter; not sure = only before Holm."
    )
    return "\n".join(lines) + "\n"


def _compared_name(finding: Finding) -> str:
    values = [clean(value, 80) for key, value in scope_of(finding.scope) if value]
    return " ".join(dict.fromkeys(values)) or "all"


def _compared_cells(finding: Finding) -> tuple[str, ...]:
    interval = NOTHING
    if finding.low is not None and finding.high is not None:
        interval = f"{number(finding.low)} to {number(finding.high)}"
    a, b = (finding.details.get(side) for side in ("a", "b"))
    verdict = finding.flag or "cannot tell"
    return (
        _COMPARED_SHORT.get(finding.measure, finding.measure),
        number(a if isinstance(a, float) else None),
        number(b if isinstance(b, float) else None),
        number(finding.value),
        interval,
        str(finding.n),
        str(finding.clusters),
        _WORDS.get(verdict, verdict),
    )


def _compared_line(cells: tuple[str, ...], widths: list[int]) -> str:
    text = " "
    for place, (cell, wide) in enumerate(zip(cells, widths, strict=True)):
        text += " " + (cell.ljust(wide) if place in {0, len(widths) - 1} else cell.rjust(wide))
    return text.rstrip()


def _compared_wrapped(text: str) -> list[str]:
    lead = text[: len(text) - len(text.lstrip())]
    return textwrap.wrap(text, _WIDTH, initial_indent="", subsequent_indent=lead + "   ", break_on_hyphens=False) or [
        ""
    ]


_SHORT = {"balanced_accuracy": "BA", "spearman": "rho", "balanced_accuracy_macro": "BA/crit"}
_LEGEND = {
    "BA": "BA = balanced accuracy, 0 to 1",
    "rho": "rho = Spearman rank correlation, \u22121 to 1",
}
_HEADS = ("value", "95% interval", "chance", "n", "perf", "verdict")
#: Colours of a terminal (SGR codes) by verdict; the word stands there in any case.
_COLOURS: Mapping[Verdict, str] = {"ok": "32", "warn": "33", "fail": "1;31", "cannot_tell": "36", "skipped": "2"}
_VERDICT = re.compile(rf"(?<= )({'|'.join(WORDS.values())})$", re.MULTILINE)


def headline(result: AuditResult, frame: pl.DataFrame, width: int = 80, *, failed: pl.DataFrame | None = None) -> str:
    """Return the headline findings as plain text without colour, every line at most ``width`` columns (80 or more).

    One block a model and in it one a scope, both with the worst first; below a finding that is not plainly fit stands
    why. Names are cleaned of control characters and wrapped, never cut silently. ``failed`` are the requests that
    brought no answer, where that is known.
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
    for model, group in _by_model(judged, marked):
        mark = f" [{marked[model]}]" if model in marked else ""
        said = f"{clean(model, 200) or 'all models'}{mark}: {overall(group)}"
        lines += ["", *_wrapped(said, wide, "  "), _line("", _HEADS, widths, room)]
        for one in group:
            lines += _block(one, widths, room, wide)
    lines += ["", *_legend(result, judged, wide)]
    return "\n".join(lines) + "\n"


def verdicts(result: AuditResult, frame: pl.DataFrame) -> str:
    """Return one line a scope: its verdict, and what it is about."""
    marked = marks(banners(frame))
    lines = []
    for model, group in _by_model(judgements(result.findings), marked):
        mark = f" [{marked[model]}]" if model in marked else ""
        lines += [f"{one.word}: {clean(model, 200) or 'all models'}{mark}, {_scope(one)}" for one in group]
    return "".join(f"{line}\n" for line in lines) or "nothing could be judged\n"


def coloured(text: str) -> str:
    """Return the text of :func:`headline` with its verdicts in colour, for terminals that show it."""
    codes = {WORDS[verdict]: code for verdict, code in _COLOURS.items()}
    return _VERDICT.sub(lambda found: f"\x1b[{codes[found[1]]}m{found[1]}\x1b[0m", text)


def _by_model(judged: Sequence[Judgement], marked: Mapping[str, str]) -> list[tuple[str, list[Judgement]]]:
    """Return models with their judgements, worst first; judges that are no vision-language models come last."""
    groups: dict[str, list[Judgement]] = {}
    for one in sorted(judged, key=lambda one: VERDICT_ORDER.index(one.verdict)):
        groups.setdefault(dict(one.scope).get("model", ""), []).append(one)
    return sorted(groups.items(), key=lambda item: (item[0] in marked, item[0]))


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


def _scope(one: Judgement) -> str:
    parts = [clean(v, 80) for k, v in one.scope if k in {"dataset", "task", "kind"} and v]
    parts += [f"{k} {clean(v, 80)}" for k, v in one.scope if k not in {"model", "dataset", "task", "kind"}]
    return " ".join(dict.fromkeys(parts)) or "all"


def _block(one: Judgement, widths: Sequence[int], room: int, wide: int) -> list[str]:
    lines = _fold(_scope(one), wide)
    several = Counter(finding.audit for finding in one.findings)
    by_reason = groupby(
        sorted(one.findings, key=lambda f: VERDICT_ORDER.index(f.verdict)),
        key=lambda f: "" if f.verdict == "ok" else without_figures(reason_of(f)),
    )
    for reason, findings in by_reason:
        for finding in findings:
            names = _fold(_name(finding, alone=several[finding.audit] == 1), room - 2)
            lines.append(_line(f"  {names[0]}", _cells(finding), widths, room))
            lines += [f"  {name}" for name in names[1:]]
        if reason:
            lines += _wrapped(f"    {reason}", wide, "    ")
    return lines


def _name(finding: Finding, *, alone: bool) -> str:
    """Return the audit of a finding, with its figure where that is short or the audit has several here."""
    figure = _SHORT.get(finding.measure, "" if alone else measure_name(finding.measure))
    return figure if figure.startswith(finding.audit) else f"{finding.audit} {figure}".rstrip()


def _cells(finding: Finding) -> tuple[str, ...]:
    interval = NOTHING
    if finding.low is not None and finding.high is not None:
        interval = f"{number(finding.low)} to {number(finding.high)}"
    return (
        number(finding.value),
        interval,
        number(finding.chance),
        str(finding.n),
        str(finding.clusters),
        WORDS[finding.verdict],
    )


def _legend(result: AuditResult, judged: Sequence[Judgement], wide: int) -> list[str]:
    used = {_SHORT.get(f.measure) for one in judged for f in one.findings}
    legend = [text for key, text in _LEGEND.items() if key in used]
    text = "; ".join([*legend, f"perf = performers (clusters); {NOTHING} = none, or could not be computed"])
    lines = _wrapped(f"{text}.", wide, "")
    others = [f for f in result.findings if not f.headline and f.verdict != "skipped"]
    if doubtful := sum(f.verdict == "warn" for f in others):
        more = f"{len(others):,} more findings (breakdowns), {doubtful:,} of them doubtful: see the report, or --json."
        lines += _wrapped(more, wide, "  ")
    if missing := not_made(result.findings):
        lines += _wrapped(f"Not checked: {', '.join(missing)}. A verdict covers only what was checked.", wide, "  ")
    return lines


def _line(name: str, cells: tuple[str, ...], widths: Sequence[int], room: int) -> str:
    text = name + " " * (room - columns(name))
    for place, (cell, wide) in enumerate(zip(cells, widths, strict=True)):
        last = place == len(widths) - 1
        text += " " + (cell.ljust(wide) if last else cell.rjust(wide))
    return text.rstrip()


def _wrapped(text: str, wide: int, indent: str) -> list[str]:
    lead = text[: len(text) - len(text.lstrip())]
    return [
        lead + lines if not i else indent + lines
        for i, lines in enumerate(_fold(text.strip(), wide - max(len(indent), len(lead))))
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
