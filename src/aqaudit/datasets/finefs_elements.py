"""The programs of FineFS as their annotation files give them: elements with marks and points, held against each other.

Rules (ISU, from the season 2018/19 on): judges give whole grades from -5 to 5; the panel's grade is their mean without
one highest and one lowest; the points are a tenth of the base value for each grade, of a combination's most valuable
jump, without the bonus for the second half of a program. Choreographic sequences have a scale of their own.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from aqaudit.datasets.places import load_json, short
from aqaudit.records import BadInput

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

CLASSES = ("jump", "spin", "sequence")
#: Points and base values are printed with two decimals, and tables of points were rounded before they were averaged.
ROUNDING = 0.02
SECOND_HALF = 1.1

_TIME = re.compile(r"\s*(\d{1,3})-(\d{1,2})\s*,\s*(\d{1,3})-(\d{1,2})\s*")
_MARKS_OF_FAULTS = re.compile(r"(?:[<>!*ex]|(?<![a-z]S)q)+|(?<=[\dBp])V")


@dataclass(frozen=True, slots=True, kw_only=True)
class Element:
    """One element. ``start_s`` and ``end_s`` are None where its time is none; ``marks`` are the judges' grades."""

    number: int
    code: str
    kind: str
    base: float | None
    points: float | None
    panel: float | None
    marks: tuple[int, ...]
    start_s: float | None
    end_s: float | None

    @property
    def grade(self) -> float | None:
        """The panel's grade: the mean of the marks without one highest and one lowest; None below three marks."""
        return panel_grade(self.marks)

    @property
    def action(self) -> str:
        """What a model is told it is: the kind of element, without its name or its value."""
        if self.kind == "sequence":
            return f"figure skating {'choreographic' if self.code.startswith('Ch') else 'step'} sequence"
        return f"figure skating {self.kind}{' combination' if self.kind == 'jump' and '+' in self.code else ''}"

    @property
    def called(self) -> str:
        """The name of the element without the marks that technical specialists give for faults."""
        return _MARKS_OF_FAULTS.sub("", self.code)

    @property
    def is_single(self) -> bool:
        """Whether its points are a tenth of its own base value a grade."""
        return "+" not in self.code and not self.code.startswith("Ch")


@dataclass(frozen=True, slots=True, kw_only=True)
class Program:
    """One program as annotated. ``old_scale``: its grades are those from -3 to 3 of the seasons before 2018/19."""

    number: int
    path: Path
    competition: str
    factor: float | None
    elements: tuple[Element, ...]
    old_scale: bool
    problems: tuple[str, ...]


def panel_grade(marks: Sequence[int]) -> float | None:
    """Return the mean of grades without one highest and one lowest; None where fewer than three are given."""
    kept = sorted(marks)[1:-1]
    return sum(kept) / len(kept) if kept else None


def kind_of(code: str) -> str:
    """Tell jump, spin or sequence from an element's name."""
    # 3Sq is a Salchow landed a quarter short, StSq and ChSq are sequences
    return "sequence" if re.search(r"[a-z]Sq", code) else "spin" if "Sp" in code else "jump"


def window_of(time: object) -> tuple[float, float] | None:
    """Read ``min-sec,min-sec``, whole seconds: "0-25,0-29" is from 25 to 29 s. None where it is no such stretch."""
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
    try:
        elements = [
            _element(f"program {number}, {key}", place, entry, problems)
            for place, (key, entry) in enumerate(executed.items(), 1)
        ]
    except BadInput as error:
        raise BadInput(f"{path}: {error}") from None
    old = _is_old(elements)
    for element in elements:
        problems += _sums(f"program {number}, element {element.number} ({element.code})", element, old=old)
    if old:
        problems.append(
            f"program {number}: its points are not tenths of base values and no mark is beyond 3: grades of the scale"
            " before 2018/19; its grades are not asked about"
        )
    problems += _totals(f"program {number}", table, elements)
    competition = table.get("competition")
    return Program(
        number=number,
        path=path,
        competition=competition if isinstance(competition, str) else "",
        factor=_number(table.get("factor")),
        elements=tuple(elements),
        old_scale=old,
        problems=tuple(problems),
    )


def _element(where: str, number: int, entry: Any, problems: list[str]) -> Element:
    if not isinstance(entry, dict) or not isinstance(entry.get("element"), str) or not entry["element"].strip():
        raise BadInput(f"{where} is {short(entry)}; allowed: an object with the name of the element")
    code = "".join(entry["element"].split())
    kind, inferred = entry.get("coarse_class"), kind_of(code)
    if kind not in CLASSES:
        problems.append(f"{where} ({code}): coarse_class is {short(kind)}; taken for a {inferred} by its name")
        kind = inferred
    elif kind != inferred:
        problems.append(f"{where} ({code}): coarse_class is {kind!r}, its name is that of a {inferred}; kept as {kind}")
    given = entry.get("judge_score")
    # a judge who gave none leaves a blank
    said = [one for one in given if one not in (None, "", "-")] if isinstance(given, list) else []
    marks = [one for one in said if type(one) in {int, float} and one == int(one)]
    if not isinstance(given, list) or len(marks) < len(said) or not all(-5 <= one <= 5 for one in marks):
        problems.append(f"{where} ({code}): judge_score is {short(given)}; allowed: whole grades from -5 to 5")
        marks = []
    elif not 7 <= len(marks) <= 9:
        problems.append(f"{where} ({code}): {len(marks)} judges' grades; there are 7 to 9")
    window = window_of(entry.get("time"))
    if window is None:
        shown = short(entry.get("time"))
        problems.append(f"{where} ({code}): time is {shown}; not asked about, allowed: 'min-sec,min-sec' in order")
    panel = entry.get("score_of_pannel", entry.get("score_of_panel"))
    return Element(
        number=number,
        code=code,
        kind=str(kind),
        base=_number(entry.get("bv")),
        points=_number(entry.get("goe")),
        panel=_number(panel),
        marks=tuple(int(one) for one in marks),
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
    panels = [one.panel for one in elements]
    if technical is not None and None not in panels:
        total = sum(panel or 0.0 for panel in panels)
        if abs(total - technical) > ROUNDING * len(panels):
            found.append(f"{where}: its elements sum to {total:.2f}, its total_element_score is {technical:g}")
    if components is not None and plain is not None and factor and abs(plain * factor - components) > 0.06:
        found.append(f"{where}: components {plain:g} times {factor:g} are not {components:g}")
    if None not in (technical, components, segment):
        total = (technical or 0.0) + (components or 0.0) - abs(deductions)
        if abs(total - (segment or 0.0)) > 0.06:
            found.append(f"{where}: elements, components and deductions give {total:.2f}, its total is {segment:g}")
    return found


def _number(value: object) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        return None
    return float(value)
