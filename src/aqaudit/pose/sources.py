"""Pose files: keypoints as other programs wrote them, brought to COCO-17.

Read are npz files of keypoints, COCO's JSON, and what SAM 3D Body puts out (npz or JSON). Files are hostile: no
pickles, and nothing is unpacked before its size is known.
"""

from __future__ import annotations

import json
import threading
import zipfile
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from aqaudit.core.records import BadInput
from aqaudit.pose.coco17 import FROM_MHR70, JOINTS, Points, cleaned, joints_of_performer

MAX_BYTES = 512 * 2**20  # of a file, and of what it unpacks to
#: Suffixes of pose files.
SUFFIXES = (".npz", ".json")

_LARGEST = 100_000  # pixels a side
_MHR70 = 70
_HEADERS = threading.Lock()


@dataclass(frozen=True, slots=True, kw_only=True)
class PoseFile:
    """What a pose file holds: T x 17 x 3 points, maybe joints in space, and what it says of the frames, if anything."""

    points: Points
    joints3d: Points | None = None
    fps: float | None = None
    width: int | None = None
    height: int | None = None


def read_pose_file(path: Path) -> PoseFile:
    """Read a file of keypoints.

    ``.npz``: ``keypoints`` (T x 17 x 3, or T x 17 x 2: all sure) with ``fps``, ``width``, ``height`` and ``joints3d``
    (T x 17 x 3) optional; or ``pred_keypoints_2d`` of SAM 3D Body (T x 70 x 2). ``.json``: COCO's annotations or
    results of key points; or a list, one entry a frame, of the people that SAM 3D Body put out, alone or as ``frames``
    of an object. Of several people in a frame one is followed (:mod:`aqaudit.pose.coco17`).

    Raises
    ------
    BadInput
        The file is missing, none of these, or its contents contradict the form.
    """
    try:
        if path.stat().st_size > MAX_BYTES:
            raise BadInput(f"{path}: is over {MAX_BYTES // 2**20} MB; keypoints of a clip are smaller")
        if path.suffix.lower() == ".json":
            return _from_json(path, json.loads(path.read_bytes()))
        return _from_npz(path)
    except OSError as error:
        raise BadInput(f"{path}: cannot be read ({error.strerror or error})") from None
    except (json.JSONDecodeError, UnicodeDecodeError, RecursionError) as error:
        raise BadInput(f"{path}: is not JSON ({error})") from None


