"""FineFS: grades from marks, points from goe, sums held against each other, and real scores in the published shape."""

from __future__ import annotations

import json
import statistics
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aqaudit import datasets
from aqaudit.core.records import BadInput, MediaSpec, Performance
from aqaudit.datasets.readers.finefs import kind_of, panel_grade, program_of, splits_of, window_of
from aqaudit.media.cache import MediaStore
from made_finefs import SHORT, element, fs800, gpf2017, program, release, video
from media_clips import picture_at, prepare


def by_id(root: Path, **options: object) -> dict[str, Performance]:
    return {one.id: one for one in datasets.read("finefs", root, **options).performances}


def counts(root: Path) -> dict[str, tuple[int, int | None]]:
    return {count.what: (count.found, count.published) for count in datasets.check("finefs", root).counts}


def problems_of(tmp_path: Path, elements: list[dict[str, Any]], number: int = 898, **changes: Any) -> tuple[str, ...]:
    path = tmp_path / f"{number}.json"
    path.write_text(json.dumps(program(elements, **changes)))
    return program_of(path, number).problems


def test_the_target_is_the_trimmed_mean_of_the_marks_not_goe(tmp_path: Path) -> None:
    found = datasets.read("finefs", release(tmp_path, {0: program(SHORT)}))
    assert not found.problems
    assert (found.allow_upload, found.show_frames) == (False, False)
    (scale,) = found.scales
    assert (scale.id, scale.min, scale.max) == ("grade_of_execution", -5, 5)
    people = {one.id: one for one in found.performances}
    # 2, 2, 3, 2, 1, 2, 2, 3, 2 without one 1 and one 3: 15 / 7
    assert people["p0000_e01"].scores == {"grade_of_execution": 15 / 7}
    assert people["p0000_e02"].scores == {"grade_of_execution": -6 / 7}
    one = people["p0000_e01"]
    assert (one.start_s, one.end_s, one.performer, one.video) == (1, 3, "program 0000", "0000")
    assert [p.action for p in found.performances] == [
        "figure skating jump combination",
        "figure skating jump",
        "figure skating spin",
        "figure skating step sequence",
    ]
    assert one.tags["element"] == "3Lz+3T"
    assert one.context is None


def test_points_are_the_other_target(tmp_path: Path) -> None:
    found = datasets.read("finefs", release(tmp_path, {0: program(SHORT)}), target="points")
    assert [scale.id for scale in found.scales] == ["points_for_execution"]
    assert [one.scores["points_for_execution"] for one in found.performances] == [1.24, -0.45, 0.46, 0.05]
    with pytest.raises(BadInput, match="target of reader 'finefs' is 'goe'; allowed: grade, points"):
        datasets.read("finefs", tmp_path, target="goe")


@given(st.lists(st.integers(-5, 5), min_size=3, max_size=9))
def test_the_grade_is_that_of_the_rule(marks: list[int]) -> None:
    kept = list(marks)
    kept.remove(max(kept))
    kept.remove(min(kept))
    assert panel_grade(marks) == pytest.approx(statistics.mean(kept))
    assert panel_grade(marks[:2]) is None


@pytest.mark.parametrize(
    ("time", "window"),
    [
        ("0-25,0-29", (25, 29)),
        ("2-05,2-11", (125, 131)),
        (" 0-59 , 1-03 ", (59, 63)),
        ("0-29,0-25", None),
        ("0-25,0-25", None),
        ("0-75,0-80", None),
        ("25,29", None),
        ("0:25,0:29", None),
        ("", None),
        (None, None),
        (25, None),
    ],
)
def test_times_are_minutes_and_seconds(time: object, window: tuple[float, float] | None) -> None:
    assert window_of(time) == window


@given(st.text(alphabet="0123456789-, x"))
def test_no_text_is_taken_for_a_time_that_goes_backwards(text: str) -> None:
    window = window_of(text)
    assert window is None or 0 <= window[0] < window[1]


@pytest.mark.parametrize(
    ("code", "kind"),
    [("3Lz+2T", "jump"), ("3Sq", "jump"), ("2A", "jump"), ("FCSp4", "spin"), ("CCoSp3V", "spin"), ("StSq3", "sequence"),
     ("ChSq1", "sequence")],
)  # fmt: skip
def test_kinds_are_told_by_the_name(code: str, kind: str) -> None:
    assert kind_of(code) == kind


