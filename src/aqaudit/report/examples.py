"""Examples: a few answers of every scope, right, wrong and unreadable, beside what was shown and what was true."""

from __future__ import annotations

import base64
import io
import re
import warnings
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Literal

import polars as pl
from PIL import Image

from aqaudit.audits.scope import narrow
from aqaudit.report.text import clean
from aqaudit.report.verdicts import Scope, number

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    _Thumbnail = Callable[[Path], tuple[str, int, int] | None]

Outcome = Literal["wrong", "right", "unparsed"]
#: Wrong ones first: where room is short they are what a reader must see.
_OUTCOMES: tuple[Outcome, ...] = ("wrong", "right", "unparsed")
MOST = 24
_EACH = 2
_MOST_FRAMES = 8
#: Frames are shown up to this size in pixels (width, height).
_THUMBNAIL = (480, 160)
_MOST_PIXELS = 40_000_000
#: All pictures of a page together, as base64 text, in bytes.
_BUDGET = 3_000_000
#: A score this near the truth, as a share of its scale, is shown as right.
_NEAR = 0.1
_HASH = re.compile(r"[0-9a-f]{64}")
_VIDEO = (".mp4", ".mov", ".webm", ".mkv", ".avi")


@dataclass(frozen=True, slots=True, kw_only=True)
class Picture:
    """A frame as a ``data:`` address, small enough for the page."""

    uri: str
    width: int
    height: int
    alt: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Example:
    """One answer as it is shown: text is cleaned, ``facts`` are name and value."""

    scope: Scope
    outcome: Outcome
    title: str
    truth: str
    answer: str
    said: str
    reasoning: str
    facts: tuple[tuple[str, str], ...]
    pictures: tuple[Picture, ...]
    note: str


def choose(frame: pl.DataFrame, scopes: Sequence[Scope]) -> list[tuple[Scope, Outcome, dict[str, object]]]:
    """Return at most 24 rows: for every scope one wrong, one right and one unreadable, then a second of each.

    Which rows is decided by their answer keys alone, so the same answers give the same examples.
    """
    ranked: list[tuple[int, int, int, Scope, dict[str, object]]] = []
    for place, scope in enumerate(scopes):
        rows = narrow(frame, dict(scope)).sort("answer_key").with_columns(_outcome().alias("outcome"))
        for order, outcome in enumerate(_OUTCOMES):
            picked = rows.filter(pl.col("outcome") == outcome).head(_EACH)
            ranked += [(turn, order, place, scope, row) for turn, row in enumerate(picked.iter_rows(named=True))]
    ranked.sort(key=lambda item: item[:3])
    kept = sorted(ranked[:MOST], key=lambda item: (item[2], item[1], item[0]))
    return [(scope, _OUTCOMES[order], row) for _, order, _, scope, row in kept]


def examples(
    frame: pl.DataFrame,
    scopes: Sequence[Scope],
    media: Path | None,
    *,
    frames: bool = True,
    hidden: frozenset[str] = frozenset(),
) -> list[Example]:
    """Return the chosen answers ready for the page; ``media`` is the folder of stored files, by hash.

    No picture is shown without ``frames``, nor of the data sets that are ``hidden``.
    """
    shown: list[Example] = []
    left = _BUDGET
    thumbnail = cache(_thumbnail)  # several answers show the same frames
    for scope, outcome, row in choose(frame, scopes):
        if frames and row["dataset"] not in hidden:
            pictures, note = _pictures(row, media, left, thumbnail)
        else:
            pictures, note = (), "Pictures of this data set may not be shown." if frames else ""
        left -= sum(len(picture.uri) for picture in pictures)
        shown.append(_example(scope, outcome, row, pictures, note))
    return shown


def _outcome() -> pl.Expr:
    kind = pl.col("kind")
    span = (pl.col("scale_max") - pl.col("scale_min")).fill_null(
        pl.col("gold_score").max() - pl.col("gold_score").min()
    )
    right = (
        pl.when(kind.is_in(["verify", "detect"]))
        .then(pl.col("says_correct") == pl.col("gold_correct"))
        .when(kind == "choose")
        .then(pl.col("choice") == pl.col("gold_choice"))
        .when(kind == "prefer")
        .then(pl.col("prefer") == pl.col("gold_prefer"))
        .otherwise((pl.col("score") - pl.col("gold_score")).abs() <= _NEAR * span)
    )
    read = pl.col("parse") == "ok"
    return pl.when(~read).then(pl.lit("unparsed")).when(right).then(pl.lit("right")).when(~right).then(pl.lit("wrong"))


