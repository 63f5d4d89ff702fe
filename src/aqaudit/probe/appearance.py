"""Hair, skin and clothes: fields over the body's surface whose zero lines are the hems.

Each vertex carries, in metres, how far inside a garment it lies; the picture draws the line where the interpolated
field passes zero, so hems are smooth whatever the mesh is. Cloth, hair and shoes also stand off the skin a little.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from aqaudit.probe.body import BodyMesh, across, unit
from aqaudit.probe.casting import Look, linear

#: What the columns of ``Dressed.fields`` are; ``eye`` is 1 on the iris and falls to 0.2 on the white, 0 elsewhere;
#: ``fixed`` is the number of a colour for things that are not body.
FIELDS = ("hair", "top", "bottom", "shoe", "eye", "lips", "brow", "fixed")
#: What the palette's rows are.
PALETTE = ("skin", "hair", "top", "bottom", "shoe", "sole", "white of the eye", "iris", "lips", "metal", "rubber")
_HAIR_ROW, _METAL_ROW, _RUBBER_ROW = (PALETTE.index(name) for name in ("hair", "metal", "rubber"))
_SIDES = ("L", "R")


@dataclass(frozen=True, slots=True, kw_only=True)
class Prop:
    """A rigid thing: a mesh at rest, the bone it moves with and the number of its colour in the palette."""

    vertices: NDArray[np.float64]
    triangles: NDArray[np.int32]
    bone: str
    colour: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Dressed:
    """A dressed body at rest: mesh, skinning (``weights`` V x B), ``fields`` (V x 8) and ``palette`` (colours)."""

    vertices: NDArray[np.float64]
    normals: NDArray[np.float64]
    triangles: NDArray[np.int32]
    weights: NDArray[np.float32]
    heads: NDArray[np.float64]
    fields: NDArray[np.float32]
    palette: NDArray[np.float64]

    def pose(
        self, rotations: NDArray[np.float64], positions: NDArray[np.float64]
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Return vertices and normals (V x 3 each) of one pose."""
        shifts = positions - np.einsum("bij,bj->bi", rotations, self.heads)
        table = np.concatenate([rotations, shifts[..., None]], axis=-1).reshape(len(rotations), 12).astype(np.float32)
        blended = (self.weights @ table).reshape(-1, 3, 4)
        moved = np.einsum("vij,vj->vi", blended[..., :3], self.vertices.astype(np.float32)) + blended[..., 3]
        turned = np.einsum("vij,vj->vi", blended[..., :3], self.normals.astype(np.float32))
        return moved, turned


def dress(body: BodyMesh, look: Look, props: Sequence[Prop] = ()) -> Dressed:
    """Put hair, clothes and ``props`` on a body."""
    on_body = np.zeros((len(body.vertices), len(FIELDS)))
    on_body[:, 0] = _hair(body, look)
    on_body[:, 1], on_body[:, 2] = _clothes(body, look)
    on_body[:, 3] = _shoes(body)
    _face(body, on_body)
    vertices, triangles = [_shaped(body, on_body, look)], [body.template.triangles]
    weights, fields = [body.template.weights], [on_body]
    count = len(body.vertices)
    for prop in (*_hair_props(body, look), *props):
        vertices.append(prop.vertices)
        triangles.append((prop.triangles + count).astype(np.int32))
        weights.append(np.zeros((len(prop.vertices), len(body.heads))))
        weights[-1][:, body.template.bone(prop.bone)] = 1.0
        fields.append(np.zeros((len(prop.vertices), len(FIELDS))))
        fields[-1][:, FIELDS.index("fixed")] = prop.colour
        count += len(prop.vertices)
    shape, corners = np.concatenate(vertices), np.concatenate(triangles)
    palette = np.array([
        look.skin, look.hair, look.top, look.bottom, look.shoes, linear("#e9e9e6"), linear("#f2efea"), look.eyes,
        tuple(np.array(look.skin) * (0.85, 0.55, 0.55)), linear("#8d9096"), linear("#26272b"),
    ])  # fmt: skip
    return Dressed(
        vertices=shape,
        normals=vertex_normals(shape, corners),
        triangles=corners,
        weights=np.concatenate(weights).astype(np.float32),
        heads=body.heads,
        fields=np.concatenate(fields).astype(np.float32),
        palette=palette,
    )


def vertex_normals(vertices: NDArray[np.float64], triangles: NDArray[np.int32]) -> NDArray[np.float64]:
    """Return area-weighted normals of a mesh."""
    a, b, c = (vertices[triangles[:, corner]] for corner in range(3))
    facing = np.cross(b - a, c - a)
    normals = np.zeros_like(vertices)
    for corner in range(3):
        np.add.at(normals, triangles[:, corner], facing)
    return unit(normals)


def _share(body: BodyMesh, *starts: str) -> NDArray[np.float64]:
    """Return how much of each vertex's weight is on bones whose names begin so."""
    chosen = [place for place, name in enumerate(body.template.bones) if name.startswith(starts)]
    shares: NDArray[np.float64] = body.template.weights[:, chosen].sum(axis=1)
    return shares


