"""The judgements of EgoExo-Fitness: what several annotators said about the key points of an action, made one label."""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from aqaudit.datasets.places import load_json, short
from aqaudit.records import BadInput, Criterion

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

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
class Judged:
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


def judgements(path: Path) -> tuple[list[Judged], list[str]]:
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


def criteria_of(actions: Iterable[Judged]) -> tuple[Criterion, ...]:
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


def name_mismatches(actions: Iterable[Judged]) -> list[tuple[str, str | None, int]]:
    """Return each judged name that is not the boundary file's own: the name, the one meant, how many actions."""
    counts = Counter(one.name for one in actions)
    return [(name, boundary_name(name), number) for name, number in sorted(counts.items()) if name not in NAMES]


def _words(name: str) -> frozenset[str]:
    return frozenset(re.findall(r"[a-z]+", name.lower())) - _SIDES


def _judged(where: str, key: str, entry: Any, spelled: dict[str, str], problems: list[str]) -> Judged:
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
    return Judged(
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


def share_of_faults(actions: Sequence[Judged]) -> float:
    """Return the share of verdicts that are "False"."""
    false = sum(no for one in actions for _, no in one.votes.values())
    return false / max(1, false + sum(yes for one in actions for yes, _ in one.votes.values()))
