"""From plans to a folder data set: clips, pose files, declarations and one line a clip, written whole or not at all."""

from __future__ import annotations

import errno
import hashlib
import io
import json
import os
import shutil
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from aqaudit.core.records import BadInput
from aqaudit.media.encode import mp4
from aqaudit.media.source import checksum
from aqaudit.pose.coco17 import JOINTS as COCO
from aqaudit.probe.errors import EXERCISES
from aqaudit.probe.measure import LANDMARKS
from aqaudit.probe.motions import DURATION_S, FPS
from aqaudit.probe.recipes import ClipPlan, Twin
from aqaudit.probe.scene import ANGLE_NAMES, Truth, pose_arrays, render, take, truth_of

LICENCE = "Apache-2.0; bodies made with Anny (Apache-2.0) from MakeHuman assets (CC0)"
CITATION = "AQAudit probe: rendered minimal pairs with exact truth"
#: The option of the choose question that none of the errors is there, and the question's id and wording.
NO_ERROR = "None of these errors."
CHOICE, QUESTION = "error_shown", "Which error does this execution show?"
SCALE = "execution"
#: Bytes that a clip of 36 frames of 256 x 256 is filled up to, so that its size tells nothing.
CLIP_BYTES = 27_000
#: Bytes of these for what an MP4 holds beside pictures.
_CONTAINER = 1500
#: x264's rate factors, tried in this order until a clip fits.
_COARSENESS = (23, 26, 28, 30, 32, 34, 37, 40, 44)


@dataclass(frozen=True, slots=True, kw_only=True)
class Made:
    """A clip that was made: what was planned, its name and what is true of it."""

    plan: ClipPlan
    name: str
    truth: Truth


