"""Scores from pairs: strengths against published and independent ones, their correlation, its interval."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest
from scipy import optimize, stats

from aqaudit.measures import MEASURES
from aqaudit.measures.bradley_terry import Games, _without_each, strengths

MEASURE = MEASURES["bradley_terry"]


def games_of(wins: dict[tuple[int, int], float], items: int) -> Games:
    first, second, won = [], [], []
    for (a, b), n in wins.items():
        for _ in range(int(n)):
            first.append(a)
            second.append(b)
            won.append(1.0)
    return Games(first=np.array(first), second=np.array(second), won=np.array(won), items=items)


def test_strengths_are_the_published_ones_of_the_citation_data() -> None:
    """Citations between four statistics journals: Stigler 1994, as fitted in Agresti and in R's BradleyTerry2."""
    wins = {(0, 1): 730, (1, 0): 33, (0, 2): 498, (2, 0): 320, (0, 3): 221, (3, 0): 284,
            (1, 2): 68, (2, 1): 813, (1, 3): 17, (3, 1): 276, (2, 3): 142, (3, 2): 325}  # fmt: skip
    found = strengths(games_of(wins, 4), prior=1e-6)
    assert found - found[0] == pytest.approx([0, -2.94907, -0.47957, 0.26895], abs=2e-4)


def test_strengths_maximise_the_penalised_likelihood_that_scipy_maximises() -> None:
    rng = np.random.default_rng(1)
    first, second = rng.integers(0, 12, (2, 80))
    keep = first != second
    games = Games(first=first[keep], second=second[keep], won=rng.choice([0, 0.5, 1], keep.sum()), items=12)

    def loss(s: np.ndarray) -> float:
        difference = s[games.first] - s[games.second]
        own = games.won * np.logaddexp(0, -difference) + (1 - games.won) * np.logaddexp(0, difference)
        return float(own.sum() + 0.5 * (np.logaddexp(0, -s) + np.logaddexp(0, s)).sum())

    theirs = optimize.minimize(loss, np.zeros(12), method="BFGS", options={"gtol": 1e-9}).x
    assert strengths(games) == pytest.approx(theirs, abs=1e-5)


def test_one_that_never_loses_has_a_strength_and_games_need_a_prior() -> None:
    found = strengths(games_of({(0, 1): 5, (1, 2): 5}, 3))
    assert np.isfinite(found).all()
    assert list(np.argsort(found)) == [2, 1, 0]
    with pytest.raises(ValueError, match="above 0"):
        strengths(games_of({(0, 1): 1}, 2), prior=0)


def test_strengths_without_a_person_are_close_to_those_fitted_anew() -> None:
    frame = answers(skill=0.6, people=30, uses=6, seed=4)
    names = sorted({*frame["performance_id"], *frame["other_id"]})
    at = {name: i for i, name in enumerate(names)}
    games = Games(
        first=np.array([at[n] for n in frame["performance_id"]]),
        second=np.array([at[n] for n in frame["other_id"]]),
        won=(frame["prefer"] == "this").cast(pl.Float64).to_numpy(),
        items=len(names),
    )
    person = np.arange(len(names)) % 10
    whole = strengths(games)
    for left, approximate in enumerate(_without_each(games, whole, person, 10)):
        kept = (person[games.first] != left) & (person[games.second] != left)
        exact = strengths(Games(first=games.first[kept], second=games.second[kept], won=games.won[kept], items=30))
        others = person != left
        assert stats.spearmanr(approximate[others], exact[others])[0] > 0.97


