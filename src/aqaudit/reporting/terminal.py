"""Findings as plain text for a terminal: of audits worst first, of a comparison scope by scope.

Lines have at most 80 columns. Names are cleaned of control characters and wrapped, never cut silently.
"""

from __future__ import annotations

import re
import textwrap
from collections import Counter
from collections.abc import Mapping, Sequence
from functools import partial
from itertools import groupby

import polars as pl

from aqaudit.audits import AuditResult
from aqaudit.audits.comparison import ComparisonResult
from aqaudit.audits.finding import Finding, Verdict
from aqaudit.audits.findings_text import count
from aqaudit.core.text import clean
from aqaudit.core.text import width as columns
from aqaudit.reporting.verdicts import (
    NOTHING,
    VERDICT_ORDER,
    WORDS,
    Judgement,
    banners,
    interval_words,
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

_WIDTH = 80
_HEADS = ("value", "95% interval", "chance", "n", "perf", "verdict")
_SHORT = {"balanced_accuracy": "BA", "spearman": "rho", "balanced_accuracy_macro": "BA/crit"}
_LEGEND = {
    "BA": "BA = balanced accuracy, 0 to 1",
    "rho": "rho = Spearman rank correlation, \u22121 to 1",
}
_COMPARED_HEADS = ("A", "B", "B\u2212A", "95% interval", "n", "perf", "verdict")
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
#: Flags of compared findings that are shown in other words.
_COMPARED_WORDS = {"not after Holm": "not sure"}
#: Colours of a terminal (SGR codes) by verdict; the word stands there in any case.
_COLOURS: Mapping[Verdict, str] = {"ok": "32", "warn": "33", "fail": "1;31", "cannot_tell": "36", "skipped": "2"}
_VERDICT = re.compile(rf"(?<= )({'|'.join(WORDS.values())})$", re.MULTILINE)


def headline(
    result: AuditResult, frame: pl.DataFrame, width: int = _WIDTH, *, failed: pl.DataFrame | None = None
) -> str:
    """Return the headline findings as plain text without colour, every line at most ``width`` columns (80 or more).

    One block a model and in it one a scope, both with the worst first; below a finding that is not plainly fit stands
    why. ``failed`` are the requests that brought no answer, where that is known.
    """
    wide = max(width, _WIDTH)
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
    widths = _widths(_HEADS, cells)
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
    answers = count(frame.height, "answer")
    models, performers = (count(frame[name].n_unique(), name) for name in ("model", "performer"))
    return _wrapped(f"{answers}, {models}, {performers}; {unread:,} without a readable verdict.", wide, "  ")


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
    return (
        number(finding.value),
        interval_words(finding.low, finding.high),
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


def table(result: ComparisonResult, a: str, b: str) -> str:
    """Return what was paired and every difference; ``a`` and ``b`` name the sides."""
    pairs, folded = result.pairs, partial(_fold, room=_WIDTH, indent="   ")
    lines = [*folded(f"A  {clean(a, 200)}"), *folded(f"B  {clean(b, 200)}")]
    if pairs.differ:
        told = "; ".join(f"{k}: {clean(x, 60)} vs {clean(y, 60)}" for k, (x, y) in pairs.differ.items())
        lines += folded(f"They differ in {told}.")
    alone = f"{pairs.only_a:,} answers only in A, {pairs.only_b:,} only in B"
    if pairs.other_truth:
        alone += f", {pairs.other_truth:,} pairs with different truths left out"
    lines += folded(f"{pairs.a.height:,} pairs of answers to the same question; {alone}.")
    names = [_COMPARED_SHORT.get(finding.measure, finding.measure) for finding in result.findings]
    cells = [_compared_cells(finding) for finding in result.findings]
    widths = _widths(_COMPARED_HEADS, cells)
    room = 2 + max(map(len, ("figure", *names)))
    scope = None
    for finding, name, row in zip(result.findings, names, cells, strict=True):
        if finding.scope != scope:
            scope = finding.scope
            about = " ".join(dict.fromkeys(clean(value, 80) for _, value in scope_of(scope) if value)) or "all"
            lines += ["", *folded(about), _line("  figure", _COMPARED_HEADS, widths, room)]
        lines.append(_line(f"  {name}", row, widths, room))
        if finding.why:
            lines += _fold(f"    {clean(finding.why, 300)}", _WIDTH, "       ")
    legend = [text for short, text in _COMPARED_LEGEND.items() if short in names]
    lines += ["", *folded("; ".join([*legend, "perf = performers (clusters)"]) + ".")]
    lines += folded(
        "better = the interval excludes 0, after Holm over the scopes of a figure; alike = the whole interval is too "
        "small to matter; not sure = only before Holm."
    )
    return "\n".join(lines) + "\n"


def _compared_cells(finding: Finding) -> tuple[str, ...]:
    sides = (finding.details.get(side) for side in ("a", "b"))
    verdict = finding.flag or "cannot tell"
    return (
        *(number(side if isinstance(side, float) else None) for side in sides),
        number(finding.value),
        interval_words(finding.low, finding.high),
        str(finding.n),
        str(finding.clusters),
        _COMPARED_WORDS.get(verdict, verdict),
    )


def _widths(heads: Sequence[str], rows: Sequence[tuple[str, ...]]) -> list[int]:
    return [max(map(len, column)) for column in zip(heads, *rows, strict=True)]


def _line(name: str, cells: tuple[str, ...], widths: Sequence[int], room: int) -> str:
    text = name + " " * (room - columns(name))
    for place, (cell, wide) in enumerate(zip(cells, widths, strict=True)):
        last = place == len(widths) - 1
        text += " " + (cell.ljust(wide) if last else cell.rjust(wide))
    return text.rstrip()


def _wrapped(text: str, wide: int, indent: str) -> list[str]:
    """Break text into lines of at most ``wide`` columns; the first begins as it does, the others with ``indent``."""
    lead = text[: len(text) - len(text.lstrip())]
    first, *others = _fold(text.strip(), wide - max(len(indent), len(lead)))
    return [lead + first, *(indent + line for line in others)]


def _fold(text: str, room: int, indent: str = "") -> list[str]:
    """Break text into lines of at most ``room`` terminal columns, at blanks where there are any.

    All but the first begin with ``indent``.
    """
    lines: list[str] = []
    for line in textwrap.wrap(text, room, subsequent_indent=indent, break_on_hyphens=False) or [""]:
        rest = line
        while columns(rest) > room:  # characters that take two columns
            cut = len(rest)
            while columns(rest[:cut]) > room:
                cut -= 1
            lines.append(rest[:cut])
            rest = rest[cut:]
        lines.append(rest)
    return lines
