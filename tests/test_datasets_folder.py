"""Bring your own data: what a folder data set may say, and the one line that names what is wrong in it."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import made
from aqaudit import datasets
from aqaudit.core.records import BadInput, ChoiceQuestion, Criterion, ErrorStatement, Mask, Performance, Scale, Severity
from aqaudit.datasets.clips import KEYS, by_action, performance_from
from aqaudit.datasets.declarations import Declarations

DECLARED = """\
name = "mine"
licence = "CC BY 4.0"
citation = "us"

[[criterion]]
id = "heels_down"
action = "deep squat"
positive = "Both heels stay on the floor."
negative = "At least one heel leaves the floor."

[[criterion]]
id = "r01"
action = "lunge"
positive = "The trunk is upright."
negative = "The trunk is not upright."

[[error]]
id = "knees_inward"
action = "deep squat"
statement = "The knees move inward."

[[choice]]
id = "r02"
action = "deep squat"
question = "Where is the hip?"
options = ["above", "equal", "below"]

[[scale]]
id = "execution"
min = 0
max = 30
step = 0.5
unit = "points"
"""

FULL: dict[str, Any] = {
    "id": "u01",
    "media": "clips/u01.mp4",
    "start_s": 0.0,
    "end_s": 3.2,
    "action": "deep squat",
    "performer": "s05",
    "video": "session3",
    "split": "test",
    "criteria": {"heels_down": True},
    "errors": {"knees_inward": [[0.8, 2.1]]},
    "scores": {"execution": 21.5},
    "choices": {"r02": "above"},
    "severity": {"knees_inward": {"value": 14, "unit": "deg", "tolerance": 5}},
    "family": "f12",
    "caption": "a squat",
    "tags": {"camera": "front"},
    "masks": [{"box": [0, 0, 10, 20], "from_s": 0, "to_s": 3}],
}


def line(**changes: object) -> dict[str, Any]:
    """A small line that is right, with changes; a value of ... takes the key away."""
    made = {"id": "u01", "media": "clips/u01.mp4", "action": "deep squat", **changes}
    return {key: value for key, value in made.items() if value is not ...}


def folder(root: Path, lines: list[object], declared: str = DECLARED) -> Path:
    """Write a folder data set whose media are there."""
    (root / "clips").mkdir(parents=True, exist_ok=True)
    (root / "dataset.toml").write_text(declared, encoding="utf-8")
    texts = [one if isinstance(one, str) else json.dumps(one) for one in lines]
    (root / "clips.jsonl").write_text("\n".join(texts) + "\n", encoding="utf-8")
    for one in lines:
        media = one.get("media") if isinstance(one, dict) else None
        if isinstance(media, str) and media.startswith("clips/") and ".." not in media and "\0" not in media:
            path = root / media
            if "fps" in one:
                path.mkdir(exist_ok=True)
            else:
                path.parent.mkdir(parents=True, exist_ok=True)
                path.touch()
    return root


def refusal(root: Path, lines: list[object], declared: str = DECLARED) -> str:
    with pytest.raises(BadInput) as caught:
        datasets.read("folder", folder(root, lines, declared))
    message = str(caught.value)
    assert "\n" not in message
    return message


def test_the_line_of_the_contract_reads_as_written(tmp_path: Path) -> None:
    found = datasets.read("folder", folder(tmp_path, [FULL]))
    assert (found.name, found.licence, found.citation, found.allow_upload) == ("mine", "CC BY 4.0", "us", False)
    assert found.criteria[0] == Criterion(
        id="heels_down",
        action="deep squat",
        positive="Both heels stay on the floor.",
        negative="At least one heel leaves the floor.",
    )
    assert found.scales == (Scale(id="execution", min=0, max=30, step=0.5, unit="points"),)
    assert found.choices[0].options == ("above", "equal", "below")
    assert list(found.performances) == [
        Performance(
            id="u01",
            media=tmp_path / "clips/u01.mp4",
            action="deep squat",
            performer="s05",
            video="session3",
            split="test",
            start_s=0.0,
            end_s=3.2,
            criteria={"heels_down": True},
            errors={"knees_inward": ((0.8, 2.1),)},
            scores={"execution": 21.5},
            choices={"r02": "above"},
            severity={"knees_inward": Severity(value=14, unit="deg", tolerance=5)},
            family="f12",
            caption="a squat",
            tags={"camera": "front"},
            masks=(Mask(box=(0, 0, 10, 20), from_s=0, to_s=3),),
        )
    ]


def test_an_empty_list_is_absent_true_is_present_and_a_missing_key_is_unknown(tmp_path: Path) -> None:
    lines = [
        line(id="a", errors={"knees_inward": []}),
        line(id="b", media="clips/b.mp4", errors={"knees_inward": True}),
        line(id="c", media="clips/c.mp4"),
    ]
    read = [one.errors for one in datasets.read("folder", folder(tmp_path, lines)).performances]
    assert read == [{"knees_inward": ()}, {"knees_inward": None}, {}]


def test_the_performer_defaults_to_the_video_then_to_a_shared_file_then_to_the_id(tmp_path: Path) -> None:
    lines = [
        line(id="named", performer="s1", video="v1"),
        line(id="of_video", video="v1"),
        line(id="part1", media="clips/long.mp4", end_s=2),
        line(id="part2", media="clips/long.mp4", start_s=2),
        line(id="alone", media="clips/alone.mp4"),
    ]
    read = {one.id: one.performer for one in datasets.read("folder", folder(tmp_path, lines)).performances}
    assert read == {
        "named": "s1",
        "of_video": "v1",
        "part1": "clips/long.mp4",
        "part2": "clips/long.mp4",
        "alone": "alone",
    }


def test_a_folder_of_numbered_frames_has_its_rate(tmp_path: Path) -> None:
    (one,) = datasets.read("folder", folder(tmp_path, [line(media="clips/u01", fps=30)])).performances
    assert (one.media, one.fps) == (tmp_path / "clips/u01", 30.0)


def test_an_absolute_media_path_is_taken(tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere.MP4"
    elsewhere.touch()
    (one,) = datasets.read("folder", folder(tmp_path / "data", [line(media=str(elsewhere))])).performances
    assert one.media == elsewhere


def test_one_id_may_be_declared_for_several_actions_and_for_an_error_too(tmp_path: Path) -> None:
    declared = (
        DECLARED
        + """
