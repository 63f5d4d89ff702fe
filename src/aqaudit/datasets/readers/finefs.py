"""Reader ``finefs``: figure skating elements with the grades of up to nine judges (Ji et al., ACM MM 2023).

What is asked (``score``, ``prefer``): by default the panel's grade of an element, -5 to 5, which is the mean of the
judges' grades without one highest and one lowest (``target = "grade"``). The annotations' ``goe`` is in *points*, the
grade times a tenth of the base value, and would give the difficulty away; it is the other target (``"points"``).

An element is cut tight, from its first to its last second. Scoreboards must not tell the score: by default the four
corners of the picture are masked (``masks``). The evaluation that is re-created masked scoreboards; where and how is
not known, so these boxes are ours and chosen without the videos: look at them with ``aqaudit media show``.

Skaters are not named, so the cluster is the program; the same skaters recur, and no split can part them. The published
split (933 : 234) is not in the repository: lists beside the data are used (``train.txt``, ``test.txt`` or JSON), else
programs are drawn in the published numbers. That drawing is ours.
"""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from aqaudit.core.records import BadInput, Dataset, Mask, Performance, Scale
from aqaudit.datasets.declarations import LARGEST
from aqaudit.datasets.layout import VIDEO_SUFFIXES, by_number, files_in, header_of, load_json, one_of, to_unpack
from aqaudit.datasets.reader import (
    Count,
    Reader,
    Report,
    check_split,
    masks_of,
    of_split,
    option_of,
    partial_or_refused,
    short,
    true_or_false,
)

NAME = "finefs"
LICENCE = "none stated; for research"
CITATION = (
    "Ji et al., Localization-assisted Uncertainty Score Disentanglement Network for Action Quality Assessment,"
    " ACM Multimedia 2023"
)
SOURCE = "the address of the drive is in the repository yanliji/FineFS-dataset"
SCALES = {
    "grade": Scale(id="grade_of_execution", min=-5, max=5),
    # five grades of a tenth of the highest base value of a jump (12.5), up or down
    "points": Scale(id="points_for_execution", min=-6.25, max=6.25, unit="points"),
}
SHORT, FREE = range(729), range(729, 1167)
#: Name, numbers, factors of men and of women, elements, and how many the published split has for training.
KINDS = (("short program", SHORT, (1.0, 0.8), 7, 583), ("free skating", FREE, (2.0, 1.6), 12, 350))

CLASSES = ("jump", "spin", "sequence")
#: Points and base values are printed with two decimals, and tables of points were rounded before they were averaged.
ROUNDING = 0.02
SECOND_HALF = 1.1

_SPLIT_FILE = re.compile(r"(train|test)(?:_?(?:split|list|ids?))?\.(?:json|txt)", re.IGNORECASE)
_TIME = re.compile(r"\s*(\d{1,3})-(\d{1,2})\s*,\s*(\d{1,3})-(\d{1,2})\s*")
#: What technical specialists write into the name of an element for its faults.
_MARKS_OF_FAULTS = re.compile(r"(?:[<>!*ex]|(?<![a-z]S)q)+|(?<=[\dBp])V")


@dataclass(frozen=True, slots=True, kw_only=True)
class Element:
    """One element: ``marks`` are the judges' grades, ``grade`` the panel's; ``start_s`` may be unknown (None)."""

    number: int
    code: str
    kind: str
    base: float | None
    points: float | None
    panel: float | None
    marks: tuple[int, ...]
    grade: float | None
    start_s: float | None
    end_s: float | None

    @property
    def action(self) -> str:
        """What a model is told it is: the kind of element, without its name or its value."""
        if self.kind == "sequence":
            return f"figure skating {'choreographic' if self.code.startswith('Ch') else 'step'} sequence"
        return f"figure skating {self.kind}{' combination' if self.kind == 'jump' and '+' in self.code else ''}"

    @property
    def is_single(self) -> bool:
        """Whether its points are a tenth of its own base value a grade."""
        return "+" not in self.code and not self.code.startswith("Ch")


@dataclass(frozen=True, slots=True, kw_only=True)
class Program:
    """One program as annotated. ``old_scale``: its grades are those from -3 to 3 of the seasons before 2018/19."""

    number: int
    competition: str
    factor: float | None
    elements: tuple[Element, ...]
    old_scale: bool
    problems: tuple[str, ...]


