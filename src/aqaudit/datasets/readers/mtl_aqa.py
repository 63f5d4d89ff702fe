"""Reader ``mtl_aqa``: 1,412 dives of MTL-AQA (Parmar & Morris, CVPR 2019), each with the marks of seven judges.

What is asked: the *execution* score, 0 to 30, which is the sum of the middle three of the seven sorted marks (two
lowest and two highest dropped). The final score is execution times difficulty; a question about it could be answered
from the difficulty alone (rank correlation 0.56 on the test split), so it is kept as a tag only. For 27 dives the
marks and the final score contradict each other: their execution comes from the marks, like that of all others, and
each is listed in ``Dataset.problems``.

The official annotations have no marks. They are in ``final_annotations_dict_with_dive_number.pkl`` of the CoRe
repository, which has the same dives and values beside them.

The performers are not named, so the cluster is the video. Every video is in both train and test: the split is not
video-disjoint. A dive is shown from ``start_frame`` to ``end_frame``, no further: score graphics may follow. (The
loader of the official repository takes the 103 frames that end at ``end_frame`` instead.) Frame numbers start at 1
and hold only for the original downloads at their original frame rate.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

from aqaudit.core.records import BadInput, Dataset, Mask, Performance, Scale
from aqaudit.datasets.pickles import load
from aqaudit.datasets.reader import (
    VIDEO_SUFFIXES,
    Count,
    Reader,
    Report,
    check_split,
    masks_of,
    one_of,
    partial_or_refused,
    walk,
)

MARKS_FILE = "final_annotations_dict_with_dive_number.pkl"
OFFICIAL_FILE = "final_annotations_dict.pkl"
SPLIT_FILES = {"train": "train_split_0.pkl", "test": "test_split_0.pkl"}

#: (video number, dive number)
Key = tuple[int, int]

_NUMBERED = re.compile(r"0*([1-9]\d?)")


@dataclass(frozen=True, slots=True, kw_only=True)
class AnnotationDict:
    """An annotation dictionary as it was found."""

    path: Path
    entries: Mapping[Key, Mapping[str, Any]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Annotations:
    """The annotation files below a root; ``marks`` is the dictionary with the judges' marks."""

    root: Path
    marks: AnnotationDict | None
    official: AnnotationDict | None
    splits: Mapping[str, Path]


@dataclass(frozen=True, slots=True, kw_only=True)
class Media:
    """Media of one video. What is shown is its folder of frames where there is one, as the annotations number them.

    ``video`` is the file, if it is there; it says the rate of the frames.
    """

    path: Path
    is_frames: bool
    video: Path | None

    def rate(self, fps: float | None) -> float | None:
        """Return the rate of a folder of frames; None for a video, which says its own."""
        if not self.is_frames:
            return None
        if self.video is not None:
            return header_of(self.video)[0]
        if fps is None:
            raise BadInput(
                f"{self.path} holds frames of unknown rate: put the video beside it, whose header says the rate, or"
                " read it with fps=… (the annotations do not state it)"
            )
        return fps

    def problems(self, last: int) -> list[str]:
        """Return a sentence where frame ``last`` cannot be there."""
        if self.is_frames:
            names = [f"{last:0{digits}d}.{suffix}" for digits in (6, 8) for suffix in ("jpg", "png")]
            if not any((self.path / name).is_file() for name in names):
                return [f"{self.path} lacks frame {names[0]}; the annotations count frames of the original download"]
            return []
        try:
            fps, number = header_of(self.path)
        except BadInput as error:
            return [str(error)]
        if number < last:
            held = f"{self.path} has about {number:,} frames at {fps:.2f} per second"
            return [f"{held}, but its dives go up to frame {last:,} of the original download at its original rate"]
        return []


