"""What is commanded is what the exact joints show."""

from __future__ import annotations

import numpy as np
import pytest

from aqaudit.core.records import BadInput
from aqaudit.probe import measure
from aqaudit.probe.errors import EXERCISES, checked_severity, exercise

PAIRS = [(one.name, error.id) for one in EXERCISES.values() for error in one.errors]


def test_there_are_enough_exercises_and_errors_and_some_show_in_no_single_frame() -> None:
    assert len(EXERCISES) >= 8
    assert len(PAIRS) >= 16
    assert sum(error.temporal for one in EXERCISES.values() for error in one.errors) >= 4


@pytest.mark.parametrize(("name", "error"), PAIRS)
def test_every_error_can_be_measured_from_points_alone(name: str, error: str) -> None:
    times = np.arange(30) / 15
    points = np.random.default_rng(1).normal(size=(30, len(measure.POINTS), 3))
    assert measure.severity(name, error, points, times) >= 0


def test_an_unknown_exercise_or_error_or_an_impossible_severity_is_one_line() -> None:
    with pytest.raises(BadInput, match=r"no exercise is called 'squad'; did you mean 'squat'\?"):
        exercise("squad")
    with pytest.raises(BadInput, match=r"exercise 'squat' has no error 'knee_inward'; did you mean 'knees_inward'\?"):
        exercise("squat").error("knee_inward")
    with pytest.raises(BadInput, match=r"severity 99 deg of error 'knees_inward' is impossible; allowed: 0 to 28 deg"):
        checked_severity(exercise("squat").error("knees_inward"), 99)
