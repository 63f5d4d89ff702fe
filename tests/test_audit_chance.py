"""The audit ``chance``: verdict rules, scopes, and answers that cannot be judged."""

from __future__ import annotations

import dataclasses
import json
import re
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from answers_tables import booleans, choices, judge, marker, scores
from aqaudit.audits import AUDITS, audit, format_signature, permutation, verdicts
from aqaudit.audits.finding import Finding
from aqaudit.audits.scope import headline_scopes, narrow
from aqaudit.core.table import SCHEMA, normalise


def headline(frame):
    (found,) = [finding for finding in audit(frame).findings if finding.headline and finding.audit == "chance"]
    return found


HALF = verdicts.ChanceLevels(chance=0.5, useful=0.6)


@pytest.mark.parametrize(
    ("value", "low", "high", "verdict"),
    [
        (0.70, 0.65, 0.75, "ok"),
        (0.60, 0.51, 0.69, "ok"),
        (0.60, np.nextafter(0.5, 1), 0.70, "ok"),
        (np.nextafter(0.6, 0), 0.55, 0.65, "warn"),
        (0.55, 0.51, 0.59, "warn"),
        (0.55, 0.50, 0.59, "fail"),  # low = chance is not above chance
        (0.50, 0.42, np.nextafter(0.6, 0), "fail"),
        (0.55, 0.50, 0.60, "cannot_tell"),  # high = useful is not below useful
        (0.62, 0.45, 0.79, "cannot_tell"),
        (0.30, 0.20, 0.40, "fail"),
        (0.90, None, None, "cannot_tell"),
        (None, None, None, "cannot_tell"),
    ],
)
def test_verdicts_against_chance(value, low, high, verdict):
    assert verdicts.against_chance(value, low, high, HALF) == verdict


@pytest.mark.parametrize(
    ("measure", "chance", "useful"),
    [
        ("balanced_accuracy", 0.5, 0.6),
        ("balanced_accuracy", 0.25, 0.4),
        ("pair_accuracy", 0.5, 0.6),
        ("spearman", 0.0, 0.3),
        ("spearman_by_action", 0.0, 0.3),
    ],
)
def test_where_a_judge_becomes_useful(measure, chance, useful):
    levels = verdicts.chance_levels(measure, chance)
    assert levels.chance == chance
    assert levels.useful == pytest.approx(useful, abs=1e-12)


@pytest.mark.parametrize(
    ("verdict", "coverage", "expected"),
    [
        ("ok", 0.95, "ok"),
        ("ok", 0.9499, "warn"),
        ("fail", 0.9499, "warn"),
        ("warn", 0.85, "warn"),
        ("cannot_tell", 0.85, "cannot_tell"),
        ("ok", 0.80, "warn"),
        ("ok", 0.7999, "cannot_tell"),
        ("fail", 0.7999, "cannot_tell"),
    ],
)
def test_verdicts_on_scores_of_which_some_were_not_read(verdict, coverage, expected):
    assert verdicts.with_coverage(verdict, coverage) == expected


@pytest.mark.parametrize(
    ("accuracy", "rows", "performers", "verdict"),
    [(0.8, 600, 40, "ok"), (0.55, 6000, 200, "warn"), (0.5, 2000, 60, "fail"), (0.57, 120, 12, "cannot_tell")],
)
def test_judges_of_known_skill(accuracy, rows, performers, verdict):
    found = headline(judge(accuracy, rows=rows, performers=performers))
    assert (found.measure, found.verdict, found.chance) == ("balanced_accuracy", verdict, 0.5)
    assert found.clusters == performers
    assert "m " in found.summary
    assert found.advice


def test_scores_of_known_skill():
    assert headline(marker(0.6)).verdict == "ok"
    assert headline(marker(0.0, rows=2000, performers=60)).verdict == "fail"
    assert headline(marker(0.15, rows=3000, performers=60)).verdict == "warn"


def test_a_judge_that_always_says_correct_fails():
    frame = judge(0.8).with_columns(says_correct=pl.lit(True))
    found = headline(frame)
    assert (found.verdict, found.flag, found.value) == ("fail", "constant", 0.5)
    assert "always answers the same" in found.summary


def test_one_score_for_everything_fails_without_an_interval():
    found = headline(marker(0.5).with_columns(score=pl.lit(1.0)))
    assert (found.verdict, found.flag, found.value, found.low) == ("fail", "constant", 0.0, None)
    few = headline(marker(0.5, performers=3).with_columns(score=pl.lit(1.0)))
    assert (few.verdict, few.value) == ("cannot_tell", 0.0)


