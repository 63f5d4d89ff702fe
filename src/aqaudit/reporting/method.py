"""How a finding came about, on demand: its measure, its rule, its numbers, and what else its audit tells."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from aqaudit.audits import AUDITS
from aqaudit.measures import MEASURES
from aqaudit.reporting.tables import Cell, Table
from aqaudit.reporting.text import clean
from aqaudit.reporting.verdicts import NOTHING, measure_name, number

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from aqaudit.audits.finding import Finding

_MOST_ROWS = 40
_MOST_COLUMNS = 8


def method(finding: Finding) -> list[tuple[str, str]]:
    """Return name and text of everything that is known about how a finding came about."""
    lines: list[tuple[str, str]] = []
    declared = AUDITS.get(finding.audit)
    figures: Mapping[str, str] = getattr(declared, "figures", {})
    if finding.measure in MEASURES:
        measure = MEASURES[finding.measure]
        lines += [("measure", measure.what), ("chance", measure.chance)]
    elif finding.measure in figures:
        lines.append(("measure", figures[finding.measure]))
    lines += [(name, str(getattr(declared, name))) for name in ("interval", "rule") if getattr(declared, name, "")]
    if finding.summary:
        lines.append(("in full", finding.summary))
    if finding.why:
        lines.append(("why", finding.why))
    if finding.flag:
        lines.append(("flag", finding.flag))
    if finding.advice:
        lines.append(("advice", finding.advice))
    if finding.citation:
        lines.append(("source", finding.citation))
    lines += plain_details(finding)
    return [(clean(name, 80), clean(text, 1200)) for name, text in lines if text]


def plain_details(finding: Finding) -> list[tuple[str, str]]:
    """Return the details of a finding that are single values, as words; empty ones are left out."""
    found = []
    for name, value in finding.details.items():
        if value is None or (isinstance(value, list | tuple) and not _flat(value)) or isinstance(value, dict):
            continue
        found.append((name.replace("_", " "), _shown(value)))
    return found


def detail_tables(finding: Finding) -> list[Table]:
    """Return the details of a finding that are lists of records or mappings, as tables."""
    tables = []
    for name, value in finding.details.items():
        caption = f"{measure_name(finding.measure)}: {clean(name.replace('_', ' '), 60)}"
        if isinstance(value, dict) and value:
            rows: list[tuple[Cell, ...]] = [(str(key), _cell(inner)) for key, inner in value.items()]
            tables.append(_table(caption, ("of", "value"), rows))
        elif isinstance(value, list | tuple) and value and not _flat(value):
            records = [record for record in value if isinstance(record, dict)]
            if records:
                columns = tuple(dict.fromkeys(str(key) for record in records for key in record))[:_MOST_COLUMNS]
                tables.append(_table(caption, columns, [tuple(_cell(r.get(c)) for c in columns) for r in records]))
            else:
                lists = [tuple(map(_cell, inner)) for inner in value if isinstance(inner, list | tuple)]
                wide = min(_MOST_COLUMNS, max((len(inner) for inner in lists), default=0))
                rows = [(*inner[:wide], *([None] * (wide - len(inner)))) for inner in lists]
                tables.append(_table(caption, tuple(str(i + 1) for i in range(wide)), rows))
    return tables


def _table(caption: str, columns: Sequence[str], rows: Sequence[tuple[Cell, ...]]) -> Table:
    names = tuple(clean(column, 60) for column in columns)
    more = f"{len(rows) - _MOST_ROWS:,} more rows are in the JSON of aqaudit audit." if len(rows) > _MOST_ROWS else ""
    return Table(
        name="details",
        caption=caption,
        columns=names,
        rows=tuple(rows[:_MOST_ROWS]),
        numbers=frozenset(n for i, n in enumerate(names) if all(isinstance(r[i], int | float | None) for r in rows)),
        missing=NOTHING,
        note=more,
    )


def _flat(value: Sequence[object]) -> bool:
    return all(isinstance(inner, str | int | float | bool | None) for inner in value)


def _cell(value: object) -> Cell:
    if value is None or isinstance(value, str | float) or (isinstance(value, int) and not isinstance(value, bool)):
        return value
    return clean(json.dumps(value, ensure_ascii=False, default=str), 200)


def _shown(value: object) -> str:
    if isinstance(value, list | tuple):
        return ", ".join(_shown(inner) for inner in value[:20]) + (" …" if len(value) > 20 else "")
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return number(value) if abs(value) >= 0.01 or value == 0 else f"{value:.2g}"
    return str(value)
