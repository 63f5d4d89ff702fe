"""A small LLM-FMS release: the rules of two movements in the published shape, pictures, a label a key-frame."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from made_media import picture

RULES: dict[str, Any] = {
    "m01": {
        "actionName": "Deep squat",
        "view": "side",
        "rules": {
            "r01": {
                "ruleType": "angle",
                "ruleName": "trunk and shank",
                "ruleDetail": "...",
                "ruleQuestion": "Is the trunk parallel to the lower leg?",
                "ruleOptions": ["Parallel", "Not parallel"],
                "bodyParts": ["trunk", "leg"],
            },
            "r02": {
                "ruleType": "position",
                "ruleName": "hip height",
                "ruleDetail": "...",
                "ruleQuestion": "Where is the hip relative to the knee?",
                "ruleOptions": ["Above", "Equal", "Below"],
                "bodyParts": ["hip", "knee"],
            },
        },
    },
    "m02": {
        "actionName": "Deep squat",
        "view": "side",
        "rules": {
            "r01": {
                "ruleType": "distance",
                "ruleName": "gap",
                "ruleDetail": "...",
                "ruleQuestion": "How far apart are the wrists?",
                "ruleOptions": ["Near", "Far"],
                "bodyParts": ["hand"],
            },
        },
    },
}
ANSWERS = {"m01": {"r01": "Parallel", "r02": "Below"}, "m02": {"r01": "Far"}}


def release(
    root: Path,
    *,
    subjects: int = 3,
    rules: dict[str, Any] | None = None,
    change: Callable[[str, dict[str, Any]], dict[str, Any] | None] = lambda _, label: label,
    images: str = "keyframes/{m}/{m}_s{s:02d}_1.jpg",
    labels: str = "labels/{m}/{m}_s{s:02d}_1.json",
) -> Path:
    """Write a release; ``change`` gets each label's name and table and returns what is written, None for nothing."""
    root.mkdir(parents=True, exist_ok=True)
    (root / "FMSRules.json").write_text(json.dumps(rules or RULES), encoding="utf-8-sig")
    for movement, answers in ANSWERS.items():
        for subject in range(1, subjects + 1):
            image = root / images.format(m=movement, s=subject)
            picture(image, 100 * int(movement[1:]) + subject)
            label = change(f"{movement}_s{subject:02d}", {"score": subject % 4, "ruleResults": dict(answers)})
            if label is not None:
                path = root / labels.format(m=movement, s=subject)
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text(json.dumps(label))
    return root