def test_four_options_are_judged_against_a_quarter():
    options = ["a", "b", "c", "d"]
    rng = np.random.default_rng(0)
    gold = rng.choice(options, 800)
    for accuracy, verdict in ((0.6, "ok"), (0.2, "fail")):
        said = np.where(rng.random(800) < accuracy, gold, [options[(options.index(g) + 1) % 4] for g in gold])
        frame = choices(gold.tolist(), said.tolist(), [f"p{i % 30}" for i in range(800)], options=[options] * 800)
        found = headline(frame)
        assert (found.chance, found.verdict) == (0.25, verdict)
        assert found.details["useful_from"] == pytest.approx(0.4)


def test_preferences_are_judged_by_accuracy_over_pairs():
    rng = np.random.default_rng(0)
    gold = rng.choice(["this", "other"], 300).repeat(2)
    right = rng.random(600) < 0.8
    said = np.where(right, gold, np.where(gold == "this", "other", "this"))
    frame = pl.DataFrame({
        "question_id": [f"q{i // 2}" for i in range(600)], "kind": "prefer", "pair_order": ["ab", "ba"] * 300,
        "performer": [f"p{i // 2 % 30}" for i in range(600)], "gold_prefer": gold, "prefer": said,
    })  # fmt: skip
    found = headline(frame)
    assert (found.measure, found.verdict, found.chance) == ("pair_accuracy", "ok", 0.5)
    assert found.value == pytest.approx(right.mean())
    assert found.details["permutation_p"] < 0.001
    first = pl.when(pl.col("pair_order") == "ab").then(pl.lit("this")).otherwise(pl.lit("other"))
    assert headline(frame.with_columns(prefer=first)).value == 0.5


def test_unread_answers_are_said_aloud():
    frame = judge(0.9).with_columns(says_correct=pl.when(pl.int_range(pl.len()) % 4 > 0).then("says_correct"))
    found = headline(frame)
    assert "25% of the answers could not be read" in found.summary
    assert found.value < 0.75
    parsed = next(f for f in audit(frame).findings if f.measure == "balanced_accuracy_parsed")
    assert parsed.value > 0.85


def test_three_performers_cannot_tell_and_the_reason_is_given():
    found = headline(judge(0.9, performers=3))
    assert found.verdict == "cannot_tell"
    assert (found.low, found.high) == (None, None)
    assert found.why == "only 3 performers; at least 8 are needed for an interval"
    assert found.why in found.summary


def test_only_headline_findings_fail():
    for frame in (judge(0.5, rows=2000, performers=60), marker(0.0, rows=2000, performers=60, action="a")):
        findings = audit(frame).findings
        assert [f.measure for f in findings if f.verdict == "fail"] in (["balanced_accuracy"], ["spearman"])


def test_distances_stand_beside_the_constant_mean_and_never_fail():
    poor = {f.measure: f for f in audit(marker(0.0, rows=2000, performers=60)).findings}
    assert poor["r_l2"].verdict == "warn"
    assert poor["r_l2"].low > poor["r_l2"].baseline
    assert {poor["rmse"].verdict, poor["mae"].verdict} == {"skipped"}
    good = {f.measure: f for f in audit(marker(0.9, rows=2000, performers=60)).findings}
    assert good["r_l2"].verdict == "ok"


def test_too_few_scores_read_cannot_tell():
    frame = marker(0.9).with_columns(score=pl.when(pl.int_range(pl.len()) % 4 > 0).then("score"))
    found = headline(frame)
    assert found.verdict == "cannot_tell"
    assert "75%" in found.why
    assert found.details["parse_failures"] == 100


def test_scopes_split_by_settings_only_where_they_vary():
    frame = normalise(judge(0.7, view="rgb", fps_asked="8"))
    assert [set(s.labels) for s in headline_scopes(frame)] == [{"model", "dataset", "task", "kind"}]
    both = pl.concat([frame, frame.with_columns(view=pl.lit("crop"), thinking=pl.lit("high"))])
    first, second = headline_scopes(both)
    assert [first.labels["view"], first.labels["thinking"]] == ["crop", "high"]
    assert [second.labels["view"], second.labels["thinking"]] == ["rgb", "not set"]
    assert "fps_asked" not in first.labels
    assert narrow(both, second.labels).height == frame.height == second.rows.height


def test_framing_words_order_and_repeats_do_not_split_scopes():
    frame = judge(0.7)
    more = frame.with_columns(answer_words=pl.lit("a_b"), pair_order=pl.lit("ba"), repeat=pl.lit(1), seed=pl.lit(5))
    both = pl.concat([normalise(frame), normalise(more)])
    assert len(list(headline_scopes(both))) == 1


