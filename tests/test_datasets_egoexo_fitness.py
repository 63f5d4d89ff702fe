"""EgoExo-Fitness: judgements of several people made one label, windows of six cameras, people without their names."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from aqaudit import datasets
from aqaudit.core.records import BadInput, Performance
from aqaudit.datasets.readers.egoexo_files import NAMES, boundary_name, criterion_id
from made_egoexo_fitness import BACK, CROSS, KNEES, VIEWS, annotation, judgements, records, release

READER = "egoexo_fitness"


def by_id(root: Path, **options: object) -> dict[str, Performance]:
    return {one.id: one for one in datasets.read(READER, root, **options).performances}


def counts(root: Path) -> dict[str, tuple[int, int | None]]:
    return {count.what: (count.found, count.published) for count in datasets.check(READER, root).counts}


def test_the_real_lists_of_pairs_part_the_records_and_name_twelve_actions(shared_data: Path) -> None:
    report = datasets.check(READER, shared_data / "egoexo_fitness")
    found = {count.what: (count.found, count.published) for count in report.counts}
    assert found["train pairs"] == (3895, 3895)
    assert found["test pairs"] == (12449, 12449)
    assert found["records in train pairs"] == (28, 28)
    assert found["records in test pairs"] == (36, 36)
    assert found["records in the pairs of both"] == (0, 0)
    assert found["actions named in the label bank"] == (12, 12)
    assert all(count.published in {None, count.found} for count in report.counts)
    assert [problem.partition(" is not in")[0] for problem in report.problems] == [
        "interpretable_action_judgement.json",
        "meta_records.json",
        "action_level_annotations.json",
    ]
    with pytest.raises(BadInput, match=r"has no judgements: interpretable_action_judgement\.json is not in raw_an"):
        datasets.read(READER, shared_data / "egoexo_fitness")


def test_the_real_lists_can_be_the_division(shared_data: Path, tmp_path: Path) -> None:
    shutil.copytree(shared_data / "egoexo_fitness/cvsv_annotations", tmp_path / "cvsv_annotations")
    root = release(tmp_path)
    split = {one.video: one.split for one in datasets.read(READER, root, division="pairs").performances}
    assert (split["ThEnUZ"], split["hOmM1K"]) == ("test", "train")
    assert {one.video for one in datasets.read(READER, root, division="pairs", split="train").performances} == {
        record for record, name in split.items() if name == "train"
    }
    # two records of one person, one in each list
    assert (
        "1 people are in the pairs of both train and test, in different records" in datasets.check(READER, root).notes
    )


def test_a_key_point_is_what_the_strict_majority_says_and_the_option_decides_ties(tmp_path: Path) -> None:
    root = release(tmp_path)
    cross, back, knees = map(criterion_id, (CROSS, BACK, KNEES))
    tied = "ThEnUZ_action_1_exo_m"
    assert by_id(root)[tied].criteria == {cross: True, back: False, knees: True}
    assert by_id(root, ties="fault")[tied].criteria == {cross: False, back: False, knees: False}
    assert by_id(root, ties="left_out")[tied].criteria == {back: False}
    for rule in ("satisfied", "fault", "left_out"):
        assert by_id(root, ties=rule)["hOmM1K_action_0_exo_m"].criteria == {cross: False, back: True}
    assert by_id(root)[tied].scores == {"quality": 3.5}
    with pytest.raises(BadInput, match="ties of reader 'egoexo_fitness' is 'tie'"):
        datasets.read(READER, root, ties="tie")


def test_each_guideline_of_an_action_has_two_exactly_opposite_wordings(tmp_path: Path) -> None:
    found = datasets.read(READER, release(tmp_path))
    assert (found.allow_upload, found.show_frames) == (False, False)
    squat = {one.id: one for one in found.criteria if one.action == "Sumo Squat"}
    assert squat["keep_your_back_straight"].positive == (
        "The performer follows this guideline: Keep your back straight."
    )
    assert squat["keep_your_back_straight"].negative == (
        "The performer does not follow this guideline: Keep your back straight."
    )
    for one in found.performances:
        assert one.criteria.keys() <= {c.id for c in found.criteria if c.action == one.action}


def test_views_are_shown_upright_at_thirty_frames_in_their_own_window(tmp_path: Path) -> None:
    root = release(tmp_path)
    found = by_id(root, view="all")
    assert len(found) == 4 * 6
    turned = {one.tags["view"]: one.rotate for one in found.values()}
    assert turned == {"ego_l": 0, "ego_m": 0, "ego_r": 0, "exo_l": 90, "exo_m": 0, "exo_r": 270}
    one = found["ThEnUZ_action_1_exo_l"]
    assert one.media == root / "frames_open/ThEnUZ/exo_l"
    assert (one.fps, one.first_frame, one.last_frame) == (30, 21, 58)
    assert len(by_id(root, view=["exo_l", "ego_m"])) == 8
    assert {p.tags["view"] for p in by_id(root).values()} == {"exo_m"}
    with pytest.raises(BadInput, match="view of reader 'egoexo_fitness' is 'exo_n'; did you mean 'exo_"):
        datasets.read(READER, root, view="exo_n")


def test_windows_are_cut_to_what_a_view_holds_and_larger_cuts_are_listed(tmp_path: Path) -> None:
    held = dict.fromkeys(VIEWS, 60)
    meta = records(
        ThEnUZ={**held, "exo_m": 52, "ego_l": 30, "ego_m": 15}, hOmM1K={"exo_m": 60}, CeqSkC=dict.fromkeys(VIEWS, 60)
    )
    root = release(tmp_path, meta=meta)
    found = datasets.read(READER, root, view="all")
    people = {one.id: one for one in found.performances}
    assert people["ThEnUZ_action_1_exo_m"].last_frame == 52
    assert people["ThEnUZ_action_1_ego_l"].last_frame == 30
    assert "ThEnUZ_action_1_ego_m" not in people
    assert people["ThEnUZ_action_0_ego_m"].last_frame == 15
    problems = " / ".join(found.problems)
    assert "ThEnUZ_action_1: ego_l has only 21 to 30 of frames 21 to 58" in problems
    assert "ThEnUZ_action_1: frames 21 to 58 are not in ego_m, which ends before; not asked" in problems
    assert "2 windows were cut by up to 10 frames" in problems
    assert "record hOmM1K was not filmed by ego_l: 1 of its actions are not asked about in it" in problems
    checked = " / ".join(datasets.check(READER, root).problems)
    assert "record hOmM1K was not filmed by ego_l: 1 judged actions" in checked
    assert "ThEnUZ_action_1: ends at frame 58, but ego_l has 30" in checked
    assert "ends at frame 58, but exo_m" not in checked
    # the header may promise more than the folder holds
    (root / "frames_open/CeqSkC/exo_m/frame_0000000030.jpg").unlink()
    for number in range(31, 61):
        (root / f"frames_open/CeqSkC/exo_m/frame_{number:010d}.jpg").unlink()
    assert by_id(root)["CeqSkC_action_0_exo_m"].last_frame == 29


def test_people_are_numbered_and_their_names_are_nowhere(tmp_path: Path) -> None:
    root = release(tmp_path)
    found = datasets.read(READER, root, view="all")
    people = {one.video: one.performer for one in found.performances}
    # one person on two dates
    assert people["ThEnUZ"] == people["hOmM1K"] != people["CeqSkC"]
    assert set(people.values()) == {"person 01", "person 02"}
    assert {one.performer: one.split for one in found.performances}.keys() == set(people.values())
    said = f"{found.performances} {found.problems} {datasets.check(READER, root)}".lower()
    assert "zhang" not in said
    assert "zhao" not in said


def test_without_the_records_each_recording_counts_as_a_person_and_that_is_said(tmp_path: Path) -> None:
    root = release(tmp_path)
    (root / "raw_annotations/meta_records.json").unlink()
    found = datasets.read(READER, root)
    assert {one.performer for one in found.performances} == {"record ThEnUZ", "record hOmM1K", "record CeqSkC"}
    assert any("people cannot be told apart" in problem for problem in found.problems)


@pytest.mark.parametrize("annotations", ["raw_annotations", ""])
def test_annotations_lie_in_their_folder_or_in_the_root(annotations: str, tmp_path: Path) -> None:
    assert len(by_id(release(tmp_path, annotations=annotations))) == 4


def test_any_other_layout_is_refused_and_says_where_files_belong(tmp_path: Path) -> None:
    root = release(tmp_path)
    (root / "frames_open").rename(root / "frames")
    (root / "frames_open.tar.gz").touch()
    with pytest.raises(
        BadInput, match=r"put them there as frames_open/<record>/<view>/frame_.*; unpack frames_open\.tar\.gz first"
    ):
        datasets.read(READER, root)
    (root / "raw_annotations").rename(root / "annotations")
    with pytest.raises(
        BadInput, match=r"holds no annotations of EgoExo-Fitness: put interp.* into raw_annotations; looked"
    ):
        datasets.read(READER, root)


def test_names_that_differ_from_the_boundaries_lose_no_action_and_are_counted(tmp_path: Path) -> None:
    found = counts(release(tmp_path))
    assert found["judged under a name that the boundaries do not have"] == (1, 171)
    assert found["judged: Kneeling Torso Twist"] == (1, None)
    assert "hOmM1K_action_0_exo_m" in by_id(tmp_path)
    assert any(
        "1 actions are judged as 'Kneeling Side Torso Twist', which is 'Kneeling Torso Twist'" in problem
        for problem in datasets.check(READER, tmp_path).problems
    )


@pytest.mark.parametrize(
    ("name", "known"),
    [
        ("Kneeling Side Torso Twist", "Kneeling Torso Twist"),
        ("Side Knee Raise And Abdominal Muscles Contract", "Knee Raise and Abdominal Muscles Contract"),
        ("Left-side Knee Raise And Abdominal Muscles Contract", "Knee Raise and Abdominal Muscles Contract"),
        ("Right Leg Reverse Lunge", "Leg Reverse Lunge"),
        ("Push-ups", "Push-ups"),
        ("Kneeling pushing-ups", "Kneeling pushing-ups"),
        ("Burpees", None),
    ],
)
def test_names_are_compared_by_their_words(name: str, known: str | None) -> None:
    assert boundary_name(name) == known


def test_published_counts_of_names_are_those_that_third_parties_counted() -> None:
    assert len(NAMES) == 12
    assert sum(number or 0 for number in NAMES.values()) == 742 == 913 - 171


def test_the_check_counts_what_third_parties_counted(tmp_path: Path) -> None:
    found = counts(release(tmp_path))
    assert found["records"] == (3, 76)
    assert found["people"] == (2, None)
    assert found["actions with boundaries"] == (4, 1086)
    assert found["actions times views"] == (24, 6131)
    assert found["judged actions"] == (4, 913)
    assert found["annotations"] == (7, 1525)
    assert found["actions with one annotator"] == (2, 340)
    assert found["actions with two"] == (1, 548)
    assert found["actions with three to five"] == (1, 25)
    assert found["distinct key points"] == (3, 102)
    assert found["key points on which annotators tie"] == (2, None)
    assert found["judged actions times views"] == (24, 5371)
    assert found["of them egocentric"] == (12, 2685)
    assert found["windows that equal the boundary of their number"] == (3, 832)
    assert found["windows that equal the boundary before it"] == (0, 0)
    assert found["judged actions times views with a folder of frames here"] == (24, None)
    assert "43.8% of the verdicts are 'False' (published: about 22%)" in datasets.check(READER, tmp_path).notes


def changed(**changes: Any) -> dict[str, Any]:
    table = judgements()
    table["ThEnUZ_action_0"] = {**table["ThEnUZ_action_0"], **changes}
    return table


@pytest.mark.parametrize(
    ("changes", "part"),
    [
        (
            {"annotations": [annotation("Sumo Squat", "True", "Maybe")]},
            "'Keep your back straight.' is 'Maybe'; left out",
        ),
        ({"annotations": [annotation("Sumo Squat", "True", score=9)]}, "action_quality_score is 9; left out"),
        (
            {"annotations": [annotation("Sumo Squat", "True"), annotation("High Knee", "True")]},
            "its annotations name it 'Sumo Squat', 'High Knee'; kept as the most say",
        ),
        (
            {
                "annotations": [
                    {
                        **annotation("Sumo Squat"),
                        "key_point_verification": [[CROSS, "True"], [CROSS, "False"], [BACK, "True"]],
                    }
                ]
            },
            "'Cross your feet.' is called both True and False; left out",
        ),
    ],
)
def test_what_contradicts_itself_is_listed_and_left_out(changes: dict[str, Any], part: str, tmp_path: Path) -> None:
    root = release(tmp_path, judged=changed(**changes))
    found = datasets.read(READER, root)
    assert any(part in problem for problem in found.problems), found.problems
    assert any(part in problem for problem in datasets.check(READER, root).problems)
    assert len(found.performances) == 4


@pytest.mark.parametrize(
    ("changes", "part"),
    [
        ({"annotations": []}, "and a list of annotations"),
        ({"st_ed_frame": [1]}, r"st_ed_frame is \[1\]; allowed"),
        ({"st_ed_frame": ["1", "2"]}, "st_ed_frame is"),
        ({"annotations": [{"action_name": " "}]}, "action_name is ' '"),
        ({"annotations": [{"action_name": "x", "key_point_verification": [["a"]]}]}, "key_point_verification has"),
    ],
)
def test_a_malformed_judgement_is_one_message_with_its_key(changes: dict[str, Any], part: str, tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=rf"'ThEnUZ_action_0'.*{part}"):
        datasets.read(READER, release(tmp_path, judged=changed(**changes)))


def test_missing_frames_are_an_error_that_can_be_listed_instead(tmp_path: Path) -> None:
    root = release(tmp_path)
    shutil.rmtree(root / "frames_open/CeqSkC/exo_m")
    with pytest.raises(
        BadInput, match=r"lacks frames of 1 actions and views, 3 are here: CeqSkC_action_0: no folder CeqSkC/exo_m"
    ):
        datasets.read(READER, root)
    found = datasets.read(READER, root, partial=True)
    assert len(found.performances) == 3
    assert "CeqSkC_action_0: no folder CeqSkC/exo_m" in found.problems
    (root / "frames_open/CeqSkC/exo_m").mkdir()
    with pytest.raises(BadInput, match="holds no frames"):
        datasets.read(READER, root)


def test_a_root_without_annotations_says_what_was_looked_for_and_who_gives_it(tmp_path: Path) -> None:
    (tmp_path / "raw_annotations.zip").touch()
    with pytest.raises(BadInput, match=r"holds no annotations.*unpack raw_annotations\.zip.*licence agreement"):
        datasets.check(READER, tmp_path)
    with pytest.raises(BadInput, match="lacks train_pairs_open"):
        datasets.read(READER, release(tmp_path), division="pairs")


def test_malformed_files_beside_the_judgements_are_named(tmp_path: Path) -> None:
    root = release(tmp_path)
    meta = records()
    meta["record_index"]["ThEnUZ"] = 7
    (root / "raw_annotations/meta_records.json").write_text(json.dumps(meta))
    with pytest.raises(BadInput, match=r"record_index of 'ThEnUZ' is 7; there are 3 records"):
        datasets.read(READER, root)
    (root / "raw_annotations/meta_records.json").write_text(json.dumps(records()))
    for split in ("train", "test"):
        (root / "cvsv_annotations").mkdir(exist_ok=True)
        (root / f"cvsv_annotations/{split}_pairs_open.txt").write_text("/a/ThEnUZ/ego_l/x 3-3-3 20 1000\n\n")
    assert any("line 1: not two clips" in problem for problem in datasets.check(READER, root).problems)
