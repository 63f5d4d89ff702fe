"""Whether a model can be used: what is missing before it is asked, and one small real request with its reply."""

from __future__ import annotations

import hashlib
import io
import tempfile
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import anyio
import av
import numpy as np
from PIL import Image

from aqaudit.core.records import BadInput, Cell, Chain, MediaPart, MediaSpec, Performance, Question, Request
from aqaudit.core.text import short
from aqaudit.models.call import AskFailed, Call, Reply
from aqaudit.models.catalog import api_key, check_installed, open_model
from aqaudit.models.settings import ModelEntry

#: The frames that are sent: side in pixels, frames per second of the clip, and their colours.
_SIDE, _FPS = 96, 1
_COLOURS = ((200, 30, 30), (30, 160, 30), (30, 30, 200))
_QUESTION = (
    'These are the frames of a very short test clip. Statement: "The first frame is red." Is the statement true? '
    "End with one line that holds only your answer: <answer>True</answer> or <answer>False</answer>."
)


def usable(name: str, entry: ModelEntry) -> str:
    """Return in one line whether a model can be used now, as far as that is known without asking it."""
    try:
        check_installed(entry)
        key = api_key(name, entry)
    except BadInput as error:
        return f"not usable now: {error}"
    joints = "estimated joints, which need the extra pose" if entry.model == "pose" else "exact joints"
    in_process = {
        "onnx": "usable; a small demonstration model (docs/demo-model.md)",
        "hf": "usable if its files are there (no key needed)",
        "simulated": "usable; a simulated judge, not a vision-language model",
        "observer": f"usable; an ideal observer that answers from {joints}",
    }
    behind_a_server = "usable: the key is set" if key else "usable if its server runs (no key needed)"
    return in_process.get(entry.provider, behind_a_server)


def check(name: str, entry: ModelEntry) -> str:
    """Send three small frames (or a clip of three frames) and one question; return a record of both directions.

    Raises
    ------
    BadInput
        When the model cannot be opened: no API key, a setting the provider cannot do.
    AskFailed
        When no answer comes back.
    """
    return anyio.run(_check, name, entry)


async def _check(name: str, entry: ModelEntry) -> str:
    model = open_model(name, entry)
    with tempfile.TemporaryDirectory(prefix="aqaudit-check-") as folder:
        parts = _clip(Path(folder)) if entry.media_form == "video" else _frames(Path(folder))
        call = Call(parts=(*parts, _QUESTION), request=_request(name), option_words=("True", "False"), seed=0)
        try:
            started = anyio.current_time()
            reply = await model.ask(call)
            seconds = anyio.current_time() - started
        except AskFailed as failed:
            raise AskFailed(failed.cause, f"models.{name}: {failed.message}", status=failed.status) from None
        finally:
            await model.aclose()
    return _record(name, entry, parts, reply, seconds)


def _record(name: str, entry: ModelEntry, parts: Sequence[MediaPart], reply: Reply, seconds: float) -> str:
    endpoint, remote = entry.destination()
    sent = sum(part.size for part in parts)
    shown = (
        f"1 clip of {len(_COLOURS)} frames, {_FPS} frame a second, {sent} bytes"
        if entry.media_form == "video"
        else f"{len(parts)} frames of {_SIDE} x {_SIDE} pixels, {sent} bytes"
    )
    settings = ", ".join(f"{key} {short(value, 60)}" for key, value in entry.key_settings.items())
    reasoning, logprobs = reply.reasoning, reply.option_logprobs
    counted = (reply.input_tokens, reply.output_tokens, reply.reasoning_tokens)
    tokens = ["not counted" if count is None else str(count) for count in counted]
    known = ", ".join(f"{word} {value:.3f}" for word, value in logprobs.items()) if logprobs else "none"
    lines = {
        "model": name,
        "sent to": f"{endpoint}{' (off this machine)' if remote else ' (this machine)'}",
        "settings": settings,
        "media sent": "none: a simulated judge looks at nothing" if entry.provider == "simulated" else shown,
        "question": _QUESTION,
        "answer": short(reply.text, 400),
        "reasoning": f"{len(reasoning)} characters: {short(reasoning, 200)}" if reasoning is not None else "none",
        "finish reason": reply.finish_reason or "not given",
        "model version": reply.model_version or "not given",
        "tokens": f"{tokens[0]} in, {tokens[1]} out, {tokens[2]} of them reasoning",
        "log-probabilities": known if entry.logprobs else f"{known} (not asked for)",
        "price": "unknown" if reply.usd is None else f"{reply.usd:.6f} USD",
        "seconds": f"{seconds:.2f}",
    }
    return "\n".join(f"{label + ':':18} {text}" for label, text in lines.items())


def _stored(folder: Path, content: bytes, mime: str, fps: float | None = None) -> MediaPart:
    digest = hashlib.sha256(content).hexdigest()
    path = folder / digest
    path.write_bytes(content)
    return MediaPart(sha256=digest, path=path, mime=mime, size=len(content), fps=fps)


def _frames(folder: Path) -> list[MediaPart]:
    parts = []
    for colour in _COLOURS:
        file = io.BytesIO()
        Image.new("RGB", (_SIDE, _SIDE), colour).save(file, "JPEG", quality=85)
        parts.append(_stored(folder, file.getvalue(), "image/jpeg"))
    return parts


def _clip(folder: Path) -> list[MediaPart]:
    file = io.BytesIO()
    with av.open(file, "w", format="mp4") as container:
        stream = container.add_stream("libx264", rate=Fraction(_FPS))
        stream.width = stream.height = _SIDE
        stream.pix_fmt = "yuv420p"
        for colour in _COLOURS:
            picture = np.full((_SIDE, _SIDE, 3), colour, dtype=np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(stream.encode(None))
    return [_stored(folder, file.getvalue(), "video/mp4", fps=float(_FPS))]


def _request(name: str) -> Request:
    performance = Performance(id="check", media=Path("check"), action="check", performer="check", video="check")
    question = Question(
        question_id="check", kind="verify", task="check", dataset="check", performance=performance, gold_correct=True
    )
    return Request(
        answer_key="check",
        key_fields=("", "", "", "", ""),
        question=question,
        cell=Cell(model=name),
        chain=Chain(prompt_id="check", steps=()),
        spec=MediaSpec(),
    )
