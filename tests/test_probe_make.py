"""Making probe clips: bodies move as people do, errors are as commanded, pictures differ in one thing only."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("anny", reason="making probe clips needs the extra 'probe'")
pytest.importorskip("warp", reason="making probe clips needs the extra 'probe'")

from aqaudit import datasets
from aqaudit.core.records import BadInput
from aqaudit.datasets.readers.probe import bundled
from aqaudit.probe import measure, motions, scene
from aqaudit.probe.body import BodyMesh
from aqaudit.probe.build import clip_id, make, padded_clip
from aqaudit.probe.casting import generator, performer, style
from aqaudit.probe.errors import EXERCISES
from aqaudit.probe.recipes import LEVELS, PEOPLE, TRIALS, plans
from aqaudit.probe.scene import (
    Spec,
    Take,
    body_of,
    drawn_camera,
    render,
    sample_specs,
    score,
    severities,
    take,
    truth_of,
)

PAIRS = [(one.name, error.id) for one in EXERCISES.values() for error in one.errors]
SMALL = (96, 96)


def a_spec(exercise: str, error: str, severity: float = 0.0, person: int = 3, key: int = 0) -> Spec:
    draw = generator("test", exercise, error, key)
    fault, one = EXERCISES[exercise].error(error), performer("recipe", person)
    return Spec(
        exercise=exercise,
        error=error,
        severity=severity,
        performer=one,
        style=style(draw),
        camera=drawn_camera(one, exercise, fault, draw),
        place=scene.place(draw),
        lamp=scene.lamp(draw),
    )


@pytest.mark.parametrize(("exercise", "error"), PAIRS)
def test_the_joints_show_the_severity_that_was_commanded(exercise: str, error: str) -> None:
    fault = EXERCISES[exercise].error(error)
    for number, share in enumerate((0.3, 0.6, 1.0)):
        spec = a_spec(exercise, error, share * fault.largest, person=number * 4)
        shot = take(spec)
        shown = measure.severity(exercise, error, shot.points, shot.times)
        assert shown == pytest.approx(spec.severity, abs=fault.accuracy)


@pytest.mark.parametrize("exercise", EXERCISES)
def test_a_clean_execution_is_within_every_tolerance(exercise: str) -> None:
    for number in range(3):
        spec = a_spec(exercise, EXERCISES[exercise].errors[0].id, person=number * 5, key=number)
        truth = truth_of(spec, take(spec))
        assert all(truth.criteria.values())
        assert len(truth.criteria) == len(EXERCISES[exercise].errors)
        assert not any(truth.errors.values())
        assert truth.interval is None
        assert truth.score == 10


def skinned(body: BodyMesh, shot: Take) -> np.ndarray:
    """The vertices (T x V x 3) of a body without clothes, by linear blend skinning."""
    shifts = shot.bones.positions - np.einsum("tbij,bj->tbi", shot.bones.rotations, body.heads)
    turned = np.einsum("vb,tbij,vj->tvi", body.template.weights, shot.bones.rotations, body.vertices, optimize=True)
    return turned + np.einsum("vb,tbi->tvi", body.template.weights, shifts)


@pytest.mark.parametrize("exercise", EXERCISES)
def test_bodies_stay_above_the_floor_within_joint_limits_and_do_not_jerk(exercise: str) -> None:
    fine = np.arange(0, motions.DURATION_S, 1 / 60)
    for error in (EXERCISES[exercise].errors[0], EXERCISES[exercise].errors[-1]):
        spec = a_spec(exercise, error.id, error.largest, person=7)
        shot = take(spec, fine)
        course = measure.Course(shot.points, fine)
        bends = [measure._flexion(course, joint, side) for joint in ("elbow", "knee") for side in ("left", "right")]
        assert max(bend.max() for bend in bends) < 150
        coarse = shot.at(list(fine[::24]))
        lowest = skinned(body_of(spec.performer), coarse)[..., 1].min()
        assert lowest > -0.04  # metres; soles, palms and knees touch the floor
        jumps = np.linalg.norm(np.diff(shot.points, axis=0, n=2), axis=-1)
        assert jumps.max() < 0.05  # metres between frames a sixtieth of a second apart


@pytest.mark.parametrize("exercise", ["squat", "hinge", "press", "raise", "pushup", "plank"])
def test_feet_stay_where_they_are_planted(exercise: str) -> None:
    spec = a_spec(exercise, EXERCISES[exercise].errors[0].id, EXERCISES[exercise].errors[0].largest)
    shot = take(spec)
    body = body_of(spec.performer)
    for side in ("L", "R"):
        ankle = shot.bones.positions[:, body.template.bone(f"foot.{side}")]
        assert np.linalg.norm(ankle - ankle[0], axis=1).max() < 0.003


def test_keypoints_are_those_of_the_moved_mesh() -> None:
    spec = a_spec("squat", "rounded_back", 30)
    shot = take(spec, np.array([0.0, 1.4]))
    body = body_of(spec.performer)
    regressed = np.einsum("kv,tvi->tki", body.template.points[:17], skinned(body, shot))
    np.testing.assert_allclose(shot.points[:, :17], regressed, atol=1e-9)


def test_a_family_differs_in_the_body_alone_and_pictures_are_the_same_every_time() -> None:
    base = a_spec("squat", "shallow_depth")
    clean, shallow = severities(base, (0.0, 40.0))
    moments = [0.0, 1.4]
    first = list(render(clean, take(clean).at(moments), SMALL))
    again = list(render(clean, take(clean).at(moments), SMALL))
    other = list(render(shallow, take(shallow).at(moments), SMALL))
    assert all(np.array_equal(a, b) for a, b in zip(first, again, strict=True))
    assert np.array_equal(first[0], other[0])  # both stand at the start
    changed = np.abs(first[1].astype(int) - other[1]).max(axis=2) > 8
    assert 0.01 < changed.mean() < 0.4
    assert not changed[:8].any()  # the wall above
    points = take(clean).keypoints(clean.camera, SMALL)
    assert np.array_equal(points, take(clean).keypoints(clean.camera, SMALL))
    assert points[..., :2].min() >= 0
    assert points[..., :2].max() <= 96


def test_the_bundled_clips_can_be_made_again_to_the_last_figure() -> None:
    for plan in list(plans("bundled", 7))[::31]:
        shot = take(plan.spec)
        with np.load(bundled() / "poses" / f"{clip_id(plan)}.npz") as held:
            np.testing.assert_allclose(held["joints3d"], shot.points[:, :17], rtol=0, atol=1e-6)
            np.testing.assert_allclose(held["keypoints"], shot.keypoints(plan.spec.camera, (256, 256)), rtol=1e-6)


def test_training_people_are_never_those_of_the_clips() -> None:
    shapes = {pool: {performer(pool, n).shape for n in range(40)} for pool in ("bundled", "recipe", "training")}
    assert not shapes["training"] & (shapes["bundled"] | shapes["recipe"])
    specs = list(sample_specs(seed=4, count=60, performers=4, exercises=["squat", "jack"], temporal=False))
    assert {spec.exercise for spec in specs} == {"squat", "jack"}
    assert not any(spec.fault.temporal for spec in specs)
    assert 0.3 < np.mean([spec.correct for spec in specs]) < 0.7
    again = sample_specs(seed=4, count=5, performers=4, exercises=["squat", "jack"], temporal=False)
    assert specs[:5] == list(again)
    with pytest.raises(BadInput, match="no exercise has an error 'heel_lifts'; did you mean 'heel_lift'"):
        list(sample_specs(seed=4, count=1, errors=["heel_lifts"]))


def test_the_large_recipe_spans_eight_levels_forty_trials_and_thirty_people() -> None:
    chosen = list(plans("standard", 7, exercises=["squat"], errors=["knees_inward"]))
    assert len(chosen) == LEVELS * TRIALS == 320
    assert len({plan.spec.performer.name for plan in chosen}) == PEOPLE == 30
    levels = sorted({plan.spec.severity for plan in chosen})
    assert len(levels) == 8
    assert levels[0] == 0
    assert levels[1] < 8 < levels[-1]


def test_score_halves_with_every_three_tolerances() -> None:
    fault = EXERCISES["squat"].error("knees_inward")
    assert [score(fault, n * fault.tolerance) for n in (0, 1, 3, 3.5)] == [10.0, 7.9, 5.0, 4.5]


def test_made_clips_are_a_data_set_that_reads_back(tmp_path: Path) -> None:
    folder = tmp_path / "set"
    chosen = plans("twins", 3, exercises=["squat"], errors=["weight_shift"], levels=[0, 8])
    assert make(folder, chosen, size=SMALL) == 6
    read = datasets.read("probe", folder)
    assert len(read.performances) == 6
    assert {p.severity["weight_shift"].value for p in read.performances} == {0, 8}
    assert {p.severity["weight_centred"].value for p in read.performances} == {0, 8}
    assert all(p.criteria["weight_centred"] == (p.severity["weight_shift"].value == 0) for p in read.performances)
    by_twin = {(p.tags.get("twin", "none"), p.severity["weight_shift"].value): p for p in read.performances}
    plain, mirrored, backwards = (by_twin[twin, 8] for twin in ("none", "mirrored", "reversed"))
    poses = {p.id: np.load(p.pose) for p in (plain, mirrored, backwards) if p.pose}
    for p in (plain, mirrored):
        together = np.concatenate([poses[p.id]["joints3d"], poses[p.id]["landmarks3d"]], axis=1)
        assert measure.severity("squat", "weight_shift", together, motions.CLIP_TIMES) == pytest.approx(8, abs=0.3)
    left = poses[plain.id]["keypoints"][:, 5, 0]
    np.testing.assert_allclose(96 - left, poses[mirrored.id]["keypoints"][:, 6, 0], atol=1e-3)
    np.testing.assert_array_equal(poses[plain.id]["angles"][::-1], poses[backwards.id]["angles"])
    [(start, end)] = plain.errors["weight_shift"] or ()
    assert backwards.errors["weight_shift"] == (pytest.approx((2.4 - end, 2.4 - start)),)
    sizes = {p.media.stat().st_size for p in read.performances}
    assert len(sizes) == 1


def test_conflict_sets_tell_both_stories_of_the_same_picture(tmp_path: Path) -> None:
    folder = tmp_path / "set"
    make(folder, plans("conflict", 3, exercises=["plank"], errors=["hips_high"], levels=[20]), size=SMALL)
    told = {p.tags["caption"]: p for p in datasets.read("probe", folder).performances}
    assert set(told) == {"true", "false"}
    assert told["true"].caption == "The hips rise above the line from shoulders to feet."
    assert told["false"].caption == "The hips do not rise above the line from shoulders to feet."
    assert told["true"].media.read_bytes() == told["false"].media.read_bytes()


def test_nothing_is_left_behind_when_a_clip_cannot_be_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(self: Path, data: bytes) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(BadInput, match=r"set cannot be written: No space left on device \(the disk is full\)"):
        make(tmp_path / "set", plans("families", 1, exercises=["plank"], errors=["sinking"], levels=[1]), size=SMALL)
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "used").mkdir()
    (tmp_path / "used" / "file").touch()
    with pytest.raises(BadInput, match="is there already and not an empty folder"):
        make(tmp_path / "used", [])


def test_clips_are_filled_up_to_one_size_whatever_they_show() -> None:
    still = np.full((6, 96, 96, 3), 120, dtype=np.uint8)
    noisy = np.random.default_rng(0).integers(0, 120, still.shape, dtype=np.uint8)
    assert len(padded_clip(still)) == len(padded_clip(noisy // 16 + still))


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--exercise", "squatt"], "no exercise is called 'squatt'; did you mean 'squat'?"),
        (["--exercise", "squat", "--error", "hip_sag"], "exercise 'squat' has no error 'hip_sag'"),
        (["--error", "hip_sagg"], "no exercise has an error 'hip_sagg'; did you mean 'hip_sag'?"),
        (["--exercise", "squat", "--error", "knees_inward", "--severity", "99"], "allowed: 0 to 28 deg"),
        (["--recipe", "standart"], "no recipe is called 'standart'; did you mean 'standard'?"),
        (["--size", "97"], "allowed: an even number"),
    ],
)
def test_what_cannot_be_made_is_one_line_and_exit_code_2(arguments: list[str], said: str, tmp_path: Path) -> None:
    command = [
        sys.executable,
        "-c",
        "from aqaudit.cli import main; main()",
        "probe",
        "make",
        "--out",
        str(tmp_path / "x"),
        *arguments,
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert said in done.stderr
    assert done.stderr.count("\n") == 1
    assert not (tmp_path / "x").exists()


def test_a_missing_extra_is_named_in_one_line(tmp_path: Path) -> None:
    code = (
        "import sys\nsys.modules['anny'] = None\nsys.argv = ['aqaudit', 'probe', 'make', '--out', sys.argv[1]]\n"
        "from aqaudit.cli import main\nmain()"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path / "x")], capture_output=True, text=True, check=False
    )
    assert done.returncode == 2
    assert "pip install 'aqaudit[probe]'" in done.stderr
    assert done.stderr.count("\n") == 1


def test_made_lines_are_json_with_the_keys_of_the_contract(tmp_path: Path) -> None:
    spec = a_spec("lunge", "knee_inward", 20)
    assert replace(spec, severity=0.0).correct
    folder = tmp_path / "set"
    make(folder, plans("families", 5, exercises=["lunge"], errors=["knee_inward"], levels=[20]), size=SMALL)
    [line] = [json.loads(text) for text in (folder / "clips.jsonl").read_text().splitlines()]
    assert line["severity"]["knee_inward"] == {"value": 20, "unit": "deg", "tolerance": 8}
    assert line["choices"] == {"error_shown": "The front knee falls inward of the foot."}
    assert 0 < line["errors"]["knee_inward"][0][0] < line["errors"]["knee_inward"][0][1] <= 2.4
