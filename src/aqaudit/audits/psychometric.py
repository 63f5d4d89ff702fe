"""The audit ``psychometric``: how large an error must be before a judge sees it, error by error.

Answers about an error whose severity is known (columns ``severity``, ``tolerance``, ``unit``) give a curve of "says
error" against severity; see :mod:`aqaudit.measures.psychometric`. Ideal observers in the same table (models named
``observer:…``) stand beside: ``efficiency`` is (d' of the judge / d' of the observer)^2 on the same items (Tanner &
Birdsall, J. Acoust. Soc. Am. 1958). Findings are breakdowns, so none says fail.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

import numpy as np
import polars as pl
from numpy.typing import NDArray

from aqaudit.audits import findings_text, verdicts
from aqaudit.audits.finding import Audit, Finding, Json, Verdict
from aqaudit.audits.permutation import holm
from aqaudit.audits.scope import headline_scopes
from aqaudit.core.auxiliary import AuxiliaryTables
from aqaudit.measures import psychometric as curves
from aqaudit.measures.psychometric import PsychometricCurve, Quantity, Trials, efficiency
from aqaudit.measures.rows import cluster, codes, number, parsed, text

NAME = "psychometric"
QUESTION = "How large must an error be before it is seen?"
CITATION = (
    "Schuett et al., Painfree and accurate Bayesian estimation of psychometric functions for (potentially) "
    "overdispersed data, Vision Research 2016; Wichmann & Hill, The psychometric function, Percept. Psychophys. 2001"
)
#: How the names of ideal observers begin.
OBSERVER = "observer:"
#: Severities beyond so many are put together in as many groups of about one size.
MAX_LEVELS = 40
_CURVE_POINTS = 41
_ADVICE: Mapping[Verdict, str] = {
    "ok": "It may be asked about this error where errors of this size matter.",
    "warn": "Do not let it judge this error at the sizes that matter: it sees only larger ones, or none.",
    "cannot_tell": "Ask about more severities, more often, on more performers, as the probe's recipe 'standard' does.",
    "skipped": "",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """One error in one headline scope: its answers, one row each, and what is known of it."""

    labels: Mapping[str, str]
    rows: pl.DataFrame  # cluster, framing, severity, error (said), gold, item, answer_key
    coverage: float
    tolerance: float | None
    unit: str


def _subjects_of(labels: Mapping[str, str], rows: pl.DataFrame) -> Iterator[Subject]:
    """Yield the subjects of a headline scope, ordered by action and error; none where no severity is known."""
    if labels["kind"] not in {"verify", "detect"}:
        return
    known = rows.with_columns(number(rows, "severity").alias("_severity")).filter(pl.col("_severity").is_not_null())
    if known.is_empty():
        return
    told = known.select(
        cluster(known),
        text(known, "framing"),
        text(known, "action"),
        # An error and the criterion that forbids it may both be asked about; they are different questions.
        pl.coalesce("error", "criterion").fill_null("").alias("error_id"),
        pl.col("_severity").alias("severity"),
        number(known, "tolerance"),
        text(known, "unit"),
        pl.when(parsed(known)).then(~pl.col("says_correct")).otherwise(None).alias("error"),
        pl.col("gold_correct").alias("gold"),
        pl.concat_str(
            [text(known, name) for name in ("question_id", "performance_id", "framing", "answer_words", "repeat")],
            separator="\x1f",
        ).alias("item"),
        text(known, "answer_key"),
    )
    groups = told.partition_by("action", "error_id", as_dict=True)
    for action, error in sorted(groups):
        group = groups[action, error]
        read = group.filter(pl.col("error").is_not_null())
        tolerances = group["tolerance"].drop_nulls().unique()
        yield Subject(
            labels={**labels, "action": str(action), "error": str(error)},
            rows=read,
            coverage=read.height / group.height,
            tolerance=float(tolerances[0]) if tolerances.len() == 1 else None,
            unit=str(group["unit"].sort()[-1]),
        )


def trials_of(rows: pl.DataFrame) -> Trials:
    """Return answers (columns cluster, framing, severity, error) as counts, framings with equal weight."""
    weights = rows.group_by("framing").agg((rows.height / rows["framing"].n_unique() / pl.len()).alias("weight"))
    grouped = (
        rows.with_columns(_grouped(rows["severity"]))
        .join(weights, on="framing")
        .group_by("cluster", "severity")
        .agg(pl.col("weight").sum().alias("total"), pl.col("weight").filter("error").sum().alias("said"))
        .sort("cluster", "severity")
    )
    place, _ = codes(grouped["cluster"])
    return Trials(
        cluster=place,
        severity=grouped["severity"].to_numpy(),
        total=grouped["total"].to_numpy(),
        said=grouped["said"].to_numpy(),
    )


def _grouped(severity: pl.Series) -> pl.Series:
    """Return severities with close ones put together where there are many: each as the mean of its group."""
    levels = severity.unique().sort().to_numpy()
    if levels.size <= MAX_LEVELS:
        return severity
    group = np.minimum(severity.rank("average").to_numpy() * MAX_LEVELS / severity.len(), MAX_LEVELS - 1).astype(int)
    return pl.DataFrame({"severity": severity, "group": group}).select(
        pl.col("severity").mean().over("group").alias("severity")
    )["severity"]


def psychometric(frame: pl.DataFrame, _auxiliary: AuxiliaryTables) -> list[Finding]:
    """Return a finding for every figure of every curve of ``frame``, which has all columns of the answers table."""
    subjects = [one for scope in headline_scopes(frame) for one in _subjects_of(scope.labels, scope.rows)]
    if not subjects:
        why = "no answer to a verify or detect question carries a severity (column 'severity')"
        return findings_text.not_made(NAME, QUESTION, "threshold", why)
    return _with_holm([finding for one in subjects for finding in _findings(one, _observers(one, subjects))])


def _observers(subject: Subject, others: list[Subject]) -> list[Subject]:
    """Return the ideal observers that judged the same error, whatever setting they were asked in."""
    if subject.labels["model"].startswith(OBSERVER):
        return []
    same = ("dataset", "task", "kind", "action", "error")
    return [
        one
        for one in others
        if one.labels["model"].startswith(OBSERVER) and all(one.labels[k] == subject.labels[k] for k in same)
    ]


def _findings(subject: Subject, observers: list[Subject]) -> list[Finding]:
    if subject.rows.is_empty():
        return [_finding(subject, "threshold", None, verdict="cannot_tell", why="no answer could be read")]
    trials = trials_of(subject.rows)
    curve = curves.fit(trials)
    if curve is None:
        return [_finding(subject, "threshold", None, verdict="cannot_tell", why="only one severity was asked about")]
    found = [_threshold(subject, trials, curve)]
    beside = {
        "threshold_75": curve.threshold_75,
        "slope": curve.slope,
        "guess_rate": curve.guess,
        "lapse_rate": curve.lapse,
    }
    found += [
        _finding(subject, name, quantity, verdict="skipped", why="shown beside the threshold, not judged")
        for name, quantity in beside.items()
    ]
    found += _shift(subject)
    found += [_efficiency(subject, one) for one in observers]
    return found


def _threshold(subject: Subject, trials: Trials, curve: PsychometricCurve) -> Finding:
    levels = np.unique(trials.severity)
    rule = verdicts.thresholds()["psychometric"]["threshold"]
    reached = levels[0] <= curve.threshold.value <= levels[-1]
    flat = curve.rise.high < rule["flat"]
    # With few answers the posterior is little more than its prior, whose middle is no threshold.
    width = curve.threshold.high - curve.threshold.low
    placed = width < levels[-1] - levels[0] or curve.threshold.low > levels[-1]
    flag = "flat" if flat else "not placed" if not placed else None if reached else "not reached"
    verdict, why = _judged(subject, levels, curve, flag)
    if why.startswith("only"):
        flag = flag or "shown, not judged"
    shown = curve.threshold if flag not in {"flat", "not placed", "not reached"} else None
    points = np.linspace(levels[0], levels[-1], _CURVE_POINTS)
    said = [trials.said[trials.severity == level].sum() for level in levels]
    asked = [trials.total[trials.severity == level].sum() for level in levels]
    details = {
        "unit": subject.unit,
        "tolerance": subject.tolerance,
        "levels": int(levels.size),
        "severity_from": float(levels[0]),
        "severity_to": float(levels[-1]),
        "coverage": subject.coverage,
        "rise": curve.rise.value,
        "rise_low": curve.rise.low,
        "rise_high": curve.rise.high,
        "design_effect": curve.design_effect,
        "p_within_useful": _p_useful(subject, curve),
        "curve": []
        if flag == "not placed"
        else [[float(x), float(y)] for x, y in zip(points, curve.at(points), strict=True)],
        "points": [[float(x), float(k / n), float(n)] for x, k, n in zip(levels, said, asked, strict=True)],
    }
    return _finding(subject, "threshold", shown, verdict=verdict, why=why, flag=flag, details=details)


def _judged(
    subject: Subject, levels: NDArray[np.float64], curve: PsychometricCurve, flag: str | None
) -> tuple[Verdict, str]:
    """Return the verdict on a threshold, and why where it is open or bad."""
    rule = verdicts.thresholds()["psychometric"]["threshold"]
    lacking = _lacking(subject, levels.size)
    if lacking or subject.tolerance is None:
        return "cannot_tell", lacking or "the answers give no one tolerance to hold the threshold against"
    limit = rule["useful_tolerances"] * subject.tolerance
    top, bottom = (float(curve.corrected(levels[[at]])[0]) for at in (-1, 0))
    verdict: Verdict = "cannot_tell"
    if flag == "flat":
        verdict, why = "warn", "what it says does not depend on the severity"
    elif flag == "not placed":
        why = "the threshold may lie anywhere among the severities asked about"
    elif levels[-1] < limit:
        why = f"severities end at {levels[-1]:g}, short of {limit:g} {subject.unit}"
    elif curve.threshold.low > limit:
        verdict, why = "warn", f"it sees this error only beyond {limit:g} {subject.unit}"
    elif bottom > rule["asymptote"] or top < 1 - rule["asymptote"]:
        why = "the severities asked about do not reach both ends of the curve"
    elif curve.threshold.high <= limit:
        verdict, why = "ok", ""
    else:
        why = f"the interval reaches from below to above {limit:g} {subject.unit}"
    return verdict, why


def _lacking(subject: Subject, levels: int) -> str:
    """Return what a design has too little of for a verdict; empty where it has enough."""
    rule = verdicts.thresholds()["psychometric"]["threshold"]
    performers = subject.rows["cluster"].n_unique()
    if levels < rule["min_levels"]:
        return f"only {levels} severities; at least {rule['min_levels']:g} are needed"
    if subject.rows.height < rule["min_trials"] * levels:
        return f"only {subject.rows.height / levels:.0f} answers a severity; at least {rule['min_trials']:g} are needed"
    if performers < rule["min_clusters"]:
        return f"only {performers} performers; at least {rule['min_clusters']:g} are needed"
    return ""


def _p_useful(subject: Subject, curve: PsychometricCurve) -> float | None:
    """Return the posterior probability that the threshold is small enough to be of use."""
    if subject.tolerance is None:
        return None
    rule = verdicts.thresholds()["psychometric"]["threshold"]
    return curve.probability_at_most(rule["useful_tolerances"] * subject.tolerance)


def _shift(subject: Subject) -> list[Finding]:
    """Return how far the threshold moves from the positive to the negative wording, where both were asked."""
    by_framing = {str(key[0]): rows for key, rows in subject.rows.partition_by("framing", as_dict=True).items()}
    if not {"positive", "negative"} <= by_framing.keys():
        return []
    pair = [curves.fit(trials_of(by_framing[name])) for name in ("positive", "negative")]
    if pair[0] is None or pair[1] is None:
        return []
    shift = curves.difference(pair[0], pair[1])
    verdict: Verdict = "cannot_tell"
    why = _lacking(subject, subject.rows["severity"].n_unique())
    if not why and subject.tolerance is None:
        why = "the answers give no one tolerance to hold the shift against"
    elif not why and subject.tolerance is not None:
        allowed = verdicts.thresholds()["psychometric"]["threshold_shift"]["tolerances"] * subject.tolerance
        if max(abs(shift.low), abs(shift.high)) <= allowed:
            verdict = "ok"
        elif shift.low > 0 or shift.high < 0:
            verdict = "warn"
        else:
            why = "the interval reaches from no shift to one that matters"
    thresholds = {"threshold_positive": pair[0].threshold.value, "threshold_negative": pair[1].threshold.value}
    return [_finding(subject, "threshold_shift", shift, verdict=verdict, why=why, details=thresholds)]


def _efficiency(subject: Subject, observer: Subject) -> Finding:
    estimate = efficiency(subject.rows, observer.rows)
    quantity = None
    if estimate.value is not None and estimate.low is not None and estimate.high is not None:
        quantity = curves.Quantity(value=estimate.value, low=estimate.low, high=estimate.high)
    return replace(
        _finding(
            subject,
            "efficiency",
            quantity,
            verdict="skipped" if quantity else "cannot_tell",
            why=estimate.why or "shown beside the threshold, not judged",
            details={"observer": observer.labels["model"], **estimate.details},
        ),
        n=estimate.n,
        clusters=estimate.clusters,
    )


def _finding(
    subject: Subject,
    measure: str,
    quantity: Quantity | None,
    *,
    verdict: Verdict,
    why: str = "",
    flag: str | None = None,
    details: Mapping[str, Json] | None = None,
) -> Finding:
    return Finding(
        audit=NAME,
        scope=subject.labels,
        measure=measure,
        value=quantity.value if quantity else None,
        low=quantity.low if quantity else None,
        high=quantity.high if quantity else None,
        n=subject.rows.height,
        clusters=subject.rows["cluster"].n_unique(),
        verdict=verdict,
        flag=flag,
        summary=_summary(subject, measure, quantity, verdict=verdict, why=why, flag=flag),
        question=QUESTION,
        why=why,
        advice=_ADVICE[verdict] if measure == "threshold" else "",
        citation=CITATION,
        details={"unit": subject.unit, **(details or {})},
        rows=_rows_shown(subject, right=verdict == "ok") if measure == "threshold" else (),
    )


def _summary(
    subject: Subject, measure: str, quantity: Quantity | None, *, verdict: Verdict, why: str, flag: str | None
) -> str:
    """Return one sentence for a coach."""
    model, error = subject.labels["model"], f"'{subject.labels['error']}' ({subject.labels['action']})"
    figure = "" if quantity is None else f"{quantity.value:.3g} ({quantity.low:.3g} to {quantity.high:.3g})"
    unit = f" {subject.unit}" if subject.unit else ""
    if measure == "threshold":
        top = f"{max(subject.rows['severity'], default=0.0):.3g}{unit}"
        if flag == "flat":
            return f"{model} does not see {error}: it says the same at every severity up to {top}."
        if flag == "not placed":
            return f"Where {model} begins to see {error} cannot be told: {why}."
        if quantity is None:
            return f"{model} does not see {error} at half the trials up to {top}." if flag else f"{error}: {why}."
        judged = {"ok": "", "warn": "; too late to be of use", "cannot_tell": f"; not judged: {why}"}.get(verdict, "")
        allowed = "" if subject.tolerance is None else f" (tolerated: {subject.tolerance:.3g}{unit})"
        return f"{model} sees {error} in half the trials from {figure}{unit}{allowed}{judged}."
    if quantity is None:
        return f"{measure} of {model} for {error} cannot be computed: {why}."
    said = {
        "threshold_75": f"{model} sees {error} in three quarters of the trials from {figure}{unit}",
        "slope": f"Around its threshold {model} says {error} more often by {figure} for each{unit or ' unit'}",
        "guess_rate": f"{model} says {error} where there is none at a rate of {figure}",
        "lapse_rate": f"{model} misses {error} however large it is at a rate of {figure}",
        "threshold_shift": f"Asked in negative words, {model} sees {error} {figure}{unit} later (below 0: earlier)",
        "efficiency": f"{model} uses {figure} of what an ideal observer sees of {error}",
    }
    return f"{said[measure]}."


def _rows_shown(subject: Subject, *, right: bool) -> tuple[str, ...]:
    agrees = pl.col("error").ne_missing(pl.col("gold"))
    return findings_text.keys(subject.rows.filter(agrees if right else ~agrees))


def _with_holm(findings: list[Finding]) -> list[Finding]:
    """Keep a warning about a threshold only where it stands after Holm's correction over the errors of its scope."""
    p_values = [
        p if isinstance(p := one.details.get("p_within_useful"), float) and one.flag != "flat" else None
        for one in findings
    ]
    families = [tuple((k, v) for k, v in one.scope.items() if k not in {"action", "error"}) for one in findings]
    result = []
    for finding, holm_p in zip(findings, holm(p_values, families), strict=True):
        one = finding if holm_p is None else replace(finding, details={**finding.details, "holm_p": holm_p})
        if one.verdict == "warn" and holm_p is not None and holm_p > (1 - curves.LEVEL) / 2:
            why = "the interval excludes a useful threshold, but not after Holm's correction"
            one = replace(one, verdict="cannot_tell", why=why, advice=_ADVICE["cannot_tell"])
        result.append(one)
    return result


_RULE = verdicts.thresholds()[NAME]["threshold"]
AUDIT = Audit(
    name=NAME,
    question=QUESTION,
    figures={
        "threshold": "severity seen in half the trials, corrected for guesses and lapses",
        "threshold_75": "severity seen in three quarters of the trials, corrected alike",
        "slope": "rise of the corrected curve at its threshold, per unit of severity",
        "guess_rate": "how often the error is said to be there where it is not",
        "lapse_rate": "how often it is missed however large it is",
        "threshold_shift": "threshold in negative wording minus that in positive wording",
        "efficiency": "(d' of the judge / d' of an ideal observer)^2 on the same items",
    },
    interval="Posterior on a grid, its likelihood divided by the design effect of performers; efficiency by bootstrap.",
    rule=(
        f"Judged with {_RULE['min_levels']:g} severities, {_RULE['min_trials']:g} answers each and "
        f"{_RULE['min_clusters']:g} performers that reach both ends of the curve; never fails. ok: the threshold's "
        f"interval lies within {_RULE['useful_tolerances']:g} tolerances; warn: it lies beyond, after Holm, or what is "
        "said does not depend on the severity; else cannot tell."
    ),
    advice=_ADVICE["warn"],
    citation=CITATION,
    run=psychometric,
)
