"""Rectangles proposed for broadcast graphics: found where the scene moves, and nothing where that cannot be told."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from aqaudit.media.graphics import Graphics, graphics
from aqaudit.records import Performance
from made_broadcasts import GHOST, LOGO, SCORE, Graphic, broadcast, covered, overlap


def look(path: Path, **given: object) -> Graphics:
    return graphics(Performance(id="c", media=path, action="a", performer="p", video="v", **given))  # type: ignore[arg-type]


def run(*words: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", "from aqaudit.cli import main; main()", *map(str, words)]
    return subprocess.run(command, check=False, capture_output=True, text=True, timeout=120)


@pytest.mark.parametrize(
    ("camera", "drawn"),
    [("pan", (LOGO, SCORE)), ("pan", (GHOST,)), ("shake", (LOGO,)), ("pan", ()), ("shake", ())],
    ids=["logo and score bar", "translucent", "hand-held", "none", "none, hand-held"],
)
def test_graphics_are_covered_whole_and_nothing_else_is_proposed(
    camera: str, drawn: tuple[Graphic, ...], tmp_path: Path
) -> None:
    found = look(broadcast(tmp_path / "clip.mp4", camera, drawn))
    assert found.moving == 1.0
    assert len(found.masks) == len(drawn)
    for graphic in drawn:
        mask = max(found.masks, key=lambda mask: overlap(mask.box, graphic.box))
        assert overlap(mask.box, graphic.box) > 0.5
        assert covered(graphic.box, mask.box) == 1.0


def test_a_graphic_for_part_of_the_clip_gets_times_that_hold_all_of_it(tmp_path: Path) -> None:
    found = look(broadcast(tmp_path / "clip.mp4", "pan", (LOGO, SCORE)))
    by_left = sorted(found.masks, key=lambda mask: mask.box[0])
    score, logo = by_left
    assert (logo.from_s, logo.to_s) == (None, None)
    assert score.from_s is not None
    assert score.to_s is not None
    assert SCORE.from_s - 0.6 <= score.from_s <= SCORE.from_s
    assert SCORE.to_s - 0.04 <= score.to_s <= SCORE.to_s + 0.6


def test_under_a_standing_camera_nothing_is_proposed_and_the_reason_said(tmp_path: Path) -> None:
    clip = broadcast(tmp_path / "clip.mp4", "stand", (LOGO,), seconds=6)
    found = look(clip)
    assert (found.moving, found.masks) == (0.0, ())
    said = run("media", "graphics", clip, "--sheet", tmp_path / "sheet.jpg")
    assert said.returncode == 0, said.stderr
    assert "cannot be told from the background" in said.stdout


def test_the_command_writes_masks_that_a_data_set_takes_and_a_sheet(tmp_path: Path) -> None:
    clip = broadcast(tmp_path / "clip.mp4", "pan", (LOGO, SCORE))
    out, sheet = tmp_path / "masks.jsonl", tmp_path / "sheet.png"
    said = run("media", "graphics", clip, "-o", out, "--sheet", sheet)
    assert said.returncode == 0, said.stderr
    assert max(map(len, said.stdout.splitlines()[1:4])) <= 80
    line = json.loads(out.read_text())
    assert line["media"] == str(clip)
    assert len(line["masks"]) == 2
    with Image.open(sheet) as picture:
        red = (np.asarray(picture.convert("RGB")).astype(int) - [255, 60, 60]).__abs__().max(axis=2) < 20
    assert red.sum() > 200
    (tmp_path / "dataset.toml").write_text(
        'name = "b"\n[[criterion]]\nid = "c"\naction = "dive"\npositive = "It is."\nnegative = "It is not."\n'
    )
    record = {"id": "u1", "media": "clip.mp4", "action": "dive", "criteria": {"c": True}, "masks": line["masks"]}
    (tmp_path / "clips.jsonl").write_text(json.dumps(record))
    from aqaudit import datasets

    (performance,) = datasets.read("folder", tmp_path).performances
    assert performance.masks == look(clip).masks


def test_the_same_clip_gives_the_same_masks(tmp_path: Path) -> None:
    clip = broadcast(tmp_path / "clip.mp4", "shake", (LOGO,), seconds=6)
    assert look(clip).masks == look(clip).masks


def test_what_is_no_clip_is_bad_input(tmp_path: Path) -> None:
    picture = tmp_path / "p.png"
    Image.new("RGB", (64, 64)).save(picture)
    for given, why in ((picture, "is no clip"), (tmp_path / "nothing.mp4", "is not there")):
        said = run("media", "graphics", given)
        assert said.returncode == 2
        assert why in said.stderr
        assert said.stderr.count("\n") == 1
