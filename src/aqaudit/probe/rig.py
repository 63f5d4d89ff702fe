"""Parts of postures that exercises share: a body's lengths, feet on the floor, arms by direction."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from aqaudit.probe.body import BodyMesh, X, Y, Z, across, align, apply, swing, turn, twist_between, two_bones, unit

#: Which way x goes outwards on the left and on the right.
SIGNS = (1.0, -1.0)
RAD = np.pi / 180
_SIDES = ("L", "R")
_SPINE = ("spine05", "spine04", "spine03", "spine02", "spine01")
_NECK = ("neck01", "neck02", "neck03", "head")
#: Shares of a bend among the spine's five joints, from the pelvis up: even, and rounded between ribs and pelvis.
_EVEN = (0.2, 0.2, 0.2, 0.2, 0.2)
_ROUNDED = (0.1, 0.25, 0.3, 0.25, 0.1)


@dataclass(slots=True, kw_only=True)
class Arms:
    """Where the arms are: ``wrist`` targets (T x 2 x 3), or ``upper`` directions and ``flexion`` (radians, T x 2).

    ``pole`` (T x 2 x 3) is where the elbows point, also what a straight elbow would bend away from; ``palm`` (T x 2 x
    3), where the palms face; ``hand``, where the hands point (None: as the forearms do).
    """

    pole: NDArray[np.float64]
    palm: NDArray[np.float64]
    wrist: NDArray[np.float64] | None = None
    upper: NDArray[np.float64] | None = None
    flexion: NDArray[np.float64] | None = None
    hand: NDArray[np.float64] | None = None


@dataclass(slots=True, kw_only=True)
class Legs:
    """Where the ankles are (T x 2 x 3), where the knees point, how the feet stand (rotations), how toes bend up."""

    ankle: NDArray[np.float64]
    pole: NDArray[np.float64]
    foot: NDArray[np.float64]
    toes: NDArray[np.float64]


@dataclass(slots=True, kw_only=True)
class Posture:
    """One posture at T times. Angles in radians.

    ``hips`` is the middle of the hip joints, ``pelvis`` its rotation, ``spine`` the bend of the trunk on it (forward,
    to the left, turned to the left), which ``extra_curve`` rounds between ribs and pelvis; ``neck`` is the same for
    the head. ``shrug`` lifts the shoulder blades, ``reach`` draws them forward (left, right); ``curl`` bends fingers.
    """

    hips: NDArray[np.float64]
    pelvis: NDArray[np.float64]
    spine: NDArray[np.float64]
    neck: NDArray[np.float64]
    arms: Arms
    legs: Legs
    shrug: NDArray[np.float64]
    reach: NDArray[np.float64]
    curl: float = 0.5
    extra_curve: NDArray[np.float64] | None = None


@dataclass(slots=True)
class Bones:
    """Rotations (T x B x 3 x 3, from the rest pose, world axes) and places (T x B x 3) of all bones."""

    rotations: NDArray[np.float64]
    positions: NDArray[np.float64]


def tilt(
    forward: NDArray[np.float64], left: NDArray[np.float64] | float = 0.0, turned: NDArray[np.float64] | float = 0.0
) -> NDArray[np.float64]:
    """Return trunk rotations: turned to the left about y, then leaning left about z, then forward about x."""
    shape = np.shape(forward)
    left, turned = np.broadcast_to(left, shape), np.broadcast_to(turned, shape)
    return turn(Y, turned) @ turn(Z, -left) @ turn(X, forward)


class _Solver:
    def __init__(self, body: BodyMesh, posture: Posture) -> None:
        self.body, self.posture = body, posture
        self.times = len(posture.hips)
        count = len(body.heads)
        self.rotations = np.zeros((self.times, count, 3, 3))
        self.positions = np.zeros((self.times, count, 3))
        self.number = body.template.numbers

    def put(self, bone: str, rotation: NDArray[np.float64], position: NDArray[np.float64]) -> None:
        self.rotations[:, self.number[bone]] = rotation
        self.positions[:, self.number[bone]] = position

    def rotation(self, bone: str) -> NDArray[np.float64]:
        return self.rotations[:, self.number[bone]]

    def carried(self, bone: str, parent: str, rotation: NDArray[np.float64] | None = None) -> NDArray[np.float64]:
        """Return where ``bone`` begins when its parent turns by ``rotation`` (default: as it was put)."""
        rotation = self.rotation(parent) if rotation is None else rotation
        return self.positions[:, self.number[parent]] + apply(rotation, self.body.head(bone) - self.body.head(parent))

    def trunk(self) -> None:
        p = self.posture
        body = self.body
        middle = (body.head("upperleg01.L") + body.head("upperleg01.R")) / 2
        root = p.hips + apply(p.pelvis, body.head("root") - middle)
        self.put("root", p.pelvis, root)
        for side in _SIDES:
            self.put(f"pelvis.{side}", p.pelvis, self.carried(f"pelvis.{side}", "root"))
        above = "root"
        for name, share, rounding in zip(_SPINE, _EVEN, _ROUNDED, strict=True):
            forward = share * p.spine[:, 0] + (0 if p.extra_curve is None else rounding * p.extra_curve)
            local = tilt(forward, share * p.spine[:, 1], share * p.spine[:, 2])
            self.put(name, self.rotation(above) @ local, self.carried(name, above))
            above = name
        for name in _NECK:
            local = tilt(p.neck[:, 0] / 4, p.neck[:, 1] / 4, p.neck[:, 2] / 4)
            self.put(name, self.rotation(above) @ local, self.carried(name, above))
            above = name
        for side in _SIDES:
            self.put(f"eye.{side}", self.rotation("head"), self.carried(f"eye.{side}", "head"))

    def leg(self, place: int, side: str) -> None:
        legs, head = self.posture.legs, self.body.head
        hip, knee, ankle = head(f"upperleg01.{side}"), head(f"lowerleg01.{side}"), head(f"foot.{side}")
        root = self.carried(f"upperleg01.{side}", f"pelvis.{side}")
        pole = legs.pole[:, place]
        lengths = float(np.linalg.norm(knee - hip)), float(np.linalg.norm(ankle - knee))
        thigh, shank = two_bones(root, legs.ankle[:, place], pole, *lengths)
        # A knee bends the shank back about the axis that points to the performer's left.
        hinge = unit(np.cross(across(pole, unit(legs.ankle[:, place] - root)), thigh + shank))
        upper = align(knee - hip, X, thigh, hinge)
        lower = align(ankle - knee, X, shank, hinge)
        self.limb(f"upperleg01.{side}", f"upperleg02.{side}", f"pelvis.{side}", knee - hip, thigh, upper, root)
        self.put(f"lowerleg01.{side}", lower, root + lengths[0] * thigh)
        self.put(f"lowerleg02.{side}", lower, self.carried(f"lowerleg02.{side}", f"lowerleg01.{side}"))
        self.put(f"foot.{side}", legs.foot[:, place], self.carried(f"foot.{side}", f"lowerleg01.{side}", lower))
        up = legs.foot[:, place] @ turn(X, -legs.toes[:, place])
        for bone in self.body.template.toes[side]:
            self.put(bone, up, self.carried(bone, self.body.template.parent(bone)))

    def limb(
        self,
        first: str,
        second: str,
        parent: str,
        rest: NDArray[np.float64],
        along: NDArray[np.float64],
        full: NDArray[np.float64],
        root: NDArray[np.float64],
    ) -> None:
        """Put the two bones of an upper limb: the nearer one takes half of the turn about the limb's own axis."""
        start = self.rotation(parent)
        swung = swing(apply(start, unit(rest)), along) @ start
        half = turn(along, twist_between(swung, full, along) / 2) @ swung
        self.put(first, half, root)
        self.put(second, full, self.carried(second, first, full))

    def arm(self, place: int, side: str) -> None:
        p, arms, head = self.posture, self.posture.arms, self.body.head
        sign = 1.0 if side == "L" else -1.0
        trunk = self.rotation("spine01")
        lifted = turn(Z, sign * p.shrug[:, place]) @ turn(Y, -sign * p.reach[:, place])
        self.put(f"clavicle.{side}", trunk @ lifted, self.carried(f"clavicle.{side}", "spine01"))
        self.put(f"shoulder01.{side}", trunk @ lifted, self.carried(f"shoulder01.{side}", f"clavicle.{side}"))
        shoulder, elbow, wrist = head(f"upperarm01.{side}"), head(f"lowerarm01.{side}"), head(f"wrist.{side}")
        root = self.carried(f"upperarm01.{side}", f"shoulder01.{side}")
        lengths = float(np.linalg.norm(elbow - shoulder)), float(np.linalg.norm(wrist - elbow))
        pole = arms.pole[:, place]
        if arms.wrist is not None:
            above, below = two_bones(root, arms.wrist[:, place], pole, *lengths)
        elif arms.upper is None or arms.flexion is None:
            raise ValueError("arms need wrist targets, or directions and flexion")
        else:
            above = arms.upper[:, place]
            bend = arms.flexion[:, place, None]
            below = np.cos(bend) * above - np.sin(bend) * across(pole, above)
        hinge = unit(np.cross(above, -across(pole, above)))
        rest_hinge = np.cross(elbow - shoulder, wrist - elbow)
        full = align(elbow - shoulder, unit(rest_hinge), above, hinge)
        lower = align(wrist - elbow, unit(rest_hinge), below, hinge)
        self.limb(f"upperarm01.{side}", f"upperarm02.{side}", f"shoulder01.{side}", elbow - shoulder, above, full, root)
        self.put(f"lowerarm01.{side}", lower, root + lengths[0] * above)
        along = below if arms.hand is None else arms.hand[:, place]
        rest_along, rest_palm = self.rest_hand(side)
        hand = align(rest_along, rest_palm, unit(along), arms.palm[:, place])
        wound = twist_between(lower, hand, below)
        self.put(
            f"lowerarm02.{side}",
            turn(below, wound / 2) @ lower,
            self.carried(f"lowerarm02.{side}", f"lowerarm01.{side}"),
        )
        self.put(f"wrist.{side}", hand, self.carried(f"wrist.{side}", f"lowerarm01.{side}", lower))
        self.fingers(side, hand, unit(np.cross(rest_along, rest_palm)))

    def rest_hand(self, side: str) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return where the hand points and where its palm faces at rest."""
        head = self.body.head
        wrist = head(f"wrist.{side}")
        index, little = head(f"finger2-1.{side}") - wrist, head(f"finger5-1.{side}") - wrist
        palm = np.cross(index, little) if side == "R" else np.cross(little, index)
        return unit(head(f"finger3-1.{side}") - wrist), unit(palm)

    def fingers(self, side: str, hand: NDArray[np.float64], axis: NDArray[np.float64]) -> None:
        curl = self.posture.curl
        turned = [hand @ turn(axis, np.array(curl * part)) for part in (0.0, 1.0, 2.0, 3.0)]
        thumb = [hand @ turn(axis, np.array(0.35 * curl * part)) for part in (0.0, 1.0, 2.0, 3.0)]
        for bone in self.body.template.hands[side]:
            joint = 0 if bone.startswith("metacarpal") else int(bone[8])
            parent = self.body.template.parent(bone)
            self.put(bone, (thumb if bone.startswith("finger1") else turned)[joint], self.carried(bone, parent))


def solve(body: BodyMesh, posture: Posture) -> Bones:
    """Return rotation and place of every bone for each of the posture's times."""
    solver = _Solver(body, posture)
    solver.trunk()
    for place, side in enumerate(_SIDES):
        solver.leg(place, side)
        solver.arm(place, side)
    return Bones(solver.rotations, solver.positions)


