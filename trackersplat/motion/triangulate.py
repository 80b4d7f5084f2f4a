"""From the motion of a mean in several views to its motion in space."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from trackersplat.captures.camera import Camera
from trackersplat.motion.affine import project

_ITERATIONS = 6
_ROBUST_FROM = 1  # the first step is plain least squares
_KERNEL = 3.0  # standard deviations at which Geman-McClure has quartered a view's weight
_NEAR = 1e-3  # scene units; a camera closer than this says nothing


@dataclass(frozen=True)
class Triangulation:
    """Displacements of N means, with what the views say about them."""

    translation: Tensor  # (N, 3) float64 scene units; zero where no view saw the mean
    covariance_trace: Tensor  # (N,) float64 scene units^2: sum of the variances along the axes
    footprint: Tensor  # (N,) float64 scene units per pixel, mean over the views that agree
    residual_px: Tensor  # (N,) float64 RMS reprojection error in the views that agree
    views: Tensor  # (N,) int32 views that agree
    seen: Tensor  # (N,) int32 views that had a say

    @property
    def deviation_px(self) -> Tensor:
        """(N,) standard deviation of the position (all axes together) in pixels of the views."""
        return self.covariance_trace.sqrt() / self.footprint.clamp_min(1e-12)


def triangulate(
    cameras: Sequence[Camera],
    means: Tensor,  # (N, 3)
    displacements: Tensor,  # (V, N, 2) px, of the projected means
    variances: Tensor,  # (V, N) px^2 per axis; inf where a view has no say
) -> Triangulation:
    """Minimises ``sum_v rho(|project_v(mean + t) - project_v(mean) - displacement_v| / sigma_v)`` over t for every mean.

    Gauss-Newton on the true reprojection error from t = 0: each row is a pixel residual, so depth and the number of views
    do not change its meaning. From the second step on, rho is Geman-McClure's, by reweighting: a view in which the track
    jumped loses its say instead of bending the answer. The scale of the covariance is raised to what the residuals show.
    """
    points = means.double()
    count = len(points)
    translation = torch.zeros_like(points)
    starts = [project(camera, points) for camera in cameras]
    precision = torch.where(torch.isfinite(variances) & (variances > 0), 1.0 / variances.double().clamp_min(1e-12), 0.0)
    for view, (_, depth) in enumerate(starts):
        precision[view] *= (depth > _NEAR).double()
    # Pixels only define the answer up to this much along a lone ray; it keeps the 3x3 systems regular.
    identity = torch.eye(3, dtype=torch.float64, device=points.device)

    normal = torch.zeros(count, 3, 3, dtype=torch.float64, device=points.device)
    for iteration in range(_ITERATIONS):
        normal = torch.zeros_like(normal)
        gradient = torch.zeros_like(points)
        for view, camera in enumerate(cameras):
            residual, jacobian = _residual(camera, points, translation, starts[view][0] + displacements[view].double())
            weight = precision[view]
            if iteration >= _ROBUST_FROM:
                weight = weight * _robust(residual, precision[view])
            weighted = jacobian * weight[:, None, None]
            normal += weighted.transpose(1, 2) @ jacobian
            gradient += (weighted.transpose(1, 2) @ residual[..., None])[..., 0]
        damping = (1e-9 * normal.diagonal(dim1=1, dim2=2).sum(-1) + 1e-12)[:, None, None]
        inverse = torch.linalg.inv(normal + damping * identity)
        translation = translation - (inverse @ gradient[..., None])[..., 0]

    squares, footprint, agree_count, seen, total = (torch.zeros(count, dtype=torch.float64, device=points.device) for _ in range(5))
    for view, camera in enumerate(cameras):
        residual, _ = _residual(camera, points, translation, starts[view][0] + displacements[view].double())
        weight = precision[view] * _robust(residual, precision[view])
        agree = (weight > 0.25 * precision[view]) & (precision[view] > 0)
        seen += precision[view] > 0
        agree_count += agree
        total += torch.where(agree, weight, 0.0)
        squares += torch.where(agree, weight * residual.square().sum(-1), 0.0)
        footprint += torch.where(agree, starts[view][1] / (0.5 * (camera.fx + camera.fy)), 0.0)
    total = total.clamp_min(1e-12)
    freedom = (2.0 * agree_count - 3.0).clamp_min(1.0)
    inflation = (squares / freedom).clamp_min(1.0)
    return Triangulation(
        translation=torch.where((seen > 0)[:, None], translation, 0.0),
        covariance_trace=inverse.diagonal(dim1=1, dim2=2).sum(-1) * inflation,
        footprint=footprint / agree_count.clamp_min(1.0),
        residual_px=(squares / total).sqrt(),
        views=agree_count.to(torch.int32),
        seen=seen.to(torch.int32),
    )


def _residual(camera: Camera, points: Tensor, translation: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
    """Reprojection errors (N, 2) in px and their derivatives (N, 2, 3) with respect to the translation."""
    rotation = points.new_tensor(camera.rotation)
    offset = points.new_tensor(camera.translation)
    local = (points + translation) @ rotation.T + offset
    depth = local[:, 2].clamp_min(_NEAR)
    x, y = local[:, 0] / depth, local[:, 1] / depth
    pixel = torch.stack((x * camera.fx + camera.cx, y * camera.fy + camera.cy), dim=-1)
    row_x = (camera.fx / depth)[:, None] * (rotation[0] - x[:, None] * rotation[2])
    row_y = (camera.fy / depth)[:, None] * (rotation[1] - y[:, None] * rotation[2])
    return pixel - target, torch.stack((row_x, row_y), dim=1)


def _robust(residual: Tensor, precision: Tensor) -> Tensor:
    """Geman-McClure weights: 1 at no error, 1/4 at ``_KERNEL`` standard deviations."""
    return (1.0 + residual.square().sum(-1) * precision / _KERNEL**2) ** -2
