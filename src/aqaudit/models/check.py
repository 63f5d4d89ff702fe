"""One small real request to a model, and what was sent and came back, for people to read."""

from __future__ import annotations

import hashlib
import io
import tempfile
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import anyio

from aqaudit.core.records import Cell, Chain, MediaPart, MediaSpec, Performance, Question, Request
from aqaudit.models.call import AskFailed, Call, Reply
from aqaudit.models.catalog import open_model
from aqaudit.models.settings import ModelEntry

_SIDE = 96
_FPS = 1
_COLOURS = ((200, 30, 30), (30, 160, 30), (30, 30, 200))
_QUESTION = (
    'These are the frames of a very short test clip. Statement: "The first frame is red." Is the statement true? '
    "End with one line that holds only your answer: <answer>True</answer> or <answer>False</answer>."
)


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
    settings = ", ".join(f"{key} {_short(value)}" for key, value in entry.key_settings().items())
    logprobs = reply.option_logprobs
    known = ", ".join(f"{word} {value:.3f}" for word, value in logprobs.items()) if logprobs else "none"
    lines = {
        "model": name,
        "sent to": f"{endpoint}{' (off this machine)' if remote else ' (this machine)'}",
        "settings": settings,
        "media sent": "none: a simulated judge looks at nothing" if entry.provider == "simulated" else shown,
        "question": _QUESTION,
        "answer": _short(reply.text, 400),
        "thoughts": "none"
        if reply.reasoning is None
        else f"{len(reply.reasoning)} characters: " + _short(reply.reasoning, 200),
        "finish reason": reply.finish_reason or "not given",
        "model version": reply.model_version or "not given",
        "tokens": f"{_count(reply.input_tokens)} in, {_count(reply.output_tokens)} out, "
        f"{_count(reply.reasoning_tokens)} of them thoughts",
        "log-probabilities": known if entry.logprobs else f"{known} (not asked for)",
        "price": "unknown" if reply.usd is None else f"{reply.usd:.6f} USD",
        "seconds": f"{seconds:.2f}",
    }
    return "\n".join(f"{label + ':':18} {text}" for label, text in lines.items())


def _count(tokens: int | None) -> str:
    return "not counted" if tokens is None else str(tokens)


def _short(value: object, limit: int = 60) -> str:
    text = " ".join(str(value).split())
    return text if len(text) <= limit else text[: limit - 1] + "…"


def _stored(folder: Path, content: bytes, mime: str, fps: float | None = None) -> MediaPart:
    digest = hashlib.sha256(content).hexdigest()
    path = folder / digest
    path.write_bytes(content)
    return MediaPart(sha256=digest, path=path, mime=mime, size=len(content), fps=fps)


def _frames(folder: Path) -> list[MediaPart]:
    from PIL import Image  # noqa: PLC0415 - only a check draws

    parts = []
    for colour in _COLOURS:
        file = io.BytesIO()
        Image.new("RGB", (_SIDE, _SIDE), colour).save(file, "JPEG", quality=85)
        parts.append(_stored(folder, file.getvalue(), "image/jpeg"))
    return parts


def _clip(folder: Path) -> list[MediaPart]:
    import av  # noqa: PLC0415 - only a check draws
    import numpy as np  # noqa: PLC0415

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
