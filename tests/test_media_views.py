"""Views and perturbations: what is drawn is where the joints are, and what changes is what was asked for."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from aqaudit.core.records import BadInput, Mask
from aqaudit.media.cache import MediaStore
from aqaudit.media.mask import region
from aqaudit.media.poses import Poses
from aqaudit.media.prepare import prepare as prepare_all
from aqaudit.media.skeleton import COLOURS, coverage, lay, strokes
from aqaudit.media.source import SourceCache
from aqaudit.media.types import MediaError
from aqaudit.pose.coco17 import INDEX
from media_clips import decoded, make_clip, number_of, performance, picture_at, prepare, spec

SIZE = (320, 240)
#: A person of 160 pixels, in the middle of 320 x 240; their left is on the viewer's right.
PLACES = {
    "nose": (160, 40), "left_eye": (163, 37), "right_eye": (157, 37), "left_ear": (167, 39), "right_ear": (153, 39),
    "left_shoulder": (176, 60), "right_shoulder": (144, 60), "left_elbow": (190, 88), "right_elbow": (130, 88),
    "left_wrist": (196, 116), "right_wrist": (124, 116), "left_hip": (170, 120), "right_hip": (150, 120),
    "left_knee": (172, 160), "right_knee": (148, 160), "left_ankle": (172, 200), "right_ankle": (148, 200),
}  # fmt: skip


def joints(frames: int, dx: float = 0.0) -> np.ndarray:
    points = np.ones((frames, 17, 3), np.float32)
    for name, place in PLACES.items():
        points[:, INDEX[name], :2] = place
    points[..., 0] += dx * np.arange(frames)[:, None]
    return points


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("clips")
    make_clip(place / "clip.mp4", frames=50, size=SIZE)
    np.savez(place / "clip.npz", keypoints=joints(50), fps=25.0, width=320, height=240)
    make_clip(place / "short.mp4", frames=3, size=(240, 240))
    return place


@pytest.fixture
def one(folder: Path):
    return performance(folder / "clip.mp4", pose=folder / "clip.npz")


@pytest.fixture
def store(tmp_path: Path) -> MediaStore:
    return MediaStore(tmp_path / "store")


@pytest.fixture
def poses(tmp_path: Path) -> Poses:
    return Poses(SourceCache(tmp_path / "sources.sqlite"), folder=tmp_path / "poses")


def pictures(shown) -> list[np.ndarray]:
    return [picture_at(part.path).astype(int) for part in shown.parts]


def near(picture: np.ndarray, place: tuple[float, float], colour: tuple[int, int, int]) -> bool:
    return bool(np.abs(picture[round(place[1]), round(place[0])] - colour).max() < 90)


def test_the_skeleton_is_where_the_joints_are_and_its_sides_differ(one, store, poses):
    for max_side, scale in ((768, 1.0), (240, 0.75)):
        shown = prepare(one, spec(view="skeleton", frames=3, max_side=max_side), store, poser=poses)
        assert (shown.frames, shown.width, shown.height) == (3, 320 * scale, 240 * scale)
        picture = pictures(shown)[1]
        for name in ("left_knee", "left_wrist", "right_elbow", "right_ankle"):
            place = tuple(scale * value for value in PLACES[name])
            assert near(picture, place, COLOURS[name.partition("_")[0]]), name
        assert near(picture, (160 * scale, 60 * scale), COLOURS["middle"])
        assert picture[:, : int(100 * scale)].max() < 20  # black elsewhere


def test_the_overlay_lies_on_the_frames_and_joints_that_are_not_sure_are_left_out(one, folder, tmp_path, store, poses):
    plain = pictures(prepare(one, spec(frames=3), store))[1]
    picture = pictures(prepare(one, spec(view="overlay", frames=3), store, poser=poses))[1]
    assert near(picture, PLACES["left_knee"], COLOURS["left"])
    assert np.abs(picture[:, 240:] - plain[:, 240:]).max() < 12
    unsure = joints(50)
    unsure[:, INDEX["left_knee"], 2] = 0.29
    unsure[:, INDEX["left_ankle"]] = np.nan
    np.savez(tmp_path / "unsure.npz", keypoints=unsure, fps=25.0, width=320, height=240)
    hidden = performance(folder / "clip.mp4", pose=tmp_path / "unsure.npz")
    picture = pictures(prepare(hidden, spec(view="skeleton", frames=3), store, poser=poses))[1]
    assert picture[150:, 160:].max() < 20
    assert near(picture, PLACES["right_knee"], COLOURS["right"])


def test_lines_grow_with_the_person():
    small, large = (np.zeros((200, 200, 3), np.uint8) for _ in range(2))
    palette = np.array([[255, 255, 255]], np.uint8)
    for picture, radius in ((small, 2.0), (large, 6.0)):
        line = np.array([[50.0, 100.0]]), np.array([[150.0, 100.0]])
        lay(picture, strokes(*line, np.array([radius]), np.array([0]), palette, (200, 200)))
        assert picture[:, 100, 0].astype(float).sum() / 255 == pytest.approx(2 * radius, abs=0.1)


def test_drawing_is_the_distance_to_the_line_smoothed_over_one_pixel():
    start, end, radius = np.array([[10.3, 14.8]]), np.array([[37.2, 25.1]]), 3.3
    got = coverage(start, end, np.array([radius]), 48, 40)
    y, x = np.mgrid[:40, :48] + 0.5
    along = end[0] - start[0]
    at = np.clip(((x - start[0, 0]) * along[0] + (y - start[0, 1]) * along[1]) / (along @ along), 0, 1)
    away = np.hypot(x - start[0, 0] - at * along[0], y - start[0, 1] - at * along[1])
    assert np.abs(got - np.clip(radius + 0.5 - away, 0, 1)).max() < 1e-4
    assert coverage(np.array([[-50.0, -50.0]]), np.array([[-9.0, -5.0]]), np.array([3.0]), 20, 20).max() == 0
    assert coverage(np.array([[5.0, 5.0]]), np.array([[5.0, 5.0]]), np.array([2.0]), 20, 20).sum() == pytest.approx(
        np.pi * 4, rel=0.05
    )


def test_the_crop_is_the_performers_box_with_its_margin_and_of_one_size(one, folder, tmp_path, store, poses):
    shown = prepare(one, spec(view="crop", frames=4), store, poser=poses)
    # joints from 124 to 196 and from 37 to 200, 15 % of 163 more on every side
    assert (shown.width, shown.height) == (round(72 + 2 * 0.15 * 163), round(163 + 2 * 0.15 * 163))
    whole = pictures(prepare(one, spec(frames=4), store))[2]
    left, top = round(160 - shown.width / 2), round(118.5 - shown.height / 2)
    wanted = whole[top : top + shown.height, left : left + shown.width]
    assert np.abs(pictures(shown)[2] - wanted).mean() < 6
    # one who runs through the picture is followed
    points = joints(50, dx=4.0)
    points[..., 0] -= 100
    np.savez(tmp_path / "run.npz", keypoints=points, fps=25.0, width=320, height=240)
    runner = performance(folder / "clip.mp4", pose=tmp_path / "run.npz")
    followed = prepare(runner, spec(view="crop", frames=8), store, poser=poses)
    assert (followed.width, followed.height) == (shown.width, shown.height)
    assert len({part.sha256 for part in followed.parts}) == 8


def test_pose_as_text_tells_the_angles_of_the_sampled_moments(one, store, poses):
    shown = prepare(one, spec(view="pose_text", frames=4), store, poser=poses)
    assert (shown.frames, shown.times_s) == (4, (0.24, 0.72, 1.24, 1.72))
    (part,) = shown.parts
    assert (part.mime, part.path.suffix) == ("text/plain", ".txt")
    lines = part.path.read_text().splitlines()
    rows = [line.split(" | ") for line in lines if line[0].isdigit()]
    assert [row[0] for row in rows] == ["0.24", "0.72", "1.24", "1.72"]
    assert {len(row) for row in rows} == {len(lines[-5].split(" | "))}
    assert rows[0][1] == "177/177"  # a thigh of (2, 40) over a shank straight down
    blank = prepare(one, spec(view="pose_text", frames=4, perturbation="blank"), store, poser=poses).parts[0]
    hidden = [row.split(" | ")[1:] for row in blank.path.read_text().splitlines() if row[0].isdigit()]
    assert len(hidden) == 4
    assert {cell for row in hidden for cell in row} == {"-", "-/-"}
    given = spec(view="pose_text", frames=4, perturbation="region_blur", region="legs")
    blurred = prepare(one, given, store, poser=poses).parts[0].path.read_text().splitlines()[-1].split(" | ")
    assert blurred[1] == "-/-"
    assert blurred[3] != "-/-"


ORDERS = {
    "frozen": [25] * 5,
    "reversed": [45, 35, 25, 15, 5],
    "none": [5, 15, 25, 35, 45],
}


@pytest.mark.parametrize("form", ["frames", "video"])
@pytest.mark.parametrize("name", ORDERS)
def test_the_order_of_frames_changes_and_nothing_else(name, form, one, store):
    plain = prepare(one, spec(frames=5, form=form), store)
    changed = prepare(one, spec(frames=5, form=form, perturbation=name), store)
    assert (changed.frames, changed.fps, changed.width, changed.height, changed.times_s) == (
        plain.frames, plain.fps, plain.width, plain.height, plain.times_s,
    )  # fmt: skip
    if form == "frames":
        found = [number_of(picture) for picture in pictures(changed)]
    else:
        times, shown = decoded(changed.parts[0].path.read_bytes())
        found = [number_of(picture) for picture in shown]
        assert times == pytest.approx([0.4 * n for n in range(5)], abs=1e-3)
    assert found == ORDERS[name]


@pytest.mark.parametrize("form", ["frames", "video"])
def test_shuffling_is_drawn_by_seed_and_clip_and_never_the_true_order(form, one, store):
    def shuffled(seed: int, draw: str) -> list[int]:
        shown = prepare(one, spec(frames=6, form=form, perturbation="shuffled", seed=seed), store, draw=draw)
        if form == "frames":
            return [number_of(picture) for picture in pictures(shown)]
        return [number_of(picture) for picture in decoded(shown.parts[0].path.read_bytes())[1]]

    plain = [number_of(picture) for picture in pictures(prepare(one, spec(frames=6), store))]
    assert shuffled(1, "a") == shuffled(1, "a")
    assert sorted(shuffled(1, "a")) == plain
    orders = {tuple(shuffled(seed, draw)) for seed in range(3) for draw in "ab"}
    assert len(orders) > 3
    assert tuple(plain) not in orders


@pytest.mark.parametrize("form", ["frames", "video"])
def test_a_swapped_clip_has_the_frames_size_and_times_of_the_one_it_stands_for(form, one, folder, store):
    other = performance(folder / "short.mp4", id="p2")
    given = spec(frames=6, form=form, perturbation="swapped", swap="same_action")
    shown = prepare(one, given, store, instead=other)
    plain = prepare(one, spec(frames=6, form=form), store)
    assert (shown.frames, shown.width, shown.height, shown.times_s) == (6, 320, 240, plain.times_s)
    if form == "frames":
        found = pictures(shown)
    else:
        found = [picture.astype(int) for picture in decoded(shown.parts[0].path.read_bytes())[1]]
    # three frames stand for six; 240 x 240 lies in the middle of 320 x 240
    assert [number_of(picture[:, 40:280]) for picture in found] == [0, 0, 1, 1, 2, 2]
    assert max(picture[:, :36].max() for picture in found) < 24
    with pytest.raises(MediaError, match="nothing is given to be shown in its place"):
        prepare(one, given, store)


def test_a_blurred_region_is_blurred_and_the_rest_is_not(folder, tmp_path, store, poses):
    rng = np.random.default_rng(1)
    from PIL import Image

    path = tmp_path / "noise.png"
    Image.fromarray(rng.integers(0, 255, (240, 320, 3), dtype=np.uint8)).save(path)
    np.savez(tmp_path / "noise.npz", keypoints=joints(1), width=320, height=240)
    noise = performance(path, pose=tmp_path / "noise.npz")

    def busy(picture: np.ndarray, name: str) -> float:
        x, y = PLACES[name]
        return float(picture[y - 3 : y + 4, x - 3 : x + 4].std())

    for name, legs, head in (("legs", False, True), ("all_but_legs", True, False), ("left_leg", False, True)):
        given = spec(perturbation="region_blur", region=name)
        picture = pictures(prepare(noise, given, store, poser=poses))[0]
        assert (busy(picture, "left_knee") > 30) == legs
        assert (busy(picture, "nose") > 30) == head
        drawn = spec(view="skeleton", perturbation="region_blur", region=name)
        skeleton = pictures(prepare(noise, drawn, store, poser=poses))[0]
        assert (skeleton[150:, 165:].max() > 100) == legs
    with pytest.raises(BadInput, match="region 'leg' is not known; did you mean 'legs'"):
        region("leg")
    crop = pictures(prepare(noise, spec(view="crop", perturbation="region_blur", region="legs"), store, poser=poses))[0]
    assert crop.shape == (212, 121, 3)
    assert crop[-30:, 40:80].std() < 30 < crop[20:40, 40:80].std()


def test_joints_that_are_lost_for_a_moment_do_not_uncover_what_is_blurred(folder, tmp_path, store, poses):
    points = joints(50)
    points[25:, INDEX["left_knee"]] = np.nan
    np.savez(tmp_path / "gap.npz", keypoints=points, fps=25.0, width=320, height=240)
    gap = performance(folder / "clip.mp4", pose=tmp_path / "gap.npz")
    given = spec(perturbation="region_blur", region="knees", frames=2)
    before, after = pictures(prepare(gap, given, store, poser=poses))
    plain = pictures(prepare(gap, spec(frames=2), store))
    box = slice(150, 171), slice(165, 180)
    for changed, whole in ((before, plain[0]), (after, plain[1])):
        assert np.abs(changed[box] - whole[box]).max() > 20


@pytest.mark.parametrize("form", ["frames", "video"])
def test_all_views_from_one_decode_are_those_made_alone(form, one, store, poses, monkeypatch):
    specs = [
        spec(view=view, frames=4, form=form, perturbation=change, region="legs" if change == "region_blur" else None)
        for view in ("rgb", "crop", "overlay", "skeleton", "pose_text")
        for change in ("none", "blank", "reversed", "frozen", "region_blur")
    ]
    alone = [prepare(one, each, store, poser=poses) for each in specs]
    opened = []
    from aqaudit.media import clip

    real = clip.decode
    monkeypatch.setattr(clip, "decode", lambda *given: opened.append(1) or real(*given))
    assert prepare_all(one, specs, store, poser=poses) == alone
    assert len(opened) == 1


def test_a_blank_clip_is_the_same_bytes_whatever_was_in_memory_before(one, store):
    rng = np.random.default_rng(0)
    made = set()
    for _ in range(60):
        before = [rng.integers(0, 255, size=size, dtype=np.uint8) for size in (64, 300, 1200, 5000, 20_000, 80_000)]
        del before
        made.add(prepare(one, spec(frames=4, form="video", perturbation="blank"), store).parts[0].sha256)
    assert len(made) == 1


#: Prints the hash of every view and perturbation of a clip in each form, prepared by as many threads as are given.
EVERY_WAY = """
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from aqaudit.media.poses import Poses
from aqaudit.media.prepare import prepare
from aqaudit.media.source import SourceCache
from aqaudit.media.cache import MediaStore
from aqaudit.core.records import PERTURBATIONS, VIEWS, Mask, MediaSpec, Performance

