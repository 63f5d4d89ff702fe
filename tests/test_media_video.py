"""The frames sent are exactly the wanted ones, whatever the file does; a bad file is said to be bad."""

from __future__ import annotations

import random
import shutil
import subprocess
import sys
import time
from contextlib import suppress
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from aqaudit.core.records import BadInput
from aqaudit.media import video
from aqaudit.media.cache import MediaStore
from aqaudit.media.index import index_video
from aqaudit.media.integrity import damaged
from aqaudit.media.types import MediaError
from aqaudit.media.video import decode
from media_clips import (
    cut_with_edit_list,
    make_clip,
    numbers,
    performance,
    picture_at,
    prepare,
    remux,
    spec,
    with_matrix,
)


@pytest.fixture
def store(tmp_path: Path) -> MediaStore:
    return MediaStore(tmp_path / "store")


CLIPS = {
    "h264 with B-frames": ("clip.mp4", {}),
    "h264, many key frames": ("clip.mp4", {"options": {"g": "10", "bf": "3"}}),
    "h264, open groups": ("clip.mkv", {"options": {"g": "12", "x264-params": "open-gop=1:bframes=3"}}),
    "h264 with a start offset in MPEG-TS": ("clip.ts", {}),
    "hevc": ("clip.mp4", {"codec": "libx265", "options": {"x265-params": "log-level=none:keyint=20"}}),
    "hevc of 10 bit": (
        "clip.mp4",
        {"codec": "libx265", "options": {"x265-params": "log-level=none:keyint=20"}, "pix_fmt": "yuv420p10le"},
    ),
    "mpeg4 with B-frames": ("clip.mp4", {"codec": "mpeg4", "options": {"bf": "2"}}),
    "mpeg4 with B-frames in AVI": ("clip.avi", {"codec": "mpeg4", "options": {"bf": "2"}}),
    "mpeg2": ("clip.mpg", {"codec": "mpeg2video", "options": {"bf": "2"}}),
    "vp9 with hidden frames": (
        "clip.webm",
        {"codec": "libvpx-vp9", "options": {"cpu-used": "8", "deadline": "realtime"}},
    ),
    "raw h264, no times at all": ("clip.h264", {}),
}


@pytest.mark.parametrize("kind", CLIPS)
def test_exactly_the_wanted_frames_are_shown(kind, tmp_path, store):
    name, given = CLIPS[kind]
    clip = make_clip(tmp_path / name, frames=60, size=(160, 120), **given)
    assert numbers(prepare(performance(clip), spec(), store)) == list(range(60))
    assert numbers(prepare(performance(clip), spec(frames=7), store)) == [4, 12, 21, 30, 38, 47, 55]
    late = performance(clip, start_s=1.2, end_s=2.0)
    assert numbers(prepare(late, spec(fps=5), store)) == [30, 35, 40, 45]
    counted = performance(clip, first_frame=31, last_frame=34)
    assert numbers(prepare(counted, spec(), store)) == [30, 31, 32, 33]


@pytest.mark.parametrize("kind", [*CLIPS, "variable frame rate", "edit list"])
def test_frames_are_those_of_a_full_decode_to_the_last_bit(kind, tmp_path):
    if kind == "variable frame rate":
        clip = make_clip(tmp_path / "vfr.mp4", frames=60, times_ms=[n * n + 40 * n for n in range(60)], size=(160, 120))
    elif kind == "edit list":
        whole = make_clip(tmp_path / "whole.mp4", frames=90, options={"g": "25"}, size=(160, 120), noise=True)
        clip = cut_with_edit_list(whole, tmp_path / "cut.mp4", 15, 74)  # its last frames rest on nothing cut off
    else:
        name, given = CLIPS[kind]
        clip = make_clip(tmp_path / name, frames=60, size=(160, 120), noise=True, **given)
    with av.open(str(clip)) as container:
        full = [frame.to_ndarray() for frame in container.decode(video=0)]
    index = index_video(clip)
    assert len(index.shown) == len(full) == 60
    for wanted in ([3, 4, 17, 40, 58], [59], list(range(0, 60, 7))):
        got = list(decode(index, wanted, video.Deadline(clip, 60.0)))
        assert [one.at for one in got] == wanted
        assert all(np.array_equal(one.frame.to_ndarray(), full[one.at]) for one in got)


