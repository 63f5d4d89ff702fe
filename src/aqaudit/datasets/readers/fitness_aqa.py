"""Reader ``fitness_aqa``: errors in squats, overhead presses and barbell rows (Parmar et al., ECCV 2022).

What is asked: whether an error is there (``detect``). By default the five errors of the evaluation that is re-created:
squat knees inward and knees forward (clips), squat shallow depth (pictures), overhead press elbows and knees (clips).
The two errors of the barbell row (pictures) can be asked for. Intervals are kept, in seconds; a label is positive when
it has any. The wording of the errors is ours.

What is read is what the split files name: the folders hold more clips than were labelled, the label files of the
barbell row more pictures than the splits. An item of a split without a label is refused. The first number of an item's
name is the uploader: the cluster of every interval.

"Knees forward" is there in two of three squats, so a constant "error" scores F1 = 0.81. The evaluation that is
re-created speaks of 224 squats; the official test split has 244, and these are asked.
"""

from __future__ import annotations

import functools
import math
import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from aqaudit.core.records import BadInput, Dataset, ErrorStatement, Performance
from aqaudit.datasets.reader import (
    IMAGE_SUFFIXES,
    VIDEO_SUFFIXES,
    Count,
    Reader,
    Report,
    check_split,
    index_by_stem,
    load_json,
    nearest_to,
    of_split,
    one_of,
    options_of,
    partial_or_refused,
    short,
    to_unpack,
    walk,
)

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
class ErrorLabels:
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


def labels_below(root: Path, tasks: Sequence[Task]) -> dict[str, ErrorLabels]:
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


def media_of(root: Path, labels: ErrorLabels) -> dict[str, list[Path]]:
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


def _own(labels: ErrorLabels, folder: Path, paths: list[Path]) -> list[Path]:
    """Return, of several media of one name, those of the labels' own exercise: by their folders."""
    if len(paths) == 1:
        return paths
    exercise = labels.task.clips.partition("_")[0]
    named = [path for path in paths if exercise in str(path.relative_to(folder)).lower()]
    return nearest_to(labels.path, named or paths)


def no_trajectory(labels: ErrorLabels) -> int:
    """Return how many clips the release lists as without a bar trajectory; their videos are fine."""
    for folder, _, inside in walk(labels.media_root):
        if "traj_nan.json" in inside:
            listed = load_json(folder / "traj_nan.json")
            return len(listed) if isinstance(listed, list | dict) else 0
    return 0


