"""Pose as text: joint angles and distances at the sampled moments, compact enough for a prompt."""

from __future__ import annotations

import hashlib
import os
import threading
import uuid
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import numpy as np

from aqaudit.core.records import BadInput, Performance, PoseSource
from aqaudit.media.clip import Clip, opened
from aqaudit.media.mask import hidden
from aqaudit.media.source import SourceCache
from aqaudit.media.video import MediaError
from aqaudit.pose.coco17 import Keypoints, cleaned, performer, smoothed
from aqaudit.pose.estimators import Estimator, open_estimator
from aqaudit.pose.kinematics import kinematics
from aqaudit.pose.sources import read_pose_file

#: Longer side in pixels of the pictures that joints are estimated in.
_SIDE = 1280


class Poses:
    """Finds the joints of performances; one for a run, used from any number of threads.

    ``source`` says where they come from: ``auto`` takes a performance's own file and estimates where there is none.
    ``folder`` is where estimates are kept: by default ``poses`` in the folder ``AQAUDIT_CACHE``, or in
    ``~/.cache/aqaudit``.
    """

    def __init__(self, sources: SourceCache, source: PoseSource = "auto", folder: Path | None = None) -> None:
        self._sources, self._source = sources, source
        cache = os.environ.get("AQAUDIT_CACHE")
        self._folder = folder or (Path(cache) if cache else Path.home() / ".cache" / "aqaudit") / "poses"
        self._lock = threading.Lock()
        self._estimator: Estimator | None = None

    def identity(self, performance: Performance) -> str:
        """Say what the joints of a performance come from, for answer keys: a file by its hash, or a model's version.

        Raises
        ------
        BadInput
            There is neither a file nor a model for it.
        """
        pose = self._file(performance)
        if pose is not None:
            try:
                return "file:" + self._sources.content_hash(replace(performance, media=pose))
            except BadInput as error:
                raise BadInput(f"{error} (its keypoints)") from None
        return self._model(performance).id

    def __call__(self, performance: Performance, clip: Clip) -> Keypoints:
        """Return the joints at every frame of a clip's window.

        Raises
        ------
        BadInput
            The file does not fit the clip, or there is neither a file nor a model.
        MediaError
            The clip cannot be decoded.
        """
        pose = self._file(performance)
        if pose is not None:
            return _from_file(pose, clip)
        estimator = self._model(performance)
        path = self._path(performance, clip, estimator)
        known = _kept(path, clip)
        if known is None:
            known = estimated(clip, estimator)
            _keep(path, known)
        return smoothed(known)

    @property
    def estimates(self) -> Path | None:
        """Folder where estimates are kept, None where so far no performance needs one."""
        return None if self._estimator is None else self._folder

    def at_hand(self, performance: Performance) -> Keypoints | None:
        """Return the joints of a performance where they cost no estimation: from a file or an earlier estimate.

        Their times are from the start of the performance, as a model is shown it.
        """
        if performance.pose is None and self._estimator is None:
            return None
        clip = opened(performance)
        pose = self._file(performance)
        if pose is not None:
            known: Keypoints | None = _from_file(pose, clip)
        elif self._estimator is not None:
            known = _kept(self._path(performance, clip, self._estimator), clip)
            known = None if known is None else smoothed(known)
        else:
            known = None
        return None if known is None else replace(known, times_s=np.maximum(0.0, known.times_s - clip.part.start_s))

    def _file(self, performance: Performance) -> Path | None:
        if self._source == "file" and performance.pose is None:
            raise BadInput(
                f"performance '{performance.id}': has no file of keypoints, and pose = \"file\" allows no estimate; "
                f"put poses/{performance.id}.npz into the data set"
            )
        return performance.pose if self._source in {"auto", "file"} else None

    def _model(self, performance: Performance) -> Estimator:
        with self._lock:
            if self._estimator is None:
                try:
                    self._estimator = open_estimator("mediapipe" if self._source == "auto" else self._source)
                except BadInput as error:
                    raise BadInput(
                        f"performance '{performance.id}': has no file of keypoints (poses/{performance.id}.npz), and "
                        f"{error}"
                    ) from None
            return self._estimator

    def _path(self, performance: Performance, clip: Clip, estimator: Estimator) -> Path:
        source = self._sources.content_hash(performance)
        what = f"{source} {clip.part.first} {clip.part.last} {clip.rotate} {estimator.id}"
        name = hashlib.sha256(what.encode()).hexdigest()
        return self._folder / name[:2] / f"{name}.npz"


def estimated(clip: Clip, estimator: Estimator) -> Keypoints:
    """Estimate the joints of the performer at every frame of a clip's window; what is masked is seen for this.

    Raises
    ------
    MediaError
        The clip cannot be decoded.
    """
    find = estimator.begin()
    people, in_space, size = [], [], (0, 0)
    for _, still in clip.stills(clip.positions, masked=False):
        found = find(still.scaled(*still.fitted(_SIDE)))
        width, height = still.fitted(_SIDE)
        scale = np.array([still.width / width, still.height / height, 1.0], dtype=np.float32)
        people.append(found.points * scale)
        in_space.append(found.joints3d)
        size = still.width, still.height
    chosen = performer(people, *size)
    points = np.full((len(people), 17, 3), np.nan, dtype=np.float32)
    joints3d = np.full((len(people), 17, 3), np.nan, dtype=np.float32)
    for row, who in enumerate(chosen):
        if who is not None:
            points[row] = people[row][who]
            spatial = in_space[row]
            if spatial is not None:
                joints3d[row] = spatial[who]
    return Keypoints(
        points=cleaned(points),
        times_s=clip.times_s[clip.part.first : clip.part.last + 1],
        width=size[0],
        height=size[1],
        joints3d=joints3d if np.isfinite(joints3d).any() else None,
    )


