"""The option ``masks`` of readers of broadcasts: what of the picture no model may see, in shares of it."""

from __future__ import annotations

from aqaudit.datasets.places import short
from aqaudit.records import BadInput, Mask

#: Where broadcasts put scores and names while somebody performs. Ours: chosen without the videos.
CORNERS = ((0.0, 0.0, 0.3, 0.2), (0.7, 0.0, 1.0, 0.2), (0.0, 0.8, 0.3, 1.0), (0.7, 0.8, 1.0, 1.0))


def masks_of(reader: str, value: object) -> tuple[Mask, ...]:
    """Return masks for ``"none"``, ``"corners"``, or a list of [x0, y0, x1, y1] in shares of width and height.

    Raises
    ------
    BadInput
        For anything else.
    """
    if value in ("none", "corners"):
        return tuple(Mask(box=box, relative=True) for box in (CORNERS if value == "corners" else ()))
    boxes = value if isinstance(value, list | tuple) else [value]
    return tuple(_mask(reader, box) for box in boxes)


def _mask(reader: str, box: object) -> Mask:
    numbers = [float(one) for one in box if _is_share(one)] if isinstance(box, list | tuple) else []
    if not isinstance(box, list | tuple) or len(box) != 4 or len(numbers) != 4:
        raise BadInput(
            f"masks of reader {reader!r} has {short(box)}; allowed: 'none', 'corners', or a list of"
            " [x0, y0, x1, y1] in shares of the picture, 0 to 1"
        )
    x0, y0, x1, y1 = numbers
    if x0 >= x1 or y0 >= y1:
        raise BadInput(f"masks of reader {reader!r} has {box}; x1 must be more than x0, and y1 more than y0")
    return Mask(box=(x0, y0, x1, y1), relative=True)


def _is_share(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value <= 1
