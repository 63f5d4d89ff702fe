"""The output folder of a run: whose it is, what is exported into it, and its state, also while a run is going on."""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path

import polars as pl

from aqaudit.core.locks import LOCK, is_locked, locked
from aqaudit.core.records import BadInput, Dataset
from aqaudit.core.table import copy_to_parquet, write_parquet
from aqaudit.engine.follow_ups import write_trace_tests
from aqaudit.engine.journal import Journal
from aqaudit.engine.kinematics import merge_kinematics
from aqaudit.engine.progress import quantity, span
from aqaudit.engine.traces import write_trace_steps

JOURNAL = "answers.sqlite"
#: What the report must know of the data sets: licence, citation, whether their pictures may be shown.
DATASETS = "datasets.json"


@contextmanager
def opened(path: Path, study: str) -> Iterator[Journal]:
    """Open (or begin) the folder of a study for writing, locked against a second run.

    Raises
    ------
    BadInput
        The folder belongs to another study, holds something else, or another run is writing to it.
    """
    owner = study_of(path)
    if owner is not None and owner != study:
        raise BadInput(f"{path}: holds answers of study '{owner}', not of '{study}'; choose another folder with --out")
    if owner is None and path.exists() and _foreign(path):
        raise BadInput(f"{path}: is not empty and not an output folder of AQAudit; choose another folder with --out")
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise BadInput(f"{path}: cannot be made: {error.strerror}") from error
    with locked(path):
        journal = Journal(path / JOURNAL)
        try:
            journal.set_meta({"study": study})
            yield journal
        finally:
            journal.close()


def study_of(path: Path) -> str | None:
    """Return the name of the study whose answers a folder holds, None where it holds none."""
    if not (path / JOURNAL).is_file():
        return None
    journal = Journal(path / JOURNAL, read_only=True)
    try:
        return journal.meta("study") if journal.begun() else None
    except sqlite3.Error as error:
        raise BadInput(f"{path / JOURNAL}: cannot be read as the journal of a run: {error}") from None
    finally:
        journal.close()


def _foreign(path: Path) -> bool:
    if not path.is_dir():
        return True
    # A run that was killed before its first answer leaves only its own empty beginnings.
    own = {LOCK, "media", JOURNAL, f"{JOURNAL}-wal", f"{JOURNAL}-shm", f"{JOURNAL}-journal"}
    return any(entry.name not in own or (entry.name == JOURNAL and entry.is_dir()) for entry in path.iterdir())


def keep_study(path: Path, text: str) -> None:
    """Keep the text of the study as run.

    Raises
    ------
    BadInput
        It cannot be written.
    """
    try:
        (path / "study.toml").write_text(text, encoding="utf-8")
    except OSError as error:
        raise BadInput(f"{path / 'study.toml'}: cannot be written: {error.strerror}") from None


def keep_datasets(path: Path, datasets: Iterable[Dataset]) -> None:
    """Keep what the report must know of the data sets, beside what earlier runs into this folder kept.

    Raises
    ------
    BadInput
        It cannot be written, or what is there cannot be read.
    """
    facts = {
        one.name: {
            "licence": one.licence,
            "citation": one.citation,
            "show_frames": one.show_frames,
            "problems": len(one.problems),
            "masked": _masked(one),
        }
        for one in datasets
    }
    _write_datasets(path / DATASETS, [path / DATASETS], facts)


def _masked(dataset: Dataset) -> dict[str, int]:
    """Count the performances in which rectangles are hidden, and these by how they are hidden."""
    styles = Counter(str(mask.style) for performance in dataset.performances for mask in performance.masks)
    return {"performances": sum(bool(p.masks) for p in dataset.performances), **styles}


def _write_datasets(target: Path, sources: Iterable[Path], facts: dict[str, dict[str, object]]) -> None:
    """Unite the data sets of several folders; pictures that one of them hides stay hidden."""
    try:
        for source in sources:
            for name, kept in json.loads(source.read_bytes()).items() if source.is_file() else ():
                now = facts.setdefault(name, kept)
                now["show_frames"] = now["show_frames"] and kept["show_frames"]
        partial = target.with_name(f".{target.name}.part")
        partial.write_text(json.dumps(facts, indent=1, sort_keys=True) + "\n", encoding="utf-8")
        partial.replace(target)
    except OSError as error:
        raise BadInput(f"{target}: cannot be written: {error.strerror}") from None
    except (ValueError, KeyError, TypeError, AttributeError):
        raise BadInput(f"{target}: is not what a run writes; delete it, and the run writes it anew") from None


def export(path: Path, journal: Journal) -> None:
    """Write ``answers.parquet``, ``failures.parquet`` and tagged traces from the journal, each whole or not at all."""
    copy_to_parquet(path / JOURNAL, path / "answers.parquet")
    write_parquet(journal.failures(), path / "failures.parquet")
    write_trace_steps(path, journal)
    write_trace_tests(path, journal)


def try_export(path: Path, journal: Journal) -> str | None:
    """Do what :func:`export` does, or say in one line why the disk does not let it."""
    try:
        export(path, journal)
    except (OSError, sqlite3.OperationalError, pl.exceptions.PolarsError) as error:
        reason = (error.strerror if isinstance(error, OSError) else None) or str(error) or type(error).__name__
        return f"tables in {path} cannot be written: {reason.splitlines()[0]}"
    return None


