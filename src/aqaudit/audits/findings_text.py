"""Findings in words: the figure, its interval and what it rests on in one sentence; and which are shown, not judged."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import polars as pl

from aqaudit.audits.finding import Finding, Json, Verdict
from aqaudit.audits.scope import Scope
from aqaudit.measures import MEASURES, Estimate

MAX_ROWS_SHOWN = 20
"""Answer keys that a finding names at most."""


def figure(measure: str, estimate: Estimate) -> str:
    """Return a figure in words: ``lean 0.30, 95 % interval 0.27 to 0.33; 1,200 answers, 60 performers``."""
    if estimate.value is None:
        return f"{MEASURES[measure].title} cannot be computed: {estimate.why}"
    text = f"{MEASURES[measure].title} {estimate.value:.2f}"
    if estimate.low is not None and estimate.high is not None:
        text += f", 95 % interval {estimate.low:.2f} to {estimate.high:.2f}"
    return f"{text}; {count(estimate.n, 'case')}, {count(estimate.clusters, 'performer')}"


def count(number: int, noun: str) -> str:
    """Return a number with its noun, in the plural where it is one."""
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"


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
        because = "the interval reaches from what is tolerated to what is not; more performers would narrow it"
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


def shown(
    audit: str,
    question: str,
    scope: Scope,
    measure: str,
    estimate: Estimate,
    *,
    beside: str,
    details: Mapping[str, Json] | None = None,
) -> Finding:
    """Return a finding that is shown beside ``beside`` and not judged."""
    text = figure(measure, estimate)
    return replace(
        Finding.of(audit, scope.labels, measure, estimate),
        verdict="skipped" if estimate.value is not None else "cannot_tell",
        summary=f"{text[:1].upper()}{text[1:]}.",
        question=question,
        why=f"shown beside {beside}, not judged" if estimate.value is not None else estimate.why,
        citation=MEASURES[measure].citation,
        details={**estimate.details, **(details or {})},
    )


def not_made(audit: str, question: str, measure: str, why: str) -> list[Finding]:
    """Return the finding of an audit that cannot be made on a table."""
    return [
        Finding(
            audit=audit, scope={}, measure=measure, value=None, verdict="skipped", question=question, why=why,
            summary=f"Not judged: {why}.",
        )
    ]  # fmt: skip


def keys(rows: pl.DataFrame, *by: str) -> tuple[str, ...]:
    """Return the answer keys of rows that show a finding, at most 20, sorted by content."""
    return tuple(rows.select("answer_key", *by).bottom_k(MAX_ROWS_SHOWN, by=[*by, "answer_key"])
                 .sort(*by, "answer_key")["answer_key"].to_list())  # fmt: skip
