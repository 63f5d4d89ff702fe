"""Comparing two sets of answers: pairing, differences, intervals, mirrored verdicts, the command."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from sklearn.metrics import balanced_accuracy_score

import answers_tables as tables
from aqaudit.audits import comparison
from aqaudit.audits.finding import Finding
from aqaudit.audits.pairing import pair, selected, selector
from aqaudit.core.records import BadInput
from aqaudit.core.table import normalise
from aqaudit.measures import paired, resample
from test_cli import Command, aqaudit, refused  # noqa: F401 - a fixture


def judge(accuracy: float, seed: int, *, rows: int = 1200, **columns: object) -> pl.DataFrame:
    """A judge of fixed questions: the same gold, performers and framings for every seed."""
    base = tables.judge(0.5, rows=rows, seed=99)
    rng = np.random.default_rng(seed)
    gold = base["gold_correct"].to_numpy()
    said = np.where(rng.random(rows) < accuracy, gold, ~gold)
    return normalise(base.with_columns(says_correct=pl.Series(said), **{k: pl.lit(v) for k, v in columns.items()}))


def by_measure(a: pl.DataFrame, b: pl.DataFrame) -> dict[str, Finding]:
    return {f.measure: f for f in comparison.compare(pair(a, b)).findings}


def test_a_better_judge_is_found_better_and_the_verdict_is_mirrored() -> None:
    a, b = judge(0.6, 1, model="weak"), judge(0.75, 2, model="strong")
    there, back = by_measure(a, b)["balanced_accuracy"], by_measure(b, a)["balanced_accuracy"]
    assert (there.flag, there.verdict) == ("B better", "ok")
    assert (back.flag, back.verdict) == ("A better", "fail")
    assert there.value == pytest.approx(-back.value)  # type: ignore[operator]
    assert there.low == pytest.approx(-back.high)  # type: ignore[operator]
    assert there.scope["model"] == "weak vs strong"


def test_the_figures_of_both_sides_are_those_of_scikit_learn() -> None:
    a, b = judge(0.6, 1, model="x"), judge(0.75, 2, model="y")
    details = by_measure(a, b)["balanced_accuracy"].details
    for side, rows in (("a", a), ("b", b)):
        each = [
            balanced_accuracy_score(part["gold_correct"], part["says_correct"]) for part in rows.partition_by("framing")
        ]
        assert details[side] == pytest.approx(np.mean(each))


def test_the_same_answers_are_alike_and_their_interval_is_the_bound_on_the_flip_rate() -> None:
    a = judge(0.7, 1)
    found = by_measure(a.with_columns(model=pl.lit("x")), a.with_columns(model=pl.lit("y")))["balanced_accuracy"]
    bound = resample.flip_rate_bound(found.clusters)
    assert (found.value, found.low, found.high) == (0.0, -bound, bound)
    assert found.verdict == "cannot_tell"  # 40 performers leave 0.088 open, more than the 0.05 that would be alike


def test_wide_and_small_samples_are_not_told_apart() -> None:
    a, b = judge(0.6, 1, rows=120, model="x"), judge(0.65, 2, rows=120, model="y")
    assert by_measure(a, b)["balanced_accuracy"].verdict == "cannot_tell"
    few = [rows.with_columns(performer=pl.lit("p") + (pl.int_range(pl.len()) % 4).cast(pl.String)) for rows in (a, b)]
    found = by_measure(*few)["balanced_accuracy"]
    assert found.low is None
    assert "at least 8" in found.why


def test_a_lean_is_compared_by_its_size() -> None:
    a = judge(0.7, 1, model="even")
    says = pl.when(pl.int_range(pl.len()) % 3 == 0).then(pl.lit(False)).otherwise("says_correct")
    b = judge(0.7, 2, model="leaning").with_columns(says_correct=says)
    found = by_measure(a, b)["lean"]
    assert found.value is not None
    assert found.value > 0.1
    assert found.flag == "A better"


def test_framing_shift_is_compared_on_questions_that_both_answered_in_both_wordings() -> None:
    rng = np.random.default_rng(4)
    n = 400
    gold = rng.random(n) < 0.5

    def side(shift: float, name: str) -> pl.DataFrame:
        parts = []
        for framing in ("positive", "negative"):
            moved = rng.random(n) < shift
            said = np.where(moved, framing == "positive", np.where(rng.random(n) < 0.8, gold, ~gold))
            parts.append(
                tables.booleans(gold.tolist(), said.tolist(), [f"p{i % 40}" for i in range(n)]).with_columns(
                    framing=pl.lit(framing), model=pl.lit(name)
                )
            )
        return normalise(pl.concat(parts))

    found = by_measure(side(0.0, "steady"), side(0.4, "follower"))["framing_shift"]
    assert found.n == n
    assert found.details["b"] == pytest.approx(0.4, abs=0.08)
    assert found.flag == "A better"


def scored(skill: float, seed: int, **columns: object) -> pl.DataFrame:
    base = tables.marker(0.0, seed=7)
    rng = np.random.default_rng(seed)
    gold = base["gold_score"].to_numpy()
    said = (skill * gold + np.sqrt(1 - skill**2) * rng.normal(size=gold.size)).round(1)
    return normalise(base.with_columns(score=pl.Series(said), **{k: pl.lit(v) for k, v in columns.items()}))


def test_rank_correlations_are_those_of_scipy_and_the_bootstrap_that_of_a_loop() -> None:
    a, b = scored(0.3, 1, model="x"), scored(0.6, 2, model="y")
    found = by_measure(a, b)["spearman"]
    for side, rows in (("a", a), ("b", b)):
        assert found.details[side] == pytest.approx(stats.spearmanr(rows["gold_score"], rows["score"]).statistic)
    assert found.flag == "B better"
    rng = np.random.default_rng(0)
    groups = [rows.with_row_index("i") for _, rows in sorted(a.group_by("performer"), key=lambda item: item[0])]
    index = a.with_row_index("i").group_by("performer").agg("i").sort("performer")["i"].to_list()
    assert len(groups) == len(index)
    loop = []
    gold, ours, theirs = (rows.to_numpy() for rows in (a["gold_score"], a["score"], b["score"]))
    for _ in range(400):
        drawn = np.concatenate([index[k] for k in rng.integers(0, len(index), len(index))])
        loop.append(
            stats.spearmanr(gold[drawn], theirs[drawn]).statistic - stats.spearmanr(gold[drawn], ours[drawn]).statistic
        )
    clusters = len(index)
    reach = stats.t.ppf(0.975, clusters - 1) * np.std(loop) * np.sqrt(clusters / (clusters - 1))
    assert found.high - found.value == pytest.approx(reach, rel=0.15)  # type: ignore[operator]


@given(st.lists(st.integers(0, 4), min_size=3, max_size=12), st.lists(st.integers(0, 3), min_size=12, max_size=12))
@settings(max_examples=60, deadline=None)
def test_weighted_ranks_are_the_ranks_of_the_repeated_rows(values: list[int], weights: list[int]) -> None:
    x = np.array(values, dtype=float)
    w = np.array(weights[: x.size], dtype=float)
    middle = paired._Ranks(x).midranks(w[np.newaxis])[0]
    repeated = stats.rankdata(np.repeat(x, w.astype(int))) - 0.5 if w.sum() else np.array([])
    expected = dict(zip(np.repeat(x, w.astype(int)), repeated, strict=True))
    for value, rank, weight in zip(x, middle, w, strict=True):
        if weight:
            assert rank == pytest.approx(expected[value])


def test_the_order_of_rows_changes_nothing() -> None:
    a, b = judge(0.6, 1, model="x"), judge(0.7, 2, model="y")
    once = comparison.compare(pair(a, b)).as_json()["findings"]
    mixed = [rows.sample(fraction=1, shuffle=True, seed=s) for s, rows in ((1, a), (2, b))]
    assert comparison.compare(pair(*mixed)).as_json()["findings"] == once


def test_several_scopes_are_a_family() -> None:
    tasks = ["t1", "t2", "t3"]
    a = pl.concat([judge(0.6, i, model="x", task=t) for i, t in enumerate(tasks)])
    b = pl.concat([judge(0.6 + 0.1 * (t == "t1"), 10 + i, model="y", task=t) for i, t in enumerate(tasks)])
    found = [f for f in comparison.compare(pair(a, b)).findings if f.measure == "balanced_accuracy"]
    assert len(found) == 3
    for one in found:
        assert one.details["holm_p"] >= one.details["p"]  # type: ignore[operator]


def test_pairs_of_different_truth_and_answers_without_a_partner_are_left_out_and_counted() -> None:
    a, b = judge(0.6, 1, model="x"), judge(0.7, 2, model="y")
    turned = pl.when(pl.int_range(pl.len()) < 5).then(~pl.col("gold_correct")).otherwise("gold_correct")
    pairs = pair(a.head(1000), b.with_columns(gold_correct=turned))
    assert (pairs.only_a, pairs.only_b, pairs.other_truth) == (0, 200, 5)
    assert pairs.a.height == pairs.b.height == 995


def test_what_cannot_be_paired_says_why() -> None:
    a, b = judge(0.6, 1), judge(0.7, 2)
    with pytest.raises(BadInput, match="share no question_id"):
        pair(a, b.with_columns(question_id=pl.lit("x") + pl.col("question_id")))
    with pytest.raises(BadInput, match="cannot be paired; name the cells"):
        pair(pl.concat([a, a]), b)
    two = pl.concat([a.with_columns(model=pl.lit("m1")), a.with_columns(model=pl.lit("m2"))])
    with pytest.raises(BadInput, match="'model' is m1, m2 in A and m3 in B"):
        pair(two, b.with_columns(model=pl.lit("m3")))


def test_cells_are_named_behind_the_path() -> None:
    assert selector("out/a:view=crop,framing=positive") == ("out/a", {"view": "crop", "framing": "positive"})
    assert selector("C:/out") == ("C:/out", {})
    with pytest.raises(BadInput, match="did you mean 'framing'"):
        selector("out/a:framng=positive")
    with pytest.raises(BadInput, match="given twice"):
        selector("a:view=rgb,view=crop")
    rows = judge(0.6, 1)
    with pytest.raises(BadInput, match="no answer has view = 'crop'"):
        selected(rows, {"view": "crop"}, where="a")
    blank = pl.concat([rows, rows.with_columns(perturbation=pl.lit("blank"))])
    assert selected(blank, {}, where="a").height == rows.height
    assert selected(blank, {"perturbation": "blank"}, where="a")["perturbation"].unique().to_list() == ["blank"]


def test_preferences_are_compared_over_pairs() -> None:
    rng = np.random.default_rng(2)
    n = 200
    gold = rng.choice(["this", "other"], n)

    def side(accuracy: float, first: float, name: str) -> pl.DataFrame:
        parts = []
        for order in ("ab", "ba"):
            place = "this" if order == "ab" else "other"
            right = np.where(rng.random(n) < accuracy, gold, np.where(gold == "this", "other", "this"))
            said = np.where(rng.random(n) < first, place, right)
            parts.append(
                pl.DataFrame(
                    {
                        "question_id": [f"q{i}" for i in range(n)],
                        "kind": "prefer",
                        "performer": [f"p{i % 40}" for i in range(n)],
                        "pair_order": order,
                        "gold_prefer": gold,
                        "prefer": said,
                        "model": name,
                    }
                )
            )
        return normalise(pl.concat(parts))

    found = by_measure(side(0.9, 0.0, "x"), side(0.9, 0.6, "y"))
    assert found["pair_accuracy"].flag == "A better"
    assert found["position_bias"].flag == "A better"
    assert found["position_bias"].details["b"] == pytest.approx(0.3, abs=0.06)
    assert found["position_bias"].details["a"] == pytest.approx(0.0, abs=0.06)


def test_the_command_prints_80_columns_and_writes_findings(tmp_path: Path, aqaudit: Command) -> None:  # noqa: F811
    for name, rows in (("a", judge(0.6, 1, model="weak")), ("b", judge(0.75, 2, model="strong"))):
        pl.concat([rows, scored(0.3 if name == "a" else 0.6, 3, model=rows["model"][0])]).with_columns(
            answer_key=pl.lit("k") + pl.int_range(pl.len()).cast(pl.String)
        ).write_parquet(tmp_path / f"{name}.parquet")
    a, b = tmp_path / "a.parquet", tmp_path / "b.parquet"
    result = aqaudit("compare", a, b, "--json", tmp_path / "out.json")
    assert result.code == 0, result.err
    # paths are shown whole; everything else fits
    assert all(len(line) <= 80 for line in result.out.splitlines() if str(tmp_path)[:20] not in line)
    assert "B better" in result.out
    assert "model: weak vs strong" in result.out
    written = json.loads((tmp_path / "out.json").read_text(encoding="utf-8"))
    keys = {"audit", "scope", "measure", "value", "low", "high", "chance", "n", "clusters", "headline", "verdict"}
    assert all(keys | {"a", "b", "holm_p", "why", "details"} <= set(finding) for finding in written["findings"])
    assert all(finding["a"] == finding["details"]["a"] for finding in written["findings"])
    one_cell = aqaudit("compare", f"{a}:framing=positive", f"{a}:framing=negative")
    assert refused(one_cell)  # the questions were each asked in one wording only
    assert "did you mean 'view'" in refused(aqaudit("compare", f"{a}:vew=rgb", b))
    assert "no such answers file" in refused(aqaudit("compare", a, tmp_path / "none"))