def merge(sources: Sequence[Path], out: Path) -> tuple[int, int]:
    """Unite the folders that shards of one study wrote; return the numbers of answers and of failures left.

    Raises
    ------
    BadInput
        A source holds no answers, or answers of another study.
    """
    owners = {}
    for source in sources:
        owner = study_of(source)
        if owner is None:
            raise BadInput(f"{source}: no answers.sqlite here, so nothing to merge")
        owners[source] = owner
    if len(set(owners.values())) > 1:
        listed = ", ".join(f"{path}: '{owner}'" for path, owner in owners.items())
        raise BadInput(f"only folders of one study can be merged; found {listed}")
    if out.resolve() in {source.resolve() for source in sources}:
        raise BadInput(f"{out}: is one of the folders to merge; choose another one with -o")
    with opened(out, next(iter(owners.values()))) as journal:
        for source in sources:
            journal.absorb(source / JOURNAL)
            _copy_media(source / "media", out / "media")
        study = sources[0] / "study.toml"
        if study.is_file():
            shutil.copyfile(study, out / "study.toml")
        _write_datasets(out / DATASETS, [source / DATASETS for source in sources], {})
        export(out, journal)
        merge_kinematics(sources, out)
        answered, failed = journal.counts()
        return answered, sum(sum(causes.values()) for causes in failed.values())


def _copy_media(source: Path, target: Path) -> None:
    for file in source.glob("*/*"):
        copy = target / file.parent.name / file.name
        if not copy.exists():
            copy.parent.mkdir(parents=True, exist_ok=True)
            with suppress(FileExistsError):
                try:
                    os.link(file, copy)
                except OSError:
                    shutil.copyfile(file, copy)


@dataclass(frozen=True, slots=True, kw_only=True)
class RunState:
    """Done, failed, left, spent and rate. ``unpriced`` answers have no known price, which is not a price of zero."""

    study: str
    running: bool
    ended: str | None
    planned: int | None
    answered: Mapping[str, int]
    failed: Mapping[str, Mapping[str, int]]
    usd: float
    unpriced: int
    input_tokens: int
    output_tokens: int
    rate: float | None

    @property
    def done(self) -> int:
        """Answers of all models."""
        return sum(self.answered.values())

    @property
    def left(self) -> int | None:
        """Requests of the last plan without an answer or a failure; None when no plan was finished."""
        failures = sum(sum(causes.values()) for causes in self.failed.values())
        return None if self.planned is None else max(0, self.planned - self.done - failures)

    @property
    def seconds_left(self) -> float | None:
        """How long the rest takes at the present rate; None where no run is going on or nothing is known of either."""
        return self.left / self.rate if self.running and self.rate and self.left is not None else None

    def as_json(self) -> dict[str, object]:
        """Return the state as plain values, unrounded; null where something is not known."""
        return {**asdict(self), "done": self.done, "left": self.left, "seconds_left": self.seconds_left}

    def lines(self) -> list[str]:
        """Return the state in lines for a terminal."""
        now = "running" if self.running else f"not running ({self.ended or 'never ended'})"
        total = "?" if self.planned is None else str(self.planned)
        lines = [f"study {self.study}: {now}", f"done    {self.done} of {total}"]
        lines += [f"  {model}: {n}" for model, n in sorted(self.answered.items())]
        failures = sum(sum(causes.values()) for causes in self.failed.values())
        lines.append(f"failed  {failures}")
        for model, causes in sorted(self.failed.items()):
            lines += [f"  {model}: {cause}: {n}" for cause, n in sorted(causes.items(), key=lambda c: (-c[1], c[0]))]
        lines.append(f"left    {'?' if self.left is None else self.left}")
        money = "unknown" if self.unpriced == self.done > 0 else f"{self.usd:.4f} USD"
        if 0 < self.unpriced < self.done:
            money += f" and {self.unpriced} answers of unknown price"
        lines.append(f"spent   {money}, {quantity(self.input_tokens)} in, {quantity(self.output_tokens)} out")
        if self.rate:
            eta = f", {span(self.seconds_left)} to go" if self.seconds_left else ""
            lines.append(f"rate    {self.rate:.2f} answers a second{eta}")
        return lines


def read_state(path: Path) -> RunState:
    """Read the state of a run folder.

    Raises
    ------
    BadInput
        It is not one.
    """
    if study_of(path) is None:
        raise BadInput(f"{path}: no answers.sqlite here; expected the output folder of a run")
    journal = Journal(path / JOURNAL, read_only=True)
    try:
        usd, tokens_in, tokens_out, unpriced = journal.spent()
        planned = journal.meta("planned")
        state = journal.meta("state")
        return RunState(
            study=journal.meta("study") or "?",
            running=is_locked(path),
            ended=None if state == "running" else state,
            planned=None if planned is None else int(planned),
            answered=journal.answered_by_model(),
            failed=journal.counts()[1],
            usd=usd,
            unpriced=unpriced,
            input_tokens=tokens_in,
            output_tokens=tokens_out,
            rate=journal.recent_rate(),
        )
    finally:
        journal.close()
