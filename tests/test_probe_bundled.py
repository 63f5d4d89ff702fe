"""The clips that come with AQAudit: balanced, exact, small, and telling their labels by what they show alone."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections import Counter, defaultdict
from functools import lru_cache
from pathlib import Path

import av
import numpy as np
import pytest

from aqaudit import datasets
from aqaudit.core.records import BadInput, Dataset, Performance
from aqaudit.datasets.readers.probe import BUNDLED_CLIPS, bundled
from aqaudit.pose.sources import read_pose_file
from aqaudit.probe.errors import EXERCISES
from aqaudit.probe.measure import severity
from aqaudit.study.questions import QuestionMaker

BY_ACTION = {exercise.action: exercise for exercise in EXERCISES.values()}


@lru_cache(maxsize=1)
def probe() -> Dataset:
    return datasets.read("probe")


def own_label(p: Performance) -> bool:
    """Whether the criterion that the clip's family varies is met."""
    return p.errors[p.tags["varied"]] == ()


def truth_arrays(p: Performance) -> tuple[np.ndarray, np.ndarray]:
    assert p.pose is not None
    with np.load(p.pose, allow_pickle=False) as arrays:
        points = np.concatenate([arrays["joints3d"], arrays["landmarks3d"]], axis=1).astype(float)
        return points, np.arange(len(points)) / float(arrays["fps"])


