"""The audits beyond chance: figures by hand, verdict rules, and judges whose flaw is known."""

from __future__ import annotations

import importlib.util
import json
import math
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from scipy import stats
from sklearn import metrics

import judged_tables as tables
import simulated_judges as judges
from answers_tables import asked_again, booleans, marker, preferences, scores, shown_options
from aqaudit.audits import AUDITS, audit, verdicts
from aqaudit.audits.collapse import judge as collapsed
from aqaudit.audits.finding import Finding
from aqaudit.audits.permutation import LEVEL
from aqaudit.audits.scope import corrected
from aqaudit.core.table import normalise
from aqaudit.measures import MEASURES, Estimate, evidence, gap, probabilities, resample, rows


def run(name: str, frame: pl.DataFrame) -> dict[str, Finding]:
    """The first finding of every measure of an audit."""
    found: dict[str, Finding] = {}
    for finding in AUDITS[name](normalise(frame), {}):
        found.setdefault(finding.measure, finding)
    return found


def interval(low: float, high: float) -> rows.Interval:
    return rows.Interval(low=low, high=high, se=(high - low) / 4)


@pytest.mark.parametrize(
    ("low", "high", "verdict"),
    [
        (0.11, 0.30, "fail"),
        (-0.30, -0.11, "fail"),
        (0.10, 0.30, "warn"),  # not above the tolerance
        (-0.10, 0.10, "ok"),
        (0.01, 0.10, "ok"),  # excludes 0, yet within
        (0.01, 0.11, "warn"),
        (-0.11, -0.01, "warn"),
        (-0.01, 0.11, "cannot_tell"),
        (None, None, "cannot_tell"),
    ],
)
def test_verdicts_on_a_bias(low, high, verdict):
    assert verdicts.bias_verdict(low, high, 0.10) == verdict


@pytest.mark.parametrize(
    ("low", "high", "verdict"),
    [(-0.05, 0.0999, "fail"), (-0.05, 0.10, "cannot_tell"), (0.0501, 0.3, "ok"), (0.05, 0.3, "cannot_tell")],
)
def test_verdicts_on_the_dependence(low, high, verdict):
    assert verdicts.dependence(low, high) == verdict


def test_every_audit_describes_itself():
    for name, one in AUDITS.items():
        assert one.name == name
        assert all((one.question, one.figures, one.interval, one.rule, one.advice, one.citation))


#: Thresholds that no rule names by their number: it says "chance", "read" or "as the shift".
UNNAMED = {
    *("chance.balanced_accuracy.chance", "chance.spearman.chance", "chance.spearman.coverage_doubtful"),
    *("chance.spearman.coverage_too_low", "chance.coverage.enough", "psychometric.threshold.asymptote"),
    *("psychometric.threshold.flat", "psychometric.threshold_shift.tolerances", "framing.answer_words.tolerance"),
    "framing.option_position_bias.tolerance",
}
NAMED = [
    (audit, figure, key)
    for audit in AUDITS
    for figure, rule in verdicts.thresholds().get(audit, {}).items()
    for key in rule
    if f"{audit}.{figure}.{key}" not in UNNAMED
]


@pytest.mark.parametrize(("name", "figure", "key"), NAMED)
def test_a_rule_says_the_thresholds_of_the_table(
    name: str, figure: str, key: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    changed = {a: {f: dict(rule) for f, rule in figures.items()} for a, figures in verdicts.thresholds().items()}
    changed[name][figure][key] *= 1.5
    monkeypatch.setattr(verdicts, "thresholds", lambda: changed)
    module = sys.modules[AUDITS[name].run.__module__]
    spec = importlib.util.spec_from_file_location("audit_read_anew", str(module.__file__))
    assert spec is not None
    assert spec.loader is not None
    anew = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, spec.name, anew)
    spec.loader.exec_module(anew)
    assert anew.AUDIT.rule != AUDITS[name].rule


