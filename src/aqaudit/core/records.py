"""The records both halves share: performances, what may be asked of them, questions and requests.

All records are frozen and keyword-only. Times are seconds of the shown time line of a clip (0 = first shown frame).
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, NamedTuple, get_args

Kind = Literal["verify", "detect", "choose", "score", "prefer"]
Framing = Literal["positive", "negative", "neutral"]
AnswerWords = Literal["true_false", "yes_no", "a_b"]
PairOrder = Literal["ab", "ba"]
Preference = Literal["this", "other", "tie"]
Parse = Literal["ok", "unparsed", "refused", "out_of_range", "truncated"]
MediaForm = Literal["frames", "video", "none"]
View = Literal["rgb", "crop", "overlay", "skeleton", "pose_text"]
PoseSource = Literal["auto", "file", "mediapipe", "movenet"]
Swap = Literal["same_action", "another_action"]
MaskStyle = Literal["solid", "blur"]
Perturbation = Literal["none", "blank", "text_only", "frozen", "shuffled", "reversed", "swapped", "region_blur"]

KINDS: tuple[Kind, ...] = get_args(Kind)
PERTURBATIONS: tuple[Perturbation, ...] = get_args(Perturbation)
VIEWS: tuple[View, ...] = get_args(View)

#: The literal words for (the statement is true, the statement is false).
TRUE_FALSE: dict[AnswerWords, tuple[str, str]] = {
    "true_false": ("True", "False"),
    "yes_no": ("Yes", "No"),
    "a_b": ("A", "B"),
}
#: The letters that the options of a ``choose`` question are shown with.
LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"


def claims(framing: Framing, answer_words: AnswerWords, order: Sequence[int] = ()) -> dict[str, bool]:
    """Return what each literal answer to a ``verify`` or ``detect`` question says: whether the execution is correct.

    Parameters
    ----------
    order
        Of the two alternatives that letters stand for: ``order[i]`` is the index of the one shown at place ``i``. For
        ``neutral`` framing alternative 0 is the positive statement and 1 the negative one; for the words ``a_b``
        alternative 0 is that the statement is true. Without an order they stand as they are numbered.
    """
    places = tuple(order) if answer_words == "a_b" and order else (0, 1)
    words = TRUE_FALSE[answer_words]
    return {words[place]: (alternative == 0) == (framing != "negative") for place, alternative in enumerate(places)}


class BadInput(ValueError):  # noqa: N818 - the name says what the user gave, as the message does
    """Something the user gave cannot be used; the message is one line for a person, the exit code 2.

    The message says what was wrong, where (file, row, key, value), what is allowed and what to do.
    """


def nearest(name: str, valid: Iterable[str]) -> str:
    """Return ``"; did you mean 'x'?"`` or, when nothing is close, ``"; allowed: a, b, c"``."""
    known = sorted(valid)
    close = difflib.get_close_matches(name, known, n=1, cutoff=0.6)
    return f"; did you mean '{close[0]}'?" if close else f"; allowed: {', '.join(known) or 'nothing'}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Scale:
    """A number line that executions are scored on."""

    id: str
    min: float
    max: float
    step: float | None = None
    unit: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Criterion:
    """A checkable statement about an execution: ``positive`` says it is met, ``negative`` is its exact complement."""

    id: str
    action: str
    positive: str
    negative: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ErrorStatement:
    """An execution error by name; ``statement`` says that it happens."""

    id: str
    action: str
    statement: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ChoiceQuestion:
    """A question with two or more fixed options, one of which is right for an execution."""

    id: str
    action: str
    question: str
    options: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Severity:
    """How strong an error is in a physical unit, and up to where it is tolerated."""

    value: float
    unit: str
    tolerance: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Mask:
    """A rectangle that no model may see: ``box`` = (x0, y0, x1, y1) in pixels of the source, from and to in seconds.

    ``relative`` boxes are in shares (0 to 1) of the picture's width and height instead. ``style`` says how it is
    hidden: ``solid`` (mid-grey) or ``blur``.
    """

    box: tuple[float, float, float, float]
    from_s: float | None = None
    to_s: float | None = None
    relative: bool = False
    style: MaskStyle = "solid"


@dataclass(frozen=True, slots=True, kw_only=True)
class Performance:
    """One recorded execution by one performer: a clip, a window of a longer video, numbered frames or a picture.

    ``media`` is a file (video or picture) or a folder of numbered frames, in which case ``fps`` is their rate and
    ``first_frame``/``last_frame`` (inclusive, numbers as in the file names) may narrow them; for a video the same two
    numbers count shown frames from 1. ``start_s``/``end_s`` narrow by time. ``errors`` maps an error id to its time
    intervals: ``()`` = absent, ``None`` = present at an unknown time; an id that is missing is unknown and not asked.
    ``pose`` is a file of COCO-17 keypoints of the whole ``media`` (npz), where the data set has one.
    ``rotate`` (0, 90, 180 or 270 degrees, counter-clockwise) turns pictures upright that were stored turned without
    saying so; masks and poses are about the upright picture. ``context`` is what a reader was asked to tell the model
    about the performance, a sentence for the prompt. ``sha256`` is what the bytes of ``media`` must add up to when they
    are decoded (:func:`aqaudit.media.source.checksum`); it is part of no key.
    """

    id: str
    media: Path
    action: str
    performer: str
    video: str
    split: str = ""
    start_s: float | None = None
    end_s: float | None = None
    fps: float | None = None
    first_frame: int | None = None
    last_frame: int | None = None
    criteria: Mapping[str, bool] = field(default_factory=dict)
    errors: Mapping[str, tuple[tuple[float, float], ...] | None] = field(default_factory=dict)
    scores: Mapping[str, float] = field(default_factory=dict)
    choices: Mapping[str, str] = field(default_factory=dict)
    severity: Mapping[str, Severity] = field(default_factory=dict)
    family: str | None = None
    caption: str | None = None
    tags: Mapping[str, str] = field(default_factory=dict)
    masks: tuple[Mask, ...] = ()
    pose: Path | None = None
    rotate: int = 0
    context: str | None = None
    sha256: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Dataset:
    """A data set as a reader returns it: what may be asked, and the performances it may be asked of.

    ``allow_upload``: its media may leave this machine. ``show_frames``: reports may show its pictures. ``problems``
    lists records that contradict themselves or the published description, one sentence each.
    """

    name: str
    root: Path
    licence: str = ""
    citation: str = ""
    allow_upload: bool = False
    show_frames: bool = True
    criteria: tuple[Criterion, ...] = ()
    errors: tuple[ErrorStatement, ...] = ()
    choices: tuple[ChoiceQuestion, ...] = ()
    scales: tuple[Scale, ...] = ()
    performances: Sequence[Performance] = ()
    problems: tuple[str, ...] = ()


class Question(NamedTuple):
    """One thing asked about one performance (two for ``prefer``), with its truth.

    A named tuple, because a plan makes as many of them as there are labels and a frozen dataclass takes four times as
    long to make.

    ``criterion`` is the id of the criterion, choice question or scale asked about; ``error`` that of the error.
    ``positive`` and ``negative`` are complementary statements for ``verify`` and ``detect``; ``text`` is the wording of
    a ``choose`` question or what ``score`` and ``prefer`` are about. ``gold_correct`` is about the *execution*: it
    satisfies the criterion, or the error is absent. ``instead`` are the performances whose clips are shown in place of
    those asked about, one for each, where the clips are swapped; the truth stays that of the performances asked about.
    """

    question_id: str
    kind: Kind
    task: str
    dataset: str
    performance: Performance
    other: Performance | None = None
    pair_id: str | None = None
    criterion: str | None = None
    error: str | None = None
    positive: str = ""
    negative: str = ""
    text: str = ""
    options: tuple[str, ...] = ()
    scale: Scale | None = None
    severity: Severity | None = None
    gold_correct: bool | None = None
    gold_score: float | None = None
    other_gold_score: float | None = None
    gold_choice: str | None = None
    gold_prefer: Preference | None = None
    instead: tuple[Performance, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ShowOptions:
    """What a study settles about showing that is no factor of its grid.

    ``seed`` is drawn from by ``shuffled``, ``swap`` says among which performances ``swapped`` chooses, ``region`` is
    the body part that ``region_blur`` blurs (``all_but_`` before it: all the rest).
    """

    seed: int = 0
    swap: Swap = "same_action"
    region: str = "legs"


#: Version of what is drawn, cropped, blurred and written from the performer's joints; raised when it changes.
DRAWING = 1


def in_order(question: Question, order: PairOrder) -> tuple[Performance, ...]:
    """Return the performances of a question in the order they are shown: as ``ba``, the other one first."""
    if question.other is None:
        return (question.performance,)
    pair = (question.performance, question.other)
    return pair if order == "ab" else pair[::-1]


@dataclass(frozen=True, slots=True, kw_only=True)
class MediaSpec:
    """How a performance is shown: everything that decides the bytes sent, apart from the source.

    ``fps`` or ``frames`` (or neither: the native rate) sets the sampling, ``max_frames`` caps it; ``max_side`` is the
    longer side in pixels that frames are scaled down to (never up). ``native_sampling`` marks a provider that samples
    the clip it is given itself, at ``fps`` or its own default. ``drawing`` is the version of what is drawn from the
    performer's joints, where anything is; ``region`` names what ``region_blur`` blurs, ``seed`` is drawn from by
    ``shuffled``, ``swap`` says among which performances ``swapped`` chooses.
    """

    view: View = "rgb"
    perturbation: Perturbation = "none"
    form: MediaForm = "frames"
    fps: float | None = None
    frames: int | None = None
    max_frames: int | None = None
    max_side: int = 768
    native_sampling: bool = False
    drawing: int | None = None
    region: str | None = None
    seed: int | None = None
    swap: Swap | None = None

    @property
    def posed(self) -> bool:
        """Whether what is shown rests on the performer's joints."""
        return self.perturbation != "text_only" and (self.view != "rgb" or self.perturbation == "region_blur")


