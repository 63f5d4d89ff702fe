"""The gate: requirements read strictly, judged on ends of intervals, and open where nobody can tell."""

from __future__ import annotations

from pathlib import Path

import pytest

import answers_tables as tables
from aqaudit import audits
from aqaudit.audits import gate
from aqaudit.audits.finding import Finding
from aqaudit.core.records import BadInput
from test_cli import Command, aqaudit, refused  # noqa: F401 - a fixture

FIGURES = {name: audit.figures for name, audit in audits.AUDITS.items()}


def rules(tmp_path: Path, text: str) -> list[gate.Rule]:
    path = tmp_path / "gate.toml"
    path.write_text(text, encoding="utf-8")
    return gate.read_rules(path, FIGURES)


def finding(value: float | None, low: float | None, high: float | None, **scope: str) -> Finding:
    labels = {"model": "m", "dataset": "d", "task": "t", "kind": "verify", **scope}
    return Finding(audit="chance", scope=labels, measure="balanced_accuracy", value=value, low=low, high=high)


@pytest.mark.parametrize(
    ("text", "outcome"),
    [
        ("min = 0.55", "passed"),  # the low end, 0.60
        ("min = 0.62", "not passed"),
        ('min = 0.62\nbound = "value"', "passed"),
        ("max = 0.72", "passed"),  # the high end, 0.70
        ("max = 0.69", "not passed"),
        ('max = 0.69\nbound = "value"', "passed"),
        ('min = 0.7\nbound = "high"', "passed"),
        ("min = 0.6\nmax = 0.7", "passed"),
        ("min = 0.6\nmax = 0.65", "not passed"),
    ],
)
def test_a_bound_is_held_against_an_end_of_the_interval(tmp_path: Path, text: str, outcome: str) -> None:
    (rule,) = rules(tmp_path, f'[[require]]\nmeasure = "balanced_accuracy"\n{text}\n')
    result = gate.judge([rule], [finding(0.65, 0.60, 0.70)])
    assert [one.outcome for one in result.judged] == [outcome]
    assert result.exit_code == (0 if outcome == "passed" else 1)


def test_every_figure_in_scope_must_pass_and_the_worst_is_shown(tmp_path: Path) -> None:
    (rule,) = rules(tmp_path, '[[require]]\nmeasure = "balanced_accuracy"\nmin = 0.5\n')
    found = [finding(0.65, 0.60, 0.70), finding(0.45, 0.40, 0.50, task="u"), finding(0.6, None, None, task="v")]
    (judged,) = gate.judge([rule], found).judged
    assert (judged.outcome, judged.figures) == ("not passed", 3)
    assert "m d u verify" in gate.line(judged)
    result = gate.judge([rule], [found[0], found[2]])
    assert result.judged[0].outcome == "cannot tell"
    assert result.exit_code == 3
    narrow = gate.Rule(measure="balanced_accuracy", scope={"task": "t"}, least=0.5)
    assert gate.judge([narrow], found).judged[0].outcome == "passed"


def test_breakdowns_do_not_decide_a_rule_about_the_whole() -> None:
    rule = gate.Rule(measure="balanced_accuracy", least=0.5)
    (judged,) = gate.judge([rule], [finding(0.65, 0.6, 0.7), finding(0.2, 0.1, 0.3, criterion="heels")]).judged
    assert judged.outcome == "passed"


def test_a_rule_that_meets_nothing_cannot_be_told() -> None:
    wrong = gate.Rule(measure="balanced_accuracy", scope={"model": "n"}, least=0.5)
    other = gate.Rule(measure="spearman", least=0.1)
    result = gate.judge([wrong, other], [finding(0.65, 0.6, 0.7)])
    assert [one.outcome for one in result.judged] == ["cannot tell", "cannot tell"]
    assert "no figure has model = 'n'; allowed: m" in gate.line(result.judged[0])
    assert result.exit_code == 3


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "no [[require]] table"),
        ("[[requires]]\n", "did you mean 'require'"),
        ("require = 3\n", "no [[require]] table"),
        ("[[require]]\nmin = 1\n", "'measure' is missing"),
        ('[[require]]\nmeasure = "balanced_acuracy"\nmin = 1\n', "did you mean 'balanced_accuracy'"),
        ('[[require]]\nmeasure = "spearman"\n', "neither 'min' nor 'max'"),
        ('[[require]]\nmeasure = "spearman"\nmin = "0.5"\n', "allowed: a number"),
        ('[[require]]\nmeasure = "spearman"\nmin = nan\n', "allowed: a number"),
        ('[[require]]\nmeasure = "spearman"\nmin = true\n', "allowed: a number"),
        ('[[require]]\nmeasure = "spearman"\nmin = 1\nmax = 0\n', "larger than max"),
        ('[[require]]\nmeasure = "spearman"\nmin = 1\nbound = "lo"\n', "did you mean 'low'"),
        ('[[require]]\nmeasure = "spearman"\nmni = 1\n', "did you mean 'min'"),
        ('[[require]]\nmeasure = "spearman"\nmin = 0\nscope = {modle = "x"}\n', "did you mean 'model'"),
        ('[[require]]\nmeasure = "spearman"\nmin = 0\nscope = "x"\n', "allowed: a table"),
        ('[[require]]\nmeasure = "spearman"\naudit = "chanse"\nmin = 0\n', "did you mean 'chance'"),
        ('[[require]]\nmeasure = "spearman"\naudit = "traces"\nmin = 0\n', "is not a figure"),
        ("[[require]\n", "not valid TOML"),
    ],
)
def test_a_slip_names_the_nearest_valid_word(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(BadInput) as caught:
        rules(tmp_path, text)
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


def test_the_command_prints_a_line_a_rule_and_its_exit_code_decides(tmp_path: Path, aqaudit: Command) -> None:  # noqa: F811
    answers = tmp_path / "answers.parquet"
    tables.judge(0.7, rows=1200).write_parquet(answers)
    config = tmp_path / "gate.toml"

    def run(*requirements: str) -> tuple[int, list[str]]:
        config.write_text("".join(f"[[require]]\n{one}\n" for one in requirements), encoding="utf-8")
        result = aqaudit("gate", answers, "--config", config)
        return result.code, result.out.splitlines()

    met, missed, unknown = (
        'measure = "balanced_accuracy"\nmin = 0.55',
        'measure = "balanced_accuracy"\nmin = 0.95',
        'measure = "spearman"\nmin = 0.1',
    )
    assert run(met) == (0, [line for line in run(met)[1] if line.startswith("passed: ")])
    assert run(met, missed)[0] == 1
    assert run(met, unknown)[0] == 3
    code, lines = run(met, missed, unknown)
    assert code == 1
    assert [line.partition(":")[0] for line in lines] == ["passed", "NOT PASSED", "CANNOT TELL"]
    few = tables.judge(0.9, rows=60, performers=4)
    few.write_parquet(answers)
    assert run(met)[0] == 3
    assert "no such gate file" in refused(aqaudit("gate", answers, "--config", tmp_path / "none.toml"))


def test_the_gate_reads_the_figures_of_every_audit() -> None:
    known = {name for figures in FIGURES.values() for name in figures}
    assert {"balanced_accuracy", "spearman", "pair_accuracy", "unfounded_rate"} <= known
