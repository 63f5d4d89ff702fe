"""What is known of a source without decoding it, and whether a performance lies within it."""

from __future__ import annotations

import hashlib
import os
import shutil
import time
from pathlib import Path

import pytest
from PIL import Image

from aqaudit.core.records import BadInput
from aqaudit.media.source import SourceCache, check
from media_clips import make_clip, numbered_picture, performance


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_clip(tmp_path_factory.mktemp("clips") / "clip.mp4", frames=50, audio=True)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    frames = tmp_path / "frames"
    frames.mkdir()
    for number in range(11, 31):
        Image.fromarray(numbered_picture(number, 64, 48)).save(frames / f"frame_{number:04d}.png")
    return frames


def test_the_hash_is_of_the_source_alone(clip, tmp_path):
    cache = SourceCache(tmp_path / "cache.sqlite")
    expected = hashlib.sha256(clip.read_bytes()).hexdigest()
    assert cache.content_hash(performance(clip)) == expected
    assert cache.content_hash(performance(clip, start_s=1.0, end_s=1.5)) == expected


def test_a_header_says_what_the_clip_is(clip, tmp_path):
    info = SourceCache(tmp_path / "cache.sqlite").describe(performance(clip))
    assert (info.kind, info.duration_s, info.fps, info.frames) == ("video", 2.0, 25.0, 50)
    assert (info.width, info.height) == (320, 240)


def test_a_picture_is_described_upright(tmp_path):
    path = tmp_path / "photo.jpg"
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.new("RGB", (64, 48)).save(path, exif=exif)
    info = SourceCache(tmp_path / "cache.sqlite").describe(performance(path))
    assert (info.kind, info.frames, info.width, info.height) == ("image", 1, 48, 64)
    check(performance(path), info)
    with pytest.raises(BadInput, match="one picture"):
        check(performance(path, end_s=2.0), info)


def test_what_was_read_once_is_remembered_and_a_changed_file_is_read_again(clip, tmp_path):
    path = tmp_path / "clip.mp4"
    shutil.copy(clip, path)
    with SourceCache(tmp_path / "cache.sqlite") as first:
        before, info = first.content_hash(performance(path)), first.describe(performance(path))
    # the file's bytes change behind the cache's back, its size and time do not: the remembered answer is given
    status = path.stat()
    path.write_bytes(bytes(status.st_size))
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
    with SourceCache(tmp_path / "cache.sqlite") as second:
        assert second.content_hash(performance(path)) == before
        assert second.describe(performance(path)) == info
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns + 1))
    with SourceCache(tmp_path / "cache.sqlite") as third:
        assert third.content_hash(performance(path)) == hashlib.sha256(bytes(status.st_size)).hexdigest()
        with pytest.raises(BadInput, match="cannot be read as video"):
            third.describe(performance(path))


def test_a_cache_that_cannot_be_kept_costs_only_time(clip, tmp_path, monkeypatch):
    blocked = tmp_path / "a file"
    blocked.write_text("not a folder")
    broken = tmp_path / "broken.sqlite"
    broken.write_text("not a database, but long enough to look at: " * 100)
    for path in (blocked / "cache.sqlite", broken, Path("/proc/nowhere/cache.sqlite")):
        cache = SourceCache(path)
        assert cache.describe(performance(clip)).frames == 50
        assert len(cache.content_hash(performance(clip))) == 64
    monkeypatch.setenv("AQAUDIT_CACHE", str(tmp_path / "own"))
    SourceCache().content_hash(performance(clip))
    assert (tmp_path / "own" / "sources.sqlite").is_file()


def test_frames_hash_by_window_and_name(folder, tmp_path):
    cache = SourceCache(tmp_path / "cache.sqlite")
    whole = cache.content_hash(performance(folder, fps=10))
    part = cache.content_hash(performance(folder, fps=10, first_frame=12, last_frame=14))
    by_time = cache.content_hash(performance(folder, fps=10, start_s=0.1, end_s=0.4))
    assert whole != part == by_time
    expected = hashlib.sha256()
    for number in (12, 13, 14):
        name = f"frame_{number:04d}.png"
        expected.update(f"{name}\0{hashlib.sha256((folder / name).read_bytes()).hexdigest()}\n".encode())
    assert part == expected.hexdigest()
    (folder / "frame_0030.png").write_bytes(b"changed")
    assert SourceCache(tmp_path / "cache.sqlite").content_hash(performance(folder, fps=10)) != whole
    after = SourceCache(tmp_path / "cache.sqlite")
    assert after.content_hash(performance(folder, fps=10, first_frame=12, last_frame=14)) == part


