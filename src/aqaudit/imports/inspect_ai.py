"""Logs of Inspect AI (``.eval``, ``.json``) read as answers, and answers written as such logs.

A log is a zip of JSON: ``header.json``, ``summaries.json``, ``samples/ID_epoch_N.json`` and a ``_journal``, as
inspect_ai 0.3 writes and reads them (log format version 2). Nothing of Inspect is needed. Written is one log a model
and one sample an answer, pictures by reference; the same answers give the same bytes.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
import re
import zipfile
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import polars as pl

from aqaudit.core.records import LETTERS, TRUE_FALSE, BadInput, claims
from aqaudit.core.table import SCHEMA, TRUTH_AND_ANSWER, outcome
from aqaudit.imports import bounded, rows
from aqaudit.imports.rows import NamedRows, item_columns, plain, typed

_SAMPLE = re.compile(r"samples/.+\.json")
SCORER = "aqaudit"
#: Inspect opens the model that a log names before it scores one; under this provider it can open any, and ask none.
_PROVIDER = "none/"
#: A zip knows no time before this; a fixed one keeps the bytes the same.
_NO_TIME = (1980, 1, 1, 0, 0, 0)
_BEGINNING = "1970-01-01T00:00:00+00:00"
_VALUES = {"right": "C", "wrong": "I"}
_NO_ANSWER = "N"
_STOPS = {"stop": "stop", "length": "max_tokens", "max_tokens": "max_tokens", "content_filter": "content_filter"}
#: What a sample is named by, besides the order of its options; the repeat is its epoch.
_NAMED = (
    *("dataset", "task", "kind", "question_id", "performance_id", "other_id"),
    *("view", "strategy", "framing", "answer_words", "perturbation", "media_form", "fps_asked", "shots"),
    *("pair_order", "thinking", "temperature", "max_tokens"),
)
_PLAN: dict[str, object] = {"name": "plan", "steps": [], "config": {}}
#: Columns that are no metadata of a sample: they stand elsewhere in it.
_NOT_METADATA = frozenset({"said", "reasoning", "media_sha256", "sample_id", "epoch", "outcome"})
#: Suffixes of stored files.
_SUFFIXES = (".jpg", ".png", ".mp4")


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
        _add_sample(made, sample)
    return made.frame()


def _add_sample(made: NamedRows, sample: dict[str, Any]) -> None:
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
    found = rows.row(str(first), said, options) if plain(first) else None
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
    first = choices[0] if isinstance(choices, list) and choices else None
    message = first.get("message") if isinstance(first, dict) else None
    content = message.get("content") if isinstance(message, dict) else None
    parts = [part for part in content if isinstance(part, dict)] if isinstance(content, list) else []
    reasoning = [str(part.get("reasoning") or "") for part in parts if part.get("type") == "reasoning"]
    said = output.get("completion")
    if not isinstance(said, str) or not said:
        texts = [str(part["text"]) for part in parts if isinstance(part.get("text"), str)]
        said = content if isinstance(content, str) else "\n".join(texts)
    return said, "\n".join(reasoning).strip() or None


def target(row: Mapping[str, object]) -> str:
    """Return the right word, letter or number for one row of the answers table; empty where the truth is not known."""
    kind = row["kind"]
    if kind in {"verify", "detect"}:
        return _word(row)
    if kind == "choose":
        return _letter(row)
    if kind == "prefer":
        if row["gold_prefer"] not in {"this", "other"}:
            return ""
        better_first = (row["gold_prefer"] == "this") == (row["pair_order"] != "ba")
        # The negative wording asks which of the two is worse.
        return TRUE_FALSE["a_b"][0 if better_first == (row["framing"] != "negative") else 1]
    gold = row["gold_score"]
    return f"{gold:g}" if isinstance(gold, float) else ""


def _word(row: Mapping[str, object]) -> str:
    gold, words, framing = row["gold_correct"], row["answer_words"] or "true_false", row["framing"]
    if gold is None or words not in TRUE_FALSE or framing not in {"positive", "negative", "neutral"}:
        return ""
    order = row["option_order"]
    said = claims(framing, words, tuple(order) if isinstance(order, list) else ())
    return next((word for word, correct in said.items() if correct == gold), "")


def _letter(row: Mapping[str, object]) -> str:
    options, gold, order = row["options"], row["gold_choice"], row["option_order"]
    if not isinstance(options, list) or gold not in options:
        return ""
    place = options.index(gold)
    shown = order if isinstance(order, list) and sorted(order) == list(range(len(options))) else range(len(options))
    return LETTERS[list(shown).index(place)] if place < len(LETTERS) else ""


def write_logs(frame: pl.DataFrame, out: Path, *, media: Path, prompts: Mapping[str, str]) -> list[Path]:
    """Write one log a model and return the paths.

    Parameters
    ----------
    frame
        Answers, as :func:`aqaudit.imports.answers.read_answers` returns them.
    out
        A file ``.eval`` where the answers are one model's, else a folder.
    media
        Folder of the stored files, which samples refer to as ``media/ab/HASH.jpg``; they are not copied.
    prompts
        Answer key -> what was asked in full, where it is known.

    Raises
    ------
    BadInput
        There are no answers, several models for one file, or the log cannot be written.
    """
    models = sorted(frame["model"].unique())
    if not models:
        raise BadInput(f"{out}: there are no answers to export")
    if out.suffix == ".eval" and len(models) > 1:
        raise BadInput(f"{out}: a log holds one model, the answers are of {', '.join(models)}; name a folder with -o")
    names = [out] if out.suffix == ".eval" else [out / f"{name}.eval" for name in _file_names(models)]
    try:
        for path, model in zip(names, models, strict=True):
            path.parent.mkdir(parents=True, exist_ok=True)
            partial = path.with_name(f".{path.name}.{os.getpid()}.part")
            try:
                _write(frame.filter(pl.col("model") == model), model, partial, media, prompts)
                partial.replace(path)
            finally:
                partial.unlink(missing_ok=True)
    except OSError as error:
        raise BadInput(f"{out}: cannot be written: {error.strerror}; choose another place with -o") from error
    return names


def _file_names(models: list[str]) -> list[str]:
    plain = ["".join(c if c.isascii() and (c.isalnum() or c in "-_.") else "-" for c in name)[:80] for name in models]
    # Names that differ only in what a file name cannot hold are told apart by their hash.
    return [
        name if plain.count(name) == 1 and name.strip(".-") else f"{name}-{_digest(model)[:8]}"
        for name, model in zip(plain, models, strict=True)
    ]


def _write(frame: pl.DataFrame, model: str, path: Path, media: Path, prompts: Mapping[str, str]) -> None:
    rows = _numbered(frame)
    summaries = []
    spec = _spec(rows, model)
    with zipfile.ZipFile(path, "w") as log:
        _add(log, "_journal/start.json", {"version": 2, "eval": spec, "plan": _PLAN})
        for row in rows.iter_rows(named=True):
            sample = _sample(row, media, prompts.get(row["answer_key"], ""))
            _add(log, f"samples/{sample['id']}_epoch_{sample['epoch']}.json", sample)
            summaries.append(_summary(sample))
        _add(log, "_journal/summaries/1.json", summaries)
        _add(log, "summaries.json", summaries)
        _add(log, "header.json", _header(rows, spec))


def _add(log: zipfile.ZipFile, name: str, content: object) -> None:
    entry = zipfile.ZipInfo(name, _NO_TIME)
    entry.compress_type = zipfile.ZIP_DEFLATED
    log.writestr(entry, json.dumps(content, ensure_ascii=False, allow_nan=False))


def _numbered(frame: pl.DataFrame) -> pl.DataFrame:
    """Return the answers in a fixed order with ``sample_id``, the same for repeats, and ``epoch``, counted from 1."""
    named = [pl.col(name).cast(pl.String) for name in _NAMED]
    named.append(pl.col("option_order").cast(pl.List(pl.String)).list.join(","))
    text = pl.concat_str([one.fill_null("\x00") for one in named], separator="\x1f")
    return (
        frame.with_columns(outcome().alias("outcome"), text.alias("sample_id"))
        .sort("sample_id", "repeat", "seed", "answer_key", nulls_last=True)
        .with_columns(pl.int_range(1, pl.len() + 1).over("sample_id").alias("epoch"))
        .with_columns(pl.col("sample_id").map_elements(lambda one: _digest(one)[:24], return_dtype=pl.String))
    )


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "replace")).hexdigest()


def _spec(rows: pl.DataFrame, model: str) -> dict[str, object]:
    tasks = sorted(rows["task"].unique())
    ids = rows["sample_id"].unique().sort().to_list()
    studies = ", ".join(sorted(rows["study"].unique()))
    times = rows["asked_at"].drop_nulls()
    made = _digest("\x1f".join(sorted(rows["answer_key"])))[:22]
    return {
        "eval_id": made,
        "run_id": made,
        "created": _time(times.min()) or _BEGINNING,
        "task": tasks[0] if len(tasks) == 1 else studies or "aqaudit",
        "task_id": made,
        "task_version": 0,
        "task_attribs": {},
        "task_args": {},
        "dataset": {"name": ", ".join(sorted(rows["dataset"].unique())), "samples": len(ids), "sample_ids": ids},
        "model": _PROVIDER + model,
        "model_generate_config": {},
        "model_args": {},
        "config": {"epochs": int(rows["epoch"].max() or 1)},  # type: ignore[arg-type]
        "packages": {"aqaudit": version("aqaudit")},
        "metadata": {
            "made_by": f"AQAudit {version('aqaudit')}",
            "study": studies,
            "model_versions": sorted(rows["model_version"].drop_nulls().unique()),
            "prompts": "re-created, not those of arXiv 2604.08294",
        },
    }


def _header(rows: pl.DataFrame, spec: Mapping[str, object]) -> dict[str, object]:
    times = rows["asked_at"].drop_nulls()
    usage = _usage({name: rows[name].sum() for name in ("input_tokens", "output_tokens", "reasoning_tokens")})
    return {
        "version": 2,
        "status": "success",
        "eval": dict(spec),
        "plan": _PLAN,
        "results": {"total_samples": rows.height, "completed_samples": rows.height, "scores": []},
        "stats": {
            "started_at": _time(times.min()),
            "completed_at": _time(times.max()),
            "model_usage": {str(spec["model"]): usage},
        },
    }


def _sample(row: Mapping[str, object], media: Path, prompt: str) -> dict[str, object]:
    said, reasoning = str(row["said"] or ""), row["reasoning"]
    asked = [{"type": "text", "text": prompt or f"(prompt {row['prompt_id'] or 'not recorded'})"}, *_media(row, media)]
    content: object = said
    if reasoning:
        content = [{"type": "reasoning", "reasoning": reasoning}, {"type": "text", "text": said}]
    question = {"id": "asked", "role": "user", "content": asked}
    answer = {"id": "answer", "role": "assistant", "content": content, "source": "generate", "model": row["model"]}
    usage = _usage(row)
    stop = _STOPS.get(str(row["finish_reason"] or ""), "unknown")
    return {
        "id": row["sample_id"],
        "epoch": row["epoch"],
        "input": [question],
        "target": target(row),
        "messages": [question, answer],
        "output": {
            "model": row["model_version"] or row["model"],
            "choices": [{"message": answer, "stop_reason": stop}],
            "completion": said,
            "usage": usage,
            "time": _finite(row["seconds"]),
        },
        "scores": {SCORER: _score(row)},
        "metadata": {
            name: _plain(value) for name, value in row.items() if name not in _NOT_METADATA and value is not None
        },
        "store": {},
        "events": [],
        "model_usage": {str(row["model"]): usage},
        "total_time": _finite(row["seconds"]),
        "attachments": {},
    }


def _media(row: Mapping[str, object], media: Path) -> Iterator[dict[str, object]]:
    """Yield what was sent, in its order, as references; a file that is no longer there is named by its hash."""
    sent = row["media_sha256"]
    for sha in sent if isinstance(sent, list) else ():
        if not isinstance(sha, str) or not sha.isalnum():
            continue
        suffix = next((s for s in _SUFFIXES if (media / sha[:2] / f"{sha}{s}").is_file()), None)
        where = f"media/{sha[:2]}/{sha}{suffix}"
        if suffix is None:
            yield {"type": "text", "text": f"(a file with SHA-256 {sha})"}
        elif suffix == ".mp4":
            yield {"type": "video", "video": where, "format": "mp4"}
        else:
            yield {"type": "image", "image": where}


def _score(row: Mapping[str, object]) -> dict[str, object]:
    """Return AQAudit's own reading of an answer: C, I or N (not read); of scores the number that was given."""
    value: object = _VALUES.get(str(row["outcome"]), _NO_ANSWER)
    if row["kind"] == "score" and row["parse"] == "ok":
        value = _finite(row["score"])
    answered = row["answered"]
    return {
        "value": _NO_ANSWER if value is None else value,
        "answer": None if answered is None else str(answered),
        "explanation": f"parse: {row['parse']}",
    }


