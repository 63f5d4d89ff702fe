"""The audit ``subgroups``: whether some people, places or actions are judged worse than the rest."""

from __future__ import annotations

import json
from collections.abc import Mapping

import polars as pl
from scipy import stats

from aqaudit.audits import findings_text, verdicts
from aqaudit.audits.finding import Audit, Finding, Verdict
from aqaudit.audits.permutation import LEVEL
from aqaudit.audits.scope import MOST_GROUPS, Scope, corrected, headline_scopes
from aqaudit.core.auxiliary import AuxiliaryTables
from aqaudit.core.table import TRUTH_AND_ANSWER
from aqaudit.measures import MEASURES, Estimate
from aqaudit.measures.groups import against_rest
from aqaudit.measures.resample import MIN_CLUSTERS

NAME = "subgroups"
QUESTION = "Is some group of executions judged worse than the rest?"
#: Columns that make groups, besides the keys of ``tags``.
COLUMNS = ("action", "split")
_SENTENCES: Mapping[Verdict, str] = {
    "ok": "{model} judges no group much worse than the rest",
    "warn": "{model} judges a group worse than the rest",
    "cannot_tell": "Whether {model} judges a group worse than the rest cannot be told",
}
_ADVICE: Mapping[Verdict, str] = {
    "warn": "Do not use it for this group, or report the group's figure beside the overall one; collect more "
    "answers there.",
    "cannot_tell": "Tag clips (camera, place, age group, ...) and collect answers on at least "
    f"{MIN_CLUSTERS} performers of each group.",
}


def subgroups(frame: pl.DataFrame, _auxiliary: AuxiliaryTables | None = None) -> list[Finding]:
    """Return the group that is judged worst, for every headline scope with at least two groups; at most a warning."""
    findings = [finding for scope in headline_scopes(frame) if (finding := _of(scope)) is not None]
    why = "there are no two groups with enough performers: no tags, and one action"
    return findings or findings_text.not_made(NAME, QUESTION, "worst_group_gap", why)


def _memberships(rows: pl.DataFrame) -> dict[str, pl.Series]:
    """Return the groups of a scope by name, such as ``camera=side``, as masks over its rows.

    Groups come from the keys of ``tags`` with at least two values, and from :data:`COLUMNS` that vary.
    """
    values: dict[str, pl.Series] = {name: rows[name] for name in COLUMNS if rows[name].n_unique() > 1}
    tags = rows["tags"].drop_nulls().unique().sort()
    parsed = {text: _tags(text) for text in tags}
    for key in sorted({key for found in parsed.values() for key in found}):
        lookup = {text: found.get(key) for text, found in parsed.items()}
        if len(set(lookup.values())) > 1:
            values[key] = rows["tags"].replace_strict(lookup, default=None, return_dtype=pl.String)
    return {
        f"{name}={value}": series == value
        for name, series in values.items()
        for value in series.drop_nulls().unique().sort()
    }


def _tags(text: str) -> dict[str, str]:
    try:
        found = json.loads(text)
    except ValueError:
        return {}
    return {str(k): str(v) for k, v in found.items()} if isinstance(found, dict) else {}


def _of(scope: Scope) -> Finding | None:
    masks = _memberships(scope.rows)
    sizes = sorted(masks, key=lambda name: (-int(masks[name].sum() or 0), name))[:MOST_GROUPS]
    estimates = against_rest(scope.rows, {name: masks[name] for name in sorted(sizes)})
    tolerated = verdicts.tolerance(NAME, "worst_group_gap")
    groups = [group for group in corrected(estimates, tolerated) if group.p is not None]
    if not groups:
        return None
    below = [group for group in groups if (group.estimate.value or 0.0) < 0]
    worst = min(below or groups, key=lambda group: (group.p, group.estimate.value, group.name))
    low, high = _widened(worst.estimate, len(groups))
    verdict: Verdict = "cannot_tell"
    if worst.warns and (worst.estimate.value or 0.0) < 0:
        verdict = "warn"
    elif low is not None and all((_widened(group.estimate, len(groups))[0] or -1.0) >= -tolerated for group in groups):
        verdict = "ok"
    one = worst.estimate
    return findings_text.judged(
        NAME, QUESTION, scope, "worst_group_gap", one, verdict, headline=False,
        sentences={**_SENTENCES, "warn": f"{{model}} judges the group {worst.name} worse than the rest"},
        advice=_ADVICE,
        details={
            "group": worst.name, "holm_p": worst.holm_p, "low_of_all": low, "high_of_all": high, "tolerance": tolerated,
            "groups": [
                {**group.as_json(), **{side: group.estimate.details.get(side) for side in ("score", "rest")}}
                for group in groups
            ],
        },
        rows=_wrong(scope.rows.filter(masks[worst.name])),
        why="the intervals of the groups, corrected for their number, reach beyond what is tolerated",
    )  # fmt: skip


def _widened(estimate: Estimate, groups: int) -> tuple[float | None, float | None]:
    """Return the interval that holds for all groups at once: at a level of 1 - LEVEL / groups."""
    if estimate.interval is None or estimate.value is None:
        return None, None
    reach = float(stats.t.ppf(1 - LEVEL / 2 / groups, estimate.clusters - 1)) * estimate.interval.se
    return max(estimate.value - reach, -2.0), min(estimate.value + reach, 2.0)


def _wrong(rows: pl.DataFrame) -> tuple[str, ...]:
    """Answer keys of wrong answers; of scores all, those furthest from their truth first."""
    gold, answer = TRUTH_AND_ANSWER[rows["kind"][0]]
    if answer == "score":
        far = rows.filter(pl.col(answer).is_not_null() & pl.col(gold).is_not_null())
        return findings_text.keys(far.with_columns(near=-(pl.col(gold) - pl.col(answer)).abs()), "near")
    return findings_text.keys(rows.filter(pl.col(gold).is_not_null() & ~pl.col(gold).eq_missing(pl.col(answer))))


_TOLERATED = verdicts.tolerance(NAME, "worst_group_gap")
AUDIT = Audit(
    name=NAME,
    question=QUESTION,
    figures={"worst_group_gap": MEASURES["worst_group_gap"].what},
    interval="Delete-one-performer jackknife with t(G - 1) of the group's score less that of all others; `low_of_all` "
    "and `high_of_all` hold for all groups at once.",
    rule=(
        f"At most a warning. warn: the worst group lies more than {_TOLERATED:.2f} below the rest, after Holm's "
        f"correction over the groups; ok: no group's interval, corrected for their number, reaches below "
        f"{-_TOLERATED:.2f}; else cannot tell."
    ),
    advice=_ADVICE["warn"],
    citation="Buolamwini & Gebru, Gender shades, FAT* 2018; Holm, Scand. J. Statistics 1979",
    run=subgroups,
)