def _from_file(path: Path, clip: Clip) -> Keypoints:
    held = read_pose_file(path)
    if len(held.points) != len(clip.times_s):
        raise BadInput(
            f"{path}: holds {len(held.points)} rows of keypoints, but {clip.path} shows {len(clip.times_s)} "
            "frames; one row a shown frame is needed, NaN where nobody was found"
        )
    rows = slice(clip.part.first, clip.part.last + 1)
    width, height = held.width, held.height
    if width is None or height is None:
        width, height = _frame_size(clip)
    whole = Keypoints(points=held.points, times_s=clip.times_s, width=width, height=height, joints3d=held.joints3d)
    return whole.at(rows)


def _frame_size(clip: Clip) -> tuple[int, int]:
    for _, still in clip.stills([clip.part.first]):
        return still.width, still.height
    raise MediaError(f"{clip.path}: shows no frame")


def _keep(path: Path, found: Keypoints) -> None:
    """Keep an estimate; a cache that cannot be written only costs time."""
    draft = path.with_name(f".{uuid.uuid4().hex}.npz")
    spatial = {} if found.joints3d is None else {"joints3d": found.joints3d}
    with suppress(OSError):
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            np.savez(draft, keypoints=found.points, width=found.width, height=found.height, **spatial)  # type: ignore[arg-type]
            draft.replace(path)
        finally:
            draft.unlink(missing_ok=True)


def _kept(path: Path, clip: Clip) -> Keypoints | None:
    if not path.is_file():
        return None
    try:
        held = read_pose_file(path)
    except BadInput:
        return None
    if len(held.points) != len(clip.positions) or held.width is None or held.height is None:
        return None
    return Keypoints(
        points=held.points,
        times_s=clip.times_s[clip.part.first : clip.part.last + 1],
        width=held.width,
        height=held.height,
        joints3d=held.joints3d,
    )


#: What is told, in columns: heading, quantity, whether it has two sides, decimal places.
COLUMNS: tuple[tuple[str, str, bool, int], ...] = (
    ("knee", "knee_angle", True, 0),
    ("hip", "hip_angle", True, 0),
    ("elbow", "elbow_angle", True, 0),
    ("shoulder", "shoulder_angle", True, 0),
    ("thigh", "thigh_inclination", True, 0),
    ("shank", "shank_inclination", True, 0),
    ("trunk", "trunk_inclination", False, 0),
    ("knee in", "knee_valgus", True, 0),
    ("hip high", "hip_height", False, 2),
    ("wrist high", "wrist_height", True, 2),
    ("ankle high", "ankle_height", True, 2),
    ("knees apart", "knee_separation", False, 2),
    ("ankles apart", "ankle_separation", False, 2),
    ("wrists apart", "wrist_separation", False, 2),
)
_EXPLAINED = """\
Pose of the performer, measured from the video by a pose estimator; one line a moment.
Columns: time in seconds; knee, hip, elbow, shoulder = joint angles in degrees (180 = straight; shoulder: 0 = arm \
along the trunk); thigh, shank, trunk = degrees from vertical; knee in = degrees the knee bends towards the middle of \
the body, seen from the front; the rest in body lengths (shoulder to ankle): high = above the lower ankle, apart = \
distance between the two.
Two values are the performer's left/right side; - = not seen."""


def pose_text(
    keypoints: Keypoints,
    rows: Sequence[int],
    times_s: Sequence[float],
    *,
    region: str | None = None,
    blank: bool = False,
) -> str:
    """Write the pose at some rows as text.

    Parameters
    ----------
    keypoints
        The joints over the whole performance; body lengths are measured over all of it.
    rows, times_s
        Which rows are told, and the times that are told of them, in seconds from the start of the performance.
    region
        A region whose joints are taken out; what rests on them is not told.
    blank
        Tell no value at all, in as many lines.
    """
    if region is not None:
        keypoints = _without(keypoints, region)
    measured = kinematics(keypoints)
    lines = [_EXPLAINED, " | ".join(["t", *(heading for heading, *_ in COLUMNS)])]
    for row, time_s in zip(rows, times_s, strict=True):
        cells = [f"{time_s:.2f}"]
        for _, name, sided, places in COLUMNS:
            names = [f"{name}_left", f"{name}_right"] if sided else [name]
            values = [np.nan if blank else float(measured[one].values[row]) for one in names]
            cells.append("/".join(_written(value, places) for value in values))
        lines.append(" | ".join(cells))
    return "\n".join(lines)


def _written(value: float, places: int) -> str:
    return "-" if not np.isfinite(value) else f"{round(value, places) + 0.0:.{places}f}"


def _without(keypoints: Keypoints, region: str) -> Keypoints:
    return replace(keypoints, points=hidden(keypoints.points, region), joints3d=None)
