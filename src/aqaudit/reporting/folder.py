"""Writing a report: the page, and tables and figures as files beside it."""

from __future__ import annotations

import json
import os
import sqlite3
from contextlib import closing
from pathlib import Path

import polars as pl

from aqaudit.audits import AuditResult, audit
from aqaudit.core.auxiliary import read_auxiliary
from aqaudit.core.records import BadInput
from aqaudit.core.text import clean
from aqaudit.reporting import factors, figures, page, svg, tables
from aqaudit.reporting.verdicts import judgements


def write(answers: pl.DataFrame, source: Path, out: Path | None = None, *, frames: bool = True) -> Path:
    """Write the report of an output folder or an answers file; return the page's path.

    Parameters
    ----------
    answers
        What was answered there.
    source
        An output folder of a run, or an answers file: failures, auxiliary tables and media lie beside the answers.
    out
        The page; ``report.html`` in the folder or beside the file when None. ``tables/`` (CSV, LaTeX) and
        ``figures/`` (SVG, CSV) are written beside it. Each file is replaced as a whole or not at all.
    frames
        False leaves out every picture of a performance; those of data sets that forbid it are left out in any case.

    Raises
    ------
    BadInput
        What lies beside the answers cannot be read, or the page cannot be written there.
    """
    home = source if source.is_dir() else source.parent
    target = out if out is not None else home / "report.html"
    if target.is_dir():
        raise BadInput(f"{target}: is a folder; name the page to write, such as {target / 'report.html'}")
    failed = failures(source)
    study = home / "study.toml"
    auxiliary = read_auxiliary(source)
    result = audit(answers, auxiliary)
    material = page.Material(
        frame=answers,
        title=_title(answers),
        failures=failed,
        study_toml=study.read_text(encoding="utf-8", errors="replace") if source.is_dir() and study.is_file() else None,
        media_dir=home / "media",
        hidden=hidden(home) if frames else frozenset(),
        masked=masked(home),
        prompts=prompts(source),
        auxiliary=auxiliary,
    )
    html = page.render(material, result, frames=frames)
    try:
        for name, text in beside(answers, failed, result).items():
            _replace_file(target.parent / name, text)
        _replace_file(target, html)
    except OSError as error:
        reason = error.strerror or type(error).__name__
        raise BadInput(f"{target}: cannot be written ({reason}); choose another place with -o") from error
    return target


def beside(frame: pl.DataFrame, failed: pl.DataFrame | None, result: AuditResult) -> dict[str, str]:
    """Return the files that go beside a page, as path and text: ``tables/*.csv|tex`` and ``figures/*.svg|csv``."""
    frame = frame.sort("answer_key", "question_id")
    texts: dict[str, str] = {}
    for table in (
        tables.headline(judgements(result.findings)),
        tables.findings(result.findings),
        tables.parses(frame),
        tables.failures(failed),
        tables.inputs(frame),
        tables.models(frame),
        tables.costs(frame),
        tables.destinations(frame, failed),
        tables.prompts(frame),
        *factors.tables(frame),
    ):
        texts[f"tables/{table.name}.csv"] = tables.as_csv(table)
        texts[f"tables/{table.name}.tex"] = tables.as_tex(table)
    for figure in figures.drawn(frame, result.findings):
        texts[f"figures/{figure.name}.svg"] = svg.standalone(figure)
        texts[f"figures/{figure.name}.csv"] = tables.as_csv(figure.table)
    return texts


def failures(source: Path) -> pl.DataFrame | None:
    """Return the failed requests that belong to the answers read: of the journal where there is one."""
    journal, exported = _journal(source), source / "failures.parquet"
    try:
        if journal is not None:
            with closing(sqlite3.connect(f"{journal.resolve().as_uri()}?mode=ro", uri=True)) as db:
                if not db.execute("SELECT 1 FROM sqlite_master WHERE name = 'failures'").fetchone():
                    return None
                return pl.read_database("SELECT * FROM failures", db, infer_schema_length=None)
        return pl.read_parquet(exported) if source.is_dir() and exported.is_file() else None
    except (pl.exceptions.PolarsError, sqlite3.Error, OSError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise BadInput(f"{source}: its failed requests cannot be read: {reason}; a rerun writes them anew") from error


def hidden(home: Path) -> frozenset[str]:
    """Return the data sets whose pictures may not be shown, as the run that made this folder noted them.

    Raises
    ------
    BadInput
        The note is there, but cannot be read: then nobody knows what may be shown.
    """
    note = home / "datasets.json"
    try:
        facts = json.loads(note.read_bytes()) if note.is_file() else {}
        return frozenset(name for name, kept in facts.items() if kept["show_frames"] is not True)
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        raise BadInput(
            f"{note}: cannot be read, so it is not known whose pictures may be shown; run the study again, or give"
            " --no-frames"
        ) from None


def masked(home: Path) -> tuple[str, ...]:
    """Say of each data set with rectangles that no model saw in how many performances, as the run noted it."""
    note = home / "datasets.json"
    try:
        facts = json.loads(note.read_bytes()) if note.is_file() else {}
        counts = {str(name): kept.get("masked", {}) for name, kept in sorted(facts.items())}
        return tuple(
            f"Data set {name}: in {kept['performances']:,} performances rectangles were covered before anything was "
            f"shown ({kept.get('solid', 0):,} in grey, {kept.get('blur', 0):,} blurred)."
            for name, kept in counts.items()
            if kept.get("performances")
        )
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return ()


def prompts(source: Path) -> dict[str, str]:
    """Return what was asked in full, by answer key, where the journal beside the answers keeps it."""
    journal = _journal(source)
    if journal is None:
        return {}
    try:
        with closing(sqlite3.connect(f"{journal.resolve().as_uri()}?mode=ro", uri=True)) as db:
            known = db.execute("SELECT count(*) FROM sqlite_master WHERE name IN ('keys', 'texts')").fetchone()
            if known[0] < 2:
                return {}
            asked = db.execute("SELECT answer_key, prompt FROM keys").fetchall()
            # Many answers share one text; each is held once.
            texts = dict(db.execute("SELECT sha256, text FROM texts WHERE sha256 IN (SELECT prompt FROM keys)"))
    except sqlite3.Error:
        return {}  # the answers of another harness; what was asked is shown where it is known
    return {str(key): str(texts[sha]) for key, sha in asked if sha in texts}


def _journal(source: Path) -> Path | None:
    journal = source / "answers.sqlite" if source.is_dir() else source
    return journal if journal.suffix == ".sqlite" and journal.is_file() else None


def _title(frame: pl.DataFrame) -> str:
    studies = sorted(clean(name, 80) for name in frame["study"].unique())
    return f"AQAudit report: {', '.join(studies[:3]) or 'no answers'}"


def _replace_file(path: Path, text: str) -> None:
    """Write a text file, with the folders it needs, as a whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        partial.write_text(text, encoding="utf-8", errors="replace", newline="\n")
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)