def _plain(value: object) -> object:
    if isinstance(value, float):
        return _finite(value)
    return value if isinstance(value, str | int | bool | list) else str(value)


def _summary(sample: Mapping[str, object]) -> dict[str, object]:
    asked = sample["input"]
    plain = [
        {**message, "content": [p if p["type"] == "text" else {"type": "text", "text": f"({p['type']})"}
                                for p in message["content"]]}
        for message in asked  # type: ignore[attr-defined]
    ]  # fmt: skip
    kept = ("id", "epoch", "target", "metadata", "scores", "model_usage", "total_time")
    return {**{name: sample[name] for name in kept}, "input": plain, "completed": True, "message_count": 2}


def _usage(row: Mapping[str, object]) -> dict[str, int]:
    given, made = (int(row[name] or 0) for name in ("input_tokens", "output_tokens"))  # type: ignore[call-overload]
    usage = {"input_tokens": given, "output_tokens": made, "total_tokens": given + made}
    if row["reasoning_tokens"]:
        usage["reasoning_tokens"] = int(row["reasoning_tokens"])  # type: ignore[call-overload]
    return usage


def _finite(value: object) -> float | None:
    return value if isinstance(value, float) and math.isfinite(value) else None


def _time(value: object) -> str:
    moment: datetime | None = value  # type: ignore[assignment]
    return "" if moment is None else moment.isoformat()
