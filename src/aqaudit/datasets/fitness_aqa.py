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
from collections import defaultdict
from typing import TYPE_CHECKING

from aqaudit.datasets.fitness_aqa_files import SPLITS, TASKS, Labels, labels_below, media_of, no_trajectory
from aqaudit.datasets.places import to_unpack
from aqaudit.datasets.reader import Count, Reader, Report, check_split, of_split, options_of, partial_or_refused
from aqaudit.records import BadInput, Dataset, ErrorStatement, Performance

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

    from aqaudit.datasets.fitness_aqa_files import Intervals

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


def _lacking(root: Path, group: Sequence[Labels], made: int, missing: Sequence[str]) -> str:
    main = group[0]
    return (
        f"{root} lacks {len(missing):,} of {made + len(missing):,} {main.task.media}s of {main.task.action}:"
        f" {missing[0]}; looked below {main.media_root}{to_unpack(root)}; they come with the labels, on request"
        " (github.com/ParitoshParmar/Fitness-AQA)"
    )


def _performances(root: Path, group: Sequence[Labels], split: str | None) -> tuple[list[Performance], list[str]]:
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


def _problems(found: Iterable[Labels]) -> list[str]:
    """Return what is odd about labels and splits, and items that one error's split has and its twin's has not."""
    problems = [problem for labels in found for problem in labels.problems]
    first: dict[str, Labels] = {}
    for labels in found:
        other = first.setdefault(labels.task.clips, labels)
        for key in sorted(labels.labels.keys() ^ other.labels.keys()):
            if key in labels.split_of():
                lacks = labels if key not in labels.labels else other
                problems.append(f"{key!r} has no label in {lacks.path.name}, but in that of another error")
    return list(dict.fromkeys(problems))


def _together(found: Mapping[str, Labels]) -> list[str]:
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
