"""A small FineFS release in the published shapes, and the open stand-ins with real scores put into that shape."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from made_media import clip


def element(name: str, bv: float, marks: Sequence[int], time: object, **changes: Any) -> dict[str, Any]:
    """One element whose goe follows from its marks and whose score adds up, but for ``changes``."""
    kept = sorted(marks)[1:-1]
    goe = round(sum(kept) / len(kept) * bv / 10, 2)
    kind = "spin" if "Sp" in name else "sequence" if "Sq" in name else "jump"
    made = {
        "element": name,
        "coarse_class": kind,
        "jump_comb": name.count("+") if kind == "jump" else -1,
        "bv": bv,
        "judge_score": list(marks),
        "goe": goe,
        "score_of_pannel": round(bv + goe, 2),
        "linfo": 0,
        "minfo": 0,
        "rinfo": -1,
        "time": time,
        **changes,
    }
    return {key: value for key, value in made.items() if value is not ...}


SHORT = [
    element("3Lz+3T", 10.1, [2, 2, 3, 2, 1, 2, 2, 3, 2], "0-01,0-03", goe=1.24, score_of_pannel=11.34),
    element("3F", 5.3, [-1, -1, 0, -1, -2, -1, -1, 0, -1], "0-04,0-06"),
    element("FCSp4", 3.2, [1, 2, 2, 1, 1, 1, 2, 2, 1], "0-06,0-08"),
    element("StSq3", 3.3, [0, 0, 1, 0, 0, 1, 0, 0, 0], "0-08,0-10"),
]


def program(elements: Sequence[Mapping[str, Any]], **changes: Any) -> dict[str, Any]:
    total = round(sum(one["score_of_pannel"] for one in elements), 2)
    made = {
        "competition": "WC2019_Men",
        "competition_index": 3,
        "total_segment_score": round(total + 40 - 1, 2),
        "total_element_score": total,
        "total_program_component_score(factored)": 40.0,
        "factor": 1.0,
        "total_program_component_score_not_factored": 40.0,
        "deductions": -1.0,
        "element_score": [one["score_of_pannel"] for one in elements],
        "component_score_not_factored": [8.0] * 5,
        "executed_element": {f"element{place}": dict(one) for place, one in enumerate(elements, 1)},
        "program_component": {"skating_skills": {"judge_score": [8.0] * 9, "score_of_pannel": 8.0}},
        **changes,
    }
    return {key: value for key, value in made.items() if value is not ...}


def release(root: Path, programs: Mapping[int, Mapping[str, Any]], *, videos: bool = True, data: str = "data") -> Path:
    for number, table in programs.items():
        path = root / data / f"annotation/{number}.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(table))
        if videos:
            video(root / data / f"video/{number}.mp4")
    return root


def video(path: Path, seconds: int = 12) -> None:
    """Two frames a second, bright, another shade for each number."""
    clip(path, int(path.stem) + 1, seconds=seconds, rate=2)


def fs800(path: Path) -> dict[int, dict[str, Any]]:
    """486 real programs of 2018/19: real names, base values and points; no marks are public for them."""
    programs = {}
    for number, listed in enumerate(json.loads(path.read_text()).values()):
        real = [one for one in listed if one["element_name"]]
        elements = [
            element(
                one["element_name"],
                round(one["base_value"], 2),
                [0] * 9,
                f"{place // 6}-{place % 6 * 10:02d},{place // 6}-{place % 6 * 10 + 5:02d}",
                goe=one["goe"],
                judge_score=None,
                score_of_pannel=round(one["base_value"] + one["goe"], 2),
            )
            for place, one in enumerate(real)
        ]
        programs[number] = program(elements, factor=2.0 if len(elements) > 8 else 1.0, total_segment_score=...)
    return programs


def gpf2017(path: Path) -> dict[int, dict[str, Any]]:
    """96 real programs of December 2017 with the marks of nine judges: the scale from -3 to 3."""
    programs = {}
    for number, real in enumerate(json.loads(path.read_text())["performances"]):
        elements = []
        for place, one in enumerate(real["elements"]):
            marks = [int(one[f"J{judge}"]) for judge in range(1, 10) if not math.isnan(one[f"J{judge}"])]
            elements.append(
                element(
                    one["element_desc"],
                    one["base_value"],
                    marks or [0] * 9,
                    f"0-{place:02d},0-{place + 1:02d}",
                    goe=one["goe"],
                    judge_score=marks,
                    score_of_pannel=one["scores_of_panel"],
                    coarse_class="jump",
                )
            )
        programs[number] = program(
            elements,
            total_element_score=float(real["metadata"]["total_element_score"]),
            total_segment_score=...,
        )
    return programs
