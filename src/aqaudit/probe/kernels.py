"""The ray caster: one warp kernel colours a pixel, one smooths edges. Imported only when pictures are made."""

from __future__ import annotations

import warp as wp

# warp compiles these functions from their source; the annotations are warp's.
# mypy: ignore-errors

wp.set_module_options({"enable_backward": False, "fast_math": True})


@wp.struct
class Room:
    """See :class:`aqaudit.probe.casting.Place`."""

    floor_a: wp.vec3
    floor_b: wp.vec3
    wall_a: wp.vec3
    wall_b: wp.vec3
    mat: wp.vec3
    floor_kind: int
    wall_kind: int
    scale: float
    half: wp.vec3
    panel: float
    mat_half: wp.vec3
    mat_turn: float
    grain: float


@wp.func
def noise(a: float, b: float, seed: float):
    n = wp.sin(a * 127.1 + b * 311.7 + seed * 74.7) * 43758.5453
    return n - wp.floor(n)


@wp.func
def smooth_noise(a: float, b: float, seed: float):
    ia = wp.floor(a)
    ib = wp.floor(b)
    u = a - ia
    v = b - ib
    u = u * u * (3.0 - 2.0 * u)
    v = v * v * (3.0 - 2.0 * v)
    low = wp.lerp(noise(ia, ib, seed), noise(ia + 1.0, ib, seed), u)
    high = wp.lerp(noise(ia, ib + 1.0, seed), noise(ia + 1.0, ib + 1.0, seed), u)
    return wp.lerp(low, high, v)


@wp.func
def floor_colour(p: wp.vec3, room: Room):
    c = wp.cos(room.mat_turn)
    s = wp.sin(room.mat_turn)
    mx = c * p[0] - s * p[2]
    mz = s * p[0] + c * p[2]
    if wp.abs(mx) < room.mat_half[0] and wp.abs(mz) < room.mat_half[2]:
        edge = wp.min(room.mat_half[0] - wp.abs(mx), room.mat_half[2] - wp.abs(mz))
        if edge < 0.015:
            return room.mat * 0.75
        return room.mat * (0.97 + 0.06 * smooth_noise(mx * 40.0, mz * 40.0, room.grain))
    a = p[0] / room.scale
    b = p[2] / room.scale
    if room.floor_kind == 1:
        row = wp.floor(a)
        along = b / 6.0 + noise(row, 3.0, room.grain)
        shade = noise(row, wp.floor(along), room.grain)
        streak = smooth_noise(a * 14.0, b * 1.5, room.grain)
        gap = wp.min(a - row, 1.0 - a + row)
        end = wp.min(along - wp.floor(along), 1.0 - along + wp.floor(along)) * 6.0
        colour = wp.lerp(room.floor_a, room.floor_b, 0.6 * shade + 0.3 * streak)
        if wp.min(gap, end) < 0.03:
            return colour * 0.8
        return colour
    if room.floor_kind == 2:
        ga = wp.min(a - wp.floor(a), 1.0 - a + wp.floor(a))
        gb = wp.min(b - wp.floor(b), 1.0 - b + wp.floor(b))
        if wp.min(ga, gb) < 0.025:
            return room.floor_b
        return room.floor_a * (0.96 + 0.08 * noise(wp.floor(a), wp.floor(b), room.grain))
    mix = smooth_noise(a * 3.0, b * 3.0, room.grain) * 0.5 + smooth_noise(a * 11.0, b * 11.0, room.grain) * 0.5
    return wp.lerp(room.floor_a, room.floor_b, mix)


@wp.func
def wall_colour(along: float, y: float, room: Room):
    if y < 0.09:
        return room.wall_b * 0.8
    if room.wall_kind == 1:
        if y < room.panel:
            return room.wall_b
        if y < room.panel + 0.03:
            return room.wall_b * 0.85
        return room.wall_a
    if room.wall_kind == 2:
        row = wp.floor(y / 0.08)
        shift = 0.5 * (row - 2.0 * wp.floor(row / 2.0))
        a = along / 0.24 + shift
        gap_a = wp.min(a - wp.floor(a), 1.0 - a + wp.floor(a)) * 0.24
        v = y / 0.08
        gap_v = wp.min(v - row, 1.0 - v + row) * 0.08
        if wp.min(gap_a, gap_v) < 0.007:
            return wp.lerp(room.wall_a, room.wall_b, 0.8)
        return room.wall_a * (0.92 + 0.16 * noise(wp.floor(a), row, room.grain))
    if room.wall_kind == 3:
        a = along / 0.9
        gap = wp.min(a - wp.floor(a), 1.0 - a + wp.floor(a)) * 0.9
        if gap < 0.02:
            return wp.lerp(room.wall_a, room.wall_b, 0.6)
        return room.wall_a
    return room.wall_a * (0.97 + 0.05 * smooth_noise(along * 3.0, y * 3.0, room.grain))


