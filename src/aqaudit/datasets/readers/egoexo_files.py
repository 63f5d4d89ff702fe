"""The files of EgoExo-Fitness: records, boundaries, pairs, and what annotators said about an action, made one label."""

from __future__ import annotations

import hashlib
import os
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from aqaudit.core.records import BadInput, Criterion
from aqaudit.datasets.layout import file_of, folders_in, load_json, to_unpack
from aqaudit.datasets.reader import short

VIEWS = ("ego_l", "ego_m", "ego_r", "exo_l", "exo_m", "exo_r")
JUDGEMENTS = "interpretable_action_judgement.json"
RECORDS = "meta_records.json"
BOUNDARIES = "action_level_annotations.json"
PAIRS = {"train": "train_pairs_open.txt", "test": "test_pairs_open.txt"}
LABEL_BANK = "label_bank_coarse.json"
#: Where these files lie: those of the licensed data set, those of the public repository, or all in the root itself.
FOLDERS = ("raw_annotations", "cvsv_annotations", ".")
FRAMES = "frames_open"
LICENSED = (
    "the data are given to those whose advisor signs the licence agreement at github.com/iSEE-Laboratory/EgoExo-Fitness"
)

_FRAME = re.compile(r"frame_(\d+)\.(?:jpe?g|png)", re.IGNORECASE)
_DATED = re.compile(r"\s*\d{4}\s*[-_]\s*(.+?)\s*")

#: What a key point is where as many annotators say "True" as "False".
Ties = Literal["satisfied", "fault", "left_out"]
TIES: tuple[Ties, ...] = ("satisfied", "fault", "left_out")

#: Names of the twelve actions in the file of action boundaries, with how many actions of each were judged, where known.
NAMES: Mapping[str, int | None] = {
    "Jumping Jacks": 121, "Sit-ups": 82, "Shoulder Bridge": 77, "Clap Jacks": 74, "Kneeling pushing-ups": 72,
    "High Knee": 68, "Leg Reverse Lunge": 67, "Leg Lunge With Knee Lift": 64, "Push-ups": 62, "Sumo Squat": 55,
    "Kneeling Torso Twist": None, "Knee Raise and Abdominal Muscles Contract": None,
}  # fmt: skip

_KEY = re.compile(r"(?P<record>.+)_action_(?P<number>\d+)")
_SIDES = frozenset({"left", "right", "side"})
_VERDICTS = {"true": True, "false": False}


