"""UI-PRMD: text files of motion capture become stick figures whose key points are where they are drawn."""

from __future__ import annotations

import gzip
import shutil
from pathlib import Path

import av
import numpy as np
import pytest

from aqaudit import datasets
from aqaudit.core.records import BadInput, Dataset, Performance
from aqaudit.datasets.readers.ui_prmd import executions_in
from aqaudit.datasets.readers.ui_prmd_bodies import MARKERS, PARENTS, kinect_body, look, numbers_of, vicon_body
from aqaudit.pose.coco17 import INDEX
from aqaudit.pose.sources import read_pose_file
from made_ui_prmd import kinect, put, release, vicon

ORIGINALS = "samples/skeleton_uiprmd/originals"


def read(root: Path, **options: object) -> Dataset:
    return datasets.read("ui_prmd", root, **options)


def pictures(one: Performance) -> list[np.ndarray]:
    with av.open(str(one.media)) as container:
        return [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]


def angle(a: np.ndarray, b: np.ndarray, c: np.ndarray) -> np.ndarray:
    u, v = a - b, c - b
    cosine = (u * v).sum(axis=-1) / np.linalg.norm(u, axis=-1) / np.linalg.norm(v, axis=-1)
    return np.degrees(np.arccos(np.clip(cosine, -1, 1)))


def test_executions_are_drawn_once_with_labels_pairs_and_people(tmp_path: Path) -> None:
    root = release(tmp_path / "data")
    found = read(root)
    assert not found.problems
    assert (found.allow_upload, found.show_frames) == (True, True)
    assert len(found.performances) == 4
    assert {(one.performer, one.criteria["performed_correctly"]) for one in found.performances} == {
        (person, correct) for person in ("s01", "s03") for correct in (True, False)
    }
    assert {one.action for one in found.performances} == {"deep squat"}
    # a pair is one family and in one split
    by_family: dict[str | None, set[str]] = {}
    for one in found.performances:
        by_family.setdefault(one.family, set()).add(one.split)
    assert len(by_family) == 2
    assert all(len(splits) == 1 for splits in by_family.values())
    assert {one.split for one in found.performances} == {"train", "test"}
    # beside the root, and not drawn again
    assert {one.media.parent for one in found.performances} == {tmp_path / "data-drawn/vicon"}
    times = [one.media.stat().st_mtime_ns for one in found.performances]
    again = read(root)
    assert [one.media.stat().st_mtime_ns for one in again.performances] == times


def test_no_name_of_a_clip_or_performance_tells_its_label(tmp_path: Path) -> None:
    found = read(release(tmp_path / "data"), camera="all")
    for one in found.performances:
        assert "inc" not in f"{one.id} {one.media.name} {one.family} {one.video} {one.tags}".replace("incline", "")
    assert len({one.id for one in found.performances}) == 8


def test_the_same_files_give_the_same_bytes_and_another_file_another_clip(tmp_path: Path) -> None:
    root = release(tmp_path / "data", people=(1,))
    one = read(root, cache=str(tmp_path / "a")).performances
    other = read(root, cache=str(tmp_path / "b")).performances
    for first, second in zip(one, other, strict=True):
        assert first.media.name == second.media.name
        assert first.media.read_bytes() == second.media.read_bytes()
        assert first.pose is not None
        assert second.pose is not None
        assert first.pose.read_bytes() == second.pose.read_bytes()
    put(root / "Segmented Movements/Vicon/Positions/m01_s01_e01_positions.txt", vicon(lift=100))
    changed = read(root, cache=str(tmp_path / "a")).performances
    assert {p.id for p in changed} == {p.id for p in one}
    assert len({p.media for p in changed} - {p.media for p in one}) == 1


def test_only_what_is_asked_for_is_drawn(tmp_path: Path) -> None:
    root = release(tmp_path / "data")
    test = read(root, split="test", camera="side", cache=str(tmp_path / "cache"))
    assert len(test.performances) == 2
    assert sorted(path.suffix for path in (tmp_path / "cache").rglob("*.*")) == [".mp4", ".mp4", ".npz", ".npz"]


