"""The demo model asked on onnxruntime: it writes its answer token by token and says how likely each allowed one was."""

from __future__ import annotations

import hashlib
import json
import re
import threading
from collections import OrderedDict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, lru_cache
from importlib.resources import files
from itertools import pairwise
from pathlib import Path
from typing import Any

import jinja2
import numpy as np
import onnxruntime
from anyio import to_thread
from jinja2.sandbox import ImmutableSandboxedEnvironment
from numpy.typing import NDArray
from PIL import Image

from aqaudit.core.records import BadInput, MediaPart
from aqaudit.core.text import short
from aqaudit.models import part_files
from aqaudit.models.call import AskFailed, Call, Reply
from aqaudit.models.settings import ModelEntry

Floats = NDArray[np.float32]

#: The name that stands for the model inside the package; the number counts its releases, as answers depend on it.
BUNDLED = "demo-2"
_FILES = ("config.json", "tokenizer.json", "chat_template.jinja", "vision.onnx", "text.onnx")
#: So many frames of a clip are looked at, spread over it.
CLIP_FRAMES = 8
_IMAGE, _OPEN, _CLOSE = "<image>", "<answer>", "</answer>"
#: What stands for a picture in a prompt: its token, between the marks that the model's family puts round it.
_PICTURE = "<fake_token_around_image><global-img><image><fake_token_around_image>"
#: Most tokens of an answer: a tag, a word, a tag, and room to go wrong.
_MOST_TOKENS = 24
#: Pictures and beginnings of prompts whose numbers are kept, the least used one going first.
_PICTURES, _BEGINNINGS = 1024, 48


@dataclass(frozen=True, slots=True, kw_only=True)
class _Read:
    """What was read so far: keys and values, and the log-probabilities of the next token (vocabulary)."""

    past: Floats
    logprobs: Floats


class _Kept(OrderedDict[str, Any]):
    """Results by a name of what they were made from; safe for several threads."""

    def __init__(self, most: int) -> None:
        super().__init__()
        self._most = most
        self._lock = threading.Lock()

    def find(self, name: str) -> Any:
        with self._lock:
            if name in self:
                self.move_to_end(name)
            return self.get(name)

    def keep(self, name: str, value: Any) -> None:
        with self._lock:
            self[name] = value
            if len(self) > self._most:
                self.popitem(last=False)


