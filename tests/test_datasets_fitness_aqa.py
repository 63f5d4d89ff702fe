"""Fitness-AQA: what the split files name, with labels of the right error and split."""

from __future__ import annotations

import json
import shutil
import time
from pathlib import Path

import pytest

from aqaudit import datasets
from aqaudit.core.records import BadInput, Performance
from made_fitness_aqa import put, release, touch

HOME = "Fitness-AQA_dataset_release"
SQUAT = f"{HOME}/Squat/Labeled_Dataset"


def by_id(root: Path, **options: object) -> dict[str, Performance]:
    return {one.id: one for one in datasets.read("fitness_aqa", root, **options).performances}


def counts(root: Path) -> dict[str, tuple[int, int | None]]:
    return {count.what: (count.found, count.published) for count in datasets.check("fitness_aqa", root).counts}


def test_five_errors_are_asked_about_with_their_intervals_in_seconds(tmp_path: Path) -> None:
    found = datasets.read("fitness_aqa", release(tmp_path))
    assert not found.problems
    assert (found.allow_upload, found.show_frames) == (False, False)
    assert {(error.id, error.action) for error in found.errors} == {
        ("knees_inward", "squat"),
        ("knees_forward", "squat"),
        ("shallow_depth", "squat, lowest position"),
        ("elbows", "overhead press"),
        ("knees", "overhead press"),
    }
    people = {one.id: one for one in found.performances}
    assert len(people) == 6 + 3 + 4
    one = people["squat_45823_1"]
    assert one.errors == {"knees_inward": ((0.5, 1.25),), "knees_forward": ((0.2, 0.9), (1.5, 2.0))}
    assert (one.performer, one.video, one.split) == ("45823", "45823_1", "train")
    assert one.media == tmp_path / SQUAT / "videos/45823_1.mp4"
    assert people["squat_32987_5"].errors == {"knees_inward": (), "knees_forward": ()}
    # the same name in another exercise is another clip
    assert people["ohp_45823_1"].media == tmp_path / HOME / "OHP/Labeled_Dataset/videos/45823_1.mp4"
    assert people["ohp_502_1"].errors == {"elbows": (), "knees": ((0.0, 3.5),)}
    depth = people["squat_depth_52701_11_40"]
    assert depth.errors == {"shallow_depth": None}
    assert people["squat_depth_52701_11_41"].errors == {"shallow_depth": ()}
    assert (depth.performer, depth.video, depth.media.parent.name) == ("52701", "52701_11", "crops_unaligned")


def test_splits_are_the_official_ones(tmp_path: Path) -> None:
    root = release(tmp_path)
    assert set(by_id(root, split="test")) == {"squat_20002_1", "squat_20002_2", "ohp_502_1", "squat_depth_101_2_9"}
    assert set(by_id(root, split="val", errors="elbows")) == {"ohp_501_3"}
    with pytest.raises(
        BadInput, match=r"nothing is in split 'dev'; allowed: test, train, val; splits here: train, val, test"
    ):
        datasets.read("fitness_aqa", root, split="dev")


def test_errors_can_be_chosen_and_those_of_the_row_have_splits_of_their_own(tmp_path: Path) -> None:
    root = release(tmp_path)
    torso = f"{HOME}/BarbellRow/Labeled_Dataset/Splits/Splits_TorsoAngle_Error"
    put(tmp_path / torso / "train_ids.json", ["7_1_1"])
    put(tmp_path / torso / "test_ids.json", ["9_1_1", "7_1_2"])
    found = by_id(root, errors=["lumbar", "torso_angle"])
    assert (found["row_lumbar_7_1_2"].split, found["row_torso_7_1_2"].split) == ("train", "test")
    assert found["row_lumbar_7_1_2"].errors == {"lumbar": None}
    assert "row_lumbar_77_1_1" not in found  # labelled, but in no split
    assert set(by_id(root, errors="knees")) == {"ohp_45823_1", "ohp_501_3", "ohp_502_1"}
    assert {e.id for e in datasets.read("fitness_aqa", root, errors="all").errors} > {"lumbar", "torso_angle", "knees"}
    with pytest.raises(BadInput, match="errors of reader 'fitness_aqa' is 'knee'; did you mean 'knees'"):
        datasets.read("fitness_aqa", root, errors="knee")
    with pytest.raises(BadInput, match="errors of reader 'fitness_aqa' is empty"):
        datasets.read("fitness_aqa", root, errors=[])