def read(
    root: Path,
    *,
    split: str | None = None,
    target: str = "grade",
    masks: str | Sequence[Sequence[float]] = "corners",
    facts: bool = False,
    partial: bool = False,
) -> Dataset:
    """Read the elements of the programs that have a video.

    Parameters
    ----------
    root
        Folder with the annotations ``data/annotation/N.json`` and videos ``data/video/N.mp4``; or ``data`` itself.
    split
        ``train``, ``test`` or both.
    target
        ``grade`` (the panel's grade, -5 to 5) or ``points`` (the annotations' ``goe``).
    masks
        ``corners``, ``none``, or a list of [x0, y0, x1, y1] in shares of the picture, for the whole clip.
    facts
        True tells the model which element it is, without the marks for faults and without its value.
    partial
        True reads the programs whose video is here and lists the others.

    Raises
    ------
    BadInput
        Where annotations are missing or malformed, or videos are missing and ``partial`` is not set.
    """
    check_split(root, split)
    scale = SCALES[option_of(NAME, "target", target, tuple(SCALES))]
    hidden, told = masks_of(NAME, masks), true_or_false(NAME, "facts", facts)
    programs, videos = _release(root)
    splits, _ = splits_of(root)
    wanted = [program for program in programs if split in {None, splits.get(program.number, "")}]
    missing = [
        f"program {one.number}: {f'{len(found)} videos, such as {found[0]}' if found else 'no video'}"
        for one in wanted
        if len(found := videos.get(one.number, [])) != 1
    ]
    gone = partial_or_refused(
        partial,
        NAME,
        lambda: (
            f"{root} lacks the videos of {len(missing):,} of {len(wanted):,} programs: {missing[0]}; put one"
            f" beside the folder annotation as video/{wanted[0].number}.mp4{to_unpack(root, root / 'data')}; {SOURCE}"
        ),
        missing,
    )
    performances: list[Performance] = []
    problems = [problem for program in programs for problem in program.problems]
    for program in wanted:
        if len(found := videos.get(program.number, [])) == 1:
            made, wrong = _performances(program, found[0], splits.get(program.number, ""), scale, hidden, told=told)
            performances += made
            problems += wrong
    return Dataset(
        name=NAME,
        root=root,
        licence=LICENCE,
        citation=CITATION,
        show_frames=False,
        scales=(scale,),
        performances=of_split(performances, split, str(root)),
        problems=(*problems, *gone),
    )


def check(root: Path) -> Report:
    """Compare a root with the published data set; videos may be missing."""
    programs, videos = _release(root)
    splits, where = splits_of(root)
    elements = [element for program in programs for element in program.elements]
    problems = [problem for program in programs for problem in program.problems]
    notes = [
        "the panel's grade is the mean of the marks without one highest and one lowest; goe is in points",
        "skaters are not named: intervals count programs, and no split parts the skaters",
        where,
    ]
    there = [program for program in programs if len(videos.get(program.number, ())) == 1]
    if not there:
        notes.append(f"no videos in {root}: only annotations were checked")
    for program in there:
        problems += _performances(program, videos[program.number][0], "", SCALES["grade"], (), told=False)[1]
    problems += _members(programs)
    sums = [problem for problem in problems if "are not its score" in problem]
    tenths = [problem for problem in problems if ": goe " in problem]
    by_factor = Counter((program.number in SHORT, program.factor) for program in programs)
    counts = (
        Count(what="programs", found=len(programs), published=len(SHORT) + len(FREE)),
        Count(what="short programs", found=sum(one.number in SHORT for one in programs), published=len(SHORT)),
        Count(what="short programs of men", found=by_factor[True, 1.0], published=350),
        Count(what="short programs of women", found=by_factor[True, 0.8], published=379),
        Count(what="free skating", found=sum(one.number in FREE for one in programs), published=len(FREE)),
        Count(what="free skating of men", found=by_factor[False, 2.0], published=220),
        Count(what="free skating of women", found=by_factor[False, 1.6], published=218),
        Count(what="elements", found=len(elements)),
        *(
            Count(what=f"{kind}s", found=sum(one.kind == kind for one in elements))
            for kind in ("jump", "spin", "sequence")
        ),
        Count(what="elements with a grade", found=sum(element.grade is not None for element in elements)),
        Count(what="elements without a usable time", found=sum(element.start_s is None for element in elements)),
        Count(what="elements whose base value and goe are not their score", found=len(sums)),
        Count(what="elements whose goe does not follow from the marks", found=len(tenths)),
        Count(what="programs on the scale before 2018/19", found=sum(one.old_scale for one in programs)),
        Count(what="programs with a video here", found=len(there)),
        *(
            Count(what=f"programs in {name}", found=sum(splits.get(p.number) == name for p in programs), published=size)
            for name, size in (("train", 933), ("test", 234))
        ),
    )
    return Report(name=NAME, root=root, counts=counts, problems=tuple(problems), notes=tuple(notes))


