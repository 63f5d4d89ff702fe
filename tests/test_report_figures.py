"""Figures of wording, order, the clip, and curves: drawn where the answers allow it, with the right numbers."""

from __future__ import annotations

import polars as pl
import pytest

from aqaudit.audits.finding import Finding
from aqaudit.reporting import figures
from aqaudit.reporting.distributions import distribution
from aqaudit.reporting.figures import share
from aqaudit.reporting.svg import Figure
from report_sample import answer, sample, to_frame


def of_group(frame: pl.DataFrame, group: str) -> list[Figure]:
    return [figure for figure in figures.drawn(frame) if figure.group == group]


def numbers(figure: Figure) -> dict[str, float | None]:
    return {str(row[0]): row[1] for row in figure.table.rows}  # type: ignore[misc]


def test_wording_is_drawn_by_truth_and_flips_are_counted() -> None:
    rows = []
    for i in range(40):
        for framing in ("positive", "negative"):
            says = i % 4 != 0 if framing == "positive" else i % 2 == 0
            rows.append(
                answer(f"{i}{framing}", question_id=f"q{i}", performance_id=f"p{i}", performer=f"s{i % 10}",
                       framing=framing, gold_correct=i < 20, says_correct=says)
            )  # fmt: skip
    (figure,) = of_group(to_frame(rows), "framing")
    assert numbers(figure) == {
        "correct, positive": 0.75, "correct, negative": 0.5, "error, positive": 0.75, "error, negative": 0.5
    }  # fmt: skip
    # of every four: i%4 = 0 says (no, yes), 1 (yes, no), 2 (yes, yes), 3 (yes, no)
    assert "Of 40 questions answered both ways, 30 (75%) got two answers." in figure.note
    assert all(row[2] < row[1] < row[3] for row in figure.table.rows)  # type: ignore[operator]


def test_order_is_drawn_where_pairs_were_asked_both_ways() -> None:
    rows = [
        answer(f"{i}{order}", kind="prefer", framing="positive", question_id=f"q{i}", performance_id=f"a{i}",
               other_id=f"b{i}", performer=f"s{i % 9}", pair_order=order, gold_prefer="this", gold_score=float(i),
               other_gold_score=0.0, prefer="this" if order == "ab" else ("other" if i < 30 else "this"))
        for i in range(40) for order in ("ab", "ba")
    ]  # fmt: skip
    by_order, by_gap = of_group(to_frame(rows), "order")
    assert numbers(by_order) == {"this first": 1.0, "other first": 0.75, "both orders": 0.875}
    assert "30 (75%) got two answers" in by_order.note
    assert [row[1] for row in by_gap.table.rows][-1] == 1.0
    assert of_group(to_frame(rows[::2]), "order")[0].title == by_gap.title


def test_what_is_taken_is_the_worse_one_where_the_wording_asks_for_it() -> None:
    rows = [
        answer(f"{i}{order}", kind="prefer", framing="negative", question_id=f"q{i}", performance_id=f"a{i}",
               other_id=f"b{i}", performer=f"s{i % 9}", pair_order=order, gold_prefer="this",
               prefer="other" if order == "ab" else "this")
        for i in range(30) for order in ("ab", "ba")
    ]  # fmt: skip
    (figure,) = of_group(to_frame(rows), "order")
    assert set(numbers(figure).values()) == {1.0}  # it always says that the first one is worse


def test_the_clip_and_its_absence_stand_side_by_side() -> None:
    rows = [
        answer(f"{i}{shown}", question_id=f"q{i}", performance_id=f"p{i}", performer=f"s{i % 12}", perturbation=shown,
               gold_correct=i % 2 == 0, says_correct=(i % 2 == 0) if shown == "none" else True)
        for i in range(48) for shown in ("none", "blank")
    ]  # fmt: skip
    (figure,) = of_group(to_frame(rows), "vision")
    assert numbers(figure) == {"clip as it is": 1.0, "blank": 0.5}
    assert of_group(to_frame(rows[::2]), "vision") == []


def test_a_psychometric_curve_needs_severities_and_shows_the_tolerance() -> None:
    rows = [
        answer(f"{i}", kind="detect", framing="negative", error="knees_inward", severity=float(i % 8 * 5), unit="deg",
               tolerance=10.0, performer=f"s{i % 10}", gold_correct=i % 8 < 3, says_correct=i % 8 < 4)
        for i in range(160)
    ]  # fmt: skip
    (figure,) = of_group(to_frame(rows), "psychometric")
    assert [(row[0], row[1], row[4]) for row in figure.table.rows] == [
        (float(level * 5), float(level >= 4), 20) for level in range(8)
    ]
    assert figure.note == "The upright line is what is tolerated."
    assert "in deg" in figure.table.columns[0]
    assert of_group(to_frame(rows).with_columns(severity=None, tolerance=None), "psychometric") == []


