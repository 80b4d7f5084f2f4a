"""From the motion of a mean in several views to its motion in space."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from trackersplat.captures.camera import Camera
from trackersplat.geometry.devices import available
from trackersplat.geometry.quaternions import rotate
from trackersplat.geometry.symmetric import DIAGONAL, UNIQUE, inverse, isotropic, product
from trackersplat.motion.settings import MotionSettings

_ITERATIONS = 6
_ROBUST_FROM = 1  # the first step is plain least squares
_KERNEL = 3.0  # standard deviations at which Geman-McClure has quartered a view's weight
_NEAR = 1e-3  # scene units; a camera closer than this says nothing


@dataclass(frozen=True)
class Triangulation:
    """Displacements of N means, with what the views say about them."""

    translation: Tensor  # (N, 3) float64 scene units; zero where no view saw the mean
    information: Tensor  # (6, N) float64 1 / scene units^2: inverse covariance; 0 along directions that no view can tell
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
    surfaces: Tensor | None = None,  # (V, M, 3) scene units: from the mean to what the view sees of it, on the ray of the mean
    turns: Tensor | None = None,  # (N, 4) unit quaternions: how the surface turns about the mean on its way; not if absent
) -> Triangulation:
    """Minimises ``sum_v rho(|project_v(mean + turn surface_v + t) - project_v(mean) - displacement_v| / sigma_v)`` over t for every mean.

    Surfaces may be of the first M means only, N being a multiple of M: means of several targets one after the other share them.

    Gauss-Newton on the true reprojection error from t = 0: each row is a pixel residual, so depth and the number of views
    do not change its meaning. From the second step on, rho is Geman-McClure's, by reweighting: a view in which the track
    jumped loses its say instead of bending the answer. The scale of the covariance is raised to what the residuals show.
    """
    points = means.double()
    numbers = [[*camera.rotation.reshape(-1), *camera.translation, camera.fx, camera.fy, camera.cx, camera.cy] for camera in cameras]
    rig = points.new_tensor(numbers)
    turns = None if turns is None else turns.double()
    if available(points):
        from trackersplat.motion.ops import triangulate_triton as fused

        return Triangulation(
            *fused.solve(
                points, rig, displacements, variances, surfaces, turns,
                iterations=_ITERATIONS, robust_from=_ROBUST_FROM, kernel=_KERNEL, near=_NEAR,
            )
        )  # fmt: skip
    parts = []
    for first in range(0, max(len(points), 1), _AT_ONCE):
        chosen = torch.arange(first, min(first + _AT_ONCE, len(points)), device=points.device)
        surface = displacements.new_zeros(1, 1, 3) if surfaces is None else surfaces[:, chosen % surfaces.shape[1]]
        if turns is not None:
            surface = rotate(turns[None, chosen], surface.double())
        parts.append(_solve(points[chosen], rig, displacements[:, chosen], variances[:, chosen], surface))
    return Triangulation(
        *(torch.cat(values, dim=-1 if values[0].ndim == 2 and len(values[0]) == 6 else 0) for values in zip(*parts, strict=True))
    )


_AT_ONCE = 100_000  # means; a few hundred numbers each per view


def _solve(points: Tensor, rig: Tensor, displacements: Tensor, variances: Tensor, surfaces: Tensor) -> tuple[Tensor, ...]:
    """The fields of a Triangulation in their order."""
    translation = torch.zeros_like(points)
    covariance = normal = points.new_zeros(6, len(points))
    for iteration in range(_ITERATIONS):
        normal, gradient = _normal_equations(points, translation, rig, displacements, variances, surfaces, iteration >= _ROBUST_FROM)
        # Pixels only define the answer up to this much along a lone ray; it keeps the 3x3 systems regular.
        covariance = inverse(normal + isotropic(1e-9 * normal[DIAGONAL].sum(0) + 1e-12))
        translation = translation - product(covariance, gradient.T)
    squares, footprint, agree, seen, total = _agreement(points, translation, rig, displacements, variances, surfaces)
    inflation = (squares / (2.0 * agree - 3.0).clamp_min(1.0)).clamp_min(1.0)
    return (
        torch.where((seen > 0)[:, None], translation, 0.0),
        normal / inflation,
        covariance[DIAGONAL].sum(0) * inflation,
        footprint / agree.clamp_min(1.0),
        (squares / total.clamp_min(1e-12)).sqrt(),
        agree.to(torch.int32),
        seen.to(torch.int32),
    )


def _normal_equations(
    points: Tensor, translation: Tensor, rig: Tensor, displacements: Tensor, variances: Tensor, surfaces: Tensor, robust: bool
) -> tuple[Tensor, Tensor]:
    """(6, N) sums of J^T w J and (3, N) of J^T w residual over the views."""
    x, y, row_x, row_y, precision, _ = _linearised(points, translation, rig, displacements, variances, surfaces)
    weight = precision * _robust(x * x + y * y, precision) if robust else precision
    normal = torch.stack([((row_x[i] * row_x[j] + row_y[i] * row_y[j]) * weight).sum(0) for i, j in UNIQUE])
    gradient = torch.stack([((row_x[i] * x + row_y[i] * y) * weight).sum(0) for i in range(3)])
    return normal, gradient


def _agreement(
    points: Tensor, translation: Tensor, rig: Tensor, displacements: Tensor, variances: Tensor, surfaces: Tensor
) -> tuple[Tensor, ...]:
    """(N,) each, of the views that agree: weighted squares, size of a pixel, their number, the views with a say, the weights."""
    x, y, _, _, precision, pixel = _linearised(points, translation, rig, displacements, variances, surfaces)
    square = x * x + y * y
    weight = precision * _robust(square, precision)
    agree = (weight > 0.25 * precision) & (precision > 0)
    weight = torch.where(agree, weight, 0.0)
    seen = (precision > 0).double().sum(0)
    return (weight * square).sum(0), torch.where(agree, pixel, 0.0).sum(0), agree.double().sum(0), seen, weight.sum(0)


def _linearised(
    points: Tensor, translation: Tensor, rig: Tensor, displacements: Tensor, variances: Tensor, surfaces: Tensor
) -> tuple[Tensor, Tensor, tuple[Tensor, ...], tuple[Tensor, ...], Tensor, Tensor]:
    """Per view and mean (V, N): reprojection errors in x and y, their derivatives by the translation, precision, size of a pixel.

    By component: batches of tiny matrices are slow on a GPU. ``rig`` (V, 16): rotation, translation, focal lengths, principal point.
    """
    r = [rig[:, i, None] for i in range(16)]
    fx, fy = r[12], r[13]
    base = [points[:, axis] for axis in range(3)]
    start_x, start_y, depth = (sum((r[3 * row + axis] * base[axis] for axis in range(3)), start=r[9 + row]) for row in range(3))
    start_depth = torch.where(depth.abs() < 1e-9, 1e-9, depth)
    moved = [base[axis] + translation[:, axis] + surfaces[..., axis].double() for axis in range(3)]
    x, y, z = (sum((r[3 * row + axis] * moved[axis] for axis in range(3)), start=r[9 + row]) for row in range(3))
    z = z.clamp_min(_NEAR)
    x, y = x / z, y / z
    row_x = tuple(fx / z * (r[axis] - x * r[6 + axis]) for axis in range(3))
    row_y = tuple(fy / z * (r[3 + axis] - y * r[6 + axis]) for axis in range(3))
    error_x = (x - start_x / start_depth) * fx - displacements[..., 0].double()
    error_y = (y - start_y / start_depth) * fy - displacements[..., 1].double()
    has_say = torch.isfinite(variances) & (variances > 0) & (depth > _NEAR)
    # A view without a say may have no number to say.
    error_x, error_y = torch.where(has_say, error_x, 0.0), torch.where(has_say, error_y, 0.0)
    precision = torch.where(has_say, 1.0 / variances.double().clamp_min(1e-12), 0.0)
    return error_x, error_y, row_x, row_y, precision, depth / (0.5 * (fx + fy))


def _robust(square: Tensor, precision: Tensor) -> Tensor:
    """Geman-McClure weights of squared residuals: 1 at no error, 1/4 at ``_KERNEL`` standard deviations."""
    return (1.0 + square * precision / _KERNEL**2) ** -2


def trusted(solved: Triangulation, settings: MotionSettings) -> Tensor:
    """(N,) bool: enough views, and most of those that had a say, agree on a motion that they tell well enough."""
    return (
        (solved.views >= settings.minimum_views)
        & (2 * solved.views > solved.seen)
        & (solved.residual_px <= settings.maximum_residual_px)
        & (solved.deviation_px <= settings.maximum_deviation_px)
    )
