"""Cameras around a scene of which nothing is known but its Gaussians."""

from __future__ import annotations

import numpy as np
import torch

from trackersplat.captures.camera import Camera
from trackersplat.captures.units import NEAR
from trackersplat.gaussians.gaussians import Gaussians
from trackersplat.geometry.projection import look_at

COUNT = 8  # cameras of a made rig
WIDTH, HEIGHT = 640, 480  # pixels
FIELD_OF_VIEW = 50.0  # degrees, vertical
RISE = 20.0  # degrees that the cameras look down
INSIDE = 0.8  # share of the opacity that lies within the radius that the cameras see
# Directions that may be up. Where poses come from COLMAP, y mostly points down.
UPS = {
    "-y": (0.0, -1.0, 0.0),
    "y": (0.0, 1.0, 0.0),
    "z": (0.0, 0.0, 1.0),
    "-z": (0.0, 0.0, -1.0),
    "x": (1.0, 0.0, 0.0),
    "-x": (-1.0, 0.0, 0.0),
}


def cameras_around(gaussians: Gaussians, count: int = COUNT, up: str = "-y") -> tuple[Camera, ...]:
    """``count`` cameras on a ring around the direction ``up`` (of `UPS`) that look at the middle of the scene."""
    middle, radius = _bulk(gaussians)
    focal = 0.5 * HEIGHT / np.tan(np.radians(FIELD_OF_VIEW / 2))
    distance = radius / np.sin(np.radians(FIELD_OF_VIEW / 2))
    intrinsics = np.array([[focal, 0, WIDTH / 2], [0, focal, HEIGHT / 2], [0, 0, 1]])
    made, upright = [], np.array(UPS[up])
    side = np.roll(np.abs(upright), 1)
    front = np.cross(side, upright)
    for index in range(count):
        angle, rise = 2 * np.pi * index / count, np.radians(RISE)
        place = np.cos(rise) * (np.sin(angle) * side + np.cos(angle) * front) + np.sin(rise) * upright
        pose = look_at(middle + distance * place, middle, upright)
        made.append(Camera(f"view{index + 1}", WIDTH, HEIGHT, intrinsics, pose, near=NEAR * distance))
    return tuple(made)


def _bulk(gaussians: Gaussians) -> tuple[np.ndarray, float]:
    """(3,) the middle of the scene, and the radius around it that holds most of its opacity."""
    means = gaussians.means.detach().cpu().double().numpy()
    weights = gaussians.opacities.detach().cpu().double().numpy()
    if not len(means) or not weights.sum() > 0:
        return np.zeros(3), 1.0
    middle = np.array([_quantile(means[:, axis], weights, 0.5) for axis in range(3)])
    radius = _quantile(np.linalg.norm(means - middle, axis=1), weights, INSIDE)
    longest = float(torch.exp(gaussians.log_scales.detach()).amax(dim=1).median())
    return middle, max(radius, longest, 1e-6)


def _quantile(values: np.ndarray, weights: np.ndarray, share: float) -> float:
    order = np.argsort(values)
    summed = np.cumsum(weights[order])
    return float(values[order][np.searchsorted(summed, share * summed[-1])])
