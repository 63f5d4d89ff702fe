"""Requests for the demo model, made of noise: what is answered does not matter, that all ways agree does."""

from __future__ import annotations

import hashlib
import io
from pathlib import Path

import numpy as np
from PIL import Image

from aqaudit.core.records import MediaPart, Performance, Question
from aqaudit.models.call import Call
from aqaudit.models.check import _request
from aqaudit.prompts.strategies import chain

WORDS = ("True", "False")
_SIZES = ((256, 256), (200, 120), (97, 181), (64, 64))


def question() -> Question:
    performance = Performance(id="p", media=Path("p"), action="bodyweight squat", performer="p", video="p")
    return Question(
        question_id="q", kind="verify", task="verify", dataset="d", performance=performance,
        positive="The knees point the same way as the feet.", negative="The knees fall inward of the feet.",
        gold_correct=True,
    )  # fmt: skip


def call(parts: tuple[MediaPart, ...], text: str | None = None) -> Call:
    if text is None:
        step = chain(question(), "base", "positive", "true_false", "frames").steps[-1]
        text = "".join(part for part in step.parts if isinstance(part, str))
    return Call(parts=(*parts, text), request=_request("demo"), option_words=WORDS, seed=0)


def picture(folder: Path, width: int, height: int, seed: int) -> MediaPart:
    levels = np.random.default_rng(seed).integers(0, 255, (9, 9, 3), dtype=np.uint8)
    file = io.BytesIO()
    Image.fromarray(levels).resize((width, height)).save(file, "JPEG")
    digest = hashlib.sha256(file.getvalue()).hexdigest()
    (folder / digest).write_bytes(file.getvalue())
    return MediaPart(sha256=digest, path=folder / digest, mime="image/jpeg", size=file.tell())


def calls(folder: Path, count: int) -> list[Call]:
    """Return requests with one to eight pictures of several sizes."""
    sent = (
        tuple(picture(folder, *_SIZES[(at + n) % 4], seed=10 * at + n) for n in range(1 + at % 8))
        for at in range(count)
    )
    return [call(parts) for parts in sent]
