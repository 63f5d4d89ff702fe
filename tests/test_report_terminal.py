"""The headline table of a terminal."""

from __future__ import annotations

import re

import polars as pl

from aqaudit.audits import AuditResult, audit
from aqaudit.audits.finding import Finding
from aqaudit.core.text import width
from aqaudit.reporting.terminal import coloured, headline, verdicts
from report_sample import answer, failures, sample, to_frame


def test_every_line_fits_80_columns_and_every_scope_has_its_row() -> None:
    frame = sample()
    text = headline(audit(frame), frame)
    assert max(width(line) for line in text.splitlines()) <= 80
    rows = [line for line in text.splitlines() if re.search(r" (BA|rho) +[01]", line)]
    assert len(rows) == 12
    assert "\x1b" not in text


def test_a_simulated_judge_is_named_as_one() -> None:
    frame = sample()
    text = " ".join(headline(audit(frame), frame).split())
    assert "Simulated judge: these numbers describe a program that was told the truth" in text
    assert "judge-always-kind [simulated]" in text


def test_too_few_performers_say_so_below_their_row() -> None:
    frame = sample()
    lines = headline(audit(frame), frame).splitlines()
    at = next(i for i, line in enumerate(lines) if line.startswith("ui-prmd squat-errors detect"))
    assert lines[at + 1].endswith("cannot tell")
    below = next(line for line in lines[at:] if line.startswith("    "))
    assert below.strip() == "Only 3 performers; at least 8 are needed for an interval."


def test_requests_that_brought_no_answer_are_not_passed_over() -> None:
    frame = sample()
    text = " ".join(headline(audit(frame), frame, failed=failures()).split())
    assert "! Requests that brought no answer and are in no figure: gemini-3.1-pro 1, qwen3-vl 2." in text
    assert "no answer" not in headline(audit(frame), frame, failed=failures().clear())


def test_hostile_names_neither_break_the_width_nor_reach_the_terminal() -> None:
    name = "\x1b[2J跳水" * 40 + "\u202e\x00" + "x" * 500
    frame = to_frame([answer("1", model=name, task=name, gold_correct=True, says_correct=True)])
    text = headline(audit(frame), frame)
    assert max(width(line) for line in text.splitlines()) <= 80
    assert not set(text) & {"\x1b", "\x00", "\u202e"}


def test_a_judge_that_is_no_better_than_guessing_is_not_fit() -> None:
    frame = to_frame([answer("1", gold_correct=True, says_correct=True)])
    bad = Finding(
        audit="chance",
        scope={"model": "qwen3-vl", "dataset": "clinic", "task": "squat", "kind": "verify"},
        measure="balanced_accuracy",
        value=0.5,
        low=0.46,
        high=0.54,
        chance=0.5,
        n=123_456_789,
        clusters=60,
        headline=True,
        verdict="fail",
        summary="qwen3-vl does not judge better than guessing.",
    )
    text = headline(AuditResult(findings=(bad,), signature={}), frame)
    row = next(line for line in text.splitlines() if " BA " in line)
    assert row.split() == [
        "chance",
        "BA",
        "0.50",
        *["0.46", "to", "0.54"],
        "0.50",
        "123456789",
        "60",
        "not",
        "fit",
    ]
    assert "    qwen3-vl does not judge better than guessing." in text
    assert text.splitlines()[4] == "clinic squat verify"


def test_no_answers_are_no_headline_and_the_reason_is_told() -> None:
    frame = to_frame([]).cast({"kind": pl.String})
    text = headline(audit(frame), frame)
    assert "No headline figure" in text
    assert "the table holds no answers" in text


def of(audit_name: str, verdict: str, task: str = "squat", **fields: object) -> Finding:
    scope = {"model": "qwen3-vl", "dataset": "clinic", "task": task, "kind": "verify"}
    given = {"headline": True, "value": 0.3, "low": 0.2, "high": 0.4, "n": 90, "clusters": 12} | fields
    return Finding(audit=audit_name, scope=scope, measure=f"{audit_name}_shift", verdict=verdict,
                   summary=f"It is about {audit_name}.", **given)  # type: ignore[arg-type]  # fmt: skip


def test_many_findings_are_read_worst_first() -> None:
    frame = to_frame([answer("1", gold_correct=True, says_correct=True)])
    found = (
        of("chance", "ok"), of("framing", "fail"), of("vision", "cannot_tell", why="too few"), of("order", "warn"),
        of("chance", "ok", task="bow"), of("subgroups", "warn", headline=False), of("subgroups", "ok", headline=False),
    )  # fmt: skip
    lines = headline(AuditResult(findings=found, signature={}), frame).splitlines()
    assert lines[2] == "qwen3-vl: not fit 1 of 2, fit so far 1"
    assert [line.split()[0] for line in lines[4:13]] == [
        "clinic", "framing", "It", "order", "It", "vision", "Too", "chance", "clinic"
    ]  # fmt: skip
    assert "2 more findings (breakdowns), 1 of them doubtful: see the report, or --json." in lines
    assert max(map(width, lines)) <= 80


def test_verdicts_alone_are_one_line_a_scope() -> None:
    frame = to_frame([answer("1", gold_correct=True, says_correct=True)])
    found = (of("framing", "fail"), of("chance", "ok", task="bow"))
    assert verdicts(AuditResult(findings=found, signature={}), frame) == (
        "not fit: qwen3-vl, clinic squat verify\nfit so far: qwen3-vl, clinic bow verify\n"
    )
    assert verdicts(AuditResult(findings=(), signature={}), frame) == "nothing could be judged\n"


def test_colour_is_put_on_verdicts_only_and_changes_no_letter() -> None:
    frame = to_frame([answer("1", gold_correct=True, says_correct=True)])
    text = headline(AuditResult(findings=(of("framing", "fail"), of("chance", "ok")), signature={}), frame)
    shown = coloured(text)
    assert "\x1b[1;31mnot fit\x1b[0m\n" in shown
    assert "\x1b[32mfit so far\x1b[0m\n" in shown
    assert re.sub(r"\x1b\[[0-9;]*m", "", shown) == text
