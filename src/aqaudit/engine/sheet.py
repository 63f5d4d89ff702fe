"""The contact sheet of one performance of a study: every view and perturbation as its models would receive them."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, get_args

from aqaudit.keys import media_spec
from aqaudit.media.prepare import prepare
from aqaudit.media.sheet import Row, contact_sheet
from aqaudit.media.store import MediaStore
from aqaudit.partners import Partners
from aqaudit.records import BadInput, Cell, Perturbation, View

if TYPE_CHECKING:
    from collections.abc import Iterator

    from PIL import Image

    from aqaudit.engine.preparation import MediaSources
    from aqaudit.records import Dataset, MediaSpec, Performance
    from aqaudit.study import Study


@dataclass(frozen=True, slots=True, kw_only=True)
class Sheet:
    """A contact sheet: the picture, and of every row its name and what was shown or why nothing was."""

    picture: Image.Image
    lines: tuple[str, ...]


def sheet_of(
    study: Study, dataset: Dataset, performance: Performance, model: str, sources: MediaSources, *, frames: int
) -> Sheet:
    """Show a performance in every view, and its frames under every perturbation, in so many frames each.

    Everything is prepared as for ``model``, as pictures. What cannot be shown is a row that says why.
    """
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        store = MediaStore(Path(folder))
        partner = Partners(dataset, study.seed, study.spec.swap).of(performance)
        for name, spec in _specs(study, model, frames, image=sources.is_image(performance)):
            instead = partner if spec.perturbation == "swapped" else None
            if spec.perturbation == "swapped" and partner is None:
                rows.append(Row(name=name, shown=None, remark="nothing: it has no partner, so it is not asked"))
                continue
            try:
                shown = prepare(
                    performance, spec, store, poser=sources.poses, instead=instead,
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
