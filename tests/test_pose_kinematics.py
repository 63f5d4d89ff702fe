"""Angles, distances, speeds and phases, against figures worked out by hand or by another way."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from aqaudit.pose import kinematics as km
from aqaudit.pose.coco17 import FROM_BLAZEPOSE, INDEX, Keypoints, cleaned, smoothed
from aqaudit.pose.kinematics import QUANTITIES, kinematics

# A person of 400 pixels from shoulder to ankle, facing the viewer: their left is on the viewer's right. y is down.
FRONT = {
    "nose": (200, 60), "left_eye": (206, 54), "right_eye": (194, 54), "left_ear": (214, 58), "right_ear": (186, 58),
    "left_shoulder": (240, 100), "right_shoulder": (160, 100), "left_elbow": (240, 180), "right_elbow": (160, 180),
    "left_wrist": (240, 260), "right_wrist": (160, 260), "left_hip": (240, 260), "right_hip": (160, 260),
    "left_knee": (240, 380), "right_knee": (160, 380), "left_ankle": (240, 500), "right_ankle": (160, 500),
}  # fmt: skip


def person(times=(0.0,), **moved) -> Keypoints:
    """A standing person; ``moved`` places joints elsewhere, at one place or one for each time."""
    points = np.zeros((len(times), 17, 3), np.float32)
    for name, place in FRONT.items():
        points[:, INDEX[name], :2] = moved.get(name, place)
    points[..., 2] = 1.0
    return Keypoints(points=points, times_s=np.array(times, float), width=400, height=600)


def at(keypoints: Keypoints, name: str, row: int = 0) -> float:
    return float(kinematics(keypoints)[name].values[row])


def test_a_standing_person_is_straight():
    still = person()
    assert at(still, "knee_angle_left") == pytest.approx(180)
    assert at(still, "hip_angle_right") == pytest.approx(180)
    assert at(still, "elbow_angle_left") == pytest.approx(180)
    assert at(still, "shoulder_angle_left") == pytest.approx(0)
    for name in (
        "thigh_inclination_left",
        "shank_inclination_right",
        "upper_arm_inclination_left",
        "trunk_inclination",
    ):
        assert at(still, name) == pytest.approx(0, abs=1e-3)
    # 160 + 120 + 120 pixels from shoulder to ankle are one body length
    assert at(still, "hip_height") == pytest.approx(240 / 400)
    assert at(still, "shoulder_height") == pytest.approx(1.0)
    assert at(still, "wrist_height_left") == pytest.approx(240 / 400)
    assert at(still, "knee_separation") == pytest.approx(80 / 400)
    assert at(still, "knee_ankle_ratio") == pytest.approx(1.0)
    assert at(still, "ankle_height_left") == 0.0
    assert at(still, "knee_valgus_left") == pytest.approx(0, abs=1e-3)


def test_angles_are_those_of_a_protractor():
    # shank straight, thigh turned by 60 degrees about the knee; forearm at a right angle; arm raised to the side
    x, y = 240 + 120 * math.sin(math.radians(60)), 380 - 120 * math.cos(math.radians(60))
    bent = person(left_hip=(x, y), right_wrist=(240, 180), left_elbow=(320, 100), left_wrist=(320, 20))
    assert at(bent, "knee_angle_left") == pytest.approx(120, abs=1e-3)
    assert at(bent, "thigh_inclination_left") == pytest.approx(60, abs=1e-3)
    assert at(bent, "elbow_angle_right") == pytest.approx(90, abs=1e-3)
    assert at(bent, "forearm_inclination_right") == pytest.approx(90, abs=1e-3)
    raised = person(left_elbow=(320, 100), left_wrist=(320, 20))
    assert at(raised, "shoulder_angle_left") == pytest.approx(90, abs=1e-3)
    assert at(raised, "forearm_inclination_left") == pytest.approx(180, abs=1e-3)
    assert at(raised, "shoulder_asymmetry") == pytest.approx(90, abs=1e-3)


def test_valgus_is_positive_towards_the_middle_on_both_sides_and_unknown_from_the_side():
    inward = person(left_knee=(228, 380), right_knee=(172, 380))
    wanted = 2 * math.degrees(math.atan(12 / 120))
    assert at(inward, "knee_valgus_left") == pytest.approx(wanted, abs=1e-3)
    assert at(inward, "knee_valgus_right") == pytest.approx(wanted, abs=1e-3)
    outward = person(left_knee=(252, 380), right_knee=(148, 380))
    assert at(outward, "knee_valgus_left") == pytest.approx(-wanted, abs=1e-3)
    # the back turned to the viewer: left and right change places, inward stays inward
    swap = {"left": "right", "right": "left"}
    mirrored = {
        name: FRONT[f"{swap[side]}_{joint}"] for name in FRONT if "_" in name for side, joint in [name.split("_")]
    }
    back = person(**{**mirrored, "left_knee": (172, 380), "right_knee": (228, 380)})
    assert at(back, "knee_valgus_left") == pytest.approx(wanted, abs=1e-3)
    aside = person(left_hip=(202, 260), right_hip=(198, 260))
    assert math.isnan(at(aside, "knee_valgus_left"))


def test_what_is_not_seen_well_is_not_measured():
    hidden = person()
    hidden.points[0, INDEX["left_knee"], 2] = 0.29
    measured = kinematics(hidden)
    assert math.isnan(measured["knee_angle_left"].values[0])
    assert math.isnan(measured["knee_separation"].values[0])
    assert measured["knee_angle_right"].values[0] == pytest.approx(180)
    assert measured["knee_angle_left"].confidence[0] == pytest.approx(0.29)
    nobody = person()
    nobody.points[:] = cleaned(np.zeros((1, 17, 3)))
    assert all(np.isnan(series.values).all() for series in kinematics(nobody).values())


def test_speed_is_a_difference_over_time_and_never_over_a_gap():
    times = np.array([0.0, 0.1, 0.3, 0.4, 2.0, 2.1])
    values = np.array([10.0, 20.0, 40.0, np.nan, 100.0, 130.0])
    assert km.velocity(values, times) == pytest.approx([100, 100, 100, np.nan, 300, 300], nan_ok=True)
    assert np.isnan(km.velocity(np.array([1.0, 2.0]), np.array([0.0, 0.6]))).all()


def test_joints_in_space_give_the_same_quantities_from_any_side():
    times = (0.0,)
    flat = person(times, left_knee=(300, 400))
    space = np.zeros((1, 17, 3), np.float32)
    space[0, :, 0], space[0, :, 1] = flat.points[0, :, 0] / 250, -flat.points[0, :, 1] / 250
    turn = math.radians(70)
    turned = space.copy()
    turned[..., 0] = space[..., 0] * math.cos(turn)
    turned[..., 2] = space[..., 0] * math.sin(turn)
    both = Keypoints(points=flat.points, times_s=flat.times_s, width=400, height=600, joints3d=turned)
    measured = kinematics(both)
    for name in ("knee_angle", "hip_angle", "shoulder_angle", "knee_valgus"):
        assert measured[f"{name}_3d_left"].values[0] == pytest.approx(measured[f"{name}_left"].values[0], abs=0.01)
    assert measured["hip_height_3d"].values[0] == pytest.approx(measured["hip_height"].values[0], abs=1e-4)


def test_phase_follows_a_squat_down_and_up():
    times = np.arange(0, 8, 0.1)
    depth = 100 * np.clip(-np.cos(np.pi * times / 2), 0, None) ** 0.5  # down and up at 1..3 s and 5..7 s
    moved = {
        name: [(FRONT[name][0], FRONT[name][1] + d) for d in depth]
        for name in FRONT
        if not name.endswith(("knee", "ankle"))
    }
    moved["left_knee"] = [(240 + d / 2, 380) for d in depth]
    phase = kinematics(person(times, **moved))["phase"]
    assert phase.values[20] == pytest.approx(0.5, abs=0.06)
    assert phase.values[60] == pytest.approx(0.5, abs=0.06)
    assert np.isnan(phase.values[40])
    first = phase.values[10:31]
    first = first[np.isfinite(first)]
    assert (np.diff(first) > 0).all()
    assert np.isnan(kinematics(person(times))["phase"].values).all()


def test_the_repetitions_of_the_real_squats_are_found(shared_data):
    folder = shared_data / "samples" / "rgb_video"
    landmarks = np.array(json.loads((folder / "pose_squats.full.json").read_text()))[:, FROM_BLAZEPOSE]
    landmarks[..., 2] = 1
    keypoints = Keypoints(points=cleaned(landmarks), times_s=np.arange(65) / 5, width=720, height=1280)
    phase = kinematics(keypoints)["phase"].values
    clips = json.loads((folder / "labels.json").read_text())["clips"]
    wanted = next(clip for clip in clips if clip["id"] == "rgb_squat_01")["repetitions"]
    for one in (rep for rep in wanted if rep["complete"]):
        inside = phase[one["start_frame"] + 2 : one["end_frame"] - 1]
        assert np.isfinite(inside).all()
        turn = one["start_frame"] + int(np.argmin(np.abs(phase[one["start_frame"] : one["end_frame"]] - 0.5)))
        assert abs(turn - one["bottom_frame"]) <= 2


places = st.tuples(st.floats(0, 400, width=32), st.floats(0, 600, width=32), st.floats(0, 1, width=32))


@given(st.lists(st.lists(places, min_size=17, max_size=17), min_size=1, max_size=4))
def test_any_pose_gives_values_within_their_ranges(rows):
    points = cleaned(np.array(rows, np.float32))
    keypoints = Keypoints(points=points, times_s=np.arange(len(rows)) / 10, width=400, height=600)
    for name, series in kinematics(keypoints).items():
        known = series.values[np.isfinite(series.values)]
        assert series.values.shape == series.confidence.shape == (len(rows),), name
        if series.unit == "deg":
            assert (np.abs(known) <= 180.001).all(), name
        if name.endswith("_separation") or name == "phase":
            assert (known >= 0).all(), name


def test_every_quantity_has_a_unit_and_a_definition_and_is_measured():
    measured = kinematics(person((0.0, 0.1)))
    for name, (unit, definition) in QUANTITIES.items():
        found = [key for key in measured if key in {name, f"{name}_left", f"{name}_right"}]
        assert found, name
        assert {measured[key].unit for key in found} == {unit}
        assert definition


def test_smoothing_takes_jitter_out_and_leaves_gaps():
    rng = np.random.default_rng(2)
    times = np.arange(100) / 25
    jumpy = person(times)
    jumpy.points[..., :2] += rng.normal(0, 2, (100, 17, 2)).astype(np.float32)
    jumpy.points[40:50, 5] = (np.nan, np.nan, 0)
    calm = smoothed(jumpy)
    assert np.isnan(calm.points[40:50, 5, :2]).all()
    assert np.array_equal(calm.points[..., 2], jumpy.points[..., 2])
    off = calm.points[:, 7, :2] - np.array(FRONT["left_elbow"])
    assert off.std() < 0.6 * (jumpy.points[:, 7, :2] - np.array(FRONT["left_elbow"])).std()


def test_the_same_pose_gives_the_same_figures_to_the_last_bit():
    first, second = kinematics(person((0.0, 0.1))), kinematics(person((0.0, 0.1)))
    assert all(np.array_equal(first[name].values, second[name].values, equal_nan=True) for name in first)
