"""Media parts read back from their files, for models that run in this process."""

from __future__ import annotations

import av
from PIL import Image

from aqaudit.core.records import MediaPart
from aqaudit.models.call import AskFailed

#: More frames than any model takes; a file that holds more is not read to its end.
MOST_FRAMES = 4096


def picture(part: MediaPart) -> Image.Image:
    """Return a picture as RGB.

    Raises
    ------
    AskFailed
        The file cannot be read as a picture.
    """
    try:
        with Image.open(part.path) as opened:
            return opened.convert("RGB")
    except (OSError, ValueError, Image.DecompressionBombError) as error:
        raise AskFailed("media", f"cannot read a picture: {error}") from None


def clip(part: MediaPart) -> tuple[list[av.VideoFrame], float]:
    """Return the frames of a clip, and its frames per second.

    Raises
    ------
    AskFailed
        The file cannot be decoded, shows no frame, or more than :data:`MOST_FRAMES`.
    """
    try:
        with av.open(str(part.path)) as container:
            stream = container.streams.video[0]
            stream.thread_count = 1
            rate = float(stream.average_rate or part.fps or 1)
            frames = []
            for frame in container.decode(stream):
                frames.append(frame)
                if len(frames) > MOST_FRAMES:
                    raise AskFailed("media", f"a clip of more than {MOST_FRAMES} frames; lower fps or max_frames")
    except (av.error.FFmpegError, OSError, IndexError) as error:
        raise AskFailed("media", f"cannot decode a clip: {error}") from None
    if not frames:
        raise AskFailed("media", "a clip that shows no frame")
    return frames, rate
