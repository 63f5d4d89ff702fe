"""The clips that the demo model learns from: made by the probe's generator, kept as small pictures with their truth.

    python training/clips.py OUT [--count N] [--seed N] [--part N/M]

``OUT`` receives parts of 100 clips (``part-000.npz`` and ``.jsonl``); parts that are there are not made again, so that
making can be stopped, gone on with, and shared between processes (``--part 1/2`` makes every second one).

Performers come from the generator's pool ``training``, so none of them is in the clips that the package ships. They are
split by number: most to learn from, a ninth to choose by (``validation``), a ninth for the final test (``test``).
What is taught is what the clips that the package ships show: 24 errors of nine exercises.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

import eyes

if TYPE_CHECKING:
    from collections.abc import Iterator

    from aqaudit.core.records import Dataset, Question

SIDE = 96
#: Every fourth clip is painted this large and scaled down, as clips of studies are.
_LARGE = 128
FRAMES = 8
PERFORMERS = 144
_LEARNERS, _CHOOSERS = 112, 128
_PART = 100


def split_of(performer: str) -> str:
    """Return which part of the training a performer is in."""
    number = int(performer.lstrip("abcdefghijklmnopqrstuvwxyz"))
    return "train" if number < _LEARNERS else "validation" if number < _CHOOSERS else "test"


def frame_times(duration_s: float) -> list[float]:
    """Return the moments shown: the middles of eight equal stretches."""
    return [(at + 0.5) * duration_s / FRAMES for at in range(FRAMES)]


def make(out: Path, count: int, seed: int, share: tuple[int, int]) -> None:
    """Write the parts that are missing."""
    from aqaudit.probe.recipes import BUNDLED
    from aqaudit.probe.scene import sample_specs

    out.mkdir(parents=True, exist_ok=True)
    kinds = sorted({error for errors in BUNDLED.values() for error in errors})
    drawn = sample_specs(seed=seed, count=4 * count, pool="training", performers=PERFORMERS, errors=kinds)
    specs: Iterator[Any] = (spec for spec in drawn if spec.error in BUNDLED[spec.exercise])
    for number in range(-(-count // _PART)):
        part = [spec for _, spec in zip(range(min(_PART, count - number * _PART)), specs, strict=False)]
        path = out / f"part-{number:03d}.npz"
        if number % share[1] != share[0] - 1 or path.is_file():
            continue
        made = [_clip(spec, large=at % 4 == 0) for at, spec in enumerate(part)]
        lines = [json.dumps(facts) for _, facts in made]
        path.with_suffix(".jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")
        arrays = {name: np.stack([clip[name] for clip, _ in made]) for name in made[0][0]}
        partial = path.with_suffix(".partial.npz")
        np.savez(partial, **arrays)
        partial.rename(path)
        print(f"{path.name}: {len(made)} clips", flush=True)


def _clip(spec: Any, *, large: bool) -> tuple[dict[str, Any], dict[str, Any]]:
    from aqaudit.probe import measure
    from aqaudit.probe.errors import exercise
    from aqaudit.probe.scene import render, take

    whole = take(spec)
    shot = whole.at(frame_times(float(whole.times[-1] + whole.times[1])))
    side = _LARGE if large else SIDE
    painted = render(spec, shot, size=(side, side))
    pictures = [
        np.asarray(Image.fromarray(one).resize((SIDE, SIDE), Image.Resampling.BICUBIC)) if large else one
        for one in painted
    ]
    arrays = {
        "pictures": np.stack(pictures),
        "points": shot.points.astype(np.float32),
        "pixels": (shot.keypoints(spec.camera, (1, 1))[..., :2]).astype(np.float32),
        "azimuth": np.full(len(pictures), spec.camera.azimuth, dtype=np.float32),
    }
    measured = {
        error.id: round(measure.severity(spec.exercise, error.id, whole.points, whole.times), 4)
        for error in exercise(spec.exercise).errors
    }
    facts = {
        "exercise": spec.exercise,
        "error": spec.error,
        "severity": spec.severity,
        "performer": spec.performer.name,
        "azimuth": spec.camera.azimuth,
        "measured": measured,
    }
    return arrays, facts


@dataclass(frozen=True, slots=True, kw_only=True)
class Clips:
    """All clips of a folder: pictures (N, 8, side, side, 3), what may be asked of each, and how severe errors are.

    ``severity`` (N x errors) is in tolerances, NaN for the errors of other exercises; ``errors`` names its columns.
    """

    pictures: Any
    points: Any
    pixels: Any
    azimuth: Any
    facts: list[dict[str, Any]]
    questions: list[list[Question]]
    severity: Any
    errors: list[tuple[str, str]]
    declared: Dataset

    @classmethod
    def read(cls, folder: Path) -> Clips:
        """Read every whole part of a folder."""
        import truths

        paths = sorted(path for path in folder.glob("part-*.npz") if ".partial" not in path.name)
        facts = [
            json.loads(line)
            for path in paths
            for line in path.with_suffix(".jsonl").read_text(encoding="utf-8").splitlines()
        ]
        parts = [np.load(path) for path in paths]
        arrays = {name: np.concatenate([part[name] for part in parts]) for name in parts[0].files}
        errors = truths.errors()
        return cls(
            **arrays,
            facts=facts,
            questions=truths.questions(facts),
            severity=np.array([truths.severities(one, errors) for one in facts], dtype=np.float32),
            errors=errors,
            declared=truths.declared(),
        )

    def of(self, split: str) -> Any:
        """Return the places of a split's clips."""
        return np.array([at for at, one in enumerate(self.facts) if split_of(one["performer"]) == split])

    def frames(self, split: str) -> eyes.Frames:
        """Return a split's frames one by one."""
        places = self.of(split)
        flat = {
            name: getattr(self, name)[places].reshape(len(places) * FRAMES, *getattr(self, name).shape[2:])
            for name in ("pictures", "points", "pixels", "azimuth")
        }
        return eyes.Frames(**flat)


def main() -> None:
    """Make clips."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path)
    parser.add_argument("--count", type=int, default=4800)
    parser.add_argument("--seed", type=int, default=3)
    parser.add_argument("--part", default="1/1")
    given = parser.parse_args()
    first, second = given.part.split("/")
    make(given.out, given.count, given.seed, (int(first), int(second)))


if __name__ == "__main__":
    main()
