"""MTL-AQA: real annotations, its traps, and made roots in the shapes that its releases have."""

from __future__ import annotations

import pickle
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from aqaudit import datasets
from aqaudit.core.records import BadInput

MARKS = "final_annotations_dict_with_dive_number.pkl"
# (video, dive) whose marks contradict the final score; found with NumPy's own pickle reader
CONTRADICTORY = {
    (1, 70), (2, 1), (4, 8), (4, 116), (5, 20), (5, 23), (5, 25), (5, 29), (5, 33), (5, 42), (5, 59), (5, 63), (5, 85),
    (7, 53), (7, 57), (9, 45), (9, 58), (9, 60), (10, 23), (13, 4), (14, 34), (17, 98), (18, 17), (18, 43), (18, 69),
    (22, 11), (26, 39),
}  # fmt: skip


def dive(start: int, end: int, **changes: object) -> dict[str, Any]:
    made: dict[str, Any] = {
        "primary_view": 0,
        "start_frame": start,
        "end_frame": end,
        "position": 2,
        "difficulty": 3.2,
        "armstand": 0,
        "rotation_type": 2,
        "ss_no": 7,
        "tw_no": 0,
        "final_score": 88.0,
        "judge_scores": np.array([9.5, 9.0, 9.5, 9.0, 8.5, 9.5, 8.5]),
        "dive_number": "407C",
        **changes,
    }
    return {key: value for key, value in made.items() if value is not ...}


DIVES = {(1, 1): dive(1, 8), (1, 2): dive(9, 16), (3, 1): dive(2, 9)}
SPLITS = {"train": [(1, 1)], "test": [(1, 2), (3, 1)]}


def annotations(
    folder: Path, dives: Mapping[Any, Any] = DIVES, splits: Mapping[str, Any] = SPLITS, *, official: bool = False
) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / MARKS).write_bytes(pickle.dumps(dict(dives), protocol=4))
    if official:
        plain = {k: {n: v for n, v in d.items() if n not in {"judge_scores", "dive_number"}} for k, d in dives.items()}
        (folder / "final_annotations_dict.pkl").write_bytes(pickle.dumps(plain, protocol=2))
    for name, keys in splits.items():
        (folder / f"{name}_split_0.pkl").write_bytes(pickle.dumps(keys, protocol=2))
    return folder


def video(path: Path, frames: int = 20, rate: int = 25) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=rate)
        stream.width = stream.height = 32
        stream.pix_fmt = "yuv420p"
        for number in range(frames):
            image = np.full((32, 32, 3), 10 * number % 255, dtype=np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(image, format="rgb24")))
        container.mux(stream.encode())


def frames(folder: Path, number: int = 20, digits: int = 6) -> None:
    folder.mkdir(parents=True)
    for frame in range(1, number + 1):
        (folder / f"{frame:0{digits}d}.jpg").touch()


def test_the_real_annotations_hold_what_was_published(shared_data: Path) -> None:
    report = datasets.check("mtl_aqa", shared_data / "mtl_aqa")
    counts = {count.what: (count.found, count.published) for count in report.counts}
    assert counts["dives"] == (1412, 1412)
    assert counts["dives in train"] == (1059, 1059)
    assert counts["dives in test"] == (353, 353)
    assert counts["dives in both train and test"] == (0, 0)
    assert counts["videos in the annotations"] == (15, 15)
    assert counts["dives with seven marks"] == (1412, 1412)
    assert counts["dives whose marks contradict the final score"] == (27, None)
    assert all(count.published in {None, count.found} for count in report.counts)
    assert any("no media" in note for note in report.notes)
    assert any("every video is in both train and test" in note for note in report.notes)


def test_the_27_contradictory_and_two_failed_dives_are_listed_and_nothing_else_is(shared_data: Path) -> None:
    problems = datasets.check("mtl_aqa", shared_data / "mtl_aqa").problems
    listed = {key for key in CONTRADICTORY if any(p.startswith(f"dive {key}: the marks give") for p in problems)}
    assert listed == CONTRADICTORY
    assert [p for p in problems if "final score 0" in p] == [
        "dive (17, 35) has final score 0 (a failed dive); kept",
        "dive (17, 164) has final score 0 (a failed dive); kept",
    ]
    assert len(problems) == 29


