"""Psychometric curves: planted thresholds come back, psignifit agrees, and a verdict needs a design that can tell."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import special, stats

from answers_tables import booleans
from aqaudit.audits import psychometric as module
from aqaudit.audits.finding import Finding
from aqaudit.audits.psychometric import trials_of
from aqaudit.core.table import normalise
from aqaudit.measures import psychometric as curves
from aqaudit.measures.psychometric import efficiency

sys.path.insert(0, str(Path(__file__).parents[1] / "benchmarks"))

import psychometric_recovery as recovery


def trials(severity: list[float], said: list[float], total: list[float], performers: int = 40) -> curves.Trials:
    """Counts a severity, dealt out evenly to performers."""
    each = len(severity)
    return curves.Trials(
        cluster=np.repeat(np.arange(performers), each),
        severity=np.tile(np.array(severity, dtype=float), performers),
        total=np.tile(np.array(total, dtype=float) / performers, performers),
        said=np.tile(np.array(said, dtype=float) / performers, performers),
    )


def answers(
    threshold: float = 10.0,
    width: float = 12.0,
    *,
    guess: float = 0.05,
    lapse: float = 0.05,
    levels: int = 8,
    each: int = 48,
    performers: int = 36,
    seed: int = 0,
    shift: float = 0.0,
    model: str = "m",
    tolerance: float = 8.0,
    error: str = "knees_inward",
    top: float = 28.0,
) -> pl.DataFrame:
    """Answers to detect questions at graded severities, in both framings, of a judge with a known curve."""
    rng = np.random.default_rng(seed)
    severity = np.tile(np.repeat(np.linspace(0, top, levels), each), 2)
    framing = np.repeat(["positive", "negative"], levels * each)
    moved = threshold + np.where(framing == "negative", shift, 0.0)
    rise = special.expit(curves.SPREAD * (severity - moved) / width)
    says_error = rng.random(severity.size) < guess + (1 - guess - lapse) * rise
    who = [f"p{i % performers:02d}" for i in range(severity.size)]
    return normalise(
        booleans(
            (severity <= tolerance).tolist(),
            (~says_error).tolist(),
            who,
            model=model,
            dataset="d",
            task="detect",
            framing=framing,
            action="squat",
            error=error,
            severity=severity,
            tolerance=tolerance,
            unit="deg",
        ).with_columns(kind=pl.lit("detect"))
    )


def psychometric(frame: pl.DataFrame) -> list[Finding]:
    return module.AUDIT(frame, {})


def figure(frame: pl.DataFrame, measure: str = "threshold", **scope: str) -> Finding:
    (found,) = (
        one
        for one in psychometric(frame)
        if one.measure == measure and all(one.scope.get(k) == v for k, v in scope.items())
    )
    return found


def test_a_curve_agrees_with_psignifit() -> None:
    # psignifit 4.3, experiment 'yes/no', sigmoid 'logistic', on the same counts: posterior means 12.509 (threshold) and
    # 19.058 (width), 95 % intervals 11.407 to 13.340 and 14.066 to 23.955, guess .065, lapse .038; its prior of the
    # guess rate pulls to 0, ours does not.
    severity = [0.0, 4.0, 8.0, 12.0, 16.0, 20.0, 24.0, 28.0]
    said = [18.0, 24.0, 46.0, 96.0, 149.0, 176.0, 188.0, 191.0]
    curve = curves.fit(trials(severity, said, [200.0] * 8, performers=200))
    assert curve is not None
    assert curve.threshold.value == pytest.approx(12.509, abs=0.15)
    assert (curve.threshold.low, curve.threshold.high) == pytest.approx((11.407, 13.340), abs=0.4)
    assert curve.width.value == pytest.approx(19.058, rel=0.06)
    assert (curve.width.low, curve.width.high) == pytest.approx((14.066, 23.955), rel=0.06)
    assert curve.guess.value == pytest.approx(0.065, abs=0.012)
    assert curve.lapse.value == pytest.approx(0.038, abs=0.012)


def test_the_posterior_of_a_threshold_alone_is_that_of_a_binomial_by_quadrature() -> None:
    # Two severities far from the threshold pin guess and lapse near 0, one at the middle tells the threshold: the
    # posterior of the proportion there is Beta(k + 1, n - k + 1) up to the priors, whose pull is small at n = 400.
    curve = curves.fit(trials([0.0, 5.0, 10.0, 15.0, 20.0], [0.0, 0.0, 200.0, 400.0, 400.0], [400.0] * 5, 400))
    assert curve is not None
    low, high = stats.beta.ppf([0.025, 0.975], 201, 201)
    assert curve.threshold.value == pytest.approx(10.0, abs=0.05)
    assert curve.at(np.array([10.0]))[0] == pytest.approx((low + high) / 2, abs=0.02)


def test_planted_curves_and_framing_shifts_lie_in_their_intervals() -> None:
    # The benchmark does 400 runs a line; 20 runs of a 95 % interval hold at least 16 with a chance of .997.
    found = [recovery.recovered(recovery.JUDGES[1], 0.1, seed) for seed in range(20)]
    for name in ("threshold", "slope", "shift"):
        assert sum(one[name][0] for one in found) >= 16, name


def test_performers_that_go_together_widen_the_interval() -> None:
    rng = np.random.default_rng(3)
    judge = recovery.JUDGES[0]
    apart = [curves.fit(recovery.simulated(judge, 0.0, np.random.default_rng(s))) for s in range(6)]
    together = [curves.fit(recovery.simulated(judge, 0.4, rng)) for _ in range(6)]
    width = [np.mean([c.threshold.high - c.threshold.low for c in group if c]) for group in (apart, together)]
    assert width[1] > 1.2 * width[0]


@settings(deadline=None, max_examples=6)
@given(scale=st.floats(0.01, 100), move=st.floats(-50, 50))
def test_a_curve_does_not_depend_on_the_unit(scale: float, move: float) -> None:
    severity = [0.0, 4.0, 8.0, 12.0, 16.0, 20.0]
    said = [3.0, 5.0, 14.0, 27.0, 36.0, 38.0]
    plain = curves.fit(trials(severity, said, [40.0] * 6))
    other = curves.fit(trials([scale * x + move for x in severity], said, [40.0] * 6))
    assert plain is not None
    assert other is not None
    assert other.threshold.value == pytest.approx(scale * plain.threshold.value + move, rel=1e-6, abs=1e-6 * scale)
    assert other.slope.value == pytest.approx(plain.slope.value / scale, rel=1e-6)


def test_the_likelihood_of_every_curve_is_the_binomial_one() -> None:
    levels = np.array([0.0, 4.0, 12.8, 24.0])
    counts = curves._Counts(levels=levels, total=np.array([3.0, 2.0, 2.0, 2.5]), said=np.array([0.0, 2.0, 1.5, 2.5]))
    grid = curves._first_grid(levels)
    found = curves._log_likelihood(grid, counts)
    rng = np.random.default_rng(0)
    for row, column in zip(rng.integers(0, found.shape[0], 50), rng.integers(0, found.shape[1], 50), strict=True):
        rise = special.expit(curves.SPREAD * (levels - grid.threshold[row]) / grid.width[row])
        p = grid.guess[column] + (1 - grid.guess[column] - grid.lapse[column]) * rise
        wanted = (counts.said * np.log(p) + (counts.total - counts.said) * np.log1p(-p)).sum()
        assert found[row, column] == pytest.approx(wanted, rel=1e-9)


@settings(deadline=None)
@given(seed=st.integers(0, 1000), size=st.integers(1, 3000), near=st.floats(0, 0.9), digits=st.integers(1, 9))
def test_quantiles_of_thinned_values_are_those_of_all(seed: int, size: int, near: float, digits: int) -> None:
    # many equal values, and many close to one end, as of a curve that hardly rises
    rng = np.random.default_rng(seed)
    values = np.where(rng.random(size) < near, 1e-9 * rng.random(size), np.round(rng.random(size), digits))
    weights = rng.random(size) ** 4
    thin, thin_weights = curves._thinned(values, weights)
    assert thin.size <= values.size
    wanted, found = curves._quantity(values, weights), curves._quantity(thin, thin_weights)
    assert (found.low, found.value, found.high) == pytest.approx((wanted.low, wanted.value, wanted.high), abs=1e-12)


def test_one_severity_is_no_curve() -> None:
    assert curves.fit(trials([5.0], [10.0], [20.0])) is None


def test_a_judge_that_sees_an_error_near_its_tolerance_is_ok() -> None:
    found = figure(answers(threshold=10, width=12, tolerance=8))
    assert found.verdict == "ok"
    assert found.low <= 10 <= found.high
    assert not found.headline
    assert "from" in found.summary
    assert len(found.details["points"]) == 8


def test_a_judge_that_sees_it_late_is_warned_about_and_never_failed() -> None:
    found = figure(answers(threshold=18, width=10, tolerance=5))
    assert found.verdict == "warn"
    assert found.low > 10
    assert found.scope["error"] == "knees_inward"


def test_a_judge_whose_answer_does_not_depend_on_severity_has_no_threshold() -> None:
    for lapse in (0.95, 0.55):
        found = figure(answers(guess=0.05 if lapse == 0.95 else 0.45, lapse=lapse, each=100))
        assert found.flag == "flat"
        assert found.value is None
        assert found.verdict == "warn"
        assert "says the same at every severity" in found.summary


def test_a_threshold_beyond_the_severities_asked_about_is_not_reached() -> None:
    found = figure(answers(threshold=34, width=24, lapse=0, each=400, tolerance=8))
    assert found.flag == "not reached"
    assert found.value is None
    assert found.verdict in {"warn", "cannot_tell"}


def test_a_handful_of_answers_places_no_threshold_and_draws_no_curve() -> None:
    found = figure(answers(each=2, levels=4, performers=4))
    assert found.flag == "not placed"
    assert found.value is None
    assert found.details["curve"] == []
    assert len(found.details["points"]) == 4
    assert "cannot be told" in found.summary


@pytest.mark.parametrize(
    ("change", "lacks"),
    [({"levels": 5}, "severities"), ({"each": 15}, "answers a severity"), ({"performers": 12}, "performers")],
)
def test_a_design_too_small_to_tell_is_shown_and_not_judged(change: dict[str, int], lacks: str) -> None:
    found = figure(answers(**change))
    assert found.verdict == "cannot_tell"
    assert found.flag == "shown, not judged"
    assert found.value is not None
    assert lacks in found.why


def test_the_shift_between_wordings_has_its_planted_size() -> None:
    found = figure(answers(threshold=10, shift=6, each=80, tolerance=8), "threshold_shift")
    assert found.low <= 6 <= found.high
    assert found.verdict == "warn"
    none = figure(answers(threshold=10, shift=0, each=200, tolerance=12), "threshold_shift")
    assert none.verdict == "ok"


def test_an_observer_stands_beside_and_gives_the_efficiency() -> None:
    judge, ideal = answers(seed=1), answers(threshold=8, width=0.1, guess=0, lapse=0, model="observer:exact")
    found = figure(pl.concat([judge, ideal]), "efficiency", model="m")
    assert 0 < found.value < 1
    assert found.low < found.value < found.high
    assert found.details["observer"] == "observer:exact"
    alone = [one for one in psychometric(ideal) if one.measure == "efficiency"]
    assert not alone


def test_efficiency_is_the_squared_ratio_of_sensitivities_by_hand() -> None:
    gold = [True, False] * 200
    judge = pl.DataFrame(
        {
            "item": [f"i{i}" for i in range(400)],
            "cluster": [f"p{i // 2 % 20}" for i in range(400)],
            "gold": gold,
            # 140 of 200 errors called errors, 60 of 200 correct ones too
            "error": [(i // 2) < (60 if good else 140) for i, good in enumerate(gold)],
        }
    )
    # the observer: 180 and 20
    observer = judge.with_columns(error=pl.Series([(i // 2) < (20 if good else 180) for i, good in enumerate(gold)]))
    z = stats.norm.ppf
    mine, best = (z((hits + 0.5) / 201) - z((alarms + 0.5) / 201) for hits, alarms in ((140, 60), (180, 20)))
    assert efficiency(judge, observer).value == pytest.approx((mine / best) ** 2, rel=1e-12)


def test_no_severity_means_the_audit_is_skipped_and_says_so() -> None:
    (found,) = psychometric(normalise(booleans([True, False], [True, True])))
    assert found.verdict == "skipped"
    assert "severity" in found.why


def test_the_order_of_rows_changes_nothing() -> None:
    frame = pl.concat([answers(), answers(error="heels", seed=4)])
    assert psychometric(frame) == psychometric(frame.sample(fraction=1, shuffle=True, seed=1))


def test_framings_count_alike_whatever_their_numbers() -> None:
    rows = pl.DataFrame(
        {
            "cluster": ["a"] * 4,
            "framing": ["positive"] * 3 + ["negative"],
            "severity": [1.0] * 4,
            "error": [False, False, False, True],
        }
    )
    counted = trials_of(rows)
    assert counted.said.sum() / counted.total.sum() == pytest.approx(0.5)


def test_many_severities_are_put_together() -> None:
    rng = np.random.default_rng(0)
    rows = pl.DataFrame(
        {
            "cluster": [f"p{i % 30}" for i in range(2000)],
            "framing": "positive",
            "severity": rng.random(2000),
            "error": rng.random(2000) < 0.5,
        }
    )
    assert np.unique(trials_of(rows).severity).size == 40
