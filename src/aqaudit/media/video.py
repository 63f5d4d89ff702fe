"""Videos: opening files safely, within bounds.

PyAV is the one reader that is right on every awkward file that was tried, provided that the frames are counted here
(:mod:`aqaudit.media.index`): a cut-off file decodes to fewer frames without a word, and damage is only a flag on the
frames it reaches.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

import av
from av.container import InputContainer
from av.packet import Packet
from av.stream import Disposition
from av.video.codeccontext import VideoCodecContext
from av.video.stream import VideoStream

from aqaudit.core.records import BadInput

MAX_PIXELS = 100_000_000  # of one picture: 100 megapixels
MAX_FRAMES = 10_000  # sent of one clip
DECODE_SECONDS = 120.0  # for one clip

# Only real files with frames of their own: no play lists or scripts that name other files, no network.
_CONTAINERS = "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,avi,mpegts,mpeg,mpegvideo,flv,asf,ogg,h264,hevc,m4v,ivf,mxf,gif"
_OPTIONS = {"format_whitelist": _CONTAINERS, "protocol_whitelist": "file"}
# Containers whose headers describe their streams.
_DESCRIBED = ("mov", "matroska")
# While a file is opened only: decode nothing of any stream, and read no more than the header where that tells enough.
_UNDECODED = [{"skip_frame": "all"}] * 64
_HEADER = {**_OPTIONS, "probesize": "8192"}
# FFmpeg's own VP9 decoder reads past damage without a word; libvpx, whose pictures are the same, tells of it.
_STRICT = {"vp9": "libvpx-vp9"}


class MediaError(BadInput):
    """A source that cannot be shown as asked: unreadable, cut off, damaged or too large; names the file."""


class Deadline:
    """A limit on the time spent on one clip, so that no file can hold up a run."""

    def __init__(self, path: Path, seconds: float) -> None:
        self.path, self.seconds = path, seconds
        self.ends = time.monotonic() + seconds

    @property
    def left_s(self) -> float:
        """Seconds until then."""
        return self.ends - time.monotonic()

    def check(self) -> None:
        """Raise :class:`MediaError` once the time is over."""
        if time.monotonic() > self.ends:
            raise MediaError(
                f"{self.path}: not decoded within {self.seconds:g} s; cut the clip shorter or re-encode it"
            )


@contextmanager
def open_video(path: Path, *, quick: bool = False) -> Iterator[tuple[InputContainer, VideoStream]]:
    """Open a file and its (first, not cover art) video stream; :class:`MediaError` where there is none.

    ``quick`` does not decode the first frames to learn more of the stream, which costs as much as a fifth of decoding
    four seconds, where the file's header tells enough. What only decoding tells is then known after the first frame:
    the shape of pixels that the container does not state, and how far frames are reordered.
    """
    with ExitStack() as closing:
        container = None
        if quick:
            # Some containers do not know their streams before they are decoded; the long way says what is wrong.
            with suppress(MediaError):
                container = closing.enter_context(_opened(path, _HEADER, _UNDECODED))
        if container is None or (quick and not _told(container)):
            closing.close()
            container = closing.enter_context(_opened(path))
        yield container, _stream(path, container)


def _told(container: InputContainer) -> bool:
    videos = container.streams.video
    known = [getattr(one, "codec_context", None) for one in videos]
    described = all(
        one and one.width and one.height and (one.name not in _STRICT or one.pix_fmt is not None) for one in known
    )
    return container.format.name.startswith(_DESCRIBED) and described


def _opened(path: Path, options: dict[str, str] = _OPTIONS, streams: Any = None) -> InputContainer:
    try:
        return av.open(
            str(path.absolute()),
            "r",
            container_options=options,
            stream_options=streams,
            metadata_errors="replace",
        )
    except (av.error.FFmpegError, OSError, ValueError) as error:
        what = error.strerror if isinstance(error, OSError) else str(error)
        raise MediaError(
            f"{path}: cannot be read as video ({what}); allowed: a video, a picture or a folder of numbered frames"
        ) from None


def _stream(path: Path, container: InputContainer) -> VideoStream:
    streams = [one for one in container.streams.video if not one.disposition & Disposition.attached_pic]
    if not streams:
        held = ", ".join(sorted({one.type for one in container.streams})) or "nothing"
        raise MediaError(f"{path}: has no video stream (it holds: {held})")
    stream = streams[0]
    # A stream of an unknown codec has no context, which the type stubs do not say.
    if getattr(stream, "codec_context", None) is None:
        raise MediaError(f"{path}: its video codec is not known; re-encode it, for example as H.264")
    check_size(path, stream.codec_context.width, stream.codec_context.height)
    _limit(stream.codec_context)
    return stream


def _limit(context: VideoCodecContext) -> None:
    context.thread_count = 1  # clips run side by side instead
    # Frames larger than the header says are refused by the decoder.
    context.options = {"max_pixels": str(MAX_PIXELS)}


def decoder(stream: VideoStream) -> VideoCodecContext:
    """Return what decodes a stream of :func:`open_video`: the decoder of its codec that tells most of damage."""
    own = stream.codec_context
    name = _STRICT.get(own.name)
    # (built for eight bits)
    if name is None or name not in av.codecs_available or own.format is None or own.format.components[0].bits != 8:
        return own
    context = VideoCodecContext.create(name, "r")
    assert isinstance(context, VideoCodecContext)  # noqa: S101 - the codec is one of videos
    context.extradata = own.extradata
    _limit(context)
    return context


def check_size(path: Path, width: int, height: int) -> None:
    """Refuse pictures of over 100 megapixels before anything is decoded."""
    if width * height > MAX_PIXELS:
        raise MediaError(f"{path}: {width} x {height} pixels; at most {MAX_PIXELS // 10**6} megapixels are read")


def packets(container: InputContainer, stream: VideoStream) -> Iterator[Packet[VideoStream]]:
    """Packets in decoding order, the empty last one, which flushes the decoder, included; ends where reading fails."""
    try:
        yield from container.demux(stream)
    except av.error.FFmpegError:
        return
