"""Views, swapped clips and measured movement through a whole run: what is asked, sent, keyed and kept."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import polars as pl
import pytest

import aqaudit
from aqaudit import BadInput, Study, read_answers
from aqaudit.core.auxiliary import read_auxiliary
from aqaudit.core.records import PERTURBATIONS, VIEWS
from aqaudit.engine.folder import merge
from aqaudit.media import clip as media_clip
from aqaudit.pose.kinematics import QUANTITIES
from media_clips import make_clip
from servers import LoopbackServer, answer_chat
from test_media_views import joints

STUDY = """
name = "views"
seed = 5
{keys}
[[dataset]]
reader = "folder"
root = "."
tasks = ["verify"]
[grid]
model = ["judge"]
frames = [4]
{grid}
[models.judge]
provider = "openai"
model = "m"
base_url = "{url}"
"""


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Six clips of three performers, two actions; each with a file of joints; the first label is met."""
    root = tmp_path / "data"
    (root / "clips").mkdir(parents=True)
    (root / "poses").mkdir()
    lines = []
    for number in range(6):
        name, action = f"u{number}", ("squat", "lunge")[number // 3]
        make_clip(root / "clips" / f"{name}.mp4", frames=12 + number, size=(160, 120))
        np.savez(
            root / "poses" / f"{name}.npz", keypoints=joints(12 + number) / (2, 2, 1), width=160, height=120, fps=25.0
        )
        line = {"id": name, "media": f"clips/{name}.mp4", "action": action, "performer": f"s{number % 3}"}
        lines.append(json.dumps({**line, "criteria": {f"{action}_ok": number % 2 == 0}, "tags": {"camera": "front"}}))
    (root / "clips.jsonl").write_text("\n".join(lines))
    (root / "dataset.toml").write_text(
        'name = "data"\n'
        + "".join(
            f'[[criterion]]\nid = "{a}_ok"\naction = "{a}"\npositive = "It is right."\nnegative = "It is wrong."\n'
            for a in ("squat", "lunge")
        )
    )
    return root


def study(root: Path, url: str, grid: str = "", keys: str = "") -> Study:
    path = root / "study.toml"
    path.write_text(STUDY.format(url=url, grid=grid, keys=keys))
    return Study.read(path)


def test_every_view_and_perturbation_is_asked_from_one_decode_a_clip(data, tmp_path, monkeypatch):
    opened: list[Path] = []
    real = media_clip.decode
    monkeypatch.setattr(media_clip, "decode", lambda index, *given: opened.append(index.path) or real(index, *given))
    grid = (
        'view = ["rgb", "crop", "overlay", "skeleton", "pose_text"]\n'
        'perturbation = ["none", "blank", "frozen", "shuffled", "reversed", "region_blur"]\n'
    )
    with LoopbackServer(answer_chat()) as server:
        outcome = aqaudit.run(study(data, server.base_url, grid), out=tmp_path / "out")
        assert outcome.complete, outcome
        sent = [post.json for post in server.posts]
    assert sorted(path.name for path in opened) == [f"u{n}.mp4" for n in range(6)]
    answers = read_answers(tmp_path / "out")
    assert len(answers) == 6 * 5 * 6
    assert answers["frames_sent"].unique().to_list() == [4]
    assert answers.filter(view="pose_text")["media_form"].unique().to_list() == ["none"]
    assert answers.filter(view="pose_text")["width"].null_count() == 36
    text = [body for body in sent if "The table describes the pose over time of" in json.dumps(body)]
    assert len(text) == 36
    assert all("image_url" not in json.dumps(body) and "t | knee | hip" in json.dumps(body) for body in text)
    shuffled = answers.filter(perturbation="shuffled", view="rgb").sort("performance_id")["media_sha256"].to_list()
    plain = answers.filter(perturbation="none", view="rgb").sort("performance_id")["media_sha256"].to_list()
    assert all(sorted(a) == sorted(b) and a != b for a, b in zip(shuffled, plain, strict=True))


def test_a_swapped_clip_is_anothers_and_the_row_says_whose_and_what_is_true_of_it(data, tmp_path):
    people = {f"u{n}": (f"s{n % 3}", ("squat", "lunge")[n // 3], n % 2 == 0) for n in range(6)}
    with LoopbackServer(answer_chat()) as server:
        for swap in ("same_action", "another_action"):
            out = tmp_path / swap
            grid = 'perturbation = ["none", "swapped"]'
            aqaudit.run(study(data, server.base_url, grid, f'swap = "{swap}"'), out=out)
            answers = read_answers(out)
            plain = {row["performance_id"]: row for row in answers.filter(perturbation="none").to_dicts()}
            rows = answers.filter(perturbation="swapped").to_dicts()
            assert len(rows) == 6
            for row in rows:
                own, tags = plain[row["performance_id"]], json.loads(row["tags"])
                performer, action, met = people[tags["shown_id"]]
                assert performer != row["performer"]
                assert (action == row["action"]) == (swap == "same_action")
                assert row["gold_correct"] == own["gold_correct"]
                assert row["question_id"] == own["question_id"]
                assert tags["camera"] == "front"
                assert tags.get("shown_gold_correct") == (met if swap == "same_action" else None)
                assert (row["frames_sent"], row["width"]) == (own["frames_sent"], own["width"])
                assert row["media_sha256"] != own["media_sha256"]
        posts = len(server.posts)
        # another partner's file is another request: the partner's content is part of the key
        again = study(data, server.base_url, 'perturbation = ["swapped"]')
        assert aqaudit.run(again, out=tmp_path / "same_action").tally.answered == 0
        shown = {json.loads(row["tags"])["shown_id"] for row in read_answers(tmp_path / "same_action").to_dicts()
                 if row["perturbation"] == "swapped"}  # fmt: skip
        changed = min(shown)
        make_clip(data / "clips" / f"{changed}.mp4", frames=12 + int(changed[1:]), size=(160, 120), noise=True)
        assert aqaudit.run(again, out=tmp_path / "same_action").tally.answered >= 2
        assert len(server.posts) > posts


def test_an_answer_depends_on_the_joints_only_where_they_are_shown(data, tmp_path):
    grid = 'view = ["rgb", "overlay"]'
    with LoopbackServer(answer_chat()) as server:
        aqaudit.run(study(data, server.base_url, grid), out=tmp_path / "out")
        moved = joints(12) / (2, 2, 1) + (1, 0, 0)
        np.savez(data / "poses" / "u0.npz", keypoints=np.minimum(moved, (1e9, 1e9, 1)), width=160, height=120, fps=25.0)
        outcome = aqaudit.run(study(data, server.base_url, grid), out=tmp_path / "out")
    assert (outcome.tally.found, outcome.tally.answered) == (11, 1)


def test_the_movement_is_measured_beside_the_answers(data, tmp_path):
    with LoopbackServer(answer_chat()) as server:
        out = tmp_path / "out"
        outcome = aqaudit.run(study(data, server.base_url), out=out)
        assert outcome.notes == ()
        table = read_auxiliary(out)["kinematics"]
        assert table["performance_id"].unique(maintain_order=True).to_list() == [f"u{n}" for n in range(6)]
        one = table.filter(performance_id="u2", quantity="knee_angle_left")
        assert one["t_s"].to_list() == pytest.approx([n / 25 for n in range(14)], abs=1e-5)
        assert one["value"].to_list() == pytest.approx([177.14] * 14, abs=0.05)
        assert set(one["unit"]) == {"deg"}
        known = {*QUANTITIES, *(f"{q}_{side}" for q in QUANTITIES for side in ("left", "right"))}
        assert {name.removesuffix("_velocity") for name in table["quantity"].unique()} <= known
        before = (out / "kinematics.parquet").stat().st_mtime_ns
        aqaudit.run(study(data, server.base_url), out=out)
        assert (out / "kinematics.parquet").stat().st_mtime_ns == before  # nothing has changed
        np.savez(data / "poses" / "u1.npz", keypoints=np.zeros((3, 17, 3)))
        outcome = aqaudit.run(study(data, server.base_url), out=out)
        assert len(outcome.notes) == 1
        assert "u1.npz: holds 3 rows" in outcome.notes[0]
        assert "u1" not in read_auxiliary(out)["kinematics"]["performance_id"].unique().to_list()
        for part in (1, 2):
            aqaudit.run(study(data, server.base_url), out=tmp_path / f"shard{part}", shard=(part, 2))
        merge([tmp_path / "shard1", tmp_path / "shard2"], tmp_path / "merged")
        merged = pl.read_parquet(tmp_path / "merged" / "kinematics.parquet")
        assert merged.equals(pl.read_parquet(out / "kinematics.parquet"))


def test_what_a_study_cannot_show_is_said_before_anything_is_asked(data, tmp_path):
    with LoopbackServer(answer_chat()) as server:
        with pytest.raises(BadInput, match="region 'toes' is not known"):
            aqaudit.run(study(data, server.base_url, keys='region = "toes"'), out=tmp_path / "out")
        (data / "poses" / "u3.npz").unlink()
        wanted = study(data, server.base_url, 'view = ["overlay"]', 'pose = "file"')
        with pytest.raises(BadInput, match="'u3': has no file of keypoints"):
            aqaudit.run(wanted, out=tmp_path / "out")
        assert not server.posts


def test_clips_without_a_partner_are_not_asked_about_swapped(data, tmp_path):
    lines = [json.loads(line) for line in (data / "clips.jsonl").read_text().splitlines()]
    for line in lines[:3]:
        line["performer"] = "alone"
    (data / "clips.jsonl").write_text("\n".join(map(json.dumps, lines)))
    with LoopbackServer(answer_chat()) as server:
        outcome = aqaudit.run(study(data, server.base_url, 'perturbation = ["none", "swapped"]'), out=tmp_path / "out")
    assert outcome.complete
    answers = read_answers(tmp_path / "out")
    assert sorted(answers.filter(perturbation="swapped")["performance_id"]) == ["u3", "u4", "u5"]


def test_media_show_writes_a_sheet_of_every_view_and_perturbation(data, tmp_path, monkeypatch, capsys):
    from PIL import Image

    from aqaudit.cli import main

    study(data, "http://127.0.0.1:1/v1")
    sheet = tmp_path / "sheet.png"
    given = ["media", "show", str(data / "study.toml"), "--item", "u1", "--frames", "3", "-o", str(sheet)]
    monkeypatch.setattr("sys.argv", ["aqaudit", *given])
    with pytest.raises(SystemExit) as ended:
        main()
    assert not ended.value.code
    said = capsys.readouterr().out
    for name in (*VIEWS, *PERTURBATIONS):
        assert name == "none" or any(line.startswith(name) for line in said.splitlines()), name
    assert "nothing:" not in said
    with Image.open(sheet) as picture:
        assert picture.width >= 3 * 160
        assert picture.height > 10 * 100
    monkeypatch.setattr("sys.argv", ["aqaudit", *given[:3], "--item", "nobody"])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 2
    assert "no performance is called 'nobody'" in capsys.readouterr().err


def test_the_report_says_what_was_masked(data, tmp_path):
    lines = [json.loads(line) for line in (data / "clips.jsonl").read_text().splitlines()]
    lines[0]["masks"] = [{"box": [0, 0, 40, 20]}, {"box": [0, 100, 40, 120], "style": "blur"}]
    (data / "clips.jsonl").write_text("\n".join(map(json.dumps, lines)))
    with LoopbackServer(answer_chat()) as server:
        aqaudit.run(study(data, server.base_url), out=tmp_path / "out")
    page = aqaudit.report(tmp_path / "out")
    wanted = (
        "Data set data: in 1 performances rectangles were covered before anything was shown (1 in grey, 1 blurred)."
    )
    assert wanted in Path(page).read_text(encoding="utf-8")