def annotations_below(root: Path) -> Annotations:
    """Find and load the annotation dictionaries below ``root``.

    Raises
    ------
    BadInput
        Where there is none, where two files of one name differ, or where one is refused or malformed.
    """
    found: dict[str, list[Path]] = {}
    names = {MARKS_FILE, OFFICIAL_FILE, *SPLIT_FILES.values()}
    for folder, _, inside in walk(root, _NUMBERED.fullmatch):
        for name in names & set(inside):
            found.setdefault(name, []).append(folder / name)
    if MARKS_FILE not in found and OFFICIAL_FILE not in found:
        raise BadInput(
            f"{root} holds no MTL-AQA annotations; looked below it for {MARKS_FILE} (repository yuxumin/CoRe) and"
            f" {OFFICIAL_FILE} (repository ParitoshParmar/MTL-AQA)"
        )
    paths = {name: one_of(copies) for name, copies in found.items()}
    missing = [name for name in SPLIT_FILES.values() if name not in paths]
    if missing:
        raise BadInput(f"{root} lacks {' and '.join(missing)}, which say what is train and test")
    return Annotations(
        root=root,
        marks=_dictionary(paths.get(MARKS_FILE)),
        official=_dictionary(paths.get(OFFICIAL_FILE)),
        splits={split: paths[name] for split, name in SPLIT_FILES.items()},
    )


def splits_of(annotations: Annotations) -> dict[str, tuple[Key, ...]]:
    """Load the split files: the keys of the dives in ``train`` and ``test``, in their order."""
    return {split: _keys(path) for split, path in annotations.splits.items()}


def media_below(root: Path) -> dict[int, Media]:
    """Find the media of each video number below ``root``.

    Raises
    ------
    BadInput
        Where there are two files, or two folders, for one video.
    """
    videos: dict[int, Path] = {}
    frames: dict[int, Path] = {}
    for folder, folders, inside in walk(root, _NUMBERED.fullmatch):
        for name in inside:
            stem, suffix = os.path.splitext(name)  # noqa: PTH122
            number = _NUMBERED.fullmatch(stem)
            if number and suffix.lower() in VIDEO_SUFFIXES:
                _add(videos, int(number[1]), folder / name)
        for name in folders:
            number = _NUMBERED.fullmatch(name)
            if number and _holds_frames(folder / name):
                _add(frames, int(number[1]), folder / name)
    return {
        number: Media(path=path, is_frames=number in frames, video=videos.get(number))
        for number, path in (videos | frames).items()
    }


def header_of(video: Path) -> tuple[float, int]:
    """Return the frame rate and the number of frames that a video's header states (0 where it states neither).

    Raises
    ------
    BadInput
        Where the file is no readable video.
    """
    import av  # noqa: PLC0415 - checking annotations needs no video library

    try:
        with av.open(os.fspath(video)) as container:
            stream = container.streams.video[0]
            fps = float(stream.average_rate or 0)
            seconds = (container.duration or 0) / av.time_base
            return fps, stream.frames or round(seconds * fps)
    except (av.FFmpegError, OSError, IndexError) as error:
        raise BadInput(f"{video} cannot be read as a video ({error}); get it again") from None


def _holds_frames(folder: Path) -> bool:
    with os.scandir(folder) as entries:
        return any(re.fullmatch(r"\d+\.(jpg|jpeg|png)", entry.name, re.IGNORECASE) for entry in entries)


def _add(found: dict[int, Path], number: int, path: Path) -> None:
    first = found.setdefault(number, path)
    if first != path:
        raise BadInput(f"two media for video {number:02d}: {first} and {path}; keep the original download")


def _dictionary(path: Path | None) -> AnnotationDict | None:
    if path is None:
        return None
    entries = load(path)
    if not isinstance(entries, dict) or not entries:
        raise BadInput(f"{path} holds {type(entries).__name__}; allowed: a dictionary of dives")
    for key, entry in entries.items():
        if not _is_key(key) or not isinstance(entry, dict):
            raise BadInput(f"{path}: entry {key!r}; allowed: (video number, dive number) with a dictionary")
    return AnnotationDict(path=path, entries=entries)


def _keys(path: Path) -> tuple[Key, ...]:
    keys = load(path)
    if not isinstance(keys, list | tuple):
        raise BadInput(f"{path} holds {type(keys).__name__}; allowed: a list of dives")
    keys = [tuple(key) if isinstance(key, list) else key for key in keys]
    for key in keys:
        if not _is_key(key):
            raise BadInput(f"{path}: {key!r}; allowed: (video number, dive number)")
    return tuple(keys)