@pytest.mark.parametrize(
    ("code", "told"),
    [("3Lz<+3T", "3Lz+3T"), ("3Lze", "3Lz"), ("3F!", "3F"), ("3Sq", "3S"), ("StSq3", "StSq3"), ("ChSq1", "ChSq1"),
     ("2A+1Eu+3S<<", "2A+1Eu+3S"), ("CCoSp3V", "CCoSp3"), ("CCoSpBV", "CCoSpB"), ("3T*", "3T"), ("FCSSp4", "FCSSp4")],
)  # fmt: skip
def test_the_model_may_be_told_the_element_but_not_its_faults(code: str, told: str, tmp_path: Path) -> None:
    one = element(code, 4.0, [1] * 9, "0-01,0-03", goe=0.4 if not code.startswith("Ch") else 0.5)
    root = release(tmp_path, {0: program([{**one, "score_of_pannel": one["bv"] + one["goe"]}])})
    (found,) = by_id(root, facts=True).values()
    assert found.context == f"The element is a {told}."


def test_real_programs_add_up_and_their_points_are_the_target(shared_data: Path, tmp_path: Path) -> None:
    real = fs800(shared_data / "finefs/proxy_fs800/fs800_bv_lookup.json")
    assert len(real) == 486
    root = release(tmp_path, {number: real[number] for number in (0, 100, 300)}, videos=False)
    for number in (0, 100, 300):
        video(root / f"data/video/{number}.mp4", seconds=140)
    found = datasets.read("finefs", root, target="points")
    assert sum(len(real[number]["executed_element"]) for number in (0, 100, 300)) == len(found.performances)
    told = {one.id: one for one in found.performances}
    for number in (0, 100, 300):
        for place, one in enumerate(real[number]["executed_element"].values(), 1):
            assert told[f"p{number:04d}_e{place:02d}"].scores == {"points_for_execution": one["goe"]}
    assert not [problem for problem in found.problems if "are not its score" in problem]


def test_all_4337_real_elements_have_a_kind_and_points_within_the_scale(shared_data: Path, tmp_path: Path) -> None:
    real = fs800(shared_data / "finefs/proxy_fs800/fs800_bv_lookup.json")
    root = release(tmp_path, real, videos=False)
    found = counts(root)
    assert found["elements"] == (4337, None)
    assert found["elements whose base value and goe are not their score"] == (0, None)
    assert found["elements with a grade"] == (0, None)
    assert sum(found[f"{kind}s"][0] for kind in ("jump", "spin", "sequence")) == 4337
    points = [one["goe"] for table in real.values() for one in table["executed_element"].values()]
    assert (min(points), max(points)) == (-5.75, 4.76)
    # 10% of them given wrong: found, each of them, and nothing else
    for number, table in real.items():
        for place, one in enumerate(table["executed_element"].values()):
            if (number + place) % 10 == 0:
                one["score_of_pannel"] = round(one["score_of_pannel"] + 0.5, 2)
    changed = sum((n + p) % 10 == 0 for n, t in real.items() for p in range(len(t["executed_element"])))
    assert counts(release(tmp_path, real, videos=False))["elements whose base value and goe are not their score"] == (
        changed,
        None,
    )


def test_real_programs_of_the_old_scale_are_recognized_and_not_asked_for_grades(
    shared_data: Path, tmp_path: Path
) -> None:
    real = gpf2017(shared_data / "finefs/proxy_isu_protocols/gpf2017_protocol.json")
    assert len(real) == 96
    root = release(tmp_path, real, videos=False)
    report = datasets.check("finefs", root)
    found = {count.what: count.found for count in report.counts}
    assert found["programs on the scale before 2018/19"] == 96
    assert found["elements whose base value and goe are not their score"] == 0
    assert found["elements whose goe does not follow from the marks"] == 0
    for number in range(3):
        video(root / f"data/video/{number}.mp4", seconds=20)
    with pytest.raises(BadInput, match="nothing is here that can be asked about"):
        datasets.read("finefs", root, partial=True)
    points = datasets.read("finefs", root, target="points", partial=True).performances
    assert len(points) == sum(len(real[number]["executed_element"]) for number in range(3))


def test_a_lost_decimal_point_is_recognized(tmp_path: Path) -> None:
    lost = element("4T+3T", 14.0, [2] * 9, "0-01,0-03", goe=2.39, score_of_pannel=1639)
    (problem,) = problems_of(tmp_path, [lost, *SHORT[1:]], total_element_score=..., total_segment_score=...)
    assert problem.startswith("program 898, element 1 (4T+3T): base value 14 and goe 2.39 are not its score 1639")
    assert problem.endswith("as if its decimal point were lost; kept")