def _along(body: BodyMesh, bones: tuple[str, str, str], side: str) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return how far along a limb each vertex lies (0 first joint, 1 second, 2 third) and a metre's worth of it."""
    first, second, third = (body.head(f"{bone}.{side}") for bone in bones)
    upper, lower = second - first, third - second
    a = (body.vertices - first) @ upper / (upper @ upper)
    b = (body.vertices - second) @ lower / (lower @ lower)
    along = np.where(b > 0, np.maximum(1 + b, a), np.minimum(a, 1.0))
    return along, np.where(along > 1, np.linalg.norm(lower), np.linalg.norm(upper))


def _clothes(body: BodyMesh, look: Look) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    v = body.vertices
    neck, hip = body.head("neck01"), body.head("upperleg01.L")
    waist = body.head("spine05")[1]
    top = np.minimum(v[:, 1] - (waist - 0.07), 0.4)
    collar = np.linalg.norm((v - neck - [0.0, 0.02, 0.02]) * [1.0, 0.9, 1.0], axis=1) - 0.088
    top = np.minimum(top, collar)
    head = _share(body, "neck02", "neck03", "head", "eye")
    top = np.where(head > 0.3, -0.05, top)
    bottom = np.minimum(waist + 0.03 - v[:, 1], 0.4)
    for side in _SIDES:
        arm = _share(body, f"upperarm01.{side}", f"upperarm02.{side}", f"lowerarm01.{side}", f"lowerarm02.{side}",
                     f"wrist.{side}", *(f"finger{n}-{m}.{side}" for n in range(1, 6) for m in range(1, 4)),
                     *(f"metacarpal{n}.{side}" for n in range(1, 5)))  # fmt: skip
        along, metre = _along(body, ("upperarm01", "lowerarm01", "wrist"), side)
        sleeve = (look.sleeve - along * np.clip(arm * 1.6, 0, 1)) * metre
        top = np.minimum(top, np.where(arm > 0.05, sleeve, 0.4))
        leg, metre = _along(body, ("upperleg01", "lowerleg01", "foot"), side)
        on_leg = (v[:, 0] > 0) == (side == "L")
        below = on_leg & (v[:, 1] < hip[1] - 0.02)
        bottom = np.where(below, np.minimum(bottom, (look.leg - leg) * metre), bottom)
        bottom = np.where(arm > 0.3, -0.05, bottom)
    return top, bottom


def _shoes(body: BodyMesh) -> NDArray[np.float64]:
    field = np.full(len(body.vertices), -0.05)
    for side in _SIDES:
        ankle = body.head(f"foot.{side}")
        mine = ((body.vertices[:, 0] > 0) == (side == "L")) & (body.vertices[:, 1] < ankle[1] + 0.2)
        field = np.where(mine, ankle[1] + 0.012 - body.vertices[:, 1], field)
    # over 1 is the sole
    return np.where((field > 0) & (body.vertices[:, 1] < 0.016), 2.0, field)


