"""Intervals: exactness of leaving clusters out, behaviour at the edges, and coverage."""

from __future__ import annotations

import importlib

import numpy as np
import polars as pl
import pytest
from scipy import sparse, stats

from answers_tables import booleans, choices, judge, marker, scores, table_for
from aqaudit.measures import MEASURES, correlation, resample

#: Of these, a part is held fixed when a performer is left out, or the interval is another.
NO_PLAIN_JACKKNIFE = {"r_l2", "bradley_terry", "gap_75", "ece", "vision_dependence", "static_evidence"}


@pytest.mark.parametrize("name", sorted(set(MEASURES) - NO_PLAIN_JACKKNIFE))
def test_the_interval_is_the_jackknife_over_tables_that_lack_one_performer(name):
    frame, measure = table_for(MEASURES[name]), MEASURES[name]
    performers = frame["performer"].unique().sort()
    left = np.array([measure(frame.filter(pl.col("performer") != who)).value for who in performers])
    value, g = measure(frame).value, performers.len()
    fisher = name.startswith("spearman")
    if fisher:
        value, left = np.arctanh(value), np.arctanh(left)
    se = np.sqrt((g - 1) / g * np.sum((left - left.mean()) ** 2))
    reach = stats.t.ppf(0.975, g - 1) * se
    ends = np.array([value - reach, value + reach])
    ends = np.tanh(ends) if fisher else ends
    found = measure(frame)
    assert [found.low, found.high] == pytest.approx(np.clip(ends, *measure.bounds), abs=1e-9)
    assert found.interval.se == pytest.approx(se, abs=1e-9)


def test_the_interval_of_r_l2_holds_the_range_fixed():
    frame = scores([float(i % 10) for i in range(80)], [float((i * 7) % 11) for i in range(80)],
                   [f"p{i % 8}" for i in range(80)])  # fmt: skip
    loss = 100 * ((frame["gold_score"] - frame["score"]) / 9) ** 2
    left = np.array([loss.filter(frame["performer"] != f"p{i}").mean() for i in range(8)])
    se = np.sqrt(7 / 8 * np.sum((left - left.mean()) ** 2))
    assert MEASURES["r_l2"](frame).interval.se == pytest.approx(se, abs=1e-9)


def test_an_item_asked_twice_narrows_nothing():
    once = judge(0.7, rows=300, performers=20)
    twice = pl.concat([once, once])
    for name in ("balanced_accuracy", "lean"):
        a, b = MEASURES[name](once), MEASURES[name](twice)
        assert (a.value, a.low, a.high, a.clusters) == pytest.approx((b.value, b.low, b.high, b.clusters), abs=1e-12)
        assert b.n == 2 * a.n


def test_influence_functions_agree_with_leaving_out():
    frame = marker(0.5, rows=4000, performers=400)
    gold, said = frame["gold_score"].to_numpy(), frame["score"].to_numpy()
    cluster = np.unique(frame["performer"].to_numpy(), return_inverse=True)[1]
    exact = correlation.spearman(gold, said, cluster, 400)
    assert exact.exact
    many = np.arange(4000)
    first_order = correlation.spearman(gold, said, many, 6000)
    assert not first_order.exact
    summed = np.bincount(cluster, weights=first_order.replicates[:4000] - first_order.value)
    difference = exact.replicates - exact.value
    assert np.corrcoef(summed, difference)[0, 1] > 0.999
    assert np.std(summed) == pytest.approx(np.std(difference), rel=0.02)


def test_clopper_pearson_is_scipys():
    for k, n in ((0, 12), (5, 12), (12, 12)):
        exact = stats.binomtest(k, n).proportion_ci(method="exact")
        assert resample.clopper_pearson(k, n) == pytest.approx((exact.low, exact.high), abs=1e-12)
    assert resample.flip_rate_bound(20) == pytest.approx(1 - 0.025 ** (1 / 20), abs=1e-12)


