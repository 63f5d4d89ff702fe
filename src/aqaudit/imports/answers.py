"""Answers from a file or folder: our own tables, and what other harnesses write.

Files of others are recognised by what is in them. Nothing of their packages is needed; all that is read is bounded.
"""

from __future__ import annotations

from pathlib import Path

import polars as pl

from aqaudit.core.records import BadInput
from aqaudit.core.table import SUFFIXES, check, normalise, read_table
from aqaudit.imports import harnesses, inspect_ai

#: Endings of files that only other harnesses write.
_OF_OTHERS = (".eval", ".json", ".xlsx", ".tsv", ".csv")


def read_answers(source: str | Path) -> pl.DataFrame:
    """Read an answers table, complete it with the import defaults and check it.

    Parameters
    ----------
    source
        An output folder, a ``.parquet``, ``.sqlite`` or ``.jsonl`` file, or a file of another harness.

    Raises
    ------
    BadInput
        The file is missing, not of these kinds, or a row breaks the schema (row, column, value and what is allowed).
    """
    path = Path(source)
    if path.is_dir():
        found = [path / f"answers.{kind}" for kind in ("sqlite", "parquet", "jsonl")]
        existing = [p for p in found if p.is_file()]
        if not existing:
            raise BadInput(f"{path}: no answers here; expected answers.sqlite, answers.parquet or answers.jsonl")
        path = existing[0]
    if not path.is_file():
        raise BadInput(f"{path}: no such answers file or folder")
    return check(normalise(_read(path), source=str(path)), source=str(path))


def _read(path: Path) -> pl.DataFrame:
    found: pl.DataFrame | None = None
    match path.suffix:
        case ".eval":
            found = inspect_ai.read_eval(path)
        case ".json":
            found = inspect_ai.read_json(path)
            found = found if found is not None else harnesses.read_vlmevalkit_json(path)
        case ".xlsx" | ".tsv" | ".csv":
            found = harnesses.read_vlmevalkit(path)
        case ".jsonl" | ".ndjson" if harnesses.is_lmms_eval(path):
            found = harnesses.read_lmms_eval(path)
        case suffix if suffix not in SUFFIXES:
            raise BadInput(
                f"{path}: answers are read from .parquet, .sqlite or .jsonl, and from {', '.join(_OF_OTHERS)} "
                f"of other harnesses, not from '{suffix}'"
            )
    return found if found is not None else read_table(path)
