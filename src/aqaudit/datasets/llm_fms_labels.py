"""The label files of LLM-FMS: one file a key-frame or many in one, whatever they are called.

The published archives' file names are known from nobody who says them, so a label is known by what it has: an object
with ``ruleResults``. Its picture, movement and subject are looked for in its own keys, then in names and folders.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from aqaudit.datasets.places import IMAGE_SUFFIXES, index_by_stem, load_json, short, walk
from aqaudit.records import BadInput

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
    from pathlib import Path

    from aqaudit.datasets.llm_fms_rules import Movement, Rule

_IMAGE_KEYS = ("image", "imageName", "image_name", "imagePath", "image_path", "img", "file", "fileName", "file_name",
               "filename", "keyframe", "frame", "path", "name", "id")  # fmt: skip
_MOVEMENT_KEYS = ("movement", "movementId", "movement_id", "mid", "actionId", "action_id", "action")
_SUBJECT_KEYS = ("subject", "subjectId", "subject_id", "sid", "person", "performer", "participant")
_ANSWER_KEYS = ("result", "answer", "option", "value", "ruleResult")
_RULE_KEYS = ("rule", "ruleId", "rule_id", "id")
_MOVEMENT = re.compile(r"(?<![a-z])m0*(\d{1,2})(?!\d)")
_SUBJECT = re.compile(r"(?<![a-z])(?:s|sub|subj|subject|p|person)[-_ ]?0*(\d{1,3})(?!\d)")


@dataclass(frozen=True, slots=True, kw_only=True)
class Label:
    """One key-frame as labelled; ``answers`` holds what the label says, not yet held against the options."""

    where: str
    image: Path
    movement: str
    subject: str
    answers: Mapping[str, object]
    score: object


@dataclass(frozen=True, slots=True, kw_only=True)
class Labels:
    """All labels below a root: those with a picture, the sentences about those without, pictures without a label."""

    labels: tuple[Label, ...]
    missing: tuple[str, ...]
    unlabelled: int
    images: int
    entries: int


def labels_below(root: Path, rules: Path, movements: Mapping[str, Movement], wrong: Callable[[str], object]) -> Labels:
    """Find the labels below ``root`` and the picture, movement and subject of each.

    ``wrong`` is told of each entry that cannot be used.

    Raises
    ------
    BadInput
        Where a file cannot be read as JSON.
    """
    images = index_by_stem(root, IMAGE_SUFFIXES)
    labels: list[Label] = []
    missing: list[str] = []
    taken: dict[Path, str] = {}
    entries = 0
    for path, where, entry in _entries(root, rules):
        entries += 1
        candidates = _images_of(entry, path, images, root)
        if len(candidates) != 1:
            named = _first_text(entry, _IMAGE_KEYS) or path.stem
            found = "no picture" if not candidates else f"{len(candidates)} pictures, such as {candidates[0]}"
            (missing.append if not candidates else wrong)(f"{where}: {found} for {named!r}")
            continue
        image = candidates[0]
        if image in taken:
            wrong(f"{where}: its picture {image} has another label in {taken[image]}")
            continue
        taken[image] = where
        names = [image.stem, path.stem, *(part for one in (image, path) for part in _folders(one, root))]
        movement, subject = (
            _agreed(entry, keys, names, pattern, form, where, wrong)
            for keys, pattern, form in ((_MOVEMENT_KEYS, _MOVEMENT, "m{:02d}"), (_SUBJECT_KEYS, _SUBJECT, "s{:02d}"))
        )
        if movement not in movements:
            said = f"movement {movement!r} is not in the rules" if movement else "no movement can be told from it"
            wrong(f"{where}: {said}; allowed: {', '.join(movements)}")
            continue
        answers = _answers(entry["ruleResults"], movements[movement])
        if answers is None:
            wrong(f"{where}: ruleResults is {short(entry['ruleResults'])}; allowed: an answer for each rule")
            continue
        labels.append(
            Label(
                where=where,
                image=image,
                movement=movement,
                subject=subject,
                answers=answers,
                score=entry.get("score"),
            )
        )
    number = sum(map(len, images.values()))
    return Labels(
        labels=tuple(labels),
        missing=tuple(missing),
        unlabelled=number - len(taken),
        images=number,
        entries=entries,
    )


def first_index(root: Path, labels: Sequence[Label], movements: Mapping[str, Movement]) -> int | None:
    """Tell whether answers given as numbers count options from 0 or 1; None where most answers are no numbers.

    Raises
    ------
    BadInput
        Where neither or both would fit all of them.
    """
    answers = [
        (_number(answer), rule)
        for label in labels
        for name, answer in label.answers.items()
        if (rule := movements[label.movement].rules.get(name)) and _text_option(answer, rule) is None
    ]
    numbers = [(number, len(rule.options)) for number, rule in answers if number is not None]
    given = sum(len(label.answers) for label in labels)
    if len(numbers) * 2 <= given:
        return None
    fits = [first for first in (0, 1) if all(first <= number < options + first for number, options in numbers)]
    if len(fits) != 1:
        both = "both 0 and 1" if fits else "neither 0 nor 1"
        raise BadInput(
            f"{root}: answers in ruleResults are numbers, and {both} could be the first option's; write the options'"
            " texts"
        )
    return fits[0]


def option_of(answer: object, rule: Rule, first: int | None) -> str | None:
    """Return the option that an answer means, None where it is none of them."""
    option, number = _text_option(answer, rule), _number(answer)
    if option is not None or number is None or first is None:
        return option
    return rule.options[number - first] if 0 <= number - first < len(rule.options) else None


def _text_option(answer: object, rule: Rule) -> str | None:
    if not isinstance(answer, str):
        return None
    wanted = " ".join(answer.split()).casefold().rstrip(".")
    return next((one for one in rule.options if one.casefold().rstrip(".") == wanted), None)


def _number(answer: object) -> int | None:
    if isinstance(answer, str) and answer.strip().isdecimal() and len(answer) < 9:
        return int(answer)
    return answer if isinstance(answer, int) and not isinstance(answer, bool) else None


def _entries(root: Path, rules: Path) -> Iterator[tuple[Path, str, Mapping[str, Any]]]:
    for folder, _, inside in walk(root):
        for name in inside:
            path = folder / name
            if name.lower().endswith(".json") and path != rules and "rule" not in name.lower():
                yield from ((path, where, entry) for where, entry in _within(load_json(path), str(path)))


def _within(value: Any, where: str, depth: int = 0) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Yield every object with ``ruleResults``, with where it is; one found by its key is given that key as a name."""
    if isinstance(value, dict) and "ruleResults" in value:
        yield where, value
    elif depth < 4 and isinstance(value, dict):
        for key, inner in value.items():
            named = {"name": key, **inner} if isinstance(inner, dict) and "ruleResults" in inner else inner
            yield from _within(named, f"{where}, {key!r}", depth + 1)
    elif depth < 4 and isinstance(value, list):
        for number, inner in enumerate(value):
            yield from _within(inner, f"{where}, entry {number + 1}", depth + 1)


