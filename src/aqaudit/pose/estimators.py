"""Estimators: models that find joints in pictures, by name, as one interface."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, Protocol

from aqaudit.records import BadInput, nearest

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy as np
    from numpy.typing import NDArray

    from aqaudit.pose.keypoints import Points


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


#: The estimators by name.
ESTIMATORS: tuple[str, ...] = ("mediapipe", "movenet")


def open_estimator(name: str) -> Estimator:
    """Return an estimator by name; what it needs is checked, not loaded.

    Raises
    ------
    BadInput
        The name is not known, the library is missing or of another version, or no model file can be found.
    """
    if name == "mediapipe":
        from aqaudit.pose.mediapipe import MediaPipe  # noqa: PLC0415 - a model of its own is loaded when it is used

        return MediaPipe()
    if name == "movenet":
        from aqaudit.pose.movenet import MoveNet  # noqa: PLC0415 - as above

        return MoveNet()
    raise BadInput(f"pose estimator '{name}' is not known{nearest(name, ESTIMATORS)}")
