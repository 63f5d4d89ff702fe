"""How scores are spread: whether a judge uses the scale, or hides in its middle.

Parsed answers only, within each framing; framings are averaged with equal weight.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np
import polars as pl
from numpy.typing import NDArray

from aqaudit.measures import resample
from aqaudit.measures.resample import ratio
from aqaudit.measures.rows import Estimate, Measure, scored

Floats = NDArray[np.float64]

#: Values of which the most frequent one is looked for when a performer is left out.
_MOST_VALUES = 60
_NO_SPREAD = 1e-12
_INFINITY = float("inf")


def read_scores(frame: pl.DataFrame) -> pl.DataFrame:
    """Return scored rows that were read (:func:`aqaudit.measures.rows.scored`)."""
    return scored(frame).filter(pl.col("said").is_not_null())


def value_counts(frame: pl.DataFrame) -> pl.DataFrame:
    """Return how often each score was given: ``said``, ``rows``, the most frequent first."""
    counts = read_scores(frame).group_by("said").agg(pl.len().alias("rows"))
    return counts.sort("rows", "said", descending=[True, False])


def _of_moments(
    frame: pl.DataFrame, figure: Callable[[Floats, Floats, Floats], Floats], *, bounds: tuple[float, float], why: str
) -> Estimate:
    """Estimate a figure of the variances of answers and truths and their covariance."""
    rows = read_scores(frame)
    if rows.is_empty():
        return Estimate(value=None, why="no answer could be read")
    # Moments around the means, lest large scores lose their digits.
    s, g = (pl.col(name) - float(rows[name].to_numpy().mean()) for name in ("said", "gold"))
    parts = rows.select("cluster", "framing", one=pl.lit(1.0), s=s, ss=s**2, g=g, gg=g**2, sg=s * g)

    def of_sums(n: Floats, s: Floats, ss: Floats, g: Floats, gg: Floats, sg: Floats) -> Floats:
        s, g = ratio(s, n), ratio(g, n)
        said, gold = (np.maximum(ratio(square, n) - mean**2, 0.0) for square, mean in ((ss, s), (gg, g)))
        said, gold = (np.where(variance < _NO_SPREAD, 0.0, variance) for variance in (said, gold))
        return figure(said, gold, ratio(sg, n) - s * g)

    return resample.estimate(
        parts,
        ("one", "s", "ss", "g", "gg", "sg"),
        resample.mean_over_framings(6, of_sums),
        bounds=bounds,
        why=why,
        degenerate=resample.itself,
        by_framing=True,
    )


def _modal_share(frame: pl.DataFrame) -> Estimate:
    rows, counts = read_scores(frame), value_counts(frame)
    top = counts["said"].head(_MOST_VALUES).to_list()
    values = {f"v{at}": (pl.col("said") == value).cast(pl.Float64) for at, value in enumerate(top)}
    return resample.estimate(
        rows.select("cluster", "framing", one=pl.lit(1.0), **values),
        ("one", *values),
        resample.mean_over_framings(1 + len(top), lambda n, *given: ratio(np.maximum.reduce(given), n)),
        bounds=(0.0, 1.0),
        why="no answer could be read",
        degenerate=resample.share_limits,
        by_framing=True,
        details={"distinct_values": counts.height, "modal_value": float(top[0]) if top else None},
    )


_measure = partial(Measure, kinds=("score",), columns=("gold_score", "score"), higher_is_better=None)
MEASURES = (
    _measure(
        name="sd_ratio",
        title="spread of the answers / spread of the truths",
        what=(
            "Standard deviation of given scores over that of true scores, over parsed answers. The best predictor has "
            "one as small as its correlation: never judged alone."
        ),
        bounds=(0.0, _INFINITY),
        chance="none; 0 for one score for everything",
        citation="Murphy, Skill scores based on the mean square error, Mon. Weather Rev. 1988",
        compute=lambda frame: _of_moments(
            frame,
            lambda said, gold, _cross: np.sqrt(ratio(said, gold, _NO_SPREAD)),
            bounds=(0.0, _INFINITY),
            why="all true scores are equal",
        ),
    ),
    _measure(
        name="modal_share",
        title="share of the most frequent score",
        what="Share of parsed answers that are the most frequent score.",
        bounds=(0.0, 1.0),
        chance="none; 1 for one score for everything",
        citation="Gneiting, Making and evaluating point forecasts, J. Am. Stat. Assoc. 2011",
        compute=_modal_share,
    ),
    _measure(
        name="calibration_slope",
        title="calibration slope",
        what=(
            "Slope of the regression of true on given scores, over parsed answers: 1 where a point more means a point "
            "more, 0 where it means nothing."
        ),
        bounds=(-_INFINITY, _INFINITY),
        chance="0",
        citation="Cox, Two further applications of a model for binary regression, Biometrika 1958",
        compute=lambda frame: _of_moments(
            frame,
            lambda said, _gold, cross: ratio(cross, said, _NO_SPREAD),
            bounds=(-_INFINITY, _INFINITY),
            why="every answer is the same score",
        ),
    ),
)
