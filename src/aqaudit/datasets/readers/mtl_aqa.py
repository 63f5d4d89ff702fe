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
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

from aqaudit.core.records import BadInput, Dataset, Performance, Scale
from aqaudit.datasets.layout import VIDEO_SUFFIXES, by_number, file_of, files_in, folders_in, header_of, to_unpack
from aqaudit.datasets.pickles import load
from aqaudit.datasets.reader import Count, Reader, Report, check_split, masks_of, partial_or_refused, true_or_false

NAME = "mtl_aqa"
LICENCE = "none stated; citation asked for; for research"
CITATION = (
    "Parmar and Morris, What and How Well You Performed? A Multitask Learning Approach to Action Quality Assessment,"
    " CVPR 2019; judges' marks: Yu et al., Group-aware Contrastive Regression for Action Quality Assessment, ICCV 2021"
)
EXECUTION = Scale(id="execution", min=0, max=30, step=0.5, unit="points")
PUBLISHED = {"dives": 1412, "train": 1059, "test": 353, "videos": 15}

MARKS_FILE = "final_annotations_dict_with_dive_number.pkl"
OFFICIAL_FILE = "final_annotations_dict.pkl"
SPLIT_FILES = {"train": "train_split_0.pkl", "test": "test_split_0.pkl"}
#: Where annotation files lie: side by side in the root, or apart as the two repositories have them.
FOLDERS = (".", "official/MTL-AQA_split_0_data", "core_repo")
VIDEOS, FRAMES = "whole_videos", "whole_videos_frames"

#: ``position`` and ``rotation_type`` are these codes. No straight dive (A) occurs.
POSITIONS = {0: ("free", "D"), 1: ("pike", "B"), 2: ("tuck", "C")}
ROTATIONS = {0: ("back", "2"), 1: ("forward", "1"), 2: ("inward", "4"), 3: ("reverse", "3")}

_INTEGERS = ("start_frame", "end_frame", "position", "armstand", "rotation_type", "ss_no", "tw_no")
_NUMBERS = ("difficulty", "final_score")
#: Final scores are printed with two decimals; marks and difficulties with one.
_ROUNDING = 0.06
_FRAME = re.compile(r"\d+\.(?:jpg|jpeg|png)", re.IGNORECASE)

#: (video number, dive number)
Key = tuple[int, int]
Entries = Mapping[Key, Mapping[str, Any]]


@dataclass(frozen=True, slots=True, kw_only=True)
class VideoMedia:
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
                f"{self.path} holds frames of unknown rate: put the video into {VIDEOS}, whose header says the rate, or"
                " read it with fps=… (the annotations do not state it)"
            )
        return fps

    def refuse_without(self, last: int) -> None:
        """Raise where frame ``last`` cannot be there."""
        if self.is_frames:
            names = [f"{last:0{digits}d}.{suffix}" for digits in (6, 8) for suffix in ("jpg", "png")]
            if not any((self.path / name).is_file() for name in names):
                raise BadInput(
                    f"{self.path} lacks frame {names[0]}; the annotations count frames of the original download"
                )
            return
        fps, number = header_of(self.path)
        if number < last:
            raise BadInput(
                f"{self.path} has about {number:,} frames at {fps:.2f} per second, but its dives go up to frame"
                f" {last:,} of the original download at its original rate"
            )


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

    @property
    def contradictory(self) -> bool:
        """Whether the marks times difficulty are not the final score."""
        return bool(self.marks) and abs(self.execution * self.difficulty - self.final_score) > _ROUNDING