def test_a_perfect_judge_gets_clopper_pearson_with_as_many_trials_as_performers():
    gold = [i % 2 == 0 for i in range(40)]
    estimate = MEASURES["balanced_accuracy"](booleans(gold, gold, [f"p{i // 2}" for i in range(40)]))
    assert (estimate.low, estimate.high) == pytest.approx((0.025 ** (1 / 20), 1.0), abs=1e-12)
    ranked = MEASURES["spearman"](scores([float(i) for i in range(20)], [float(i) for i in range(20)]))
    assert (ranked.low, ranked.high) == pytest.approx((2 * 0.025 ** (1 / 20) - 1, 1.0), abs=1e-12)


def test_a_judge_that_always_says_correct_gets_the_limits_of_its_two_recalls():
    gold = [i % 2 == 0 for i in range(40)]
    estimate = MEASURES["balanced_accuracy"](booleans(gold, [True] * 40, [f"p{i // 2}" for i in range(40)]))
    limit = 0.025 ** (1 / 20)
    assert (estimate.value, estimate.flag) == (0.5, "constant")
    assert (estimate.low, estimate.high) == pytest.approx((limit / 2, (1 + 1 - limit) / 2), abs=1e-12)


@pytest.mark.parametrize(
    ("rows", "classes", "why"),
    [
        ([10] * 8, None, None),
        ([10] * 7, None, "only 7 performers; at least 8 are needed for an interval"),
        ([1], None, "only 1 performer; at least 8 are needed for an interval"),
        ([10] * 8, {"correct": 8, "error": 5}, None),
        ([10] * 8, {"correct": 8, "error": 4}, "only 4 performers have executions whose truth is 'error'"),
        ([10] * 8, {"correct": 1, "error": 8}, "only 1 performer has executions whose truth is 'correct'"),
        ([70, *[30] * 7], None, None),
        ([71, *[30] * 7], None, "performer 'p0' gives 25.3% of the answers; at most 25% may come from one"),
    ],
)
def test_when_a_sample_is_too_small(rows, classes, why):
    found = resample.too_small({f"p{i}": n for i, n in enumerate(rows)}, classes)
    assert found == why or (why is not None and found is not None and found.startswith(why))


def test_every_class_of_a_choice_needs_five_performers():
    gold = ["a"] * 16 + ["b"] * 16 + ["c"] * 4
    estimate = MEASURES["balanced_accuracy"](choices(gold, gold, [f"p{i % 16}" for i in range(36)]))
    assert estimate.interval is None
    assert "'c'" in estimate.why


def test_the_bootstrap_is_repeatable_and_centred():
    rng = np.random.default_rng(0)
    sums = np.column_stack((rng.poisson(6, 50), np.full(50, 10))).astype(float)

    def share(table):
        return table[..., 0] / table[..., 1]

    first, second = (resample.cluster_bootstrap(sums, share, seed=7, draws=4000) for _ in range(2))
    assert np.array_equal(first, second)
    value, left = resample.delete_one(sparse.csr_array(sums), share)
    assert first.mean() == pytest.approx(value, abs=0.005)
    assert first.std() == pytest.approx(resample.jackknife_interval(value, left, bounds=(0, 1)).se, rel=0.06)


def test_intervals_cover_the_truth(request, monkeypatch):
    """A small version of ``benchmarks/interval_coverage.py``; four standard errors of slack."""
    monkeypatch.syspath_prepend(request.config.rootpath / "benchmarks")
    benchmark = importlib.import_module("interval_coverage")
    runs = 300
    slack = 4 * np.sqrt(0.05 * 0.95 / runs)
    for measure in benchmark.MEASURES:
        result = benchmark.coverage(measure, clusters=20, icc=0.1, cv=0.5, runs=runs, seed=11)
        assert 0.925 - slack <= result.covered <= 0.975 + slack, measure
