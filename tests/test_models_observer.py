"""Ideal observers: exact joints tell the truth of every question of the probe, and nothing where nothing is shown."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from aqaudit import Study, datasets, read_answers, run
from aqaudit.models import catalog
from aqaudit.models.call import AskFailed
from aqaudit.models.observer import measured, named, turned
from aqaudit.pose.coco17 import JOINTS
from aqaudit.probe.measure import POINTS
from aqaudit.study.questions import QuestionMaker
from model_calls import call, request

STUDY = """
name = "observed"
[[dataset]]
reader = "probe"
split = "test"
tasks = {tasks}
[grid]
model = ["{model}"]
framing = ["positive", "negative"]
perturbation = {perturbation}
frames = [1]
"""


def answered(folder: Path, *, tasks: list[str], perturbation: list[str], model: str = "observer:exact") -> pl.DataFrame:
    text = STUDY.format(tasks=tasks, perturbation=perturbation, model=model).replace("'", '"')
    outcome = run(Study.parse(text), out=folder)
    assert outcome.complete
    return read_answers(folder).with_columns(right=pl.col("says_correct") == pl.col("gold_correct"))


def test_exact_joints_tell_the_truth_of_every_question_and_nothing_where_nothing_is_shown(tmp_path: Path) -> None:
    answers = answered(tmp_path / "out", tasks=["verify", "detect", "choose", "score"], perturbation=["none", "blank"])
    assert answers["model_version"].unique().to_list() == ["ideal observer from exact joints (not a model)"]
    shown = answers.filter(pl.col("perturbation") == "none")
    verdicts = shown.filter(pl.col("kind").is_in(["verify", "detect"]))
    assert verdicts.height > 1000
    assert verdicts["right"].all()
    chosen = shown.filter(pl.col("kind") == "choose")
    assert (chosen["choice"] == chosen["gold_choice"]).all()
    scored = shown.filter(pl.col("kind") == "score")
    assert scored.select(pl.corr("score", "gold_score", method="spearman")).item() > 0.9
    # A fair coin where nothing is shown: over 1,000 tosses, within 5 standard errors of a half.
    blind = answers.filter(pl.col("perturbation") == "blank", pl.col("kind").is_in(["verify", "detect"]))
    assert blind["right"].mean() == pytest.approx(0.5, abs=0.08)


def test_who_stands_still_tells_nothing_of_how_long_a_movement_takes() -> None:
    probe = datasets.read("probe", None, split="test")
    asker = QuestionMaker(probe, ("detect",))
    questions = [one for p in probe.performances for one in asker.questions(p) if one.error == "rushed_descent"]
    assert questions
    standing = np.random.default_rng(0).random((1, len(POINTS), 3)).repeat(20, axis=0)
    assert all(measured(one, lambda _: (standing, np.arange(20) / 10)) is None for one in questions)


def test_a_pair_is_judged_by_which_error_is_smaller() -> None:
    probe = datasets.read("probe", None, split="test")
    error = "shallow_depth"
    graded = sorted(
        (one for one in probe.performances if error in one.severity), key=lambda one: one.severity[error].value
    )
    better, worse = graded[0], graded[-1]
    model = catalog.open_model("observer:exact", catalog.presets()["observer:exact"])
    asked = request("pair", kind="prefer", error=error, gold_prefer=None)
    asked = replace(asked, question=asked.question._replace(performance=worse, other=better))
    reply = asyncio.run(model.ask(call(request=asked)))
    assert reply.text == "<answer>B</answer>"


def test_a_performance_without_exact_joints_is_a_failure_and_no_answer() -> None:
    probe = datasets.read("probe", None, split="test")
    question = next(iter(QuestionMaker(probe, ("verify",)).questions(replace(probe.performances[0], pose=None))))
    model = catalog.open_model("observer:exact", catalog.presets()["observer:exact"])
    asked = replace(request("k"), question=question)
    with pytest.raises(AskFailed, match="no file of exact joints") as failed:
        asyncio.run(model.ask(call(request=asked)))
    assert failed.value.cause == "media"


def test_what_kinematics_cannot_tell_is_guessed_fairly() -> None:
    model = catalog.open_model("observer:exact", catalog.presets()["observer:exact"])
    asked = [request(f"k{n}", gold_correct=True) for n in range(400)]  # not an exercise of the probe

    async def said() -> list[str]:
        return [(await model.ask(call(request=one))).text for one in asked]

    texts = asyncio.run(said())
    assert texts.count("<answer>True</answer>") / 400 == pytest.approx(0.5, abs=0.125)


def test_joints_are_turned_into_the_performers_axes() -> None:
    joints = np.zeros((2, 17, 3))
    # facing the viewer: the performer's left is at the viewer's right
    for name, side in (("left_shoulder", 0.2), ("right_shoulder", -0.2), ("left_hip", 0.1), ("right_hip", -0.1)):
        joints[:, JOINTS.index(name)] = (side, 1.0, 0.0)
    joints[:, JOINTS.index("nose")] = (0.0, 1.5, 0.1)  # towards the viewer, and so forward
    assert turned(joints)[0, JOINTS.index("nose")] == pytest.approx((0.0, 1.5, 0.1))
    # seen from the performer's left: forward is to the viewer's left
    quarter = joints @ np.array([[0.0, 0, 1], [0, 1, 0], [-1, 0, 0]])
    assert turned(quarter)[0] == pytest.approx(joints[0])
    assert np.isnan(turned(np.full((2, 17, 3), np.nan))).all()


def test_landmarks_between_joints_are_put_there_and_the_others_are_missing() -> None:
    joints = np.random.default_rng(0).random((3, 17, 3))
    points = named(joints)
    at = {name: points[:, place] for place, name in enumerate(POINTS)}
    assert at["pelvis"] == pytest.approx((at["left_hip"] + at["right_hip"]) / 2)
    for name in ("left_toe", "right_heel", "lumbar"):
        assert np.isnan(at[name]).all()


def test_estimated_joints_judge_what_they_can(tmp_path: Path) -> None:
    import os

    from aqaudit.core.records import BadInput
    from aqaudit.pose.estimators import open_estimator

    try:
        open_estimator("mediapipe").begin()
    except (BadInput, OSError) as missing:
        if "pose" in os.environ.get("AQAUDIT_REQUIRE", ""):
            raise
        pytest.skip(str(missing))
    text = STUDY.format(tasks=["detect"], perturbation=["none"], model="observer:pose").replace("'", '"')
    outcome = run(Study.parse(text), out=tmp_path / "out", limit=4)
    assert outcome.complete
    answers = read_answers(tmp_path / "out")
    assert answers["model_version"].unique().to_list() == ["ideal observer from estimated joints (not a model)"]
    assert answers["parse"].to_list() == ["ok"] * 4