@pytest.mark.parametrize("sensor", ["vicon", "kinect"])
def test_key_points_are_where_the_figure_is_drawn(sensor: str, tmp_path: Path) -> None:
    root = release(tmp_path / "data", people=(1,), sensors=sensor)
    blue, red = np.array([20, 90, 205]), np.array([210, 60, 30])
    for one in read(root, sensor=sensor, camera="all").performances:
        assert one.pose is not None
        pose = read_pose_file(one.pose)
        shown = pictures(one)
        assert (pose.fps, pose.width, pose.height) == (25, 480, 480)
        assert len(pose.points) == len(shown) == 10
        assert shown[0].shape == (480, 480, 3)
        for row, picture in zip(pose.points, shown, strict=True):
            for side, colour in (("left", blue), ("right", red)):
                ankle, knee = row[INDEX[f"{side}_ankle"]], row[INDEX[f"{side}_knee"]]
                x, y = (0.5 * (ankle + knee))[:2]
                # legs may cover each other from the side: some of one colour is there all the same
                near = picture[int(y) - 3 : int(y) + 4, int(x) - 3 : int(x) + 4].reshape(-1, 3).astype(int)
                distance = min(
                    np.abs(near - c).sum(axis=1).min()
                    for c in ((colour,) if one.tags["camera"] == "front" else (blue, red))
                )
                assert distance < 120, (one.tags, side)


def test_in_front_the_person_faces_the_viewer_and_from_the_side_to_the_right() -> None:
    body = vicon_body(vicon())
    for turn in (0, 37, 90, 200):  # whatever way the person faced in the room
        angle_ = np.radians(turn)
        matrix = np.array([[np.cos(angle_), -np.sin(angle_), 0], [np.sin(angle_), np.cos(angle_), 0], [0, 0, 1]])
        turned = vicon_body((vicon().reshape(-1, 39, 3) @ matrix.T).reshape(-1, 117))
        front, side = look(turned, "front"), look(turned, "side")
        assert (front.joints[:, INDEX["left_shoulder"], 0] > front.joints[:, INDEX["right_shoulder"], 0]).all()
        # lifted knee comes forward: towards the viewer in front, to the right from the side
        up = int(np.argmin(front.joints[:, INDEX["left_knee"], 1]))
        assert front.joints[up, INDEX["left_knee"], 2] > front.joints[up, INDEX["right_knee"], 2] + 200
        assert side.joints[up, INDEX["left_knee"], 0] > side.joints[up, INDEX["right_knee"], 0] + 30
        assert side.joints[up, INDEX["right_knee"], 2] > side.joints[up, INDEX["left_knee"], 2]
        assert np.allclose(look(body, "front").joints[..., :2], front.joints[..., :2], atol=1e-6)
    metres = look(body, "front").metres
    # 1.3 m from the feet to the shoulders' markers, whatever the size in pixels
    assert metres[0, INDEX["left_shoulder"], 1] == pytest.approx(1.36)
    assert metres[0, INDEX["left_shoulder"], 0] - metres[0, INDEX["right_shoulder"], 0] == pytest.approx(0.36)


def test_everything_drawn_lies_within_the_picture(shared_data: Path) -> None:
    for sensor in ("vicon", "kinect"):
        executions, _, _ = executions_in(shared_data / ORIGINALS, sensor)
        for one in executions:
            body = (
                vicon_body(numbers_of(one.positions, 117))
                if one.angles is None
                else kinect_body(numbers_of(one.positions, 66), numbers_of(one.angles, 66))
            )
            for camera in ("front", "side"):
                for points in look(body, camera).points.values():
                    assert points[:, :2].min() > 0
                    assert points[:, :2].max() < 480


def test_the_real_executions_are_paired_and_can_all_be_read(shared_data: Path) -> None:
    report = datasets.check("ui_prmd", shared_data / ORIGINALS)
    found = {count.what: (count.found, count.published) for count in report.counts}
    for sensor in ("vicon", "kinect"):
        assert found[f"{sensor}: movements"] == (10, 10)
        assert found[f"{sensor}: correct"] == found[f"{sensor}: incorrect"] == (20, 1000)
        assert found[f"{sensor}: executions that can be read"] == (40, None)
    assert not report.problems


