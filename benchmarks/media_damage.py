"""Damaged files: none may crash, hang over 5 s, or give wrong frames without an error.

    python benchmarks/media_damage.py [--files 500] [--seed 11] [--size 96x64]

Whole clips (H.264, HEVC, MPEG-4 and VP9 in MP4, Matroska, AVI and WebM) show their frame number in their pixels. Copies
are cut off, get random bytes, zeros, or lose a stretch, and are read twice: six frames, and all. A copy either gives
exactly the bytes that the whole clip gives, or an error that names the file. Each batch runs in a process of its own,
so that a crash of a decoder is counted. Wrong frames are those whose number is another, changed pixels those whose
number still reads right: their coded data were changed so that no decoder notices, as H.264, HEVC and MPEG-4 have no
checksums. Each copy is read once more with the checksum of the whole clip stated. Prints a table; exit code 1 where a
decoder crashed or hung, or a stated checksum missed a change.
"""

from __future__ import annotations

import argparse
import random
import subprocess
import sys
import tempfile
import time
from collections import Counter
from dataclasses import replace
from pathlib import Path

TESTS = Path(__file__).resolve().parent.parent / "tests"
sys.path.insert(0, str(TESTS))

FRAMES = 30
BATCH = 25
LONGEST_S = 5.0
KINDS = ("cut off", "random bytes", "zeros", "a stretch lost")


def make(folder: Path, size: tuple[int, int] = (96, 64)) -> list[Path]:
    from media_clips import make_clip, remux

    look = {"frames": FRAMES, "size": size, "noise": True}
    h264 = make_clip(folder / "whole.mp4", options={"g": "10"}, **look)
    return [
        h264,
        remux(h264, folder / "whole.mkv"),
        make_clip(folder / "whole.avi", codec="mpeg4", **look),
        make_clip(folder / "hevc.mp4", codec="libx265", options={"x265-params": "log-level=none:keyint=10"}, **look),
        make_clip(folder / "vp9.webm", codec="libvpx-vp9", options={"cpu-used": "8", "deadline": "realtime"}, **look),
    ]


def damaged(data: bytes, kind: int, rng: random.Random) -> bytes:
    broken = bytearray(data)
    at = rng.randrange(len(broken))
    if kind == 0:
        return bytes(broken[:at])
    if kind == 1:
        for _ in range(rng.choice([1, 4, 32])):
            broken[rng.randrange(len(broken))] = rng.randrange(256)
    elif kind == 2:
        length = rng.randrange(1, 400)
        broken[at : at + length] = bytes(min(length, len(broken) - at))
    else:
        del broken[at : at + rng.randrange(1, 200)]
    return bytes(broken)


def batch(folder: Path, seed: int, first: int, count: int) -> None:
    """Read damaged copies and print one line each: source, damage, what came of it, seconds."""
    from aqaudit.core.records import BadInput, MediaSpec
    from aqaudit.media.cache import MediaStore
    from aqaudit.media.source import checksum
    from media_clips import number_of, performance, picture_at, prepare

    whole = sorted(path for path in folder.iterdir() if path.is_file() and not path.name.startswith("copy"))
    store = MediaStore(folder / "store")
    specs = MediaSpec(frames=6), MediaSpec()
    sums = {path: checksum(path) for path in whole}
    intact = {path: [prepare(performance(path), spec, store).parts for spec in specs] for path in whole}
    for number in range(first, first + count):
        source, kind = whole[number % len(whole)], number // len(whole) % 4
        path = folder / f"copy{number}{source.suffix}"
        path.write_bytes(damaged(source.read_bytes(), kind, random.Random(f"{seed}/{number}")))
        begun = time.monotonic()
        try:
            shown = [prepare(performance(path), spec, store).parts for spec in specs]
        except BadInput as error:
            said = "error" if path.name in str(error) and "\n" not in str(error) else "error without the file's name"
        else:
            numbers = [[number_of(picture_at(part.path)) for part in parts] for parts in shown]
            if numbers != [[2, 7, 12, 17, 22, 27], list(range(FRAMES))]:
                said = "WRONG FRAMES"
            else:
                said = "right" if shown == intact[source] else "CHANGED PIXELS"
        seconds = time.monotonic() - begun
        try:
            prepare(replace(performance(path), sha256=sums[source]), specs[0], store)
            stated = "same bytes" if path.read_bytes() == source.read_bytes() else "MISSED"
        except BadInput:
            stated = "found"
        print(f"{source.name}\t{said}\t{stated}\t{seconds:.3f}", flush=True)
        path.unlink()


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--files", type=int, default=500)
    parser.add_argument("--seed", type=int, default=11)
    parser.add_argument("--size", default="96x64", help="of the pictures")
    parser.add_argument("--batch", nargs=3, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.batch:
        batch(Path(given.batch[0]), given.seed, int(given.batch[1]), int(given.batch[2]))
        return 0
    counts: Counter[tuple[str, str]] = Counter()
    slowest, crashed, missed = 0.0, 0, 0
    with tempfile.TemporaryDirectory() as name:
        width, height = map(int, given.size.split("x"))
        make(Path(name), (width, height))
        for first in range(0, given.files, BATCH):
            count = min(BATCH, given.files - first)
            me = [sys.executable, __file__, "--seed", str(given.seed), "--batch", name, str(first), str(count)]
            done = subprocess.run(me, capture_output=True, text=True, check=False, timeout=60 + 20 * count)
            lines = [line.split("\t") for line in done.stdout.splitlines()]
            if done.returncode or len(lines) < count:
                crashed += 1
                print(done.stderr[-500:])
            for source, said, stated, seconds in lines:
                counts[source, said] += 1
                missed += stated == "MISSED"
                slowest = max(slowest, float(seconds))
    print(f"{'source':<12} {'came out as':<32} {'files':>5}")
    for (source, said), files in sorted(counts.items()):
        print(f"{source:<12} {said:<32} {files:>5}")
    bad = sum(files for (_, said), files in counts.items() if said not in {"right", "error"})
    print(f"{sum(counts.values())} files: {bad} wrong without a checksum, {missed} with one, {crashed} crashes")
    print(f"slowest {slowest:.2f} s (at most {LONGEST_S:g})")
    return int(bool(missed or crashed or slowest > LONGEST_S))


if __name__ == "__main__":
    raise SystemExit(main())
