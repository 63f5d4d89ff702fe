"""A small Fitness-AQA release in the published layout: empty media, which are enough to be read, or tiny real ones."""

from __future__ import annotations

import json
from pathlib import Path

from made_media import clip, picture

SQUATS = {
    "train": {"45823_1": ([[0.5, 1.25]], [[0.2, 0.9], [1.5, 2]]), "45823_2": ([], [[0, 1]]), "32987_5": ([], [])},
    "val": {"10001_1": ([], [[1, 2]])},
    "test": {"20002_1": ([[1, 2]], []), "20002_2": ([], [[0.1, 0.4]])},
}
PRESSES = {"train": {"45823_1": ([], [])}, "val": {"501_3": ([[1, 2]], [])}, "test": {"502_1": ([], [[0, 3.5]])}}
DEPTHS = {"train": {"52701_11_40": 1, "52701_11_41": 0}, "val": {"100_1_7": 0}, "test": {"101_2_9": 1}}
ROWS = {"train": {"7_1_1": 0, "7_1_2": 1}, "val": {"8_1_1": 0}, "test": {"9_1_1": 1}}


def put(path: Path, value: object) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(value))


def touch(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch()


def fill(root: Path) -> Path:
    """Make the empty media of a release real; return the root."""
    for number, path in enumerate(sorted([*root.rglob("*.mp4"), *root.rglob("*.jpg")])):
        clip(path, number) if path.suffix == ".mp4" else picture(path, number)
    return root


def release(
    root: Path,
    *,
    top: str = "Fitness-AQA_dataset_release",
    videos: str = "videos",
    crops: str = "images/crops_unaligned",
) -> Path:
    """Write everything; ``videos`` and ``crops`` are folders of media, which depend on how archives are unpacked."""
    home = root / top
    for exercise, clips, names in (
        ("Squat", SQUATS, ("error_knees_inward", "error_knees_forward")),
        ("OHP", PRESSES, ("error_elbows", "error_knees")),
    ):
        at = home / exercise / "Labeled_Dataset"
        for place, name in enumerate(names):
            put(at / f"Labels/{name}.json", {k: v[place] for split in clips.values() for k, v in split.items()})
        for split, items in clips.items():
            put(at / f"Splits/{split}_keys.json", list(items))
            for key in items:
                touch(at / videos / f"{key}.mp4")
        touch(at / videos / "999_9.mp4")  # more clips than were labelled
        touch(home / exercise / "Unlabeled_Dataset/videos/45823_1.mp4")
    put(home / "Squat/Labeled_Dataset/Splits/traj_nan.json", ["45823_2"])
    pictures(home / "Squat/Labeled_Dataset/Shallow_Squat_Error_Dataset", "labels_shallow_depth", "splits", DEPTHS)
    for path in (home / "Squat/Labeled_Dataset/Shallow_Squat_Error_Dataset").glob("*.jpg"):
        touch(path.parent / crops / path.name)
        path.unlink()
    at = home / "BarbellRow/Labeled_Dataset"
    for name, folder in (
        ("labels_lumbar_error", "Splits_Lumbar_Error"),
        ("labels_torso_angle_error", "Splits_TorsoAngle_Error"),
    ):
        pictures(at / "barbellrow_images_raw", f"../Labels/{name}", f"../Splits/{folder}", ROWS, extra={"77_1_1": 1})
    return root


def pictures(
    at: Path, labels: str, splits: str, items: dict[str, dict[str, int]], extra: dict[str, int] | None = None
) -> None:
    at.mkdir(parents=True, exist_ok=True)
    put((at / f"{labels}.json").resolve(), {k: v for one in items.values() for k, v in one.items()} | (extra or {}))
    for split, names in items.items():
        put((at / splits / f"{split}_ids.json").resolve(), list(names))
        for key in names:
            touch(at / f"{key}.jpg")
