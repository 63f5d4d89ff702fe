"""What a reader with two minutes needs: one verdict word and one plain sentence a scope, and warnings about judges.

A scope is what one figure is about: model x dataset x task x kind of question, and settings where they vary.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import polars as pl

from aqaudit.audits import AUDITS
from aqaudit.audits.finding import Finding, Verdict
from aqaudit.audits.scope import BASE
from aqaudit.core.text import clean
from aqaudit.measures import MEASURES, resample

ScopeKey = tuple[tuple[str, str], ...]
"""A scope's labels in a fixed order: :func:`scope_of`."""

#: Verdict -> what a reader is told.
WORDS: dict[Verdict, str] = {
    "ok": "fit so far",
    "warn": "doubtful",
    "fail": "not fit",
    "cannot_tell": "cannot tell",
    "skipped": "not judged",
}
#: Stands where a figure could not be computed.
NOTHING = "\u2013"
#: Later ones decide over earlier ones when several headline findings speak about one scope.
_DECIDES: tuple[Verdict, ...] = ("skipped", "ok", "warn", "cannot_tell", "fail")
#: The order in which findings are read: what forbids use first, then doubts, then what is open.
VERDICT_ORDER: tuple[Verdict, ...] = ("fail", "warn", "cannot_tell", "ok", "skipped")
#: Figures in brackets at the end of a sentence, as audits put them.
_FIGURES = re.compile(r" \([^()]*(?:\([^()]*\)[^()]*)*\)(?=\.$)")
_MOST_REASONS = 2
#: Word in a model's name or version, which is the mark as well; title and text of the warning.
_BANNERS = (
    (
        "simulated",
        "Simulated judge",
        "these numbers describe a program that was told the truth, not a vision-language model",
    ),
    (
        "observer",
        "Ideal observer",
        "these numbers describe a program that answers from the joints of a body, the ceiling beside the models",
    ),
    (
        "untrained",
        "untrained test model",
        "its weights are random, so its answers say nothing about any model that can be used",
    ),
    (
        "demo",
        "Demonstration model",
        "a small model trained on drawn people to show how AQAudit works; its numbers say nothing about other models",
    ),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Banner:
    """A warning about some of the models: ``mark`` stands beside each one's name wherever it appears."""

    mark: str
    title: str
    text: str
    models: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Judgement:
    """The headline findings of one scope and what they add up to."""

    scope: ScopeKey
    findings: tuple[Finding, ...]
    verdict: Verdict
    word: str
    reason: str
    advice: str
    short: str


def banners(frame: pl.DataFrame) -> list[Banner]:
    """Return the warnings that a table of answers needs, in a fixed order, each with the models it is about.

    A model is named by ``model`` or ``model_version``: *simulated* and *untrained* anywhere in them, *demo* as a word.
    """
    pairs = sorted(
        (model or "", version or "") for model, version in frame.select("model", "model_version").unique().iter_rows()
    )
    found: list[Banner] = []
    for mark, title, text in _BANNERS:
        models = sorted({model for model, version in pairs if _mentions(mark, model, version)})
        if models:
            found.append(Banner(mark=mark, title=title, text=text, models=tuple(models)))
    return found


def marks(warnings: list[Banner]) -> dict[str, str]:
    """Return ``model -> mark`` for the models that a warning is about; the first warning wins."""
    return {model: banner.mark for banner in reversed(warnings) for model in banner.models}


def sentence(banner: Banner) -> str:
    """Return a warning as one plain line with the names of its models."""
    names = [clean(model, 60) for model in banner.models]
    more = f" and {len(names) - 6} more" if len(names) > 6 else ""
    return f"{banner.title}: {banner.text} ({', '.join(names[:6])}{more})."


def _mentions(word: str, model: str, version: str) -> bool:
    text = f"{model} {version}".lower()
    if word == "demo":
        return word in text.replace("-", " ").replace(":", " ").replace("/", " ").replace("_", " ").split()
    return word in text


def scope_of(labels: Mapping[str, str]) -> ScopeKey:
    """Return a scope's labels as pairs in a fixed order: model, dataset, task, kind, then settings by name."""
    rank = {name: place for place, name in enumerate(BASE)}
    items = ((str(k), str(v)) for k, v in labels.items())
    return tuple(sorted(items, key=lambda item: (rank.get(item[0], len(rank)), item[0])))


def settings(scope: ScopeKey) -> str:
    """Return the settings of a scope besides model, dataset, task and kind, such as ``view crop``."""
    return ", ".join(f"{k} {clean(v, 60)}" for k, v in scope if k not in BASE)


def label(scope: ScopeKey) -> str:
    """Return a scope as one line: ``qwen, my-data, heels (verify), view crop``."""
    parts = dict(scope)
    names = [clean(parts[name], 60) for name in ("model", "dataset", "task") if parts.get(name)]
    if kind := parts.get("kind"):
        # A task that is named after its kind need not be said twice.
        names[-1:] = names[-1:] if parts.get("task") == kind else [f"{names[-1]} ({kind})" if names else f"kind {kind}"]
    return ", ".join([*names, *([settings(scope)] if settings(scope) else [])]) or "all answers"


def measure_name(measure: str) -> str:
    """Return a measure in words."""
    return MEASURES[measure].title if measure in MEASURES else clean(measure.replace("_", " "), 60)


def judgements(findings: Iterable[Finding]) -> list[Judgement]:
    """Return one judgement per scope that has headline findings, ordered by scope."""
    groups: dict[ScopeKey, list[Finding]] = {}
    for finding in findings:
        if finding.headline:
            groups.setdefault(scope_of(finding.scope), []).append(finding)
    return [_judgement(scope, sorted(groups[scope], key=_order)) for scope in sorted(groups)]


def not_made(findings: Iterable[Finding]) -> list[str]:
    """Return the audits of which no finding says anything: absent ones and those that were all skipped."""
    made = {finding.audit for finding in findings if finding.verdict != "skipped"}
    return [audit for audit in AUDITS if audit not in made]


def _judgement(scope: ScopeKey, findings: list[Finding]) -> Judgement:
    verdict = max((f.verdict for f in findings), key=_DECIDES.index)
    deciding = [f for f in findings if f.verdict == verdict]
    reasons = list(dict.fromkeys(reason_of(f) for f in deciding))
    advice = list(dict.fromkeys(clean(f.advice, 600) for f in deciding if f.advice))
    return Judgement(
        scope=scope,
        findings=tuple(findings),
        verdict=verdict,
        word=WORDS[verdict],
        reason=" ".join(reasons),
        advice=" ".join(advice),
        short=_short(deciding, findings),
    )


def _short(deciding: list[Finding], findings: list[Finding]) -> str:
    """Return the reasons of a verdict without their figures, for a reader who has two minutes."""
    plain = dict.fromkeys(without_figures(reason_of(finding)) for finding in deciding)
    reasons = list(plain)
    more = f" And {len(reasons) - _MOST_REASONS} more below." if len(reasons) > _MOST_REASONS else ""
    text = " ".join(reasons[:_MOST_REASONS]) + more
    if deciding[0].verdict == "cannot_tell" and len(findings) > 1:
        # A reason such as a wide interval says little without what it leaves open, and what was settled.
        sides = ("Open", deciding), ("Fit so far", [f for f in findings if f.verdict == "ok"])
        text += "".join(f" {word}: {', '.join(dict.fromkeys(f.audit for f in ones))}." for word, ones in sides if ones)
    return text


def without_figures(sentence: str) -> str:
    """Return a sentence without the figures in brackets at its end: where they stand beside it anyway."""
    return _FIGURES.sub("", sentence)


def overall(judged: Sequence[Judgement]) -> str:
    """Return what the verdicts on one model add up to: ``not fit for 3 of 4 tasks, fit so far for 1``."""
    found = [(WORDS[v], sum(one.verdict == v for one in judged)) for v in VERDICT_ORDER]
    counts = [(word, n) for word, n in found if n]
    if len(counts) == 1:
        word, n = counts[0]
        return f"{word}{'' if n == 1 else f' (all {n})'}"
    return ", ".join(f"{word} {n} of {len(judged)}" if i == 0 else f"{word} {n}" for i, (word, n) in enumerate(counts))


def by_severity(findings: Iterable[Finding], last: Iterable[str] = ()) -> dict[Verdict, list[Finding]]:
    """Return headline findings by verdict, worst first, in the order of scopes and audits; models of ``last`` last."""
    marked = set(last)
    found = sorted(
        (finding for finding in findings if finding.headline),
        key=lambda f: (f.scope.get("model") in marked, _order(f)[0], scope_of(f.scope), f.measure),
    )
    groups = {verdict: [f for f in found if f.verdict == verdict] for verdict in VERDICT_ORDER}
    return {verdict: ones for verdict, ones in groups.items() if ones}


def _order(finding: Finding) -> tuple[int, str, str]:
    place = list(AUDITS).index(finding.audit) if finding.audit in AUDITS else len(AUDITS)
    return place, finding.audit, finding.measure


def reason_of(finding: Finding) -> str:
    """Return why a finding has its verdict in a sentence: the figures stand in the table beside it."""
    why, summary = clean(finding.why, 600), clean(finding.summary, 600)
    if not why and finding.verdict == "cannot_tell" and finding.clusters < resample.MIN_CLUSTERS:
        why = f"only {finding.clusters} performers; an interval needs at least {resample.MIN_CLUSTERS}"
    text = (why or summary) if finding.verdict in {"cannot_tell", "skipped"} else (summary or why)
    text = text or _in_numbers(finding)
    if text != summary:  # a summary is a sentence and may begin with the name of a model
        text = f"{text[:1].upper()}{text[1:]}"
    return text if text[-1:] in {".", "!", "?", ""} else f"{text}."


def _in_numbers(finding: Finding) -> str:
    if finding.value is None:
        return ""
    text = f"{measure_name(finding.measure)} {number(finding.value)}"
    if finding.low is not None and finding.high is not None:
        text += f", 95 % interval {interval_words(finding.low, finding.high)}"
    if finding.chance is not None:
        text += f", chance {number(finding.chance)}"
    return text


def number(value: float | None, missing: str = NOTHING) -> str:
    """Return a figure for reading: two decimals under 10, one under 1,000, none above; a true minus sign."""
    if value is None:
        return missing
    digits = 2 if abs(value) < 10 else 1 if abs(value) < 1000 else 0
    # Adding zero turns a rounded -0.0 into 0.0.
    return f"{round(value, digits) + 0.0:,.{digits}f}".replace("-", "\u2212")


def interval_words(low: float | None, high: float | None) -> str:
    """Return an interval for reading: ``0.27 to 0.33``, a dash where there is none."""
    return NOTHING if low is None or high is None else f"{number(low)} to {number(high)}"
