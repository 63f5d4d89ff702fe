"""The folder format: ``dataset.toml`` and ``clips.jsonl`` of clips that were made."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

from aqaudit.media.source import checksum
from aqaudit.probe.errors import EXERCISES
from aqaudit.probe.motions import DURATION_S

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from aqaudit.probe.recipes import Plan
    from aqaudit.probe.truth import Truth

LICENCE = "Apache-2.0; bodies made with Anny (Apache-2.0) from MakeHuman assets (CC0)"
CITATION = "AQAudit probe: rendered minimal pairs with exact truth"
#: The option of the choose question that none of the errors is there, and the question's id and wording.
NO_ERROR = "None of these errors."
CHOICE, QUESTION = "error_shown", "Which error does this execution show?"
SCALE = "execution"


@dataclass(frozen=True, slots=True, kw_only=True)
class Made:
    """A clip that was made: what was planned, its name and what is true of it."""

    plan: Plan
    name: str
    truth: Truth


def write_labels(folder: Path, name: str, made: Sequence[Made]) -> None:
    """Write both files beside the clips; asked about are only the errors that these clips vary."""
    varied: dict[str, list[str]] = {}
    for exercise in EXERCISES.values():
        here = {one.plan.spec.error for one in made if one.plan.spec.exercise == exercise.name}
        if here:
            varied[exercise.name] = [error.id for error in exercise.errors if error.id in here]
    sums = {one.name: checksum(folder / "clips" / f"{one.name}.mp4") for one in made}
    text = "".join(
        json.dumps(_line(one, varied[one.plan.spec.exercise], sums[one.name]), ensure_ascii=False) + "\n"
        for one in made
    )
    (folder / "clips.jsonl").write_text(text, encoding="utf-8")
    (folder / "dataset.toml").write_text(_declarations(name, varied), encoding="utf-8")


def _line(one: Made, varied: Sequence[str], sha256: str) -> dict[str, object]:
    plan, truth = one.plan, one.truth
    spec, fault = plan.spec, plan.spec.fault
    errors = [error for error in EXERCISES[spec.exercise].errors if error.id in varied]
    if plan.twin == "reversed":
        # backwards, a slow way down is a slow way up: what is about time is no longer known
        errors = [error for error in errors if not error.temporal]
    asked = [error for error in errors if error.id in truth.errors]
    interval = _interval(one)
    graded = {"value": spec.severity, "unit": fault.unit, "tolerance": fault.tolerance}
    line: dict[str, object] = {
        "id": one.name,
        "media": f"clips/{one.name}.mp4",
        "sha256": sha256,
        "action": spec.action,
        "performer": spec.performer.name,
        "split": plan.split,
        "criteria": {error.criterion: truth.criteria[error.criterion] for error in asked},
        "errors": {error.id: [interval] if truth.errors[error.id] else [] for error in asked},
        "scores": {SCALE: truth.score},
    }
    if len(asked) == len(errors) and fault in errors:
        line["choices"] = {CHOICE: NO_ERROR if spec.correct else fault.statement}
    if fault in asked:
        line["severity"] = {fault.criterion: graded, fault.id: graded}
    line["family"] = plan.family
    if plan.caption is not None:
        line["caption"] = plan.caption
    line["tags"] = _tags(one)
    return line


def _interval(one: Made) -> list[float]:
    first, last = one.truth.interval or (0.0, DURATION_S)
    if one.plan.twin == "reversed":
        first, last = DURATION_S - last, DURATION_S - first
    return [round(max(first, 0.0), 3), round(min(last, DURATION_S), 3)]


def _tags(one: Made) -> dict[str, str]:
    plan, spec = one.plan, one.plan.spec
    away = abs(spec.camera.azimuth)
    look, shape = spec.performer.look, spec.performer.shape
    bright = sum(look.skin) / 3
    tags = {
        "varied": spec.error,
        "factor": plan.factor,
        "kind": "temporal" if spec.fault.temporal else "pose",
        "region": ", ".join(name.replace("_", " ") for name in spec.fault.region),
        "view": "front" if away < 25 else "oblique" if away < 65 else "side",
        "body": "woman" if shape.gender > 0.5 else "man",
        "skin": "light" if bright > 0.38 else "medium" if bright > 0.14 else "dark",
    }
    if plan.twin != "none":
        tags["twin"] = plan.twin
    if plan.caption is not None:
        tags["caption"] = "true" if (plan.caption == spec.fault.positive) == spec.correct else "false"
    return tags


def _declarations(name: str, varied: dict[str, list[str]]) -> str:
    parts = [
        "# Rendered minimal pairs: within a family exactly one thing varies, by the severity in clips.jsonl.",
        f"name = {_text(name)}",
        f"licence = {_text(LICENCE)}",
        f"citation = {_text(CITATION)}",
        "allow_upload = true",
    ]
    for exercise, names in varied.items():
        action = EXERCISES[exercise].action
        errors = [EXERCISES[exercise].error(error) for error in names]
        for error in errors:
            parts += [
                "\n[[criterion]]",
                f"id = {_text(error.criterion)}",
                f"action = {_text(action)}",
                f"positive = {_text(error.positive)}",
                f"negative = {_text(error.negative)}",
                "\n[[error]]",
                f"id = {_text(error.id)}",
                f"action = {_text(action)}",
                f"statement = {_text(error.statement)}",
            ]
        options = ", ".join(_text(option) for option in [*(error.statement for error in errors), NO_ERROR])
        parts += [
            "\n[[choice]]",
            f"id = {_text(CHOICE)}",
            f"action = {_text(action)}",
            f"question = {_text(QUESTION)}",
            f"options = [{options}]",
        ]
    parts += ["\n[[scale]]", f"id = {_text(SCALE)}", "min = 0", "max = 10", "step = 0.1"]
    return "\n".join(parts) + "\n"


def _text(value: str) -> str:
    return json.dumps(value, ensure_ascii=False)
