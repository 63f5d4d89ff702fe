"""Proposed masks for a person: lines for ``clips.jsonl``, and a sheet of pictures with the rectangles drawn."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from PIL import Image, ImageDraw

from aqaudit.media.mask import in_effect
from aqaudit.media.sheet import strips_sheet

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from aqaudit.media.graphics import Graphics
    from aqaudit.records import Mask

#: Outlines on the sheet: seen on light and on dark.
_LINE, _EDGE = (255, 60, 60), (0, 0, 0)


def as_line(media: Path, found: Graphics) -> str:
    """Return a JSON line: the clip, its ``masks`` as ``clips.jsonl`` takes them, and how much of it was judged."""
    masks = [_entry(mask) for mask in found.masks]
    return json.dumps({"media": str(media), "masks": masks, "moving": round(found.moving, 3)})


def _entry(mask: Mask) -> dict[str, object]:
    times = {"from_s": mask.from_s, "to_s": mask.to_s}
    return {"box": list(mask.box), **{name: value for name, value in times.items() if value is not None}}


def in_words(found: Graphics) -> list[str]:
    """Return what was found in lines of at most 80 characters."""
    if found.moving == 0.0:
        return [
            "the picture stands still: graphics cannot be told from the background,",
            "so nothing is proposed; look at the sheet and write masks by hand",
        ]
    lines = [] if found.masks else ["no graphic found"]
    for mask in found.masks:
        x0, y0, x1, y1 = (f"{edge:g}" for edge in mask.box)
        start = "the start" if mask.from_s is None else f"{mask.from_s:g} s"
        end = "the end" if mask.to_s is None else f"{mask.to_s:g} s"
        when = "throughout" if mask.from_s is None and mask.to_s is None else f"{start} to {end}"
        lines.append(f"box [{x0}, {y0}, {x1}, {y1}], {when}")
    if found.moving < 0.5:
        lines.append(f"judged from {found.moving:.0%} of the clip only: elsewhere the picture stands still")
    return lines


def proposal_sheet(found: Sequence[tuple[Path, Graphics]]) -> Image.Image:
    """Return a sheet of frames from each clip, with what is proposed at each frame's time drawn as outlines."""
    rows = []
    for media, one in found:
        pictures = [_outlined(Image.fromarray(picture), one, time_s) for time_s, picture in one.looked_at]
        rows.append((media.name, f"{len(one.masks)} proposed" if one.moving else "stands still: not judged", pictures))
    return strips_sheet("Proposed masks: look before you use them", rows)


def _outlined(picture: Image.Image, found: Graphics, time_s: float) -> Image.Image:
    draw = ImageDraw.Draw(picture)
    for mask in found.masks:
        if in_effect(mask, time_s):
            x0, y0, x1, y1 = (edge / found.scale for edge in mask.box)
            draw.rectangle((x0 - 1, y0 - 1, x1, y1), outline=_EDGE)
            draw.rectangle((x0, y0, x1 - 1, y1 - 1), outline=_LINE, width=2)
    return picture
