"""The audit of reasoning traces: planted reasoning is found, honest reasoning is left alone, scorers are compared."""

from __future__ import annotations

import json

import numpy as np
import polars as pl
import pytest
from sklearn.metrics import cohen_kappa_score

from aqaudit import audits
from aqaudit.audits import trace_agreement
from aqaudit.audits.finding import Finding
from aqaudit.core.auxiliary import SCHEMAS
from aqaudit.models.simulated import TRACES
from aqaudit.traces import reading
from aqaudit.traces.rules import TAGS
from test_traces_grounding import squat

ROWS, PERFORMERS, CLIPS = 320, 40, 80
MOVEMENT = pl.concat([squat(f"v{i}", depth=1.1) for i in range(CLIPS)])


def answers(text: str, *, accuracy: float = 0.8, seed: int = 0, **columns: object) -> pl.DataFrame:
    rng = np.random.default_rng(seed)
    gold = rng.random(ROWS) < 0.6
    said = np.where(rng.random(ROWS) < accuracy, gold, ~gold)
    framing = rng.choice(["positive", "negative"], ROWS)
    token = np.where((framing == "negative") == said, "False", "True")
    return pl.DataFrame(
        {
            "answer_key": [f"k{i}" for i in range(ROWS)],
            "question_id": [f"q{i}" for i in range(ROWS)],
            "kind": "verify",
            "performer": [f"p{i % PERFORMERS}" for i in range(ROWS)],
            "performance_id": [f"v{i % CLIPS}" for i in range(ROWS)],
            "framing": framing,
            "gold_correct": gold,
            "says_correct": said,
            "answered": token,
            "criterion": "c1",
            "model": "m",
            "reasoning": [f"{text} So the answer is {word}." for word in token],
            **columns,
        }
    )


def findings(frame: pl.DataFrame, **auxiliary: pl.DataFrame) -> dict[str, Finding]:
    found = audits.audit(frame, auxiliary).findings
    return {f.measure: f for f in found if f.audit == "traces"}


@pytest.mark.parametrize("kind", ["assumed", "prestige", "canonical", "popular"])
def test_a_planted_prior_is_called_out(kind: str) -> None:
    found = findings(answers(TRACES[kind]), kinematics=MOVEMENT)
    assert found["unfounded_rate"].verdict == "fail"
    assert found["unfounded_rate"].value == 1.0
    assert found["unfounded_rate"].rows
    assert found["inconsistency_rate"].verdict == "ok"


def test_honest_reasoning_is_left_alone_and_grounds_every_right_answer() -> None:
    frame = answers(TRACES["observed"])
    found = findings(frame, kinematics=MOVEMENT)
    assert {found[name].verdict for name in ("unfounded_rate", "contradicted_rate", "inconsistency_rate")} == {"ok"}
    right = frame["gold_correct"] == frame["says_correct"]
    recalls = [right.filter(frame["gold_correct"] == gold).mean() for gold in (True, False)]
    assert found["grounded_accuracy"].value == pytest.approx(np.mean(recalls))
    assert found["grounding_loss"].value == 0


def test_what_the_movement_contradicts_is_called_out_and_costs_half_of_every_right_answer() -> None:
    found = findings(answers(TRACES["contradicted"]), kinematics=MOVEMENT)
    assert found["contradicted_rate"].verdict == "fail"
    assert found["unfounded_rate"].verdict == "ok"
    assert found["grounding_loss"].value == pytest.approx(found["grounded_accuracy"].value)


def test_without_a_measured_movement_the_audit_says_what_is_missing() -> None:
    found = findings(answers(TRACES["contradicted"]))
    for name in ("contradicted_rate", "grounded_accuracy"):
        assert found[name].verdict == "skipped"
        assert "kinematics.parquet" in found[name].why
    assert found["unfounded_rate"].verdict == "ok"


def test_without_reasoning_the_audit_is_skipped() -> None:
    frame = answers("x").with_columns(reasoning=pl.lit(None, dtype=pl.String), said=pl.lit("<answer>True</answer>"))
    (finding,) = [f for f in audits.audit(frame).findings if f.audit == "traces"]
    assert finding.verdict == "skipped"
    assert "reasoning" in finding.why


def test_a_trace_that_concludes_otherwise_is_called_out() -> None:
    frame = answers(TRACES["observed"])
    turned = frame.with_columns(
        reasoning=pl.when(pl.int_range(pl.len()) % 3 == 0)
        .then(
            pl.lit("The knees bend on the way down. The statement is ")
            + pl.when(pl.col("answered") == "True").then(pl.lit("false.")).otherwise(pl.lit("true."))
        )
        .otherwise("reasoning")
    )
    finding = findings(turned, kinematics=MOVEMENT)["inconsistency_rate"]
    assert finding.value == pytest.approx(107 / 320)
    assert finding.verdict == "fail"


