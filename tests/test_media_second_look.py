"""Damage that a decoder takes for a picture: told by whether the data of a picture end where it does."""

from __future__ import annotations

import random
import struct
import sys
from contextlib import suppress

import av
import numpy as np
import pytest

from aqaudit.media import libde265
from aqaudit.media.decoding import decode
from aqaudit.media.index import index_video
from aqaudit.media.prepare import prepare
from aqaudit.media.store import MediaStore
from aqaudit.media.units import header_units, spans
from aqaudit.media.video import Deadline, MediaError
from media_clips import make_clip, numbers, performance, remux, spec

SMALL = {"frames": 30, "size": (160, 112), "noise": True}
H264 = {
    "plain": {"g": "10"},
    "without arithmetic coding": {"g": "10", "x264-params": "cabac=0"},
    "four slices a picture": {"x264-params": "slices=4"},
    "two fields": {"flags": "+ilme+ildct", "x264-params": "tff=1"},
    "key frames only": {"g": "1"},
    "finest": {"qp": "1"},
    "coarsest": {"qp": "50"},
    "many frames held back": {"x264-params": "bframes=8:b-pyramid=2:ref=8"},
}
HEVC = {
    "plain": "keyint=10",
    "four slices a picture": "slices=4",
    "not in parallel": "wpp=0",
    "small blocks": "ctu=16:min-cu-size=8:keyint=10",
    "layers of time": "temporal-layers=3",
    "lossless": "lossless=1",
}


@pytest.fixture
def store(tmp_path):
    return MediaStore(tmp_path / "store")


def shown(clip, *, every=1):
    index = index_video(clip)
    wanted = range(0, len(index.shown), every)
    return [one.frame.to_ndarray() for one in decode(index, wanted, Deadline(clip, 60.0))]


def quietly(clip):
    """Decode as FFmpeg does; None where it tells of damage in any way."""
    try:
        with av.open(str(clip)) as container:
            frames = list(container.decode(video=0))
    except (av.error.FFmpegError, UnicodeDecodeError):
        return None
    if any(frame.is_corrupt for frame in frames):
        return None
    return [frame.to_ndarray() for frame in frames]


def changed(clip, seed, times):
    """Copies of a clip with one byte of its coded pictures changed."""
    data = clip.read_bytes()
    with av.open(str(clip)) as container:
        places = [(packet.pos, packet.size) for packet in container.demux(video=0) if packet.size]
    rng = random.Random(seed)
    for number in range(times):
        position, size = rng.choice(places)
        at = position + rng.randrange(40, size)
        broken = bytearray(data)
        broken[at] ^= rng.randrange(1, 256)
        copy = clip.with_name(f"copy{number}{clip.suffix}")
        copy.write_bytes(broken)
        yield copy


def untold(clip, seed, times):
    """Of copies with a changed byte, those of which FFmpeg makes other pictures without a word: how many, how many of
    them are shown."""
    whole = quietly(clip)
    wrong, passed = 0, 0
    for copy in changed(clip, seed, times):
        pictures = quietly(copy)
        if pictures is None or len(pictures) != len(whole) or all(map(np.array_equal, pictures, whole)):
            continue
        wrong += 1
        with suppress(MediaError):
            shown(copy)
            passed += 1
    return wrong, passed


@pytest.mark.parametrize("kind", H264)
def test_sound_h264_is_shown(kind, tmp_path):
    clip = make_clip(tmp_path / "clip.mp4", options=H264[kind], **SMALL)
    for source in (clip, remux(clip, tmp_path / "clip.mkv"), remux(clip, tmp_path / "clip.ts")):
        assert len(shown(source)) == 30
        assert len(shown(source, every=7)) == 5


@pytest.mark.parametrize("kind", HEVC)
def test_sound_hevc_is_shown(kind, tmp_path):
    options = {"x265-params": f"log-level=none:{HEVC[kind]}"}
    clip = make_clip(tmp_path / "clip.mp4", codec="libx265", options=options, **SMALL)
    for source in (clip, remux(clip, tmp_path / "clip.mkv"), remux(clip, tmp_path / "clip.ts")):
        assert len(shown(source)) == 30
        assert len(shown(source, every=7)) == 5


def test_small_h264_that_ffmpeg_takes_for_pictures_is_refused(tmp_path):
    clip = make_clip(tmp_path / "clip.mp4", options={"g": "10"}, frames=30, size=(96, 64), noise=True)
    wrong, passed = untold(clip, 3, 120)
    assert wrong >= 20
    assert passed <= 0.25 * wrong


def test_hevc_that_ffmpeg_takes_for_pictures_is_refused(tmp_path):
    clip = make_clip(
        tmp_path / "clip.mp4", codec="libx265", options={"x265-params": "log-level=none:keyint=10"}, **SMALL
    )
    wrong, passed = untold(clip, 4, 60)
    assert wrong >= 40
    assert passed <= 0.05 * wrong


