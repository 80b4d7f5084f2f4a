"""Exact depths and tracks of the quad of the tiny capture that moves in front of a wall."""

from __future__ import annotations

import numpy as np
import torch

from tests.scenes.tiny_capture import HEIGHT, WIDTH, quad_center
from trackersplat.captures.camera import Camera
from trackersplat.tracking.consistency.surfaces import Surface
from trackersplat.tracking.tracks import DenseTracks, Provenance

PIXELS = np.stack(np.meshgrid(np.arange(WIDTH) + 0.5, np.arange(HEIGHT) + 0.5), axis=-1)


def hits(camera: Camera, pixels: np.ndarray, frame: int) -> tuple[np.ndarray, np.ndarray]:
    """World points (..., 3) that the camera sees at ``pixels`` in a frame, and whether they are on the quad."""
    rays = (
        np.concatenate(((pixels - camera.K[:2, 2]) / (camera.fx, camera.fy), np.ones((*pixels.shape[:-1], 1))), axis=-1) @ camera.rotation
    )
    wall, quad = (camera.center + rays * ((z - camera.center[2]) / rays[..., 2:]) for z in (1.5, quad_center(frame)[2]))
    on_quad = (np.abs((quad - quad_center(frame))[..., :2]) < (0.45, 0.35)).all(-1)
    return np.where(on_quad[..., None], quad, wall), on_quad


def surface(camera: Camera, frame: int = 0) -> Surface:
    """The exact depth of a frame."""
    points, _ = hits(camera, PIXELS, frame)
    return Surface(camera, camera.project(points.reshape(-1, 3))[1].reshape(HEIGHT, WIDTH))


def exact(camera: Camera, base: int, targets: tuple[int, ...]) -> tuple[DenseTracks, np.ndarray]:
    """Exact tracks, all of them trusted and called visible, and (F, H, W) what is truly seen."""
    points, on_quad = hits(camera, PIXELS, base)
    positions, seen = [], []
    for target in targets:
        moved = points + on_quad[..., None] * (quad_center(target) - quad_center(base))
        at = camera.project(moved.reshape(-1, 3))[0].reshape(HEIGHT, WIDTH, 2)
        found, covers = hits(camera, at, target)
        inside = ((at >= 0) & (at < (WIDTH, HEIGHT))).all(-1)
        positions.append(at)
        seen.append(inside & (on_quad == covers) & (np.abs(found - moved).max(-1) < 1e-6))
    tensor = torch.from_numpy(np.stack(positions).astype(np.float32))
    ones = torch.ones(tensor.shape[:-1])
    return DenseTracks(base, targets, tensor, ones, ones.clone(), 0.1, Provenance("made")), np.stack(seen)