def test_few_performers_give_no_verdict() -> None:
    frame = answers(TRACES["prestige"]).with_columns(
        performer=pl.lit("p") + (pl.int_range(pl.len()) % 5).cast(pl.String)
    )
    assert findings(frame)["unfounded_rate"].verdict == "cannot_tell"


def judged(frame: pl.DataFrame, *, agree: float, seed: int = 1) -> pl.DataFrame:
    """A auxiliary table in which a judge gives the rule scorer's tag with probability ``agree``, else "other"."""
    rng = np.random.default_rng(seed)
    rows = []
    for key, text in frame.select("answer_key", "reasoning").iter_rows():
        for place, step in enumerate(reading.tagged(text)):
            rows.append((key, place, "rules.v1", step.tag, step.text, None))
            tag = step.tag if rng.random() < agree else "other"
            rows.append((key, place, "judge:j", tag, step.text, None))
    return pl.DataFrame(rows, schema=SCHEMAS["trace_steps"], orient="row")


def test_two_scorers_are_compared_and_both_must_agree_on_a_verdict() -> None:
    frame = answers(TRACES["prestige"])
    found = findings(frame, trace_steps=judged(frame, agree=1.0))
    assert found["scorer_kappa"].value == pytest.approx(1.0)
    assert found["unfounded_rate"].verdict == "fail"
    doubtful = findings(frame, trace_steps=judged(frame, agree=0.0))
    assert doubtful["unfounded_rate"].verdict == "warn"
    assert doubtful["unfounded_rate"].details["range"] == [0.0, 1.0]


def test_kappa_is_that_of_scikit_learn_and_ac1_that_of_its_definition() -> None:
    rng = np.random.default_rng(5)
    tags = list(TAGS)
    first = rng.choice(tags, 400, p=[0.5, 0.1, 0.1, 0.1, 0.05, 0.05, 0.05, 0.05])
    second = np.where(rng.random(400) < 0.7, first, rng.choice(tags, 400))
    pairs = pl.DataFrame({"trace": [f"t{i % 40}" for i in range(400)], "first": first, "second": second})
    assert trace_agreement.kappa(pairs).value == pytest.approx(cohen_kappa_score(first, second))
    share = np.array([(np.mean(first == tag) + np.mean(second == tag)) / 2 for tag in tags])
    expected = float((share * (1 - share)).sum() / (len(tags) - 1))
    agreed = float(np.mean(first == second))
    estimate = trace_agreement.ac1(pairs)
    assert estimate.value == pytest.approx((agreed - expected) / (1 - expected))
    assert estimate.clusters == 40
    assert estimate.low is not None
    assert estimate.low < estimate.value < (estimate.high or 0)


def test_kappa_is_nothing_when_both_scorers_are_constant() -> None:
    pairs = pl.DataFrame({"trace": [f"t{i}" for i in range(20)], "first": "rule", "second": "rule"})
    assert trace_agreement.kappa(pairs).value is None
    assert trace_agreement.ac1(pairs).value == pytest.approx(1.0)


def test_answers_that_are_markup_alone_are_no_reasoning() -> None:
    frame = answers("").with_columns(reasoning=None, said=pl.lit("<a> <b> <c> <d> <e>"))
    found = findings(frame)
    assert {name: one.verdict for name, one in found.items()} == {"unfounded_rate": "skipped"}


def test_the_order_of_rows_changes_nothing() -> None:
    frame = answers(TRACES["contradicted"])
    steps = judged(frame, agree=0.8)
    once = audits.audit(frame, {"kinematics": MOVEMENT, "trace_steps": steps}).as_json()
    mixed = [f.sample(fraction=1, shuffle=True, seed=9) for f in (frame, MOVEMENT, steps)]
    again = audits.audit(mixed[0], {"kinematics": mixed[1], "trace_steps": mixed[2]}).as_json()
    assert json.dumps(once) == json.dumps(again)


@pytest.mark.parametrize("kind", ["honest", "assumption", "prestige", "canonical", "correlate", "contradicted"])
def test_planted_reasoning_in_new_words_is_called_out_and_honest_reasoning_is_not(kind: str) -> None:
    import trace_matrix

    hits, _ = trace_matrix.called(kind, 0.3, rows=1000, runs=3)
    assert hits == (0 if kind == "honest" else 3)
