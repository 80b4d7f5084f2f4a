"""What ready-made paths go by: the cameras of a capture, what they look at, and which way is up."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from trackersplat.captures.camera import Camera
from trackersplat.captures.units import rig_size
from trackersplat.errors import InputError
from trackersplat.geometry.projection import centers, common_focus

FAR_FOCUS = 10.0  # sizes of the rig at which cameras with parallel axes are taken to look, if there are no points
PLANE, LEVEL = 0.1, 0.5  # ratios of singular values: horizontal axes that span a plane, and lie in it
UPRIGHT = math.cos(math.radians(45))  # to the mean of the vertical axes, which is right where cameras are held upright
AROUND = math.radians(180.0)  # widest gap between the directions of cameras that surround the scene


@dataclass(frozen=True, eq=False)
class Rig:
    cameras: tuple[Camera, ...]
    up: np.ndarray  # (3,) unit
    focus: np.ndarray  # (3,) what the cameras look at
    home: int  # the camera nearest to the middle of all

    @property
    def start(self) -> Camera:
        return self.cameras[self.home]

    @property
    def distance(self) -> float:
        """Of the home camera from the focus."""
        return float(np.linalg.norm(self.focus - self.start.center))

    def azimuths(self) -> np.ndarray:
        """(C,) radians around the up direction, of the home camera 0, of each camera as seen from the focus."""
        outward = self.start.center - self.focus
        ahead = outward - (outward @ self.up) * self.up
        if np.linalg.norm(ahead) < 1e-9 * max(self.distance, 1e-300):
            return np.zeros(len(self.cameras))
        side = np.cross(self.up, ahead)
        ways = centers(self.cameras) - self.focus
        return np.arctan2(ways @ side, ways @ ahead)

    @property
    def surrounds(self) -> bool:
        """Whether the cameras stand all around the focus."""
        return self.span() == 2 * math.pi

    def span(self) -> float:
        """Radians: the angle around the up direction that the cameras cover; a whole turn if they surround the focus."""
        angles = np.sort(self.azimuths())
        gaps = np.diff(np.append(angles, angles[0] + 2 * math.pi))
        return 2 * math.pi if len(angles) > 2 and gaps.max() < AROUND else float(2 * math.pi - gaps.max())


def rig_of(cameras: Sequence[Camera], points: np.ndarray | None = None) -> Rig:
    """``points`` (N, 3): of the scene; they tell how far away it is where the axes of the cameras do not meet.

    Raises InputError if there is no camera.
    """
    if not cameras:
        raise InputError("There are no cameras to make a camera path from: make one with keys, or give a path file.")
    places = centers(cameras)
    home = int(np.linalg.norm(places - np.median(places, axis=0), axis=1).argmin())
    size = rig_size(tuple(cameras))
    focus = common_focus(cameras) if len(cameras) > 1 else None
    if focus is not None and np.median([(focus - camera.center) @ camera.rotation[2] for camera in cameras]) <= 0:
        focus = None  # the axes meet behind the cameras
    if focus is None:
        depth = _depth(cameras[home], points)
        focus = cameras[home].center + (FAR_FOCUS * size if depth is None else depth) * cameras[home].rotation[2]
    return Rig(tuple(cameras), _up(cameras), focus, home)


def _up(cameras: Sequence[Camera]) -> np.ndarray:
    """(3,) unit: across the horizontal axes of the images where these span a plane, as cameras that look down from one side do; else
    against the mean of the vertical axes."""
    mean = -np.sum([camera.rotation[1] for camera in cameras], axis=0)
    mean = mean / np.linalg.norm(mean) if np.linalg.norm(mean) > 1e-6 else np.array([0.0, 0.0, 1.0])
    _, sizes, axes = np.linalg.svd(np.stack([camera.rotation[0] for camera in cameras] * 3))
    if sizes[1] > PLANE * sizes[0] and sizes[2] < LEVEL * sizes[1] and abs(axes[2] @ mean) > UPRIGHT:
        return np.asarray(axes[2] * np.sign(axes[2] @ mean))
    return mean


def _depth(camera: Camera, points: np.ndarray | None) -> float | None:
    """Median depth of the points that a camera sees."""
    if points is None or not len(points):
        return None
    uv, depth = camera.project(points.astype(np.float64))
    seen = (depth > 0) & (uv >= 0).all(axis=1) & (uv < (camera.width, camera.height)).all(axis=1)
    return float(np.median(depth[seen])) if seen.any() else None
