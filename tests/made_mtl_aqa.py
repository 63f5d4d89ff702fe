"""A small MTL-AQA release: the published dictionaries and split, and videos of a few seconds."""

from __future__ import annotations

import pickle
from pathlib import Path

import numpy as np

from made_media import clip

#: (video, dive): split, marks of the seven judges, difficulty.
DIVES = {
    (1, 1): ("train", (9.5, 9, 9.5, 9, 8.5, 9.5, 8.5), 3.2),
    (1, 2): ("test", (5, 5.5, 5, 4.5, 5, 5, 5.5), 3.0),
    (3, 1): ("train", (7, 7, 7.5, 7, 6.5, 7, 7), 2.8),
    (3, 2): ("test", (8, 8.5, 8, 8, 8, 7.5, 8), 3.4),
    (9, 1): ("test", (2, 2.5, 2, 2, 1.5, 2, 2), 3.6),
    (9, 2): ("test", (6, 6, 6.5, 6, 6, 6, 5.5), 3.1),
}


def release(root: Path) -> Path:
    entries = {}
    for (video, number), (_, marks, difficulty) in DIVES.items():
        entries[video, number] = {
            "primary_view": 0,
            "start_frame": 10 * number - 9,
            "end_frame": 10 * number,
            "position": 2,
            "difficulty": difficulty,
            "armstand": 0,
            "rotation_type": 2,
            "ss_no": 7,
            "tw_no": 0,
            "final_score": round(sum(sorted(marks)[2:5]) * difficulty, 2),
            "judge_scores": np.array(marks),
            "dive_number": "407C",
        }
    root.mkdir(parents=True, exist_ok=True)
    (root / "final_annotations_dict_with_dive_number.pkl").write_bytes(pickle.dumps(entries, protocol=2))
    for split in ("train", "test"):
        keys = [key for key, (name, _, _) in DIVES.items() if name == split]
        (root / f"{split}_split_0.pkl").write_bytes(pickle.dumps(keys, protocol=2))
    for video in sorted({video for video, _ in DIVES}):
        clip(root / f"whole_videos/{video:02d}.mp4", video)
    return root