def test_real_dives_read_with_their_execution_and_their_split(shared_data: Path, tmp_path: Path) -> None:
    real = shared_data / "mtl_aqa"
    shutil.copyfile(real / "core_repo" / MARKS, tmp_path / MARKS)
    for name in ("train_split_0.pkl", "test_split_0.pkl"):
        shutil.copyfile(real / "official/MTL-AQA_split_0_data" / name, tmp_path / name)
    for number in (1, 2, 3, 4, 5, 6, 7, 9, 10, 13, 14, 17, 18, 22, 26):
        folder = tmp_path / "whole_videos_frames" / f"{number:02d}"
        folder.mkdir(parents=True)
        (folder / "000001.jpg").touch()
    with pytest.raises(BadInput, match="01 lacks frame"):
        datasets.read("mtl_aqa", tmp_path, fps=25)
    trusted = pickle.loads((tmp_path / MARKS).read_bytes())
    for number in {video_number for video_number, _ in trusted}:
        last = max(one["end_frame"] for key, one in trusted.items() if key[0] == number)
        (tmp_path / "whole_videos_frames" / f"{number:02d}" / f"{last:06d}.jpg").touch()
    everything = datasets.read("mtl_aqa", tmp_path, fps=25)
    test = datasets.read("mtl_aqa", tmp_path, split="test", fps=25)
    assert (len(everything.performances), len(test.performances)) == (1412, 353)
    executions = [one.scores["execution"] for one in everything.performances]
    assert (min(executions), max(executions)) == (0, 29)
    assert np.mean(executions) == pytest.approx(21.36, abs=0.005)
    assert np.std(executions) == pytest.approx(4.18, abs=0.005)
    assert {one.performer for one in test.performances} == {one.performer for one in everything.performances}
    assert len(everything.problems) == 29
    for one in everything.performances:
        number, dive_number = int(one.id[1:3]), int(one.id[5:])
        real = trusted[number, dive_number]
        assert one.scores["execution"] == sum(sorted(real["judge_scores"].tolist())[2:5])
        assert (one.first_frame, one.last_frame, one.fps) == (real["start_frame"], real["end_frame"], 25)
        assert one.tags["dive_number"] == real["dive_number"]


@pytest.mark.parametrize(
    ("annotation_folder", "media"),
    [
        ("", "whole_videos/{:02d}.mp4"),
        ("core_repo", "whole_videos/{:02d}.webm"),
        ("official/MTL-AQA_split_0_data", "whole_videos/{}.mkv"),
    ],
)
def test_annotations_lie_in_the_root_or_as_in_their_repositories(
    tmp_path: Path, annotation_folder: str, media: str
) -> None:
    annotations(tmp_path / annotation_folder, official=True)
    for number in (1, 3):
        path = tmp_path / media.format(number)
        video(path.with_suffix(".mp4"))
        path.with_suffix(".mp4").rename(path)
    found = datasets.read("mtl_aqa", tmp_path)
    one = found.performances[0]
    assert one.media == tmp_path / media.format(1)
    assert (one.id, one.fps, one.first_frame, one.last_frame) == ("v01_d001", None, 1, 8)
    assert (one.action, one.performer, one.video, one.split) == ("dive", "video 01", "01", "train")
    assert one.scores == {"execution": 27.5}
    assert one.tags == {
        "dive_number": "407C",
        "position": "tuck",
        "rotation": "inward",
        "somersaults": "3.5",
        "twists": "0",
        "armstand": "no",
        "difficulty": "3.2",
        "final_score": "88",
    }


def test_any_other_layout_is_refused_and_says_where_files_belong(tmp_path: Path) -> None:
    annotations(tmp_path / "elsewhere/MTL-AQA_split_0_data")
    with pytest.raises(
        BadInput, match=r"nor final_annotations_dict\.pkl .* is there; put them there \(looked in it, in official/M"
    ):
        datasets.read("mtl_aqa", tmp_path)
    annotations(tmp_path)
    for number in (1, 3):
        video(tmp_path / f"videos/{number:02d}.mp4")
    (tmp_path / "whole_videos.zip").touch()
    with pytest.raises(
        BadInput, match=r"put them there as whole_videos/01\.mp4 or as frames .*; unpack whole_videos\.zip first"
    ):
        datasets.read("mtl_aqa", tmp_path)


@pytest.mark.parametrize("digits", [6, 8])
def test_frames_take_their_rate_from_the_video_beside_them(tmp_path: Path, digits: int) -> None:
    annotations(tmp_path)
    for number in (1, 3):
        frames(tmp_path / "whole_videos_frames" / f"{number:02d}", digits=digits)
        video(tmp_path / "whole_videos" / f"{number:02d}.mp4", rate=30)
    found = datasets.read("mtl_aqa", tmp_path)
    assert {one.fps for one in found.performances} == {30.0}
    assert found.performances[0].media == tmp_path / "whole_videos_frames/01"


def test_frames_alone_need_their_rate(tmp_path: Path) -> None:
    annotations(tmp_path)
    for number in (1, 3):
        frames(tmp_path / f"whole_videos_frames/{number:02d}")
    with pytest.raises(BadInput, match=r"01 holds frames of unknown rate: put the video into whole_videos, whose"):
        datasets.read("mtl_aqa", tmp_path)
    assert {one.fps for one in datasets.read("mtl_aqa", tmp_path, fps=25).performances} == {25}
    with pytest.raises(BadInput, match="fps of reader 'mtl_aqa' is -1"):
        datasets.read("mtl_aqa", tmp_path, fps=-1)


