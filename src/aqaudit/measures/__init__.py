"""Measures: one file each, self-describing, pure functions of a frame of answers.

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
    criterion_c,
    d_prime,
    false_alarm_rate,
    hit_rate,
    lean,
    mae,
    pair_accuracy,
    r_l2,
    rmse,
    spearman,
    spearman_by_action,
)
from aqaudit.measures.measure import Estimate, Measure

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["MEASURES", "Estimate", "Measure"]

MEASURES: Mapping[str, Measure] = {
    module.MEASURE.name: module.MEASURE
    for module in (
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
        hit_rate,
        false_alarm_rate,
        lean,
        d_prime,
        criterion_c,
    )
}
