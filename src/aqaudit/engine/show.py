"""What a model would receive, for people to look at: a request word for word, and a contact sheet of a performance."""

from __future__ import annotations

import tempfile
import textwrap
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import get_args

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from aqaudit.core.records import (
    BadInput,
    Cell,
    Dataset,
    MediaSpec,
    Performance,
    Perturbation,
    Request,
    Shown,
    Slot,
    View,
)
from aqaudit.media.cache import MediaStore
from aqaudit.media.poses import Poses
from aqaudit.media.prepare import prepare
from aqaudit.media.source import SourceCache
from aqaudit.models.settings import ModelEntry
from aqaudit.study.pairs import SwapPairing
from aqaudit.study.requests import media_spec, ways_of_showing
from aqaudit.study.study import Study

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
    strips = [_strip(row.name, row.remark, _body(row)) for row in rows]
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


_RULE = "-" * 8


def render(request: Request, entry: ModelEntry) -> str:
    """Return everything a model is sent for a request, part by part in order; media are named in square brackets."""
    lines = [*_heading(request), ""]
    if entry.system_prompt:
        lines += [f"{_RULE} system message", "", entry.system_prompt.strip(), ""]
    steps = request.chain.steps
    for number, step in enumerate(steps, 1):
        which = f"call {number} of {len(steps)}: {step.name}" if len(steps) > 1 else "the call"
        lines += [f"{_RULE} {which}", ""]
        for part in step.parts:
            lines += [_slot(part, request) if isinstance(part, Slot) else part, ""]
    return "\n".join(lines).rstrip() + "\n"


def _heading(request: Request) -> list[str]:
    cell, question = request.cell, request.question
    facts: dict[str, object] = {
        "question": question.question_id,
        "model": cell.model,
        "strategy": cell.strategy + (f", {cell.shots} shots" if cell.shots else ""),
        "framing": cell.framing,
    }
    if question.kind in {"verify", "detect"}:
        facts["answer words"] = cell.answer_words
    if question.kind == "prefer":
        facts["pair order"] = cell.pair_order
    facts |= {"view": cell.view, "perturbation": cell.perturbation, "sampling": cell.sampling}
    if request.option_order:
        facts["option order"] = " ".join(str(i) for i in request.option_order)
    facts |= {"repeat": cell.repeat, "prompt": request.chain.prompt_id}
    return [f"{name:13} {value}" for name, value in facts.items()]


def _slot(slot: Slot, request: Request) -> str:
    if slot.name == "step":
        return f"[the reply to call {slot.step}]"
    ways = ways_of_showing(request)
    asked = len(ways) - len(request.shots)
    place = asked + (slot.step or 1) - 1 if slot.name == "shot" else 0 if slot.name == "first" else 1
    performance, spec, instead = ways[place]
    if instead is not None:
        return f"{_media(instead, spec)[:-1]}, in place of {performance.id}]"
    return _media(performance, spec)


def _media(performance: Performance, spec: MediaSpec) -> str:
    if spec.form == "none":
        return f"[nothing is shown of performance {performance.id}]"
    picture = spec.form == "frames" and spec.fps is None and spec.frames is None
    what = (
        "pose as text"
        if spec.view == "pose_text"
        else "clip"
        if spec.form == "video"
        else "picture"
        if picture
        else "frames"
    )
    if spec.frames is not None:
        how = f"{spec.frames} frames, "
    elif spec.fps is not None:
        how = f"{spec.fps:g} frames a second, "
    else:
        how = "" if picture else "sampled by the server, " if spec.native_sampling else "its own rate, "
    if spec.max_frames is not None:
        how += f"at most {spec.max_frames}, "
    changed = "" if spec.perturbation == "none" else f", {spec.perturbation}"
    return f"[{what} of performance {performance.id}: {how}view {spec.view}{changed}, up to {spec.max_side} pixels]"


@dataclass(frozen=True, slots=True, kw_only=True)
class Sheet:
    """A contact sheet: the picture, and of every row its name and what was shown or why nothing was."""

    picture: Image.Image
    lines: tuple[str, ...]


def sheet_of(
    study: Study,
    dataset: Dataset,
    performance: Performance,
    model: str,
    sources: SourceCache,
    poses: Poses,
    *,
    frames: int,
) -> Sheet:
    """Show a performance in every view, and its frames under every perturbation, in so many frames each.

    Everything is prepared as for ``model``, as pictures. What cannot be shown is a row that says why.
    """
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        store = MediaStore(Path(folder))
        partner = SwapPairing(dataset, study.spec.seed, study.spec.swap).of(performance)
        for name, spec in _specs(study, model, frames, image=sources.describe(performance).kind == "image"):
            instead = partner if spec.perturbation == "swapped" else None
            if spec.perturbation == "swapped" and partner is None:
                rows.append(Row(name=name, shown=None, remark="nothing: it has no partner, so it is not asked"))
                continue
            try:
                (shown,) = prepare(
                    performance, [spec], store, poser=poses, instead=instead,
                    draw=sources.content_hash(performance),
                )  # fmt: skip
            except BadInput as error:
                rows.append(Row(name=name, shown=None, remark=f"nothing: {error}"))
                continue
            what = f"{len(shown.parts)} x {shown.width} x {shown.height}" if shown.width else f"{shown.frames} moments"
            kib = sum(part.size for part in shown.parts) / 1024
            remark = f"{what}, {kib:.0f} KiB" if shown.parts else "nothing is shown"
            if instead is not None:
                remark += f", of {instead.id}"
            rows.append(Row(name=name, shown=shown, remark=remark))
        about = f"{dataset.name}: {performance.id}, {performance.action}, as {model} receives it"
        picture = contact_sheet(about, rows)
    return Sheet(picture=picture, lines=tuple(f"{row.name:22} {row.remark}" for row in rows))


def _specs(study: Study, model: str, frames: int, *, image: bool) -> Iterator[tuple[str, MediaSpec]]:
    entry = study.models[model]
    cells: list[tuple[View, Perturbation]] = [(view, "none") for view in get_args(View)]
    cells += [("rgb", change) for change in get_args(Perturbation) if change != "none"]
    for view, change in cells:
        cell = Cell(model=model, view=view, perturbation=change, frames=None if image else frames)
        spec = media_spec(cell, entry, image=image, options=study.show_options)
        name = (
            view
            if change == "none"
            else f"{change} ({spec.region or spec.swap})"
            if spec.region or spec.swap
            else change
        )
        yield name, spec if spec.form == "none" else replace(spec, form="frames", native_sampling=False)
