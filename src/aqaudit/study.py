"""Study files: data sets, tasks, factors and models; read from TOML and checked to the last key."""

from __future__ import annotations

import itertools
import tomllib
from dataclasses import dataclass, field
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, PositiveFloat, PositiveInt, ValidationError, field_validator

from aqaudit.models import catalog
from aqaudit.prompts import strategies
from aqaudit.prompts.framing import framings
from aqaudit.records import AnswerWords, BadInput, Cell, Framing, Kind, PairOrder, Perturbation, View, nearest

if TYPE_CHECKING:
    from collections.abc import Mapping

_NAME = r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$"
_STRICT = ConfigDict(extra="forbid", frozen=True)


class DatasetSpec(BaseModel):
    """A ``[[dataset]]`` table: reader, place, split, kinds of question, and options that the reader names."""

    model_config = _STRICT
    reader: str
    root: str | None = None
    split: str | None = None
    tasks: tuple[Kind, ...] | None = Field(None, min_length=1)
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
    frames: tuple[PositiveInt, ...] | None = Field(None, min_length=1)
    shots: tuple[Annotated[int, Field(ge=0)], ...] = Field((0,), min_length=1)
    pair_order: tuple[PairOrder, ...] = Field(("ab", "ba"), min_length=1)
    repeats: PositiveInt = 1

    @field_validator("*", mode="after")
    @classmethod
    def _no_repeats(cls, value: object) -> object:
        if isinstance(value, tuple) and len(set(value)) < len(value):
            raise ValueError("each value once, please")
        return value


class StudySpec(BaseModel):
    """A whole study file."""

    model_config = _STRICT
    name: str = Field(pattern=_NAME)
    seed: int = 0
    dataset: tuple[DatasetSpec, ...] = Field(min_length=1)
    grid: Grid
    skip: tuple[dict[str, Any], ...] = ()
    models: dict[str, dict[str, Any]] = {}


@dataclass(frozen=True, slots=True, kw_only=True)
class Study:
    """A checked study: the specification, its models, and the text it was read from."""

    spec: StudySpec
    models: Mapping[str, catalog.ModelEntry]
    text: str
    folder: Path
    roots: Mapping[str, str] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """The study's name, also the default name of its output folder."""
        return self.spec.name

    @property
    def seed(self) -> int:
        """The seed of every random choice in the plan."""
        return self.spec.seed

    @classmethod
    def read(cls, source: str | Path, *, roots: Mapping[str, str] | None = None) -> Study:
        """Read a study from a TOML file or by the name of a bundled one.

        Parameters
        ----------
        roots
            Data set roots that replace those of the file, by reader or by the root as written there.

        Raises
        ------
        BadInput
            The file is missing, is not TOML, or has a key or value that is not allowed.
        """
        path, text = _text_of(source)
        return cls.parse(text, where=path.name if path else str(source), folder=path and path.parent, roots=roots)

    @classmethod
    def parse(
        cls,
        text: str,
        *,
        where: str = "study",
        folder: Path | None = None,
        roots: Mapping[str, str] | None = None,
    ) -> Study:
        """Check the text of a study file; relative roots are looked up from ``folder`` (default: here)."""
        try:
            table = tomllib.loads(text)
        except tomllib.TOMLDecodeError as error:
            raise BadInput(f"{where}: not valid TOML: {error}") from error
        spec = _validated(table, where)
        entries = {name: _entry(name, spec, where) for name in spec.grid.model}
        _check(spec, where)
        return cls(
            spec=spec, models=entries, text=text, folder=folder or Path(), roots=_checked_roots(spec, roots or {})
        )

    def root_of(self, dataset: DatasetSpec) -> Path:
        """Return the folder of a data set: from ``--root``, else from the study file.

        Raises
        ------
        BadInput
            Neither gives one.
        """
        given = self.roots.get(dataset.root or "", self.roots.get(dataset.reader))
        if given is not None:
            return Path(given).expanduser()
        if dataset.root is None:
            raise BadInput(f"{self.name}: data set '{dataset.reader}' has no root; give --root {dataset.reader}=PATH")
        return self.folder / Path(dataset.root).expanduser()

    def cells(self, kind: Kind, model: str, dataset: str = "") -> list[Cell]:
        """Return the grid's distinct cells for one kind of question and one model, skips left out, in stable order."""
        grid = self.spec.grid
        sampling: list[tuple[float | None, int | None]]
        if grid.frames is not None:
            sampling = [(None, n) for n in grid.frames]
        else:
            sampling = [(None if f == "default" else float(f), None) for f in grid.fps or ("default",)]
        product = itertools.product(
            grid.perturbation,
            grid.view,
            grid.strategy,
            framings(kind, grid.framing),
            grid.answer_words if kind in {"verify", "detect"} else grid.answer_words[:1],
            sampling,
            grid.shots,
            grid.pair_order if kind == "prefer" else ("ab",),
            range(grid.repeats),
        )
        cells = (
            Cell(
                model=model,
                perturbation=perturbation,
                view=view,
                strategy=strategy,
                framing=framing,
                answer_words=words,
                fps=fps,
                frames=frames,
                shots=shots,
                pair_order=order,
                repeat=repeat,
            )
            for perturbation, view, strategy, framing, words, (fps, frames), shots, order, repeat in product
        )
        return [cell for cell in cells if not any(_matches(cell, kind, dataset, skip) for skip in self.spec.skip)]