def test_resolution_splits_scopes_only_where_one_question_had_several():
    frame = judge(0.7).with_columns(width=pl.int_range(pl.len()) % 3 * 100 + 640, height=480)
    assert len(list(headline_scopes(normalise(frame)))) == 1
    twice = pl.concat([frame.with_columns(width=pl.lit(640)), frame.with_columns(width=pl.lit(1280))])
    labels = [scope.labels for scope in headline_scopes(normalise(twice))]
    assert [label["longer_side_px"] for label in labels] == ["1280", "640"]
    assert narrow(normalise(twice), labels[0])["width"].unique().to_list() == [1280]


def test_perturbed_answers_are_not_read():
    frame = judge(0.8)
    blank = frame.with_columns(says_correct=~pl.col("says_correct"), perturbation=pl.lit("blank"))
    both = pl.concat([frame.with_columns(perturbation=pl.lit("none")), blank])
    assert headline(both).value == headline(frame).value
    (only,) = [finding for finding in audit(blank).findings if finding.audit == "chance"]
    assert (only.verdict, only.scope) == ("skipped", {})


def unjudgeable():
    everyone = [f"p{i}" for i in range(12)]
    rows = [True, False] * 6
    return {
        "all unread": booleans(rows, [None] * 12, everyone),
        "all scores unread": scores([1.0, 2] * 6, [None] * 12, everyone),
        "one class": booleans([True] * 12, rows, everyone),
        "one option": choices(["a"] * 12, ["a", "b"] * 6, everyone),
        "one true score": scores([5.0] * 12, [float(i) for i in range(12)], everyone),
        "no truth": scores([None] * 12, [1.0] * 12, everyone),
        "one row": booleans([True], [True]),
        "one performer": booleans(rows, rows, ["p"] * 12),
        "one dominates": booleans(rows * 2, rows * 2, everyone + ["p0"] * 12),
    }


@pytest.mark.parametrize("name", sorted(unjudgeable()))
def test_what_cannot_be_judged_gets_a_reason_and_no_exception(name):
    result = audit(unjudgeable()[name])
    for finding in (one for one in result.findings if one.measure != "coverage"):
        assert finding.verdict in {"cannot_tell", "skipped"}, finding
        assert finding.why
        assert finding.summary
        assert finding.low is None or not finding.headline
    json.dumps(result.as_json(), allow_nan=False)


@pytest.mark.parametrize(
    ("frame", "reason"),
    [
        (pl.DataFrame(), "question_id"),
        (pl.DataFrame(schema=SCHEMA), "no answers"),
        (judge(0.7).drop("kind"), "kind"),
        (judge(0.7).drop("gold_correct"), "gold_correct"),
        (judge(0.7).drop("says_correct"), "says_correct"),
    ],
)
def test_a_table_that_lacks_something_is_skipped_with_what_it_lacks(frame, reason):
    result = audit(frame)
    assert {finding.verdict for finding in result.findings} == {"skipped"}
    assert reason in result.skipped["chance"]
    assert result.skipped.keys() == AUDITS.keys()
    json.dumps(result.as_json(), allow_nan=False)


def test_the_json_has_the_fields_of_the_contract():
    result = audit(judge(0.7)).as_json()
    assert set(result) == {"signature", "findings"}
    fields = "audit scope measure value low high chance n clusters headline verdict flag summary".split()
    added = "baseline question why advice citation details rows".split()
    assert set(fields + added) == {one.name for one in dataclasses.fields(Finding)}
    assert all(list(finding) == fields + added for finding in result["findings"])
    assert result["findings"][0]["details"]["permutation_p"] < 0.05
    page = (Path(__file__).parents[1] / "docs" / "numbers.md").read_text(encoding="utf-8")
    named = re.search(r"`--json FILE`.*?\n\n", page, re.DOTALL)
    assert named is not None
    assert set(fields + added) <= set(re.findall(r"`(\w+)`", named[0]))
    assert json.loads(json.dumps(result, allow_nan=False))["findings"][0]["value"] == result["findings"][0]["value"]


def test_the_frame_has_the_fields_of_the_json_and_a_column_for_each_key_of_a_scope():
    result = audit(judge(0.7))
    frame = result.to_frame()
    row, first = frame.row(0, named=True), result.as_json()["findings"][0]
    assert {k: row[k] for k in first["scope"]} == first["scope"]
    assert {k: row[k] for k in first if k not in {"scope", "details"}} == {
        k: v for k, v in first.items() if k not in {"scope", "details"}
    }
    assert json.loads(row["details"]) == first["details"]
    assert frame.height == len(result.findings)


