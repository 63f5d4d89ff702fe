"""What a model gains or loses with time, as a table: a key-frame, eight frames, a clip.

    aqaudit run probe-time
    python examples/probe_time.py out/probe-time

Every line is a paired difference on the same questions, with its interval by performer. Errors that show in a still
picture stand apart from errors that only time shows (``tags.kind`` of the probe).
"""

from __future__ import annotations

import sys
from pathlib import Path

import polars as pl

from aqaudit import read_answers
from aqaudit.audits import comparison
from aqaudit.audits.pairing import pair

#: What is compared, as (model, frames asked).
STEPS = {
    "1 frame -> 8 frames": (("demo", "1 frames"), ("demo", "8 frames")),
    "8 frames -> clip": (("demo", "8 frames"), ("demo-clip", "8 frames")),
}


def side(frame: pl.DataFrame, cell: tuple[str, str]) -> pl.DataFrame:
    """Return the answers of one way of showing; the model gets one name, so that only the way differs."""
    model, frames = cell
    rows = frame.filter(pl.col("model") == model, pl.col("fps_asked") == frames)
    return rows.with_columns(pl.lit("demo").alias("model"))


def main(folder: Path) -> None:
    answers = read_answers(folder)
    kinds = answers.with_columns(pl.col("tags").str.json_path_match("$.kind").alias("kind_of_error"))
    print(f"{'errors':10} {'shown as':22} {'before':>8} {'after':>8} {'difference [95 % interval]':>30} {'items':>6}")
    for kind in ("pose", "temporal"):
        rows = kinds.filter(pl.col("kind_of_error") == kind).drop("kind_of_error")
        for title, (before, after) in STEPS.items():
            result = comparison.compare(pair(side(rows, before), side(rows, after)))
            for found in result.findings:
                if found.measure != "balanced_accuracy":
                    continue
                a, b = found.details.get("a"), found.details.get("b")
                shown = "-" if found.value is None else f"{found.value:+.3f} [{found.low:+.3f}, {found.high:+.3f}]"
                print(f"{kind:10} {title:22} {a:8.3f} {b:8.3f} {shown:>30} {found.n:6}")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
