"""Rate and memory of a whole run against the bare ``openai`` SDK sending the same things in the same run.

``python benchmarks/run_rate.py`` prints two tables:

- 2,000 questions with one picture of about 50 kB, 50 at a time: planning, media, asking, parsing and one commit per
  answer on our side; reading the file, base64 and the SDK's call on the other. Blocks alternate, since a shared
  machine's speed changes from minute to minute. Wanted: at least 0.8 of the bare rate, under 200 MiB.
- 300 clips of 5 MB, 20 at a time. Wanted: under 600 MiB.
- memory of 2,000 against 20,000 questions. Wanted: flat.

The server runs in a process of its own on the loopback interface, every block in a fresh process.
"""

from __future__ import annotations

import argparse
import asyncio
import base64
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

TESTS = Path(__file__).resolve().parent.parent / "tests"
sys.path.insert(0, str(TESTS))

import made  # noqa: E402
from servers import ServerProcess  # noqa: E402

PICTURES = 100


def peak_mib() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**10


def pictures(root: Path, questions: int) -> Path:
    """Write a data set of PICTURES noisy pictures of about 50 kB as sent, with enough criteria for the questions."""
    import numpy as np
    from PIL import Image

    rng = np.random.default_rng(0)
    made.folder(root, performances=PICTURES, criteria=questions // PICTURES)
    for path in sorted((root / "clips").glob("*.png")):
        Image.fromarray(rng.integers(0, 256, (250, 250, 3), dtype=np.uint8)).save(path)
    return root


def clips(root: Path, count: int, size: int) -> Path:
    """Write a data set of clips of about ``size`` bytes each: one noisy clip, in copies that differ in a free box."""
    import av
    import numpy as np

    rng = np.random.default_rng(0)
    (root / "clips").mkdir(parents=True)
    first = root / "clips" / "v0.mp4"
    with av.open(str(first), "w") as out:
        stream = out.add_stream("libx264", rate=25, options={"crf": "18", "preset": "ultrafast"})
        stream.width, stream.height, stream.pix_fmt = 384, 384, "yuv420p"
        written = 0
        while written < size:
            frame = av.VideoFrame.from_ndarray(rng.integers(0, 256, (384, 384, 3), dtype=np.uint8), format="rgb24")
            packets = stream.encode(frame)
            written += sum(p.size for p in packets)
            out.mux(packets)
        out.mux(stream.encode())
    body = first.read_bytes()
    lines = []
    for i in range(count):
        (root / "clips" / f"v{i}.mp4").write_bytes(body + (16).to_bytes(4, "big") + b"free" + i.to_bytes(8, "big"))
        facts = {"id": f"v{i}", "media": f"clips/v{i}.mp4", "action": "squat", "performer": f"s{i}"}
        lines.append(json.dumps({**facts, "criteria": {"c0": bool(i % 2)}}))
    (root / "clips.jsonl").write_text("\n".join(lines))
    (root / "dataset.toml").write_text('name = "clips"\n' + made.CRITERION.format(id="c0"))
    return root


def ours(url: str, data: str, out: str, concurrency: str, form: str) -> None:
    """Run a study in this process; print seconds from the first look at the study to the last export, and the peak."""
    import aqaudit
    import aqaudit.engine.run
    from aqaudit.models.catalog import open_model

    settings = made.served(url, concurrency=int(concurrency), media_form=form)
    study = aqaudit.Study.read(made.study(Path(data), model=settings))
    open_model("judge", study.models["judge"])
    started, before = time.perf_counter(), time.process_time()
    outcome = aqaudit.run(study, out=out)
    assert outcome.complete, outcome.tally.failed
    report(outcome.tally.answered, started, before)


def bare(url: str, data: str, count: str, concurrency: str) -> None:
    """Send the same pictures and as much text through the SDK, as a careful user would."""
    from openai import AsyncOpenAI

    files = sorted(Path(data).rglob("*.jpg"))
    text = "The picture shows one person performing this action: squat. " * 6

    async def main() -> None:
        client = AsyncOpenAI(base_url=url, api_key="none", max_retries=0)
        numbers = iter(range(int(count)))

        async def worker() -> None:
            for number in numbers:
                encoded = base64.b64encode(files[number % len(files)].read_bytes()).decode("ascii")
                media = {"type": "image_url", "image_url": {"url": f"data:image/jpeg;base64,{encoded}"}}
                content = [media, {"type": "text", "text": f"{text} {number}"}]
                reply = await client.chat.completions.create(
                    model="test-model",
                    messages=[{"role": "user", "content": content}],  # type: ignore[list-item,misc]
                )
                assert reply.choices[0].message.content

        async with asyncio.TaskGroup() as tasks:
            for _ in range(int(concurrency)):
                tasks.create_task(worker())
        await client.close()

    started, before = time.perf_counter(), time.process_time()
    asyncio.run(main())
    report(int(count), started, before)


def report(count: int, started: float, before: float) -> None:
    seconds, cpu = time.perf_counter() - started, time.process_time() - before
    print(json.dumps({"rate": count / seconds, "cpu_ms": 1000 * cpu / count, "peak_mib": peak_mib()}))


def block(*args: object) -> dict[str, float]:
    command = [sys.executable, __file__, *map(str, args)]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    return json.loads(done.stdout.splitlines()[-1])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--blocks", type=int, default=3)
    parser.add_argument("--questions", type=int, default=2000)
    parser.add_argument("--clips", type=int, default=300)
    args = parser.parse_args()
    os.environ["AQAUDIT_CACHE"] = tempfile.mkdtemp()
    with tempfile.TemporaryDirectory() as name, ServerProcess("--delay", "0.02") as server:
        folder = Path(name)
        data = pictures(folder / "pictures", args.questions)
        block("ours", server.base_url, data, folder / "first", 50, "frames")
        sizes = [p.stat().st_size for p in (folder / "first" / "media").rglob("*.jpg")]
        print(f"{args.questions} questions, one picture of {statistics.mean(sizes) / 1e3:.0f} kB each, 50 at a time")
        print(f"{'block':>5}  {'bare q/s':>9} {'ours q/s':>9} {'ratio':>6}   CPU ms {'bare':>5} {'ours':>5}   MiB ours")
        ratios = []
        for i in range(args.blocks):
            b = block("bare", server.base_url, folder / "first" / "media", args.questions, 50)
            o = block("ours", server.base_url, data, folder / f"run{i}", 50, "frames")
            ratios.append(o["rate"] / b["rate"])
            print(
                f"{i + 1:>5}  {b['rate']:>9.0f} {o['rate']:>9.0f} {ratios[-1]:>6.2f}   "
                f"       {b['cpu_ms']:>5.2f} {o['cpu_ms']:>5.2f}   {o['peak_mib']:>8.0f}"
            )
        print(f"median ratio {statistics.median(ratios):.2f} (wanted: at least 0.80, under 200 MiB)\n")
        many = pictures(folder / "many", 10 * args.questions)
        m = block("ours", server.base_url, many, folder / "run-many", 50, "frames")
        print(f"{10 * args.questions} questions: {m['rate']:.0f} q/s, {m['peak_mib']:.0f} MiB (wanted: as above)\n")
        if args.clips:
            data = clips(folder / "clips", args.clips, 5_000_000)
            size = (data / "clips" / "v0.mp4").stat().st_size
            c = block("ours", server.base_url, data, folder / "run-clips", 20, "video")
            head = f"{args.clips} clips of {size / 1e6:.1f} MB, 20 at a time"
            print(f"{head}: {c['rate']:.1f} q/s, {c['peak_mib']:.0f} MiB (wanted: under 600)")


if __name__ == "__main__":
    if sys.argv[1:2] == ["ours"]:
        ours(*sys.argv[2:])
    elif sys.argv[1:2] == ["bare"]:
        bare(*sys.argv[2:])
    else:
        main()
