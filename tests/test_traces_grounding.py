"""Claims about the body, and the measured movement that bears them out or not."""

from __future__ import annotations

import json

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from aqaudit.core.auxiliary import SCHEMAS
from aqaudit.traces import claims, reading
from aqaudit.traces.kinematics import Movement, movements
from aqaudit.traces.reading import Stance, TraceStep, stance


def squat(performance: str = "p", *, depth: float = 1.0, frontal: bool = False, valgus: float = 0.0) -> pl.DataFrame:
    """One repetition of three seconds: standing, down by ``depth`` (1 = thighs horizontal), up again."""
    t = np.linspace(0, 3, 31)
    down = depth * np.sin(np.pi * t / 3)
    series = {
        "hip_height": 0.60 - 0.30 * down,
        "knee_height_left": 0.30 + 0 * t,
        "knee_height_right": 0.30 + 0 * t,
        "knee_angle_left": 176 - 90 * down,
        "knee_angle_right": 176 - 90 * down,
        "elbow_angle_left": 172 + 0 * t,
        "elbow_angle_right": 172 + 0 * t,
        "trunk_inclination": 4 + 36 * down,
        "shank_inclination_left": 22 * down,
        "ankle_separation": 0.32 + 0 * t,
    }
    if frontal:
        series |= {f"knee_valgus_{side}": 1 + valgus * down for side in ("left", "right")}
    rows = [
        (performance, float(a), name, float(b), "", 0.9)
        for name, values in series.items()
        for a, b in zip(t, values, strict=True)
    ]
    return pl.DataFrame(rows, schema=SCHEMAS["kinematics"], orient="row")


def movement(**how: float | bool) -> Movement:
    return movements(squat(**how))["p"]  # type: ignore[arg-type]


def checked(step: str, found: Movement) -> set[str]:
    return {found.check(claim) for claim in claims.claims(step) if claim.quantity}


@pytest.mark.parametrize(
    ("step", "deep", "shallow"),
    [
        ("At the bottom her thighs are parallel to the floor.", "supported", "contradicted"),
        ("Her thighs do not reach parallel.", "contradicted", "supported"),
        ("The hips drop below the knees.", "supported", "contradicted"),
        ("The hip crease stays above the knee at the bottom.", "contradicted", "supported"),
        ("The knees bend to about 90 degrees.", "supported", "contradicted"),
        ("Her knees stay straight at every moment.", "contradicted", "contradicted"),
        ("The elbows are fully extended.", "supported", "supported"),
        ("He leans forward at the bottom.", "supported", "uncheckable"),
        ("The torso stays upright throughout.", "contradicted", "uncheckable"),
        ("The knees do not travel past the toes.", "uncheckable", "supported"),
        ("At 1.5 s the knees are bent.", "supported", "supported"),
        ("At 0:00 the knees are bent.", "contradicted", "contradicted"),
        ("The feet are shoulder-width apart.", "supported", "supported"),
    ],
)
def test_observations_are_held_against_the_movement(step: str, deep: str, shallow: str) -> None:
    assert checked(step, movement(depth=1.1)) == {deep}
    assert checked(step, movement(depth=0.6)) == {shallow}


def test_what_the_view_does_not_show_is_not_checked() -> None:
    cave = "The knees cave in on the way up."
    assert checked(cave, movement()) == {"uncheckable"}
    assert checked(cave, movement(frontal=True, valgus=20.0)) == {"supported"}
    assert checked(cave, movement(frontal=True)) == {"contradicted"}
    assert checked("He leans forward at the bottom.", movement(frontal=True)) == {"uncheckable"}


def test_what_keypoints_cannot_show_is_named_and_uncheckable() -> None:
    for step in ("His back is rounded.", "The heels lift off the floor."):
        (claim, *_) = claims.claims(step)
        assert claim.quantity is None
        assert movement().check(claim) == "uncheckable"


def test_doubtful_and_missing_measurements_check_nothing() -> None:
    unsure = squat().with_columns(confidence=pl.lit(0.1))
    assert movements(unsure) == {}
    few = movements(squat().filter(pl.col("t_s") < 0.15))["p"]
    assert checked("The knees are bent.", few) == {"uncheckable"}


def test_the_order_of_rows_does_not_matter() -> None:
    step = "At the bottom her thighs are parallel to the floor."
    shuffled = squat(depth=1.1).sample(fraction=1, shuffle=True, seed=3)
    assert checked(step, movements(shuffled)["p"]) == {"supported"}


def test_quoted_guidelines_claim_nothing() -> None:
    assert claims.claims('The rule says "the knees cave in".') == ()


def test_claims_survive_the_sidecar() -> None:
    for step in ("The left knee drifts inward at about 1.4 s.", "The hips never drop below the knees."):
        found = claims.claims(step)
        assert claims.from_json(claims.to_json(found)) == found


@given(st.text(max_size=60) | st.just("[[[[1]]]]") | st.just('[{"part":"knee","value":1e400,"topics":[null]}]'))
def test_a_foreign_claim_column_is_never_an_error(text: str) -> None:
    assert isinstance(claims.from_json(text), tuple)
    assert isinstance(
        claims.from_json(json.dumps([{"part": text, "topics": text, "moment": [], "value": True}])), tuple
    )


@pytest.mark.parametrize(
    ("step", "expected"),
    [
        ("Therefore the statement is true.", Stance(statement=True)),
        ("The statement is not true.", Stance(statement=False)),
        ("So the answer is False.", Stance(statement=False)),
        ("The guideline is not met.", Stance(correct=False)),
        ("She violates the rule.", Stance(correct=False)),
        ("The error is not present.", Stance(correct=True)),
        ("No such error is present.", Stance(correct=True)),
        ("The execution is incorrect.", Stance(correct=False)),
        ("I would give a score of 7.5.", Stance(score=7.5)),
        ("The best option is B.", Stance(letter="b")),
        ("Her knees bend.", None),
    ],
)
def test_a_conclusion_states_a_verdict(step: str, expected: Stance | None) -> None:
    assert stance(step) == expected


def step(tag: str, text: str = "x") -> TraceStep:
    return TraceStep(text=text, tag=tag, claims=claims.claims(text))


def test_the_last_reason_before_the_conclusion_carries_it() -> None:
    assert reading.carrier([step("assumption"), step("observation"), step("conclusion")]) is None
    assert reading.carrier([step("observation"), step("prestige"), step("rule"), step("conclusion")]) == "prestige"
    assert reading.carrier([step("conclusion"), step("correlate")]) == "correlate"
    assert reading.carrier([step("rule"), step("conclusion")]) is None


def test_only_observations_that_bear_on_the_question_count() -> None:
    trace = [step("observation", "The elbows are fully extended."), step("conclusion", "The statement is true.")]
    about_knees = reading.read(trace, frozenset({"knee"}), movement())
    assert not about_knees.supported
    assert reading.read(trace, frozenset({"elbow"}), movement()).grounded
    assert reading.read(trace, frozenset(), movement()).grounded
    assumed = [*trace[:1], step("assumption", "The rest is probably fine."), trace[1]]
    assert not reading.read(assumed, frozenset({"elbow"}), movement()).grounded


def test_the_question_is_known_by_its_identifiers_or_where_the_trace_restates_it() -> None:
    assert reading.topics_of(("knees_inward", None), []) == {"knee"}
    assert reading.topics_of(("r02", None), [step("rule", "The heels should stay down.")]) == {"heel"}
    assert reading.topics_of(("r02", None), [step("observation", "The heels are down.")]) == frozenset()
