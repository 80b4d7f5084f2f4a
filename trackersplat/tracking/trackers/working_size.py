"""Images and pixels at the size at which a model works. Each model has its own convention; here they meet ours, centres at +0.5.

An asymmetric point goes there and back unchanged, and lands where the resized image has what it points at.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum

import torch
from torch import Tensor
from torch.nn.functional import interpolate

from trackersplat.errors import ShapeError


class Pixels(Enum):
    """Where a model has the pixels of its working image, and how its images are resized."""

    # Centres at integers; the centres of the corner pixels stay at the corners (align_corners), as in CoTracker 2 and 3.
    CORNER_CENTRES = "corner centres"
    # Centres at integers; the borders of the image stay, as in the first CoTracker and most optical flow.
    INTEGER_CENTRES = "integer centres"
    # Centres at +0.5, as ours; the borders of the image stay, as in tapnet.
    RASTER = "raster"


@dataclass(frozen=True)
class WorkingSize:
    """From images of ``source`` size to those of ``target`` size, (width, height) each."""

    source: tuple[int, int]
    target: tuple[int, int]
    pixels: Pixels

    def images(self, frames: Tensor) -> Tensor:
        """(T, 3, h, w) float32 in 0-255 at the target size, of (T, H, W, 3) uint8 RGB. Raises ShapeError if they are not that."""
        width, height = self.source
        if frames.dtype != torch.uint8 or frames.ndim != 4 or tuple(frames.shape[1:]) != (height, width, 3):
            raise ShapeError(f"Images must be uint8 (T, {height}, {width}, 3), got {frames.dtype} {tuple(frames.shape)}.")
        values = frames.permute(0, 3, 1, 2).float()
        if self.source == self.target:
            return values
        corners = self.pixels is Pixels.CORNER_CENTRES
        smaller = self.target[0] < width or self.target[1] < height
        return interpolate(
            values, self.target[::-1], mode="bilinear", align_corners=corners, antialias=smaller and self.pixels is Pixels.RASTER
        )

    def to_model(self, points: Tensor) -> Tensor:
        """Points (..., 2) x, y of ours as the model has them."""
        if self.pixels is Pixels.CORNER_CENTRES:
            return (points - 0.5) * self._ratio(points, lambda size: max(size - 1, 1))
        scaled = points * self._ratio(points, lambda size: size)
        return scaled - 0.5 if self.pixels is Pixels.INTEGER_CENTRES else scaled

    def from_model(self, points: Tensor) -> Tensor:
        """The inverse of `to_model`."""
        if self.pixels is Pixels.CORNER_CENTRES:
            return points / self._ratio(points, lambda size: max(size - 1, 1)) + 0.5
        raster = points + 0.5 if self.pixels is Pixels.INTEGER_CENTRES else points
        return raster / self._ratio(points, lambda size: size)

    def _ratio(self, points: Tensor, length: Callable[[int], int]) -> Tensor:
        return points.new_tensor([length(target) / length(source) for source, target in zip(self.source, self.target, strict=True)])