def read_arrays(path: Path) -> dict[str, NDArray[Any]]:
    """Return the arrays of an npz file by name; safe in threads.

    Raises
    ------
    BadInput
        The file is no npz of plain arrays, or unpacks to more than :data:`MAX_BYTES`.
    OSError
        It cannot be read.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            if sum(member.file_size for member in archive.infolist()) > MAX_BYTES:
                raise BadInput(f"{path}: unpacks to over {MAX_BYTES // 2**20} MB; keypoints of a clip are smaller")
        # NumPy reads headers with ast.literal_eval, which CPython 3.11 fails at in several threads (gh-106905).
        with _HEADERS, np.load(path, allow_pickle=False) as arrays:
            return {name: arrays[name] for name in arrays.files}
    except (zipfile.BadZipFile, ValueError, EOFError, KeyError, NotImplementedError, zlib.error) as error:
        raise BadInput(f"{path}: is not an npz file of plain arrays ({error})") from None


def _from_npz(path: Path) -> PoseFile:
    held = read_arrays(path)
    if "keypoints" in held:
        points = _array(path, "keypoints", held["keypoints"], 17, (2, 3))
    elif "pred_keypoints_2d" in held:
        _check_names(path, held.get("keypoint_names"))
        points = _array(path, "pred_keypoints_2d", held["pred_keypoints_2d"], _MHR70, (2, 3))[:, FROM_MHR70]
    else:
        names = ", ".join(sorted(held)) or "nothing"
        raise BadInput(f"{path}: holds {names}; needed: keypoints (T x 17 x 3), or pred_keypoints_2d (T x 70 x 2)")
    space = None
    if "joints3d" in held:
        space = _array(path, "joints3d", held["joints3d"], 17, (3,))
    elif "pred_keypoints_3d" in held and "keypoints" not in held:
        space = _upright(_array(path, "pred_keypoints_3d", held["pred_keypoints_3d"], _MHR70, (3,))[:, FROM_MHR70])
    if space is not None and len(space) != len(points):
        raise BadInput(f"{path}: {len(space)} rows of joints in space, but {len(points)} of keypoints; as many needed")
    return PoseFile(points=cleaned(_with_confidence(points)), joints3d=space, **_facts(path, held))


def _array(path: Path, name: str, value: Any, joints: int, last: tuple[int, ...]) -> Points:
    try:
        array = np.asarray(value, dtype=np.float32)
    except (ValueError, TypeError):
        raise BadInput(f"{path}: {name} is not an array of numbers") from None
    if array.ndim == 2:
        array = array[None]  # one picture
    if array.ndim != 3 or array.shape[1] != joints or array.shape[2] not in last:
        wanted = " or ".join(f"T x {joints} x {n}" for n in last)
        raise BadInput(f"{path}: {name} is {' x '.join(map(str, np.shape(value)))}; needed: {wanted}")
    return array


def _with_confidence(points: NDArray[np.float32]) -> Points:
    if points.shape[-1] == 3:
        return points
    return np.concatenate([points, np.ones_like(points[..., :1])], axis=-1)


def _facts(path: Path, held: Mapping[str, Any]) -> dict[str, Any]:
    facts: dict[str, Any] = {}
    for name in ("fps", "width", "height"):
        if held.get(name) is None:
            continue
        try:
            value = float(np.asarray(held[name]).reshape(()))
        except (ValueError, TypeError):
            raise BadInput(f"{path}: {name} is not a number") from None
        if not 0 < value <= _LARGEST:
            raise BadInput(f"{path}: {name} is {value:g}; allowed: over 0, up to {_LARGEST}")
        facts[name] = value if name == "fps" else round(value)
    return facts


def _upright(joints: NDArray[np.float32]) -> Points:
    """Turn a camera's axes (x right, y down, z away) into the viewer's (x right, y up, z towards)."""
    return (joints * np.array([1, -1, -1], dtype=np.float32)).astype(np.float32)


def _check_names(path: Path, names: Any) -> None:
    """Hold the joint names that a file carries against the map from MHR70 to COCO-17."""
    if names is None:
        return
    if isinstance(names, dict):  # as in the model's metadata: {"0": {"name": "nose", …}, …}
        try:
            names = [names[key]["name"] for key in sorted(names, key=int)]
        except (KeyError, ValueError, TypeError):
            raise BadInput(f"{path}: keypoint_info is not a table of names by number") from None
    told = [str(name).replace("-", "_").replace(" ", "_").lower() for name in np.asarray(names).ravel().tolist()]
    if len(told) != _MHR70:
        raise BadInput(f"{path}: names {len(told)} key points; SAM 3D Body has {_MHR70}")
    for joint, place in zip(JOINTS, FROM_MHR70, strict=True):
        if told[place] != joint:
            raise BadInput(
                f"{path}: its key point {place} is '{told[place]}', but '{joint}' was expected there: the file is of "
                "another version of SAM 3D Body; write it as npz with keypoints (T x 17 x 3) instead"
            )


def _from_json(path: Path, value: Any) -> PoseFile:
    if isinstance(value, dict) and "annotations" in value:
        return _from_coco(path, value["annotations"], value.get("images"))
    if isinstance(value, list) and value and all(isinstance(one, dict) and "image_id" in one for one in value):
        return _from_coco(path, value, None)
    frames = value.get("frames") if isinstance(value, dict) else value
    if not isinstance(frames, list) or not frames:
        raise BadInput(f"{path}: is neither COCO key points (annotations) nor SAM 3D Body's output (a list of frames)")
    facts: dict[str, Any] = {}
    if isinstance(value, dict):
        info = value.get("pose_info")
        _check_names(path, value.get("keypoint_names", info.get("keypoint_info") if isinstance(info, dict) else None))
        facts = _facts(path, value)
    read = [_people(path, frame, number) for number, frame in enumerate(frames)]
    people, in_space = [flat for flat, _ in read], [space for _, space in read]
    points, joints3d = joints_of_performer(people, in_space, facts.get("width"), facts.get("height"))
    return PoseFile(points=points, joints3d=joints3d, **facts)


def _people(path: Path, frame: Any, number: int) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Read the people of one frame of SAM 3D Body's output: P x 17 x 3 in the picture and in space."""
    if isinstance(frame, dict):
        frame = frame.get("people", frame.get("persons", frame.get("outputs", [frame])))
    if frame is None:
        frame = []
    if not isinstance(frame, list):
        raise BadInput(f"{path}: frame {number} is neither a list of people nor one of them")
    flat = np.full((len(frame), 17, 3), np.nan, dtype=np.float32)
    space = np.full((len(frame), 17, 3), np.nan, dtype=np.float32)
    for place, one in enumerate(frame):
        if not isinstance(one, dict) or "pred_keypoints_2d" not in one:
            raise BadInput(f"{path}: frame {number}: a person without pred_keypoints_2d (70 x 2)")
        where = f"frame {number}: pred_keypoints_2d"
        flat[place] = _with_confidence(_array(path, where, one["pred_keypoints_2d"], _MHR70, (2, 3))[:, FROM_MHR70])[0]
        if one.get("pred_keypoints_3d") is not None:
            where = f"frame {number}: pred_keypoints_3d"
            space[place] = _upright(_array(path, where, one["pred_keypoints_3d"], _MHR70, (3,))[0, FROM_MHR70])
    return flat, space


