"""How much every Gaussian contributes to what cameras see, and which can be left out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from trackersplat.captures.camera import Camera
from trackersplat.gaussians.gaussians import Gaussians
from trackersplat.rendering.lift import lift
from trackersplat.rendering.rasterizer import Rasterizer


@dataclass(frozen=True)
class WeighingSettings:
    """How contributions are measured."""

    longest_side: int = 640  # pixels of the pictures, at most


def contribution(gaussians: Gaussians, cameras: Sequence[Camera], rasterizer: Rasterizer, settings: WeighingSettings) -> Tensor:
    """(N,) float64 on the CPU: the blending weight of each Gaussian, summed over the pixels of all cameras, as a share of their pixels."""
    moved = gaussians.to(rasterizer.device)
    total = torch.zeros(len(gaussians), dtype=torch.float64)
    for camera in cameras:
        factor = min(1.0, settings.longest_side / max(camera.width, camera.height))
        small = camera.resized(max(1, round(camera.width * factor)), max(1, round(camera.height * factor)))
        ones = torch.ones(1, small.height, small.width, 1, device=rasterizer.device)
        total += lift(rasterizer, moved, [small], ones)[0, :, 0].double().cpu() / (small.width * small.height * len(cameras))
    return total


def kept(contributions: Tensor, share: float) -> Tensor:
    """(N,) bool: without the Gaussians that together contribute at most ``share`` of all contributions, the least first."""
    order = contributions.argsort(stable=True)
    faint = contributions[order].cumsum(0) <= share * contributions.sum()
    result = torch.empty(len(contributions), dtype=torch.bool)
    result[order] = ~faint
    return result


def most_of_all(found: Sequence[Tensor]) -> list[Tensor]:
    """The contributions of each frame; of frames with equally many Gaussians, for each Gaussian the most in any of them.

    So a Gaussian that matters in one frame is kept in all, and they keep their rows.
    """
    if len({len(each) for each in found}) > 1:
        return list(found)
    return [torch.stack(tuple(found)).amax(dim=0)] * len(found)
