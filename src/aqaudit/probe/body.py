"""The parametric body: a performer's mesh, bones and skinning weights in metres, and how bones move them.

The body is ``anny`` (NAVER; MakeHuman's CC0 assets). It is asked once per performer for the shape at rest; all movement
is computed here in float64 by NumPy, so that a label is the same number on every machine.

Axes everywhere in the probe: x to the performer's left, y up, z forward (the way the performer faces at the start).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from aqaudit.core.records import BadInput
from aqaudit.pose.coco17 import JOINTS as COCO
from aqaudit.probe.casting import Shape
from aqaudit.probe.measure import LANDMARKS

X, Y, Z = np.eye(3)
#: Landmarks that lie where a bone begins, and those that lie on the skin, by anny's names.
_LANDMARK_BONES = {"left_hip_joint": "upperleg01.L", "right_hip_joint": "upperleg01.R", "pelvis": "root",
                   "lumbar": "spine04", "thorax": "spine02", "neck": "neck01", "head": "head"}  # fmt: skip
_LANDMARK_SKIN = {"left_toe": "left_big_toe", "right_toe": "right_big_toe", "left_heel": "left_heel",
                  "right_heel": "right_heel"}  # fmt: skip


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


@dataclass(frozen=True, kw_only=True)
class BodyTemplate:
    """What all bodies share: bones and their parents, triangles, weights (V x B) and keypoints (K x V)."""

    bones: tuple[str, ...]
    parents: tuple[int, ...]
    triangles: NDArray[np.int32]
    weights: NDArray[np.float64]
    points: NDArray[np.float64]

    @cached_property
    def numbers(self) -> dict[str, int]:
        """The number of each bone."""
        return {name: place for place, name in enumerate(self.bones)}

    @cached_property
    def hands(self) -> dict[str, tuple[str, ...]]:
        """The bones of the fingers of each side, parents first."""
        return {side: self._of(side, "metacarpal", "finger") for side in ("L", "R")}

    @cached_property
    def toes(self) -> dict[str, tuple[str, ...]]:
        """The bones of the toes of each side, parents first."""
        return {side: self._of(side, "toe") for side in ("L", "R")}

    def bone(self, name: str) -> int:
        """Return the number of a bone."""
        return self.numbers[name]

    def parent(self, name: str) -> str:
        """Return the bone that a bone hangs on."""
        return self.bones[self.parents[self.numbers[name]]]

    def _of(self, side: str, *kinds: str) -> tuple[str, ...]:
        found = [name for name in self.bones if name.startswith(kinds) and name.endswith(side)]
        # a metacarpal comes after its finger in the model's order
        return tuple(sorted(found, key=lambda name: (not name.startswith("metacarpal"), self.numbers[name])))


@dataclass(frozen=True, slots=True, kw_only=True)
class BodyMesh:
    """One body at rest: ``vertices`` (V x 3), bone ``heads`` (B x 3), and its keypoints as functions of the bones.

    ``point_offsets`` (K x B x 3) and ``point_weights`` (K x B) give the K named points (COCO-17, then
    :data:`~aqaudit.probe.measure.LANDMARKS`) from bone rotations and positions without any vertex being moved.
    """

    template: BodyTemplate
    vertices: NDArray[np.float64]
    heads: NDArray[np.float64]
    point_offsets: NDArray[np.float64]
    point_weights: NDArray[np.float64]

    def head(self, bone: str) -> NDArray[np.float64]:
        """Return where a bone begins at rest, in metres."""
        return self.heads[self.template.bone(bone)]

    def named_points(self, rotations: NDArray[np.float64], positions: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the named points (T x K x 3) of T poses given as bone rotations (T x B x 3 x 3) and positions."""
        turned = np.einsum("tbij,kbj->tki", rotations, self.point_offsets, optimize=True)
        return turned + np.einsum("kb,tbi->tki", self.point_weights, positions)


