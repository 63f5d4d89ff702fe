"""From intervals to verdicts: the rules, and the thresholds they read from ``thresholds.toml``."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib import resources

from aqaudit.audits.finding import Verdict


@dataclass(frozen=True, slots=True, kw_only=True)
class ChanceLevels:
    """What a figure is judged against: what guessing scores, and from where on a judge is useful."""

    chance: float
    useful: float


@cache
def thresholds() -> Mapping[str, Mapping[str, Mapping[str, float]]]:
    """Return the thresholds by audit, figure and name."""
    text = resources.files("aqaudit.audits").joinpath("thresholds.toml").read_text(encoding="utf-8")
    return tomllib.loads(text)


def chance_levels(measure: str, chance: float) -> ChanceLevels:
    """Return the levels of a measure whose guessing level on the rows at hand is ``chance``.

    ``useful`` keeps its relative place between guessing and perfection: 0.60 where guessing scores 0.50 is a fifth of
    the way, which is 0.40 where guessing scores 0.25.
    """
    key = "spearman" if measure.startswith("spearman") else "balanced_accuracy"
    rule = thresholds()["chance"][key]
    if chance == rule["chance"]:
        return ChanceLevels(chance=chance, useful=rule["useful"])
    left = (1 - rule["useful"]) / (1 - rule["chance"])
    return ChanceLevels(chance=chance, useful=1 - left * (1 - chance))


def against_chance(value: float | None, low: float | None, high: float | None, levels: ChanceLevels) -> Verdict:
    """Return ok when the interval lies above chance and the value is useful, warn when only the former.

    fail when the interval reaches down to chance and does not reach up to useful; otherwise, or without an interval,
    cannot_tell.
    """
    if value is None or low is None or high is None:
        return "cannot_tell"
    if low > levels.chance:
        return "ok" if value >= levels.useful else "warn"
    return "fail" if high < levels.useful else "cannot_tell"


def with_coverage(verdict: Verdict, coverage: float | None) -> Verdict:
    """Return the verdict on scores of which only a share could be read: neither ok nor fail stands on too few."""
    rule = thresholds()["chance"]["spearman"]
    if coverage is None or coverage < rule["coverage_too_low"]:
        return "cannot_tell"
    if coverage < rule["coverage_doubtful"] and verdict in {"ok", "fail"}:
        return "warn"
    return verdict


def capped(verdict: Verdict) -> Verdict:
    """Return the verdict of a finding that is not a headline, which never fails."""
    return "warn" if verdict == "fail" else verdict


def tolerance(audit: str, figure: str) -> float:
    """Return how large a bias may be."""
    return thresholds()[audit][figure]["tolerance"]


def bias_verdict(low: float | None, high: float | None, tolerated: float) -> Verdict:
    """Return the verdict on a bias: fail when it is larger than tolerated, ok when it is not.

    Else warn when the interval excludes 0, and cannot_tell when it does not, or without an interval.
    """
    if low is None or high is None:
        return "cannot_tell"
    smallest = 0.0 if low <= 0 <= high else min(abs(low), abs(high))
    if smallest > tolerated:
        return "fail"
    if max(abs(low), abs(high)) <= tolerated:
        return "ok"
    return "warn" if smallest > 0 else "cannot_tell"


def at_most(low: float | None, high: float | None, tolerated: float) -> Verdict:
    """Return fail when a rate lies above what is tolerated, ok when it does not, else cannot_tell."""
    if low is None or high is None:
        return "cannot_tell"
    if low > tolerated:
        return "fail"
    return "ok" if high <= tolerated else "cannot_tell"


def dependence(low: float | None, high: float | None) -> Verdict:
    """Return the verdict on what the pictures, or the movement, add to the score."""
    rule = thresholds()["vision"]["vision_dependence"]
    if low is None or high is None:
        return "cannot_tell"
    if high < rule["fail_below"]:
        return "fail"
    return "ok" if low > rule["ok_above"] else "cannot_tell"
