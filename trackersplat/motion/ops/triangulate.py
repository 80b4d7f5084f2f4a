"""From the motion of a mean in several views to its motion in space."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields
from typing import NamedTuple

import torch
from torch import Tensor

from trackersplat.captures.camera import Camera
from trackersplat.geometry.devices import has_triton, uploaded
from trackersplat.geometry.quaternions import rotate
from trackersplat.geometry.symmetric import DIAGONAL, UNIQUE, inverse, isotropic, product
from trackersplat.motion.ops.results import Triangulation
from trackersplat.motion.settings import TriangulateSettings

AT_ONCE = 100_000  # means, for memory: a few hundred numbers each per view
TINY = 1e-12  # keeps divisions and 3x3 systems of nothing finite
TINY_DEPTH = 1e-9  # scene units; the same for depths


class Observations(NamedTuple):
    """The motion of N means as V views see it."""

    displacements: Tensor  # (V, N, 2) px, of the projected means
    variances: Tensor  # (V, N) px^2 per axis; inf where a view's observation is not valid
    surfaces: Tensor | None = None  # (V, M, 3) scene units: from the mean to what the view sees of it, on the ray of the mean
    turns: Tensor | None = None  # (N, 4) unit quaternions: how the surface turns about the mean on its way; it does not, if absent

    def part(self, chosen: Tensor) -> Observations:
        """The observations of these means (K,), with their surfaces turned: (V, K, 3), or (1, 1, 3) zeros where there are none."""
        surfaces = self.surfaces
        turned = self.displacements.new_zeros(1, 1, 3) if surfaces is None else surfaces[:, chosen % surfaces.shape[1]]
        if self.turns is not None:
            turned = rotate(self.turns[None, chosen].double(), turned.double())
        return Observations(displacements=self.displacements[:, chosen], variances=self.variances[:, chosen], surfaces=turned)


def triangulate(
    cameras: Sequence[Camera],
    means: Tensor,  # (N, 3)
    observations: Observations,
    settings: TriangulateSettings,
) -> Triangulation:
    """Minimises ``sum_v rho(|project_v(mean + turn surface_v + t) - project_v(mean) - displacement_v| / sigma_v)`` over t for every mean.

    Surfaces may be of the first M means only, N being a multiple of M: means of several targets one after the other share them.

    Gauss-Newton on the true reprojection error from t = 0: each row is a pixel residual, so depth and the number of views
    do not change its meaning. From the step ``settings.robust_from`` on, rho is Geman-McClure's, by reweighting: a view in which the
    track jumped loses its weight instead of bending the answer. The scale of the covariance is raised to what the residuals show.
    """
    points = means.double()
    rig = camera_rows(cameras, points)
    if has_triton(points):
        from trackersplat.motion.ops import triangulate_triton as fused

        turns = None if observations.turns is None else observations.turns.double()
        return fused.solve(points, rig, observations._replace(turns=turns), settings, tiny=TINY, tiny_depth=TINY_DEPTH)
    parts = [_solve(points[chosen], rig, observations.part(chosen), settings) for chosen in slices(points)]
    return Triangulation(
        **{
            field.name: torch.cat([getattr(part, field.name) for part in parts], dim=1 if field.name == "information" else 0)
            for field in fields(Triangulation)
        }
    )


def camera_rows(cameras: Sequence[Camera], points: Tensor) -> Tensor:
    """(V, 16) in the points' precision: rotation, translation, focal lengths, principal point."""
    rows = [[*c.rotation.reshape(-1), *c.translation, c.fx, c.fy, c.cx, c.cy] for c in cameras]
    return uploaded(rows, points.device, points.dtype)


def slices(points: Tensor) -> list[Tensor]:
    """Indices of the ``points`` (N, 3) in runs that fit into memory; one empty run if there are none."""
    count = len(points)
    return [torch.arange(first, min(first + AT_ONCE, count), device=points.device) for first in range(0, max(count, 1), AT_ONCE)]


def _solve(points: Tensor, rig: Tensor, seen: Observations, settings: TriangulateSettings) -> Triangulation:
    """``seen`` are observations with turned surfaces, see `Observations.part`."""
    translation = torch.zeros_like(points)
    covariance = normal = points.new_zeros(6, len(points))
    for iteration in range(settings.iterations):
        normal, gradient = _normal_equations(points, translation, rig, seen, settings, robust=iteration >= settings.robust_from)
        # Pixels only define the answer up to this much along a lone ray; it keeps the 3x3 systems regular.
        covariance = inverse(normal + isotropic(settings.ridge * normal[DIAGONAL].sum(0) + TINY))
        translation = translation - product(covariance, gradient.T)
    found = _agreement(points, translation, rig, seen, settings)
    inflation = (found.squares / (2.0 * found.agree - 3.0).clamp_min(1.0)).clamp_min(1.0)
    return Triangulation(
        translation=torch.where((found.seen > 0)[:, None], translation, 0.0),
        information=normal / inflation,
        covariance_trace=covariance[DIAGONAL].sum(0) * inflation,
        footprint=found.footprint / found.agree.clamp_min(1.0),
        residual_px=(found.squares / found.weight.clamp_min(TINY)).sqrt(),
        views=found.agree.to(torch.int32),
        seen=found.seen.to(torch.int32),
    )


