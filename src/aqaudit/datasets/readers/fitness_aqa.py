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
import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from aqaudit.core.records import BadInput, Dataset, ErrorStatement, Performance
from aqaudit.datasets.declarations import LARGEST
from aqaudit.datasets.layout import IMAGE_SUFFIXES, VIDEO_SUFFIXES, by_stem, files_in, load_json, to_unpack
from aqaudit.datasets.reader import Count, Reader, Report, check_split, of_split, options_of, partial_or_refused, short

NAME = "fitness_aqa"
LICENCE = "CC BY-NC 4.0 with further terms: research only, not to be passed on, people in it to be protected"
CITATION = "Parmar, Gharat and Rhodin, Domain Knowledge-Informed Self-Supervised Representations, ECCV 2022"
SOURCE = "the data are given on request by the form at github.com/ParitoshParmar/Fitness-AQA"
RELEASE = "Fitness-AQA_dataset_release"
#: Those of the evaluation that is re-created.
ERRORS = ("knees_inward", "knees_forward", "shallow_depth", "elbows", "knees")
SPLITS = ("train", "val", "test")

#: A label: ``()`` = no error, intervals in seconds, None = an error at an unknown time.
Intervals = tuple[tuple[float, float], ...] | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ClipSet:
    """Clips or pictures that were labelled together: where the release has them, and how many are in each split.

    ``splits`` (``{}`` stands for the split) and ``places``, where media may lie after unpacking, are in ``folder``.
    """

    name: str
    action: str
    media: Literal["video", "image"]
    folder: str
    splits: str
    places: tuple[str, ...]
    published: tuple[int, int, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelledError:
    """One error: the file of its labels in the folder of its clips, and how many items have it.

    ``published`` is None where only a rounded share is known.
    """

    id: str
    clips: ClipSet
    labels: str
    statement: str
    published: int | None


SQUATS = ClipSet(
    name="squat",
    action="squat",
    media="video",
    folder="Squat/Labeled_Dataset",
    splits="Splits/{}_keys.json",
    places=("videos", "videos/videos"),
    published=(1136, 243, 244),
)
DEPTHS = ClipSet(
    name="squat_depth",
    action="squat, lowest position",
    media="image",
    folder="Squat/Labeled_Dataset/Shallow_Squat_Error_Dataset",
    splits="splits/{}_ids.json",
    places=("images/crops_unaligned", "crops_unaligned"),
    published=(2542, 529, 540),
)
PRESSES = replace(SQUATS, name="ohp", action="overhead press", folder="OHP/Labeled_Dataset", published=(1582, 339, 339))
ROWS_LUMBAR = ClipSet(
    name="row_lumbar",
    action="barbell row",
    media="image",
    folder="BarbellRow/Labeled_Dataset",
    splits="Splits/Splits_Lumbar_Error/{}_ids.json",
    places=("barbellrow_images_raw", "barbellrow_images_raw/barbellrow_images_raw"),
    published=(10360, 2227, 2191),
)
ROWS_TORSO = replace(
    ROWS_LUMBAR,
    name="row_torso",
    splits="Splits/Splits_TorsoAngle_Error/{}_ids.json",
    published=(11881, 2564, 2585),
)
ALL_ERRORS: Mapping[str, LabelledError] = {
    one.id: one
    for one in (
        LabelledError(
            id="knees_inward",
            clips=SQUATS,
            labels="Labels/error_knees_inward.json",
            statement="The knees move inward.",
            published=232,
        ),
        LabelledError(
            id="knees_forward",
            clips=SQUATS,
            labels="Labels/error_knees_forward.json",
            statement="The knees move too far forward over the toes.",
            published=1109,
        ),
        LabelledError(
            id="shallow_depth",
            clips=DEPTHS,
            labels="labels_shallow_depth.json",
            statement="The squat is too shallow: the hips do not get down to the height of the knees.",
            published=1584,
        ),
        LabelledError(
            id="elbows",
            clips=PRESSES,
            labels="Labels/error_elbows.json",
            statement="The elbows are held in a faulty position.",
            published=576,
        ),
        LabelledError(
            id="knees",
            clips=PRESSES,
            labels="Labels/error_knees.json",
            statement="The knees bend during the press.",
            published=777,
        ),
        LabelledError(
            id="lumbar",
            clips=ROWS_LUMBAR,
            labels="Labels/labels_lumbar_error.json",
            statement="The lower back is rounded.",
            published=2317,
        ),
        LabelledError(
            id="torso_angle",
            clips=ROWS_TORSO,
            labels="Labels/labels_torso_angle_error.json",
            statement="The torso is held at a faulty angle.",
            published=None,
        ),
    )
}


@dataclass(frozen=True, slots=True, kw_only=True)
class ErrorLabels:
    """The labels of one error, and the split of each item, as found in ``folder``; ``path`` is the file of labels.

    ``splits`` are the items that the split files name; of one named in two splits, ``split_of`` has the first.
    ``problems`` are sentences about labels that are odd but usable, ``unlabelled`` the items of a split without one.
    """

    error: LabelledError
    folder: Path
    path: Path
    labels: Mapping[str, Intervals]
    splits: Mapping[str, tuple[str, ...]]
    split_of: Mapping[str, str]
    problems: tuple[str, ...]
    unlabelled: tuple[str, ...]


def read(
    root: Path, *, split: str | None = None, errors: str | Sequence[str] = ERRORS, partial: bool = False
) -> Dataset:
    """Read the items that the split files name.

    Parameters
    ----------
    root
        Folder with ``Fitness-AQA_dataset_release`` as it was published, archives unpacked; or that folder itself.
    split
        ``train``, ``val``, ``test`` or all: the official ones.
    errors
        The errors to ask about: names of ``ALL_ERRORS``, or ``"all"`` for those of the barbell row too.
    partial
        True reads the items whose media are here and lists the others.

    Raises
    ------
    BadInput
        Where labels or splits are missing, an item of a split has no label, or media are missing and ``partial`` is not
        set.
    """
    check_split(root, split, SPLITS)
    chosen = options_of(NAME, "errors", errors, tuple(ALL_ERRORS))
    found = labels_of(root, chosen)
    absent = [Path(ALL_ERRORS[name].labels).name for name in chosen if name not in found]
    gone = partial_or_refused(
        partial,
        NAME,
        lambda: (
            f"{root} lacks {', '.join(absent)}; name the errors that are here: options = {{ errors = {sorted(found)} }}"
        ),
        [f"{name} is not in {root}: its error is not asked about" for name in absent],
    )
    for labels in found.values():
        if labels.unlabelled:
            raise BadInput(
                f"{labels.path}: {len(labels.unlabelled)} items of its split have no label, the first is"
                f" {labels.unlabelled[0]!r}; get the label and split files of one release"
            )
    performances: list[Performance] = []
    for group in _by_clips(found.values()).values():
        made, missing = _performances(group, media_of(group[0]), split)
        performances += made
        gone += partial_or_refused(
            partial, NAME, functools.partial(_lacking, root, group[0], len(made), missing), missing
        )
    return Dataset(
        name=NAME,
        root=root,
        licence=LICENCE,
        citation=CITATION,
        show_frames=False,
        errors=tuple(
            ErrorStatement(id=one.error.id, action=one.error.clips.action, statement=one.error.statement)
            for one in found.values()
        ),
        performances=of_split(performances, split, str(root)),
        problems=(*_problems(found.values()), *gone),
    )


def check(root: Path) -> Report:
    """Compare a root with the published data set; media may be missing."""
    found = labels_of(root, tuple(ALL_ERRORS))
    counts: list[Count] = []
    notes = ["a label is positive when it has an interval; the wording of the errors is ours"]
    problems = [f"{Path(ALL_ERRORS[name].labels).name} is not in {root}" for name in ERRORS if name not in found]
    for name, labels in found.items():
        clips, splits = labels.error.clips, labels.split_of
        asked = [key for key in splits if key in labels.labels]
        what = f"{clips.action.partition(',')[0]} {name.replace('_', ' ')}"
        erroneous = sum(labels.labels[key] != () for key in asked)
        counts += [
            Count(what=f"{what}: items of the split with a label", found=len(asked), published=sum(clips.published)),
            Count(what=f"{what}: with the error", found=erroneous, published=labels.error.published),
            *(
                Count(what=f"{what}: {split}", found=len(set(labels.splits[split])), published=size)
                for split, size in zip(SPLITS, clips.published, strict=True)
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
    for clips, group in _by_clips(found.values()).items():
        media = media_of(group[0])
        made, missing = _performances(group, media, None)
        counts.append(Count(what=f"{clips.action}: media found of those named", found=len(made)))
        if not made:
            notes.append(f"{clips.action}: no media in {group[0].folder}: only labels were checked")
        else:
            problems += missing
        extra = len(media) - len({one.media.stem for one in made})
        if extra > 0:
            notes.append(f"{clips.action}: {extra:,} {clips.media}s are in no split and are not asked about")
        without = group[0].folder / "Splits/traj_nan.json"
        if clips == SQUATS and without.is_file() and isinstance(listed := load_json(without), list | dict) and listed:
            notes.append(
                f"squat: {len(listed)} clips have no bar trajectory; their videos are fine and are asked about"
            )
    notes += _together(found)
    return Report(
        name=NAME, root=root, counts=tuple(counts), problems=(*_problems(found.values()), *problems), notes=tuple(notes)
    )


def labels_of(root: Path, errors: Sequence[str]) -> dict[str, ErrorLabels]:
    """Load labels and splits for those of the errors whose labels are here.

    Raises
    ------
    BadInput
        Where none of them is here, where splits are missing, or where a file is malformed.
    """
    home = root / RELEASE if (root / RELEASE).is_dir() else root
    wanted = {name: f"{ALL_ERRORS[name].clips.folder}/{ALL_ERRORS[name].labels}" for name in errors}
    here = [name for name, file in wanted.items() if (home / file).is_file()]
    if not here:
        raise BadInput(
            f"{root} holds no labels of Fitness-AQA: none of {', '.join(wanted.values())} is there, nor in {RELEASE} in"
            f" it; put the release there as it was published{to_unpack(root, home)}; {SOURCE}"
        )
    return {name: _labels(home, ALL_ERRORS[name]) for name in here}


def media_of(labels: ErrorLabels) -> dict[str, list[Path]]:
    """Return the media of the clips that labels are about, by their stem."""
    clips = labels.error.clips
    files = [path for place in clips.places for path in files_in(labels.folder / place)]
    return by_stem(files, VIDEO_SUFFIXES if clips.media == "video" else IMAGE_SUFFIXES)


def _by_clips(found: Iterable[ErrorLabels]) -> dict[ClipSet, list[ErrorLabels]]:
    groups: dict[ClipSet, list[ErrorLabels]] = {}
    for labels in found:
        groups.setdefault(labels.error.clips, []).append(labels)
    return groups


def _performances(
    group: Sequence[ErrorLabels], media: Mapping[str, Sequence[Path]], split: str | None
) -> tuple[list[Performance], list[str]]:
    """Make the performances of one set of clips, and a sentence for each whose media are not here."""
    clips = group[0].error.clips
    made: list[Performance] = []
    missing: list[str] = []
    splits = {key: name for labels in group for key, name in labels.split_of.items()}
    for key, name in splits.items():
        if split is not None and name != split:
            continue
        errors: dict[str, Intervals] = {labels.error.id: labels.labels[key] for labels in group if key in labels.labels}
        paths = media.get(key, ())
        if not errors:
            continue  # said by the caller
        if len(paths) != 1:
            found = f"{len(paths)} media, such as {paths[0]}" if paths else "no media"
            missing.append(f"{clips.name} {key}: {found}")
            continue
        made.append(
            Performance(
                id=f"{clips.name}_{key}",
                media=paths[0],
                action=clips.action,
                performer=_performer(key),
                video=key if clips.media == "video" else key.rpartition("_")[0] or key,
                split=name,
                errors=errors,
            )
        )
    return made, missing


def _performer(key: str) -> str:
    return key.partition("_")[0]


def _lacking(root: Path, labels: ErrorLabels, made: int, missing: Sequence[str]) -> str:
    clips = labels.error.clips
    return (
        f"{root} lacks {len(missing):,} of {made + len(missing):,} {clips.media}s of {clips.action}: {missing[0]}; put"
        f" them into {labels.folder / clips.places[0]}{to_unpack(labels.folder)}; they come with the labels: {SOURCE}"
    )


def _labels(home: Path, error: LabelledError) -> ErrorLabels:
    folder = home / error.clips.folder
    path = folder / error.labels
    table = load_json(path)
    if not isinstance(table, dict) or not table:
        raise BadInput(f"{path}: holds no object of labels; allowed: {{item: label, …}}")
    files = {name: folder / error.clips.splits.format(name) for name in SPLITS}
    for file in files.values():
        if not file.is_file():
            raise BadInput(f"{path} is there, but not its split: {file} is missing; get both from one release")
    splits = {name: _keys(file) for name, file in files.items()}
    labels: dict[str, Intervals] = {}
    problems: list[str] = []
    for key, value in table.items():
        labels[key], wrong = _label(value, f"{path}: {key!r}")
        problems += wrong
    split_of: dict[str, str] = {}
    for name, keys in splits.items():
        for key in keys:
            first = split_of.setdefault(key, name)
            if first != name:
                problems.append(f"{files[name]}: {key!r} is in both {first} and {name}; counted as {first}")
        if len(set(keys)) < len(keys):
            problems.append(f"{files[name]}: names {len(keys) - len(set(keys))} items twice")
    return ErrorLabels(
        error=error,
        folder=folder,
        path=path,
        labels=labels,
        splits=splits,
        split_of=split_of,
        problems=tuple(problems),
        unlabelled=tuple(key for key in split_of if key not in labels),
    )


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
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < LARGEST


def _problems(found: Iterable[ErrorLabels]) -> list[str]:
    """Return what is odd about labels and splits, and items that one error's split has and its twin's has not."""
    problems = [problem for labels in found for problem in labels.problems]
    for first, *others in _by_clips(found).values():
        for other in others:
            for key in sorted(other.labels.keys() ^ first.labels.keys()):
                if key in other.split_of:
                    lacks = other if key not in other.labels else first
                    problems.append(f"{key!r} has no label in {lacks.path.name}, but in that of another error")
    return list(dict.fromkeys(problems))


def _together(found: Mapping[str, ErrorLabels]) -> list[str]:
    if not {"knees_inward", "knees_forward"} <= found.keys():
        return []
    splits = found["knees_inward"].split_of
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