@pytest.mark.parametrize(
    ("changes", "part"),
    [
        ({"goe": 1.5, "score_of_pannel": 6.8}, "goe is 1.5, but the grade -0.86 of base value 5.3 gives -0.45; kept"),
        ({"score_of_pannel": 5.85}, "base value 5.3 and goe -0.45 are not its score 5.85; kept"),
        ({"score_of_pannel": ...}, "score_of_pannel is missing"),
        ({"bv": "5.3"}, "base value or goe is missing"),
        ({"time": "0-06,0-04"}, "time is '0-06,0-04'; not asked about"),
        ({"coarse_class": None}, "coarse_class is None; taken for a jump by its name"),
        ({"coarse_class": ...}, "coarse_class is None; taken for a jump by its name"),
        ({"coarse_class": "spin"}, "coarse_class is 'spin', its name is that of a jump; kept as spin"),
        ({"judge_score": [1, 2, 7]}, "judge_score is [1, 2, 7]; allowed: whole grades from -5 to 5"),
        ({"judge_score": [1, 1.5] + [1] * 7}, "allowed: whole grades from -5 to 5"),
        ({"judge_score": [-1] * 6 + ["-", None], "goe": -0.53, "score_of_pannel": 4.77}, "6 judges' grades; there are"),
        ({"judge_score": [-1] * 6, "goe": -0.53, "score_of_pannel": 4.77}, "6 judges' grades; there are 7 to 9"),
    ],
)
def test_an_element_that_contradicts_itself_is_listed(changes: dict[str, Any], part: str, tmp_path: Path) -> None:
    wrong = {key: value for key, value in {**SHORT[1], **changes}.items() if value is not ...}
    table = program(SHORT, total_element_score=..., total_segment_score=...)
    table["executed_element"]["element2"] = wrong
    path = tmp_path / "1.json"
    path.write_text(json.dumps(table))
    said = program_of(path, 1).problems
    assert any(part in problem and "element" in problem for problem in said), said


def test_the_bonus_of_the_second_half_is_not_a_contradiction(tmp_path: Path) -> None:
    late = element("3F", 5.83, [2] * 9, "0-01,0-03", goe=1.06, score_of_pannel=6.89)
    assert not problems_of(tmp_path, [late, *SHORT[1:]])


def test_a_combination_is_held_against_the_most_it_could_be(tmp_path: Path) -> None:
    much = element("3Lz+3T", 10.1, [2] * 9, "0-01,0-03", goe=-1.2, score_of_pannel=8.9)
    assert any(
        "goe -1.2 cannot come from the grade 2.00 of base value 10.1" in problem
        for problem in problems_of(tmp_path, [much, *SHORT[1:]])
    )
    choreographic = element("ChSq1", 3.0, [3] * 9, "0-01,0-03", goe=1.5, score_of_pannel=4.5)
    assert not problems_of(tmp_path, [choreographic, *SHORT[1:]])


@pytest.mark.parametrize(
    ("changes", "part"),
    [
        ({"total_element_score": 70.0}, "its elements sum to"),
        ({"total_program_component_score_not_factored": 30.0}, "components 30 times 1 are not 40"),
        ({"total_segment_score": 12.0}, "elements, components and deductions give"),
    ],
)
def test_totals_that_do_not_add_up_are_listed(changes: dict[str, Any], part: str, tmp_path: Path) -> None:
    assert any(part in problem for problem in problems_of(tmp_path, SHORT, **changes))


def test_programs_are_held_against_their_numbers(tmp_path: Path) -> None:
    root = release(tmp_path, {5: program(SHORT, factor=1.6), 900: program(SHORT, factor=2.0)}, videos=False)
    problems = datasets.check("finefs", root).problems
    assert "program 5 is a short program, but its factor is 1.6" in problems
    assert "program 900 is a free skating with 4 elements; there are 12" in problems
    assert counts(root)["free skating of men"] == (1, 220)


def test_scoreboards_are_masked_by_default_in_shares_of_the_picture(tmp_path: Path) -> None:
    root = release(tmp_path, {0: program(SHORT)})
    one = by_id(root)["p0000_e01"]
    assert len(one.masks) == 4
    shown = prepare(one, MediaSpec(frames=1), MediaStore(tmp_path / "store"))
    picture = picture_at(shown.parts[0].path).astype(int)
    assert picture.shape == (32, 40, 3)
    assert abs(picture[1, 1] - 128).max() < 8
    assert abs(picture[30, 38] - 128).max() < 8
    assert abs(picture[16, 20] - 128).max() > 20
    assert by_id(root, masks="none")["p0000_e01"].masks == ()
    (mask,) = by_id(root, masks=[[0, 0.9, 1, 1]])["p0000_e01"].masks
    assert (mask.box, mask.relative) == ((0, 0.9, 1, 1), True)
    for wrong in ("corner", [[0, 0, 2, 1]], [[0, 0, 1]], 3, [[0.5, 0, 0.5, 1]]):
        with pytest.raises(BadInput, match="masks of reader 'finefs' has"):
            datasets.read("finefs", root, masks=wrong)


