"""Where the images show what moves: the rest of them need not be rendered in every step."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from trackersplat.gaussians.gaussians import Gaussians
from trackersplat.rendering.plain_color import color_renderer
from trackersplat.rendering.rasterizer import ImageRegion, Rasterizer
from trackersplat.training.losses import LossRegion
from trackersplat.training.optimiser import TrainingViews

LEAST_WEIGHT = 0.01  # blending weight of what moves, from which on a pixel shows it
MOST = 0.7  # of an image; where more shows what moves, all of it is rendered


@dataclass(frozen=True, eq=False)
class Changing:
    """The changing part of one view."""

    region: ImageRegion
    loss: LossRegion
    whole: Tensor  # (1, H, W, 3) the last rendering of the whole image

    def filled(self, color: Tensor) -> Tensor:
        """A rendering of the region, with the last whole one around it."""
        return torch.where(self.region.pixels[None, :, :, None], color, self.whole)


@torch.no_grad()
def changing_parts(gaussians: Gaussians, is_static: Tensor, views: TrainingViews, rasterizer: Rasterizer) -> list[Changing | None]:
    """Of every view; None where most of it changes. ``is_static`` (N,) bool."""
    render, found = color_renderer(rasterizer), list[Changing | None]()
    moves = (~is_static).float()[:, None]
    for camera in views.cameras:
        rendering = rasterizer.render(gaussians, [camera], channels=moves)
        assert rendering.channels is not None, "the interface returns what was asked for"
        region = render.region(gaussians, camera, rendering.channels[0, ..., 0] > LEAST_WEIGHT)
        found.append(Changing(region, LossRegion(region.pixels), rendering.color))
    shares = torch.stack([each.region.tiles.float().mean() for each in found if each is not None]).tolist()
    return [each if share <= MOST else None for each, share in zip(found, shares, strict=True)]
