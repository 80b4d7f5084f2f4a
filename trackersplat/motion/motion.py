"""How the Gaussians of a base frame move to one target frame."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor


@dataclass(frozen=True)
class Motion:
    """Rigid motion per Gaussian from the base frame to one target frame, with its evidence."""

    translation: Tensor  # (N, 3) scene units, of the mean
    rotation: Tensor  # (N, 4) wxyz unit, multiplies from the left
    static: Tensor  # (N,) bool: evidence says it did not move; such Gaussians stay bit-identical
    measured: Tensor  # (N,) bool: triangulated from tracks (the rest, unless static, is propagated)
    confidence: Tensor  # (N,) in [0, 1]
    residual_px: Tensor  # (N,) RMS reprojection error of the triangulation in pixels, nan where not measured
    views: Tensor  # (N,) int32 number of views that measured it
    withheld: Tensor | None = None  # (N, 3) scene units: measured motion of static Gaussians, to be carried to the next batch
