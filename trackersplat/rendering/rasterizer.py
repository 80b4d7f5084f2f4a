"""The one interface to every rasteriser."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from trackersplat.captures.camera import Camera
from trackersplat.gaussians.gaussians import Gaussians


@dataclass(frozen=True)
class Rendering:
    """What C cameras of one size see. Everything is differentiable with respect to the Gaussians (and channels)."""

    color: Tensor  # (C, H, W, 3) linear blend of the Gaussians' colours over the background, not clamped above
    alpha: Tensor  # (C, H, W) in [0, 1]: one minus the transmittance
    depth: Tensor  # (C, H, W) blending-weighted sum of camera-space z (divide by alpha for the expected depth)
    channels: Tensor | None = None  # (C, H, W, F) blending-weighted sums of the channels asked for, background 0


class Rasterizer(Protocol):
    """Renders by the rules of 3DGS: EWA projection with 0.3 px^2 dilation, alpha below 1/255 skipped and capped at
    0.99 (gsplat: 0.999), front-to-back blending that stops below a transmittance of 1e-4, nothing nearer than the camera's ``near``."""

    name: str
    device: torch.device

    def render(
        self,
        gaussians: Gaussians,
        cameras: Sequence[Camera],  # all of one size and near plane
        *,
        channels: Tensor | None = None,  # (N, F), or (C, N, F) for each camera its own: extra per-Gaussian values to blend
        sh_degree: int | None = None,  # use only the bands up to this degree
        background: Tensor | None = None,  # (3,), black if absent
    ) -> Rendering:
        """Raises ShapeError if sizes or near planes differ between cameras, or channels do not fit the Gaussians."""
        ...
