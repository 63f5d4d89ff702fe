"""Opening a vision-language model of transformers from a folder or by its id, and refusing what cannot be one.

Everything a person can get wrong here is one line: no such folder, a text-only model, no chat template, a library that
its processor needs, too little memory.
"""

from __future__ import annotations

import hashlib
import importlib.util
import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from aqaudit.records import BadInput

#: Operators that torchvision's Python code wants to be there, whether or not its binary part fits this torch.
_OPERATORS = ("nms", "qnms")
_NMS = "(Tensor dets, Tensor scores, float iou_threshold) -> Tensor"
#: The ends of each weights file that go into the fingerprint.
_SAMPLE = 1 << 20
_GB = 1e9


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


#: Declarations last as long as the object that made them.
_LIBRARY: list[Any] = []
_bear_torchvision()

import transformers  # noqa: E402 - after torchvision was made bearable
from transformers.models.auto.modeling_auto import MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING_NAMES  # noqa: E402

transformers.logging.set_verbosity_error()
transformers.logging.disable_progress_bar()


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
    device = _device()
    dtype = torch.float32 if device == "cpu" else "auto"
    _check_memory(where, source, device)
    try:
        model = transformers.AutoModelForImageTextToText.from_pretrained(source, dtype=dtype).to(device).eval()
    except (MemoryError, torch.OutOfMemoryError):
        raise BadInput(f"{where}: '{source}' does not fit into the memory of {device}; name a smaller model") from None
    except Exception as error:  # noqa: BLE001 - whatever the libraries raise at files of a stranger
        raise BadInput(f"{where}: '{source}': its weights cannot be loaded: {_line(error)}") from None
    text = config.get_text_config()
    return Loaded(
        model=model,
        processor=processor,
        device=device,
        version=_version(source, config),
        window=getattr(text, "max_position_embeddings", None),
    )


def _config(where: str, source: str) -> Any:
    folder = Path(source).expanduser()
    looks_like_path = source.startswith((".", "/", "~")) or source.count("/") > 1 or folder.exists()
    if looks_like_path and not (folder / "config.json").is_file():
        what = "holds no config.json" if folder.is_dir() else "is a file" if folder.exists() else "is not there"
        raise BadInput(
            f"{where}: '{source}' is no folder of a Hugging Face model: it {what}; name the folder that holds "
            "config.json and the weights"
        )
    try:
        return transformers.AutoConfig.from_pretrained(source)
    except Exception as error:  # noqa: BLE001 - whatever the libraries raise at files of a stranger
        raise BadInput(
            f"{where}: '{source}' is neither a folder here nor a model that can be fetched: {_line(error)}"
        ) from None


def _processor(where: str, source: str) -> Any:
    try:
        processor = transformers.AutoProcessor.from_pretrained(source)
    except ImportError as error:
        lacking = next((name for name in ("torchvision", "num2words") if name in str(error).lower()), None)
        if lacking is None:
            raise BadInput(f"{where}: '{source}': its processor cannot be loaded: {_line(error)}") from None
        package = "'torchvision==0.28.0'" if lacking == "torchvision" else lacking
        raise BadInput(f"{where}: '{source}': its processor needs {lacking}: pip install {package}") from None
    except Exception as error:  # noqa: BLE001 - whatever the libraries raise at files of a stranger
        raise BadInput(f"{where}: '{source}': its processor cannot be loaded: {_line(error)}") from None
    if getattr(processor, "image_processor", None) is None:
        raise BadInput(f"{where}: '{source}' has no processor for pictures; its preprocessor_config.json is missing")
    return processor


def _device() -> str:
    if torch.cuda.is_available():
        return "cuda"
    return "mps" if torch.backends.mps.is_available() else "cpu"


def _check_memory(where: str, source: str, device: str) -> None:
    """Refuse, before anything is loaded, weights that cannot fit; ids of the hub are seen when they are loaded."""
    files = _weights(Path(source).expanduser())
    if not files:
        return
    # On a CPU numbers of 16 bits become 32 bits wide.
    needed = sum(file.stat().st_size * (_widening(file) if device == "cpu" else 1) for file in files)
    free = torch.cuda.mem_get_info()[0] if device == "cuda" else _free_memory()
    if free is not None and needed > free:
        raise BadInput(
            f"{where}: '{source}' needs about {needed / _GB:.1f} GB of memory for its weights on {device}, "
            f'{free / _GB:.1f} GB are free; name a smaller model, or ask it through a server (provider = "openai")'
        )


def _weights(folder: Path) -> list[Path]:
    return sorted(folder.glob("*.safetensors")) or sorted(folder.glob("pytorch_model*.bin"))


def _widening(file: Path) -> int:
    """Return by how much 32-bit numbers are wider than those in a safetensors file (its most frequent type counts)."""
    if file.suffix != ".safetensors":
        return 1
    with file.open("rb") as stream:
        length = int.from_bytes(stream.read(8), "little")
        header = stream.read(min(length, 100_000_000)).decode("utf-8", "replace")
    half = header.count('"F16"') + header.count('"BF16"')
    return 2 if half > header.count('"F32"') else 1


def _free_memory() -> int | None:
    """Return the free memory in bytes: what the system has, or what this process's group may still use."""
    try:
        lines = Path("/proc/meminfo").read_text(encoding="ascii").splitlines()
        free = next(int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable"))
    except (OSError, StopIteration, ValueError):
        return None
    try:
        limit = int(Path("/sys/fs/cgroup/memory.max").read_text(encoding="ascii"))
        used = int(Path("/sys/fs/cgroup/memory.current").read_text(encoding="ascii"))
    except (OSError, ValueError):  # no group, or "max"
        return free
    return min(free, max(0, limit - used))


def _version(source: str, config: Any) -> str:
    """Return the name with a fingerprint: the hub's commit, or a hash of the folder's configuration and weights.

    Of each weights file its size, first and last MiB are hashed: hashing hundreds of gigabytes takes many minutes.
    """
    commit = getattr(config, "_commit_hash", None)
    folder = Path(source).expanduser()
    if not folder.is_dir():
        return f"{source}@{commit[:12]}" if commit else source
    digest = hashlib.sha256(json.dumps(config.to_diff_dict(), sort_keys=True, default=str).encode())
    for file in _weights(folder):
        size = file.stat().st_size
        digest.update(f"{file.name} {size}".encode())
        with file.open("rb") as stream:
            digest.update(stream.read(_SAMPLE))
            stream.seek(max(0, size - _SAMPLE))
            digest.update(stream.read(_SAMPLE))
    return f"{Path(os.path.abspath(folder)).name} sha256:{digest.hexdigest()[:12]}"  # noqa: PTH100 - links stay as named


def _line(error: BaseException) -> str:
    text = " ".join(str(error).split())
    return text if len(text) <= 200 else text[:199] + "…"
