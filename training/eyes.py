"""First stage: the vision tower learns to see bodies. From one picture it must tell where every joint is.

Without this stage the language model finds nothing in the pictures to learn from.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import nn

from aqaudit.probe import measure

#: Named points of the probe, and the place of each one's mirror image.
POINTS = len(measure.POINTS)
_TURNED = {"left": "right", "right": "left"}
_SWAP = [
    measure.POINTS.index("_".join([_TURNED.get(side, side), *rest]))
    for side, *rest in (name.split("_") for name in measure.POINTS)
]
#: Metres to numbers of about size 1.
_SCALE = 2.0
_SHIFT = 6


@dataclass(frozen=True, slots=True, kw_only=True)
class Frames:
    """Single frames with their truth.

    ``pictures`` (N, side, side, 3; levels 0 to 255), ``points`` (N, points, 3; metres), ``pixels`` (N, 17, 2; shares of
    the side) and ``azimuth`` of the camera (N; degrees).
    """

    pictures: Any
    points: Any
    pixels: Any
    azimuth: Any

    def __getitem__(self, places: Any) -> Frames:
        return Frames(
            pictures=self.pictures[places],
            points=self.points[places],
            pixels=self.pixels[places],
            azimuth=self.azimuth[places],
        )


def targets(frames: Frames) -> np.ndarray[Any, Any]:
    """Return what the tower must tell of each picture (N x numbers), all of about size 1.

    Joints as seen from the performer (to the left, up, forward; from the middle of the hips, but height above the
    floor), their places in the picture, and where the camera stands.
    """
    points = frames.points.astype(np.float64).copy()
    hips = points[:, [11, 12]].mean(axis=1, keepdims=True)
    points[..., [0, 2]] -= hips[..., [0, 2]]
    points[..., 1] -= 0.8
    angle = np.radians(frames.azimuth.astype(np.float64))
    camera = np.stack([np.sin(angle), np.cos(angle)], axis=1)
    parts = [points.reshape(len(points), -1) * _SCALE, (frames.pixels.reshape(len(points), -1) - 0.5) * 4, camera]
    return np.concatenate(parts, axis=1).astype(np.float32)


def mirrored(frames: Frames) -> Frames:
    """Return the frames seen in a mirror: left and right change places."""
    points = frames.points[:, _SWAP] * np.array([-1.0, 1.0, 1.0])
    pixels = frames.pixels[:, _SWAP[:17]].copy()
    pixels[..., 0] = 1 - pixels[..., 0]
    return Frames(pictures=frames.pictures[:, :, ::-1], points=points, pixels=pixels, azimuth=-frames.azimuth)


def varied(pictures: np.ndarray[Any, Any], draw: np.random.Generator) -> tuple[Any, np.ndarray[Any, Any]]:
    """Return pictures (N, H, W, 3) as the tower takes them, moved, tinted and roughened at random, and the moves.

    All pictures are moved alike by up to six pixels; the moves (x, y) are shares of the picture's side.
    """
    side = pictures.shape[1]
    padded = np.pad(pictures, ((0, 0), (_SHIFT, _SHIFT), (_SHIFT, _SHIFT), (0, 0)), mode="edge")
    dx, dy = draw.integers(0, 2 * _SHIFT + 1, 2)
    moved = padded[:, dy : dy + side, dx : dx + side]
    levels = torch.from_numpy(np.ascontiguousarray(moved)).permute(0, 3, 1, 2).float() / 255
    gain = torch.from_numpy(draw.uniform(0.8, 1.2, (1, 3, 1, 1)).astype(np.float32))
    offset = torch.from_numpy(draw.uniform(-0.08, 0.08, (1, 3, 1, 1)).astype(np.float32))
    noise = torch.randn(levels.shape) * float(draw.uniform(0, 0.03))
    result = ((levels * gain + offset + noise).clamp(0, 1) - 0.5) / 0.5
    return result, np.array([_SHIFT - dx, _SHIFT - dy]) / side


def plain(pictures: np.ndarray[Any, Any]) -> Any:
    """Return pictures as the tower takes them."""
    levels = torch.from_numpy(np.ascontiguousarray(pictures)).permute(0, 3, 1, 2).float() / 255
    return (levels - 0.5) / 0.5


class Teller(nn.Module):
    """Reads the targets off a picture's token; it is thrown away when the tower has learned to see."""

    def __init__(self, width: int, numbers: int) -> None:
        super().__init__()
        self.straight = nn.Linear(width, numbers)
        self.bent = nn.Sequential(nn.Linear(width, 384), nn.GELU(), nn.Linear(384, numbers))

    def forward(self, codes: Any) -> Any:
        """Return the reading: what a straight line tells, and a correction."""
        return self.straight(codes) + self.bent(codes)


def loss(teller: Teller, codes: Any, wanted: Any) -> Any:
    """Return the error of the reading, and of its straight part, which is the easier one for the language model.

    Numbers that are not known (NaN) do not count.
    """
    error, known = nn.functional.smooth_l1_loss, ~torch.isnan(wanted)
    whole, straight = teller(codes)[known], teller.straight(codes)[known]
    return error(whole, wanted[known], beta=0.1) + 0.5 * error(straight, wanted[known], beta=0.1)


def centimetres(teller: Teller, codes: Any, wanted: Any) -> tuple[float, float]:
    """Return the mean distance of joints from the truth in cm, of the whole reading and of its straight part."""
    found = []
    for reading in (teller(codes), teller.straight(codes)):
        gap = (reading - wanted)[:, : POINTS * 3].reshape(len(wanted), POINTS, 3) / _SCALE
        found.append(float(gap.norm(dim=-1).nanmean()) * 100)
    return found[0], found[1]