def test_an_element_beyond_its_video_is_listed_and_one_at_its_end_is_cut(tmp_path: Path) -> None:
    late = element("2A", 3.3, [1] * 9, "0-11,0-14")
    beyond = element("3T", 4.2, [1] * 9, "0-30,0-33")
    root = release(tmp_path, {0: program([*SHORT, late, beyond])})
    found = datasets.read("finefs", root)
    assert next(one for one in found.performances if one.id == "p0000_e05").end_s == 12
    assert found.problems == ("program 0, element 6 (3T): starts at 30 s, but 0.mp4 lasts 12.0 s; not asked about",)


def test_the_split_is_drawn_in_the_published_numbers_and_the_same_for_a_part(tmp_path: Path) -> None:
    root = release(tmp_path, {number: program(SHORT) for number in range(30)}, videos=False)
    found = counts(root)
    assert found["programs in train"][0] + found["programs in test"][0] == 30
    whole, _ = splits_of(root)
    sizes = {split: sum(1 for n, name in whole.items() if name == split) for split in ("train", "test")}
    assert sizes == {"train": 933, "test": 234}
    assert sum(whole[number] == "train" for number in range(729)) == 583


def test_lists_beside_the_data_are_the_split(tmp_path: Path) -> None:
    root = release(tmp_path, {number: program(SHORT) for number in range(3)})
    (root / "train.txt").write_text("0\n2.mp4\n")
    (root / "test_list.json").write_text("[1]")
    assert {one.video for one in datasets.read("finefs", root, split="test").performances} == {"0001"}
    (root / "test_list.json").write_text("[1, 2]")
    with pytest.raises(BadInput, match="program 2 is in the lists of both"):
        datasets.read("finefs", root)
    (root / "test_list.json").write_text('["a"]')
    with pytest.raises(BadInput, match="allowed: the numbers of programs"):
        datasets.read("finefs", root)


def test_the_root_may_be_the_folder_data_itself_and_any_other_layout_is_refused(tmp_path: Path) -> None:
    root = release(tmp_path, {0: program(SHORT)})
    inside = by_id(root / "data")
    assert inside.keys() == by_id(root).keys()
    assert inside["p0000_e01"].media == root / "data/video/0.mp4"
    (root / "data").rename(root / "FineFS")
    (root / "data.zip").touch()
    with pytest.raises(BadInput, match=r"neither data/annotation nor annotation is there.*unpack data\.zip first"):
        datasets.read("finefs", root)


def test_numbers_of_videos_may_have_leading_zeros(tmp_path: Path) -> None:
    root = release(tmp_path, {7: program(SHORT)})
    (root / "data/video/7.mp4").rename(root / "data/video/007.MP4")
    assert len(datasets.read("finefs", root).performances) == 4
    video(root / "data/video/7.mp4")
    with pytest.raises(BadInput, match=r"program 7: 2 videos, such as"):
        datasets.read("finefs", root)


def test_missing_videos_are_an_error_that_can_be_listed_instead(tmp_path: Path) -> None:
    root = release(tmp_path, {number: program(SHORT) for number in (0, 1)})
    (root / "data/video/1.mp4").unlink()
    with pytest.raises(BadInput, match=r"lacks the videos of 1 of 2 programs: program 1: no video.*FineFS-dataset"):
        datasets.read("finefs", root)
    found = datasets.read("finefs", root, partial=True)
    assert {one.video for one in found.performances} == {"0000"}
    assert found.problems == ("program 1: no video",)
    with pytest.raises(BadInput, match="facts of reader 'finefs' is 'yes'"):
        datasets.read("finefs", root, facts="yes")


def test_a_root_without_annotations_says_what_was_looked_for(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=r"holds no annotations of FineFS: neither data/annotation nor annotation is"):
        datasets.check("finefs", tmp_path)
    (tmp_path / "annotation").mkdir()
    (tmp_path / "annotation/7.json").write_text("{}")
    with pytest.raises(BadInput, match=r"7\.json: executed_element is None; allowed"):
        datasets.check("finefs", tmp_path)
