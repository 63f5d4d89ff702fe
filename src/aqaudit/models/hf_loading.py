"""Opening a vision-language model of transformers from a folder or by its id, and refusing what cannot be one.

Everything a person can get wrong here is one line: no such folder, a text-only model, no chat template, a library that
its processor needs, too little memory. Importing this module makes transformers and the hub's client quiet.
"""

from __future__ import annotations

import hashlib
import importlib.util
import json
import logging
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import huggingface_hub
import torch
import transformers
from transformers.models.auto.modeling_auto import MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING_NAMES

from aqaudit.core.records import BadInput
from aqaudit.core.text import short

#: Weights as transformers looks for them, the first that is there; large models have an index of several files.
WEIGHTS = ("model.safetensors", "pytorch_model.bin")
INDEX = ".index.json"
#: Longest header of a safetensors file that its library reads.
_HEADER = 100_000_000
#: The ends of each weights file that go into the fingerprint.
_SAMPLE = 1 << 20
#: Limit, use and the prefix of the statistics of control groups, version 2 and 1.
_GROUPS = (("memory.max", "memory.current", ""), ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_"))
_GB = 1e9
_SMALLER = 'name a smaller model, or ask it through a server (provider = "openai")'
#: Operators that torchvision's Python code wants to be there, whether or not its binary part fits this torch.
_OPERATORS = ("nms", "qnms")
_NMS = "(Tensor dets, Tensor scores, float iou_threshold) -> Tensor"
#: Declarations of operators last as long as the object that made them.
_LIBRARY: list[Any] = []


def _bear_torchvision() -> None:
    """Let torchvision be imported where its binary part was built for another torch (a GPU build beside a CPU torch).

    transformers imports it wherever it finds it, and fails as a whole when that fails. Of torchvision only transforms
    written in Python are needed, so missing operators are declared and never called.
    """
    if importlib.util.find_spec("torchvision") is None:
        return
    try:
        import torchvision  # noqa: F401, PLC0415
    except RuntimeError:
        _LIBRARY.append(torch.library.Library("torchvision", "FRAGMENT"))
        for name in _OPERATORS:
            try:
                _LIBRARY[0].define(name + _NMS)
            except RuntimeError:  # this one is there
                continue


_bear_torchvision()
transformers.logging.set_verbosity_error()
transformers.logging.disable_progress_bar()
# What it retries ends in one line of ours.
logging.getLogger("huggingface_hub").setLevel(logging.ERROR)


@dataclass(frozen=True, slots=True, kw_only=True)
class Loaded:
    """A model ready to be asked: weights on ``device``, the processor that makes its inputs, and what it is called."""

    model: Any
    processor: Any
    device: str
    version: str
    window: int | None


def load(where: str, source: str) -> Loaded:
    """Open a model.

    Parameters
    ----------
    where
        The key that names it, for messages: ``models.NAME.model``.
    source
        A folder on this machine, or an id of the Hugging Face hub.

    Raises
    ------
    BadInput
        It is not there, is no vision-language model with a chat template, needs a library that is not installed, or
        does not fit into memory.
    """
    if source.startswith("~"):
        source = str(Path(source).expanduser())
    config = _config(where, source)
    if config.model_type not in MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING_NAMES:
        raise BadInput(
            f"{where}: '{source}' is no vision-language model: transformers {transformers.__version__} has no "
            f"image-text-to-text class for type '{config.model_type}' (a text-only model sees nothing); name another"
        )
    processor = _processor(where, source)
    if not getattr(processor, "chat_template", None):
        raise BadInput(
            f"{where}: '{source}' has no chat template, so it cannot be asked as a chat; name an instruction-tuned "
            "version of it, or add its chat_template.jinja to the folder"
        )
    device = "cuda" if torch.cuda.is_available() else "mps" if torch.backends.mps.is_available() else "cpu"
    dtype = torch.float32 if device == "cpu" else "auto"
    _check_memory(where, source, config, device)
    try:
        model = transformers.AutoModelForImageTextToText.from_pretrained(source, dtype=dtype, trust_remote_code=False)
        model = model.to(device).eval()
    except Exception as error:  # noqa: BLE001 - whatever the libraries raise at files of a stranger
        if ran_out(error):
            raise BadInput(
                f"{where}: '{source}': memory ran out on {device} while its weights were loaded; end what else takes "
                f"memory, {_SMALLER}"
            ) from None
        raise BadInput(f"{where}: '{source}': its weights cannot be loaded: {short(error, 200)}") from None
    text = config.get_text_config()
    return Loaded(
        model=model,
        processor=processor,
        device=device,
        version=_version(source, config),
        window=getattr(text, "max_position_embeddings", None),
    )


def _config(where: str, source: str) -> Any:
    folder = Path(source)
    looks_like_path = source.startswith((".", "/")) or source.count("/") > 1 or folder.exists()
    if looks_like_path and not (folder / "config.json").is_file():
        what = "holds no config.json" if folder.is_dir() else "is a file" if folder.exists() else "is not there"
        raise BadInput(
            f"{where}: '{source}' is no folder of a Hugging Face model: it {what}; name the folder that holds "
            "config.json and the weights"
        )
    try:
        return transformers.AutoConfig.from_pretrained(source, trust_remote_code=False)
    except Exception as error:  # noqa: BLE001 - whatever the libraries raise at files of a stranger
        if "custom code" in str(error):
            raise BadInput(
                f"{where}: '{source}' brings Python code of its own (auto_map in its config.json), which is never run; "
                "name a version of it that transformers opens without (its name often ends in -hf)"
            ) from None
        if folder.is_dir():
            raise BadInput(
                f"{where}: '{source}': its config.json is not that of a model that transformers "
                f"{transformers.__version__} knows: {short(error, 200)}"
            ) from None
        raise BadInput(
            f"{where}: '{source}' is neither a folder here nor a model that can be fetched: {short(error, 200)}"
        ) from None


def _processor(where: str, source: str) -> Any:
    try:
        processor = transformers.AutoProcessor.from_pretrained(source, trust_remote_code=False)
    except ImportError as error:
        lacking = next((name for name in ("torchvision", "num2words") if name in str(error).lower()), None)
        if lacking is None:
            raise BadInput(f"{where}: '{source}': its processor cannot be loaded: {short(error, 200)}") from None
        package = "'torchvision==0.28.0'" if lacking == "torchvision" else lacking
        raise BadInput(f"{where}: '{source}': its processor needs {lacking}: pip install {package}") from None
    except Exception as error:  # noqa: BLE001 - whatever the libraries raise at files of a stranger
        raise BadInput(f"{where}: '{source}': its processor cannot be loaded: {short(error, 200)}") from None
    if getattr(processor, "image_processor", None) is None:
        raise BadInput(f"{where}: '{source}' has no processor for pictures; its preprocessor_config.json is missing")
    return processor


def _check_memory(where: str, source: str, config: Any, device: str) -> None:
    """Refuse, before anything is loaded, weights that cannot fit."""
    folder = Path(source) if Path(source).is_dir() else _fetched(source)
    if folder is None:
        return
    half = getattr(config, "dtype", None) in {torch.float16, torch.bfloat16}
    needed = weight_bytes(folder, widen=device == "cpu", half=half)
    free = torch.cuda.mem_get_info()[0] if device == "cuda" else free_memory()
    if free is not None and needed > free:
        raise BadInput(
            f"{where}: '{source}' needs about {needed / _GB:.1f} GB of memory for its weights on {device}, "
            f"{free / _GB:.1f} GB are free; {_SMALLER}"
        )


def _fetched(source: str) -> Path | None:
    """Return the folder of what is fetched of a model of the hub: its weights, or first the index of many files."""
    for name in (one + end for one in WEIGHTS for end in ("", INDEX)):
        known = huggingface_hub.try_to_load_from_cache(source, name)
        if isinstance(known, str):
            return Path(known).parent
    try:
        return Path(huggingface_hub.hf_hub_download(source, WEIGHTS[0] + INDEX)).parent
    except Exception:  # noqa: BLE001 - a small model has none; whatever else it is, loading will say it
        return None


def _version(source: str, config: Any) -> str:
    """Return the name with a fingerprint: the hub's commit, or a hash of the folder's configuration and weights.

    Of each weights file its size, first and last MiB are hashed: hashing hundreds of gigabytes takes many minutes.
    """
    commit = getattr(config, "_commit_hash", None)
    folder = Path(source)
    if not folder.is_dir():
        return f"{source}@{commit[:12]}" if commit else source
    digest = hashlib.sha256(json.dumps(config.to_diff_dict(), sort_keys=True, default=str).encode())
    for file in weight_files(folder):
        size = file.stat().st_size
        digest.update(f"{file.name} {size}".encode())
        with file.open("rb") as stream:
            digest.update(stream.read(_SAMPLE))
            stream.seek(max(0, size - _SAMPLE))
            digest.update(stream.read(_SAMPLE))
    return f"{Path(os.path.abspath(folder)).name} sha256:{digest.hexdigest()[:12]}"  # noqa: PTH100 - links stay as named


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


def ran_out(error: BaseException) -> bool:
    """Whether an error means that memory was too little; torch says so in words alone where it has no GPU."""
    said = str(error).lower()
    return isinstance(error, MemoryError) or any(
        words in said for words in ("out of memory", "not enough memory", "allocate memory")
    )
