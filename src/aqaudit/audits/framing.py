"""The audit ``framing``: whether the words of a question decide its answer.

Boolean questions: positive against negative wording, and the words asked for (true/false, yes/no, A/B). Choices: the
order in which options are shown.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from itertools import combinations

import polars as pl

from aqaudit.audits import findings_text, verdicts
from aqaudit.audits.correctness import KINDS
from aqaudit.audits.finding import Audit, Finding, Verdict
from aqaudit.audits.scope import Group, Scope, corrected, headline_scopes
from aqaudit.core.auxiliary import AuxiliaryTables
from aqaudit.measures import MEASURES, Estimate, consistency, resample
from aqaudit.measures.pairs import chosen_options
from aqaudit.measures.rows import cluster, parsed, text

NAME = "framing"
QUESTION = "Does the wording of a question decide its answer?"
ALIAS = "acquiescence"
_SHIFT: Mapping[Verdict, str] = {
    "ok": "{model} is not moved by positive or negative wording",
    "cannot_tell": "Whether the wording moves {model} cannot be told",
}
_CONTRADICTS: Mapping[Verdict, str] = {
    "ok": "{model} seldom contradicts itself between the wordings",
    "warn": "{model} often contradicts itself between the wordings; without repeats this may be mere noise",
    "fail": "{model} contradicts itself between the wordings more than between repeats",
    "cannot_tell": "Whether {model} contradicts itself between the wordings cannot be told",
}
_ADVICE: Mapping[Verdict, str] = {
    "fail": "Never ask in one wording only: ask in both, decide by the mean of the log-odds, and treat a contradiction "
    "as no answer.",
    "warn": "Ask in both wordings, with repeats, before relying on a verdict.",
    "cannot_tell": "Ask every question in positive and negative words, on more performers.",
}
_OPTION: Mapping[Verdict, str] = {
    "ok": "{model} is not drawn to the option shown first",
    "warn": "{model} is drawn somewhat by the place of an option",
    "fail": "{model} is drawn by the place of an option",
    "cannot_tell": "Whether the order of options moves {model} cannot be told",
}
_OPTION_ADVICE: Mapping[Verdict, str] = {
    "fail": "Ask every choice in several orders of its options and take the majority.",
    "warn": "Ask choices in several orders of their options.",
}


def shift(asked: pl.DataFrame) -> tuple[Estimate, Verdict]:
    """Return the framing shift over pairs (:func:`aqaudit.measures.consistency.pairs`) and its verdict."""
    estimate = consistency.share("framing_shift", asked)
    return estimate, verdicts.bias_verdict(estimate.low, estimate.high, verdicts.tolerance(NAME, "framing_shift"))


def framing(frame: pl.DataFrame, _auxiliary: AuxiliaryTables | None = None) -> list[Finding]:
    """Return what wording, answer words and option order do in every headline scope where they vary."""
    findings: list[Finding] = []
    for scope in headline_scopes(frame):
        kind = scope.labels["kind"]
        if kind in KINDS:
            findings += _wordings(scope)
            findings += _answer_words(scope)
        elif kind == "choose" and scope.rows["option_order"].null_count() < scope.rows.height:
            findings += _options(scope)
    why = "no question was asked in both framings, in several answer words, or with options in a known order"
    return findings or findings_text.not_made(NAME, QUESTION, "framing_shift", why)


def _wordings(scope: Scope) -> list[Finding]:
    asked = consistency.pairs(scope.rows)
    if asked.is_empty():
        return []
    estimate, verdict = shift(asked)
    beside = {name: consistency.share(name, asked) for name in ("tt_rate", "ff_rate")}
    beside["debiased_gain"] = consistency.gain(asked)
    does = "affirm" if (estimate.value or 0.0) > 0 else "deny"
    sentences = {
        **_SHIFT,
        "fail": f"{{model}} tends to {does} whatever statement it is shown",
        "warn": f"{{model}} tends somewhat to {does} whatever statement it is shown",
    }
    contradictions = _contradictions(scope, asked)
    return [
        findings_text.judged(
            NAME, QUESTION, scope, "framing_shift", estimate, verdict, sentences=sentences, advice=_ADVICE,
            details={
                "alias": ALIAS,
                "tolerance": verdicts.tolerance(NAME, "framing_shift"),
                "rates": _rates(asked),
                **{name: one.value for name, one in beside.items()},
            },
            rows=_contradicting(scope, asked),
        ),
        *contradictions,
        *[findings_text.shown(NAME, QUESTION, scope, name, one, beside="the shift") for name, one in beside.items()],
    ]  # fmt: skip


def _rates(asked: pl.DataFrame) -> list[dict[str, float | str]]:
    """Return the shares of pairs by what the two wordings were answered, for a figure."""
    both = consistency.complete(asked)
    if both.is_empty():
        return []
    plus, minus = pl.col("plus"), pl.col("minus")
    shares = both.select(
        correct=(plus * minus).mean(),
        error=((1 - plus) * (1 - minus)).mean(),
        affirmed=(plus * (1 - minus)).mean(),
        denied=((1 - plus) * minus).mean(),
    ).row(0, named=True)
    words = {
        "correct": "correct in both",
        "error": "error in both",
        "affirmed": "both statements affirmed",
        "denied": "both statements denied",
    }
    return [{"answers": words[name], "share": float(share)} for name, share in shares.items()]


def _contradictions(scope: Scope, asked: pl.DataFrame) -> list[Finding]:
    """Judge contradictions beyond the noise of repeats; without repeats, contradictions as such, at most a warning."""
    rate = consistency.share("contradiction_rate", asked)
    tolerated = verdicts.tolerance(NAME, "contradiction_rate")
    excess = consistency.excess(asked, scope.rows)
    if excess.value is None:
        verdict = verdicts.capped(verdicts.at_most(rate.low, rate.high, tolerated))
        return [
            findings_text.judged(
                NAME, QUESTION, scope, "contradiction_rate", rate, verdict, headline=False, sentences=_CONTRADICTS,
                advice=_ADVICE, details={"tolerance": tolerated, "repeats": 0},
            )
        ]  # fmt: skip
    verdict = verdicts.at_most(excess.low, excess.high, tolerated)
    return [
        findings_text.judged(
            NAME, QUESTION, scope, "contradiction_excess", excess, verdict, sentences=_CONTRADICTS, advice=_ADVICE,
            details={"tolerance": tolerated, "contradiction_rate": rate.value},
        ),
        findings_text.shown(
            NAME, QUESTION, scope, "contradiction_rate", rate, beside="the contradictions beyond noise"
        ),
    ]  # fmt: skip


def _contradicting(scope: Scope, asked: pl.DataFrame) -> tuple[str, ...]:
    """Answer keys of pairs that contradict each other, both rows of each."""
    differ = consistency.complete(asked).filter(pl.col("differ") > 0.5)
    return findings_text.keys_of_groups(scope.rows, differ, consistency.PAIR, "framing")


def _answer_words(scope: Scope) -> list[Finding]:
    """Compare the words asked for, two at a time, on the same questions; at most a warning, after Holm."""
    words = sorted(scope.rows["answer_words"].drop_nulls().unique())
    if len(words) < 2:
        return []
    tolerated = verdicts.tolerance(NAME, "answer_words")
    found = corrected({f"{a} - {b}": _words_shift(scope.rows, a, b) for a, b in combinations(words, 2)}, tolerated)
    return [_words_finding(scope, group, found) for group in found]


def _words_finding(scope: Scope, group: Group, found: list[Group]) -> Finding:
    one = group.estimate
    verdict: Verdict = "cannot_tell" if one.interval is None else "warn" if group.warns else "ok"
    finding = findings_text.judged(
        NAME, QUESTION, scope, "framing_shift", one, verdict, headline=False,
        sentences={
            "ok": f"The answer words do not move {{model}} ({group.name})",
            "warn": f"The answer words move {{model}} ({group.name})",
            "cannot_tell": f"Whether the answer words move {{model}} cannot be told ({group.name})",
        },
        advice={"warn": "Use one set of answer words throughout, and say which."},
        details={"words": group.name, "holm_p": group.holm_p, "groups": len(found)},
    )  # fmt: skip
    text = finding.summary.replace(MEASURES["framing_shift"].title, "difference in 'correct' verdicts")
    return replace(finding, measure="answer_words_shift", summary=text)


def _words_shift(rows: pl.DataFrame, first: str, second: str) -> Estimate:
    """Return how much more often executions are called correct in one set of answer words than in another."""
    keys = ("question_id", "performance_id", "other_id", "framing", "repeat")
    read = rows.select(
        *[text(rows, name) for name in keys],
        cluster(rows),
        pl.col("answer_words"),
        pl.when(parsed(rows)).then(pl.col("says_correct").cast(pl.Float64)).otherwise(None).alias("said"),
    ).filter(pl.col("said").is_not_null())
    sides = [
        read.filter(pl.col("answer_words") == words)
        .group_by(*keys)
        .agg(pl.col("cluster").min(), pl.col("said").mean().alias(name))
        for words, name in ((first, "a"), (second, "b"))
    ]
    both = sides[0].join(sides[1].drop("cluster"), on=keys).sort("cluster", *keys)
    return resample.estimate(
        both.with_columns(difference=pl.col("a") - pl.col("b"), one=pl.lit(1.0)),
        ("difference", "one"),
        resample.mean,
        bounds=(-1.0, 1.0),
        why="no question was asked, and read, in both",
        degenerate=resample.difference_limits,
        chance=0.0,
    )


def _options(scope: Scope) -> list[Finding]:
    estimate = MEASURES["option_position_bias"](scope.rows)
    tolerated = verdicts.tolerance(NAME, "option_position_bias")
    found = chosen_options(scope.rows)
    shares: dict[str, float | None] = {}
    if found.height:
        shares = {name: float(found[name].to_numpy().mean()) for name in ("first", "gold_first")}
    drawn = (pl.col("choice") != pl.col("gold_choice")) & (
        pl.col("choice") == pl.col("options").list.get(pl.col("option_order").list.first(), null_on_oob=True)
    )
    return [
        findings_text.judged(
            NAME, QUESTION, scope, "option_position_bias", estimate,
            verdicts.bias_verdict(estimate.low, estimate.high, tolerated), sentences=_OPTION, advice=_OPTION_ADVICE,
            details={**shares, "tolerance": tolerated}, rows=findings_text.keys(scope.rows.filter(drawn)),
        )
    ]  # fmt: skip


_FIGURES = (
    *("framing_shift", "contradiction_excess", "contradiction_rate", "tt_rate", "ff_rate", "debiased_gain"),
    "option_position_bias",
)
AUDIT = Audit(
    name=NAME,
    question=QUESTION,
    figures={
        **{name: MEASURES[name].what for name in _FIGURES},
        "answer_words_shift": "How much more often executions are called correct in one set of answer words than in "
        "another, on the same questions.",
    },
    interval="Delete-one-performer jackknife with t(G - 1) over pairs; where no performer changes it, the bound on the "
    "flip rate.",
    rule=(
        f"fail: the shift's size lies above {verdicts.tolerance(NAME, 'framing_shift'):.2f}, or contradictions exceed "
        f"the disagreement of repeats by more than {verdicts.tolerance(NAME, 'contradiction_rate'):.2f} (an honest but "
        "noisy judge contradicts itself too); ok: within; warn: the shift's interval excludes 0. Without repeats, "
        "contradictions are at most a warning, and so are answer words, after Holm. Options: as the shift."
    ),
    advice=_ADVICE["fail"],
    citation="Krosnick, Survey research, Annu. Rev. Psychol. 1999; Wang et al., ACL 2024",
    run=framing,
)
