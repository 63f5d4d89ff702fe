"""What leaves the source: pixels and times, as asked, and nothing else."""

from __future__ import annotations

import hashlib
import io
import re
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import av
import numpy as np
import pytest
from PIL import Image

from aqaudit.core.records import BadInput, Mask
from aqaudit.media.cache import MediaStore
from aqaudit.media.types import MediaError
from media_clips import (
    cut_with_edit_list,
    decoded,
    make_clip,
    number_of,
    numbered_picture,
    performance,
    picture_at,
    prepare,
    remux,
    spec,
    with_matrix,
)

TRACES = re.compile(rb"x26[45]|Lav[cf]|secret|Smith|incorrect|squat|fra\0|Exif|Adobe|libx26")


@pytest.fixture
def store(tmp_path: Path) -> MediaStore:
    return MediaStore(tmp_path / "store")


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_clip(
        tmp_path_factory.mktemp("clips") / "subject_Smith_incorrect.mp4", options={"g": "30", "bf": "2"}, audio=True
    )


def assert_clean(data: bytes) -> None:
    assert TRACES.search(data) is None
    with av.open(io.BytesIO(data)) as container:
        assert [stream.type for stream in container.streams] == ["video"]
        assert not container.chapters()
        assert set(container.metadata) <= {"major_brand", "minor_version", "compatible_brands"}
        assert container.streams[0].metadata == {"language": "und", "handler_name": "VideoHandler"}


def test_frames_are_jpeg_without_metadata_under_neutral_names(clip, store):
    shown = prepare(performance(clip), spec(frames=4, max_side=160), store)
    assert (shown.frames, shown.fps, shown.width, shown.height) == (4, 1.0, 160, 120)
    assert shown.times_s == (0.48, 1.48, 2.48, 3.48)
    for part in shown.parts:
        data = part.path.read_bytes()
        assert part.mime == "image/jpeg"
        assert part.path.name == f"{hashlib.sha256(data).hexdigest()}.jpg" == f"{part.sha256}.jpg"
        assert TRACES.search(data) is None
        with Image.open(part.path) as image:
            assert image.size == (160, 120)
            assert set(image.info) <= {"jfif", "jfif_version", "jfif_unit", "jfif_density"}


@pytest.mark.parametrize(
    "given",
    [
        {"frames": 5},
        {"form": "video", "fps": 4},
        {"form": "video", "fps": 4, "native_sampling": True},
        {"frames": 5, "perturbation": "blank"},
    ],
)
def test_the_same_input_gives_the_same_bytes_in_any_thread(given, clip, tmp_path):
    def once(number: int) -> tuple[str, ...]:
        store = MediaStore(tmp_path / str(number))
        return tuple(part.sha256 for part in prepare(performance(clip), spec(**given), store).parts)

    with ThreadPoolExecutor(4) as pool:
        assert len(set(pool.map(once, range(8)))) == 1


def test_a_re_encoded_clip_holds_the_sampled_frames_at_their_times(clip, store):
    shown = prepare(performance(clip, start_s=1.0, end_s=3.0), spec(form="video", fps=5, max_side=161), store)
    (part,) = shown.parts
    data = part.path.read_bytes()
    assert_clean(data)
    times, pictures = decoded(data)
    assert [number_of(one) for one in pictures] == [25, 30, 35, 40, 45, 50, 55, 60, 65, 70]
    assert times == pytest.approx([0.2 * number for number in range(10)], abs=1e-4)
    assert (shown.frames, shown.fps, shown.width, shown.height) == (10, 5, 160, 120)
    assert (part.mime, part.start_s, part.end_s, part.fps) == ("video/mp4", None, None, None)
    with av.open(str(part.path)) as container:
        assert float(container.duration / 1e6) == pytest.approx(2.0, abs=0.01)


