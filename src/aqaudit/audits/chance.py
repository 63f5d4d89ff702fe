"""The audit ``chance``: whether a judge is better than guessing, beside what a constant answer scores."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import replace

import numpy as np
import polars as pl
from scipy import stats

from aqaudit.audits import findings_text, permutation, verdicts
from aqaudit.audits.finding import Audit, Finding, Json, Verdict
from aqaudit.audits.findings_text import count, with_interval
from aqaudit.audits.scope import BASE, Scope, headline_scopes
from aqaudit.core.auxiliary import AuxiliaryTables
from aqaudit.core.table import TRUTH_AND_ANSWER
from aqaudit.measures import MEASURES, Estimate, resample

NAME = "chance"
QUESTION = "Does it judge better than guessing?"
#: Probability with which the smallest detectable figure would be told from chance.
POWER = 0.80

_BOOLEAN = ("balanced_accuracy", "balanced_accuracy_macro", "balanced_accuracy_parsed")
#: Kind of question -> its measures; the first one is its headline.
PLAN: Mapping[str, tuple[str, ...]] = {
    "verify": _BOOLEAN,
    "detect": _BOOLEAN,
    "choose": _BOOLEAN,
    "score": ("spearman", "spearman_by_action", "r_l2", "rmse", "mae"),
    "prefer": ("pair_accuracy",),
}
_PERMUTATION: Mapping[str, Callable[[pl.DataFrame], float | None]] = {
    "balanced_accuracy": permutation.balanced_accuracy,
    "spearman": permutation.spearman,
    "pair_accuracy": permutation.pair_accuracy,
}
_SHOWN_ONLY = ("rmse", "mae")
_COVERAGE = "coverage"
_ADVICE: Mapping[Verdict, str] = {
    "ok": "It sees something. Before building on it, look at how it is worded, whether it needs the video, and which "
    "way it leans.",
    "warn": "It is a little better than guessing, too little to judge a single execution by. Use it, if at all, to "
    "compare groups, with a person deciding.",
    "fail": "Do not let it judge this. Its answers carry no more about the execution than a guess would.",
    "cannot_tell": "Do not rely on it yet: collect answers on more performers, then ask again.",
    "skipped": "",
}
_ADVICE_UNREAD = "Too many answers could not be read: look at what it said, then make the answer format plainer."
_ADVICE_ONE_SIDED = "Nothing can be judged from these truths: add executions of the kind that is missing."


def chance(frame: pl.DataFrame, _auxiliary: AuxiliaryTables | None = None) -> list[Finding]:
    """Return the findings of every headline scope of ``frame`` (all columns of :data:`aqaudit.core.table.SCHEMA`).

    Boolean and ``choose`` questions are judged by balanced accuracy, scores by Spearman's correlation, preferences by
    accuracy over pairs; the other measures stand beside them and cannot fail.
    """
    findings: list[Finding] = []
    for scope in headline_scopes(frame):
        names = PLAN.get(scope.labels["kind"], ())
        findings += [_finding(scope, name, headline=name == names[0]) for name in names if _applies(scope, name)]
        if names:
            findings.append(_coverage(scope))
    if not findings:
        why = "the table holds no answers with perturbation none"
        return findings_text.not_made(NAME, QUESTION, "balanced_accuracy", why)
    return _with_holm(findings)


def _coverage(scope: Scope) -> Finding:
    """Judge how many answers could be read: at most a warning."""
    estimate = MEASURES[_COVERAGE](scope.rows)
    enough = verdicts.thresholds()[NAME][_COVERAGE]["enough"]
    verdict: Verdict = "cannot_tell"
    if estimate.value is not None and estimate.high is not None:
        verdict = "warn" if estimate.high < enough else "ok" if estimate.value >= enough else "cannot_tell"
    return findings_text.judged(
        NAME, QUESTION, scope, _COVERAGE, estimate, verdict, headline=False,
        sentences={
            "ok": "The answers of {model} can be read",
            "warn": "Many answers of {model} hold no verdict",
            "cannot_tell": "Whether enough answers of {model} can be read cannot be told",
        },
        advice={"warn": _ADVICE_UNREAD}, details={"enough": enough},
        rows=findings_text.keys(scope.rows.filter(pl.col("parse") != "ok")),
    )  # fmt: skip


def _applies(scope: Scope, name: str) -> bool:
    return name != "spearman_by_action" or scope.rows["action"].n_unique() > 1


def _finding(scope: Scope, name: str, *, headline: bool) -> Finding:
    measure = MEASURES[name]
    estimate = measure(scope.rows)
    verdict, useful = _judge(name, estimate)
    if not headline:
        verdict = verdicts.capped(verdict)
    why = estimate.why
    if verdict == "cannot_tell" and not why:
        why = _why_open(estimate, useful)
    if verdict == "skipped":
        why = "shown beside R-l2, not judged"
    known = _with_truth(scope.rows)
    _, answer = TRUTH_AND_ANSWER[scope.labels["kind"]]
    read = known.filter((pl.col("parse") == "ok") & pl.col(answer).is_not_null())
    details: dict[str, Json] = {
        **estimate.details,
        "parse_failures": known.height - read.height,
        "rows_without_truth": scope.rows.height - known.height,
        "smallest_detectable": _smallest_detectable(estimate),
    }
    if useful is not None:
        details["useful_from"] = useful
        details |= _over_constant(estimate)
    if headline:
        details["permutation_p"] = None if estimate.value is None else _PERMUTATION[name](scope.rows)
    return replace(
        Finding.of(NAME, scope.labels, name, estimate),
        headline=headline,
        verdict=verdict,
        summary=_summary(scope.labels["model"], name, estimate, verdict, why),
        question=QUESTION,
        why=why,
        advice=_advice(verdict, estimate) if headline else "",
        citation=measure.citation,
        details=details,
        rows=_rows_shown(scope.rows, right=verdict == "ok") if headline else (),
    )


def _over_constant(estimate: Estimate) -> dict[str, Json]:
    """Return by how much the figure, and its interval, exceed the best constant answer on the same rows."""
    if estimate.value is None or estimate.baseline is None:
        return {}
    ends = {"over_constant": estimate.value, "over_constant_low": estimate.low, "over_constant_high": estimate.high}
    return {name: None if end is None else end - estimate.baseline for name, end in ends.items()}


def _judge(name: str, estimate: Estimate) -> tuple[Verdict, float | None]:
    """Return the verdict of a measure, and from where on it would be useful, where it is held against chance."""
    coverage = estimate.details.get("coverage")
    if name in _SHOWN_ONLY:
        return "skipped" if estimate.value is not None else "cannot_tell", None
    if name == "r_l2":
        return _against_baseline(estimate), None
    if estimate.value is None or estimate.chance is None or not coverage:
        return "cannot_tell", None
    levels = verdicts.chance_levels(name, estimate.chance)
    if estimate.flag == "constant" and name.startswith("spearman"):
        # One score for everything ranks nothing in any sample that is large enough to be judged.
        verdict: Verdict = "cannot_tell" if estimate.clusters < resample.MIN_CLUSTERS else "fail"
    else:
        verdict = verdicts.against_chance(estimate.value, estimate.low, estimate.high, levels)
    if name.startswith("spearman"):
        verdict = verdicts.with_coverage(verdict, float(coverage))
    return verdict, levels.useful


def _advice(verdict: Verdict, estimate: Estimate) -> str:
    coverage = estimate.details.get("coverage")
    if verdict == "cannot_tell" and isinstance(coverage, float):
        # Unread answers are wrong ones in an accuracy; only a rank correlation has to leave them out.
        too_low = verdicts.thresholds()["chance"]["spearman"]["coverage_too_low"]
        if coverage == 0 or (estimate.chance == 0 and coverage < too_low):
            return _ADVICE_UNREAD
        if estimate.value is None:
            return _ADVICE_ONE_SIDED
    return _ADVICE[verdict]


def _against_baseline(estimate: Estimate) -> Verdict:
    """R-l2 against the constant mean's: better, no better, or open; never fail."""
    if estimate.low is None or estimate.high is None or estimate.baseline is None:
        return "cannot_tell"
    if estimate.high < estimate.baseline:
        return "ok"
    return "warn" if estimate.low > estimate.baseline else "cannot_tell"


