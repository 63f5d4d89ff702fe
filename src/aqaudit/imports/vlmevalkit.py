"""Result files of VLMEvalKit: ``MODEL/MODEL_DATASET.xlsx`` (or .tsv, .csv, .json), one question a row.

Read are ``index``, ``answer`` and ``prediction``, the options in the columns A, B, C ..., the verdict ``extracted`` of
its yes-or-no evaluation, ``hit`` of its multiple-choice evaluation, and columns under the names of the answers table.
``video`` or ``image_path`` name the performance.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import polars as pl

from aqaudit.core.records import BadInput
from aqaudit.imports import bounded, rows
from aqaudit.imports.rows import NamedRows, item_columns

_NEEDED = ("index", "answer", "prediction")
_LETTERS = "ABCDEFGHIJ"
#: Ends of file names behind the data set: the judge's results beside the raw ones.
_ENDS = ("_result", "_auxmatch", "_score", "_judge")


def read_table(path: Path) -> pl.DataFrame:
    """Return the answers of a workbook or a table of separated values."""
    listed: Iterator[list[str]]
    if path.suffix == ".xlsx":
        listed = bounded.sheet(path)
    else:
        csv.field_size_limit(bounded.MOST_OF_ONE)
        separator = "\t" if path.suffix == ".tsv" else ","
        listed = csv.reader(io.StringIO(bounded.text(path), newline=""), delimiter=separator)
    try:
        header = [name.strip() for name in next(listed, [])]
        records = [dict(zip(header, row, strict=False)) for row in listed if any(row)]
    except csv.Error as error:
        raise BadInput(f"{path}: is not a table of separated values: {error}") from None
    return _frame(path, header, records)


def read_json(path: Path) -> pl.DataFrame:
    """Return the answers of a JSON list of records."""
    records = bounded.loads(bounded.text(path), str(path))
    if not isinstance(records, list) or not all(isinstance(record, dict) for record in records):
        raise BadInput(f"{path}: is neither a log of Inspect nor a list of records of VLMEvalKit")
    return _frame(path, list(dict.fromkeys(key for record in records for key in record)), records)


def _frame(path: Path, header: list[str], records: list[dict[str, Any]]) -> pl.DataFrame:
    lacking = [name for name in _NEEDED if name not in header]
    if lacking:
        raise BadInput(
            f"{path}: column '{lacking[0]}' is missing; a result file of VLMEvalKit has {', '.join(_NEEDED)}"
        )
    model, dataset = _named(path)
    made = NamedRows(path, model=model, dataset=dataset)
    for record in records:
        options = [str(record[letter]) for letter in _LETTERS if record.get(letter) not in {None, ""}]
        target, said = str(record.get("answer") or ""), str(record.get("prediction") or "")
        found = rows.row(target, said, options if len(options) > 1 else None)
        shown = record.get("video") or record.get("image_path")
        item = {"question_id": str(record.get("index")), **item_columns(record)}
        if shown and "performance_id" not in item:
            item["performance_id"] = str(shown)
        made.add(None if found is None else _evaluated(found, record), item, target=target)
    return made.frame()


def _evaluated(found: dict[str, Any], record: Mapping[str, Any]) -> dict[str, Any]:
    """Return an answer with what VLMEvalKit's own evaluation read from a reply that nothing else could be read from."""
    if found["parse"] == "ok":
        return found
    extracted = str(record.get("extracted") or "").strip().lower()
    if found["kind"] == "verify" and extracted in {"yes", "no"}:
        return {**found, "parse": "ok", "says_correct": extracted == "yes", "answered": extracted}
    if found["kind"] == "choose" and str(record.get("hit")).strip() in {"1", "1.0", "True"}:
        return {**found, "parse": "ok", "choice": found["gold_choice"], "answered": found["gold_choice"]}
    return found


def _named(path: Path) -> tuple[str, str]:
    """Return model and data set: the folder is named after the model, the file after both."""
    stem, model = path.stem, path.resolve().parent.name
    if not stem.startswith(f"{model}_"):
        return stem, ""
    dataset = stem.removeprefix(f"{model}_")
    for end in _ENDS:
        dataset = dataset.removesuffix(end)
    return model, dataset