def answers(
    *, skill: float, people: int = 40, uses: int = 6, seed: int = 1, first: bool = False, actions: int = 1
) -> pl.DataFrame:
    """Answers to pairs of one performance each by ``people`` performers, in both orders."""
    rng = np.random.default_rng(seed)
    rows = []
    for action in range(actions):
        scores = rng.uniform(0, 10, people)
        for _ in range(uses):
            order = rng.permutation(people)
            for a, b in zip(order[::2], order[1::2], strict=True):
                sees = rng.random() < skill
                for turn in ("ab", "ba"):
                    better = "this" if scores[a] > scores[b] else "other"
                    guess = ("this" if turn == "ab" else "other") if first else rng.choice(["this", "other"])
                    rows.append({
                        "performance_id": f"{action}p{a}", "other_id": f"{action}p{b}", "performer": f"s{a}",
                        "question_id": f"{action}{a}|{b}", "pair_order": turn, "action": f"a{action}", "parse": "ok",
                        "gold_score": scores[a], "other_gold_score": scores[b], "gold_prefer": better,
                        "prefer": better if sees else guess, "kind": "prefer", "framing": "positive",
                    })  # fmt: skip
    return pl.DataFrame(rows)


def test_a_judge_that_sees_everything_ranks_almost_as_the_truth_and_one_that_sees_nothing_does_not() -> None:
    sharp, blind = (MEASURE(answers(skill=skill)) for skill in (1.0, 0.0))
    assert sharp.value is not None
    assert sharp.value > 0.9
    assert sharp.low is not None
    assert sharp.low > 0.8
    assert blind.low is not None
    assert blind.high is not None
    assert blind.low < 0 < blind.high


def test_a_judge_that_takes_the_first_ranks_nothing() -> None:
    found = MEASURE(answers(skill=0.0, first=True))
    assert (found.value, found.flag, found.interval) == (0.0, "constant", None)


def test_the_figure_does_not_depend_on_the_order_of_rows_nor_on_which_performance_is_called_this() -> None:
    frame = answers(skill=0.5, actions=2)
    swap = {"this": "other", "other": "this"}
    turned = frame.with_columns(
        performance_id=pl.col("other_id"),
        other_id=pl.col("performance_id"),
        gold_score=pl.col("other_gold_score"),
        other_gold_score=pl.col("gold_score"),
        prefer=pl.col("prefer").replace(swap),
        performer=pl.format("s{}", pl.col("other_id").str.extract(r"p(\d+)")),
    )
    assert MEASURE(frame) == MEASURE(frame.sample(fraction=1, shuffle=True, seed=2))
    assert MEASURE(turned).value == pytest.approx(MEASURE(frame).value, abs=1e-9)


def test_the_correlation_is_spearmans_of_the_strengths() -> None:
    frame = answers(skill=0.4, seed=3)
    names = sorted({*frame["performance_id"], *frame["other_id"]})
    at = {name: i for i, name in enumerate(names)}
    games = Games(
        first=np.array([at[n] for n in frame["performance_id"]]),
        second=np.array([at[n] for n in frame["other_id"]]),
        won=(frame["prefer"] == "this").cast(pl.Float64).to_numpy(),
        items=len(names),
    )
    gold = dict(zip(frame["performance_id"], frame["gold_score"], strict=True))
    gold |= dict(zip(frame["other_id"], frame["other_gold_score"], strict=True))
    expected = stats.spearmanr([gold[name] for name in names], strengths(games))[0]
    assert MEASURE(frame).value == pytest.approx(expected, abs=1e-9)


def test_pairs_of_criteria_have_no_scores_to_rank_by() -> None:
    frame = answers(skill=1.0).with_columns(gold_score=pl.lit(None, dtype=pl.Float64))
    assert MEASURE(frame).value is None
    assert "no true scores" in MEASURE(frame).why


def test_the_interval_holds_the_correlation_of_the_population_about_as_often_as_it_says() -> None:
    """A small budget of ``benchmarks``-like simulation: 40 samples, 60 performers; 0.95 +- two standard errors."""
    many = MEASURE(answers(skill=0.4, people=2000, seed=99)).value
    inside = 0
    for seed in range(40):
        found = MEASURE(answers(skill=0.4, people=60, seed=seed))
        assert found.low is not None
        assert found.high is not None
        inside += found.low <= many <= found.high  # type: ignore[operator]
    assert inside >= 34