def _release(root: Path) -> tuple[list[Program], dict[int, list[Path]]]:
    """Read the annotations: the programs in order of their numbers, and the videos beside them by number."""
    for home in (root / "data", root):
        if found := by_number(files_in(home / "annotation"), {".json"}):
            programs = [program_of(one_of(paths), number) for number, paths in sorted(found.items())]
            return programs, by_number(files_in(home / "video"), VIDEO_SUFFIXES)
    raise BadInput(
        f"{root} holds no annotations of FineFS: neither data/annotation nor annotation is there with files such as"
        f" 0.json; put them there{to_unpack(root, root / 'data')}; {SOURCE}"
    )


def _performances(
    program: Program, video: Path, split: str, scale: Scale, masks: tuple[Mask, ...], *, told: bool
) -> tuple[list[Performance], list[str]]:
    """Make the performances of a program, and a sentence for each element that its video does not hold."""
    try:
        fps, frames = header_of(video)
    except BadInput as error:
        return [], [f"program {program.number}: {error}"]
    seconds = frames / fps if fps else 0.0
    made: list[Performance] = []
    problems: list[str] = []
    for element in program.elements:
        grade = None if program.old_scale else element.grade
        score = grade if scale is SCALES["grade"] else element.points
        where = f"program {program.number}, element {element.number} ({element.code})"
        if element.start_s is None or element.end_s is None:
            continue  # listed with the annotation
        if seconds and element.start_s >= seconds - 0.5:
            lasts = f"{video.name} lasts {seconds:.1f} s"
            problems.append(f"{where}: starts at {element.start_s:g} s, but {lasts}; not asked about")
        elif score is not None and not scale.min <= score <= scale.max:
            beyond = f"{score:g}, beyond {scale.min:g} to {scale.max:g}"
            problems.append(f"{where}: {scale.id} is {beyond}; not asked about")
        elif score is not None:  # one without marks or points is listed with the annotation
            performance = Performance(
                id=f"p{program.number:04d}_e{element.number:02d}",
                media=video,
                action=element.action,
                performer=f"program {program.number:04d}",
                video=f"{program.number:04d}",
                split=split,
                start_s=element.start_s,
                end_s=min(element.end_s, seconds) if seconds else element.end_s,
                scores={scale.id: score},
                context=f"The element is a {_MARKS_OF_FAULTS.sub('', element.code)}." if told else None,
                tags={
                    "element": element.code,
                    "class": element.kind,
                    "base_value": "" if element.base is None else f"{element.base:g}",
                    "program": "short" if program.number in SHORT else "free",
                    "competition": program.competition,
                },
                masks=masks,
            )
            made.append(performance)
    return made, problems


def panel_grade(marks: Sequence[int]) -> float | None:
    """Return the mean of grades without one highest and one lowest; None where fewer than three are given."""
    kept = sorted(marks)[1:-1]
    return sum(kept) / len(kept) if kept else None


def kind_of(code: str) -> str:
    """Tell jump, spin or sequence from an element's name."""
    # 3Sq is a Salchow landed a quarter short, StSq and ChSq are sequences
    return "sequence" if re.search(r"[a-z]Sq", code) else "spin" if "Sp" in code else "jump"


def window_of(time: object) -> tuple[float, float] | None:
    """Read ``min-sec,min-sec``, whole seconds: "0-25,0-29" is from 25 to 29 s. None where it is no such interval."""
    match = _TIME.fullmatch(time) if isinstance(time, str) else None
    if match is None or int(match[2]) > 59 or int(match[4]) > 59:
        return None
    start, end = int(match[1]) * 60 + int(match[2]), int(match[3]) * 60 + int(match[4])
    return (float(start), float(end)) if end > start else None