def test_damaged_hevc_is_shown_up_to_the_damage(tmp_path, store):
    clip = make_clip(
        tmp_path / "clip.mp4",
        codec="libx265",
        options={"x265-params": "log-level=none:keyint=10:open-gop=0:bframes=0"},
        **SMALL,
    )
    with av.open(str(clip)) as container:
        places = [(packet.pos, packet.size) for packet in container.demux(video=0) if packet.size]
    data = bytearray(clip.read_bytes())
    position, size = places[15]
    for at in range(position + 40, position + size, 50):
        data[at] ^= 0x55
    broken = tmp_path / "broken.mp4"
    broken.write_bytes(data)
    with pytest.raises(MediaError, match=r"broken\.mp4.*damaged at 0\.60 s"):
        prepare(performance(broken), spec(), store)
    assert numbers(prepare(performance(broken, last_frame=15), spec(), store)) == list(range(15))
    assert numbers(prepare(performance(broken, first_frame=21), spec(), store)) == list(range(20, 30))


def test_without_libde265_hevc_is_shown_with_a_warning(tmp_path, monkeypatch):
    clip = make_clip(tmp_path / "clip.mp4", codec="libx265", **SMALL)
    monkeypatch.setattr(libde265, "find_spec", lambda name: None)
    monkeypatch.setattr(libde265, "find_library", lambda name: None)
    libde265.library.cache_clear()
    try:
        with pytest.warns(UserWarning, match=r"HEVC.*pip install pi-heif"):
            assert len(shown(clip)) == 30
    finally:
        libde265.library.cache_clear()


@pytest.mark.parametrize("does", ["import os; os.abort()", "import time; time.sleep(60)"])
def test_a_decoder_that_crashes_or_hangs_is_an_error_in_time(does, tmp_path, monkeypatch):
    clip = make_clip(tmp_path / "clip.mp4", codec="libx265", **SMALL)
    script = tmp_path / "script.py"
    script.write_text(does)
    monkeypatch.setattr(libde265.process, "__file__", str(script))
    index = index_video(clip)
    with pytest.raises(MediaError, match=r"clip\.mp4: (libde265.*fails on it|not decoded within 2 s)"):
        list(decode(index, range(30), Deadline(clip, 2.0)))


def test_a_library_that_cannot_be_loaded_leaves_hevc_unchecked(tmp_path, monkeypatch):
    clip = make_clip(tmp_path / "clip.mp4", codec="libx265", **SMALL)
    monkeypatch.setattr(libde265, "library", lambda: sys.executable)
    assert len(shown(clip)) == 30


def test_a_frame_that_its_file_shows_after_everything_is_damage(tmp_path, store):
    clip = make_clip(tmp_path / "clip.mp4", options={"bf": "2"}, **SMALL)
    data = bytearray(clip.read_bytes())
    box = data.index(b"ctts") - 4
    (length,) = struct.unpack_from(">I", data, box)
    struct.pack_into(
        ">I", data, box + length - 4, 1 << 28
    )  # the last offset from when it is decoded to when it is shown
    clip.write_bytes(data)
    with pytest.raises(MediaError, match=r"clip\.mp4.*cut off or damaged"):
        prepare(performance(clip), spec(), store)


def test_zeros_in_large_pictures_of_vp9_are_damage(tmp_path):
    options = {"cpu-used": "8", "deadline": "realtime"}
    clip = make_clip(tmp_path / "clip.webm", codec="libvpx-vp9", options=options, frames=8, size=(640, 360), noise=True)
    assert len(shown(clip)) == 8
    with av.open(str(clip)) as container:
        places = [(packet.pos, packet.size) for packet in container.demux(video=0) if packet.size > 1000]
    for position, size in places:
        data = bytearray(clip.read_bytes())
        middle = position + size // 2
        data[middle : middle + 20] = bytes(20)
        broken = tmp_path / "broken.webm"
        broken.write_bytes(data)
        with pytest.raises(MediaError, match=r"broken\.webm.*damaged"):
            shown(broken)


def test_units_are_found_by_their_lengths_and_by_start_codes():
    packet = b"\0\0\0\2\x65\x88" + b"\0\0\0\1\x41" + b"\0\0\0\x63\x41\x9a"
    assert [packet[a:b] for a, b in spans(packet, 4)] == [b"\x65\x88", b"\x41", b"\x41\x9a"]
    packet = b"\0\0\0\1\x65\x88\0\0\1\x41\x9a"
    assert [packet[a:b].rstrip(b"\0") for a, b in spans(packet, 0)] == [b"\x65\x88", b"\x41\x9a"]
    assert list(spans(b"", 0)) == list(spans(b"", 4)) == []


def test_the_units_of_a_header_are_those_that_were_put_in():
    record = bytes([1, *bytes(20), 3, 2]) + b"\x20\0\1\0\2\x40\1" + b"\xa1\0\2\0\3\x42\1\2\0\2\x42\3"
    assert header_units(record) == [b"\x40\1", b"\x42\1\2", b"\x42\3"]
    assert header_units(b"\0\0\1\x40\1\0\0\1\x42\1") == [b"\x40\1", b"\x42\1"]
    assert header_units(b"") == []