def _from_coco(path: Path, annotations: Any, images: Any) -> PoseFile:
    """Read COCO's key points: the frames are the images in the order of their ids, with gaps where ids are missing."""
    if not isinstance(annotations, list):
        raise BadInput(f"{path}: annotations is not a list")
    by_image: dict[int, list[NDArray[np.float32]]] = {}
    size: dict[str, Any] = {}
    for number, image in enumerate(images if isinstance(images, list) else []):
        by_image[_image(path, image, "id", number)] = []
        sized = {key: image.get(key) for key in ("width", "height")}
        if size and sized != size:
            raise BadInput(f"{path}: images[{number}] is of another size than the first; one clip has one size")
        size = sized
    for number, one in enumerate(annotations):
        image = _image(path, one, "image_id", number)
        if images is not None and image not in by_image:
            raise BadInput(f"{path}: annotations[{number}] is of image {image}, which images does not list")
        if len(by_image) > _LARGEST * 10:
            raise BadInput(f"{path}: over {_LARGEST * 10} frames; cut it into clips")
        by_image.setdefault(image, []).append(_coco_person(path, one, number))
    if not by_image:
        raise BadInput(f"{path}: holds no frame with key points")
    low, high = min(by_image), max(by_image)
    if high - low + 1 > 100 * len(by_image) + 1000:
        raise BadInput(f"{path}: image ids run from {low} to {high} for {len(by_image)} images; number the frames")
    people = [np.array(by_image.get(n, []), dtype=np.float32).reshape(-1, 17, 3) for n in range(low, high + 1)]
    facts = _facts(path, size)
    points, _ = joints_of_performer(people, [None] * len(people), facts.get("width"), facts.get("height"))
    return PoseFile(points=points, **facts)


def _image(path: Path, one: Any, key: str, number: int) -> int:
    value = one.get(key) if isinstance(one, dict) else None
    if type(value) is not int:
        raise BadInput(f"{path}: entry {number} has no {key} that is a whole number; frames are told apart by it")
    return value


def _coco_person(path: Path, one: Mapping[str, Any], number: int) -> NDArray[np.float32]:
    where = f"annotations[{number}].keypoints"
    try:
        points = np.array(one.get("keypoints"), dtype=np.float32).reshape(17, 3)
    except (ValueError, TypeError):
        raise BadInput(f"{path}: {where} is not 51 numbers (x, y and visibility or score of 17 joints)") from None
    flags = points[:, 2]
    if flags.size and float(np.nanmax(flags)) > 1.0:  # COCO's visibility: 0 not labelled, 1 hidden, 2 visible
        points[:, 2] = np.select([flags >= 2, flags >= 1], [1.0, 0.5], 0.0)
    return points
