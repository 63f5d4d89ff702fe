"""The audit ``order``: whether a preference follows the performances or the place in which they are shown."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import polars as pl

from aqaudit.audits import findings_text, verdicts
from aqaudit.audits.finding import Audit, Finding, Json, Verdict
from aqaudit.audits.scope import Scope, headline_scopes
from aqaudit.core.auxiliary import AuxiliaryTables
from aqaudit.measures import MEASURES, Estimate, gap, resample
from aqaudit.measures.pairs import KEYS, preferences

NAME = "order"
QUESTION = "Does it prefer the better performance, or the one shown first?"
_ONE_ORDER = "no pair was asked in both orders: add pair_order = ['ab', 'ba'] to the grid"
_CURVE_POINTS = 41
_ADVICE: Mapping[Verdict, str] = {
    "fail": "Ask every pair in both orders and count a preference only where both agree.",
    "warn": "Ask pairs in both orders.",
    "cannot_tell": "Ask every pair in both orders, on more performers.",
}
_GAP: Mapping[Verdict, str] = {
    "ok": "{model} sees small differences",
    "warn": "{model} needs large differences to be right in three of four pairs",
    "cannot_tell": "How large a difference {model} needs cannot be told",
}
_GAP_ADVICE: Mapping[Verdict, str] = {
    "warn": "Rely on a preference only where executions differ by more than this gap.",
}


def order(frame: pl.DataFrame, _auxiliary: AuxiliaryTables | None = None) -> list[Finding]:
    """Return position bias, agreement of the orders and the gap needed, for every headline scope of preferences."""
    scopes = [scope for scope in headline_scopes(frame) if scope.labels["kind"] == "prefer"]
    if not scopes:
        return findings_text.not_made(NAME, QUESTION, "position_bias", "the table holds no preferences")
    findings: list[Finding] = []
    for scope in scopes:
        if {"ab", "ba"} <= set(scope.rows["pair_order"].unique()):
            findings += _of(scope)
    return findings or findings_text.not_made(NAME, QUESTION, "position_bias", _ONE_ORDER)


def _of(scope: Scope) -> list[Finding]:
    estimate = MEASURES["position_bias"](scope.rows)
    tolerated = verdicts.tolerance(NAME, "position_bias")
    place = "first" if (estimate.value or 0.0) > 0 else "second"
    consistency = MEASURES["order_consistency"](scope.rows)
    sentences: Mapping[Verdict, str] = {
        "ok": "{model} does not mind which performance is shown first",
        "warn": f"{{model}} tends somewhat to the one shown {place}",
        "fail": f"{{model}} tends to the one shown {place}",
        "cannot_tell": "Whether {model} minds which performance is shown first cannot be told",
    }
    findings = [
        findings_text.judged(
            NAME, QUESTION, scope, "position_bias", estimate,
            verdicts.bias_verdict(estimate.low, estimate.high, tolerated),
            sentences=sentences, advice=_ADVICE,
            details={"tolerance": tolerated, "order_consistency": consistency.value},
            rows=_turned(scope),
        ),
        findings_text.shown(NAME, QUESTION, scope, "order_consistency", consistency, beside="the position bias"),
    ]  # fmt: skip
    scored = (pl.col("gold_score").is_not_null() & pl.col("other_gold_score").is_not_null()).any()
    return [*findings, _gap(scope)] if scope.rows.select(scored).item() else findings


def _gap(scope: Scope) -> Finding:
    curve, estimate = gap.fit(scope.rows)
    tolerated = verdicts.tolerance(NAME, "gap_75")
    details: dict[str, Json] = {"tolerance": tolerated}
    if curve is not None:
        largest = max(point[0] for point in curve.points)
        at = np.linspace(0.0, largest, _CURVE_POINTS)
        details |= {
            "points": [
                {"gap": g, "pairs": n, "accuracy": right, "low": limits[0], "high": limits[1]}
                for g, n, right in curve.points
                for limits in [resample.clopper_pearson(right * n, n)]
            ],
            "curve": [{"gap": float(g), "accuracy": float(p)} for g, p in zip(at, curve.at(at), strict=True)],
            "scale": curve.scale,
            "shape": curve.shape,
            "lapse": curve.lapse,
        }
    return findings_text.judged(
        NAME, QUESTION, scope, "gap_75", estimate, _gap_verdict(estimate, tolerated), headline=False, sentences=_GAP,
        advice=_GAP_ADVICE, details=details,
    )  # fmt: skip


def _gap_verdict(estimate: Estimate, tolerated: float) -> Verdict:
    """Return warn when the gap needed lies above what is tolerated, ok when it does not, at most a warning."""
    low, high = (estimate.details.get(name) for name in ("low_unclipped", "high_unclipped"))
    if not isinstance(low, float):
        return "cannot_tell"
    if low > tolerated and estimate.flag is None:
        return "warn"
    return "ok" if isinstance(high, float) and high <= tolerated else "cannot_tell"


def _turned(scope: Scope) -> tuple[str, ...]:
    """Answer keys of pairs in which the same place was named in both orders."""
    same = preferences(scope.rows).filter(pl.col("agree") == 0)
    return findings_text.keys_of_groups(scope.rows, same, KEYS, "pair_order")


AUDIT = Audit(
    name=NAME,
    question=QUESTION,
    figures={name: MEASURES[name].what for name in ("position_bias", "order_consistency", "gap_75")},
    interval="Delete-one-performer jackknife with t(G - 1); for the gap, percentiles of 1,000 draws of performers with "
    "replacement, each fitted.",
    rule=(
        f"fail: the position bias's size lies above {verdicts.tolerance(NAME, 'position_bias'):.2f}; ok: within; "
        "warn: the interval excludes 0. Gap: warn when it lies above "
        f"{findings_text.share(verdicts.tolerance(NAME, 'gap_75'))} of the scale; null and 'not reached' outside the "
        "gaps seen."
    ),
    advice=_ADVICE["fail"],
    citation="Wang et al., Large language models are not fair evaluators, ACL 2024; Wichmann & Hill 2001",
    run=order,
)
