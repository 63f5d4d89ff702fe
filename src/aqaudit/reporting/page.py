"""The report page: one HTML file that needs nothing else, made from answers, failures and findings."""

from __future__ import annotations

import base64
import hashlib
import itertools
import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import jinja2
import polars as pl

from aqaudit.audits import AUDITS, AuditResult, format_signature
from aqaudit.audits.finding import Finding, Verdict
from aqaudit.core.text import clean, without_secrets
from aqaudit.measures import MEASURES
from aqaudit.reporting import factors, figures, svg, tables
from aqaudit.reporting.examples import Album, ExampleReply, Show, browser
from aqaudit.reporting.svg import Figure
from aqaudit.reporting.tables import Cell, Table
from aqaudit.reporting.verdicts import (
    NOTHING,
    VERDICT_ORDER,
    WORDS,
    Judgement,
    banners,
    by_severity,
    judgements,
    label,
    marks,
    measure_name,
    not_made,
    number,
    overall,
    reason_of,
    scope_of,
    without_figures,
)
from aqaudit.reporting.wording import TracedStep

#: Rows of a table, cards of a verdict, and figures that the page holds; what is beyond stands in the files beside it.
MOST_ROWS = 100
MOST_SCOPES = 60
_MOST_CARDS = 24
_FIRST_FIGURES = 12
#: Pieces of advice that stand beside one verdict.
_MOST_ADVICE = 3
#: Rows and columns of a table of details.
_MOST_DETAIL_ROWS = 40
_MOST_DETAIL_COLUMNS = 8
_SYMBOLS = {"ok": "✓", "warn": "!", "fail": "✕", "cannot_tell": "?", "skipped": NOTHING}
_HEADINGS: dict[Verdict, str] = {
    "fail": "Not fit",
    "warn": "Doubtful",
    "cannot_tell": "Cannot tell",
    "ok": "Fit so far",
    "skipped": "Not judged",
}
#: Verdicts whose findings are open from the start.
_OPEN = frozenset({"fail", "warn"})
#: No network, and no script but our own: the page is what it holds.
_POLICY = "default-src 'none'; img-src data:; base-uri 'none'; form-action 'none'"


@dataclass(frozen=True, slots=True, kw_only=True)
class Material:
    """What a page is made of besides the audits' result.

    ``frame`` are the answers, as they were read; ``failures`` the failed requests (columns ``model``, ``cause``,
    ``message`` where known), or None where they are not recorded; ``study_toml`` the study as it was run; ``media_dir``
    the folder of stored media, ``<first two characters>/<sha256>.jpg``; ``prompts`` answer key -> what was asked in
    full; ``auxiliary`` the tables beside the answers; of data sets that are ``hidden`` no picture is shown; ``masked``
    says where rectangles were covered.
    """

    frame: pl.DataFrame
    title: str
    failures: pl.DataFrame | None = None
    study_toml: str | None = None
    media_dir: Path | None = None
    prompts: Mapping[str, str] = field(default_factory=dict)
    auxiliary: Mapping[str, pl.DataFrame] = field(default_factory=dict)
    hidden: frozenset[str] = frozenset()
    masked: tuple[str, ...] = ()


