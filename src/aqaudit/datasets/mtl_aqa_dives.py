"""The dives of MTL-AQA as its annotation dictionaries give them: checked, decoded, compared with each other."""

from __future__ import annotations

import re
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from aqaudit.records import BadInput

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from aqaudit.datasets.mtl_aqa_files import AnnotationDict, Key

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
