"""Examples: a question, what was shown of the performance, what was true, and what every judge made of it."""

from __future__ import annotations

import base64
import io
import re
import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import polars as pl
from PIL import Image

from aqaudit.audits.finding import Finding
from aqaudit.core.auxiliary import AuxiliaryTables
from aqaudit.core.table import outcome
from aqaudit.core.text import clean
from aqaudit.reporting.figures import motion
from aqaudit.reporting.svg import Figure
from aqaudit.reporting.verdicts import VERDICT_ORDER
from aqaudit.reporting.wording import TracedStep, answer_words, cell_words, traced, truth_words

#: Answers with the same of these are to one question and shown together.
ITEM = ("dataset", "question_id", "performance_id", "other_id")
#: Questions, and answers to all of them together, that a page shows.
MOST_ITEMS = 120
MOST_ANSWERS = 720
#: Answers shown of one question.
MOST_OF_ITEM = 24
#: Answers taken of each finding that names some, and of each scope and outcome.
_OF_FINDING = 3
_OF_SCOPE = 2

#: Text of all answers together, in characters; beyond it each text is cut shorter.
_TEXT = 900_000
_LONG, _SHORT = 4000, 300
_MOST_STEPS = 40
#: Settings that tell one answer to a question from another; those that vary in the table name a cell.
_CELL = (
    *("view", "perturbation", "strategy", "framing", "answer_words", "fps_asked", "shots", "pair_order", "thinking"),
    "repeat",
)
_OF_QUESTION = ("question_id", "performance_id", "other_id", "performer", "video", "kind", "split", "options")
_OF_ANSWER = ("frames_sent", "fps_sent", "prompt_id", "finish_reason", "parse", "answered", "p_correct", "answer_key")

#: Frames are shown up to this size in pixels (width, height).
THUMBNAIL = (400, 112)
MOST_FRAMES = 6
#: All pictures of a page together, as base64 text, in bytes.
BUDGET = 2_200_000
_QUALITY = 62
_MOST_PIXELS = 40_000_000
_HASH = re.compile(r"[0-9a-f]{64}")
_VIDEO = (".mp4", ".mov", ".webm", ".mkv", ".avi")


@dataclass(frozen=True, slots=True, kw_only=True)
class Show:
    """What was shown for some of the answers to a question: frames, and a note on those that are not here."""

    name: str
    pictures: tuple[Placed, ...]
    note: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ExampleReply:
    """One answer as it is shown: text is cleaned, ``facts`` are name and value; ``show`` counts from 0."""

    id: str
    model: str
    cell: str
    outcome: str
    says: str
    said: str
    reasoning: str
    steps: tuple[TracedStep, ...]
    prompt: str
    facts: tuple[tuple[str, str], ...]
    show: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Example:
    """One question with its answers; ``left_out`` counts answers that are not shown."""

    id: str
    dataset: str
    action: str
    about: str
    truth: str
    facts: tuple[tuple[str, str], ...]
    shows: tuple[Show, ...]
    motion: Figure | None
    replies: tuple[ExampleReply, ...]
    left_out: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Browser:
    """The examples of a page: filters with their values, prompts by id, and the place of each answer shown."""

    examples: tuple[Example, ...]
    filters: tuple[tuple[str, tuple[str, ...]], ...]
    prompts: tuple[tuple[str, str], ...]
    place_of: Mapping[str, str]
    questions: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Picture:
    """A frame as a ``data:`` address, small enough for the page; ``id`` is its name in the page."""

    id: str
    uri: str
    width: int
    height: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Placed:
    """A picture where it is shown: ``place`` counts the frames sent from 1."""

    picture: Picture
    place: int
    alt: str


def browser(
    frame: pl.DataFrame,
    findings: Sequence[Finding],
    album: Album | None,
    *,
    prompts: Mapping[str, str],
    auxiliary: AuxiliaryTables,
) -> Browser:
    """Return the examples ready for the page.

    Parameters
    ----------
    frame
        Answers, sorted by answer key.
    findings
        What the audits say; answers they name are shown first.
    album
        Where pictures come from; None shows none.
    prompts
        Answer key -> the full text that was asked, where it is known.
    auxiliary
        Tables beside the answers: tagged steps of reasoning, joint angles.
    """
    groups, left_out = sampled(frame, findings)
    making = _Making(frame, groups, album, prompts, auxiliary)
    made = tuple(
        making.example(f"e{place}", rows, lost)
        for place, (rows, lost) in enumerate(zip(groups, left_out, strict=True), start=1)
    )
    return Browser(
        examples=made,
        filters=_filters(made),
        prompts=tuple((name, clean(text, 6000, lines=True)) for text, name in making.prompt_names.items()),
        place_of={
            key: reply.id
            for rows, example in zip(groups, made, strict=True)
            for key, reply in zip(rows["answer_key"], example.replies, strict=True)
        },
        questions=frame.select(ITEM).n_unique(),
    )


