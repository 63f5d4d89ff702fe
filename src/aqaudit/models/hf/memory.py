"""Memory: what the weights of a model will take, what this machine has free, and errors that mean there was too little.

Nothing is loaded and torch is not asked, so that a model that cannot fit is refused at once.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

#: Weights as transformers looks for them, the first that is there; large models have an index of several files.
WEIGHTS = ("model.safetensors", "pytorch_model.bin")
INDEX = ".index.json"
#: Longest header of a safetensors file that its library reads.
_HEADER = 100_000_000
#: Limit, use and the prefix of the statistics of control groups, version 2 and 1.
_GROUPS = (("memory.max", "memory.current", ""), ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_"))


def weight_files(folder: Path) -> list[Path]:
    """Return the files that transformers loads from a folder; other formats of the same weights are left alone."""
    for name in WEIGHTS:
        if (folder / name).is_file():
            return [folder / name]
        if (folder / (name + INDEX)).is_file():
            listed = _index(folder / (name + INDEX)).get("weight_map")
            names = set(listed.values()) if isinstance(listed, dict) else set()
            return sorted(folder / one for one in names if isinstance(one, str))
    return []


def weight_bytes(folder: Path, *, widen: bool, half: bool) -> int:
    """Return how much memory the weights of a folder take.

    Parameters
    ----------
    folder
        Where they are. Files that its index lists and that are still to be fetched count with the size that the
        index declares.
    widen
        Whether numbers of 16 bits are loaded 32 bits wide.
    half
        Whether the configuration says that numbers have 16 bits, for files that do not say it themselves.
    """
    files = weight_files(folder)
    needed = 0
    for file in files:
        if file.is_file():
            size = file.stat().st_size
            own = _half_bytes(file) if file.suffix == ".safetensors" else size * half
            needed += size + own * widen
    if all(file.is_file() for file in files):
        return needed
    facts = next(_index(folder / (name + INDEX)) for name in WEIGHTS if (folder / (name + INDEX)).is_file())
    declared = facts.get("metadata")
    total = declared.get("total_size") if isinstance(declared, dict) else None
    return max(needed, int(total) * (1 + (widen and half))) if isinstance(total, (int, float)) else needed


def free_memory(system: Path = Path("/")) -> int | None:
    """Return the free memory in bytes: what the system has, or what the control groups of this process leave of it.

    ``system`` is where ``proc`` and ``sys`` are; None where the system does not tell.
    """
    try:
        lines = (system / "proc/meminfo").read_text(encoding="ascii").splitlines()
        free = next(int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable"))
    except (OSError, StopIteration, ValueError):
        return None
    return min([free, *_left_by_groups(system)])


def ran_out(error: BaseException) -> bool:
    """Whether an error means that memory was too little; torch says so in words alone where it has no GPU."""
    said = str(error).lower()
    return isinstance(error, MemoryError) or any(
        words in said for words in ("out of memory", "not enough memory", "allocate memory")
    )


def _index(file: Path) -> dict[str, Any]:
    try:
        read = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):  # loading says what is wrong with it
        return {}
    return read if isinstance(read, dict) else {}


def _half_bytes(file: Path) -> int:
    """Return how many bytes of a safetensors file are numbers of 16 bits, as its header declares."""
    try:
        with file.open("rb") as stream:
            length = int.from_bytes(stream.read(8), "little")
            header = json.loads(stream.read(length) if length <= _HEADER else b"{}")
        spans = [one["data_offsets"] for one in header.values() if one.get("dtype") in {"F16", "BF16"}]
        return sum(max(0, int(end) - int(begin)) for begin, end in spans)
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):  # loading says what is wrong
        return 0


def _left_by_groups(system: Path) -> Iterator[int]:
    """Yield what the groups that this process is in, and those around them, may still take."""
    try:
        lines = (system / "proc/self/cgroup").read_text(encoding="utf-8").splitlines()
    except OSError:
        return
    for line in lines:
        _, kinds, path = line.split(":", 2)
        root = system / "sys/fs/cgroup" / ("memory" if "memory" in kinds.split(",") else "")
        if kinds and root.name != "memory":
            continue
        # In a container the path may be that of the host; its own group is then what is seen at the root.
        inner = Path(path.lstrip("/"))
        for group in (inner, *inner.parents):
            left = _left(root / group)
            if left is not None:
                yield left


def _left(group: Path) -> int | None:
    for limit, used, prefix in _GROUPS:
        try:
            most = int((group / limit).read_text(encoding="ascii"))
            taken = int((group / used).read_text(encoding="ascii"))
            facts = dict(line.split() for line in (group / "memory.stat").read_text(encoding="ascii").splitlines())
            # Copies of files in memory are counted as used and given up when they are in the way.
            files = sum(int(facts.get(f"{prefix}{kind}_file", 0)) for kind in ("active", "inactive"))
        except (OSError, ValueError):  # not there, or "max"
            continue
        return max(0, most - taken + files)
    return None
