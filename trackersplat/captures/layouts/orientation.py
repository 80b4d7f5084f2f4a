"""Detects camera-to-world matrices given as world-to-camera: both are rigid motions, but with one the cameras do not see one scene."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from trackersplat.captures.camera import Camera

MOST, FEW = 0.9, 0.5  # shares of the cameras
MIN_CAMERAS = 3  # any two axes come close to each other somewhere
_PARALLEL = 1e4  # condition beyond which the axes are within about half a degree of each other
_POINTS = 500  # that are used


def looks_inverted(cameras: Sequence[Camera], points: np.ndarray | None = None) -> bool:
    """True if the poses make sense only as camera to world: nearly all cameras then see the scene, and as given few do.

    The scene is the capture's ``points`` (N, 3) if it has any, else the point nearest to all optical axes. For rigs whose axes are almost
    parallel, or that look outwards, this cannot be decided: the answer is False.
    """
    if len(cameras) < MIN_CAMERAS:
        return False
    rotations = np.stack([camera.rotation for camera in cameras])
    translations = np.stack([camera.translation for camera in cameras])
    backwards = rotations.transpose(0, 2, 1)
    given = _share_that_sees(cameras, rotations, translations, points)
    inverse = _share_that_sees(cameras, backwards, -np.einsum("cij,cj->ci", backwards, translations), points)
    return inverse >= MOST and given <= FEW


def _share_that_sees(cameras: Sequence[Camera], rotations: np.ndarray, translations: np.ndarray, points: np.ndarray | None) -> float:
    """Mean over the cameras of the share of the points inside the image; of the common focus where there are none."""
    centers = -np.einsum("cji,cj->ci", rotations, translations)
    if points is None or not len(points):
        across = np.eye(3) - rotations[:, 2, :, None] * rotations[:, 2, None, :]
        normal = across.sum(axis=0)
        if np.linalg.cond(normal) > _PARALLEL:
            return 0.0
        points = np.linalg.solve(normal, np.einsum("cij,cj->i", across, centers))[None]
        size = np.linalg.norm(centers - centers.mean(axis=0), axis=1).max()
        # A rig at one point whose cameras look all around has its "focus" at itself: nothing is seen there.
        if np.linalg.norm(points[0] - centers, axis=1).min() < 0.1 * size:
            return 0.0
    points = points[:: max(1, len(points) // _POINTS)]
    local = np.einsum("cij,pj->cpi", rotations, points) + translations[:, None]
    front = local[..., 2] > 0
    depth = np.where(front, local[..., 2], 1.0)
    intrinsics = np.array([(c.fx, c.fy, c.cx, c.cy, c.width, c.height) for c in cameras])[:, :, None]
    u, v = local[..., 0] / depth * intrinsics[:, 0] + intrinsics[:, 2], local[..., 1] / depth * intrinsics[:, 1] + intrinsics[:, 3]
    inside = front & (u >= 0) & (v >= 0) & (u <= intrinsics[:, 4]) & (v <= intrinsics[:, 5])
    return float(inside.mean())
