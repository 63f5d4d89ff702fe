"""The demo model's files: two graphs, tokenizer, chat template and the few numbers of its architecture."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any

import onnxruntime
from jinja2.sandbox import ImmutableSandboxedEnvironment

from aqaudit.models.onnx.tokenizer import Tokenizer
from aqaudit.records import BadInput

if TYPE_CHECKING:
    import jinja2

#: The name that stands for the model inside the package; the number counts its releases, as answers depend on it.
BUNDLED = "demo-2"
_FILES = ("config.json", "tokenizer.json", "chat_template.jinja", "vision.onnx", "text.onnx")


@dataclass(frozen=True, slots=True, kw_only=True)
class Bundle:
    """An opened model.

    ``side`` is that of its pictures in pixels, ``width`` that of a token; ``past_shape`` is (layers, 2, heads, head
    width) of its keys and values.
    """

    vision: Any
    text: Any
    tokenizer: Tokenizer
    template: jinja2.Template
    side: int
    width: int
    window: int
    past_shape: tuple[int, int, int, int]
    end: int
    version: str


def load(where: str, source: str) -> Bundle:
    """Open the bundled model, or a folder that holds one of the same kind.

    Raises
    ------
    BadInput
        The folder is not there, lacks a file, or holds one that cannot be read.
    """
    folder = Path(str(files("aqaudit.models").joinpath("demo"))) if source == BUNDLED else Path(source).expanduser()
    lacking = [name for name in _FILES if not (folder / name).is_file()]
    if lacking:
        what = f"it has no {lacking[0]}" if folder.is_dir() else "it is not there"
        raise BadInput(
            f"{where}: '{source}' is no folder of a demo model: {what}; use '{BUNDLED}' for the one in the package, or "
            'provider = "hf" for any other model'
        )
    try:
        return _opened(folder)
    except Exception as error:  # noqa: BLE001 - whatever the libraries raise at files of a stranger
        text = " ".join(str(error).split())[:200]
        raise BadInput(f"{where}: '{source}': its files cannot be read: {type(error).__name__}: {text}") from None


def _opened(folder: Path) -> Bundle:
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    vision, text = config["vision_config"], config["text_config"]
    heads, width = int(text["num_attention_heads"]), int(text["hidden_size"])
    tokenizer = Tokenizer(folder / "tokenizer.json")
    environment = ImmutableSandboxedEnvironment(trim_blocks=True, lstrip_blocks=True)
    digest = hashlib.sha256()
    for name in ("text.onnx", "tokenizer.json", "vision.onnx"):
        digest.update((folder / name).read_bytes())
    return Bundle(
        vision=_session(folder / "vision.onnx"),
        text=_session(folder / "text.onnx"),
        tokenizer=tokenizer,
        template=environment.from_string((folder / "chat_template.jinja").read_text(encoding="utf-8")),
        side=int(vision["image_size"]),
        width=width,
        window=int(text["max_position_embeddings"]),
        past_shape=(int(text["num_hidden_layers"]), 2, heads, width // heads),
        end=int(text["eos_token_id"]),
        version=f"demo: small demonstration model, sha256:{digest.hexdigest()[:12]}",
    )


def _session(path: Path) -> Any:
    options = onnxruntime.SessionOptions()
    # Requests run side by side: threads of their own inside each would only get into one another's way.
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