def render(material: Material, result: AuditResult, *, frames: bool = True) -> str:
    """Return the report as one HTML page, the same bytes for the same answers in any order.

    The page loads nothing, and its content security policy forbids everything but its own style and its own short
    script, which filters examples and switches the theme; without it, everything can be read. Everything that comes
    from the answers is cleaned and escaped. ``frames`` False leaves out every picture of a performance.
    """
    frame = material.frame.sort("answer_key", "question_id")
    warnings = banners(frame)
    marked = marks(warnings)
    everyone = judgements(result.findings)
    real = [one for one in everyone if dict(one.scope).get("model") not in marked]
    # Judges that are no vision-language models come after those that are.
    judged = real + [one for one in everyone if dict(one.scope).get("model") in marked]
    figures_ = figures.drawn(frame, result.findings)
    album = Album(material.media_dir, hidden=material.hidden) if frames else None
    shown = browser(frame, result.findings, album, prompts=material.prompts, auxiliary=material.auxiliary)
    css = "\n".join((svg.page_colours(), svg.template("figure.css"), svg.template("page.css")))
    js = svg.template("page.js")
    study_toml = material.study_toml
    return (
        _environment()
        .get_template("page.html")
        .render(
            title=clean(material.title, 200),
            css=css,
            js=js,
            counter=itertools.count(1),
            policy=f"{_POLICY}; style-src {_hash_of(css)}; script-src {_hash_of(js)}",
            banners=warnings,
            marks=marked,
            facts=_facts(frame),
            verdicts=_by_model(judged[:MOST_SCOPES]),
            verdicts_left_out=max(0, len(judged) - MOST_SCOPES),
            not_counted=bool(judged) and not real,
            advice=_advice(real),
            not_made=not_made(result.findings),
            skipped=result.skipped,
            severity=[(_HEADINGS[v], v in _OPEN, fs) for v, fs in by_severity(result.findings, marked).items()],
            paper=factors.tables(frame),
            pictures=_grouped(figures_),
            figures_left_out=sum(max(0, n - MOST_SCOPES) for n in Counter(f.group for f in figures_).values()),
            findings=tables.findings(result.findings),
            parses=tables.parses(frame),
            failures=tables.failures(material.failures),
            destinations=tables.destinations(frame, material.failures),
            inputs=tables.inputs(frame),
            masked=[clean(line, 300) for line in material.masked],
            models=tables.models(frame),
            costs=tables.costs(frame),
            prompts_used=tables.prompts(frame),
            browser=shown,
            place_of=shown.place_of,
            album=[] if album is None else album.pictures,
            frames=frames,
            signature=_flat(result.signature),
            signature_line=without_secrets(clean(format_signature(result.signature), 4000)),
            reproduce=_reproduce(frame, study_toml),
            study_toml=None if study_toml is None else clean(without_secrets(study_toml), 50_000, lines=True),
        )
    )


