"""Examples: a question, what was shown of the performance, what was true, and what every judge made of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from aqaudit.reporting.motion import motion
from aqaudit.reporting.sampling import sampled
from aqaudit.reporting.text import clean
from aqaudit.reporting.traces import TracedStep, traced
from aqaudit.reporting.wording import answer_words, cell_words, truth_words

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import polars as pl

    from aqaudit.audits.finding import Finding
    from aqaudit.reporting.drawing import Figure
    from aqaudit.reporting.pictures import Album, Placed
    from aqaudit.sidecars import Sidecars

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


@dataclass(frozen=True, slots=True, kw_only=True)
class Show:
    """What was shown for some of the answers to a question: frames, and a note on those that are not here."""

    name: str
    pictures: tuple[Placed, ...]
    note: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
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
    replies: tuple[Reply, ...]
    left_out: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Browser:
    """The examples of a page: filters with their values, prompts by id, and the place of each answer shown."""

    examples: tuple[Example, ...]
    filters: tuple[tuple[str, tuple[str, ...]], ...]
    prompts: tuple[tuple[str, str], ...]
    place_of: Mapping[str, str]
    questions: int


def browser(
    frame: pl.DataFrame,
    findings: Sequence[Finding],
    album: Album | None,
    *,
    prompts: Mapping[str, str],
    sidecars: Sidecars,
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
    sidecars
        Tables beside the answers: tagged steps of reasoning, joint angles.
    """
    groups, left_out = sampled(frame, findings)
    making = _Making(frame, groups, album, prompts, sidecars)
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
        questions=frame.select("dataset", "question_id", "performance_id", "other_id").n_unique(),
    )


class _Making:
    """What is shared while examples are made: pictures, prompts and the room that is left for text."""

    def __init__(
        self,
        frame: pl.DataFrame,
        groups: Sequence[pl.DataFrame],
        album: Album | None,
        prompts: Mapping[str, str],
        sidecars: Sidecars,
    ) -> None:
        keys = [key for rows in groups for key in rows["answer_key"]]
        self._varying = [name for name in _CELL if name in frame.columns and frame[name].drop_nulls().n_unique() > 1]
        self._album = album
        self._prompts = prompts
        self._steps = traced(sidecars.get("trace_steps"), keys)
        self._kinematics = sidecars.get("kinematics")
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

    def _reply(self, name: str, row: Mapping[str, object], show: int) -> Reply:
        limit = _LONG if self._text > 0 else _SHORT
        steps = self._steps.get(str(row["answer_key"]), ())
        said = clean(row["said"], limit // 2, lines=True)
        # Steps are the reasoning, cut up; both would say it twice.
        reasoning = "" if steps else clean(row["reasoning"], limit, lines=True)
        most = _MOST_STEPS if self._text > 0 else 4
        self._text -= len(said) + len(reasoning) + sum(len(step.text) for step in steps[:most])
        return Reply(
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