class DemoModel:
    """The demo model; see :class:`~aqaudit.models.call.Model`."""

    endpoint = "in process"

    def __init__(self, name: str, entry: ModelEntry) -> None:
        self.entry = entry
        self._bundle = load(f"models.{name}.model", entry.model)
        shape = self._bundle.past_shape
        self._nothing: Floats = np.zeros((shape[0], shape[1], 1, shape[2], 0, shape[3]), dtype=np.float32)
        self._features = _Kept(_PICTURES)
        self._begun = _Kept(_BEGINNINGS)

    async def ask(self, call: Call) -> Reply:
        """Ask once; see :meth:`aqaudit.models.call.Model.ask`."""
        return await to_thread.run_sync(self._answer, call)

    async def aclose(self) -> None:
        """Nothing to close."""

    def _answer(self, call: Call) -> Reply:
        bundle = self._bundle
        media: list[MediaPart] = []
        features: list[Floats] = []
        content: list[dict[str, str]] = []
        for part in call.parts:
            if isinstance(part, str):
                content.append({"type": "text", "text": part})
                continue
            media.append(part)
            features.append(self._seen(part))
            content += [{"type": "image"}] * len(features[-1])
        text = bundle.template.render(messages=[{"role": "user", "content": content}], add_generation_prompt=True)
        tokens = bundle.tokenizer.encode(text.replace(_IMAGE, _PICTURE))
        if len(tokens) + _MOST_TOKENS > bundle.window:
            raise AskFailed(
                "context_overflow",
                f"the prompt has {len(tokens)} tokens, the demo model's window {bundle.window}: send fewer frames "
                "(frames, fps or max_frames), or ask with the strategy 'base'",
            )
        shown = np.concatenate(features) if features else self._no_pictures()
        read = self._prompt(tokens, shown, media)
        written, finish = self._write(read)
        said = bundle.tokenizer.decode(written)
        return Reply(
            text=said,
            finish_reason=finish,
            model_version=bundle.version,
            input_tokens=len(tokens),
            output_tokens=len(written) + (finish == "stop"),
            usd=0.0,
            option_logprobs=self._options(read, said, call.option_words) if call.final and call.option_words else None,
        )

    def _no_pictures(self) -> Floats:
        return np.zeros((0, self._bundle.width), dtype=np.float32)

    def _seen(self, part: MediaPart) -> Floats:
        """Return what the tower makes of a file: pictures x width."""
        known = self._features.find(part.sha256)
        if known is None:
            (known,) = self._bundle.vision.run(None, {"pixel_values": pixels(part, self._bundle.side)})
            self._features.keep(part.sha256, known)
        return known  # type: ignore[no-any-return]

    def _prompt(self, tokens: list[int], shown: Floats, media: Sequence[MediaPart]) -> _Read:
        """Read a prompt; what was read up to its last picture is kept for the next question about the same pictures."""
        image = self._bundle.tokenizer[_IMAGE]
        begin = len(tokens) - tokens[::-1].index(image) if image in tokens else 0
        past = self._nothing
        if begin:
            name = hashlib.sha256(repr((tokens[:begin], [part.sha256 for part in media])).encode()).hexdigest()
            past = self._begun.find(name)
            if past is None:
                past = self._step([tokens[:begin]], self._nothing, shown)[1]
                self._begun.keep(name, past)
        logits, past = self._step([tokens[begin:]], past)
        return _Read(past=past, logprobs=_log_softmax(logits[0, -1]))

    def _step(self, rows: list[list[int]], past: Floats, shown: Floats | None = None) -> tuple[Floats, Floats]:
        """Read rows of one length behind ``past``; return logits (rows x tokens x vocabulary) and the past."""
        inputs = {
            "input_ids": np.array(rows, dtype=np.int64),
            "features": self._no_pictures() if shown is None else shown,
            "past": past,
        }
        logits, present = self._bundle.text.run(None, inputs)
        return logits, present

    def _write(self, read: _Read) -> tuple[list[int], str]:
        """Write the likeliest token again and again, until the model ends or has written enough."""
        written: list[int] = []
        logprobs, past = read.logprobs, read.past
        while len(written) < _MOST_TOKENS:
            token = int(logprobs.argmax())
            if token == self._bundle.end:
                return written, "stop"
            written.append(token)
            logits, past = self._step([[token]], past)
            logprobs = logits[0, -1]
        return written, "length"

    def _options(self, read: _Read, said: str, words: Sequence[str]) -> Mapping[str, float]:
        """Return the log-probability of each allowed word with the closing tag, behind the last ``<answer>`` written.

        As the provider ``hf`` does: behind the prompt and that tag where the model wrote none; all tokens from the
        first one in which the words differ are added.
        """
        before, _, _ = said.rpartition(_OPEN)
        rows = [self._bundle.tokenizer.encode(f"{before}{_OPEN}{word}{_CLOSE}") for word in words]
        common = next(at for at, column in enumerate(zip(*rows, strict=False)) if len(set(column)) > 1)
        longest = max(map(len, rows))
        # Padding stands behind what is scored, where nothing looks at it.
        padded = [row + [0] * (longest - len(row)) for row in rows]
        logits, _ = self._step(padded, np.repeat(read.past, len(rows), axis=2))
        scores = {}
        for word, row, after in zip(words, rows, logits, strict=True):
            behind = np.concatenate([read.logprobs[None], _log_softmax(after[: len(row) - 1])])
            scores[word] = float(behind[np.arange(common, len(row)), row[common:]].sum())
        return scores


def _log_softmax(logits: Floats) -> Floats:
    shifted = logits - logits.max(axis=-1, keepdims=True)
    result: Floats = shifted - np.log(np.exp(shifted).sum(axis=-1, keepdims=True))
    return result


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
        raise BadInput(
            f"{where}: '{source}': its files cannot be read: {type(error).__name__}: {short(error, 200)}"
        ) from None


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


