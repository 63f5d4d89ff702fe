"""Which questions a page shows: those that findings point to, then some of every scope and outcome, then others."""

from __future__ import annotations

from typing import TYPE_CHECKING

import polars as pl

from aqaudit.reporting.outcomes import outcome

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from aqaudit.audits.finding import Finding, Verdict

#: Questions, and answers to all of them together, that a page shows.
MOST_ITEMS = 120
MOST_ANSWERS = 720
#: Answers shown of one question.
MOST_OF_ITEM = 24
#: Answers taken of each finding that names some, and of each scope and outcome.
_OF_FINDING = 3
_OF_SCOPE = 2
_WORST_FIRST: tuple[Verdict, ...] = ("fail", "warn", "cannot_tell", "ok", "skipped")
ITEM = ("dataset", "question_id", "performance_id", "other_id")


def sampled(frame: pl.DataFrame, findings: Sequence[Finding]) -> tuple[list[pl.DataFrame], list[int]]:
    """Return the answers to each question that is shown, and how many of its answers are left out.

    Questions that the worst findings point to come first; where there are few questions, all are shown. Which ones is
    decided by findings and answer keys alone, so the same answers give the same examples.

    Parameters
    ----------
    frame
        Answers, sorted by answer key.
    findings
        What the audits say; their ``rows`` are answers worth showing.
    """
    if frame.is_empty():
        return [], []
    marked = frame.with_columns(outcome().alias("outcome"), _item().alias("item"))
    item_of = dict(zip(marked["answer_key"].to_list(), marked["item"].to_list(), strict=True))
    order = list(dict.fromkeys(_wanted(marked, findings, item_of)))[:MOST_ITEMS]
    groups = marked.filter(pl.col("item").is_in(order)).partition_by("item", as_dict=True, maintain_order=True)
    named = {key for finding in findings for key in finding.rows}
    shown: list[pl.DataFrame] = []
    left_out: list[int] = []
    room = MOST_ANSWERS
    cell = [c for c in ("model", "view", "strategy", "perturbation", "framing", "answer_key") if c in frame.columns]
    for item in order:
        whole = groups[(item,)]
        rows = whole.sort(~pl.col("answer_key").is_in(list(named)), "answer_key").head(MOST_OF_ITEM)
        if rows.height > room:
            break
        room -= rows.height
        # What was asked of the clip as it is comes before what was asked of a spoilt one.
        shown.append(rows.sort(pl.col("perturbation") != "none", *cell, nulls_last=True))
        left_out.append(whole.height - rows.height)
    return shown, left_out


def _wanted(marked: pl.DataFrame, findings: Iterable[Finding], item_of: dict[str, str]) -> Iterator[str]:
    by_severity = sorted(
        (f for f in findings if f.rows),
        key=lambda f: (not f.headline, _WORST_FIRST.index(f.verdict), f.audit, f.measure, sorted(f.scope.items())),
    )
    for finding in by_severity:
        yield from [item_of[key] for key in finding.rows if key in item_of][:_OF_FINDING]
    scope = [c for c in ("model", "dataset", "task", "kind", "view", "strategy") if c in marked.columns]
    firsts = (
        marked.sort("answer_key")
        .with_columns(pl.int_range(pl.len()).over([*scope, "outcome"]).alias("turn"))
        .filter(pl.col("turn") < _OF_SCOPE)
        .sort("turn", *scope, "outcome", nulls_last=True)
    )
    yield from firsts["item"].to_list()
    # The rest by the hash that names an answer: a draw that nobody chose and that is the same every time.
    yield from marked.group_by("item").agg(pl.col("answer_key").min()).sort("answer_key")["item"].to_list()


def _item() -> pl.Expr:
    """Return one text a question: answers with the same one are shown together."""
    return pl.concat_str([pl.col(name).cast(pl.String).fill_null("") for name in ITEM], separator="\x1f")
