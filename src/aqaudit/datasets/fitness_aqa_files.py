"""Where the files of Fitness-AQA lie: labels, splits and media of seven errors, anywhere below a root."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from aqaudit.datasets.places import (
    IMAGE_SUFFIXES,
    VIDEO_SUFFIXES,
    index_by_stem,
    load_json,
    nearest_to,
    one_of,
    short,
    to_unpack,
    walk,
)
from aqaudit.records import BadInput

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

SPLITS = ("train", "val", "test")


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """One error as it was labelled. Tasks with the same ``clips`` label the same clips and share their split.

    ``published`` counts items, erroneous ones (None where only a rounded share is known), and items of each split.
    ``hint`` is in the path of its own splits where several errors lie beside each other.
    """

    error: str
    action: str
    statement: str
    clips: str
    file: str
    media: Literal["video", "image"]
    published: tuple[int, int | None, tuple[int, int, int]]
    hint: str = ""


TASKS: Mapping[str, Task] = {
    task.error: task
    for task in (
        Task(
            error="knees_inward",
            action="squat",
            statement="The knees move inward.",
            clips="squat",
            file="error_knees_inward.json",
            media="video",
            published=(1623, 232, (1136, 243, 244)),
        ),
        Task(
            error="knees_forward",
            action="squat",
            statement="The knees move too far forward over the toes.",
            clips="squat",
            file="error_knees_forward.json",
            media="video",
            published=(1623, 1109, (1136, 243, 244)),
        ),
        Task(
            error="shallow_depth",
            action="squat, lowest position",
            statement="The squat is too shallow: the hips do not get down to the height of the knees.",
            clips="squat_depth",
            file="labels_shallow_depth.json",
            media="image",
            published=(3611, 1584, (2542, 529, 540)),
        ),
        Task(
            error="elbows",
            action="overhead press",
            statement="The elbows are held in a faulty position.",
            clips="ohp",
            file="error_elbows.json",
            media="video",
            published=(2260, 576, (1582, 339, 339)),
        ),
        Task(
            error="knees",
            action="overhead press",
            statement="The knees bend during the press.",
            clips="ohp",
            file="error_knees.json",
            media="video",
            published=(2260, 777, (1582, 339, 339)),
        ),
        Task(
            error="lumbar",
            action="barbell row",
            statement="The lower back is rounded.",
            clips="row_lumbar",
            file="labels_lumbar_error.json",
            media="image",
            published=(14778, 2317, (10360, 2227, 2191)),
            hint="lumbar",
        ),
        Task(
            error="torso_angle",
            action="barbell row",
            statement="The torso is held at a faulty angle.",
            clips="row_torso",
            file="labels_torso_angle_error.json",
            media="image",
            published=(17030, None, (11881, 2564, 2585)),
            hint="torso",
        ),
    )
}

#: A label: ``()`` = no error, intervals in seconds, None = an error at an unknown time.
Intervals = tuple[tuple[float, float], ...] | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Labels:
    """The labels and splits of one error as found. ``problems`` are sentences about labels that are odd but usable."""

    task: Task
    path: Path
    labels: Mapping[str, Intervals]
    splits: Mapping[str, tuple[str, ...]]
    media_root: Path
    problems: tuple[str, ...] = ()
    unlabelled: tuple[str, ...] = field(default=())

    def split_of(self) -> dict[str, str]:
        """Return the split of each item; of one named in two splits, the first."""
        found: dict[str, str] = {}
        for name, keys in self.splits.items():
            for key in keys:
                found.setdefault(key, name)
        return found


def labels_below(root: Path, tasks: Sequence[Task]) -> dict[str, Labels]:
    """Find and load labels and splits below ``root`` for those of the errors that are here.

    Raises
    ------
    BadInput
        Where none of them is here, where splits are missing, or where a file is malformed.
    """
    files: dict[str, list[Path]] = {}
    for folder, _, inside in walk(root):
        for name in inside:
            if name.lower().endswith(".json"):
                files.setdefault(name.lower(), []).append(folder / name)
    wanted = [task.file for task in tasks]
    if not any(name in files for name in wanted):
        raise BadInput(
            f"{root} holds no labels of Fitness-AQA; looked below it for {', '.join(wanted)}{to_unpack(root)}; the data"
            " are given on request by the form at github.com/ParitoshParmar/Fitness-AQA"
        )
    return {task.error: _labels(root, task, one_of(files[task.file]), files) for task in tasks if task.file in files}


def media_of(root: Path, labels: Labels) -> dict[str, list[Path]]:
    """Return the media of one error's exercise by their stem; unlabelled recordings are left out.

    They are looked for beside the labels first, then further up to ``root``, until some are found.
    """
    kinds = VIDEO_SUFFIXES if labels.task.media == "video" else IMAGE_SUFFIXES
    keys = set(labels.labels)
    folder = labels.media_root
    while True:
        found = {
            stem: [path for path in paths if "unlabeled" not in str(path.relative_to(folder)).lower()]
            for stem, paths in index_by_stem(folder, kinds).items()
        }
        if folder == root or not keys.isdisjoint(stem for stem, paths in found.items() if paths):
            return {stem: _own(labels, folder, paths) for stem, paths in found.items() if paths}
        folder = folder.parent


def _own(labels: Labels, folder: Path, paths: list[Path]) -> list[Path]:
    """Return, of several media of one name, those of the labels' own exercise: by their folders."""
    if len(paths) == 1:
        return paths
    exercise = labels.task.clips.partition("_")[0]
    named = [path for path in paths if exercise in str(path.relative_to(folder)).lower()]
    return nearest_to(labels.path, named or paths)


