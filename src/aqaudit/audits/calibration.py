"""The audit ``calibration``: whether a judge's probabilities mean what they say."""

from __future__ import annotations

from collections.abc import Mapping

import polars as pl

from aqaudit.audits import findings_text, verdicts
from aqaudit.audits.correctness import KINDS
from aqaudit.audits.finding import Audit, Finding, Json, Verdict
from aqaudit.audits.permutation import LEVEL
from aqaudit.audits.scope import Scope, headline_scopes
from aqaudit.core.auxiliary import AuxiliaryTables
from aqaudit.measures import MEASURES, Estimate
from aqaudit.measures.probabilities import probable, reliability
from aqaudit.measures.rows import codes

NAME = "calibration"
QUESTION = "When it says it is 90 % sure, is it right nine times in ten?"
_ADVICE: Mapping[Verdict, str] = {
    "fail": "Do not read its probabilities as probabilities: recalibrate them on labelled executions of your own "
    "(temperature or isotonic), and check again on others.",
    "warn": "Recalibrate before setting a threshold on its probabilities.",
    "cannot_tell": "Collect answers with log-probabilities on more performers.",
}


def calibration(frame: pl.DataFrame, _auxiliary: AuxiliaryTables | None = None) -> list[Finding]:
    """Return the calibration of every headline scope of boolean questions with probabilities."""
    findings: list[Finding] = []
    for scope in headline_scopes(frame):
        known = scope.rows["p_correct"].is_not_null() & scope.rows["gold_correct"].is_not_null()
        if scope.labels["kind"] in KINDS and known.any():
            findings += _of(scope)
    why = "no verify or detect answer comes with p_correct: ask for log-probabilities (logprobs = true)"
    return findings or findings_text.not_made(NAME, QUESTION, "ece", why)


def _of(scope: Scope) -> list[Finding]:
    estimate = MEASURES["ece"](scope.rows)
    beside = {name: MEASURES[name](scope.rows) for name in ("brier", "overconfidence")}
    tolerated = verdicts.tolerance(NAME, "ece")
    over = (beside["overconfidence"].value or 0.0) > 0
    sentences: Mapping[Verdict, str] = {
        "ok": "The probabilities of {model} mean what they say",
        "warn": f"{{model}} is somewhat {'over' if over else 'under'}-confident",
        "fail": f"{{model}} is {'over' if over else 'under'}-confident",
        "cannot_tell": "Whether the probabilities of {model} mean what they say cannot be told",
    }
    return [
        findings_text.judged(
            NAME, QUESTION, scope, "ece", estimate, judge(estimate, tolerated), sentences=sentences, advice=_ADVICE,
            details={
                "tolerance": tolerated,
                **{name: one.value for name, one in beside.items()},
                "bins": _bins(scope.rows),
            },
            rows=_sure_and_wrong(scope.rows),
        ),
        *[
            findings_text.shown(NAME, QUESTION, scope, name, one, beside="the calibration error")
            for name, one in beside.items()
        ],
    ]  # fmt: skip


def judge(estimate: Estimate, tolerated: float) -> Verdict:
    """Return fail when the error exceeds that of a calibrated judge by more than tolerated, ok when it does not.

    Else warn when it is larger than chance allows (p of the null below :data:`~aqaudit.audits.permutation.LEVEL`), else
    cannot_tell.
    """
    null = estimate.chance
    if estimate.low is None or estimate.high is None or null is None:
        return "cannot_tell"
    verdict = verdicts.at_most(estimate.low - null, estimate.high - null, tolerated)
    p = estimate.details.get("null_p")
    return "warn" if verdict == "cannot_tell" and isinstance(p, float) and p < LEVEL else verdict


def _bins(rows: pl.DataFrame) -> list[Json]:
    """Return the reliability diagram: mean probability, share of correct executions and rows of each bin."""
    found = probable(rows)
    if found.is_empty():
        return []
    one = reliability(found["p"].to_numpy(), found["y"].to_numpy(), codes(found["item"])[0])
    return [
        {"stated": float(stated), "found": float(share), "rows": int(n)}
        for stated, share, n in zip(one.stated, one.found, one.rows, strict=True)
    ]


def _sure_and_wrong(rows: pl.DataFrame) -> tuple[str, ...]:
    """Answer keys of wrong answers, the surest first."""
    wrong = rows.filter((pl.col("p_correct") > 0.5) != pl.col("gold_correct"))
    return findings_text.keys(wrong.with_columns(doubt=-(pl.col("p_correct") - 0.5).abs()), "doubt")


AUDIT = Audit(
    name=NAME,
    question=QUESTION,
    figures={name: MEASURES[name].what for name in ("ece", "brier", "overconfidence")},
    interval="Delete-one-performer jackknife with t(G - 1), the ten bins held fixed; the null is drawn from the stated "
    "probabilities 1,000 times.",
    rule=(
        "A calibrated judge has an error above 0 too, so what counts is the error less the mean of the simulated null. "
        f"fail: that lies above {verdicts.tolerance(NAME, 'ece'):.2f}; ok: within; warn: the null gives such an error "
        f"in fewer than {100 * LEVEL:g} % of draws."
    ),
    advice=_ADVICE["fail"],
    citation="Vaicenavicius et al., Evaluating model calibration in classification, AISTATS 2019",
    run=calibration,
)
