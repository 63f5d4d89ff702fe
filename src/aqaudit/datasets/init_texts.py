"""The texts of ``dataset.toml`` and ``study.toml`` that ``aqaudit init`` writes, with comments on what to edit."""

from __future__ import annotations

import json
import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from aqaudit.datasets.labels import Column, LabelTable

_KINDS = {"criterion": "verify", "error": "detect", "choice": "choose", "score": "score"}


def dataset_toml(
    name: str,
    lines: Sequence[Mapping[str, object]],
    table: LabelTable | None,
    left_out: Sequence[str],
    *,
    has_frames: bool,
) -> str:
    """Return the text of ``dataset.toml``.

    Parameters
    ----------
    name
        Name of the data set.
    lines
        The lines of ``clips.jsonl``.
    table
        The table of labels, if there is one.
    left_out
        Clips that the table does not name.
    has_frames
        Whether there are folders of numbered frames, whose rate is a guess.
    """
    parts = [
        "# What may be asked about the clips in clips.jsonl. Check, from this folder: aqaudit data check folder .",
        "# File names and ids are never shown to a model, even where they tell the label.",
        "# Actions (from folder names or the table) and the texts below are shown: none of them may tell a label.",
        f"name = {quoted(name)}",
        'licence = ""',
        'citation = ""',
        "allow_upload = false   # true: clips may be sent to servers outside this machine",
        "",
    ]
    if has_frames:
        parts += ["# The rate of numbered frames is not known: check every fps in clips.jsonl.", ""]
    if left_out:
        shown = ", ".join(json.dumps(one) for one in left_out[:5])
        more = f" and {len(left_out) - 5:,} more" if len(left_out) > 5 else ""
        parts += [f"# Clips that the table of labels does not name were left out: {shown}{more}.", ""]
    columns = [] if table is None else [column for column in table.columns if column.meaning in _KINDS]
    if not columns:
        return "\n".join(parts) + _examples(lines)
    tags = [column.header for column in table.columns if column.meaning == "tag"] if table else []
    if tags:
        parts += [f"# Columns kept as tags (for breakdowns, never asked): {', '.join(map(json.dumps, tags))}.", ""]
    for column in columns:
        parts += _declarations(column, lines)
    return "\n".join(parts)


def study_toml(name: str, lines: Sequence[Mapping[str, object]], *, pairs: bool = False) -> str:
    """Return the text of ``study.toml``: a study of every label, with the simulated judge until a model is named.

    ``pairs`` asks as well which of two performances is better.
    """
    keys = {"verify": "criteria", "detect": "errors", "choose": "choices", "score": "scores"}
    tasks = [kind for kind, key in keys.items() if any(line.get(key) for line in lines)]
    tasks += ["prefer"] if pairs else []
    note = ""
    if not tasks:
        tasks = ["verify", "detect"]
        note = "# There are no labels yet: add criteria or errors to dataset.toml and to every line of clips.jsonl.\n"
    return f"""\
# From this folder: aqaudit run study.toml --dry-run, then aqaudit run study.toml
{note}name = {quoted(name)}
seed = 7

[[dataset]]
reader = "folder"
root = "."                 # from the place of this file
tasks = {json.dumps(tasks)}   # allowed: verify, detect, choose, score, prefer

[grid]                     # every list is a factor: all combinations are asked
model = ["simulated"]
view = ["rgb"]
strategy = ["base"]
framing = ["positive", "negative"]
perturbation = ["none", "blank"]   # blank shows nothing: what is right without looking?
fps = ["default"]

# A judge with planted flaws that is told the truth. It needs no model, and its figures say nothing about any model.
[models.simulated]
provider = "simulated"
skill = 0.5                # share of questions in which it sees the truth
bias = 0.8                 # else it says "correct" this often

# A real model: put its name into grid.model in place of "simulated". Any OpenAI-compatible server will do.
# [models.local]
# provider = "openai"
# model = "Qwen/Qwen3-VL-8B-Instruct"
# base_url = "http://127.0.0.1:8000/v1"
# media_form = "frames"
"""


def _declarations(column: Column, lines: Sequence[Mapping[str, object]]) -> list[str]:
    """Return the entries of a column: one for each action that has a label, one in all for a scale."""
    words = column.name.replace("_", " ")
    if column.meaning == "score":
        numbers = [float(value) for value in column.known if isinstance(value, int | float)]
        low, high = _rounded_outward(min(numbers), max(numbers))
        return [
            "[[scale]]",
            f"id = {quoted(column.name)}",
            f"# EDIT: the ends of the scale. Seen in the table: {min(numbers):g} to {max(numbers):g}. Higher = better.",
            f"min = {low!r}",
            f"max = {high!r}",
            "",
        ]
    key = {"criterion": "criteria", "error": "errors", "choice": "choices"}[column.meaning]
    actions = sorted({str(line["action"]) for line in lines if column.name in _labels(line, key)})
    entries: list[str] = []
    for action in actions:
        entries += [f"[[{column.meaning}]]", f"id = {quoted(column.name)}", f"action = {quoted(action)}"]
        if column.meaning == "criterion":
            entries += [
                "# EDIT: a plain statement, and its exact opposite in the same plain words.",
                f"positive = {quoted(f'The following is true of this execution: {words}.')}",
                f"negative = {quoted(f'The following is not true of this execution: {words}.')}",
                "",
            ]
        elif column.meaning == "error":
            entries += [
                "# EDIT: a plain statement that the error happens.",
                f"statement = {quoted(f'The following error happens: {words}.')}",
                "",
            ]
        else:
            options = sorted({str(value) for value in column.known})
            entries += [
                "# EDIT: the question.",
                f"question = {quoted(f'Which is right for this execution ({words})?')}",
                f"options = {json.dumps(options, ensure_ascii=False)}",
                "",
            ]
    return entries


def _examples(lines: Sequence[Mapping[str, object]]) -> str:
    """Return commented entries for the first action, as there are no labels."""
    action = quoted(min(str(line["action"]) for line in lines))
    return f"""
# What to fill in: declare what can be asked, then say in every line of clips.jsonl what is true, for example
#   {{"id": ..., "criteria": {{"heels_down": true}}, "errors": {{"knees_inward": [[0.8, 2.1]]}}, "performer": "s01"}}
# errors: [] = absent, [[from, to]] in seconds or true = present, left out = unknown. Name the performer: it is the
# cluster of every interval.

# [[criterion]]
# id = "heels_down"
# action = {action}
# positive = "Both heels stay on the floor throughout."
# negative = "At least one heel leaves the floor."

# [[error]]
# id = "knees_inward"
# action = {action}
# statement = "The knees move inward."
"""


def _labels(line: Mapping[str, object], key: str) -> Mapping[str, object]:
    labels = line.get(key)
    return labels if isinstance(labels, dict) else {}


def _rounded_outward(low: float, high: float) -> tuple[float, float]:
    """Round the ends of a range outward to one figure of its size; a single value gets room on both sides."""
    if low == high:
        low, high = min(low, 0.0), max(high, low + 1)
    unit = 10.0 ** math.floor(math.log10(high - low))
    return round(math.floor(low / unit) * unit, 12), round(math.ceil(high / unit) * unit, 12)


def quoted(text: str) -> str:
    """Return a text as TOML writes it."""
    # a JSON text is a TOML text, but for the delete character
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")