@wp.func
def room_hit(eye: wp.vec3, ray: wp.vec3, room: Room):
    """Return how far the ray goes to the floor or a wall, and the colour and normal met there (packed in a matrix)."""
    far = float(1.0e6)
    kind = int(0)
    if ray[1] < -1.0e-6:
        t = -eye[1] / ray[1]
        if t > 0.0 and t < far:
            far = t
            kind = 1
    if wp.abs(ray[0]) > 1.0e-6:
        t = (wp.sign(ray[0]) * room.half[0] - eye[0]) / ray[0]
        if t > 0.0 and t < far:
            far = t
            kind = 2
    if wp.abs(ray[2]) > 1.0e-6:
        t = (wp.sign(ray[2]) * room.half[2] - eye[2]) / ray[2]
        if t > 0.0 and t < far:
            far = t
            kind = 3
    p = eye + far * ray
    colour = room.wall_a
    normal = wp.vec3(0.0, 1.0, 0.0)
    if kind == 1:
        colour = floor_colour(p, room)
    elif kind == 2:
        colour = wall_colour(p[2], p[1], room)
        normal = wp.vec3(-wp.sign(ray[0]), 0.0, 0.0)
    elif kind == 3:
        colour = wall_colour(p[0], p[1], room)
        normal = wp.vec3(0.0, 0.0, -wp.sign(ray[2]))
    return wp.matrix_from_rows(wp.vec3(far, float(kind), 0.0), colour, normal)


@wp.struct
class View:
    """A camera: place, axes, focal length in pixels, size; and the box that the body is in."""

    eye: wp.vec3
    right: wp.vec3
    up: wp.vec3
    ahead: wp.vec3
    focal: float
    width: int
    height: int
    low: wp.vec3
    high: wp.vec3


@wp.struct
class Light:
    """See :class:`aqaudit.probe.casting.Lamp`; the lamp's disc is spanned by its two sides."""

    towards: wp.vec3
    side_a: wp.vec3
    side_b: wp.vec3
    key: wp.vec3
    sky: wp.vec3
    ground: wp.vec3


@wp.func
def meets_box(start: wp.vec3, ray: wp.vec3, low: wp.vec3, high: wp.vec3):
    """Say whether a ray meets the box: most of the picture need not look at the body's mesh."""
    first = float(0.0)
    last = float(1.0e6)
    for i in range(3):
        if wp.abs(ray[i]) < 1.0e-9:
            if start[i] < low[i] or start[i] > high[i]:
                last = float(-1.0)
        else:
            a = (low[i] - start[i]) / ray[i]
            b = (high[i] - start[i]) / ray[i]
            first = wp.max(first, wp.min(a, b))
            last = wp.min(last, wp.max(a, b))
    return first <= last


@wp.func
def surface(a: wp.vec4, b: wp.vec4, palette: wp.array(dtype=wp.vec3)):
    """Return the colour of the body where its fields have these values: see ``appearance.FIELDS``."""
    if b[3] > 0.5:
        return palette[int(b[3] + 0.5)]
    if b[0] > 0.0:
        if b[0] < 0.5:
            return palette[6]
        return palette[7]
    if a[3] > 0.0:
        if a[3] > 1.0:
            return palette[5]
        return palette[4]
    if a[1] > 0.0:
        if a[1] < 0.012:
            return palette[2] * 0.8
        return palette[2]
    if a[2] > 0.0:
        if a[2] < 0.012:
            return palette[3] * 0.8
        return palette[3]
    if a[0] > 0.0:
        return palette[1]
    if b[1] > 0.0:
        return palette[8]
    if b[2] > 0.0:
        return palette[1] * 0.9
    return palette[0]


