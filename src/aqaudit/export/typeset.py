"""Tables of a report as HTML and LaTeX for papers, set by great-tables from the cells of the page's tables."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import polars as pl

from aqaudit.records import BadInput
from aqaudit.reporting.tables import shown
from aqaudit.reporting.text import clean

try:
    from great_tables import GT
except ImportError:
    raise BadInput("tables for papers need great-tables: pip install 'aqaudit[figures]'") from None

if TYPE_CHECKING:
    from collections.abc import Sequence

    from aqaudit.reporting.tables import Table

#: A table with more rows than this does not fit a page: LaTeX may break it.
_PAGE = 30
#: Signs that LaTeX knows by other names.
_SIGNS = str.maketrans({"\u2212": "$-$", "\u00d7": r"$\times$", "\u2013": "--", "\u2026": r"\ldots{}"})


def as_html(table: Table, warnings: Sequence[str] = ()) -> str:
    """Return a table as a piece of HTML with its own style; ``warnings`` stand under it, beside the table's note."""
    html: str = _made(table, warnings).as_raw_html()
    return html.rstrip() + "\n"


def as_latex(table: Table, warnings: Sequence[str] = ()) -> str:
    """Return a table as LaTeX for the packages booktabs and caption (longtable where it is longer than a page)."""
    tex: str = _made(table, warnings).as_latex(use_longtable=len(table.rows) > _PAGE)
    # After the end of a row, LaTeX takes a bracket or a star for an option.
    guarded = re.sub(r"^([\[*])", r"{\1}", tex.translate(_SIGNS), flags=re.MULTILINE)
    return guarded.strip() + "\n"


def _made(table: Table, warnings: Sequence[str]) -> GT:
    # Columns go by their place: names from outside may be anything.
    names = [f"c{at}" for at in range(len(table.columns))]
    cells = {
        name: [shown(row[at], table.missing) for row in table.rows] for at, name in enumerate(names)
    }  # fmt: skip
    right = [name for name, column in zip(names, table.columns, strict=True) if column in table.numbers]
    labels = {
        name: clean(column, 160).replace("_", " ") for name, column in zip(names, table.columns, strict=True)
    }  # fmt: skip
    made = (
        GT(pl.DataFrame(cells, schema=dict.fromkeys(names, pl.String)), id=f"aqaudit-{table.name}", auto_align=False)
        .tab_header(title=clean(table.caption, 200))
        .cols_label(**labels)
        .cols_align("left")
        .tab_options(table_font_names=["Arial", "Helvetica", "sans-serif"], table_font_size="14px")
    )
    if right:
        made = made.cols_align("right", columns=right)
    for note in (table.note, *warnings):
        if note:
            made = made.tab_source_note(note)
    return made
