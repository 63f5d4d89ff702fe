"""What a study file may say, table by table, and what is wrong with one in a line."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, PositiveFloat, ValidationError, field_validator

from aqaudit.pairs import Pairing
from aqaudit.records import (
    AnswerWords,
    BadInput,
    Framing,
    Kind,
    PairOrder,
    Perturbation,
    PoseSource,
    Swap,
    View,
    nearest,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

_NAME = r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$"
_STRICT = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)
#: A whole number in TOML: neither text nor true.
_Whole = Annotated[int, Field(strict=True)]
#: Cells are made in memory; more askings of one question than this are a slip.
_MOST_REPEATS = 1000


class DatasetSpec(BaseModel):
    """A ``[[dataset]]`` table: reader, place, split, kinds of question, pairing, and options that the reader names."""

    model_config = _STRICT
    reader: str
    root: str | None = None
    split: str | None = None
    tasks: tuple[Kind, ...] | None = Field(None, min_length=1)
    pairs: Pairing = Pairing()
    options: dict[str, Any] = {}


class Grid(BaseModel):
    """The ``[grid]`` table: every list is a factor, cells are their product."""

    model_config = _STRICT
    model: tuple[str, ...] = Field(min_length=1)
    view: tuple[View, ...] = Field(("rgb",), min_length=1)
    strategy: tuple[str, ...] = Field(("base",), min_length=1)
    framing: tuple[Framing, ...] | None = Field(None, min_length=1)
    answer_words: tuple[AnswerWords, ...] = Field(("true_false",), min_length=1)
    perturbation: tuple[Perturbation, ...] = Field(("none",), min_length=1)
    fps: tuple[Literal["default"] | PositiveFloat, ...] | None = Field(None, min_length=1)
    frames: tuple[Annotated[_Whole, Field(ge=1, le=100_000)], ...] | None = Field(None, min_length=1)
    shots: tuple[Annotated[_Whole, Field(ge=0, le=16)], ...] = Field((0,), min_length=1)
    pair_order: tuple[PairOrder, ...] = Field(("ab", "ba"), min_length=1)
    repeats: Annotated[_Whole, Field(ge=1, le=_MOST_REPEATS)] = 1

    @field_validator("*", mode="after")
    @classmethod
    def _no_repeats(cls, value: object) -> object:
        if isinstance(value, tuple) and len(set(value)) < len(value):
            raise ValueError("each value once, please")
        return value


class TraceTestsSpec(BaseModel):
    """The ``[trace_tests]`` table: reasoning cut off early, and with a planted mistake, asked again."""

    model_config = _STRICT
    early: tuple[Annotated[float, Field(ge=0, le=1)], ...] = (0.0, 0.25, 0.5, 0.75, 1.0)
    mistakes: bool = True
    answers: Annotated[_Whole, Field(ge=1)] = 200

    @field_validator("early", mode="after")
    @classmethod
    def _once(cls, value: tuple[float, ...]) -> tuple[float, ...]:
        if len(set(value)) < len(value):
            raise ValueError("each share once, please")
        return tuple(sorted(value))


class StudySpec(BaseModel):
    """A whole study file."""

    model_config = _STRICT
    name: str = Field(pattern=_NAME)
    seed: Annotated[_Whole, Field(ge=-(2**63), lt=2**63)] = 0  # a column of 64 bits
    pose: PoseSource = "auto"
    swap: Swap = "same_action"
    region: str = "legs"
    dataset: tuple[DatasetSpec, ...] = Field(min_length=1)
    grid: Grid
    skip: tuple[dict[str, Any], ...] = ()
    models: dict[str, dict[str, Any]] = {}
    trace_tests: TraceTestsSpec | None = None


def validated(table: Mapping[str, Any], where: str) -> StudySpec:
    """Return what a study file says, ``where`` being its name.

    Raises
    ------
    BadInput
        A key or value that is not allowed.
    """
    try:
        return StudySpec.model_validate(table)
    except ValidationError as error:
        raise BadInput(f"{where}: {_explained(error, StudySpec)}") from None


def _explained(error: ValidationError, model: type[BaseModel]) -> str:
    """Say the first thing that is wrong in one line: key, value, what is allowed; an unknown key with the nearest."""
    # A misspelt key is often a missing one too; its own message is the helpful one.
    first = min(error.errors(include_url=False), key=lambda problem: problem["type"] != "extra_forbidden")
    place = ""
    for part in first["loc"]:
        # pydantic names the branch of a union (fps: a word or a number) as if it were a key
        if not str(part).startswith(("literal[", "constrained-float")):
            place += f"[{part + 1}]" if isinstance(part, int) else f".{part}" if place else str(part)
    if first["type"] == "extra_forbidden":
        return f"unknown key '{place}'{nearest(str(first['loc'][-1]), _fields(model, first['loc'][:-1]))}"
    if first["type"] == "missing":
        return f"'{place}' is missing"
    said = first["msg"].removeprefix("Value error, ")
    if first["loc"][:2] == ("grid", "fps") and len(first["loc"]) > 2:
        said = "allowed: 'default' or a number above 0"
    elif first["type"] == "tuple_type":
        said = f"write it as [[{place}]]" if place in {"dataset", "skip"} else "allowed: a list"
    return f"{place} = {first['input']!r}: {said[0].lower()}{said[1:]}"


_TABLES: dict[int | str, type[BaseModel]] = {
    "grid": Grid,
    "dataset": DatasetSpec,
    "pairs": Pairing,
    "trace_tests": TraceTestsSpec,
}


def _fields(model: type[BaseModel], path: tuple[int | str, ...]) -> list[str]:
    inner: type[BaseModel] = model
    for part in path:
        if part in _TABLES:
            inner = _TABLES[part]
    return list(inner.model_fields)