@pytest.mark.parametrize(
    ("top", "videos", "crops"),
    [
        (HOME, "videos", "images/crops_unaligned"),
        (HOME, "videos/videos", "crops_unaligned"),  # as an archive unpacks into a folder of its own name or in place
        ("", "videos", "crops_unaligned"),
    ],
)
def test_the_release_lies_in_the_root_or_is_the_root(top: str, videos: str, crops: str, tmp_path: Path) -> None:
    root = release(tmp_path, top=top, videos=videos, crops=crops)
    found = by_id(root)
    assert len(found) == 13
    assert found["squat_45823_1"].media == root / top / "Squat/Labeled_Dataset" / videos / "45823_1.mp4"


def test_any_other_layout_is_refused_and_says_where_files_belong(tmp_path: Path) -> None:
    root = release(tmp_path)
    (root / SQUAT / "Splits").rename(root / SQUAT / "splits")
    with pytest.raises(BadInput, match=r"is there, but not its split: .*Splits/train_keys\.json is missing"):
        datasets.read("fitness_aqa", root, errors="knees_inward")
    (root / SQUAT / "splits").rename(root / SQUAT / "Splits")
    (root / SQUAT / "videos").rename(root / SQUAT / "clips")
    (root / SQUAT / "videos.zip").touch()
    with pytest.raises(BadInput, match=r"put them into .*Labeled_Dataset/videos; unpack videos\.zip first"):
        datasets.read("fitness_aqa", root)
    (root / HOME).rename(root / "fitness")
    with pytest.raises(BadInput, match="holds no labels of Fitness-AQA: none of Squat/Labeled_Dataset/Labels/error_"):
        datasets.read("fitness_aqa", root)


def test_an_item_of_a_split_without_a_label_is_refused(tmp_path: Path) -> None:
    root = release(tmp_path)
    put(tmp_path / SQUAT / "Splits/test_keys.json", ["20002_1", "20002_2", "31_1"])
    touch(tmp_path / SQUAT / "videos/31_1.mp4")
    for partial in (False, True):
        with pytest.raises(BadInput, match=r"1 items of its split have no label, the first is '31_1'"):
            datasets.read("fitness_aqa", root, partial=partial)
    assert any("'31_1' is in a split, but has no label" in p for p in datasets.check("fitness_aqa", root).problems)


def test_what_contradicts_itself_is_listed(tmp_path: Path) -> None:
    root = release(tmp_path)
    put(tmp_path / SQUAT / "Splits/test_keys.json", ["20002_1", "20002_2", "45823_1", "20002_2"])
    labels = tmp_path / SQUAT / "Labels/error_knees_inward.json"
    put(labels, {**json.loads(labels.read_text()), "20002_1": [[2, 1]]})
    problems = datasets.read("fitness_aqa", root).problems
    assert any("'45823_1' is in both train and test; counted as train" in problem for problem in problems)
    assert any("names 1 items twice" in problem for problem in problems)
    assert any("'20002_1' has the interval [2, 1]: present, but not at that time" in problem for problem in problems)
    assert by_id(root)["squat_20002_1"].errors["knees_inward"] is None
    assert len(problems) == len(set(problems)) == 4 - 1


