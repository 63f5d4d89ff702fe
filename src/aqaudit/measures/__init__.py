"""Measures: pure functions of a frame of answers that describe themselves, one module a family that shares its rows.

``MEASURES["spearman"](frame)`` returns an :class:`Estimate`. The frame holds the answers of one scope (one model, data
set, task, kind and setting), already narrowed to one perturbation; :mod:`aqaudit.audits.scope` does both.
"""

from __future__ import annotations

from collections.abc import Mapping

from aqaudit.core.plugins import PlugIns
from aqaudit.core.records import BadInput
from aqaudit.measures import (
    bradley_terry,
    consistency,
    correlation,
    detection,
    evidence,
    gap,
    groups,
    pairs,
    probabilities,
    recalls,
    scores,
)
from aqaudit.measures.rows import Estimate, Measure

__all__ = ["MEASURES", "PLUG_INS", "Estimate", "Measure"]

_ALL = (
    *recalls.MEASURES,
    *correlation.MEASURES,
    *scores.MEASURES,
    pairs.PAIR_ACCURACY,
    bradley_terry.MEASURE,
    scores.COVERAGE,
    *detection.MEASURES,
    gap.MEASURE,
    groups.MEASURE,
    *probabilities.MEASURES,
    *consistency.MEASURES,
    *scores.SPREAD,
    *pairs.MEASURES,
    *evidence.MEASURES,
    *consistency.REPEATS,
)

MEASURES: Mapping[str, Measure] = {measure.name: measure for measure in _ALL}
"""Name -> measure."""


def _read(name: str, offered: object) -> Measure | None:
    if not isinstance(offered, Measure):
        return None
    if offered.name != name:
        raise BadInput(f"measure plug-in {name!r} calls itself {offered.name!r}; both names must be the same")
    return offered


PLUG_INS = PlugIns(
    group="aqaudit.measures",
    kind="measure",
    wanted="an aqaudit.measures.Measure",
    built_in=lambda: MEASURES,
    read=_read,
)
