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

from collections import Counter, defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING

from aqaudit.datasets.llm_fms_labels import Labels, first_index, labels_below, option_of
from aqaudit.datasets.llm_fms_rules import TYPES, rules_below
from aqaudit.datasets.places import short, to_unpack
from aqaudit.datasets.reader import Count, Reader, Report, drawn_split, of_split, partial_or_refused
from aqaudit.records import BadInput, Dataset, Performance, Scale

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from aqaudit.datasets.llm_fms_labels import Label
    from aqaudit.datasets.llm_fms_rules import Movement

NAME = "llm_fms"
LICENCE = "reported as CC BY 4.0"
CITATION = "Xing et al., LLM-FMS, PLoS ONE 2025, doi 10.1371/journal.pone.0313707"
SCORE = Scale(id="fms_score", min=0, max=3, step=1, unit="points")
PUBLISHED = {"keyframes": 1812, "subjects": 45, "movements": 15, "rules": 31, "m05": 135, "m06": 135}


def read(root: Path, *, split: str | None = None, partial: bool = False) -> Dataset:
    """Read the key-frames that have a label and a picture.

    Parameters
    ----------
    root
        Folder with the three files of the release, unpacked, at any place below it.
    split
        ``train``, ``test`` or both: ours, by subject.
    partial
        True reads the key-frames whose picture is here and lists the others.

    Raises
    ------
    BadInput
        Where the rules or labels are missing or malformed, or pictures are missing and ``partial`` is not set.
    """
    contents = _contents(root)
    missing = contents.labels.missing
    gone = partial_or_refused(
        partial,
        NAME,
        lambda: (
            f"{root} lacks the pictures of {len(missing):,} of {contents.labels.entries:,} labels:"
            f" {missing[0]}; looked below it for pictures of that name{to_unpack(root)}; they"
            " are an archive of Figshare collection 7601630"
        ),
        missing,
    )
    if not contents.performances:
        first = f": {contents.problems[0]}" if contents.problems else ""
        raise BadInput(
            f"{root} holds rules, but no label that can be read{first}; looked below it for JSON files with"
            f" ruleResults{to_unpack(root)}"
        )
    return Dataset(
        name=NAME,
        root=root,
        licence=LICENCE,
        citation=CITATION,
        choices=tuple(choice for one in contents.movements.values() for choice in one.choices()),
        scales=(SCORE,),
        performances=of_split(contents.performances, split, str(root)),
        problems=(*contents.problems, *gone),
    )


def check(root: Path) -> Report:
    """Compare a root with the published data set; pictures may be missing."""
    contents = _contents(root)
    people, labels = contents.performances, contents.labels
    rules = [rule for one in contents.movements.values() for rule in one.rules.values()]
    by_movement = Counter(one.tags["movement"] for one in people)
    notes = [
        "the release has no split: subjects are divided here, a third of them for training",
        "options are not ordered from good to bad and none is marked as correct",
    ]
    if labels.unlabelled:
        notes.append(f"{labels.unlabelled:,} pictures have no label and are not asked about")
    counts = [
        Count(what="movements", found=len(contents.movements), published=PUBLISHED["movements"]),
        Count(what="rules", found=len(rules), published=PUBLISHED["rules"]),
        *(
            Count(what=f"rules about {kind}", found=sum(rule.type == kind for rule in rules), published=number)
            for kind, number in zip(TYPES, (12, 11, 8), strict=True)
        ),
        Count(what="rules with two options", found=sum(len(rule.options) == 2 for rule in rules), published=20),
        Count(what="rules with three options", found=sum(len(rule.options) == 3 for rule in rules), published=11),
        Count(what="labels", found=labels.entries, published=PUBLISHED["keyframes"]),
        Count(what="pictures", found=labels.images, published=PUBLISHED["keyframes"]),
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
    problems = (*contents.problems, *labels.missing)
    notes += _constant(people)
    return Report(name=NAME, root=root, counts=tuple(counts), problems=problems, notes=tuple(notes))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Contents:
    movements: Mapping[str, Movement]
    labels: Labels
    performances: list[Performance]
    problems: tuple[str, ...]


def _contents(root: Path) -> _Contents:
    rules, movements = rules_below(root)
    problems: list[str] = []
    labels = labels_below(root, rules, movements, problems.append)
    first = first_index(root, labels.labels, movements)
    performances = [_performance(root, one, movements[one.movement], first, problems) for one in labels.labels]
    performances.sort(key=lambda one: one.id)
    nameless = sum(not one.subject for one in labels.labels)
    if nameless:
        problems.append(f"no subject can be told for {nameless:,} key-frames: each is counted as a person of its own")
    return _Contents(movements=movements, labels=labels, performances=performances, problems=tuple(problems))


def _performance(root: Path, label: Label, movement: Movement, first: int | None, problems: list[str]) -> Performance:
    choices: dict[str, str] = {}
    for name, answer in label.answers.items():
        rule = movement.rules.get(name)
        option = option_of(answer, rule, first) if rule else None
        if rule is None:
            problems.append(f"{label.where}: rule {name!r} is not one of {movement.id}'s ({', '.join(movement.rules)})")
        elif option is None:
            problems.append(
                f"{label.where}: {movement.id} {name} is {short(answer)}; not asked, the options are"
                f" {', '.join(map(repr, rule.options))}"
            )
        else:
            choices[f"{movement.id}_{name}"] = option
    unanswered = [name for name in movement.rules if name not in label.answers]
    if unanswered:
        problems.append(f"{label.where}: no answer for rule {', '.join(unanswered)} of {movement.id}; not asked")
    score = label.score
    usable = isinstance(score, int | float) and not isinstance(score, bool) and 0 <= score <= 3
    if score is not None and not usable:
        problems.append(f"{label.where}: score is {short(score)}; not asked, allowed: 0 to 3")
    place = label.image.relative_to(root)
    name = "_".join(place.with_suffix("").parts)
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
