"""Perturbations: what is done to the whole clip to learn whether a model looks at it.

The number of pictures, their size and their times stay those of the clip. ``blank`` shows its mean colour; ``frozen``,
``shuffled`` and ``reversed`` show its own pictures in another order; ``swapped`` another performance; ``region_blur``
blurs a body part (:mod:`aqaudit.media.mask`); ``text_only`` shows no media at all.
"""

from __future__ import annotations

import random
from typing import get_args

import numpy as np

from aqaudit.core.records import BadInput, Perturbation, nearest
from aqaudit.media.types import Picture

#: The perturbations that can be prepared.
PERTURBATIONS: tuple[str, ...] = get_args(Perturbation)


def check_perturbation(name: str) -> None:
    """Check that a perturbation can be prepared; :class:`BadInput` names the available ones."""
    if name not in PERTURBATIONS:
        raise BadInput(f"perturbation '{name}' cannot be prepared{nearest(name, PERTURBATIONS)}")


def order(name: str, count: int, draw: str) -> list[int]:
    """Return which of ``count`` pictures is shown in each place.

    ``frozen``: the middle one everywhere. ``reversed``: the last one first. ``shuffled``: an order drawn by ``draw``,
    never the true one where there are two or more. All others: the true one.
    """
    places = list(range(count))
    if name == "frozen":
        return [count // 2] * count
    if name == "reversed":
        return places[::-1]
    if name == "shuffled" and count > 1:
        rng, mixed = random.Random(draw), list(places)
        while mixed == places:
            rng.shuffle(mixed)
        return mixed
    return places


class MeanColour:
    """The mean colour of the pictures of a clip, of which none need be kept."""

    def __init__(self) -> None:
        self._total = np.zeros(3)
        self._count = 0

    def add(self, picture: Picture) -> None:
        """Take one more picture into the mean; each counts alike."""
        self._total += picture.mean(axis=(0, 1), dtype=np.float64)
        self._count += 1

    def plain(self, width: int, height: int) -> Picture:
        """Return a picture in the mean colour."""
        return np.full((height, width, 3), np.rint(self._total / self._count).astype(np.uint8), dtype=np.uint8)
