"""The audit ``collapse``: a low error without skill, by hiding in the middle of the scale."""

from __future__ import annotations

from collections.abc import Mapping

import polars as pl

from aqaudit.audits import findings_text, verdicts
from aqaudit.audits.finding import Audit, Finding, Json, Verdict
from aqaudit.audits.scope import Scope, headline_scopes
from aqaudit.core.auxiliary import AuxiliaryTables
from aqaudit.measures import MEASURES, Estimate
from aqaudit.measures.scores import read_scores, value_counts

NAME = "collapse"
QUESTION = "Are its scores close to the truth only because it always gives about the same one?"
COVERT = "covert failure"
COLLAPSED = "collapsed"
BESIDE = ("modal_share", "calibration_slope", "spearman", "r_l2")
_MOST_VALUES = 40
_SENTENCES: Mapping[Verdict, str] = {
    "ok": "{model} uses the scale",
    "cannot_tell": "Whether {model} hides in the middle of the scale cannot be told",
}
_ADVICE: Mapping[Verdict, str] = {
    "fail": "Do not report its error, which looks good for want of trying: it cannot rank executions. Ask for "
    "comparisons of two clips, or for verdicts on single criteria.",
    "cannot_tell": "Collect scores on more performers, and on executions from the whole range of the scale.",
}


def collapse(frame: pl.DataFrame, _auxiliary: AuxiliaryTables | None = None) -> list[Finding]:
    """Return whether scores have collapsed, for every headline scope of scores."""
    findings: list[Finding] = []
    for scope in headline_scopes(frame):
        if scope.labels["kind"] == "score":
            findings += _of(scope)
    return findings or findings_text.not_made(NAME, QUESTION, "sd_ratio", "the table holds no scores")


def _of(scope: Scope) -> list[Finding]:
    spread = MEASURES["sd_ratio"](scope.rows)
    beside = {name: MEASURES[name](scope.rows) for name in BESIDE}
    rule = verdicts.thresholds()[NAME]["collapse"]
    verdict = judge(beside["spearman"], spread, beside["modal_share"])
    r_l2 = beside["r_l2"]
    covert = r_l2.value is not None and r_l2.baseline is not None and r_l2.value <= rule["covert"] * r_l2.baseline
    flag = (COVERT if covert else COLLAPSED) if verdict == "fail" else None
    error = "; its error looks as good as that of always giving the mean, which is no skill" if covert else ""
    details: dict[str, Json] = {
        **{name: one.value for name, one in beside.items()},
        "r_l2_constant_mean": r_l2.baseline,
        "distinct_values": beside["modal_share"].details.get("distinct_values"),
        "modal_value": beside["modal_share"].details.get("modal_value"),
        "values": [
            {"score": float(value), "rows": int(rows)}
            for value, rows in value_counts(scope.rows).head(_MOST_VALUES).sort("said").iter_rows()
        ],
        "truths": _histogram(scope.rows),
    }
    return [
        findings_text.judged(
            NAME, QUESTION, scope, "sd_ratio", spread, verdict, flag=flag,
            sentences={**_SENTENCES, "fail": f"{{model}} gives about the same score to everything{error}"},
            advice=_ADVICE, details=details, rows=_hidden(scope.rows, beside["modal_share"]),
            why="rank correlation, spread and most frequent score do not settle it" if spread.interval else "",
        ),
        *[
            findings_text.shown(NAME, QUESTION, scope, name, beside[name], beside="the spread")
            for name in ("modal_share", "calibration_slope")
        ],
    ]  # fmt: skip


def judge(spearman: Estimate, spread: Estimate, modal: Estimate) -> Verdict:
    """Return fail when ranks are poor *and* the spread is small or one score is most of them.

    ok when either is ruled out; else cannot_tell. The spread alone never decides: that of the best predictor is as
    small as its correlation.
    """
    rule = verdicts.thresholds()[NAME]["collapse"]
    if spearman.flag == "constant" and spread.n and not spread.why.startswith("only"):
        return "fail"
    poor = _below(spearman, rule["spearman"])
    narrow = _below(spread, rule["sd_ratio"])
    heaped = _below(modal, rule["modal_share"])
    heaped = None if heaped is None else not heaped
    if poor is False or (narrow is False and heaped is False):
        return "ok"
    return "fail" if poor and (narrow or heaped) else "cannot_tell"


def _below(estimate: Estimate, level: float) -> bool | None:
    """Return whether an interval lies below a level, above it, or None where it holds it."""
    if estimate.low is None or estimate.high is None:
        return None
    return True if estimate.high < level else False if estimate.low > level else None


def _histogram(rows: pl.DataFrame) -> list[Json]:
    """Return the spread of the true scores, in as many steps as the answers' list is long."""
    gold = read_scores(rows)["gold"]
    if gold.is_empty() or gold.min() == gold.max():
        return []
    counts = gold.hist(bin_count=20, include_category=False)
    return [{"up_to": float(edge), "rows": int(n)} for edge, n in counts.select("breakpoint", "count").iter_rows()]


def _hidden(rows: pl.DataFrame, modal: Estimate) -> tuple[str, ...]:
    """Answer keys of rows with the most frequent score, those furthest from their truth first."""
    value = modal.details.get("modal_value")
    if value is None:
        return ()
    same = rows.filter((pl.col("score") == value) & (pl.col("parse") == "ok") & pl.col("gold_score").is_not_null())
    return findings_text.keys(same.with_columns(near=-(pl.col("gold_score") - pl.col("score")).abs()), "near")


_RULE = verdicts.thresholds()[NAME]["collapse"]
AUDIT = Audit(
    name=NAME,
    question=QUESTION,
    figures={name: MEASURES[name].what for name in ("sd_ratio", "modal_share", "calibration_slope")},
    interval="Delete-one-performer jackknife with t(G - 1); Spearman on the Fisher z scale.",
    rule=(
        f"fail (collapsed): Spearman's interval lies below {_RULE['spearman']:.2f}, and the spread ratio's below "
        f"{_RULE['sd_ratio']:.2f} or that of the most frequent score's share above {_RULE['modal_share']:.2f}. It is "
        f"called a covert failure where R-l2 is at most {_RULE['covert']:g} times that of always giving the mean. ok: "
        "one of the two is ruled out. The spread alone never decides."
    ),
    advice=_ADVICE["fail"],
    citation="Murphy, Skill scores based on the mean square error, Mon. Weather Rev. 1988",
    run=collapse,
)