def _why_open(estimate: Estimate, useful: float | None) -> str:
    coverage = estimate.details.get("coverage")
    too_low = verdicts.thresholds()["chance"]["spearman"]["coverage_too_low"]
    if coverage == 0:
        return "no answer could be read"
    if estimate.chance == 0 and isinstance(coverage, float) and coverage < too_low:
        return f"only {coverage:.0%} of the answers could be read; at least {too_low:.0%} are needed"
    if useful is None:
        return "the interval reaches from better to worse than the constant mean"
    return (
        f"the interval reaches from chance ({estimate.chance:.2f}) or below to a useful level ({useful:.2f}); "
        "more performers would narrow it"
    )


def _summary(model: str, name: str, estimate: Estimate, verdict: Verdict, why: str) -> str:
    """One sentence for a coach: what it means, then the figure."""
    title = MEASURES[name].title
    if estimate.value is None:
        return f"{title[0].upper()}{title[1:]} of {model} cannot be computed: {why}."
    figure = f"{title} {estimate.value:.2f}{with_interval(estimate)}"
    if estimate.chance is not None:
        figure += f"; guessing scores {estimate.chance:.2f}"
    if estimate.baseline is not None:
        figure += f", the best constant answer {estimate.baseline:.2f}"
    figure = f"({figure}; {count(estimate.n, 'answer')}, {count(estimate.clusters, 'performer')}{_unread(estimate)})"
    if name in (*_SHOWN_ONLY, "r_l2"):
        sentence = {
            "ok": f"{model} comes closer to the true scores than always giving the mean",
            "warn": f"{model} is further from the true scores than always giving the mean",
            "cannot_tell": f"Whether {model} comes closer than always giving the mean cannot be told: {why}",
        }.get(verdict, f"The distance of {model} from the true scores")
        return f"{sentence} {figure}."
    sentence = {
        "ok": f"{model} judges better than guessing",
        "warn": f"{model} judges better than guessing, but not by much"
        if estimate.low is not None and estimate.chance is not None and estimate.low > estimate.chance
        else f"{model} was not shown to judge better than guessing",
        "fail": f"{model} does not judge better than guessing",
        "cannot_tell": f"Whether {model} judges better than guessing cannot be told: {why}",
    }[verdict]
    if verdict == "fail" and estimate.flag == "constant":
        sentence += "; it always answers the same"
    return f"{sentence} {figure}."


