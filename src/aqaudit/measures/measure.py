"""What a measure declares about itself, and the estimate it returns."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    import polars as pl

    from aqaudit.measures.resample import Interval
    from aqaudit.records import Kind


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """A measure's value on some rows, with what is needed to read it.

    ``value`` is None where the measure is undefined, ``interval`` where the sample allows none; ``why`` then says why
    in one clause. ``n`` counts the rows used, ``clusters`` their distinct performers. ``chance`` is
    what a guess that ignores the input scores on these rows, ``baseline`` what the best constant answer scores.
    """

    value: float | None
    interval: Interval | None = None
    chance: float | None = None
    baseline: float | None = None
    n: int = 0
    clusters: int = 0
    flag: str | None = None
    why: str = ""
    details: Mapping[str, float | int | str | None] = field(default_factory=dict)

    @property
    def low(self) -> float | None:
        """Lower end of the 95 % interval."""
        return self.interval.low if self.interval else None

    @property
    def high(self) -> float | None:
        """Upper end of the 95 % interval."""
        return self.interval.high if self.interval else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Measure:
    """A measure that describes itself; calling it on rows of one scope gives an :class:`Estimate`.

    ``columns`` are the columns it cannot do without (besides one that names the performer); ``bounds`` is the range of
    its values; ``chance`` says in words what a guess scores; ``compute`` is a pure function of the frame.
    """

    name: str
    title: str
    what: str
    kinds: tuple[Kind, ...]
    columns: tuple[str, ...]
    bounds: tuple[float, float]
    chance: str
    higher_is_better: bool | None
    citation: str
    compute: Callable[[pl.DataFrame], Estimate]

    def __call__(self, frame: pl.DataFrame) -> Estimate:
        """Return the estimate on ``frame``, the answers of one scope; rows without a truth are left out."""
        return self.compute(frame)