def _skull(body: BodyMesh) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the middle of the skull and half its size (sideways, up, forward)."""
    on_head = body.vertices[_share(body, "head") > 0.95]
    eye = body.head("eye.L")
    above = on_head[on_head[:, 1] > eye[1] + 0.02]
    low, high = above.min(axis=0), above.max(axis=0)
    centre = np.array([0.0, eye[1] + 0.015, (low[2] + high[2]) / 2])
    return centre, np.array([(high[0] - low[0]) / 2, high[1] - centre[1], (high[2] - low[2]) / 2])


def _hair(body: BodyMesh, look: Look) -> NDArray[np.float64]:
    centre, half = _skull(body)
    eye = body.head("eye.L")
    v = body.vertices
    nape = {"bob": -0.115, "short": -0.075, "cropped": -0.06, "bun": -0.07, "ponytail": -0.07}[look.style]
    front = np.array([0.0, eye[1] + 0.058, centre[2] + half[2]])
    back = np.array([0.0, eye[1] + nape, centre[2] - half[2]])
    line = unit(front - back)
    up = across(np.array([0.0, 1.0, 0.0]), line)
    field = (v - back) @ up
    # the hairline draws back at the temples
    field -= 0.012 * np.exp(-(((np.abs(v[:, 0]) - 0.05) / 0.02) ** 2)) * (v[:, 2] > centre[2] + 0.3 * half[2])
    ear = np.linalg.norm((v - [0.0, eye[1] - 0.02, centre[2] - 0.012]) * [0.0, 1.0, 1.1], axis=1)
    field = np.where((ear < 0.04) & (np.abs(v[:, 0]) > half[0] * 0.9), np.minimum(field, ear - 0.038), field)
    return np.where(_share(body, "head", "neck03", "neck02") > 0.5, field, -0.05)


def _face(body: BodyMesh, fields: NDArray[np.float64]) -> None:
    eye = body.head("eye.L")
    v = body.vertices
    for side in _SIDES:
        ball = _share(body, f"eye.{side}") > 0.5
        towards = unit(v[ball] - v[ball].mean(axis=0))
        fields[ball, 4] = np.clip(0.25 + (towards[:, 2] - 0.78) * 3, 0.2, 1.0)
    front = v[:, 2] > eye[2] - 0.02
    aside = np.abs(v[:, 0])
    mouth = eye[1] - 0.068
    lips = 1 - ((aside / 0.026) ** 2 + ((v[:, 1] - mouth) / 0.009) ** 2)
    fields[:, 5] = np.where(front & (fields[:, 4] == 0), lips, -1)
    arch = eye[1] + 0.021 + 0.004 * np.sin(np.clip((aside - 0.012) / 0.036, 0, 1) * np.pi)
    brow = 1 - (((aside - 0.03) / 0.02) ** 2 + ((v[:, 1] - arch) / 0.0045) ** 2)
    fields[:, 6] = np.where(front & (fields[:, 4] == 0), brow, -1)


def _shaped(body: BodyMesh, fields: NDArray[np.float64], look: Look) -> NDArray[np.float64]:
    """Return rest vertices with cloth, hair and shoes standing off the skin."""
    triangles = body.template.triangles
    vertices = body.vertices.copy()
    shod = np.clip(fields[:, 3] / 0.02, 0, 1)
    vertices = _smoothed(vertices, triangles, np.where(fields[:, 3] > 0, 1.0, 0.0), 14)
    cloth = np.clip(np.maximum(fields[:, 1], 0) / 0.03, 0, 1)
    vertices = _smoothed(vertices, triangles, cloth * (_share(body, "spine", "root", "breast") > 0.4), 4)
    normals = vertex_normals(vertices, triangles)
    volume = {"short": 0.016, "bob": 0.024, "bun": 0.011, "ponytail": 0.011, "cropped": 0.006}[look.style]
    off = 0.009 * (fields[:, 1] > 0) + 0.007 * ((fields[:, 2] > 0) & (fields[:, 1] <= 0)) + 0.009 * shod
    off = np.where(fields[:, 3] > 0, 0.009 * shod, off)
    off = np.where(fields[:, 0] > 0, volume * np.clip(fields[:, 0] / 0.025, 0, 1), off)
    vertices += off[:, None] * normals
    vertices[:, 1] = np.where(fields[:, 3] > 0, np.maximum(vertices[:, 1], 0.0), vertices[:, 1])
    return vertices


def _smoothed(
    vertices: NDArray[np.float64], triangles: NDArray[np.int32], amount: NDArray[np.float64], rounds: int
) -> NDArray[np.float64]:
    """Move each vertex towards the middle of its neighbours, as far as ``amount`` (0 to 1) lets it."""
    edges = np.concatenate([triangles[:, [0, 1]], triangles[:, [1, 2]], triangles[:, [2, 0]]])
    edges = np.unique(np.sort(edges, axis=1), axis=0)
    count = np.bincount(edges.ravel(), minlength=len(vertices))[:, None]
    for _ in range(rounds):
        total = np.zeros_like(vertices)
        np.add.at(total, edges[:, 0], vertices[edges[:, 1]])
        np.add.at(total, edges[:, 1], vertices[edges[:, 0]])
        vertices = vertices + 0.5 * amount[:, None] * (total / np.maximum(count, 1) - vertices)
    return vertices


def _hair_props(body: BodyMesh, look: Look) -> list[Prop]:
    """Return the bun or ponytail of a hair style."""
    on_head = body.vertices[body.template.weights[:, body.template.bone("head")] > 0.95]
    eye = body.head("eye.L")
    behind = float(on_head[on_head[:, 1] > eye[1]][:, 2].min())
    if look.style == "bun":
        return [_ball(np.array([0.0, eye[1] + 0.075, behind + 0.008]), (0.042, 0.042, 0.04))]
    if look.style == "ponytail":
        knot = np.array([0.0, eye[1] + 0.05, behind - 0.012])
        tail = [knot + np.array([0.0, -0.05 * n, -0.028 * np.sin(0.9 * n) - 0.01]) for n in range(1, 5)]
        balls = [_ball(at, (0.03 - 0.0045 * n, 0.042, 0.027 - 0.0035 * n)) for n, at in enumerate(tail)]
        return [_ball(knot, (0.026, 0.026, 0.026)), *balls]
    return []


def dumbbells(body: BodyMesh) -> list[Prop]:
    """Return a dumbbell in each hand, across the palm."""
    parts = []
    for side in _SIDES:
        bone = f"wrist.{side}"
        wrist = body.head(bone)
        index, little = body.head(f"finger2-1.{side}"), body.head(f"finger5-1.{side}")
        along = unit(body.head(f"finger3-1.{side}") - wrist)
        axis = unit(index - little)
        palm = across(np.cross(index - wrist, little - wrist) * (1 if side == "R" else -1), along)
        centre = wrist + 0.085 * along + 0.028 * palm
        parts.append(_rod(centre, axis, 0.014, 0.075, _METAL_ROW, bone))
        parts += [_rod(centre + way * 0.075 * axis, axis, 0.042, 0.03, _RUBBER_ROW, bone) for way in (-1, 1)]
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