def no_trajectory(labels: Labels) -> int:
    """Return how many clips the release lists as without a bar trajectory; their videos are fine."""
    for folder, _, inside in walk(labels.media_root):
        if "traj_nan.json" in inside:
            listed = load_json(folder / "traj_nan.json")
            return len(listed) if isinstance(listed, list | dict) else 0
    return 0


def _labels(root: Path, task: Task, path: Path, files: Mapping[str, list[Path]]) -> Labels:
    table = load_json(path)
    if not isinstance(table, dict) or not table:
        raise BadInput(f"{path}: holds no object of labels; allowed: {{item: label, …}}")
    splits = {name: _split_file(root, task, path, name, files) for name in SPLITS}
    keys = {name: _keys(file) for name, file in splits.items()}
    labels: dict[str, Intervals] = {}
    problems: list[str] = []
    for key, value in table.items():
        labels[key], wrong = _label(value, f"{path}: {key!r}")
        problems += wrong
    seen: dict[str, str] = {}
    for name, names in keys.items():
        for key in names:
            first = seen.setdefault(key, name)
            if first != name:
                problems.append(f"{splits[name]}: {key!r} is in both {first} and {name}; counted as {first}")
        if len(set(names)) < len(names):
            problems.append(f"{splits[name]}: names {len(names) - len(set(names))} items twice")
    return Labels(
        task=task,
        path=path,
        labels=labels,
        splits=keys,
        media_root=_common(path, splits.values()),
        problems=tuple(problems),
        unlabelled=tuple(key for key in seen if key not in labels),
    )


def _split_file(root: Path, task: Task, labels: Path, name: str, files: Mapping[str, list[Path]]) -> Path:
    """Return the split file that belongs to a label file: the nearest one, of its own error where there are several."""
    wanted = [f"{name}_keys.json", f"{name}_ids.json"]
    found = [path for one in wanted for path in files.get(one, ())]
    found = [path for path in found if path.name.lower() == wanted[task.media == "image"]] or found
    found = [path for path in found if task.hint and task.hint in str(path.relative_to(root)).lower()] or found
    if not found:
        raise BadInput(
            f"{root} has {labels.relative_to(root)}, but not its split: looked below it for {' and '.join(wanted)}"
        )
    return one_of(nearest_to(labels, found))


def _common(path: Path, others: Iterable[Path]) -> Path:
    folder = path.parent
    for other in others:
        while folder not in other.parents:
            folder = folder.parent
    return folder


def _keys(path: Path) -> tuple[str, ...]:
    keys = load_json(path)
    if not isinstance(keys, list) or not all(isinstance(key, str) and key for key in keys):
        raise BadInput(f"{path}: allowed: a list of the items' names")
    return tuple(re.sub(r"\.(mp4|jpg|png)$", "", key) for key in keys)


def _label(value: object, where: str) -> tuple[Intervals, list[str]]:
    """Return a label, and a sentence for each interval in it that is none."""
    if isinstance(value, int) and value in (0, 1):  # of a picture
        return (() if value == 0 else None), []
    if not isinstance(value, list):
        raise BadInput(f"{where} is {short(value)}; allowed: a list of [from, to] in seconds, or 0 or 1")
    good: list[tuple[float, float]] = []
    wrong = []
    for pair in value:
        numbers = pair if isinstance(pair, list) and len(pair) == 2 and all(map(_is_number, pair)) else None
        if numbers is None:
            raise BadInput(f"{where} has {short(pair)}; allowed: [from, to] in seconds")
        low, high = float(numbers[0]), float(numbers[1])
        if 0 <= low < high:
            good.append((low, high))
        else:
            wrong.append(f"{where} has the interval [{low:g}, {high:g}]: present, but not at that time")
    return (tuple(good) or None if value else ()), wrong


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
