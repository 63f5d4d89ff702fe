"""The sidecar ``trace_steps.parquet``: the steps of every trace, tagged by rules and by judge models."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

import polars as pl
from polars.io.plugins import register_io_source

from aqaudit.sidecars import SCHEMAS
from aqaudit.traces import claims, rules, steps
from aqaudit.traces.tags import TAGS

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from aqaudit.engine.followups import FollowUp
    from aqaudit.engine.journal import Journal

FILE = "trace_steps.parquet"
#: Purpose under which a judge model's replies are kept in the journal.
JUDGED = "trace_judge"
#: Answers whose steps are held at once.
_CHUNK = 500
_SCHEMA = SCHEMAS["trace_steps"]
_OBJECT = re.compile(r"\{.*\}", re.DOTALL)


def write_trace_steps(folder: Path, journal: Journal) -> None:
    """Write the sidecar of a run folder, whole or not at all; none where no answer came with reasoning.

    The rule scorer's tags of an earlier writing are taken over while its lexicon is the same: answers do not change.
    """
    path = folder / FILE
    kept = _kept(path)
    known = set(kept["answer_key"].unique()) if kept is not None else set()
    keys = journal.reasoned()
    frames = (frame for frame in _frames(journal, keys, kept, known) if not frame.is_empty())
    first = next(frames, None)
    if first is None:
        path.unlink(missing_ok=True)
        return

    def batches(*_: object) -> Iterator[pl.DataFrame]:
        yield first
        yield from frames

    partial = path.with_name(f".{path.name}.part")
    try:
        register_io_source(batches, schema=dict(_SCHEMA)).sink_parquet(partial, compression="zstd")
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


def _kept(path: Path) -> pl.DataFrame | None:
    try:
        frame = pl.read_parquet(path) if path.is_file() else None
    except (pl.exceptions.PolarsError, OSError):
        return None  # a broken sidecar is made anew
    if frame is None or dict(frame.schema) != dict(_SCHEMA):
        return None
    return frame.filter(pl.col("scorer") == rules.scorer())


def _frames(
    journal: Journal, keys: Sequence[str], kept: pl.DataFrame | None, known: set[str]
) -> Iterator[pl.DataFrame]:
    wanted = set(keys)
    if kept is not None:
        yield kept.filter(pl.col("answer_key").is_in(list(wanted)))
    missing = [key for key in keys if key not in known]
    for start in range(0, len(missing), _CHUNK):
        texts = journal.reasonings(missing[start : start + _CHUNK])
        yield _frame([row for key, said in texts.items() for row in _by_rules(key, steps.split(steps.trace_of(*said)))])
    replies = [one for one in journal.followups.of(JUDGED) if one.answer_key in wanted]
    for start in range(0, len(replies), _CHUNK):
        chunk = replies[start : start + _CHUNK]
        texts = journal.reasonings([one.answer_key for one in chunk])
        yield _frame([row for one in chunk for row in _by_judge(one, texts)])


def _frame(rows: list[tuple[Any, ...]]) -> pl.DataFrame:
    return pl.DataFrame(rows, schema=dict(_SCHEMA), orient="row")


def _by_rules(key: str, found: Sequence[str]) -> Iterator[tuple[Any, ...]]:
    name = rules.scorer()
    for place, text in enumerate(found):
        yield key, place, name, rules.tag(text), text, claims.to_json(claims.claims(text))


def _by_judge(reply: FollowUp, texts: dict[str, tuple[str | None, str | None]]) -> Iterator[tuple[Any, ...]]:
    found = steps.split(steps.trace_of(*texts.get(reply.answer_key, (None, None))))
    tags = read_tags(reply.said, len(found))
    for place, text in enumerate(found):
        if tags is not None:
            yield reply.answer_key, place, f"judge:{reply.model}", tags[place], text, None


def read_tags(said: str, count: int) -> list[str] | None:
    """Return the tags that a judge model gave to ``count`` steps; None where it did not give each of them one."""
    found = _OBJECT.search(said)
    try:
        entries = json.loads(found[0])["steps"] if found else None
        tags = {int(entry["step"]): str(entry["tag"]).strip().lower() for entry in entries or ()}
    except (ValueError, KeyError, TypeError, RecursionError):
        return None
    given = [tags.get(place + 1) for place in range(count)]
    # All or nothing: agreement over the steps that a judge happened to tag would not be agreement.
    return [tag for tag in given if tag is not None] if given and all(tag in TAGS for tag in given) else None
