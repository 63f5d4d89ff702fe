"""What preparing clips costs, against decoding them: CPU seconds over those of ``ffmpeg -threads 1 -i x -f null -``.

    python benchmarks/media_rate.py [--runs N] [--minute]

Makes its own clips in a temporary folder (H.264 with x264's defaults, so with B-frames; ffmpeg's test picture under
noise; a person's joints moving over it). Its cuts and the noise make x264 leave out B-frames here and there; ``even``
clips have one key frame and three B-frames throughout. Each method and the yardstick are run in turn and the median
counts. A method prepares a clip four times in a row, as a run prepares many, and remembers nothing from one to the
next; the mean counts. Needs ffmpeg on the path. ``ffmpeg noref`` decodes with ffmpeg only the frames that others rest
on, to the end, and does nothing with them. ``opencv seek`` is the common habit of seeking to every frame.
"""

from __future__ import annotations

import argparse
import resource
import statistics
import subprocess
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

from aqaudit.core.records import MediaSpec, Performance
from aqaudit.media import index
from aqaudit.media.cache import MediaStore
from aqaudit.media.poses import Poses
from aqaudit.media.prepare import prepare
from aqaudit.media.source import SourceCache
from aqaudit.pose.coco17 import INDEX

IN_A_ROW = 4
VIEWS = ("rgb", "crop", "overlay", "skeleton", "pose_text")

EVEN = "scenecut=0:b-adapt=0"
CLIPS = (
    ("1080p", 1920, 1080, "9M", ""), ("720p", 1280, 720, "5.2M", ""),
    ("1080p even", 1920, 1080, "9M", EVEN), ("720p even", 1280, 720, "5.2M", EVEN),
)  # fmt: skip


def make(path: Path, width: int, height: int, seconds: int, rate: str, x264: str = "") -> None:
    """Write a clip of ffmpeg's test picture under noise, and a file of keypoints beside it.

    ``x264`` are parameters of the encoder (none: its defaults).
    """
    picture = f"testsrc2=s={width}x{height}:r=25:d={seconds},noise=alls=12:allf=t,format=yuv420p"
    subprocess.run(
        ["ffmpeg", "-v", "error", "-f", "lavfi", "-i", picture, "-c:v", "libx264", "-b:v", rate, "-x264-params", x264,
         path],
        check=True,
    )  # fmt: skip
    np.savez(
        path.with_suffix(".npz"), keypoints=joints(seconds * 25, width, height), fps=25.0, width=width, height=height
    )


def joints(frames: int, width: int, height: int) -> np.ndarray:
    """Return the joints of a person of three quarters of the picture's height who bends their knees."""
    places = {"nose": (0, 0.05), "left_eye": (0.01, 0.03), "right_eye": (-0.01, 0.03), "left_ear": (0.03, 0.04),
              "right_ear": (-0.03, 0.04), "left_shoulder": (0.1, 0.15), "right_shoulder": (-0.1, 0.15),
              "left_elbow": (0.15, 0.32), "right_elbow": (-0.15, 0.32), "left_wrist": (0.17, 0.48),
              "right_wrist": (-0.17, 0.48), "left_hip": (0.07, 0.5), "right_hip": (-0.07, 0.5),
              "left_knee": (0.08, 0.74), "right_knee": (-0.08, 0.74), "left_ankle": (0.08, 0.97),
              "right_ankle": (-0.08, 0.97)}  # fmt: skip
    points = np.ones((frames, 17, 3), np.float32)
    bend = 0.5 - 0.5 * np.cos(np.arange(frames) / 12)
    for name, (x, y) in places.items():
        low = y + 0.2 * bend * (1 - y)
        points[:, INDEX[name], 0] = width / 2 + 0.75 * height * x
        points[:, INDEX[name], 1] = height / 8 + 0.75 * height * low
    return points


