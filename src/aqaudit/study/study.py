"""Studies: data sets, tasks, factors and models; read from TOML and checked to the last key."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib.resources import files
from pathlib import Path
from typing import Annotated, Any, Literal, get_args

from pydantic import BaseModel, ConfigDict, Field, PositiveFloat, ValidationError, field_validator

from aqaudit.core.records import (
    AnswerWords,
    BadInput,
    Framing,
    Kind,
    PairOrder,
    Perturbation,
    PoseSource,
    ShowOptions,
    Swap,
    View,
    nearest,
)
from aqaudit.models import catalog, settings
from aqaudit.prompts import strategies, template
from aqaudit.study.pairs import Pairing

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


#: Readers that come with their data and need no root.
BUNDLED = frozenset({"probe"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Study:
    """A checked study: the specification, its models, and the text it was read from.

    ``show_options`` are what the study settles about showing that is no factor of its grid.
    """

    spec: StudySpec
    models: Mapping[str, settings.ModelEntry]
    show_options: ShowOptions
    text: str
    folder: Path
    roots: Mapping[str, str] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """The study's name, also the default name of its output folder."""
        return self.spec.name

    @classmethod
    def read(
        cls, source: str | Path, *, roots: Mapping[str, str] | None = None, models: Sequence[str] | None = None
    ) -> Study:
        """Read a study from a TOML file or by the name of a bundled one.

        Parameters
        ----------
        roots
            Data set roots that replace those of the file, by reader or by the root as written there.
        models
            Models to ask in place of those of the file: of its grid, its ``[models]`` tables or the presets.

        Raises
        ------
        BadInput
            The file is missing, is not TOML, or has a key or value that is not allowed.
        """
        path, text = _text_of(source)
        where = path.name if path else str(source)
        return cls.parse(text, where=where, folder=path and path.parent, roots=roots, models=models)

    @classmethod
    def parse(
        cls,
        text: str,
        *,
        where: str = "study",
        folder: Path | None = None,
        roots: Mapping[str, str] | None = None,
        models: Sequence[str] | None = None,
    ) -> Study:
        """Check the text of a study file; relative roots are looked up from ``folder`` (default: here)."""
        try:
            table = tomllib.loads(text)
        except tomllib.TOMLDecodeError as error:
            raise BadInput(f"{where}: not valid TOML: {error}") from error
        spec = validated(table, where)
        if models:
            spec = spec.model_copy(
                update={"grid": spec.grid.model_copy(update={"model": tuple(dict.fromkeys(models))})}
            )
            text = f"# asked only of: {', '.join(spec.grid.model)}\n{text}"
        for name in spec.models:
            _entry(name, spec, where)  # a slip in a table that this grid leaves out is a slip all the same
        entries = {name: _entry(name, spec, where) for name in spec.grid.model}
        _check(spec, where)
        _check_distinct(entries, where)
        return cls(
            spec=spec,
            models=entries,
            show_options=ShowOptions(seed=spec.seed, swap=spec.swap, region=spec.region),
            text=text,
            folder=folder or Path(),
            roots=_checked_roots(spec, roots or {}),
        )

    @property
    def used(self) -> tuple[DatasetSpec, ...]:
        """The data sets that can be read: with a root in the study file or from ``--root``, or with bundled data."""
        return tuple(d for d in self.spec.dataset if self._given(d) is not None or d.reader in BUNDLED)

    @property
    def without_root(self) -> tuple[str, ...]:
        """The readers of the data sets that have none and are therefore left out."""
        return tuple(d.reader for d in self.spec.dataset if d not in self.used)

    def _given(self, dataset: DatasetSpec) -> str | None:
        return self.roots.get(dataset.root or "", self.roots.get(dataset.reader, dataset.root))

    def root_of(self, dataset: DatasetSpec) -> Path | None:
        """Return the folder of a data set: from ``--root``, else from the study file, None for a bundled one.

        Raises
        ------
        BadInput
            Neither gives one, and the reader brings none.
        """
        given = self._given(dataset)
        if given is None and dataset.reader in BUNDLED:
            return None
        if given is None:
            raise BadInput(f"{self.name}: data set '{dataset.reader}' has no root; give --root {dataset.reader}=PATH")
        return (Path() if given is not dataset.root else self.folder) / Path(given).expanduser()

    def import_providers(self) -> None:
        """Import what the models' providers need: over a second, best spent before the data are read."""
        for entry in self.models.values():
            catalog.import_provider(entry)


