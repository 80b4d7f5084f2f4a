"""Every choice of lifting 2D tracks of several views to 3D tracks. Pixels are those of the images."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class LiftSettings:
    """Robust triangulation of points from their tracks in all views (triangulate.py, lift.py)."""

    track_noise_px: float = 0.7  # standard deviation per axis of a track of visibility and confidence 1
    least_certainty: float = 0.05  # visibility times confidence from which a view is asked
    truncation_px: float = 4.0  # error from which a view says nothing about a hypothesis
    most_pairs: int = 64  # pairs of views that propose a position, at most
    iterations: int = 6  # Gauss-Newton steps from the best hypothesis
    polish: int = 2  # further steps, by the views that agree alone
    kernel: float = 3.0  # standard deviations at which Geman-McClure's weight has quartered
    inlier_weight: float = 0.25  # robust weight from which a view agrees
    minimum_views: int = 2  # that must agree on a position
    agreeing_share: float = 0.3  # of the certainty of all views of a point that must agree
    maximum_residual_px: float = 2.5  # RMS reprojection error in the views that agree
    maximum_deviation_px: float = 5.0  # standard deviation of a position, in pixels of the views
    least_parallax: float = 0.02  # radians, largest angle between the rays of two views that agree
    visible: float = 0.5  # visibility from which the tracker calls a point visible
    depth_tolerance: float = 0.03  # share of its depth by which a point may lie behind the rendered surface and be seen
    outlier_weight: float = 0.05  # what agreeing with the position before counts, beside a view
    jump_px: float = 12.0  # motion from frame to frame at which the position before says nothing
