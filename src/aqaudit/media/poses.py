"""The joints of performances, from their files or estimated in their frames and kept, and the same as text."""

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
from aqaudit.pose.coco17 import Keypoints, joints_of_performer, smoothed
from aqaudit.pose.estimators import Estimator, open_estimator
from aqaudit.pose.kinematics import kinematics
from aqaudit.pose.sources import read_pose_file

#: Longer side in pixels of the pictures that joints are estimated in.
_SIDE = 1280
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


class Poses:
    """Finds the joints of performances; one for a run, used from any number of threads.

    ``source`` says where they come from: ``auto`` takes a performance's own file and estimates where there is none.
    ``folder`` is where estimates are kept: by default ``poses`` in the folder ``AQAUDIT_CACHE``, or in
    ``~/.cache/aqaudit``.
    """

    def __init__(self, sources: SourceCache, source: PoseSource = "auto", folder: Path | None = None) -> None:
        self._sources, self._source = sources, source
        cache = Path(os.environ.get("AQAUDIT_CACHE") or Path.home() / ".cache" / "aqaudit")
        self._folder = folder or cache / "poses"
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
        known: Keypoints | None = None
        if pose is not None:
            known = _from_file(pose, clip)
        elif self._estimator is not None:
            kept = _kept(self._path(performance, clip, self._estimator), clip)
            known = None if kept is None else smoothed(kept)
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
        what = f"{source} {clip.part.first} {clip.part.last} {performance.rotate} {estimator.id}"
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
        width, height = still.fitted(_SIDE)
        found = find(still.scaled(width, height))
        scale = np.array([still.width / width, still.height / height, 1.0], dtype=np.float32)
        people.append(found.points * scale)
        in_space.append(found.joints3d)
        size = still.width, still.height
    points, joints3d = joints_of_performer(people, in_space, *size)
    return Keypoints(
        points=points,
        times_s=clip.times_s[clip.part.first : clip.part.last + 1],
        width=size[0],
        height=size[1],
        joints3d=joints3d,
    )


def _from_file(path: Path, clip: Clip) -> Keypoints:
    held = read_pose_file(path)
    rows, frames = len(held.points), len(clip.times_s)
    if rows != frames:
        raise BadInput(
            f"{path}: holds {rows} rows of keypoints, but {clip.performance.media} shows {frames} frames; one row a "
            "shown frame is needed, NaN where nobody was found"
        )
    width, height = held.width, held.height
    if width is None or height is None:
        ((_, still),) = clip.stills([clip.part.first])
        width, height = still.width, still.height
    whole = Keypoints(points=held.points, times_s=clip.times_s, width=width, height=height, joints3d=held.joints3d)
    return whole.at(slice(clip.part.first, clip.part.last + 1))


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
        keypoints = replace(keypoints, points=hidden(keypoints.points, region), joints3d=None)
    measured = kinematics(keypoints)
    lines = [_EXPLAINED, " | ".join(["t", *(heading for heading, *_ in COLUMNS)])]
    for row, time_s in zip(rows, times_s, strict=True):
        cells = [f"{time_s:.2f}"]
        for _, name, sided, places in COLUMNS:
            names = [f"{name}_left", f"{name}_right"] if sided else [name]
            values = [np.nan if blank else float(measured[one].values[row]) for one in names]
            cells.append("/".join(f"{round(v, places) + 0.0:.{places}f}" if np.isfinite(v) else "-" for v in values))
        lines.append(" | ".join(cells))
    return "\n".join(lines)
