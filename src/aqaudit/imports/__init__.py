"""Answers of other harnesses, read into the answers table: lmms-eval, VLMEvalKit, Inspect AI.

Their files are recognised by what is in them. Nothing of these packages is needed; all that is read is bounded.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from aqaudit.records import BadInput

if TYPE_CHECKING:
    from pathlib import Path

    import polars as pl

#: Endings of files that only other harnesses write.
SUFFIXES = (".eval", ".json", ".xlsx", ".tsv", ".csv")


def read(path: Path) -> pl.DataFrame | None:
    """Return the answers in a file of another harness, or None where it is none of theirs.

    Raises
    ------
    BadInput
        It is one of theirs, but cannot be read, is too large, or holds no question of a kind that can be audited.
    """
    from aqaudit.imports import inspect_log, lmms_eval, vlmevalkit  # noqa: PLC0415 - only foreign files need them

    match path.suffix:
        case ".eval":
            return inspect_log.read_eval(path)
        case ".json":
            found = inspect_log.read_json(path)
            return found if found is not None else vlmevalkit.read_json(path)
        case ".xlsx" | ".tsv" | ".csv":
            return vlmevalkit.read_table(path)
        case ".jsonl" | ".ndjson":
            return lmms_eval.read(path) if lmms_eval.recognises(path) else None
        case _:
            raise BadInput(f"{path}: not a file of another harness")
