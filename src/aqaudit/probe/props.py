"""Things that move with one bone: hair tied up, dumbbells."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from aqaudit.probe.limbs import across, unit

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from aqaudit.probe.body import Figure
    from aqaudit.probe.performers import Look

_HAIR_ROW, _METAL_ROW, _RUBBER_ROW = 1, 9, 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Prop:
    """A rigid thing: a mesh at rest, the bone it moves with and its row in the palette."""

    vertices: NDArray[np.float64]
    triangles: NDArray[np.int32]
    bone: str
    colour: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Mesh:
    """A body with its props as one mesh."""

    vertices: NDArray[np.float64]
    triangles: NDArray[np.int32]
    weights: NDArray[np.float64]
    fields: NDArray[np.float64]


def joined(
    vertices: NDArray[np.float64],
    triangles: NDArray[np.int32],
    weights: NDArray[np.float64],
    fields: NDArray[np.float64],
    props: Sequence[tuple[Prop, int]],
) -> Mesh:
    """Add props (each with the number of its bone) to a body's mesh."""
    all_vertices, all_triangles, all_weights, all_fields = [vertices], [triangles], [weights], [fields]
    count = len(vertices)
    for prop, bone in props:
        all_vertices.append(prop.vertices)
        all_triangles.append((prop.triangles + count).astype(np.int32))
        all_weights.append(np.zeros((len(prop.vertices), weights.shape[1])))
        all_weights[-1][:, bone] = 1.0
        all_fields.append(np.zeros((len(prop.vertices), fields.shape[1])))
        all_fields[-1][:, 7] = prop.colour
        count += len(prop.vertices)
    return Mesh(
        vertices=np.concatenate(all_vertices),
        triangles=np.concatenate(all_triangles),
        weights=np.concatenate(all_weights),
        fields=np.concatenate(all_fields),
    )


def hair_props(body: Figure, look: Look) -> list[tuple[Prop, int]]:
    """Return the bun or ponytail of a hair style."""
    bone = body.template.bone("head")
    on_head = body.vertices[body.template.weights[:, bone] > 0.95]
    eye = body.head("eye.L")
    behind = float(on_head[on_head[:, 1] > eye[1]][:, 2].min())
    if look.style == "bun":
        return [(_ball(np.array([0.0, eye[1] + 0.075, behind + 0.008]), (0.042, 0.042, 0.04)), bone)]
    if look.style == "ponytail":
        knot = np.array([0.0, eye[1] + 0.05, behind - 0.012])
        tail = [knot + np.array([0.0, -0.05 * n, -0.028 * np.sin(0.9 * n) - 0.01]) for n in range(1, 5)]
        balls = [_ball(knot, (0.026, 0.026, 0.026))]
        balls += [_ball(at, (0.03 - 0.0045 * n, 0.042, 0.027 - 0.0035 * n)) for n, at in enumerate(tail)]
        return [(ball, bone) for ball in balls]
    return []


def dumbbells(body: Figure) -> list[tuple[Prop, int]]:
    """Return a dumbbell in each hand, across the palm."""
    parts = []
    for side in ("L", "R"):
        bone = body.template.bone(f"wrist.{side}")
        wrist = body.heads[bone]
        index, little = body.head(f"finger2-1.{side}"), body.head(f"finger5-1.{side}")
        along = unit(body.head(f"finger3-1.{side}") - wrist)
        axis = unit(index - little)
        palm = across(np.cross(index - wrist, little - wrist) * (1 if side == "R" else -1), along)
        centre = wrist + 0.085 * along + 0.028 * palm
        parts.append((_rod(centre, axis, 0.014, 0.075, _METAL_ROW, f"wrist.{side}"), bone))
        parts += [
            (_rod(centre + way * 0.075 * axis, axis, 0.042, 0.03, _RUBBER_ROW, f"wrist.{side}"), bone)
            for way in (-1, 1)
        ]
    return parts


def _ball(centre: NDArray[np.float64], half: tuple[float, float, float]) -> Prop:
    rows, columns = 9, 14
    polar = np.linspace(0, np.pi, rows)[:, None]
    around = np.linspace(0, 2 * np.pi, columns, endpoint=False)[None]
    shape = [np.sin(polar) * np.cos(around), np.cos(polar) + 0 * around, np.sin(polar) * np.sin(around)]
    points = centre + np.stack(shape, axis=-1).reshape(-1, 3) * half
    return Prop(vertices=points, triangles=_grid(rows, columns), bone="head", colour=_HAIR_ROW)


def _rod(
    centre: NDArray[np.float64], axis: NDArray[np.float64], radius: float, half: float, colour: int, bone: str
) -> Prop:
    side = across(np.array([0.3, 0.9, 0.2]), axis)
    other = np.cross(axis, side)
    around = np.linspace(0, 2 * np.pi, 16, endpoint=False)[:, None]
    ring = np.cos(around) * side + np.sin(around) * other
    # doubled rings keep the rims sharp under smooth normals
    rows = [(0.0, -half), (radius, -half), (radius, -half), (radius, half), (radius, half), (0.0, half)]
    points = np.concatenate([centre + r * ring + at * axis for r, at in rows])
    return Prop(vertices=points, triangles=_grid(len(rows), 16), bone=bone, colour=colour)


def _grid(rows: int, columns: int) -> NDArray[np.int32]:
    first, second = [], []
    for row in range(rows - 1):
        for column in range(columns):
            a, b = row * columns + column, row * columns + (column + 1) % columns
            first.append((a, b, a + columns))
            second.append((b, b + columns, a + columns))
    return np.array(first + second, dtype=np.int32)