@dataclass(frozen=True, slots=True, kw_only=True)
class FilmedRecord:
    """One recording of one person, by up to six cameras: frames by view.

    ``person`` is a number to show, ``drawn`` the name, which is for dividing people only and never shown.
    """

    id: str
    person: str
    drawn: str
    frames: Mapping[str, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class EgoExoFiles:
    """What is here: annotation files by name, and the folders of frames by record and view."""

    paths: Mapping[str, Path]
    frames: Mapping[tuple[str, str], Path]


@dataclass(frozen=True, slots=True, kw_only=True)
class PairLists:
    """The published lists of pairs of clips: the records of each, and the codes of sequences that they name."""

    records: Mapping[str, frozenset[str]]
    lines: Mapping[str, int]
    codes: frozenset[str]
    problems: tuple[str, ...]

    def split_of(self, record: str) -> str:
        """Return the list that a record is in; the empty text for those in none, or in both."""
        names = [name for name, records in self.records.items() if record in records]
        return names[0] if len(names) == 1 else ""


@dataclass(frozen=True, slots=True, kw_only=True)
class JudgedAction:
    """One action as it was judged: frames ``start`` to ``end`` as annotated, votes (True, False) by key point."""

    key: str
    record: str
    number: int
    name: str
    start: int
    end: int
    votes: Mapping[str, tuple[int, int]]
    scores: tuple[float, ...]
    annotators: int

    def criteria(self, ties: Ties) -> dict[str, bool]:
        """Return the label of each key point: that of the strict majority, and of ties as the rule says."""
        labels: dict[str, bool] = {}
        for text, (true, false) in self.votes.items():
            if true != false:
                labels[criterion_id(text)] = true > false
            elif ties != "left_out":
                labels[criterion_id(text)] = ties == "satisfied"
        return labels

    @property
    def ties(self) -> int:
        """How many key points as many annotators call satisfied as not."""
        return sum(true == false for true, false in self.votes.values())


def files_in_root(root: Path) -> EgoExoFiles:
    """Find the annotation files and the folders of frames; no folder of frames is looked into.

    Raises
    ------
    BadInput
        Where no annotation file is here, or two copies of one differ.
    """
    names = (JUDGEMENTS, RECORDS, BOUNDARIES, LABEL_BANK, *PAIRS.values())
    paths = {name: path for name in names if (path := file_of(root, name, FOLDERS))}
    if not paths:
        raise BadInput(
            f"{root} holds no annotations of EgoExo-Fitness: put {JUDGEMENTS} and the others into {FOLDERS[0]}; looked"
            f" there, in {FOLDERS[1]} and in the root itself for {', '.join(names)}{to_unpack(root)}; {LICENSED}"
        )
    frames = {
        (record.name, view.name): view
        for record in folders_in(root / FRAMES)
        for view in folders_in(record)
        if view.name in VIEWS
    }
    return EgoExoFiles(paths=paths, frames=frames)


def records_of(path: Path) -> dict[str, FilmedRecord]:
    """Read the records. The people in them are numbered, in an order that says nothing: their names stay in the file.

    One person was recorded on several dates: ``original_actor`` is date and name, and the name makes the person.

    Raises
    ------
    BadInput
        Where the file is not as published.
    """
    table = load_json(path)
    index = table.get("record_index") if isinstance(table, dict) else None
    entries = table.get("records") if isinstance(table, dict) else None
    if not isinstance(index, dict) or not isinstance(entries, list):
        raise BadInput(f"{path}: allowed: an object with a list of records and their record_index")
    names: dict[str, str] = {}
    frames: dict[str, dict[str, int]] = {}
    for record, place in index.items():
        if type(place) is not int or not 0 <= place < len(entries) or not isinstance(entries[place], dict):
            raise BadInput(f"{path}: record_index of {record!r} is {place!r}; there are {len(entries)} records, from 0")
        entry = entries[place]
        frames[record] = _frames(entry, f"{path}: record {record!r}")
        actor = entry.get("original_actor")
        dated = _DATED.fullmatch(actor) if isinstance(actor, str) else None
        # without a name every record is a person of its own
        names[record] = " ".join((dated[1] if dated else str(actor or record)).casefold().split())
    order = sorted(set(names.values()), key=lambda name: hashlib.sha256(name.encode()).digest())
    numbers = {name: f"person {number:02d}" for number, name in enumerate(order, 1)}
    return {
        record: FilmedRecord(id=record, person=numbers[name], drawn=name, frames=frames[record])
        for record, name in names.items()
    }


def boundaries_of(path: Path) -> dict[str, list[tuple[int, int, int]]]:
    """Read the boundaries of the actions of each record: class, first frame, last frame."""
    table = load_json(path)
    found = {}
    for record, entry in table.items() if isinstance(table, dict) else ():
        rows = entry.get("action_info") if isinstance(entry, dict) else None
        whole = isinstance(rows, list) and all(
            isinstance(row, list) and len(row) == 3 and all(type(number) is int for number in row) for row in rows
        )
        if not whole or rows is None:
            raise BadInput(f"{path}: action_info of {record!r}; allowed: a list of [class, first frame, last frame]")
        found[record] = [(row[0], row[1], row[2]) for row in rows]
    return found


def pairs_of(paths: Mapping[str, Path]) -> PairLists | None:
    """Read the lists of pairs, the only published division that parts records; None where they are not here."""
    if not all(name in paths for name in PAIRS.values()):
        return None
    records: dict[str, set[str]] = {}
    lines: dict[str, int] = {}
    codes: set[str] = set()
    problems = []
    for split, name in PAIRS.items():
        held = records.setdefault(split, set())
        try:
            text = paths[name].read_text(encoding="utf-8").splitlines()
        except (OSError, UnicodeDecodeError) as error:
            raise BadInput(f"{paths[name]} cannot be read as text: {error}") from None
        lines[split] = sum(map(bool, text))
        for number, line in enumerate(text, 1):
            words = line.split()
            clips = [word.split("/") for word in words[::4]]
            if len(words) != 8 or any(len(parts) < 3 or parts[-2] not in VIEWS for parts in clips):
                if words:
                    problems.append(f"{paths[name]}, line {number}: not two clips of path, code, start and end")
                continue
            held.update(parts[-3] for parts in clips)
            codes.update(words[1::4])
    both = sorted(records["train"] & records["test"])
    problems += [f"record {record} is in the pairs of both train and test" for record in both]
    return PairLists(
        records={split: frozenset(held) for split, held in records.items()},
        lines=lines,
        codes=frozenset(codes),
        problems=tuple(problems),
    )


def label_bank(path: Path) -> dict[str, list[str]]:
    """Read the action names of each sequence code."""
    table = load_json(path)
    if not isinstance(table, dict) or not all(isinstance(names, list) for names in table.values()):
        raise BadInput(f"{path}: allowed: an object of sequence codes with lists of action names")
    return {code: [str(name) for name in names] for code, names in table.items()}


def frame_range(folder: Path) -> tuple[int, int] | None:
    """Return the first and last frame of a folder, None where it holds none."""
    first, last = 1 << 60, 0
    try:
        with os.scandir(folder) as entries:
            for entry in entries:
                if match := _FRAME.fullmatch(entry.name):
                    number = int(match[1])
                    first, last = min(first, number), max(last, number)
    except OSError:
        return None
    return (first, last) if last else None


def has_frames(folder: Path, *numbers: int) -> bool:
    """Tell whether these frames are there under their published name."""
    return all(os.path.exists(f"{folder}/frame_{number:010d}.jpg") for number in numbers)  # noqa: PTH110 - 10,000 times


def _frames(entry: Mapping[str, Any], where: str) -> dict[str, int]:
    given = entry.get("frames")
    if not isinstance(given, dict):
        raise BadInput(f"{where}: frames is {short(given)}; allowed: an object of views")
    found = {}
    for view in VIEWS:
        if view in given:
            number = given[view].get("num_frames") if isinstance(given[view], dict) else None
            if type(number) is not int or number < 0:
                raise BadInput(f"{where}: num_frames of {view} is {number!r}; allowed: a whole number")
            found[view] = number
    return found


def judgements(path: Path) -> tuple[list[JudgedAction], list[str]]:
    """Read the judgements: the actions in order of their keys, and a sentence for each thing that contradicts itself.

    Raises
    ------
    BadInput
        Where the file, or an entry of it, is not as published.
    """
    table = load_json(path)
    if not isinstance(table, dict) or not table:
        raise BadInput(f"{path}: holds no object of judged actions")
    spelled: dict[str, str] = {}
    problems: list[str] = []
    actions = [_judged(f"{path}: {key!r}", key, entry, spelled, problems) for key, entry in table.items()]
    actions.sort(key=lambda one: (one.record, one.number))
    return actions, problems


def criteria_of(actions: Iterable[JudgedAction]) -> tuple[Criterion, ...]:
    """Return every key point of every action name as a criterion, in order of the names and texts.

    The texts are advice such as "Keep your back straight.", so a statement is that the performer follows it or not:
    exact complements for any text.
    """
    texts = sorted({(one.name, text) for one in actions for text in one.votes})
    return tuple(
        Criterion(
            id=criterion_id(text),
            action=name,
            positive=f"The performer follows this guideline: {text}",
            negative=f"The performer does not follow this guideline: {text}",
        )
        for name, text in texts
    )


def criterion_id(text: str) -> str:
    """Return a name for a key point, made of its words."""
    return re.sub(r"[^a-z0-9]+", "_", text.lower()).strip("_") or hashlib.sha256(text.encode()).hexdigest()[:12]


def boundary_name(name: str) -> str | None:
    """Return the name that the file of boundaries has for an action; None where it has none.

    Two names differ (Kneeling Side Torso Twist, Side Knee Raise And Abdominal Muscles Contract), and lists of pairs add
    left and right: words count, not sides, hyphens or capital letters.
    """
    wanted = _words(name)
    return next((known for known in NAMES if _words(known) == wanted), None)


def name_mismatches(actions: Iterable[JudgedAction]) -> list[tuple[str, str | None, int]]:
    """Return each judged name that is not the boundary file's own: the name, the one meant, how many actions."""
    counts = Counter(one.name for one in actions)
    return [(name, boundary_name(name), number) for name, number in sorted(counts.items()) if name not in NAMES]


def _words(name: str) -> frozenset[str]:
    return frozenset(re.findall(r"[a-z]+", name.lower())) - _SIDES


def _judged(where: str, key: str, entry: Any, spelled: dict[str, str], problems: list[str]) -> JudgedAction:
    match = _KEY.fullmatch(key)
    annotations = entry.get("annotations") if isinstance(entry, dict) else None
    if match is None or not isinstance(annotations, list) or not annotations:
        raise BadInput(f"{where}: allowed: a key such as ThEnUZ_action_1 and a list of annotations")
    frames = entry.get("st_ed_frame")
    if not (
        isinstance(frames, list) and len(frames) == 2 and all(type(one) is int and 0 <= one < 10**9 for one in frames)
    ):
        raise BadInput(f"{where}: st_ed_frame is {frames!r}; allowed: [first frame, last frame]")
    votes: dict[str, list[int]] = {}
    scores: list[float] = []
    names: Counter[str] = Counter()
    for number, annotation in enumerate(annotations, 1):
        at = f"{where}, annotation {number}"
        if not isinstance(annotation, dict):
            raise BadInput(f"{at} is {short(annotation)}; allowed: an object")
        names[_text(annotation, at)] += 1
        for text, verdict in _verdicts(annotation.get("key_point_verification"), at, spelled, problems).items():
            votes.setdefault(text, [0, 0])[not verdict] += 1
        score = annotation.get("action_quality_score")
        if isinstance(score, int | float) and not isinstance(score, bool) and 1 <= score <= 5:
            scores.append(float(score))
        elif score is not None:
            problems.append(f"{at}: action_quality_score is {short(score)}; left out, allowed: 1 to 5")
    if len(names) > 1:
        problems.append(f"{where}: its annotations name it {', '.join(map(repr, names))}; kept as the most say")
    return JudgedAction(
        key=key,
        record=match["record"],
        number=int(match["number"]),
        name=names.most_common(1)[0][0],
        start=frames[0],
        end=frames[1],
        votes={text: (true, false) for text, (true, false) in votes.items()},
        scores=tuple(scores),
        annotators=len(annotations),
    )


def _text(annotation: Mapping[str, Any], where: str) -> str:
    name = annotation.get("action_name")
    if not isinstance(name, str) or not name.strip():
        raise BadInput(f"{where}: action_name is {name!r}; allowed: a text that is not empty")
    return " ".join(name.split())


def _verdicts(given: object, where: str, spelled: dict[str, str], problems: list[str]) -> dict[str, bool]:
    """Return what one annotator says, by key point; what contradicts itself is listed and left out."""
    if not isinstance(given, list):
        raise BadInput(f"{where}: key_point_verification is {short(given)}; allowed: a list of [text, verdict]")
    said: dict[str, bool] = {}
    doubtful: set[str] = set()
    for pair in given:
        if not (isinstance(pair, list) and len(pair) == 2 and isinstance(pair[0], str) and pair[0].strip()):
            raise BadInput(f"{where}: key_point_verification has {short(pair)}; allowed: [text, 'True' or 'False']")
        text = " ".join(pair[0].split())
        text = spelled.setdefault(criterion_id(text), text)
        verdict = _VERDICTS.get(str(pair[1]).strip().lower())
        if verdict is None:
            problems.append(f"{where}: {text!r} is {short(pair[1])}; left out, allowed: 'True' or 'False'")
        elif said.setdefault(text, verdict) != verdict:
            doubtful.add(text)
    problems += [f"{where}: {text!r} is called both True and False; left out" for text in sorted(doubtful)]
    return {text: verdict for text, verdict in said.items() if text not in doubtful}


def share_of_faults(actions: Sequence[JudgedAction]) -> float:
    """Return the share of verdicts that are "False"."""
    false = sum(no for one in actions for _, no in one.votes.values())
    return false / max(1, false + sum(yes for one in actions for yes, _ in one.votes.values()))
