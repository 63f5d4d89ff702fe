"""Studies: data sets, tasks, factors and models; read from TOML and checked to the last key."""

from __future__ import annotations

import itertools
import tomllib
from dataclasses import dataclass, field
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

from aqaudit.models import catalog
from aqaudit.prompts import plugged, strategies
from aqaudit.prompts.framing import framings, words_of
from aqaudit.records import (
    AnswerWords,
    BadInput,
    Cell,
    Framing,
    Kind,
    PairOrder,
    Perturbation,
    ShowOptions,
    View,
    nearest,
)
from aqaudit.study_file import DatasetSpec, StudySpec, validated

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

#: Readers that come with their data and need no root.
BUNDLED = frozenset({"probe"})


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

    @property
    def show_options(self) -> ShowOptions:
        """What the study settles about showing that is no factor of its grid."""
        return ShowOptions(seed=self.spec.seed, swap=self.spec.swap, region=self.spec.region)

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
            spec=spec, models=entries, text=text, folder=folder or Path(), roots=_checked_roots(spec, roots or {})
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

    def cells(self, kind: Kind, model: str, dataset: str = "") -> list[Cell]:
        """Return the grid's distinct cells for one kind of question and one model, skips left out, in stable order."""
        grid = self.spec.grid
        sampling: list[tuple[float | None, int | None]]
        if grid.frames is not None:
            sampling = [(None, n) for n in grid.frames]
        else:
            sampling = [(None if f == "default" else float(f), None) for f in grid.fps or ("default",)]
        put = [(f, words) for f in framings(kind, grid.framing) for words in words_of(kind, f, grid.answer_words)]
        # Examples belong to one strategy; the others are asked without any.
        asked = [(s, k) for s in grid.strategy for k in (grid.shots if s == strategies.FEW_SHOT else (0,))]
        product = itertools.product(
            grid.perturbation,
            grid.view,
            [(strategy, shots) for strategy, shots in asked if (shots > 0) == (strategy == strategies.FEW_SHOT)],
            put,
            sampling,
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
            for perturbation, view, (strategy, shots), (framing, words), (fps, frames), order, repeat in product
        )
        return [cell for cell in cells if not any(_matches(cell, kind, dataset, skip) for skip in self.spec.skip)]


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


def _check_distinct(entries: Mapping[str, catalog.ModelEntry], where: str) -> None:
    seen: dict[str, str] = {}
    for name, entry in entries.items():
        # What an answer key knows of a model: neither its name in the study nor its address.
        shown = (entry.media_form, entry.max_frames, entry.max_side, entry.default_fps, entry.native_sampling)
        twin = seen.setdefault(repr((sorted(entry.key_settings().items()), shown)), name)
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
        plugged.check(strategy)
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
