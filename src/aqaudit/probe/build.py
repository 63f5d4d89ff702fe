"""From plans to a folder data set: clips, pose files, declarations and one line a clip, written whole or not at all."""

from __future__ import annotations

import errno
import hashlib
import io
import os
import shutil
from typing import TYPE_CHECKING, Any

import numpy as np

from aqaudit.media.encode import mp4
from aqaudit.pose.coco17 import JOINTS as COCO
from aqaudit.probe.labels import Made, write_labels
from aqaudit.probe.measure import LANDMARKS
from aqaudit.probe.motions import FPS
from aqaudit.probe.scene import render, take
from aqaudit.probe.truth import ANGLE_NAMES, pose_arrays, truth_of
from aqaudit.records import BadInput

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

    from numpy.typing import NDArray

    from aqaudit.probe.recipes import Plan, Twin

#: Bytes that a clip of 36 frames of 256 x 256 is filled up to, so that its size tells nothing.
CLIP_BYTES = 27_000
#: Bytes of these for what an MP4 holds beside pictures.
_CONTAINER = 1500
#: x264's rate factors, tried in this order until a clip fits.
_COARSENESS = (23, 26, 28, 30, 32, 34, 37, 40, 44)


def make(
    folder: Path,
    plans: Iterable[Plan],
    *,
    name: str = "probe",
    size: tuple[int, int] = (256, 256),
    told: Callable[[int], object] = lambda _: None,
) -> int:
    """Make the clips of ``plans`` as a data set in ``folder``, which must not exist or be empty; returns how many.

    ``told`` is called with the number of clips made so far.

    Raises
    ------
    BadInput
        Where the folder holds something, cannot be written, or the disk is full. Nothing is left behind then.
    """
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise BadInput(f"{folder} is there already and not an empty folder; choose another with --out")
    draft = folder.with_name(f".{folder.name}.{os.getpid()}.part")
    try:
        (draft / "clips").mkdir(parents=True)
        (draft / "poses").mkdir()
        made: dict[str, Made] = {}
        for number, plan in enumerate(plans, 1):
            if (clip := clip_id(plan)) in made:
                raise BadInput("the same clip is asked for twice; give each severity once")
            made[clip] = _clip(draft, plan, size)
            told(number)
        write_labels(draft, name, [made[clip] for clip in sorted(made)])
        if folder.exists():
            folder.rmdir()
        draft.replace(folder)
    except OSError as error:
        full = " (the disk is full)" if error.errno == errno.ENOSPC else ""
        raise BadInput(f"{folder} cannot be written: {error.strerror}{full}; nothing was left there") from None
    finally:
        shutil.rmtree(draft, ignore_errors=True)
    return len(made)


def clip_id(plan: Plan) -> str:
    """Return a clip's name: a hash, so that neither it nor the order of names tells anything."""
    spec, camera = plan.spec, plan.spec.camera
    # What is drawn of a camera, not what follows from the body: the last digits of that differ between machines.
    drawn = f"{camera.azimuth:.6f} {camera.height:.6f} {camera.focal:.6f}"
    text = f"{plan.family}|{plan.split}|{spec.severity!r}|{drawn}|{spec.performer.name}|{plan.twin}|{plan.caption}"
    return hashlib.sha256(text.encode()).hexdigest()[:10]


def _clip(folder: Path, plan: Plan, size: tuple[int, int]) -> Made:
    spec, name = plan.spec, clip_id(plan)
    shot = take(spec)
    frames = twinned(np.stack(list(render(spec, shot, size))), plan.twin)
    (folder / "clips" / f"{name}.mp4").write_bytes(padded_clip(frames))
    buffer = io.BytesIO()
    np.savez(buffer, **twinned_pose(pose_arrays(spec, shot, size), plan.twin))  # type: ignore[arg-type]
    (folder / "poses" / f"{name}.npz").write_bytes(buffer.getvalue())
    return Made(plan=plan, name=name, truth=truth_of(spec, shot))


def padded_clip(frames: NDArray[np.uint8]) -> bytes:
    """Encode frames (T x height x width x 3) as a clip whose number of bytes depends on their number and size only.

    A box ``free``, which players skip, fills it up; where even the coarsest coding is too long, it is what it is.
    """
    count, height, width = frames.shape[:3]
    room = _CONTAINER + round((CLIP_BYTES - _CONTAINER) * (width * height / 65536) * (count / 36))
    times = [place / FPS for place in range(count)]
    data = b""
    for coarse in _COARSENESS:
        data = mp4(iter(frames), times, FPS, crf=coarse)
        if len(data) + 8 <= room:
            break
    fill = max(room - len(data), 8)
    return data + fill.to_bytes(4, "big") + b"free" + bytes(fill - 8)


def twinned(frames: NDArray[np.uint8], twin: Twin) -> NDArray[np.uint8]:
    """Return frames mirrored (left and right) or in reverse order."""
    if twin == "mirrored":
        return np.ascontiguousarray(frames[:, :, ::-1])
    return np.ascontiguousarray(frames[::-1]) if twin == "reversed" else frames


def twinned_pose(arrays: dict[str, NDArray[Any]], twin: Twin) -> dict[str, NDArray[Any]]:
    """Return pose arrays as the twin's frames show them; mirrored, what was the left arm is the right one."""
    if twin == "reversed":
        return {name: array[::-1] if array.ndim else array for name, array in arrays.items()}
    if twin == "none":
        return arrays
    names = {"keypoints": COCO, "joints3d": COCO, "landmarks3d": LANDMARKS, "angles": ANGLE_NAMES}
    mirrored = dict(arrays)
    for key, points in names.items():
        swapped = [points.index(_other_side(name)) for name in points]
        mirrored[key] = arrays[key][:, swapped].copy()
    mirrored["keypoints"][..., 0] = arrays["width"] - mirrored["keypoints"][..., 0]
    mirrored["joints3d"][..., 0] *= -1
    mirrored["landmarks3d"][..., 0] *= -1
    return mirrored


def _other_side(name: str) -> str:
    return name.replace("left", "\0").replace("right", "left").replace("\0", "right")