def test_it_needs_neither_a_root_nor_torch() -> None:
    code = (
        "import sys\nfrom aqaudit import datasets\nfrom aqaudit.probe.measure import severity\n"
        "print(len(datasets.read('probe').performances), sorted({'torch', 'anny', 'warp'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == f"{BUNDLED_CLIPS} []\n"
    with pytest.raises(BadInput, match="data set 'mtl_aqa' needs a root"):
        datasets.read("mtl_aqa")


def test_it_is_small_and_every_clip_is_whole() -> None:
    files = [path for path in bundled().rglob("*") if path.is_file()]
    assert sum(path.stat().st_size for path in files) <= 6_000_000
    assert 60 <= len(probe().performances) <= 120
    for p in probe().performances[::9]:
        with av.open(str(p.media)) as container:
            frames = [frame.time for frame in container.decode(video=0)]
            assert not container.metadata.get("title")
        assert len(frames) == 36
        assert p.pose is not None
        points = read_pose_file(p.pose).points
        assert points.shape == (36, 17, 3)
        assert points[..., :2].min() >= 0
        assert points[..., :2].max() <= 256


def test_exact_joints_show_the_severity_that_is_written_down() -> None:
    for p in probe().performances:
        exercise = BY_ACTION[p.action]
        points, times = truth_arrays(p)
        own = p.tags["varied"]
        for error in exercise.errors:
            shown = severity(exercise.name, error.id, points, times)
            if error.id == own:
                commanded = p.severity[own]
                assert commanded == p.severity[error.criterion]
                assert (commanded.unit, commanded.tolerance) == (error.unit, error.tolerance)
                if commanded.value:
                    assert shown == pytest.approx(commanded.value, abs=error.accuracy)
                else:
                    assert shown < error.tolerance
                assert own_label(p) == (commanded.value <= error.tolerance)
            elif error.id in p.errors:
                assert p.errors[error.id] == ()
                assert shown <= error.tolerance


def test_exercises_errors_severities_and_people_are_balanced() -> None:
    test = [p for p in probe().performances if p.split == "test"]
    assert len({p.action for p in test}) >= 8
    families = defaultdict(list)
    for p in test:
        families[p.family].append(p)
    assert all({own_label(p) for p in family} == {True, False} for family in families.values())
    varied = Counter((p.action, p.tags["varied"]) for p in test)
    assert len(varied) >= 16
    assert set(varied.values()) == {4}
    people = {p.performer: {own_label(q) for q in test if q.performer == p.performer} for p in test}
    assert len(people) >= 12
    assert all(classes == {True, False} for classes in people.values())
    assert max(Counter(p.performer for p in test).values()) <= 0.25 * len(test)
    training = {p.performer for p in probe().performances if p.split == "train"}
    assert training
    assert not training & set(people)
    below = [p for p in test if 0 < p.severity[p.tags["varied"]].value <= (p.severity[p.tags["varied"]].tolerance or 0)]
    assert len(below) == len(varied)


def test_a_family_shares_everything_but_the_severity() -> None:
    families = defaultdict(list)
    for p in probe().performances:
        families[p.family].append(p)
    for family in families.values():
        assert len({(p.performer, p.action, json.dumps(p.tags, sort_keys=True)) for p in family}) == 1
        assert len({p.severity[p.tags["varied"]].value for p in family}) == len(family)


def scene_features(p: Performance) -> list[float]:
    """What could tell a label without the movement: the file, its name, the room, the camera, the person."""
    with av.open(str(p.media)) as container:
        first = next(container.decode(video=0)).to_ndarray(format="rgb24").astype(float)
    assert p.pose is not None
    corners = [first[:24, :24], first[:24, -24:], first[-24:, :24], first[-24:, -24:]]
    return [
        p.media.stat().st_size,
        p.pose.stat().st_size,
        int(p.id[:6], 16),
        *(value for corner in corners for value in corner.mean(axis=(0, 1))),
        ["front", "oblique", "side"].index(p.tags["view"]),
        ["light", "medium", "dark"].index(p.tags["skin"]),
        ["man", "woman"].index(p.tags["body"]),
        *(float(p.performer == f"b{number:03d}") for number in range(16)),
    ]


def test_neither_file_nor_scene_nor_person_tells_the_label() -> None:
    from sklearn.ensemble import RandomForestClassifier
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import GroupKFold, cross_val_predict
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    people = probe().performances
    assert len({p.media.stat().st_size for p in people}) == 1
    assert len({p.pose.stat().st_size for p in people if p.pose}) == 1
    assert all(re.fullmatch(r"[0-9a-f]{10}", p.id) for p in people)
    features = np.array([scene_features(p) for p in people])
    labels = np.array([own_label(p) for p in people])
    families = np.array([p.family for p in people])
    upper = 0.5 + 2.58 * np.sqrt(0.25 / len(people))  # 99 % of guessers stay below
    for model in (RandomForestClassifier(200, random_state=0), make_pipeline(StandardScaler(), LogisticRegression())):
        said = cross_val_predict(model, features, labels, groups=families, cv=GroupKFold(10))
        assert (said == labels).mean() < upper


def test_questions_about_criterion_and_error_carry_the_severity() -> None:
    asker = QuestionMaker(probe(), ("verify", "detect", "choose", "score"))
    p = next(one for one in probe().performances if one.tags["varied"] == "knees_inward")
    asked = {(q.kind, q.criterion or q.error): q for q in asker.questions(p)}
    assert asked["verify", "knees_in_line"].severity == p.severity["knees_inward"]
    assert asked["detect", "knees_inward"].severity == p.severity["knees_inward"]
    assert asked["verify", "full_depth"].severity is None
    assert asked["choose", "error_shown"].gold_choice in asked["choose", "error_shown"].options
    assert 0 <= (asked["score", "execution"].gold_score or 0) <= 10


def test_what_is_varied_can_be_asked_alone_and_half_of_it_is_right() -> None:
    whole, part = datasets.read("probe", split="test"), datasets.read("probe", split="test", labels="varied")
    assert [p.id for p in part.performances] == [p.id for p in whole.performances]
    for before, after in zip(whole.performances, part.performances, strict=True):
        assert set(after.criteria) == set(before.criteria) & set(before.severity)
        assert set(after.errors) == {before.tags["varied"]}
        assert after.criteria.items() <= before.criteria.items()
    right = [met for p in part.performances for met in p.criteria.values()]
    assert len(right) == len(part.performances)
    assert sum(right) * 2 == len(right)
    with pytest.raises(BadInput, match=r"labels of reader 'probe' is 'vared'.*did you mean 'varied'"):
        datasets.read("probe", labels="vared")


def test_it_can_be_checked_and_taken_out_as_a_folder_of_ones_own(tmp_path: Path) -> None:
    report = datasets.check("probe")
    assert all(count.published in {None, count.found} for count in report.counts)
    assert report.problems == ()
    folder = tmp_path / "mine"
    aqaudit = [sys.executable, "-c", "from aqaudit.cli import main; main()"]
    done = subprocess.run([*aqaudit, "init", str(folder), "--probe"], capture_output=True, text=True, check=True)
    assert f"wrote {folder / 'study.toml'}" in done.stdout
    assert len(datasets.read("folder", folder).performances) == BUNDLED_CLIPS
    planned = subprocess.run(
        [*aqaudit, "run", str(folder / "study.toml"), "--dry-run"], capture_output=True, text=True, check=True
    )
    assert "requests      2996" in planned.stdout
    again = subprocess.run([*aqaudit, "init", str(folder), "--probe"], capture_output=True, text=True, check=False)
    assert again.returncode == 2
    assert "is there already" in again.stderr


def test_a_study_of_the_probe_needs_no_root(tmp_path: Path) -> None:
    study = tmp_path / "study.toml"
    study.write_text(
        'name = "p"\n[[dataset]]\nreader = "probe"\nsplit = "test"\ntasks = ["verify"]\n[grid]\nmodel = ["simulated"]\n'
    )
    done = subprocess.run(
        [sys.executable, "-c", "from aqaudit.cli import main; main()", "run", str(study), "--dry-run"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "requests      270" in done.stdout
