"""The auditor is audited: planted flaws, tables drawn at once against a run, properties, hostile tables, speed."""

from __future__ import annotations

import json
import math

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics

import aqaudit
import judged_tables as tables
import made
from aqaudit import Study, read_answers
from aqaudit.audits import audit
from aqaudit.measures import MEASURES, probabilities
from test_audits import everything, framed, run


def test_judges_are_called_out_for_their_flaw_and_for_no_other() -> None:
    """A small version of ``benchmarks/audit_matrix.py``; what 400 runs show is in ``docs/audits.md``."""
    import audit_matrix as benchmark

    runs = 3
    cells = benchmark.matrix(runs=runs, n=1000, seed=10_000)
    targets = [cell for cell in cells if cell.expected == "target"]
    assert [(cell.audit, cell.judge) for cell in targets if cell.called < runs - 1] == []
    unrelated = [cell for cell in cells if cell.expected == "unrelated"]
    assert [(cell.audit, cell.judge) for cell in unrelated if cell.called > 1] == []
    assert sum(cell.called for cell in targets) >= 0.95 * runs * len(targets)
    assert sum(cell.called for cell in unrelated) <= 0.02 * runs * len(unrelated)


def test_tables_drawn_at_once_are_those_of_the_simulated_judge_in_a_run(tmp_path):
    """Rates of verdicts, scores and preferences of a judge with several flaws, in a run and as the benchmark draws."""
    folder = made.folder(tmp_path / "data", performances=130, criteria=2, performers=20)
    grid = 'framing = ["positive", "negative"]\nperturbation = ["none", "blank"]\npair_order = ["ab", "ba"]'
    settings = {"skill": 0.6, "bias": 0.7, "planted": {"lean": 0.15, "shift": -0.2, "position": 0.2, "leak": 0.3,
                                                      "unparsed": 0.1, "guess_sd": 0.1, "confidence": 2.0}}  # fmt: skip
    planted = ", ".join(f"{key} = {value}" for key, value in settings["planted"].items())
    model = f'provider = "simulated"\nskill = 0.6\nbias = 0.7\nplanted = {{ {planted} }}'
    path = made.study(folder, model=model, grid=grid, tasks='["verify", "score", "prefer"]')
    aqaudit.run(Study.read(path), out=tmp_path / "out")
    answers = read_answers(tmp_path / "out")
    entry = tables.judge(settings)

    def rates(frame: pl.DataFrame) -> dict[tuple, tuple[float, int]]:
        read = frame.filter(pl.col("parse") == "ok")
        found = {("read",): (read.height / frame.height, frame.height)}
        verify = read.filter(kind="verify").group_by("gold_correct", "framing", "perturbation")
        for key, part in verify:
            found["says", *key] = (part["says_correct"].mean(), part.height)
            found["p", *key] = (part["p_correct"].mean(), 4 * part.height)
        score = read.filter(kind="score")
        if score.height:
            guessed = score.filter(pl.col("score") != pl.col("gold_score"))
            found["guessed",] = (guessed.height / score.height, score.height)
        prefer = read.filter(kind="prefer", framing="positive", perturbation="none")
        if prefer.height:
            named = (prefer["prefer"] == "this") == (prefer["pair_order"] == "ab")
            found["first",] = (named.mean(), prefer.height)
        return found

    drawn: dict[tuple, tuple[float, int]] = {}
    shown = ("none", "blank")
    for design in (
        tables.Design(kind="verify", framings=tables.BOTH, perturbations=shown),
        tables.Design(kind="score"),
        tables.Design(kind="prefer", orders=("ab", "ba")),
    ):
        drawn |= rates(tables.table(entry, design, rows=20_000, clusters=20, seed=5))
    ran = rates(answers.filter((pl.col("kind") == "verify") | (pl.col("perturbation") == "none")))
    assert set(ran) == set(drawn)
    for key, (rate, rows) in ran.items():
        assert rate == pytest.approx(drawn[key][0], abs=4 * math.sqrt(0.25 / rows) + 0.01), key


# Properties, and hostile tables

quick = settings(max_examples=60, deadline=None)
three = st.sampled_from([True, False, None])


