"""Measured movement: the auxiliary table ``kinematics.parquet`` of a run, from the joints that are at hand."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
import polars as pl

from aqaudit.core.auxiliary import SCHEMAS
from aqaudit.core.keys import digest, window_json
from aqaudit.core.records import DRAWING, BadInput, Performance
from aqaudit.core.table import write_parquet
from aqaudit.engine.preparation import Prepared
from aqaudit.pose.coco17 import Keypoints
from aqaudit.pose.kinematics import kinematics

NAME = "kinematics.parquet"
_SIGNATURE = "aqaudit.kinematics"


def write_kinematics(prepared: Prepared, *, anew: bool) -> list[str]:
    """Write the movement of every performance of the plan whose joints are at hand, beside the answers of a run.

    At hand are files of keypoints, and what was estimated for a view; nothing is estimated for this. ``t_s`` are
    seconds from the start of the performance, as a model is shown it. Without joints no file is written. The file of an
    earlier run is kept where it is of the same joints, unless ``anew``.

    Returns
    -------
    list
        One line for every performance whose joints could not be used.
    """
    performances = [p for planned in prepared.plan.datasets for p in planned.dataset.performances]
    path = prepared.options.out / NAME
    signature = _signature(performances, prepared)
    if not anew and _signed(path) == signature:
        return []
    problems: list[str] = []
    frames = list(_frames(performances, prepared, problems))
    if frames:
        write_parquet(pl.concat(frames), path, metadata={_SIGNATURE: signature})
    return problems


def _frames(performances: Iterable[Performance], prepared: Prepared, problems: list[str]) -> Iterator[pl.DataFrame]:
    for performance in performances:
        try:
            found = prepared.poses.at_hand(performance)
        except BadInput as error:
            problems.append(f"no kinematics of performance '{performance.id}': {error}")
            continue
        if found is not None:
            yield table(performance.id, found)


def table(performance_id: str, keypoints: Keypoints) -> pl.DataFrame:
    """Return the rows of one performance: the quantities in order, each over time, without what is not known.

    The keypoints' times are from the start of the performance.
    """
    times = np.round(keypoints.times_s, 6)
    columns: dict[str, list[object]] = {"t_s": [], "quantity": [], "value": [], "unit": [], "confidence": []}
    for name, series in kinematics(keypoints).items():
        known = np.flatnonzero(np.isfinite(series.values))
        columns["t_s"].extend(times[known].tolist())
        columns["quantity"].extend([name] * len(known))
        columns["value"].extend(np.round(series.values[known], 6).tolist())
        columns["unit"].extend([series.unit] * len(known))
        columns["confidence"].extend(np.round(series.confidence[known], 4).tolist())
    rows = len(columns["t_s"])
    return pl.DataFrame({"performance_id": [performance_id] * rows, **columns}, schema=dict(SCHEMAS["kinematics"]))


def merge_kinematics(sources: Iterable[Path], out: Path) -> None:
    """Unite the movement that shards of one study measured: of each performance what the first of them has."""
    frames: list[pl.DataFrame] = []
    seen: set[str] = set()
    for source in sources:
        if (source / NAME).is_file():
            frame = pl.read_parquet(source / NAME).filter(~pl.col("performance_id").is_in(sorted(seen)))
            seen.update(frame["performance_id"].unique())
            frames.append(frame)
    if frames:
        write_parquet(pl.concat(frames), out / NAME)


def _signature(performances: Iterable[Performance], prepared: Prepared) -> str:
    facts = [f"{DRAWING} {prepared.study.spec.pose}"]
    for performance in performances:
        source = prepared.sources.content_hash(performance)
        pose = "" if performance.pose is None else prepared.poses.identity(performance)
        facts.append(f"{performance.id} {source} {window_json(performance)} {pose}")
    return digest("\n".join(facts))


def _signed(path: Path) -> str | None:
    try:
        return pl.read_parquet_metadata(path).get(_SIGNATURE)
    except (OSError, pl.exceptions.PolarsError):
        return None
