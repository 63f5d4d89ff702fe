"""The audit ``traces``: whether the reasoning behind the verdicts rests on what is there to be seen.

Every trace is split into tagged steps (:mod:`aqaudit.traces`). Counted are traces whose conclusion a red flag carries
(assumption, prestige, canonical variant, popular correlate), traces with an observation that the measured movement
contradicts, and traces that conclude something else than they answer. Where a judge model tagged the steps too, both
scorers must agree on a verdict: rates depend on the scorer (arXiv 2603.20172), so the range is reported.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from aqaudit.audits import findings_text, trace_agreement, verdicts
from aqaudit.audits.finding import Audit, Finding, Json, Verdict
from aqaudit.audits.scope import Scope, headline_scopes
from aqaudit.core.auxiliary import AuxiliaryTables
from aqaudit.core.table import TRUTH_AND_ANSWER
from aqaudit.measures import resample
from aqaudit.measures.resample import mean_of_groups, ratio
from aqaudit.measures.rows import Estimate, codes, per_cluster
from aqaudit.traces import claims, reading, rules
from aqaudit.traces.kinematics import Movement, movements
from aqaudit.traces.reading import Stance, TraceStep
from aqaudit.traces.rules import TAGS

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
_NO_MOVEMENT = "no measured movement (kinematics.parquet) of these performances lies beside the answers"
_NOTHING: Mapping[str, str] = {
    "unfounded_rate": "no answer came with reasoning",
    "contradicted_rate": "no observation that bears on the question could be checked against a measured movement",
    "inconsistency_rate": "no trace states a verdict that can be compared with the answer",
}
#: What every trace is read as, by answer and scorer; ``flag`` is empty where no red flag carries the conclusion.
_SCHEMA: Mapping[str, pl.DataType] = {
    "answer_key": pl.String(),
    "question_id": pl.String(),
    "scorer": pl.String(),
    "cluster": pl.String(),
    "gold": pl.String(),
    "right": pl.Boolean(),
    "chance": pl.Float64(),
    "steps": pl.Int64(),
    "flag": pl.String(),
    "supported": pl.Boolean(),
    "contradicted": pl.Boolean(),
    "checkable": pl.Boolean(),
    "grounded": pl.Boolean(),
    "consistent": pl.Boolean(),
}
_READ = (
    *("answer_key", "question_id", "performance_id", "performer", "kind", "framing", "criterion", "error", "options"),
    *("parse", "reasoning", "said", "answered", "says_correct", "score", "scale_min", "scale_max", "choice", "prefer"),
    *("gold_correct", "gold_choice", "gold_prefer", "gold_score"),
)


def traces(frame: pl.DataFrame, auxiliary: AuxiliaryTables) -> list[Finding]:
    """Return the findings of every headline scope whose answers came with reasoning."""
    held = Traces(_with_traces(frame), auxiliary)
    findings = [one for scope in headline_scopes(frame) for one in _findings(scope, held, auxiliary)]
    why = "no answer came with reasoning (columns 'reasoning' and 'said' hold no more than verdicts)"
    return findings or findings_text.not_made(NAME, QUESTION, "unfounded_rate", why)


def _with_traces(frame: pl.DataFrame) -> pl.DataFrame:
    """Return the answers that came with more than a bare verdict."""
    said = pl.col("said").str.replace_all(r"(?is)<answer>.*?(?:</answer>|\z)", " ")
    words = said.str.count_matches(r"\S+").fill_null(0)
    thought = pl.col("reasoning").str.count_matches(r"\S+").fill_null(0)
    return frame.filter(words + thought > 3)


def _findings(scope: Scope, held: Traces, auxiliary: AuxiliaryTables) -> list[Finding]:
    """Return what is found in one scope; nothing where no answer came with reasoning."""
    answers = _with_traces(scope.rows)
    rows, tags = _readings(answers, held)
    if rows.is_empty():
        return []
    details: dict[str, Json] = {"share_with_trace": answers.height / scope.rows.height, "tags": _shares(tags)}
    measured = bool(held.movements)
    found = [_rate(scope, name, rows, details, measured=measured) for name in _RATES]
    found += _grounded(scope, rows.filter(pl.col("scorer") == "rules"), measured=measured)
    texts = {
        key: (reasoning, said) for key, reasoning, said in answers.select("answer_key", "reasoning", "said").iter_rows()
    }
    for judge in sorted(set(held.judges) & set(rows["scorer"])):
        pairs = held.pairs(texts, judge)
        for name, measure in (("scorer_kappa", trace_agreement.kappa), ("scorer_ac1", trace_agreement.ac1)):
            found.append(_finding(scope, name, measure(pairs), "skipped", details={"judge": judge}))
    for name, estimate, tested in trace_agreement.figures(scope.rows, auxiliary):
        found.append(_finding(scope, name, estimate, "skipped", details=tested))
    return found


def _rate(scope: Scope, name: str, rows: pl.DataFrame, details: Mapping[str, Json], *, measured: bool) -> Finding:
    tolerated = verdicts.tolerance(NAME, name)
    nothing = _NO_MOVEMENT if name == "contradicted_rate" and not measured else _NOTHING[name]
    cases = {str(scorer): _cases(name, part) for (scorer,), part in rows.group_by("scorer")}
    estimates = {scorer: trace_agreement.share(cases[scorer], nothing) for scorer in sorted(cases)}
    ruled = [verdicts.bias_verdict(one.low, one.high, tolerated) for one in estimates.values()]
    first = estimates.get("rules", next(iter(estimates.values())))
    more: dict[str, Json] = {
        **details,
        "by_scorer": {
            scorer: {"value": one.value, "low": one.low, "high": one.high, "n": one.n}
            for scorer, one in estimates.items()
        },
    }
    if name == "unfounded_rate":
        flags = rows.filter((pl.col("scorer") == "rules") & (pl.col("flag") != ""))["flag"].value_counts().sort("flag")
        more["by_flag"] = {flag: n / max(first.n, 1) for flag, n in flags.iter_rows()}
    values = [one.value for one in estimates.values() if one.value is not None]
    if len(values) > 1:
        more["range"] = [min(values), max(values)]
    keys = findings_text.keys(cases[max(cases)].filter("hit"))
    return _finding(scope, name, first, _agreed(ruled), headline=True, details=more, rows=keys)


def _cases(name: str, rows: pl.DataFrame) -> pl.DataFrame:
    """Return the cases of a rate: ``cluster``, ``hit``, ``answer_key``."""
    match name:
        case "unfounded_rate":
            return rows.with_columns(hit=pl.col("flag") != "")
        case "contradicted_rate":
            return rows.filter(pl.col("checkable")).with_columns(hit=pl.col("contradicted"))
        case _:
            return rows.filter(pl.col("consistent").is_not_null()).with_columns(hit=~pl.col("consistent"))


def _agreed(ruled: Sequence[Verdict]) -> Verdict:
    """Return the verdict of all scorers; neither fit nor unfit stands on one alone where another disagrees."""
    if len(set(ruled)) == 1:
        return ruled[0]
    return "cannot_tell" if "cannot_tell" in ruled and not {"fail", "warn"} & set(ruled) else "warn"


def _shares(tags: Mapping[str, Counter[str]]) -> dict[str, Json]:
    return {
        scorer: {tag: counts[tag] / counts.total() for tag in TAGS} for scorer, counts in sorted(tags.items()) if counts
    }


def _grounded(scope: Scope, rows: pl.DataFrame, *, measured: bool) -> list[Finding]:
    """Return grounded accuracy and what it loses against plain accuracy on the same answers."""
    judged = rows.filter(pl.col("gold").is_not_null())
    if scope.labels["kind"] == "score":
        why = "a score is neither right nor wrong"
        return [_finding(scope, "grounded_accuracy", Estimate(value=None, why=why), "skipped")]
    if not judged["checkable"].any():
        why = _NOTHING["contradicted_rate"] if measured else _NO_MOVEMENT
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
        return mean_of_groups(ratio(s[..., k : 2 * k], s[..., :k]))[..., 0]

    def loss(s: Floats) -> Floats:
        return mean_of_groups(ratio(s[..., 2 * k :], s[..., :k]))[..., 0] - grounded(s)

    small = resample.too_small(per_cluster(judged), dict(counts.group_by("gold").len().iter_rows()))
    details: dict[str, Json] = {
        "grounded_share": float(judged["grounded"].mean() or 0.0),  # type: ignore[arg-type]
        "checkable_share": float(judged["checkable"].mean() or 0.0),  # type: ignore[arg-type]
    }
    found = []
    for name, statistic in (("grounded_accuracy", grounded), ("grounding_loss", loss)):
        value, replicates = resample.delete_one(sums, statistic)
        chance = 0.25 if name == "grounded_accuracy" and k == 2 else None
        estimate = Estimate(value=value, chance=chance, n=judged.height, clusters=len(names))
        estimate = resample.with_interval(estimate, replicates, bounds=(0.0, 1.0), small=small, lacking="")
        found.append(_finding(scope, name, estimate, "skipped", details=details))
    return found


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
        why = findings_text.TOO_WIDE
    # What could not be measured here at all is no doubt about the model.
    lacking = headline and estimate.value is None
    return replace(
        Finding.of(NAME, scope.labels, name, estimate),
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


class Traces:
    """The tagged steps of a table's traces by scorer and answer, and the movements they are held against.

    Steps come from the auxiliary table ``trace_steps``; where it lacks the tags of the rule scorer, they are made here,
    which needs its text only.
    """

    def __init__(self, frame: pl.DataFrame, auxiliary: AuxiliaryTables) -> None:
        kept = auxiliary.get("trace_steps")
        self._kept: dict[str, dict[str, list[TraceStep]]] = defaultdict(dict)
        if kept is not None:
            keys = frame.select("answer_key").unique()
            self._read(kept.join(keys, on="answer_key", how="semi").sort("scorer", "answer_key", "step", "tag"))
        self.judges = tuple(sorted(name for name in self._kept if not _is_rules(name)))
        kinematics = auxiliary.get("kinematics")
        shown = frame.select("performance_id").unique()
        self.movements: Mapping[str, Movement] = (
            {} if kinematics is None else movements(kinematics.join(shown, on="performance_id", how="semi"))
        )

    def _read(self, kept: pl.DataFrame) -> None:
        for scorer, key, tag, text, claim in kept.select("scorer", "answer_key", "tag", "text", "claim").iter_rows():
            if tag in TAGS:
                found = claims.from_json(claim) if claim else claims.claims(text or "")
                self._kept[scorer].setdefault(key, []).append(TraceStep(text=text or "", tag=tag, claims=found))

    def of(self, answer_key: str, reasoning: str | None, said: str | None) -> Iterator[tuple[str, list[TraceStep]]]:
        """Yield scorer and steps of one answer: the rule scorer first, under the name ``rules``."""
        kept = [name for name in self._kept if _is_rules(name) and answer_key in self._kept[name]]
        # Names of the rule scorer end in its version.
        trace = self._kept[max(kept)][answer_key] if kept else reading.tagged(rules.trace_of(reasoning, said))
        if trace:
            yield "rules", trace
        for judge in self.judges:
            if found := self._kept[judge].get(answer_key):
                yield judge, found

    def pairs(self, texts: Mapping[str, tuple[str | None, str | None]], judge: str) -> pl.DataFrame:
        """Return the tags of the rule scorer and of a judge for the same steps (``trace``, ``first``, ``second``).

        ``texts`` holds reasoning and what was said by answer key.
        """
        found: list[tuple[str, str, str]] = []
        for key in sorted(texts):
            by = dict(self.of(key, *texts[key]))
            if "rules" in by and judge in by and len(by["rules"]) == len(by[judge]):
                found += [(key, a.tag, b.tag) for a, b in zip(by["rules"], by[judge], strict=True)]
        return pl.DataFrame(found, schema={"trace": pl.String, "first": pl.String, "second": pl.String}, orient="row")


def _is_rules(scorer: str) -> bool:
    """Tell whether a name in the auxiliary table is the rule scorer's."""
    return scorer.partition(".")[0] == rules.scorer().partition(".")[0]