def test_joints_of_the_real_markers_agree_with_what_was_measured_on_them(shared_data: Path) -> None:
    """The samples' labels hold peak knee flexion, measured by others from pelvis, knee and ankle markers."""
    import json

    labels = [
        json.loads(line) for line in (shared_data / "samples/skeleton_uiprmd/labels.jsonl").read_text().splitlines()
    ]
    ours, theirs = [], []
    for one in labels:
        body = vicon_body(
            numbers_of(shared_data / "samples/skeleton_uiprmd" / one["originals"]["vicon_positions"]["file"], 117)
        )
        for side in ("left", "right"):
            hip, knee, ankle = (body.joints[:, INDEX[f"{side}_{name}"]] for name in ("hip", "knee", "ankle"))
            ours.append(float((180 - angle(hip, knee, ankle)).max()))
            theirs.append(one["derived_kinematics"][f"max_knee_flexion_deg_{side}"])
    assert np.corrcoef(ours, theirs)[0, 1] > 0.99
    assert np.median(np.abs(np.subtract(ours, theirs))) < 8  # their hips are pelvis markers


def test_kinect_put_together_from_its_angles_is_the_person_that_vicon_saw(shared_data: Path) -> None:
    root = shared_data / ORIGINALS
    seen = {(one.pair, one.correct): one for one in executions_in(root, "vicon")[0]}
    times = np.linspace(0, 1, 40)
    apart = []
    knees = []
    for one in executions_in(root, "kinect")[0]:
        assert one.angles is not None
        theirs = vicon_body(numbers_of(seen[one.pair, one.correct].positions, 117))
        ours = kinect_body(numbers_of(one.positions, 66), numbers_of(one.angles, 66))
        series = []
        for body in (theirs, ours):
            places = look(body, "front").metres
            rows = np.round(times * (len(places) - 1)).astype(int)
            series.append(places[rows])
        for side in ("left", "right"):
            for a, b in (("hip", "knee"), ("knee", "ankle")):
                limbs = [one_[:, INDEX[f"{side}_{b}"]] - one_[:, INDEX[f"{side}_{a}"]] for one_ in series]
                apart.append(angle(limbs[0], np.zeros(3), limbs[1]).mean())
            bent = [angle(*(s[:, INDEX[f"{side}_{name}"]] for name in ("hip", "knee", "ankle"))) for s in series]
            if np.ptp(bent[0]) > 25:
                knees.append(np.corrcoef(bent[0], bent[1])[0, 1])
    assert np.mean(apart) < 14  # degrees: 12.3; 20.6 with the order of turns of the data set's own script
    assert np.median(knees) > 0.95


def test_forward_kinematics_is_that_of_a_hand_calculation() -> None:
    positions, angles = kinect(frames=3)
    body = kinect_body(positions, angles)
    # half way the left thigh points 60 degrees forward, the shank hangs down; y is up, x to the left, z ahead
    hip = np.array([80.0, 2400.0, 920.0])  # millimetres: x, -z ahead, height
    knee = hip + np.array([0, -410 * np.sin(np.radians(60)), -410 * np.cos(np.radians(60))])
    assert body.joints[1, INDEX["left_hip"]] == pytest.approx(hip)
    assert body.joints[1, INDEX["left_knee"]] == pytest.approx(knee)
    assert body.joints[1, INDEX["left_ankle"]] == pytest.approx(knee - [0, 0, 370])
    # arms hang down
    shoulder = body.joints[0, INDEX["left_shoulder"]]
    assert body.joints[0, INDEX["left_elbow"]] == pytest.approx(shoulder - [0, 0, 300])
    assert body.sure[INDEX["left_eye"]] == 0
    assert len(PARENTS) == 22


def test_a_marker_that_was_lost_makes_its_joint_unknown() -> None:
    numbers = vicon().reshape(-1, 39, 3)
    numbers[5, MARKERS.index("LKNE")] = 0
    body = vicon_body(numbers.reshape(-1, 117))
    assert body.sure[INDEX["left_knee"]] == 0
    assert body.sure[INDEX["right_knee"]] == 1
    assert "left_knee" not in look(body, "front").points


@pytest.mark.parametrize("layout", ["packed", "side by side"])
def test_files_may_be_packed_and_may_lie_side_by_side(layout: str, tmp_path: Path) -> None:
    root = release(tmp_path / "made", people=(1,), sensors="vicon kinect")
    other = tmp_path / "data"
    for file in list(root.rglob("*.txt")):
        sensor, what = file.parts[-3:-1]
        packed = {
            "packed": other / f"{file.relative_to(root)}.gz",
            "side by side": other / f"{sensor}_{what}__{file.name}.gz".lower(),
        }[layout]
        packed.parent.mkdir(parents=True, exist_ok=True)
        packed.write_bytes(gzip.compress(file.read_bytes()))
    for sensor in ("vicon", "kinect"):
        found = read(other, sensor=sensor, cache=str(tmp_path / "cache"))
        assert {one.criteria["performed_correctly"] for one in found.performances} == {True, False}
        assert not found.problems


