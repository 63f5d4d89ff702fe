"""Measures against scikit-learn, SciPy and figures worked out by hand."""

from __future__ import annotations

import inspect
import pickle
import warnings

import numpy as np
import polars as pl
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from scipy import stats
from sklearn import metrics

from answers_tables import booleans, choices, scores, table_for
from aqaudit.core.records import BadInput
from aqaudit.measures import MEASURES
from test_measure_bradley_terry import answers as compared

labels = st.sampled_from(["above", "level", "below", "other"])
grades = st.one_of(st.integers(0, 5).map(float), st.floats(-1e6, 1e6))
quick = settings(max_examples=60, deadline=None)


def sklearn_balanced_accuracy(gold, said):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # answers outside the classes of the truth
        return metrics.balanced_accuracy_score(gold, said)


@quick
@given(st.lists(st.tuples(labels, st.one_of(st.none(), labels)), min_size=1, max_size=60))
def test_balanced_accuracy_of_choices_is_that_of_scikit_learn(rows):
    gold, said = [g for g, _ in rows], [s for _, s in rows]
    value = MEASURES["balanced_accuracy"](choices(gold, said)).value
    if len(set(gold)) == 1:
        assert value is None
    else:
        assert value == pytest.approx(sklearn_balanced_accuracy(gold, [s or "unread" for s in said]), abs=1e-12)


@quick
@given(st.lists(st.tuples(st.booleans(), st.sampled_from([True, False, None]), st.sampled_from("abc")), min_size=1))
def test_balanced_accuracy_of_statements_is_that_of_scikit_learn(rows):
    gold, said = [g for g, _, _ in rows], [s for _, s, _ in rows]
    frame = booleans(gold, said, criterion=[c for _, _, c in rows])
    pooled, macro, parsed = (MEASURES[f"balanced_accuracy{kind}"](frame).value for kind in ("", "_macro", "_parsed"))
    if len(set(gold)) == 2:
        assert pooled == pytest.approx(
            sklearn_balanced_accuracy(gold, [2 if s is None else s for s in said]), abs=1e-12
        )
    else:
        assert pooled is None
    each = []
    for criterion in "abc":
        part = [(g, 2 if s is None else s) for g, s, c in rows if c == criterion]
        if len({g for g, _ in part}) == 2:
            each.append(sklearn_balanced_accuracy(*zip(*part, strict=True)))
    assert macro == (pytest.approx(np.mean(each), abs=1e-12) if each else None)
    read = [(g, s) for g, s, _ in rows if s is not None]
    if len({g for g, _ in read}) == 2:
        assert parsed == pytest.approx(sklearn_balanced_accuracy(*zip(*read, strict=True)), abs=1e-12)
    else:
        assert parsed is None


@quick
@given(st.lists(st.tuples(grades, st.one_of(st.none(), grades)), min_size=1, max_size=60))
@example([(0.0, 0.0), (1.4551942184433684e-170, 1.0)])
def test_score_measures_are_those_of_scipy_and_scikit_learn(rows):
    gold, said = [g for g, _ in rows], [s for _, s in rows]
    frame = scores(gold, said, scale_min=0.0, scale_max=5.0)
    read = [(g, s) for g, s in rows if s is not None]
    rho, r_l2, rmse, mae = (MEASURES[name](frame) for name in ("spearman", "r_l2", "rmse", "mae"))
    if not read:
        assert rho.value is r_l2.value is rmse.value is mae.value is None
        return
    assert rho.details["coverage"] == pytest.approx(len(read) / len(rows))
    g, s = (np.array(column) for column in zip(*read, strict=True))
    assert mae.value == pytest.approx(metrics.mean_absolute_error(g, s), rel=1e-12, abs=1e-12)
    assert rmse.value == pytest.approx(metrics.root_mean_squared_error(g, s) / 5, rel=1e-12, abs=1e-12)
    if np.ptp(g) == 0:
        assert rho.value is None
        assert r_l2.value is None
        return
    # Differences and range are rounded alike here and there; only the order of summing differs.
    with np.errstate(over="ignore"):
        expected = 100 * np.mean(((g - s) / np.ptp(g)) ** 2)
    if not np.isfinite(expected):
        assert r_l2.value is None
        return
    assert r_l2.value == pytest.approx(expected, rel=1e-12, abs=1e-12)
    if np.ptp(s) == 0:
        assert (rho.value, rho.flag, rho.interval) == (0.0, "constant", None)
    else:
        assert rho.value == pytest.approx(stats.spearmanr(g, s).statistic, abs=1e-12)


