"""A comparison of two sets of answers as plain text for a terminal."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING

from aqaudit.reporting.text import clean
from aqaudit.reporting.verdicts import NOTHING, number, scope_of

if TYPE_CHECKING:
    from aqaudit.audits.comparison import ComparisonResult
    from aqaudit.audits.finding import Finding

_HEADS = ("figure", "A", "B", "B\u2212A", "95% interval", "n", "perf", "verdict")
_SHORT = {
    "balanced_accuracy": "BA",
    "pair_accuracy": "pairs",
    "spearman": "rho",
    "framing_shift": "|shift|",
    "position_bias": "|pos|",
    "lean": "|lean|",
    "r_l2": "R-l2",
    "mae": "MAE",
}
_LEGEND = {
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
    lines = [*_wrapped(f"A  {clean(a, 200)}"), *_wrapped(f"B  {clean(b, 200)}")]
    if pairs.differ:
        told = "; ".join(f"{k}: {clean(x, 60)} vs {clean(y, 60)}" for k, (x, y) in pairs.differ.items())
        lines += _wrapped(f"They differ in {told}.")
    alone = f"{pairs.only_a:,} answers only in A, {pairs.only_b:,} only in B"
    if pairs.other_truth:
        alone += f", {pairs.other_truth:,} pairs with different truths left out"
    lines += _wrapped(f"{pairs.a.height:,} pairs of answers to the same question; {alone}.")
    cells = [_cells(finding) for finding in result.findings]
    widths = [max(map(len, column)) for column in zip(_HEADS, *cells, strict=True)]
    scope = None
    for finding, row in zip(result.findings, cells, strict=True):
        if finding.scope != scope:
            scope = finding.scope
            lines += ["", *_wrapped(_name(finding)), _line(_HEADS, widths)]
        lines.append(_line(row, widths))
        if finding.why:
            lines += _wrapped(f"    {clean(finding.why, 300)}")
    used = {row[0] for row in cells}
    legend = [text for short, text in _LEGEND.items() if short in used]
    lines += ["", *_wrapped("; ".join([*legend, "perf = performers (clusters)"]) + ".")]
    lines += _wrapped(
        "better = the interval excludes 0, after Holm over the scopes of a figure; alike = the whole interval is too "
        "small to matter; not sure = only before Holm."
    )
    return "\n".join(lines) + "\n"


def _name(finding: Finding) -> str:
    values = [clean(value, 80) for key, value in scope_of(finding.scope) if value]
    return " ".join(dict.fromkeys(values)) or "all"


def _cells(finding: Finding) -> tuple[str, ...]:
    interval = NOTHING
    if finding.low is not None and finding.high is not None:
        interval = f"{number(finding.low)} to {number(finding.high)}"
    a, b = (finding.details.get(side) for side in ("a", "b"))
    verdict = finding.flag or "cannot tell"
    return (
        _SHORT.get(finding.measure, finding.measure),
        number(a if isinstance(a, float) else None),
        number(b if isinstance(b, float) else None),
        number(finding.value),
        interval,
        str(finding.n),
        str(finding.clusters),
        _WORDS.get(verdict, verdict),
    )


def _line(cells: tuple[str, ...], widths: list[int]) -> str:
    text = " "
    for place, (cell, wide) in enumerate(zip(cells, widths, strict=True)):
        text += " " + (cell.ljust(wide) if place in {0, len(widths) - 1} else cell.rjust(wide))
    return text.rstrip()


def _wrapped(text: str) -> list[str]:
    lead = text[: len(text) - len(text.lstrip())]
    return textwrap.wrap(text, _WIDTH, initial_indent="", subsequent_indent=lead + "   ", break_on_hyphens=False) or [
        ""
    ]
