"""Keys: what makes two requests the same, as text, and its hash. Computable without decoding any video."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict
from functools import lru_cache

from aqaudit.core.records import Chain, Mask, MediaSpec, Performance, Slot

#: Raised when the way a request is put on the wire changes what a model receives: old answers are then asked again.
REQUEST_FORMAT = "aqaudit-request-1"


def answer_key(start: str, end: str) -> str:
    """Return the SHA-256 (hex) of :data:`REQUEST_FORMAT` and the digests of a request's five key fields.

    ``start`` (see :func:`key_start`) covers the media, ``end`` (see :func:`key_end`) what is asked and of whom.
    """
    return hashlib.sha256(f"{REQUEST_FORMAT}\n{start}\n{end}".encode()).hexdigest()


def key_start(sources: str, show: str) -> str:
    """Return the part of a key that depends on the media: content hashes, and how they are shown."""
    return f"{digest(sources)}\n{digest(show)}"


def key_end(prompt: str, settings: str, draw: str) -> str:
    """Return the part of a key that depends on the full prompt text, the model's settings, repeat and seed."""
    return f"{digest(prompt)}\n{digest(settings)}\n{digest(draw)}"


def digest(text: str) -> str:
    """Return the SHA-256 (hex) of a text."""
    return hashlib.sha256(text.encode()).hexdigest()


def prompt_text(chain: Chain) -> str:
    """Return the full text of a chain in sending order, with its slots in braces."""
    return "\n\n".join(
        f"[{step.name}]\n\n" + "\n\n".join(_slot(p) if isinstance(p, Slot) else p for p in step.parts)
        for step in chain.steps
    )


def _slot(slot: Slot) -> str:
    return "{" + slot.name + (f" {slot.step}" if slot.step is not None else "") + "}"


def show_fields(performance: Performance, spec: MediaSpec) -> str:
    """Return, as JSON, everything but the source that decides which bytes a performance is shown as."""
    return spec_json(spec) + window_json(performance)


def window_json(performance: Performance) -> str:
    """Return the part of a source that a performance is, and what is masked in it; empty for a whole source."""
    window = {
        "start_s": performance.start_s,
        "end_s": performance.end_s,
        "first_frame": performance.first_frame,
        "last_frame": performance.last_frame,
        "source_fps": performance.fps,
        "masks": [_mask_fields(mask) for mask in performance.masks] or None,
        "rotate": performance.rotate or None,
    }
    window = {key: value for key, value in window.items() if value is not None}
    return " " + canonical_json(window) if window else ""


def _mask_fields(mask: Mask) -> dict[str, object]:
    fields = asdict(mask)
    if not mask.relative:  # boxes in pixels keep the keys that they had before there were others
        del fields["relative"]
    if mask.style == "solid":  # so do those in grey
        del fields["style"]
    return fields


#: Fields of a way of showing that are named only where they mean something: others are keyed as before there were any.
_RARE = frozenset({"drawing", "region", "seed", "swap"})


@lru_cache(maxsize=4096)
def spec_json(spec: MediaSpec) -> str:
    """Return a way of showing as JSON."""
    return canonical_json({k: v for k, v in asdict(spec).items() if k not in _RARE or v is not None})


def canonical_json(value: object) -> str:
    """Return JSON that is the same for equal values."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
