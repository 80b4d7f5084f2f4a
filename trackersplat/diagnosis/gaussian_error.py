"""In how much error each Gaussian is: the colour differences of the pixels that show it."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from trackersplat.captures.camera import Camera
from trackersplat.gaussians.gaussians import Gaussians
from trackersplat.rendering.lift import lift
from trackersplat.rendering.rasterizer import Rasterizer


@torch.no_grad()
def gaussian_error(
    rasterizer: Rasterizer,
    gaussians: Gaussians,
    cameras: Sequence[Camera],
    photos: Sequence[Tensor],  # of each camera (H, W, 3) in [0, 1], on the rasteriser's device
    correct: Callable[[str, Tensor], Tensor] | None = None,  # puts a rendering (H, W, 3) into the colours of a camera
) -> Tensor:
    """(N,) mean absolute colour difference of the pixels that show a Gaussian, weighted by how much of them it makes, in grey levels
    of 255; nan for Gaussians that no camera shows.
    """
    total = torch.zeros(len(gaussians), device=rasterizer.device)
    weight = torch.zeros_like(total)
    for camera, photo in zip(cameras, photos, strict=True):
        rendered = rasterizer.render(gaussians, [camera]).color[0]
        if correct is not None:
            rendered = correct(camera.name, rendered)
        difference = (rendered.clamp(0, 1) - photo).abs().mean(dim=2)
        sums = lift(rasterizer, gaussians, [camera], torch.stack((difference, torch.ones_like(difference)), dim=-1)[None])[0]
        total += sums[:, 0]
        weight += sums[:, 1]
    return torch.where(weight > 0, 255.0 * total / weight.clamp_min(1e-12), torch.nan)
