"""Proposed rectangles on made broadcasts: how well each graphic is covered, and how much is proposed that is none.

    python benchmarks/graphics.py [CLIPS_A_CASE]

The clips are made here, so these figures are of made scenes, not of broadcasts.
"""

import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests"))

from aqaudit.media.graphics import graphics
from aqaudit.records import Performance
from made_broadcasts import CASES, broadcast, covered, overlap


def main() -> None:
    clips = int(sys.argv[1]) if len(sys.argv) > 1 else 3
    print(f"{'case':40} graphics found(IoU>=.5) mean IoU covered false moving")
    with tempfile.TemporaryDirectory() as folder:
        for name, (camera, drawn) in CASES.items():
            there = found = false = 0
            best, moving, hidden = [], [], []
            for seed in range(clips):
                path = broadcast(Path(folder) / "clip.mp4", camera, drawn, seed=seed)
                result = graphics(Performance(id="c", media=path, action="a", performer="p", video="v"))
                moving.append(result.moving)
                for graphic in drawn:
                    there += 1
                    best.append(max([overlap(graphic.box, mask.box) for mask in result.masks], default=0.0))
                    hidden.append(max([covered(graphic.box, mask.box) for mask in result.masks], default=0.0))
                    found += best[-1] >= 0.5
                false += sum(all(overlap(m.box, g.box) < 0.1 for g in drawn) for m in result.masks)
            mean = f"{sum(best) / len(best):8.2f}" if best else "       -"
            share = f"{sum(hidden) / len(hidden):7.2f}" if hidden else "      -"
            print(f"{name:40} {there:8} {found:14} {mean} {share} {false:5} {sum(moving) / clips:6.2f}", flush=True)


if __name__ == "__main__":
    main()
