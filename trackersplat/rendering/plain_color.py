"""Colours alone by back ends without a way of their own to render them."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import max_pool2d

from trackersplat.captures.camera import Camera
from trackersplat.gaussians.gaussians import Gaussians
from trackersplat.rendering.rasterizer import FusedColor, ImageRegion, Rasterizer

_TILE = 16  # pixels a side, as that of the fast back ends


def color_renderer(rasterizer: Rasterizer) -> FusedColor:
    """That of the back end, or one that renders everything."""
    return rasterizer.fused_color() or _PlainColor(rasterizer)


class _PlainColor:
    """See `rasterizer.FusedColor`."""

    def __init__(self, rasterizer: Rasterizer) -> None:
        self._rasterizer = rasterizer

    def __call__(
        self,
        gaussians: Gaussians,
        camera: Camera,
        *,
        background: Tensor | None = None,
        sh_degree: int | None = None,
        region: ImageRegion | None = None,
    ) -> Tensor:
        return self._rasterizer.render(gaussians, [camera], sh_degree=sh_degree, background=background).color

    def region(self, gaussians: Gaussians, camera: Camera, wanted: Tensor) -> ImageRegion:
        tiles, pixels = tiles_around(wanted, _TILE)
        return ImageRegion(pixels=pixels, tiles=tiles, touching=torch.ones(len(gaussians), dtype=torch.bool, device=wanted.device))


def tiles_around(wanted: Tensor, tile: int) -> tuple[Tensor, Tensor]:
    """Tiles (rows, columns) bool with a ``wanted`` pixel (H, W) in them or in a neighbour, and their pixels (H, W) bool."""
    height, width = wanted.shape
    columns, rows = -(-width // tile), -(-height // tile)
    grid = torch.zeros((rows * tile, columns * tile), device=wanted.device)
    grid[:height, :width] = wanted
    tiles = max_pool2d(max_pool2d(grid[None], tile), 3, 1, 1)[0] > 0
    return tiles, tiles.repeat_interleave(tile, 0).repeat_interleave(tile, 1)[:height, :width]