def test_100_000_performances_are_looked_up_in_half_a_second(clip, tmp_path):
    media = []
    for number in range(200):
        path = tmp_path / f"c{number}.mp4"
        os.link(clip, path)
        media.append(path)
    with SourceCache(tmp_path / "cache.sqlite") as cold:
        for path in media:
            cold.content_hash(performance(path))
            cold.describe(performance(path))
    many = [performance(Path(str(media[number % 200]))) for number in range(25_000)] * 4
    begun = time.process_time()
    with SourceCache(tmp_path / "cache.sqlite") as warm:
        for one in many:
            warm.content_hash(one)
            warm.describe(one)
    assert time.process_time() - begun < 0.5


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"end_s": 3.0}, r"'p1'.*shorter than its times: end_s is 3, but it lasts 2\.00 s"),
        ({"start_s": 2.5}, r"start_s is 2\.5, but it lasts 2\.00 s"),
        ({"start_s": 1.0, "end_s": 1.0}, "end_s is 1, start_s 1"),
        ({"start_s": -1.0}, "allowed: 0 or more"),
        ({"first_frame": 20, "last_frame": 10}, "last_frame 10"),
        ({"last_frame": 60}, "last_frame is 60, but it has 50"),
        ({"first_frame": 0}, "count from 1"),
    ],
)
def test_a_window_beyond_the_clip_says_both_numbers(given, says, clip, tmp_path):
    one = performance(clip, **given)
    with pytest.raises(BadInput, match=says) as caught:
        check(one, SourceCache(tmp_path / "cache.sqlite").describe(one))
    assert "\n" not in str(caught.value)


def test_a_window_within_the_clip_passes(clip, tmp_path):
    for given in ({}, {"start_s": 0.5, "end_s": 2.04}, {"first_frame": 1, "last_frame": 50}):
        one = performance(clip, **given)
        check(one, SourceCache(tmp_path / "cache.sqlite").describe(one))


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({}, "needs 'fps'"),
        ({"fps": 10, "last_frame": 31}, "last_frame is 31, but the folder holds frames 11 to 30"),
        ({"fps": 10, "first_frame": 10}, "first_frame is 10"),
        ({"fps": 10, "end_s": 3.0}, r"end_s is 3, but its frames 11 to 30 at 10 fps last 2\.00 s"),
        ({"fps": 10, "first_frame": 15, "last_frame": 25}, "1 of the frames 15 to 25 are missing, the first is 20"),
    ],
)
def test_frames_that_are_missing_are_named(given, says, folder, tmp_path):
    (folder / "frame_0020.png").unlink()
    one = performance(folder, **given)
    with pytest.raises(BadInput, match=says):
        check(one, SourceCache(tmp_path / "cache.sqlite").describe(one))


def test_a_gap_outside_the_window_does_not_matter(folder, tmp_path):
    (folder / "frame_0020.png").unlink()
    (folder / "._frame_0021.png").write_bytes(b"left by a file manager")
    (folder / "notes.txt").write_text("x")
    one = performance(folder, fps=10, first_frame=21)
    info = SourceCache(tmp_path / "cache.sqlite").describe(one)
    assert (info.kind, info.fps) == ("frames", 10)
    check(one, info)


def test_missing_or_unusable_media_name_the_performance_and_the_file(tmp_path):
    cache = SourceCache(tmp_path / "cache.sqlite")
    empty, nothing, twice = tmp_path / "empty.mp4", tmp_path / "nothing", tmp_path / "twice"
    empty.touch()
    nothing.mkdir()
    twice.mkdir()
    for name in ("1.jpg", "01.jpg"):
        (twice / name).touch()
    cases = {
        tmp_path / "gone.mp4": "are missing",
        empty: "is an empty file",
        nothing: "holds no numbered frames",
        twice: "two frames are numbered 1",
    }
    for path, says in cases.items():
        with pytest.raises(BadInput, match=rf"performance 'p1'.*{path}.*{says}"):
            cache.describe(performance(path))
    with pytest.raises(BadInput, match=r"'p1'.*are missing"):
        cache.content_hash(performance(tmp_path / "gone.mp4"))