def _is_key(key: object) -> bool:
    return isinstance(key, tuple) and len(key) == 2 and all(type(part) is int and 0 < part < 10_000 for part in key)


#: ``position`` and ``rotation_type`` are these codes. No straight dive (A) occurs.
POSITIONS = {0: ("free", "D"), 1: ("pike", "B"), 2: ("tuck", "C")}
ROTATIONS = {0: ("back", "2"), 1: ("forward", "1"), 2: ("inward", "4"), 3: ("reverse", "3")}

_INTEGERS = ("start_frame", "end_frame", "position", "armstand", "rotation_type", "ss_no", "tw_no")
_NUMBERS = ("difficulty", "final_score")
#: Final scores are printed with two decimals; marks and difficulties with one.
_ROUNDING = 0.06


@dataclass(frozen=True, slots=True, kw_only=True)
class Dive:
    """One dive. ``ss_no`` and ``tw_no`` count half somersaults and half twists; ``marks`` is empty without them."""

    video: int
    number: int
    start_frame: int
    end_frame: int
    position: int
    armstand: int
    rotation_type: int
    ss_no: int
    tw_no: int
    difficulty: float
    final_score: float
    marks: tuple[float, ...] = ()
    dive_number: str = ""

    @property
    def execution(self) -> float:
        """Sum of the middle three of the seven sorted marks, 0 to 30."""
        return sum(sorted(self.marks)[2:5])


def dives_of(marks: AnnotationDict | None, official: AnnotationDict | None) -> tuple[dict[Key, Dive], list[str]]:
    """Check the two dictionaries (one may be absent) and make dives of them.

    Returns
    -------
    dives, problems
        The dives in order of their keys, those of ``marks`` where there are two; and a sentence for each that
        contradicts itself, its other entry or another dive.

    Raises
    ------
    BadInput
        Where an entry lacks a value or has one of the wrong type or out of range.
    """
    main = marks or official
    if main is None:
        return {}, []
    dives = {key: _dive(key, main.entries[key], f"{main.path}: dive {key}") for key in sorted(main.entries)}
    problems = [] if marks is None else [_contradiction(dive) for dive in contradictions(dives.values())]
    problems += [
        f"dive {key} has final score 0 (a failed dive); kept" for key, dive in dives.items() if dive.final_score == 0
    ]
    for key, dive in dives.items():
        if dive.dive_number and not _number_agrees(dive):
            problems.append(f"dive {key} has number {dive.dive_number}, which its codes contradict")
    problems += _overlaps(dives.values())
    if marks and official:
        problems += _differences(marks, official)
    return dives, problems


def contradictions(dives: Iterable[Dive]) -> list[Dive]:
    """Return the dives whose marks times difficulty is not their final score."""
    return [
        dive for dive in dives if dive.marks and abs(dive.execution * dive.difficulty - dive.final_score) > _ROUNDING
    ]


def tags_of(dive: Dive) -> dict[str, str]:
    """Return what is known about a dive beside its execution; somersaults and twists in whole turns."""
    return {
        "dive_number": dive.dive_number,
        "position": POSITIONS[dive.position][0],
        "rotation": ROTATIONS[dive.rotation_type][0],
        "somersaults": f"{dive.ss_no / 2:g}",
        "twists": f"{dive.tw_no / 2:g}",
        "armstand": "yes" if dive.armstand else "no",
        "difficulty": f"{dive.difficulty:g}",
        "final_score": f"{dive.final_score:g}",
    }


def facts_of(dive: Dive) -> str:
    """Return what is announced before a dive, as a sentence for a prompt; nothing of it tells how well it went."""
    turns = [_turns(dive.ss_no, "somersault"), _turns(dive.tw_no, "twist")]
    start = " from an armstand" if dive.armstand else ""
    return (
        f"Announced: {ROTATIONS[dive.rotation_type][0]} dive{start}, {' and '.join(filter(None, turns)) or 'no turn'},"
        f" {POSITIONS[dive.position][0]} position, degree of difficulty {dive.difficulty:g}."
    )


