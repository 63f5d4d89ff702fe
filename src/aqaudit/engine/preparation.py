"""Everything that is checked before the first request: the study, its data, its media, where things would be sent."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from aqaudit import datasets
from aqaudit.core.records import KINDS, PERTURBATIONS, VIEWS, BadInput, Dataset, MediaSpec, Performance, nearest
from aqaudit.media.mask import region
from aqaudit.media.poses import Poses
from aqaudit.media.source import SourceCache, check
from aqaudit.study.plan import Plan
from aqaudit.study.requests import cells_of
from aqaudit.study.study import DatasetSpec, Study

#: Names of the split that examples may be taken from.
_TRAINING = frozenset({"train", "training"})


@dataclass(frozen=True, slots=True, kw_only=True)
class RunOptions:
    """How a study is run; nothing here changes an answer or its key.

    ``limit`` is the number of requests of the plan taken per model, ``shard`` = (i, n) with 1 <= i <= n, ``max_wait_s``
    the longest one request may wait between attempts, ``allow_upload`` names data sets whose media may leave the
    machine although they do not say so themselves, ``trace_judge`` the model that tags reasoning afterwards,
    ``engine`` who does the work: threads of this process, or workers of a Ray cluster.
    """

    out: Path
    limit: int | None = None
    shard: tuple[int, int] | None = None
    max_usd: float | None = None
    max_requests: int | None = None
    max_wait_s: float = 600.0
    retry_failed: bool = True
    allow_upload: frozenset[str] = frozenset()
    trace_judge: str | None = None
    engine: Literal["local", "ray"] = "local"


@dataclass(frozen=True, slots=True, kw_only=True)
class Prepared:
    """A study that passed every check that needs no model."""

    study: Study
    plan: Plan
    sources: SourceCache
    poses: Poses
    options: RunOptions


def prepare(study: Study, options: RunOptions) -> Prepared:
    """Read the data sets, look at every file's header, check permissions, and plan.

    Raises
    ------
    BadInput
        Anything the user gave cannot be used.
    """
    _check_grid(study)
    found, training = _read(study)
    _check_uploads(study, found, options.allow_upload)
    sources = SourceCache(None)
    poses = Poses(sources, study.spec.pose)
    for dataset in found:
        _check_media(dataset.performances, sources)
    _check_poses(study, found, poses)
    plan = Plan.of(study, found, sources, poses, options.shard, training)
    for planned in plan.datasets if training else ():
        _check_media(planned.examples(), sources)
    return Prepared(study=study, plan=plan, sources=sources, poses=poses, options=options)


def plan_only(study: Study) -> Plan:
    """Plan a study to look at, without asking where its media may go and whether every file is whole.

    Raises
    ------
    BadInput
        The data cannot be read, or a file that is looked at is no media file.
    """
    _check_grid(study)
    found, training = _read(study)
    sources = SourceCache(None)
    return Plan.of(study, found, sources, Poses(sources, study.spec.pose), None, training)


def look_at(study: Study) -> tuple[list[Dataset], SourceCache, Poses]:
    """Read the data sets of a study to look at their media, without a plan.

    Raises
    ------
    BadInput
        The data cannot be read, or the study shows what cannot be shown.
    """
    _check_grid(study)
    found, _ = _read(study)
    sources = SourceCache(None)
    return found, sources, Poses(sources, study.spec.pose)


def _check_grid(study: Study) -> None:
    if not study.used:
        wanted = " or ".join(f"--root {name}=PATH" for name in study.without_root)
        raise BadInput(f"{study.name}: no data set has a root; give {wanted} (aqaudit data list says what they are)")
    for view in study.spec.grid.view:
        if view not in VIEWS:
            raise BadInput(f"{study.name}: grid.view: '{view}' is not available{nearest(view, VIEWS)}")
    for change in study.spec.grid.perturbation:
        if change not in PERTURBATIONS:
            hint = nearest(change, PERTURBATIONS)
            raise BadInput(f"{study.name}: grid.perturbation: '{change}' is not available{hint}")
    try:
        region(study.spec.region)
    except BadInput as error:
        raise BadInput(f"{study.name}: {error}") from None


def _check_poses(study: Study, found: Iterable[Dataset], poses: Poses) -> None:
    """Find out what the joints come from where the study needs any, so that a lack shows now; nothing is estimated."""
    for dataset in found:
        cells = [c for model in study.models for kind in KINDS for c in cells_of(study, kind, model, dataset.name)]
        if any(MediaSpec(view=c.view, perturbation=c.perturbation).posed for c in cells):
            for performance in dataset.performances:
                poses.identity(performance)


def _read(study: Study) -> tuple[list[Dataset], list[Dataset] | None]:
    """Read the data sets that have a root, and where examples are asked for, what these are taken from."""
    found = [datasets.read(d.reader, study.root_of(d), split=d.split, **d.options) for d in study.used]
    training = [_training(d, study) for d in study.used] if set(study.spec.grid.shots) != {0} else None
    return found, training


def _training(spec: DatasetSpec, study: Study) -> Dataset:
    """Read the performances of a data set that examples may be taken from: its split ``train``.

    Where no performance names a split, all of them: an example is never by the performer who is asked about.

    Raises
    ------
    BadInput
        There are splits, but none is called train.
    """
    whole = datasets.read(spec.reader, study.root_of(spec), **spec.options)
    splits = {p.split for p in whole.performances}
    if splits == {""}:
        return whole
    kept = [p for p in whole.performances if p.split in _TRAINING]
    if not kept:
        there = ", ".join(sorted(splits - {""}))
        raise BadInput(
            f"{study.name}: data set '{whole.name}' has no split 'train' to take examples from (its splits: {there}); "
            "give some clips that split, or leave out the strategy few_shot"
        )
    return replace(whole, performances=kept)


def _check_media(performances: Iterable[Performance], sources: SourceCache) -> None:
    for performance in performances:
        check(performance, sources.describe(performance))
        sources.content_hash(performance)


def _check_uploads(study: Study, found: Iterable[Dataset], allowed: frozenset[str]) -> None:
    """Refuse to plan an upload that a data set does not allow."""
    found = list(found)
    names = {d.name for d in found}
    for name in allowed:
        if name not in names:
            raise BadInput(f"--allow-upload {name}: the study has no such data set{nearest(name, names)}")
    for model, entry in study.models.items():
        endpoint, remote = entry.destination()
        for dataset in found:
            if remote and not dataset.allow_upload and dataset.name not in allowed:
                raise BadInput(
                    f"{study.name}: model '{model}' would send clips of '{dataset.name}' to {endpoint}, which that "
                    "data set does not allow; set allow_upload = true in its dataset.toml, or give --allow-upload "
                    f"{dataset.name}"
                )
