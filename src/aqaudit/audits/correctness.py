"""The audit ``correctness``: which way a judge leans, and how well it tells correct from faulty executions."""

from __future__ import annotations

from collections.abc import Mapping

import polars as pl

from aqaudit.audits import findings_text, verdicts
from aqaudit.audits.finding import Audit, Finding, Verdict
from aqaudit.audits.scope import Scope, breakdown, headline_scopes
from aqaudit.core.auxiliary import AuxiliaryTables
from aqaudit.measures import MEASURES, Estimate

NAME = "correctness"
QUESTION = "Does it lean towards calling executions correct, or faulty?"
KINDS = ("verify", "detect")
CONFOUNDED = "confounded with wording"
SHOWN = ("hit_rate", "false_alarm_rate", "d_prime", "criterion_c")
_SENTENCES: Mapping[Verdict, str] = {
    "ok": "{model} leans neither to 'correct' nor to 'error'",
    "warn": "{model} leans somewhat",
    "fail": "{model} leans",
    "cannot_tell": "Whether {model} leans to 'correct' or 'error' cannot be told",
}
_ADVICE: Mapping[Verdict, str] = {
    "fail": "Do not count its verdicts of the favoured kind: ask in both wordings and move the decision threshold on "
    "p_correct, or let a person check every verdict it leans to.",
    "warn": "Look at both kinds of mistakes before using a share of 'correct' verdicts as a figure about people.",
    "cannot_tell": "Collect answers on more performers, or ask in both wordings.",
}


def lean(scope: Scope) -> tuple[Estimate, Verdict]:
    """Return the lean of a boolean scope and its verdict; asked in one framing only, it is at most a warning."""
    estimate = MEASURES["lean"](scope.rows)
    verdict = verdicts.bias_verdict(estimate.low, estimate.high, verdicts.tolerance(NAME, "lean"))
    return estimate, verdicts.capped(verdict) if _one_framing(estimate) else verdict


def _one_framing(estimate: Estimate) -> bool:
    framings = estimate.details.get("framings")
    return isinstance(framings, int) and framings < 2


def correctness(frame: pl.DataFrame, _auxiliary: AuxiliaryTables | None = None) -> list[Finding]:
    """Return the lean of every headline scope of boolean questions, and beside it hits, false alarms, d' and c."""
    findings: list[Finding] = []
    for scope in headline_scopes(frame):
        if scope.labels["kind"] in KINDS:
            findings += _of(scope)
    return findings or findings_text.not_made(NAME, QUESTION, "lean", "the table holds no verify or detect answers")


def _of(scope: Scope) -> list[Finding]:
    estimate, verdict = lean(scope)
    tolerated = verdicts.tolerance(NAME, "lean")
    groups = {by: breakdown(scope.rows, by, MEASURES["lean"], tolerated) for by in ("action", "criterion")}
    beside = {name: MEASURES[name](scope.rows) for name in SHOWN}
    way = "" if estimate.value is None else "correct" if estimate.value > 0 else "error"
    sentences = {
        **_SENTENCES,
        "fail": f"{{model}} leans to '{way}'",
        "warn": f"{{model}} leans somewhat to '{way}'",
    }
    if _one_framing(estimate) and verdict == "warn":
        sentences["warn"] += ", or to the wording: it was asked in one framing only"
    findings = [
        findings_text.judged(
            NAME, QUESTION, scope, "lean", estimate, verdict, sentences=sentences, advice=_ADVICE,
            flag=CONFOUNDED if _one_framing(estimate) else None,
            details={
                **{name: one.value for name, one in beside.items()},
                "tolerance": tolerated,
                **{f"by_{by}": [group.as_json() for group in found] for by, found in groups.items()},
            },
            rows=_mistakes(scope.rows, says_correct=(estimate.value or 0.0) > 0),
        )
    ]  # fmt: skip
    for by, found in groups.items():
        for group in found:
            if group.warns:
                inner = Scope(labels={**scope.labels, by: group.name}, rows=scope.rows)
                findings.append(
                    findings_text.judged(
                        NAME, QUESTION, inner, "lean", group.estimate, "warn", headline=False,
                        sentences={"warn": f"{{model}} leans for {by} {group.name}"}, advice=_ADVICE,
                        details={"holm_p": group.holm_p, "groups": len(found)},
                    )
                )  # fmt: skip
    findings += [
        findings_text.shown(NAME, QUESTION, scope, name, one, beside="the lean") for name, one in beside.items()
    ]
    if scope.rows["p_correct"].null_count() < scope.rows.height:
        findings.append(
            findings_text.shown(NAME, QUESTION, scope, "auroc", MEASURES["auroc"](scope.rows), beside="the lean")
        )
    return findings


def _mistakes(rows: pl.DataFrame, *, says_correct: bool) -> tuple[str, ...]:
    """Answer keys of mistakes of the favoured kind."""
    wrong = (pl.col("says_correct") == says_correct) & (pl.col("gold_correct") != says_correct)
    return findings_text.keys(rows.filter(wrong & (pl.col("parse") == "ok")))


AUDIT = Audit(
    name=NAME,
    question=QUESTION,
    figures={name: MEASURES[name].what for name in ("lean", *SHOWN, "auroc")},
    interval="Delete-one-performer jackknife with t(G - 1); AUROC likewise, exactly.",
    rule=(
        "On the lean, because c misleads when skill is high. fail: its size lies above "
        f"{verdicts.tolerance(NAME, 'lean'):.2f}; ok: within; warn: the interval excludes 0. Asked in one framing "
        "only: at most warn, since lean and wording cannot be told apart. By action and criterion: at most warn, after "
        "Holm."
    ),
    advice=_ADVICE["fail"],
    citation="Macmillan & Creelman, Detection theory: a user's guide, 2nd ed. 2005",
    run=correctness,
)
