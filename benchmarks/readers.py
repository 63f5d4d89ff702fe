"""How long the readers take, and how much memory, at the published sizes and beyond.

Makes roots in the published shapes under a temporary folder (media are empty or links to one tiny file), reads each in
a process of its own, and prints labels, CPU seconds and the largest memory of that process. The first row is the bare
process: Python with the package.

    python benchmarks/readers.py [--labels 100000]
"""

from __future__ import annotations

import argparse
import json
import os
import random
import subprocess
import sys
import tempfile
from pathlib import Path

TESTS = Path(__file__).resolve().parent.parent / "tests"
sys.path.insert(0, str(TESTS))

import made_egoexo_fitness  # noqa: E402
import made_finefs  # noqa: E402
import made_llm_fms  # noqa: E402
from made_fitness_aqa import put  # noqa: E402
from made_media import clip  # noqa: E402

READ = """
import resource, sys, time
from pathlib import Path
begun = time.process_time()
from aqaudit import datasets
labels = 0
if sys.argv[1] != "-":
    found = datasets.read(sys.argv[1], Path(sys.argv[2]), **eval(sys.argv[3]))
    labels = sum(len(p.criteria) + len(p.errors) + len(p.choices) + len(p.scores) for p in found.performances)
print(labels, time.process_time() - begun, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)
"""


def fitness_aqa(root: Path, labels: int) -> None:
    """``labels`` pictures of rows, each with one label."""
    root = root / "BarbellRow/Labeled_Dataset"
    keys = [f"{number // 9}_1_{number}" for number in range(labels)]
    put(root / "Labels/labels_lumbar_error.json", {key: int(key[-1] == "7") for key in keys})
    for split, part in (("train", keys[: labels * 7 // 10]), ("val", keys[labels * 7 // 10 : labels * 8 // 10]),
                        ("test", keys[labels * 8 // 10 :])):  # fmt: skip
        put(root / f"Splits/Splits_Lumbar_Error/{split}_ids.json", part)
    (root / "barbellrow_images_raw").mkdir()
    for key in keys:
        (root / "barbellrow_images_raw" / f"{key}.jpg").touch()


def egoexo_fitness(root: Path, labels: int) -> None:
    """As many actions of nine guidelines as give ``labels`` in six views, twelve in a record, two annotators each."""
    rng = random.Random(7)
    judged, records = {}, {"records": [], "record_index": {}}
    for number in range(max(12, labels // 54)):
        record, place = f"R{number // 12:04d}", number % 12
        start, end = 100 * place + 1, 100 * place + 90
        texts = [f"Guideline {place} {text}." for text in range(9)]
        judged[f"{record}_action_{place}"] = {
            "annotations": [
                {
                    **made_egoexo_fitness.annotation(f"Action {place}"),
                    "key_point_verification": [[text, str(rng.random() > 0.2)] for text in texts],
                }
                for _ in range(2)
            ],
            "st_ed_frame": [start, end],
        }
        if place == 0:
            records["record_index"][record] = len(records["records"])
            frames = {view: {"path": "", "num_frames": 1200} for view in made_egoexo_fitness.VIEWS}
            records["records"].append({"original_actor": f"0101-{record}", "frames": frames})
        for view in made_egoexo_fitness.VIEWS:
            folder = root / "frames_open" / record / view
            folder.mkdir(parents=True, exist_ok=True)
            for frame in (start, end):
                (folder / f"frame_{frame:010d}.jpg").touch()
    put(root / "interpretable_action_judgement.json", judged)
    put(root / "meta_records.json", records)


def finefs(root: Path, programs: int) -> None:
    """``programs`` of 9 elements; their videos are links to one file."""
    video = root / "one.mp4"
    clip(video, 1, seconds=60, rate=2)
    elements = [{**one, "time": f"0-{6 * place:02d},0-{6 * place + 5:02d}"} for place, one in
                enumerate(made_finefs.SHORT * 2 + made_finefs.SHORT[:1])]  # fmt: skip
    text = json.dumps(made_finefs.program(elements))
    for folder in ("annotation", "video"):
        (root / folder).mkdir()
    for number in range(programs):
        (root / f"annotation/{number}.json").write_text(text)
        os.link(video, root / f"video/{number}.mp4")
    video.unlink()


def main() -> None:
    """Make the roots, read them, print the table."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--labels", type=int, default=100_000)
    wanted = parser.parse_args().labels
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        rows: list[tuple[str, str, Path, dict[str, object]]] = [("bare process", "-", home, {})]
        for name, make, options in (
            ("fitness_aqa", lambda root: fitness_aqa(root, wanted), {"errors": "lumbar"}),
            ("egoexo_fitness", lambda root: egoexo_fitness(root, wanted), {"view": "all"}),
            ("llm_fms", lambda root: made_llm_fms.release(root, subjects=min(900, wanted // 3)), {}),
            ("finefs", lambda root: finefs(root, min(1167, wanted // 9)), {}),
        ):
            (home / name).mkdir()
            make(home / name)
            rows.append((name, name, home / name, options))
        print(f"{'reader':<16}{'labels':>10}{'CPU s':>8}{'MiB':>8}")
        for title, reader, root, options in rows:
            done = subprocess.run(
                [sys.executable, "-c", READ, reader, str(root), repr(options)],
                capture_output=True,
                text=True,
                check=True,
            )
            labels, seconds, memory = done.stdout.split()
            print(f"{title:<16}{int(labels):>10,}{float(seconds):>8.2f}{float(memory):>8.0f}", flush=True)


if __name__ == "__main__":
    main()
