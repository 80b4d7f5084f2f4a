"""What the affine fit and its fused kernels must agree on."""

from __future__ import annotations

from dataclasses import dataclass

SHARED_CHANNELS = 3  # layout: blending weight, weighted depth of the rendered means and of the rendered surface
TARGET_CHANNELS = 13  # layout: moments per target, see `affine.moment_features`


@dataclass(frozen=True)
class AffineFit:
    """The numbers of one fit."""

    width: int  # px of the image
    height: int
    scale: float  # px per unit of the moments' coordinates
    rounding: float  # px^2 that widen the pixel covariance
    least_weight: float = 1e-9  # summed blending weight below which there is nothing to fit but rounding errors
    tiny: float = 1e-12  # keeps divisions finite