def test_times_of_a_variable_frame_rate_are_the_frames_own(tmp_path, store):
    rng = random.Random(3)
    stamps = np.cumsum([0, *(rng.choice([20, 40, 40, 120, 400]) for _ in range(59))]).tolist()
    clip = make_clip(tmp_path / "vfr.mp4", frames=60, times_ms=stamps, options={"bf": "3"})
    everything = prepare(performance(clip), spec(), store)
    assert numbers(everything) == list(range(60))
    assert everything.times_s == pytest.approx([stamp / 1000 for stamp in stamps], abs=2e-3)
    window = performance(clip, start_s=2.0, end_s=4.0)
    found = numbers(prepare(window, spec(), store))
    assert found == [n for n, stamp in enumerate(stamps) if 2000 <= stamp < 4000]
    nearest = prepare(performance(clip), spec(fps=2), store)
    expected = []
    for tick in range(int(stamps[-1] / 500) + 1):
        best = min(range(60), key=lambda n: (abs(stamps[n] - tick * 500), n))
        expected += [best] if best not in expected else []
    assert numbers(nearest) == expected


def test_frames_hidden_by_an_edit_list_are_never_shown(tmp_path, store):
    clip = make_clip(tmp_path / "whole.mp4", options={"g": "25"})
    cut = cut_with_edit_list(clip, tmp_path / "cut.mp4", 35, 80)
    shown = prepare(performance(cut), spec(), store)
    assert numbers(shown) == list(range(35, 81))
    assert shown.times_s[:2] == pytest.approx((0, 0.04))
    assert numbers(prepare(performance(cut, start_s=0.4), spec(frames=3), store)) == [51, 63, 75]


TURNS = {
    "a quarter clockwise": ((0, 1, -1, 0), lambda stored: np.rot90(stored, -1)),
    "a quarter counter-clockwise": ((0, -1, 1, 0), lambda stored: np.rot90(stored, 1)),
    "half": ((-1, 0, 0, -1), lambda stored: stored[::-1, ::-1]),
    "mirrored": ((-1, 0, 0, 1), lambda stored: stored[:, ::-1]),
}


@pytest.mark.parametrize("turn", TURNS)
def test_frames_are_turned_upright(turn, tmp_path, store):
    matrix, turned = TURNS[turn]
    plain = make_clip(tmp_path / "plain.mp4", frames=3)
    stored = picture_at(prepare(performance(plain), spec(frames=1), store).parts[0].path).astype(int)
    shown = prepare(performance(with_matrix(plain, tmp_path / "turned.mp4", *matrix)), spec(frames=1), store)
    wanted, got = turned(stored), picture_at(shown.parts[0].path).astype(int)
    assert (shown.height, shown.width) == got.shape[:2] == wanted.shape[:2]
    assert np.abs(got - wanted).mean() < 3


def test_oblong_pixels_are_made_square_without_scaling_up(tmp_path, store):
    clip = make_clip(tmp_path / "wide.mp4", frames=3, size=(320, 240), aspect=Fraction(2, 1))
    shown = prepare(performance(clip), spec(), store)
    assert (shown.width, shown.height) == (320, 120)


def test_the_longer_side_is_scaled_down_and_never_up(tmp_path, store):
    clip = make_clip(tmp_path / "clip.mp4", frames=3, size=(320, 240))
    small = prepare(performance(clip), spec(max_side=100), store)
    assert (small.width, small.height) == (100, 75)
    large = prepare(performance(clip), spec(max_side=4000), store)
    assert (large.width, large.height) == (320, 240)