def _turns(halves: int, name: str) -> str:
    return f"{halves / 2:g} {name}{'s' if halves != 2 else ''}" if halves else ""


def _dive(key: Key, entry: Mapping[str, Any], where: str) -> Dive:
    for name in (*_INTEGERS, *_NUMBERS):
        if name not in entry:
            raise BadInput(f"{where} has no {name}")
        kinds = (int,) if name in _INTEGERS else (int, float)
        if type(entry[name]) not in kinds or not 0 <= entry[name] < 10**9:
            allowed = "a whole number" if name in _INTEGERS else "a number"
            raise BadInput(f"{where}: {name} is {entry[name]!r}; allowed: {allowed}, 0 or more")
    for name, codes in (("position", POSITIONS), ("rotation_type", ROTATIONS), ("armstand", (0, 1))):
        if entry[name] not in codes:
            raise BadInput(f"{where}: {name} is {entry[name]}; allowed: {', '.join(map(str, codes))}")
    if not 1 <= entry["start_frame"] < entry["end_frame"]:
        raise BadInput(f"{where}: frames {entry['start_frame']} to {entry['end_frame']}; allowed: 1 or more, in order")
    marks = entry.get("judge_scores", ())
    if not isinstance(marks, list | tuple) or (marks and len(marks) != 7) or not all(map(_is_mark, marks)):
        raise BadInput(f"{where}: judge_scores is {marks!r}; allowed: seven marks from 0 to 10 in half points")
    if "judge_scores" in entry and not marks:
        raise BadInput(f"{where}: judge_scores is empty; allowed: seven marks from 0 to 10 in half points")
    return Dive(
        video=key[0],
        number=key[1],
        marks=tuple(map(float, marks)),
        dive_number=str(entry.get("dive_number", "")),
        difficulty=float(entry["difficulty"]),
        final_score=float(entry["final_score"]),
        **{name: entry[name] for name in _INTEGERS},
    )


def _is_mark(mark: object) -> bool:
    return type(mark) in {int, float} and 0 <= mark <= 10 and mark * 2 == int(mark * 2)  # type: ignore[operator]


def _contradiction(dive: Dive) -> str:
    return (
        f"dive {(dive.video, dive.number)}: the marks give execution {dive.execution:g}, times difficulty"
        f" {dive.difficulty:g} = {dive.execution * dive.difficulty:.2f}, but the final score is {dive.final_score:g};"
        " kept, with the execution of the marks"
    )


def _number_agrees(dive: Dive) -> bool:
    """Whether a number such as 407C, 5253B or 6243D says what the codes say."""
    found = re.fullmatch(r"(?:([1-4])0(\d)|5([1-4])(\d)(\d)|6([1-4])(\d)(\d?))([ABCD])", dive.dive_number)
    if not found:
        return False
    plain, plain_ss, twist, twist_ss, twist_tw, arm, arm_ss, arm_tw, position = found.groups()
    said = (plain or twist or arm, int(plain_ss or twist_ss or arm_ss), int(twist_tw or arm_tw or 0), position)
    coded = (ROTATIONS[dive.rotation_type][1], dive.ss_no, dive.tw_no, POSITIONS[dive.position][1])
    return said == coded and bool(arm) == bool(dive.armstand)


def _overlaps(dives: Iterable[Dive]) -> list[str]:
    ordered = sorted(dives, key=lambda dive: (dive.video, dive.start_frame))
    return [
        f"dives {(one.video, one.number)} and {(other.video, other.number)} overlap in time"
        for one, other in pairwise(ordered)
        if one.video == other.video and other.start_frame <= one.end_frame
    ]


def _differences(marks: AnnotationDict, official: AnnotationDict) -> list[str]:
    """Return a sentence for each dive that the two dictionaries do not agree about."""
    found = []
    for key in sorted(marks.entries.keys() | official.entries.keys()):
        one, other = marks.entries.get(key), official.entries.get(key)
        if one is None or other is None:
            found.append(f"dive {key} is not in {(marks if one is None else official).path.name}")
            continue
        differing = sorted(name for name in one.keys() & other.keys() if one[name] != other[name])
        if differing:
            name = differing[0]
            found.append(f"dive {key}: {name} is {one[name]} with the marks, {other[name]} in the official file")
    return found


