"""Pictures of a posed body in a room, by casting rays on the processor."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import warp as wp

from aqaudit.probe import kernels

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from aqaudit.probe.appearance import Dressed
    from aqaudit.probe.camera import Camera
    from aqaudit.probe.rooms import Lamp, Place


def pictures(
    dressed: Dressed,
    rotations: NDArray[np.float64],
    positions: NDArray[np.float64],
    camera: Camera,
    place: Place,
    lamp: Lamp,
    size: tuple[int, int],
) -> Iterator[NDArray[np.uint8]]:
    """Yield one picture (height x width x 3, RGB) for each of the T poses; memory does not grow with T.

    Parameters
    ----------
    rotations, positions
        Bones, T x B x 3 x 3 and T x B x 3.
    size
        Width and height in pixels.
    """
    width, height = size
    device = "cpu"
    points = wp.zeros(len(dressed.vertices), dtype=wp.vec3, device=device)
    normals = wp.zeros(len(dressed.vertices), dtype=wp.vec3, device=device)
    fields: list[Any] = [wp.array(np.ascontiguousarray(part), dtype=wp.vec4, device=device)
              for part in (dressed.fields[:, :4], dressed.fields[:, 4:])]  # fmt: skip
    palette = wp.array(dressed.palette.astype(np.float32), dtype=wp.vec3, device=device)
    rough = wp.zeros((height, width), dtype=wp.vec4, device=device)
    out = wp.zeros((height, width), dtype=wp.vec3ub, device=device)
    indices = wp.array(np.ascontiguousarray(dressed.triangles.ravel()), dtype=wp.int32, device=device)
    view, room, light = _view(camera, size), _room(place), _light(lamp)
    mesh = None
    for rotation, position in zip(rotations, positions, strict=True):
        moved, turned = dressed.pose(rotation, position)
        points.numpy()[:] = moved
        normals.numpy()[:] = turned
        if mesh is None:
            mesh = wp.Mesh(points=points, indices=indices)
        else:
            mesh.refit()
        shared = [mesh.id, normals, *fields, palette, room, light, view]
        wp.launch(kernels.paint, dim=(height, width), inputs=[*shared, rough], device=device)
        wp.launch(kernels.smooth, dim=(height, width), inputs=[*shared, rough, out], device=device)
        yield out.numpy().copy()


def _view(camera: Camera, size: tuple[int, int]) -> kernels.View:
    view = kernels.View()
    view.eye = wp.vec3(*camera.eye)
    view.right, view.up, view.ahead = (wp.vec3(*axis) for axis in camera.axes)
    view.focal = camera.focal * size[1]
    view.width, view.height = size
    return view


def _room(place: Place) -> kernels.Room:
    room = kernels.Room()
    for name in ("floor_a", "floor_b", "wall_a", "wall_b", "mat", "half", "mat_half"):
        setattr(room, name, wp.vec3(*getattr(place, name)))
    for name in ("floor_kind", "wall_kind", "scale", "panel", "mat_turn", "grain"):
        setattr(room, name, getattr(place, name))
    return room


def _light(lamp: Lamp) -> kernels.Light:
    light = kernels.Light()
    towards = lamp.towards
    side = np.cross(towards, [0.0, 1.0, 0.1])
    side /= np.linalg.norm(side)
    light.towards = wp.vec3(*towards)
    light.side_a = wp.vec3(*(lamp.spread * side))
    light.side_b = wp.vec3(*(lamp.spread * np.cross(towards, side)))
    light.key, light.sky, light.ground = wp.vec3(*lamp.key), wp.vec3(*lamp.sky), wp.vec3(*lamp.ground)
    return light
