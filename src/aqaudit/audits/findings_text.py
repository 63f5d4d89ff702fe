"""Findings in words: the figure, its interval and what it rests on in one sentence; and which are shown, not judged."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import polars as pl

from aqaudit.audits.finding import Finding, Json, Verdict
from aqaudit.audits.scope import Scope
from aqaudit.measures import MEASURES, Estimate
from aqaudit.measures.rows import text

MAX_ROWS_SHOWN = 20
"""Answer keys that a finding names at most."""

TOO_WIDE = "the interval reaches from what is tolerated to what is not; more performers would narrow it"
"""Why nothing can be told where an interval is the only reason."""

_SHARES = {0.5: "half", 0.25: "a quarter", 0.2: "a fifth", 0.1: "a tenth"}


def judged(
    audit: str,
    question: str,
    scope: Scope,
    measure: str,
    estimate: Estimate,
    verdict: Verdict,
    *,
    sentences: Mapping[Verdict, str],
    advice: Mapping[Verdict, str],
    headline: bool = True,
    flag: str | None = None,
    why: str = "",
    details: Mapping[str, Json] | None = None,
    rows: Sequence[str] = (),
) -> Finding:
    """Return a finding with a verdict.

    Parameters
    ----------
    sentences : mapping
        What each verdict says about ``{model}``, without its full stop.
    advice : mapping
        What to do, for the verdicts that ask for something.
    flag : str, optional
        Beside the estimate's own.
    why : str
        Why it cannot be told, where the estimate does not say so.
    """
    because = estimate.why or why
    if verdict == "cannot_tell" and not because:
        because = TOO_WIDE
    sentence = sentences.get(verdict, "What {model} does here").format(model=scope.labels["model"])
    if verdict == "cannot_tell":
        sentence = f"{sentence}: {because}"
    return replace(
        Finding.of(audit, scope.labels, measure, estimate),
        headline=headline,
        verdict=verdict,
        flag=flag or estimate.flag,
        summary=f"{sentence}." if estimate.value is None else f"{sentence} ({figure(measure, estimate)}).",
        question=question,
        why=because,
        advice=advice.get(verdict, ""),
        citation=MEASURES[measure].citation,
        details={**estimate.details, **(details or {})},
        rows=tuple(rows[:MAX_ROWS_SHOWN]),
    )


def shown(audit: str, question: str, scope: Scope, measure: str, estimate: Estimate, *, beside: str) -> Finding:
    """Return a finding that is shown beside ``beside`` and not judged."""
    said = figure(measure, estimate)
    return replace(
        Finding.of(audit, scope.labels, measure, estimate),
        verdict="skipped" if estimate.value is not None else "cannot_tell",
        summary=f"{said[:1].upper()}{said[1:]}.",
        question=question,
        why=f"shown beside {beside}, not judged" if estimate.value is not None else estimate.why,
        citation=MEASURES[measure].citation,
        details=dict(estimate.details),
    )


def not_made(audit: str, question: str, measure: str, why: str) -> list[Finding]:
    """Return the finding of an audit that cannot be made on a table."""
    return [
        Finding(
            audit=audit,
            scope={},
            measure=measure,
            value=None,
            verdict="skipped",
            question=question,
            why=why,
            summary=f"Not judged: {why}.",
        )
    ]


def figure(measure: str, estimate: Estimate) -> str:
    """Return a figure in words: ``lean 0.30, 95 % interval 0.27 to 0.33; 1,200 cases, 60 performers``."""
    title = MEASURES[measure].title
    if estimate.value is None:
        return f"{title} cannot be computed: {estimate.why}"
    sample = f"{count(estimate.n, 'case')}, {count(estimate.clusters, 'performer')}"
    return f"{title} {estimate.value:.2f}{with_interval(estimate)}; {sample}"


def with_interval(estimate: Estimate) -> str:
    """Return what follows a figure: ``, 95 % interval 0.27 to 0.33``; nothing where there is no interval."""
    if estimate.low is None or estimate.high is None:
        return ""
    return f", 95 % interval {estimate.low:.2f} to {estimate.high:.2f}"


def count(number: int, noun: str) -> str:
    """Return a number with its noun, in the plural unless it is one."""
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"


def share(value: float) -> str:
    """Return a share as a rule says it: ``a tenth``, or its digits where it has no such name."""
    return _SHARES.get(value, f"{value:g}")


def keys(rows: pl.DataFrame, *by: str) -> tuple[str, ...]:
    """Return the answer keys of rows that show a finding, at most 20, sorted by ``by`` and then themselves."""
    order = [*by, "answer_key"]
    return tuple(rows.select(order).bottom_k(MAX_ROWS_SHOWN, by=order).sort(order)["answer_key"].to_list())


def keys_of_groups(rows: pl.DataFrame, groups: pl.DataFrame, on: Sequence[str], *by: str) -> tuple[str, ...]:
    """Return the answer keys of the rows that belong to the first ten groups, sorted by ``on``, ``by`` and themselves.

    A group is a row of ``groups``, and to it belong the rows with the same texts in the columns ``on``.
    """
    few = groups.head(MAX_ROWS_SHOWN // 2)
    near = rows.filter(pl.col("question_id").is_in(few["question_id"].to_list()))
    told = near.with_columns(text(rows, name) for name in on)
    return keys(told.join(few.select(on), on=on), *on, *by)