LICENCE = "none stated; citation asked for; for research"
CITATION = (
    "Parmar and Morris, What and How Well You Performed? A Multitask Learning Approach to Action Quality Assessment,"
    " CVPR 2019; judges' marks: Yu et al., Group-aware Contrastive Regression for Action Quality Assessment, ICCV 2021"
)
EXECUTION = Scale(id="execution", min=0, max=30, step=0.5, unit="points")
PUBLISHED = {"dives": 1412, "train": 1059, "test": 353, "videos": 15}


def read(
    root: Path,
    *,
    split: str | None = None,
    fps: float | None = None,
    masks: str | Sequence[Sequence[float]] = "none",
    facts: bool = False,
    partial: bool = False,
) -> Dataset:
    """Read the dives that are in a split file, with their marks and media.

    Parameters
    ----------
    root
        Folder with the annotation files and the media, at any place below it. Media of video 3 are a video file
        ``03.*`` or ``3.*``, or a folder ``03`` or ``3`` of frames ``%06d.jpg`` or ``%08d.jpg``.
    split
        ``train``, ``test`` or both.
    fps
        Rate of the frames in such folders, needed where the video itself is not there to say it.
    masks
        ``none``, ``corners``, or a list of [x0, y0, x1, y1] in shares of the picture: what no model may see.
    facts
        True tells the model the position, direction, somersaults, twists and difficulty of a dive.
    partial
        True reads the dives whose video is here and lists the others.

    Raises
    ------
    BadInput
        Where a file is missing, refused or malformed, where dives have no media and ``partial`` is not set (the message
        names the videos), or where a video is shorter than its dives.
    """
    if fps is not None and not (isinstance(fps, int | float) and 0 < fps < 1000):
        raise BadInput(f"fps of reader 'mtl_aqa' is {fps!r}; allowed: frames per second of the folders of frames")
    hidden = masks_of("mtl_aqa", masks)
    if not isinstance(facts, bool):
        raise BadInput(f"facts of reader 'mtl_aqa' is {facts!r}; allowed: true or false")
    annotations = annotations_below(root)
    if not annotations.marks:
        raise BadInput(
            f"{root} has no judges' marks: put {MARKS_FILE} below it (repository yuxumin/CoRe, folder MTL-AQA)"
        )
    splits = splits_of(annotations)
    check_split(root, split, tuple(splits))
    dives, problems = dives_of(annotations.marks, annotations.official)
    stray = [key for keys in splits.values() for key in keys if key not in dives]
    if stray:
        raise BadInput(f"{root}: the split names dive {stray[0]}, which the annotations lack ({len(stray)} such dives)")
    media = media_below(root)
    wanted = sorted({video for name, keys in splits.items() if split in {None, name} for video, _ in keys})
    missing = [f"{video:02d}" for video in wanted if video not in media]
    gone = partial_or_refused(
        partial,
        "mtl_aqa",
        lambda: (
            f"{root} has no media for {len(missing)} of {len(wanted)} videos: {', '.join(missing)}; looked below it for"
            f" files such as {missing[0]}.mp4 and folders {missing[0]}/000001.jpg; the addresses are in"
            " Video_List.xlsx of the official repository (ParitoshParmar/MTL-AQA)"
        ),
        [f"video {video} is not below {root}: its dives are not asked about" for video in missing],
    )
    if len(missing) == len(wanted):
        raise BadInput(f"{root} has media for none of its {len(wanted)} videos; put at least one there")
    wanted = [video for video in wanted if video in media]
    for video in wanted:
        wrong = media[video].problems(_last_frames(dives)[video])
        if wrong:
            raise BadInput(wrong[0])
    rates = {video: media[video].rate(fps) for video in wanted}
    performances = [
        _performance(dives[key], name, media[key[0]].path, rates[key[0]], hidden, told=facts)
        for name, keys in splits.items()
        if split in {None, name}
        for key in keys
        if key[0] in rates
    ]
    return Dataset(
        name="mtl_aqa",
        root=root,
        licence=LICENCE,
        citation=CITATION,
        show_frames=False,
        scales=(EXECUTION,),
        performances=performances,
        problems=(*_disagreements(dives, splits), *problems, *gone),
    )


