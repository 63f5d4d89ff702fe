"""Pose models: weights are verified wherever they come from; two independent models agree on real people."""

from __future__ import annotations

import hashlib
import json
import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from aqaudit.core.records import BadInput
from aqaudit.media.clip import opened
from aqaudit.media.poses import Poses, estimated
from aqaudit.media.source import SourceCache
from aqaudit.pose import estimators
from aqaudit.pose.coco17 import FROM_BLAZEPOSE, Keypoints, cleaned, person_sizes
from aqaudit.pose.estimators import BLAZEPOSE, LIGHTNING, Estimator, ModelFile, open_estimator, square_around
from aqaudit.pose.kinematics import kinematics
from media_clips import performance
from servers import LoopbackServer, Send

CONTENT = b"weights of a model" * 1000
FILE = ModelFile(
    name="tiny.task",
    size=len(CONTENT),
    sha256=hashlib.sha256(CONTENT).hexdigest(),
    variable="AQAUDIT_TINY_MODEL",
    packages=(("no_such_package", "tiny.task"),),
)


def served(body: bytes):
    return LoopbackServer(lambda _: Send(body=body))


def test_weights_come_from_where_the_variable_says_and_only_if_they_are_the_right_ones(tmp_path, monkeypatch):
    path = tmp_path / "mine.task"
    monkeypatch.setenv("AQAUDIT_TINY_MODEL", str(path))
    path.write_bytes(CONTENT)
    assert FILE.path() == path
    path.write_bytes(CONTENT[:-1] + b"x")
    with pytest.raises(BadInput, match=r"AQAUDIT_TINY_MODEL: .*mine\.task is not tiny\.task with sha256"):
        FILE.path()


def test_weights_are_downloaded_once_verified_and_kept(tmp_path, monkeypatch):
    monkeypatch.setenv("AQAUDIT_CACHE", str(tmp_path))
    with served(CONTENT) as server:
        path = replace(FILE, url=f"{server.url}/tiny.task").path()
        assert path.read_bytes() == CONTENT
        assert FILE.path() == path
    for body in (CONTENT[:-1], CONTENT + b"more", b"x" * len(CONTENT)):
        path.unlink(missing_ok=True)
        with served(body) as server, pytest.raises(BadInput, match=r"is not tiny\.task with sha256"):
            replace(FILE, url=f"{server.url}/tiny.task").path()
        assert [p for p in tmp_path.rglob("*") if p.is_file()] == []
    with pytest.raises(
        BadInput, match=r"tiny\.task cannot be fetched from http://127\.0\.0\.1:9/ .*AQAUDIT_TINY_MODEL"
    ):
        replace(FILE, url="http://127.0.0.1:9/").path()
    with pytest.raises(BadInput, match=r"tiny\.task is not on this machine: install no_such_package"):
        FILE.path()


def test_another_version_of_mediapipe_is_refused(monkeypatch):
    monkeypatch.setattr(estimators.metadata, "version", lambda _: "0.10.35")
    with pytest.raises(BadInput, match=r"mediapipe 0\.10\.35 is installed; used is 0\.10\.33 exactly"):
        open_estimator("mediapipe")


@pytest.fixture(scope="module")
def models() -> dict[str, Estimator]:
    """The two real models; the tests that need them are skipped where a model or a system library is missing."""
    made, required = {}, "pose" in os.environ.get("AQAUDIT_REQUIRE", "")
    for name, file in (("mediapipe", BLAZEPOSE), ("movenet", LIGHTNING)):
        places = [Path(given)] if (given := os.environ.get(file.variable)) else file.places()
        if not any(place.is_file() for place in places) and not required:
            pytest.skip(f"no pose models here: {file.name}")
        try:
            made[name] = open_estimator(name)
            made[name].begin()(np.zeros((64, 64, 3), np.uint8))
        except BadInput as error:
            if required:
                raise
            pytest.skip(f"no pose models here: {error}")
    return made


@pytest.fixture(scope="module")
def squats(shared_data: Path, models: dict[str, Estimator]) -> Keypoints:
    clip = opened(performance(shared_data / "samples" / "rgb_video" / "pose_squats.mp4"))
    return estimated(clip, models["mediapipe"])


def test_the_knee_angle_of_the_real_squats_follows_the_shipped_landmarks(squats, shared_data):
    shipped = np.array(json.loads((shared_data / "samples" / "rgb_video" / "pose_squats.full.json").read_text()))
    shipped = shipped[:, FROM_BLAZEPOSE].copy()
    shipped[..., 2] = 1
    truth = Keypoints(points=cleaned(shipped), times_s=squats.times_s, width=720, height=1280)
    for side in ("left", "right"):
        name = f"knee_angle_{side}"
        off = np.abs(kinematics(squats)[name].values - kinematics(truth)[name].values)
        assert np.isfinite(off).all()
        assert np.median(off) < 10
    assert (squats.width, squats.height) == (720, 1280)
    assert squats.joints3d is not None
    # in space y points up: the head is above the hips
    assert (squats.joints3d[:, 0, 1] > squats.joints3d[:, 11, 1]).all()


def test_movenet_agrees_with_mediapipe_on_mediapipes_box(squats, models, shared_data):
    clip = opened(performance(shared_data / "samples" / "rgb_video" / "pose_squats.mp4"))
    rows = range(0, 65, 8)
    off = []
    for at, still in clip.stills(list(rows)):
        theirs = squats.points[at]
        square = square_around(theirs)
        assert square is not None
        ours = models["movenet"].within(still.whole(), square)  # type: ignore[attr-defined]
        good = (ours[:, 2] >= 0.3) & (theirs[:, 2] >= 0.3)
        height = float(np.ptp(theirs[:, 1]))
        off.extend(np.linalg.norm(ours[good, :2] - theirs[good, :2], axis=1) / height)
    assert len(off) > 100
    assert np.median(off) < 0.05


def test_movenet_alone_finds_and_follows_the_performer(squats, models, shared_data):
    clip = opened(performance(shared_data / "samples" / "rgb_video" / "pose_squats.mp4", last_frame=12))
    found = estimated(clip, models["movenet"])
    off = np.linalg.norm(found.points[..., :2] - squats.points[:12, :, :2], axis=2)
    assert np.nanmedian(off) < 0.06 * np.median(person_sizes(squats.points))


def test_an_estimate_is_made_once_and_nobody_is_a_gap(models, tmp_path, monkeypatch):
    from PIL import Image

    folder = tmp_path / "frames"
    folder.mkdir()
    for number in range(3):
        Image.new("RGB", (160, 120), (90, 120, 60)).save(folder / f"{number + 1:04d}.png")
    one = performance(folder, fps=5)
    poses = Poses(SourceCache(tmp_path / "c.sqlite"), "mediapipe", tmp_path / "poses")
    first = poses(one, opened(one))
    assert np.isnan(first.points[..., :2]).all()
    assert len(first) == 3
    monkeypatch.setattr("aqaudit.media.poses.estimated", lambda *_: pytest.fail("it was estimated again"))
    again = poses(one, opened(one))
    assert np.array_equal(first.points, again.points, equal_nan=True)
    assert poses.identity(one) == "mediapipe-0.10.33/4eaa5eb7a983/1"
