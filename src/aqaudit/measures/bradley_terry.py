"""Scores from pairs: Bradley-Terry strengths of the performances compared, and their rank correlation with the truth.

Each reading of a pair is a game that the preferred performance wins (a tie is half a game won by either). A performance
i beats j with probability 1 / (1 + exp(s_j - s_i)); the strengths s maximise the likelihood, held together by half a
game won and half a game lost of every performance against one of strength 0, so that one that never loses has a
strength too. Pairs are within an action, so strengths are fitted and ranked within actions.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import polars as pl
from numpy.typing import NDArray
from scipy import sparse, special
from scipy.sparse import csgraph
from scipy.sparse.linalg import splu

from aqaudit.measures import resample
from aqaudit.measures.correlation import MIN_RANKED, RankCorrelation, fisher_mean, spearman
from aqaudit.measures.rows import Estimate, Measure, cluster, number, parsed, require, text

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

#: Games against a performance of strength 0 that every performance is given, half of them won.
PRIOR = 1.0
_STEPS, _PRECISE = 200, 1e-10
# Strengths closer than this are equal: their difference is rounding.
_EQUAL = 1e-7


@dataclass(frozen=True, slots=True, kw_only=True)
class Games:
    """Games between items 0 to ``items`` - 1; ``won`` is the share of each that ``first`` won."""

    first: Ints
    second: Ints
    won: Floats
    items: int


def strengths(games: Games, prior: float = PRIOR) -> Floats:
    """Return the strengths that maximise the penalised likelihood, by Newton's method.

    Raises
    ------
    ValueError
        The prior is not above 0: without one the strengths have no zero.
    """
    if prior <= 0:
        raise ValueError(f"prior {prior}: must be above 0")
    strength = np.zeros(games.items)
    for _ in range(_STEPS):
        slope, curve = _derivatives(games, strength, prior)
        if np.abs(slope).max(initial=0.0) < _PRECISE:
            break
        # Far from the maximum a whole step may overshoot: the likelihood of a logistic is flat there.
        strength = strength + np.clip(splu(curve).solve(slope), -2.0, 2.0)
    return strength


def _derivatives(games: Games, strength: Floats, prior: float) -> tuple[Floats, sparse.csc_matrix]:
    beats = special.expit(strength[games.first] - strength[games.second])
    alone = special.expit(strength)
    slope = prior * (0.5 - alone)
    np.add.at(slope, games.first, games.won - beats)
    np.add.at(slope, games.second, beats - games.won)
    weight = beats * (1 - beats)
    at = np.arange(games.items)
    rows = np.concatenate((games.first, games.second, games.first, games.second, at))
    columns = np.concatenate((games.first, games.second, games.second, games.first, at))
    values = np.concatenate((weight, weight, -weight, -weight, prior * alone * (1 - alone)))
    return slope, sparse.csc_matrix((values, (rows, columns)), shape=(games.items, games.items))


def _without_each(games: Games, strength: Floats, person: Ints, people: int, prior: float = PRIOR) -> Floats:
    """Return the strengths with each person's games left out (people x items), by one Newton step from all games."""
    beats = special.expit(strength[games.first] - strength[games.second])
    pull = games.won - beats
    _, curve = _derivatives(games, strength, prior)
    solve = splu(curve).solve
    gone = np.zeros((people, games.items))
    # A game within one person's own performances is left out once.
    for side, counted in (
        (games.first, np.ones(pull.size, dtype=bool)),
        (games.second, person[games.first] != person[games.second]),
    ):
        out = person[side][counted]
        np.add.at(gone, (out, games.first[counted]), pull[counted])
        np.add.at(gone, (out, games.second[counted]), -pull[counted])
    return np.asarray(strength - np.stack([solve(row) for row in gone]))


def _rank_correlation(frame: pl.DataFrame) -> Estimate:
    require(frame, ("prefer",))
    rows = _outcomes(frame)
    read = rows.filter(pl.col("won").is_not_null())
    if rows.is_empty():
        return Estimate(value=None, why="the pairs have no true scores, only a better and a worse one")
    if read.is_empty():
        return Estimate(value=None, why="no answer could be read")
    whose = _whose(rows)
    people = sorted(set(whose.values()))
    place = {name: at for at, name in enumerate(people)}
    fitted = [_of_action(part, whose, place) for _, part in sorted(read.group_by("action"), key=lambda g: str(g[0][0]))]
    usable = [one for one in fitted if np.isfinite(one.value)]
    found = Estimate(
        value=None,
        chance=0.0,
        n=read.height,
        clusters=len(people),
        details={
            "coverage": read.height / rows.height,
            "performances": sum(one.items for one in fitted),
            "separate_groups": sum(one.groups for one in fitted),
            "actions": len(usable),
        },
    )
    if not usable:
        return replace(found, why=f"no action has {MIN_RANKED} compared performances of different true scores")
    if all(one.constant for one in usable):
        why = "every performance wins as often as it loses"
        return replace(found, value=0.0, baseline=0.0, flag="constant", why=why)
    values = np.stack([np.append(one.value, one.without) for one in usable])
    # A person whose loss leaves an action undefined changes nothing there.
    mean = fisher_mean(values) if len(usable) > 1 else values[0]
    return resample.with_interval(
        replace(found, value=float(mean[0]), baseline=0.0),
        mean[1:],
        bounds=(-1.0, 1.0),
        small=resample.too_small(_games_of_each(read, whose)),
        fisher=True,
    )