def level_foot(body: BodyMesh, yaw: NDArray[np.float64], pitch: NDArray[np.float64], place: int) -> NDArray[np.float64]:
    """Return rotations that point a foot ``yaw`` outwards (radians) with its heel lifted by ``pitch``."""
    side, sign = ("L", 1.0) if place == 0 else ("R", -1.0)
    pointing = body.head(f"toe2-1.{side}") - body.head(f"foot.{side}")
    rest = np.arctan2(pointing[0] * sign, pointing[2])
    return turn(Y, sign * (yaw - rest) + 0 * pitch) @ turn(apply(turn(Y, np.array(sign * rest)), X), pitch + 0 * yaw)


@dataclass(frozen=True, slots=True, kw_only=True)
class Lengths:
    """A body's lengths in metres: bones, half widths at hips and shoulders, heights of ankle and hip.

    ``trunk`` is from the hip joints to the shoulder joints, which at rest lean forward by ``slant`` (radians).
    """

    thigh: float
    shank: float
    upper_arm: float
    forearm: float
    half_hips: float
    half_shoulders: float
    ankle: float
    trunk: float
    slant: float
    foot: float
    hip_height: float


def lengths(body: BodyMesh) -> Lengths:
    """Measure a body."""
    hip, knee, ankle = (body.head(f"{name}.L") for name in ("upperleg01", "lowerleg01", "foot"))
    shoulder, elbow, wrist = (body.head(f"{name}.L") for name in ("upperarm01", "lowerarm01", "wrist"))
    toe = body.head("toe2-1.L")
    return Lengths(
        thigh=float(np.linalg.norm(knee - hip)),
        shank=float(np.linalg.norm(ankle - knee)),
        upper_arm=float(np.linalg.norm(elbow - shoulder)),
        forearm=float(np.linalg.norm(wrist - elbow)),
        half_hips=float(abs(hip[0])),
        half_shoulders=float(abs(shoulder[0])),
        ankle=float(ankle[1]),
        trunk=float(np.hypot(shoulder[1] - hip[1], shoulder[2] - hip[2])),
        slant=float(np.arctan2(shoulder[2] - hip[2], shoulder[1] - hip[1])),
        foot=float(np.hypot(toe[0] - ankle[0], toe[2] - ankle[2])),
        hip_height=float(hip[1]),
    )