def yardstick(path: Path, *options: str) -> float:
    """Return the CPU seconds of ffmpeg's null decode."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(["ffmpeg", "-v", "error", "-threads", "1", *options, "-i", path, "-f", "null", "-"], check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def ours(path: Path, folder: Path, specs: list[MediaSpec]) -> float:
    """Return the CPU seconds of preparing a clip as one of several in a run, all about it forgotten before."""
    poses = Poses(SourceCache(folder / "c.sqlite"))  # one for a whole run
    with tempfile.TemporaryDirectory(dir=folder) as name:
        stores = [Path(name) / str(number) for number in range(IN_A_ROW)]
        for store in stores:
            for number in range(256):  # a run makes these folders once
                (store / f"{number:02x}").mkdir(parents=True)
        begun = time.process_time()
        for store in stores:
            index._index.cache_clear()  # noqa: SLF001 - what is remembered must not count
            prepare(performance(path), specs, MediaStore(store), poser=poses)
        return (time.process_time() - begun) / IN_A_ROW


def performance(path: Path) -> Performance:
    return Performance(
        id=path.stem, media=path, action="squat", performer="p", video="v", pose=path.with_suffix(".npz")
    )


def opencv_seek(path: Path, count: int) -> float | None:
    """Return the CPU seconds of seeking to every frame, scaling and writing it as JPEG with OpenCV; None without it."""
    try:
        import cv2
    except ImportError:
        return None
    cv2.setNumThreads(1)
    begun = time.process_time()
    video = cv2.VideoCapture(str(path), cv2.CAP_FFMPEG, [cv2.CAP_PROP_N_THREADS, 1])
    total = int(video.get(cv2.CAP_PROP_FRAME_COUNT))
    for n in range(count):
        video.set(cv2.CAP_PROP_POS_FRAMES, int((n + 0.5) * total / count))
        good, frame = video.read()
        assert good
        cv2.imencode(".jpg", cv2.resize(frame, (768, 432), interpolation=cv2.INTER_AREA))
    return time.process_time() - begun


def threads(path: Path, folder: Path, specs: list[MediaSpec], workers: int, clips: int = 8) -> float:
    """Return clips a second of wall time, prepared by so many threads."""
    with tempfile.TemporaryDirectory(dir=folder) as store, ThreadPoolExecutor(workers) as pool:
        target, poses = MediaStore(Path(store)), Poses(SourceCache(folder / "c.sqlite"))
        begun = time.perf_counter()
        list(pool.map(lambda _: prepare(performance(path), specs, target, poser=poses), range(clips)))
        return clips / (time.perf_counter() - begun)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--minute", action="store_true", help="also 8 frames of a clip of a minute (slow to make)")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        rows = []
        for clip, width, height, rate, x264 in CLIPS:
            path = folder / f"{clip}.mp4"
            make(path, width, height, 4, rate, x264)
            overlay = [MediaSpec(view="overlay", frames=16)]
            every = [MediaSpec(view=view, frames=16) for view in VIEWS]
            rows += measured(clip, path, folder, given.runs, {"16 frames, overlay": (overlay, 0.65),
                                                              "16 frames, five views": (every, 0.80)})  # fmt: skip
            least = statistics.median(
                yardstick(path, "-skip_frame", "noref") / yardstick(path) for _ in range(given.runs)
            )
            rows.append((clip, "ffmpeg noref", least, None))
            habit = opencv_seek(path, 16)
            if habit is not None:
                rows.append((clip, "16 frames, opencv seek", habit / yardstick(path), None))
        if given.minute:
            path = folder / "minute.mp4"
            make(path, 1280, 720, 60, "4.5M")
            few = [MediaSpec(view="overlay", frames=8)]
            rows += measured("720p 60 s", path, folder, max(1, given.runs // 2), {"8 frames, overlay": (few, 0.30)})
        print(f"{'clip':<10} {'what':<24} {'CPU over null decode':>20} {'at most':>8}")
        for clip, what, ratio, most in rows:
            print(f"{clip:<10} {what:<24} {ratio:>20.3f} {'' if most is None else f'{most:.2f}':>8}")
        path = folder / "720p.mp4"
        speeds = [
            (threads(path, folder, overlay, 1), threads(path, folder, overlay, 2))
            for _ in range(max(1, given.runs // 2))
        ]
        best = max(two / one for one, two in speeds)
        print(f"two threads over one: {best:.2f} (at least 1.60); {max(two for _, two in speeds):.1f} clips a second")


def measured(
    clip: str, path: Path, folder: Path, runs: int, what: dict[str, tuple[list[MediaSpec], float]]
) -> list[tuple[str, str, float, float | None]]:
    """Run the yardstick and each method in turn; return the ratios of their medians."""
    own: dict[str, list[float]] = {name: [] for name in what}
    null = []
    for _ in range(runs):
        null.append(yardstick(path))
        for name, (specs, _) in what.items():
            own[name].append(ours(path, folder, specs))
    base = statistics.median(null)
    return [(clip, name, statistics.median(own[name]) / base, most) for name, (_, most) in what.items()]


if __name__ == "__main__":
    main()
