"""Frames for the page: small, each held once however many examples show it, and within a budget."""

from __future__ import annotations

import base64
import io
import re
import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING

from PIL import Image

if TYPE_CHECKING:
    from pathlib import Path

#: Frames are shown up to this size in pixels (width, height).
THUMBNAIL = (400, 112)
MOST_FRAMES = 6
_QUALITY = 62
_MOST_PIXELS = 40_000_000
#: All pictures of a page together, as base64 text, in bytes.
BUDGET = 2_200_000
_HASH = re.compile(r"[0-9a-f]{64}")
_VIDEO = (".mp4", ".mov", ".webm", ".mkv", ".avi")


@dataclass(frozen=True, slots=True, kw_only=True)
class Picture:
    """A frame as a ``data:`` address, small enough for the page; ``id`` is its name in the page."""

    id: str
    uri: str
    width: int
    height: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Placed:
    """A picture where it is shown: ``place`` counts the frames sent from 1."""

    picture: Picture
    place: int
    alt: str


class Album:
    """The pictures of a page: read from the folder of stored media, as long as the budget lasts.

    Of the data sets that are ``hidden`` there are none.
    """

    def __init__(self, media: Path | None, *, hidden: frozenset[str] = frozenset(), budget: int = BUDGET) -> None:
        self._media = media if media is not None and media.is_dir() else None
        self._hidden = hidden
        self._left = budget
        self._known: dict[str, Picture | None] = {}

    @property
    def pictures(self) -> list[Picture]:
        """Every picture that is shown, in the order of first use."""
        return [picture for picture in self._known.values() if picture is not None]

    def strip(self, dataset: object, sent: object) -> tuple[tuple[Placed, ...], str]:
        """Return evenly spaced frames of what was sent with one answer, and a note on what is not shown."""
        if dataset in self._hidden:
            return (), "Pictures of this data set may not be shown."
        # Names from the table become paths: only what is a hash may.
        hashes = [h for h in sent if isinstance(h, str) and _HASH.fullmatch(h)] if isinstance(sent, list) else []
        if not hashes:
            return (), "No pictures were sent, or their hashes are not recorded."
        if self._media is None:
            return (), "The pictures are not beside these answers."
        notes: list[str] = []
        places = list(range(len(hashes)))
        if len(hashes) > MOST_FRAMES:
            places = [round(i * (len(hashes) - 1) / (MOST_FRAMES - 1)) for i in range(MOST_FRAMES)]
            notes.append(f"{MOST_FRAMES} of the {len(hashes):,} frames sent, evenly spaced.")
        shown: list[Placed] = []
        for place in places:
            picture, why = self._picture(hashes[place])
            if picture is None:
                notes.append(why)
                continue
            alt = f"Frame {place + 1} of {len(hashes)} sent"
            shown.append(Placed(picture=picture, place=place + 1, alt=alt))
        return tuple(shown), " ".join(dict.fromkeys(notes))

    def _picture(self, sha: str) -> tuple[Picture | None, str]:
        if self._known.get(sha) is not None:
            return self._known[sha], ""
        folder = _folder(self._media, sha)
        if any((folder / f"{sha}{suffix}").is_file() for suffix in _VIDEO):
            return None, "The clip was sent as a video file, which is not shown here."
        small = _thumbnail(folder / f"{sha}.jpg") or _thumbnail(folder / f"{sha}.png")
        if small is None:
            return None, "A picture is missing or could not be read."
        uri, wide, high = small
        if len(uri) > self._left:
            return None, "More pictures would make this page too large."
        self._left -= len(uri)
        # The first digits of a hash name a picture; the whole would be most of a short page.
        self._known[sha] = Picture(id=f"f-{sha[:16]}", uri=uri, width=wide, height=high)
        return self._known[sha], ""


def _folder(media: Path | None, sha: str) -> Path:
    if media is None:
        raise ValueError("pictures are looked for only where there is a folder of media")
    return media / sha[:2]


def _thumbnail(path: Path) -> tuple[str, int, int] | None:
    if not path.is_file() or path.is_symlink():
        return None
    try:
        with warnings.catch_warnings(), Image.open(path, formats=("JPEG", "PNG")) as image:
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            if image.width * image.height > _MOST_PIXELS:
                return None
            # Before anything else touches the pixels, so that a large JPEG is decoded at a fraction of its size.
            image.thumbnail(THUMBNAIL)
            small = image.convert("RGB")
        out = io.BytesIO()
        small.save(out, "JPEG", quality=_QUALITY)
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError, Image.DecompressionBombWarning):
        return None
    return f"data:image/jpeg;base64,{base64.b64encode(out.getvalue()).decode()}", small.width, small.height
