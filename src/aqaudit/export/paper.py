"""Figures and tables of a report for papers: Vega-Lite and SVG, HTML and LaTeX, from the very data of the page."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from aqaudit.audits import audit
from aqaudit.export import typeset, vega
from aqaudit.records import BadInput
from aqaudit.reporting import folder, tables
from aqaudit.reporting.banners import banners, sentence
from aqaudit.sidecars import read_sidecars
from aqaudit.table import read_answers

if TYPE_CHECKING:
    from pathlib import Path

    from aqaudit.reporting.banners import Banner
    from aqaudit.reporting.drawing import Figure


def write_paper(source: Path, out: Path | None = None) -> list[Path]:
    """Write the figures and tables of an output folder or an answers file for papers; return the files' paths.

    Parameters
    ----------
    source
        An output folder of a run, or an answers file (``.parquet``, ``.sqlite``, ``.jsonl``).
    out
        A folder; ``paper`` in the folder or beside the file when None. ``figures/`` (``.vl.json``, ``.svg``, and
        ``captions.csv``) and ``tables/`` (``.html``, ``.tex``) are written there under the names of the report's files.

    Raises
    ------
    BadInput
        The answers cannot be read, or nothing can be written there.
    """
    home = source if source.is_dir() else source.parent
    target = out if out is not None else home / "paper"
    if target.exists() and not target.is_dir():
        raise BadInput(f"{target}: is a file; name a folder with --out")
    frame = read_answers(source)
    result = audit(frame, read_sidecars(source))
    found, figures = folder.made(frame, folder.failures(source), result)
    warnings = banners(frame)
    texts: dict[str, str] = {}
    for figure in figures:
        spec = vega.spec(figure, _warning(figure, warnings))
        texts[f"figures/{figure.name}.vl.json"] = json.dumps(spec, ensure_ascii=False, indent=1) + "\n"
        texts[f"figures/{figure.name}.svg"] = vega.as_svg(spec)
    texts["figures/captions.csv"] = tables.as_csv(_captions(figures, warnings))
    said = [sentence(banner) for banner in warnings]
    for table in found:
        texts[f"tables/{table.name}.html"] = typeset.as_html(table, said)
        texts[f"tables/{table.name}.tex"] = typeset.as_latex(table, said)
    try:
        for name, text in texts.items():
            folder.replace_file(target / name, text)
    except OSError as error:
        reason = error.strerror or type(error).__name__
        raise BadInput(f"{target}: cannot be written ({reason}); choose another place with --out") from error
    return [target / name for name in texts]


def _warning(figure: Figure, warnings: list[Banner]) -> str:
    """Say what a reader must know of a figure's model; empty where it is a model like others."""
    model = dict(figure.scope).get("model")
    return next((f"{banner.title}: {model}" for banner in warnings if model in banner.models), "")


def _captions(figures: list[Figure], warnings: list[Banner]) -> tables.Table:
    return tables.Table(
        name="captions",
        caption="What the figures show",
        columns=("figure", "title", "note", "model", "in words"),
        rows=tuple((f.name, f.title, f.note, _warning(f, warnings), f.alt) for f in figures),
    )
