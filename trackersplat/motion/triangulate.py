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
    views = [
        _View(camera, points, displacement, variance)
        for camera, displacement, variance in zip(cameras, displacements, variances, strict=True)
    ]
    translation = torch.zeros_like(points)
    inverse = points.new_zeros(6, len(points))
    for iteration in range(_ITERATIONS):
        normal, gradient = points.new_zeros(6, len(points)), points.new_zeros(3, len(points))
        for view in views:
            x, y, row_x, row_y = view.linearised(points + translation)
            weight = view.precision
            if iteration >= _ROBUST_FROM:
                weight = weight * _robust(x * x + y * y, view.precision)
            weighted_x, weighted_y = row_x * weight, row_y * weight
            for place, (i, j) in enumerate(_UNIQUE):
                normal[place] += weighted_x[i] * row_x[j] + weighted_y[i] * row_y[j]
            gradient += weighted_x * x + weighted_y * y
        # Pixels only define the answer up to this much along a lone ray; it keeps the 3x3 systems regular.
        normal[_DIAGONAL] += 1e-9 * normal[_DIAGONAL].sum(0) + 1e-12
        inverse = _inverse(normal)
        translation = translation - _product(inverse, gradient).T

    squares, footprint, agree_count, seen, total = (points.new_zeros(len(points)) for _ in range(5))
    for view in views:
        x, y, _, _ = view.linearised(points + translation)
        square = x * x + y * y
        weight = view.precision * _robust(square, view.precision)
        agree = (weight > 0.25 * view.precision) & (view.precision > 0)
        seen += view.precision > 0
        agree_count += agree
        total += torch.where(agree, weight, 0.0)
        squares += torch.where(agree, weight * square, 0.0)
        footprint += torch.where(agree, view.pixel, 0.0)
    total = total.clamp_min(1e-12)
    freedom = (2.0 * agree_count - 3.0).clamp_min(1.0)
    inflation = (squares / freedom).clamp_min(1.0)
    return Triangulation(
        translation=torch.where((seen > 0)[:, None], translation, 0.0),
        covariance_trace=inverse[_DIAGONAL].sum(0) * inflation,
        footprint=footprint / agree_count.clamp_min(1.0),
        residual_px=(squares / total).sqrt(),
        views=agree_count.to(torch.int32),
        seen=seen.to(torch.int32),
    )


_UNIQUE = ((0, 0), (0, 1), (0, 2), (1, 1), (1, 2), (2, 2))  # entries of a symmetric 3x3 matrix, in the order they are kept
_DIAGONAL = [0, 3, 5]


class _View:
    """One view's targets. Everything is kept by component, (N,) each: batches of tiny matrices are slow on a GPU."""

    def __init__(self, camera: Camera, points: Tensor, displacement: Tensor, variance: Tensor) -> None:
        self._camera = camera
        self._rotation, self._offset = points.new_tensor(camera.rotation), points.new_tensor(camera.translation)
        start, depth = project(camera, points)
        self._target = (start + displacement.double()).T.contiguous()
        self.pixel = depth / (0.5 * (camera.fx + camera.fy))  # (N,) scene units
        has_say = torch.isfinite(variance) & (variance > 0) & (depth > _NEAR)
        self.precision = torch.where(has_say, 1.0 / variance.double().clamp_min(1e-12), 0.0)  # (N,) 1 / px^2

    def linearised(self, points: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Reprojection errors (N,) in x and y and their derivatives (3, N) each with respect to the point."""
        camera, rotation = self._camera, self._rotation
        x, y, depth = (points @ rotation.T + self._offset).T
        depth = depth.clamp_min(_NEAR)
        x, y = x / depth, y / depth
        row_x = (camera.fx / depth) * (rotation[0][:, None] - x * rotation[2][:, None])
        row_y = (camera.fy / depth) * (rotation[1][:, None] - y * rotation[2][:, None])
        return x * camera.fx + camera.cx - self._target[0], y * camera.fy + camera.cy - self._target[1], row_x, row_y


def _inverse(matrix: Tensor) -> Tensor:
    """Inverse of symmetric positive 3x3 matrices (6, N), by cofactors."""
    a, b, c, d, e, f = matrix
    cofactors = torch.stack((d * f - e * e, c * e - b * f, b * e - c * d, a * f - c * c, b * c - a * e, a * d - b * b))
    return cofactors / (a * cofactors[0] + b * cofactors[1] + c * cofactors[2])


def _product(matrix: Tensor, vector: Tensor) -> Tensor:
    """Symmetric (6, N) times (3, N)."""
    a, b, c, d, e, f = matrix
    x, y, z = vector
    return torch.stack((a * x + b * y + c * z, b * x + d * y + e * z, c * x + e * y + f * z))


def _robust(square: Tensor, precision: Tensor) -> Tensor:
    """Geman-McClure weights of squared residuals: 1 at no error, 1/4 at ``_KERNEL`` standard deviations."""
    return (1.0 + square * precision / _KERNEL**2) ** -2
