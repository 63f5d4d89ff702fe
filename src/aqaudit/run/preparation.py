"""Everything that is checked before the first request: the study, its data, its media, where things would be sent."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from aqaudit import datasets
from aqaudit.media.perturb import PERTURBATIONS
from aqaudit.media.source import SourceCache, check
from aqaudit.media.views import VIEWS
from aqaudit.plan import Plan
from aqaudit.records import BadInput, nearest

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from aqaudit.media.source import SourceInfo
    from aqaudit.records import Dataset, Performance
    from aqaudit.study import Study


@dataclass(frozen=True, slots=True, kw_only=True)
class RunOptions:
    """How a study is run; nothing here changes an answer or its key.

    ``limit`` is the number of requests of the plan taken per model, ``shard`` = (i, n) with 1 <= i <= n, ``max_wait_s``
    the longest one request may wait between attempts, ``allow_upload`` names data sets whose media may leave the
    machine although they do not say so themselves.
    """

    out: Path
    limit: int | None = None
    shard: tuple[int, int] | None = None
    max_usd: float | None = None
    max_requests: int | None = None
    max_wait_s: float = 600.0
    retry_failed: bool = True
    allow_upload: frozenset[str] = frozenset()


class MediaSources:
    """The plan's view of media: content hashes and kinds, from headers and the cache."""

    def __init__(self, cache: SourceCache) -> None:
        self._cache = cache

    def content_hash(self, performance: Performance) -> str:
        """Return the SHA-256 of the source's bytes."""
        return self._cache.content_hash(performance)

    def describe(self, performance: Performance) -> SourceInfo:
        """Return the header facts of a source."""
        return self._cache.describe(performance)

    def is_image(self, performance: Performance) -> bool:
        """Tell whether the performance is one picture."""
        return self._cache.describe(performance).kind == "image"


@dataclass(frozen=True, slots=True, kw_only=True)
class Prepared:
    """A study that passed every check that needs no model."""

    study: Study
    plan: Plan
    sources: MediaSources
    options: RunOptions


def prepare(study: Study, options: RunOptions) -> Prepared:
    """Read the data sets, look at every file's header, check permissions, and plan.

    Raises
    ------
    BadInput
        Anything the user gave cannot be used.
    """
    for view in study.spec.grid.view:
        if view not in VIEWS:
            raise BadInput(f"{study.name}: grid.view: '{view}' is not available{nearest(view, VIEWS)}")
    for change in study.spec.grid.perturbation:
        if change not in PERTURBATIONS:
            hint = nearest(change, PERTURBATIONS)
            raise BadInput(f"{study.name}: grid.perturbation: '{change}' is not available{hint}")
    found = [datasets.read(d.reader, study.root_of(d), split=d.split, **d.options) for d in study.spec.dataset]
    _check_uploads(study, found, options.allow_upload)
    sources = MediaSources(SourceCache(None))
    for dataset in found:
        _check_media(dataset.performances, sources)
    return Prepared(
        study=study,
        plan=Plan.of(study, found, sources, options.shard),
        sources=sources,
        options=options,
    )


def _check_media(performances: Iterable[Performance], sources: MediaSources) -> None:
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
