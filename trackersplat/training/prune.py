"""At the end, without those that hardly show."""

from __future__ import annotations

import torch
from torch import Tensor

from trackersplat.gaussians.gaussians import Gaussians
from trackersplat.rendering.lift import lift
from trackersplat.rendering.rasterizer import Rasterizer
from trackersplat.training.optimiser import TrainingViews


@torch.no_grad()
def blending_weights(gaussians: Gaussians, views: TrainingViews, rasterizer: Rasterizer) -> Tensor:
    """(N,) sums over all pixels of all training views of the weight with which each Gaussian is blended."""
    total = torch.zeros(len(gaussians), device=gaussians.device)
    for camera in views.cameras:
        ones = torch.ones((1, camera.height, camera.width, 1), device=gaussians.device)
        total += lift(rasterizer, gaussians, [camera], ones)[0, :, 0]
    return total


def without_least(gaussians: Gaussians, weights: Tensor, share: float) -> Gaussians:
    """Without those of least weight (N,) that together have at most ``share`` of the whole; the others keep their order and bits."""
    ordered, order = weights.double().sort(stable=True)
    dropped = order[ordered.cumsum(0) <= share * ordered.sum()]
    keep = torch.ones(len(gaussians), dtype=torch.bool, device=weights.device)
    keep[dropped] = False
    return gaussians[keep]
