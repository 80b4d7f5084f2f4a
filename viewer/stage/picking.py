"""What is under the pointer: the head of a track, or the Gaussian that makes most of the pixel."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from trackersplat.captures.camera import Camera
from viewer.stage.strokes import visible_pixels

if TYPE_CHECKING:
    from torch import Tensor

    from trackersplat.gaussians.gaussians import Gaussians
    from trackersplat.rendering.rasterizer import Rasterizer

LEAST_WEIGHT = 0.02  # of a pixel; below, nothing is there


def nearest_head(heads: np.ndarray, view: Camera, at: tuple[float, float], within: float) -> int | None:
    """Row of the head (P, 3) that is seen nearest to a pixel; None if none is within that many pixels. Of equal ones the frontmost."""
    uv, z, inside = visible_pixels(heads, view)
    if not inside.any():
        return None
    rows = np.flatnonzero(inside)
    distance = np.hypot(uv[rows, 0] - at[0], uv[rows, 1] - at[1])
    close = distance <= within
    if not close.any():
        return None
    order = np.lexsort((z[rows][close], np.round(distance[close])))
    return int(rows[close][order[0]])


def pixel_weights(rasterizer: Rasterizer, gaussians: Gaussians, view: Camera, at: tuple[float, float]) -> Tensor:
    """(N,) what each Gaussian contributes to a pixel: its alpha there times the transmittance before it, by the rasteriser's own rules."""
    import torch

    from trackersplat.rendering.lift import lift

    features = torch.zeros(1, view.height, view.width, 1, device=rasterizer.device)
    x, y = min(max(int(at[0]), 0), view.width - 1), min(max(int(at[1]), 0), view.height - 1)
    features[0, y, x] = 1.0
    return lift(rasterizer, gaussians.to(rasterizer.device), [view], features)[0, :, 0].cpu()


def strongest(weights: Tensor) -> int | None:
    """Index of the largest weight; None if nothing is there."""
    if not len(weights):
        return None
    index = int(weights.argmax())
    return index if float(weights[index]) >= LEAST_WEIGHT else None