def test_missing_videos_are_named_with_where_to_look_and_get_them(tmp_path: Path) -> None:
    annotations(tmp_path)
    video(tmp_path / "whole_videos/01.mp4")
    with pytest.raises(BadInput, match=r"no media for 1 of 2 videos: 03; .*03\.mp4 .*03/000001\.jpg.*Video_List\.xlsx"):
        datasets.read("mtl_aqa", tmp_path)
    assert datasets.read("mtl_aqa", tmp_path, split="train").performances[0].video == "01"


def test_a_video_that_is_shorter_than_its_dives_is_another_download(tmp_path: Path) -> None:
    annotations(tmp_path)
    video(tmp_path / "whole_videos/01.mp4", frames=10)
    video(tmp_path / "whole_videos/03.mp4")
    with pytest.raises(
        BadInput, match=r"01\.mp4 has about 10 frames at 25\.00 per second, but its dives go up to frame 16"
    ):
        datasets.read("mtl_aqa", tmp_path)
    assert any("01.mp4 has about 10 frames" in problem for problem in datasets.check("mtl_aqa", tmp_path).problems)


def test_two_media_for_one_video_are_refused(tmp_path: Path) -> None:
    annotations(tmp_path)
    for name in ("01.mp4", "1.mp4", "03.mp4"):
        video(tmp_path / "whole_videos" / name)
    with pytest.raises(BadInput, match="two media for video 01"):
        datasets.read("mtl_aqa", tmp_path)


def test_without_the_marks_a_root_can_be_checked_but_not_read(tmp_path: Path, shared_data: Path) -> None:
    shutil.copytree(shared_data / "mtl_aqa" / "official", tmp_path / "official")
    report = datasets.check("mtl_aqa", tmp_path)
    assert report.problems[0].startswith("no judges' marks")
    assert {count.what: count.found for count in report.counts}["dives with seven marks"] == 0
    with pytest.raises(BadInput, match=r"no judges' marks: put final_annotations_dict_with_dive_number\.pkl there"):
        datasets.read("mtl_aqa", tmp_path)


def test_a_root_without_annotations_says_what_was_looked_for(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="holds no MTL-AQA annotations: neither final_annotations_dict_with_dive_number"):
        datasets.check("mtl_aqa", tmp_path)
    annotations(tmp_path)
    (tmp_path / "train_split_0.pkl").unlink()
    with pytest.raises(BadInput, match=r"lacks train_split_0\.pkl"):
        datasets.check("mtl_aqa", tmp_path)


def test_what_two_copies_of_a_file_disagree_about_is_refused_and_equal_copies_are_not(tmp_path: Path) -> None:
    annotations(tmp_path)
    annotations(tmp_path / "core_repo")
    assert datasets.check("mtl_aqa", tmp_path).counts[0].found == 3
    annotations(tmp_path / "core_repo", splits={"train": [], "test": []})
    with pytest.raises(BadInput, match="differ, though they are one file of the data set; keep the right one"):
        datasets.check("mtl_aqa", tmp_path)


def test_splits_and_dictionaries_that_disagree_are_listed(tmp_path: Path) -> None:
    annotations(tmp_path, splits={"train": [(1, 1), (1, 2)], "test": [(1, 2)]}, official=True)
    other = {key: dict(one) for key, one in DIVES.items() if key != (3, 1)}
    other[1, 1]["difficulty"] = 3.0
    (tmp_path / "final_annotations_dict.pkl").write_bytes(pickle.dumps(other))
    problems = datasets.check("mtl_aqa", tmp_path).problems
    assert "dive (1, 2) is in both train and test" in problems
    assert "1 dives are in no split, the first is (3, 1)" in problems
    assert "dive (1, 1): difficulty is 3.2 with the marks, 3.0 in the official file" in problems
    assert "dive (3, 1) is not in final_annotations_dict.pkl" in problems
    assert "3 dives are here, 1,412 were published" in problems


def test_overlapping_dives_and_numbers_that_contradict_the_codes_are_listed(tmp_path: Path) -> None:
    annotations(tmp_path, {**DIVES, (1, 2): dive(8, 16, dive_number="107C"), (3, 1): dive(2, 9, dive_number="?")})
    problems = datasets.check("mtl_aqa", tmp_path).problems
    assert "dives (1, 1) and (1, 2) overlap in time" in problems
    assert "dive (1, 2) has number 107C, which its codes contradict" in problems
    assert "dive (3, 1) has number ?, which its codes contradict" in problems


