"""The example scripts make data sets that can be read, and leak nothing."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from collections import Counter
from pathlib import Path

import av
import pytest

from aqaudit import datasets
from aqaudit.study.study import Study

EXAMPLES = Path(__file__).resolve().parent.parent / "examples"


def run_example(name: str, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, str(EXAMPLES / name), *map(str, arguments)], capture_output=True, text=True, check=False
    )


@pytest.fixture(scope="module")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("drawn")
    done = run_example("drawn_clips.py", out)
    assert done.returncode == 0, done.stderr
    return out


@pytest.fixture(scope="module")
def samples(tmp_path_factory: pytest.TempPathFactory, shared_data: Path) -> Path:
    out = tmp_path_factory.mktemp("samples")
    done = run_example("sample_data.py", shared_data, out)
    assert done.returncode == 0, done.stderr
    return out


def test_drawn_clips_have_every_kind_of_label_and_twelve_performers(drawn: Path) -> None:
    assert datasets.check("folder", drawn).problems == ()
    found = datasets.read("folder", drawn)
    assert len(found.performances) == 24
    assert len({one.performer for one in found.performances}) == 12
    assert Counter(one.criteria["deep_enough"] for one in found.performances) == {True: 12, False: 12}
    present = Counter(name for one in found.performances for name, times in one.errors.items() if times)
    assert present == {"knees_inward": 6, "trunk_leans": 6}
    assert {one.choices["hips"] for one in found.performances} == set(found.choices[0].options)
    assert len({one.scores["execution"] for one in found.performances}) > 5
    for one in found.performances:
        depth = one.severity["deep_enough"]
        assert depth.unit == "deg"
        assert (depth.value == 0) is one.criteria["deep_enough"]


def test_drawn_clips_are_small_videos_of_two_seconds(drawn: Path) -> None:
    for path in (drawn / "clips").iterdir():
        with av.open(str(path)) as container:
            stream = container.streams.video[0]
            assert (stream.codec_context.name, stream.width, stream.height) == ("h264", 160, 160)
            assert sum(1 for _ in container.decode(video=0)) == 24
            assert container.duration == pytest.approx(2e6, rel=0.05)
    assert sum(path.stat().st_size for path in (drawn / "clips").iterdir()) < 1_000_000


def test_the_same_seed_draws_the_same_bytes(drawn: Path, tmp_path: Path) -> None:
    def hashes(folder: Path) -> dict[str, str]:
        files = (path for path in folder.rglob("*") if path.is_file())
        return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in files}

    assert run_example("drawn_clips.py", tmp_path / "same").returncode == 0
    assert hashes(tmp_path / "same") == hashes(drawn)


def test_the_motion_capture_samples_become_a_detect_data_set(samples: Path) -> None:
    root = samples / "skeleton_uiprmd"
    assert datasets.check("folder", root).problems == ()
    found = datasets.read("folder", root)
    assert len(found.performances) == 80
    assert Counter(one.errors["incorrect_execution"] == () for one in found.performances) == {True: 40, False: 40}
    assert {one.performer for one in found.performances} == {"s01", "s02", "s05"}
    assert set(Counter(one.family for one in found.performances).values()) == {4}
    assert len({one.action for one in found.performances}) == len(found.errors) == 10


def test_the_video_samples_become_a_verify_data_set(samples: Path) -> None:
    root = samples / "rgb_video"
    assert datasets.check("folder", root).problems == ()
    found = datasets.read("folder", root)
    assert len(found.performances) == 5
    assert len(found.criteria) == 13
    assert Counter(one.performer for one in found.performances) == {"p1": 1, "p2": 4}
    # 4 of the squat's 8 guidelines are met, and 2 of the beam's 5, seen by four cameras
    assert sum(sum(one.criteria.values()) for one in found.performances) == 4 + 2 * 4
    assert "Hold no weight in the hands during the squat." in {one.negative for one in found.criteria}


def test_the_keyframe_samples_become_a_choose_data_set(samples: Path) -> None:
    root = samples / "rgb_keyframes"
    assert datasets.check("folder", root).problems == ()
    found = datasets.read("folder", root)
    assert len(found.performances) == 16
    assert len({one.performer for one in found.performances}) == 1
    assert Counter(one.choices["r04"] for one in found.performances) == {"above": 16}


def test_no_name_in_the_samples_tells_a_label(samples: Path, shared_data: Path) -> None:
    source = shared_data / "samples/skeleton_uiprmd/labels.jsonl"
    telling = {json.loads(line)["source_id"] for line in source.read_text().splitlines()}
    for path in samples.rglob("*"):
        assert "_inc" not in path.name
        assert "correct" not in path.name
        if path.name == "clips.jsonl":
            for line in path.read_text().splitlines():
                row = json.loads(line)
                seen = json.dumps({key: row[key] for key in ("id", "media", "action", "performer", "video")})
                assert "correct" not in seen
                assert "_inc" not in seen
                assert not any(name in line for name in telling)


def test_every_study_beside_the_data_can_be_read(drawn: Path, samples: Path) -> None:
    for path in (drawn / "study.toml", *samples.glob("*/study.toml")):
        study = Study.read(path)
        (spec,) = study.spec.dataset
        assert datasets.read(spec.reader, study.root_of(spec)).performances
    assert Study.read(drawn / "study.toml").spec.dataset[0].tasks == ("verify", "detect", "choose", "score", "prefer")


def test_a_wrong_folder_or_one_that_is_there_is_refused(tmp_path: Path, samples: Path, shared_data: Path) -> None:
    assert "give the folder that holds samples/" in run_example("sample_data.py", tmp_path, tmp_path / "out").stderr
    assert "is there already" in run_example("sample_data.py", shared_data, samples).stderr