@dataclass(frozen=True, slots=True, kw_only=True)
class DiveAnnotations:
    """What the annotation files of a root say: the dives in order of their keys, and the keys of each split.

    ``problems`` has a sentence for each dive that contradicts itself, its other entry, another dive, or what was
    published.
    """

    dives: Mapping[Key, Dive]
    splits: Mapping[str, tuple[Key, ...]]
    have_marks: bool
    problems: tuple[str, ...]


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
        Folder with the annotation files. Media of video 3 are ``whole_videos/03.mp4`` (or ``3.mp4``, or of another
        container) or a folder ``whole_videos_frames/03`` (or ``3``) of frames ``%06d.jpg`` or ``%08d.jpg``.
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
        raise BadInput(f"fps of reader {NAME!r} is {fps!r}; allowed: frames per second of the folders of frames")
    hidden, told = masks_of(NAME, masks), true_or_false(NAME, "facts", facts)
    annotations = annotations_of(root)
    if not annotations.have_marks:
        raise BadInput(f"{root} has no judges' marks: put {MARKS_FILE} there (repository yuxumin/CoRe, MTL-AQA/info)")
    dives, splits = annotations.dives, annotations.splits
    check_split(root, split, tuple(splits))
    stray = [key for keys in splits.values() for key in keys if key not in dives]
    if stray:
        raise BadInput(f"{root}: the split names dive {stray[0]}, which the annotations lack ({len(stray)} such dives)")
    media = media_of(root)
    videos = sorted({video for name, keys in splits.items() if split in {None, name} for video, _ in keys})
    missing = [f"{video:02d}" for video in videos if video not in media]
    gone = partial_or_refused(
        partial,
        NAME,
        lambda: (
            f"{root} has no media for {len(missing)} of {len(videos)} videos: {', '.join(missing)}; put them there as"
            f" {VIDEOS}/{missing[0]}.mp4 or as frames {FRAMES}/{missing[0]}/000001.jpg{to_unpack(root, root / VIDEOS)};"
            " the addresses are in Video_List.xlsx of the official repository (ParitoshParmar/MTL-AQA)"
        ),
        [f"video {video} is not in {root}: its dives are not asked about" for video in missing],
    )
    if len(missing) == len(videos):
        raise BadInput(f"{root} has media for none of its {len(videos)} videos; put at least one there")
    videos = [video for video in videos if video in media]
    for video in videos:
        media[video].refuse_without(_last_frame(dives, video))
    rates = {video: media[video].rate(fps) for video in videos}
    performances = [
        Performance(
            id=f"v{dive.video:02d}_d{dive.number:03d}",
            media=media[dive.video].path,
            action="dive",
            performer=f"video {dive.video:02d}",
            video=f"{dive.video:02d}",
            split=name,
            fps=rates[dive.video],
            first_frame=dive.start_frame,
            last_frame=dive.end_frame,
            scores={EXECUTION.id: dive.execution},
            context=facts_of(dive) if told else None,
            tags={
                "dive_number": dive.dive_number,
                "position": POSITIONS[dive.position][0],
                "rotation": ROTATIONS[dive.rotation_type][0],
                "somersaults": f"{dive.ss_no / 2:g}",
                "twists": f"{dive.tw_no / 2:g}",
                "armstand": "yes" if dive.armstand else "no",
                "difficulty": f"{dive.difficulty:g}",
                "final_score": f"{dive.final_score:g}",
            },
            masks=hidden,
        )
        for name, keys in splits.items()
        if split in {None, name}
        for dive in (dives[key] for key in keys)
        if dive.video in rates
    ]
    return Dataset(
        name=NAME,
        root=root,
        licence=LICENCE,
        citation=CITATION,
        show_frames=False,
        scales=(EXECUTION,),
        performances=performances,
        problems=(*annotations.problems, *gone),
    )


def check(root: Path) -> Report:
    """Compare a root with the published data set; media may be missing."""
    annotations = annotations_of(root)
    dives, splits, media = annotations.dives, annotations.splits, media_of(root)
    videos = {video for video, _ in dives}
    problems = [] if annotations.have_marks else [f"no judges' marks: {MARKS_FILE} is not in {root}; a run needs it"]
    problems += annotations.problems
    notes = [
        "execution = sum of the middle three of the seven sorted marks, 0 to 30",
        "performers are not named: intervals are clustered by video, and every video is in both train and test",
    ]
    if not media:
        notes.append(f"no media in {root}: only annotations were checked; a run needs the videos")
    for video in sorted(videos & media.keys()):
        try:
            media[video].refuse_without(_last_frame(dives, video))
        except BadInput as error:
            problems.append(str(error))
    counts = (
        Count(what="dives", found=len(dives), published=PUBLISHED["dives"]),
        Count(what="dives in train", found=len(splits["train"]), published=PUBLISHED["train"]),
        Count(what="dives in test", found=len(splits["test"]), published=PUBLISHED["test"]),
        Count(what="dives in both train and test", found=len({*splits["train"]} & {*splits["test"]}), published=0),
        Count(what="videos in the annotations", found=len(videos), published=PUBLISHED["videos"]),
        Count(what="videos with media here", found=len(videos & media.keys())),
        Count(what="dives with seven marks", found=sum(len(d.marks) == 7 for d in dives.values()), published=1412),
        Count(what="dives whose marks contradict the final score", found=sum(d.contradictory for d in dives.values())),
    )
    return Report(name=NAME, root=root, counts=counts, problems=tuple(problems), notes=tuple(notes))