folder, here, threads = Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3])
store, poses = MediaStore(here), Poses(SourceCache(here / "sources.sqlite"), folder=here / "poses")
masks = (Mask(box=(20, 20, 120, 80), style="blur"), Mask(box=(200, 180, 300, 230)))
ways = [
    (MediaSpec(view=view, perturbation=change, form=form, frames=4, max_side=160, region=region), masked)
    for view in VIEWS
    for change in PERTURBATIONS
    for form in ("frames", "video")
    for region in (("legs", "all_but_head") if change == "region_blur" else (None,))
    for masked in (False, True)
]


def hashes(way):
    spec, masked = way
    one, other = (
        Performance(id=name, media=folder / "clip.mp4", action="squat", performer=name, video=name,
                    pose=folder / f"{name}.npz", masks=masks if masked else ())
        for name in ("clip", "moved")
    )
    (shown,) = prepare(one, [spec], store, poser=poses, instead=other)
    return [part.sha256 for part in shown.parts]


with ThreadPoolExecutor(threads) as pool:
    for way, found in zip(ways, pool.map(hashes, ways)):
        print(way, *found)
"""


def test_every_view_and_perturbation_is_the_same_bytes_in_every_process_and_number_of_threads(folder, tmp_path):
    np.savez(folder / "moved.npz", keypoints=joints(50, dx=1.0), fps=25.0, width=320, height=240)
    made = []
    for run, threads in enumerate((1, 2, 4, 4)):
        given = [sys.executable, "-c", EVERY_WAY, folder, tmp_path / str(run), str(threads)]
        made.append(subprocess.run(given, capture_output=True, text=True, check=True).stdout.splitlines())
    assert len(made[0]) > 100
    assert made[0] == made[1] == made[2] == made[3]


def test_a_mask_of_blur_leaves_no_detail(tmp_path, store):
    from PIL import Image

    rng = np.random.default_rng(1)
    noise = rng.integers(0, 255, (240, 320, 3), dtype=np.uint8)
    Image.fromarray(noise).save(tmp_path / "noise.png")
    masks = (Mask(box=(20, 20, 120, 80), style="blur"), Mask(box=(0.5, 0.5, 1, 1), relative=True))
    picture = pictures(prepare(performance(tmp_path / "noise.png", masks=masks), spec(), store))[0]
    assert picture[24:76, 24:116].std() < 12 < 30 < picture[90:115, 20:120].std()
    assert np.abs(picture[136:, 176:] - 128).max() < 12


def test_a_file_of_joints_that_does_not_fit_its_clip_is_named(folder, tmp_path, store, poses):
    np.savez(tmp_path / "few.npz", keypoints=joints(49), fps=25.0, width=320, height=240)
    few = performance(folder / "clip.mp4", pose=tmp_path / "few.npz")
    with pytest.raises(BadInput, match=r"few\.npz: holds 49 rows of keypoints, but .*clip\.mp4 shows 50 frames"):
        prepare(few, spec(view="overlay", frames=2), store, poser=poses)
    np.savez(tmp_path / "turned.npz", keypoints=joints(50), fps=25.0, width=240, height=320)
    turned = performance(folder / "clip.mp4", pose=tmp_path / "turned.npz")
    with pytest.raises(MediaError, match=r"keypoints are of frames of 240 x 320 pixels, but it shows 320 x 240"):
        prepare(turned, spec(view="overlay", frames=2), store, poser=poses)
    nobody = np.full((50, 17, 3), np.nan, np.float32)
    np.savez(tmp_path / "nobody.npz", keypoints=nobody, fps=25.0, width=320, height=240)
    empty = performance(folder / "clip.mp4", pose=tmp_path / "nobody.npz")
    with pytest.raises(MediaError, match="the performer is found in no frame"):
        prepare(empty, spec(view="crop", frames=2), store, poser=poses)
    with pytest.raises(BadInput, match=r"'p1': has no file of keypoints, and pose = \"file\""):
        Poses(SourceCache(tmp_path / "c.sqlite"), "file").identity(performance(folder / "clip.mp4"))
