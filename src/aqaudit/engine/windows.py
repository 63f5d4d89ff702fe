"""What media cost in tokens and how much a model's window holds, by model family. Rules of the vendors, not measured.

* Gemini: ai.google.dev/gemini-api/docs/media-resolution has the tokens of pictures and frames, the model's page the
  window.
* Qwen3-VL: ``config.json`` and ``preprocessor_config.json`` of the released models have patches of 16 pixels, of which
  2 x 2 are merged, two frames of a clip together, and positions up to 262,144.
* InternVL3.5: the model card has tiles of 448 pixels and 256 tokens each, one tile a frame in its own video example, up
  to 12 tiles and a small copy for a single picture; the configuration of its language model, Qwen3-235B-A22B, has
  positions up to 40,960.

A server may be started with a smaller window than the model has.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from aqaudit.models.catalog import ModelEntry
    from aqaudit.records import MediaForm

#: Characters a token, for English text.
CHARACTERS = 4.0
_QWEN_SIDE = 32
_TILE_SIDE, _TILE_TOKENS, _MOST_TILES = 448, 256, 12
#: Gemini 3: tokens of a frame of a clip, and of a picture, by media resolution; None is the default.
_GEMINI_FRAME = {None: 70, "low": 70, "medium": 70, "high": 280}
_GEMINI_PICTURE = {None: 1120, "low": 280, "medium": 560, "high": 1120}


@dataclass(frozen=True, slots=True, kw_only=True)
class Family:
    """How a family of models counts media.

    ``tokens(entry, width, height, frames, form)`` is for ``frames`` pictures or frames of so many pixels; ``window`` is
    None where it is not known, ``answer_inside`` says whether the answer has to fit into it as well.
    """

    name: str
    window: int | None
    answer_inside: bool
    tokens: Callable[[ModelEntry, float, float, int, MediaForm], float]
    source: str


def _gemini(entry: ModelEntry, width: float, height: float, frames: int, form: MediaForm) -> float:
    del width, height  # tokens of a frame do not depend on its size
    return frames * (_GEMINI_FRAME if form == "video" else _GEMINI_PICTURE)[entry.resolution]


def _gemini_2(entry: ModelEntry, width: float, height: float, frames: int, form: MediaForm) -> float:
    del width, height, form
    return frames * (66 if entry.resolution == "low" else 258)


def _qwen(entry: ModelEntry, width: float, height: float, frames: int, form: MediaForm) -> float:
    del entry
    # Two frames of a clip share their tokens; each stretch of a clip has its time written before it.
    stretches, note = (math.ceil(frames / 2), 8) if form == "video" else (frames, 2)
    return stretches * (max(1, round(width / _QWEN_SIDE)) * max(1, round(height / _QWEN_SIDE)) + note)


def _internvl(entry: ModelEntry, width: float, height: float, frames: int, form: MediaForm) -> float:
    del entry, form
    tiles = 1 if frames > 1 else _tiles(width, height)
    return frames * (tiles + (tiles > 1)) * _TILE_TOKENS


@lru_cache(maxsize=256)
def _tiles(width: float, height: float) -> int:
    """Return how many tiles a single picture is cut into: the grid of the closest aspect ratio, as the card's code."""
    grids = sorted(
        ((across, down) for across in range(1, _MOST_TILES + 1) for down in range(1, _MOST_TILES // across + 1)),
        key=lambda grid: grid[0] * grid[1],
    )
    best, closest = (1, 1), math.inf
    for across, down in grids:
        apart = abs(width / height - across / down)
        roomy = width * height > 0.5 * _TILE_SIDE**2 * across * down
        if apart < closest or (apart == closest and roomy):
            best, closest = (across, down), apart
    return best[0] * best[1]


def _generic(entry: ModelEntry, width: float, height: float, frames: int, form: MediaForm) -> float:
    del entry, form
    return frames * max(1.0, width / _QWEN_SIDE) * max(1.0, height / _QWEN_SIDE)


_GEMINI_WINDOW = 1_048_576
FAMILIES: dict[str, Family] = {
    family.name: family
    for family in (
        Family(
            name="gemini-3",
            window=_GEMINI_WINDOW,
            answer_inside=False,
            tokens=_gemini,
            source="ai.google.dev/gemini-api/docs/media-resolution",
        ),
        Family(
            name="gemini-2",
            window=_GEMINI_WINDOW,
            answer_inside=False,
            tokens=_gemini_2,
            source="ai.google.dev/gemini-api/docs/tokens",
        ),
        Family(
            name="qwen3-vl",
            window=262_144,
            answer_inside=True,
            tokens=_qwen,
            source="Qwen3-VL config.json, preprocessor_config.json",
        ),
        Family(
            name="internvl3.5",
            window=40_960,
            answer_inside=True,
            tokens=_internvl,
            source="InternVL3.5 model card; configuration of Qwen3-235B-A22B",
        ),
        Family(
            name="other",
            window=None,
            answer_inside=True,
            tokens=_generic,
            source="one token for 32 x 32 pixels: ours, a guess",
        ),
    )
}


def family(entry: ModelEntry) -> Family:
    """Return the family whose rules an entry is counted by, ``other`` where its name tells none."""
    name = entry.model.lower().replace("_", ".")
    if entry.provider == "google":
        return FAMILIES["gemini-2" if name.startswith(("gemini-1", "gemini-2")) else "gemini-3"]
    for known in ("qwen3-vl", "internvl3.5"):
        if known in name:
            return FAMILIES[known]
    return FAMILIES["other"]


def media_tokens(entry: ModelEntry, size: tuple[int, int], max_side: int, frames: int, form: MediaForm) -> float:
    """Estimate the tokens of ``frames`` frames or pictures whose source has ``size`` pixels (width, height)."""
    width, height = size
    scale = min(1.0, max_side / max(width, height, 1))
    return family(entry).tokens(entry, max(1.0, width * scale), max(1.0, height * scale), frames, form)
