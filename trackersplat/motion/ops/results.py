"""What the numerical kernels of motion return, fused or not. Always built by keyword."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor


@dataclass(frozen=True, eq=False)
class AffineMotion:
    """How N Gaussians move in V views, for F targets. A point at pixel p goes to p + displacement + (linear - 1)(p - mean)."""

    displacement: Tensor  # (V, F, N, 2) px, of the projected mean
    linear: Tensor  # (V, F, N, 2, 2)
    weight: Tensor  # (V, F, N) blending weight times track certainty, summed over pixels
    share: Tensor  # (V, F, N) in [0, 1]: that weight over the blending weight alone
    spread: Tensor  # (V, F, N) px: RMS disagreement of the tracks within the footprint with the affine motion
    leverage: Tensor  # (V, F, N): squared distance of the projected mean from the pixels that saw it, in standard deviations
    reach: Tensor  # (V, F, N) px: RMS motion within one standard deviation of the footprint beyond that of the mean


@dataclass(frozen=True, eq=False)
class Triangulation:
    """Displacements of N means, with what the views say about them."""

    translation: Tensor  # (N, 3) float64 scene units; zero where no view saw the mean
    information: Tensor  # (6, N) float64 1 / scene units^2: inverse covariance; 0 along directions that no view can tell
    covariance_trace: Tensor  # (N,) float64 scene units^2: sum of the variances along the axes
    footprint: Tensor  # (N,) float64 scene units per pixel, mean over the views that agree
    residual_px: Tensor  # (N,) float64 RMS reprojection error in the views that agree
    views: Tensor  # (N,) int32 views that agree
    seen: Tensor  # (N,) int32 views whose observation is valid

    @property
    def deviation_px(self) -> Tensor:
        """(N,) standard deviation of the position (all axes together) in pixels of the views."""
        return self.covariance_trace.sqrt() / self.footprint.clamp_min(1e-12)


@dataclass(frozen=True, eq=False)
class NeighbourhoodRotation:
    """The rotations that M neighbourhoods make."""

    quaternion: Tensor  # (M, 4) float64 unit, wxyz
    precision: Tensor  # (M,) float64 1 / rad^2
    alike: Tensor  # (M,) bool: all of the neighbourhood has exactly one translation, so it does not turn


@dataclass(frozen=True)
class Comparison:
    """What V views say about N motions; the fields of `motion.evidence.Evidence`."""

    residual_px: Tensor  # (V, N) float32, nan where the observation is not valid
    variance_px2: Tensor  # (V, N) float32, inf where it is not
    weight: Tensor  # (V, N) float32 in [0, 1], 0 where it is not
    state: Tensor  # (V, N) uint8, a `motion.evidence.ViewState`