@dataclass(frozen=True, slots=True, kw_only=True)
class MediaPart:
    """One file as it is sent: stored by the hash of its bytes.

    ``start_s``/``end_s`` are offsets into the file that a provider which samples by itself is told to stay within.
    """

    sha256: str
    path: Path
    mime: str
    size: int
    start_s: float | None = None
    end_s: float | None = None
    fps: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """What a model is shown of one performance: the files, and what is in them.

    ``times_s`` are the shown times of the frames, in seconds from the start of the performance. For a clip sampled by
    the provider, ``frames`` and ``fps`` are what it was asked to sample.
    """

    parts: tuple[MediaPart, ...]
    frames: int
    fps: float | None
    width: int
    height: int
    times_s: tuple[float, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """One point of the study's grid."""

    model: str
    view: View = "rgb"
    strategy: str = "base"
    framing: Framing = "positive"
    answer_words: AnswerWords = "true_false"
    perturbation: Perturbation = "none"
    fps: float | None = None
    frames: int | None = None
    shots: int = 0
    pair_order: PairOrder = "ab"
    repeat: int = 0

    @property
    def sampling(self) -> str:
        """The column ``fps_asked``: ``default``, a rate such as ``8``, or ``16 frames``."""
        if self.frames is not None:
            return f"{self.frames} frames"
        return "default" if self.fps is None else f"{self.fps:g}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Slot:
    """A place in a prompt that is filled when it is asked: a performance's media, or the text of an earlier step.

    ``first`` and ``second`` are the performances asked about in the order they are shown, ``shot`` those of examples.
    ``step`` counts, from 1, the earlier step or the example's performance.
    """

    name: Literal["first", "second", "step", "shot"]
    step: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One call of a chain: text and slots in the order they are sent, as one user turn."""

    name: str
    parts: tuple[str | Slot, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Chain:
    """One question as a sequence of calls; the text of the last one is the answer."""

    prompt_id: str
    steps: tuple[Step, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """One question in one cell, ready to be asked.

    ``answer_key`` identifies it for ever; it is made of ``key_fields``: content hashes of the sources, how they are
    shown (JSON), the prompt with its slots, the model's settings (JSON), repeat and seed. ``shots`` are the
    performances of the examples, in the order of their slots.
    """

    answer_key: str
    key_fields: tuple[str, str, str, str, str]
    question: Question
    cell: Cell
    chain: Chain
    spec: MediaSpec
    option_order: tuple[int, ...] = ()
    shots: tuple[Performance, ...] = ()
    seed: int = 0
