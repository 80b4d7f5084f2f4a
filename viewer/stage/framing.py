"""Where a capture's scene is: up direction, what the cameras look at, and sizes that fit it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from trackersplat.captures.camera import Camera
from trackersplat.captures.capture import Capture
from trackersplat.geometry.projection import common_focus


@dataclass(frozen=True)
class Framing:
    up: np.ndarray  # (3,) unit
    focus: np.ndarray  # (3,) the point the cameras look at
    start: np.ndarray  # (3,) where the free view begins: before the home camera, or its frustum would frame the view
    rig: np.ndarray  # (3,) middle of the cameras
    overview: np.ndarray  # (3,) a viewpoint behind them that sees them all
    extent: float  # scene units, of the space between cameras and focus
    frustum: float  # scene units, a depth of camera frusta that neither crowds nor vanishes
    home: int  # index of the camera the free view starts from


def frame_capture(capture: Capture) -> Framing:
    """From the cameras (and points or depth bounds, if the capture has them) alone."""
    cameras = capture.cameras
    centers = np.array([camera.center for camera in cameras])
    forward = np.array([camera.rotation[2] for camera in cameras])
    up = -np.array([camera.rotation[1] for camera in cameras]).sum(axis=0)
    up = up / np.linalg.norm(up) if np.linalg.norm(up) > 1e-6 else np.array([0.0, 0.0, 1.0])
    home = (
        capture.held_out_cameras[0] if capture.held_out_cameras else int(np.argmin(np.linalg.norm(centers - centers.mean(axis=0), axis=1)))
    )
    depth = _typical_depth(capture, cameras[home], centers)
    extent = float(max(np.linalg.norm(centers - centers.mean(axis=0), axis=1).max(), depth))
    if len(cameras) > 1:
        distances = np.linalg.norm(centers[:, None] - centers[None], axis=2) + np.where(np.eye(len(cameras)) > 0, np.inf, 0)
        spacing = float(np.median(distances.min(axis=1)))
    else:
        spacing = extent
    frustum = min(0.5 * spacing if spacing > 0 else depth, 0.12 * depth)
    focus = centers[home] + depth * forward[home]
    rig = centers.mean(axis=0)
    overview = rig - 0.9 * extent * forward[home] + 0.5 * extent * up
    start = centers[home] + 1.3 * frustum * forward[home]
    return Framing(up, focus, start, rig, overview, extent, frustum, home)


def _typical_depth(capture: Capture, camera: Camera, centers: np.ndarray) -> float:
    """Distance along the camera's axis of what it looks at."""
    if capture.points is not None and len(capture.points.xyz):
        uv, depth = camera.project(capture.points.xyz.astype(np.float64))
        inside = (depth > 0) & (uv >= 0).all(axis=1) & (uv < (camera.width, camera.height)).all(axis=1)
        if inside.any():
            return float(np.median(depth[inside]))
    if capture.depth_bounds is not None:
        near, far = np.maximum(capture.depth_bounds, 1e-6).mean(axis=0)
        return float(np.sqrt(near * far))
    # Where all axes are parallel, ten times the rig's size has to do.
    point = common_focus(capture.cameras)
    if point is not None:
        ahead = float((point - camera.center) @ camera.rotation[2])
        if ahead > 0:
            return ahead
    return float(10 * max(np.linalg.norm(centers - centers.mean(axis=0), axis=1).max(), 0.1))