def test_the_audit_is_repeatable_whatever_the_order_of_rows():
    frame = pl.concat([normalise(judge(0.7)), normalise(marker(0.5, action="a"))], how="vertical").with_columns(
        answer_key=pl.concat_str(pl.lit("k"), pl.int_range(pl.len()).cast(pl.String))
    )
    once, turned = audit(frame), audit(frame.sample(fraction=1.0, shuffle=True, seed=3))
    assert once == turned


def test_the_signature_follows_what_was_read():
    frame = judge(0.7)
    signed = audit(frame).signature
    assert signed["rows"] == frame.height
    assert signed["thresholds"]["chance.balanced_accuracy.useful"] == 0.6
    assert audit(normalise(frame)).signature == signed
    assert audit(frame.with_columns(usd=pl.lit(0.5))).signature["sha256"] == signed["sha256"]
    changed = frame.with_columns(says_correct=pl.when(pl.int_range(pl.len()) > 0).then("says_correct").otherwise(None))
    assert audit(changed).signature["sha256"] != signed["sha256"]
    line = format_signature(signed)
    assert "\n" not in line
    assert f"sha256:{signed['sha256'][:12]}|" in line
    assert "cluster:performer" in line


def test_permutation_p_is_that_of_shuffling_rows():
    frame = judge(0.56, rows=300, performers=30, seed=2)
    drawn = []
    for seed in range(400):
        shuffled = pl.col("says_correct").shuffle(seed=seed).over("framing", "criterion")
        drawn.append(_balanced(frame.with_columns(shuffled)))
    expected = np.mean([value >= _balanced(frame) - 1e-12 for value in drawn])
    assert permutation.balanced_accuracy(frame) == pytest.approx(expected, abs=4 * np.sqrt(0.25 / 400) * 0.5)


def _balanced(frame):
    parts = []
    for _, part in frame.group_by("framing"):
        right = part["gold_correct"] == part["says_correct"]
        parts.append(np.mean([right.filter(part["gold_correct"] == label).mean() for label in (True, False)]))
    return np.mean(parts)


def test_permutation_of_scores_has_its_normal_limit(monkeypatch):
    frame = marker(0.08, rows=500, performers=30, criterion=[f"c{i % 2}" for i in range(500)], seed=6)
    exact = permutation.spearman(frame)
    monkeypatch.setattr(permutation, "EXACT_ROWS", 0)
    assert 0.001 < exact < 0.5
    assert permutation.spearman(frame) == pytest.approx(exact, abs=0.03)


def test_knowing_how_often_a_criterion_is_met_earns_no_small_p():
    rng = np.random.default_rng(1)
    criterion = rng.choice(["often", "seldom"], 800)
    gold = rng.random(800) < np.where(criterion == "often", 0.9, 0.1)
    frame = booleans(gold.tolist(), (criterion == "often").tolist(), criterion=criterion)
    assert permutation.balanced_accuracy(frame) == 1.0
    found = headline(frame)
    assert found.value == pytest.approx(found.baseline)


def test_holm_by_hand():
    assert permutation.holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])
    assert permutation.holm([0.6, 0.9]) == [1.0, 1.0]
    assert permutation.holm([0.01, None, 0.04, 0.03], ["a", "a", "b", "a"]) == pytest.approx([0.02, None, 0.04, 0.03])


def test_holm_is_over_the_tasks_of_a_model():
    tasks = [judge(0.8, seed=i).with_columns(task=pl.lit(f"t{i}"), model=pl.lit(m)) for i in range(3) for m in "ab"]
    heads = [f for f in audit(pl.concat(tasks)).findings if f.headline and f.audit == "chance"]
    assert {f.details["holm_family"] for f in heads} == {3}
    assert all(f.details["holm_p"] >= f.details["permutation_p"] for f in heads)


def test_the_smallest_detectable_figure_shrinks_with_the_sample():
    small, large = (headline(judge(0.5, rows=rows, performers=40)) for rows in (200, 3200))
    assert small.details["smallest_detectable"] > large.details["smallest_detectable"] > 0.5
    # 80 % power at 39 degrees of freedom: t(.975) + t(.80) = 2.0227 + 0.8512
    assert large.details["smallest_detectable"] == pytest.approx(
        0.5 + (2.0227 + 0.8512) * (large.high - large.low) / 2 / 2.0227, abs=1e-4
    )


def test_rows_that_show_the_finding_are_named():
    frame = normalise(judge(0.5, rows=2000, performers=60)).with_columns(
        answer_key=pl.concat_str(pl.lit("key"), pl.int_range(pl.len()).cast(pl.String))
    )
    found = headline(frame)
    shown = frame.filter(pl.col("answer_key").is_in(found.rows))
    assert shown.height == len(found.rows) == 20
    assert (shown["gold_correct"] != shown["says_correct"]).all()