def program_of(path: Path, number: int) -> Program:
    """Read one annotation file.

    Raises
    ------
    BadInput
        Where it is no annotation of a program.
    """
    table = load_json(path)
    executed = table.get("executed_element") if isinstance(table, dict) else None
    if not isinstance(executed, dict) or not executed:
        raise BadInput(f"{path}: executed_element is {short(executed)}; allowed: an object of elements")
    problems: list[str] = []
    elements: list[Element] = []
    for place, (key, entry) in enumerate(executed.items(), 1):
        where = f"program {number}, {key}"
        if not isinstance(entry, dict) or not isinstance(entry.get("element"), str) or not entry["element"].strip():
            raise BadInput(f"{path}: {where} is {short(entry)}; allowed: an object with the name of the element")
        elements.append(_element(where, place, entry, problems))
    old = _is_old(elements)
    for element in elements:
        problems += _sums(f"program {number}, element {element.number} ({element.code})", element, old=old)
    if old:
        problems.append(
            f"program {number}: its points are not tenths of base values and no mark is beyond 3: grades of the scale"
            " before 2018/19; its grades are not asked about"
        )
    problems += _totals(f"program {number}", table, elements)
    return Program(
        number=number,
        competition=said if isinstance(said := table.get("competition"), str) else "",
        factor=_number(table.get("factor")),
        elements=tuple(elements),
        old_scale=old,
        problems=tuple(problems),
    )


def _element(where: str, number: int, entry: Mapping[str, Any], problems: list[str]) -> Element:
    code = "".join(entry["element"].split())
    where = f"{where} ({code})"
    kind, inferred = entry.get("coarse_class"), kind_of(code)
    if kind not in CLASSES:
        problems.append(f"{where}: coarse_class is {short(kind)}; taken for a {inferred} by its name")
        kind = inferred
    elif kind != inferred:
        problems.append(f"{where}: coarse_class is {kind!r}, its name is that of a {inferred}; kept as {kind}")
    given = entry.get("judge_score")
    # a judge who gave none leaves a blank
    said = [one for one in given if one not in (None, "", "-")] if isinstance(given, list) else []
    marks = [int(one) for one in said if type(one) in {int, float} and -5 <= one <= 5 and one == int(one)]
    if not isinstance(given, list) or len(marks) < len(said):
        problems.append(f"{where}: judge_score is {short(given)}; allowed: whole grades from -5 to 5")
        marks = []
    elif not 7 <= len(marks) <= 9:
        problems.append(f"{where}: {len(marks)} judges' grades; there are 7 to 9")
    window = window_of(entry.get("time"))
    if window is None:
        shown = short(entry.get("time"))
        problems.append(f"{where}: time is {shown}; not asked about, allowed: 'min-sec,min-sec' in order")
    return Element(
        number=number,
        code=code,
        kind=str(kind),
        base=_number(entry.get("bv")),
        points=_number(entry.get("goe")),
        panel=_number(entry.get("score_of_pannel", entry.get("score_of_panel"))),
        marks=tuple(marks),
        grade=panel_grade(marks),
        start_s=window and window[0],
        end_s=window and window[1],
    )


def _is_old(elements: Sequence[Element]) -> bool:
    """Whether most single elements break the rule of tenths and no mark is beyond 3: the scale of earlier seasons."""
    singles = [one for one in elements if one.is_single and one.grade and one.base and one.points is not None]
    broken = sum(not _is_tenths(one) for one in singles)
    small = all(abs(mark) <= 3 for one in elements for mark in one.marks)
    return small and len(singles) >= 3 and broken > len(singles) / 2


def _is_tenths(element: Element) -> bool:
    """Whether points are grade x a tenth of the base value, with or without the bonus of the second half in it."""
    grade, base, points = element.grade or 0.0, element.base or 0.0, element.points or 0.0
    return any(abs(points - grade * base / 10 / bonus) <= ROUNDING for bonus in (1.0, SECOND_HALF))


def _sums(where: str, element: Element, *, old: bool) -> list[str]:
    """Return a sentence for each sum that does not add up."""
    base, points, panel, grade = element.base, element.points, element.panel, element.grade
    if base is None or points is None:
        return [f"{where}: base value or goe is missing; points are not asked about"]
    found = []
    if panel is None:
        found.append(f"{where}: score_of_pannel is missing")
    elif abs(panel - base - points) > ROUNDING:
        lost = abs(panel / 100 - base - points) <= ROUNDING
        hint = ", as if its decimal point were lost" if lost else ""
        found.append(f"{where}: base value {base:g} and goe {points:g} are not its score {panel:g}{hint}; kept")
    if grade is None or old or element.code.startswith("Ch"):
        return found
    if element.is_single and not _is_tenths(element):
        found.append(
            f"{where}: goe is {points:g}, but the grade {grade:.2f} of base value {base:g} gives"
            f" {grade * base / 10:.2f}; kept"
        )
    elif not element.is_single and (abs(points) > base / 2 + ROUNDING or points * grade < -ROUNDING):
        found.append(f"{where}: goe {points:g} cannot come from the grade {grade:.2f} of base value {base:g}; kept")
    return found


