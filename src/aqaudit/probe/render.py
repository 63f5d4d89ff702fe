"""Pictures of a posed body in a room, by casting rays on the processor."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import numpy as np
import warp as wp
from numpy.typing import NDArray

from aqaudit.probe import kernels
from aqaudit.probe.appearance import Dressed
from aqaudit.probe.casting import Camera, Lamp, Place

#: Pictures drawn at a time; each has its own copy of the mesh.
_AT_A_TIME = 2
_DEVICE = "cpu"
#: Bytes of linear light in 4096 steps: gamma 2.2.
_CURVE = np.round(255 * (np.arange(4096) / 4095) ** (1 / 2.2)).astype(np.uint8)


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
    scene = _Scene(camera, place, lamp, size)
    easels = [_Easel(dressed, scene) for _ in range(min(_AT_A_TIME, len(rotations)))]
    if len(easels) == 1:
        yield easels[0].paint(rotations[0], positions[0])
        return
    with ThreadPoolExecutor(len(easels)) as threads:
        coming: deque[Future[NDArray[np.uint8]]] = deque()
        for number, (rotation, position) in enumerate(zip(rotations, positions, strict=True)):
            # an easel is free again when the picture before the last has been taken off it
            if len(coming) == len(easels):
                yield coming.popleft().result()
            coming.append(threads.submit(easels[number % len(easels)].paint, rotation, position))
        while coming:
            yield coming.popleft().result()


class _Scene:
    """What does not move: camera, light and the room without the body."""

    def __init__(self, camera: Camera, place: Place, lamp: Lamp, size: tuple[int, int]) -> None:
        self.size = size
        self.camera = camera
        self.light = _light(lamp)
        self.curve: Any = wp.array(_CURVE, dtype=wp.uint8, device=_DEVICE)
        self.behind: Any = wp.zeros((size[1], size[0]), dtype=wp.vec4, device=_DEVICE)
        inputs = [_room(place), self.light, _view(camera, size), self.behind]
        wp.launch(kernels.backdrop, dim=(size[1], size[0]), inputs=inputs, device=_DEVICE)


class _Easel:
    """A mesh and the arrays that one picture at a time is made in."""

    def __init__(self, dressed: Dressed, scene: _Scene) -> None:
        self._dressed, self._scene = dressed, scene
        width, height = scene.size
        count = len(dressed.vertices)
        self._points: Any = wp.array(dressed.vertices.astype(np.float32), dtype=wp.vec3, device=_DEVICE)
        self._normals: Any = wp.zeros(count, dtype=wp.vec3, device=_DEVICE)
        parts = (dressed.fields[:, :4], dressed.fields[:, 4:])
        self._fields: list[Any] = [
            wp.array(np.ascontiguousarray(part), dtype=wp.vec4, device=_DEVICE) for part in parts
        ]
        self._palette: Any = wp.array(dressed.palette.astype(np.float32), dtype=wp.vec3, device=_DEVICE)
        self._rough: Any = wp.zeros((height, width), dtype=wp.vec4, device=_DEVICE)
        self._out: Any = wp.zeros((height, width), dtype=wp.vec3ub, device=_DEVICE)
        self._indices: Any = wp.array(np.ascontiguousarray(dressed.triangles.ravel()), dtype=wp.int32, device=_DEVICE)
        self._mesh: Any = None
        self._view = _view(scene.camera, scene.size)

    def paint(self, rotations: NDArray[np.float64], positions: NDArray[np.float64]) -> NDArray[np.uint8]:
        moved, turned = self._dressed.pose(rotations, positions)
        self._points.numpy()[:] = moved
        self._normals.numpy()[:] = turned
        if self._mesh is None:
            self._mesh = wp.Mesh(points=self._points, indices=self._indices)
        else:
            self._mesh.refit()
        view, scene = self._view, self._scene
        view.low, view.high = wp.vec3(*moved.min(axis=0)), wp.vec3(*moved.max(axis=0))
        shared = [self._mesh.id, self._normals, *self._fields, self._palette, scene.light, view, scene.behind]
        dim = (scene.size[1], scene.size[0])
        wp.launch(kernels.paint, dim=dim, inputs=[*shared, self._rough], device=_DEVICE)
        wp.launch(kernels.smooth, dim=dim, inputs=[*shared, scene.curve, self._rough, self._out], device=_DEVICE)
        picture: NDArray[np.uint8] = self._out.numpy().copy()
        return picture


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