@pytest.mark.parametrize(
    ("changes", "part"),
    [
        ({"start_frame": ...}, "dive (1, 2) has no start_frame"),
        ({"difficulty": "3.2"}, "difficulty is '3.2'; allowed: a number"),
        ({"difficulty": float("nan")}, "difficulty is nan"),
        ({"position": 3}, "position is 3; allowed: 0, 1, 2"),
        ({"start_frame": 20}, "frames 20 to 16"),
        ({"judge_scores": np.array([9.5] * 6)}, "allowed: seven marks from 0 to 10 in half points"),
        ({"judge_scores": np.array([9.5] * 6 + [9.3])}, "allowed: seven marks"),
        ({"judge_scores": np.array([])}, "judge_scores is []; allowed: seven marks"),
    ],
)
def test_a_malformed_dive_is_one_message_with_file_key_and_value(
    tmp_path: Path, changes: dict[str, object], part: str
) -> None:
    annotations(tmp_path, {**DIVES, (1, 2): dive(9, 16, **changes)})
    with pytest.raises(BadInput) as caught:
        datasets.check("mtl_aqa", tmp_path)
    assert str(caught.value).startswith(f"{tmp_path / MARKS}: dive (1, 2)")
    assert part in str(caught.value)


def test_a_hostile_annotation_file_is_refused_by_name(tmp_path: Path) -> None:
    annotations(tmp_path)
    (tmp_path / "test_split_0.pkl").write_bytes(b"\x80\x02cos\nsystem\nU\x04true\x85R.")
    with pytest.raises(BadInput, match=r"test_split_0\.pkl is refused: it asks for 'os\.system'"):
        datasets.check("mtl_aqa", tmp_path)


def test_an_unknown_split_names_those_there_are(tmp_path: Path) -> None:
    annotations(tmp_path)
    with pytest.raises(BadInput, match=r"split 'tes'; did you mean 'test'\?; splits here: train, test"):
        datasets.read("mtl_aqa", tmp_path, split="tes")


def test_the_model_is_told_what_is_announced_only_where_that_is_asked_for(tmp_path: Path) -> None:
    annotations(tmp_path)
    for number in (1, 3):
        video(tmp_path / f"whole_videos/{number:02d}.mp4")
    assert all(one.context is None for one in datasets.read("mtl_aqa", tmp_path).performances)
    told = datasets.read("mtl_aqa", tmp_path, facts=True).performances[0].context
    assert told == "Announced: inward dive, 3.5 somersaults, tuck position, degree of difficulty 3.2."
    assert "88" not in told  # the score
    assert "27.5" not in told
    with pytest.raises(BadInput, match="facts of reader 'mtl_aqa' is 1; allowed"):
        datasets.read("mtl_aqa", tmp_path, facts=1)


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"armstand": 1, "ss_no": 4, "tw_no": 1}, "inward dive from an armstand, 2 somersaults and 0.5 twists, tuck"),
        ({"ss_no": 2, "tw_no": 2}, "inward dive, 1 somersault and 1 twist, tuck"),
        ({"ss_no": 0}, "inward dive, no turn, tuck"),
    ],
)
def test_what_is_announced_counts_whole_turns(changes: dict[str, object], told: str, tmp_path: Path) -> None:
    annotations(tmp_path, {**DIVES, (1, 1): dive(1, 8, dive_number="", **changes)})
    for number in (1, 3):
        video(tmp_path / f"whole_videos/{number:02d}.mp4")
    assert told in str(datasets.read("mtl_aqa", tmp_path, facts=True).performances[0].context)


def test_masks_are_an_option_and_no_report_shows_pictures(tmp_path: Path) -> None:
    annotations(tmp_path)
    for number in (1, 3):
        video(tmp_path / f"whole_videos/{number:02d}.mp4")
    found = datasets.read("mtl_aqa", tmp_path)
    assert (found.allow_upload, found.show_frames) == (False, False)
    assert found.performances[0].masks == ()
    masks = datasets.read("mtl_aqa", tmp_path, masks=[[0, 0.85, 1, 1]]).performances[0].masks
    assert [(mask.box, mask.relative) for mask in masks] == [((0, 0.85, 1, 1), True)]
    assert len(datasets.read("mtl_aqa", tmp_path, masks="corners").performances[0].masks) == 4


def test_some_videos_alone_can_be_read_and_the_others_are_listed(tmp_path: Path) -> None:
    annotations(tmp_path)
    with pytest.raises(BadInput, match="media for none of its 2 videos"):
        datasets.read("mtl_aqa", tmp_path, partial=True)
    video(tmp_path / "whole_videos/01.mp4")
    found = datasets.read("mtl_aqa", tmp_path, partial=True)
    assert {one.video for one in found.performances} == {"01"}
    assert any("video 03 is not in" in problem for problem in found.problems)
