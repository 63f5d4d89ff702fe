"""How fast probe pictures are made, whether time is linear in frames and memory flat.

    python benchmarks/probe_rate.py [SIZE] [FRAMES]

Bound: 20 frames a second at 256 x 256 on two cores. Needs the extra ``probe``.
"""

from __future__ import annotations

import os
import resource
import sys
import time

import numpy as np

from aqaudit.probe.motions import DURATION_S
from aqaudit.probe.scene import render, sample_specs, take


def megabytes() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def main() -> None:
    side = int(sys.argv[1]) if len(sys.argv) > 1 else 256
    most = int(sys.argv[2]) if len(sys.argv) > 2 else 288
    [spec] = sample_specs(seed=2, count=1, performers=1, exercises=["squat"])
    for _ in render(spec, take(spec, np.array([0.0, 1.0])), (side, side)):
        pass
    print(f"{side} x {side} px, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}")
    print(
        f"{'frames':>7}{'seconds':>9}{'frames/s':>10}{'CPU ms/frame':>14}{'frames/s of 2 free cores':>26}{'peak MB':>9}"
    )
    frames = most // 8
    while frames <= most:
        shot = take(spec, np.linspace(0, DURATION_S, frames))
        started, used = time.perf_counter(), time.process_time()
        for _ in render(spec, shot, (side, side)):
            pass
        took, cpu = time.perf_counter() - started, time.process_time() - used
        each = 1000 * cpu / frames
        print(f"{frames:>7}{took:>9.2f}{frames / took:>10.1f}{each:>14.1f}{2000 / each:>26.1f}{megabytes():>9.0f}")
        frames *= 2
    stills = list(sample_specs(seed=3, count=24, performers=2))
    for one in stills:
        take(one)  # bodies are made once
    started = time.process_time()
    for one in stills:
        shot = take(one)
        for _ in render(one, shot.at([shot.turning_s]), (96, 96)):
            pass
    each = 1000 * (time.process_time() - started) / len(stills)
    print(f"a still of 96 x 96 px, from specification to picture: {each:.0f} ms CPU")


if __name__ == "__main__":
    main()