def _readings(answers: pl.DataFrame, traces: Traces) -> tuple[pl.DataFrame, dict[str, Counter[str]]]:
    """Return one row of :data:`_SCHEMA` an answer and scorer, and how often each scorer gave each tag.

    Parameters
    ----------
    answers : polars.DataFrame
        Answers of one scope that have a trace (:func:`_with_traces`).
    """
    columns: dict[str, list[Any]] = {name: [] for name in _SCHEMA}
    tags: dict[str, Counter[str]] = defaultdict(Counter)
    for row in answers.select(_READ).sort("answer_key", "question_id").iter_rows(named=True):
        movement = traces.movements.get(row["performance_id"])
        gold, right = _truth(row)
        for scorer, trace in traces.of(row["answer_key"], row["reasoning"], row["said"]):
            tags[scorer].update(step.tag for step in trace)
            topics = reading.topics_of((row["criterion"], row["error"]), trace)
            read = reading.read(trace, topics, movement)
            values = (
                row["answer_key"], row["question_id"], scorer, row["performer"], gold, right, _chance(row), len(trace),
                read.flag or "", read.supported, read.contradicted, read.checkable, read.grounded,
                _consistent(read.stance, row),
            )  # fmt: skip
            for name, value in zip(_SCHEMA, values, strict=True):
                columns[name].append(value)
    return pl.DataFrame(columns, schema=_SCHEMA), tags


