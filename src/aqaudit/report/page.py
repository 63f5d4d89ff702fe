"""The report page: one HTML file that needs nothing else, made from answers, failures and findings."""

from __future__ import annotations

import base64
import hashlib
import itertools
from importlib.metadata import PackageNotFoundError, version
from importlib.resources import files
from typing import TYPE_CHECKING

import jinja2

from aqaudit.report import figures, tables
from aqaudit.report.banners import banners, marks
from aqaudit.report.examples import MOST, examples
from aqaudit.report.text import clean, without_secrets
from aqaudit.report.verdicts import (
    AUDITS,
    NOTHING,
    WORDS,
    Judgement,
    judgements,
    label,
    measure_name,
    not_made,
    number,
    reason_of,
    settings,
)

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    import polars as pl

    from aqaudit.audits import AuditResult

#: Rows of a table, and scopes, that the page holds; what is beyond stands in the files beside it.
MOST_ROWS = 100
MOST_SCOPES = 60
#: Scopes whose sentence is open from the start.
_FIRST_SCOPES = 12
#: Pieces of advice that stand beside one verdict.
_MOST_ADVICE = 3
_SYMBOLS = {"ok": "✓", "warn": "!", "fail": "✕", "cannot_tell": "?", "skipped": NOTHING}
#: No script, no network: the page is what it holds.
_POLICY = "default-src 'none'; img-src data:; base-uri 'none'; form-action 'none'"


def render(
    frame: pl.DataFrame,
    failures: pl.DataFrame | None,
    result: AuditResult,
    *,
    title: str,
    study_toml: str | None,
    media_dir: Path | None,
    frames: bool = True,
    hidden: frozenset[str] = frozenset(),
) -> str:
    """Return the report as one HTML page, the same bytes for the same answers in any order.

    The page runs no script and loads nothing: styles and pictures are in it, and its content security policy forbids
    the rest. Everything that comes from the answers is cleaned and escaped.

    Parameters
    ----------
    frame
        Answers, as :func:`aqaudit.table.read_answers` returns them.
    failures
        Failed requests (columns ``model``, ``cause``, ``message`` where known), or None where they are not recorded.
    result
        What :func:`aqaudit.audits.audit` says about ``frame``.
    title
        Heading of the page.
    study_toml
        The study as it was run, or None.
    media_dir
        Folder of the stored media, ``<first two characters>/<sha256>.jpg``, or None.
    frames
        False leaves out every picture of a performance.
    hidden
        Data sets whose pictures are left out in any case.
    """
    frame = frame.sort("answer_key", "question_id")
    warnings = banners(frame)
    marked = marks(warnings)
    real = [one for one in judgements(result.findings) if dict(one.scope).get("model") not in marked]
    # Judges that are no vision-language models come after those that are.
    judged = real + [one for one in judgements(result.findings) if dict(one.scope).get("model") in marked]
    scopes = figures.scopes(frame)
    drawn = figures.distributions(frame, scopes)
    css = "\n".join(_template(name) for name in ("figure.css", "page.css"))
    digest = base64.b64encode(hashlib.sha256(css.encode()).digest()).decode()
    return (
        _environment()
        .get_template("page.html")
        .render(
            title=clean(title, 200),
            css=css,
            policy=f"{_POLICY}; style-src 'sha256-{digest}'",
            banners=warnings,
            marks=marked,
            facts=_facts(frame),
            counts=_counts(real),
            not_counted=len(judged) - len(real),
            judged=_by_model(judged[:_FIRST_SCOPES]),
            judged_more=_by_model(judged[_FIRST_SCOPES:MOST_SCOPES]),
            headline_rows=judged[:MOST_SCOPES],
            left_out=max(0, len(judged) - MOST_SCOPES),
            not_made=not_made(result.findings),
            skipped=result.skipped,
            figures=drawn[:MOST_SCOPES],
            figures_left_out=max(0, len(drawn) - MOST_SCOPES),
            findings=tables.findings(result.findings),
            parses=tables.parses(frame),
            failures=tables.failures(failures),
            destinations=tables.destinations(frame, failures),
            inputs=tables.inputs(frame),
            models=tables.models(frame),
            costs=tables.costs(frame),
            prompts=tables.prompts(frame),
            examples=examples(frame, scopes, media_dir, frames=frames, hidden=hidden),
            most_examples=MOST,
            frames=frames,
            signature=_flat(result.signature),
            reproduce=_reproduce(frame, study_toml),
            study_toml=None if study_toml is None else clean(without_secrets(study_toml), 50_000, lines=True),
        )
    )


def _environment() -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.FunctionLoader(_template),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.globals.update(
        most_rows=MOST_ROWS, words=WORDS, symbols=_SYMBOLS, audits=AUDITS, interval=figures.interval, label=label
    )
    environment.filters.update(
        shown=tables.shown,
        clean=clean,
        number=number,
        measure_name=measure_name,
        reason=reason_of,
        settings=settings,
    )
    return environment


def _template(name: str) -> str:
    return files("aqaudit.report").joinpath("templates", name).read_text(encoding="utf-8")


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


def _counts(judged: Sequence[Judgement]) -> list[tuple[str, int, str]]:
    """Return how many scopes have each verdict, and what the audits advise then."""
    found = {verdict: [one for one in judged if one.verdict == verdict] for verdict in WORDS}
    advice = {verdict: list(dict.fromkeys(one.advice for one in ones if one.advice)) for verdict, ones in found.items()}
    return [(verdict, len(ones), " ".join(advice[verdict][:_MOST_ADVICE])) for verdict, ones in found.items() if ones]


def _by_model(judged: Sequence[Judgement]) -> list[tuple[str, list[Judgement]]]:
    groups = itertools.groupby(judged, key=lambda one: dict(one.scope).get("model", ""))
    return [(model, list(group)) for model, group in groups]


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
