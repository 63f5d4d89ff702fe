"""Measures: one file each, or a family that shares its rows, self-describing, pure functions of a frame of answers.

``MEASURES["spearman"](frame)`` returns an :class:`Estimate`. The frame holds the answers of one scope (one model, data
set, task, kind and setting), already narrowed to one perturbation; :mod:`aqaudit.audits.scope` does both.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from aqaudit.measures import (
    balanced_accuracy,
    balanced_accuracy_macro,
    balanced_accuracy_parsed,
    bradley_terry,
    coverage,
    criterion_c,
    d_prime,
    evidence,
    false_alarm_rate,
    gap,
    groups,
    hit_rate,
    lean,
    mae,
    pair_accuracy,
    positions,
    probabilities,
    r_l2,
    repeats,
    rmse,
    spearman,
    spearman_by_action,
    spread,
    wording,
)
from aqaudit.measures.measure import Estimate, Measure

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["MEASURES", "Estimate", "Measure"]

_ALONE = (
    balanced_accuracy,
    balanced_accuracy_macro,
    balanced_accuracy_parsed,
    spearman,
    spearman_by_action,
    r_l2,
    rmse,
    mae,
    pair_accuracy,
    bradley_terry,
    coverage,
    hit_rate,
    false_alarm_rate,
    lean,
    d_prime,
    criterion_c,
    gap,
    groups,
)
_FAMILIES = (probabilities, wording, spread, positions, evidence, repeats)

MEASURES: Mapping[str, Measure] = {
    measure.name: measure
    for measure in (*(one.MEASURE for one in _ALONE), *(one for family in _FAMILIES for one in family.MEASURES))
}
"""Name -> measure."""