def _outcomes(frame: pl.DataFrame) -> pl.DataFrame:
    """Return one row an answer: the two performances, who they are by, their true scores and who won."""
    said = pl.col("prefer").cast(pl.String)
    won = pl.when(said == "this").then(1.0).when(said == "other").then(0.0).when(said == "tie").then(0.5)
    return (
        frame.select(
            text(frame, "action"),
            text(frame, "performance_id").alias("this"),
            text(frame, "other_id").alias("other"),
            cluster(frame),
            number(frame, "gold_score").alias("this_score"),
            number(frame, "other_gold_score").alias("other_score"),
            pl.when(parsed(frame)).then(won.otherwise(None)).otherwise(None).alias("won"),
        )
        .filter(pl.col("this_score").is_not_null() & pl.col("other_score").is_not_null() & (pl.col("other") != ""))
        .sort("action", "this", "other", "won", nulls_last=True)
    )


def _whose(rows: pl.DataFrame) -> dict[str, str]:
    """Return the performer of each performance; one that only ever stands second counts as a performer of its own."""
    known = dict(rows.select("this", "cluster").unique().sort("this", "cluster", descending=True).iter_rows())
    return {name: known.get(name, f"performance {name}") for name in {*rows["this"], *rows["other"]}}


def _games_of_each(read: pl.DataFrame, whose: dict[str, str]) -> dict[str, int]:
    """Return in how many games each performer stands."""
    counts: dict[str, int] = {}
    for side in ("this", "other"):
        for name, games in read.group_by(side).len().iter_rows():
            counts[whose[name]] = counts.get(whose[name], 0) + games
    return counts


@dataclass(frozen=True, slots=True, kw_only=True)
class _Action:
    """The correlation in one action, and without each person; ``groups`` are sets of performances never compared."""

    value: float
    without: Floats
    items: int
    groups: int
    constant: bool


def _of_action(part: pl.DataFrame, whose: dict[str, str], place: dict[str, int]) -> _Action:
    sides = [
        part.select(pl.col(side).alias("id"), pl.col(f"{side}_score").alias("score")) for side in ("this", "other")
    ]
    scores = pl.concat(sides).group_by("id").agg(pl.col("score").min()).sort("id")
    names = scores["id"].to_list()
    at = {name: i for i, name in enumerate(names)}
    games = Games(
        first=np.array([at[name] for name in part["this"]]),
        second=np.array([at[name] for name in part["other"]]),
        won=part["won"].to_numpy(),
        items=len(names),
    )
    person = np.array([place[whose[name]] for name in names])
    gold, strength = scores["score"].to_numpy(), strengths(games)
    ties = sparse.coo_matrix((np.ones(games.won.size), (games.first, games.second)), shape=(len(names), len(names)))
    groups = int(csgraph.connected_components(ties, directed=False, return_labels=False))

    def agreement(kept: NDArray[np.bool_], values: Floats) -> RankCorrelation:
        rounded = np.round(values[kept] / _EQUAL) * _EQUAL
        nobody = np.zeros(int(kept.sum()), dtype=np.int64)
        return spearman(gold[kept], rounded, nobody, 0, min_rows=MIN_RANKED)

    whole = agreement(np.ones(len(names), dtype=bool), strength)
    without = np.full(len(place), whole.value)
    if np.isfinite(whole.value):
        here, inverse = np.unique(person, return_inverse=True)
        for row, values in enumerate(_without_each(games, strength, inverse, here.size)):
            without[here[row]] = agreement(inverse != row, values).value
    return _Action(value=whole.value, without=without, items=len(names), groups=groups, constant=whole.constant)


MEASURE = Measure(
    name="bradley_terry",
    title="rank correlation of scores from pairs",
    what=(
        "Spearman's correlation of true scores and Bradley-Terry strengths, which are fitted to the preferences within "
        "each action; averaged over actions on the Fisher z scale. Comparable with spearman of direct scores."
    ),
    kinds=("prefer",),
    columns=("prefer",),
    bounds=(-1.0, 1.0),
    chance="0",
    higher_is_better=True,
    citation="Bradley & Terry, Rank analysis of incomplete block designs, Biometrika 1952; Hunter, Ann. Stat. 2004",
    compute=_rank_correlation,
)
