"""Opening a vision-language model of transformers from a folder or by its id, and refusing what cannot be one.

Everything a person can get wrong here is one line: no such folder, a text-only model, no chat template, a library that
its processor needs, too little memory.
"""

from __future__ import annotations

import hashlib
import importlib.util
import json
import logging
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from aqaudit.models.hf.memory import INDEX, WEIGHTS, free_memory, ran_out, weight_bytes, weight_files
from aqaudit.records import BadInput

#: Operators that torchvision's Python code wants to be there, whether or not its binary part fits this torch.
_OPERATORS = ("nms", "qnms")
_NMS = "(Tensor dets, Tensor scores, float iou_threshold) -> Tensor"
#: The ends of each weights file that go into the fingerprint.
_SAMPLE = 1 << 20
_GB = 1e9
_SMALLER = 'name a smaller model, or ask it through a server (provider = "openai")'


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

import huggingface_hub  # noqa: E402 - beside the library it belongs to
import transformers  # noqa: E402 - after torchvision was made bearable
from transformers.models.auto.modeling_auto import MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING_NAMES  # noqa: E402

transformers.logging.set_verbosity_error()
# What it retries ends in one line of ours.
logging.getLogger("huggingface_hub").setLevel(logging.ERROR)
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
    device = _device()
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
                f"{transformers.__version__} knows: {_line(error)}"
            ) from None
        raise BadInput(
            f"{where}: '{source}' is neither a folder here nor a model that can be fetched: {_line(error)}"
        ) from None


def _processor(where: str, source: str) -> Any:
    try:
        processor = transformers.AutoProcessor.from_pretrained(source, trust_remote_code=False)
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


def _line(error: BaseException) -> str:
    text = " ".join(str(error).split())
    return text if len(text) <= 200 else text[:199] + "…"