def _images_of(entry: Mapping[str, Any], path: Path, images: Mapping[str, list[Path]], root: Path) -> list[Path]:
    """Return the pictures a label may be about: by what it names, else by its file's own name."""
    named = _first_text(entry, _IMAGE_KEYS)
    parts = re.split(r"[/\\]", named) if named else [path.name]
    stem = parts[-1]
    while stem not in images and "." in stem:
        stem = stem.rpartition(".")[0]
    candidates = images.get(stem, [])
    if len(candidates) < 2:
        return candidates
    # Several pictures of one name in different folders: the one whose last folders are the label's own.
    folders = [part.lower() for part in (*_folders(path, root)[::-1], *parts[:-1])]
    alike = [sum(part.lower() in folders for part in _folders(one, root)) for one in candidates]
    return [one for one, number in zip(candidates, alike, strict=True) if number == max(alike)]


def _folders(path: Path, root: Path) -> list[str]:
    return list(path.parent.relative_to(root).parts)[::-1]


def _first_text(entry: Mapping[str, Any], keys: Sequence[str]) -> str:
    return next((entry[key] for key in keys if isinstance(entry.get(key), str) and entry[key].strip()), "")


def _agreed(
    entry: Mapping[str, Any],
    keys: Sequence[str],
    names: Iterable[str],
    pattern: re.Pattern[str],
    form: str,
    where: str,
    wrong: Callable[[str], object],
) -> str:
    """Return an id as the label says it, else as names do; the empty text where none tells it."""
    said = next((found for key in keys if (found := _own(entry.get(key), pattern, form))), "")
    named = next((form.format(int(match[1])) for name in names if (match := pattern.search(name.lower()))), "")
    if said and named and said != named:
        wrong(f"{where}: the label says {said}, its file names {named}; kept as the label says")
    return said or named


def _own(value: object, pattern: re.Pattern[str], form: str) -> str:
    if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 1000:
        return form.format(value)
    if not isinstance(value, str):
        return ""
    if value.strip().isdecimal() and len(value) < 5:
        return form.format(int(value))
    match = pattern.search(value.lower())
    return form.format(int(match[1])) if match else ""


def _answers(results: object, movement: Movement) -> dict[str, object] | None:
    if isinstance(results, dict):
        return {str(rule).strip().lower(): answer for rule, answer in results.items()}
    if not isinstance(results, list) or not results:
        return None
    if all(isinstance(one, dict) for one in results):
        pairs = [
            (_first_text(one, _RULE_KEYS).lower(), next((one[key] for key in _ANSWER_KEYS if key in one), None))
            for one in results
        ]
        return dict(pairs) if all(rule for rule, _ in pairs) else None
    return dict(zip(movement.rules, results, strict=True)) if len(results) == len(movement.rules) else None