@lru_cache(maxsize=1)
def _model() -> tuple[Any, BodyTemplate]:
    """Build the body model (minutes the very first time, when ``anny`` fills its cache; seconds afterwards)."""
    try:
        import anny  # noqa: PLC0415 - the extra is needed to make bodies only
        import torch  # noqa: PLC0415
        import warp  # noqa: PLC0415
    except ImportError as error:
        raise BadInput(
            f"making probe clips needs {error.name or 'anny'}, which is not installed; pip install 'aqaudit[probe]'"
        ) from None
    warp.config.quiet = True
    model = anny.Anny(skinning_method="lbs")
    weights = np.zeros((len(model.template_vertices), len(model.bone_labels)))
    np.put_along_axis(weights, model.vertex_bone_indices.numpy(), 0.0, axis=1)
    rows = np.arange(len(weights))[:, None]
    np.add.at(weights, (rows, model.vertex_bone_indices.numpy()), model.vertex_bone_weights.numpy().astype(float))
    weights /= weights.sum(axis=1, keepdims=True)
    regressor = anny.KeypointsRegressor.coco(model)
    skin_points = [*COCO, *_LANDMARK_SKIN.values()]
    order = [regressor.labels.index(name) for name in skin_points]
    points = regressor.regression_weights.numpy().astype(float)[order]
    points /= points.sum(axis=1, keepdims=True)
    with torch.no_grad():
        triangles = model.get_triangular_faces().numpy().astype(np.int32)
    template = BodyTemplate(
        bones=tuple(model.bone_labels),
        parents=tuple(int(parent) for parent in model.bone_parents),
        triangles=triangles,
        weights=weights,
        points=points,
    )
    return model, template


def figure(shape: Shape) -> BodyMesh:
    """Return a body of this shape.

    Raises
    ------
    BadInput
        Where the extra ``probe`` is not installed.
    """
    model, template = _model()
    import torch  # noqa: PLC0415

    with torch.no_grad():
        rest = model(phenotype_kwargs=shape.phenotype())
    vertices = _upright(rest["rest_vertices"][0].numpy())
    heads = _upright(rest["rest_bone_heads"][0].numpy())
    floor = vertices[:, 1].min()
    vertices[:, 1] -= floor
    heads[:, 1] -= floor
    offsets, weights = _point_table(template, vertices, heads)
    return BodyMesh(template=template, vertices=vertices, heads=heads, point_offsets=offsets, point_weights=weights)


def _upright(points: NDArray[np.float64]) -> NDArray[np.float64]:
    """Turn anny's axes (z up, facing -y) into the probe's."""
    return np.stack([points[:, 0], points[:, 2], -points[:, 1]], axis=1).astype(np.float64)


def _point_table(
    template: BodyTemplate, vertices: NDArray[np.float64], heads: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Fold skinning into the keypoint regression: a point is sum over bones of R_b offset_b + weight_b position_b."""
    weights = template.points @ template.weights
    offsets = np.einsum("kv,vb,vi->kbi", template.points, template.weights, vertices, optimize=True)
    offsets -= weights[..., None] * heads
    names = [*COCO, *_LANDMARK_SKIN]
    all_weights = np.zeros((len(COCO) + len(LANDMARKS), len(heads)))
    all_offsets = np.zeros((len(COCO) + len(LANDMARKS), len(heads), 3))
    for place, name in enumerate((*COCO, *LANDMARKS)):
        if name in names:
            all_weights[place], all_offsets[place] = weights[names.index(name)], offsets[names.index(name)]
        elif name in _LANDMARK_BONES:
            all_weights[place, template.bone(_LANDMARK_BONES[name])] = 1.0
        else:  # the middle of the palm
            side = "L" if name.startswith("left") else "R"
            wrist, knuckle = template.bone(f"wrist.{side}"), template.bone(f"finger3-1.{side}")
            all_weights[place, wrist] = 1.0
            all_offsets[place, wrist] = 0.6 * (heads[knuckle] - heads[wrist])
    return all_offsets, all_weights
