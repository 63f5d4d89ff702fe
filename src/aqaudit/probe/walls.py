"""The room that the ray caster sees behind the body: patterns of floor and walls, and where a ray meets them."""

# mypy: ignore-errors
import warp as wp

wp.set_module_options({"enable_backward": False, "fast_math": True})


@wp.struct
class Room:
    """See :class:`aqaudit.probe.rooms.Place`."""

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
