"""The audit ``traces``: whether the reasoning behind the verdicts rests on what is there to be seen.

Every trace is split into tagged steps (:mod:`aqaudit.traces`). Counted are traces whose conclusion a red flag carries
(assumption, prestige, canonical variant, popular correlate), traces with an observation that the measured movement
contradicts, and traces that conclude something else than they answer. Where a judge model tagged the steps too, both
scorers must agree on a verdict: rates depend on the scorer (arXiv 2603.20172), so the range is reported.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from aqaudit.audits import trace_agreement, trace_tests, verdicts
from aqaudit.audits.declaration import Audit
from aqaudit.audits.finding import Finding
from aqaudit.audits.scope import headline_scopes
from aqaudit.audits.trace_rows import Traces, readings, with_traces
from aqaudit.measures import resample
from aqaudit.measures.measure import Estimate
from aqaudit.measures.recalls import mean_of_groups, ratio
from aqaudit.measures.rows import codes
from aqaudit.traces.tags import TAGS

if TYPE_CHECKING:
    from collections import Counter
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from aqaudit.audits.finding import Json, Verdict
    from aqaudit.audits.scope import Scope
    from aqaudit.sidecars import Sidecars

    Floats = NDArray[np.float64]

NAME = "traces"
QUESTION = "Does its reasoning rest on what can be seen?"
CITATION = (
    "Four kinds of prior-driven justification: arXiv 2604.08294; rates depend on the scorer: arXiv 2603.20172; kappa: "
    "Cohen 1960; AC1: Gwet 2008"
)
FIGURES: Mapping[str, str] = {
    "unfounded_rate": "share of traces whose conclusion is carried by an assumption, prestige, the canonical variant "
    "or a popular correlate",
    "contradicted_rate": "share of traces with a checkable observation that hold one the measured movement contradicts",
    "inconsistency_rate": "share of traces with a stated verdict that is not the one answered",
    "grounded_accuracy": "accuracy over the classes of the truth, where a right answer counts fully only if an "
    "observation that bears on the question is supported, none is contradicted and no red flag carries the conclusion; "
    "else it counts what a guess scores",
    "grounding_loss": "accuracy less grounded accuracy on the same answers",
    "scorer_kappa": "Cohen's kappa between the rule scorer and a judge model, one tag a step",
    "scorer_ac1": "Gwet's AC1 between the two",
    "early_area": "area over the curve of how often the answer stays the same when the reasoning is cut off early; 0: "
    "it was settled before any reasoning",
    "mistake_changes": "share of answers that change when the last observation is turned into its opposite and the "
    "reasoning goes on from there",
}
_RATES = ("unfounded_rate", "contradicted_rate", "inconsistency_rate")
_SUMMARY: Mapping[str, str] = {
    "unfounded_rate": "{model} rests {value} of its conclusions on something other than what is seen",
    "contradicted_rate": "{value} of the checkable traces of {model} report something that the measured movement "
    "contradicts",
    "inconsistency_rate": "{model} concludes one thing and answers another in {value} of its traces",
    "grounded_accuracy": "Counting a right answer fully only where a supported observation carries it, {model} scores "
    "{value}",
    "grounding_loss": "{model} loses {value} of its accuracy when right answers must be grounded",
    "scorer_kappa": "The rule scorer and the judge model agree on the steps of {model} with kappa {value}",
    "scorer_ac1": "The rule scorer and the judge model agree on the steps of {model} with AC1 {value}",
    "early_area": "The area over the curve of early answering of {model} is {value}; near 0, its answers do not come "
    "from its reasoning",
    "mistake_changes": "{model} changes {value} of its answers when its reasoning is given a mistake",
}
_ADVICE: Mapping[str, str] = {
    "unfounded_rate": "Do not show its reasoning to clients as a reason; ask it to name what it sees and when, and "
    "compare two executions instead of judging one.",
    "contradicted_rate": "Do not pass its observations on: it reports what did not happen. Give it joint angles, or "
    "let a pose model observe.",
    "inconsistency_rate": "Its reasoning does not explain its answer: use the answer alone, or read the verdict from "
    "the reasoning and compare.",
}
NO_MOVEMENT = "no measured movement (kinematics.parquet) of these performances lies beside the answers"
_MAX_ROWS_SHOWN = 20


def traces(frame: pl.DataFrame, sidecars: Sidecars) -> list[Finding]:
    """Return the findings of every headline scope whose answers came with reasoning."""
    if with_traces(frame.filter(pl.col("perturbation") == "none")).is_empty():
        why = "no answer came with reasoning (columns 'reasoning' and 'said' hold no more than verdicts)"
        return [Finding(audit=NAME, scope={}, measure="unfounded_rate", value=None, verdict="skipped", why=why,
                        question=QUESTION, summary=f"Not made: {why}.")]  # fmt: skip
    held = Traces(with_traces(frame), sidecars)
    findings: list[Finding] = []
    for scope in headline_scopes(frame):
        answers = with_traces(scope.rows)
        if not answers.is_empty():
            findings += _findings(scope, answers, held)
            findings += [
                _finding(scope, name, estimate, "skipped", details=details)
                for name, estimate, details in trace_tests.figures(scope.rows, sidecars)
            ]
    return findings


def _findings(scope: Scope, answers: pl.DataFrame, held: Traces) -> list[Finding]:
    rows, tags = readings(answers, held)
    share = answers.height / scope.rows.height
    details: dict[str, Json] = {"share_with_trace": share, "tags": _shares(tags)}
    scorers = rows["scorer"].unique().sort().to_list()
    found = [_rate(scope, name, rows, scorers, details, measured=bool(held.movements)) for name in _RATES]
    found += _grounded(scope, rows.filter(pl.col("scorer") == "rules"), measured=bool(held.movements))
    by_key = {
        key: (reasoning, said) for key, reasoning, said in answers.select("answer_key", "reasoning", "said").iter_rows()
    }
    for judge in (name for name in held.judges if name in scorers):
        pairs = held.pairs(sorted(by_key), by_key, judge)
        for name, measure in (("scorer_kappa", trace_agreement.kappa), ("scorer_ac1", trace_agreement.ac1)):
            found.append(_finding(scope, name, measure(pairs), "skipped", details={"judge": judge}))
    return found


def _shares(tags: Mapping[str, Counter[str]]) -> dict[str, Json]:
    return {
        scorer: {tag: counts[tag] / counts.total() for tag in TAGS} for scorer, counts in sorted(tags.items()) if counts
    }


def _cases(name: str, rows: pl.DataFrame) -> pl.DataFrame:
    """Return the cases of a rate: ``cluster``, ``hit``, ``answer_key``."""
    match name:
        case "unfounded_rate":
            return rows.with_columns(hit=pl.col("flag") != "")
        case "contradicted_rate":
            return rows.filter(pl.col("checkable")).with_columns(hit=pl.col("contradicted"))
        case _:
            return rows.filter(pl.col("consistent").is_not_null()).with_columns(hit=~pl.col("consistent"))


def _rate(
    scope: Scope,
    name: str,
    rows: pl.DataFrame,
    scorers: list[str],
    details: Mapping[str, Json],
    *,
    measured: bool,
) -> Finding:
    estimates: dict[str, Estimate] = {}
    ruled: list[Verdict] = []
    tolerated = verdicts.tolerance(NAME, name)
    for scorer in scorers:
        cases = _cases(name, rows.filter(pl.col("scorer") == scorer))
        nothing = _nothing(name) if measured or name != "contradicted_rate" else NO_MOVEMENT
        estimates[scorer] = _share(cases, nothing)
        ruled.append(verdicts.bias(estimates[scorer].low, estimates[scorer].high, tolerated))
    first = estimates.get("rules", next(iter(estimates.values())))
    verdict: Verdict = ruled[0] if len(set(ruled)) == 1 else _two_minds(ruled)
    shown = _cases(name, rows.filter(pl.col("scorer") == scorers[-1])).filter(pl.col("hit"))
    more: dict[str, Json] = {**details, "by_scorer": {s: _plain(e) for s, e in estimates.items()}}
    if name == "unfounded_rate":
        counts = dict(
            rows.filter((pl.col("scorer") == "rules") & (pl.col("flag") != ""))["flag"]
            .value_counts()
            .sort("flag")
            .iter_rows()
        )
        more["by_flag"] = {flag: n / max(first.n, 1) for flag, n in counts.items()}
    values = [e.value for e in estimates.values() if e.value is not None]
    if len(values) > 1:
        more["range"] = [min(values), max(values)]
    keys = tuple(shown["answer_key"].sort().head(_MAX_ROWS_SHOWN).to_list())
    return _finding(scope, name, first, verdict, headline=True, details=more, rows=keys)


def _two_minds(ruled: list[Verdict]) -> Verdict:
    """Neither fit nor unfit stands on one scorer alone where the other one disagrees."""
    if "cannot_tell" in ruled and "fail" not in ruled and "warn" not in ruled:
        return "cannot_tell"
    return "warn"


def _nothing(name: str) -> str:
    return {
        "contradicted_rate": "no observation that bears on the question could be checked against a measured movement",
        "inconsistency_rate": "no trace states a verdict that can be compared with the answer",
    }.get(name, "no answer came with reasoning")


def _share(cases: pl.DataFrame, nothing: str) -> Estimate:
    """Estimate the share of cases that hit, clustered by performer."""
    if cases.is_empty():
        return Estimate(value=None, why=nothing)
    sums = cases.group_by("cluster").agg(pl.len().alias("cases"), pl.col("hit").sum().alias("hits")).sort("cluster")
    matrix = sums.select("cases", "hits").to_numpy().astype(np.float64)
    value, replicates = resample.delete_one(matrix, lambda s: ratio(s[..., 1], s[..., 0]))
    why = resample.too_small(dict(sums.select("cluster", "cases").iter_rows())) or ""
    bounds = resample.clopper_pearson(value * sums.height, sums.height)
    interval = None if why else resample.jackknife_interval(value, replicates, bounds=(0.0, 1.0), degenerate=bounds)
    return Estimate(value=value, interval=interval, n=cases.height, clusters=sums.height, why=why)


def _grounded(scope: Scope, rows: pl.DataFrame, *, measured: bool) -> list[Finding]:
    """Return grounded accuracy and what it loses against plain accuracy on the same answers."""
    judged = rows.filter(pl.col("gold").is_not_null())
    if scope.labels["kind"] == "score":
        why = "a score is neither right nor wrong"
        return [_finding(scope, "grounded_accuracy", Estimate(value=None, why=why), "skipped")]
    if not judged["checkable"].any():
        why = _nothing("contradicted_rate") if measured else NO_MOVEMENT
        why = why if judged.height else "no answer has a truth to compare with"
        return [_finding(scope, "grounded_accuracy", Estimate(value=None, why=why), "skipped")]
    right = pl.col("right").cast(pl.Float64)
    credit = right * pl.when(pl.col("grounded")).then(1.0).otherwise(pl.col("chance"))
    counts = (
        judged.with_columns(right.alias("hit"), credit.alias("credit"))
        .group_by("cluster", "gold")
        .agg(pl.len().alias("cases"), pl.col("hit").sum(), pl.col("credit").sort().sum())
        .sort("cluster", "gold")
    )
    cluster, names = codes(counts["cluster"])
    klass, classes = codes(counts["gold"])
    k = len(classes)
    sums = resample.cluster_sums(
        np.tile(cluster, 3),
        np.concatenate((klass, klass + k, klass + 2 * k)),
        np.concatenate([counts[name].to_numpy().astype(np.float64) for name in ("cases", "credit", "hit")]),
        (len(names), 3 * k),
    )

    def grounded(s: Floats) -> Floats:
        return _mean(ratio(s[..., k : 2 * k], s[..., :k]))

    def loss(s: Floats) -> Floats:
        return _mean(ratio(s[..., 2 * k :], s[..., :k])) - grounded(s)

    held = dict(counts.group_by("gold").agg(pl.len()).iter_rows())
    why = resample.too_small(dict(judged.group_by("cluster").len().iter_rows()), held) or ""
    details: dict[str, Json] = {
        "grounded_share": float(judged["grounded"].mean() or 0.0),  # type: ignore[arg-type]
        "checkable_share": float(judged["checkable"].mean() or 0.0),  # type: ignore[arg-type]
    }
    found = []
    for name, statistic in (("grounded_accuracy", grounded), ("grounding_loss", loss)):
        value, replicates = resample.delete_one(sums, statistic)
        interval = None if why else resample.jackknife_interval(value, replicates, bounds=(0.0, 1.0))
        estimate = Estimate(value=value, interval=interval, n=judged.height, clusters=len(names), why=why,
                            chance=0.25 if name == "grounded_accuracy" and k == 2 else None)  # fmt: skip
        found.append(_finding(scope, name, estimate, "skipped", details=details))
    return found


def _mean(values: Floats) -> Floats:
    return mean_of_groups(values, np.zeros(1, dtype=np.int64))[..., 0]


def _finding(
    scope: Scope,
    name: str,
    estimate: Estimate,
    verdict: Verdict,
    *,
    headline: bool = False,
    details: Mapping[str, Json] | None = None,
    rows: tuple[str, ...] = (),
) -> Finding:
    why = estimate.why
    if not why and verdict == "skipped":
        why = "shown beside the rates, not judged"
    if not why and verdict == "cannot_tell":
        why = "the interval reaches from what is tolerated to what is not; more performers would narrow it"
    # What could not be measured here at all is no doubt about the model.
    lacking = headline and estimate.value is None
    return Finding(
        audit=NAME,
        scope=scope.labels,
        measure=name,
        value=estimate.value,
        low=estimate.low,
        high=estimate.high,
        chance=estimate.chance,
        n=estimate.n,
        clusters=estimate.clusters,
        headline=headline and not lacking,
        verdict="skipped" if lacking else verdict,
        summary=_sentence(scope.labels["model"], name, estimate),
        question=QUESTION,
        why=why,
        advice=_ADVICE.get(name, "") if verdict in {"fail", "warn"} else "",
        citation=CITATION,
        details=details or {},
        rows=rows,
    )


def _sentence(model: str, name: str, estimate: Estimate) -> str:
    if estimate.value is None:
        return f"{name.replace('_', ' ').capitalize()} of {model} cannot be computed: {estimate.why}."
    as_share = name not in {"scorer_kappa", "scorer_ac1", "early_area"}
    value = f"{estimate.value:.0%}".replace("%", " %") if as_share else f"{estimate.value:.2f}"
    text = _SUMMARY[name].format(model=model, value=value)
    if estimate.low is not None and estimate.high is not None:
        text += f" (95 % interval {estimate.low:.2f} to {estimate.high:.2f})"
    return f"{text[:1].upper()}{text[1:]}." if not text.startswith(model) else f"{text}."


def _plain(estimate: Estimate) -> dict[str, Json]:
    return {"value": estimate.value, "low": estimate.low, "high": estimate.high, "n": estimate.n}


AUDIT = Audit(
    name=NAME,
    question=QUESTION,
    figures=FIGURES,
    interval="delete-one-performer jackknife with t; kappa and AC1: delete-one-trace",
    rule="a rate fails when its interval lies above 0.10 by every scorer, is ok when it lies within; where a rule "
    "scorer and a judge model disagree, it is at most warn",
    advice=_ADVICE["unfounded_rate"],
    citation=CITATION,
    run=traces,
)