def test_calibration_compares_the_probability_given_with_the_truth() -> None:
    rows = [
        answer(
            f"{i}", performer=f"s{i % 10}", gold_correct=i % 4 != 0, says_correct=True, p_correct=0.9 if i % 2 else 0.6
        )
        for i in range(80)
    ]  # fmt: skip
    (figure,) = of_group(to_frame(rows), "calibration")
    assert [(round(float(r[0] or 0), 9), r[1]) for r in figure.table.rows] == [(0.6, 0.5), (0.9, 1.0)]


def test_a_share_agrees_with_a_jackknife_by_hand_and_has_no_interval_with_few_performers() -> None:
    frame = to_frame(
        [answer(f"{i}", performer=f"s{i % 8}", gold_correct=True, says_correct=i % 8 < 4 + i // 32) for i in range(64)]
    )
    label, value, low, high, n = share(frame, pl.col("says_correct"), "x")
    assert (label, n) == ("x", 64)
    means = [float(frame.filter(performer=f"s{s}")["says_correct"].mean()) for s in range(8)]  # type: ignore[arg-type]
    without = [(sum(means) - mean) / 7 for mean in means]
    middle = sum(without) / 8
    se = (7 / 8 * sum((w - middle) ** 2 for w in without)) ** 0.5
    assert value == pytest.approx(sum(means) / 8)
    assert high is not None
    assert high - value == pytest.approx(2.364624251592785 * se)  # t(0.975, 7), tables
    assert low == pytest.approx(2 * value - high)
    assert share(frame.filter(pl.col("performer") < "s4"), pl.col("says_correct"), "x")[2:4] == (None, None)


def test_every_figure_has_a_name_a_sentence_and_its_numbers() -> None:
    drawn = figures.drawn(sample(n=1200))
    assert len({figure.name for figure in drawn}) == len(drawn) == 12
    for figure in drawn:
        assert figure.alt
        assert figure.table.rows


def test_a_name_from_outside_cannot_leave_its_picture() -> None:
    rows = to_frame([answer("1", task="</svg><script>x</script>", gold_correct=True, says_correct=True)])
    svg = distribution(rows, "</svg><script>").svg
    assert "<script>" not in svg
    assert svg.count("</svg>") == 1


def test_one_error_of_two_actions_makes_two_curves_each_named_after_its_action() -> None:
    rows = to_frame(
        [
            answer(f"{action}{i}", kind="detect", framing="negative", action=action, error="hip_sag", unit="cm",
                   severity=float(i % 4), performer=f"s{i % 10}", gold_correct=i % 4 < 2, says_correct=i % 3 > 0)
            for action in ("plank", "push-up")
            for i in range(40)
        ]
    )  # fmt: skip
    first, second = (one for one in figures.drawn(rows) if one.group == "psychometric")
    assert first.title.endswith(": plank, hip_sag")
    assert second.title.endswith(": push-up, hip_sag")
    assert first.name.endswith("plank-hip-sag")
    assert second.name.endswith("push-up-hip-sag")
    assert sum(row[-1] for row in first.table.rows) == 40


def test_a_curve_that_an_audit_fitted_is_drawn_in_place_of_bare_shares() -> None:
    rows = to_frame(
        [
            answer(f"{i}", kind="detect", framing="negative", error="knees_inward", severity=float(i % 8 * 5),
                   unit="deg", performer=f"s{i % 10}", gold_correct=i % 8 < 3, says_correct=i % 8 < 4)
            for i in range(160)
        ]
    )  # fmt: skip
    scope = {"model": "qwen3-vl", "dataset": "clinic", "task": "squat", "kind": "detect"}
    details = {"unit": "deg", "points": [[0.0, 0.1, 20.0], [35.0, 0.9, 20.0]], "curve": [[0.0, 0.1], [20.0, 0.5]]}
    finding = Finding(audit="psychometric", scope={**scope, "action": "squat", "error": "knees_inward"},
                      measure="threshold", value=20.0, details=details)  # fmt: skip
    (figure,) = [one for one in figures.drawn(rows, [finding]) if one.group == "psychometric"]
    assert figure.table.rows == ((0.0, 0.1, None, None, 20), (35.0, 0.9, None, None, 20))
    assert figure.title.endswith(": squat, knees_inward")
    assert figure.svg.count('class="b"') == 1  # the fitted curve
    named = {"points": [{"gap": 0.1, "pairs": 9, "accuracy": 0.6, "low": 0.3, "high": 0.9},
                        {"gap": 0.5, "pairs": 9, "accuracy": 1.0}], "curve": []}  # fmt: skip
    (by_gap,) = [f for f in figures.drawn(rows, [Finding(audit="order", scope=scope, measure="gap_75", value=None,
                                                         details=named)]) if f.group == "order"]  # fmt: skip
    assert by_gap.table.rows[0] == (0.1, 0.6, 0.3, 0.9, 9)
    assert ("fitted" in figure.note, "fitted" in by_gap.note) == (True, False)  # no curve is spoken of where none is
    odd = Finding(audit="x", scope=scope, measure="m", value=None, details={"points": [[1.0, 70.0], "x", [2.0]]})
    assert not [one for one in figures.drawn(rows, [odd]) if one.group == "other"]