@wp.func
def lit(mesh: wp.uint64, p: wp.vec3, normal: wp.vec3, light: Light, view: View, samples: int):
    """Return how much of the key light reaches a point."""
    facing = wp.dot(normal, light.towards)
    if facing <= 0.0:
        return 0.0
    seen = float(0.0)
    start = p + 0.004 * normal
    room = wp.vec3(0.25, 0.05, 0.25)
    if not meets_box(start, light.towards, view.low - room, view.high + room):
        return facing
    for i in range(samples):
        angle = 2.399963 * float(i) + 0.7
        radius = wp.sqrt((float(i) + 0.5) / float(samples))
        aim = light.towards + radius * (wp.cos(angle) * light.side_a + wp.sin(angle) * light.side_b)
        query = wp.mesh_query_ray(mesh, start, wp.normalize(aim), 6.0)
        if not query.result:
            seen += 1.0
    return facing * seen / float(samples)


@wp.func
def openness(mesh: wp.uint64, p: wp.vec3, normal: wp.vec3):
    """Return how open a point is to the light from all sides: a few rays outwards."""
    clear = float(0.0)
    across = wp.normalize(wp.cross(normal, wp.vec3(0.31, 0.21, 0.93)))
    beside = wp.cross(normal, across)
    for i in range(3):
        angle = 2.0944 * float(i) + 0.4
        aim = wp.normalize(normal + 0.9 * (wp.cos(angle) * across + wp.sin(angle) * beside))
        query = wp.mesh_query_ray(mesh, p + 0.006 * normal, aim, 0.6)
        if query.result:
            clear += wp.min(1.0, query.t / 0.6)
        else:
            clear += 1.0
    return 0.35 + 0.65 * clear / 3.0


@wp.func
def ray_of(view: View, px: float, py: float):
    x = (px - 0.5 * float(view.width)) / view.focal
    y = (0.5 * float(view.height) - py) / view.focal
    return wp.normalize(view.ahead + x * view.right + y * view.up)


@wp.func
def ambient_at(normal: wp.vec3, light: Light):
    return wp.lerp(light.ground, light.sky, 0.5 + 0.5 * normal[1])


@wp.kernel
def backdrop(room: Room, light: Light, view: View, out: wp.array2d(dtype=wp.vec4)):
    """Colour the room without the body, smoothly; the fourth number is 1 on the floor."""
    row, column = wp.tid()
    total = wp.vec3(0.0, 0.0, 0.0)
    floor = float(0.0)
    for i in range(16):
        px = float(column) + (float(i % 4) + 0.5) / 4.0
        py = float(row) + (float(i / 4) + 0.5) / 4.0
        met = room_hit(view.eye, ray_of(view, px, py), room)
        normal = wp.vec3(met[2, 0], met[2, 1], met[2, 2])
        facing = wp.dot(normal, light.towards)
        key = 0.55 + 0.25 * wp.max(0.0, facing)
        if met[0, 1] == 1.0:
            key = facing
            floor += 1.0
        albedo = wp.vec3(met[1, 0], met[1, 1], met[1, 2])
        total += wp.cw_mul(albedo, ambient_at(normal, light) + key * light.key)
    kind = float(0.0)
    if floor >= 8.0:
        kind = float(1.0)
    out[row, column] = wp.vec4(total[0] / 16.0, total[1] / 16.0, total[2] / 16.0, kind)


