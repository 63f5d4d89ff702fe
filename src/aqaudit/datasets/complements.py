"""Complements: whether two statements say the opposite of each other, as far as their words show.

Only a person can tell that two sentences are exact complements. What a program can tell is that they cannot be: the
same text twice, no opposite and no negation between them, other numbers, other body parts.
"""

from __future__ import annotations

import re

_NEGATIONS = frozenset({"not", "no", "never", "without", "neither", "nor", "cannot", "none", "nothing"})
#: Pairs of which one side stands in each statement, as beginnings of words.
_OPPOSITES = (
    ("correct", "incorrect"), ("correct", "wrong"), ("correct", "error"),
    ("above", "below"), ("above", "at"), ("inward", "apart"), ("inward", "over"), ("inward", "outward"),
    ("bent", "straight"), ("bend", "straight"), ("bent", "stretch"), ("round", "straight"), ("round", "flat"),
    ("arch", "straight"), ("sag", "straight"), ("lift", "stay"), ("lift", "down"), ("lift", "flat"), ("leave", "stay"),
    ("forward", "upright"), ("forward", "back"), ("lean", "upright"), ("tilt", "level"), ("drop", "level"),
    ("short", "full"), ("shallow", "deep"), ("high", "low"), ("left", "right"), ("front", "behind"), ("up", "down"),
    ("open", "close"), ("wide", "narrow"), ("more", "less"), ("more", "at most"), ("less", "at least"),
    ("fewer", "at least"), ("slow", "fast"), ("together", "apart"), ("same", "different"), ("same", "other"),
    ("even", "uneven"), ("symmetric", "asymmetric"), ("parallel", "angle"), ("in line", "out of line"),
    ("within", "beyond"), ("within", "outside"), ("in front", "over"), ("before", "after"), ("both", "only"),
    ("stops", "continue"), ("stop", "reach"), ("further", "no further"), ("keep", "lose"), ("stays", "moves"),
    ("stay", "move"), ("steady", "sway"), ("past", "behind"), ("past", "over"), ("smooth", "jerk"), ("control", "drop"),
)  # fmt: skip
_NUMBER = re.compile(r"\d+(?:\.\d+)?")
_WORD = re.compile(r"[a-z]+(?:n't)?")
_PARTS = (
    "head", "neck", "shoulder", "trunk", "torso", "back", "spine", "chest", "arm", "elbow", "wrist", "hand", "hip",
    "pelvis", "leg", "thigh", "knee", "shin", "calf", "ankle", "heel", "foot", "feet", "toe",
)  # fmt: skip


def doubts(positive: str, negative: str) -> list[str]:
    """Return why two statements cannot be exact complements, one clause each; empty where nothing speaks against it."""
    a, b = (" ".join(text.lower().split()) for text in (positive, negative))
    found = []
    if a == b:
        found.append("both are the same text")
    negated = [_negations(text) for text in (a, b)]
    if negated[0] == negated[1] and not any(_opposed(a, b, one, other) for one, other in _OPPOSITES):
        found.append("neither negates the other, and no opposites stand in them")
    numbers = [sorted(_NUMBER.findall(text)) for text in (a, b)]
    if numbers[0] != numbers[1]:
        found.append(f"they speak of other numbers: {numbers[0]} and {numbers[1]}")
    parts = [{part for part in _PARTS if re.search(rf"\b{part}s?\b", text)} for text in (a, b)]
    if parts[0] and parts[1] and not parts[0] & parts[1]:
        found.append(f"they speak of other body parts: {sorted(parts[0])} and {sorted(parts[1])}")
    if "?" in a + b:
        found.append("one of them is a question")
    return found


def _negations(text: str) -> int:
    return sum(word in _NEGATIONS or word.endswith("n't") for word in _WORD.findall(text))


def _opposed(a: str, b: str, one: str, other: str) -> bool:
    def only_in(word: str, here: str, there: str) -> bool:
        return bool(re.search(rf"\b{word}", here)) and not re.search(rf"\b{word}", there)

    return (only_in(one, a, b) and only_in(other, b, a)) or (only_in(other, a, b) and only_in(one, b, a))
