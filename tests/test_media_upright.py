"""Pictures stored turned without saying so, masks in shares of the picture, and both in the keys of answers."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from aqaudit.core.keys import window_json
from aqaudit.core.records import Mask
from aqaudit.media.cache import MediaStore
from media_clips import make_clip, performance, picture_at, prepare, spec


def marked(width: int = 120, height: int = 60) -> np.ndarray:
    """A black picture, red on the left and green in the upper right corner."""
    picture = np.zeros((height, width, 3), np.uint8)
    picture[:, : width // 8] = (200, 0, 0)
    picture[: height // 3, -width // 4 :] = (0, 200, 0)
    return picture


@pytest.mark.parametrize("turn", [0, 90, 180, 270])
def test_frames_are_turned_counter_clockwise_before_anything_else(turn: int, tmp_path: Path) -> None:
    folder = tmp_path / "frames"
    folder.mkdir()
    Image.fromarray(marked()).save(folder / "frame_0000000001.png")
    mask = Mask(box=(0, 0, 10, 10))
    one = performance(folder, fps=30, rotate=turn, masks=(mask,))
    shown = prepare(one, spec(), MediaStore(tmp_path / "store"))
    picture = picture_at(shown.parts[0].path).astype(int)
    wanted = np.rot90(marked(), turn // 90).astype(int).copy()
    wanted[:10, :10] = 128
    assert picture.shape == wanted.shape == ((60, 120, 3) if turn % 180 == 0 else (120, 60, 3))
    assert (shown.width, shown.height) == (wanted.shape[1], wanted.shape[0])
    assert np.abs(picture - wanted).mean() < 6


@pytest.mark.parametrize("turn", [90, 180, 270])
def test_a_video_is_turned_too_and_never_copied_as_it_is(turn: int, tmp_path: Path) -> None:
    clip = make_clip(tmp_path / "clip.mp4", frames=5)
    store = MediaStore(tmp_path / "store")
    plain = picture_at(prepare(performance(clip), spec(frames=1), store).parts[0].path).astype(int)
    turned = picture_at(prepare(performance(clip, rotate=turn), spec(frames=1), store).parts[0].path).astype(int)
    assert np.abs(turned - np.rot90(plain, turn // 90)).mean() < 3
    copied = prepare(performance(clip), spec(form="video", native_sampling=True), store)
    upright = prepare(performance(clip, rotate=turn), spec(form="video", native_sampling=True), store)
    assert (upright.width, upright.height) == (
        (copied.width, copied.height) if turn == 180 else (copied.height, copied.width)
    )


def test_a_turned_video_keeps_the_shape_of_its_pixels(tmp_path: Path) -> None:
    clip = make_clip(tmp_path / "wide.mp4", frames=3, size=(160, 240), aspect=Fraction(2))
    store = MediaStore(tmp_path / "store")
    plain = prepare(performance(clip), spec(frames=1), store)
    turned = prepare(performance(clip, rotate=90), spec(frames=1), store)
    assert (turned.width, turned.height) == (plain.height, plain.width)


def test_masks_in_shares_cover_the_same_part_of_any_picture(tmp_path: Path) -> None:
    for width, height in ((120, 60), (300, 400)):
        file = tmp_path / f"{width}.png"
        Image.new("RGB", (width, height), (255, 0, 0)).save(file)
        one = performance(file, masks=(Mask(box=(0.75, 0.5, 1, 1), relative=True),))
        picture = picture_at(prepare(one, spec(), MediaStore(tmp_path / "store")).parts[0].path).astype(int)
        covered = np.abs(picture - 128).max(axis=2) < 12
        assert covered.mean() == pytest.approx(1 / 8, abs=0.02)
        assert covered[-2, -2]


def test_turning_and_shares_are_part_of_an_answer_key_and_plain_masks_keep_theirs() -> None:
    path = Path("x.mp4")
    assert window_json(performance(path, rotate=90)) == ' {"rotate":90}'
    assert "relative" in window_json(performance(path, masks=(Mask(box=(0, 0, 1, 1), relative=True),)))
    assert window_json(performance(path, masks=(Mask(box=(0, 0, 1, 1)),))) == (
        ' {"masks":[{"box":[0,0,1,1],"from_s":null,"to_s":null}]}'
    )
