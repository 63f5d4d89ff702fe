"""``aqaudit init``: from a folder of clips, with or without a table of labels, to a data set and a study."""

from __future__ import annotations

import json
import math
import os
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from aqaudit.core.records import BadInput, Performance, nearest
from aqaudit.datasets.clips import MEDIA_SUFFIXES
from aqaudit.datasets.declarations import FILE as DECLARATIONS_FILE
from aqaudit.datasets.readers import probe
from aqaudit.datasets.readers.folder import CLIPS_FILE
from aqaudit.datasets.tables import NUMERIC_FACTS, Column, LabelTable, Meaning, read_labels
from aqaudit.media.source import SourceCache, checksum

STUDY_FILE = "study.toml"
#: Without an own rate, numbered frames are taken to be this many a second; the texts written say so.
FRAME_RATE = 25.0

_DEEPEST = 6
_MOST_FILES = 200_000
_SKIPPED = frozenset({"poses", "out", "__pycache__", "__macosx"})
_FRAME = re.compile(r"(?:frame|img|image)?[_-]?\d+\.(?:jpg|jpeg|png)", re.IGNORECASE)
#: Words in a folder's name that make it no name of an exercise: it is generic, or tells the label.
_NO_ACTION = frozenset(
    {"clips", "videos", "video", "images", "frames", "media", "data", "train", "test", "val", "class", "label",
     "score", "correct", "incorrect", "right", "wrong", "good", "bad", "error", "errors", "fault", "faults",
     "faulty", "pass", "fail", "passed", "failed", "true", "false", "positive", "negative", "pos", "neg", "inc",
     "ok", "proper", "improper"}
)  # fmt: skip
#: A folder of fewer numbered pictures is taken for single pictures.
_FEWEST_FRAMES = 8
#: Meaning of a column -> the key of ``clips.jsonl`` that its labels go under.
_LABEL_KEYS: Mapping[Meaning, str] = {
    "criterion": "criteria", "error": "errors", "choice": "choices", "score": "scores", "tag": "tags"
}  # fmt: skip
#: Kind of question -> the key of ``clips.jsonl`` that holds its labels.
_KIND_KEYS = {"verify": "criteria", "detect": "errors", "choose": "choices", "score": "scores"}


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundClip:
    """A clip that was found: its path from the folder, with forward slashes, and whether it is a folder of frames."""

    media: str
    is_frames: bool


def initialise(folder: Path, labels_csv: Path | None = None) -> list[Path]:
    """Write ``dataset.toml``, ``clips.jsonl`` and ``study.toml`` for the clips below a folder.

    Parameters
    ----------
    folder
        Clips (mp4, mov, webm), pictures (jpg, png) and folders of numbered frames, at any depth up to six.
    labels_csv
        Table of labels, a row for each clip; see :func:`aqaudit.datasets.tables.read_labels`. Clips that it does not
        name are left out.

    Returns
    -------
    list of Path
        The three files.

    Raises
    ------
    BadInput
        Where one of the files is there already, no clip is found, a clip cannot be opened, or the table does not
        fit the clips. Nothing is written then.
    """
    if not folder.is_dir():
        raise BadInput(f"{folder} is not a folder of clips{' (it is a file)' if folder.exists() else ''}")
    targets = [folder / name for name in (DECLARATIONS_FILE, CLIPS_FILE, STUDY_FILE)]
    for target in targets:
        if target.exists():
            raise BadInput(f"{target} is there already; edit it, or move it away to start anew")
    clips = list(_clips_below(folder))
    if not clips:
        raise BadInput(f"{folder} holds no clips; looked below it for {', '.join(MEDIA_SUFFIXES)} and numbered frames")
    table = None if labels_csv is None else read_labels(labels_csv)
    lines = _with_ids(map(_bare_line, clips) if table is None else _labelled_lines(clips, table, folder))
    used = {str(line["media"]) for line in lines}
    sums = _checked_and_summed(folder, [clip for clip in clips if clip.media in used])
    for line in lines:
        line["sha256"] = sums[str(line["media"])]
    left_out = [clip.media for clip in clips if clip.media not in used]
    name = re.sub(r"[^a-z0-9._-]+", "-", folder.resolve().name.lower()).strip("-._")[:60] or "my-data"
    texts = [
        _dataset_toml(name, lines, table, left_out, has_frames=any("fps" in line for line in lines)),
        "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines),
        study_toml(name, lines),
    ]
    _write_all(targets, texts)
    return targets