def test_no_rule_holds_a_number_of_its_own() -> None:
    for name, one in AUDITS.items():
        allowed = {0.0, 100 * LEVEL}
        allowed |= {value for rule in verdicts.thresholds().get(name, {}).values() for value in rule.values()}
        for text in (one.rule, one.advice):
            written = re.findall(r"(?<![\w.])-?\d+(?:\.\d+)?", text.replace("R-l2", ""))
            assert {abs(float(number)) for number in written} <= allowed, name
    framing = verdicts.thresholds()["framing"]
    assert framing["option_position_bias"] == framing["answer_words"] == framing["framing_shift"]  # "as the shift"


def everything() -> pl.DataFrame:
    verify, score = asked_again(perturbed=True, questions=90), marker(0.4, rows=200, performers=9)
    parts = [verify, score, preferences(pairs=90), shown_options(rows=90)]
    return normalise(
        pl.concat(
            [part.with_columns(pl.col("kind").alias("task"), model=pl.lit("m"), dataset=pl.lit("d")) for part in parts],
            how="diagonal_relaxed",
        ).with_columns(answer_key=pl.int_range(pl.len()).cast(pl.String))
    )


def test_the_order_of_rows_changes_no_finding():
    frame = everything()
    once, turned = audit(frame), audit(frame.sample(fraction=1.0, shuffle=True, seed=9))
    for a, b in zip(once.findings, turned.findings, strict=True):
        assert a == b


def test_findings_are_plain_json_name_rows_that_exist_and_only_headlines_fail():
    frame = everything()
    result = audit(frame)
    made = {finding.audit for finding in result.findings if finding.verdict != "skipped"}
    assert made >= set(AUDITS) - {"traces", "psychometric"}
    json.dumps(result.as_json(), allow_nan=False)
    for finding in result.findings:
        assert finding.as_json()["details"] == json.loads(json.dumps(dict(finding.details), allow_nan=False))
        assert set(finding.rows) <= set(frame["answer_key"])
        assert len(finding.rows) <= 20
        assert finding.headline or finding.verdict != "fail"
        assert finding.summary.endswith(".")


def test_a_value_that_json_does_not_know_is_made_plain() -> None:
    details = {"nan": math.nan, "count": np.int64(3), "ends": (np.float64(0.5), math.inf), "path": Path("a")}
    found = Finding(audit="x", scope={}, measure="m", value=math.nan, details=details, rows=("k",))  # type: ignore[arg-type]
    row = found.as_json()
    assert (row["value"], row["rows"]) == (None, ["k"])
    assert row["details"] == {"nan": None, "count": 3, "ends": [0.5, None], "path": "a"}
    assert json.loads(json.dumps(row, allow_nan=False)) == row