def test_a_provider_that_samples_by_itself_gets_the_source_frames_untouched(clip, store):
    shown = prepare(performance(clip), spec(form="video", fps=2, native_sampling=True), store)
    (part,) = shown.parts
    data = part.path.read_bytes()
    assert_clean(data)
    times, pictures = decoded(data)
    _, originals = decoded(clip.read_bytes())
    assert times == pytest.approx([number / 25 for number in range(100)])
    assert all(np.array_equal(a, b) for a, b in zip(pictures, originals, strict=True))
    assert (part.start_s, part.end_s, part.fps) == (None, None, 2)
    assert (shown.frames, shown.fps, shown.width, shown.height) == (8, 2, 320, 240)


def test_a_copied_window_begins_at_a_key_frame_and_says_where_the_performance_is(clip, store):
    one = performance(clip, start_s=1.4, end_s=2.6)
    shown = prepare(one, spec(form="video", fps=5, native_sampling=True), store)
    (part,) = shown.parts
    times, pictures = decoded(part.path.read_bytes())
    assert number_of(pictures[0]) == 30  # the key frame before frame 35
    assert part.start_s == pytest.approx(5 / 25)
    inside = [
        number_of(picture)
        for time_s, picture in zip(times, pictures, strict=True)
        if part.start_s - 1e-4 <= time_s < (part.end_s or 1e9) - 1e-4
    ]
    assert inside == list(range(35, 65))
    assert (shown.frames, shown.fps) == (6, 5)


@pytest.mark.parametrize("name", ["clip.mkv", "clip.ts", "hevc.mp4", "vp9.webm", "cut.mp4"])
def test_copies_from_any_container_are_clean_and_complete(name, clip, tmp_path, store):
    path = tmp_path / name
    if name in {"clip.mkv", "clip.ts"}:
        remux(clip, path)
    elif name == "hevc.mp4":
        make_clip(path, codec="libx265", options={"x265-params": "log-level=none:keyint=30"})
    elif name == "vp9.webm":
        make_clip(path, codec="libvpx-vp9", options={"cpu-used": "8", "deadline": "realtime", "g": "30"}, size=(96, 64))
    else:
        cut_with_edit_list(clip, path, 0, 99)
    one = performance(path, start_s=2.0, end_s=3.0)
    (part,) = prepare(one, spec(form="video", fps=5, native_sampling=True), store).parts
    data = part.path.read_bytes()
    assert_clean(data)
    times, pictures = decoded(data)
    start, end = part.start_s or 0.0, part.end_s or 1e9
    inside = [number_of(p) for t, p in zip(times, pictures, strict=True) if start - 1e-3 <= t < end - 1e-3]
    assert inside == list(range(50, 75))


def test_a_turned_clip_is_still_turned_when_it_is_copied(clip, tmp_path, store):
    turned = with_matrix(clip, tmp_path / "turned.mp4", 0, 1, -1, 0)
    shown = prepare(performance(turned), spec(form="video", fps=1, native_sampling=True), store)
    assert (shown.width, shown.height) == (240, 320)
    with av.open(str(shown.parts[0].path)) as container:
        assert next(container.decode(video=0)).rotation == -90


def test_what_is_masked_or_perturbed_is_never_sent_as_it_was(clip, store):
    asked = {"form": "video", "fps": 5, "native_sampling": True}
    masked = performance(clip, masks=(Mask(box=(0, 0, 160, 240)),))
    for one, given in ((masked, asked), (performance(clip), {**asked, "perturbation": "blank"})):
        (part,) = prepare(one, spec(**given), store).parts
        times, pictures = decoded(part.path.read_bytes())
        assert times == pytest.approx([0.2 * number for number in range(20)], abs=1e-4)
        assert part.fps == 5
        for picture in pictures:
            assert picture[:, :150].astype(int).std(axis=(0, 1)).max() < 3


def test_masks_cover_their_box_for_their_time_on_the_source(clip, store):
    mask = Mask(box=(200.4, 10, 240, 60.5), from_s=1.0, to_s=2.0)
    one = performance(clip, start_s=0.5, masks=(mask,))
    shown = prepare(one, spec(fps=1), store)
    for part, time_s in zip(shown.parts, shown.times_s, strict=True):
        inside = picture_at(part.path)[20:50, 212:228].astype(int)
        covered = np.abs(inside - 128).max() < 12
        assert covered == (1.0 <= time_s + 0.5 <= 2.0)


