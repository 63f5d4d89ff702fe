"""Perturbations: what is done to the whole clip to learn whether a model looks at it.

A perturbation turns the sampled pictures, in order, into as many pictures of the same size. It takes and gives an
iterator, so that one which needs only a running figure never holds a clip in memory.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from aqaudit.records import BadInput

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from aqaudit.media.views import Picture


def none(pictures: Iterator[Picture]) -> Iterator[Picture]:
    """Leave the clip as it is."""
    return pictures


def blank(pictures: Iterator[Picture]) -> Iterator[Picture]:
    """Replace every picture by one in the clip's mean colour."""
    total = np.zeros(3)
    shapes = []
    for picture in pictures:
        total += picture.mean(axis=(0, 1), dtype=np.float64)
        shapes.append(picture.shape)
    if not shapes:
        return
    colour = np.rint(total / len(shapes)).astype(np.uint8)
    # One array for all: whoever encodes can see that it is the same picture again.
    plain = np.full(shapes[0], colour, dtype=np.uint8)
    for shape in shapes:
        if shape != plain.shape:
            plain = np.full(shape, colour, dtype=np.uint8)
        yield plain


_DONE: dict[str, Callable[[Iterator[Picture]], Iterator[Picture]]] = {"none": none, "blank": blank}

#: The perturbations that can be prepared; ``text_only`` shows no media at all.
PERTURBATIONS: tuple[str, ...] = (*_DONE, "text_only")


def perturbation(name: str) -> Callable[[Iterator[Picture]], Iterator[Picture]]:
    """Return the perturbation of this name; :class:`BadInput` names the available ones."""
    if name not in _DONE:
        raise BadInput(f"perturbation '{name}' cannot be prepared; available: {', '.join(PERTURBATIONS)}")
    return _DONE[name]