def check(root: Path) -> Report:
    """Compare a root with the published data set; media may be missing."""
    annotations = annotations_below(root)
    splits = splits_of(annotations)
    dives, problems = dives_of(annotations.marks, annotations.official)
    media = media_below(root)
    videos = {video for video, _ in dives}
    notes = [
        "execution = sum of the middle three of the seven sorted marks, 0 to 30",
        "performers are not named: intervals are clustered by video, and every video is in both train and test",
    ]
    if not media:
        notes.append(f"no media below {root}: only annotations were checked; a run needs the videos")
    for video, last in _last_frames(dives).items():
        if video in media:
            problems += media[video].problems(last)
    if not annotations.marks:
        problems.insert(0, f"no judges' marks: {MARKS_FILE} is not below {root}; a run needs it")
    counts = (
        Count(what="dives", found=len(dives), published=PUBLISHED["dives"]),
        Count(what="dives in train", found=len(splits["train"]), published=PUBLISHED["train"]),
        Count(what="dives in test", found=len(splits["test"]), published=PUBLISHED["test"]),
        Count(what="dives in both train and test", found=len({*splits["train"]} & {*splits["test"]}), published=0),
        Count(what="videos in the annotations", found=len(videos), published=PUBLISHED["videos"]),
        Count(what="videos with media here", found=len(videos & media.keys())),
        Count(what="dives with seven marks", found=sum(len(d.marks) == 7 for d in dives.values()), published=1412),
        Count(what="dives whose marks contradict the final score", found=len(contradictions(dives.values()))),
    )
    problems = [*_disagreements(dives, splits), *problems]
    return Report(name="mtl_aqa", root=root, counts=counts, problems=tuple(problems), notes=tuple(notes))


def _last_frames(dives: Mapping[Key, Dive]) -> dict[int, int]:
    """Return the last frame of each video that a dive needs."""
    last: dict[int, int] = {}
    for (video, _), dive in sorted(dives.items()):
        last[video] = max(last.get(video, 0), dive.end_frame)
    return last


def _performance(
    dive: Dive, split: str, media: Path, fps: float | None, masks: tuple[Mask, ...], *, told: bool
) -> Performance:
    return Performance(
        id=f"v{dive.video:02d}_d{dive.number:03d}",
        media=media,
        action="dive",
        performer=f"video {dive.video:02d}",
        video=f"{dive.video:02d}",
        split=split,
        fps=fps,
        first_frame=dive.start_frame,
        last_frame=dive.end_frame,
        scores={EXECUTION.id: dive.execution},
        context=facts_of(dive) if told else None,
        tags=tags_of(dive),
        masks=masks,
    )


def _disagreements(dives: Mapping[Key, Dive], splits: Mapping[str, tuple[Key, ...]]) -> list[str]:
    """Return a sentence for each way in which splits and dives differ from what was published."""
    train, test = {*splits["train"]}, {*splits["test"]}
    found = [f"dive {key} is in both train and test" for key in sorted(train & test)]
    found += [f"dive {key} is in a split, but not in the annotations" for key in sorted((train | test) - dives.keys())]
    unused = sorted(dives.keys() - train - test)
    if unused:
        found.append(f"{len(unused)} dives are in no split, the first is {unused[0]}")
    for name, keys in splits.items():
        if len(keys) != len({*keys}):
            found.append(f"split {name} names {len(keys) - len({*keys})} dives twice")
    if len(dives) != PUBLISHED["dives"]:
        found.append(f"{len(dives):,} dives are here, {PUBLISHED['dives']:,} were published")
    return found


READER = Reader(
    name="mtl_aqa",
    what="diving: execution score 0 to 30 from the judges' marks",
    licence=LICENCE,
    kinds=("score", "prefer"),
    read=read,
    check=check,
    performances=PUBLISHED["dives"],
    options=("fps", "masks", "facts", "partial"),
)