def _last_frame(dives: Mapping[Key, Dive], video: int) -> int:
    return max(dive.end_frame for dive in dives.values() if dive.video == video)


def annotations_of(root: Path) -> DiveAnnotations:
    """Load the annotation dictionaries and split files of a root and hold them against each other.

    Raises
    ------
    BadInput
        Where they are in none of the places of the layout, where two copies differ, or where one is refused or
        malformed.
    """
    names = (MARKS_FILE, OFFICIAL_FILE, *SPLIT_FILES.values())
    paths = {name: path for name in names if (path := file_of(root, name, FOLDERS))}
    main = MARKS_FILE if MARKS_FILE in paths else OFFICIAL_FILE
    if main not in paths:
        raise BadInput(
            f"{root} holds no MTL-AQA annotations: neither {MARKS_FILE} (repository yuxumin/CoRe, folder MTL-AQA/info)"
            f" nor {OFFICIAL_FILE} (repository ParitoshParmar/MTL-AQA) is there; put them there (looked in it, in"
            f" {FOLDERS[1]} and in {FOLDERS[2]}){to_unpack(root)}"
        )
    missing = [name for name in SPLIT_FILES.values() if name not in paths]
    if missing:
        raise BadInput(
            f"{root} lacks {' and '.join(missing)}, which say what is train and test; put them beside {paths[main]}"
        )
    tables = {name: _dictionary(paths[name]) for name in (MARKS_FILE, OFFICIAL_FILE) if name in paths}
    splits = {split: _keys(paths[name]) for split, name in SPLIT_FILES.items()}
    dives = {key: _dive(key, entry, f"{paths[main]}: dive {key}") for key, entry in sorted(tables[main].items())}
    problems = [*_disagreements(dives, splits), *_contradictions(dives)]
    if len(tables) == 2:
        problems += _differences(tables[MARKS_FILE], tables[OFFICIAL_FILE])
    return DiveAnnotations(dives=dives, splits=splits, have_marks=main == MARKS_FILE, problems=tuple(problems))


def _dictionary(path: Path) -> Entries:
    entries = load(path)
    if not isinstance(entries, dict) or not entries:
        raise BadInput(f"{path} holds {type(entries).__name__}; allowed: a dictionary of dives")
    for key, entry in entries.items():
        if not _is_key(key) or not isinstance(entry, dict):
            raise BadInput(f"{path}: entry {key!r}; allowed: (video number, dive number) with a dictionary")
    return entries


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


def media_of(root: Path) -> dict[int, VideoMedia]:
    """Return the media of each video number: ``whole_videos/03.mp4`` and ``whole_videos_frames/03/000001.jpg``.

    Raises
    ------
    BadInput
        Where there are two files, or two folders, for one video.
    """
    videos = _one_each(by_number(files_in(root / VIDEOS), VIDEO_SUFFIXES))
    frames = _one_each(by_number(filter(_holds_frames, folders_in(root / FRAMES)), {""}))
    return {
        number: VideoMedia(path=path, is_frames=number in frames, video=videos.get(number))
        for number, path in (videos | frames).items()
    }


def _holds_frames(folder: Path) -> bool:
    with os.scandir(folder) as entries:
        return any(_FRAME.fullmatch(entry.name) for entry in entries)


def _one_each(found: Mapping[int, Sequence[Path]]) -> dict[int, Path]:
    for number, (first, *others) in found.items():
        if others:
            raise BadInput(f"two media for video {number:02d}: {first} and {others[0]}; keep the original download")
    return {number: paths[0] for number, paths in found.items()}


