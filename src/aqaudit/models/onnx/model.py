"""The demo model asked on onnxruntime: it writes its answer token by token and says how likely each allowed one was."""

from __future__ import annotations

import hashlib
import threading
from collections import OrderedDict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from anyio import to_thread
from numpy.typing import NDArray

from aqaudit.models.call import AskFailed, Call, Reply
from aqaudit.models.onnx.bundle import load
from aqaudit.models.onnx.pictures import pixels

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from aqaudit.models.catalog import ModelEntry
    from aqaudit.records import MediaPart

Floats = NDArray[np.float32]

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