[[error]]
id = "heels_down"
action = "deep squat"
statement = "The heels leave the floor."

[[criterion]]
id = "heels_down"
action = "lunge"
positive = "Both heels are down."
negative = "A heel is up."
"""
    )
    lines = [
        line(criteria={"heels_down": True}, errors={"heels_down": []}),
        line(id="l", media="clips/l.mp4", action="lunge", criteria={"heels_down": False}),
    ]
    assert len(datasets.read("folder", folder(tmp_path, lines, declared)).performances) == 2


def test_byte_order_mark_windows_line_ends_and_blank_lines_are_tolerated(tmp_path: Path) -> None:
    folder(tmp_path, [line()])
    for name in ("dataset.toml", "clips.jsonl"):
        text = (tmp_path / name).read_text(encoding="utf-8").replace("\n", "\r\n") + "\r\n \r\n"
        (tmp_path / name).write_bytes(b"\xef\xbb\xbf" + text.encode())
    assert [one.id for one in datasets.read("folder", tmp_path).performances] == ["u01"]


def test_a_split_keeps_its_lines_and_needs_only_their_media(tmp_path: Path) -> None:
    lines = [line(id="a", split="train", media="clips/gone.mp4"), line(id="b", split="test")]
    folder(tmp_path, lines)
    (tmp_path / "clips/gone.mp4").unlink()
    assert [one.id for one in datasets.read("folder", tmp_path, split="test").performances] == ["b"]
    with pytest.raises(BadInput, match=r"gone\.mp4"):
        datasets.read("folder", tmp_path)


def test_an_empty_split_names_those_that_are_there(tmp_path: Path) -> None:
    folder(tmp_path, [line(id="a", split="train"), line(id="b", media="clips/b.mp4", split="test")])
    with pytest.raises(BadInput, match=r"split 'tets'; did you mean 'test'\?; splits here: test \(1\), train \(1\)"):
        datasets.read("folder", tmp_path, split="tets")
    folder(tmp_path, [line()])
    with pytest.raises(BadInput, match="no performance names a split; leave split out"):
        datasets.read("folder", tmp_path, split="test")


@pytest.mark.parametrize(
    ("changes", "parts"),
    [
        ({"performr": "x"}, ["unknown key 'performr'", "did you mean 'performer'?"]),
        ({"id": ...}, ["'id' is missing", "id, media and action"]),
        ({"media": ...}, ["'media' is missing"]),
        ({"action": ...}, ["'action' is missing"]),
        ({"id": 7}, ["id is 7", "a text"]),
        ({"id": "a/b"}, ["id is 'a/b'", "without / and"]),
        ({"action": " "}, ["action is ' '", "not empty"]),
        ({"performer": None}, ["performer is None"]),
        ({"media": "../u.mp4"}, ["'..' would leave the folder"]),
        ({"media": "clips/u01.avi"}, ["'clips/u01.avi'", ".mp4", "fps in the line"]),
        ({"media": "clips/u\0.mp4"}, ["allowed: a path"]),
        ({"fps": 30}, ["fps is given", "leave fps out"]),
        ({"media": "clips/f", "fps": 0}, ["fps is 0", "more than 0"]),
        ({"media": "clips/f", "fps": "30"}, ["fps is '30'", "a number"]),
        ({"start_s": -1}, ["start_s is -1", "0 or more"]),
        ({"start_s": 2, "end_s": 2}, ["end_s is 2", "more than start_s"]),
        ({"end_s": True}, ["end_s is True", "a number"]),
        ({"end_s": 10**400}, ["end_s is 1000", "a number"]),
        ({"criteria": ["heels_down"]}, ["criteria is ['heels_down']", "an object"]),
        ({"criteria": {"heels_down": 1}}, ["criteria.heels_down is 1", "true or false"]),
        ({"criteria": {"heels_dwon": True}}, ["criteria.heels_dwon", "not declared", "did you mean 'heels_down'?"]),
        ({"criteria": {"r01": True}}, ["criteria.r01", "'lunge'", "not for this line's action 'deep squat'"]),
        ({"action": "deep sqat", "criteria": {"new": True}}, ["no criteria for action", "did you mean 'deep squat'?"]),
        ({"errors": {"knees_inward": False}}, ["errors.knees_inward is False", "[] (absent)"]),
        ({"errors": {"knees_inward": [[2, 1]]}}, ["[2, 1]", "end must come after the start"]),
        ({"errors": {"knees_inward": [1, 2]}}, ["has 1", "[from, to]"]),
        ({"errors": {"knees_inward": [[1, "2"]]}}, ["'2'", "a number"]),
        ({"end_s": 3, "errors": {"knees_inward": [[1, 4]]}}, ["[1, 4]", "outside the clip's times 0 to 3"]),
        ({"start_s": 2, "errors": {"knees_inward": [[1, 4]]}}, ["outside the clip's times 2 to the end"]),
        ({"errors": {"knees_in": []}}, ["errors.knees_in", "did you mean 'knees_inward'?"]),
        ({"scores": {"execution": 31}}, ["scores.execution is 31", "0 to 30"]),
        ({"scores": {"execution": "21"}}, ["scores.execution is '21'", "a number"]),
        ({"scores": {"exec": 1}}, ["scores.exec", "did you mean 'execution'?"]),
        ({"choices": {"r02": "abov"}}, ["choices.r02 is 'abov'", "'above', 'equal', 'below'", "did you mean 'above'?"]),
        ({"choices": {"r02": ["above"]}}, ["choices.r02 is ['above']"]),
        ({"choices": {"r03": "above"}}, ["choices.r03", "not declared"]),
        ({"severity": {"knees_inward": {"value": 14}}}, ["severity.knees_inward", "value and unit"]),
        ({"severity": {"knees_inward": {"value": 14, "unit": "deg", "tol": 1}}}, ["'tol'"]),
        ({"severity": {"other": {"value": 14, "unit": "deg"}}}, ["severity.other", "not declared"]),
        ({"severity": {"heels_down": {"value": "x", "unit": "deg"}}}, ["severity.heels_down.value is 'x'"]),
        ({"tags": {"camera": 1}}, ["tags.camera is 1", "a text"]),
        ({"masks": [{"box": [0, 0, 1]}]}, ["masks[0].box is [0, 0, 1]", "[x0, y0, x1, y1]"]),
        ({"masks": [{"box": [5, 0, 1, 4]}]}, ["x1 must be more than x0"]),
        ({"masks": [{"box": [0, 0, 1, 4], "from": 1}]}, ["masks[0]: unknown key 'from'", "did you mean 'from_s'?"]),
        ({"masks": [{"box": [0, 0, 1, 4], "from_s": 2, "to_s": 1}]}, ["masks[0].to_s is 1"]),
        ({"masks": {"box": [0, 0, 1, 4]}}, ["allowed: a list of objects"]),
    ],
)
def test_a_wrong_line_is_one_message_with_file_row_key_value_and_what_is_allowed(
    tmp_path: Path, changes: dict[str, object], parts: list[str]
) -> None:
    right = line(id="first", media="clips/first.mp4")
    message = refusal(tmp_path, [right, line(**changes)])
    assert f"{tmp_path / 'clips.jsonl'}, line 2: " in message
    for part in parts:
        assert part in message


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ('{"id": "u01",', "not JSON at column"),
        ("[1, 2]", "allowed: one JSON object"),
        ('{"id": "u", "media": "a.mp4", "action": "x", "end_s": NaN}', "NaN is not a JSON number"),
        ('{"id": "u", "media": "a.mp4", "action": "x", "end_s": -Infinity}', "-Infinity is not a JSON number"),
        ('{"id": "u", "media": "a.mp4", "action": "x", "end_s": 1e999}', "end_s is inf"),
        ('{"id": "u", "media": "a.mp4", "action": "x", "end_s": ' + "9" * 5000 + "}", "line 1"),
        ('{"id": "u", "criteria": {"heels_down": true, "heels_down": false}}', "key 'heels_down' is there twice"),
        ('{"id": "u", "media": "a.mp4", "action": "\\ud800"}', "half a character"),
        ("[" * 100_000, "lists within lists"),
    ],
)
def test_a_line_that_is_no_json_is_named_by_its_number(tmp_path: Path, text: str, part: str) -> None:
    message = refusal(tmp_path, [text])
    assert "clips.jsonl, line 1: " in message
    assert part in message


def test_a_double_id_names_both_lines(tmp_path: Path) -> None:
    message = refusal(tmp_path, [line(), line(id="other"), "", line()])
    assert "line 4: id 'u01' is that of line 1 too" in message


def test_an_empty_or_missing_file_says_what_is_needed(tmp_path: Path) -> None:
    assert "holds no line" in refusal(tmp_path, [""])
    (tmp_path / "clips.jsonl").unlink()
    with pytest.raises(BadInput, match=r"clips\.jsonl is missing; `aqaudit init"):
        datasets.read("folder", tmp_path)
    (tmp_path / "dataset.toml").unlink()
    with pytest.raises(BadInput) as caught:
        datasets.read("folder", tmp_path)
    assert str(caught.value).startswith(f"{tmp_path / 'dataset.toml'} is missing; `aqaudit init")


def test_text_that_is_not_utf8_is_named_by_its_line(tmp_path: Path) -> None:
    folder(tmp_path, [line()])
    (tmp_path / "clips.jsonl").write_bytes(b'{"id": "a"}\n{"id": "\xe9"}\n')
    with pytest.raises(BadInput, match="line 2: byte 0xe9 is not UTF-8"):
        datasets.read("folder", tmp_path)


def test_missing_media_name_the_first_and_how_many(tmp_path: Path) -> None:
    folder(tmp_path, [line(id=f"u{n}", media=f"clips/u{n}.mp4") for n in range(5)])
    for n in (1, 3, 4):
        (tmp_path / f"clips/u{n}.mp4").unlink()
    with pytest.raises(BadInput, match=r"media of id 'u1' is missing: .*clips/u1\.mp4 \(3 media are missing\)"):
        datasets.read("folder", tmp_path)
    assert [p for p in datasets.check("folder", tmp_path).problems if "missing" in p][2].endswith("u4.mp4")


def test_media_of_the_other_kind_are_refused(tmp_path: Path) -> None:
    (tmp_path / "clips/u01.mp4").mkdir(parents=True)
    (tmp_path / "dataset.toml").write_text(DECLARED)
    (tmp_path / "clips.jsonl").write_text(json.dumps(line()))
    with pytest.raises(BadInput, match="is a folder, not a file"):
        datasets.read("folder", tmp_path)


@pytest.mark.parametrize(
    ("declared", "parts"),
    [
        ('nmae = "x"', ["unknown key 'nmae'", "did you mean 'name'?"]),
        ('name = "x"\nlicense = "y"', ["unknown key 'license'", "did you mean 'licence'?"]),
        ("name = 3", ["name is 3"]),
        ('licence = "x"', ["name is missing"]),
        ('name = "x"\nallow_upload = "yes"', ["allow_upload is 'yes'", "true or false"]),
        ('name = "x\n', ["not TOML", "line 1"]),
        ('name = "x"\n[criterion]\nid = "a"', ["[[criterion]]"]),
        (
            'name = "x"\n[[criterion]]\nid = "a"\naction = "b"\npositive = "p"\nnegativ = "n"',
            ["[[criterion]] number 1: unknown key 'negativ'", "did you mean 'negative'?"],
        ),
        (
            'name = "x"\n[[criterion]]\nid = "a"\naction = "b"\npositive = "p"',
            ["[[criterion]] 'a': negative is missing"],
        ),
        (
            'name = "x"\n[[criterion]]\nid = "a"\naction = "b"\npositive = "p"\nnegative = "P"',
            ["positive and negative are the same text"],
        ),
        (
            'name = "x"\n' + '[[error]]\nid = "a"\naction = "b"\nstatement = "s"\n' * 2,
            ["[[error]] 'a' is declared twice for action 'b'", "entries 1 and 2"],
        ),
        (
            'name = "x"\n[[choice]]\nid = "a"\naction = "b"\nquestion = "q"\noptions = ["one"]',
            ["options is ['one']", "two or more"],
        ),
        (
            'name = "x"\n[[choice]]\nid = "a"\naction = "b"\nquestion = "q"\noptions = ["one", "One "]',
            ["the same text twice"],
        ),
        ('name = "x"\n[[scale]]\nid = "a"\nmin = 3\nmax = 3', ["min is 3.0 and max is 3.0", "below max"]),
        ('name = "x"\n[[scale]]\nid = "a"\nmin = nan\nmax = 3', ["min is nan", "a number"]),
        ('name = "x"\n[[scale]]\nid = "a"\nmin = 0\nmax = 3\nstep = 4', ["step is 4", "at most 3"]),
        ('name = "x"\n' + '[[scale]]\nid = "a"\nmin = 0\nmax = 3\n' * 2, ["[[scale]] 'a' is declared twice"]),
    ],
)
def test_a_wrong_declaration_is_one_message_with_file_entry_and_what_is_allowed(
    tmp_path: Path, declared: str, parts: list[str]
) -> None:
    message = refusal(tmp_path, [line()], declared)
    assert message.startswith(f"{tmp_path / 'dataset.toml'}: ")
    for part in parts:
        assert part in message


def test_check_counts_and_lists_a_problem_for_every_bad_line(tmp_path: Path) -> None:
    lines = [
        line(id="a", split="train", performer="s1", criteria={"heels_down": True}),
        line(id="b", split="test", performer="s1"),
        line(id="c", scores={"execution": 99}),
        '{"id"',
    ]
    report = datasets.check("folder", folder(tmp_path, lines))
    counts = {count.what: count.found for count in report.counts}
    assert counts["lines"] == 4
    assert counts["performances that can be read"] == 2
    assert counts["labels for verify"] == 1
    assert "scores.execution is 99" in report.problems[0]
    assert "line 4: not JSON" in report.problems[1]
    assert any("performer 's1' is in several splits: test, train" in problem for problem in report.problems)
    assert any("'a' and 'b' are the same part of the same media" in problem for problem in report.problems)
    assert any(
        "error 'knees_inward' of action 'deep squat' is declared, but no" in problem for problem in report.problems
    )
    assert f"{len(report.problems)} problems:" in str(report)


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**20), 10**20) | st.floats() | st.text(max_size=6),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(["heels_down", "value", "box", "x"]), inner)
    ),
    max_leaves=8,
)
_DECLARED = by_action(
    Declarations(
        name="x",
        criteria=(Criterion(id="heels_down", action="a", positive="p", negative="n"),),
        errors=(ErrorStatement(id="heels_down", action="a", statement="s"),),
        choices=(ChoiceQuestion(id="heels_down", action="a", question="q", options=("one", "two")),),
        scales=(Scale(id="heels_down", min=0, max=1),),
    )
)


@settings(max_examples=400, deadline=None)
@given(
    given_line=st.fixed_dictionaries(
        {"id": st.just("u"), "media": st.just("u.mp4"), "action": st.just("a")},
        optional=dict.fromkeys(sorted(KEYS - {"id", "media", "action", "fps"}), _JSON),
    )
)
def test_whatever_a_line_holds_it_becomes_a_finite_performance_or_one_line_of_refusal(
    given_line: dict[str, Any], tmp_path_factory: pytest.TempPathFactory
) -> None:
    try:
        made = performance_from(given_line, _DECLARED, tmp_path_factory.getbasetemp())
    except BadInput as refused:
        message = str(refused)
    else:
        message = ""
        numbers = [*made.scores.values(), *(side for mask in made.masks for side in mask.box), made.end_s or 0.0]
        assert all(math.isfinite(number) for number in numbers)
    assert "\n" not in message


def test_a_keypoint_file_that_bears_the_id_of_a_clip_belongs_to_it(tmp_path: Path) -> None:
    root = made.folder(tmp_path, performances=2)
    (root / "poses").mkdir()
    (root / "poses" / "p00001.npz").write_bytes(b"")
    (root / "poses" / "p00009.npz").write_bytes(b"")
    poses = {one.id: one.pose for one in datasets.read("folder", root).performances}
    assert poses == {"p00000": None, "p00001": root / "poses" / "p00001.npz"}