def worked_example(folder: Path) -> list[Path]:
    """Put the bundled probe clips into a folder as a data set of one's own, with a study; return its files of text.

    Raises
    ------
    BadInput
        Where a file of such a name is there already, or the folder cannot be written to. Nothing is written then.
    """
    target = folder / STUDY_FILE
    if target.exists():
        raise BadInput(f"{target} is there already; edit it, or move it away to start anew")
    paths = probe.export(folder)
    lines = [json.loads(line) for line in (folder / CLIPS_FILE).read_text(encoding="utf-8").splitlines()]
    _write_all([target], [study_toml("probe", lines)])
    return [*paths, target]


def _clips_below(folder: Path) -> Iterator[FoundClip]:
    """Find clips, in the order of their paths."""
    seen = 0
    for at, folders, files in os.walk(folder):
        here = Path(at)
        relative = here.relative_to(folder)
        seen += len(files)
        if seen > _MOST_FILES:
            raise BadInput(f"{folder} holds more than {_MOST_FILES:,} files; run it on the folder of the clips")
        deep = len(relative.parts) >= _DEEPEST
        folders[:] = sorted(one for one in folders if not (deep or one.startswith(".") or one.lower() in _SKIPPED))
        media = sorted(name for name in files if name.lower().endswith(MEDIA_SUFFIXES) and not name.startswith("."))
        for name in (*relative.parts, *media):
            if not name.isprintable():
                raise BadInput(f"{here / ascii(name)}: the name is not readable text; rename it")
        numbered = [name for name in media if _FRAME.fullmatch(name)]
        if here != folder and len(numbered) >= _FEWEST_FRAMES and len(numbered) == len(media):
            yield FoundClip(media=relative.as_posix(), is_frames=True)
        else:
            yield from (FoundClip(media=(relative / name).as_posix(), is_frames=False) for name in media)


def _bare_line(clip: FoundClip) -> dict[str, object]:
    # a clip's folder is often its exercise; but an action is shown to the model, so it must not tell the label
    action = re.sub(r"[\W_]+", " ", Path(clip.media).parent.name).strip()
    if not action or not _NO_ACTION.isdisjoint(action.lower().split()):
        action = "exercise"
    line: dict[str, object] = {"media": clip.media, "action": action}
    if clip.is_frames:
        line["fps"] = FRAME_RATE
    return line


def _labelled_lines(clips: Sequence[FoundClip], table: LabelTable, folder: Path) -> list[dict[str, object]]:
    forms = _by_name(clips)
    lines = []
    used: dict[tuple[object, ...], int] = {}
    for row, (number, text) in enumerate(zip(table.lines, table.clips, strict=True)):
        where = f"{table.path}, row {number}"
        clip = _named_clip(text, forms, folder, where)
        line = _bare_line(clip)
        for key, values in table.facts.items():
            if value := values[row]:
                line[key] = _number(value, key, where) if key in NUMERIC_FACTS else value
        if not clip.is_frames:
            line.pop("fps", None)
        first = used.setdefault((clip.media, line.get("start_s"), line.get("end_s")), number)
        if first != number:
            raise BadInput(f"{where}: {text!r} is in row {first} too; give each row its own clip, or start_s and end_s")
        line.update(_labels(table, row))
        lines.append(line)
    return lines


def _labels(table: LabelTable, row: int) -> dict[str, dict[str, object]]:
    """Return what a row says, by the key of ``clips.jsonl``."""
    labels: dict[str, dict[str, object]] = {}
    for column in table.columns:
        value = column.values[row]
        if value is None:
            continue
        # present without times is true, absent is an empty list
        said: object = ([] if value is False else True) if column.meaning == "error" else value
        labels.setdefault(_LABEL_KEYS[column.meaning], {})[column.name] = said
    return labels


def _by_name(clips: Iterable[FoundClip]) -> list[dict[str, list[FoundClip]]]:
    """Return the clips by what a table may call them: path, path without suffix, name, name without suffix."""
    forms: list[dict[str, list[FoundClip]]] = [{}, {}, {}, {}]
    for clip in clips:
        path = Path(clip.media)
        stem = path if clip.is_frames else path.with_suffix("")
        for form, text in zip(forms, (path.as_posix(), stem.as_posix(), path.name, stem.name), strict=True):
            form.setdefault(text, []).append(clip)
    return forms


def _named_clip(text: str, forms: Sequence[Mapping[str, list[FoundClip]]], folder: Path, where: str) -> FoundClip:
    """Return the clip that a cell names, by the first form that fits."""
    wanted = text.replace("\\", "/").removeprefix("./").rstrip("/")
    if Path(wanted).is_absolute():
        wanted = os.path.relpath(wanted, folder.absolute())
    for form in forms:
        found = form.get(wanted, [])
        if len(found) == 1:
            return found[0]
        if found:
            raise BadInput(
                f"{where}: {text!r} may be {found[0].media!r} or {found[1].media!r}; write the path from the folder"
            )
    names = forms[2]
    close = nearest(wanted, names) if len(names) < 5000 else ""
    raise BadInput(f"{where}: {text!r} is no clip below {folder}{close if 'did you mean' in close else ''}")


