"""A pose model that has seen people only finds the joints of rendered people where they exactly are."""

from __future__ import annotations

import os

import numpy as np
import pytest

pytest.importorskip("anny", reason="making probe clips needs the extra 'probe'")
pytest.importorskip("warp", reason="making probe clips needs the extra 'probe'")

from aqaudit.core.records import BadInput
from aqaudit.pose.estimators import open_estimator
from aqaudit.probe import scene
from aqaudit.probe.casting import generator, performer, style
from aqaudit.probe.scene import Spec, body_of, camera_for, render, take


def test_exact_keypoints_agree_with_a_pose_model_on_front_and_side_views() -> None:
    try:
        find = open_estimator("mediapipe").begin()
    except BadInput as error:
        if "pose" in os.environ.get("AQAUDIT_REQUIRE", "").split(","):
            pytest.fail(str(error))
        pytest.skip(str(error))
    person = performer("recipe", 2)
    tall = float(body_of(person).vertices[:, 1].max())
    off: dict[float, list[np.ndarray]] = {8.0: [], 86.0: []}
    for azimuth, seen in off.items():
        for exercise, error in (("squat", "knees_inward"), ("raise", "uneven_arms")):
            draw = generator("pose test", exercise)
            camera = camera_for(person, exercise, azimuth, 1.1, 1.5)
            spec = Spec(
                exercise=exercise,
                error=error,
                severity=20.0,
                performer=person,
                style=style(draw),
                camera=camera,
                place=scene.place(draw),
                lamp=scene.lamp(draw),
            )
            shot = take(spec).at([0.8, 1.4])
            exact = shot.keypoints(camera, (384, 384))[..., :2]
            for picture, truth in zip(render(spec, shot, (384, 384)), exact, strict=True):
                [points] = find(picture).points
                pixels = tall * camera.focal * 384 / camera.distance
                away = np.linalg.norm(points[:, :2] - truth, axis=1) / pixels
                seen.append(away[points[:, 2] >= 0.5])
    for seen in off.values():
        assert np.median(np.concatenate(seen)) < 0.06