def test_masks_are_in_pixels_of_the_upright_picture(clip, tmp_path, store):
    turned = with_matrix(clip, tmp_path / "turned.mp4", 0, 1, -1, 0)
    one = performance(turned, masks=(Mask(box=(0, 300, 240, 320)),))
    picture = picture_at(prepare(one, spec(frames=1), store).parts[0].path).astype(int)
    assert picture.shape == (320, 240, 3)
    assert np.abs(picture[304:] - 128).max() < 12
    assert np.abs(picture[:290] - 128).max() > 50


def test_blank_shows_as_many_frames_of_the_mean_colour(clip, store):
    plain = prepare(performance(clip), spec(frames=6), store)
    blank = prepare(performance(clip), spec(frames=6, perturbation="blank"), store)
    assert (blank.frames, blank.fps, blank.width, blank.height, blank.times_s) == (
        plain.frames, plain.fps, plain.width, plain.height, plain.times_s,
    )  # fmt: skip
    assert len({part.sha256 for part in blank.parts}) == 1
    mean = np.mean([picture_at(part.path).mean(axis=(0, 1)) for part in plain.parts], axis=0)
    assert np.abs(picture_at(blank.parts[0].path) - mean).max() < 3


def test_no_media_are_touched_where_none_are_shown(tmp_path, store):
    for given in ({"form": "none"}, {"perturbation": "text_only"}):
        shown = prepare(performance(tmp_path / "nowhere.mp4"), spec(**given), store)
        assert (shown.parts, shown.frames) == ((), 0)


def test_what_cannot_be_prepared_names_what_can(clip, store):
    with pytest.raises(BadInput, match=r"view 'overlays' cannot be prepared; did you mean 'overlay'"):
        prepare(performance(clip), spec(view="overlays"), store)
    with pytest.raises(BadInput, match=r"perturbation 'mixed' cannot be prepared"):
        prepare(performance(clip), spec(perturbation="mixed"), store)
    with pytest.raises(BadInput, match=r"needs the performer's joints"):
        prepare(performance(clip), spec(view="overlay"), store)


@pytest.mark.parametrize("form", ["frames", "video"])
def test_a_picture_is_one_upright_jpeg_without_its_notes(form, tmp_path, store):
    exif = Image.Exif()
    exif[0x0112], exif[0x010E] = 6, "incorrect squat of Smith"
    path = tmp_path / "photo.jpg"
    source = numbered_picture(77)
    Image.fromarray(np.rot90(source)).save(path, exif=exif, quality=95, comment=b"secret")
    shown = prepare(performance(path), spec(form=form, fps=4, max_side=160), store)
    assert (shown.frames, shown.fps, shown.width, shown.height) == (1, None, 160, 120)
    assert shown.parts[0].mime == "image/jpeg"
    assert TRACES.search(shown.parts[0].path.read_bytes()) is None
    assert number_of(picture_at(shown.parts[0].path)) == 77


