"""Logs of Inspect AI: ``.eval`` (a zip of ``header.json`` and ``samples/ID_epoch_N.json``) or one ``.json``.

Read are the task, data set and model of the log, and of every sample ``id``, ``epoch``, ``target``, ``choices``,
``output``, the reasoning in its message, and ``metadata`` where it has the names of the answers table's columns. A log
that AQAudit exported holds all columns there, and gives the same table back.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from aqaudit.imports import bounded, replies
from aqaudit.imports.frame import NamedRows, item_columns, plain, typed
from aqaudit.records import BadInput
from aqaudit.table import SCHEMA, TRUTH_AND_ANSWER

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    import polars as pl

_SAMPLE = re.compile(r"samples/.+\.json")


def read_eval(path: Path) -> pl.DataFrame:
    """Return the answers of a ``.eval`` file."""
    with bounded.Archive(path) as log:
        names = set(log.names())
        head = next((name for name in ("header.json", "_journal/start.json") if name in names), None)
        if head is None:
            raise BadInput(f"{path}: is no log of Inspect: it holds neither header.json nor _journal/start.json")
        header = bounded.loads(log.read(head), f"{path}: {head}")
        samples = (
            bounded.loads(log.read(name), f"{path}: {name}") for name in sorted(names) if _SAMPLE.fullmatch(name)
        )
        return _frame(path, header, samples)


def read_json(path: Path) -> pl.DataFrame | None:
    """Return the answers of a ``.json`` log; None where the file is something else."""
    log = bounded.loads(bounded.text(path), str(path))
    if not isinstance(log, dict) or not {"eval", "samples"} <= set(log) or not isinstance(log["samples"], list):
        return None
    return _frame(path, log, log["samples"])


def _frame(path: Path, header: object, samples: Iterable[Any]) -> pl.DataFrame:
    spec = header.get("eval") if isinstance(header, dict) else None
    if not isinstance(spec, dict):
        raise BadInput(f"{path}: is no log of Inspect: its header has no 'eval'")
    dataset = spec.get("dataset")
    made = NamedRows(
        path,
        model=str(spec.get("model") or ""),
        dataset=str((dataset.get("name") if isinstance(dataset, dict) else None) or spec.get("task") or ""),
        study=str(spec.get("task") or ""),
    )
    for sample in samples:
        if not isinstance(sample, dict) or "id" not in sample:
            raise BadInput(f"{path}: holds a sample without an id")
        _add(made, sample)
    return made.frame()


def _add(made: NamedRows, sample: dict[str, Any]) -> None:
    metadata = sample["metadata"] if isinstance(sample.get("metadata"), dict) else {}
    if ours := _exported(metadata):
        said, reasoning = _said(sample)
        made.add({**ours, "said": said, "reasoning": reasoning}, {"question_id": ours["question_id"]}, target="")
        return
    target = sample.get("target")
    first = target[0] if isinstance(target, list) and target else target
    choices = sample.get("choices")
    options = [str(choice) for choice in choices] if isinstance(choices, list) and len(choices) > 1 else None
    said, reasoning = _said(sample)
    found = replies.row(str(first), said, options) if plain(first) else None
    if found is not None and reasoning is not None:
        found["reasoning"] = reasoning
    if sample.get("error") and found is not None and found["parse"] != "ok":
        return  # a failed request is no answer
    item: dict[str, Any] = {"question_id": str(sample["id"]), **item_columns(metadata)}
    if isinstance(sample.get("epoch"), int):
        item["repeat"] = max(0, sample["epoch"] - 1)
    made.add(found, item, target=first)


def _exported(metadata: dict[str, Any]) -> dict[str, Any] | None:
    """Return the columns that AQAudit's own export put there, None where it was another's."""
    kind = metadata.get("kind")
    if kind not in TRUTH_AND_ANSWER or not {"answer_key", "question_id"} <= set(metadata):
        return None
    known = {name: value for name, value in metadata.items() if name in SCHEMA}
    return {name: typed(name, value) for name, value in known.items() if plain(value) or isinstance(value, list)}


def _said(sample: dict[str, Any]) -> tuple[str, str | None]:
    """Return the text of a sample's output, and the reasoning that came with it."""
    output = sample["output"] if isinstance(sample.get("output"), dict) else {}
    choices = output.get("choices")
    message = (
        choices[0].get("message") if isinstance(choices, list) and choices and isinstance(choices[0], dict) else None
    )
    content = message.get("content") if isinstance(message, dict) else None
    parts = [part for part in content if isinstance(part, dict)] if isinstance(content, list) else []
    thought = "\n".join(str(part.get("reasoning") or "") for part in parts if part.get("type") == "reasoning").strip()
    text = (
        content
        if isinstance(content, str)
        else "\n".join(str(p["text"]) for p in parts if isinstance(p.get("text"), str))
    )
    completion = output.get("completion")
    return (completion if isinstance(completion, str) and completion else text), thought or None