def vectors(*parts: ArrayLike) -> NDArray[np.float64]:
    """Return T x 3 vectors of three numbers or series."""
    return np.stack(np.broadcast_arrays(*(np.asarray(part, dtype=float) for part in parts)), axis=-1)


def pairs(left: NDArray[np.float64], right: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return left and right as one array, side after time."""
    return np.stack([left, right], axis=1)


def planted(
    body: BodyMesh,
    times: int,
    places: ArrayLike,
    yaw: ArrayLike,
    knee_yaw: ArrayLike,
    lift_cm: ArrayLike = 0.0,
) -> Legs:
    """Return legs whose feet stand at ``places`` (2 x (x, z) of the ankles, metres).

    ``yaw`` turns the feet out and ``knee_yaw`` the knees (radians; each a number, or T x 2), ``lift_cm`` raises the
    heels (cm; number, T or T x 2) about the balls of the feet, which stay where they are.
    """
    spot = np.asarray(places, dtype=float)
    feet = _by_side(yaw, times)
    knees = _by_side(knee_yaw, times)
    size = lengths(body)
    heel_reach = size.foot + 0.05
    pitch = np.arcsin(np.clip(_by_side(lift_cm, times) / 100 / heel_reach, 0, 0.97))
    ankles, poles, rotations = [], [], []
    for place, sign in enumerate(SIGNS):
        level = level_foot(body, feet[:, place], np.zeros(times), place)
        risen = level_foot(body, feet[:, place], pitch[:, place], place)
        side = "L" if place == 0 else "R"
        ball = body.head(f"toe2-1.{side}") - body.head(f"foot.{side}")
        rest = vectors(spot[place, 0], size.ankle, spot[place, 1]) + np.zeros((times, 3))
        ankles.append(rest + np.einsum("tij,j->ti", level - risen, ball))
        poles.append(vectors(sign * np.sin(knees[:, place]), 0.0, np.cos(knees[:, place])))
        rotations.append(risen)
    return Legs(ankle=pairs(*ankles), pole=pairs(*poles), foot=pairs(*rotations), toes=-pitch)


def _by_side(values: ArrayLike, times: int) -> NDArray[np.float64]:
    table = np.asarray(values, dtype=float)
    if table.ndim == 1 and len(table) == times:
        table = table[:, None]
    return np.broadcast_to(table, (times, 2))


def highest_hips(
    size: Lengths, sideways: ArrayLike, forward: ArrayLike, ankle: ArrayLike | None = None
) -> NDArray[np.float64]:
    """Return how high the hips can be with straight legs whose ankles are that far away sideways and forward."""
    away = np.asarray(sideways) ** 2 + np.asarray(forward) ** 2
    reach = 0.997 * (size.thigh + size.shank)
    return (size.ankle if ankle is None else np.asarray(ankle)) + np.sqrt(np.maximum(reach**2 - away, 0.01))


def lowest(*heights: ArrayLike) -> NDArray[np.float64]:
    """Return the least of several heights, rounded off by some millimetres where two cross, so that nothing jerks."""
    table = np.stack(np.broadcast_arrays(*(np.asarray(one, dtype=float) for one in heights)))
    least = table.min(axis=0)
    return least - 0.006 * np.log(np.exp(-(table - least) / 0.006).sum(axis=0))


def pointing(elevation: NDArray[np.float64], azimuth: ArrayLike) -> list[NDArray[np.float64]]:
    """Return directions for (left, right): ``elevation`` from straight down, ``azimuth`` from forward to the side."""
    azimuth = np.asarray(azimuth, dtype=float)
    return [
        vectors(sign * np.sin(elevation) * np.sin(azimuth), -np.cos(elevation), np.sin(elevation) * np.cos(azimuth))
        for sign in SIGNS
    ]


def swung_arms(
    uppers: list[NDArray[np.float64]],
    forearms: list[NDArray[np.float64]],
    poles: list[NDArray[np.float64]],
    palms: list[NDArray[np.float64]],
) -> Arms:
    """Return arms with given directions of upper arm and forearm; ``poles`` say where straight elbows would point."""
    flexions, bends = [], []
    for above, below, pole in zip(uppers, forearms, poles, strict=True):
        cosine = np.clip(np.sum(unit(above) * unit(below), axis=-1), -1, 1)
        flexion = np.arccos(cosine)
        away = -(below - np.sum(below * above, axis=-1, keepdims=True) * above)
        # a straight elbow has no direction of its own; the pole takes over smoothly
        flexions.append(flexion)
        bends.append(unit(away + 0.02 * np.exp(-((flexion / 0.1) ** 2))[..., None] * across(pole, unit(above))))
    return Arms(
        pole=pairs(*bends),
        palm=pairs(*palms),
        upper=pairs(*(unit(part) for part in uppers)),
        flexion=pairs(*flexions),
    )


def girdle(elevation: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return how far the shoulder blade lifts (radians) with an arm raised that far."""
    return 0.24 * np.clip(elevation - 0.7, 0, None)


def hanging(times: int, apart: float, bent: float) -> Arms:
    """Return arms that hang at the sides, ``apart`` from the body and a little ``bent`` (radians)."""
    down = np.zeros(times)
    uppers = pointing(down + apart, np.pi / 2 + 0.15)
    forearms = [
        unit(vector + np.tan(bent) * np.array([-0.2 * sign, 0.0, 1.0]))
        for vector, sign in zip(uppers, SIGNS, strict=True)
    ]
    poles = [vectors(0 * down + 0.2 * sign, 0.0, -1.0) for sign in SIGNS]
    palms = [vectors(0 * down - sign, 0.0, 0.0) for sign in SIGNS]
    return swung_arms(uppers, forearms, poles, palms)