def _hash_of(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


def _facts(frame: pl.DataFrame) -> list[tuple[str, str]]:
    asked = frame["asked_at"].drop_nulls()
    days = sorted({f"{day:%Y-%m-%d}" for day in asked.dt.date().unique()})
    counts = {
        "answer": frame.height,
        "model": frame["model"].n_unique(),
        "data set": frame["dataset"].n_unique(),
        "performance": frame["performance_id"].n_unique(),
        "performer": frame["performer"].n_unique(),
    }
    facts = [(name if n == 1 else f"{name}s", f"{n:,}") for name, n in counts.items()]
    if days:
        facts.append(("asked", days[0] if len(days) == 1 else f"{days[0]} to {days[-1]}"))
    return facts


def _by_model(judged: Sequence[Judgement]) -> list[tuple[str, str, list[Judgement]]]:
    """Return model, what its verdicts add up to, and its verdicts, worst first."""
    groups = itertools.groupby(judged, key=lambda one: dict(one.scope).get("model", ""))
    sorted_ = ((model, sorted(group, key=lambda one: VERDICT_ORDER.index(one.verdict))) for model, group in groups)
    return [(model, overall(group), group) for model, group in sorted_]


def _advice(judged: Sequence[Judgement]) -> list[tuple[Verdict, str]]:
    """Return what the audits advise for each verdict that was given, worst first."""
    advice = {
        v: list(dict.fromkeys(one.advice for one in judged if one.verdict == v and one.advice)) for v in VERDICT_ORDER
    }
    return [(verdict, text) for verdict, texts in advice.items() for text in texts[:_MOST_ADVICE]]


def _grouped(drawn: Sequence[Figure]) -> list[tuple[str, list[Figure], list[Figure]]]:
    """Return heading, first figures and further ones of each group that has any."""
    groups = [(heading, [f for f in drawn if f.group == group]) for group, heading in figures.GROUPS.items()]
    return [(heading, ones[:_FIRST_FIGURES], ones[_FIRST_FIGURES:MOST_SCOPES]) for heading, ones in groups if ones]


def _environment() -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.FunctionLoader(svg.template),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.globals.update(
        most_rows=MOST_ROWS,
        most_cards=_MOST_CARDS,
        most_scopes=MOST_SCOPES,
        words=WORDS,
        symbols=_SYMBOLS,
        audits=AUDITS,
        interval=figures.interval,
        label=label,
        next=next,
    )
    environment.filters.update(
        shown=tables.shown,
        clean=clean,
        number=number,
        measure_name=measure_name,
        reason=reason_of,
        without_figures=without_figures,
        scope_of=scope_of,
        method=_method,
        detail_tables=_detail_tables,
        points_to=_points_to,
    )
    return environment


def _points_to(step: TracedStep, show: Show, reply: ExampleReply) -> list[int]:
    """Return the frames shown here that a step of reasoning names by number, or by time where the rate is known."""
    rate = dict(reply.facts).get("fps sent")
    named = list(step.frames)
    if rate is not None and float(rate) > 0:
        named += [round(second * float(rate)) + 1 for second in step.seconds]
    places = {placed.place for placed in show.pictures}
    return [place for place in dict.fromkeys(named) if place in places]


def _method(finding: Finding) -> list[tuple[str, str]]:
    """Return name and text of everything that is known about how a finding came about; empty texts are left out."""
    lines: list[tuple[str, str]] = []
    audit, measure = AUDITS.get(finding.audit), MEASURES.get(finding.measure)
    if measure is not None:
        lines += [("measure", measure.what), ("chance", measure.chance)]
    elif audit is not None:
        lines.append(("measure", audit.figures.get(finding.measure, "")))
    if audit is not None:
        lines += [("interval", audit.interval), ("rule", audit.rule)]
    lines += [
        ("in full", finding.summary),
        ("why", finding.why),
        ("flag", finding.flag or ""),
        ("advice", finding.advice),
        ("source", finding.citation),
        *_plain_details(finding),
    ]
    return [(clean(name, 80), clean(text, 1200)) for name, text in lines if text]


def _plain_details(finding: Finding) -> Iterator[tuple[str, str]]:
    """Yield the details of a finding that are single values, as words; empty ones are left out."""
    for name, value in finding.details.items():
        if value is not None and not isinstance(value, dict) and not _is_table(value):
            yield name.replace("_", " "), _shown(value)


def _detail_tables(finding: Finding) -> list[Table]:
    """Return the details of a finding that are lists of records or mappings, as tables."""
    tables = []
    for name, value in finding.details.items():
        caption = f"{measure_name(finding.measure)}: {clean(name.replace('_', ' '), 60)}"
        if isinstance(value, dict) and value:
            rows: list[tuple[Cell, ...]] = [(str(key), _cell(inner)) for key, inner in value.items()]
            tables.append(_table(caption, ("of", "value"), rows))
        elif isinstance(value, list | tuple) and _is_table(value):
            records = [record for record in value if isinstance(record, dict)]
            if records:
                columns = tuple(dict.fromkeys(str(key) for record in records for key in record))[:_MOST_DETAIL_COLUMNS]
                tables.append(_table(caption, columns, [tuple(_cell(r.get(c)) for c in columns) for r in records]))
            else:
                lists = [tuple(map(_cell, inner)) for inner in value if isinstance(inner, list | tuple)]
                wide = min(_MOST_DETAIL_COLUMNS, max((len(inner) for inner in lists), default=0))
                rows = [(*inner[:wide], *([None] * (wide - len(inner)))) for inner in lists]
                tables.append(_table(caption, tuple(str(i + 1) for i in range(wide)), rows))
    return tables


def _is_table(value: object) -> bool:
    """Tell whether a detail is a list of records or lists."""
    plain = str | int | float | bool | None
    return isinstance(value, list | tuple) and not all(isinstance(inner, plain) for inner in value)


def _table(caption: str, columns: Sequence[str], rows: Sequence[tuple[Cell, ...]]) -> Table:
    names = tuple(clean(column, 60) for column in columns)
    more = (
        f"{len(rows) - _MOST_DETAIL_ROWS:,} more rows are in the JSON of aqaudit audit."
        if len(rows) > _MOST_DETAIL_ROWS
        else ""
    )
    return Table(
        name="details",
        caption=caption,
        columns=names,
        rows=tuple(rows[:_MOST_DETAIL_ROWS]),
        numbers=frozenset(n for i, n in enumerate(names) if all(isinstance(r[i], int | float | None) for r in rows)),
        missing=NOTHING,
        note=more,
    )


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


def _flat(values: Mapping[str, object], lead: str = "") -> list[tuple[str, str]]:
    """Return nested settings as ``a.b`` and text."""
    flat: list[tuple[str, str]] = []
    for key, value in values.items():
        name = f"{lead}{clean(key, 80)}"
        if isinstance(value, dict):
            flat += _flat(value, f"{name}.")
        else:
            flat.append((name, without_secrets(clean(value, 500))))
    return flat


def _reproduce(frame: pl.DataFrame, study_toml: str | None) -> list[tuple[str, str]]:
    keys = hashlib.sha256("\n".join(frame["answer_key"].to_list()).encode()).hexdigest()
    try:
        built = version("aqaudit")
    except PackageNotFoundError:
        built = "not installed"
    facts = [
        ("AQAudit", built),
        ("answers table, schema version", ", ".join(str(v) for v in sorted(frame["schema_version"].unique()))),
        ("sha256 of the sorted answer keys", keys),
    ]
    if study_toml is not None:
        facts.append(("sha256 of study.toml", hashlib.sha256(study_toml.encode("utf-8", "replace")).hexdigest()))
    return facts
