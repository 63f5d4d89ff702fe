"""Clips for the media tests, made on the spot: every frame carries its number in its pixels."""

from __future__ import annotations

import io
import struct
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any

import av
import numpy as np
from PIL import Image

from aqaudit.core.records import MediaSpec, Performance, Shown
from aqaudit.media import prepare as media_prepare

if TYPE_CHECKING:
    from collections.abc import Sequence

    from aqaudit.media.cache import MediaStore

BITS = 8


def numbered_picture(number: int, width: int = 320, height: int = 240) -> np.ndarray:
    """A picture that shows ``number`` as eight vertical bars (white = 1), between a red top and a blue bottom."""
    picture = np.zeros((height, width, 3), np.uint8)
    for bit in range(BITS):
        if number >> bit & 1:
            picture[:, bit * width // BITS : (bit + 1) * width // BITS] = 255
    picture[: height // 4] = (200, 0, 0)
    picture[-height // 4 :] = (0, 0, 200)
    return picture


def number_of(picture: np.ndarray) -> int:
    height, width = picture.shape[:2]
    middle = picture[height // 2].astype(int).sum(axis=1) > 380
    return sum(1 << bit for bit in range(BITS) if middle[int((bit + 0.5) * width / BITS)])


def make_clip(
    path: Path,
    *,
    frames: int = 100,
    fps: int = 25,
    codec: str = "libx264",
    size: tuple[int, int] = (320, 240),
    options: dict[str, str] | None = None,
    times_ms: Sequence[int] | None = None,
    audio: bool = False,
    aspect: Fraction | None = None,
    container: dict[str, str] | None = None,
    noise: bool = False,
    pix_fmt: str = "yuv420p",
) -> Path:
    """Write a clip with telling metadata; ``times_ms`` makes its frame rate variable."""
    rng = np.random.default_rng(5)
    with av.open(str(path), "w", options=container or {}) as output:
        output.metadata["title"] = "incorrect squat, subject Smith"
        output.metadata["comment"] = "secret-comment"
        stream = output.add_stream(codec, rate=fps, options={"x265-params": "log-level=none", **(options or {})})
        stream.width, stream.height, stream.pix_fmt = *size, pix_fmt
        stream.metadata["handler_name"] = "secret-handler"
        stream.metadata["language"] = "fra"
        if aspect:
            stream.sample_aspect_ratio = aspect
        base = Fraction(1, 1000) if times_ms else Fraction(1, fps)
        if times_ms:
            stream.codec_context.time_base = base
        sound = output.add_stream("aac", rate=44100) if audio else None
        for number in range(frames):
            picture = numbered_picture(number, *size)
            if noise:
                picture = picture // 4 * 3 + rng.integers(0, 60, picture.shape, dtype=np.uint8)
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
            frame.pts, frame.time_base = times_ms[number] if times_ms else number, base
            output.mux(stream.encode(frame))
        output.mux(stream.encode(None))
        if sound:
            for block in range(int(frames / fps * 44100 / 1024)):
                tone = np.zeros((2, 1024), np.float32)
                part = av.AudioFrame.from_ndarray(tone, format="fltp", layout="stereo")
                part.sample_rate, part.pts = 44100, block * 1024
                output.mux(sound.encode(part))
            output.mux(sound.encode(None))
    return path


def cut_with_edit_list(source: Path, target: Path, first: int, last: int, ticks: int = 512) -> Path:
    """Copy frames of a 25 fps MP4 without encoding: those before ``first`` are stored but hidden by an edit list."""
    with av.open(str(source)) as read, av.open(str(target), "w") as output:
        stream = read.streams.video[0]
        copied = output.add_stream_from_template(stream, opaque=True)
        read.seek(first * ticks, stream=stream)
        for packet in read.demux(stream):
            if packet.size == 0 or packet.pts > last * ticks:
                continue
            packet.pts -= first * ticks
            packet.dts -= first * ticks
            packet.stream = copied
            output.mux(packet)
    return target


def remux(source: Path, target: Path, **options: str) -> Path:
    with av.open(str(source)) as read, av.open(str(target), "w", options=options) as output:
        stream = read.streams.video[0]
        copied = output.add_stream_from_template(stream, opaque=True)
        for packet in read.demux(stream):
            if packet.size:
                packet.stream = copied
                output.mux(packet)
    return target


def with_matrix(source: Path, target: Path, a: int, b: int, c: int, d: int) -> Path:
    """Write the display matrix of an MP4's track header."""
    data = bytearray(source.read_bytes())
    at = data.find(b"tkhd") + 4 + (40 if data[data.find(b"tkhd") + 4] == 0 else 52)
    data[at : at + 36] = struct.pack(">9i", a << 16, b << 16, 0, c << 16, d << 16, 0, 0, 0, 1 << 30)
    target.write_bytes(data)
    return target


def performance(media: Path, **given: object) -> Performance:
    return Performance(**{"id": "p1", "media": media, "action": "squat", "performer": "s1", "video": "v1", **given})  # type: ignore[arg-type]


def spec(**given: object) -> MediaSpec:
    return MediaSpec(**given)  # type: ignore[arg-type]


def picture_at(path: Path) -> np.ndarray:
    return np.asarray(Image.open(path).convert("RGB"))


def numbers(shown) -> list[int]:
    """The numbers of the frames that are shown."""
    return [number_of(picture_at(part.path)) for part in shown.parts]


def decoded(data: bytes) -> tuple[list[float], list[np.ndarray]]:
    """Every frame of a clip with its time, by a plain full decode."""
    with av.open(io.BytesIO(data)) as container:
        frames = list(container.decode(video=0))
        return [float(frame.time) for frame in frames], [frame.to_ndarray(format="rgb24") for frame in frames]


def prepare(one: Performance, spec: MediaSpec, store: MediaStore, **given: Any) -> Shown:
    """Prepare what is shown of a performance in one way."""
    return media_prepare.prepare(one, [spec], store, **given)[0]