def _example(
    scope: Scope, outcome: Outcome, row: Mapping[str, object], pictures: tuple[Picture, ...], note: str
) -> Example:
    about = row["criterion"] or row["error"]
    named = ("performance_id", "other_id", "performer", "action", "criterion", "error", "view", "framing", "strategy")
    counted = ("frames_sent", "prompt_id", "question_id", "finish_reason", "parse")
    facts = tuple(
        (name.replace("_", " "), clean(row[name], 120)) for name in (*named, *counted) if row[name] is not None
    )
    title = ", ".join(clean(part, 60) for part in (row["action"], about) if part)
    return Example(
        scope=scope,
        outcome=outcome,
        title=title or clean(row["question_id"], 60),
        truth=_truth(row),
        answer=_answer(row),
        said=clean(row["said"], 2000, lines=True),
        reasoning=clean(row["reasoning"], 6000, lines=True),
        facts=facts,
        pictures=pictures,
        note=note,
    )


_EXECUTION = {True: "the execution is correct", False: "the execution has the error", None: "unknown"}


def _truth(row: Mapping[str, object]) -> str:
    match row["kind"]:
        case "verify" | "detect":
            return _EXECUTION[_claim(row["gold_correct"])]
        case "choose":
            return clean(row["gold_choice"], 200) or "unknown"
        case "prefer":
            return _better(row, row["gold_prefer"])
        case _:
            scale = f" on a scale from {_plain(row['scale_min'])} to {_plain(row['scale_max'])}"
            return f"{_plain(row['gold_score'])}{scale if row['scale_max'] is not None else ''}"


def _answer(row: Mapping[str, object]) -> str:
    if row["parse"] != "ok":
        return {
            "refused": "the model refused to answer",
            "out_of_range": f"outside what was asked for: {clean(row['answered'], 80)}".rstrip(": "),
            "truncated": "the answer was cut off",
        }.get(str(row["parse"]), "no verdict found in the answer")
    match row["kind"]:
        case "verify" | "detect":
            return _EXECUTION[_claim(row["says_correct"])]
        case "choose":
            return clean(row["choice"], 200)
        case "prefer":
            return _better(row, row["prefer"])
        case _:
            return _plain(row["score"])


def _better(row: Mapping[str, object], preferred: object) -> str:
    ids = {"this": row["performance_id"], "other": row["other_id"]}
    if preferred in ids:
        return f"{clean(ids[str(preferred)], 80) or f'the performance called {preferred}'} is better"
    return "both are equally good" if preferred == "tie" else "unknown"


def _claim(value: object) -> bool | None:
    return value if isinstance(value, bool) else None


def _plain(value: object) -> str:
    return number(value, "unknown") if isinstance(value, float) else "unknown"


def _pictures(
    row: Mapping[str, object], media: Path | None, budget: int, thumbnail: _Thumbnail
) -> tuple[tuple[Picture, ...], str]:
    """Return the frames of one answer and a note on what is not shown."""
    sent = row["media_sha256"]
    # Names from the table become paths: only what is a hash may.
    hashes = [h for h in sent if isinstance(h, str) and _HASH.fullmatch(h)] if isinstance(sent, list) else []
    if not hashes:
        return (), "No pictures were sent, or their hashes are not recorded."
    if media is None or not media.is_dir():
        return (), "The pictures are not beside these answers."
    notes: list[str] = []
    picked = [hashes[round(i * (len(hashes) - 1) / max(1, _MOST_FRAMES - 1))] for i in range(_MOST_FRAMES)]
    if len(hashes) <= _MOST_FRAMES:
        picked = hashes
    else:
        notes.append(f"{_MOST_FRAMES} of the {len(hashes):,} frames sent, evenly spaced.")
    pictures: list[Picture] = []
    for place, sha in enumerate(picked, start=1):
        folder = media / sha[:2]
        if any((folder / f"{sha}{suffix}").is_file() for suffix in _VIDEO):
            notes.append("The clip was sent as a video file, which is not shown here.")
            continue
        small = thumbnail(folder / f"{sha}.jpg") or thumbnail(folder / f"{sha}.png")
        if small is None:
            notes.append("A picture is missing or could not be read.")
            continue
        uri, wide, high = small
        if len(uri) > budget:
            notes.append("More pictures would make this page too large.")
            break
        budget -= len(uri)
        pictures.append(Picture(uri=uri, width=wide, height=high, alt=f"Frame {place} of {len(picked)} shown"))
    return tuple(pictures), " ".join(dict.fromkeys(notes))


def _thumbnail(path: Path) -> tuple[str, int, int] | None:
    if not path.is_file() or path.is_symlink():
        return None
    try:
        with warnings.catch_warnings(), Image.open(path, formats=("JPEG", "PNG")) as image:
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            if image.width * image.height > _MOST_PIXELS:
                return None
            # Before anything else touches the pixels, so that a large JPEG is decoded at a fraction of its size.
            image.thumbnail(_THUMBNAIL)
            small = image.convert("RGB")
        out = io.BytesIO()
        small.save(out, "JPEG", quality=70)
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError, Image.DecompressionBombWarning):
        return None
    return f"data:image/jpeg;base64,{base64.b64encode(out.getvalue()).decode()}", small.width, small.height