def _unread(estimate: Estimate) -> str:
    """Say how many answers could not be read, where it is more than a few."""
    coverage = estimate.details.get("coverage")
    if not isinstance(coverage, float) or coverage >= verdicts.thresholds()["chance"]["spearman"]["coverage_doubtful"]:
        return ""
    return f"; {1 - coverage:.0%} of the answers could not be read"


def _smallest_detectable(estimate: Estimate) -> float | None:
    """Smallest value that a sample with this standard error tells from chance with a probability of 80 %.

    Chance + (t(0.975) + t(0.80)) x the jackknife standard error, with G - 1 degrees of freedom; for correlations on
    the Fisher z scale.
    """
    interval = estimate.interval
    if interval is None or interval.se == 0 or estimate.chance is None:
        return None
    quantiles = stats.t.ppf([(1 + resample.LEVEL) / 2, POWER], estimate.clusters - 1)
    reach = float(quantiles.sum()) * interval.se
    if interval.fisher:
        return float(np.tanh(np.arctanh(estimate.chance) + reach))
    return min(estimate.chance + reach, 1.0)


def _with_truth(rows: pl.DataFrame) -> pl.DataFrame:
    gold, _ = TRUTH_AND_ANSWER[rows["kind"][0]]
    return rows.filter(pl.col(gold).is_not_null())


def _rows_shown(rows: pl.DataFrame, *, right: bool) -> tuple[str, ...]:
    """Keys of answers that show the finding: right ones (of scores the closest) where it is ok, else wrong ones."""
    gold, answer = TRUTH_AND_ANSWER[rows["kind"][0]]
    if answer == "score":
        distance = (pl.col(gold) - pl.col(answer)).abs()
        told = rows.with_columns(place=distance if right else -distance).filter(pl.col("place").is_not_null())
        return findings_text.keys(told, "place")
    agrees = pl.col(gold).eq_missing(pl.col(answer)) & (pl.col("parse") == "ok")
    return findings_text.keys(_with_truth(rows).filter(agrees if right else ~agrees))


def _with_holm(findings: list[Finding]) -> list[Finding]:
    """Add Holm's p over the tasks of each model and setting to the headline findings."""
    p_values = [p if isinstance(p := one.details.get("permutation_p"), float) else None for one in findings]
    families = [tuple((k, v) for k, v in one.scope.items() if k not in BASE or k == "model") for one in findings]
    sizes = Counter(family for family, p in zip(families, p_values, strict=True) if p is not None)
    return [
        one if holm_p is None else replace(one, details={**one.details, "holm_p": holm_p, "holm_family": sizes[family]})
        for one, family, holm_p in zip(findings, families, permutation.holm(p_values, families), strict=True)
    ]


_LEVELS = verdicts.thresholds()[NAME]
AUDIT = Audit(
    name=NAME,
    question=QUESTION,
    figures={name: MEASURES[name].what for names in (*PLAN.values(), (_COVERAGE,)) for name in names},
    interval="Delete-one-performer jackknife with t(G - 1); correlations on the Fisher z scale.",
    rule=(
        "ok: the interval lies above chance and the value is useful "
        f"({_LEVELS['balanced_accuracy']['useful']:.2f} for accuracies, {_LEVELS['spearman']['useful']:.2f} for "
        "correlations); warn: above chance, but less; fail: it reaches down to chance and not up to useful; else "
        "cannot tell."
    ),
    advice=_ADVICE["fail"],
    citation=MEASURES["balanced_accuracy"].citation,
    run=chance,
)
