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

    ``start`` are the digests of the media (content hashes, how they are shown), ``end`` those of what is asked
    and of whom (full prompt text, the model's settings, repeat and seed).
    """
    return hashlib.sha256(f"{REQUEST_FORMAT}\n{start}\n{end}".encode()).hexdigest()


def digest(*texts: str) -> str:
    """Return the SHA-256 (hex) of each text, a line each."""
    return "\n".join([hashlib.sha256(text.encode()).hexdigest() for text in texts])


def prompt_text(chain: Chain) -> str:
    """Return the full text of a chain in sending order, with its slots in braces."""
    texts = []
    for step in chain.steps:
        parts = list(step.parts)
        for at, part in enumerate(parts):
            if isinstance(part, Slot):
                parts[at] = "{" + part.name + (f" {part.step}" if part.step is not None else "") + "}"
        texts.append(f"[{step.name}]\n\n" + "\n\n".join(map(str, parts)))
    return "\n\n".join(texts)


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