def test_a_cut_off_file_is_an_error_and_never_a_shorter_clip(tmp_path, store):
    whole = make_clip(tmp_path / "whole.mp4", container={"movflags": "+faststart"}, noise=True)
    for suffix, source in (("mp4", whole), ("mkv", remux(whole, tmp_path / "whole.mkv"))):
        data = source.read_bytes()
        cut = tmp_path / f"cut.{suffix}"
        cut.write_bytes(data[: int(len(data) * 0.7)])
        for form in ("frames", "video"):
            with pytest.raises(MediaError, match=r"'p1'.*cut\.m.*cut off"):
                prepare(performance(cut), spec(frames=8, form=form, native_sampling=form == "video"), store)
        with pytest.raises(MediaError, match="cut off"):
            prepare(performance(cut, start_s=1.0, end_s=3.9), spec(frames=8), store)
        # what lies before the cut is whole
        assert numbers(prepare(performance(cut, end_s=1.0), spec(frames=5), store)) == [2, 7, 12, 17, 22]


def test_a_cut_off_avi_is_an_error(tmp_path, store):
    data = make_clip(tmp_path / "whole.avi", codec="mpeg4").read_bytes()
    cut = tmp_path / "cut.avi"
    cut.write_bytes(data[: int(len(data) * 0.6)])
    with pytest.raises(MediaError, match="cut off"):
        prepare(performance(cut), spec(frames=8), store)


