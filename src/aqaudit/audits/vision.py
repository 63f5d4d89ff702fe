"""The audit ``vision``: whether a judge looks at the pictures, and whether it needs the movement in them."""

from __future__ import annotations

from collections.abc import Mapping

import polars as pl

from aqaudit.audits import correctness, findings_text, framing, verdicts
from aqaudit.audits.finding import Audit, Finding, Json, Verdict
from aqaudit.audits.scope import Scope, headline_scopes, with_perturbed
from aqaudit.core.auxiliary import AuxiliaryTables
from aqaudit.core.table import TRUTH_AND_ANSWER
from aqaudit.measures import MEASURES, consistency, evidence
from aqaudit.measures.rows import text

NAME = "vision"
QUESTION = "Does it judge by the pictures, or would it say the same without them?"
COLLAPSE = "modality collapse"
DROPS = ("shuffled", "reversed", "region_blur")
_SENTENCES: Mapping[Verdict, str] = {
    "ok": "{model} judges by the pictures",
    "fail": "{model} judges about as well without the pictures",
    "cannot_tell": "Whether {model} judges by the pictures cannot be told",
}
_ADVICE: Mapping[Verdict, str] = {
    "fail": "Do not use it: what it says does not come from the person in front of the camera. Remove what gives the "
    "answer away, ask plainer questions, or show larger and sharper pictures, and run the audit again.",
    "warn": "Ask only about what a still shows, or use a model that was trained on video.",
    "cannot_tell": "Ask the same questions with blank pictures and with text only, on more performers.",
}
_TEMPORAL: Mapping[Verdict, str] = {
    "ok": "{model} uses the movement",
    "warn": "{model} judges about as well from one frozen frame",
    "cannot_tell": "Whether {model} uses the movement cannot be told",
}
_SWAPPED: Mapping[Verdict, str] = {
    "ok": "{model} judges the clip that is shown",
    "warn": "{model} judges worse when another clip is shown than the question's own",
    "cannot_tell": "Whether {model} judges the clip that is shown cannot be told",
}


def vision(frame: pl.DataFrame, _auxiliary: AuxiliaryTables | None = None) -> list[Finding]:
    """Return the dependence on pictures and movement of every headline scope that was asked without them too."""
    perturbed = frame.select((text(frame, "perturbation") != "none").any()).item()
    findings: list[Finding] = []
    for scope in headline_scopes(frame) if perturbed else ():
        findings += _of(scope, with_perturbed(frame, scope))
    why = "no question was asked with blank pictures, text only or another perturbation as well"
    return findings or findings_text.not_made(NAME, QUESTION, "vision_dependence", why)


def _of(scope: Scope, rows: pl.DataFrame) -> list[Finding]:
    asked = evidence.asked(rows)
    findings: list[Finding] = []
    if set(evidence.WITHOUT) & set(asked):
        findings.append(_dependence(scope, rows))
    if "frozen" in asked:
        findings += _movement(scope, rows)
    for name in DROPS:
        if name in asked:
            measure = f"{name}_drop"
            findings.append(
                findings_text.shown(NAME, QUESTION, scope, measure, MEASURES[measure](rows), beside="the dependence")
            )
    if "swapped" in asked:
        estimate = MEASURES["swapped_drop"](rows)
        tolerated = verdicts.tolerance(NAME, "swapped_drop")
        findings.append(
            findings_text.judged(
                NAME, QUESTION, scope, "swapped_drop", estimate,
                verdicts.capped(verdicts.at_most(estimate.low, estimate.high, tolerated)), headline=False,
                sentences=_SWAPPED, advice={"warn": _ADVICE["fail"]}, details={"tolerance": tolerated},
            )
        )  # fmt: skip
    return findings


def _dependence(scope: Scope, rows: pl.DataFrame) -> Finding:
    found, estimate = evidence.dependence(rows)
    verdict = verdicts.dependence(estimate.low, estimate.high)
    collapsed = verdict == "fail" and _biased(scope)
    sentences = dict(_SENTENCES)
    if collapsed:
        sentences["fail"] += ", and by the words of the question or by habit instead: modality collapse"
    return findings_text.judged(
        NAME, QUESTION, scope, "vision_dependence", estimate, verdict, sentences=sentences, advice=_ADVICE,
        flag=COLLAPSE if collapsed else None, details={"conditions": _conditions(found)}, rows=_right_blind(rows),
    )  # fmt: skip


def _biased(scope: Scope) -> bool:
    """Return whether the lean or the framing shift of the scope fails."""
    if scope.labels["kind"] not in correctness.KINDS:
        return False
    return "fail" in {correctness.lean(scope)[1], framing.shift(consistency.pairs(scope.rows))[1]}


def _movement(scope: Scope, rows: pl.DataFrame) -> list[Finding]:
    temporal, static = MEASURES["temporal_evidence"](rows), MEASURES["static_evidence"](rows)
    return [
        findings_text.judged(
            NAME, QUESTION, scope, "temporal_evidence", temporal,
            verdicts.capped(verdicts.dependence(temporal.low, temporal.high)), headline=False, sentences=_TEMPORAL,
            advice={"warn": _ADVICE["warn"]}, details={"static_evidence": static.value},
        ),
        findings_text.shown(NAME, QUESTION, scope, "static_evidence", static, beside="the evidence from the movement"),
    ]  # fmt: skip


def _conditions(found: evidence.Comparison) -> list[Json]:
    """Return every condition's score with its interval, for a figure."""
    return [
        {
            "condition": score.name,
            "value": score.value,
            "low": score.interval.low if score.interval else None,
            "high": score.interval.high if score.interval else None,
        }
        for score in found.scores
    ]


def _right_blind(rows: pl.DataFrame) -> tuple[str, ...]:
    """Answer keys of answers that are right without a picture."""
    gold, answer = TRUTH_AND_ANSWER[rows["kind"][0]]
    right = (
        pl.col("perturbation").is_in(evidence.WITHOUT) & (pl.col(gold) == pl.col(answer)) & (pl.col("parse") == "ok")
    )
    return findings_text.keys(rows.filter(right))


_FIGURES = (
    *("vision_dependence", "temporal_evidence", "static_evidence"),
    *(f"{name}_drop" for name in (*DROPS, "swapped")),
)
_RULE = verdicts.thresholds()[NAME]["vision_dependence"]
AUDIT = Audit(
    name=NAME,
    question=QUESTION,
    figures={name: MEASURES[name].what for name in _FIGURES},
    interval="Delete-one-performer jackknife with t(G - 1) of the paired difference; the best of the conditions "
    "without pictures is chosen anew whenever a performer is left out.",
    rule=(
        f"Dependence: fail when its interval lies below {_RULE['fail_below']:.2f}, ok when it lies above "
        f"{_RULE['ok_above']:.2f}; else cannot tell. Called modality collapse when it fails and the lean or the "
        "framing shift fails too. Movement: the same rule, at most a warning. Another clip (swapped): warn when the "
        f"loss lies above {verdicts.tolerance(NAME, 'swapped_drop'):.2f}."
    ),
    advice=_ADVICE["fail"],
    citation="Goyal et al., Making the V in VQA matter, CVPR 2017",
    run=vision,
)
