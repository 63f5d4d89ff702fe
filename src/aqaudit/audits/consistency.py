"""The audit ``consistency``: whether asking again gives the same answer."""

from __future__ import annotations

from collections.abc import Mapping

import polars as pl

from aqaudit.audits import findings_text, verdicts
from aqaudit.audits.finding import Audit, Finding, Verdict
from aqaudit.audits.scope import Scope, headline_scopes
from aqaudit.core.auxiliary import AuxiliaryTables
from aqaudit.measures import MEASURES
from aqaudit.measures.consistency import SETTING, repeated

NAME = "consistency"
QUESTION = "Does it give the same answer when asked again?"
_SENTENCES: Mapping[Verdict, str] = {
    "ok": "{model} answers alike when asked again",
    "warn": "{model} often answers differently when asked again",
    "cannot_tell": "Whether {model} answers alike when asked again cannot be told",
}
_ADVICE: Mapping[Verdict, str] = {
    "warn": "Never use a single answer: ask several times and take the majority, or the mean of scores; lower the "
    "temperature.",
    "cannot_tell": "Ask with repeats = 2 or more, on more performers.",
}


def consistency(frame: pl.DataFrame, _auxiliary: AuxiliaryTables | None = None) -> list[Finding]:
    """Return the disagreement of repeats of every headline scope that was asked more than once; at most a warning."""
    findings = [_of(scope) for scope in headline_scopes(frame) if scope.rows["repeat"].n_unique() > 1]
    why = "no question was repeated: set repeats = 2 or more in the grid"
    return findings or findings_text.not_made(NAME, QUESTION, "repeat_disagreement", why)


def _of(scope: Scope) -> Finding:
    measure = "repeat_sd" if scope.labels["kind"] == "score" else "repeat_disagreement"
    estimate = MEASURES[measure](scope.rows)
    tolerated = verdicts.tolerance(NAME, measure)
    verdict = verdicts.capped(verdicts.at_most(estimate.low, estimate.high, tolerated))
    return findings_text.judged(
        NAME, QUESTION, scope, measure, estimate, verdict, sentences=_SENTENCES, advice=_ADVICE,
        details={"tolerance": tolerated, "most_repeats": int(scope.rows["repeat"].n_unique())},
        rows=_differing(scope.rows),
    )  # fmt: skip


def _differing(rows: pl.DataFrame) -> tuple[str, ...]:
    """Answer keys of questions whose repeats differ most."""
    most = repeated(rows).with_columns(size=pl.coalesce("differ", "variance")).filter(pl.col("size") > 0)
    most = most.sort("size", *SETTING, descending=[True, *(False for _ in SETTING)])
    return findings_text.keys_of_groups(rows, most, SETTING)


AUDIT = Audit(
    name=NAME,
    question=QUESTION,
    figures={name: MEASURES[name].what for name in ("repeat_disagreement", "repeat_sd")},
    interval="Delete-one-performer jackknife with t(G - 1).",
    rule=(
        "Noise is no bias: at most a warning. warn: the disagreement's interval lies above "
        f"{verdicts.tolerance(NAME, 'repeat_disagreement'):.2f} (of scores: above "
        f"{findings_text.share(verdicts.tolerance(NAME, 'repeat_sd'))} of the scale); ok: within; else cannot tell."
    ),
    advice=_ADVICE["warn"],
    citation="Atil et al., Non-determinism of deterministic LLM settings, 2024",
    run=consistency,
)
