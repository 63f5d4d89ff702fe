"""Rate and memory of asking an OpenAI-compatible server, against the bare ``openai`` SDK in the same run.

``python benchmarks/client_rate.py`` prints a table. The server runs in a process of its own on the loopback interface;
every scenario runs in a fresh process, so that its peak memory is its own. Blocks of bare and ours alternate, since a
shared machine's speed changes from minute to minute.
"""

from __future__ import annotations

import argparse
import asyncio
import base64
import hashlib
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

TESTS = Path(__file__).resolve().parent.parent / "tests"
sys.path.insert(0, str(TESTS))

from model_calls import call  # noqa: E402
from servers import ServerProcess  # noqa: E402

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from aqaudit.core.records import MediaPart

BLOCKS = 4


def peak_mib() -> float:
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (2**20 if sys.platform == "darwin" else 2**10)


async def drive(count: int, width: int, one: Callable[[int], Awaitable[object]]) -> float:
    """Ask ``count`` times, ``width`` at once; return the seconds it took."""
    numbers = iter(range(count))

    async def worker() -> None:
        for number in numbers:
            await one(number)

    started = time.perf_counter()
    async with asyncio.TaskGroup() as tasks:
        for _ in range(width):
            tasks.create_task(worker())
    return time.perf_counter() - started


def files(folder: Path, count: int, size: int, mime: str) -> list[MediaPart]:
    from aqaudit.core.records import MediaPart

    parts = []
    for _ in range(count):
        content = os.urandom(size)
        digest = hashlib.sha256(content).hexdigest()
        (folder / digest).write_bytes(content)
        parts.append(MediaPart(sha256=digest, path=folder / digest, mime=mime, size=size))
    return parts


def bare(url: str, parts: list[MediaPart]) -> Callable[[int], Awaitable[object]]:
    """Ask as a careful user of the SDK would: read the picture, encode it, send it."""
    from openai import AsyncOpenAI

    client = AsyncOpenAI(base_url=url, api_key="none", max_retries=0)

    async def one(number: int) -> object:
        part = parts[number % len(parts)]
        encoded = base64.b64encode(part.path.read_bytes()).decode("ascii")
        media = {"type": "image_url", "image_url": {"url": f"data:{part.mime};base64,{encoded}"}}
        content = [media, {"type": "text", "text": f"Question {number}"}]
        reply = await client.chat.completions.create(
            model="test-model", messages=[{"role": "user", "content": content}], max_tokens=64, seed=number
        )
        return reply.choices[0].message.content

    return one


def ours(url: str, parts: list[MediaPart], width: int) -> Callable[[int], Awaitable[object]]:
    from aqaudit.models.catalog import load, open_model

    table = {"provider": "openai", "model": "test-model", "base_url": url, "max_output_tokens": 64}
    model = open_model("bench", load("bench", {**table, "concurrency": width}))

    async def one(number: int) -> object:
        reply = await model.ask(call(parts[number % len(parts)], f"Question {number}", seed=number))
        return reply.text

    return one


async def rate(url: str, count: int, width: int, folder: Path) -> dict[str, float]:
    parts = files(folder, 200, 50_000, "image/jpeg")
    contenders = {"bare": bare(url, parts), "ours": ours(url, parts, width)}
    seconds = dict.fromkeys(contenders, 0.0)
    cpu = dict.fromkeys(contenders, 0.0)
    for one in contenders.values():
        await drive(2 * width, width, one)
    for block in range(BLOCKS):
        for name in sorted(contenders, reverse=bool(block % 2)):
            used = time.process_time()
            seconds[name] += await drive(count // BLOCKS, width, contenders[name])
            cpu[name] += time.process_time() - used
    done = count // BLOCKS * BLOCKS
    return {f"{name}_per_s": done / s for name, s in seconds.items()} | {
        f"{name}_cpu_ms": 1000 * s / done for name, s in cpu.items()
    }


async def memory(url: str, count: int, width: int, size: int, mime: str, folder: Path, who: str) -> dict[str, float]:
    parts = files(folder, 2 * width, size, mime)
    before = peak_mib()
    one = ours(url, parts, width) if who == "ours" else bare(url, parts)
    opened = peak_mib()
    seconds = await drive(count, width, one)
    return {"before": before, "opened": opened, "peak": peak_mib(), "per_s": count / seconds}


def scenario(url: str, name: str, *numbers: object) -> dict[str, float]:
    command = [sys.executable, __file__, "--url", url, "--scenario", name, *map(str, numbers)]
    return json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout)


def table(questions: int, clips: int) -> None:
    with ServerProcess() as server:
        found = scenario(server.base_url, "rate", questions, 50)
        small = scenario(server.base_url, "pictures", questions, 50)
    ratio = found["ours_per_s"] / found["bare_per_s"]
    print(f"{questions} questions with one 50 kB picture, 50 at a time, server answering at once")
    print(f"  {'client':22}{'questions/s':>12}{'CPU ms each':>13}")
    print(f"  {'bare openai SDK':22}{found['bare_per_s']:12.0f}{found['bare_cpu_ms']:13.2f}")
    print(f"  {'aqaudit model':22}{found['ours_per_s']:12.0f}{found['ours_cpu_ms']:13.2f}")
    cpu = found["bare_cpu_ms"] / found["ours_cpu_ms"]
    print(f"  ratio of the rates {ratio:.2f} (at least 0.8 wanted); by CPU time alone {cpu:.2f}")
    print(f"  peak memory {small['peak']:.0f} MiB ({small['opened']:.0f} before the first question; under 200 wanted)")
    with ServerProcess("--delay", "0.5") as server:
        for who, wanted in (("ours", "; under 600 wanted"), ("bare", "")):
            large = scenario(server.base_url, "clips", clips, 20, who)
            print(
                f"{clips} clips of 5 MB, 20 at a time, {who}: peak memory {large['peak']:.0f} MiB"
                f" ({large['before']:.0f} at the start{wanted}), {large['per_s']:.1f} clips/s"
            )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--questions", type=int, default=2000)
    parser.add_argument("--clips", type=int, default=300)
    parser.add_argument("--url", help=argparse.SUPPRESS)
    parser.add_argument("--scenario", nargs="+", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if not args.scenario:
        table(args.questions, args.clips)
        return
    name, count, width, *who = args.scenario
    with tempfile.TemporaryDirectory(prefix="aqaudit-bench-") as folder:
        match name:
            case "rate":
                result = asyncio.run(rate(args.url, int(count), int(width), Path(folder)))
            case "pictures":
                asked = memory(args.url, int(count), int(width), 50_000, "image/jpeg", Path(folder), "ours")
                result = asyncio.run(asked)
            case _:
                asked = memory(args.url, int(count), int(width), 5_000_000, "video/mp4", Path(folder), *who)
                result = asyncio.run(asked)
    print(json.dumps(result))


if __name__ == "__main__":
    main()