def _labels(root: Path, task: Task, path: Path, files: Mapping[str, list[Path]]) -> ErrorLabels:
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
    return ErrorLabels(
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


NAME = "fitness_aqa"
LICENCE = "CC BY-NC 4.0 with further terms: research only, not to be passed on, people in it to be protected"
CITATION = "Parmar, Gharat and Rhodin, Domain Knowledge-Informed Self-Supervised Representations, ECCV 2022"
#: Those of the evaluation that is re-created.
ERRORS = ("knees_inward", "knees_forward", "shallow_depth", "elbows", "knees")


def read(
    root: Path, *, split: str | None = None, errors: str | Sequence[str] = ERRORS, partial: bool = False
) -> Dataset:
    """Read the items that the split files name.

    Parameters
    ----------
    root
        Folder with the release, unpacked, at any place below it.
    split
        ``train``, ``val``, ``test`` or all: the official ones.
    errors
        The errors to ask about: names of ``TASKS``, or ``"all"`` for those of the barbell row too.
    partial
        True reads the items whose media are here and lists the others.

    Raises
    ------
    BadInput
        Where labels or splits are missing, an item of a split has no label, or media are missing and ``partial`` is not
        set.
    """
    check_split(root, split, SPLITS)
    chosen = options_of(NAME, "errors", errors, tuple(TASKS))
    found = labels_below(root, [TASKS[name] for name in chosen])
    absent = [TASKS[name].file for name in chosen if name not in found]
    gone = partial_or_refused(
        partial,
        NAME,
        lambda: (
            f"{root} lacks {', '.join(absent)}; name the errors that are here: options = {{ errors = {sorted(found)} }}"
        ),
        [f"{name} is not below {root}: its error is not asked about" for name in absent],
    )
    for labels in found.values():
        if labels.unlabelled:
            raise BadInput(
                f"{labels.path}: {len(labels.unlabelled)} items of its split have no label, the first is"
                f" {labels.unlabelled[0]!r}; get the label and split files of one release"
            )
    performances: list[Performance] = []
    for clips in dict.fromkeys(labels.task.clips for labels in found.values()):
        group = [labels for labels in found.values() if labels.task.clips == clips]
        made, missing = _performances(root, group, split)
        performances += made
        gone += partial_or_refused(partial, NAME, functools.partial(_lacking, root, group, len(made), missing), missing)
    return Dataset(
        name=NAME,
        root=root,
        licence=LICENCE,
        citation=CITATION,
        show_frames=False,
        errors=tuple(
            ErrorStatement(id=one.task.error, action=one.task.action, statement=one.task.statement)
            for one in found.values()
        ),
        performances=of_split(performances, split, str(root)),
        problems=(*_problems(found.values()), *gone),
    )


def check(root: Path) -> Report:
    """Compare a root with the published data set; media may be missing."""
    found = labels_below(root, list(TASKS.values()))
    counts: list[Count] = []
    notes = ["a label is positive when it has an interval; the wording of the errors is ours"]
    problems = [f"{TASKS[name].file} is not below {root}" for name in ERRORS if name not in found]
    for name, labels in found.items():
        items, positive, sizes = labels.task.published
        splits = labels.split_of()
        asked = [key for key in splits if key in labels.labels]
        what = f"{labels.task.action.partition(',')[0]} {name.replace('_', ' ')}"
        counts += [
            Count(what=f"{what}: items of the split with a label", found=len(asked), published=items),
            Count(
                what=f"{what}: with the error",
                found=sum(labels.labels[key] != () for key in asked),
                published=positive,
            ),
            *(
                Count(what=f"{what}: {split}", found=len(set(labels.splits[split])), published=size)
                for split, size in zip(SPLITS, sizes, strict=True)
            ),
        ]
        outside = len(labels.labels.keys() - splits.keys())
        if outside:
            notes.append(f"{what}: {outside:,} labels are of items in no split and are not asked about")
        problems += [f"{labels.path}: {key!r} is in a split, but has no label" for key in labels.unlabelled]
        uploaders: dict[str, set[str]] = defaultdict(set)
        for key in asked:
            uploaders[_performer(key)].add(splits[key])
        across = sum(len(names) > 1 for names in uploaders.values())
        notes.append(f"{what}: {len(uploaders):,} uploaders, {across:,} of them in several splits")
    for clips in dict.fromkeys(labels.task.clips for labels in found.values()):
        group = [labels for labels in found.values() if labels.task.clips == clips]
        made, missing = _performances(root, group, None)
        media = media_of(root, group[0])
        counts.append(Count(what=f"{group[0].task.action}: media found of those named", found=len(made)))
        if not made:
            notes.append(f"{group[0].task.action}: no media below {group[0].media_root}: only labels were checked")
        else:
            problems += missing
        extra = len(media) - len({one.media.stem for one in made})
        if extra > 0:
            notes.append(
                f"{group[0].task.action}: {extra:,} {group[0].task.media}s are in no split and are not asked about"
            )
        if clips == "squat" and (without := no_trajectory(group[0])):
            notes.append(f"squat: {without} clips have no bar trajectory; their videos are fine and are asked about")
    notes += _together(found)
    return Report(
        name=NAME, root=root, counts=tuple(counts), problems=(*_problems(found.values()), *problems), notes=tuple(notes)
    )


def _lacking(root: Path, group: Sequence[ErrorLabels], made: int, missing: Sequence[str]) -> str:
    main = group[0]
    return (
        f"{root} lacks {len(missing):,} of {made + len(missing):,} {main.task.media}s of {main.task.action}:"
        f" {missing[0]}; looked below {main.media_root}{to_unpack(root)}; they come with the labels, on request"
        " (github.com/ParitoshParmar/Fitness-AQA)"
    )


def _performances(root: Path, group: Sequence[ErrorLabels], split: str | None) -> tuple[list[Performance], list[str]]:
    """Make the performances of one set of clips, and a sentence for each whose media are not here."""
    main = group[0]
    media = media_of(root, main)
    made: list[Performance] = []
    missing: list[str] = []
    splits = {key: name for labels in group for key, name in labels.split_of().items()}
    for key, name in splits.items():
        if split is not None and name != split:
            continue
        errors: dict[str, Intervals] = {
            labels.task.error: labels.labels[key] for labels in group if key in labels.labels
        }
        paths = media.get(key, [])
        if not errors:
            continue  # said by the caller
        if len(paths) != 1:
            found = f"{len(paths)} media, such as {paths[0]}" if paths else "no media"
            missing.append(f"{main.task.clips} {key}: {found}")
            continue
        made.append(
            Performance(
                id=f"{main.task.clips}_{key}",
                media=paths[0],
                action=main.task.action,
                performer=_performer(key),
                video=key if main.task.media == "video" else key.rpartition("_")[0] or key,
                split=name,
                errors=errors,
            )
        )
    return made, missing


def _performer(key: str) -> str:
    return key.partition("_")[0]


def _problems(found: Iterable[ErrorLabels]) -> list[str]:
    """Return what is odd about labels and splits, and items that one error's split has and its twin's has not."""
    problems = [problem for labels in found for problem in labels.problems]
    first: dict[str, ErrorLabels] = {}
    for labels in found:
        other = first.setdefault(labels.task.clips, labels)
        for key in sorted(labels.labels.keys() ^ other.labels.keys()):
            if key in labels.split_of():
                lacks = labels if key not in labels.labels else other
                problems.append(f"{key!r} has no label in {lacks.path.name}, but in that of another error")
    return list(dict.fromkeys(problems))


def _together(found: Mapping[str, ErrorLabels]) -> list[str]:
    if not {"knees_inward", "knees_forward"} <= found.keys():
        return []
    splits = found["knees_inward"].split_of()
    inward = {key for key, label in found["knees_inward"].labels.items() if label != () and key in splits}
    both = sum(found["knees_forward"].labels.get(key, ()) != () for key in inward)
    return [f"{both:,} of the {len(inward):,} squats with knees inward have knees forward too (published: 192 of 232)"]


READER = Reader(
    name=NAME,
    what="errors in squats, overhead presses and barbell rows",
    licence=LICENCE,
    kinds=("detect", "prefer"),
    read=read,
    check=check,
    performances=1623 + 3611 + 2260,
    options=("errors", "partial"),
)