_SKIP_KEYS = ("model", "view", "strategy", "framing", "answer_words", "perturbation", "fps", "frames", "shots",
              "pair_order", "repeat", "kind", "dataset")  # fmt: skip

_SKIP_VALUES: dict[str, tuple[str, ...]] = {
    "view": get_args(View),
    "framing": get_args(Framing),
    "answer_words": get_args(AnswerWords),
    "perturbation": get_args(Perturbation),
    "pair_order": get_args(PairOrder),
    "kind": get_args(Kind),
}


def _text_of(source: str | Path) -> tuple[Path | None, str]:
    path = Path(source)
    bundled = files("aqaudit.study").joinpath("bundled")
    if path.suffix != ".toml":
        names = sorted(p.name.removesuffix(".toml") for p in bundled.iterdir() if p.name.endswith(".toml"))
        if str(source) in names:
            return None, bundled.joinpath(f"{source}.toml").read_text(encoding="utf-8")
        is_folder = " (it is a folder; name the file in it)" if path.is_dir() else ""
        raise BadInput(
            f"'{source}'{is_folder} is neither a .toml file nor a bundled study{nearest(str(source), names)}"
        )
    try:
        return path, path.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        raise BadInput(f"{path}: no such study file") from None
    except OSError as error:
        raise BadInput(f"{path}: cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise BadInput(f"{path}: byte {error.start + 1} is not UTF-8 text; save the study as UTF-8") from error


def _entry(name: str, spec: StudySpec, where: str) -> settings.ModelEntry:
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


def _check_distinct(entries: Mapping[str, settings.ModelEntry], where: str) -> None:
    seen: dict[str, str] = {}
    for name, entry in entries.items():
        # What an answer key knows of a model: neither its name in the study nor its address.
        shown = (entry.media_form, entry.max_frames, entry.max_side, entry.default_fps, entry.native_sampling)
        twin = seen.setdefault(repr((sorted(entry.key_settings.items()), shown)), name)
        if twin != name:
            raise BadInput(
                f"{where}: grid.model: '{twin}' and '{name}' are the same model with the same settings, so their "
                "answers could not be told apart (an address makes no difference); serve one under another model "
                "name, or ask it in a study of its own"
            )


def _check(spec: StudySpec, where: str) -> None:
    for skip in spec.skip:
        if not skip:
            raise BadInput(f"{where}: an empty [[skip]] matches every cell; name keys in it, or remove it")
        for key in skip:
            if key not in _SKIP_KEYS:
                raise BadInput(f"{where}: skip: unknown key '{key}'{nearest(key, _SKIP_KEYS)}")
            allowed = strategies.names() if key == "strategy" else _SKIP_VALUES.get(key)
            for value in skip[key] if isinstance(skip[key], list) else [skip[key]]:
                # a slip here would silently ask what was to be left out
                if allowed is not None and value not in allowed:
                    raise BadInput(f"{where}: skip: {key} = {value!r}{nearest(str(value), allowed)}")
    for strategy in spec.grid.strategy:
        if strategy in template.PLUG_INS.names():
            template.PLUG_INS.load(strategy)
        if strategy not in strategies.names():
            raise BadInput(f"{where}: grid.strategy: '{strategy}' is not known{nearest(strategy, strategies.names())}")
    if spec.grid.fps is not None and spec.grid.frames is not None:
        raise BadInput(f"{where}: grid has both fps and frames; give one of them")
    if (set(spec.grid.shots) != {0}) != (strategies.FEW_SHOT in spec.grid.strategy):
        raise BadInput(
            f"{where}: grid.shots = {list(spec.grid.shots)} with grid.strategy = {list(spec.grid.strategy)}: "
            f"the strategy '{strategies.FEW_SHOT}' takes examples, such as shots = [1, 2, 4], no other one does"
        )


def _checked_roots(spec: StudySpec, roots: Mapping[str, str]) -> Mapping[str, str]:
    known = [name for d in spec.dataset for name in (d.reader, d.root) if name]
    for name in roots:
        if name not in known:
            raise BadInput(f"--root {name}=…: the study has no such data set{nearest(name, known)}")
    return dict(roots)