def test_any_other_layout_is_refused_and_says_where_files_belong(tmp_path: Path) -> None:
    root = release(tmp_path / "data", people=(1,))
    (tmp_path / "Segmented Movements.zip").touch()
    with pytest.raises(
        BadInput,
        match=r"no files such as Segmented Movements/Vicon/Pos.*unpack Segmented Movements\.zip first",
    ):
        read(root.parent)


def test_odd_files_are_listed(tmp_path: Path) -> None:
    root = release(tmp_path / "data", people=(1,), sensors="vicon kinect")
    at = root / "Incorrect Segmented Movements"
    put(at / "Vicon/Positions/m01_s01_e02_positions.txt", vicon())
    put(at / "Vicon/Positions/m12_s01_e01_positions_inc.txt", vicon())
    problems = " / ".join(datasets.check("ui_prmd", root).problems)
    assert "lies among incorrect ones, its name is of a correct one; kept so" in problems
    assert "there is no movement m12; left out" in problems
    assert "vicon m01_s01_e02: only one of its two executions is here" in problems
    (at / "Kinect/Angles/m01_s01_e01_angles_inc.txt").unlink()
    with pytest.raises(BadInput, match=r"lacks the angles of 1 of 2 executions of Kinect.*has no file of angles"):
        read(root, sensor="kinect")
    found = read(root, sensor="kinect", partial=True)
    assert len(found.performances) == 1
    assert any("has no file of angles" in problem for problem in found.problems)


@pytest.mark.parametrize(
    ("raw", "part"),
    [
        (b"1,2,3\n4,5,6\n", "2 x 3 numbers; allowed: two or more lines of 117"),
        (b"1,2,x\n", "not lines of numbers"),
        (b"\n \n", "holds no numbers"),
        (b"\xff\xfe1,2", "not lines of numbers"),
        (b",".join([b"nan"] * 117) + b"\n" + b",".join([b"1"] * 117), "117 finite numbers"),
    ],
)
def test_a_malformed_file_is_one_message_with_its_path(raw: bytes, part: str, tmp_path: Path) -> None:
    root = release(tmp_path / "data", people=(1,))
    path = root / "Segmented Movements/Vicon/Positions/m01_s01_e01_positions.txt"
    path.write_bytes(raw)
    with pytest.raises(BadInput) as caught:
        read(root)
    assert str(caught.value).startswith(str(path))
    assert part in str(caught.value)
    assert any(part in problem for problem in datasets.check("ui_prmd", root).problems)
    assert not list((tmp_path / "data-drawn").rglob("*.part"))


def test_packed_files_are_bounded_and_may_be_damaged(tmp_path: Path) -> None:
    root = tmp_path / "data"
    path = root / "vicon_positions__m01_s01_e01_positions.txt.gz"
    path.parent.mkdir()
    path.write_bytes(gzip.compress(b"0," * (40 << 20)))
    with pytest.raises(BadInput, match="has over 64 MB"):
        read(root)
    path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(BadInput, match="cannot be read"):
        read(root)


def test_missing_data_and_wrong_options_are_explained(tmp_path: Path) -> None:
    with pytest.raises(
        BadInput, match=r"holds no segmented movements of UI-PRMD.*m01_s01_e01_positions\.txt.*public domain"
    ):
        datasets.check("ui_prmd", tmp_path)
    root = release(tmp_path / "data", people=(1,))
    with pytest.raises(BadInput, match="holds no segmented movements of UI-PRMD by kinect"):
        read(root, sensor="kinect")
    with pytest.raises(BadInput, match="camera of reader 'ui_prmd' is 'back'; allowed: front, side"):
        read(root, camera="back")
    with pytest.raises(BadInput, match="cache of reader 'ui_prmd' is 3"):
        read(root, cache=3)
    (tmp_path / "file").touch()
    with pytest.raises(BadInput, match=r"cannot be written.*cache = "):
        read(root, cache=str(tmp_path / "file"))
    shutil.rmtree(root / "Incorrect Segmented Movements")
    assert len(read(root).performances) == 1
