"""Sample logs of lmms-eval (``--log_samples``): ``MODEL/DATE_samples_TASK.jsonl``, one question a line.

Read are ``doc_id``, ``target``, ``filtered_resps`` (else ``resps``), and of ``doc``, where a version keeps it, the
columns of the answers table and ``options``. The task is in the file's name, the model in the folder's.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import polars as pl

from aqaudit.core.records import BadInput
from aqaudit.imports import bounded, rows
from aqaudit.imports.rows import NamedRows, item_columns

_TASK = re.compile(r"samples_(.+)\.(?:jsonl|ndjson)$")
_FIRST_LINE = 4 * 2**20


def recognises(path: Path) -> bool:
    """Tell whether a file of JSON lines is a sample log of lmms-eval, by its first line."""
    try:
        with path.open("rb") as file:
            first = json.loads(file.readline(_FIRST_LINE).decode("utf-8-sig"))
    except (OSError, ValueError, RecursionError):
        return False
    keys = set(first) if isinstance(first, dict) else set()
    return {"doc_id", "target"} <= keys and bool(keys & {"filtered_resps", "resps"}) and "kind" not in keys


def read(path: Path) -> pl.DataFrame:
    """Return the answers of a sample log."""
    named = _TASK.search(path.name)
    task = named[1] if named else path.stem
    made = NamedRows(path, model=path.resolve().parent.name, dataset=task)
    for number, line in enumerate(bounded.text(path).split("\n"), 1):
        if not line.strip():
            continue
        sample = bounded.loads(line, f"{path}: line {number}")
        if not isinstance(sample, dict) or "doc_id" not in sample or "target" not in sample:
            raise BadInput(f"{path}: line {number}: is no sample of lmms-eval (it needs doc_id and target)")
        doc = sample["doc"] if isinstance(sample.get("doc"), dict) else {}
        options = doc.get("options") or doc.get("choices")
        found = rows.row(
            str(sample["target"]),
            _reply(sample),
            [str(option) for option in options] if isinstance(options, list) and len(options) > 1 else None,
        )
        made.add(found, {"question_id": str(sample["doc_id"]), **item_columns(doc)}, target=sample["target"])
    return made.frame()


def _reply(sample: dict[str, Any]) -> str:
    """Return the first text of the responses, however deeply they are nested in lists."""
    value = sample.get("filtered_resps") or sample.get("resps")
    for _ in range(4):
        if not isinstance(value, list):
            break
        value = value[0] if value else ""
    return value if isinstance(value, str) else ""
