"""Answers of other harnesses, read into the answers table: lmms-eval, VLMEvalKit, Inspect AI.

Their files are recognised by what is in them. Nothing of these packages is needed; all that is read is bounded.
"""

from __future__ import annotations

from pathlib import Path

import polars as pl

from aqaudit.core.records import BadInput

#: Endings of files that only other harnesses write.
SUFFIXES = (".eval", ".json", ".xlsx", ".tsv", ".csv")


def read(path: Path) -> pl.DataFrame | None:
    """Return the answers in a file of another harness, or None where it is none of theirs.

    Raises
    ------
    BadInput
        It is one of theirs, but cannot be read, is too large, or holds no question of a kind that can be audited.
    """
    from aqaudit.imports import (  # noqa: PLC0415 - the table imports this one
        inspect_ai,
        lmms_eval,
        vlmevalkit,
    )

    match path.suffix:
        case ".eval":
            return inspect_ai.read_eval(path)
        case ".json":
            found = inspect_ai.read_json(path)
            return found if found is not None else vlmevalkit.read_json(path)
        case ".xlsx" | ".tsv" | ".csv":
            return vlmevalkit.read_table(path)
        case ".jsonl" | ".ndjson":
            return lmms_eval.read(path) if lmms_eval.recognises(path) else None
        case _:
            raise BadInput(f"{path}: not a file of another harness")