def test_damage_within_the_wanted_frames_is_an_error_and_elsewhere_is_not(tmp_path, store):
    clip = make_clip(tmp_path / "clip.mp4", options={"g": "25", "bf": "2"}, noise=True)
    with av.open(str(clip)) as container:
        stream = container.streams.video[0]
        where = {p.pts // 512: (p.pos, p.size) for p in container.demux(stream) if p.size}
    data = bytearray(clip.read_bytes())
    position, size = where[50]  # a key frame
    data[position + 40 : position + size] = bytes(size - 40)
    broken = tmp_path / "broken.mp4"
    broken.write_bytes(data)
    with pytest.raises(MediaError, match=r"broken\.mp4.*(damaged|cannot be decoded)"):
        prepare(performance(broken, start_s=2.2, end_s=2.8), spec(frames=4), store)
    with pytest.raises(MediaError):
        prepare(performance(broken), spec(form="video", native_sampling=True, fps=4), store)
    assert numbers(prepare(performance(broken, start_s=0, end_s=1.5), spec(frames=3), store)) == [6, 18, 31]
    assert numbers(prepare(performance(broken, start_s=3.0), spec(frames=5), store)) == [77, 82, 87, 92, 97]


@pytest.mark.parametrize(
    ("name", "codec", "options"),
    [
        ("clip.mp4", "libx264", {"g": "10"}),
        ("clip.mp4", "libx265", {"x265-params": "log-level=none:keyint=10"}),
        ("clip.webm", "libvpx-vp9", {"cpu-used": "8", "deadline": "realtime"}),
    ],
)
def test_zeros_within_a_picture_are_an_error_though_a_decoder_takes_them_for_a_picture(
    name, codec, options, tmp_path, store
):
    clip = make_clip(tmp_path / name, frames=30, size=(96, 64), codec=codec, options=options, noise=True)
    with av.open(str(clip)) as container:
        places = [(packet.pos, packet.size) for packet in container.demux(video=0) if packet.size]
    taken = 0
    for position, size in places[1::4]:
        data = bytearray(clip.read_bytes())
        middle = position + size - min(40, size // 2)
        data[middle : middle + 12] = bytes(12)
        broken = tmp_path / f"broken-{name}"
        broken.write_bytes(data)
        with suppress(av.error.FFmpegError), av.open(str(broken)) as container:
            taken += sum(not frame.is_corrupt for frame in container.decode(video=0)) == 30
        with pytest.raises(MediaError, match=r"broken-clip.*damage"):
            prepare(performance(broken), spec(), store)
    assert taken


def test_vp9_of_ten_bits_is_shown(tmp_path, store):
    whole, deep = make_clip(tmp_path / "whole.mp4", frames=30), tmp_path / "deep.webm"
    made = [
        "ffmpeg",
        "-v",
        "error",
        "-i",
        whole,
        "-c:v",
        "libvpx-vp9",
        "-pix_fmt",
        "yuv420p10le",
        "-cpu-used",
        "8",
        deep,
    ]
    if shutil.which("ffmpeg") is None or subprocess.run(made, check=False).returncode:
        pytest.skip("no ffmpeg here that writes VP9 of ten bits")
    assert numbers(prepare(performance(deep), spec(frames=3), store)) == [5, 15, 25]


def _unit(kind: int, content: bytes) -> bytes:
    return (len(content) + 1).to_bytes(4, "big") + bytes([kind]) + content


@pytest.mark.parametrize(
    ("packet", "is_damaged"),
    [
        (_unit(5, b"\x10\0\0\3\1\x80"), False),
        (_unit(5, b"\x10\0\0\3\0\0\x80"), False),
        (_unit(5, b"\x10\x80\0\0\3\0\0\3"), False),  # words of zeros may fill a picture up
        (_unit(5, b"\x10\x80\0\0\0\0\0"), False),  # zeros after it too
        (_unit(5, b"\x10\0\0\4\x80"), False),
        (_unit(6, b"\5\0\0\0\0\0\x80"), False),  # notes change no picture
        (_unit(5, b"\x10\0\0\0\x80"), True),
        (_unit(5, b"\x10\0\0\1\x80"), True),
        (_unit(5, b"\x10\0\0\3\x40\x80"), True),
        (_unit(0x85, b"\x10\x80"), True),
        (_unit(5, b"\x10\x80")[:-1], True),
        (_unit(6, b"\5") + _unit(1, b"\x10\0\0\2\x80"), True),
    ],
)
def test_what_h264_forbids_within_a_picture_is_damage(packet, is_damaged):
    assert damaged(packet, "h264", bytes([1, 77, 64, 31, 0xFF])) is is_damaged


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("text.mp4", b"not a film\n" * 100, "cannot be read as video"),
        ("empty.mp4", b"", "cannot be read as video"),
        ("list.mp4", b"#EXTM3U\n#EXTINF:4,\nother.ts\n#EXT-X-ENDLIST\n", "cannot be read as video"),
        ("script.mp4", b"ffconcat version 1.0\nfile 'other.mp4'\n", "cannot be read as video"),
        ("text.jpg", b"not a picture", "is not a picture"),
    ],
)
def test_what_is_no_media_is_named(name, content, says, tmp_path, store):
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(MediaError, match=rf"{path}.*{says}"):
        prepare(performance(path), spec(), store)


def test_a_file_with_sound_only_is_named(tmp_path, store):
    path = tmp_path / "song.mp4"
    with av.open(str(path), "w") as output:
        sound = output.add_stream("aac", rate=44100)
        part = av.AudioFrame.from_ndarray(np.zeros((2, 1024), np.float32), format="fltp", layout="stereo")
        part.sample_rate, part.pts = 44100, 0
        output.mux(sound.encode(part))
        output.mux(sound.encode(None))
    with pytest.raises(MediaError, match="has no video stream"):
        prepare(performance(path), spec(), store)


def test_times_beyond_the_clip_are_an_error_that_says_both_numbers(tmp_path, store):
    clip = make_clip(tmp_path / "clip.mp4", frames=50)
    with pytest.raises(MediaError, match=r"shorter than its times.*2\.00 s.*3 s"):
        prepare(performance(clip, end_s=3.0), spec(), store)
    with pytest.raises(MediaError, match=r"50 frames.*frame 51"):
        prepare(performance(clip, last_frame=51), spec(), store)
    # labels are rounded: a hair beyond the last frame is the end of the clip
    assert len(prepare(performance(clip, end_s=2.05), spec(), store).parts) == 50