def words(value: object) -> Iterator[str]:
    """Every key and text in a JSON value."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        yield from value
        yield from words(list(value.values()))
    elif isinstance(value, list):
        for inner in value:
            yield from words(inner)


# Correctness


def leaning(framing: list[str] | str) -> pl.DataFrame:
    rng = np.random.default_rng(1)
    gold = rng.random(800) < 0.5
    said = np.where(rng.random(800) < 0.4, True, np.where(rng.random(800) < 0.75, gold, ~gold))
    criterion = [("heels", "knees")[i % 2] for i in range(800)]
    who = [f"p{i % 40}" for i in range(800)]
    return booleans(gold.tolist(), said.tolist(), who, framing=framing, criterion=criterion, model="m")


def test_every_detail_that_the_page_of_audits_names_is_in_the_json() -> None:
    page = (Path(__file__).parents[1] / "docs" / "audits.md").read_text(encoding="utf-8")
    found: dict[str, set[str]] = {}
    for table in (everything(), leaning("positive")):
        for one in audit(table).findings:
            found.setdefault(one.audit, set()).update(words(one.as_json()["details"]))
    for name in set(AUDITS) - {"traces", "psychometric"}:  # pages of their own
        text = re.search(rf"^## {name}$.*?\*\*Details:\*\*(.*?)\n\n", page, re.MULTILINE | re.DOTALL)
        assert text is not None, name
        named = {word for code in re.findall(r"`([^`]+)`", text[1]) for word in re.findall(r"\w+", code)}
        assert named <= found[name], name


def test_a_lean_fails_in_both_framings_and_is_confounded_with_wording_in_one():
    both = run("correctness", leaning([("positive", "negative")[i // 2 % 2] for i in range(800)]))["lean"]
    assert (both.verdict, both.flag, both.headline) == ("fail", None, True)
    assert both.value == pytest.approx(0.4, abs=0.06)
    assert [group["name"] for group in both.details["by_criterion"]] == ["heels", "knees"]
    one = run("correctness", leaning("positive"))["lean"]
    assert (one.verdict, one.flag) == ("warn", "confounded with wording")


def test_groups_are_warned_of_after_holm_and_never_fail():
    found = AUDITS["correctness"](normalise(leaning([("positive", "negative")[i // 2 % 2] for i in range(800)])), {})
    groups = [f for f in found if f.measure == "lean" and not f.headline]
    assert {f.scope["criterion"] for f in groups} == {"heels", "knees"}
    assert {f.verdict for f in groups} == {"warn"}
    # By hand: t = (value - tolerance) / se with G - 1 = 39; Holm doubles the smaller of two.
    estimates = {
        "a": Estimate(value=0.2, interval=rows.Interval(low=0, high=0, se=0.03), clusters=40),
        "b": Estimate(value=0.17, interval=rows.Interval(low=0, high=0, se=0.05), clusters=40),
    }
    p = {name: 2 * stats.t.sf((one.value - 0.1) / one.interval.se, 39) for name, one in estimates.items()}
    a, b = corrected(estimates, 0.10)
    assert (a.holm_p, b.holm_p) == pytest.approx((2 * p["a"], p["b"]), rel=1e-9)
    assert (a.warns, b.warns) == (True, False)


def test_auroc_is_that_of_scikit_learn_and_d_prime_does_not_depend_on_the_lean():
    frame = asked_again()
    rows = frame.filter(pl.col("p_correct").is_not_null())
    expected = metrics.roc_auc_score(rows["gold_correct"], rows["p_correct"])
    assert MEASURES["auroc"](frame).value == pytest.approx(expected, abs=1e-12)


# Framing


def framed(plus: list[bool], minus: list[bool], gold: list[bool] | None = None, **columns) -> pl.DataFrame:
    n = len(plus)
    truth = gold or [i % 2 == 0 for i in range(n)]
    who = [f"p{i % 10}" for i in range(n)]
    sides = [
        booleans(truth, said, who, framing=framing, **{k: v[at] for k, v in columns.items()})
        for at, (framing, said) in enumerate((("positive", plus), ("negative", minus)))
    ]
    return pl.concat(sides)


def test_shift_contradictions_and_rates_by_hand():
    # says correct: + and -. Affirming the negative statement says error.
    plus = [True] * 10 + [True] * 6 + [False] * 4
    minus = [True] * 10 + [False] * 6 + [True] * 4
    frame = framed(plus, minus)
    value = {n: MEASURES[n](frame).value for n in ("framing_shift", "contradiction_rate", "tt_rate", "ff_rate")}
    assert value == pytest.approx({
        "framing_shift": 16 / 20 - 14 / 20, "contradiction_rate": 10 / 20, "tt_rate": 6 / 20, "ff_rate": 4 / 20,
    })  # fmt: skip
    said_true = [plus, [not m for m in minus]]
    assert value["framing_shift"] == pytest.approx(sum(map(np.mean, said_true)) - 1)  # acquiescence


def test_pairs_that_were_not_both_read_are_lost():
    frame = framed([True] * 20, [True] * 20).with_columns(
        parse=pl.when(pl.int_range(pl.len()) < 3).then(pl.lit("unparsed")).otherwise(pl.lit("ok"))
    )
    details = MEASURES["framing_shift"](frame).details
    assert (details["pairs"], details["pairs_lost"]) == (17, 3)


def test_a_paired_difference_that_nobody_changes_gets_the_bound_on_the_flip_rate():
    found = MEASURES["framing_shift"](framed([True] * 20, [True] * 20))
    assert (found.value, found.low, found.high) == (0.0, -resample.flip_rate_bound(10), resample.flip_rate_bound(10))


def test_an_honest_but_noisy_judge_contradicts_itself_and_does_not_fail() -> None:
    noisy = tables.judge(judges.JUDGES["noisy-honest"])
    design = tables.DESIGNS["framing"][0]
    found = run("framing", tables.table(noisy, design, rows=1000, clusters=60, seed=0))
    assert found["contradiction_rate"].value == pytest.approx(0.37, abs=0.06)  # 2 x .75 x .25
    assert found["contradiction_excess"].verdict == "ok"
    once = tables.table(noisy, tables.Design(kind="verify", framings=tables.BOTH), rows=1000, clusters=60, seed=0)
    alone = run("framing", once)["contradiction_rate"]
    assert (alone.verdict, alone.headline) == ("warn", False)  # no repeats to hold it against


def test_the_decision_by_the_mean_log_odds_and_what_it_gains():
    # Positive: sure and right; negative: unsure and wrong. The mean of the log-odds is right, a framing alone half.
    gold = [i % 2 == 0 for i in range(40)]
    p_plus = [0.9 if g else 0.1 for g in gold]
    p_minus = [0.4 if g else 0.6 for g in gold]
    frame = framed(gold, [not g for g in gold], gold, p_correct=(p_plus, p_minus))
    gain = MEASURES["debiased_gain"](frame)
    assert (gain.value, gain.details["pairs_by_log_odds"]) == (0.5, 40)
    assert MEASURES["debiased_gain"](frame.drop("p_correct")).value == 0.0


def test_answer_words_and_the_first_option_are_looked_at():
    plain = leaning([("positive", "negative")[i // 2 % 2] for i in range(800)])
    yes = plain.with_columns(answer_words=pl.lit("yes_no"), says_correct=pl.lit(value=True))
    both = pl.concat([plain.with_columns(answer_words=pl.lit("true_false")), yes])
    words = run("framing", both)["answer_words_shift"]
    assert (words.verdict, words.headline) == ("warn", False)
    assert words.value == pytest.approx(plain["says_correct"].mean() - 1)
    options = run("framing", shown_options(rows=600))["option_position_bias"]
    assert options.verdict == "fail"


# Collapse


def test_the_spread_alone_never_decides():
    # The best predictor of a truth it knows to .45 has a spread of .45.
    rng = np.random.default_rng(0)
    gold = rng.normal(size=1500)
    said = 0.45 * (0.45 * gold + math.sqrt(1 - 0.45**2) * rng.normal(size=1500))
    who = [f"p{i % 50}" for i in range(1500)]
    found = run("collapse", scores(gold.tolist(), said.tolist(), who))["sd_ratio"]
    assert found.high < 0.5
    assert (found.verdict, found.flag) == ("ok", None)


def test_a_mean_guesser_is_a_covert_failure_and_a_constant_far_off_is_not_covert() -> None:
    mean = tables.judge(judges.JUDGES["mean-guesser"])
    table = tables.table(mean, tables.DESIGNS["collapse"][0], rows=600, clusters=40, seed=0)
    found = run("collapse", table)["sd_ratio"]
    assert (found.verdict, found.flag) == ("fail", "covert failure")
    assert sum(one["rows"] for one in found.details["values"]) == 600
    far = run("collapse", table.with_columns(score=pl.lit(9.0)))["sd_ratio"]
    assert (far.verdict, far.flag) == ("fail", "collapsed")


@pytest.mark.parametrize(
    ("spearman", "spread", "modal", "verdict"),
    [
        ((0.0, 0.2), (0.1, 0.3), (0.1, 0.2), "fail"),
        ((0.0, 0.2), (0.6, 0.9), (0.6, 0.8), "fail"),  # one score is most of them
        ((0.0, 0.2), (0.6, 0.9), (0.1, 0.2), "ok"),
        ((0.4, 0.6), (0.1, 0.3), (0.6, 0.8), "ok"),
        ((0.2, 0.4), (0.1, 0.3), (0.1, 0.2), "cannot_tell"),
        ((0.0, 0.2), (0.4, 0.6), (0.1, 0.2), "cannot_tell"),
    ],
)
def test_when_scores_have_collapsed(spearman, spread, modal, verdict):
    estimates = [Estimate(value=0.5, interval=interval(*ends), n=100) for ends in (spearman, spread, modal)]
    assert collapsed(*estimates) == verdict


def test_spread_and_slope_are_those_of_numpy():
    frame = marker(0.5, rows=300)
    gold, said = frame["gold_score"].to_numpy(), frame["score"].to_numpy()
    assert MEASURES["sd_ratio"](frame).value == pytest.approx(said.std() / gold.std(), rel=1e-12)
    assert MEASURES["calibration_slope"](frame).value == pytest.approx(stats.linregress(said, gold).slope, rel=1e-9)
    shares = np.unique(said, return_counts=True)[1] / said.size
    assert MEASURES["modal_share"](frame).value == pytest.approx(shares.max(), rel=1e-12)


# Order


def test_position_bias_by_hand():
    # In "ab" the item's own performance is first. a: first both times; b: this both times; c: tie, then second.
    frame = pl.DataFrame(
        {
            "question_id": list("aabbccd"),
            "pair_order": ["ab", "ba", "ab", "ba", "ab", "ba", "ab"],
            "prefer": ["this", "other", "this", "this", "tie", "this", "this"],
            "kind": "prefer",
        }
    )
    assert MEASURES["position_bias"](frame).value == pytest.approx((1 + 0.5 + 0.25) / 3 - 0.5)
    assert MEASURES["order_consistency"](frame).value == pytest.approx(1 / 3)
    worse = frame.with_columns(framing=pl.lit("negative"))  # then the place named is that of the worse one
    assert MEASURES["position_bias"](worse).value == pytest.approx((0 + 0.5 + 0.75) / 3 - 0.5)


def test_the_gap_is_found_and_not_reached_outside_the_gaps_seen() -> None:
    judge = tables.judge({"skill": 1.0, "planted": {"stable": True, "gap": 0.3}})
    design = tables.DESIGNS["order"][0]
    frame = tables.table(judge, design, rows=4000, clusters=60, seed=1)
    curve, estimate = gap.fit(frame)
    assert estimate.value == pytest.approx(0.3, abs=0.04)
    assert estimate.low <= 0.3 <= estimate.high
    assert curve.at(np.array([0.0, 0.6])) == pytest.approx([0.5, 1.0], abs=0.05)
    small = frame.filter((pl.col("gold_score") - pl.col("other_gold_score")).abs() < 2)
    assert (gap.fit(small)[1].value, gap.fit(small)[1].flag) == (None, "not reached")
    large = frame.filter((pl.col("gold_score") - pl.col("other_gold_score")).abs() > 4)
    assert (gap.fit(large)[1].value, gap.fit(large)[1].flag) == (None, "below the gaps seen")
    assert run("order", frame)["gap_75"].verdict == "warn"


def test_one_order_says_nothing_of_a_position_bias():
    found = run("order", preferences().filter(pl.col("pair_order") == "ab"))["position_bias"]
    assert (found.verdict, found.scope) == ("skipped", {})
    assert "pair_order" in found.why


# Vision


def test_the_blind_policy_is_fitted_without_the_performer_it_answers_for():
    # Every performer but the last has correct heels and faulty knees; the last the other way round.
    who = [f"p{i}" for i in range(10) for _ in range(2)]
    criterion = ["heels", "knees"] * 10
    gold = [c == "heels" for c in criterion[:18]] + [False, True]
    frame = booleans(gold, gold, who, criterion=criterion, perturbation="none")
    blank = frame.with_columns(perturbation=pl.lit("blank"))
    found, estimate = evidence.dependence(pl.concat([frame, blank]))
    assert found.of("blind_policy").value == pytest.approx(0.9)
    assert estimate.value == pytest.approx(0.0)  # as right with a blank picture


def test_only_questions_asked_in_every_condition_are_compared():
    gold = [i % 2 == 0 for i in range(40)]
    who = [f"p{i % 10}" for i in range(40)]
    full = booleans(gold, gold, who, perturbation="none")
    blank = booleans(gold, [not g for g in gold], who, perturbation="blank").head(30)
    assert evidence.dependence(pl.concat([full, blank]))[1].n == 30


def test_modality_collapse_is_a_failed_dependence_with_a_lean_or_a_shift() -> None:
    design = tables.DESIGNS["vision"][0]
    for name, flag in (
        ("always-correct", "modality collapse"),
        ("wording-follower", "modality collapse"),
        ("blind", None),
    ):
        frame = tables.table(tables.judge(judges.JUDGES[name]), design, rows=1000, clusters=60, seed=0)
        found = run("vision", frame)["vision_dependence"]
        assert (found.verdict, found.flag) == ("fail", flag)


def test_a_swapped_clip_is_scored_against_the_clip_shown():
    gold = [i % 2 == 0 for i in range(40)]
    who = [f"p{i // 2 % 10}" for i in range(40)]
    full = booleans(gold, gold, who, perturbation="none", tags=None)
    shown = [json.dumps({"shown_id": "x", "shown_gold_correct": not g}) for g in gold]
    follows = booleans(gold, [not g for g in gold], who, perturbation="swapped", tags=shown)
    clings = booleans(gold, gold, who, perturbation="swapped", tags=shown)
    for swapped, drop, verdict in ((follows, 0.0, "cannot_tell"), (clings, 1.0, "warn")):
        found = run("vision", pl.concat([full.cast({"tags": pl.String}), swapped]))["swapped_drop"]
        assert (found.value, found.verdict) == (drop, verdict)
    # Without such tags the columns of the truth hold that of the clip shown.
    untagged = clings.with_columns(tags=pl.lit('{"shown_id": "x"}'))
    found = run("vision", pl.concat([full.cast({"tags": pl.String}), untagged]))["swapped_drop"]
    assert found.value == 0.0


def test_scores_and_pairs_depend_on_pictures_too():
    full = marker(0.9, rows=400).with_columns(perturbation=pl.lit("none"))
    blank = marker(0.9, rows=400).with_columns(perturbation=pl.lit("blank"), score=pl.col("score").shuffle(seed=1))
    assert run("vision", pl.concat([full, blank]))["vision_dependence"].verdict == "ok"
    # Two correlations may lie up to 2 apart.
    against = blank.with_columns(score=-full["score"])
    worse = run("vision", pl.concat([full, against]))["vision_dependence"]
    assert 1 < worse.low <= worse.value <= worse.high <= 2
    pairs = preferences(performers=60).with_columns(perturbation=pl.lit("none"))
    twin = pairs.with_columns(perturbation=pl.lit("text_only"))
    assert run("vision", pl.concat([pairs, twin]))["vision_dependence"].verdict == "fail"


# Calibration


def test_a_calibrated_judge_has_an_error_above_0_too():
    rng = np.random.default_rng(0)
    stated = rng.random((30, 1000))
    found = [probabilities.reliability(p, (rng.random(1000) < p).astype(float), np.arange(1000)) for p in stated]
    # By hand: ten normal bins of 100 rows, E|sum of y - p| = sqrt(2 / pi) sd.
    bins = np.sort(stated, axis=1).reshape(30, 10, 100)
    expected = np.sqrt(2 / np.pi) * np.sqrt((bins * (1 - bins)).sum(axis=2)).sum(axis=1) / 1000
    assert np.array([one.null_mean for one in found]) == pytest.approx(expected, rel=0.04)
    assert expected.mean() == pytest.approx(0.032, abs=0.002)
    assert np.mean([one.p_value for one in found]) == pytest.approx(0.5, abs=0.2)


def test_the_normal_limit_of_the_null_is_the_null(monkeypatch):
    rng = np.random.default_rng(0)
    p = np.repeat(rng.random(600), 2)
    y, item = np.repeat(rng.random(600) < p[::2], 2).astype(float), np.repeat(np.arange(600), 2)
    exact = probabilities.reliability(p, y, item)
    monkeypatch.setattr(probabilities, "_NULL_TERMS", 0)
    limit = probabilities.reliability(p, y, item)
    assert limit.null_mean == pytest.approx(exact.null_mean, rel=0.05)
    assert limit.null_high == pytest.approx(exact.null_high, rel=0.08)


def test_over_confidence_fails_and_calibration_does_not() -> None:
    design = tables.DESIGNS["calibration"][0]
    for name, verdict in (("over-confident", "fail"), ("flawless-70", "ok")):
        found = run(
            "calibration", tables.table(tables.judge(judges.JUDGES[name]), design, rows=1000, clusters=60, seed=2)
        )
        assert found["ece"].verdict == verdict
        assert sum(one["rows"] for one in found["ece"].details["bins"]) == 1000
    rows = probabilities.probable(asked_again())
    assert MEASURES["brier"](asked_again()).value == pytest.approx(metrics.brier_score_loss(rows["y"], rows["p"]))


# Consistency, subgroups


def test_disagreement_of_repeats_by_hand():
    frame = pl.DataFrame(
        {
            "question_id": ["a"] * 3 + ["b"] * 2 + ["c"],
            "kind": "verify",
            "says_correct": [True, True, False, True, True, False],
            "repeat": [0, 1, 2, 0, 1, 0],
        }
    )
    # a: two of its three pairs differ; b: none; c was asked once.
    assert MEASURES["repeat_disagreement"](frame).value == pytest.approx((2 / 3 + 0) / 2)
    given = pl.DataFrame(
        {"question_id": ["a", "a"], "kind": "score", "score": [4.0, 6.0], "scale_min": 0.0, "scale_max": 10.0}
    )
    assert MEASURES["repeat_sd"](given).value == pytest.approx(math.sqrt(2) / 10)


def test_noise_is_at_most_a_warning() -> None:
    frame = tables.table(
        tables.judge(judges.JUDGES["noisy-honest"]), tables.DESIGNS["consistency"][0], rows=600, clusters=40, seed=0
    )
    found = run("consistency", frame)["repeat_disagreement"]
    assert (found.verdict, found.headline) == ("warn", True)


def test_the_worst_group_is_named_with_an_interval_for_all_groups() -> None:
    frame = tables.table(
        tables.judge(judges.JUDGES["weak-group"]), tables.DESIGNS["subgroups"][0], rows=800, clusters=40, seed=0
    )
    found = run("subgroups", frame)["worst_group_gap"]
    assert (found.verdict, found.details["group"], found.headline) == ("warn", "camera=side", False)
    assert found.value == pytest.approx(0.5 - 0.9, abs=0.06)
    assert found.details["low_of_all"] <= found.low
    inside = frame.filter(pl.col("tags").str.contains("side"))
    expected = (
        MEASURES["balanced_accuracy"](inside).value
        - MEASURES["balanced_accuracy"](frame.filter(~pl.col("tags").str.contains("side"))).value
    )
    assert found.value == pytest.approx(expected, abs=1e-12)
