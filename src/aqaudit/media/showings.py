"""Showings: what one way of showing a clip needs of it, and what becomes of the pictures that are drawn for it."""

from __future__ import annotations

import tempfile
from dataclasses import replace
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from aqaudit.media import encode
from aqaudit.media.perturb import MeanColour, order
from aqaudit.media.video import MAX_FRAMES, MediaError
from aqaudit.records import Shown

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    from aqaudit.media.still import Still
    from aqaudit.media.store import MediaStore
    from aqaudit.media.views import Drawing, Picture
    from aqaudit.records import MediaPart, MediaSpec

#: Bytes of pictures out of order that are kept in memory before they go to a temporary file.
_IN_MEMORY = 64 * 2**20


class Showing:
    """One way of showing a clip: takes frames as they are decoded, in the order of the source, each once.

    Parameters
    ----------
    path
        The source, for error messages.
    spec
        How it is shown.
    draw
        How its frames are drawn.
    positions
        The frames (positions in the source) that are shown, in the order of their times.
    times_s, fps
        When each is shown, in seconds from the start of the performance, and their rate.
    still
        Whether the source is a picture, which is sent as a picture whatever the form.
    seed
        What the order of ``shuffled`` is drawn from.
    size
        Width and height that every picture is brought to, with black at the sides; None: as it is drawn.
    """

    def __init__(
        self,
        path: Path,
        spec: MediaSpec,
        draw: Drawing,
        positions: Sequence[int],
        times_s: tuple[float, ...],
        fps: float | None,
        *,
        still: bool,
        seed: str,
        size: tuple[int, int] | None = None,
    ) -> None:
        if len(positions) > MAX_FRAMES:
            raise MediaError(
                f"{path}: {len(positions)} frames to show, at most {MAX_FRAMES} are prepared; "
                "set fps or frames, or narrow the window"
            )
        self._path, self._spec, self._draw, self._fit = path, spec, draw, size
        self._times_s, self._fps = times_s, fps
        self._slots = [positions[n] for n in order(spec.perturbation, len(positions), seed)]
        self.wanted = frozenset(self._slots)
        self._video = _Video(path, self._slots, times_s, fps) if spec.form == "video" and not still else None
        self._mean = MeanColour() if spec.perturbation == "blank" else None
        self._parts: dict[int, MediaPart] = {}
        self._sizes: dict[int, tuple[int, int]] = {}

    def take(self, at: int, still: Still, store: MediaStore) -> None:
        """Draw and keep the frame at a position, which is wanted."""
        picture = self._draw.draw(at, still)
        if self._fit is not None:
            picture = letterboxed(picture, *self._fit)
        height, width = picture.shape[:2]
        self._sizes[at] = (width, height)
        if self._video is not None:
            self._video.check_size(width, height)
        if self._mean is not None:
            self._mean.add(picture)
        elif self._video is not None:
            self._video.take(at, picture)
        else:
            self._parts[at] = store.put(encode.jpeg(picture), "image/jpeg")

    def result(self, store: MediaStore) -> Shown:
        """Return what is shown, once every wanted frame was taken."""
        width, height = self._sizes[self._slots[0]]
        count = len(self._slots)
        if self._video is not None:
            if self._mean is not None:
                plain = self._mean.plain(width, height)
                data = self._video.of(plain for _ in self._slots)
            else:
                data = self._video.data()
            part = store.put(data, "video/mp4")
            parts = [replace(part, fps=self._fps) if self._spec.native_sampling else part]
        else:
            if self._mean is not None:
                plains = {size: self._mean.plain(*size) for size in self._sizes.values()}
                sent = {size: store.put(encode.jpeg(plain), "image/jpeg") for size, plain in plains.items()}
                self._parts = {at: sent[size] for at, size in self._sizes.items()}
            parts = [self._parts[at] for at in self._slots]
        return Shown(parts=tuple(parts), frames=count, fps=self._fps, width=width, height=height, times_s=self._times_s)

    def close(self) -> None:
        """Let go of what is half done."""
        if self._video is not None:
            self._video.close()


class _Video:
    """Pictures on their way into a clip: straight where they come in its order, else kept until all are there."""

    def __init__(self, path: Path, slots: Sequence[int], times_s: Sequence[float], fps: float | None) -> None:
        self._path, self._slots = path, slots
        self._clip = encode.Mp4(times_s, fps or 1.0)
        self._straight = all(a < b for a, b in pairwise(slots))
        self._kept: tempfile.SpooledTemporaryFile[bytes] | None = None
        self._places: dict[int, int] = {}
        self._size: tuple[int, int] | None = None

    def check_size(self, width: int, height: int) -> None:
        if self._size not in {None, (width, height)}:
            raise MediaError(
                f"{self._path}: its frames differ in size, which a video cannot; use media_form = 'frames'"
            )
        self._size = width, height

    def take(self, at: int, picture: Picture) -> None:
        if self._straight:
            self._clip.add(picture)
            return
        if self._kept is None:
            self._kept = tempfile.SpooledTemporaryFile(max_size=_IN_MEMORY)  # noqa: SIM115 - closed by close()
        self._places[at] = self._kept.seek(0, 2)
        self._kept.write(picture.tobytes())

    def data(self) -> bytes:
        if self._kept is not None and self._size is not None:
            width, height = self._size
            for at in self._slots:
                self._kept.seek(self._places[at])
                raw = np.frombuffer(self._kept.read(width * height * 3), dtype=np.uint8)
                self._clip.add(raw.reshape(height, width, 3))
        return self._clip.data()

    def of(self, pictures: Iterable[Picture]) -> bytes:
        for picture in pictures:
            self._clip.add(picture)
        return self._clip.data()

    def close(self) -> None:
        self._clip.close()
        if self._kept is not None:
            self._kept.close()


def letterboxed(picture: Picture, width: int, height: int) -> Picture:
    """Bring a picture to a size: as large as fits, in the middle, black around it."""
    high, wide = picture.shape[:2]
    if (wide, high) == (width, height):
        return picture
    scale = min(width / wide, height / high)
    fit = max(1, min(width, round(wide * scale))), max(1, min(height, round(high * scale)))
    small = np.asarray(Image.fromarray(picture).resize(fit, Image.Resampling.BICUBIC))
    result = np.zeros((height, width, 3), dtype=np.uint8)
    top, left = (height - fit[1]) // 2, (width - fit[0]) // 2
    result[top : top + fit[1], left : left + fit[0]] = small
    return result
