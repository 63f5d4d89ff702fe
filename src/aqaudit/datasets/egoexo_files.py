"""Where the files of EgoExo-Fitness lie: records, boundaries, lists of pairs, and folders of frames."""

from __future__ import annotations

import hashlib
import os
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from aqaudit.datasets.places import load_json, one_of, short, to_unpack, walk
from aqaudit.records import BadInput

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

VIEWS = ("ego_l", "ego_m", "ego_r", "exo_l", "exo_m", "exo_r")
JUDGEMENTS = "interpretable_action_judgement.json"
RECORDS = "meta_records.json"
BOUNDARIES = "action_level_annotations.json"
PAIRS = {"train": "train_pairs_open.txt", "test": "test_pairs_open.txt"}
LABEL_BANK = "label_bank_coarse.json"

_FRAME = re.compile(r"frame_(\d+)\.(?:jpe?g|png)", re.IGNORECASE)
_DATED = re.compile(r"\s*\d{4}\s*[-_]\s*(.+?)\s*")


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """One recording of one person, by up to six cameras: frames by view.

    ``person`` is a number to show, ``drawn`` the name, which is for dividing people only and never shown.
    """

    id: str
    person: str
    drawn: str
    frames: Mapping[str, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Files:
    """What is here: annotation files by name, and the folders of frames by record and view."""

    root: Path
    paths: Mapping[str, Path]
    frames: Mapping[tuple[str, str], Path]
    problems: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Pairs:
    """The published lists of pairs of clips: the records of each, and the codes of sequences that they name."""

    records: Mapping[str, frozenset[str]]
    lines: Mapping[str, int]
    codes: frozenset[str]
    problems: tuple[str, ...] = field(default=())

    def split_of(self, record: str) -> str:
        """Return the list that a record is in; the empty text for those in none, or in both."""
        names = [name for name, records in self.records.items() if record in records]
        return names[0] if len(names) == 1 else ""


def files_below(root: Path) -> Files:
    """Find the annotation files and the folders of frames below ``root``; no folder of frames is looked into.

    Raises
    ------
    BadInput
        Where nothing of the data set is here, or two files of one name differ.
    """
    wanted = {JUDGEMENTS, RECORDS, BOUNDARIES, LABEL_BANK, *PAIRS.values()}
    found: dict[str, list[Path]] = {}
    frames: dict[tuple[str, str], Path] = {}
    problems = []
    for folder, folders, inside in walk(root, VIEWS.__contains__):
        for name in wanted & set(inside):
            found.setdefault(name, []).append(folder / name)
        for view in set(folders) & set(VIEWS):
            first = frames.setdefault((folder.name, view), folder / view)
            if first != folder / view:
                problems.append(f"record {folder.name} has two folders of {view}: {first}, which is used, and {folder}")
    if not found:
        raise BadInput(
            f"{root} holds no annotations of EgoExo-Fitness; looked below it for {', '.join(sorted(wanted))}"
            f"{to_unpack(root)}; the data are given to those whose advisor signs the licence agreement at"
            " github.com/iSEE-Laboratory/EgoExo-Fitness"
        )
    return Files(
        root=root,
        paths={name: one_of(copies) for name, copies in found.items()},
        frames=frames,
        problems=tuple(sorted(problems)),
    )


def records_of(path: Path) -> dict[str, Record]:
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
        record: Record(id=record, person=numbers[name], drawn=name, frames=frames[record])
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


def pairs_of(paths: Mapping[str, Path]) -> Pairs | None:
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
    return Pairs(
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