def _number(value: str, key: str, where: str) -> float:
    try:
        number = float(value)
    except ValueError:
        number = -1.0
    if not 0 <= number < 1e9 or (key == "fps" and number == 0):
        allowed = "frames per second" if key == "fps" else "seconds"
        raise BadInput(f"{where}: {key} is {value!r}; allowed: a number, in {allowed}")
    return number


def _with_ids(lines: Iterable[Mapping[str, object]]) -> list[dict[str, object]]:
    """Return the lines with an id in front: the file's name, numbered where several have it."""
    uses: Counter[str] = Counter()
    stemmed: list[tuple[str, Mapping[str, object]]] = []
    for line in lines:
        media = Path(str(line["media"]))
        stem = str(line.get("id", "") or (media.name if "fps" in line else media.stem))
        stem = re.sub(r"[/\\]+", "-", stem).lstrip(".") or "clip"
        stem = "".join(letter if letter.isprintable() else "-" for letter in stem)
        if "id" in line and stem in uses:
            raise BadInput(f"id {stem!r} is in two rows of the table; every row needs its own id")
        uses[stem] += 1
        stemmed.append((stem, line))
    taken = set(uses)
    counted: Counter[str] = Counter()
    named = []
    for stem, line in stemmed:
        name = stem
        while uses[stem] > 1 and name in taken:
            counted[stem] += 1
            name = f"{stem}-{counted[stem]}"
        taken.add(name)
        named.append({"id": name, **{key: value for key, value in line.items() if key != "id"}})
    return named


def _checked_and_summed(folder: Path, clips: Sequence[FoundClip]) -> dict[str, str]:
    """Open every clip as a run would, and return its checksum; raise at the first that cannot be opened."""
    with SourceCache() as sources:
        for clip in clips:
            sources.describe(
                Performance(
                    id=clip.media,
                    media=folder / clip.media,
                    action="",
                    performer="",
                    video="",
                    fps=FRAME_RATE if clip.is_frames else None,
                )
            )
    return {clip.media: checksum(folder / clip.media) for clip in clips}


def _dataset_toml(
    name: str,
    lines: Sequence[Mapping[str, object]],
    table: LabelTable | None,
    left_out: Sequence[str],
    *,
    has_frames: bool,
) -> str:
    """Return the text of ``dataset.toml``.

    ``lines`` are those of ``clips.jsonl``, ``left_out`` the clips that the table does not name; ``has_frames`` says
    that there are folders of numbered frames, whose rate is a guess.
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
    columns = () if table is None else table.columns
    asked = [column for column in columns if column.meaning != "tag"]
    if not asked:
        return "\n".join(parts) + _examples(lines)
    tags = [column.header for column in columns if column.meaning == "tag"]
    if tags:
        parts += [f"# Columns kept as tags (for breakdowns, never asked): {', '.join(map(json.dumps, tags))}.", ""]
    for column in asked:
        parts += _declarations(column, lines)
    return "\n".join(parts)


def study_toml(name: str, lines: Sequence[Mapping[str, object]], *, pairs: bool = False) -> str:
    """Return the text of ``study.toml``: a study of every label, with the simulated judge until a model is named.

    ``pairs`` asks as well which of two performances is better.
    """
    tasks = [kind for kind, key in _KIND_KEYS.items() if any(line.get(key) for line in lines)]
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

# A judge with simulated biases that is told the truth. It needs no model, and its figures say nothing about any model.
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
    key = _LABEL_KEYS[column.meaning]
    actions = sorted({str(line["action"]) for line in lines if column.name in _example_labels(line, key)})
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


def _example_labels(line: Mapping[str, object], key: str) -> Mapping[str, object]:
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


def _write_all(targets: Sequence[Path], texts: Sequence[str]) -> None:
    """Write all files or none, and never over one that is there."""
    drafts = [target.with_name(f".{target.name}.{os.getpid()}.part") for target in targets]
    made: list[Path] = []
    try:
        for draft, text in zip(drafts, texts, strict=True):
            draft.write_text(text, encoding="utf-8")
        for draft, target in zip(drafts, targets, strict=True):
            if target.exists():
                raise BadInput(f"{target} has appeared meanwhile; nothing was written")  # noqa: TRY301
            draft.replace(target)
            made.append(target)
    except BaseException as error:
        for path in made:
            path.unlink(missing_ok=True)
        if isinstance(error, OSError):
            raise BadInput(f"{targets[0].parent} cannot be written to: {error.strerror}") from None
        raise
    finally:
        for draft in drafts:
            draft.unlink(missing_ok=True)