@wp.func
def colour_of(
    mesh: wp.uint64,
    normals: wp.array(dtype=wp.vec3),
    fields_a: wp.array(dtype=wp.vec4),
    fields_b: wp.array(dtype=wp.vec4),
    palette: wp.array(dtype=wp.vec3),
    behind: wp.vec4,
    light: Light,
    view: View,
    px: float,
    py: float,
):
    """Return colour (linear light) and what is there: 0 wall, 1 floor, 10 body."""
    ray = ray_of(view, px, py)
    if meets_box(view.eye, ray, view.low, view.high):
        query = wp.mesh_query_ray(mesh, view.eye, ray, 1.0e6)
        if query.result:
            i = wp.mesh_get_index(mesh, query.face * 3)
            j = wp.mesh_get_index(mesh, query.face * 3 + 1)
            k = wp.mesh_get_index(mesh, query.face * 3 + 2)
            u = query.u
            v = query.v
            w = 1.0 - u - v
            normal = wp.normalize(u * normals[i] + v * normals[j] + w * normals[k])
            if wp.dot(normal, ray) > 0.0:
                normal = wp.normalize(normal - 1.05 * wp.dot(normal, ray) * ray)
            a = u * fields_a[i] + v * fields_a[j] + w * fields_a[k]
            b = u * fields_b[i] + v * fields_b[j] + w * fields_b[k]
            p = view.eye + query.t * ray
            ambient = ambient_at(normal, light) * openness(mesh, p, normal)
            key = lit(mesh, p, normal, light, view, 1)
            c = wp.cw_mul(surface(a, b, palette), ambient + key * light.key)
            return wp.vec4(c[0], c[1], c[2], 10.0)
    if behind[3] == 1.0 and ray[1] < 0.0:
        p = view.eye - (view.eye[1] / ray[1]) * ray
        up = wp.vec3(0.0, 1.0, 0.0)
        outside = wp.max(view.low - p, p - view.high)
        occlusion = float(1.0)
        if wp.max(outside[0], outside[2]) < 0.6:
            occlusion = openness(mesh, p, up)
        ambient = ambient_at(up, light)
        key = lit(mesh, p, up, light, view, 4)
        shade = wp.cw_div(ambient * occlusion + key * light.key, ambient + light.towards[1] * light.key)
        return wp.vec4(behind[0] * shade[0], behind[1] * shade[1], behind[2] * shade[2], 1.0)
    return wp.vec4(behind[0], behind[1], behind[2], 0.0)


@wp.kernel
def paint(
    mesh: wp.uint64,
    normals: wp.array(dtype=wp.vec3),
    fields_a: wp.array(dtype=wp.vec4),
    fields_b: wp.array(dtype=wp.vec4),
    palette: wp.array(dtype=wp.vec3),
    light: Light,
    view: View,
    behind: wp.array2d(dtype=wp.vec4),
    out: wp.array2d(dtype=wp.vec4),
):
    """Colour each pixel by its middle."""
    row, column = wp.tid()
    out[row, column] = colour_of(
        mesh, normals, fields_a, fields_b, palette, behind[row, column], light, view,
        float(column) + 0.5, float(row) + 0.5,
    )  # fmt: skip


@wp.func
def differs(a: wp.vec4, b: wp.vec4):
    """Say whether two neighbours, one of them body, differ enough to show a jag."""
    return wp.max(a[3], b[3]) == 10.0 and wp.abs(a[0] - b[0]) + wp.abs(a[1] - b[1]) + wp.abs(a[2] - b[2]) > 0.12


@wp.func
def encoded(light: float, curve: wp.array(dtype=wp.uint8)):
    return curve[int(wp.clamp(light, 0.0, 1.0) * 4095.0 + 0.5)]


@wp.kernel
def smooth(
    mesh: wp.uint64,
    normals: wp.array(dtype=wp.vec3),
    fields_a: wp.array(dtype=wp.vec4),
    fields_b: wp.array(dtype=wp.vec4),
    palette: wp.array(dtype=wp.vec3),
    light: Light,
    view: View,
    behind: wp.array2d(dtype=wp.vec4),
    curve: wp.array(dtype=wp.uint8),
    rough: wp.array2d(dtype=wp.vec4),
    out: wp.array2d(dtype=wp.vec3ub),
):
    """Look again at pixels on an edge of the body, four times, and turn linear light into bytes."""
    row, column = wp.tid()
    here = rough[row, column]
    edge = bool(False)
    if row > 0:
        edge = edge or differs(here, rough[row - 1, column])
    if column > 0:
        edge = edge or differs(here, rough[row, column - 1])
    if row < view.height - 1:
        edge = edge or differs(here, rough[row + 1, column])
    if column < view.width - 1:
        edge = edge or differs(here, rough[row, column + 1])
    if edge:
        total = wp.vec4(0.0, 0.0, 0.0, 0.0)
        for i in range(4):
            dx = 0.375 - 0.25 * float(i)
            dy = 0.125 * float((i * 5 + 1) % 4 * 2 - 3)
            total += colour_of(
                mesh, normals, fields_a, fields_b, palette, behind[row, column], light, view,
                float(column) + 0.5 + dx, float(row) + 0.5 + dy,
            )  # fmt: skip
        here = total / 4.0
    out[row, column] = wp.vec3ub(encoded(here[0], curve), encoded(here[1], curve), encoded(here[2], curve))
