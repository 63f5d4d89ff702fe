"""From a posture in plain terms (where the hips, hands and feet are) to the rotation and place of every bone.

Feet and hands are planted by two-bone inverse kinematics; a knee or elbow can only bend about its own hinge. Arrays
have T poses first; where a side matters the next axis is (left, right).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from aqaudit.probe.limbs import X, Y, Z, across, align, apply, swing, turn, twist_between, two_bones, unit

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from aqaudit.probe.body import Figure

_SIDES = ("L", "R")
_SPINE = ("spine05", "spine04", "spine03", "spine02", "spine01")
_NECK = ("neck01", "neck02", "neck03", "head")
#: Shares of a bend among the spine's five joints, from the pelvis up: even, and rounded between ribs and pelvis.
EVEN = (0.2, 0.2, 0.2, 0.2, 0.2)
ROUNDED = (0.1, 0.25, 0.3, 0.25, 0.1)


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
    def __init__(self, body: Figure, posture: Posture) -> None:
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
        for name, share, rounding in zip(_SPINE, EVEN, ROUNDED, strict=True):
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


def solve(body: Figure, posture: Posture) -> Bones:
    """Return rotation and place of every bone for each of the posture's times."""
    solver = _Solver(body, posture)
    solver.trunk()
    for place, side in enumerate(_SIDES):
        solver.leg(place, side)
        solver.arm(place, side)
    return Bones(solver.rotations, solver.positions)


def level_foot(body: Figure, yaw: NDArray[np.float64], pitch: NDArray[np.float64], place: int) -> NDArray[np.float64]:
    """Return rotations that point a foot ``yaw`` outwards (radians) with its heel lifted by ``pitch``."""
    side, sign = ("L", 1.0) if place == 0 else ("R", -1.0)
    pointing = body.head(f"toe2-1.{side}") - body.head(f"foot.{side}")
    rest = np.arctan2(pointing[0] * sign, pointing[2])
    return turn(Y, sign * (yaw - rest) + 0 * pitch) @ turn(apply(turn(Y, np.array(sign * rest)), X), pitch + 0 * yaw)