def test_the_check_holds_counts_against_the_published_ones_and_notes_the_rest(tmp_path: Path) -> None:
    report = datasets.check("fitness_aqa", release(tmp_path))
    found = counts(tmp_path)
    assert found["squat knees inward: items of the split with a label"] == (6, 1623)
    assert found["squat knees inward: with the error"] == (2, 232)
    assert found["squat knees forward: with the error"] == (4, 1109)
    assert found["squat shallow depth: test"] == (1, 540)
    assert found["overhead press elbows: val"] == (1, 339)
    assert found["barbell row lumbar: items of the split with a label"] == (4, 14778)
    assert found["squat: media found of those named"] == (6, None)
    notes = " / ".join(report.notes)
    assert "1 of the 2 squats with knees inward have knees forward too (published: 192 of 232)" in notes
    assert "squat: 1 videos are in no split" in notes
    assert "squat: 1 clips have no bar trajectory; their videos are fine" in notes
    assert "barbell row lumbar: 1 labels are of items in no split" in notes
    assert "squat knees inward: 4 uploaders, 0 of them in several splits" in notes
    assert not report.problems


def test_missing_media_or_files_say_what_was_looked_for_and_can_be_listed_instead(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=r"holds no labels of Fitness-AQA: none of Squat/.*error_knees_inward\.json"):
        datasets.check("fitness_aqa", tmp_path)
    root = release(tmp_path)
    (tmp_path / SQUAT / "videos/20002_1.mp4").unlink()
    with pytest.raises(BadInput, match=r"lacks 1 of 6 videos of squat: squat 20002_1: no media; put them into"):
        datasets.read("fitness_aqa", root)
    found = datasets.read("fitness_aqa", root, partial=True)
    assert found.problems == ("squat 20002_1: no media",)
    assert len(found.performances) == 12
    shutil.rmtree(tmp_path / HOME / "OHP")
    (tmp_path / "OHP.zip").touch()
    with pytest.raises(BadInput, match=r"lacks error_elbows\.json, error_knees\.json; name the errors that are here"):
        datasets.read("fitness_aqa", root)
    (tmp_path / SQUAT / "Splits/val_keys.json").unlink()
    with pytest.raises(BadInput, match=r"but not its split: .*val_keys\.json is missing"):
        datasets.read("fitness_aqa", root, errors=["knees_inward", "knees_forward"])
    shutil.rmtree(tmp_path / SQUAT / "videos")
    notes = datasets.check("fitness_aqa", release(tmp_path / "other")).notes
    assert not any("only labels were checked" in note for note in notes)


def test_a_label_of_another_kind_is_named_with_its_place(tmp_path: Path) -> None:
    root = release(tmp_path)
    for value, part in (
        ("yes", "'20002_1' is 'yes'; allowed"),
        ([[1]], r"has \[1\]; allowed"),
        ({"a": 1}, "is {'a': 1}"),
    ):
        labels = tmp_path / SQUAT / "Labels/error_knees_inward.json"
        put(labels, {"20002_1": value})
        with pytest.raises(BadInput, match=part):
            datasets.check("fitness_aqa", root)


def test_a_hundred_thousand_labels_are_read_in_seconds(tmp_path: Path) -> None:
    at = tmp_path / "BarbellRow/Labeled_Dataset"
    keys = [f"{number // 9}_1_{number}" for number in range(100_000)]
    put(at / "Labels/labels_lumbar_error.json", {key: int(key[-1] == "7") for key in keys})
    for split, part in (("train", keys[:70_000]), ("val", keys[70_000:80_000]), ("test", keys[80_000:])):
        put(at / f"Splits/Splits_Lumbar_Error/{split}_ids.json", part)
    (at / "barbellrow_images_raw").mkdir()
    for key in keys[:2000]:
        (at / "barbellrow_images_raw" / f"{key}.jpg").touch()
    begun = time.process_time()
    found = datasets.read("fitness_aqa", tmp_path, errors="lumbar", partial=True)
    assert time.process_time() - begun < 5
    assert len(found.performances) == 2000
    assert len(found.problems) == 98_000
