"""A point for every pixel that matching has left without one: on the ground, or else far behind what all cameras look at.

Without these, the fit fills the empty pixels of each camera with Gaussians close to it, which hang in front of the scene in all other
views.
"""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

from trackersplat.captures.camera import Camera
from trackersplat.geometry.projection import centers, inside_image
from trackersplat.training.points.fusion import Surface
from trackersplat.training.points.ground import Plane
from trackersplat.training.points.settings import BackdropSettings


def backdrop(cameras: Sequence[Camera], taken: Sequence[np.ndarray], ground: Plane | None, focus: np.ndarray, radius: float) -> Surface:
    """The pixels that are not ``taken`` (per camera (H, W) bool at its size), each where its ray first meets the ground or the sphere.

    The sphere of ``radius`` around ``focus`` (3,) must hold all cameras.
    """
    parts = []
    for view, (camera, mask) in enumerate(zip(cameras, taken, strict=True)):
        row, column = np.nonzero(~mask)
        local = np.stack(((column + 0.5 - camera.cx) / camera.fx, (row + 0.5 - camera.cy) / camera.fy, np.ones(len(row))), axis=1)
        rays = local @ camera.rotation  # of unit depth
        depth = _exit(camera.center - focus, rays, radius)
        if ground is not None:
            depth = np.minimum(depth, ground.depths(camera.center, rays))
        xyz = camera.center + depth[:, None] * rays
        parts.append((xyz, np.full(len(row), view), np.stack((column, row), axis=1), depth))
    xyz, views, pixels, depths = (np.concatenate(part) for part in zip(*parts, strict=True))
    return Surface(xyz=xyz, view=views, pixel=pixels, depth=depths, agreeing=np.zeros(len(xyz), dtype=np.int64))


def far_radius(cameras: Sequence[Camera], xyz: np.ndarray, focus: np.ndarray, settings: BackdropSettings) -> float:
    """How far from the ``focus`` (3,) the scene goes on: as far as most of its points (N, 3), and behind all cameras."""
    distances = np.linalg.norm(centers(cameras) - focus, axis=1)
    reach = settings.far * float(np.median(distances))
    if len(xyz) >= settings.fewest:
        reach = float(np.percentile(np.linalg.norm(xyz - focus, axis=1), settings.reached))
    return max(reach, settings.margin * float(distances.max()))


def shown_at(xyz: np.ndarray, camera: Camera, beside: int) -> np.ndarray:
    """(H, W) bool at the camera's size: within ``beside`` pixels of where one of the points (N, 3) would be seen."""
    shown = np.zeros((camera.height, camera.width), dtype=np.uint8)
    uv, depth = camera.project(xyz)
    inside = (depth > 0) & inside_image(uv, camera.width, camera.height)
    column, row = uv[inside].astype(np.intp).T
    shown[row, column] = 1
    return cv2.dilate(shown, np.ones((2 * beside + 1, 2 * beside + 1), dtype=np.uint8)) > 0


def _exit(origin: np.ndarray, rays: np.ndarray, radius: float) -> np.ndarray:
    """(N,) multiples of the rays (N, 3) at which they leave a sphere around 0 from ``origin`` (3,) inside it."""
    a, b, c = (rays**2).sum(axis=1), rays @ origin, float(origin @ origin) - radius**2
    return (-b + np.sqrt(b * b - a * c)) / a