class _Making:
    """What is shared while examples are made: pictures, prompts and the room that is left for text."""

    def __init__(
        self,
        frame: pl.DataFrame,
        groups: Sequence[pl.DataFrame],
        album: Album | None,
        prompts: Mapping[str, str],
        auxiliary: AuxiliaryTables,
    ) -> None:
        keys = [key for rows in groups for key in rows["answer_key"]]
        self._varying = [name for name in _CELL if name in frame.columns and frame[name].drop_nulls().n_unique() > 1]
        self._album = album
        self._prompts = prompts
        self._steps = traced(auxiliary.get("trace_steps"), keys)
        self._kinematics = auxiliary.get("kinematics")
        self._text = _TEXT
        texts = dict.fromkeys(prompts[key] for key in keys if key in prompts)
        self.prompt_names = {text: f"prompt-{place}" for place, text in enumerate(texts, start=1)}

    def example(self, name: str, rows: pl.DataFrame, left_out: int) -> Example:
        """Return one question with its answers, which are ``rows``."""
        first = rows.row(0, named=True)
        shows: list[Show] = []
        seen: dict[tuple[object, ...], int] = {}
        replies = []
        for place, row in enumerate(rows.iter_rows(named=True), start=1):
            sent = row["media_sha256"]
            key = (row["view"], row["perturbation"], *(sent or ()))
            if key not in seen:
                seen[key] = len(shows)
                pictures, note = ((), "") if self._album is None else self._album.strip(row["dataset"], sent)
                words = [
                    clean(row["view"], 40),
                    *([clean(row["perturbation"], 40)] if row["perturbation"] != "none" else []),
                ]
                shows.append(Show(name=", ".join(words), pictures=pictures, note=note))
            replies.append(self._reply(f"{name}-{place}", row, seen[key]))
        about = first["error"] or first["criterion"]
        return Example(
            id=name,
            dataset=clean(first["dataset"], 60),
            action=clean(first["action"], 80),
            about=clean(about, 80),
            truth=truth_words(first),
            facts=tuple((k.replace("_", " "), clean(first[k], 200)) for k in _OF_QUESTION if first[k] is not None),
            shows=tuple(shows),
            motion=motion(self._kinematics, str(first["performance_id"])),
            replies=tuple(replies),
            left_out=left_out,
        )

    def _reply(self, name: str, row: Mapping[str, object], show: int) -> ExampleReply:
        limit = _LONG if self._text > 0 else _SHORT
        steps = self._steps.get(str(row["answer_key"]), ())
        said = clean(row["said"], limit // 2, lines=True)
        # Steps are the reasoning, cut up; both would say it twice.
        reasoning = "" if steps else clean(row["reasoning"], limit, lines=True)
        most = _MOST_STEPS if self._text > 0 else 4
        self._text -= len(said) + len(reasoning) + sum(len(step.text) for step in steps[:most])
        return ExampleReply(
            id=name,
            model=clean(row["model"], 80),
            cell=cell_words(row, self._varying),
            outcome=str(row["outcome"]),
            says=answer_words(row),
            said=said,
            reasoning=reasoning,
            steps=steps[:most],
            prompt=self.prompt_names.get(self._prompts.get(str(row["answer_key"]), ""), ""),
            facts=tuple((k.replace("_", " "), clean(row[k], 120)) for k in _OF_ANSWER if row[k] is not None),
            show=show,
        )


def _filters(made: Sequence[Example]) -> tuple[tuple[str, tuple[str, ...]], ...]:
    """Return name and values of every filter that has something to choose from."""
    replies = [reply for example in made for reply in example.replies]
    values = (
        ("data set", {example.dataset for example in made}),
        ("action", {example.action for example in made}),
        ("criterion", {example.about for example in made}),
        ("answer", {reply.outcome for reply in replies}),
        ("model", {reply.model for reply in replies}),
        ("cell", {reply.cell for reply in replies}),
    )
    return tuple((name, tuple(sorted(found - {""}))) for name, found in values if len(found - {""}) > 1)


def sampled(frame: pl.DataFrame, findings: Sequence[Finding]) -> tuple[list[pl.DataFrame], list[int]]:
    """Return the answers to each question that is shown, and how many of its answers are left out.

    Questions that the worst findings point to come first; where there are few questions, all are shown. Which ones is
    decided by findings and answer keys alone, so the same answers give the same examples.

    Parameters
    ----------
    frame
        Answers, sorted by answer key.
    findings
        What the audits say; their ``rows`` are answers worth showing.
    """
    if frame.is_empty():
        return [], []
    item = pl.concat_str([pl.col(name).cast(pl.String).fill_null("") for name in ITEM], separator="\x1f")
    marked = frame.with_columns(outcome().alias("outcome"), item.alias("item"))
    item_of = dict(zip(marked["answer_key"].to_list(), marked["item"].to_list(), strict=True))
    order = list(dict.fromkeys(_wanted(marked, findings, item_of)))[:MOST_ITEMS]
    groups = marked.filter(pl.col("item").is_in(order)).partition_by("item", as_dict=True, maintain_order=True)
    named = {key for finding in findings for key in finding.rows}
    shown: list[pl.DataFrame] = []
    left_out: list[int] = []
    room = MOST_ANSWERS
    cell = [c for c in ("model", "view", "strategy", "perturbation", "framing", "answer_key") if c in frame.columns]
    for question in order:
        whole = groups[question,]
        rows = whole.sort(~pl.col("answer_key").is_in(list(named)), "answer_key").head(MOST_OF_ITEM)
        if rows.height > room:
            break
        room -= rows.height
        # What was asked of the clip as it is comes before what was asked of a spoilt one.
        shown.append(rows.sort(pl.col("perturbation") != "none", *cell, nulls_last=True))
        left_out.append(whole.height - rows.height)
    return shown, left_out


def _wanted(marked: pl.DataFrame, findings: Iterable[Finding], item_of: dict[str, str]) -> Iterator[str]:
    by_severity = sorted(
        (f for f in findings if f.rows),
        key=lambda f: (not f.headline, VERDICT_ORDER.index(f.verdict), f.audit, f.measure, sorted(f.scope.items())),
    )
    for finding in by_severity:
        yield from [item_of[key] for key in finding.rows if key in item_of][:_OF_FINDING]
    scope = [c for c in ("model", "dataset", "task", "kind", "view", "strategy") if c in marked.columns]
    firsts = (
        marked.sort("answer_key")
        .with_columns(pl.int_range(pl.len()).over([*scope, "outcome"]).alias("turn"))
        .filter(pl.col("turn") < _OF_SCOPE)
        .sort("turn", *scope, "outcome", nulls_last=True)
    )
    yield from firsts["item"].to_list()
    # The rest by the hash that names an answer: a draw that nobody chose and that is the same every time.
    yield from marked.group_by("item").agg(pl.col("answer_key").min()).sort("answer_key")["item"].to_list()


class Album:
    """The pictures of a page: read from the folder of stored media, as long as the budget lasts.

    Of the data sets that are ``hidden`` there are none.
    """

    def __init__(self, media: Path | None, *, hidden: frozenset[str] = frozenset(), budget: int = BUDGET) -> None:
        self._media = media if media is not None and media.is_dir() else None
        self._hidden = hidden
        self._left = budget
        self._known: dict[str, Picture | None] = {}

    @property
    def pictures(self) -> list[Picture]:
        """Every picture that is shown, in the order of first use."""
        return [picture for picture in self._known.values() if picture is not None]

    def strip(self, dataset: object, sent: object) -> tuple[tuple[Placed, ...], str]:
        """Return evenly spaced frames of what was sent with one answer, and a note on what is not shown."""
        if dataset in self._hidden:
            return (), "Pictures of this data set may not be shown."
        # Names from the table become paths: only what is a hash may.
        hashes = [h for h in sent if isinstance(h, str) and _HASH.fullmatch(h)] if isinstance(sent, list) else []
        if not hashes:
            return (), "No pictures were sent, or their hashes are not recorded."
        if self._media is None:
            return (), "The pictures are not beside these answers."
        notes: list[str] = []
        places = list(range(len(hashes)))
        if len(hashes) > MOST_FRAMES:
            places = [round(i * (len(hashes) - 1) / (MOST_FRAMES - 1)) for i in range(MOST_FRAMES)]
            notes.append(f"{MOST_FRAMES} of the {len(hashes):,} frames sent, evenly spaced.")
        shown: list[Placed] = []
        for place in places:
            picture, why = self._picture(self._media / hashes[place][:2], hashes[place])
            if picture is None:
                notes.append(why)
                continue
            alt = f"Frame {place + 1} of {len(hashes)} sent"
            shown.append(Placed(picture=picture, place=place + 1, alt=alt))
        return tuple(shown), " ".join(dict.fromkeys(notes))

    def _picture(self, folder: Path, sha: str) -> tuple[Picture | None, str]:
        if self._known.get(sha) is not None:
            return self._known[sha], ""
        if any((folder / f"{sha}{suffix}").is_file() for suffix in _VIDEO):
            return None, "The clip was sent as a video file, which is not shown here."
        small = _thumbnail(folder / f"{sha}.jpg") or _thumbnail(folder / f"{sha}.png")
        if small is None:
            return None, "A picture is missing or could not be read."
        uri, wide, high = small
        if len(uri) > self._left:
            return None, "More pictures would make this page too large."
        self._left -= len(uri)
        # The first digits of a hash name a picture; the whole would be most of a short page.
        self._known[sha] = Picture(id=f"f-{sha[:16]}", uri=uri, width=wide, height=high)
        return self._known[sha], ""


def _thumbnail(path: Path) -> tuple[str, int, int] | None:
    if not path.is_file() or path.is_symlink():
        return None
    try:
        with warnings.catch_warnings(), Image.open(path, formats=("JPEG", "PNG")) as image:
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            if image.width * image.height > _MOST_PIXELS:
                return None
            # Before anything else touches the pixels, so that a large JPEG is decoded at a fraction of its size.
            image.thumbnail(THUMBNAIL)
            small = image.convert("RGB")
        out = io.BytesIO()
        small.save(out, "JPEG", quality=_QUALITY)
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError, Image.DecompressionBombWarning):
        return None
    return f"data:image/jpeg;base64,{base64.b64encode(out.getvalue()).decode()}", small.width, small.height
