"""The output folder of a run: whose it is, that one run writes to it at a time, and what it exports at the end."""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import sqlite3
import time
from collections import Counter
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

import polars as pl

from aqaudit.engine.journal import Journal
from aqaudit.engine.measured import merge_kinematics
from aqaudit.engine.trace_tests import write_trace_tests
from aqaudit.engine.tracing import write_trace_steps
from aqaudit.records import BadInput
from aqaudit.table import copy_to_parquet, write_parquet

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from pathlib import Path

    from aqaudit.records import Dataset

JOURNAL = "answers.sqlite"
#: What the report must know of the data sets: licence, citation, whether their pictures may be shown.
DATASETS = "datasets.json"
_LOCK = ".lock"


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
    with _locked(path):
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
    own = {_LOCK, "media", JOURNAL, f"{JOURNAL}-wal", f"{JOURNAL}-shm", f"{JOURNAL}-journal"}
    return any(entry.name not in own or (entry.name == JOURNAL and entry.is_dir()) for entry in path.iterdir())


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    try:
        handle = os.open(path / _LOCK, os.O_RDWR | os.O_CREAT, 0o644)
    except OSError as error:
        raise BadInput(f"{path}: cannot be written to: {error.strerror}; choose another --out") from None
    try:
        if not _taken(handle):
            raise BadInput(f"{path}: another run is writing to this folder; wait for it or choose another --out")
        yield
    finally:
        os.close(handle)


def _taken(handle: int) -> bool:
    # "aqaudit status" holds the lock for a moment to see whether it is free: a moment later it is.
    for wait in (0.05, 0.2, None):
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if wait is not None:
                time.sleep(wait)
        else:
            return True
    return False


def is_locked(path: Path) -> bool:
    """Tell whether a run is writing to a folder now."""
    if not (path / _LOCK).is_file():
        return False
    handle = os.open(path / _LOCK, os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    else:
        return False
    finally:
        os.close(handle)


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