def pixels(part: MediaPart, side: int) -> Floats:
    """Return the pictures of a file, N x 3 x side x side: one of a picture, up to :data:`CLIP_FRAMES` of a clip.

    Raises
    ------
    AskFailed
        The file cannot be decoded.
    """
    if part.mime.startswith("video/"):
        frames, _ = part_files.clip(part)
        count = min(len(frames), CLIP_FRAMES)
        looked_at = [frames[int((at + 0.5) * len(frames) / count)] for at in range(count)]
        pictures = [Image.fromarray(frame.to_ndarray(format="rgb24")) for frame in looked_at]
        return np.stack([_scaled(picture, side) for picture in pictures])
    return _scaled(part_files.picture(part), side)[None]


def _scaled(picture: Image.Image, side: int) -> Floats:
    """Return a picture as the model's family scales it: the longer side to ``side``, then the other one, -1 to 1."""
    width, height = picture.size
    aspect = width / height
    shorter = int(side / aspect) if width >= height else int(side * aspect)
    shorter = max(1, shorter + shorter % 2)  # even, and at least something
    for size in ((side, shorter) if width >= height else (shorter, side), (side, side)):
        if picture.size != size:
            picture = picture.resize(size, resample=Image.Resampling.LANCZOS)
    small = np.asarray(picture)
    levels = (small.astype(np.float64) * (1 / 255)).astype(np.float32)
    return np.ascontiguousarray(((levels - np.float32(0.5)) / np.float32(0.5)).transpose(2, 0, 1))


class Tokenizer:
    """Text to token numbers and back.

    Added tokens (whole sentences, special tokens) are found first, the longest one where several begin at a place; what
    is between them is cut into pieces by the file's pattern, and each piece is merged pair by pair.
    """

    def __init__(self, path: Path) -> None:
        data = json.loads(path.read_text(encoding="utf-8"))
        split, *_ = data["pre_tokenizer"]["pretokenizers"]
        self._piece = re.compile(split["pattern"]["Regex"])
        self._numbers: dict[str, int] = data["model"]["vocab"]
        merges = data["model"]["merges"]
        self._ranks = {tuple(pair): rank for rank, pair in enumerate(merges)}
        self._added = {one["content"]: int(one["id"]) for one in data["added_tokens"]}
        self.special = frozenset(int(one["id"]) for one in data["added_tokens"] if one["special"])
        longest_first = sorted(self._added, key=len, reverse=True)
        self._found = re.compile("(" + "|".join(re.escape(text) for text in longest_first) + ")")
        self._texts = {number: text for text, number in (*self._numbers.items(), *self._added.items())}
        self._merged = lru_cache(maxsize=8192)(self._merge)

    def __getitem__(self, text: str) -> int:
        """Return the number of an added token."""
        return self._added[text]

    def encode(self, text: str) -> list[int]:
        """Return the numbers of a text's tokens."""
        numbers: list[int] = []
        for part in self._found.split(text):
            if part in self._added:
                numbers.append(self._added[part])
                continue
            for piece in self._piece.findall(part):
                numbers.extend(self._merged(piece))
        return numbers

    def decode(self, numbers: Iterable[int]) -> str:
        """Return the text of tokens; special ones are left out, bytes that are no text are replaced."""
        data = bytearray()
        for number in numbers:
            if number in self.special:
                continue
            text = self._texts[number]
            data += text.encode() if text in self._added else bytes(_bytes()[letter] for letter in text)
        return data.decode("utf-8", "replace")

    def _merge(self, piece: str) -> tuple[int, ...]:
        letters = _letters()
        parts = [letters[byte] for byte in piece.encode()]
        while len(parts) > 1:
            ranks = [self._ranks.get(pair, len(self._ranks)) for pair in pairwise(parts)]
            best = min(range(len(ranks)), key=ranks.__getitem__)
            if ranks[best] == len(self._ranks):
                break
            parts[best : best + 2] = [parts[best] + parts[best + 1]]
        return tuple(self._numbers[part] for part in parts)


@cache
def _letters() -> dict[int, str]:
    """Return the printable letter that stands for each byte in the vocabulary (GPT-2's table)."""
    plain = [*range(ord("!"), ord("~") + 1), *range(ord("¡"), ord("¬") + 1), *range(ord("®"), ord("ÿ") + 1)]
    others = [byte for byte in range(256) if byte not in plain]
    return {byte: chr(byte) for byte in plain} | {byte: chr(256 + at) for at, byte in enumerate(others)}


@cache
def _bytes() -> dict[str, int]:
    return {letter: byte for byte, letter in _letters().items()}