_SKIP_KEYS = ("model", "view", "strategy", "framing", "answer_words", "perturbation", "fps", "frames", "shots",
              "pair_order", "repeat", "kind", "dataset")  # fmt: skip


def _matches(cell: Cell, kind: Kind, dataset: str, skip: Mapping[str, Any]) -> bool:
    facts: dict[str, object] = {"kind": kind, "dataset": dataset}
    for key, wanted in skip.items():
        fact = facts[key] if key in facts else getattr(cell, key)
        if key == "fps" and fact is None and cell.frames is None:
            fact = "default"
        if fact not in (wanted if isinstance(wanted, list) else [wanted]):
            return False
    return True


def _text_of(source: str | Path) -> tuple[Path | None, str]:
    path = Path(source)
    bundled = files("aqaudit").joinpath("studies")
    if path.suffix != ".toml":
        names = sorted(p.name.removesuffix(".toml") for p in bundled.iterdir() if p.name.endswith(".toml"))
        if str(source) in names:
            return None, bundled.joinpath(f"{source}.toml").read_text(encoding="utf-8")
        raise BadInput(f"'{source}' is neither a .toml file nor a bundled study{nearest(str(source), names)}")
    try:
        return path, path.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        raise BadInput(f"{path}: no such study file") from None
    except (OSError, UnicodeDecodeError) as error:
        raise BadInput(f"{path}: cannot be read as UTF-8 text: {error}") from error


def _validated(table: Mapping[str, Any], where: str) -> StudySpec:
    try:
        return StudySpec.model_validate(table)
    except ValidationError as error:
        raise BadInput(f"{where}: {explain(error, StudySpec)}") from None


def explain(error: ValidationError, model: type[BaseModel]) -> str:
    """Say the first thing that is wrong in one line: key, value, what is allowed; an unknown key with the nearest."""
    # A misspelt key is often a missing one too; its own message is the helpful one.
    first = min(error.errors(include_url=False), key=lambda problem: problem["type"] != "extra_forbidden")
    place = ""
    for part in first["loc"]:
        if part not in {"default", "constrained-float"}:
            place += f"[{part + 1}]" if isinstance(part, int) else f".{part}" if place else str(part)
    if first["type"] == "extra_forbidden":
        return f"unknown key '{place}'{nearest(str(first['loc'][-1]), _fields(model, first['loc'][:-1]))}"
    if first["type"] == "missing":
        return f"'{place}' is missing"
    return f"{place} = {first['input']!r}: {first['msg'][0].lower()}{first['msg'][1:]}"


_TABLES: dict[int | str, type[BaseModel]] = {"grid": Grid, "dataset": DatasetSpec}


def _fields(model: type[BaseModel], path: tuple[int | str, ...]) -> list[str]:
    inner: type[BaseModel] = model
    for part in path:
        if part in _TABLES:
            inner = _TABLES[part]
    return list(inner.model_fields)


def _entry(name: str, spec: StudySpec, where: str) -> catalog.ModelEntry:
    if name in spec.models:
        try:
            return catalog.load(name, spec.models[name])
        except BadInput as error:
            raise BadInput(f"{where}: {error}") from error
    built_in = catalog.presets()
    if name not in built_in:
        known = [*spec.models, *built_in]
        raise BadInput(
            f"{where}: grid.model: '{name}' is neither a [models.{name}] table nor built in{nearest(name, known)}"
        )
    return built_in[name]


def _check(spec: StudySpec, where: str) -> None:
    for skip in spec.skip:
        for key in skip:
            if key not in _SKIP_KEYS:
                raise BadInput(f"{where}: skip: unknown key '{key}'{nearest(key, _SKIP_KEYS)}")
    for strategy in spec.grid.strategy:
        if strategy not in strategies.names():
            raise BadInput(f"{where}: grid.strategy: '{strategy}' is not known{nearest(strategy, strategies.names())}")
    if spec.grid.fps is not None and spec.grid.frames is not None:
        raise BadInput(f"{where}: grid has both fps and frames; give one of them")
    if set(spec.grid.shots) != {0}:
        raise BadInput(
            f"{where}: grid.shots = {list(spec.grid.shots)}: only 0 is available, no strategy takes examples"
        )
    if "neutral" in (spec.grid.framing or ()):
        raise BadInput(f"{where}: grid.framing: 'neutral' has no wording yet; allowed: positive, negative")


def _checked_roots(spec: StudySpec, roots: Mapping[str, str]) -> Mapping[str, str]:
    known = [name for d in spec.dataset for name in (d.reader, d.root) if name]
    for name in roots:
        if name not in known:
            raise BadInput(f"--root {name}=…: the study has no such data set{nearest(name, known)}")
    return dict(roots)