def facts_of(dive: Dive) -> str:
    """Return what is announced before a dive, as a sentence for a prompt; nothing of it tells how well it went."""
    turns = [
        f"{halves / 2:g} {name}{'s' if halves != 2 else ''}"
        for halves, name in ((dive.ss_no, "somersault"), (dive.tw_no, "twist"))
        if halves
    ]
    start = " from an armstand" if dive.armstand else ""
    return (
        f"Announced: {ROTATIONS[dive.rotation_type][0]} dive{start}, {' and '.join(turns) or 'no turn'},"
        f" {POSITIONS[dive.position][0]} position, degree of difficulty {dive.difficulty:g}."
    )


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
    given = isinstance(marks, list | tuple) and len(marks) == 7 and all(map(_is_mark, marks))
    if "judge_scores" in entry and not given:
        raise BadInput(f"{where}: judge_scores is {marks!r}; allowed: seven marks from 0 to 10 in half points")
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


def _disagreements(dives: Mapping[Key, Dive], splits: Mapping[str, tuple[Key, ...]]) -> list[str]:
    """Return a sentence for each way in which splits and dives differ from what was published."""
    train, test = {*splits["train"]}, {*splits["test"]}
    found = [f"dive {key} is in both train and test" for key in sorted(train & test)]
    found += [f"dive {key} is in a split, but not in the annotations" for key in sorted((train | test) - dives.keys())]
    unused = sorted(dives.keys() - train - test)
    if unused:
        found.append(f"{len(unused)} dives are in no split, the first is {unused[0]}")
    found += [
        f"split {name} names {twice} dives twice"
        for name, keys in splits.items()
        if (twice := len(keys) - len({*keys}))
    ]
    if len(dives) != PUBLISHED["dives"]:
        found.append(f"{len(dives):,} dives are here, {PUBLISHED['dives']:,} were published")
    return found


def _contradictions(dives: Mapping[Key, Dive]) -> list[str]:
    """Return a sentence for each dive that contradicts itself or another one."""
    found = [
        f"dive {key}: the marks give execution {dive.execution:g}, times difficulty {dive.difficulty:g} ="
        f" {dive.execution * dive.difficulty:.2f}, but the final score is {dive.final_score:g}; kept, with the"
        " execution of the marks"
        for key, dive in dives.items()
        if dive.contradictory
    ]
    found += [f"dive {key} has final score 0 (a failed dive); kept" for key, d in dives.items() if d.final_score == 0]
    found += [
        f"dive {key} has number {dive.dive_number}, which its codes contradict"
        for key, dive in dives.items()
        if dive.dive_number and not _number_agrees(dive)
    ]
    ordered = sorted(dives.values(), key=lambda dive: (dive.video, dive.start_frame))
    found += [
        f"dives {(one.video, one.number)} and {(other.video, other.number)} overlap in time"
        for one, other in pairwise(ordered)
        if one.video == other.video and other.start_frame <= one.end_frame
    ]
    return found


def _number_agrees(dive: Dive) -> bool:
    """Whether a number such as 407C, 5253B or 6243D says what the codes say."""
    found = re.fullmatch(r"(?:([1-4])0(\d)|5([1-4])(\d)(\d)|6([1-4])(\d)(\d?))([ABCD])", dive.dive_number)
    if not found:
        return False
    plain, plain_ss, twist, twist_ss, twist_tw, arm, arm_ss, arm_tw, position = found.groups()
    said = (plain or twist or arm, int(plain_ss or twist_ss or arm_ss), int(twist_tw or arm_tw or 0), position)
    coded = (ROTATIONS[dive.rotation_type][1], dive.ss_no, dive.tw_no, POSITIONS[dive.position][1])
    return said == coded and bool(arm) == bool(dive.armstand)


def _differences(marks: Entries, official: Entries) -> list[str]:
    """Return a sentence for each dive that the two dictionaries do not agree about."""
    found = []
    for key in sorted(marks.keys() | official.keys()):
        one, other = marks.get(key), official.get(key)
        if one is None or other is None:
            found.append(f"dive {key} is not in {MARKS_FILE if one is None else OFFICIAL_FILE}")
            continue
        differing = sorted(name for name in one.keys() & other.keys() if one[name] != other[name])
        if differing:
            name = differing[0]
            found.append(f"dive {key}: {name} is {one[name]} with the marks, {other[name]} in the official file")
    return found


READER = Reader(
    name=NAME,
    what="diving: execution score 0 to 30 from the judges' marks",
    licence=LICENCE,
    kinds=("score", "prefer"),
    read=read,
    check=check,
    performances=PUBLISHED["dives"],
    options=("fps", "masks", "facts", "partial"),
)