def _totals(where: str, table: Mapping[str, Any], elements: Sequence[Element]) -> list[str]:
    found = []
    technical = _number(table.get("total_element_score"))
    components = _number(table.get("total_program_component_score(factored)"))
    plain = _number(table.get("total_program_component_score_not_factored"))
    segment, factor = _number(table.get("total_segment_score")), _number(table.get("factor"))
    deductions = _number(table.get("deductions")) or 0.0
    panels = [one.panel for one in elements if one.panel is not None]
    if technical is not None and len(panels) == len(elements):
        total = sum(panels)
        if abs(total - technical) > ROUNDING * len(panels):
            found.append(f"{where}: its elements sum to {total:.2f}, its total_element_score is {technical:g}")
    if components is not None and plain is not None and factor and abs(plain * factor - components) > 0.06:
        found.append(f"{where}: components {plain:g} times {factor:g} are not {components:g}")
    if technical is not None and components is not None and segment is not None:
        total = technical + components - abs(deductions)
        if abs(total - segment) > 0.06:
            found.append(f"{where}: elements, components and deductions give {total:.2f}, its total is {segment:g}")
    return found


def _number(value: object) -> float | None:
    is_number = isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < LARGEST
    return float(value) if is_number else None  # type: ignore[arg-type]


def _members(programs: Sequence[Program]) -> list[str]:
    """Return a sentence for each program whose number, factor or number of elements do not go together."""
    found = []
    for one in programs:
        if one.number not in SHORT and one.number not in FREE:
            found.append(f"program {one.number} is beyond those published, 0 to {FREE[-1]}")
            continue
        kind, _, factors, size, _ = KINDS[one.number in FREE]
        if one.factor not in factors:
            found.append(f"program {one.number} is a {kind}, but its factor is {one.factor}")
        if len(one.elements) != size:
            found.append(f"program {one.number} is a {kind} with {len(one.elements)} elements; there are {size}")
    return found


def splits_of(root: Path) -> tuple[dict[int, str], str]:
    """Return the split of each program, and a sentence that says where it is from."""
    files: dict[str, list[Path]] = {"train": [], "test": []}
    for path in (*files_in(root), *files_in(root / "data")):
        if match := _SPLIT_FILE.fullmatch(path.name):
            files[match[1].lower()].append(path)
    if all(files.values()):
        train, test = (_numbers(one_of(paths)) for paths in files.values())
        if both := train & test:
            raise BadInput(f"{root}: program {min(both)} is in the lists of both train and test")
        listed = dict.fromkeys(train, "train") | dict.fromkeys(test, "test")
        return listed, "the split is that of the lists in the root"
    found: dict[int, str] = {}
    for _, programs, _, _, size in KINDS:
        drawn = sorted(programs, key=lambda number: hashlib.sha256(f"{NAME}/{number}".encode()).digest())
        found |= dict.fromkeys(drawn[:size], "train") | dict.fromkeys(drawn[size:], "test")
    return found, "the published split is not in the repository: programs are drawn here in the published numbers"


def _numbers(path: Path) -> set[int]:
    if path.suffix.lower() == ".json":
        listed = load_json(path)
    else:
        listed = path.read_text(encoding="utf-8", errors="replace").replace(",", " ").split()
    words = map(str, listed) if isinstance(listed, list) else ()
    numbers = [re.fullmatch(r"(?:.*/)?0*(\d{1,4})(?:\.\w+)?", word) for word in words]
    if not numbers or not all(numbers):
        raise BadInput(f"{path}: allowed: the numbers of programs")
    return {int(match[1]) for match in numbers if match}


READER = Reader(
    name=NAME,
    what="figure skating elements: grade of execution -5 to 5, or its points",
    licence=LICENCE,
    kinds=("score", "prefer"),
    read=read,
    check=check,
    performances=len(SHORT) * 7 + len(FREE) * 12,
    options=("target", "masks", "facts", "partial"),
)