def _truth(row: Mapping[str, Any]) -> tuple[str | None, bool | None]:
    """Return the class of the truth and whether the answer is right; an unread one is wrong. Scores have neither."""
    if row["kind"] == "score":
        return None, None
    gold, answer = TRUTH_AND_ANSWER[row["kind"]]
    truth = row[gold]
    if truth is None:
        return None, None
    return str(truth), row["parse"] == "ok" and row[answer] == truth


def _chance(row: Mapping[str, Any]) -> float:
    options = row["options"]
    return 1 / len(options) if row["kind"] == "choose" and options else 0.5


def _consistent(stated: Stance | None, row: Mapping[str, Any]) -> bool | None:
    """Return whether the verdict stated in the trace is the one given; None where they cannot be compared."""
    if stated is None or row["parse"] != "ok":
        return None
    if row["kind"] == "score":
        return _same_score(stated.score, row)
    if stated.letter is not None and isinstance(row["answered"], str) and len(row["answered"]) == 1:
        return stated.letter == row["answered"].lower()
    if row["kind"] not in {"verify", "detect"} or row["says_correct"] is None:
        return None
    affirms = row["says_correct"] == (row["framing"] != "negative")
    pairs = ((stated.statement, affirms), (stated.correct, row["says_correct"]))
    return next((bool(said == given) for said, given in pairs if said is not None), None)


def _same_score(stated: float | None, row: Mapping[str, Any]) -> bool | None:
    if stated is None or row["score"] is None:
        return None
    width = (row["scale_max"] or 0.0) - (row["scale_min"] or 0.0)
    return abs(stated - float(row["score"])) <= max(0.05, 0.01 * width)


_TOLERATED = dict.fromkeys(f"{verdicts.tolerance(NAME, name):.2f}" for name in _RATES)
AUDIT = Audit(
    name=NAME,
    question=QUESTION,
    figures=FIGURES,
    interval="delete-one-performer jackknife with t; kappa and AC1: delete-one-trace",
    rule=(
        f"a rate fails when its interval lies above {' or '.join(_TOLERATED)} by every scorer, is ok when it lies "
        "within; where a rule scorer and a judge model disagree, it is at most warn"
    ),
    advice=_ADVICE["unfounded_rate"],
    citation=CITATION,
    run=traces,
)
