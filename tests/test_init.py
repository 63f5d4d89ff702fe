"""``aqaudit init``: from a folder of clips to a data set and a study that can be run."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from PIL import Image

from aqaudit import datasets
from aqaudit.core.records import BadInput, Criterion, ErrorStatement, Scale
from aqaudit.datasets.proposal import initialise
from aqaudit.study.study import Study


def clip(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=10)
        stream.width = stream.height = 32
        stream.pix_fmt = "yuv420p"
        for _ in range(5):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(np.zeros((32, 32, 3), np.uint8), format="rgb24")))
        container.mux(stream.encode())


def picture(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (8, 8)).save(path)


@pytest.fixture
def clips(tmp_path: Path) -> Path:
    folder = tmp_path / "My Clips"
    for name in ("squat/a.mp4", "squat/b.mp4", "lunge/c.mov"):
        clip(folder / name)
    return folder


def table(folder: Path, text: str, encoding: str = "utf-8") -> Path:
    path = folder / "labels.csv"
    path.write_bytes(text.encode(encoding))
    return path


def lines_of(folder: Path) -> list[dict[str, Any]]:
    """The lines without their checksums, which every one has."""
    lines = [json.loads(line) for line in (folder / "clips.jsonl").read_text().splitlines()]
    assert all(len(line.pop("sha256")) == 64 for line in lines)
    return lines


def refusal(folder: Path, text: str, encoding: str = "utf-8") -> str:
    before = sorted(folder.rglob("*"))
    with pytest.raises(BadInput) as caught:
        initialise(folder, table(folder.parent, text, encoding))
    assert sorted(folder.rglob("*")) == before
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_without_labels_every_clip_is_found_and_what_to_fill_in_is_said(clips: Path) -> None:
    picture(clips / "k.png")
    for number in range(12):
        picture(clips / "plank" / f"{number:06d}.jpg")
    for name in (".hidden/x.mp4", "poses/y.mp4"):
        clip(clips / name)
    (clips / "notes.txt").write_text("x")
    written = initialise(clips)
    assert [path.name for path in written] == ["dataset.toml", "clips.jsonl", "study.toml"]
    assert lines_of(clips) == [
        {"id": "k", "media": "k.png", "action": "exercise"},
        {"id": "c", "media": "lunge/c.mov", "action": "lunge"},
        {"id": "plank", "media": "plank", "action": "exercise", "fps": 25.0},
        {"id": "a", "media": "squat/a.mp4", "action": "squat"},
        {"id": "b", "media": "squat/b.mp4", "action": "squat"},
    ]
    text = (clips / "dataset.toml").read_text()
    assert tomllib.loads(text)["name"] == "my-clips"
    assert '# [[criterion]]\n# id = "heels_down"' in text
    assert "check every fps" in text
    assert "never shown to a model" in text
    assert "no labels yet" in (clips / "study.toml").read_text()
    assert len(datasets.read("folder", clips).performances) == 5


def test_a_folder_name_that_tells_the_label_becomes_no_action(tmp_path: Path) -> None:
    for name in ("correct/1.mp4", "squat_incorrect/2.mp4", "deep-squat/3.mp4", "Videos/4.mp4"):
        clip(tmp_path / name)
    initialise(tmp_path)
    assert {line["id"]: line["action"] for line in lines_of(tmp_path)} == {
        "1": "exercise",
        "2": "exercise",
        "3": "deep squat",
        "4": "exercise",
    }


def test_the_columns_of_a_table_become_labels(clips: Path) -> None:
    text = (
        "file;Subject;Exercise;split;heels down;error:Knees inward;form score;grip;camera;tag:gym;remark\r\n"
        "squat/a.mp4;s1;squat;test;yes;0;7.5;wide;front;north;first\r\n"
        "b;s2;squat;test;no;1;2;narrow;side;south;second\r\n"
        "C.mov;s3;lunge;train;;;9;wide;front;north;third\r\n"
    ).replace("C.mov", "c.mov")
    initialise(clips, table(clips, text, "utf-8-sig"))
    found = datasets.read("folder", clips)
    a, b, c = found.performances
    assert found.criteria == (
        Criterion(
            id="heels_down",
            action="squat",
            positive="The following is true of this execution: heels down.",
            negative="The following is not true of this execution: heels down.",
        ),
    )
    assert found.errors == (
        ErrorStatement(id="knees_inward", action="squat", statement="The following error happens: knees inward."),
    )
    assert found.scales == (Scale(id="form_score", min=2.0, max=9.0),)
    assert [(one.action, one.options) for one in found.choices] == [
        ("lunge", ("narrow", "wide")),
        ("squat", ("narrow", "wide")),
    ]
    assert (a.performer, a.split, a.criteria, a.errors) == ("s1", "test", {"heels_down": True}, {"knees_inward": ()})
    assert (b.criteria, b.errors, b.scores) == ({"heels_down": False}, {"knees_inward": None}, {"form_score": 2.0})
    assert (c.action, c.criteria, c.errors, c.choices) == ("lunge", {}, {}, {"grip": "wide"})
    assert a.tags == {"camera": "front", "gym": "north", "remark": "first"}


def test_the_written_study_can_be_read_and_names_the_tasks_that_have_labels(clips: Path) -> None:
    initialise(clips, table(clips, "file,ok\na,1\nb,0\n"))
    study = Study.read(clips / "study.toml")
    (spec,) = study.spec.dataset
    assert spec.tasks == ("verify",)
    assert study.root_of(spec).resolve() == clips.resolve()
    assert [entry.provider for entry in study.models.values()] == ["simulated"]
    text = (clips / "study.toml").read_text()
    real = "\n".join(one.removeprefix("# ") for one in text[text.index("# [models.local]") :].splitlines())
    Study.parse(text.replace('["simulated"]', '["local"]') + real)


def test_clips_without_a_row_are_left_out_and_named(clips: Path) -> None:
    initialise(clips, table(clips, "file,ok\na,1\n"))
    assert [line["id"] for line in lines_of(clips)] == ["a"]
    assert 'left out: "lunge/c.mov", "squat/b.mp4"' in (clips / "dataset.toml").read_text()


def test_parts_of_one_file_need_times_and_get_ids_of_their_own(clips: Path) -> None:
    initialise(clips, table(clips, "file,start_s,end_s,ok\na,0,0.2,1\na,0.2,0.5,0\n"))
    assert [(one["id"], one["start_s"]) for one in lines_of(clips)] == [("a-1", 0.0), ("a-2", 0.2)]
    assert {one.performer for one in datasets.read("folder", clips).performances} == {"squat/a.mp4"}


def test_clips_of_one_name_in_two_folders_get_ids_of_their_own(tmp_path: Path) -> None:
    for name in ("s1/a.mp4", "s2/a.mp4"):
        clip(tmp_path / name)
    initialise(tmp_path)
    assert [one["id"] for one in lines_of(tmp_path)] == ["a-1", "a-2"]


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("file,ok\na,1\nd.mp4,1\n", ["row 3: 'd.mp4' is no clip below"]),
        ("file,ok\na,1\nsquat/aa.mp4,1\n", ["row 3: 'squat/aa.mp4' is no clip"]),
        ("file,ok\na,1\nsquat/a.mp4,0\n", ["row 3: 'squat/a.mp4' is in row 2 too", "start_s and end_s"]),
        ("file,ok\na,1\n,0\n", ["row 3: column 'file' is empty"]),
        ("file,ok\na,1\nb\n", ["row 3: 1 cells, but there are 2 columns"]),
        ("name,ok\na,1\n", ["no column names the clips", "media, file", "name, ok"]),
        ("file,ok,OK\na,1,1\n", ["column 'OK' is there twice"]),
        ("file,ok,\na,1,1\n", ["column 3 has no name"]),
        ("file,subject,person\na,1,1\n", ["two columns say the performer"]),
        ("file,heels down,heels_down\na,1,1\n", ["both become 'heels_down'"]),
        ("file,error:x\na,maybe\n", ["row 2: 'error:x' is 'maybe'", "true, false, yes, no"]),
        ("file,start_s,ok\na,-1,1\n", ["row 2: start_s is '-1'", "in seconds"]),
        ("file,grip\na,wide\nb,Wide\nc,wide\n", ["writes one option in two ways"]),
        ("file,ok\n", ["holds no row of labels"]),
        ("", ["holds no row of labels"]),
        ('file,ok\n"a,1\n', ["labels.csv, row"]),
        ("id,file,ok\nx,a,1\nx,b,1\n", ["id 'x' is in two rows"]),
    ],
)
def test_a_wrong_table_is_one_clear_line_and_nothing_is_written(clips: Path, text: str, parts: list[str]) -> None:
    message = refusal(clips, text)
    for part in parts:
        assert part in message


def test_a_table_in_another_encoding_says_what_to_save_it_as(clips: Path) -> None:
    assert "not UTF-8; save the table as CSV in UTF-8" in refusal(clips, "file,größe\na,1\n", "latin-1")
    assert "save the table as CSV in UTF-8" in refusal(clips, "file,ok\na,1\n", "utf-16")
    with pytest.raises(BadInput, match=r"gone\.csv cannot be read"):
        initialise(clips, clips / "gone.csv")


def test_a_name_that_fits_two_clips_is_refused(tmp_path: Path) -> None:
    for name in ("s1/a.mp4", "s2/a.mp4"):
        clip(tmp_path / "clips" / name)
    assert "'a.mp4' may be 's1/a.mp4' or 's2/a.mp4'" in refusal(tmp_path / "clips", "file,ok\na.mp4,1\n")


@pytest.mark.parametrize("name", ["dataset.toml", "clips.jsonl", "study.toml"])
def test_nothing_that_is_there_is_written_over(clips: Path, name: str) -> None:
    (clips / name).write_text("mine")
    before = sorted(clips.rglob("*"))
    with pytest.raises(BadInput, match=f"{name} is there already"):
        initialise(clips)
    assert (clips / name).read_text() == "mine"
    assert sorted(clips.rglob("*")) == before


def test_a_folder_without_clips_or_with_a_broken_one_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="holds no clips"):
        initialise(tmp_path)
    (tmp_path / "broken.mp4").write_bytes(b"not a video")
    with pytest.raises(BadInput, match=r"broken\.mp4"):
        initialise(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["broken.mp4"]
    with pytest.raises(BadInput, match="is not a folder of clips"):
        initialise(tmp_path / "broken.mp4")
