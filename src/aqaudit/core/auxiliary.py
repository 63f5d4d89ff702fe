"""Auxiliary tables: what an audit needs beside the answers, kept in files of their own in an output folder.

``kinematics.parquet`` holds joint angles and distances over time, ``trace_steps.parquet`` the tagged steps of reasoning
traces, ``trace_tests.parquet`` what became of answers whose reasoning was cut off or spoilt. The half that makes
answers writes them; audits get them as ``auxiliary["kinematics"]``.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import polars as pl

from aqaudit.core.records import BadInput
from aqaudit.core.schema import cast

AuxiliaryTables = Mapping[str, pl.DataFrame]
"""Name of an auxiliary table -> its table; an auxiliary table that was not made is absent."""

SCHEMAS: Mapping[str, Mapping[str, pl.DataType]] = {
    "kinematics": {
        "performance_id": pl.String(),
        "t_s": pl.Float64(),
        "quantity": pl.String(),
        "value": pl.Float64(),
        "unit": pl.String(),
        "confidence": pl.Float64(),
    },
    "trace_steps": {
        "answer_key": pl.String(),
        "step": pl.Int64(),
        "scorer": pl.String(),
        "tag": pl.String(),
        "text": pl.String(),
        "claim": pl.String(),
    },
    "trace_tests": {
        "answer_key": pl.String(),
        "test": pl.String(),
        "share": pl.Float64(),
        "same": pl.Boolean(),
    },
}
"""Name -> columns and their types, as in the contract; the file is ``NAME.parquet``."""


def read_auxiliary(source: str | Path) -> dict[str, pl.DataFrame]:
    """Return the auxiliary tables that lie in an output folder; none where ``source`` is a file of answers.

    Raises
    ------
    BadInput
        A auxiliary table is not readable, lacks a column or holds a value of another type.
    """
    folder = Path(source)
    if not folder.is_dir():
        return {}
    found = {}
    for name, schema in SCHEMAS.items():
        path = folder / f"{name}.parquet"
        if path.is_file():
            found[name] = _read(path, schema)
    return found


def _read(path: Path, schema: Mapping[str, pl.DataType]) -> pl.DataFrame:
    try:
        frame = pl.read_parquet(path)
    except (pl.exceptions.PolarsError, OSError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise BadInput(f"{path}: not a readable Parquet file: {reason}") from error
    for name in schema:
        if name not in frame.columns:
            raise BadInput(f"{path}: column '{name}' is missing; allowed: {', '.join(schema)}; make the file anew")
    return frame.select(cast(frame, name, dtype, str(path)) for name, dtype in schema.items())
