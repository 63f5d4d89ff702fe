"""A small EgoExo-Fitness release in the published shapes; frames are files with the published names, empty or real."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from made_media import picture

VIEWS = ("ego_l", "ego_m", "ego_r", "exo_l", "exo_m", "exo_r")
FRAMES = 60
CROSS, BACK, KNEES = "Cross your feet.", "Keep your back straight.", "Keep your knees still."


def annotation(name: str, *verdicts: str, score: int = 3, annotator: str = "A") -> dict[str, Any]:
    texts = (CROSS, BACK, KNEES)
    return {
        "key_point_verification": [[text, verdict] for text, verdict in zip(texts, verdicts, strict=False)],
        "action_quality_score": score,
        "comment": None,
        "action_name": name,
        "action_guidance": "Stand up ...",
        "annotator": annotator,
    }


def judgements() -> dict[str, Any]:
    squat, twist = "Sumo Squat", "Kneeling Side Torso Twist"
    return {
        "ThEnUZ_action_0": {
            "annotations": [annotation(squat, "True", "False", "True")],
            "st_ed_frame": [2, 20],
            "frame_root": "frames_open/ThEnUZ",
        },
        "ThEnUZ_action_1": {
            "annotations": [
                annotation(squat, "True", "False", "False", score=4),
                annotation(squat, "False", "False", "True", score=3, annotator="B"),
            ],
            "st_ed_frame": [21, 58],
            "frame_root": "frames_open/ThEnUZ",
        },
        "hOmM1K_action_0": {
            "annotations": [
                annotation(twist, "True", "True"),
                annotation(twist, "False", "True"),
                annotation(twist, "False", "True"),
            ],
            "st_ed_frame": [5, 60],
            "frame_root": "frames_open/hOmM1K",
        },
        "CeqSkC_action_0": {
            "annotations": [annotation("Push-ups", "True")],
            "st_ed_frame": [1, 30],
            "frame_root": "frames_open/CeqSkC",
        },
    }


def records(**frames: dict[str, int]) -> dict[str, Any]:
    """Three records of two people; ``frames`` says the number of frames by view where it is not the usual one."""
    people = {"ThEnUZ": "0912-Zhang San", "hOmM1K": "1017-zhang  san", "CeqSkC": "1017-Zhao Liu"}
    entries = []
    for record, actor in people.items():
        held = frames.get(record, dict.fromkeys(VIEWS, FRAMES))
        entries.append(
            {
                "original_actor": actor,
                "views": list(held),
                "frames": {v: {"path": f"frames_open/{record}/{v}", "num_frames": n} for v, n in held.items()},
                "num_views": len(held),
                "num_sequences": "3",
                "sequences": {"sequence_start_end_frame": [[1, 60]]},
                "num_actions": 2,
            }
        )
    return {"records": entries, "record_index": {name: place for place, name in enumerate(people)}}


BOUNDARIES = {
    "ThEnUZ": {"num_actions": 2, "action_info": [[9, 2, 20], [9, 21, 58]]},
    "hOmM1K": {"num_actions": 1, "action_info": [[3, 5, 55]]},
    "CeqSkC": {"num_actions": 1, "action_info": [[2, 1, 30]]},
}


def release(
    root: Path,
    *,
    judged: dict[str, Any] | None = None,
    meta: dict[str, Any] | None = None,
    annotations: str = "raw_annotations",
    real: bool = False,
) -> Path:
    """Write a release; ``real`` frames are tiny pictures, others empty files."""
    meta = meta or records()
    at = root / annotations
    at.mkdir(parents=True, exist_ok=True)
    (at / "interpretable_action_judgement.json").write_text(json.dumps(judged or judgements()))
    (at / "meta_records.json").write_text(json.dumps(meta, ensure_ascii=False))
    (at / "action_level_annotations.json").write_text(json.dumps(BOUNDARIES))
    for record, place in meta["record_index"].items():
        for view, facts in meta["records"][place]["frames"].items():
            folder = root / "frames_open" / record / view
            folder.mkdir(parents=True, exist_ok=True)
            for number in range(1, facts["num_frames"] + 1):
                path = folder / f"frame_{number:010d}.jpg"
                if real:
                    picture(path, place * 1000 + VIEWS.index(view) * 100 + number)
                else:
                    path.touch()
    return root