@quick
@given(st.lists(st.tuples(three, three), min_size=1, max_size=40))
def test_contradictions_are_both_affirmed_or_both_denied_and_the_shift_is_their_difference(said):
    frame = framed([a for a, _ in said], [b for _, b in said])
    names = ("framing_shift", "contradiction_rate", "tt_rate", "ff_rate")
    shift, contradictions, affirmed, denied = (MEASURES[name](frame).value for name in names)
    read = [(a, b) for a, b in said if a is not None and b is not None]
    if not read:
        assert shift is contradictions is affirmed is denied is None
        return
    assert contradictions == pytest.approx(affirmed + denied, abs=1e-12)
    assert shift == pytest.approx(affirmed - denied, abs=1e-12)
    assert shift == pytest.approx(np.mean([a for a, _ in read]) + np.mean([not b for _, b in read]) - 1, abs=1e-12)


@quick
@given(st.lists(st.tuples(st.integers(0, 6), st.booleans(), st.integers(0, 3)), min_size=4, max_size=40))
def test_auroc_without_each_performer_is_that_of_scikit_learn(rows):
    p, y, who = (np.array(column) for column in zip(*rows, strict=True))
    if y.all() or not y.any():
        return
    value, left = probabilities.auroc(p / 6, y, who, 4)
    assert value == pytest.approx(metrics.roc_auc_score(y, p), abs=1e-12)
    for k in range(4):
        kept = who != k
        both = y[kept].any() and not y[kept].all()
        assert np.isfinite(left[k]) == both
        if both:
            assert left[k] == pytest.approx(metrics.roc_auc_score(y[kept], p[kept]), abs=1e-12)


@quick
@given(
    st.lists(
        st.tuples(st.sampled_from(["this", "other", "tie"]), st.sampled_from(["this", "other", "tie"])), min_size=1
    )
)
def test_a_judge_turned_round_has_the_opposite_position_bias(said):
    rows = [(f"q{i}", order, one) for i, pair in enumerate(said) for order, one in zip(("ab", "ba"), pair, strict=True)]
    frame = pl.DataFrame(rows, schema=["question_id", "pair_order", "prefer"], orient="row")
    turned = frame.with_columns(pl.col("prefer").replace({"this": "other", "other": "this"}))
    assert MEASURES["position_bias"](frame).value == pytest.approx(-MEASURES["position_bias"](turned).value, abs=1e-12)


def test_odd_tags_orders_and_probabilities_raise_nothing():
    frame = everything().with_columns(
        tags=pl.when(pl.int_range(pl.len()) % 2 == 0).then(pl.lit("{not json")).otherwise(pl.lit('["a", 1]')),
        p_correct=pl.when(pl.int_range(pl.len()) % 3 == 0).then(1.0).otherwise(0.0),
        option_order=pl.when(pl.int_range(pl.len()) % 2 == 0)
        .then(pl.lit([7, 8]))
        .otherwise(pl.lit([], pl.List(pl.Int64))),
    )
    json.dumps(audit(frame).as_json(), allow_nan=False)


def test_the_figure_is_held_against_the_best_constant_answer_too() -> None:
    frame = tables.table(tables.judge({"skill": 0.5}), tables.DESIGNS["correctness"][0], rows=600, clusters=40, seed=0)
    found = run("chance", frame)["balanced_accuracy"]
    assert found.details["over_constant"] == pytest.approx(found.value - found.baseline)
    assert found.details["over_constant_low"] == pytest.approx(found.low - found.baseline)
    coverage = run("chance", frame)["coverage"]
    assert (coverage.value, coverage.verdict, coverage.headline) == (1.0, "ok", False)


def test_drawing_performers_costs_a_five_hundredth_of_a_loop_over_scikit_learn() -> None:
    import audit_size as benchmark

    measured = [benchmark.bootstrap(loops=4) for _ in range(3)]
    assert max(slow / fast for fast, slow, _, _ in measured) > 500


def test_the_published_matrix_holds_what_the_page_says_of_it() -> None:
    import audit_matrix as benchmark

    cells = benchmark.read(benchmark.IMAGES / "audit-matrix.csv")
    large = [cell for cell in cells if cell.n == 1000]
    assert {(cell.audit, cell.judge) for cell in large} == {(a, j) for a in benchmark.DESIGNS for j in benchmark.JUDGES}
    assert [(cell.audit, cell.judge, cell.rate) for cell in large if cell.miss] == []
