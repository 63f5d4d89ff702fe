"""LLM-FMS: rules and labels in the published shape, under any names, held against each other."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from aqaudit import datasets
from aqaudit.core.records import BadInput
from made_llm_fms import ANSWERS, RULES, release


def counts(root: Path) -> dict[str, int]:
    return {count.what: count.found for count in datasets.check("llm_fms", root).counts}


def test_every_rule_of_a_key_frame_is_a_question_with_its_own_options(tmp_path: Path) -> None:
    found = datasets.read("llm_fms", release(tmp_path))
    assert not found.problems
    assert (found.name, found.allow_upload, found.show_frames) == ("llm_fms", False, True)
    # two movements of one name: their rules are kept apart
    assert {(c.id, c.action, c.options) for c in found.choices} == {
        ("m01_r01", "Deep squat", ("Parallel", "Not parallel")),
        ("m01_r02", "Deep squat", ("Above", "Equal", "Below")),
        ("m02_r01", "Deep squat", ("Near", "Far")),
    }
    assert len(found.performances) == 6
    one = next(p for p in found.performances if p.media.stem == "m01_s02_1")
    assert one.choices == {"m01_r01": "Parallel", "m01_r02": "Below"}
    assert one.scores == {"fms_score": 2}
    assert (one.performer, one.tags) == ("s02", {"movement": "m01", "view": "side"})


def test_a_subject_is_in_one_split_and_a_part_is_divided_as_the_whole_is(tmp_path: Path) -> None:
    whole = datasets.read("llm_fms", release(tmp_path / "whole", subjects=30)).performances
    splits: dict[str, set[str]] = {}
    for one in whole:
        splits.setdefault(one.performer, set()).add(one.split)
    assert all(len(names) == 1 for names in splits.values())
    assert {name for names in splits.values() for name in names} == {"train", "test"}
    part = datasets.read("llm_fms", release(tmp_path / "part", subjects=9)).performances
    assert {p.performer: p.split for p in part}.items() <= {p.performer: p.split for p in whole}.items()
    train = datasets.read("llm_fms", tmp_path / "whole", split="train").performances
    assert {p.performer for p in train} == {name for name, where in splits.items() if where == {"train"}}


@pytest.mark.parametrize(
    ("images", "labels"),
    [
        ("keyframes/{m}_s{s:02d}_1.png", "labels/{m}_s{s:02d}_1.json"),
        ("keyframes/LLM-FMS/{m}/s{s:02d}/1.jpg", "labels/json/{m}/s{s:02d}/1.json"),
        ("keyframes/{m}/subject_{s}/frame.JPG", "labels/{m}/subject_{s}/frame.json"),
    ],
)
def test_names_and_folders_within_the_archives_are_understood(tmp_path: Path, images: str, labels: str) -> None:
    found = datasets.read("llm_fms", release(tmp_path, images=images, labels=labels))
    assert not found.problems
    assert {(p.tags["movement"], p.performer) for p in found.performances} == {
        (movement, f"s{subject:02d}") for movement in ANSWERS for subject in (1, 2, 3)
    }


@pytest.mark.parametrize("shape", ["list", "by name", "keyframes"])
def test_many_labels_in_one_file_are_understood(tmp_path: Path, shape: str) -> None:
    release(tmp_path)
    entries = [
        {"image": f"keyframes/{m}/{m}_s{s:02d}_1.jpg", "subject": s, "movement": m, "score": 1, "ruleResults": answers}
        for m, answers in ANSWERS.items()
        for s in (1, 2, 3)
    ]
    shutil.rmtree(tmp_path / "labels")
    by_name = {Path(str(one.pop("image"))).name: one for one in [dict(e) for e in entries]}
    held: Any = {"list": entries, "by name": by_name, "keyframes": {"version": 1, "keyframes": entries}}[shape]
    (tmp_path / "labels.json").write_text(json.dumps(held))
    found = datasets.read("llm_fms", tmp_path)
    assert not found.problems
    assert len(found.performances) == 6
    assert all(p.scores == {"fms_score": 1} for p in found.performances)


@pytest.mark.parametrize("first", [0, 1])
@pytest.mark.parametrize("listed", [True, False])
def test_answers_as_numbers_count_from_what_all_of_them_together_tell(first: int, listed: bool, tmp_path: Path) -> None:
    def change(name: str, label: dict[str, Any]) -> dict[str, Any]:
        options = [rule["ruleOptions"] for rule in RULES[name[:3]]["rules"].values()]
        numbers = [
            (len(texts) - 1 if name.endswith("s01") else 0) + first for texts in options
        ]  # the last option for one subject, the first for the others
        names = list(RULES[name[:3]]["rules"])
        return {**label, "ruleResults": numbers if listed else dict(zip(names, map(str, numbers), strict=True))}

    found = datasets.read("llm_fms", release(tmp_path, change=change))
    last = {p.performer: p.choices for p in found.performances if p.tags["movement"] == "m01"}
    assert last["s01"] == {"m01_r01": "Not parallel", "m01_r02": "Below"}
    assert last["s02"] == {"m01_r01": "Parallel", "m01_r02": "Above"}


def test_numbers_that_fit_both_ways_of_counting_are_refused(tmp_path: Path) -> None:
    root = release(tmp_path, change=lambda _, label: {**label, "ruleResults": dict.fromkeys(label["ruleResults"], 1)})
    with pytest.raises(BadInput, match="both 0 and 1 could be the first"):
        datasets.read("llm_fms", root)


def test_one_number_among_texts_is_listed_and_not_guessed_at(tmp_path: Path) -> None:
    def change(name: str, label: dict[str, Any]) -> dict[str, Any]:
        return {**label, "ruleResults": {"r01": 1, "r02": "Below"}} if name == "m01_s01" else label

    found = datasets.read("llm_fms", release(tmp_path, change=change))
    assert len(found.problems) == 1
    assert "m01 r01 is 1; not asked, the options are 'Parallel', 'Not parallel'" in found.problems[0]


def test_answers_as_a_list_of_objects_are_understood(tmp_path: Path) -> None:
    def change(_: str, label: dict[str, Any]) -> dict[str, Any]:
        pairs = label["ruleResults"].items()
        return {**label, "ruleResults": [{"ruleId": rule, "answer": f" {answer.upper()}."} for rule, answer in pairs]}

    found = datasets.read("llm_fms", release(tmp_path, change=change))
    assert not found.problems
    assert {tuple(p.choices.values()) for p in found.performances} == {("Parallel", "Below"), ("Far",)}


@pytest.mark.parametrize(
    ("changes", "part"),
    [
        ({"ruleResults": {"r01": "Slanted", "r02": "Below"}}, "m01 r01 is 'Slanted'; not asked, the options are"),
        ({"ruleResults": {"r01": "Parallel"}}, "no answer for rule r02 of m01; not asked"),
        ({"ruleResults": {"r01": "Parallel", "r02": "Below", "r09": "x"}}, "rule 'r09' is not one of m01's (r01, r02)"),
        ({"ruleResults": ["Parallel"]}, "allowed: an answer for each rule"),
        ({"score": 7}, "score is 7; not asked, allowed: 0 to 3"),
        ({"movement": "m02"}, "the label says m02, its file names m01; kept as the label says"),
        ({"movement": "m14"}, "movement 'm14' is not in the rules"),
        ({"subject": "s09"}, "the label says s09, its file names s02"),
    ],
)
def test_a_label_that_contradicts_the_rules_is_listed_and_the_others_are_read(
    changes: dict[str, Any], part: str, tmp_path: Path
) -> None:
    root = release(tmp_path, change=lambda name, label: {**label, **changes} if name == "m01_s02" else label)
    found = datasets.read("llm_fms", root)
    assert any(part in problem for problem in found.problems), found.problems
    assert found.problems == tuple(datasets.check("llm_fms", root).problems)
    assert sum(len(p.choices) for p in found.performances if p.performer != "s02") >= 6


def test_missing_pictures_are_an_error_that_says_how_many_and_can_be_listed_instead(tmp_path: Path) -> None:
    root = release(tmp_path)
    (root / "keyframes/m01/m01_s03_1.jpg").unlink()
    (root / "keyframes.zip").touch()
    with pytest.raises(BadInput, match=r"lacks the pictures of 1 of 6 labels.*m01_s03_1.*unpack keyframes\.zip first"):
        datasets.read("llm_fms", root)
    found = datasets.read("llm_fms", root, partial=True)
    assert len(found.performances) == 5
    assert any("no picture for 'm01_s03_1'" in problem for problem in found.problems)
    assert counts(root)["labels"] == 6
    with pytest.raises(BadInput, match="partial of reader 'llm_fms' is 1; allowed: true or false"):
        datasets.read("llm_fms", root, partial=1)


def test_any_other_layout_is_refused_and_says_where_files_belong(tmp_path: Path) -> None:
    root = release(tmp_path, images="images/{m}_s{s:02d}_1.jpg", labels="labels/{m}_s{s:02d}_1.json")
    with pytest.raises(BadInput, match=r"lacks the pictures of 6 of 6 labels: .*; put pictures of that name into .*"):
        datasets.read("llm_fms", root)
    (root / "images").rename(root / "keyframes")
    (root / "labels").rename(root / "annotation")
    with pytest.raises(BadInput, match=r"no label that can be read; put JSON files with ruleResults into .*/labels"):
        datasets.read("llm_fms", root)
    (root / "FMSRules.json").rename(root / "keyframes/FMSRules.json")
    with pytest.raises(BadInput, match=r"holds no rules of LLM-FMS: FMSRules\.json is not there"):
        datasets.read("llm_fms", root)


def test_a_root_without_rules_or_labels_says_what_was_looked_for_and_where_to_get_it(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=r"holds no rules of LLM-FMS: FMSRules\.json is not there.*Figshare"):
        datasets.check("llm_fms", tmp_path)
    (tmp_path / "FMSRules.json").write_text(json.dumps(RULES))
    (tmp_path / "labels.zip").touch()
    with pytest.raises(BadInput, match=r"holds rules, but no label.*ruleResults.*; unpack labels\.zip first"):
        datasets.read("llm_fms", tmp_path)
    assert counts(tmp_path)["key-frames that can be read"] == 0


@pytest.mark.parametrize(
    ("options", "part"),
    [
        (["Parallel"], "ruleOptions is ['Parallel']; allowed: a list of two or more texts"),
        (["Parallel", 2], "allowed: a list of two or more texts"),
        (["Parallel", "parallel"], "ruleOptions has 'parallel' twice"),
    ],
)
def test_a_malformed_rule_is_named(options: list[object], part: str, tmp_path: Path) -> None:
    rules = json.loads(json.dumps(RULES))
    rules["m01"]["rules"]["r01"]["ruleOptions"] = options
    with pytest.raises(BadInput) as caught:
        datasets.check("llm_fms", release(tmp_path, rules=rules))
    assert "movement 'm01', rule 'r01'" in str(caught.value)
    assert part in str(caught.value)


def test_a_question_that_has_one_answer_for_all_is_pointed_out(tmp_path: Path) -> None:
    notes = datasets.check("llm_fms", release(tmp_path)).notes
    assert "question m02_r01 has the answer 'Far' for all of its 3 key-frames" in notes


def test_two_labels_of_one_picture_and_pictures_of_nobody_are_told(tmp_path: Path) -> None:
    root = release(tmp_path)
    (root / "labels/again.json").write_text(json.dumps({"image": "m01_s01_1.jpg", "ruleResults": ANSWERS["m01"]}))
    (root / "keyframes/m01/extra.jpg").touch()
    report = datasets.check("llm_fms", root)
    assert any("has another label in" in problem for problem in report.problems)
    assert "1 pictures have no label and are not asked about" in report.notes


def test_the_sample_key_frames_are_in_the_published_shape(shared_data: Path, tmp_path: Path) -> None:
    shutil.copytree(shared_data / "samples/rgb_keyframes/images", tmp_path / "keyframes")
    held = json.loads((shared_data / "samples/rgb_keyframes/labels.json").read_text())
    movement = {"m01": {"actionName": "Squat", "view": "front", "rules": held["rules"]}}
    (tmp_path / "FMSRules.json").write_text(json.dumps(movement))
    entries = [{**one, "movement": "m01", "subject": "s01"} for one in held["keyframes"]]
    (tmp_path / "labels.json").write_text(json.dumps({"keyframes": entries}))
    found = datasets.read("llm_fms", tmp_path)
    assert not found.problems
    assert sum(len(p.choices) for p in found.performances) == 64
    assert any("m01_r04 has the answer 'above'" in note for note in datasets.check("llm_fms", tmp_path).notes)