def test_a_cut_off_or_damaged_picture_is_an_error(tmp_path, store):
    rng = np.random.default_rng(1)
    for suffix in ("jpg", "png"):
        path = tmp_path / f"photo.{suffix}"
        Image.fromarray(rng.integers(0, 255, (120, 160, 3), dtype=np.uint8)).save(path)
        data = path.read_bytes()
        for broken in (data[: len(data) // 2], data[:3000] + bytes(500) + data[3500:]):
            path.write_bytes(broken)
            with pytest.raises(MediaError, match=rf"photo\.{suffix}: damaged or cut off"):
                prepare(performance(path), spec(), store)


def test_numbered_frames_are_a_clip(tmp_path, store):
    folder = tmp_path / "frames"
    folder.mkdir()
    for number in range(1, 41):
        Image.fromarray(numbered_picture(number)).save(folder / f"{number:06d}.jpg", quality=95)
    whole = prepare(performance(folder, fps=10), spec(frames=4), store)
    assert [number_of(picture_at(part.path)) for part in whole.parts] == [6, 16, 26, 36]
    assert (whole.fps, whole.times_s) == (1.0, (0.5, 1.5, 2.5, 3.5))
    counted = prepare(performance(folder, fps=10, first_frame=11, last_frame=20), spec(fps=5), store)
    assert [number_of(picture_at(part.path)) for part in counted.parts] == [11, 13, 15, 17, 19]
    assert counted.times_s[0] == 0.0
    timed = prepare(performance(folder, fps=10, start_s=1.0, end_s=1.5), spec(fps=30), store)
    assert [number_of(picture_at(part.path)) for part in timed.parts] == [11, 12, 13, 14, 15]
    assert timed.fps == 10
    encoded = prepare(performance(folder, fps=10), spec(form="video", fps=2, native_sampling=True), store)
    times, pictures = decoded(encoded.parts[0].path.read_bytes())
    assert [number_of(one) for one in pictures] == [1, 6, 11, 16, 21, 26, 31, 36]
    assert times == pytest.approx([0.5 * number for number in range(8)], abs=1e-4)
    (folder / "000013.jpg").unlink()
    with pytest.raises(MediaError, match="first is 13"):
        prepare(performance(folder, fps=10), spec(frames=4), store)


def test_the_store_keeps_each_file_once_and_whole(tmp_path):
    store = MediaStore(tmp_path / "store")
    with ThreadPoolExecutor(8) as pool:
        parts = list(pool.map(lambda _: store.put(b"the same bytes", "image/jpeg"), range(40)))
    assert len(set(parts)) == 1
    sha256 = hashlib.sha256(b"the same bytes").hexdigest()
    assert [p.relative_to(store.folder) for p in store.folder.rglob("*.*")] == [Path(sha256[:2], f"{sha256}.jpg")]
    assert parts[0].path.read_bytes() == b"the same bytes"
    parts[0].path.write_bytes(b"")  # what a power cut leaves
    assert store.put(b"the same bytes", "image/jpeg").path.read_bytes() == b"the same bytes"


def test_a_full_disk_leaves_no_partial_file(tmp_path, monkeypatch):
    store = MediaStore(tmp_path / "store")
    full = Path("/dev/full")
    if not full.exists():
        pytest.skip("no /dev/full on this system")
    real = Path.with_name

    def onto_full_disk(self: Path, name: str) -> Path:
        draft = real(self, name)
        if not draft.is_symlink():
            draft.symlink_to(full)
        return draft

    monkeypatch.setattr(Path, "with_name", onto_full_disk)
    with pytest.raises(OSError, match="No space left"):
        store.put(b"x" * 100_000, "video/mp4")
    assert [path for path in store.folder.rglob("*") if not path.is_dir()] == []


def test_real_clips_go_out_clean_and_at_their_own_rate(shared_data, store):
    videos = shared_data / "samples" / "rgb_video"
    for name, fps, frames in (("pose_squats.mp4", 5, 65), ("beam_cam02.mp4", 60, 100), ("beam_cam04.mp4", 60, 100)):
        one = performance(videos / name)
        shown = prepare(one, spec(fps=1000 if frames == 65 else 10, max_side=256), store)
        assert shown.fps == (5 if frames == 65 else 10)
        assert shown.frames == (65 if frames == 65 else 17)
        assert max(shown.width, shown.height) == 256
        assert shown.height > shown.width
        assert shown.times_s == pytest.approx([n / min(fps, 10) for n in range(shown.frames)], abs=0.01)
        (part,) = prepare(one, spec(form="video", fps=8, native_sampling=True), store).parts
        assert_clean(part.path.read_bytes())
        with av.open(str(part.path)) as container:
            packets = [packet for packet in container.demux(video=0) if packet.size]
        times = sorted(float(packet.pts * packet.time_base) for packet in packets)
        assert times == pytest.approx([n / fps for n in range(frames)], abs=1e-3)
        assert part.fps == min(8, fps)


def test_drawn_motion_capture_clips_are_shown_frame_by_frame(shared_data, store):
    clips = sorted((shared_data / "samples" / "skeleton_uiprmd" / "clips").glob("*.mp4"))[:3]
    for path in clips:
        shown = prepare(performance(path), spec(), store)
        with av.open(str(path)) as container:
            assert shown.frames == container.streams.video[0].frames
        assert shown.fps == 25
