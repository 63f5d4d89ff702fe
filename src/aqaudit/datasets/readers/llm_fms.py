"""Reader ``llm_fms``: key-frames of the functional movement screen with the answers to fixed questions.

Source: Xing et al., PLoS ONE 2025, doi 10.1371/journal.pone.0313707.

What is asked: each rule of a key-frame's movement, with its own options (``choose``), and the score of the screen, 0 to
3 (``score``). The options are not ordered from good to bad and none is marked as correct: only the label says.

Movement numbers are this data set's own (m03 is a hurdle step here, an inline lunge in UI-PRMD). Mirroring a picture
would change the answer of m01/m02 r03 and swap every left with its right: nothing here mirrors.

The cluster is the subject: about 40 pictures each. The release has no split; subjects are divided by their name, a
third of them for training. This division is ours.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from aqaudit.core.records import BadInput, ChoiceQuestion, Dataset, Performance, Scale
from aqaudit.datasets.layout import IMAGE_SUFFIXES, by_stem, files_below, load_json, to_unpack
from aqaudit.datasets.reader import Count, Reader, Report, drawn_split, of_split, partial_or_refused, short

NAME = "llm_fms"
LICENCE = "reported as CC BY 4.0"
CITATION = "Xing et al., LLM-FMS, PLoS ONE 2025, doi 10.1371/journal.pone.0313707"
SOURCE = "Figshare collection 7601630 (doi 10.1371/journal.pone.0313707)"
SCORE = Scale(id="fms_score", min=0, max=3, step=1, unit="points")
PUBLISHED = {"keyframes": 1812, "subjects": 45, "movements": 15, "rules": 31, "m05": 135, "m06": 135}
#: Types of rules, and how many of each were published.
TYPES = {"angle": 12, "position": 11, "distance": 8}

RULES_FILE, PICTURES, LABELS = "FMSRules.json", "keyframes", "labels"

_IMAGE_KEYS = ("image", "imageName", "image_name", "imagePath", "image_path", "img", "file", "fileName", "file_name",
               "filename", "keyframe", "frame", "path", "name", "id")  # fmt: skip
_ANSWER_KEYS = ("result", "answer", "option", "value", "ruleResult")
_RULE_KEYS = ("rule", "ruleId", "rule_id", "id")
#: The keys that may hold an id, what it looks like in a name, and how it is written here.
_Id = tuple[tuple[str, ...], re.Pattern[str], str]
_MOVEMENT: _Id = (
    ("movement", "movementId", "movement_id", "mid", "actionId", "action_id", "action"),
    re.compile(r"(?<![a-z])m0*(\d{1,2})(?!\d)"),
    "m{:02d}",
)
_SUBJECT: _Id = (
    ("subject", "subjectId", "subject_id", "sid", "person", "performer", "participant"),
    re.compile(r"(?<![a-z])(?:s|sub|subj|subject|p|person)[-_ ]?0*(\d{1,3})(?!\d)"),
    "s{:02d}",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class FmsRule:
    """A question about a key-frame; ``options`` are in the order of the file, which is not from good to bad."""

    id: str
    type: str
    question: str
    options: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class FmsMovement:
    """One of the fifteen movements; ``action`` is what a model is told it is, ``view`` nominal."""

    id: str
    action: str
    view: str
    rules: Mapping[str, FmsRule]


@dataclass(frozen=True, slots=True, kw_only=True)
class FmsLabel:
    """One key-frame as labelled; ``answers`` holds what the label says, not yet held against the options."""

    where: str
    image: Path
    movement: str
    subject: str
    answers: Mapping[str, object]
    score: object


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyFrames:
    """What a root holds: rules, how many entries of labels and pictures, and the key-frames that have both.

    ``missing`` are the sentences about labels without a picture, ``unlabelled`` counts pictures without a label.
    """

    movements: Mapping[str, FmsMovement]
    performances: list[Performance]
    entries: int
    images: int
    unlabelled: int
    missing: tuple[str, ...]
    problems: tuple[str, ...]


def read(root: Path, *, split: str | None = None, partial: bool = False) -> Dataset:
    """Read the key-frames that have a label and a picture.

    Parameters
    ----------
    root
        Folder with ``FMSRules.json``, pictures in ``keyframes`` and labels in ``labels`` (or one ``labels.json``).
    split
        ``train``, ``test`` or both: ours, by subject.
    partial
        True reads the key-frames whose picture is here and lists the others.

    Raises
    ------
    BadInput
        Where the rules or labels are missing or malformed, or pictures are missing and ``partial`` is not set.
    """
    found = _key_frames(root)
    gone = partial_or_refused(
        partial,
        NAME,
        lambda: (
            f"{root} lacks the pictures of {len(found.missing):,} of {found.entries:,} labels: {found.missing[0]}; put"
            f" pictures of that name into {root / PICTURES}{to_unpack(root, root / PICTURES)}; they are part of"
            f" {SOURCE}"
        ),
        found.missing,
    )
    if not found.performances:
        first = f": {found.problems[0]}" if found.problems else ""
        raise BadInput(
            f"{root} holds rules, but no label that can be read{first}; put JSON files with ruleResults into"
            f" {root / LABELS}, or one as {LABELS}.json{to_unpack(root, root / LABELS)}; they are part of {SOURCE}"
        )
    return Dataset(
        name=NAME,
        root=root,
        licence=LICENCE,
        citation=CITATION,
        # several movements may bear one name, so the ids carry the movement
        choices=tuple(
            ChoiceQuestion(id=f"{one.id}_{rule.id}", action=one.action, question=rule.question, options=rule.options)
            for one in found.movements.values()
            for rule in one.rules.values()
        ),
        scales=(SCORE,),
        performances=of_split(found.performances, split, str(root)),
        problems=(*found.problems, *gone),
    )


def check(root: Path) -> Report:
    """Compare a root with the published data set; pictures may be missing."""
    found = _key_frames(root)
    people = found.performances
    rules = [rule for one in found.movements.values() for rule in one.rules.values()]
    by_movement = Counter(one.tags["movement"] for one in people)
    notes = [
        "the release has no split: subjects are divided here, a third of them for training",
        "options are not ordered from good to bad and none is marked as correct",
    ]
    if found.unlabelled:
        notes.append(f"{found.unlabelled:,} pictures have no label and are not asked about")
    counts = [
        Count(what="movements", found=len(found.movements), published=PUBLISHED["movements"]),
        Count(what="rules", found=len(rules), published=PUBLISHED["rules"]),
        *(
            Count(what=f"rules about {kind}", found=sum(rule.type == kind for rule in rules), published=number)
            for kind, number in TYPES.items()
        ),
        Count(what="rules with two options", found=sum(len(rule.options) == 2 for rule in rules), published=20),
        Count(what="rules with three options", found=sum(len(rule.options) == 3 for rule in rules), published=11),
        Count(what="labels", found=found.entries, published=PUBLISHED["keyframes"]),
        Count(what="pictures", found=found.images, published=PUBLISHED["keyframes"]),
        Count(what="key-frames that can be read", found=len(people), published=PUBLISHED["keyframes"]),
        Count(what="subjects", found=len({one.performer for one in people}), published=PUBLISHED["subjects"]),
        *(Count(what=f"key-frames of {m}", found=by_movement[m], published=PUBLISHED[m]) for m in ("m05", "m06")),
        Count(what="rule answers", found=sum(len(one.choices) for one in people)),
        Count(what="scores", found=sum(len(one.scores) for one in people)),
        *(
            Count(what=f"key-frames in {name}", found=sum(p.split == name for p in people))
            for name in ("train", "test")
        ),
    ]
    notes += _constant(people)
    problems = (*found.problems, *found.missing)
    return Report(name=NAME, root=root, counts=tuple(counts), problems=problems, notes=tuple(notes))


def _key_frames(root: Path) -> KeyFrames:
    """Read rules and labels and find the pictures of the labels.

    Raises
    ------
    BadInput
        Where there are no rules, or a file is not as published.
    """
    if not (root / RULES_FILE).is_file():
        raise BadInput(
            f"{root} holds no rules of LLM-FMS: {RULES_FILE} is not there; put it there{to_unpack(root)}; see {SOURCE}"
        )
    movements = _movements(root / RULES_FILE)
    images = by_stem(files_below(root / PICTURES), IMAGE_SUFFIXES)
    problems: list[str] = []
    missing: list[str] = []
    labels: list[FmsLabel] = []
    taken: dict[Path, str] = {}
    entries = list(_entries(root))
    for path, where, entry in entries:
        candidates = _images_of(entry, path, images, root)
        if len(candidates) != 1:
            named = _first_text(entry, _IMAGE_KEYS) or path.stem
            said = "no picture" if not candidates else f"{len(candidates)} pictures, such as {candidates[0]}"
            (problems if candidates else missing).append(f"{where}: {said} for {named!r}")
        elif (image := candidates[0]) in taken:
            problems.append(f"{where}: its picture {image} has another label in {taken[image]}")
        else:
            taken[image] = where
            names = (image.stem, path.stem, *_folders(image, root), *_folders(path, root))
            try:
                labels.append(_label(where, entry, image, names, movements, problems))
            except BadInput as error:
                problems.append(str(error))
    first = first_index(root, labels, movements)
    performances = [_performance(root, one, movements[one.movement], first, problems) for one in labels]
    if nameless := sum(not one.subject for one in labels):
        problems.append(f"no subject can be told for {nameless:,} key-frames: each is counted as a person of its own")
    number = sum(map(len, images.values()))
    return KeyFrames(
        movements=movements,
        performances=sorted(performances, key=lambda one: one.id),
        entries=len(entries),
        images=number,
        unlabelled=number - len(taken),
        missing=tuple(missing),
        problems=tuple(problems),
    )


def _performance(
    root: Path, label: FmsLabel, movement: FmsMovement, first: int | None, problems: list[str]
) -> Performance:
    choices: dict[str, str] = {}
    for name, answer in label.answers.items():
        rule = movement.rules.get(name)
        option = option_meant(answer, rule, first) if rule else None
        if rule is None:
            problems.append(f"{label.where}: rule {name!r} is not one of {movement.id}'s ({', '.join(movement.rules)})")
        elif option is None:
            problems.append(
                f"{label.where}: {movement.id} {name} is {short(answer)}; not asked, the options are"
                f" {', '.join(map(repr, rule.options))}"
            )
        else:
            choices[f"{movement.id}_{name}"] = option
    if unanswered := [name for name in movement.rules if name not in label.answers]:
        problems.append(f"{label.where}: no answer for rule {', '.join(unanswered)} of {movement.id}; not asked")
    score = label.score
    usable = isinstance(score, int | float) and not isinstance(score, bool) and 0 <= score <= 3
    if score is not None and not usable:
        problems.append(f"{label.where}: score is {short(score)}; not asked, allowed: 0 to 3")
    name = "_".join(label.image.relative_to(root).with_suffix("").parts)
    performer = label.subject or name
    return Performance(
        id=name,
        media=label.image,
        action=movement.action,
        performer=performer,
        video=performer,
        split=drawn_split(NAME, performer),
        choices=choices,
        scores={SCORE.id: float(score)} if usable else {},  # type: ignore[arg-type]
        tags={"movement": movement.id, "view": movement.view},
    )


def _constant(performances: list[Performance]) -> list[str]:
    """Return a sentence for each question that has the same answer for every key-frame: it tells nothing of skill."""
    seen: dict[str, Counter[str]] = defaultdict(Counter)
    for one in performances:
        for name, option in one.choices.items():
            seen[name][option] += 1
    return [
        f"question {name} has the answer {next(iter(options))!r} for all of its {options.total():,} key-frames"
        for name, options in sorted(seen.items())
        if len(options) == 1 and options.total() > 1
    ]


def _movements(path: Path) -> dict[str, FmsMovement]:
    table = load_json(path)
    if not isinstance(table, dict) or not table:
        raise BadInput(f"{path}: holds no object of movements; allowed: {{'m01': {{'actionName': …, 'rules': …}}, …}}")
    movements = {key.strip().lower(): _movement(path, key, entry) for key, entry in table.items()}
    if len(movements) < len(table):
        raise BadInput(f"{path}: two movements have one id but for capital letters")
    return movements


def _movement(path: Path, key: str, entry: Any) -> FmsMovement:
    where = f"{path}: movement {key!r}"
    rules = entry.get("rules") if isinstance(entry, dict) else None
    if not isinstance(rules, dict) or not rules:
        raise BadInput(f"{where} has no rules; allowed: actionName, view and an object of rules")
    made = {name.strip().lower(): _rule(f"{where}, rule {name!r}", name, rule) for name, rule in rules.items()}
    view = entry.get("view")
    return FmsMovement(
        id=key.strip().lower(),
        action=_text(entry, "actionName", where),
        view=view.strip() if isinstance(view, str) else "",
        rules=made,
    )


def _rule(where: str, name: str, rule: Any) -> FmsRule:
    if not isinstance(rule, dict):
        raise BadInput(f"{where} is {short(rule)}; allowed: an object with ruleQuestion and ruleOptions")
    options, kind = rule.get("ruleOptions"), rule.get("ruleType")
    texts = [" ".join(one.split()) for one in options if isinstance(one, str)] if isinstance(options, list) else []
    if not isinstance(options, list) or len(texts) < len(options) or len(texts) < 2 or not all(texts):
        raise BadInput(f"{where}: ruleOptions is {short(options)}; allowed: a list of two or more texts")
    same, times = Counter(map(str.casefold, texts)).most_common(1)[0]
    if times > 1:
        raise BadInput(f"{where}: ruleOptions has {same!r} twice")
    return FmsRule(
        id=name.strip().lower(),
        type=kind.strip().lower() if isinstance(kind, str) else "",
        question=_text(rule, "ruleQuestion", where),
        options=tuple(texts),
    )


def _text(entry: Mapping[str, Any], key: str, where: str) -> str:
    value = entry.get(key)
    if not isinstance(value, str) or not value.strip():
        raise BadInput(f"{where}: {key} is {short(value)}; allowed: a text that is not empty")
    return " ".join(value.split())


def _label(
    where: str,
    entry: Mapping[str, Any],
    image: Path,
    names: Sequence[str],
    movements: Mapping[str, FmsMovement],
    problems: list[str],
) -> FmsLabel:
    """Read what an entry says about a picture; raise where it cannot be used."""
    movement = _agreed(entry, _MOVEMENT, names, where, problems)
    subject = _agreed(entry, _SUBJECT, names, where, problems)
    if movement not in movements:
        said = f"movement {movement!r} is not in the rules" if movement else "no movement can be told from it"
        raise BadInput(f"{where}: {said}; allowed: {', '.join(movements)}")
    answers = _answers(entry["ruleResults"], movements[movement])
    if answers is None:
        raise BadInput(f"{where}: ruleResults is {short(entry['ruleResults'])}; allowed: an answer for each rule")
    return FmsLabel(
        where=where, image=image, movement=movement, subject=subject, answers=answers, score=entry.get("score")
    )


def first_index(root: Path, labels: Sequence[FmsLabel], movements: Mapping[str, FmsMovement]) -> int | None:
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
    if len(numbers) * 2 <= sum(len(label.answers) for label in labels):
        return None
    fits = [first for first in (0, 1) if all(first <= number < options + first for number, options in numbers)]
    if len(fits) != 1:
        both = "both 0 and 1" if fits else "neither 0 nor 1"
        raise BadInput(
            f"{root}: answers in ruleResults are numbers, and {both} could be the first option's; write the options'"
            " texts"
        )
    return fits[0]


def option_meant(answer: object, rule: FmsRule, first: int | None) -> str | None:
    """Return the option that an answer means, None where it is none of them."""
    option, number = _text_option(answer, rule), _number(answer)
    if option is not None or number is None or first is None:
        return option
    return rule.options[number - first] if 0 <= number - first < len(rule.options) else None


def _text_option(answer: object, rule: FmsRule) -> str | None:
    if not isinstance(answer, str):
        return None
    wanted = " ".join(answer.split()).casefold().rstrip(".")
    return next((one for one in rule.options if one.casefold().rstrip(".") == wanted), None)


def _number(answer: object) -> int | None:
    if isinstance(answer, str) and answer.strip().isdecimal() and len(answer) < 9:
        return int(answer)
    return answer if isinstance(answer, int) and not isinstance(answer, bool) else None


def _entries(root: Path) -> Iterator[tuple[Path, str, Mapping[str, Any]]]:
    """Yield every label with the file it is in and words for where."""
    one = root / f"{LABELS}.json"
    for path in (*([one] if one.is_file() else []), *files_below(root / LABELS)):
        if path.suffix.lower() == ".json":
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


def _agreed(entry: Mapping[str, Any], kind: _Id, names: Iterable[str], where: str, problems: list[str]) -> str:
    """Return an id as the label says it, else as names do; the empty text where none tells it."""
    keys, pattern, form = kind
    said = next((found for key in keys if (found := _own(entry.get(key), pattern, form))), "")
    named = next((form.format(int(match[1])) for name in names if (match := pattern.search(name.lower()))), "")
    if said and named and said != named:
        problems.append(f"{where}: the label says {said}, its file names {named}; kept as the label says")
    return said or named


def _own(value: object, pattern: re.Pattern[str], form: str) -> str:
    number = _number(value)
    if number is not None and 0 <= number < 1000:
        return form.format(number)
    match = pattern.search(value.lower()) if isinstance(value, str) else None
    return form.format(int(match[1])) if match else ""


def _answers(results: object, movement: FmsMovement) -> dict[str, object] | None:
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


READER = Reader(
    name=NAME,
    what="functional movement screen: rule questions about key-frames",
    licence=LICENCE,
    kinds=("choose", "score", "prefer"),
    read=read,
    check=check,
    performances=PUBLISHED["keyframes"],
    options=("partial",),
)
