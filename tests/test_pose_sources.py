"""Pose files of several makers come out as the same joints; files that are not what they say are named."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path

import numpy as np
import pytest

from aqaudit.core.records import BadInput
from aqaudit.pose.coco17 import FROM_MHR70, JOINTS, cleaned, linked, performer
from aqaudit.pose.sources import read_pose_file

RNG = np.random.default_rng(4)
# The 70 key points of SAM 3D Body by its own metadata: body, feet, then hands; the wrists come last of each hand.
MHR70 = (
    "nose left_eye right_eye left_ear right_ear left_shoulder right_shoulder left_elbow right_elbow left_hip right_hip "
    "left_knee right_knee left_ankle right_ankle left_big_toe left_small_toe left_heel right_big_toe right_small_toe "
    "right_heel"
).split()
MHR70 += [f"right_hand_{n}" for n in range(20)] + ["right_wrist"] + [f"left_hand_{n}" for n in range(20)]
MHR70 += ["left_wrist"] + [f"body_{n}" for n in range(7)]


def people(frames: int) -> np.ndarray:
    points = RNG.uniform(50, 400, (frames, 17, 3)).astype(np.float32)
    points[..., 2] = RNG.uniform(0.5, 1, (frames, 17))
    return points


def test_a_keypoint_file_comes_back_as_it_was(tmp_path):
    points = people(5)
    points[2, 3] = np.nan
    space = RNG.normal(size=(5, 17, 3)).astype(np.float32)
    np.savez(tmp_path / "a.npz", keypoints=points, fps=25.0, width=640, height=480, joints3d=space)
    found = read_pose_file(tmp_path / "a.npz")
    assert (found.fps, found.width, found.height) == (25.0, 640, 480)
    assert np.array_equal(found.points, cleaned(points), equal_nan=True)
    assert found.points[2, 3, 2] == 0
    assert np.array_equal(found.joints3d, space)
    np.savez(tmp_path / "b.npz", keypoints=points[..., :2])
    assert (read_pose_file(tmp_path / "b.npz").points[0, :, 2] == 1).all()


def test_sam_3d_body_is_mapped_by_index_and_its_names_are_checked(tmp_path):
    flat = RNG.uniform(0, 500, (4, 70, 2)).astype(np.float32)
    space = RNG.normal(size=(4, 70, 3)).astype(np.float32)
    assert [MHR70[n] for n in FROM_MHR70] == list(JOINTS)
    given = {"pred_keypoints_2d": flat, "pred_keypoints_3d": space, "width": 500, "height": 500}
    np.savez(tmp_path / "a.npz", **given, keypoint_names=np.array(MHR70))
    found = read_pose_file(tmp_path / "a.npz")
    assert np.array_equal(found.points[..., :2], flat[:, FROM_MHR70])
    # a camera's y is down and z away from it
    assert np.allclose(found.joints3d, space[:, FROM_MHR70] * (1, -1, -1))
    other = [*MHR70]
    other[41], other[62] = other[62], other[41]
    np.savez(tmp_path / "b.npz", **given, keypoint_names=np.array(other))
    with pytest.raises(BadInput, match=r"b\.npz: its key point 62 is 'right_wrist', but 'left_wrist' was expected"):
        read_pose_file(tmp_path / "b.npz")
    frames = [
        [{"pred_keypoints_2d": f.tolist(), "pred_keypoints_3d": s.tolist()}] for f, s in zip(flat, space, strict=True)
    ]
    info = {str(n): {"name": name, "id": n} for n, name in enumerate(MHR70)}
    for value in (frames, {"frames": frames, "pose_info": {"keypoint_info": info}}, {"frames": [f[0] for f in frames]}):
        (tmp_path / "c.json").write_text(json.dumps(value))
        same = read_pose_file(tmp_path / "c.json")
        assert np.allclose(same.points[..., :2], flat[:, FROM_MHR70])
        assert np.allclose(same.joints3d, found.joints3d)
    (tmp_path / "d.json").write_text(json.dumps({"frames": [frames[0], [], frames[2]]}))
    gap = read_pose_file(tmp_path / "d.json").points
    assert np.isnan(gap[1, :, :2]).all()
    assert (gap[1, :, 2] == 0).all()


def test_coco_files_keep_the_numbering_of_their_frames(tmp_path):
    points = people(3)
    entries = [{"image_id": n, "keypoints": p.ravel().tolist()} for n, p in zip((7, 8, 10), points, strict=True)]
    (tmp_path / "results.json").write_text(json.dumps(entries))
    found = read_pose_file(tmp_path / "results.json").points
    assert len(found) == 4
    assert np.isnan(found[2, :, :2]).all()
    assert np.allclose(found[3], points[2])
    flagged = points.copy()
    flagged[..., 2] = 2
    flagged[:, 4, 2] = 1
    flagged[:, 5, 2] = 0
    images = [{"id": n, "width": 640, "height": 480} for n in range(4)]
    notes = [{"image_id": n, "keypoints": p.ravel().tolist()} for n, p in enumerate(flagged)]
    (tmp_path / "truth.json").write_text(json.dumps({"images": images, "annotations": notes}))
    found = read_pose_file(tmp_path / "truth.json")
    assert len(found.points) == 4
    assert (found.width, found.height) == (640, 480)
    assert found.points[0, 3:6, 2].tolist() == [1.0, 0.5, 0.0]
    assert np.isnan(found.points[0, 5, 0])


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("a.npz", b"not an archive", "is not an npz file"),
        ("a.json", b"{", "is not JSON"),
        ("a.json", b"\xff\xfe", "is not JSON"),
        ("a.json", b"[" * 100_000, "is not JSON"),
        ("a.json", b"{}", "neither COCO key points"),
        ("a.json", b'{"annotations": [{"keypoints": []}]}', "entry 0 has no image_id"),
        ("a.json", b'{"annotations": [{"image_id": 1, "keypoints": [1, 2]}]}', "is not 51 numbers"),
        ("a.json", b'[{"image_id": 1, "keypoints": null}]', "is not 51 numbers"),
        ("a.json", b'[[{"pred_keypoints_2d": [[1, 2]]}]]', "needed: T x 70 x 2"),
        ("a.json", b'[[{"bbox": [1, 2]}]]', "without pred_keypoints_2d"),
        ("a.json", b'[{"image_id": 1, "keypoints": []}, {"image_id": 900000000, "keypoints": []}]', "51 numbers"),
    ],
)
def test_what_is_no_pose_file_is_named(name, content, says, tmp_path):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(BadInput, match=says) as raised:
        read_pose_file(tmp_path / name)
    assert str(tmp_path / name) in str(raised.value)
    assert "\n" not in str(raised.value)


def test_wrong_arrays_pickles_and_bombs_are_refused(tmp_path):
    path = tmp_path / "a.npz"
    np.savez(path, keypoints=np.zeros((3, 16, 3)))
    with pytest.raises(BadInput, match="keypoints is 3 x 16 x 3; needed: T x 17 x 2 or T x 17 x 3"):
        read_pose_file(path)
    np.savez(path, keypoints=np.array([{"a": 1}], dtype=object))
    with pytest.raises(BadInput, match="is not an npz file of plain arrays"):
        read_pose_file(path)
    np.savez(path, other=np.zeros(3))
    with pytest.raises(BadInput, match="holds other; needed: keypoints"):
        read_pose_file(path)
    np.savez(path, keypoints=np.zeros((3, 17, 3)), width=-4)
    with pytest.raises(BadInput, match="width is -4; allowed"):
        read_pose_file(path)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("keypoints.npy", bytes(600 * 2**20))
    with pytest.raises(BadInput, match="unpacks to over 512 MB"):
        read_pose_file(path)
    with pytest.raises(BadInput, match="cannot be read"):
        read_pose_file(Path("nowhere.npz"))


def moving(start: float, step: float, size: float, frames: int = 20) -> np.ndarray:
    shape = RNG.uniform(0, 1, (17, 2)) * (0.4, 1) * size
    points = np.ones((frames, 17, 3), np.float32) * 0.9
    for row in range(frames):
        points[row, :, :2] = shape + np.array([start + row * step, 300 - size / 2])
    return points


def test_the_performer_is_followed_among_people_whose_order_changes():
    athlete, coach = moving(300, 4, 300), moving(40, 0, 280)
    frames, truth = [], []
    for row in range(20):
        both = [athlete[row], coach[row]] if row % 3 else [coach[row], athlete[row]]
        frames.append(np.array(both))
        truth.append(0 if row % 3 else 1)
    frames[8] = np.array([coach[8]])
    truth[8] = None
    frames[12] = np.zeros((0, 17, 3), np.float32)
    truth[12] = None
    assert performer(frames, 800, 600) == truth
    assert len(linked(frames)) == 2


def test_nobody_in_view_is_nobody():
    assert performer([np.zeros((0, 17, 3), np.float32)] * 3) == [None, None, None]
    assert performer([]) == []
