"""Contact sheets: what is shown of a clip in many ways, one row each, on one picture for a person to look at."""

from __future__ import annotations

import textwrap
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image, ImageDraw, ImageFont

if TYPE_CHECKING:
    from collections.abc import Sequence

    from aqaudit.records import Shown

#: Height of a row's pictures and the most that one may be wide, in pixels.
ROW, WIDEST = 180, 320
_LABEL, _GAP, _MARGIN = 22, 6, 14
_BACK, _INK, _PALE = (255, 255, 255), (20, 20, 20), (110, 110, 110)


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One way of showing: its name, what came of it (None: nothing could be shown) and a remark."""

    name: str
    shown: Shown | None
    remark: str = ""


def contact_sheet(title: str, rows: Sequence[Row]) -> Image.Image:
    """Lay out rows of pictures under a title; a text is written out, what could not be shown says why."""
    return _sheet(title, [_strip(row.name, row.remark, _body(row)) for row in rows])


def strips_sheet(title: str, rows: Sequence[tuple[str, str, Sequence[Image.Image]]]) -> Image.Image:
    """Lay out rows of pictures, each row with its name and a remark, under a title."""
    strips = []
    for name, remark, pictures in rows:
        strips.append(_strip(name, remark, _beside([_thumbnail(picture) for picture in pictures])))
    return _sheet(title, strips)


def _sheet(title: str, strips: Sequence[Image.Image]) -> Image.Image:
    width = max([strip.width for strip in strips] + [480]) + 2 * _MARGIN
    height = sum(strip.height for strip in strips) + 2 * _MARGIN + 30
    sheet = Image.new("RGB", (width, height), _BACK)
    draw = ImageDraw.Draw(sheet)
    draw.text((_MARGIN, _MARGIN - 4), _cut(title, width - 2 * _MARGIN, _font(18)), fill=_INK, font=_font(18))
    top = _MARGIN + 30
    for strip in strips:
        sheet.paste(strip, (_MARGIN, top))
        top += strip.height
    return sheet


def _strip(name: str, remark: str, body: Image.Image | None) -> Image.Image:
    font = _font(14)
    label = name + (f"   {remark}" if remark else "")
    width = max(body.width if body else 0, int(font.getlength(name)) + 10, 480)
    strip = Image.new("RGB", (width, _LABEL + (body.height if body else 0) + 10), _BACK)
    draw = ImageDraw.Draw(strip)
    draw.text((0, 2), _cut(label, width, font), fill=_PALE, font=font)
    draw.text((0, 2), name, fill=_INK, font=font)
    if body:
        strip.paste(body, (0, _LABEL))
    return strip


def _body(row: Row) -> Image.Image | None:
    if row.shown is None or not row.shown.parts:
        return None
    if row.shown.parts[0].mime == "text/plain":
        return _written(row.shown.parts[0].path.read_text(encoding="utf-8"))
    thumbnails = []
    for part in row.shown.parts:
        with Image.open(part.path) as picture:
            thumbnails.append(_thumbnail(picture))
    return _beside(thumbnails)


def _thumbnail(picture: Image.Image) -> Image.Image:
    scale = min(ROW / picture.height, WIDEST / picture.width)
    size = max(1, round(picture.width * scale)), max(1, round(picture.height * scale))
    return picture.convert("RGB").resize(size, Image.Resampling.LANCZOS)


def _beside(thumbnails: Sequence[Image.Image]) -> Image.Image:
    width = sum(one.width for one in thumbnails) + _GAP * (len(thumbnails) - 1)
    body = Image.new("RGB", (width, max(one.height for one in thumbnails)), _BACK)
    left = 0
    for one in thumbnails:
        body.paste(one, (left, 0))
        left += one.width + _GAP
    return body


def _written(text: str) -> Image.Image:
    font = _font(11)
    lines = [part for line in text.splitlines() for part in textwrap.wrap(line, 150) or [""]]
    width = max(int(np.ceil(font.getlength(line))) for line in lines) + 2
    body = Image.new("RGB", (width, 15 * len(lines) + 4), _BACK)
    draw = ImageDraw.Draw(body)
    for number, line in enumerate(lines):
        draw.text((0, 15 * number), line, fill=_INK, font=font)
    return body


def _font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(size)


def _cut(text: str, width: int, font: ImageFont.FreeTypeFont | ImageFont.ImageFont) -> str:
    while text and font.getlength(text) > width:
        text = text[:-2].rstrip("…") + "…"
    return text
