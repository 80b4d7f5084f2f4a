"""What keeps few views from being explained by fog, giants and wrong depths that no other view would agree with."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from scipy.spatial import cKDTree
from torch import Tensor

from trackersplat.captures.camera import Camera
from trackersplat.captures.capture import PointCloud
from trackersplat.gaussians.gaussians import Gaussians
from trackersplat.rendering.rasterizer import Rendering
from trackersplat.training.points.colouring import visible_from


@dataclass(frozen=True)
class Regularisation:
    """Weights of what is added to the photometric loss; 0 leaves a term out."""

    opacity: float = 0.0  # times the mean opacity
    scale: float = 0.0  # times the mean standard deviation over the scene extent
    depth: float = 0.0  # times the mean relative error of the rendered depth where first points are seen
    splat: int = 8  # pixels, largest half width of a first point in the depth buffer that tells which views see it
    random_background: bool = False  # another colour behind every step's picture, so that nothing dark can be left transparent

    @property
    def penalises(self) -> bool:
        return any(weight > 0 for weight in (self.opacity, self.scale, self.depth))


class Penalties:
    """The terms of a Regularisation for one set of views: an `optimiser.Penalty`."""

    def __init__(
        self, settings: Regularisation, extent: float, points: PointCloud, cameras: Sequence[Camera], device: torch.device
    ) -> None:
        self._settings, self._extent = settings, extent
        self._depths = seen_depths(points, cameras, device, settings.splat) if settings.depth > 0 else []

    def __call__(self, view: int, gaussians: Gaussians, rendering: Rendering) -> Tensor:
        """A scalar, differentiable with respect to the Gaussians; ``rendering`` is that of one camera."""
        s = self._settings
        total = gaussians.means.new_zeros(())
        if s.opacity > 0:
            total = total + s.opacity * gaussians.opacities.mean()
        if s.scale > 0:
            total = total + s.scale * gaussians.scales.mean() / self._extent
        if s.depth > 0 and len(self._depths[view][0]):
            total = total + s.depth * depth_error(rendering, *self._depths[view])
        return total


def seen_depths(points: PointCloud, cameras: Sequence[Camera], device: torch.device, splat: int) -> list[tuple[Tensor, Tensor]]:
    """Per camera the pixels (M,) int64, row by row, in which first points are seen and not hidden by others, and their depths (M,)."""
    xyz = points.xyz.astype(np.float64)
    width = float(np.median(cKDTree(xyz).query(xyz, k=2)[0][:, 1])) if len(xyz) > 1 else 0.0
    found = []
    for camera, visible in zip(cameras, visible_from(xyz, width, cameras, splat), strict=True):
        uv, depth = camera.project(xyz[visible])
        column, row = np.floor(uv).astype(np.int64).T
        found.append((torch.from_numpy(row * camera.width + column).to(device), torch.from_numpy(depth.astype(np.float32)).to(device)))
    return found


def depth_error(rendering: Rendering, pixels: Tensor, depths: Tensor) -> Tensor:
    """Mean of ``|sum w (z - d)| / d`` over pixels (M,) with depths d (M,): pixels where nothing is blended count as right."""
    blended, alpha = rendering.depth[0].reshape(-1)[pixels], rendering.alpha[0].reshape(-1)[pixels]
    return ((blended - alpha * depths).abs() / depths).mean()


class RandomBackground:
    """A seeded colour (3,), uniform in [0, 1], for every step."""

    def __init__(self, seed: int, device: torch.device) -> None:
        self._random, self._device = torch.Generator().manual_seed(seed), device

    def __call__(self) -> Tensor:
        return torch.rand(3, generator=self._random).to(self._device)