def test_huge_pictures_are_refused_before_they_are_decoded(tmp_path, store, monkeypatch):
    clip = make_clip(tmp_path / "clip.mp4", frames=2)
    monkeypatch.setattr(video, "MAX_PIXELS", 50_000)
    with pytest.raises(MediaError, match="320 x 240 pixels"):
        prepare(performance(clip), spec(), store)


def test_a_clip_that_takes_too_long_is_given_up(tmp_path, store, monkeypatch):
    clip = make_clip(tmp_path / "clip.mp4", frames=100)
    monkeypatch.setattr("aqaudit.media.clip.DECODE_SECONDS", -1.0)
    with pytest.raises(MediaError, match="not decoded within"):
        prepare(performance(clip), spec(), store)


def test_too_many_frames_are_refused_with_the_remedy(tmp_path, store, monkeypatch):
    clip = make_clip(tmp_path / "clip.mp4", frames=20)
    monkeypatch.setattr("aqaudit.media.prepare.MAX_FRAMES", 10)
    with pytest.raises(MediaError, match=r"20 frames to show.*set fps or frames"):
        prepare(performance(clip), spec(), store)
    assert len(prepare(performance(clip), spec(frames=10), store).parts) == 10


DAMAGED = """
import random, sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
from media_clips import performance, spec
from media_clips import prepare
from aqaudit.media.cache import MediaStore
from aqaudit.core.records import BadInput
folder = Path(sys.argv[2])
store = MediaStore(folder / "store")
whole = [path.read_bytes() for path in sorted(folder.glob("whole.*"))]
suffixes = [path.suffix for path in sorted(folder.glob("whole.*"))]
rng = random.Random(11)
refused = 0
for number in range(200):
    data = bytearray(whole[number % len(whole)])
    kind = number // len(whole) % 4
    if kind == 0:
        data = data[: rng.randrange(len(data))]
    elif kind == 1:
        for _ in range(rng.choice([1, 4, 32])):
            data[rng.randrange(len(data))] = rng.randrange(256)
    elif kind == 2:
        at = rng.randrange(len(data)); data[at : at + rng.randrange(1, 400)] = bytes(rng.randrange(1, 400))
    else:
        at = rng.randrange(len(data)); del data[at : at + rng.randrange(1, 200)]
    path = folder / f"copy{number}{suffixes[number % len(whole)]}"
    path.write_bytes(data)
    form = ("frames", "video")[number % 2]
    try:
        shown = prepare(performance(path), spec(frames=6, form=form, native_sampling=number % 4 == 1), store)
        everything = prepare(performance(path), spec(), store)
    except BadInput as error:
        assert path.name in str(error) and "\\n" not in str(error), error
        refused += 1
    else:
        assert shown.frames == 6, (number, shown.frames)
        assert everything.frames == 30, (number, kind, everything.frames)
    path.unlink()
print(refused)
"""


def test_200_damaged_copies_never_crash_hang_or_come_out_short(tmp_path):
    clip = make_clip(tmp_path / "whole.mp4", frames=30, size=(96, 64), options={"g": "10"}, noise=True)
    remux(clip, tmp_path / "whole.mkv")
    make_clip(tmp_path / "whole.avi", frames=30, size=(96, 64), codec="mpeg4", noise=True)
    begun = time.monotonic()
    # in a process of its own: a crash of a decoder would take the tests with it
    done = subprocess.run(
        [sys.executable, "-c", DAMAGED, str(Path(__file__).parent), str(tmp_path)],
        capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]
    assert 50 < int(done.stdout) < 200
    assert time.monotonic() - begun < 60


def test_errors_of_media_are_bad_input(tmp_path, store):
    assert issubclass(MediaError, BadInput)
    with pytest.raises(BadInput, match="p1"):
        prepare(performance(tmp_path / "missing.mp4"), spec(), store)