def make(
    folder: Path,
    plans: Iterable[ClipPlan],
    *,
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
        _write_labels(draft, [made[clip] for clip in sorted(made)])
        if folder.exists():
            folder.rmdir()
        draft.replace(folder)
    except OSError as error:
        full = " (the disk is full)" if error.errno == errno.ENOSPC else ""
        raise BadInput(f"{folder} cannot be written: {error.strerror}{full}; nothing was left there") from None
    finally:
        shutil.rmtree(draft, ignore_errors=True)
    return len(made)


def clip_id(plan: ClipPlan) -> str:
    """Return a clip's name: a hash, so that neither it nor the order of names tells anything."""
    spec, camera = plan.spec, plan.spec.camera
    # What is drawn of a camera, not what follows from the body: the last digits of that differ between machines.
    drawn = f"{camera.azimuth:.6f} {camera.height:.6f} {camera.focal:.6f}"
    text = f"{plan.family}|{plan.split}|{spec.severity!r}|{drawn}|{spec.performer.name}|{plan.twin}|{plan.caption}"
    return hashlib.sha256(text.encode()).hexdigest()[:10]


def _clip(folder: Path, plan: ClipPlan, size: tuple[int, int]) -> Made:
    spec, name = plan.spec, clip_id(plan)
    shot = take(spec)
    frames = _twinned(np.stack(list(render(spec, shot, size))), plan.twin)
    (folder / "clips" / f"{name}.mp4").write_bytes(padded_clip(frames))
    buffer = io.BytesIO()
    np.savez(buffer, **_twinned_pose(pose_arrays(spec, shot, size), plan.twin))  # type: ignore[arg-type]
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


def _twinned(frames: NDArray[np.uint8], twin: Twin) -> NDArray[np.uint8]:
    """Return frames mirrored (left and right) or in reverse order."""
    if twin == "mirrored":
        return np.ascontiguousarray(frames[:, :, ::-1])
    return np.ascontiguousarray(frames[::-1]) if twin == "reversed" else frames


def _twinned_pose(arrays: dict[str, NDArray[Any]], twin: Twin) -> dict[str, NDArray[Any]]:
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


def _write_labels(folder: Path, made: Sequence[Made]) -> None:
    """Write both files beside the clips; asked about are only the errors that these clips vary."""
    varied: dict[str, list[str]] = {}
    for exercise in EXERCISES.values():
        here = {one.plan.spec.error for one in made if one.plan.spec.exercise == exercise.name}
        if here:
            varied[exercise.name] = [error.id for error in exercise.errors if error.id in here]
    sums = {one.name: checksum(folder / "clips" / f"{one.name}.mp4") for one in made}
    text = "".join(
        json.dumps(_line(one, varied[one.plan.spec.exercise], sums[one.name]), ensure_ascii=False) + "\n"
        for one in made
    )
    (folder / "clips.jsonl").write_text(text, encoding="utf-8")
    (folder / "dataset.toml").write_text(_declarations(varied), encoding="utf-8")


def _line(one: Made, varied: Sequence[str], sha256: str) -> dict[str, object]:
    plan, truth = one.plan, one.truth
    spec, fault = plan.spec, plan.spec.fault
    errors = [error for error in EXERCISES[spec.exercise].errors if error.id in varied]
    if plan.twin == "reversed":
        # backwards, a slow way down is a slow way up: what is about time is no longer known
        errors = [error for error in errors if not error.temporal]
    asked = [error for error in errors if error.id in truth.errors]
    interval = _interval(one)
    graded = {"value": spec.severity, "unit": fault.unit, "tolerance": fault.tolerance}
    line: dict[str, object] = {
        "id": one.name,
        "media": f"clips/{one.name}.mp4",
        "sha256": sha256,
        "action": spec.action,
        "performer": spec.performer.name,
        "split": plan.split,
        "criteria": {error.criterion: truth.criteria[error.criterion] for error in asked},
        "errors": {error.id: [interval] if truth.errors[error.id] else [] for error in asked},
        "scores": {SCALE: truth.score},
    }
    if len(asked) == len(errors) and fault in errors:
        line["choices"] = {CHOICE: NO_ERROR if spec.correct else fault.statement}
    if fault in asked:
        line["severity"] = {fault.criterion: graded, fault.id: graded}
    line["family"] = plan.family
    if plan.caption is not None:
        line["caption"] = plan.caption
    line["tags"] = _tags(one)
    return line


def _interval(one: Made) -> list[float]:
    first, last = one.truth.interval or (0.0, DURATION_S)
    if one.plan.twin == "reversed":
        first, last = DURATION_S - last, DURATION_S - first
    return [round(max(first, 0.0), 3), round(min(last, DURATION_S), 3)]


def _tags(one: Made) -> dict[str, str]:
    plan, spec = one.plan, one.plan.spec
    away = abs(spec.camera.azimuth)
    look, shape = spec.performer.look, spec.performer.shape
    bright = sum(look.skin) / 3
    tags = {
        "varied": spec.error,
        "factor": plan.factor,
        "kind": "temporal" if spec.fault.temporal else "pose",
        "region": ", ".join(name.replace("_", " ") for name in spec.fault.region),
        "view": "front" if away < 25 else "oblique" if away < 65 else "side",
        "body": "woman" if shape.gender > 0.5 else "man",
        "skin": "light" if bright > 0.38 else "medium" if bright > 0.14 else "dark",
    }
    if plan.twin != "none":
        tags["twin"] = plan.twin
    if plan.caption is not None:
        tags["caption"] = "true" if (plan.caption == spec.fault.positive) == spec.correct else "false"
    return tags


def _declarations(varied: dict[str, list[str]]) -> str:
    parts = [
        "# Rendered minimal pairs: within a family exactly one thing varies, by the severity in clips.jsonl.",
        'name = "probe"',
        f"licence = {_text(LICENCE)}",
        f"citation = {_text(CITATION)}",
        "allow_upload = true",
    ]
    for exercise, names in varied.items():
        action = EXERCISES[exercise].action
        errors = [EXERCISES[exercise].error(error) for error in names]
        for error in errors:
            parts += [
                "\n[[criterion]]",
                f"id = {_text(error.criterion)}",
                f"action = {_text(action)}",
                f"positive = {_text(error.positive)}",
                f"negative = {_text(error.negative)}",
                "\n[[error]]",
                f"id = {_text(error.id)}",
                f"action = {_text(action)}",
                f"statement = {_text(error.statement)}",
            ]
        options = ", ".join(_text(option) for option in [*(error.statement for error in errors), NO_ERROR])
        parts += [
            "\n[[choice]]",
            f"id = {_text(CHOICE)}",
            f"action = {_text(action)}",
            f"question = {_text(QUESTION)}",
            f"options = [{options}]",
        ]
    parts += ["\n[[scale]]", f"id = {_text(SCALE)}", "min = 0", "max = 10", "step = 0.1"]
    return "\n".join(parts) + "\n"


def _text(value: str) -> str:
    return json.dumps(value, ensure_ascii=False)
