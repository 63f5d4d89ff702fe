"""Where the files of MTL-AQA lie: annotations and media anywhere below a root, whatever release they came from."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from aqaudit.datasets.pickles import load
from aqaudit.datasets.places import VIDEO_SUFFIXES, one_of, walk
from aqaudit.records import BadInput

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

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
