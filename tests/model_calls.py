"""Calls and requests for the tests of models."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

from aqaudit.core.records import Cell, Chain, MediaPart, MediaSpec, Performance, Question, Request
from aqaudit.models.call import Call

TRUE_FALSE = ("True", "False")


def request(answer_key: str = "k1", *, cell: dict[str, Any] | None = None, **question: Any) -> Request:
    """A request about one performance; ``cell`` and the rest replace fields of the cell and the question."""
    order = question.pop("option_order", ())
    performance = Performance(id="p1", media=Path("p1.mp4"), action="squat", performer="s1", video="v1")
    fields: dict[str, Any] = {"question_id": "q1", "kind": "verify", "task": "t", "dataset": "d", "gold_correct": True}
    return Request(
        answer_key=answer_key,
        key_fields=("", "", "", "", ""),
        question=Question(performance=performance, **{**fields, **question}),
        cell=Cell(**{"model": "m", **(cell or {})}),
        chain=Chain(prompt_id="base.v1", steps=()),
        spec=MediaSpec(),
        option_order=tuple(order),
    )


def call(*parts: str | MediaPart, **over: Any) -> Call:
    """A call with these parts."""
    return Call(**{"parts": parts or ("Is it so?",), "request": request(), **over})


def stored(folder: Path, content: bytes, mime: str = "image/jpeg", **over: Any) -> MediaPart:
    """A file as the media store would hold it."""
    digest = hashlib.sha256(content).hexdigest()
    path = folder / digest
    path.write_bytes(content)
    return MediaPart(**{"sha256": digest, "path": path, "mime": mime, "size": len(content), **over})
