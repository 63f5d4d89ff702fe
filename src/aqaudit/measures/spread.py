"""How scores are spread: whether a judge uses the scale, or hides in its middle.

Parsed answers only, within each framing; framings are averaged with equal weight.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import polars as pl
from numpy.typing import NDArray

from aqaudit.measures import resample
from aqaudit.measures.recalls import mean_of_groups
from aqaudit.measures.rows import Estimate, Measure, scored

Floats = NDArray[np.float64]

_START = np.zeros(1, dtype=np.int64)
_MOMENTS = ("one", "s", "ss", "g", "gg", "sg")
#: Values of which the most frequent one is looked for when a performer is left out.
_MOST_VALUES = 60
_NO_SPREAD = 1e-12


def read_scores(frame: pl.DataFrame) -> pl.DataFrame:
    """Return scored rows that were read (:func:`aqaudit.measures.rows.scored`)."""
    return scored(frame).filter(pl.col("said").is_not_null())


def _moments(
    frame: pl.DataFrame, figure: Callable[[Floats, Floats, Floats], Floats], *, why: str, high: float, low: float
) -> Estimate:
    """Estimate a figure of the variances of answers and truths and their covariance."""
    rows = read_scores(frame)
    if rows.is_empty():
        return Estimate(value=None, why="no answer could be read")
    # Moments around the means, lest large scores lose their digits.
    said, gold = (rows[name] - float(rows[name].to_numpy().mean()) for name in ("said", "gold"))
    framings = rows["framing"].unique().sort().to_list()
    terms = {"one": said * 0 + 1, "s": said, "ss": said**2, "g": gold, "gg": gold**2, "sg": said * gold}
    parts = rows.select("cluster", "framing").with_columns(
        *[
            (terms[name] * (rows["framing"] == framing).cast(pl.Float64)).alias(f"{name}{at}")
            for name in _MOMENTS
            for at, framing in enumerate(framings)
        ]
    )
    width = len(framings)

    def statistic(table: Floats) -> Floats:
        n, s, ss, g, gg, sg = (table[..., at * width : (at + 1) * width] for at in range(len(_MOMENTS)))
        s, g = resample.figure(s, n), resample.figure(g, n)
        variances = [np.maximum(resample.figure(square, n) - mean**2, 0.0) for square, mean in ((ss, s), (gg, g))]
        variances = [np.where(v < _NO_SPREAD, 0.0, v) for v in variances]
        each = figure(variances[0], variances[1], resample.figure(sg, n) - s * g)
        return mean_of_groups(each, _START)[..., 0]

    return resample.estimate(
        parts,
        [f"{name}{at}" for name in _MOMENTS for at in range(width)],
        statistic,
        bounds=(low, high),
        why=why,
        degenerate=lambda value, _n: (value, value),
    )


def _sd_ratio(frame: pl.DataFrame) -> Estimate:
    return _moments(
        frame,
        lambda said, gold, _cross: np.sqrt(resample.figure(said, gold)),
        why="all true scores are equal",
        low=0.0,
        high=float("inf"),
    )


def _slope(frame: pl.DataFrame) -> Estimate:
    return _moments(
        frame,
        lambda said, _gold, cross: resample.figure(cross, said),
        why="every answer is the same score",
        low=-float("inf"),
        high=float("inf"),
    )


def value_counts(frame: pl.DataFrame) -> pl.DataFrame:
    """Return how often each score was given: ``said``, ``rows``, the most frequent first."""
    counts = read_scores(frame).group_by("said").agg(pl.len().alias("rows"))
    return counts.sort("rows", "said", descending=[True, False])


def _modal_share(frame: pl.DataFrame) -> Estimate:
    rows = read_scores(frame)
    counts = value_counts(frame)
    top = counts["said"].head(_MOST_VALUES).to_list()
    framings = rows["framing"].unique().sort().to_list()
    columns = [f"v{at}_{f}" for f in range(len(framings)) for at in range(len(top))]
    parts = rows.with_columns(
        *[
            ((pl.col("said") == value) & (pl.col("framing") == framing)).cast(pl.Float64).alias(f"v{at}_{f}")
            for f, framing in enumerate(framings)
            for at, value in enumerate(top)
        ],
        *[(pl.col("framing") == framing).cast(pl.Float64).alias(f"n_{f}") for f, framing in enumerate(framings)],
    )
    width, each = len(framings), len(top)

    def statistic(table: Floats) -> Floats:
        values = table[..., : width * each].reshape(*table.shape[:-1], width, each).max(axis=-1)
        return mean_of_groups(resample.figure(values, table[..., width * each :]), _START)[..., 0]

    return resample.estimate(
        parts,
        [*columns, *(f"n_{f}" for f in range(width))],
        statistic,
        bounds=(0.0, 1.0),
        why="no answer could be read",
        degenerate=resample.share_limits,
        details={"distinct_values": counts.height, "modal_value": float(top[0]) if top else None},
    )


def _measure(
    name: str, title: str, what: str, chance: str, citation: str, bounds: tuple[float, float],
    compute: Callable[[pl.DataFrame], Estimate],
) -> Measure:  # fmt: skip
    return Measure(
        name=name,
        title=title,
        what=what,
        kinds=("score",),
        columns=("gold_score", "score"),
        bounds=bounds,
        chance=chance,
        higher_is_better=None,
        citation=citation,
        compute=compute,
    )


_INFINITY = float("inf")
MEASURES = (
    _measure(
        "sd_ratio",
        "spread of the answers / spread of the truths",
        "Standard deviation of given scores over that of true scores, over parsed answers. The best predictor has one "
        "as small as its correlation: never judged alone.",
        "none; 0 for one score for everything",
        "Murphy, Skill scores based on the mean square error, Mon. Weather Rev. 1988",
        (0.0, _INFINITY),
        _sd_ratio,
    ),
    _measure(
        "modal_share",
        "share of the most frequent score",
        "Share of parsed answers that are the most frequent score.",
        "none; 1 for one score for everything",
        "Gneiting, Making and evaluating point forecasts, J. Am. Stat. Assoc. 2011",
        (0.0, 1.0),
        _modal_share,
    ),
    _measure(
        "calibration_slope",
        "calibration slope",
        "Slope of the regression of true on given scores, over parsed answers: 1 where a point more means a point "
        "more, 0 where it means nothing.",
        "0",
        "Cox, Two further applications of a model for binary regression, Biometrika 1958",
        (-_INFINITY, _INFINITY),
        _slope,
    ),
)
