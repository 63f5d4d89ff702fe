"""Result files of VLMEvalKit: ``MODEL/MODEL_DATASET.xlsx`` (or .tsv, .csv, .json), one question a row.

Read are ``index``, ``answer`` and ``prediction``, the options in the columns A, B, C ..., the verdict ``extracted`` of
its yes-or-no evaluation, ``hit`` of its multiple-choice evaluation, and columns under the names of the answers table.
``video`` or ``image_path`` name the performance.
"""

from __future__ import annotations

import csv
import io
import json
import re
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


def read_vlmevalkit(path: Path) -> pl.DataFrame:
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


def read_vlmevalkit_json(path: Path) -> pl.DataFrame:
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


_TASK = re.compile(r"samples_(.+)\.(?:jsonl|ndjson)$")


_FIRST_LINE = 4 * 2**20


def is_lmms_eval(path: Path) -> bool:
    """Tell whether a file of JSON lines is a sample log of lmms-eval, by its first line."""
    try:
        with path.open("rb") as file:
            first = json.loads(file.readline(_FIRST_LINE).decode("utf-8-sig"))
    except (OSError, ValueError, RecursionError):
        return False
    keys = set(first) if isinstance(first, dict) else set()
    return {"doc_id", "target"} <= keys and bool(keys & {"filtered_resps", "resps"}) and "kind" not in keys


def read_lmms_eval(path: Path) -> pl.DataFrame:
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
            _lmms_eval_reply(sample),
            [str(option) for option in options] if isinstance(options, list) and len(options) > 1 else None,
        )
        made.add(found, {"question_id": str(sample["doc_id"]), **item_columns(doc)}, target=sample["target"])
    return made.frame()


def _lmms_eval_reply(sample: dict[str, Any]) -> str:
    """Return the first text of the responses, however deeply they are nested in lists."""
    value = sample.get("filtered_resps") or sample.get("resps")
    for _ in range(4):
        if not isinstance(value, list):
            break
        value = value[0] if value else ""
    return value if isinstance(value, str) else ""