def _normal_equations(
    points: Tensor, translation: Tensor, rig: Tensor, seen: Observations, settings: TriangulateSettings, *, robust: bool
) -> tuple[Tensor, Tensor]:
    """(6, N) sums of J^T w J and (3, N) of J^T w residual over the views."""
    r, now = rig_columns(rig), reproject(points, translation, rig, seen, settings.near)
    # By component: batches of tiny matrices are slow on a GPU.
    row_x = tuple(r[12] / now.z * (r[axis] - now.x * r[6 + axis]) for axis in range(3))
    row_y = tuple(r[13] / now.z * (r[3 + axis] - now.y * r[6 + axis]) for axis in range(3))
    x, y, precision = now.error_x, now.error_y, now.precision
    weight = precision * robust_weight(x * x + y * y, precision, settings.kernel) if robust else precision
    normal = torch.stack([((row_x[i] * row_x[j] + row_y[i] * row_y[j]) * weight).sum(0) for i, j in UNIQUE])
    gradient = torch.stack([((row_x[i] * x + row_y[i] * y) * weight).sum(0) for i in range(3)])
    return normal, gradient


class _Agreement(NamedTuple):
    """(N,) float64 each, summed over the views that agree, but for ``seen``."""

    squares: Tensor  # weighted squared errors
    weight: Tensor
    footprint: Tensor  # scene units per pixel
    agree: Tensor  # number of views that agree
    seen: Tensor  # number of views whose observation is valid


def _agreement(points: Tensor, translation: Tensor, rig: Tensor, seen: Observations, settings: TriangulateSettings) -> _Agreement:
    r, now = rig_columns(rig), reproject(points, translation, rig, seen, settings.near)
    square = now.error_x * now.error_x + now.error_y * now.error_y
    weight = now.precision * robust_weight(square, now.precision, settings.kernel)
    agree = (weight > settings.inlier_weight * now.precision) & (now.precision > 0)
    weight = torch.where(agree, weight, 0.0)
    return _Agreement(
        squares=(weight * square).sum(0),
        weight=weight.sum(0),
        footprint=torch.where(agree, now.depth / (0.5 * (r[12] + r[13])), 0.0).sum(0),
        agree=agree.double().sum(0),
        seen=(now.precision > 0).double().sum(0),
    )


class Reprojection(NamedTuple):
    """Where V views see N moved means, (V, N) float64 each."""

    x: Tensor  # camera coordinates over the depth
    y: Tensor
    z: Tensor  # scene units: the depth, at least ``near``
    error_x: Tensor  # px: reprojection error; 0 where the observation is not valid
    error_y: Tensor
    precision: Tensor  # 1 / px^2; 0 where the observation is not valid
    depth: Tensor  # scene units: that of the mean before it moved


def rig_columns(rig: Tensor) -> list[Tensor]:
    """The 16 columns (V, 1) of `camera_rows`."""
    return [rig[:, i, None] for i in range(16)]


def reproject(points: Tensor, translation: Tensor, rig: Tensor, seen: Observations, near: float) -> Reprojection:
    """Against ``seen``, whose surfaces are turned (see `Observations.part`), with the ``points`` (N, 3) moved by ``translation`` (N, 3).

    An observation is valid if its variance is positive and finite and the mean is at least ``near`` in front of the camera.
    """
    assert seen.surfaces is not None  # `Observations.part` makes them
    r = rig_columns(rig)
    fx, fy = r[12], r[13]
    base = [points[:, axis] for axis in range(3)]
    start_x, start_y, depth = (sum((r[3 * row + axis] * base[axis] for axis in range(3)), start=r[9 + row]) for row in range(3))
    start_depth = torch.where(depth.abs() < TINY_DEPTH, TINY_DEPTH, depth)
    moved = [base[axis] + translation[:, axis] + seen.surfaces[..., axis].double() for axis in range(3)]
    x, y, z = (sum((r[3 * row + axis] * moved[axis] for axis in range(3)), start=r[9 + row]) for row in range(3))
    z = z.clamp_min(near)
    x, y = x / z, y / z
    error_x = (x - start_x / start_depth) * fx - seen.displacements[..., 0].double()
    error_y = (y - start_y / start_depth) * fy - seen.displacements[..., 1].double()
    valid = torch.isfinite(seen.variances) & (seen.variances > 0) & (depth > near)
    # An observation that is not valid may be nan.
    error_x, error_y = torch.where(valid, error_x, 0.0), torch.where(valid, error_y, 0.0)
    precision = torch.where(valid, 1.0 / seen.variances.double().clamp_min(TINY), 0.0)
    return Reprojection(x=x, y=y, z=z, error_x=error_x, error_y=error_y, precision=precision, depth=depth)


def robust_weight(square: Tensor, precision: Tensor, kernel: float) -> Tensor:
    """Geman-McClure's weights of squared residuals in px^2: 1 at no error, 1/4 at ``kernel`` standard deviations."""
    return (1.0 + square * precision / kernel**2) ** -2


def trusted(solved: Triangulation, settings: TriangulateSettings) -> Tensor:
    """(N,) bool: enough views, and most of those with a valid observation, agree on a motion that they determine well enough."""
    return (
        (solved.views >= settings.minimum_views)
        & (2 * solved.views > solved.seen)
        & (solved.residual_px <= settings.maximum_residual_px)
        & (solved.deviation_px <= settings.maximum_deviation_px)
    )