def test_spearman_of_real_dives_is_what_their_description_says(shared_data):
    folder = shared_data / "mtl_aqa"
    with (folder / "core_repo/final_annotations_dict_with_dive_number.pkl").open("rb") as file:
        dives = pickle.load(file, encoding="latin1")
    with (folder / "official/MTL-AQA_split_0_data/test_split_0.pkl").open("rb") as file:
        test = [dives[tuple(key)] for key in pickle.load(file, encoding="latin1")]
    final = [float(dive["final_score"]) for dive in test]
    execution = [float(sorted(np.asarray(dive["judge_scores"], float))[2:5] @ np.ones(3)) for dive in test]
    difficulty = [float(dive["difficulty"]) for dive in test]
    assert len(test) == 353
    assert MEASURES["spearman"](scores(execution, final)).value == pytest.approx(0.872, abs=5e-4)
    assert MEASURES["spearman"](scores(difficulty, final)).value == pytest.approx(0.560, abs=5e-4)


def test_r_l2_by_hand():
    estimate = MEASURES["r_l2"](scores([0, 10, 20], [0, 5, 20]))
    assert estimate.value == pytest.approx(100 * (5 / 20) ** 2 / 3, abs=1e-12)
    assert estimate.baseline == pytest.approx(100 * 2 * (10 / 20) ** 2 / 3, abs=1e-12)


def test_r_l2_takes_the_range_of_each_action_and_is_not_clipped():
    frame = scores([0, 10, 0, 100, 7], [20, 10, 0, 100, 9], action=["dive", "dive", "spin", "spin", "lone"])
    estimate = MEASURES["r_l2"](frame)
    assert estimate.value == pytest.approx(100 * (20 / 10) ** 2 / 4, abs=1e-12)
    assert estimate.baseline == pytest.approx(25.0, abs=1e-12)
    assert (estimate.n, estimate.details["rows_without_range"]) == (4, 1)


def test_the_range_is_that_of_parsed_rows():
    frame = scores([0, 10, 100], [0, 5, None])
    assert MEASURES["r_l2"](frame).value == pytest.approx(100 * (5 / 10) ** 2 / 2, abs=1e-12)


def test_rmse_without_a_scale_says_so():
    estimate = MEASURES["rmse"](scores([1, 2], [1, 1]))
    assert estimate.value is None
    assert "scale" in estimate.why


def test_signal_detection_by_hand():
    # 3 of 4 correct executions and 1 of 4 faulty ones are called correct: H' = 3.5/5, F' = 1.5/5, z = +-0.5244
    frame = booleans([True] * 4 + [False] * 4 + [True], [True, True, True, False, True, False, False, False, None])
    value = {
        name: MEASURES[name](frame).value for name in ("hit_rate", "false_alarm_rate", "lean", "d_prime", "criterion_c")
    }
    assert value["hit_rate"] == 0.75
    assert value["false_alarm_rate"] == 0.25
    assert value["lean"] == 0.0
    assert value["d_prime"] == pytest.approx(2 * 0.524400512708041, abs=1e-12)
    assert value["criterion_c"] == pytest.approx(0.0, abs=1e-12)


def test_always_correct_leans_fully():
    frame = booleans([True, True, False], [True, True, True])
    assert MEASURES["lean"](frame).value == 1.0
    # H' = 2.5/3, F' = 1.5/2
    expected = -(stats.norm.ppf(2.5 / 3) + stats.norm.ppf(1.5 / 2)) / 2
    assert MEASURES["criterion_c"](frame).value == pytest.approx(expected, abs=1e-12)


def test_framings_are_averaged_with_equal_weight():
    positive = booleans([True, False, True, False], [True, True, True, True], framing="positive")
    negative = booleans([True, False], [True, False], framing="negative")
    both = pl.concat([positive, negative])
    # 0.5 in one wording and 1.0 in the other, though the first has twice the rows
    for name in ("balanced_accuracy", "balanced_accuracy_macro", "balanced_accuracy_parsed"):
        assert MEASURES[name](both).value == 0.75


def test_pairs_judged_differently_in_the_two_orders_earn_one_half():
    rows = [  # pair, order, said; "this" is right
        ("a", "ab", "this"), ("a", "ba", "this"),
        ("b", "ab", "this"), ("b", "ba", "other"),
        ("c", "ab", "tie"), ("c", "ba", "tie"),
        ("d", "ab", "other"), ("d", "ba", None),
        ("e", "ab", "this"), ("e", "ba", "tie"),
    ]  # fmt: skip
    frame = pl.DataFrame(rows, schema=["question_id", "pair_order", "prefer"], orient="row").with_columns(
        kind=pl.lit("prefer"), performer=pl.col("question_id"), gold_prefer=pl.lit("this")
    )
    tied = frame.head(1).with_columns(question_id=pl.lit("f"), gold_prefer=pl.lit("tie"))
    estimate = MEASURES["pair_accuracy"](pl.concat([frame, tied]))
    assert estimate.value == pytest.approx((1 + 0.5 + 0.5 + 0 + 0.75) / 5, abs=1e-12)
    assert (estimate.chance, estimate.baseline) == (0.5, 0.5)
    assert (estimate.n, estimate.details["pairs"], estimate.details["coverage"]) == (10, 5, 0.9)


