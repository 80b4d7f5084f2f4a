"""The tiny capture as a clip with exact depths: a quad that moves in front of a wall."""

from __future__ import annotations

import numpy as np
import torch
from tiny_capture import cameras, quad_center, render

from trackersplat.captures.camera import Camera
from trackersplat.tracking.tracker3d import Clip3D


def depth(camera: Camera, frame: int) -> np.ndarray:
    """(H, W) float32, along the optical axis."""
    x, y = np.meshgrid(np.arange(camera.width) + 0.5, np.arange(camera.height) + 0.5)
    rays = np.stack([(x - camera.cx) / camera.fx, (y - camera.cy) / camera.fy, np.ones_like(x)], axis=-1) @ camera.rotation
    center = quad_center(frame)
    wall = (1.5 - camera.center[2]) / rays[..., 2]
    quad = (center[2] - camera.center[2]) / rays[..., 2]
    at = camera.center + rays * quad[..., None] - center
    found: np.ndarray = np.where((np.abs(at[..., 0]) < 0.45) & (np.abs(at[..., 1]) < 0.35), quad, wall).astype(np.float32)
    return found


def tiny_clip(frames: range = range(2, 5)) -> Clip3D:
    """All four views in these frames."""
    views = cameras()
    return Clip3D(
        images=tuple(torch.from_numpy(np.stack([render(camera, frame) for frame in frames])) for camera in views),
        depths=tuple(torch.from_numpy(np.stack([depth(camera, frame) for frame in frames])) for camera in views),
        cameras=tuple(views),
        frames=tuple(frames),
    )


def tiny_queries() -> torch.Tensor:
    """(3, 4): two points of the quad, in the first and the second frame of the clip, and one of the wall."""
    first, second = quad_center(2), quad_center(3)
    return torch.tensor(
        [[0, *np.add(first, (0.1, 0.2, 0.0))], [1, *np.add(second, (-0.2, 0.1, 0.0))], [0, -0.8, -0.3, 1.5]], dtype=torch.float32
    )
