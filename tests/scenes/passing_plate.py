"""A plate that passes behind a pillar, before a wall: flat layers across the z axis, so that exact tracks take one line each."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch

from trackersplat.captures.camera import Camera
from trackersplat.gaussians.gaussians import Gaussians, concatenate
from trackersplat.motion.motion import Motion
from trackersplat.rendering.backends.portable import PortableRasterizer
from trackersplat.tracking.tracks import DenseTracks, Provenance

WIDTH, HEIGHT, FOCAL, FRAMES = 96, 72, 80.0, 16
STEP = 0.1  # scene units per frame that the plate moves to the right: 2.67 px
WALL_Z, PLATE_Z, PILLAR_Z = 4.0, 3.0, 2.0
PLATE_X, PLATE_Y, PILLAR_X = (-1.2, -0.4), (-0.6, 0.6), (-0.15, 0.15)
SHIFT_PX = STEP * FOCAL / PLATE_Z
EXACT = Provenance("exact", size=(WIDTH, HEIGHT))
RASTERIZER = PortableRasterizer()


def camera(name: str, x: float) -> Camera:
    pose = np.eye(4)
    pose[0, 3] = -x
    return Camera(name, WIDTH, HEIGHT, np.array(((FOCAL, 0, WIDTH / 2), (0, FOCAL, HEIGHT / 2), (0, 0, 1))), pose)


CAMERAS = (camera("left", -0.05), camera("right", 0.05))


def sheet(x: tuple[float, float], y: tuple[float, float], z: float, pitch: float) -> Gaussians:
    xs, ys = (np.arange(low + pitch / 2, high, pitch) for low, high in (x, y))
    means = np.stack(np.broadcast_arrays(*np.meshgrid(xs, ys), z), axis=-1).reshape(-1, 3)
    count = len(means)
    return Gaussians(
        means=torch.tensor(means, dtype=torch.float32),
        quats=torch.tensor((1.0, 0, 0, 0)).repeat(count, 1),
        log_scales=torch.tensor(np.log((0.6 * pitch, 0.6 * pitch, 0.004)), dtype=torch.float32).repeat(count, 1),
        opacity_logits=torch.full((count,), 4.0),
        sh=torch.zeros(count, 1, 3),
    )


_LAYERS = (
    sheet((-3.2, 3.2), (-2.4, 2.4), WALL_Z, 0.1),
    sheet(PLATE_X, PLATE_Y, PLATE_Z, 0.05),
    sheet(PILLAR_X, (-1.2, 1.2), PILLAR_Z, 0.05),
)
IS_PLATE = torch.repeat_interleave(torch.tensor((False, True, False)), torch.tensor([len(layer) for layer in _LAYERS]))


def scene(frame: int) -> Gaussians:
    wall, plate, pillar = _LAYERS
    return concatenate([wall, replace(plate, means=plate.means + torch.tensor((STEP * frame, 0.0, 0.0))), pillar])


def motion(frames: int) -> Motion:
    """Of `scene` over that many frames."""
    count = len(IS_PLATE)
    translation = torch.zeros(count, 3)
    translation[IS_PLATE, 0] = STEP * frames
    rotation = torch.tensor((1.0, 0, 0, 0)).repeat(count, 1)
    nothing, confidence = torch.zeros(count), torch.full((count,), 0.8)
    return Motion(translation, rotation, ~IS_PLATE, IS_PLATE, confidence, nothing, nothing.int())


def layers_at(view: Camera, pixels: np.ndarray, frame: int) -> np.ndarray:
    """(...) which layer positions (..., 2) show: 0 the wall, 1 the plate, 2 the pillar."""

    def within(z: float, x: tuple[float, float], y: tuple[float, float]) -> np.ndarray:
        world = (pixels - (view.cx, view.cy)) / FOCAL * z + view.center[:2]
        return (world[..., 0] >= x[0]) & (world[..., 0] < x[1]) & (world[..., 1] >= y[0]) & (world[..., 1] < y[1])

    plate = within(PLATE_Z, (PLATE_X[0] + STEP * frame, PLATE_X[1] + STEP * frame), PLATE_Y)
    return np.where(within(PILLAR_Z, PILLAR_X, (-9, 9)), 2, plate.astype(int))


def tracks(view: Camera, base: int, *targets: int, fooled: bool = False) -> DenseTracks:
    """Exact tracks. ``fooled``: those that the pillar covers stay where they are, like the pillar, and are certain of it."""
    pixels = np.stack(np.meshgrid(np.arange(WIDTH), np.arange(HEIGHT)), -1) + 0.5
    layer = layers_at(view, pixels, base)
    positions, visibility = [], []
    for target in targets:
        goes = pixels + np.where(layer == 1, SHIFT_PX * (target - base), 0.0)[..., None] * (1, 0)
        seen = layers_at(view, goes, target) == layer
        positions.append(np.where(((layer == 1) & ~seen)[..., None], pixels, goes) if fooled else goes)
        visibility.append(seen | (layer == 1) if fooled else seen)
    seen_in_all = torch.tensor(np.array(visibility), dtype=torch.float32)
    return DenseTracks(
        base, targets, torch.tensor(np.array(positions), dtype=torch.float32), seen_in_all, torch.ones_like(seen_in_all), 1.0, EXACT
    )


def all_tracks(base: int, *targets: int, fooled: bool = False) -> dict[str, DenseTracks]:
    return {view.name: tracks(view, base, *targets, fooled=fooled) for view in CAMERAS}