def test_always_naming_the_first_earns_one_half_in_both_orders_and_the_gold_share_in_one():
    frame = pl.DataFrame(
        {
            "question_id": list("abcd"),
            "kind": "prefer",
            "gold_prefer": ["this", "this", "this", "other"],
            "prefer": "this",
        }
    )
    estimate = MEASURES["pair_accuracy"](frame)
    assert (estimate.value, estimate.baseline) == (0.75, 0.75)
    both = pl.concat([frame.with_columns(pair_order=pl.lit("ab"), prefer=pl.lit("this")),
                      frame.with_columns(pair_order=pl.lit("ba"), prefer=pl.lit("other"))])  # fmt: skip
    assert MEASURES["pair_accuracy"](both).value == 0.5


def test_chance_of_choices_is_one_over_the_options_of_each_question():
    frame = choices(
        ["a", "a", "b", "c"], ["a", "b", "b", "a"],
        options=[["a", "b"], ["a", "b", "c", "d"], ["a", "b"], ["a", "b", "c", "d"]],
    )  # fmt: skip
    # class a: (1/2 + 1/4) / 2, class b: 1/2, class c: 1/4
    assert MEASURES["balanced_accuracy"](frame).chance == pytest.approx((0.375 + 0.5 + 0.25) / 3, abs=1e-12)


def test_the_best_constant_answer_is_the_best_of_all_constant_answers():
    rng = np.random.default_rng(3)
    gold = rng.random(40) < 0.7
    criterion = rng.choice(["a", "b", "c"], 40)
    best = max(
        sklearn_balanced_accuracy(gold, [answers["abc".index(c)] for c in criterion]) for answers in np.ndindex(2, 2, 2)
    )
    estimate = MEASURES["balanced_accuracy"](booleans(gold.tolist(), gold.tolist(), criterion=criterion))
    assert estimate.baseline == pytest.approx(best, abs=1e-12)
    assert estimate.baseline > 0.5
    assert (
        MEASURES["balanced_accuracy_macro"](booleans(gold.tolist(), gold.tolist(), criterion=criterion)).baseline == 0.5
    )


def test_the_same_criterion_name_under_another_action_is_another_criterion():
    frame = booleans(
        [True, False, True, False], [True, False, True, True], criterion="r01", action=["m05", "m05", "m07", "m07"]
    )
    assert MEASURES["balanced_accuracy_macro"](frame).value == 0.75


def test_fisher_mean_over_actions_by_hand():
    up, down = [1.0, 2, 3, 4, 5], [2.0, 1, 3, 4, 5]
    frame = scores([*up, *up], [*down, *up[::-1]], action=["a"] * 5 + ["b"] * 5)
    first = stats.spearmanr(up, down).statistic
    expected = np.tanh((np.arctanh(first) + np.arctanh(-0.999)) / 2)
    assert MEASURES["spearman_by_action"](frame).value == pytest.approx(expected, abs=1e-12)


def test_answers_that_were_not_read_cleanly_count_as_not_given():
    frame = booleans([True, False], [True, False], parse=["ok", "truncated"])
    assert MEASURES["balanced_accuracy"](frame).value == 0.5
    outside = scores([1, 2, 3], [1, 2, 99], parse=["ok", "ok", "out_of_range"])
    assert MEASURES["mae"](outside).value == 0.0
    assert MEASURES["spearman"](outside).details["coverage"] == pytest.approx(2 / 3)


@pytest.mark.parametrize("name", sorted(MEASURES))
def test_the_order_of_rows_changes_no_digit(name):
    frame = table_for(MEASURES[name])
    turned = frame.sample(fraction=1.0, shuffle=True, seed=5)
    assert MEASURES[name](frame) == MEASURES[name](turned)


@pytest.mark.parametrize("name", sorted(MEASURES))
def test_measures_describe_themselves_and_stay_in_their_range(name):
    measure = MEASURES[name]
    assert measure.name == name
    assert measure.title
    assert measure.what.endswith(".")
    assert measure.chance
    assert measure.citation
    # its page in the reference tells what its module says
    assert inspect.getmodule(measure.compute).__name__.startswith("aqaudit.measures.")
    frame = compared(skill=0.5) if name == "bradley_terry" else table_for(measure)
    estimate = measure(frame)
    assert measure.bounds[0] <= estimate.low < estimate.value < estimate.high <= measure.bounds[1]


def test_a_missing_column_is_named():
    with pytest.raises(BadInput, match="'score'"):
        MEASURES["spearman"](pl.DataFrame({"question_id": ["q"], "gold_score": [1.0]}))
    with pytest.raises(BadInput, match="'performer'"):
        MEASURES["mae"](pl.DataFrame({"gold_score": [1.0], "score": [1.0]}))
