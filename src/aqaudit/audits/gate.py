"""The gate: requirements on the figures of the audits, each passed, not passed, or open because nobody can tell.

A requirement is a ``[[require]]`` table: a measure, a scope, and a bound on the value or on an end of its interval::

    [[require]]
    measure = "balanced_accuracy"
    scope = { model = "qwen", kind = "verify" }
    min = 0.55                       # at least, on the low end of the interval; `bound = "value"` for the value itself
"""

from __future__ import annotations

import math
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from aqaudit.audits.finding import Finding
from aqaudit.audits.scope import ASKED, BASE, SENT
from aqaudit.core.records import BadInput, nearest
from aqaudit.measures import MEASURES

Outcome = Literal["passed", "not passed", "cannot tell"]
_KEYS = ("measure", "audit", "scope", "bound", "min", "max")
_BOUNDS = ("value", "low", "high")
#: Keys of a scope; breakdowns (by criterion, say) carry further ones.
_SCOPE = (*BASE, *ASKED, *SENT)
#: How bad an outcome is: the worst of a rule's figures is the rule's.
_WORST: tuple[Outcome, ...] = ("passed", "cannot tell", "not passed")


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """One requirement: every figure of ``measure`` in ``scope`` keeps to ``low`` and ``high`` at ``bound``.

    Without a ``bound``, a minimum is held against the low end of the interval, a maximum against the high end: so large
    a part of the interval must lie inside.
    """

    measure: str
    audit: str | None = None
    scope: Mapping[str, str] = field(default_factory=dict)
    bound: str | None = None
    least: float | None = None
    most: float | None = None

    def __str__(self) -> str:
        limits = ((self.least, "at least", "low"), (self.most, "at most", "high"))
        ends = (f"{self.bound or end} {words} {limit:g}" for limit, words, end in limits if limit is not None)
        return f"{self.measure} {', '.join(ends)}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """A rule and what became of it: the finding that decides, and why where it is open."""

    rule: Rule
    outcome: Outcome
    finding: Finding | None
    figures: int
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class GateResult:
    """What became of every rule of a gate, in the order of its file."""

    judged: tuple[Judged, ...]

    @property
    def exit_code(self) -> int:
        """0 when every rule passed, 1 when one did not, else 3: nobody can tell."""
        outcomes = {one.outcome for one in self.judged}
        if "not passed" in outcomes:
            return 1
        return 3 if "cannot tell" in outcomes else 0


def read_rules(path: Path, figures: Mapping[str, Iterable[str]]) -> list[Rule]:
    """Read the requirements of a TOML file.

    Parameters
    ----------
    path
    figures : mapping
        Audit name -> names of its figures: what can be required.

    Raises
    ------
    BadInput
        The file is missing or not TOML, or a key, measure, scope key or bound is not known (with the nearest one).
    """
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8-sig"))
    except FileNotFoundError:
        raise BadInput(f"{path}: no such gate file") from None
    except OSError as error:
        raise BadInput(f"{path}: cannot be read: {error.strerror}") from None
    except UnicodeDecodeError as error:
        raise BadInput(f"{path}: byte {error.start + 1} is not UTF-8 text") from None
    except tomllib.TOMLDecodeError as error:
        raise BadInput(f"{path}: not valid TOML: {error}") from None
    for key in table:
        if key != "require":
            raise BadInput(f"{path}: unknown key '{key}'{nearest(key, ['require'])}; write [[require]] tables")
    tables = table.get("require")
    if not isinstance(tables, list) or not tables:
        raise BadInput(f"{path}: holds no [[require]] table, so there is nothing to require")
    return [_rule(entry, f"{path}: require[{at}]", figures) for at, entry in enumerate(tables, 1)]


def _rule(entry: object, where: str, figures: Mapping[str, Iterable[str]]) -> Rule:
    if not isinstance(entry, dict):
        raise BadInput(f"{where}: allowed: a table [[require]]")
    for key in entry:
        if key not in _KEYS:
            raise BadInput(f"{where}: unknown key '{key}'{nearest(key, _KEYS)}")
    audit, measure = _text(entry, "audit", where), _text(entry, "measure", where)
    if audit is not None and audit not in figures:
        raise BadInput(f"{where}: audit = '{audit}' is not known{nearest(audit, figures)}")
    known = sorted({*figures[audit]} if audit is not None else {name for names in figures.values() for name in names})
    if measure is None:
        raise BadInput(f"{where}: 'measure' is missing; allowed: {', '.join(known)}")
    if measure not in known:
        raise BadInput(f"{where}: measure = '{measure}' is not a figure{nearest(measure, known)}")
    bound = _text(entry, "bound", where)
    if bound is not None and bound not in _BOUNDS:
        raise BadInput(f"{where}: bound = '{bound}'{nearest(bound, _BOUNDS)}")
    least, most = _number(entry, "min", where), _number(entry, "max", where)
    if least is None and most is None:
        raise BadInput(f"{where}: gives neither 'min' nor 'max', so nothing could fail it")
    if least is not None and most is not None and least > most:
        raise BadInput(f"{where}: min = {least:g} is larger than max = {most:g}")
    return Rule(
        measure=measure, audit=audit, scope=_scope(entry.get("scope", {}), where), bound=bound, least=least, most=most
    )


def _text(entry: Mapping[str, Any], key: str, where: str) -> str | None:
    value = entry.get(key)
    if value is not None and not isinstance(value, str):
        raise BadInput(f"{where}: {key} = {value!r}; allowed: text")
    return value


def _number(entry: Mapping[str, Any], key: str, where: str) -> float | None:
    value = entry.get(key)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise BadInput(f"{where}: {key} = {value!r}; allowed: a number")
    return float(value)


def _scope(given: object, where: str) -> dict[str, str]:
    if not isinstance(given, dict):
        raise BadInput(f'{where}: scope = {given!r}; allowed: a table such as {{ model = "qwen", kind = "verify" }}')
    for key, value in given.items():
        if key not in _SCOPE:
            raise BadInput(f"{where}: scope.{key} is not known{nearest(key, _SCOPE)}")
        if isinstance(value, bool) or not isinstance(value, str | int | float):
            raise BadInput(f"{where}: scope.{key} = {value!r}; allowed: one value")
    return {key: f"{value:g}" if isinstance(value, float) else str(value) for key, value in given.items()}


def judge(rules: Sequence[Rule], findings: Sequence[Finding]) -> GateResult:
    """Return what becomes of every rule.

    A rule is about every figure of its measure in its scope, and each of them must keep to the bound. What does not
    appear in the table, or has no interval, is open: nobody can tell.
    """
    return GateResult(judged=tuple(_judge(rule, findings) for rule in rules))


def _judge(rule: Rule, findings: Sequence[Finding]) -> Judged:
    about = [one for one in findings if one.measure == rule.measure and rule.audit in {None, one.audit} and one.scope]
    matching = [one for one in about if _within(one, rule)]
    if not matching:
        return Judged(rule=rule, outcome="cannot tell", finding=None, figures=0, why=_why_none(rule, about, findings))
    judged = [(one, *_held(rule, one)) for one in matching]
    worst = max(judged, key=lambda item: _WORST.index(item[1]))
    return Judged(rule=rule, outcome=worst[1], finding=worst[0], figures=len(judged), why=worst[2])


def _within(one: Finding, rule: Rule) -> bool:
    # A rule means the whole, not its breakdowns.
    return set(_SCOPE) >= set(one.scope) and all(one.scope.get(key) == value for key, value in rule.scope.items())


def _held(rule: Rule, one: Finding) -> tuple[Outcome, str]:
    if one.value is None or one.low is None or one.high is None:
        return "cannot tell", one.why or "the figure has no interval"
    ends = {"value": one.value, "low": one.low, "high": one.high}
    least_at, most_at = ends[rule.bound or "low"], ends[rule.bound or "high"]
    kept = (rule.least is None or least_at >= rule.least) and (rule.most is None or most_at <= rule.most)
    return ("passed" if kept else "not passed"), ""


def _why_none(rule: Rule, about: Sequence[Finding], findings: Sequence[Finding]) -> str:
    for key, value in rule.scope.items():
        there = sorted({one.scope[key] for one in about or findings if key in one.scope})
        if there and value not in there:
            return f"no figure has {key} = '{value}'{nearest(value, there)}"
        if not there:
            return f"'{key}' does not vary in this table, so its figures are not told apart by it"
    skipped = next((one.why for one in findings if not one.scope and one.measure == rule.measure and one.why), "")
    if about:
        return "no figure lies in this scope"
    needed = MEASURES[rule.measure].kinds if rule.measure in MEASURES else ()
    return skipped or f"the table gives no such figure{' (it needs ' + ' or '.join(needed) + ')' if needed else ''}"


def line(one: Judged) -> str:
    """Return one line a rule: outcome, requirement, the figure that decides, and where."""
    scope = ", ".join(f"{key} {value}" for key, value in one.rule.scope.items()) or "everywhere"
    text = f"{one.outcome.upper() if one.outcome != 'passed' else 'passed'}: {one.rule} ({scope})"
    finding = one.finding
    if finding is not None and finding.value is not None:
        text += f": {finding.value:.3f}"
        if finding.low is not None and finding.high is not None:
            text += f" [{finding.low:.3f}, {finding.high:.3f}]"
        if one.figures > 1:
            place = " ".join(dict.fromkeys(str(value) for value in finding.scope.values()))
            text += f" in {place}, the worst of {one.figures}"
    return f"{text}; {one.why}" if one.why else text
