"""Rotations and two-bone chains, for T poses at once. Vectors are T x 3, rotations T x 3 x 3, angles radians."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

X, Y, Z = np.eye(3)


def unit(vectors: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return vectors of length 1 along the last axis; a null vector stays null."""
    length = np.linalg.norm(vectors, axis=-1, keepdims=True)
    return vectors / np.where(length > 0, length, 1.0)


def across(vectors: NDArray[np.float64], axis: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the part of ``vectors`` at right angles to the unit vectors ``axis``, at length 1."""
    return unit(vectors - np.sum(vectors * axis, axis=-1, keepdims=True) * axis)


def turn(axis: NDArray[np.float64], angle: ArrayLike) -> NDArray[np.float64]:
    """Return rotations by ``angle`` about unit vectors (Rodrigues)."""
    angle = np.asarray(angle, dtype=float)
    axis = np.broadcast_to(axis, (*angle.shape, 3))
    x, y, z = axis[..., 0], axis[..., 1], axis[..., 2]
    zero = np.zeros_like(x)
    cross = np.stack([zero, -z, y, z, zero, -x, -y, x, zero], axis=-1).reshape(*angle.shape, 3, 3)
    s, c = np.sin(angle)[..., None, None], np.cos(angle)[..., None, None]
    return np.eye(3) + s * cross + (1 - c) * (cross @ cross)


def apply(rotations: NDArray[np.float64], vectors: NDArray[np.float64]) -> NDArray[np.float64]:
    """Rotate vectors."""
    return np.einsum("...ij,...j->...i", rotations, np.broadcast_to(vectors, (*rotations.shape[:-2], 3)))


def frame(along: NDArray[np.float64], hinge: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return frames whose first column is ``along`` (length 1), the second ``hinge`` made square to it."""
    second = across(hinge, along)
    return np.stack([along, second, np.cross(along, second)], axis=-1)


def align(
    rest_along: NDArray[np.float64],
    rest_hinge: NDArray[np.float64],
    along: NDArray[np.float64],
    hinge: NDArray[np.float64],
) -> NDArray[np.float64]:
    """Return the rotations that take a rest direction and hinge axis to those wanted."""
    return frame(along, hinge) @ np.swapaxes(frame(unit(rest_along), rest_hinge), -1, -2)


def swing(start: NDArray[np.float64], end: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the smallest rotations that take unit vectors ``start`` to ``end``."""
    axis = np.cross(start, end)
    sine = np.linalg.norm(axis, axis=-1)
    cosine = np.sum(start * end, axis=-1)
    safe = np.where(sine[..., None] > 1e-12, axis, across(np.broadcast_to(X + 0.1 * Y, axis.shape), start))
    return turn(unit(safe), np.arctan2(sine, cosine))


def twist_between(
    first: NDArray[np.float64], second: NDArray[np.float64], axis: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return the angles about ``axis`` that turn rotations ``first`` into ``second``, as far as they do."""
    probe = across(np.broadcast_to(Y + 0.3 * X + 0.1 * Z, axis.shape), axis)
    moved = across(apply(second @ np.swapaxes(first, -1, -2), probe), axis)
    return np.arctan2(np.sum(np.cross(probe, moved) * axis, axis=-1), np.sum(probe * moved, axis=-1))


def two_bones(
    root: NDArray[np.float64],
    target: NDArray[np.float64],
    pole: NDArray[np.float64],
    upper: float,
    lower: float,
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the directions (unit, T x 3 each) of two bones that lead from ``root`` to ``target``.

    Parameters
    ----------
    pole
        Where the middle joint (knee, elbow) points; only its part across the line to the target matters.
    upper, lower
        Lengths of the bones, metres. A target out of reach is approached as far as a nearly straight limb goes.
    """
    line = target - root
    along = unit(line)
    reach = np.clip(np.linalg.norm(line, axis=-1), abs(upper - lower) + 1e-4, (upper + lower) * 0.99995)
    cosine = (upper**2 + reach**2 - lower**2) / (2 * upper * reach)
    sine = np.sqrt(np.clip(1 - cosine**2, 0, 1))
    side = across(pole, along)
    first = cosine[..., None] * along + sine[..., None] * side
    second = (reach[..., None] * along - upper * first) / lower
    return unit(first), unit(second)
