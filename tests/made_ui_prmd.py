"""Small UI-PRMD releases: a standing person who lifts the left knee, as markers of Vicon and joints of Kinect."""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np

from aqaudit.datasets.readers.ui_prmd_bodies import MARKERS, PARENTS

#: Where the markers of a person of 1.7 m are who faces +x: x ahead, y to the left, z up, in millimetres; right ones
#: mirrored.
_LEFT = {
    "LFHD": (80, 60, 1650), "LBHD": (-80, 60, 1650), "LSHO": (0, 180, 1400), "LUPA": (0, 220, 1250),
    "LELB": (0, 250, 1100), "LFRM": (0, 260, 980), "LWRA": (20, 270, 850), "LWRB": (-20, 270, 850),
    "LFIN": (0, 280, 750), "LASI": (60, 120, 950), "LPSI": (-90, 50, 960), "LTHI": (0, 140, 750),
    "LKNE": (0, 120, 500), "LTIB": (0, 120, 300), "LANK": (0, 110, 90), "LHEE": (-60, 100, 40),
    "LTOE": (150, 100, 40),
}  # fmt: skip
_MIDDLE = {
    "C7": (-60, 0, 1450),
    "T10": (-80, 0, 1200),
    "CLAV": (60, 0, 1400),
    "STRN": (80, 0, 1250),
    "RBAK": (-80, -60, 1250),
}
_RIGHT = {"R" + name[1:]: (x, -y, z) for name, (x, y, z) in _LEFT.items()}
PLACES = _LEFT | _RIGHT | _MIDDLE

#: Offsets of the 22 joints of Kinect from their parents, in centimetres: x to the person's left, y up, z ahead.
OFFSETS = [
    (0, 92, -240), (0, 33, 0), (0, 24, 0), (0, 1, 0), (0, 7, 0), (0, 17, 0), (2, 0, 0), (18, 0, 0), (30, 0, 0),
    (26, 0, 0), (-2, 0, 0), (-18, 0, 0), (-30, 0, 0), (-26, 0, 0), (8, 0, 0), (0, -41, 0), (0, -37, 0), (0, 0, 12),
    (-8, 0, 0), (0, -41, 0), (0, -37, 0), (0, 0, 12),
]  # fmt: skip


def vicon(frames: int = 40, lift: float = 300.0) -> np.ndarray:
    """T x 117: the left knee comes up by ``lift`` millimetres and goes down again."""
    base = np.array([PLACES[name] for name in MARKERS], dtype=float)
    points = np.tile(base, (frames, 1, 1))
    raised = lift * np.sin(np.linspace(0, np.pi, frames))
    for name, share in (("LKNE", 1.0), ("LTIB", 1.0), ("LANK", 1.0), ("LHEE", 1.0), ("LTOE", 1.0), ("LTHI", 0.5)):
        points[:, MARKERS.index(name), 2] += share * raised
        points[:, MARKERS.index(name), 0] += share * raised
    return points.reshape(frames, -1)


def kinect(frames: int = 12, lift: float = 60.0) -> tuple[np.ndarray, np.ndarray]:
    """Positions and angles, T x 66: arms hang down, the left thigh is lifted by ``lift`` degrees and back."""
    angles = np.zeros((frames, len(PARENTS), 3))
    angles[:, 7, 2], angles[:, 11, 2] = -90, 90
    raised = lift * np.sin(np.linspace(0, np.pi, frames))
    angles[:, 14, 0], angles[:, 15, 0] = -raised, raised
    return np.tile(np.array(OFFSETS, dtype=float).reshape(1, -1), (frames, 1)), angles.reshape(frames, -1)


def put(path: Path, numbers: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    text = "\n".join(",".join(f"{number:.6f}" for number in row) for row in numbers) + "\n"
    path.write_bytes(gzip.compress(text.encode()) if path.suffix == ".gz" else text.encode())


def release(
    root: Path, *, people: tuple[int, ...] = (1, 3), movements: tuple[int, ...] = (1,), sensors: str = "vicon"
) -> Path:
    """Write a release as published: folders of correct and incorrect movements, of sensors, of positions and angles."""
    for correct in (True, False):
        top = root / ("Segmented Movements" if correct else "Incorrect Segmented Movements")
        end = "" if correct else "_inc"
        for movement in movements:
            for person in people:
                name = f"m{movement:02d}_s{person:02d}_e01"
                if "vicon" in sensors:
                    lift = 300.0 + 10 * person if correct else 80.0 + 10 * person
                    put(top / f"Vicon/Positions/{name}_positions{end}.txt", vicon(lift=lift))
                    put(top / f"Vicon/Angles/{name}_angles{end}.txt", np.zeros((40, 117)))
                if "kinect" in sensors:
                    positions, angles = kinect(lift=60.0 if correct else 20.0)
                    put(top / f"Kinect/Positions/{name}_positions{end}.txt", positions)
                    put(top / f"Kinect/Angles/{name}_angles{end}.txt", angles)
    return root
